//! `Workspace`: what a server holds: prepared before a deploy, read back and compared after it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Map, Value, json};

use super::http::Http;

/// Fields of API objects that two servers never share.
const OWN: [&str; 14] = [
    "id",
    "created",
    "updated",
    "created_by",
    "updated_by",
    "flow_id",
    "deployment_id",
    "work_queue_id",
    "last_polled",
    "status",
    "version_id",
    "account",
    "workspace",
    "actor_id",
];

/// Lists of event triggers that are sets.
const SETS: [&str; 3] = ["after", "expect", "for_each"];

/// The objects of one server.
#[derive(Clone, Debug)]
pub struct Workspace {
    http: Http,
    url: String,
}

impl Workspace {
    /// That of the API at `url`.
    pub fn of(url: &str) -> Workspace {
        Workspace { http: Http::new(url), url: url.to_owned() }
    }

    /// Creates work pools (name, type or whole body), variables (name, value) and blocks (`type/name`, data).
    pub fn prepare(&self, pools: &[(&str, Value)], variables: &[(&str, Value)], blocks: &[(&str, Value)]) {
        for (name, pool) in pools {
            let mut body = match pool {
                Value::String(kind) => json!({"type": kind, "base_job_template": job_template()}),
                body => body.clone(),
            };
            body["name"] = json!(name);
            self.http.post("/work_pools/", body);
        }
        for (name, value) in variables {
            self.http.post("/variables/", json!({"name": name, "value": value}));
        }
        for (path, data) in blocks {
            let (slug, name) = path.split_once('/').expect("a block is named type/name");
            self.block(slug, name, data);
        }
    }

    /// Creates a block document; its type and schema too if the server has none.
    pub fn block(&self, slug: &str, name: &str, data: &Value) {
        let found = self.http.request("GET", &format!("/block_types/slug/{slug}"), None);
        let kind = match found.status {
            404 => self.http.post("/block_types/", json!({"name": slug, "slug": slug})),
            _ => found.body,
        };
        let of_kind = json!({"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}});
        let schemas = self.http.post("/block_schemas/filter", of_kind);
        let schema = schemas.get(0).cloned().unwrap_or_else(|| {
            let fields = json!({"title": slug, "type": "object", "properties": {}});
            self.http
                .post("/block_schemas/", json!({"block_type_id": kind["id"], "fields": fields, "capabilities": []}))
        });
        self.http.post(
            "/block_documents/",
            json!({"name": name, "data": data, "block_type_id": kind["id"], "block_schema_id": schema["id"]}),
        );
    }

    /// Deletes what a deploy and `prepare` create.
    pub fn wipe(&self) {
        for kind in ["automations", "deployments", "flows", "variables", "work_pools", "block_documents"] {
            for row in self.http.all(kind) {
                let key = if kind == "work_pools" { &row["name"] } else { &row["id"] };
                self.http.delete(&format!("/{kind}/{}", key.as_str().expect("rows have keys")));
            }
        }
    }

    /// The same of one flow only: its deployments, and the automations named after it (`FLOW-…`).
    pub fn state_of(&self, flow: &str) -> Value {
        let filter = json!({"flows": {"name": {"any_": [flow]}}});
        let rows = self.http.post("/deployments/filter", filter);
        let rows = rows.as_array().cloned().unwrap_or_default();
        let automations = self.http.all("automations");
        let ours = automations.iter().filter(|row| text(row, "name").starts_with(&format!("{flow}-")));
        let state = json!({
            "deployments": rows.iter().map(|row| (text(row, "name"), deployment(row))).collect::<BTreeMap<_, _>>(),
            "rows": rows.len(),
            "automations": ordered(ours.map(automation).collect()),
        });
        rewrite(&state, &|string| {
            rows.iter().fold(string.replace(&self.url, "<api>"), |string, row| {
                string.replace(text(row, "id"), &format!("<deployment {}>", text(row, "name")))
            })
        })
    }

    /// Everything a deploy may leave behind, without what differs from server to server: ids, times, its URL.
    /// A deployment's id, wherever it stands, reads `<deployment FLOW/NAME>`.
    pub fn state(&self) -> Value {
        let flows = self.http.all("flows");
        let flows: BTreeMap<&str, &str> = flows.iter().map(|flow| (text(flow, "id"), text(flow, "name"))).collect();
        let rows = self.http.all("deployments");
        let key = |row: &Value| {
            let flow = flows.get(text(row, "flow_id")).copied().unwrap_or("?");
            format!("{flow}/{}", text(row, "name"))
        };
        let state = json!({
            "flows": flows.values().copied().collect::<BTreeSet<_>>(),
            "deployments": rows.iter().map(|row| (key(row), deployment(row))).collect::<BTreeMap<_, _>>(),
            "automations": ordered(self.http.all("automations").iter().map(automation).collect()),
            "work_pools": self.names("work_pools", "name"),
            "work_queues": self.http.all("work_queues").iter()
                .map(|row| format!("{}/{}", text(row, "work_pool_name"), text(row, "name")))
                .collect::<BTreeSet<_>>(),
            "variables": self.names("variables", "name"),
        });
        let ids: Vec<_> = rows.iter().map(|row| (text(row, "id"), format!("<deployment {}>", key(row)))).collect();
        rewrite(&state, &|string| {
            let mut string = string.replace(&self.url, "<api>");
            for (id, name) in &ids {
                string = string.replace(id, name);
            }
            string
        })
    }

    fn names(&self, kind: &str, field: &str) -> BTreeSet<String> {
        self.http.all(kind).iter().map(|row| text(row, field).to_owned()).collect()
    }
}

/// Where two states differ: one line per place.
pub fn differences(left: &Value, right: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(left, right, "", &mut found);
    found
}

fn compare(left: &Value, right: &Value, path: &str, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let path = format!("{path}/{key}");
                match (a.get(key), b.get(key)) {
                    (Some(left), Some(right)) => compare(left, right, &path, found),
                    (Some(left), None) => found.push(format!("{path}: only left has {left}")),
                    (None, Some(right)) => found.push(format!("{path}: only right has {right}")),
                    (None, None) => unreachable!("the key is of one of them"),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (left, right)) in a.iter().zip(b).enumerate() {
                compare(left, right, &format!("{path}[{index}]"), found);
            }
        }
        _ if left == right => {}
        _ => found.push(format!("{path}: left {left}, right {right}")),
    }
}

