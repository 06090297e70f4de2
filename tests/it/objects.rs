//! Every kind of object on a real server: made, listed, changed, deleted, and made once whatever happens.

mod blocks;
mod usage;

use std::collections::BTreeSet;
use std::time::Duration;

use reconcile::api::{Api, ApiError, Which};
use reconcile::model::{Connection, Key, Kind};
use serde_json::{Value, json};

use crate::support::http::Http;
use crate::support::proxy::{Proxy, Request, Verdict};
use crate::support::{Server, sent, server_is_at_least};

pub fn connection(url: &str) -> Connection {
    let mut connection = Connection::new(url);
    connection.retry_delay = Duration::from_millis(50);
    connection
}

pub fn api(url: &str) -> Api {
    Api::connect(connection(url)).unwrap()
}

/// The rows of one name.
pub async fn named(api: &Api, key: &Key) -> Vec<Value> {
    let found = api.objects(key.kind, &Which::named([key.name.as_str()])).await.unwrap();
    assert!(found.iter().all(|(found, _)| found == key), "{key}: {found:?}");
    found.into_iter().map(|(_, row)| row).collect()
}

fn id(row: &Value) -> String {
    row["id"].as_str().unwrap().to_owned()
}

/// How many block types a server registers. Prefect 3.4 has `date-time`, `json` and `string` as well.
fn block_types() -> usize {
    if server_is_at_least((3, 6)) { 54 } else { 57 }
}

fn automation(description: &str) -> Value {
    json!({
        "description": description, "enabled": false, "tags": [],
        "trigger": {"type": "event", "posture": "Reactive", "expect": ["x"], "threshold": 1, "within": 0},
        "actions": [{"type": "do-nothing"}], "actions_on_trigger": [], "actions_on_resolve": [],
    })
}

/// One object of each kind: how it is made, how it is changed, and where that shows in a row.
struct Sample {
    key: Key,
    made: Value,
    change: Value,
    at: &'static str,
    changed: Value,
}

fn sample(kind: Kind, name: &str, made: Value, change: Value, at: &'static str, changed: Value) -> Sample {
    Sample { key: Key::new(kind, name), made, change, at, changed }
}

/// A sample of each kind, in an order in which they can be made. `tag` keeps tests apart.
fn samples(tag: &str, flow: &str) -> Vec<Sample> {
    let name = |name: &str| format!("{tag}{name}");
    let fields =
        |title: &str| json!({"title": title, "type": "object", "properties": {}, "block_type_slug": name("type")});
    let deployment = json!({"flow_id": flow, "entrypoint": "f.py:f", "parameter_openapi_schema": {}});
    vec![
        sample(
            Kind::BlockType,
            &name("type"),
            json!({"name": name(" Type"), "description": "a < b", "fields": fields("A"), "capabilities": [], "version": "1"}),
            json!({"description": "a > b", "fields": fields("B"), "version": "2"}),
            "/block_schema/fields/title",
            json!("B"),
        ),
        sample(
            Kind::Block,
            &format!("secret/{}", name("block")),
            json!({"data": {"value": "old"}}),
            json!({"data": {"value": "new"}}),
            "/data/value",
            json!("new"),
        ),
        sample(
            Kind::Variable,
            &name("variable"),
            json!({"value": {"a": 1}, "tags": ["t"]}),
            json!({"value": [2]}),
            "/value",
            json!([2]),
        ),
        sample(
            Kind::WorkPool,
            &name("pool"),
            json!({"type": "process"}),
            json!({"description": "new"}),
            "/description",
            json!("new"),
        ),
        sample(
            Kind::WorkQueue,
            &format!("{}/queue", name("pool")),
            json!({"priority": 3}),
            json!({"priority": 5}),
            "/priority",
            json!(5),
        ),
        sample(Kind::ConcurrencyLimit, &name("limit"), json!({"limit": 3}), json!({"limit": 4}), "/limit", json!(4)),
        sample(
            Kind::TagConcurrencyLimit,
            &name("tag"),
            json!({"concurrency_limit": 3}),
            json!({"concurrency_limit": 4}),
            "/concurrency_limit",
            json!(4),
        ),
        sample(Kind::Flow, &name("flow"), json!({}), json!({"tags": ["t"]}), "/tags/0", json!("t")),
        sample(
            Kind::Deployment,
            &format!("{}/deployment", name("main")),
            deployment,
            json!({"description": "new"}),
            "/description",
            json!("new"),
        ),
        sample(
            Kind::Automation,
            &name("automation"),
            automation("old"),
            automation("new"),
            "/description",
            json!("new"),
        ),
    ]
}

