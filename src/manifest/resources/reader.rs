//! What the readers of all kinds share: items of lists, their keys, and values of each type with their complaints.

use indexmap::IndexMap;

use super::{Item, Lifecycle, lifecycle};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::manifest::json_mode;
use crate::manifest::node::{Node, Value};
use crate::model::{Key, Map, Origin, Path, RepoPath, Tree};

/// Reads one file.
pub(super) struct Reader<'f> {
    pub file: &'f RepoPath,
    pub items: Vec<Item>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Reads every item of the list under a root key.
    pub fn each(&mut self, key: &str, node: &Node, read: impl Fn(&mut Self, &Node)) {
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| read(self, item)),
            Value::Null => {}
            other => {
                let message = format!("`{key}` must be a list, not {}", other.type_name());
                self.error("E0701", node, message, "write each of them as an item that starts with `- `");
            }
        }
    }

    pub fn error(&mut self, code: &'static str, node: &Node, message: impl Into<String>, help: impl Into<String>) {
        let origin = self.origin(node);
        self.diagnostics.push(Diagnostic::error(code, message).at(origin, "").help(help));
    }

    pub fn origin(&self, node: &Node) -> Origin {
        node.origin(self.file)
    }

    /// Whether a node is a mapping.
    pub fn is_mapping(&mut self, node: &Node, what: &str, help: &str) -> bool {
        let is = matches!(node.value, Value::Map(_));
        if !is {
            self.error("E0701", node, format!("{what} must be a mapping, not {}", node.value.type_name()), help);
        }
        is
    }

    /// Complains of keys that are not known.
    pub fn known_keys(&mut self, node: &Node, place: &str, known: &[&str]) {
        for (key, _) in node.entries() {
            match key.as_str() {
                Some(word) if known.contains(&word) => {}
                Some(word) => {
                    let help = did_you_mean(word, known.iter().copied())
                        .unwrap_or_else(|| format!("its keys are {}", known.join(", ")));
                    self.error("E0702", key, format!("`{word}` is not a key of {place}"), help);
                }
                None => self.error("E0702", key, format!("a key of {place} must be text"), "put quotes around it"),
            }
        }
    }

    /// A value of any type, as the JSON that is sent.
    pub fn json(&mut self, node: &Node) -> Option<Tree> {
        if let Some(number) = not_a_json_number(node) {
            let help = "write a number, or put quotes around it to make it text";
            self.error("E0701", number, "infinite numbers and `.nan` are not possible in JSON", help);
            return None;
        }
        match json_mode::tree(self.file, node) {
            Ok(tree) => Some(tree),
            Err(problems) => {
                self.diagnostics.extend(problems);
                None
            }
        }
    }
}

/// The first number that JSON cannot say.
fn not_a_json_number(node: &Node) -> Option<&Node> {
    match &node.value {
        Value::Float(number) if !number.is_finite() => Some(node),
        Value::List(items) | Value::Set(items) => items.iter().find_map(not_a_json_number),
        Value::Map(entries) => entries.iter().find_map(|(_, value)| not_a_json_number(value)),
        _ => None,
    }
}

/// One item while it is read.
pub(super) struct Draft<'r, 'f, 'n> {
    pub reader: &'r mut Reader<'f>,
    pub node: &'n Node,
    /// What it is, for messages: "a variable".
    what: &'static str,
    fields: Map,
    places: IndexMap<String, Path>,
}

impl<'r, 'f, 'n> Draft<'r, 'f, 'n> {
    /// Begins an item; `None` for what is no mapping. `keys` are those of its kind, without `lifecycle`.
    pub fn begin(reader: &'r mut Reader<'f>, node: &'n Node, what: &'static str, keys: &[&str]) -> Option<Self> {
        let help = format!("write `- {}: …` with its other keys below", keys[0]);
        if !reader.is_mapping(node, what, &help) {
            return None;
        }
        let known: Vec<&str> = keys.iter().copied().chain(["lifecycle"]).collect();
        reader.known_keys(node, what, &known);
        Some(Draft { reader, node, what, fields: Map::new(), places: IndexMap::new() })
    }

    /// Ends it.
    pub fn finish(self, key: Key) {
        let lifecycle = match self.node.get("lifecycle") {
            Some(node) => lifecycle::read(self.reader, node),
            None => Lifecycle::default(),
        };
        let file = self.reader.file.clone();
        let (node, fields, places) = (self.node.clone(), self.fields, self.places);
        self.reader.items.push(Item { key, file, node, fields, places, lifecycle });
    }

    /// A field that was read.
    pub fn set(&mut self, key: &str, api: &str, value: Tree) {
        if key != api {
            self.places.insert(api.to_owned(), Path::of(key));
        }
        self.fields.insert(api.to_owned(), value);
    }

    /// A field that was read before.
    pub fn field(&self, api: &str) -> Option<&Tree> {
        self.fields.get(api)
    }

    /// Complains that a key is missing.
    pub fn must_have(&mut self, key: &str, help: &str) {
        if self.node.get(key).is_none() {
            let message = format!("{} has no `{key}`", self.what);
            self.reader.error("E0703", self.node, message, help);
        }
    }

