//! Automations in the words of files: names in the place of ids, nothing of what the server fills in.

use serde_json::{Map, Value, json};

use super::{Draft, Workshop, is_empty};
use crate::model::{Key, Kind};
use crate::resource;

/// The key of an id in an action, and that of the name.
const IDS: [(&str, &str, Kind); 5] = [
    ("deployment_id", "deployment", Kind::Deployment),
    ("work_pool_id", "work_pool", Kind::WorkPool),
    ("work_queue_id", "work_queue", Kind::WorkQueue),
    ("block_document_id", "block", Kind::Block),
    ("automation_id", "automation", Kind::Automation),
];

/// What a kind is called in the ids of events, and the key of its name.
const RESOURCES: [(&str, &str); 6] = [
    ("deployment", "deployment"),
    ("work-pool", "work_pool"),
    ("work-queue", "work_queue"),
    ("block-document", "block"),
    ("automation", "automation"),
    ("flow", "flow"),
];

const ID: &str = "prefect.resource.id";

/// Keys that stay even where they are as the server would fill them in: a reader wants to see them.
const SHOWN: [&str; 4] = ["type", "posture", "threshold", "body"];

/// An item of `automations`.
///
/// # Errors
/// Why it cannot be said.
pub fn automation(key: &Key, row: &Value, workshop: &Workshop<'_>) -> Result<Draft, String> {
    let mut draft = Draft::of(key);
    draft.put("name", key.name.clone());
    for field in ["description", "tags"] {
        if !is_empty(&row[field]) {
            draft.put(field, row[field].clone());
        }
    }
    if row["enabled"] == false {
        draft.put("enabled", false);
    }
    let mut unknown = Vec::new();
    let trigger = resource::found(Kind::Automation, row, "trigger");
    draft.put("trigger", named(&trigger, workshop, &mut unknown));
    for field in ["actions", "actions_on_trigger", "actions_on_resolve"] {
        if field == "actions" || !is_empty(&row[field]) {
            draft.put(field, named(&row[field], workshop, &mut unknown));
        }
    }
    match unknown.first() {
        None => Ok(draft),
        Some(id) => Err(format!("it names `{id}`, which does not exist any more")),
    }
}

/// A trigger or actions without what is filled in, ids as names; ids that nothing has are collected.
fn named(value: &Value, workshop: &Workshop<'_>, unknown: &mut Vec<String>) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| named(item, workshop, unknown)).collect(),
        Value::Object(map) => {
            let mut out = Map::new();
            for (key, value) in map {
                if resource::automation::is_filled(map, key, value) && !SHOWN.contains(&key.as_str()) {
                    continue;
                }
                if let Some((key, value)) = entry(key, value, workshop, unknown) {
                    out.insert(key, value);
                }
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}

fn entry(key: &str, value: &Value, workshop: &Workshop<'_>, unknown: &mut Vec<String>) -> Option<(String, Value)> {
    if let Some((_, word, kind)) = IDS.iter().find(|(id, _, _)| *id == key) {
        let id = value.as_str().unwrap_or_default();
        return match workshop.named(id).filter(|found| found.kind == *kind) {
            Some(found) => Some(((*word).to_owned(), json!(found.name))),
            None => {
                unknown.push(format!("{word} {id}"));
                None
            }
        };
    }
    let value = match key {
        "match" | "match_related" => labels(value, workshop),
        "within" => super::whole(value),
        // What a run is started with is data.
        key if resource::automation::FREE.contains(&key) => value.clone(),
        _ => named(value, workshop, unknown),
    };
    Some((key.to_owned(), value))
}

/// The labels of events, with the names of objects that are there.
fn labels(value: &Value, workshop: &Workshop<'_>) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| labels(item, workshop)).collect(),
        Value::Object(map) => {
            let each = map.iter().map(|(key, value)| match key.as_str() {
                ID => label(value, workshop).unwrap_or_else(|| (key.clone(), value.clone())),
                _ => (key.clone(), value.clone()),
            });
            Value::Object(each.collect())
        }
        other => other.clone(),
    }
}

/// One id or several of one kind, as the key and the names that mean them.
fn label(value: &Value, workshop: &Workshop<'_>) -> Option<(String, Value)> {
    let resource = |value: &Value| {
        let (word, id) = value.as_str()?.strip_prefix("prefect.")?.rsplit_once('.')?;
        let (_, key) = RESOURCES.iter().find(|(known, _)| *known == word)?;
        let found = workshop.named(id).filter(|found| found.kind.word() == *key)?;
        Some(((*key).to_owned(), json!(found.name)))
    };
    let Value::Array(items) = value else { return resource(value) };
    let found = items.iter().map(resource).collect::<Option<Vec<_>>>()?;
    let (key, _) = found.first()?.clone();
    let is_one_kind = found.iter().all(|(other, _)| *other == key);
    is_one_kind.then(|| (key, found.into_iter().map(|(_, name)| name).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn ids_become_names_and_defaults_go() {
        let rows = BTreeMap::from([
            (Kind::Deployment, vec![(Key::deployment("etl", "nightly"), json!({"id": "d1"}))]),
            (Kind::WorkPool, vec![(Key::new(Kind::WorkPool, "k8s"), json!({"id": "p1"}))]),
        ]);
        let environment = BTreeMap::new();
        let workshop = Workshop::new(&rows, &environment);
        let row = json!({
            "description": "", "enabled": true, "tags": [],
            "trigger": {
                "id": "t", "type": "event", "posture": "Reactive", "threshold": 1, "within": 0.0, "after": [],
                "expect": ["prefect.flow-run.Failed"], "for_each": [], "match": {},
                "match_related": {"prefect.resource.id": ["prefect.deployment.d1"], "prefect.resource.role": "deployment"},
            },
            "actions": [
                {"type": "run-deployment", "source": "selected", "deployment_id": "d1", "parameters": {"x": null}, "job_variables": null},
                {"type": "pause-work-pool", "source": "selected", "work_pool_id": "p1"},
            ],
            "actions_on_trigger": [], "actions_on_resolve": [],
        });
        let key = Key::new(Kind::Automation, "a");
        let draft = automation(&key, &row, &workshop).unwrap();
        let expected = json!({
            "name": "a",
            "trigger": {
                "type": "event", "posture": "Reactive", "threshold": 1, "expect": ["prefect.flow-run.Failed"],
                "match_related": {"deployment": ["etl/nightly"], "prefect.resource.role": "deployment"},
            },
            "actions": [
                {"type": "run-deployment", "deployment": "etl/nightly", "parameters": {"x": null}},
                {"type": "pause-work-pool", "work_pool": "k8s"},
            ],
        });
        assert_eq!(Value::Object(draft.item), expected);
        let gone = json!({"trigger": {}, "actions": [{"type": "pause-work-pool", "work_pool_id": "p2"}]});
        assert!(automation(&key, &gone, &workshop).unwrap_err().contains("p2"));
    }
}
