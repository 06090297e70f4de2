//! `reconcile drift`: what changed on the API since the last apply, of every kind, whatever git says by now.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::everything::{Bench, CANARIES, DEPLOYMENT, REST};
use crate::support::project::Project;
use crate::support::proxy::Proxy;

#[track_caller]
fn drift(bench: &Bench, code: i32) -> Value {
    serde_json::from_str(&bench.run(&["drift", "--json"], code).stdout).unwrap()
}

/// `changed variable region value`, `gone tag_concurrency_limit heavy`.
fn told(drift: &Value) -> Vec<String> {
    let all = drift["drift"].as_array().unwrap().iter();
    all.map(|one| {
        let paths = one["fields"].as_array().unwrap().iter().map(|field| field["path"].as_str().unwrap());
        let paths: Vec<&str> = paths.collect();
        let word = |key: &str| one[key].as_str().unwrap().to_owned();
        format!("{} {} {} {}", word("state"), word("kind"), word("name"), paths.join(" ")).trim_end().to_owned()
    })
    .collect()
}

/// Everything that `edit` changed by hand.
const EDITED: [&str; 8] = [
    "changed block warehouse/main data.password data.host",
    "changed variable region value",
    "changed work_pool k8s concurrency_limit",
    "changed work_queue k8s/slow priority",
    "changed concurrency_limit db limit",
    "gone tag_concurrency_limit heavy",
    "changed deployment hello/nightly parameters.x",
    "changed automation again enabled",
];

fn edit(bench: &Bench) {
    let http = bench.http();
    http.patch("/variables/name/region", json!({"value": "elsewhere"}));
    http.patch("/work_pools/k8s", json!({"concurrency_limit": 7, "is_paused": true}));
    http.patch("/work_pools/k8s/queues/slow", json!({"priority": 9}));
    http.patch("/v2/concurrency_limits/db", json!({"limit": 9}));
    http.delete("/concurrency_limits/tag/heavy");
    let block = bench.rows("block_documents").into_iter().find(|row| row["name"] == "main").unwrap();
    let path = format!("/block_documents/{}", block["id"].as_str().unwrap());
    http.patch(&path, json!({"data": {"host": "other", "password": CANARIES[0]}}));
    let deployment = http.get("/deployments/name/hello/nightly");
    let path = format!("/deployments/{}", deployment["id"].as_str().unwrap());
    http.patch(&path, json!({"parameters": {"x": "by hand"}, "paused": true}));
    let automation = bench.rows("automations").remove(0);
    let path = format!("/automations/{}", automation["id"].as_str().unwrap());
    http.patch(&path, json!({"enabled": false}));
}

/// What is told of each, in any order of kinds.
fn sorted(mut all: Vec<String>) -> Vec<String> {
    for one in &mut all {
        let mut words: Vec<&str> = one.split(' ').collect();
        words[3..].sort_unstable();
        *one = words.join(" ");
    }
    all.sort();
    all
}

