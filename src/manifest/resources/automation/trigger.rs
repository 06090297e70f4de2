//! The `trigger` of an automation.

use crate::diagnostic::did_you_mean;
use crate::manifest::node::{Node, Value};
use crate::manifest::resources::reader::{Draft, Reader};
use crate::manifest::resources::references::NAMES;
use crate::manifest::triggers::read;
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

/// The trigger as it is sent, with everything that the server would fill in. `name` gives what stands for the id of a
/// named object; it is told where the name stands.
///
/// A name becomes a label: where every expected event is one of that kind of object, the object that the event is about
/// must be the named one, else one that the event is related to. Sets are sorted, as `resource::automation` has them.
pub fn sent(declared: &Tree, at: &Path, name: &mut dyn FnMut(Key, &Path) -> Tree) -> Tree {
    match labelled(declared, at, name) {
        Tree::Map(map) => sorted(read::Reader::default().trigger(&map, &Path::root(), true)),
        other => other,
    }
}

type Naming<'a> = dyn FnMut(Key, &Path) -> Tree + 'a;

fn labelled(tree: &Tree, at: &Path, name: &mut Naming<'_>) -> Tree {
    let Tree::Map(declared) = tree else { return tree.clone() };
    let mut map = Map::new();
    for (key, value) in declared.iter().filter(|(key, _)| !NAMES.iter().any(|(name, _)| name == key)) {
        let below = at.key(key);
        let value = match (key.as_str(), value) {
            ("triggers", Tree::List(items)) => {
                let each = items.iter().enumerate();
                Tree::List(each.map(|(n, item)| labelled(item, &below.item(n), name)).collect())
            }
            ("match" | "match_related", value) => matching(value, &below, name),
            _ => value.clone(),
        };
        map.insert(key.clone(), value);
    }
    for (key, kind) in NAMES {
        let Some(named) = declared.get(key).and_then(Tree::as_str) else { continue };
        let label = name(Key::new(kind, named), &at.key(key));
        match is_about(declared, resource_word(kind)) {
            true => with_label(&mut map, label),
            false => with_related(&mut map, label, kind),
        }
    }
    Tree::Map(map)
}

/// Labels, in which names of objects may stand: one or several below the word of their kind.
fn matching(tree: &Tree, at: &Path, name: &mut Naming<'_>) -> Tree {
    let labels = match tree {
        // `match_related` takes a list of mappings as well.
        Tree::List(items) => {
            let each = items.iter().enumerate();
            return Tree::List(each.map(|(n, item)| matching(item, &at.item(n), name)).collect());
        }
        Tree::Map(labels) => labels,
        other => return other.clone(),
    };
    let known = |key: &str| NAMES.into_iter().chain([("flow", Kind::Flow)]).find(|(word, _)| *word == key);
    let mut out = Map::new();
    for (key, value) in labels {
        let below = at.key(key);
        match (known(key), value) {
            (Some((_, kind)), Tree::Text(named)) => {
                out.insert(ID.to_owned(), name(Key::new(kind, named), &below));
            }
            (Some((_, kind)), Tree::List(all)) => {
                let each = all.iter().enumerate().map(|(n, one)| match one.as_str() {
                    Some(named) => name(Key::new(kind, named), &below.item(n)),
                    None => one.clone(),
                });
                out.insert(ID.to_owned(), Tree::List(each.collect()));
            }
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    Tree::Map(out)
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
