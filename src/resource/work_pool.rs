//! Work pools: their fields, and how the API's answers spell them.

use serde_json::{Map, Value};

use super::{Compare, Field, Rules, text};

static FIELDS: [Field; 6] = [
    Field { name: "type", compare: Compare::Exact, default: "\"prefect-agent\"" },
    Field { name: "description", compare: Compare::Exact, default: "null" },
    Field { name: "is_paused", compare: Compare::Exact, default: "false" },
    Field { name: "concurrency_limit", compare: Compare::Exact, default: "null" },
    Field { name: "base_job_template", compare: Compare::Exact, default: "{}" },
    Field {
        name: "storage_configuration",
        compare: Compare::Exact,
        default: r#"{"bundle_upload_step": null, "bundle_execution_step": null, "default_result_storage_block_id": null}"#,
    },
];

/// Their fields. The type is fixed: a pool of another type is another pool.
pub static RULES: Rules = Rules { fields: &FIELDS, fixed: &["type"] };

/// The keys of a storage configuration, all of which the API returns and all of which an update replaces.
const STORAGE: [&str; 3] = ["bundle_upload_step", "bundle_execution_step", "default_result_storage_block_id"];

/// What the API's row says of a field; storage always has its three keys.
pub fn found(row: &Value, field: &str) -> Value {
    match field {
        "storage_configuration" => {
            let storage = &row["storage_configuration"];
            let keys = STORAGE.map(|key| (key.to_owned(), storage.get(key).cloned().unwrap_or(Value::Null)));
            Value::Object(Map::from_iter(keys))
        }
        other => row.get(other).cloned().unwrap_or(Value::Null),
    }
}

/// The name that its row has.
pub fn name(row: &Value) -> Option<String> {
    text(row, "name")
}