#[test]
fn what_changed_by_hand_is_told_for_every_kind() {
    let bench = Bench::new();
    bench
        .project
        .write("rest.reconcile.yaml", &REST.replace("  - name: again\n", "  - name: again\n    enabled: true\n"));
    let never = bench.run(&["drift", "--json"], 1);
    let json: Value = serde_json::from_str(&never.stdout).unwrap();
    assert!(json["error"]["message"].as_str().unwrap().contains("nothing was applied as `everything`"), "{json:#}");
    bench.run(&["apply", "--yes"], 0);
    let clean = drift(&bench, 0);
    assert_eq!((told(&clean), &clean["undecided"]), (vec![], &json!([])), "{clean:#}");
    edit(&bench);
    let expected = sorted(EDITED.map(str::to_owned).to_vec());
    let proxy = Proxy::in_front_of(&bench.server.url);
    bench.run(&["drift", "--api-url", &proxy.url], 2);
    assert_eq!(proxy.writes(), [], "it writes nothing");
    let found = drift(&bench, 2);
    assert_eq!(sorted(told(&found)), expected, "{found:#}");
    let region = found["drift"].as_array().unwrap().iter().find(|one| one["name"] == "region").unwrap();
    assert_eq!(
        region["fields"],
        json!([{"path": "value", "before": "eu-west-1", "after": "elsewhere"}]),
        "from what was applied to what is there"
    );
    assert!(region["trace"]["updated"].is_string(), "{region:#}");
    let text = bench.run(&["drift"], 2).stdout;
    assert!(text.contains("\"eu-west-1\" → \"elsewhere\"") && text.contains("Drift: 7 changed, 1 gone"), "{text}");
    let page = bench.run(&["drift", "--format", "markdown"], 2).stdout;
    assert!(page.contains("### reconcile drift: everything") && page.contains("- value: "), "{page}");

    // Whatever git says by now, the same drifted; without the old files, not what it was.
    bench
        .project
        .write("prefect.yaml", &DEPLOYMENT.replace("prefect.variables.region }}", "prefect.variables.region }}-x"));
    bench.project.write("rest.reconcile.yaml", "variables: [{ name: region, value: elsewhere }]\n");
    bench.project.remove("blocks.yaml");
    let found = drift(&bench, 2);
    let mut without: Vec<String> = sorted(told(&found));
    // Of an automation only its files can tell.
    let keeps = expected.iter().filter(|one| !one.contains("automation")).cloned().collect::<Vec<_>>();
    without.retain(|one| !one.contains("automation"));
    assert_eq!(without, keeps, "{found:#}");
    let region = found["drift"].as_array().unwrap().iter().find(|one| one["name"] == "region").unwrap();
    assert_eq!(region["fields"][0]["before"], json!({"unknown": "by its digest only"}), "{region:#}");
    // And files that are wrong do not matter to it.
    bench.project.write("rest.reconcile.yaml", "variables: 3\n");
    assert!(drift(&bench, 2)["summary"]["changed"].as_u64().unwrap() >= 6);
}

#[test]
fn with_git_the_applied_commit_says_what_it_was() {
    let mut bench = Bench::new();
    bench.project = std::mem::replace(&mut bench.project, Project::new()).git_init(None);
    bench.run(&["apply", "--yes"], 0);
    bench.http().patch("/variables/name/region", json!({"value": "elsewhere"}));
    let automation = bench.rows("automations").remove(0);
    let path = format!("/automations/{}", automation["id"].as_str().unwrap());
    let fields =
        ["name", "description", "enabled", "tags", "trigger", "actions", "actions_on_trigger", "actions_on_resolve"];
    let mut body: Value = fields.iter().map(|field| ((*field).to_owned(), automation[*field].clone())).collect();
    body["trigger"]["threshold"] = json!(9);
    body["trigger"].as_object_mut().unwrap().remove("id");
    let put = bench.http().request("PUT", &path, Some(&body));
    assert_eq!(put.status, 204, "{}", put.body);
    bench.project.write("rest.reconcile.yaml", "variables: [{ name: region, value: newer }]\n");
    bench.project.git_commit("second");
    let found = drift(&bench, 2);
    assert_eq!(
        sorted(told(&found)),
        ["changed automation again trigger", "changed variable region value"],
        "{found:#}"
    );
    let region = found["drift"].as_array().unwrap().iter().find(|one| one["name"] == "region").unwrap();
    assert_eq!(
        (&region["fields"][0]["before"], &region["fields"][0]["after"]),
        (&json!("eu-west-1"), &json!("elsewhere"))
    );
    assert_eq!(found["undecided"], json!([]), "{found:#}");
}

