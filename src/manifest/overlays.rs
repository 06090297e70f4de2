//! Overlays: what the files of an environment lay over those that hold everywhere.
//!
//! Mappings are merged key by key, lists of things with names item by item; anything else takes the place of what was
//! there. Every value keeps its own file and place.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::node::{Elsewhere, Node, Value};
use super::resources;
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::model::RepoPath;

/// A file, its `{{ vars.x }}` filled.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path.
    pub path: RepoPath,
    /// What it holds.
    pub root: Node,
    /// Whether it is a prefect.yaml: its deployments are read from it, and its steps are those of the whole file.
    pub has_deployments: bool,
    /// Whether it is an overlay, with what it declares anew.
    pub is_overlay: bool,
}

/// The keys at the top of an overlay that are laid over each prefect.yaml.
const ACTIONS: [&str; 3] = ["build", "push", "pull"];

/// Lists of a deployment or a pool whose items have names, and the key that holds them.
const NAMED: [(&str, &str); 3] = [("schedules", "slug"), ("triggers", "name"), ("queues", "name")];

/// Of these a schedule has one: another one takes its place.
const SCHEDULES: [&str; 3] = ["cron", "interval", "rrule"];

/// The same for what a base job template starts from.
const TEMPLATES: [&str; 3] = ["default", "file", "job_configuration"];

/// The lists at the top of a file, and the keys by which their items are known.
fn identity(list: &str) -> Option<&'static [&'static str]> {
    Some(match list {
        "deployments" | "variables" | "work_pools" | "concurrency_limits" | "automations" => &["name"],
        "blocks" => &["type", "name"],
        "tag_concurrency_limits" => &["tag"],
        "block_types" => &["slug"],
        _ => return None,
    })
}

/// The same values, known to stand in a file.
pub fn placed(mut node: Node, file: &RepoPath, text: &Arc<str>) -> Node {
    fn place(node: &mut Node, elsewhere: &Arc<Elsewhere>) {
        node.elsewhere = Some(elsewhere.clone());
        match &mut node.value {
            Value::List(items) | Value::Set(items) => items.iter_mut().for_each(|item| place(item, elsewhere)),
            Value::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
                place(key, elsewhere);
                place(value, elsewhere);
            }),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Date(_)
            | Value::Naive(_)
            | Value::Aware(..)
            | Value::Bytes(_) => {}
        }
    }
    place(&mut node, &Arc::new(Elsewhere { file: file.clone(), text: text.clone() }));
    node
}

/// Lays overlays over files, one after the other. What an overlay declares anew becomes a file of its own, unless only a
/// part of the files is there.
pub fn lay(files: &mut Vec<File>, overlays: Vec<File>, is_part: bool) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for overlay in overlays {
        let rest = Laying { files, overlay: &overlay, diagnostics: &mut diagnostics }.run();
        if !is_part && !rest.is_empty() {
            let has_deployments = rest.iter().any(|(key, _)| key.as_str() == Some("deployments"));
            let root = Node { value: Value::Map(rest), ..overlay.root };
            files.push(File { path: overlay.path, root, has_deployments, is_overlay: true });
        }
    }
    diagnostics
}

struct Laying<'a> {
    files: &'a mut Vec<File>,
    overlay: &'a File,
    diagnostics: &'a mut Vec<Diagnostic>,
}

type Entries = Vec<(Node, Node)>;

