//! The `trigger` of an automation.

use crate::diagnostic::did_you_mean;
use crate::manifest::node::{Node, Value};
use crate::manifest::resources::reader::{Draft, Reader};
use crate::manifest::resources::references::NAMES;
use crate::manifest::triggers::read;
use crate::model::{Path, Tree};

const KEY: &str = "trigger";

pub(super) fn read(draft: &mut Draft, node: &Node) {
    if !draft.reader.is_mapping(node, "`trigger`", "write what it waits for below it") {
        return;
    }
    let told = draft.reader.diagnostics.len();
    check(draft.reader, node);
    if draft.reader.diagnostics.len() > told {
        return;
    }
    let Some(tree) = draft.reader.json(node) else { return };
    let mut reader = read::Reader::default();
    if let Tree::Map(map) = without_names(&tree) {
        reader.trigger(&map, &Path::root(), true);
    }
    for mut problem in reader.problems {
        problem.code = "E0715";
        let origin = draft.reader.origin(node.nearest(&problem.path));
        draft.reader.diagnostics.push(problem.at(origin));
    }
    if draft.reader.diagnostics.len() == told {
        draft.set(KEY, KEY, tree);
    }
}

/// Keys of triggers, at every depth.
fn check(reader: &mut Reader, node: &Node) {
    let own = match node.get("type").and_then(Node::as_str) {
        Some("event") => read::EVENT_KEYS.as_slice(),
        Some("metric") => read::METRIC_KEYS.as_slice(),
        Some("compound") => read::COMPOUND_KEYS.as_slice(),
        Some("sequence") => read::SEQUENCE_KEYS.as_slice(),
        Some(_) | None => read::ALL_KEYS.as_slice(),
    };
    for (key, value) in node.entries() {
        let word = key.as_str().unwrap_or("?");
        if let Some((_, kind)) = NAMES.iter().find(|(name, _)| *name == word) {
            super::check_name(reader, word, *kind, value);
        } else if !own.contains(&word) && word != "type" {
            let help =
                did_you_mean(word, own.iter().copied()).unwrap_or_else(|| format!("its keys are {}", own.join(", ")));
            reader.error("E0702", key, format!("`{word}` is not a key of this trigger"), help);
        }
    }
    for inner in node.get("triggers").map(Node::items).unwrap_or_default() {
        if matches!(inner.value, Value::Map(_)) {
            check(reader, inner);
        }
    }
}

/// The trigger as Prefect knows it.
fn without_names(tree: &Tree) -> Tree {
    let Tree::Map(map) = tree else { return tree.clone() };
    let known = map.iter().filter(|(key, _)| !NAMES.iter().any(|(name, _)| name == key));
    let each = known.map(|(key, value)| match (key.as_str(), value) {
        ("triggers", Tree::List(items)) => (key.clone(), Tree::List(items.iter().map(without_names).collect())),
        _ => (key.clone(), value.clone()),
    });
    Tree::Map(each.collect())
}
