//! Every object on the status page, kind by kind: how it stands, where it is declared, when it was changed.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{anchor, list, text, worst_first};

/// So many of one kind have a row.
const ROWS: usize = 1000;

/// What can be said of an object, what is wrong first.
const STATES: [(&str, &str, &str); 4] = [
    ("failed", "failed", "bad"),
    ("skipped", "not tried", "mind"),
    ("held", "held back", "mind"),
    ("in_sync", "in sync", "good"),
];

/// The objects of a status, for the template.
pub(super) fn section(status: &Value) -> Value {
    let objects = &status["objects"];
    let all = list(&objects["all"]);
    if all.is_empty() {
        return Value::Null;
    }
    let places = places(status);
    let mut kinds: IndexMap<String, Vec<&Value>> = IndexMap::new();
    for object in all {
        kinds.entry(text(&object["kind"])).or_default().push(object);
    }
    json!({
        "at": text(&objects["at"]),
        "count": count(all.iter()),
        "kinds": kinds.iter().map(|(kind, all)| of_kind(kind, all, &places)).collect::<Vec<_>>(),
    })
}

fn of_kind(kind: &str, all: &[&Value], places: &Places<'_>) -> Value {
    let mut sorted = all.to_vec();
    sorted.sort_by_key(|object| rank(object));
    let worst = sorted.first().map_or("good", |object| STATES[rank(object)].2);
    json!({
        "kind": kind,
        "tone": worst,
        "count": count(all.iter().copied()),
        "rows": sorted.iter().take(ROWS).map(|object| row(object, places)).collect::<Vec<_>>(),
        "more": all.len().saturating_sub(ROWS),
    })
}

fn row(object: &Value, places: &Places<'_>) -> Value {
    let (_, words, tone) = STATES[rank(object)];
    let place = match object["file"].as_str() {
        Some(_) => format!("{}:{}", text(&object["file"]), object["line"]),
        None => "not in git".to_owned(),
    };
    let details = places.get(&(object["kind"].as_str(), object["name"].as_str())).filter(|_| tone != "good");
    json!({
        "name": text(&object["name"]),
        "state": words,
        "tone": tone,
        "place": place,
        "changed": text(&object["changed"]),
        "details": details,
    })
}

fn rank(object: &Value) -> usize {
    let state = object["state"].as_str();
    STATES.iter().position(|(word, _, _)| Some(*word) == state).unwrap_or_default()
}

/// `1 failed, 12 in sync`, each with its tone.
fn count<'a>(all: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    let mut counts = [0; STATES.len()];
    all.for_each(|object| counts[rank(object)] += 1);
    let told = STATES.iter().zip(counts).filter(|(_, n)| *n > 0);
    told.map(|((_, words, tone), n)| json!({"words": format!("{n} {words}"), "tone": tone})).collect()
}

/// Where on the page it is told what is to change, by kind and name.
type Places<'a> = BTreeMap<(Option<&'a str>, Option<&'a str>), String>;

fn places(status: &Value) -> Places<'_> {
    let groups = [("held", &status["report"]["held"]), ("changed", &status["changed"]["report"]["changes"])];
    let mut places = Places::new();
    for (id, group) in groups {
        for (n, change) in worst_first(list(group)).into_iter().enumerate() {
            places.insert((change["kind"].as_str(), change["name"].as_str()), anchor(id, n));
        }
    }
    places
}