#[tokio::test]
async fn every_kind_is_made_listed_changed_and_deleted() {
    let server = Server::shared();
    let api = api(&server.url);
    let flow = api.create_flow("round-main").await.unwrap();
    let samples = samples("round-", &flow);
    assert_eq!(samples.iter().map(|sample| sample.key.kind).collect::<Vec<_>>(), Kind::ALL);
    let mut ids = Vec::new();
    for Sample { key, made, change, at, changed } in &samples {
        assert!(named(&api, key).await.is_empty(), "{key}");
        let id = api.create_object(key, made).await.unwrap_or_else(|error| panic!("{key}: {error}"));
        let rows = named(&api, key).await;
        assert_eq!((rows.len(), &rows[0]["id"]), (1, &json!(id)), "{key}");
        assert_ne!(rows[0].pointer(at), Some(changed), "{key}");
        let by_id = api.objects(key.kind, &Which::ids([id.as_str()])).await.unwrap();
        assert_eq!(by_id, [(key.clone(), rows[0].clone())]);
        api.update_object(key, &id, change).await.unwrap_or_else(|error| panic!("{key}: {error}"));
        let rows = named(&api, key).await;
        assert_eq!((rows.len(), rows[0].pointer(at), &rows[0]["id"]), (1, Some(changed), &json!(id)), "{key}");
        let all = api.objects(key.kind, &Which::All).await.unwrap();
        assert!(all.iter().any(|(found, row)| found == key && row["id"] == *id), "{key}");
        ids.push(id);
    }
    for (Sample { key, made, .. }, id) in samples.iter().zip(&ids) {
        match key.kind {
            // The API makes them equal, or gives the one that is there; automations are known by id alone.
            Kind::TagConcurrencyLimit | Kind::Flow | Kind::Deployment | Kind::Automation => {}
            Kind::BlockType
            | Kind::Block
            | Kind::Variable
            | Kind::WorkPool
            | Kind::WorkQueue
            | Kind::ConcurrencyLimit => {
                let error = api.create_object(key, made).await.expect_err("it is there");
                assert!(error.is_conflict(), "{key}: {error}");
            }
        }
        assert_eq!(named(&api, key).await[0]["id"], json!(id), "{key}");
    }
    for (Sample { key, .. }, id) in samples.iter().zip(&ids).rev() {
        for time in ["first", "second"] {
            api.delete_object(key, id).await.unwrap_or_else(|error| panic!("{time} {key}: {error}"));
            assert!(named(&api, key).await.is_empty(), "{key}");
        }
    }
}

/// How often a request was sent that can make an object at this path.
fn is_post_to(request: &Request, path: &str) -> bool {
    request.method == "POST" && request.path.trim_end_matches('/').ends_with(path.trim_end_matches('/'))
}

/// Where a kind is made.
fn making(kind: Kind) -> &'static str {
    match kind {
        Kind::BlockType => "/block_types",
        Kind::Block => "/block_documents",
        Kind::Variable => "/variables",
        Kind::WorkPool => "/work_pools",
        Kind::WorkQueue => "/queues",
        Kind::ConcurrencyLimit | Kind::TagConcurrencyLimit => "/concurrency_limits",
        Kind::Flow => "/flows",
        Kind::Deployment => "/deployments",
        Kind::Automation => "/automations",
    }
}

/// The first POST to `path` meets `verdict`, all else passes.
fn once(proxy: &Proxy, path: &'static str, verdict: &Verdict) {
    let (left, verdict) = (std::sync::atomic::AtomicBool::new(true), verdict.clone());
    proxy.rule(move |request| {
        match is_post_to(request, path) && left.swap(false, std::sync::atomic::Ordering::SeqCst) {
            true => verdict.clone(),
            false => Verdict::Pass,
        }
    });
}

