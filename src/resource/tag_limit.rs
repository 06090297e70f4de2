//! Tag concurrency limits: their only field, and how the API's answers spell it.

use serde_json::Value;

use super::{Compare, Field, Rules, text};

static FIELDS: [Field; 1] = [Field { name: "concurrency_limit", compare: Compare::Exact, default: "0" }];

/// Their field. Slots in use are the state of runs and no field.
pub static RULES: Rules = Rules { fields: &FIELDS, fixed: &[] };

/// What the API's row says of a field.
pub fn found(row: &Value, field: &str) -> Value {
    row.get(field).cloned().unwrap_or(Value::Null)
}

/// The tag that its row has.
pub fn name(row: &Value) -> Option<String> {
    text(row, "tag")
}
