//! From the nodes of reconcile.yaml to a `Project`, with every complaint collected.

use std::time::Duration;

use indexmap::IndexMap;

use super::{Api, BuildCache, DefaultPull, Environment, IgnoreDrift, MaxDelete, Project, length_of_time};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::manifest::globs::{self, Globs};
use crate::manifest::node::{Node, Value};
use crate::model::{Kind, Map, Origin, RepoPath, Tree};

pub(in crate::manifest) const KEYS: [&str; 19] = [
    "name",
    "include",
    "exclude",
    "prune",
    "max_delete",
    "environments",
    "ignore_drift",
    "strict",
    "ledger",
    "events",
    "python",
    "step_env",
    "show_env",
    "secret_dirs",
    "root_relative",
    "default_pull",
    "build_cache",
    "vars",
    "drift_interval",
];
pub(in crate::manifest) const ENVIRONMENT_KEYS: [&str; 3] = ["api", "vars", "overlays"];
pub(in crate::manifest) const API_KEYS: [&str; 2] = ["url", "profile"];
/// How people try to write a key into the file.
const SECRET_KEYS: [&str; 5] = ["key", "api_key", "apikey", "token", "auth_string"];

/// Reads the root node of reconcile.yaml; an empty file says nothing. What is wrong keeps its default.
pub fn read(file: &RepoPath, root: &Node) -> (Project, Vec<Diagnostic>) {
    let mut reader = Reader { file, diagnostics: Vec::new() };
    let mut project = Project::default();
    if !root.is_null() && reader.is_mapping(root, "reconcile.yaml") {
        for (key, value) in root.entries() {
            if let Some(word) = reader.known(key, &KEYS, "reconcile.yaml") {
                reader.entry(&mut project, word, value);
            }
        }
    }
    (project, reader.diagnostics)
}