#[tokio::test]
async fn an_unclear_failure_makes_exactly_one() {
    let server = Server::start();
    let proxy = Proxy::in_front_of(&server.url);
    let api = api(&proxy.url);
    let busy = Verdict::Answer(503, "{}".to_owned());
    for (name, verdict) in
        [("after", Verdict::CutAfter), ("before", Verdict::CutBefore), ("amid", Verdict::CutAmid), ("busy", busy)]
    {
        let flow = api.create_flow(&format!("once-{name}-main")).await.unwrap();
        for Sample { key, made, .. } in samples(&format!("once-{name}-"), &flow) {
            once(&proxy, making(key.kind), &verdict);
            proxy.reset();
            let id = api.create_object(&key, &made).await.unwrap_or_else(|error| panic!("{name} {key}: {error}"));
            let rows = named(&api, &key).await;
            assert_eq!(rows.iter().map(self::id).collect::<Vec<_>>(), [id], "{name} {key}");
            let tries = proxy.requests().iter().filter(|request| is_post_to(request, making(key.kind))).count();
            let arrived = matches!(name, "after" | "amid");
            // A busy database may have refused the one that was cut off.
            assert!(tries == 2 || (arrived && tries == 1), "{name} {key}: {tries}");
            if key.kind == Kind::BlockType {
                assert_eq!(rows[0]["block_schema"]["version"], "1", "{name}");
            }
        }
    }
}

#[tokio::test]
async fn what_others_made_is_not_taken_for_ours_after_an_unclear_failure() {
    let server = Server::start();
    let proxy = Proxy::in_front_of(&server.url);
    let api = api(&proxy.url);
    let key = Key::new(Kind::Variable, "theirs");
    server.http().post("/variables/", json!({"name": "theirs", "value": 1}));
    // The server's clock shows whole seconds, and a little more is allowed for.
    tokio::time::sleep(Duration::from_secs(4)).await;
    once(&proxy, making(key.kind), &Verdict::CutAfter);
    let error = api.create_object(&key, &json!({"value": 2})).await.expect_err("it is somebody else's");
    assert!(error.is_conflict(), "{error}");
    assert_eq!(named(&api, &key).await[0]["value"], json!(1));
}

#[tokio::test]
async fn a_refusal_after_a_try_that_was_not_answered_leaves_it_open() {
    let server = Server::shared();
    let proxy = Proxy::in_front_of(&server.url);
    let flow = api(&server.url).create_flow("doubt-main").await.unwrap();
    let refusal = || Verdict::Answer(422, "{\"detail\": \"no\"}".to_owned());
    for Sample { key, made, .. } in samples("doubt-", &flow) {
        // Needs its type or its pool, or is made by two requests.
        if matches!(key.kind, Kind::BlockType | Kind::WorkQueue) {
            continue;
        }
        for unanswered in [false, true] {
            let api = api(&proxy.url);
            let tries = std::sync::atomic::AtomicUsize::new(0);
            proxy.rule(move |request| {
                let is_first = || tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
                match is_post_to(request, making(key.kind)) {
                    true if unanswered && is_first() => Verdict::CutBefore,
                    true => refusal(),
                    false => Verdict::Pass,
                }
            });
            let error = api.create_object(&key, &made).await.expect_err("it is refused");
            assert_eq!((error.status(), error.is_refusal()), (Some(422), !unanswered), "{key}: {error}");
        }
    }
}

