//! Work queues: their fields, and how the API's answers spell them.

use serde_json::Value;

use super::{Compare, Field, Rules, text};

static FIELDS: [Field; 4] = [
    Field { name: "priority", compare: Compare::Exact, default: "null" },
    Field { name: "concurrency_limit", compare: Compare::Exact, default: "null" },
    Field { name: "description", compare: Compare::Exact, default: "\"\"" },
    Field { name: "is_paused", compare: Compare::Exact, default: "false" },
];

/// Their fields; none is fixed. A priority is never null in an update: one that leaves git stays as
/// it is.
pub static RULES: Rules = Rules { fields: &FIELDS, fixed: &[] };

/// What the API's row says of a field. A description that is null says no more than an empty one.
pub fn found(row: &Value, field: &str) -> Value {
    match field {
        "description" if row["description"].is_null() => "".into(),
        other => row.get(other).cloned().unwrap_or(Value::Null),
    }
}

/// `pool/queue`, where its row says which pool it belongs to: answers about a queue do, as `work_pool_name`.
pub fn name(row: &Value) -> Option<String> {
    let pool = text(row, "work_pool_name").or_else(|| text(&row["work_pool"], "name"))?;
    Some(format!("{pool}/{}", text(row, "name")?))
}
