//! Each field of each kind leaves git alone: the server holds what it would without it, and nothing is left to do.

use reconcile::model::Abilities;
use serde_json::{Map, Value, json};

use crate::support::http::Http;
use crate::support::project::Project;
use crate::support::server::Server;
use crate::support::server_version;

/// A field that leaves git: of which item, where it stands there, where that shows in the row, and what is there then.
struct Leaving {
    list: &'static str,
    item: Value,
    field: &'static str,
    at: &'static str,
    then: Value,
}

/// The template of a pool.
fn template(command: &str) -> Value {
    json!({
        "job_configuration": {"command": "{{ command }}"},
        "variables": {"type": "object", "properties": {"command": {"type": "string", "default": command}}},
    })
}

fn event() -> Value {
    json!({
        "type": "event", "posture": "Reactive", "threshold": 3, "within": 10, "expect": ["a", "b"], "after": ["c"],
        "for_each": ["prefect.resource.id"], "match": {"k": "v"}, "match_related": {"l": "w"},
    })
}

fn automation(trigger: Value, action: Value) -> Value {
    json!({"trigger": trigger, "actions": [action]})
}

/// Every field that can be left out, each of an item of its own.
fn cases() -> Vec<Leaving> {
    let mut cases = Vec::new();
    let mut add = |list, item: &Value, fields: &[(&'static str, &'static str, Value)]| {
        for (field, at, then) in fields {
            cases.push(Leaving { list, item: item.clone(), field, at, then: then.clone() });
        }
    };
    add("variables", &json!({"value": 1, "tags": ["a", "b"]}), &[("/tags", "/tags", json!([]))]);
    let pool = json!({
        "type": "process", "description": "d", "paused": true, "concurrency_limit": 3, "base_job_template": template("x"),
        "storage": {"bundle_upload_step": {"a.b": {"c": 1}}, "bundle_execution_step": {"a.b": {"c": 1}}},
    });
    add(
        "work_pools",
        &pool,
        &[
            ("/description", "/description", json!(null)),
            ("/paused", "/is_paused", json!(false)),
            ("/concurrency_limit", "/concurrency_limit", json!(null)),
            ("/base_job_template", "/base_job_template/variables/properties/command/default", json!(null)),
            ("/storage", "/storage_configuration/bundle_upload_step", json!(null)),
            ("/storage/bundle_upload_step", "/storage_configuration/bundle_upload_step", json!(null)),
        ],
    );
    let queue = json!({"priority": 1, "concurrency_limit": 2, "description": "d", "paused": true});
    add(
        "queues",
        &queue,
        &[
            ("/priority", "/priority", json!(1)),
            ("/concurrency_limit", "/concurrency_limit", json!(null)),
            ("/description", "/description", json!("")),
            ("/paused", "/is_paused", json!(false)),
        ],
    );
    add(
        "concurrency_limits",
        &json!({"limit": 3, "active": false, "slot_decay_per_second": 0.5}),
        &[("/active", "/active", json!(true)), ("/slot_decay_per_second", "/slot_decay_per_second", json!(0.0))],
    );
    let whole = json!({
        "description": "d", "enabled": false, "tags": ["a"], "trigger": event(), "actions": [{"type": "do-nothing"}],
        "actions_on_trigger": [{"type": "cancel-flow-run"}], "actions_on_resolve": [{"type": "cancel-flow-run"}],
    });
    add(
        "automations",
        &whole,
        &[
            ("/description", "/description", json!("")),
            ("/enabled", "/enabled", json!(true)),
            ("/tags", "/tags", json!([])),
            ("/actions_on_trigger", "/actions_on_trigger", json!([])),
            ("/actions_on_resolve", "/actions_on_resolve", json!([])),
            ("/trigger/threshold", "/trigger/threshold", json!(1)),
            ("/trigger/within", "/trigger/within", json!(0.0)),
            ("/trigger/expect", "/trigger/expect", json!([])),
            ("/trigger/after", "/trigger/after", json!([])),
            ("/trigger/for_each", "/trigger/for_each", json!([])),
            ("/trigger/match", "/trigger/match", json!({})),
            ("/trigger/match_related", "/trigger/match_related", json!({})),
            ("/trigger/type", "/trigger/type", json!("event")),
        ],
    );
    let nothing = json!({"type": "do-nothing"});
    let mut late = event();
    (late["posture"], late["within"]) = (json!("Proactive"), json!(60));
    add("automations", &automation(late, nothing.clone()), &[("/trigger/within", "/trigger/within", json!(10.0))]);
    let plain = json!({"type": "event", "posture": "Reactive", "expect": ["x"]});
    let compound = json!({"type": "compound", "require": "all", "within": 60, "triggers": [event(), plain]});
    add(
        "automations",
        &automation(compound, nothing),
        &[("/trigger/triggers/0/within", "/trigger/triggers/0/within", json!(0.0))],
    );
    let run = json!({
        "type": "run-deployment", "source": "inferred", "parameters": {"a": 1}, "job_variables": {"b": 2},
        "schedule_after": 60,
    });
    add(
        "automations",
        &automation(event(), run),
        &[
            ("/actions/0/parameters", "/actions/0/parameters", json!(null)),
            ("/actions/0/job_variables", "/actions/0/job_variables", json!(null)),
            ("/actions/0/schedule_after", "/actions/0/schedule_after", json!(0.0)),
        ],
    );
    let state = json!({"type": "change-flow-run-state", "state": "FAILED", "name": "n", "message": "m", "force": true});
    add(
        "automations",
        &automation(event(), state),
        &[
            ("/actions/0/name", "/actions/0/name", json!(null)),
            ("/actions/0/message", "/actions/0/message", json!(null)),
            ("/actions/0/force", "/actions/0/force", json!(false)),
        ],
    );
    let notification = json!({"type": "send-notification", "block": "leaving/told", "subject": "s", "body": "b"});
    let subject = json!("Prefect automated notification");
    add("automations", &automation(event(), notification), &[("/actions/0/subject", "/actions/0/subject", subject)]);
    let webhook = json!({"type": "call-webhook", "block": "leaving/told", "payload": "p"});
    add("automations", &automation(event(), webhook), &[("/actions/0/payload", "/actions/0/payload", json!(""))]);
    let data = json!({"type": "leaving", "data": {"host": "h", "port": 1, "key": "k", "more": {"a": 1, "b": 2}}});
    add(
        "blocks",
        &data,
        &[
            ("/data/port", "/data/port", json!(null)),
            ("/data/key", "/data/key", json!(null)),
            ("/data/more", "/data/more", json!(null)),
            ("/data/more/b", "/data/more", json!({"a": 1})),
        ],
    );
    let mut form = form();
    form["name"] = json!("Leaving");
    add(
        "block_types",
        &form,
        &[
            ("/logo_url", "/logo_url", json!(null)),
            ("/documentation_url", "/documentation_url", json!(null)),
            ("/description", "/description", json!(null)),
            ("/code_example", "/code_example", json!(null)),
            ("/capabilities", "/name", json!(null)),
            ("/version", "/name", json!(null)),
        ],
    );
    cases
}