#[tokio::test]
async fn without_a_clock_nothing_is_made_twice() {
    let server = Server::shared();
    let (plain, proxy) = (api(&server.url), Proxy::in_front_of(&server.url));
    let lossy = |path: &'static str| {
        let left = std::sync::atomic::AtomicBool::new(true);
        proxy.rule(move |request| {
            match is_post_to(request, path) && left.swap(false, std::sync::atomic::Ordering::SeqCst) {
                true => Verdict::CutAfter,
                false => Verdict::Timeless,
            }
        });
    };
    // A busy database may have refused the one that was cut off: then the second is the only one.
    let is_open = |result: Result<(), ApiError>| match result {
        Ok(()) => {}
        Err(error) => assert!(error.code() == "E0516" && error.to_string().contains("`Date`"), "{error}"),
    };
    let flow = plain.create_flow("timeless-main").await.unwrap();
    for Sample { key, made, .. } in samples("timeless-", &flow) {
        if matches!(key.kind, Kind::BlockType | Kind::WorkQueue) {
            continue;
        }
        lossy(making(key.kind));
        is_open(api(&proxy.url).create_object(&key, &made).await.map(drop));
        assert_eq!(named(&plain, &key).await.len(), 1, "{key}");
    }
    let name = ["timeless-main/deployment"];
    let deployment = plain.objects(Kind::Deployment, &Which::named(name)).await.unwrap()[0].1["id"].clone();
    let deployment = deployment.as_str().unwrap();
    lossy("/schedules");
    let schedule = json!({"schedule": {"cron": "0 6 * * *", "timezone": "UTC"}, "active": false});
    is_open(api(&proxy.url).add_schedules(deployment, &[schedule]).await);
    let schedules = server.http().get(&format!("/deployments/{deployment}/schedules"));
    assert_eq!(schedules.as_array().unwrap().len(), 1, "{schedules:#}");
}

#[tokio::test]
async fn two_automations_of_one_name_are_both_listed() {
    let server = Server::shared();
    let api = api(&server.url);
    let key = Key::new(Kind::Automation, "twins");
    let first = api.create_object(&key, &automation("one")).await.unwrap();
    let second = api.create_object(&key, &automation("two")).await.unwrap();
    let ids: BTreeSet<String> = named(&api, &key).await.iter().map(id).collect();
    assert_eq!(ids, BTreeSet::from([first.clone(), second.clone()]));
    api.delete_object(&key, &first).await.unwrap();
    let mut owned = automation("three");
    owned["owner_resource"] = json!("prefect.deployment.x");
    api.update_object(&key, &second, &owned).await.unwrap();
    assert_eq!(named(&api, &key).await[0]["description"], json!("three"));
    api.delete_object(&key, &second).await.unwrap();
}

#[tokio::test]
async fn hostile_names_name_one_object() {
    let server = Server::start();
    let api = api(&server.url);
    let pool = "a b?c#d{id}ü;=+\"'\\";
    let odd = |kind, name: &str, made, change, at| sample(kind, name, made, change, at, json!(9));
    let flow = api.create_flow("f?x y").await.unwrap();
    let deployment = json!({"flow_id": flow, "entrypoint": "f.py:f", "parameter_openapi_schema": {}});
    let limit = json!({"concurrency_limit": 9});
    let (one, nine) = (json!({"concurrency_limit": 1}), limit.clone());
    let samples = [
        odd(Kind::WorkPool, pool, json!({"type": "process"}), limit.clone(), "/concurrency_limit"),
        odd(Kind::WorkQueue, &format!("{pool}/q ?#{{name}}"), json!({}), limit.clone(), "/concurrency_limit"),
        odd(Kind::ConcurrencyLimit, "x ?#..", json!({"limit": 1}), json!({"limit": 9}), "/limit"),
        odd(
            Kind::ConcurrencyLimit,
            "7b0d2b3a-61a1-4a3c-8f6a-94f3a9e4b1c2",
            json!({"limit": 1}),
            json!({"limit": 9}),
            "/limit",
        ),
        odd(Kind::TagConcurrencyLimit, "a..b ?#{id}", one.clone(), nine.clone(), "/concurrency_limit"),
        odd(Kind::TagConcurrencyLimit, "..", one, nine, "/concurrency_limit"),
        sample(Kind::Deployment, "f?x y/d #1", deployment, json!({"description": "9"}), "/description", json!("9")),
    ];
    for Sample { key, made, change, at, changed } in &samples {
        let id = api.create_object(key, made).await.unwrap_or_else(|error| panic!("{key}: {error}"));
        api.update_object(key, &id, change).await.unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(named(&api, key).await[0].pointer(at), Some(changed), "{key}");
    }
    for Sample { key, .. } in samples.iter().rev() {
        let there = id(&named(&api, key).await[0]);
        api.delete_object(key, &there).await.unwrap_or_else(|error| panic!("{key}: {error}"));
        assert!(named(&api, key).await.is_empty(), "{key}");
    }
    for key in
        [Key::new(Kind::WorkPool, ".."), Key::new(Kind::WorkQueue, "default-pool/.."), Key::new(Kind::WorkQueue, "q")]
    {
        let before = api.requests();
        for result in [
            api.create_object(&key, &json!({"type": "process"})).await.map(drop),
            api.delete_object(&key, "7b0d2b3a-61a1-4a3c-8f6a-94f3a9e4b1c2").await,
        ] {
            assert!(result.is_err_and(|error| error.to_string().contains("cannot stand in an address")), "{key}");
        }
        assert_eq!(api.requests(), before, "nothing is sent");
    }
}