struct Reader<'a> {
    file: &'a RepoPath,
    diagnostics: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn entry(&mut self, project: &mut Project, key: &str, node: &Node) {
        match key {
            "name" => project.name = self.scope_name(node).or(project.name.take()),
            "include" => set(&mut project.include, self.globs(node, key)),
            "exclude" => set(&mut project.exclude, self.globs(node, key)),
            "prune" => set(&mut project.prune, self.flag(node, key)),
            "max_delete" => set(&mut project.max_delete, self.max_delete(node)),
            "environments" => project.environments = self.environments(node),
            "ignore_drift" => project.ignore_drift = self.ignore_drift(node),
            "strict" => set(&mut project.strict, self.flag(node, key)),
            "ledger" => set(&mut project.ledger, self.flag(node, key)),
            "events" => set(&mut project.events, self.flag(node, key)),
            "python" => project.python = self.text(node, key),
            "step_env" => set(&mut project.step_env, self.env_names(node, key)),
            "show_env" => set(&mut project.show_env, self.env_names(node, key)),
            "secret_dirs" => set(&mut project.secret_dirs, self.texts(node, key)),
            "root_relative" => set(&mut project.root_relative, self.globs(node, key)),
            "default_pull" => {
                let known = [("directory", DefaultPull::Directory), ("git", DefaultPull::Git)];
                set(&mut project.default_pull, self.word(node, key, &known));
            }
            "build_cache" => {
                let known =
                    [("changed", BuildCache::Changed), ("always", BuildCache::Always), ("never", BuildCache::Never)];
                set(&mut project.build_cache, self.word(node, key, &known));
            }
            "vars" => project.vars = self.vars(node),
            "drift_interval" => set(&mut project.drift_interval, self.length_of_time(node, key)),
            _ => unreachable_key(key),
        }
    }

    fn environments(&mut self, node: &Node) -> IndexMap<String, Environment> {
        let mut environments = IndexMap::new();
        if !self.is_mapping_or_null(node, "`environments`") {
            return environments;
        }
        for (key, value) in node.entries() {
            let Some(name) = self.key_text(key) else { continue };
            if let Some(why) = not_a_name(name) {
                self.invalid(key, format!("the name of environment `{name}` {why}"));
                continue;
            }
            environments.insert(name.to_owned(), self.environment(name, key, value));
        }
        environments
    }

    fn environment(&mut self, name: &str, key: &Node, node: &Node) -> Environment {
        let mut environment =
            Environment { origin: self.origin(key), api: None, vars: Map::new(), overlays: Vec::new() };
        let place = format!("environment `{name}`");
        if !self.is_mapping_or_null(node, &place) {
            return environment;
        }
        for (key, value) in node.entries() {
            match self.known(key, &ENVIRONMENT_KEYS, &place) {
                Some("api") => environment.api = self.api(name, key, value),
                Some("vars") => environment.vars = self.vars(value),
                Some("overlays") => set(&mut environment.overlays, self.globs(value, "overlays")),
                Some(other) => unreachable_key(other),
                None => {}
            }
        }
        environment
    }

    fn api(&mut self, environment: &str, key: &Node, node: &Node) -> Option<Api> {
        let place = format!("`api` of environment `{environment}`");
        if !self.is_mapping(node, &place) {
            return None;
        }
        let mut api = Api { origin: self.origin(key), url: None, profile: None };
        for (key, value) in node.entries() {
            if key.as_str().is_some_and(|word| SECRET_KEYS.contains(&word)) {
                self.secret(key, &place);
                continue;
            }
            match self.known(key, &API_KEYS, &place) {
                Some("url") => api.url = self.url(value),
                Some("profile") => api.profile = self.text(value, "profile"),
                Some(other) => unreachable_key(other),
                None => {}
            }
        }
        if let (Some(_), Some(_)) = (&api.url, &api.profile) {
            self.invalid(key, format!("{place} names a `url` and a `profile`; one of them is enough"));
        }
        Some(api)
    }

    fn url(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node, "url")?;
        match url::Url::parse(&text) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                self.secret(node, "`url`");
                None
            }
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(text),
            Ok(_) | Err(_) => {
                self.invalid(node, format!("`{text}` is not an http or https URL"));
                None
            }
        }
    }

    fn ignore_drift(&mut self, node: &Node) -> Vec<IgnoreDrift> {
        let mut rules = Vec::new();
        if !self.is_list(node, "ignore_drift") {
            return rules;
        }
        for item in node.items() {
            match &item.value {
                Value::Text(text) => match text.rsplit_once(": ").or_else(|| text.rsplit_once(':')) {
                    Some((objects, path)) => rules.extend(self.drift_rule(item, objects, path)),
                    None => self.bad_rule(item, format!("`{text}` names no field")),
                },
                // Written without quotes, YAML reads the colon itself.
                Value::Map(entries) => {
                    for (objects, paths) in entries {
                        rules.extend(self.drift_rules(objects, paths));
                    }
                }
                _ => self.wrong_type(item, "an item of `ignore_drift`", "text"),
            }
        }
        rules
    }

    fn drift_rules(&mut self, objects: &Node, paths: &Node) -> Vec<IgnoreDrift> {
        let Some(pattern) = self.key_text(objects) else { return Vec::new() };
        let paths = if matches!(paths.value, Value::List(_)) { paths.items() } else { std::slice::from_ref(paths) };
        let mut rules = Vec::new();
        for path in paths {
            match path.as_str() {
                Some(text) => rules.extend(self.drift_rule(path, pattern, text)),
                None => self.wrong_type(path, "a field of `ignore_drift`", "text"),
            }
        }
        rules
    }

    fn drift_rule(&mut self, node: &Node, objects: &str, path: &str) -> Option<IgnoreDrift> {
        let (word, name) = match objects.trim().split_once('/') {
            Some((word, name)) if !name.is_empty() => (word, name),
            _ => {
                self.bad_rule(node, format!("`{objects}` is not of the form KIND/NAME"));
                return None;
            }
        };
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.word() == word) else {
            let words = Kind::ALL.map(Kind::word);
            let help = did_you_mean(word, words).unwrap_or_else(|| format!("kinds are {}", words.join(", ")));
            let problem = Diagnostic::error("E0124", format!("`{word}` is not a kind")).at(self.origin(node), "");
            self.diagnostics.push(problem.help(help));
            return None;
        };
        let globs = match Globs::new(&[name.to_owned()]) {
            Ok(globs) => globs,
            Err(bad) => {
                self.bad_rule(node, format!("`{name}` is not a pattern: {}", bad.reason));
                return None;
            }
        };
        match path.trim().parse::<crate::model::Path>() {
            Ok(path) if path.0.is_empty() => self.bad_rule(node, format!("`{objects}` names no field")),
            Ok(path) => {
                return Some(IgnoreDrift { origin: self.origin(node), kind, name: name.to_owned(), path, globs });
            }
            Err(why) => self.bad_rule(node, format!("`{path}` is not a field: {why}")),
        }
        None
    }

    fn bad_rule(&mut self, node: &Node, message: String) {
        let problem = Diagnostic::error("E0124", message)
            .at(self.origin(node), "")
            .help("write KIND/NAME: FIELD, such as \"deployment/*/*: paused\"");
        self.diagnostics.push(problem);
    }

    fn scope_name(&mut self, node: &Node) -> Option<String> {
        let name = self.text(node, "name")?;
        match not_a_name(&name) {
            None => Some(name),
            Some(why) => {
                self.invalid(node, format!("`name` {why}"));
                None
            }
        }
    }

    fn max_delete(&mut self, node: &Node) -> Option<MaxDelete> {
        let text = match &node.value {
            Value::Int(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            _ => {
                self.wrong_type(node, "`max_delete`", "a number of objects or a share such as `25%`");
                return None;
            }
        };
        text.parse().map_err(|why: String| self.invalid(node, format!("`max_delete`: {why}"))).ok()
    }

    fn length_of_time(&mut self, node: &Node, key: &str) -> Option<Duration> {
        let text = match &node.value {
            Value::Int(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            _ => {
                self.wrong_type(node, &format!("`{key}`"), "a length of time such as `10m`, or a number of seconds");
                return None;
            }
        };
        length_of_time(&text).map_err(|why| self.invalid(node, format!("`{key}`: {why}"))).ok()
    }

    fn globs(&mut self, node: &Node, key: &str) -> Option<Vec<String>> {
        let patterns = self.texts(node, key)?;
        for item in node.items() {
            if let Some(Err(bad)) = item.as_str().map(globs::check) {
                let message = format!("`{}` in `{key}` is not a pattern", bad.pattern);
                let problem = Diagnostic::error("E0123", message).at(self.origin(item), bad.reason);
                self.diagnostics.push(problem.help("`*` and `?` match within a directory, `**` across directories"));
            }
        }
        Some(patterns.into_iter().filter(|pattern| globs::check(pattern).is_ok()).collect())
    }

    fn env_names(&mut self, node: &Node, key: &str) -> Option<Vec<String>> {
        let names = self.texts(node, key)?;
        for item in node.items() {
            if let Some(name) = item.as_str().filter(|name| !is_env_name(name)) {
                self.invalid(item, format!("`{name}` in `{key}` is not the name of an environment variable"));
            }
        }
        Some(names.into_iter().filter(|name| is_env_name(name)).collect())
    }

    fn texts(&mut self, node: &Node, key: &str) -> Option<Vec<String>> {
        if !self.is_list(node, key) {
            return None;
        }
        let mut texts = Vec::new();
        for item in node.items() {
            match item.as_str() {
                Some("") => self.invalid(item, format!("an item of `{key}` is empty")),
                Some(text) => texts.push(text.to_owned()),
                None => self.wrong_type(item, &format!("an item of `{key}`"), "text"),
            }
        }
        Some(texts)
    }

    fn text(&mut self, node: &Node, key: &str) -> Option<String> {
        match node.as_str() {
            Some("") => {
                self.invalid(node, format!("`{key}` is empty"));
                None
            }
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong_type(node, &format!("`{key}`"), "text");
                None
            }
        }
    }

    fn flag(&mut self, node: &Node, key: &str) -> Option<bool> {
        match node.value {
            Value::Bool(flag) => Some(flag),
            _ => {
                self.wrong_type(node, &format!("`{key}`"), "true or false");
                None
            }
        }
    }

    fn word<T: Copy>(&mut self, node: &Node, key: &str, known: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, key)?;
        if let Some((_, value)) = known.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let help = did_you_mean(&text, words.iter().copied()).unwrap_or_else(|| format!("one of {}", words.join(", ")));
        let message = format!("`{text}` is not a value of `{key}`");
        self.diagnostics.push(Diagnostic::error("E0122", message).at(self.origin(node), "").help(help));
        None
    }

    fn vars(&mut self, node: &Node) -> Map {
        let mut vars = Map::new();
        if self.is_mapping_or_null(node, "`vars`") {
            for (key, value) in node.entries() {
                let Some(name) = self.key_text(key) else { continue };
                if let Some(tree) = self.tree(value, name) {
                    vars.insert(name.to_owned(), tree);
                }
            }
        }
        vars
    }

    /// A value that `{{ vars.x }}` can stand for.
    fn tree(&mut self, node: &Node, name: &str) -> Option<Tree> {
        Some(match &node.value {
            Value::Null => Tree::Null,
            Value::Bool(flag) => Tree::Bool(*flag),
            Value::Int(number) => Tree::Number(number.clone()),
            Value::Float(float) => match serde_json::Number::from_f64(*float) {
                Some(number) => Tree::Number(number),
                None => return self.not_a_var(node, name),
            },
            Value::Text(text) => Tree::text(text),
            Value::Date(date) => Tree::text(date.to_string()),
            Value::List(items) => Tree::List(items.iter().filter_map(|item| self.tree(item, name)).collect()),
            Value::Map(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    let (Some(key), Some(value)) = (self.key_text(key), self.tree(value, name)) else { continue };
                    map.insert(key.to_owned(), value);
                }
                Tree::Map(map)
            }
            Value::Naive(_) | Value::Aware(..) | Value::Bytes(_) | Value::Set(_) => return self.not_a_var(node, name),
        })
    }

    fn not_a_var(&mut self, node: &Node, name: &str) -> Option<Tree> {
        self.wrong_type(node, &format!("variable `{name}`"), "text, a number, true or false, a list or a mapping");
        None
    }

    /// The known word that a key is, or a complaint.
    fn known(&mut self, key: &Node, known: &[&'static str], place: &str) -> Option<&'static str> {
        let word = self.key_text(key)?;
        if let Some(found) = known.iter().find(|candidate| **candidate == word) {
            return Some(found);
        }
        let help =
            did_you_mean(word, known.iter().copied()).unwrap_or_else(|| format!("known keys: {}", known.join(", ")));
        let message = format!("unknown key `{word}` in {place}");
        self.diagnostics.push(Diagnostic::error("E0120", message).at(self.origin(key), "").help(help));
        None
    }

    fn key_text<'n>(&mut self, key: &'n Node) -> Option<&'n str> {
        if key.as_str().is_none() {
            self.wrong_type(key, "a key", "text");
        }
        key.as_str()
    }

    fn is_mapping(&mut self, node: &Node, what: &str) -> bool {
        let is = matches!(node.value, Value::Map(_));
        if !is {
            self.wrong_type(node, what, "a mapping");
        }
        is
    }

    fn is_mapping_or_null(&mut self, node: &Node, what: &str) -> bool {
        !node.is_null() && self.is_mapping(node, what)
    }

    fn is_list(&mut self, node: &Node, key: &str) -> bool {
        if matches!(node.value, Value::List(_)) {
            return true;
        }
        self.wrong_type(node, &format!("`{key}`"), "a list");
        if let (Some(text), Some(problem)) = (node.as_str(), self.diagnostics.last_mut()) {
            problem.help = Some(format!("write `{key}: [{text:?}]`"));
        }
        false
    }

    fn wrong_type(&mut self, node: &Node, what: &str, wanted: &str) {
        let message = format!("{what} must be {wanted}, not {}", node.value.type_name());
        self.diagnostics.push(Diagnostic::error("E0121", message).at(self.origin(node), ""));
    }

    fn invalid(&mut self, node: &Node, message: String) {
        self.diagnostics.push(Diagnostic::error("E0122", message).at(self.origin(node), ""));
    }

    fn secret(&mut self, node: &Node, place: &str) {
        let problem = Diagnostic::error("E0128", format!("{place} holds a credential, and this file is in git"))
            .at(self.origin(node), "")
            .help("name a `profile`, or set PREFECT_API_KEY");
        self.diagnostics.push(problem);
    }

    fn origin(&self, node: &Node) -> Origin {
        node.origin(self.file)
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// A key in one of the tables above that no arm reads.
fn unreachable_key(key: &str) -> ! {
    unreachable!("`{key}` is in the table of known keys but is not read")
}

/// Why a text cannot name a scope or an environment; `@` stands between the two.
fn not_a_name(name: &str) -> Option<&'static str> {
    if name.trim() != name || name.is_empty() {
        Some("begins or ends with a space")
    } else if name.contains('@') {
        Some("contains `@`, which separates the name from the environment")
    } else if name.contains(char::is_control) {
        Some("contains a control character")
    } else if name.chars().count() > 200 {
        Some("is longer than 200 characters")
    } else {
        None
    }
}

