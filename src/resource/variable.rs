//! Variables: their fields, and how the API's answers spell them.

use serde_json::Value;

use super::{Compare, Field, Rules, text};

static FIELDS: [Field; 2] = [
    Field { name: "value", compare: Compare::Exact, default: "null" },
    Field { name: "tags", compare: Compare::Set, default: "[]" },
];

/// Their fields; none is fixed.
pub static RULES: Rules = Rules { fields: &FIELDS, fixed: &[] };

/// What the API's row says of a field.
pub fn found(row: &Value, field: &str) -> Value {
    row.get(field).cloned().unwrap_or(Value::Null)
}

/// The name that its row has.
pub fn name(row: &Value) -> Option<String> {
    text(row, "name")
}