#[test]
fn ignored_drift_is_none_and_schedules_count() {
    let bench = Bench::new();
    for file in ["blocks.yaml", "rest.reconcile.yaml"] {
        bench.project.remove(file);
    }
    let rest = "work_pools: [{ name: local, type: process, concurrency_limit: 3, lifecycle: { ignore_drift: [concurrency_limit] } }]\n\
                variables: [{ name: region, value: a, tags: [x] }]\n";
    bench.project.write("rest.reconcile.yaml", rest);
    bench.project.write(
        "reconcile.yaml",
        "name: everything\nignore_drift: [\"variable/*: tags\", \"deployment/*/*: paused\"]\n",
    );
    let lines = "    paused: false\n    schedules: [{ cron: \"0 1 * * *\", slug: one }, { cron: \"0 2 * * *\", slug: two }]\n    \
                 triggers: [{ name: t, expect: [x.y] }]\n";
    bench.project.write("prefect.yaml", &format!("{}{lines}", DEPLOYMENT.trim_end_matches('\n').to_owned() + "\n"));
    bench.run(&["apply", "--yes"], 0);
    let http = bench.http();
    http.patch("/work_pools/local", json!({"concurrency_limit": 7}));
    http.patch("/variables/name/region", json!({"tags": ["y"]}));
    let row = http.get("/deployments/name/hello/nightly");
    let path = format!("/deployments/{}", row["id"].as_str().unwrap());
    http.patch(&path, json!({"paused": true}));
    // One that somebody added is not ours.
    http.post(
        &format!("{path}/schedules"),
        json!([{"schedule": {"cron": "0 3 * * *"}, "active": true, "slug": "theirs"}]),
    );
    assert_eq!(told(&drift(&bench, 0)), Vec::<String>::new());
    let schedule = |slug: &str| {
        let all = row["schedules"].as_array().unwrap().iter();
        let id = all.clone().find(|one| one["slug"] == slug).unwrap()["id"].as_str().unwrap().to_owned();
        format!("{path}/schedules/{id}")
    };
    http.patch(&schedule("one"), json!({"schedule": {"cron": "5 1 * * *"}}));
    http.delete(&schedule("two"));
    let found = drift(&bench, 2);
    assert_eq!(told(&found), ["changed deployment hello/nightly schedules[one].cron schedules[two]"], "{found:#}");
    // Of its automation as well.
    let automation = bench.rows("automations").remove(0);
    http.delete(&format!("/automations/{}", automation["id"].as_str().unwrap()));
    assert_eq!(told(&drift(&bench, 2)).last().unwrap(), "gone automation hello/nightly/t");
}

#[test]
fn the_last_event_says_when() {
    let bench = Bench::new();
    bench.run(&["apply", "--yes"], 0);
    bench.http().delete("/variables/name/region");
    bench.http().patch("/variables/name/settings", json!({"value": {"a": 2}}));
    let began = Instant::now();
    loop {
        let found = drift(&bench, 2);
        let names: Vec<&str> = found["drift"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|one| one["trace"]["event"]["name"].as_str())
            .collect();
        if names == ["prefect.variable.deleted", "prefect.variable.updated"] {
            break;
        }
        // Older servers have no events of variables.
        if !crate::support::server_is_at_least((3, 8)) {
            crate::support::skip::skipped("this server tells of no events of variables");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{found:#}");
        sleep(Duration::from_millis(500));
    }
    assert!(bench.run(&["drift"], 2).stdout.contains("last "));
}

#[test]
fn an_api_is_needed_and_a_ledger() {
    let project =
        Project::new().file("reconcile.yaml", "name: x\nledger: false\n").file("prefect.yaml", "deployments: []\n");
    for command in ["drift", "status", "destroy"] {
        let args = [command, "--json", "--yes"];
        let args = if command == "destroy" { &args[..] } else { &args[..2] };
        let output = project.reconcile(args).exits(1);
        let json: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(json["error"]["code"], "E0500", "{json:#}");
        assert!(output.stderr.contains("PREFECT_API_URL"), "{output:?}");
    }
    let bench = Bench::new();
    bench.project.write("reconcile.yaml", "name: everything\nledger: false\n");
    for args in
        [&["drift"][..], &["destroy", "--yes"], &["plan", "--destroy"], &["release", "variable/region", "--yes"]]
    {
        assert!(bench.run(args, 1).stderr.contains("`ledger: false`"), "{args:?}");
    }
}
