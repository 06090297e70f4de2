//! Deployments: the fields we compare and send, and how the API's answers spell them.
//!
//! Source: `prefect/client/schemas/actions.py` and `prefect/deployments/runner.py` (3.8.8), `DeploymentResponse` of
//! the server's API. Fields that are not in the table are neither compared nor sent.

use serde_json::{Map, Value, json};

use super::{Compare, Field};

/// The fields of a deployment, in the order in which plans show them. Schedules, automations and SLAs have tables of
/// their own.
pub static FIELDS: [Field; 15] = [
    Field { name: "version", compare: Compare::Exact, default: "null" },
    Field { name: "version_info", compare: Compare::Along, default: "null" },
    Field { name: "description", compare: Compare::Exact, default: "null" },
    Field { name: "tags", compare: Compare::Set, default: "[]" },
    Field { name: "paused", compare: Compare::Exact, default: "false" },
    Field { name: "concurrency_limit", compare: Compare::Exact, default: "null" },
    Field { name: "concurrency_options", compare: Compare::Keys, default: "null" },
    Field { name: "enforce_parameter_schema", compare: Compare::Exact, default: "true" },
    Field { name: "parameters", compare: Compare::Keys, default: "{}" },
    Field { name: "work_pool_name", compare: Compare::Exact, default: "null" },
    Field { name: "work_queue_name", compare: Compare::Exact, default: "null" },
    Field { name: "job_variables", compare: Compare::Keys, default: "{}" },
    Field { name: "entrypoint", compare: Compare::Exact, default: "null" },
    Field { name: "pull_steps", compare: Compare::Exact, default: "[]" },
    Field { name: "parameter_openapi_schema", compare: Compare::Exact, default: "{}" },
];

/// A field by its name.
pub fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

/// What the API's answer says of a field, in the form in which it is sent.
pub fn found(answer: &Value, field: &str) -> Value {
    match field {
        "concurrency_limit" => answer["global_concurrency_limit"]["limit"].clone(),
        // Written by `prefect deploy` on create where a flow has no docstring.
        "description" if answer["description"] == "None" => Value::Null,
        "version_info" => Value::Null,
        other => answer.get(other).cloned().unwrap_or(Value::Null),
    }
}

/// Whether the limit behind a deployment is its own, so that clearing it deletes nobody else's.
pub fn owns_its_limit(answer: &Value) -> bool {
    let own = format!("deployment:{}", answer["id"].as_str().unwrap_or_default());
    answer["global_concurrency_limit"].is_null() || answer["global_concurrency_limit"]["name"] == own.as_str()
}

/// The body that creates a deployment: every field, defaults where nothing is declared.
///
/// `declared` holds fields of the table as they go on the wire, `schedules` the items of its list.
pub fn create_body(name: &str, flow_id: &str, declared: &Map<String, Value>, schedules: Vec<Value>) -> Value {
    let mut body = json!({
        "name": name,
        "flow_id": flow_id,
        "schedules": schedules,
        "labels": {},
        "storage_document_id": null,
        "infrastructure_document_id": null,
        "path": null,
    });
    for field in &FIELDS {
        let value = declared.get(field.name).cloned().unwrap_or_else(|| field.default_value());
        body[field.name] = value;
    }
    body
}

/// Completes a partial update. A queue is only understood together with its pool, and naming a pool resets the queue.
pub fn complete_patch(patch: &mut Map<String, Value>, answer: &Value) {
    if patch.contains_key("work_queue_name") && !patch.contains_key("work_pool_name") {
        patch.insert("work_pool_name".to_owned(), answer["work_pool_name"].clone());
    }
}

/// Characters that names of flows and deployments cannot hold.
pub const FORBIDDEN_IN_NAMES: [char; 5] = ['/', '%', '&', '>', '<'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_json_and_every_field_is_in_a_new_body() {
        let body = create_body("n", "id", &Map::new(), Vec::new());
        for field in &FIELDS {
            assert_eq!(body[field.name], field.default_value(), "{}", field.name);
        }
    }

    #[test]
    fn a_shared_limit_is_not_its_own() {
        let own = json!({"id": "1", "global_concurrency_limit": {"name": "deployment:1", "limit": 2}});
        let shared = json!({"id": "1", "global_concurrency_limit": {"name": "db", "limit": 2}});
        assert!(owns_its_limit(&own) && owns_its_limit(&json!({"id": "1"})) && !owns_its_limit(&shared));
        assert_eq!(found(&own, "concurrency_limit"), json!(2));
    }

    #[test]
    fn a_queue_is_sent_with_its_pool() {
        let mut patch = Map::from_iter([("work_queue_name".to_owned(), json!("q"))]);
        complete_patch(&mut patch, &json!({"work_pool_name": "p"}));
        assert_eq!(patch["work_pool_name"], "p");
    }
}
