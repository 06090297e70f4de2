//! Reading and writing each kind of object on a real server.

use std::collections::BTreeSet;
use std::time::Duration;

use reconcile::api::{Api, ApiError, Which};
use reconcile::model::Secret;
use serde_json::{Value, json};

use super::{api, connection};
use crate::support::http::Http;
use crate::support::{Server, sent};

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// What the room does not offer but a test needs.
fn post(url: &str, path: &str, body: Value) -> Value {
    Http::new(url).post(path, body)
}

async fn deployment(api: &Api, flow: &str, name: &str, more: Value) -> String {
    let mut body = json!({"name": name, "flow_id": flow, "entrypoint": "f.py:f", "parameter_openapi_schema": {}});
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    api.create_deployment(&body).await.expect("a deployment").id
}

#[tokio::test]
async fn deployments_schedules_and_automations_are_written_and_read() {
    let server = Server::start();
    let api = api(&server.url);
    assert!(api.server().await.expect("a version").version.starts_with('3'));

    let flow = api.create_flow("my flow").await.expect("a flow");
    assert_eq!(api.create_flow("my flow").await.expect("the same"), flow);
    let pool = json!({"name": "pool", "type": "process"});
    api.create_work_pool(&pool).await.expect("a pool");
    assert!(api.create_work_pool(&pool).await.expect_err("it is there").is_conflict());
    let pools = api.work_pools(Some(&names(["pool", "other"]))).await.expect("pools");
    assert_eq!((pools.len(), &pools[0]["type"]), (1, &json!("process")));

    let body = json!({"name": "d", "flow_id": flow, "work_pool_name": "pool", "parameter_openapi_schema": {}});
    let made = api.create_deployment(&body).await.expect("a deployment");
    assert!(!made.existed);
    assert!(api.create_deployment(&body).await.expect("an upsert").existed);

    let schedules = [json!({"schedule": {"cron": "0 9 * * *"}, "active": true, "slug": "daily"})];
    api.add_schedules(&made.id, &schedules).await.expect("schedules");
    let read = api.deployments(&Which::named(["d"])).await.expect("deployments");
    let schedule = read[0]["schedules"][0]["id"].as_str().expect("an id").to_owned();
    api.update_schedule(&made.id, &schedule, &json!({"schedule": {"cron": "0 10 * * *"}})).await.expect("a change");
    api.update_deployment(&made.id, &json!({"description": "new"})).await.expect("a change");
    let read = api.deployments(&Which::ids([made.id.as_str(), "no-uuid"])).await.expect("deployments");
    assert_eq!(read[0]["schedules"][0]["schedule"]["cron"], "0 10 * * *");
    assert_eq!((&read[0]["schedules"][0]["id"], &read[0]["description"]), (&json!(schedule), &json!("new")));
    api.delete_schedule(&made.id, &schedule).await.expect("gone");
    api.delete_schedule(&made.id, &schedule).await.expect("still gone");

    let automation = json!({
        "name": "a", "description": "", "enabled": true, "tags": [],
        "trigger": {"type": "event", "posture": "Reactive", "expect": ["x"], "threshold": 1, "within": 0},
        "actions": [{"type": "run-deployment", "source": "selected", "deployment_id": made.id}],
        "actions_on_trigger": [], "actions_on_resolve": [],
        "owner_resource": format!("prefect.deployment.{}", made.id),
    });
    let id = api.create_automation(&automation).await.expect("an automation");
    let mut changed = automation.clone();
    changed["description"] = json!("new");
    changed.as_object_mut().expect("a mapping").remove("owner_resource");
    api.replace_automation(&id, &changed).await.expect("a change");
    let read = api.automations(None).await.expect("automations");
    assert_eq!((read.len(), &read[0]["description"], &read[0]["id"]), (1, &json!("new"), &json!(id)));
    api.delete_automation(&id).await.expect("gone");
    api.delete_automation(&id).await.expect("still gone");

    let error = api.apply_slas(&made.id, &[json!({"name": "s"})]).await.expect_err("no cloud");
    assert_eq!(error.code(), "E0518");
    api.delete_deployment(&made.id).await.expect("gone");
    api.delete_deployment(&made.id).await.expect("still gone");
    assert!(api.deployments(&Which::All).await.expect("none").is_empty());
    assert!(api.update_deployment(&made.id, &json!({"description": "x"})).await.expect_err("gone").is_not_found());
}

