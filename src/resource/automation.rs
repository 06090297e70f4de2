//! Automations: their fields, and how the API's answers spell them.

use serde_json::{Map, Value};

use super::{Compare, Field, Rules, text};
use crate::model::Tree;

static FIELDS: [Field; 7] = [
    Field { name: "description", compare: Compare::Exact, default: "\"\"" },
    Field { name: "enabled", compare: Compare::Exact, default: "true" },
    Field { name: "tags", compare: Compare::Set, default: "[]" },
    Field { name: "trigger", compare: Compare::Exact, default: "null" },
    Field { name: "actions", compare: Compare::Exact, default: "[]" },
    Field { name: "actions_on_trigger", compare: Compare::Exact, default: "[]" },
    Field { name: "actions_on_resolve", compare: Compare::Exact, default: "[]" },
];

/// Their fields; none is fixed. An update is a whole one: what it omits of these is kept by the server.
pub static RULES: Rules = Rules { fields: &FIELDS, fixed: &[] };

/// Lists of a trigger whose order means nothing; the server returns them in any.
const SETS: [&str; 3] = ["after", "expect", "for_each"];

/// What the API's row says of a field. Triggers have no ids, which every update makes anew, and their sets are sorted.
pub fn found(row: &Value, field: &str) -> Value {
    match field {
        "trigger" => trigger(&row["trigger"]),
        other => row.get(other).cloned().unwrap_or(Value::Null),
    }
}

fn trigger(row: &Value) -> Value {
    let Value::Object(keys) = row else { return row.clone() };
    let kept = keys.iter().filter(|(key, _)| *key != "id");
    let each = kept.map(|(key, value)| match value {
        Value::Array(inner) if key == "triggers" => (key.clone(), inner.iter().map(trigger).collect()),
        Value::Array(items) if SETS.contains(&key.as_str()) => {
            let mut items = items.clone();
            items.sort_by_key(Value::to_string);
            (key.clone(), Value::Array(items))
        }
        other => (key.clone(), other.clone()),
    });
    Value::Object(each.collect())
}

/// Keys below which everything is the user's own.
pub const FREE: [&str; 5] = ["match", "match_related", "parameters", "job_variables", "payload"];

/// What the API holds beside what is wanted, which says everything that a server fills in: without what a newer server
/// fills in besides, and with what an older one does not know.
pub fn beside(wanted: &Tree, found: Value) -> Value {
    match (wanted, found) {
        (Tree::Map(wanted), Value::Object(found)) => {
            let is_kept = |key: &str, value: &Value| wanted.contains_key(key) || !is_filled(&found, key, value);
            let mut out: Map<String, Value> =
                found.iter().filter(|(key, value)| is_kept(key, value)).map(|(k, v)| (k.clone(), v.clone())).collect();
            for (key, value) in wanted {
                match (out.get_mut(key), value.masked()) {
                    (Some(_), _) if FREE.contains(&key.as_str()) => {}
                    (Some(found), _) => *found = beside(value, found.take()),
                    (None, value) if is_filled(&found, key, &value) => drop(out.insert(key.clone(), value)),
                    (None, _) => {}
                }
            }
            Value::Object(out)
        }
        (Tree::List(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            wanted.iter().zip(found).map(|(wanted, found)| beside(wanted, found)).collect()
        }
        (_, found) => found,
    }
}

/// Whether an entry of a trigger or an action is what the server writes where nothing is declared. What that is depends
/// on what stands `around` it. Source: `prefect/server/events/schemas/automations.py` and
/// `prefect/server/events/actions.py` (3.8.8).
pub fn is_filled(around: &Map<String, Value>, key: &str, value: &Value) -> bool {
    match key {
        "type" => *value == type_of(around),
        "posture" => value == "Reactive",
        "threshold" => value.as_f64() == Some(1.0),
        "source" => value == "selected",
        "subject" => value == "Prefect automated notification",
        "within" => match around.get("posture").and_then(Value::as_str) {
            Some("Proactive") => value.as_f64() == Some(10.0),
            Some(_) => value.as_f64() == Some(0.0),
            // Triggers made of others have no posture, and no limit where none is said.
            None => value.is_null(),
        },
        // It has to be declared.
        "require" => false,
        // Nothing said means what the deployment has; an empty mapping is something said.
        "parameters" | "job_variables" => value.is_null(),
        _ => is_empty(value),
    }
}

/// The type of a trigger that names none.
fn type_of(trigger: &Map<String, Value>) -> &'static str {
    match (trigger.contains_key("triggers"), trigger.contains_key("require")) {
        (true, true) => "compound",
        (true, false) => "sequence",
        (false, _) => "event",
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// The name that its row has. Names are not unique on the server.
pub fn name(row: &Value) -> Option<String> {
    text(row, "name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_another_version_fills_in_is_no_difference() {
        let wanted =
            json!({"type": "run-deployment", "source": "selected", "deployment_id": "d", "schedule_after": 0.0});
        let newer = json!({"type": "run-deployment", "source": "selected", "deployment_id": "d", "schedule_after": 0.0, "new": null});
        let older = json!({"type": "run-deployment", "source": "selected", "deployment_id": "d"});
        for found in [&wanted, &newer, &older] {
            assert_eq!(beside(&Tree::from(json!([wanted])), json!([found])), json!([wanted]), "{found}");
        }
        let other =
            json!({"type": "run-deployment", "source": "selected", "deployment_id": "d", "schedule_after": 5.0});
        assert_eq!(beside(&Tree::from(wanted), other.clone()), other);
        assert_eq!(beside(&Tree::from(other), older.clone()), older);
    }

    #[test]
    fn what_is_the_users_own_counts_as_a_whole() {
        let wanted = Tree::from(json!({"parameters": {"a": 1, "c": null}}));
        let found = json!({"parameters": {"a": 1, "b": null}, "source": "selected", "automation_id": null});
        assert_eq!(beside(&wanted, found), json!({"parameters": {"a": 1, "b": null}}));
    }

    #[test]
    fn what_is_filled_in_depends_on_what_is_around() {
        let filled = |around: Value, key: &str| is_filled(around.as_object().unwrap(), key, &around[key]);
        for (around, key, expected) in [
            (json!({"posture": "Reactive", "within": 0.0}), "within", true),
            (json!({"posture": "Reactive", "within": 10.0}), "within", false),
            (json!({"posture": "Proactive", "within": 10.0}), "within", true),
            (json!({"posture": "Proactive", "within": 60.0}), "within", false),
            (json!({"triggers": [], "within": null}), "within", true),
            (json!({"triggers": [], "within": 0.0}), "within", false),
            (json!({"triggers": [], "within": 10.0}), "within", false),
            (json!({"triggers": [], "require": "all"}), "require", false),
            (json!({"triggers": [], "require": "all", "type": "compound"}), "type", true),
            (json!({"triggers": [], "type": "sequence"}), "type", true),
            (json!({"type": "event"}), "type", true),
            (json!({"threshold": 0}), "threshold", false),
            (json!({"parameters": null}), "parameters", true),
            (json!({"parameters": {}}), "parameters", false),
            (json!({"subject": ""}), "subject", false),
        ] {
            assert_eq!(filled(around.clone(), key), expected, "{key} of {around}");
        }
    }
}
