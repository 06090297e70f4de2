//! Resource files against a real server: it takes what is read without a word, refuses what is refused here, and returns
//! what was sent.

use reconcile::diagnostic::has_errors;
use reconcile::manifest::resources::{Item, read};
use reconcile::model::{Abilities, Kind, RepoPath, Tree};
use reconcile::plan::resources::{Facts, House, objects};
use reconcile::plan::want::Object;
use reconcile::resource;
use serde_json::{Value, json};

use crate::schedules::node;
use crate::support::http::{Answer, Http};
use crate::support::server::Server;
use crate::support::{server_is_at_least, server_version};

const ID: &str = "00000000-0000-0000-0000-000000000001";

/// What a file with one item declares, unless it is refused.
fn one(list: &str, item: &Value) -> Option<Vec<Item>> {
    let (items, problems) = read(&RepoPath::new("x.reconcile.yaml"), &node(&json!({ list: [item] })));
    assert!(problems.iter().all(|problem| problem.help.is_some()), "{problems:?}");
    if has_errors(&problems) { None } else { Some(items) }
}

/// The body of the request, sent without looking at it: what a caller without checks would send.
fn raw(list: &str, item: &Value) -> Value {
    let mut body = item.clone();
    let map = body.as_object_mut().unwrap();
    for (from, to) in [("paused", "is_paused"), ("storage", "storage_configuration")] {
        if let Some(value) = map.remove(from) {
            map.insert(to.to_owned(), value);
        }
    }
    if list == "tag_concurrency_limits" {
        let limit = map.remove("limit").unwrap_or_default();
        map.insert("concurrency_limit".to_owned(), limit);
    }
    body
}

fn path(list: &str) -> &'static str {
    match list {
        "variables" => "/variables/",
        "work_pools" => "/work_pools/",
        "queues" => "/work_pools/res-queues/queues",
        "concurrency_limits" => "/v2/concurrency_limits/",
        "tag_concurrency_limits" => "/concurrency_limits/",
        "automations" => "/automations/",
        "block_types" => "/block_types/",
        other => panic!("{other}"),
    }
}

fn post(http: &Http, list: &str, body: &Value) -> Answer {
    http.request("POST", path(list), Some(body))
}

fn names() -> Vec<String> {
    let mut names: Vec<String> =
        ["a b", "A", "a_b", "a-b", "ä", "a.b", "a:b", "a'b", "a\"b", "a?b", "a#b", "a+b", " a", "a,b"]
            .map(|name| format!("{name}-res"))
            .to_vec();
    names.extend(["/", "%", "&", "<", ">"].map(|c| format!("res{c}x")));
    names.extend(["prefect-res", "PreFecTres", "", "'", "\" '", "x", "res9"].map(str::to_owned));
    names.extend([255, 256].map(|n| "r".repeat(n)));
    names
}

/// Items, each with the list that it stands in.
fn items() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    for name in names() {
        all.push(("variables", json!({"name": name, "value": 1})));
        all.push(("work_pools", json!({"name": name, "type": "process"})));
        all.push(("concurrency_limits", json!({"name": name, "limit": 1})));
        all.push(("tag_concurrency_limits", json!({"tag": name, "limit": 1})));
        all.push(("block_types", json!({"name": name, "slug": "res-type"})));
        all.push(("block_types", json!({"name": format!("Res {}", name.len()), "slug": name})));
        all.push(("queues", json!({"name": name})));
    }
    let mut variable =
        |value: Value| all.push(("variables", json!({"name": format!("res-{}", all.len()), "value": value})));
    for value in
        [json!(null), json!({}), json!([1.5, "é"]), json!(true), json!("x".repeat(4998)), json!("x".repeat(4999))]
    {
        variable(value);
    }
    variable(json!("é".repeat(2499)));
    variable(json!("é".repeat(2500)));
    variable(json!(["\n".repeat(1250), "\n".repeat(1245)]));
    variable(json!(["\n".repeat(1250), "\n".repeat(1250)]));
    all
}

#[test]
fn the_server_agrees_about_names_and_values() {
    let server = Server::start();
    let http = server.http();
    http.post("/work_pools/", json!({"name": "res-queues", "type": "process"}));
    let mut wrong = Vec::new();
    let (mut taken, mut refused) = (0, 0);
    for (list, item) in items() {
        let ours = match list {
            "queues" => {
                one("work_pools", &json!({"name": "res-queues", "type": "process", "queues": [item]})).is_some()
            }
            "block_types" => {
                let mut whole = item.clone();
                whole["fields"] = json!({"properties": {}});
                one(list, &whole).is_some()
            }
            _ => one(list, &item).is_some(),
        };
        let answer = post(&http, list, &raw(list, &item));
        // What is there already has a name that was taken.
        let theirs = answer.status < 300 || answer.status == 409;
        match theirs {
            true => taken += 1,
            false => refused += 1,
        }
        let empty = ["name", "tag", "slug"].iter().any(|key| item[*key] == "");
        // An empty name is taken, and nothing finds the object again.
        let on_purpose = empty && !ours;
        if ours != theirs && !on_purpose {
            wrong.push(format!(
                "{list} {}: we say {ours}, the server {}",
                item.to_string().chars().take(80).collect::<String>(),
                answer.status
            ));
        }
    }
    println!("{taken} taken, {refused} refused");
    assert_eq!(wrong, Vec::<String>::new());
}