impl Laying<'_> {
    /// Gives what is laid over nothing.
    fn run(&mut self) -> Entries {
        let root = &self.overlay.root;
        if !matches!(root.value, Value::Map(_) | Value::Null) {
            self.error(root, "an overlay must be a mapping", "write it as the files that it is laid over");
        }
        let mut rest = Entries::new();
        for (key, value) in root.entries() {
            match key.as_str() {
                Some(word) if ACTIONS.contains(&word) => self.actions(key, value),
                Some(word) if identity(word).is_some() => {
                    let new = self.list(word, identity(word).unwrap_or_default(), value);
                    if !new.is_empty() {
                        rest.push((key.clone(), Node { value: Value::List(new), ..value.clone() }));
                    }
                }
                // A place for anchors, and what Prefect's own starter files carry.
                Some("definitions" | "name" | "prefect-version") => {}
                _ => {
                    let word = key.as_str().unwrap_or("?");
                    let known = resources::ROOT_KEYS.iter().copied().chain(ACTIONS).chain(["deployments"]);
                    let help = did_you_mean(word, known.clone())
                        .unwrap_or_else(|| format!("keys at the top are {}", known.collect::<Vec<_>>().join(", ")));
                    self.error(key, &format!("`{word}` is not a key of an overlay"), &help);
                }
            }
        }
        rest
    }

    /// Steps of the whole file, in every file that declares deployments.
    fn actions(&mut self, key: &Node, value: &Node) {
        for file in self.files.iter_mut().filter(|file| file.has_deployments) {
            put(&mut file.root, key, value.clone());
        }
    }

    /// Gives the items that are laid over nothing.
    fn list(&mut self, list: &str, keys: &[&str], overlay: &Node) -> Vec<Node> {
        if !matches!(overlay.value, Value::List(_) | Value::Null) {
            let message = format!("`{list}` must be a list, not {}", overlay.value.type_name());
            self.error(overlay, &message, "write each of them as an item that starts with `- `");
        }
        let mut new = Vec::new();
        for item in overlay.items() {
            let Some(name) = names(item, keys) else {
                let words: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                let help = "it says what the item is laid over, or what it declares anew";
                self.error(item, &format!("an item of `{list}` has no {}", words.join(" and ")), help);
                continue;
            };
            let mut under = self.under(list, keys, &name);
            if list == "deployments" {
                under = self.of_entrypoint(under, item);
            }
            match under[..] {
                [] => new.push(item.clone()),
                [(file, position)] => {
                    if let Some(base) = self.item_mut(list, file, position) {
                        lay_item(base, item);
                    }
                }
                [_, ..] if list == "deployments" => self.ambiguous(item, &under),
                // That it is declared twice is told when the files are read.
                [(file, position), ..] => {
                    if let Some(base) = self.item_mut(list, file, position) {
                        lay_item(base, item);
                    }
                }
            }
        }
        new
    }

    /// The items of that name: file and position.
    fn under(&self, list: &str, keys: &[&str], name: &[&str]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (n, file) in self.files.iter().enumerate() {
            let items = file.root.get(list).map(Node::items).unwrap_or_default().iter().enumerate();
            found.extend(items.filter(|(_, item)| names(item, keys).as_deref() == Some(name)).map(|(at, _)| (n, at)));
        }
        found
    }

    /// Deployments of different flows can have one name: an entrypoint tells them apart.
    fn of_entrypoint(&self, under: Vec<(usize, usize)>, item: &Node) -> Vec<(usize, usize)> {
        let entrypoint = item.get("entrypoint").and_then(Node::as_str);
        let same = |place: &&(usize, usize)| {
            let base = &self.files[place.0].root.get("deployments").map(Node::items).unwrap_or_default()[place.1];
            entrypoint.is_some() && base.get("entrypoint").and_then(Node::as_str) == entrypoint
        };
        let narrowed: Vec<_> = under.iter().filter(same).copied().collect();
        if narrowed.is_empty() { under } else { narrowed }
    }

    fn item_mut(&mut self, list: &str, file: usize, position: usize) -> Option<&mut Node> {
        match &mut entry_mut(&mut self.files[file].root, list)?.value {
            Value::List(items) => items.get_mut(position),
            _ => None,
        }
    }

    fn ambiguous(&mut self, item: &Node, under: &[(usize, usize)]) {
        let name = item.get("name").and_then(Node::as_str).unwrap_or_default();
        let message = format!("`{name}` is laid over more than one deployment");
        let mut problem = Diagnostic::error("E0137", message).at(item.origin(&self.overlay.path), "");
        for (file, position) in under {
            let file = &self.files[*file];
            if let Some(base) = file.root.get("deployments").and_then(|list| list.items().get(*position)) {
                problem = problem.at(base.origin(&file.path), "this one has the name");
            }
        }
        self.diagnostics.push(problem.help("add the `entrypoint` of the one that is meant, as it is written there"));
    }

    fn error(&mut self, node: &Node, message: &str, help: &str) {
        let origin = node.origin(&self.overlay.path);
        self.diagnostics.push(Diagnostic::error("E0137", message).at(origin, "").help(help));
    }
}

