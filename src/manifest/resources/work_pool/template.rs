//! `base_job_template:` of a work pool: the default one or one of a file with changes, or one written out.

use std::sync::LazyLock;

use regex::Regex;

use crate::manifest::node::{Node, Value};
use crate::manifest::resources::reader::Draft;
use crate::model::{Path, Seg, Tree};

/// The server looks for placeholders in ASCII JSON, where other characters and line breaks are escaped.
static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{ *([A-Za-z0-9_.\-\[\]$]+) *\}\}").expect("a constant pattern"));

/// The keys of a template that is derived from another.
pub(in crate::manifest) const DERIVED_KEYS: [&str; 3] = ["default", "file", "patch"];

const KEY: &str = "base_job_template";
const PARTS: [&str; 2] = ["job_configuration", "variables"];

pub(super) fn read(draft: &mut Draft) {
    let Some(node) = draft.node.get(KEY) else { return };
    let help = "write `base_job_template: { default: true }`, `{ file: template.json }` or the template itself";
    if !draft.reader.is_mapping(node, "`base_job_template`", help) {
        return;
    }
    let derived = DERIVED_KEYS.iter().any(|key| node.get(key).is_some());
    let told = draft.reader.diagnostics.len();
    if derived {
        check_derived(draft, node)
    } else {
        check_literal(draft, node)
    }
    let fine = draft.reader.diagnostics.len() == told;
    if let Some(tree) = draft.reader.json(node).filter(|_| fine) {
        if !derived {
            check_placeholders(draft, node, &tree);
        }
        draft.set(KEY, KEY, tree);
    }
}

fn check_derived(draft: &mut Draft, node: &Node) {
    let reader = &mut *draft.reader;
    reader.known_keys(node, "a base job template that is derived from another", &DERIVED_KEYS);
    match (node.get("default"), node.get("file")) {
        (Some(default), None) if default.value != Value::Bool(true) => {
            reader.error("E0713", default, "`default` can only be true", "write `default: true`, or name a `file`");
        }
        (None, Some(file)) if file.as_str().is_none_or(str::is_empty) => {
            reader.error("E0713", file, "`file` must be the path of a JSON file", "write `file: template.json`");
        }
        (Some(_), Some(file)) => {
            let help = "remove one of them: `default` is the template of the pool's type, `file` one of your own";
            reader.error("E0713", file, "a base job template is either the default one or that of a file", help);
        }
        (None, None) => {
            let help = "add `default: true` for the template of the pool's type, or `file:`";
            reader.error("E0713", node, "`patch` does not say what it changes", help);
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
    if let Some(patch) = node.get("patch") {
        check_patch(draft, patch);
    }
}

fn check_patch(draft: &mut Draft, patch: &Node) {
    let help = "write dotted paths: `patch: { variables.properties.namespace.default: flows }`";
    if patch.is_null() || !draft.reader.is_mapping(patch, "`patch`", help) {
        return;
    }
    for (key, _) in patch.entries() {
        let path = key.as_str().unwrap_or_default().parse::<Path>();
        let known = match &path {
            Ok(path) => matches!(path.0.first(), Some(Seg::Key(first)) if PARTS.contains(&first.as_str())),
            Err(_) => false,
        };
        if !known {
            let shown = key.as_str().unwrap_or("?");
            let message = format!("`{shown}` is not a path into a base job template");
            draft.reader.error("E0713", key, message, format!("begin with `{}.` or `{}.`", PARTS[0], PARTS[1]));
        }
    }
}

/// The server takes `{}` as well as a template with both parts.
fn check_literal(draft: &mut Draft, node: &Node) {
    if node.entries().is_empty() {
        return;
    }
    for part in PARTS {
        let Some(value) = node.get(part) else {
            let help = format!("add `{part}:`, or write `base_job_template: {{ default: true }}`");
            draft.reader.error("E0713", node, format!("the base job template has no `{part}`"), help);
            continue;
        };
        let help = format!("write a mapping after `{part}:`");
        if draft.reader.is_mapping(value, &format!("`{part}`"), &help) && value.entries().is_empty() {
            draft.reader.error("E0713", value, format!("`{part}` is empty, which the server refuses"), help);
        }
    }
}

/// Every placeholder of the job configuration must be a variable, as the server demands.
fn check_placeholders(draft: &mut Draft, node: &Node, template: &Tree) {
    let known = template.get("variables").and_then(|variables| variables.get("properties")).and_then(Tree::as_map);
    let Some(Tree::Map(parts)) = template.get("job_configuration") else { return };
    for (part, value) in parts {
        let mut names: Vec<String> = Vec::new();
        texts(value, &mut |text| names.extend(PLACEHOLDER.captures_iter(text).map(|found| found[1].to_owned())));
        names.sort();
        names.dedup();
        for name in names.iter().filter(|name| !known.is_some_and(|known| known.contains_key(*name))) {
            let place = node.nearest(&Path::of("job_configuration").key(part));
            let message = format!("`{{{{ {name} }}}}` is not a variable of the base job template");
            let help = format!("add `{name}` to `variables.properties`, or correct the name");
            draft.reader.error("E0713", place, message, help);
        }
    }
}

/// Every text of a value, keys of mappings included.
fn texts(tree: &Tree, visit: &mut impl FnMut(&str)) {
    match tree {
        Tree::Text(text) => visit(text),
        Tree::List(items) => items.iter().for_each(|item| texts(item, visit)),
        Tree::Map(map) => {
            for (key, value) in map {
                visit(key);
                texts(value, visit);
            }
        }
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Secret(_) | Tree::IdOf(_) | Tree::Unknown(_) => {}
    }
}
