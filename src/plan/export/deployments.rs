//! Deployments in the words of `prefect.yaml`. What follows from the flow's code is left to it.

use serde_json::{Map, Value, json};

use super::{Draft, is_empty};
use crate::manifest::schedules::rrule;
use crate::model::Key;
use crate::resource::deployment::{found, owns_its_limit};

/// An item of `deployments`.
///
/// # Errors
/// Why it cannot be declared in a file.
pub fn deployment(key: &Key, row: &Value) -> Result<Draft, String> {
    if row["work_pool_name"].is_null() {
        return Err("it has no work pool: a process serves it, and declares it itself".to_owned());
    }
    let mut draft = Draft::of(key);
    draft.put("name", key.name.split_once('/').map_or(key.name.as_str(), |(_, name)| name));
    draft.put("entrypoint", row["entrypoint"].clone());
    for field in ["description", "tags", "parameters"] {
        let value = found(row, field);
        if !is_empty(&value) {
            draft.put(field, value);
        }
    }
    draft.put("work_pool", work_pool(row));
    let schedules = row["schedules"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !schedules.is_empty() {
        draft.put("schedules", in_order(schedules));
    }
    limit(row, &mut draft);
    if row["paused"] == true {
        draft.put("paused", true);
    }
    if row["enforce_parameter_schema"] == false {
        draft.put("enforce_parameter_schema", false);
    }
    draft.put("pull", if row["pull_steps"].is_array() { row["pull_steps"].clone() } else { json!([]) });
    Ok(draft)
}

fn work_pool(row: &Value) -> Value {
    let mut pool = Map::from_iter([("name".to_owned(), row["work_pool_name"].clone())]);
    if row["work_queue_name"].as_str().is_some_and(|queue| queue != "default") {
        pool.insert("work_queue_name".to_owned(), row["work_queue_name"].clone());
    }
    if !is_empty(&row["job_variables"]) {
        pool.insert("job_variables".to_owned(), row["job_variables"].clone());
    }
    Value::Object(pool)
}

/// Schedules by slug, then by what they are: the API gives them in no order.
fn in_order(rows: &[Value]) -> Value {
    let mut items: Vec<Value> = rows.iter().map(schedule).collect();
    items.sort_by_key(|item| (item["slug"].is_null(), item["slug"].to_string(), item.to_string()));
    Value::Array(items)
}

fn schedule(row: &Value) -> Value {
    let spec = &row["schedule"];
    let mut item = Map::new();
    for key in ["cron", "interval", "rrule", "anchor_date", "timezone", "day_or"] {
        let value = spec.get(key).cloned().unwrap_or_default();
        let is_default = match key {
            "timezone" => value == "UTC",
            "day_or" => value == true,
            _ => false,
        };
        let value = match key {
            "interval" => super::whole(&value),
            "rrule" => json!(value.as_str().map(rule)),
            _ => value,
        };
        if !value.is_null() && !is_default {
            item.insert(key.to_owned(), value);
        }
    }
    for key in ["slug", "parameters"] {
        if !is_empty(&row[key]) {
            item.insert(key.to_owned(), row[key].clone());
        }
    }
    if row["active"] == false {
        item.insert("active".to_owned(), json!(false));
    }
    Value::Object(item)
}

/// A rule without the start that is added to every rule.
fn rule(found: &str) -> &str {
    match found.split_once('\n') {
        Some((start, rest)) if start.starts_with("DTSTART") && rrule::is_same(rest, found) => rest,
        Some(_) | None => found,
    }
}

/// Its own limit; one that it shares is another object's.
fn limit(row: &Value, draft: &mut Draft) {
    let limit = found(row, "concurrency_limit");
    let options = row["concurrency_options"].as_object();
    let options: Map<String, Value> = options
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let is_own = owns_its_limit(row);
    if !is_own {
        let name = row["global_concurrency_limit"]["name"].as_str().unwrap_or("?");
        draft.notes.push(format!("its runs share the concurrency limit `{name}`, which no key of this file can say"));
    }
    let limit = Some(limit).filter(|limit| is_own && !limit.is_null());
    if options.is_empty() {
        if let Some(limit) = limit {
            draft.put("concurrency_limit", limit);
        }
        return;
    }
    let mut whole: Map<String, Value> = limit.map(|limit| ("limit".to_owned(), limit)).into_iter().collect();
    whole.extend(options);
    if whole.contains_key("limit") {
        draft.put("concurrency_limit", whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_the_reader_reads() {
        let row = json!({
            "id": "1", "entrypoint": "etl.py:main", "description": "None", "tags": ["b", "a"], "parameters": {"n": 1}, "paused": true,
            "work_pool_name": "p", "work_queue_name": "default", "job_variables": {}, "enforce_parameter_schema": true,
            "pull_steps": null, "concurrency_options": {"collision_strategy": "ENQUEUE", "grace_period_seconds": null},
            "global_concurrency_limit": {"limit": 2, "name": "deployment:1"},
            "schedules": [
                {"schedule": {"interval": 60.0, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "UTC"}, "active": true, "slug": null, "parameters": {}},
                {"schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin", "day_or": true}, "active": false, "slug": "s", "parameters": {"a": 1}},
            ],
        });
        let draft = deployment(&Key::deployment("etl", "nightly"), &row).unwrap();
        let expected = json!({
            "name": "nightly", "entrypoint": "etl.py:main", "tags": ["b", "a"], "parameters": {"n": 1}, "work_pool": {"name": "p"},
            "schedules": [
                {"cron": "0 6 * * *", "timezone": "Europe/Berlin", "slug": "s", "parameters": {"a": 1}, "active": false},
                {"interval": 60, "anchor_date": "2026-01-01T00:00:00Z"},
            ],
            "concurrency_limit": {"limit": 2, "collision_strategy": "ENQUEUE"}, "paused": true, "pull": [],
        });
        assert_eq!(Value::Object(draft.item), expected);
        assert!(deployment(&Key::deployment("etl", "x"), &json!({})).unwrap_err().contains("work pool"));
    }
}