/// What an item is known by.
fn names<'n>(item: &'n Node, keys: &[&str]) -> Option<Vec<&'n str>> {
    keys.iter().map(|key| item.get(key).and_then(Node::as_str)).collect()
}

fn entry_mut<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value),
        _ => None,
    }
}

/// Sets the value under a key.
fn put(node: &mut Node, key: &Node, value: Node) {
    let Value::Map(entries) = &mut node.value else { return };
    match entries.iter_mut().find(|(known, _)| known.value == key.value) {
        Some(entry) => *entry = (key.clone(), value),
        None => entries.push((key.clone(), value)),
    }
}

/// One deployment, pool or other object over its namesake.
fn lay_item(base: &mut Node, over: &Node) {
    for (key, value) in over.entries() {
        let word = key.as_str().unwrap_or_default();
        let by = NAMED.iter().find(|(list, _)| *list == word).map(|(_, by)| *by);
        match (by, entry_mut(base, word)) {
            (Some(by), Some(under)) => lay_named(under, value, by),
            (None, Some(under)) => lay_value(under, value, kinds(word)),
            (_, None) => put(base, key, value.clone()),
        }
    }
}

fn kinds(key: &str) -> &'static [&'static str] {
    match key {
        "schedule" | "schedules" => &SCHEDULES,
        "base_job_template" => &TEMPLATES,
        _ => &[],
    }
}

/// A list whose items have names, if all those of the overlay have one.
fn lay_named(base: &mut Node, over: &Node, by: &str) {
    let name = |item: &Node| item.get(by).and_then(Node::as_str).map(str::to_owned);
    let distinct: BTreeSet<String> = over.items().iter().filter_map(name).collect();
    let all = !over.items().is_empty() && distinct.len() == over.items().len();
    let (Value::List(items), true) = (&mut base.value, all) else {
        *base = over.clone();
        return;
    };
    for item in over.items() {
        match items.iter_mut().find(|known| name(known) == name(item)) {
            Some(known) => lay_value(known, item, &SCHEDULES),
            None => items.push(item.clone()),
        }
    }
}

/// One value over another. Of `kinds` one key is left: that of the overlay if it has one.
fn lay_value(base: &mut Node, over: &Node, kinds: &[&str]) {
    let mappings = matches!((&base.value, &over.value), (Value::Map(_), Value::Map(_)));
    if !mappings || is_source(base) || is_source(over) {
        *base = over.clone();
        return;
    }
    for (key, value) in over.entries() {
        match key.as_str().and_then(|word| entry_mut(base, word)) {
            Some(under) => lay_value(under, value, &[]),
            None => put(base, key, value.clone()),
        }
    }
    let is_of = |key: &Node| key.as_str().is_some_and(|word| kinds.contains(&word));
    let new: Vec<&Node> = over.entries().iter().map(|(key, _)| key).filter(|key| is_of(key)).collect();
    if let (Value::Map(entries), false) = (&mut base.value, new.is_empty()) {
        entries.retain(|(key, _)| !is_of(key) || new.iter().any(|new| new.value == key.value));
    }
}