    pub fn wrong(&mut self, node: &Node, key: &str, wanted: &str) {
        let message = match node.as_str() {
            Some(text) if text.contains("{{") => {
                format!("`{key}` must be {wanted}, and a template cannot stand for it")
            }
            _ => format!("`{key}` must be {wanted}, not {}", node.value.type_name()),
        };
        let help = match (&node.value, wanted) {
            (Value::Text(text), _) if text.contains("{{") => {
                "write the value, or `{{ vars.x }}` of reconcile.yaml, which is filled in first".to_owned()
            }
            (Value::Text(text), "true or false" | "a whole number" | "a number")
                if text.parse::<f64>().is_ok() || ["true", "false"].contains(&text.as_str()) =>
            {
                format!("remove the quotes: `{key}: {text}`")
            }
            (Value::Map(_) | Value::List(_) | Value::Set(_), _) | (_, "true or false") => {
                format!("write {wanted} after `{key}:`")
            }
            (_, "text" | "text or null") => format!("put quotes around it: `{key}: \"…\"`"),
            _ => format!("write {wanted} after `{key}:`"),
        };
        self.reader.error("E0701", node, message, help);
    }

    /// A name: text that `rule` has nothing against. Complains where it is missing.
    pub fn name(&mut self, key: &str, rule: super::names::Rule) -> Option<String> {
        let name = self.key_part(key, rule)?;
        self.set(key, key, Tree::text(&name));
        Some(name)
    }

    /// A part of the item's key that is no field of its own.
    pub fn key_part(&mut self, key: &str, rule: super::names::Rule) -> Option<String> {
        self.must_have(key, &format!("write `{key}:` and its name"));
        let node = self.node.get(key)?;
        let Some(name) = node.as_str() else {
            self.wrong(node, key, "text");
            return None;
        };
        if let Some(problem) = rule(name) {
            let message = format!("`{name}` cannot be the {key} of {}: {}", self.what, problem.why);
            self.reader.error(problem.code, node, message, problem.help);
            return None;
        }
        Some(name.to_owned())
    }

    /// Text.
    pub fn text(&mut self, key: &str) {
        let Some(node) = self.node.get(key) else { return };
        match node.as_str() {
            Some(text) => self.set(key, key, Tree::text(text)),
            None => self.wrong(node, key, "text"),
        }
    }

    /// Text, or null for none.
    pub fn text_or_null(&mut self, key: &str) {
        let Some(node) = self.node.get(key) else { return };
        match &node.value {
            Value::Text(text) => self.set(key, key, Tree::text(text)),
            Value::Null => self.set(key, key, Tree::Null),
            _ => self.wrong(node, key, "text or null"),
        }
    }

    /// True or false; `api` is what the API calls it.
    pub fn flag(&mut self, key: &str, api: &str) {
        let Some(node) = self.node.get(key) else { return };
        match node.value {
            Value::Bool(flag) => self.set(key, api, Tree::Bool(flag)),
            _ => self.wrong(node, key, "true or false"),
        }
    }

    /// A whole number of at least `least`.
    pub fn count(&mut self, key: &str, api: &str, least: i64) -> Option<i64> {
        let node = self.node.get(key)?;
        let Value::Int(number) = &node.value else {
            self.wrong(node, key, "a whole number");
            return None;
        };
        match number.as_i64().filter(|n| *n <= i64::from(i32::MAX)) {
            Some(count) if count >= least => {
                self.set(key, api, Tree::int(count));
                return Some(count);
            }
            Some(_) => self.out_of_range(node, key, &format!("is at least {least}, not {number}")),
            None => self.out_of_range(node, key, &format!("is at most {}, not {number}", i32::MAX)),
        }
        None
    }

    /// The same, or null for none.
    pub fn count_or_null(&mut self, key: &str, api: &str, least: i64) {
        match self.node.get(key) {
            Some(node) if node.is_null() => self.set(key, api, Tree::Null),
            _ => {
                self.count(key, api, least);
            }
        }
    }

    pub fn out_of_range(&mut self, node: &Node, key: &str, why: &str) {
        self.reader.error("E0706", node, format!("`{key}` {why}"), format!("write another number after `{key}:`"));
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &str) {
        let Some(node) = self.node.get(key) else { return };
        let Value::List(items) = &node.value else {
            let help = match node.as_str() {
                Some(text) => format!("write `{key}: [\"{text}\"]`"),
                None => format!("write `{key}: [one, two]`, or `[]` for none"),
            };
            let message = format!("`{key}` must be a list, not {}", node.value.type_name());
            self.reader.error("E0701", node, message, help);
            return;
        };
        for item in items.iter().filter(|item| item.as_str().is_none()) {
            let message = format!("an item of `{key}` must be text, not {}", item.value.type_name());
            self.reader.error("E0701", item, message, "put quotes around it");
        }
        let texts = items.iter().filter_map(Node::as_str).map(Tree::text).collect();
        self.set(key, key, Tree::List(texts));
    }

    /// A value of any type.
    pub fn any(&mut self, key: &str) {
        let Some(node) = self.node.get(key) else { return };
        if let Some(tree) = self.reader.json(node) {
            self.set(key, key, tree);
        }
    }
}
