//! `reconcile import`: what others made becomes files that plan to nothing; no secret is written.

use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reconcile::manifest::yaml::write;
use serde_json::{Map, Value, json};

use crate::support::project::{Output, Project};
use crate::support::server::Server;
use crate::support::workspace::Workspace;
use crate::support::{python, server_is_at_least};

const CANARY: &str = "canary-5ecret";
const FLOWS: &str = include_str!("imports/flows.py");

fn json_of(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Every file of the project, by path.
fn files(project: &Project) -> Vec<(String, String)> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<(String, String)>) {
        let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            match path.is_dir() {
                true => walk(&path, root, found),
                false => {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    found.push((name, std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(&project.path(), &project.path(), &mut found);
    found
}

fn names(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

/// A plan that finds nothing to do, of so many objects.
#[track_caller]
fn plans_to_nothing(project: &Project, objects: usize) {
    let plan = json_of(&project.reconcile(&["plan", "--json"]).exits(0));
    assert_eq!((&plan["changes"], &plan["held"]), (&json!([]), &json!([])), "{plan:#}");
    assert_eq!(plan["summary"]["unchanged"], objects, "{plan:#}");
}

/// Makes objects by Prefect's own command line and Python.
fn fill(server: &Server) {
    let others = Project::new()
        .api(&server.url)
        .env("PREFECT_LOGGING_TO_API_ENABLED", "false")
        .env("PREFECT_SERVER_EPHEMERAL_ENABLED", "false")
        .file("flows.py", FLOWS)
        .file("gone.py", include_str!("imports/gone.py"))
        .file("fill.py", include_str!("imports/fill.py"))
        .file("prefect.yaml", include_str!("imports/prefect.yaml"));
    for line in [
        "work-pool create local --type process",
        "work-pool create k8s --type kubernetes",
        "work-pool update k8s --concurrency-limit 5 --description the-cluster",
        "work-queue create urgent --pool local --priority 2 --limit 3",
        "--no-prompt deploy --all",
    ] {
        others.prefect(&line.split(' ').collect::<Vec<_>>()).exits(0);
    }
    others.shell(&format!("'{}' fill.py {CANARY}", python().display())).exits(0);
}

#[test]
fn what_others_made_becomes_files_that_plan_to_nothing() {
    if !server_is_at_least((3, 8)) {
        crate::support::skip::skipped("the Python that fills the workspace is newer than this server");
        return;
    }
    let server = Server::start();
    fill(&server);
    let mut project = Project::new().api(&server.url).file("reconcile.yaml", "name: shop\n").file("flows.py", FLOWS);
    let before = files(&project);

    let dry = project.reconcile(&["import", "--all", "--dry-run", "--json"]).exits(0);
    assert_eq!(files(&project), before, "a dry run writes nothing");
    let shown = project.reconcile(&["import", "--all", "--stdout"]).exits(0);
    let done = project.reconcile(&["import", "--all", "--json"]).exits(0);
    let (dry_json, result) = (json_of(&dry), json_of(&done));
    assert_eq!(dry_json["imported"], result["imported"]);
    assert_eq!(
        (&dry_json["written"], &result["written"], &result["owned"]),
        (&json!(false), &json!(true), &json!(true))
    );
    let written = files(&project);
    for file in dry_json["files"].as_array().unwrap() {
        let (_, text) = written.iter().find(|(path, _)| file["path"] == path.as_str()).unwrap();
        assert_eq!(file["text"], text.as_str(), "it says what it would write");
        assert!(shown.stdout.contains(text.as_str()));
    }
    for (path, text) in &written {
        assert!(!text.contains(CANARY), "{path}: {text}");
    }
    let mut said = vec![dry, shown, done];

    let count = result["imported"].as_array().unwrap().len();
    assert_eq!(count, 25, "{:#}", result["imported"]);
    let left = result["left_out"].as_array().unwrap();
    assert_eq!(names(&result["left_out"]), ["gone/elsewhere", "daily__automation_1"]);
    assert!(left[0]["why"].as_str().unwrap().contains("gone.py"), "{left:#?}");
    assert!(left[1]["why"].as_str().unwrap().contains("`hello/daily`"), "{left:#?}");
    let text = |name: &str| &written.iter().find(|(path, _)| path == name).unwrap().1;
    assert!(text("prefect.yaml").contains("# gone/elsewhere is left out"), "{}", text("prefect.yaml"));
    assert!(text("automations.reconcile.yaml").contains("deployment: hello/daily"));
    assert!(text("blocks.reconcile.yaml").contains("warehouse: { block: warehouse/main }"));

    // Files count alone, without what they take from the environment.
    said.push(project.reconcile(&["validate"]).exits(0));
    let missing = project.reconcile(&["plan"]).exits(4);
    assert!(missing.stderr.contains("E0751"), "{missing:?}");
    for secret in result["secrets"].as_array().unwrap() {
        let value = match secret["variable"].as_str().unwrap() {
            "SECRET_TOKEN_VALUE" => CANARY.to_owned(),
            "SECRET_LOGIN_VALUE" => json!({"user": "u", "password": format!("{CANARY}-json")}).to_string(),
            "SECRET_PEM_VALUE" => format!("line one\nline two: {CANARY}\n"),
            "SLACK_WEBHOOK_ALERTS_URL" => format!("https://hooks.slack.com/services/{CANARY}"),
            "WAREHOUSE_MAIN_PASSWORD" => format!("{CANARY}-w"),
            "WEBHOOK_HOOK_URL" => format!("https://example.org/{CANARY}"),
            "WEBHOOK_HOOK_HEADERS" => json!({"A": "b"}).to_string(),
            "REMOTE_FILE_SYSTEM_REMOTE_SETTINGS_SECRET" => format!("{CANARY}-r"),
            other => panic!("{other}"),
        };
        project = project.env(secret["variable"].as_str().unwrap(), &value);
    }
    plans_to_nothing(&project, count);
    let again = project.reconcile(&["import", "--all", "--json"]).exits(0);
    assert_eq!((&json_of(&again)["files"], &json_of(&again)["imported"]), (&json!([]), &json!([])));
    assert_eq!(files(&project), written, "nothing is written twice");
    said.extend([missing, again]);
    for output in said {
        assert!(!output.stdout.contains(CANARY) && !output.stderr.contains(CANARY), "{output:?}");
    }

    // Another scope gets nothing of it, and hears why.
    let other = Project::new().api(&server.url).file("reconcile.yaml", "name: other\n").file("flows.py", FLOWS);
    let refused = other.reconcile(&["import", "variable/region", "--json"]).exits(1);
    assert!(json_of(&refused)["left_out"][0]["why"].as_str().unwrap().contains("scope `shop`"), "{refused:?}");
    let all = json_of(&other.reconcile(&["import", "--all", "--json"]).exits(0));
    assert_eq!(all["imported"], json!([]), "{all:#}");

    // What is new comes into files of other names.
    let workspace = Workspace::of(&server.url);
    workspace.prepare(&[], &[("later", json!(1))], &[]);
    let more = json_of(&project.reconcile(&["import", "variable/*", "--json"]).exits(0));
    assert_eq!(more["files"][0]["path"], "variables-2.reconcile.yaml");
    plans_to_nothing(&project, count + 1);
}

#[test]
fn what_is_asked_for_is_answered() {
    let server = Server::start();
    let workspace = Workspace::of(&server.url);
    let http = server.http();
    workspace.prepare(
        &[("pool", json!({"type": "process"})), ("old", json!({"type": "prefect-agent"}))],
        &[("a", json!("{{ $HOME }}")), ("b", json!(2))],
        &[("secret/x", json!({ "value": CANARY }))],
    );
    http.post("/work_pools/pool/queues", json!({"name": "q", "priority": 3}));
    let event = json!({"type": "event", "posture": "Reactive", "expect": ["x"], "threshold": 1, "within": 0});
    for _ in 0..2 {
        let actions = json!([{"type": "do-nothing"}]);
        http.post("/automations/", json!({"name": "twice", "trigger": event, "actions": actions}));
    }
    let project = Project::new().api(&server.url).file("reconcile.yaml", "name: asked\n");
    for wrong in [&["import"][..], &["import", "--all", "variable/b"], &["import", "flow/x"], &["import", "nonsense"]] {
        project.reconcile(wrong).exits(64);
    }
    let unknown = project.reconcile(&["import", "variable/bb"]).exits(64);
    assert!(unknown.stderr.contains("did you mean `b`?"), "{unknown:?}");
    let why = |name: &str| {
        let output = project.reconcile(&["import", name, "--json"]).exits(1);
        let left = &json_of(&output)["left_out"][0];
        left["why"].as_str().unwrap().to_owned()
    };
    assert!(why("block_type/secret").contains("every Prefect server"));
    assert!(why("work_queue/pool/default").contains("every pool"));
    assert!(why("work_queue/pool/q").contains("import work_pool/pool"));
    assert!(why("work_pool/old").contains("agents"));
    assert!(why("automation/twice").contains("2 automations"));
    assert!(why("variable/a").contains("`value`"), "{}", why("variable/a"));
    let part = project.reconcile(&["import", "variable/a", "work_pool/pool"]).exits(3);
    assert!(part.stdout.contains("+ work_pool pool") && part.stdout.contains("- variable a"), "{part:?}");
    assert_eq!(files(&project).len(), 2, "reconcile.yaml and the pools");
    plans_to_nothing(&project, 2);
    let whole = project.reconcile(&["import", "--all"]).exits(0);
    assert!(whole.stdout.contains("SECRET_X_VALUE") && !whole.stdout.contains(CANARY), "{whole:?}");
    project.write("broken.reconcile.yaml", "variables: [{ nme: x }]\n");
    assert!(project.reconcile(&["import", "--all"]).exits(4).stdout.contains("nothing was written"));
    let narrow =
        Project::new().api(&server.url).file("reconcile.yaml", "name: n\ninclude: [prefect.yaml]\nledger: false\n");
    let told = narrow.reconcile(&["import", "variable/b"]).exits(64);
    assert!(told.stderr.contains("variables.reconcile.yaml") && told.stderr.contains("include"), "{told:?}");
}

/// JSON of every form, with text that YAML has many ways to misread.
fn values() -> impl Strategy<Value = Value> {
    let odd = [
        "yes",
        "No",
        "010",
        "1:30",
        "1e5",
        "2026-01-01",
        "~",
        "",
        " x ",
        "a: b",
        "a #b",
        "a\nb\n",
        "a\n\n",
        "\u{2028}",
        "😀",
        "<<",
        "{{ x }}",
        "{{ event.id }}",
        "{x",
        "'",
        "\"",
        "\\n",
        "\t",
        "null",
        "=",
        "x:",
        "C:\\",
        "---",
        "- a",
        "ümläut",
        "!x",
        "*a",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e9f64..1e9).prop_map(Value::from),
        prop::sample::select(odd.to_vec()).prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z:0-9]{1,6}|yes|on|1:30", inner), 0..4)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

fn some(count: usize) -> Vec<Value> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| values().new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn the_import_of_random_objects_plans_to_nothing() {
    let server = Server::start();
    let workspace = Workspace::of(&server.url);
    let http = server.http();
    let values = some(40);
    let flow = http.post("/flows/", json!({"name": "hello"}))["id"].clone();
    for (n, value) in values.iter().enumerate() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let (name, flag) = (format!("o{n}"), n % 2 == 0);
        http.post("/variables/", json!({"name": name, "value": value, "tags": [text]}));
        workspace.block("secret", &name, &json!({ "value": value }));
        let basepath = format!("/tmp/{n}");
        workspace.block("remote-file-system", &name, &json!({"basepath": basepath, "settings": {"v": value}}));
        http.post(
            "/v2/concurrency_limits/",
            json!({"name": name, "limit": n, "active": flag, "slot_decay_per_second": n as f64 / 7.0}),
        );
        http.post("/concurrency_limits/", json!({"tag": name, "concurrency_limit": n + 1}));
        let plain = if text.contains("{{") { &Value::Null } else { value };
        let template = json!({
            "job_configuration": {"command": "{{ command }}", "x": plain},
            "variables": {"type": "object", "properties": {"command": {"type": "string", "default": text}}},
        });
        let kind = if flag { "process" } else { "odd" };
        let pool =
            json!({"name": name, "type": kind, "description": text, "is_paused": flag, "base_job_template": template});
        http.post("/work_pools/", pool);
        http.post(&format!("/work_pools/{name}/queues"), json!({"name": "q", "priority": n + 2, "description": text}));
        let trigger = match n % 3 {
            0 => {
                json!({"type": "event", "posture": "Proactive", "expect": ["b", "a"], "threshold": n + 1, "within": 60, "match": {"k": text}})
            }
            1 => {
                json!({"type": "event", "posture": "Reactive", "after": ["z", "y"], "expect": [text], "for_each": ["r"], "match_related": [{"a": ["b", "c"]}]})
            }
            _ => {
                json!({"type": "sequence", "within": 90, "triggers": [{"type": "event", "posture": "Reactive", "expect": ["x"]}, {"type": "event", "posture": "Reactive", "expect": ["y"]}]})
            }
        };
        let deployment = json!({
            "name": name, "flow_id": flow, "entrypoint": "flows.py:hello", "description": text, "tags": [text, "b"], "paused": flag,
            "parameters": {"name": text}, "enforce_parameter_schema": false, "work_pool_name": name, "job_variables": {"command": text},
            "pull_steps": [{"a.b": {"c": value}}], "parameter_openapi_schema": schema(),
            "schedules": [{"active": flag, "schedule": {"interval": n as f64 + 30.5, "anchor_date": "2026-01-01T00:00:00+02:00", "timezone": "Europe/Berlin"}, "parameters": {"name": text}}],
            "concurrency_limit": n + 1, "concurrency_options": {"collision_strategy": "CANCEL_NEW"},
        });
        let id = http.post("/deployments/", deployment)["id"].clone();
        let actions = json!([{"type": "run-deployment", "source": "selected", "deployment_id": id, "parameters": {"v": value}}, {"type": "pause-automation", "source": "inferred"}]);
        let automation = json!({"name": name, "description": text, "tags": [text], "enabled": flag, "trigger": trigger, "actions": actions});
        http.post("/automations/", automation);
    }
    let mut project = Project::new().api(&server.url).file("reconcile.yaml", "name: random\n").file("flows.py", FLOWS);
    let result = json_of(&project.reconcile(&["import", "--all", "--json"]).exits(0));
    let mut left = 0;
    for out in result["left_out"].as_array().unwrap() {
        // Templates are filled in everywhere in a deployment, and only those of the environment elsewhere.
        let why = out["why"].as_str().unwrap();
        let n: usize = out["name"].as_str().unwrap().rsplit('o').next().unwrap().parse().unwrap();
        assert!(out["kind"] == "deployment", "{out:#} of {}", values[n]);
        assert!(
            values[n].to_string().contains("{{") || values[n].to_string().trim_matches('"').trim().is_empty(),
            "{why} of {}",
            values[n]
        );
        left += 1;
    }
    let imported = result["imported"].as_array().unwrap().len();
    assert_eq!(imported + left, 9 * values.len(), "{:#}", result["left_out"]);
    assert!(left < values.len() / 2, "{left} are left out");
    for secret in result["secrets"].as_array().unwrap() {
        let n: usize = secret["name"].as_str().unwrap().rsplit('o').next().unwrap().parse().unwrap();
        let text = values[n].as_str().map_or_else(|| values[n].to_string(), str::to_owned);
        project = project.env(secret["variable"].as_str().unwrap(), &text);
    }
    project.reconcile(&["validate"]).exits(0);
    plans_to_nothing(&project, imported);
}

/// What Prefect makes of the flow `hello`.
fn schema() -> Value {
    json!({
        "title": "Parameters", "type": "object", "properties": {
            "name": {"default": "world", "position": 0, "title": "name", "type": "string"},
            "times": {"default": 1, "position": 1, "title": "times", "type": "integer"},
        },
    })
}

#[test]
fn pyyaml_reads_what_was_written() {
    let documents: Vec<(String, Value)> = some(400)
        .into_iter()
        .map(|value| {
            let map = Map::from_iter([("k".to_owned(), value)]);
            (write::mapping(&map, 2, &|_| Some("remark")), Value::Object(map))
        })
        .collect();
    let texts: Vec<&String> = documents.iter().map(|(text, _)| text).collect();
    let project = Project::new().file("texts.json", &serde_json::to_string(&texts).unwrap());
    let code = "import json, yaml; print(json.dumps([yaml.safe_load(t) for t in json.load(open('texts.json'))]))";
    let read = project.shell(&format!("'{}' -I -c \"{code}\"", python().display())).exits(0);
    let read: Vec<Value> = serde_json::from_str(&read.stdout).unwrap();
    assert_eq!(read.len(), documents.len());
    for ((text, value), read) in documents.iter().zip(read) {
        assert_eq!(read, *value, "{text}");
    }
}

/// Automations made by Prefect's own Python, with as little said as it lets one say.
const AUTOMATIONS: &str = r#"
import asyncio
from datetime import timedelta
from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events import CompoundTrigger, EventTrigger, SequenceTrigger
from prefect.events.actions import CallWebhook, DoNothing, PauseWorkPool, SuspendFlowRun

async def main():
    async with get_client() as client:
        pool = await client.create_work_pool(WorkPoolCreate(name="again-pool", type="process"))
    ready = EventTrigger(expect={"prefect.work-pool.ready"}, match={"prefect.resource.id": f"prefect.work-pool.{pool.id}"})
    triggers = [
        EventTrigger(),
        EventTrigger(posture="Proactive", expect={"b", "a"}, within=timedelta(0)),
        EventTrigger(posture="Proactive", expect={"x"}, within=timedelta(minutes=2), threshold=3, for_each={"l"}),
        CompoundTrigger(require="all", within=None, triggers=[EventTrigger(expect={"x"}), ready]),
        CompoundTrigger(require=1, within=timedelta(seconds=5), triggers=[EventTrigger(expect={"x"})]),
        SequenceTrigger(within=None, triggers=[EventTrigger(expect={"x"}), EventTrigger(posture="Proactive", expect={"y"})]),
        ready,
    ]
    for n, trigger in enumerate(triggers):
        actions = [DoNothing(), SuspendFlowRun(), PauseWorkPool(work_pool_id=pool.id), PauseWorkPool(source="inferred")]
        await Automation(name=f"again {n}", enabled=False, trigger=trigger, actions=actions, actions_on_trigger=[DoNothing()]).acreate()

asyncio.run(main())
"#;

/// What an automation is, without what the server counts by.
fn essence(row: &Value) -> Value {
    match row {
        Value::Object(map) => {
            let own = |key: &str| ["id", "created", "updated", "created_by", "updated_by"].contains(&key);
            map.iter().filter(|(key, _)| !own(key)).map(|(key, value)| (key.clone(), essence(value))).collect()
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(essence).collect();
            if items.iter().all(Value::is_string) {
                items.sort_by_key(Value::to_string);
            }
            Value::Array(items)
        }
        other => other.clone(),
    }
}

#[test]
fn automations_that_were_imported_can_be_made_again() {
    if !server_is_at_least((3, 8)) {
        eprintln!("skipped: the Python that makes the automations is newer than this server");
        return;
    }
    let server = Server::start();
    let http = server.http();
    let others =
        Project::new().api(&server.url).env("PREFECT_SERVER_EPHEMERAL_ENABLED", "false").file("make.py", AUTOMATIONS);
    others.shell(&format!("'{}' make.py", python().display())).exits(0);
    let rows = || {
        let mut rows = http.all("automations");
        rows.sort_by_key(|row| row["name"].to_string());
        rows
    };
    let before = rows();
    assert_eq!(before.len(), 7);
    let project = Project::new().api(&server.url).file("reconcile.yaml", "name: again\n");
    let result = json_of(&project.reconcile(&["import", "--all", "--json"]).exits(0));
    assert_eq!(result["left_out"], json!([]), "{result:#}");
    plans_to_nothing(&project, 8);
    for row in &before {
        http.delete(&format!("/automations/{}", row["id"].as_str().unwrap()));
    }
    project.reconcile(&["apply", "--yes"]).exits(0);
    let after = rows();
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(essence(before), essence(after));
        assert_ne!(before["id"], after["id"]);
    }
    assert_eq!(after.len(), before.len());
    plans_to_nothing(&project, 8);
}

#[test]
fn what_looks_like_a_reference_is_left_out_and_a_secret_stays_one() {
    let server = Server::start();
    let workspace = Workspace::of(&server.url);
    workspace.prepare(
        &[],
        &[
            ("from_env", json!({"a": [{"from_env": "HOME"}]})),
            ("from_file", json!({"from_file": "/etc/hostname", "x": 1})),
            ("block", json!({"block": "secret/x"})),
        ],
        &[
            ("secret/env", json!({"value": {"from_env": CANARY}})),
            ("secret/block", json!({"value": {"block": "x", "password": CANARY}})),
            ("remote-file-system/deep", json!({"basepath": "/tmp", "settings": {"a": {"block": "secret/env"}}})),
            ("remote-file-system/env", json!({"basepath": "/tmp", "settings": {"a": {"from_env": "HOME"}}})),
        ],
    );
    let template = json!({
        "job_configuration": {"command": "{{ command }}", "x": {"block": "secret/env"}},
        "variables": {"type": "object", "properties": {"command": {"type": "string"}}},
    });
    server.http().post("/work_pools/", json!({"name": "like", "type": "odd", "base_job_template": template}));
    let project = Project::new().api(&server.url).file("reconcile.yaml", "name: alike\n");
    let result = json_of(&project.reconcile(&["import", "--all", "--json"]).exits(0));
    let left: Vec<(&str, &str)> = result["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|out| (out["name"].as_str().unwrap(), out["why"].as_str().unwrap()))
        .collect();
    for (name, place, key) in [
        ("from_env", "`value.a[0]`", "`from_env`"),
        ("from_file", "`value`", "`from_file`"),
        ("remote-file-system/deep", "`data.settings.a`", "`block`"),
        ("remote-file-system/env", "`data.settings.a`", "`from_env`"),
        ("like", "`base_job_template.job_configuration.x`", "`block`"),
    ] {
        let (_, why) = left.iter().find(|(left, _)| *left == name).unwrap_or_else(|| panic!("{name}: {left:#?}"));
        assert!(why.contains(place) && why.contains(key) && why.contains("reads as a reference"), "{why}");
    }
    assert_eq!(left.len(), 5, "{left:#?}");
    for (path, text) in files(&project) {
        assert!(!text.contains(CANARY), "{path}: {text}");
    }
    let secrets =
        json!({"SECRET_ENV_VALUE": {"from_env": CANARY}, "SECRET_BLOCK_VALUE": {"block": "x", "password": CANARY}});
    let project = secrets
        .as_object()
        .unwrap()
        .iter()
        .fold(project, |project, (name, value)| project.env(name, &value.to_string()));
    plans_to_nothing(&project, 3);
}