#[tokio::test]
async fn long_lists_are_read_whole_in_pages_of_a_hundred() {
    let server = Server::start();
    let api = api(&server.url);
    let mut flows = Vec::new();
    for n in 0..3 {
        flows.push(api.create_flow(&format!("f{n}")).await.expect("a flow"));
    }
    for n in 0..205 {
        deployment(&api, &flows[n % 3], &format!("d{}", n / 3), json!({})).await;
    }
    let (before, writes) = (sent(&api), api.requests().write);
    let all = api.deployments(&Which::All).await.expect("deployments");
    assert_eq!((all.len(), sent(&api) - before, api.requests().write - writes), (205, 3, 0));
    assert_eq!(api.deployments(&Which::named(["d1", "d2"])).await.expect("some").len(), 6);
    let other = all.iter().find(|row| row["name"] == "d9").expect("d9");
    let both = Which::Of { names: names(["d1"]), ids: BTreeSet::from([other["id"].as_str().expect("id").to_owned()]) };
    assert_eq!(api.deployments(&both).await.expect("some").len(), 4);
    assert_eq!(api.flows(&Which::All).await.expect("flows").len(), 3);
    assert_eq!(api.flows(&Which::named(["f1"])).await.expect("one")[0]["id"], json!(flows[1]));
    assert!(api.flows(&Which::named(Vec::<String>::new())).await.expect("none").is_empty());
}

#[tokio::test]
async fn a_smaller_page_limit_of_the_server_is_respected() {
    let server = Server::start_with(&[("PREFECT_SERVER_API_DEFAULT_LIMIT", "7")]);
    let api = api(&server.url);
    for n in 0..20 {
        api.create_flow(&format!("f{n}")).await.expect("a flow");
        post(&server.url, "/variables/", json!({"name": format!("v{n}"), "value": n}));
    }
    assert_eq!(api.flows(&Which::All).await.expect("flows").len(), 20);
    assert_eq!(api.variables(None).await.expect("variables").len(), 20);
}

#[tokio::test]
async fn blocks_and_variables_are_read_at_once() {
    let server = Server::start();
    let api = api(&server.url);
    post(&server.url, "/variables/", json!({"name": "region", "value": {"a": [1]}}));
    let found = api.variables(Some(&names(["region", "missing"]))).await.expect("variables");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [("region".to_owned(), json!({"a": [1]}))]);

    let types = post(&server.url, "/block_types/filter", json!({"block_types": {"slug": {"any_": ["secret"]}}}));
    let kind = types[0]["id"].clone();
    let schemas =
        post(&server.url, "/block_schemas/filter", json!({"block_schemas": {"block_type_id": {"any_": [kind]}}}));
    for name in ["one", "two"] {
        let body = json!({"name": name, "data": {"value": format!("canary-{name}")}, "block_type_id": kind, "block_schema_id": schemas[0]["id"]});
        post(&server.url, "/block_documents/", body);
    }
    let wanted = |name: &str| ("secret".to_owned(), name.to_owned());
    let before = sent(&api);
    let found = api.blocks(&BTreeSet::from([wanted("one"), wanted("three")])).await.expect("blocks");
    assert_eq!(sent(&api) - before, 1);
    assert_eq!(found.len(), 1);
    assert_eq!(found[&wanted("one")], Secret::new(json!({"value": "canary-one"})));
    assert!(!format!("{found:?}").contains("canary"));
}

#[tokio::test]
async fn planned_runs_are_counted() {
    let server = Server::start();
    let api = api(&server.url);
    let flow = api.create_flow("f").await.expect("a flow");
    let schedules = json!({"schedules": [{"schedule": {"cron": "0 9 * * *"}, "active": true}]});
    let (a, b) = (deployment(&api, &flow, "a", schedules).await, deployment(&api, &flow, "b", json!({})).await);
    let wanted = BTreeSet::from([a.clone(), b]);
    let mut planned = api.planned_runs(&wanted).await.expect("runs");
    for _ in 0..240 {
        if planned.by_deployment.contains_key(&a) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        planned = api.planned_runs(&wanted).await.expect("runs");
    }
    assert_eq!(planned.by_deployment.len(), 1);
    let runs = planned.by_deployment[&a];
    assert!(runs.count >= 3 && runs.next.is_some() && !planned.more, "{planned:?}");
}

