//! What is declared of an automation against what the server returns.

use serde_json::Value;

use crate::manifest::schedules::Difference;
use crate::model::{Path, Seg, Tree};

/// Lists whose order means nothing.
const SETS: [&str; 4] = ["after", "expect", "for_each", "tags"];

/// Where the wanted body differs from the server's automation: place, what the server has, what is wanted.
///
/// Keys that only the server has count only inside `match`, `match_related`, `parameters` and `job_variables`: ids and
/// times are its own. `owner_resource` is never returned and so never compared. Sets have no order, `1` is `1.0`.
pub fn differences(wanted: &Tree, found: &Value) -> Vec<Difference> {
    let mut all = Vec::new();
    for (key, value) in wanted.as_map().into_iter().flatten().filter(|(key, _)| *key != "owner_resource") {
        walk(value, found.get(key), &Path::of(key), &mut all);
    }
    all
}

fn walk(wanted: &Tree, found: Option<&Value>, path: &Path, all: &mut Vec<Difference>) {
    match (wanted, found) {
        (Tree::Map(map), Some(Value::Object(object))) => {
            for (key, value) in map {
                walk(value, object.get(key), &path.key(key), all);
            }
            if is_free(path) {
                for (key, value) in object.iter().filter(|(key, _)| !map.contains_key(*key)) {
                    all.push((path.key(key), Some(Tree::from(value)), None));
                }
            }
        }
        (Tree::List(items), Some(Value::Array(values))) if !is_set(path) && items.len() == values.len() => {
            for (i, (item, value)) in items.iter().zip(values).enumerate() {
                walk(item, Some(value), &path.item(i), all);
            }
        }
        // The server fills the id of the deployment in; whoever compares resolves it first or accepts it.
        (Tree::IdOf(_), Some(Value::String(_))) => {}
        _ if found.is_some_and(|found| same(wanted, found, is_set(path))) => {}
        _ => all.push((path.clone(), found.map(Tree::from), Some(wanted.clone()))),
    }
}

/// Whether it lies in a value of the user's own making.
fn is_free(path: &Path) -> bool {
    let free = ["match", "match_related", "parameters", "job_variables"];
    path.0.iter().any(|seg| matches!(seg, Seg::Key(key) if free.contains(&key.as_str())))
}

fn is_set(path: &Path) -> bool {
    !is_free(path) && matches!(path.0.last(), Some(Seg::Key(key)) if SETS.contains(&key.as_str()))
}

fn same(wanted: &Tree, found: &Value, set: bool) -> bool {
    match (wanted, found) {
        (Tree::List(items), Value::Array(values)) if set => {
            items.iter().all(|item| values.iter().any(|value| *item == Tree::from(value)))
                && values.iter().all(|value| items.contains(&Tree::from(value)))
        }
        _ => *wanted == Tree::from(found),
    }
}