fn deployment(row: &Value) -> Value {
    let mut row = shared(row);
    row.insert("tags".to_owned(), ordered(row.get("tags").and_then(Value::as_array).cloned().unwrap_or_default()));
    if row.get("description") == Some(&json!("None")) {
        // what `prefect deploy` writes on create for a flow without a docstring
        row.insert("description".to_owned(), Value::Null);
    }
    if let Some(labels) = row.get_mut("labels").and_then(Value::as_object_mut) {
        labels.remove("prefect.flow.id");
    }
    let limit = row.get("global_concurrency_limit").and_then(|limit| limit.get("limit")).cloned();
    row.insert("global_concurrency_limit".to_owned(), limit.unwrap_or_default());
    let schedules = row.get("schedules").and_then(Value::as_array).cloned().unwrap_or_default();
    row.insert("schedules".to_owned(), ordered(schedules.iter().map(schedule).collect()));
    Value::Object(row)
}

fn schedule(row: &Value) -> Value {
    let mut row = shared(row);
    if let Some(when) = row.get_mut("schedule").and_then(Value::as_object_mut) {
        for (key, value) in when.iter_mut() {
            if let Some(now) = value.as_str().and_then(|value| unfixed(key, value)) {
                *value = Value::String(now);
            }
        }
    }
    Value::Object(row)
}

/// A start that nobody gave is the time of the call; it is only compared as "now".
fn unfixed(key: &str, value: &str) -> Option<String> {
    let now = Timestamp::now();
    match key {
        "anchor_date" => {
            let anchor: Timestamp = value.parse().ok()?;
            (now.as_second().abs_diff(anchor.as_second()) < 600).then(|| "now".to_owned())
        }
        "rrule" => {
            let (start, rest) = value.strip_prefix("DTSTART:")?.split_once('\n')?;
            let start: DateTime = start.trim_end_matches('Z').parse().ok()?;
            let start = start.to_zoned(TimeZone::UTC).ok()?.timestamp();
            (now.as_second().abs_diff(start.as_second()) < 2 * 86_400).then(|| format!("DTSTART:now\n{rest}"))
        }
        _ => None,
    }
}

fn automation(row: &Value) -> Value {
    let mut row = shared(row);
    if let Some(found) = row.get("trigger").map(trigger) {
        row.insert("trigger".to_owned(), found);
    }
    Value::Object(row)
}

fn trigger(row: &Value) -> Value {
    let mut row = row.as_object().cloned().unwrap_or_default();
    row.shift_remove("id");
    for set in SETS {
        if let Some(Value::Array(items)) = row.get(set) {
            row.insert(set.to_owned(), ordered(items.clone()));
        }
    }
    if let Some(Value::Array(inner)) = row.get("triggers") {
        row.insert("triggers".to_owned(), inner.iter().map(trigger).collect());
    }
    Value::Object(row)
}

/// An object without what is a server's own.
fn shared(row: &Value) -> Map<String, Value> {
    let row = row.as_object().cloned().unwrap_or_default();
    row.into_iter().filter(|(key, _)| !OWN.contains(&key.as_str())).collect()
}

fn ordered(mut items: Vec<Value>) -> Value {
    items.sort_by_key(|item| match &item["name"] {
        Value::String(name) => (name.clone(), canonical(item)),
        _ => (String::new(), canonical(item)),
    });
    Value::Array(items)
}

/// The text of a value with its keys in order.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, String> = map.iter().map(|(key, value)| (key, canonical(value))).collect();
            format!("{sorted:?}")
        }
        Value::Array(items) => format!("{:?}", items.iter().map(canonical).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}

/// The same value with every string rewritten, keys too.
fn rewrite(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(string) => Value::String(change(string)),
        Value::Array(items) => items.iter().map(|item| rewrite(item, change)).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (change(key), rewrite(value, change))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

/// A template with the variables that deployments of tests use.
fn job_template() -> Value {
    let string = json!({"type": "string"});
    json!({
        "job_configuration": {
            "command": "{{ command }}", "env": "{{ env }}", "labels": "{{ labels }}", "name": "{{ name }}",
            "image": "{{ image }}",
        },
        "variables": {"type": "object", "properties": {
            "command": string, "name": string, "image": string, "labels": {"type": "object"},
            "env": {"type": "object", "additionalProperties": string},
        }},
    })
}
