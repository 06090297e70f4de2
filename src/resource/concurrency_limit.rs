//! Global concurrency limits: their fields, and how the API's answers spell them.

use serde_json::Value;

use super::{Compare, Field, Rules, text};

static FIELDS: [Field; 3] = [
    Field { name: "limit", compare: Compare::Exact, default: "0" },
    Field { name: "active", compare: Compare::Exact, default: "true" },
    Field { name: "slot_decay_per_second", compare: Compare::Exact, default: "0.0" },
];

/// Their fields; none is fixed. Slots in use are the state of runs and no field.
pub static RULES: Rules = Rules { fields: &FIELDS, fixed: &[] };

/// What the API's row says of a field.
pub fn found(row: &Value, field: &str) -> Value {
    row.get(field).cloned().unwrap_or(Value::Null)
}

/// The name that its row has; none for limits that the server made for a tag or a deployment.
pub fn name(row: &Value) -> Option<String> {
    text(row, "name").filter(|name| !name.starts_with("tag:") && !name.starts_with("deployment:"))
}