/// The body of the request that makes an item's object, with one id for everything.
fn body(item: &Item) -> Value {
    let mut problems = Vec::new();
    let house = House { ignore_drift: &[], strict: false };
    let mut objects = objects(std::slice::from_ref(item), &Facts::default(), &house, &mut problems);
    assert!(!has_errors(&problems), "{problems:?}");
    // The block for the results of a pool comes with it.
    let Object { fields, along, .. } = objects.remove(&item.key).unwrap();
    let mut body = Tree::Map(fields.into_iter().chain(along).collect()).revealed(&|_| Some(ID.to_owned())).unwrap();
    let name = if item.key.kind == Kind::TagConcurrencyLimit { "tag" } else { "name" };
    body[name] = item.key.name.clone().into();
    body
}

/// An item of each kind with everything said that can be, and one with nothing.
fn round_trips() -> Vec<(&'static str, Value)> {
    let template = json!({
        "job_configuration": {"command": "{{ command }}", "env": [{"a": "{{ env }}-{{command}}"}]},
        "variables": {"type": "object", "properties": {"command": {"type": "string"}, "env": {"type": "object"}}},
    });
    let step = json!({"my.module.upload": {"bucket": "b"}});
    let actions = json!([
        {"type": "do-nothing"},
        {"type": "run-deployment", "deployment": "f/d", "parameters": {"a": [1]}, "schedule_after": "PT1M"},
        {"type": "run-deployment", "source": "inferred"},
        {"type": "pause-deployment", "deployment": "f/d"},
        {"type": "resume-deployment", "source": "inferred"},
        {"type": "cancel-flow-run"},
        {"type": "suspend-flow-run"},
        {"type": "resume-flow-run"},
        {"type": "delete-flow-run"},
        {"type": "change-flow-run-state", "state": "FAILED", "message": "late"},
        {"type": "pause-work-pool", "work_pool": "p"},
        {"type": "resume-work-pool", "source": "inferred"},
        {"type": "pause-work-queue", "work_queue": "p/q"},
        {"type": "resume-work-queue", "work_queue": "p/q"},
        {"type": "pause-automation", "automation": "other"},
        {"type": "resume-automation", "source": "inferred"},
        {"type": "send-notification", "block": "slack-webhook/ops", "body": "{{ event.id }}"},
        {"type": "call-webhook", "block": "webhook/ops", "payload": "{}"},
    ]);
    let automation = |trigger: Value| {
        let name = format!("trip {trigger}").replace('/', "-");
        ("automations", json!({"name": name, "trigger": trigger, "actions": [{"type": "cancel-flow-run"}]}))
    };
    vec![
        ("variables", json!({"name": "trip", "value": {"b": [1.5, null], "a": 1}, "tags": ["x", "a"]})),
        ("concurrency_limits", json!({"name": "trip", "limit": 0, "active": false, "slot_decay_per_second": 0.25})),
        ("concurrency_limits", json!({"name": "trip2", "limit": 5, "slot_decay_per_second": 1})),
        ("tag_concurrency_limits", json!({"tag": "trip", "limit": 3})),
        ("work_pools", json!({"name": "trip", "type": "process"})),
        (
            "work_pools",
            json!({
                "name": "trip2", "type": "own", "description": "d", "paused": true, "concurrency_limit": 0,
                "base_job_template": template, "storage": {"bundle_upload_step": step, "bundle_execution_step": null},
            }),
        ),
        (
            "work_pools",
            json!({"name": "trip3", "type": "docker", "base_job_template": {}, "storage": {"s3": {
                "bucket": "b", "credentials": {"block": "aws-credentials/prod"},
            }}}),
        ),
        ("work_pools", json!({"name": "trip4", "type": "docker", "description": null, "storage": {}})),
        (
            "automations",
            json!({
                "name": "trip", "description": "d", "enabled": false, "tags": ["t"], "actions": actions,
                "actions_on_trigger": [{"type": "do-nothing"}], "actions_on_resolve": [{"type": "cancel-flow-run"}],
                "trigger": {"expect": ["z", "b", "a"], "after": ["y", "x"], "for_each": ["l", "k"], "threshold": 3,
                            "within": "PT30S", "match": {"prefect.resource.id": ["a", "b"]}},
            }),
        ),
        automation(json!({})),
        automation(json!({"posture": "Proactive", "within": 30})),
        automation(json!({"expect": ["prefect.flow-run.Failed"], "deployment": "f/d"})),
        automation(json!({"expect": ["prefect.work-pool.not-ready"], "work_pool": "p"})),
        automation(json!({"expect": ["x"], "match_related": {"a": "b"}, "work_queue": "p/q", "automation": "other"})),
        automation(json!({"type": "compound", "require": "any", "within": 60,
            "triggers": [{"expect": ["b", "a"], "deployment": "f/d"}, {"posture": "Proactive", "within": 20}]})),
        automation(json!({"triggers": [{"triggers": [{"expect": ["q", "p"]}], "require": 1}, {}], "within": 60})),
    ]
}

