//! Automations: their fields, and how the API's answers spell them.

use serde_json::Value;

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

/// What the server writes where nothing is declared, besides what is empty. Source:
/// `prefect/server/events/schemas/automations.py` and `prefect/server/events/actions.py` (3.8.8).
const FILLED: [(&str, &str); 6] = [
    ("type", "\"event\""),
    ("posture", "\"Reactive\""),
    ("threshold", "1"),
    ("source", "\"selected\""),
    ("within", "10.0"),
    ("require", "\"all\""),
];

/// What the API holds in the words of what is declared: without what the server filled in, sets in the same order.
pub fn beside(wanted: &Tree, found: Value) -> Value {
    match (wanted, found) {
        (Tree::Map(wanted), Value::Object(found)) => {
            let kept = found.into_iter().filter(|(key, value)| wanted.contains_key(key) || !is_filled(key, value));
            Value::Object(kept.map(|(key, value)| entry(wanted.get(&key), key, value)).collect())
        }
        (Tree::List(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            wanted.iter().zip(found).map(|(wanted, found)| beside(wanted, found)).collect()
        }
        (_, found) => found,
    }
}

fn entry(wanted: Option<&Tree>, key: String, found: Value) -> (String, Value) {
    let value = match (wanted, found) {
        (Some(Tree::List(items)), Value::Array(values)) if SETS.contains(&key.as_str()) => {
            let place = |value: &Value| items.iter().position(|item| *item == Tree::from(value)).unwrap_or(items.len());
            let mut values = values;
            values.sort_by_key(place);
            Value::Array(values)
        }
        (Some(wanted), found) if !FREE.contains(&key.as_str()) => beside(wanted, found),
        (_, found) => found,
    };
    (key, value)
}

/// Whether a value is what the server writes where nothing is declared.
pub fn is_filled(key: &str, value: &Value) -> bool {
    let is_empty = match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    };
    is_empty || FILLED.iter().any(|(name, text)| *name == key && Tree::from(value) == default(text))
}

fn default(text: &str) -> Tree {
    Tree::from(serde_json::from_str::<Value>(text).expect("the table holds JSON"))
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
    fn what_the_server_fills_in_is_no_difference() {
        let wanted = json!({
            "posture": "Proactive", "expect": ["b", "a"], "within": 60,
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
        });
        let found = json!({
            "type": "event", "match": {"prefect.resource.id": "prefect.flow-run.*"}, "match_related": {}, "after": [],
            "expect": ["a", "b"], "for_each": [], "posture": "Proactive", "threshold": 1, "within": 60.0,
        });
        let wanted = Tree::from(wanted);
        assert_eq!(Tree::from(beside(&wanted, found.clone())), wanted);
        let mut other = found;
        other["threshold"] = json!(2);
        assert_ne!(Tree::from(beside(&wanted, other)), wanted);
    }

    #[test]
    fn what_is_the_users_own_counts_as_a_whole() {
        let wanted = Tree::from(json!({"parameters": {"a": 1}}));
        let found = json!({"parameters": {"a": 1, "b": null}, "source": "selected", "automation_id": null});
        assert_eq!(beside(&wanted, found), json!({"parameters": {"a": 1, "b": null}}));
    }
}