fn is_env_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Key, Path, Span};
    use serde_json::{Value as Json, json};

    /// A node from JSON, every value on a line of its own so that places can be told apart.
    fn node(json: &Json, line: &mut u32) -> Node {
        *line += 1;
        let span = Span { start: 0, end: 0, line: *line, column: 1 };
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(*b),
            Json::Number(n) if n.is_f64() => Value::Float(n.as_f64().unwrap()),
            Json::Number(n) => Value::Int(n.clone()),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(|item| node(item, line)).collect()),
            Json::Object(map) => Value::Map(map.iter().map(|(k, v)| (node(&json!(k), line), node(v, line))).collect()),
        };
        Node::new(value, span)
    }

    fn project(json: Json) -> (Project, Vec<Diagnostic>) {
        read(&RepoPath::new("reconcile.yaml"), &node(&json, &mut 0))
    }

    /// Codes and lines of what is wrong.
    fn wrong(json: Json) -> Vec<(&'static str, u32)> {
        project(json).1.iter().map(|d| (d.code, d.origin().unwrap().span.line)).collect()
    }

    #[test]
    fn every_key_is_read() {
        let (project, diagnostics) = project(json!({
            "name": "shop", "include": ["**/prefect.yaml"], "exclude": ["old/**"], "prune": true, "max_delete": "10%",
            "environments": {
                "prod": {"api": {"profile": "prod"}, "vars": {"tag": "stable"}, "overlays": ["env/*.yaml"]},
                "dev": {"api": {"url": "http://127.0.0.1:4200/api"}},
                "bare": null
            },
            "ignore_drift": ["deployment/*/*: paused", {"work_pool/*": ["concurrency_limit", "a.b"]}],
            "strict": true, "ledger": false, "events": false, "python": ".venv/bin/python", "step_env": ["DOCKER_HOST"],
            "show_env": ["REGION"], "secret_dirs": ["/run/secrets"], "root_relative": ["ops/prefect.yaml"],
            "default_pull": "git", "build_cache": "never", "vars": {"tag": "edge", "n": 1, "m": {"a": [true, null]}},
            "drift_interval": "10m"
        }));
        assert_eq!(diagnostics, []);
        assert_eq!(project.name.as_deref(), Some("shop"));
        assert_eq!((project.prune, project.strict, project.ledger, project.events), (true, true, false, false));
        assert_eq!(project.max_delete, MaxDelete::Percent(10));
        assert_eq!(project.drift_interval, Duration::from_secs(600));
        assert_eq!((project.default_pull, project.build_cache), (DefaultPull::Git, BuildCache::Never));
        assert_eq!(project.environments.keys().collect::<Vec<_>>(), ["prod", "dev", "bare"]);
        let prod = project.environments["prod"].api.as_ref().unwrap();
        assert_eq!(prod.profile.as_deref(), Some("prod"));
        assert_eq!(project.environments["prod"].overlays, ["env/*.yaml"]);
        assert_eq!(project.vars_in(Some("prod"))["tag"], Tree::text("stable"));
        assert_eq!(project.vars_in(None)["m"], Tree::from(json!({"a": [true, null]})));
        assert_eq!(project.ignore_drift.len(), 3);
        let rule = &project.ignore_drift[0];
        assert!(rule.covers(&Key::deployment("etl", "nightly"), &Path::of("paused")));
        assert!(!rule.covers(&Key::deployment("etl", "nightly"), &Path::of("tags")));
        assert!(!rule.covers(&Key::new(Kind::Flow, "etl/nightly"), &Path::of("paused")));
        assert!(project.ignore_drift[2].covers(&Key::new(Kind::WorkPool, "k8s"), &Path::of("a").key("b").key("c")));
    }

    #[test]
    fn an_empty_file_says_nothing() {
        assert_eq!(project(Json::Null), (Project::default(), vec![]));
        assert_eq!(project(json!({})), (Project::default(), vec![]));
        assert!(Project::default().ledger && Project::default().events);
    }

    #[test]
    fn all_complaints_come_at_once_with_their_places() {
        let found = wrong(json!({
            "inclde": [],             // lines 2, 3
            "prune": "yes",           // 4, 5
            "include": "flows",       // 6, 7
            "exclude": ["[a", 1, ""], // 8, 9, 10..12
            "max_delete": "150%",     // 13, 14
            "default_pull": "gti",    // 15, 16
            "name": "a@b",            // 17, 18
            "step_env": ["A=B"],      // 19, 20, 21
        }));
        let expected = [
            ("E0120", 2),
            ("E0121", 5),
            ("E0121", 7),
            ("E0121", 11),
            ("E0122", 12),
            ("E0123", 10),
            ("E0122", 14),
            ("E0122", 16),
            ("E0122", 18),
            ("E0122", 21),
        ];
        assert_eq!(found, expected);
        assert_eq!(wrong(json!([])), [("E0121", 1)]);
    }

    #[test]
    fn misspelt_words_are_suggested() {
        let helps = |json| project(json).1.into_iter().filter_map(|d| d.help).collect::<Vec<_>>();
        assert_eq!(helps(json!({"inclde": []})), ["did you mean `include`?"]);
        assert_eq!(helps(json!({"default_pull": "gti"})), ["did you mean `git`?"]);
        assert_eq!(helps(json!({"include": "flows"})), ["write `include: [\"flows\"]`"]);
        assert_eq!(helps(json!({"environments": {"p": {"overlay": []}}})), ["did you mean `overlays`?"]);
        assert_eq!(helps(json!({"ignore_drift": ["deploymnt/a/b: x"]})), ["did you mean `deployment`?"]);
    }

    #[test]
    fn environments_and_drift_rules_are_checked() {
        let api =
            |api: Json| wrong(json!({"environments": {"p": {"api": api}}})).iter().map(|w| w.0).collect::<Vec<_>>();
        assert_eq!(api(json!({"key": "pnu_x"})), ["E0128"]);
        assert_eq!(api(json!({"url": "https://u:p@h/api"})), ["E0128"]);
        assert_eq!(api(json!({"url": "ftp://h/api"})), ["E0122"]);
        assert_eq!(api(json!({"url": "http://h/api", "profile": "x"})), ["E0122"]);
        assert_eq!(api(json!({"profile": 1, "x": 2})), ["E0121", "E0120"]);
        for rule in ["paused", "deployment: paused", "deployment/x:", "deployment/[: paused", "flow/x: a[", "zzz/x: a"]
        {
            assert_eq!(wrong(json!({"ignore_drift": [rule]})), [("E0124", 4)], "{rule}");
        }
        assert_eq!(wrong(json!({"ignore_drift": [1]})), [("E0121", 4)]);
    }

    #[test]
    fn max_delete_is_a_share_or_a_number() {
        assert_eq!("100%".parse(), Ok(MaxDelete::Percent(100)));
        assert_eq!(" 7 ".parse(), Ok(MaxDelete::Count(7)));
        for bad in ["", "%", "101%", "-1", "1.5", "many"] {
            assert!(bad.parse::<MaxDelete>().is_err(), "{bad}");
        }
        assert_eq!(project(json!({"max_delete": 0})).0.max_delete, MaxDelete::Count(0));
    }

    #[test]
    fn the_drift_interval_is_a_length_of_time() {
        let seconds = |json: Json| project(json!({"drift_interval": json})).0.drift_interval.as_secs();
        assert_eq!((seconds(json!(90)), seconds(json!("1h 30m")), seconds(json!(0))), (90, 5400, 0));
        for (bad, code) in [(json!("soon"), "E0122"), (json!(-1), "E0122"), (json!(true), "E0121")] {
            assert_eq!(wrong(json!({"drift_interval": bad})), [(code, 3)], "{bad}");
        }
    }

    #[test]
    fn vars_hold_what_json_can() {
        let root = Node {
            value: Value::Map(vec![(
                Node::new(Value::Text("vars".into()), Span::default()),
                Node {
                    value: Value::Map(vec![
                        (text("day"), Node::new(Value::Date(jiff::civil::date(2026, 1, 2)), Span::default())),
                        (text("inf"), Node::new(Value::Float(f64::INFINITY), Span::default())),
                    ]),
                    span: Span::default(),
                    elsewhere: None,
                },
            )]),
            span: Span::default(),
            elsewhere: None,
        };
        let (project, diagnostics) = read(&RepoPath::new("reconcile.yaml"), &root);
        assert_eq!(project.vars, Map::from([("day".to_owned(), Tree::text("2026-01-02"))]));
        assert_eq!(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["E0121"]);
    }

    fn text(text: &str) -> Node {
        Node::new(Value::Text(text.into()), Span::default())
    }
}