#[tokio::test]
async fn a_pool_that_others_made_anew_is_not_deleted() {
    let server = Server::start();
    let (api, http) = (api(&server.url), server.http());
    let key = Key::new(Kind::WorkPool, "pool");
    let old = api.create_object(&key, &json!({"type": "process"})).await.unwrap();
    http.delete("/work_pools/pool");
    http.post("/work_pools/", json!({"name": "pool", "type": "process"}));
    api.delete_object(&key, &old).await.unwrap();
    assert_eq!(named(&api, &key).await.len(), 1);
}

#[tokio::test]
async fn refusals_keep_what_was_sent_to_themselves() {
    let server = Server::shared();
    let api = api(&server.url);
    let canary = "canary-4711";
    let template = json!({
        "job_configuration": {"env": {"TOKEN": canary}, "command": "{{ missing }}"}, "variables": {"properties": {"a": {"default": canary}}},
    });
    let mut action = automation("x");
    action["actions"] = json!([{"type": "run-deployment", "deployment_id": "no-uuid", "parameters": {"p": canary}}]);
    let mut hook = automation("x");
    hook["actions"] = json!([{"type": "call-webhook", "block_document_id": 7, "payload": canary}]);
    let cases = [
        (Key::new(Kind::Block, "secret/Not_A_Name"), json!({"data": {"value": canary}})),
        (Key::new(Kind::Variable, "leak"), json!({"value": canary.repeat(1000)})),
        (Key::new(Kind::Variable, "leak"), json!({"value": canary, "tags": "no list"})),
        (Key::new(Kind::WorkPool, "leak"), json!({"type": "process", "base_job_template": template})),
        (
            Key::new(Kind::WorkPool, "leak"),
            json!({"type": "process", "base_job_template": {"job_configuration": canary}}),
        ),
        (Key::new(Kind::Automation, "leak"), action),
        (Key::new(Kind::Automation, "leak"), hook),
    ];
    for (key, body) in cases {
        let error = api.create_object(&key, &body).await.expect_err("it is refused");
        let told = format!("{error} {error:?} {}", error.help());
        assert!(!told.contains("canary") && matches!(error, ApiError::Refused { status: 422, .. }), "{key}: {told}");
    }
    let key = Key::new(Kind::Block, "secret/leak-block");
    let id = api.create_object(&key, &json!({"data": {"value": "x"}})).await.unwrap();
    let error = api.update_object(&key, &id, &json!({})).await.expect_err("no data");
    assert!(error.to_string().contains("`data` is missing"), "{error}");
    assert_eq!(named(&api, &key).await[0]["data"]["value"], json!("x"), "and nothing was wiped");
}

#[tokio::test]
async fn lists_are_read_in_few_requests() {
    let server = Server::start();
    let api = api(&server.url);
    let flow = api.create_flow("bulk-main").await.unwrap();
    for Sample { key, made, .. } in samples("bulk-", &flow) {
        api.create_object(&key, &made).await.unwrap();
    }
    for n in 0..30 {
        api.create_object(&Key::new(Kind::WorkPool, format!("p{n}")), &json!({"type": "process"})).await.unwrap();
    }
    let expected = [
        (Kind::BlockType, 1 + block_types(), 2),
        (Kind::Block, 1, 1),
        (Kind::Variable, 1, 1),
        (Kind::WorkPool, 31, 1),
        (Kind::WorkQueue, 32, 1),
        (Kind::ConcurrencyLimit, 1, 1),
        (Kind::TagConcurrencyLimit, 1, 2),
        (Kind::Flow, 2, 1),
        (Kind::Deployment, 1, 2),
        (Kind::Automation, 1, 1),
    ];
    let mut seen = Vec::new();
    for (kind, ..) in expected {
        let before = sent(&api);
        let found = api.objects(kind, &Which::All).await.unwrap();
        let reads = sent(&api) - before;
        let names: Vec<String> = found.iter().map(|(key, _)| key.name.clone()).collect();
        let some = api.objects(kind, &Which::named(names.clone())).await.unwrap();
        assert_eq!(some.len(), found.len(), "{kind}");
        assert_eq!(sent(&api) - before, 2 * reads, "{kind}: by name it takes as many");
        seen.push((kind, found.len(), reads));
    }
    assert_eq!(seen, expected);
    let before = api.requests();
    for kind in Kind::ALL {
        assert!(api.objects(kind, &Which::ids(Vec::<String>::new())).await.unwrap().is_empty());
    }
    assert_eq!(api.requests(), before, "nobody is asked for nothing");
}