/// A block type with everything said that can be.
fn form() -> Value {
    let text = json!({"type": "string"});
    json!({
        "logo_url": "https://example.org/l.png", "documentation_url": "https://example.org/", "description": "d",
        "code_example": "c", "secret_fields": ["key"], "capabilities": ["notify"], "version": "2",
        "fields": {"type": "object", "properties": {"host": text, "key": text, "port": {"type": "integer"}, "more": {"type": "object"}}},
    })
}

/// The resource file of all cases, without the fields that leave if they have left.
fn file(cases: &[Leaving], left: bool) -> String {
    let mut own = form();
    (own["slug"], own["name"]) = (json!("leaving"), json!("Leaving itself"));
    let mut lists = Map::from_iter([
        ("block_types".to_owned(), json!([own])),
        ("blocks".to_owned(), json!([{"type": "leaving", "name": "told", "data": {}}])),
    ]);
    for (n, case) in cases.iter().enumerate() {
        let mut item = case.item.clone();
        if left {
            let (above, key) = case.field.rsplit_once('/').unwrap();
            let removed = item.pointer_mut(above).unwrap().as_object_mut().unwrap().remove(key);
            assert!(removed.is_some(), "{} {}", case.list, case.field);
        }
        let (list, item) = match case.list {
            "queues" => {
                item["name"] = json!("q");
                let other = json!({"name": "other"});
                ("work_pools", json!({"name": name(n), "type": "process", "queues": [item, other]}))
            }
            "block_types" => {
                item["slug"] = json!(name(n));
                item["name"] = json!(format!("Leaving {n}"));
                ("block_types", item)
            }
            list => {
                item["name"] = json!(name(n));
                (list, item)
            }
        };
        lists.entry(list).or_insert_with(|| json!([])).as_array_mut().unwrap().push(item);
    }
    Value::Object(lists).to_string()
}

fn name(n: usize) -> String {
    format!("leaving-{n}")
}

fn row(http: &Http, list: &str, name: &str) -> Value {
    match list {
        "variables" => http.get(&format!("/variables/name/{name}")),
        "work_pools" => http.get(&format!("/work_pools/{name}")),
        "queues" => http.get(&format!("/work_pools/{name}/queues/q")),
        "concurrency_limits" => http.get(&format!("/v2/concurrency_limits/{name}")),
        "blocks" => http.get(&format!("/block_types/slug/leaving/block_documents/name/{name}")),
        "block_types" => http.get(&format!("/block_types/slug/{name}")),
        _ => http.all("automations").into_iter().find(|row| row["name"] == name).unwrap(),
    }
}

#[test]
fn each_field_of_each_kind_leaves_git() {
    let server = Server::start();
    let http = server.http();
    let cases = cases();
    let project = Project::new().api(&server.url).file("reconcile.yaml", "name: leaving\n");
    project.write("all.reconcile.yaml", &file(&cases, false));
    project.reconcile(&["apply", "--yes"]).exits(0);
    project.reconcile(&["plan"]).exits(0);
    project.write("all.reconcile.yaml", &file(&cases, true));
    let done = project.reconcile(&["apply", "--yes"]);
    let mut wrong = Vec::new();
    if done.code != 0 {
        wrong.push(format!("{}\n{}", done.stdout, done.stderr));
    }
    for (n, case) in cases.iter().enumerate() {
        let row = row(&http, case.list, &name(n));
        let found = row.pointer(case.at).cloned().unwrap_or(Value::Null);
        let is_elsewhere = case.at == "/name";
        let is_unknown = case.at == "/actions/0/force" && !Abilities::of(server_version()).forces_states;
        let then = if is_unknown { &Value::Null } else { &case.then };
        if found != *then && !is_elsewhere {
            wrong.push(format!("{} {} of {}: {found}", case.list, case.field, name(n)));
        }
    }
    let plan = project.reconcile(&["plan", "--json"]).exits(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    for change in plan["changes"].as_array().unwrap() {
        wrong.push(format!("still to do: {change}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
