//! Work pools and their queues in the words of files: templates as changes of what their type comes with.

use serde_json::{Map, Value, json};

use super::{Draft, Workshop, is_empty};
use crate::model::{Key, Kind};
use crate::plan::resources::default_template;
use crate::render::{PlaceholderKind, placeholders};
use crate::resource;

/// An item of `work_pools`, with the queues that are declared with it.
pub fn pool(key: &Key, row: &Value, queues: Vec<&(Key, Value)>, workshop: &Workshop<'_>) -> Draft {
    let mut draft = Draft::of(key);
    draft.put("name", key.name.clone());
    draft.put("type", row["type"].clone());
    if !row["description"].is_null() {
        draft.put("description", row["description"].clone());
    }
    if row["is_paused"] == true {
        draft.put("paused", true);
    }
    if !row["concurrency_limit"].is_null() {
        draft.put("concurrency_limit", row["concurrency_limit"].clone());
    }
    template(row, workshop, &mut draft);
    storage(row, workshop, &mut draft);
    if !queues.is_empty() {
        draft.put("queues", queues.iter().map(|(key, row)| queue(key, row)).collect::<Value>());
        draft.along = queues.iter().map(|(key, _)| key.clone()).collect();
    }
    draft
}

fn queue(key: &Key, row: &Value) -> Value {
    let mut item = Map::new();
    let name = key.name.split_once('/').map_or(key.name.as_str(), |(_, name)| name);
    item.insert("name".to_owned(), json!(name));
    item.insert("priority".to_owned(), row["priority"].clone());
    if !row["concurrency_limit"].is_null() {
        item.insert("concurrency_limit".to_owned(), row["concurrency_limit"].clone());
    }
    if !is_empty(&row["description"]) {
        item.insert("description".to_owned(), row["description"].clone());
    }
    if row["is_paused"] == true {
        item.insert("paused".to_owned(), json!(true));
    }
    Value::Object(item)
}

/// The template: nothing where it is that of its type, else what differs from that, else a file of its own.
fn template(row: &Value, workshop: &Workshop<'_>, draft: &mut Draft) {
    const KEY: &str = "base_job_template";
    let found = workshop.with_names(&row[KEY]);
    let kind = row["type"].as_str().unwrap_or_default();
    let default = default_template(kind).and_then(|template| template.revealed(&|_| None));
    if is_empty(&found) {
        return draft.put(KEY, json!({}));
    }
    if default.as_ref().is_some_and(|default| *default == found) {
        return;
    }
    let mut changes = Map::new();
    let is_patch = default.is_some_and(|default| patch(&default, &found, "", &mut changes))
        && changes.values().all(is_left_alone)
        && Value::Object(changes.clone()).to_string().len() < found.to_string().len() / 2;
    if is_patch {
        return draft.put(KEY, json!({ "default": true, "patch": changes }));
    }
    draft.put(KEY, json!({ "file": super::template_path(&draft.key.name).as_str() }));
    draft.template = Some(found);
}

/// The values at dotted paths that lead from one template to the other; false where no paths do.
fn patch(default: &Value, found: &Value, path: &str, changes: &mut Map<String, Value>) -> bool {
    if default == found {
        return true;
    }
    let mut within = Map::new();
    if is_reached(default, found, path, &mut within) {
        changes.extend(within);
        return true;
    }
    if path.is_empty() {
        return false;
    }
    changes.insert(path.to_owned(), found.clone());
    true
}

fn is_reached(default: &Value, found: &Value, path: &str, changes: &mut Map<String, Value>) -> bool {
    let (Value::Object(default), Value::Object(found)) = (default, found) else { return false };
    let plain = |key: &String| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if default.keys().any(|key| !found.contains_key(key)) {
        return false;
    }
    found.iter().filter(|(key, value)| default.get(*key) != Some(value)).all(|(key, value)| {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        plain(key) && patch(default.get(key).unwrap_or(&Value::Null), value, &below, changes)
    })
}

/// Whether nothing of it would be taken for a reference to the environment.
fn is_left_alone(value: &Value) -> bool {
    match value {
        Value::String(text) => placeholders(text).iter().all(|found| found.kind != PlaceholderKind::Env),
        Value::Array(items) => items.iter().all(is_left_alone),
        Value::Object(map) => {
            !["from_env", "from_file"].iter().any(|word| map.contains_key(*word)) && map.values().all(is_left_alone)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Prefect's own three keys, with the name of the block.
fn storage(row: &Value, workshop: &Workshop<'_>, draft: &mut Draft) {
    let found = resource::found(Kind::WorkPool, row, "storage_configuration");
    let mut storage = Map::new();
    for (key, value) in found.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let block = value.as_str().and_then(|id| workshop.named(id)).filter(|block| block.kind == Kind::Block);
        let value = block.map_or_else(|| value.clone(), |block| json!({ "block": block.name }));
        storage.insert(key.clone(), value);
    }
    if !storage.is_empty() {
        draft.put("storage", storage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(default: Value, found: Value) -> Option<Value> {
        let mut changes = Map::new();
        patch(&default, &found, "", &mut changes).then_some(Value::Object(changes))
    }

    #[test]
    fn a_patch_names_the_deepest_mappings_that_only_gained() {
        let default = json!({"job_configuration": {"image": "{{ image }}", "env": {"A": 1}}, "variables": {"properties": {"image": {"type": "string"}}}});
        let mut found = default.clone();
        found["variables"]["properties"]["image"]["default"] = json!("x");
        assert_eq!(changes(default.clone(), found.clone()), Some(json!({"variables.properties.image.default": "x"})));
        found["job_configuration"]["env"] = json!({"B": 1});
        let expected = json!({"job_configuration.env": {"B": 1}, "variables.properties.image.default": "x"});
        assert_eq!(changes(default.clone(), found.clone()), Some(expected));
        found["variables"]["properties"]["a.b"] = json!(1);
        let both = found["variables"]["properties"].clone();
        let expected = json!({"job_configuration.env": {"B": 1}, "variables.properties": both});
        assert_eq!(changes(default.clone(), found), Some(expected));
        assert_eq!(changes(default, json!({"variables": {}})), None);
    }
}