fn row(http: &Http, kind: Kind, posted: &Value, name: &str) -> Value {
    match kind {
        Kind::Variable => http.get(&format!("/variables/name/{name}")),
        Kind::ConcurrencyLimit => http.get(&format!("/v2/concurrency_limits/{name}")),
        Kind::TagConcurrencyLimit => http.get(&format!("/concurrency_limits/tag/{name}")),
        Kind::WorkPool => http.get(&format!("/work_pools/{name}")),
        _ => http.get(&format!("/automations/{}", posted["id"].as_str().unwrap())),
    }
}

#[test]
fn what_is_sent_is_what_is_found() {
    let server = Server::start();
    let http = server.http();
    let mut wrong = Vec::new();
    for (list, item) in round_trips() {
        // `delete-flow-run` is of 3.7.2.
        if list == "automations" && !server_is_at_least((3, 8)) {
            eprintln!("skipped: Prefect {} does not know all actions of automations", server_version());
            continue;
        }
        let items = one(list, &item).unwrap_or_else(|| panic!("refused: {item}"));
        let (key, body) = (&items[0].key, body(&items[0]));
        let answer = post(&http, list, &body);
        if answer.status >= 300 {
            wrong.push(format!("{key}: {answer:?}"));
            continue;
        }
        let row = row(&http, key.kind, &answer.body, &key.name);
        assert_eq!(resource::name(key.kind, &row).as_deref(), Some(key.name.as_str()));
        for field in resource::rules(key.kind).fields {
            let found = Tree::from(resource::found(key.kind, &row, field.name));
            let wanted = body.get(field.name).map_or_else(|| Tree::from(field.default_value()), Tree::from);
            if found != wanted {
                wrong.push(format!("{key} {}: sent {}, found {}", field.name, wanted.masked(), found.masked()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// What is known of block types is what a server of the version has whose rules we follow.
#[test]
fn known_block_types_are_those_of_a_server() {
    if !Abilities::of(server_version()).empties_job_variables {
        return eprintln!("skipped: Prefect {} has other block types than 3.8.8", server_version());
    }
    let http = Server::shared().http();
    for (slug, known) in reconcile::manifest::resources::known_types() {
        let row = http.get(&format!("/block_types/slug/{slug}"));
        assert_eq!(row["name"], known.name.as_str(), "{slug}");
        let schema = http.get(&format!("/block_schemas/checksum/{}", known.checksum));
        assert_eq!(schema["block_type_id"], row["id"], "{slug}");
        let mut secret: Vec<&str> =
            schema["fields"]["secret_fields"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        secret.sort_unstable();
        secret.dedup();
        assert_eq!(secret, known.secret_fields, "{slug}");
    }
}

/// The JSON Schema takes what is read without a word, and refuses what is misspelt.
#[test]
fn the_schema_agrees() {
    let validator = jsonschema::draft202012::new(&reconcile::manifest::schema::resources()).unwrap();
    let block = |data: Value| ("blocks", json!({"type": "s3-bucket", "name": "a", "data": data}));
    let mut good = round_trips();
    good.push(block(json!({"bucket_name": "b", "credentials": {"block": "aws-credentials/prod"}})));
    good.push(block(json!({"bucket_name": {"from_env": "B"}, "bucket_folder": null})));
    good.push(("blocks", json!({"type": "own", "name": "a", "data": {"x": 1}, "schema": {"version": "1"}})));
    good.push((
        "block_types",
        json!({"slug": "own", "name": "Own", "fields": {"properties": {"x": {"type": "string"}}}}),
    ));
    good.push((
        "work_pools",
        json!({"name": "k", "type": "kubernetes", "queues": [{"name": "q", "priority": 1}],
        "base_job_template": {"default": true, "patch": {"variables.properties.namespace.default": "flows"}},
        "lifecycle": {"prune": false, "adopt": true}}),
    ));
    for (list, item) in good {
        let file = json!({ list: [item] });
        let errors: Vec<String> = validator.iter_errors(&file).map(|error| error.to_string()).collect();
        assert!(errors.is_empty() && one(list, &item).is_some(), "{item}: {errors:?}");
    }
    let bad = [
        block(json!({"bucket_name": 7})),
        ("variables", json!({"name": "A", "value": 1})),
        ("variables", json!({"name": "a", "value": 1, "tgas": []})),
        ("concurrency_limits", json!({"name": "a", "limit": -1})),
        ("work_pools", json!({"name": "a", "type": "p", "queues": [{"name": "q", "priority": 0}]})),
        ("automations", json!({"name": "a", "trigger": {}, "actions": [{"type": "cancel"}]})),
        ("automations", json!({"name": "a", "trigger": {"expcet": []}, "actions": []})),
    ];
    for (list, item) in bad {
        assert!(!validator.is_valid(&json!({ list: [item] })), "{item}");
    }
}