#[tokio::test]
async fn the_auth_string_is_sent_and_a_wrong_one_explained() {
    let server = Server::start_with(&[("PREFECT_SERVER_API_AUTH_STRING", "admin:right")]);
    let mut right = connection(&server.url);
    right.auth = Some(Secret::text("admin:right"));
    right.key = Some(Secret::text("ignored"));
    Api::connect(right).expect("a connection").create_flow("f").await.expect("a flow");
    let mut wrong = connection(&server.url);
    wrong.auth = Some(Secret::text("admin:canary"));
    for (connection, sent) in [(wrong, "an auth string was sent"), (connection(&server.url), "neither an API key")] {
        let error = Api::connect(connection).expect("a connection").server().await.expect_err("denied");
        assert_eq!((error.code(), error.status()), ("E0513", Some(401)));
        assert!(error.to_string().contains(sent) && !error.to_string().contains("canary"), "{error}");
        assert!(error.help().contains("PREFECT_API_AUTH_STRING"), "{}", error.help());
    }
}

#[tokio::test]
async fn a_server_that_wants_tokens_gets_them() {
    let server = Server::start_with(&[("PREFECT_SERVER_CSRF_PROTECTION_ENABLED", "true")]);
    let api = api(&server.url);
    let flow = api.create_flow("f").await.expect("a flow");
    deployment(&api, &flow, "d", json!({})).await;
    assert_eq!(api.deployments(&Which::All).await.expect("one").len(), 1);
    // One token serves all: the refused first try, the token, and the three requests themselves.
    assert_eq!(sent(&api), 2 + 3);
    let mut off = connection(&server.url);
    off.csrf = false;
    let error = Api::connect(off).expect("a connection").create_flow("g").await.expect_err("denied");
    assert_eq!(error.code(), "E0513");
}

#[tokio::test]
async fn refusals_of_a_real_server_do_not_echo_what_was_sent() {
    let server = Server::start();
    let api = api(&server.url);
    let flow = api.create_flow("f").await.expect("a flow");
    let schema = json!({"type": "object", "properties": {"x": {"type": "integer"}}});
    let with = |parameters: Value| json!({"name": "d", "flow_id": flow, "parameters": parameters, "enforce_parameter_schema": true, "parameter_openapi_schema": schema});
    let badly_typed = json!({"name": "d", "flow_id": "canary-flow", "job_variables": "canary-variables"});
    for body in [with(json!({"x": "canary-value"})), badly_typed] {
        let error = api.create_deployment(&body).await.expect_err("refused");
        assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let known = api.create_deployment(&with(json!({"x": 1}))).await.expect("a deployment");
    let error = api.update_deployment(&known.id, &json!({"parameters": {"x": "canary-value"}})).await.expect_err("bad");
    assert!(error.to_string().contains("field 'x'") && !error.to_string().contains("canary"), "{error}");
}

#[tokio::test]
async fn many_writes_at_once_all_arrive_once() {
    let server = Server::start();
    let api = api(&server.url);
    let flow = api.create_flow("f").await.expect("a flow");
    let names: Vec<String> = (0..40).map(|n| format!("d{n}")).collect();
    let all = names.iter().map(|name| deployment(&api, &flow, name, json!({})));
    let ids: BTreeSet<String> = futures_util::future::join_all(all).await.into_iter().collect();
    let read = api.deployments(&Which::All).await.expect("deployments");
    assert_eq!((ids.len(), read.len()), (40, 40));
    let automation = |n: usize| {
        json!({
            "name": format!("a{n}"), "trigger": {"type": "event", "posture": "Reactive", "threshold": 1, "within": 0},
            "actions": [{"type": "run-deployment", "deployment_id": ids.iter().nth(n)}],
        })
    };
    let bodies: Vec<Value> = (0..12).map(automation).collect();
    let made = futures_util::future::join_all(bodies.iter().map(|body| api.create_automation(body))).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert_eq!(api.automations(None).await.expect("automations").len(), 12);
}