/// Whether a mapping says where a value comes from: it is taken or left as a whole.
fn is_source(node: &Node) -> bool {
    let has = |word: &str| node.get(word).is_some();
    has("from_env") || has("from_file") || (node.entries().len() == 1 && has("block"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml;

    fn file(path: &str, text: &str, is_overlay: bool) -> File {
        let path = RepoPath::new(path);
        let root = yaml::read(&path, text.as_bytes()).expect("valid").root;
        let root = if is_overlay { placed(root, &path, &Arc::from(text)) } else { root };
        let has_deployments = root.get("deployments").is_some();
        File { path, root, has_deployments, is_overlay }
    }

    /// JSON with the file of every plain value that comes from elsewhere.
    fn shown(node: &Node) -> String {
        let mark = node.elsewhere.as_ref().map(|from| format!("@{}", from.file)).unwrap_or_default();
        match &node.value {
            Value::Map(entries) => {
                let inner = entries.iter().map(|(k, v)| format!("{}: {}", k.as_str().unwrap_or("?"), shown(v)));
                format!("{{{}}}", inner.collect::<Vec<_>>().join(", "))
            }
            Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
            Value::Text(text) => format!("{text}{mark}"),
            Value::Int(number) => format!("{number}{mark}"),
            other => format!("{}{mark}", other.type_name()),
        }
    }

    fn laid(base: &str, over: &str) -> (Vec<String>, Vec<Diagnostic>) {
        let mut files = vec![file("base.yaml", base, false)];
        let diagnostics = lay(&mut files, vec![file("o.yaml", over, true)], false);
        (files.iter().map(|file| shown(&file.root)).collect(), diagnostics)
    }

    #[test]
    fn mappings_by_key_and_named_lists_by_name() {
        let (files, problems) = laid(
            "deployments: [{name: a, parameters: {x: 1, y: {z: 2}}, tags: [p, q], schedules: [{slug: s, cron: '0', active: 1}]}, {name: b}]",
            "deployments: [{name: a, parameters: {y: {w: 3}}, tags: [r], schedules: [{slug: s, interval: 60}, {slug: t, cron: '1'}]}]",
        );
        assert_eq!(problems, []);
        assert_eq!(
            files,
            ["{deployments: [{name: a@o.yaml, parameters: {x: 1, y: {z: 2, w: 3@o.yaml}}, tags: [r@o.yaml], \
              schedules: [{slug: s@o.yaml, active: 1, interval: 60@o.yaml}, {slug: t@o.yaml, cron: 1@o.yaml}]}, {name: b}]}"]
        );
    }

    #[test]
    fn a_list_without_names_takes_the_place_and_what_is_new_is_a_file_of_its_own() {
        let (files, problems) = laid(
            "deployments: [{name: a, schedules: [{cron: '0'}]}]\nvariables: [{name: v, value: {a: 1}}]",
            "deployments: [{name: a, schedules: [{cron: '1'}]}, {name: c}]\nvariables: [{name: v, value: {b: 2}}, {name: w, value: 3}]\npull: [x]",
        );
        assert_eq!(problems, []);
        assert_eq!(
            files,
            [
                "{deployments: [{name: a@o.yaml, schedules: [{cron: 1@o.yaml}]}], \
                 variables: [{name: v@o.yaml, value: {a: 1, b: 2@o.yaml}}], pull: [x@o.yaml]}",
                "{deployments: [{name: c@o.yaml}], variables: [{name: w@o.yaml, value: 3@o.yaml}]}",
            ]
        );
    }

    #[test]
    fn a_source_takes_the_place_of_another_one() {
        let (files, _) = laid(
            "blocks: [{type: secret, name: s, data: {value: {from_env: A, format: json}, other: {block: a/b}}}, {type: json, name: s}]",
            "blocks: [{type: secret, name: s, data: {value: {from_file: f}, other: {x: 1}}}]",
        );
        assert_eq!(
            files,
            ["{blocks: [{type: secret@o.yaml, name: s@o.yaml, data: {value: {from_file: f@o.yaml}, \
              other: {x: 1@o.yaml}}}, {type: json, name: s}]}"]
        );
    }

    #[test]
    fn one_name_of_two_flows_needs_an_entrypoint() {
        let base = "deployments: [{name: a, entrypoint: 'f.py:f'}, {name: a, entrypoint: 'g.py:g'}]";
        let (_, problems) = laid(base, "deployments: [{name: a, tags: [x]}]");
        assert_eq!((problems.len(), problems[0].code, problems[0].labels.len()), (1, "E0137", 3));
        let (files, problems) = laid(base, "deployments: [{name: a, entrypoint: 'g.py:g', version: v}]");
        assert_eq!(problems, []);
        assert!(
            files[0].contains("{name: a, entrypoint: f.py:f}") && files[0].contains("version: v@o.yaml"),
            "{files:?}"
        );
    }

    #[test]
    fn what_cannot_be_laid_is_told_with_its_place() {
        let (files, problems) = laid("deployments: []", "deployment: []\nblocks: [{name: x}]\nvariables: {a: 1}\n1: x");
        assert!(
            problems
                .iter()
                .all(|problem| problem.code == "E0137"
                    && problem.origin().is_some_and(|at| at.file.as_str() == "o.yaml"))
        );
        assert_eq!((files.len(), problems.len()), (1, 4));
        assert_eq!(laid("deployments: []", "- a").1.len(), 1);
        assert_eq!(laid("deployments: []", "").1, []);
    }
}