#[tokio::test]
async fn short_pages_lose_nothing() {
    let server = Server::start_with(&[("PREFECT_SERVER_API_DEFAULT_LIMIT", "7")]);
    let (api, http) = (api(&server.url), server.http());
    for n in 0..12 {
        http.post("/v2/concurrency_limits/", json!({"name": format!("a{n}"), "limit": 1}));
        http.post("/concurrency_limits/", json!({"tag": format!("t{n}"), "concurrency_limit": n}));
        http.post("/work_pools/", json!({"name": format!("p{n}"), "type": "process"}));
        http.post(&format!("/work_pools/p{n}/queues"), json!({"name": "more"}));
    }
    let tags = api.objects(Kind::TagConcurrencyLimit, &Which::All).await.unwrap();
    let limits: BTreeSet<(String, u64)> =
        tags.iter().map(|(key, row)| (key.name.clone(), row["concurrency_limit"].as_u64().unwrap())).collect();
    assert_eq!(limits, (0..12).map(|n| (format!("t{n}"), n)).collect());
    assert_eq!(api.objects(Kind::ConcurrencyLimit, &Which::All).await.unwrap().len(), 12);
    assert_eq!(api.objects(Kind::WorkQueue, &Which::All).await.unwrap().len(), 24);
    let some = Which::named(["p3/default", "p11/more", "p11/missing", "missing/more"]);
    assert_eq!(api.objects(Kind::WorkQueue, &some).await.unwrap().len(), 2);
    assert_eq!(api.objects(Kind::BlockType, &Which::All).await.unwrap().len(), block_types());
}

#[tokio::test]
async fn queues_are_asked_for_pool_by_pool_where_their_list_loses_rows() {
    let server = Server::start();
    let proxy = Proxy::in_front_of(&server.url);
    let (api, http): (Api, Http) = (api(&proxy.url), server.http());
    for n in 0..3 {
        http.post("/work_pools/", json!({"name": format!("p {n}"), "type": "process"}));
    }
    let doubled = json!([{"id": "a", "name": "default"}, {"id": "a", "name": "default"}]).to_string();
    proxy.rule(move |request| match request.path.ends_with("/work_queues/filter") {
        true => Verdict::Answer(200, doubled.clone()),
        false => Verdict::Pass,
    });
    assert_eq!(api.objects(Kind::WorkQueue, &Which::All).await.unwrap().len(), 3);
    let some = Which::named(["p 1/default", "gone/default"]);
    let found = api.objects(Kind::WorkQueue, &some).await.unwrap();
    assert_eq!(found.into_iter().map(|(key, _)| key.name).collect::<Vec<_>>(), ["p 1/default"]);
}

#[tokio::test]
async fn the_last_queue_cannot_go_and_the_next_request_does_not_suffer() {
    let server = Server::start();
    let api = api(&server.url);
    api.create_object(&Key::new(Kind::WorkPool, "pool"), &json!({"type": "process"})).await.unwrap();
    let key = Key::new(Kind::WorkQueue, "pool/default");
    let there = id(&named(&api, &key).await[0]);
    let error = api.delete_object(&key, &there).await.expect_err("a server error");
    assert!(matches!(error, ApiError::Failing { .. }), "{error}");
    assert_eq!(named(&api, &key).await.len(), 1);
}
