//! The `trigger` of an automation.

use crate::diagnostic::did_you_mean;
use crate::manifest::node::{Node, Value};
use crate::manifest::resources::reader::{Draft, Reader};
use crate::manifest::resources::references::NAMES;
use crate::manifest::triggers::read;
use crate::model::tree::Unknown;
use crate::model::{Key, Kind, Map, Path, Tree};

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
        problem.help.get_or_insert_with(|| "correct the trigger; `reconcile schema resources` has its form".to_owned());
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

/// The trigger as it is sent, with everything that the server would fill in. `id` gives the server's ids.
///
/// A name becomes a label: where every expected event is one of that kind of object, the object that the event is about
/// must be the named one, else one that the event is related to. Sets are sorted, as `resource::automation` has them.
pub(in crate::manifest::resources) fn sent(declared: &Tree, id: &dyn Fn(&Key) -> Option<String>) -> Tree {
    let labelled = labelled(declared, id);
    let mut reader = read::Reader::default();
    match &labelled {
        Tree::Map(map) => sorted(reader.trigger(map, &Path::root(), true)),
        _ => labelled,
    }
}

fn labelled(tree: &Tree, id: &dyn Fn(&Key) -> Option<String>) -> Tree {
    let Tree::Map(declared) = tree else { return tree.clone() };
    let mut map = Map::new();
    for (key, value) in declared.iter().filter(|(key, _)| !NAMES.iter().any(|(name, _)| name == key)) {
        let value = match (key.as_str(), value) {
            ("triggers", Tree::List(items)) => Tree::List(items.iter().map(|item| labelled(item, id)).collect()),
            _ => value.clone(),
        };
        map.insert(key.clone(), value);
    }
    for (key, kind) in NAMES {
        let Some(name) = declared.get(key).and_then(Tree::as_str) else { continue };
        let word = resource_word(kind);
        let label = match id(&Key::new(kind, name)) {
            Some(id) => Tree::Text(format!("prefect.{word}.{id}")),
            None => Tree::Unknown(Unknown::AtApply),
        };
        match is_about(declared, word) {
            true => with_label(&mut map, label),
            false => with_related(&mut map, label, kind),
        }
    }
    Tree::Map(map)
}

/// What a kind is called in the ids of events.
fn resource_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Deployment => "deployment",
        Kind::WorkPool => "work-pool",
        Kind::WorkQueue => "work-queue",
        Kind::Block => "block-document",
        Kind::Automation => "automation",
        Kind::BlockType | Kind::Variable | Kind::ConcurrencyLimit | Kind::TagConcurrencyLimit | Kind::Flow => {
            kind.word()
        }
    }
}

/// Whether every event that is waited for is about a kind of object itself.
fn is_about(trigger: &Map, word: &str) -> bool {
    let expected = trigger.get("expect").and_then(Tree::as_list).unwrap_or_default();
    let prefix = format!("prefect.{word}.");
    !expected.is_empty() && expected.iter().all(|event| event.as_str().is_some_and(|event| event.starts_with(&prefix)))
}

const ID: &str = "prefect.resource.id";

fn with_label(map: &mut Map, label: Tree) {
    let mut labels = map.get("match").and_then(Tree::as_map).cloned().unwrap_or_default();
    labels.insert(ID.to_owned(), label);
    map.insert("match".to_owned(), Tree::Map(labels));
}

fn with_related(map: &mut Map, label: Tree, kind: Kind) {
    let role = Tree::text(resource_word(kind));
    let labels = Tree::Map(Map::from([(ID.to_owned(), label), ("prefect.resource.role".to_owned(), role)]));
    let all = match map.get("match_related") {
        Some(Tree::List(items)) => Tree::List(items.iter().cloned().chain([labels]).collect()),
        Some(Tree::Map(others)) if !others.is_empty() => Tree::List(vec![Tree::Map(others.clone()), labels]),
        _ => labels,
    };
    map.insert("match_related".to_owned(), all);
}

/// Lists whose order means nothing, in the order of their JSON text.
fn sorted(tree: Tree) -> Tree {
    let Tree::Map(map) = tree else { return tree };
    let each = map.into_iter().map(|(key, value)| match (key.as_str(), value) {
        ("triggers", Tree::List(items)) => (key, Tree::List(items.into_iter().map(sorted).collect())),
        ("after" | "expect" | "for_each", Tree::List(mut items)) => {
            items.sort_by_key(|item| item.masked().to_string());
            (key, Tree::List(items))
        }
        (_, value) => (key, value),
    });
    Tree::Map(each.collect())
}
