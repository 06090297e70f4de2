//! `reconcile dev`: a private server, a watch and a worker in one process.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::local_server::Cache;
use crate::support::http::Http;
use crate::support::project::Project;
use crate::support::watcher::Watcher;

const FLOW: &str =
    "from prefect import flow\n\n@flow(log_prints=False)\ndef hello():\n    print('printed by the flow')\n";

fn declared(description: &str) -> String {
    format!(
        "deployments:\n- name: a\n  entrypoint: flow.py:hello\n  description: {description}\n  work_pool: {{name: local}}\n"
    )
}

fn project(cache: &Cache) -> Project {
    Project::new()
        .file("reconcile.yaml", "name: dev\n")
        .file("flow.py", FLOW)
        .file("prefect.yaml", &declared("first"))
        .env("RECONCILE_CACHE_DIR", cache.path().to_str().unwrap())
        // Whatever else is meant elsewhere.
        .env("PREFECT_API_URL", "http://127.0.0.1:9/api")
        .with_python()
}

#[track_caller]
fn eventually(what: &str, watcher: &Watcher, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(180), "{what}: {:#?}", watcher.said());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn everything_that_flows_need_is_in_one_terminal() {
    let cache = Cache::new();
    let project = project(&cache);
    let mut dev =
        Watcher::spawn(&project, &["dev", "--run", "hello/a", "--run", "hello/none", "--listen", "127.0.0.1:0"]);
    dev.says("the status page is at");
    dev.says("dev  started the run");
    dev.says("there is no deployment `hello/none`");
    let http = Http::new(cache.record().unwrap()["url"].as_str().unwrap());
    let completed = json!({"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}});
    eventually("the run completes", &dev, || http.post("/flow_runs/filter", completed.clone()) != json!([]));
    let description = || http.get("/deployments/name/hello/a")["description"].clone();
    assert_eq!(description(), "first");
    project.write("prefect.yaml", &declared("second"));
    eventually("the file is applied", &dev, || description() == "second");

    dev.signal("-INT");
    let output = dev.ends().exits(0);
    assert!(output.stdout.contains("printed by the flow"), "{output:?}");
    for once in ["the private Prefect server of this machine", "started!", "stopped!"] {
        assert_eq!(output.stderr.matches(once).count(), 1, "{once}: {output:?}");
    }
    // The server stays, and nobody is left to work for it.
    let workers = http.post("/work_pools/local/workers/filter", json!({}));
    assert!(workers.as_array().is_some_and(|all| all.len() == 1), "{workers:#}");
    let refused = project.reconcile(&["dev", "--api-url", "http://127.0.0.1:9/api"]).exits(64);
    assert!(refused.stderr.contains("private server"), "{refused:?}");
}

#[test]
fn closing_the_terminal_ends_it() {
    let cache = Cache::new();
    let project = project(&cache);
    let mut dev = Watcher::spawn(&project, &["dev"]);
    dev.says("Applied: ");
    dev.signal("-HUP");
    dev.says("stopped!");
    dev.ends().exits(0);
}

#[test]
fn a_worker_that_cannot_work_ends_it() {
    let cache = Cache::new();
    let project = project(&cache);
    let server: Value = {
        project.reconcile(&["apply", "--yes", "--local"]).exits(0);
        cache.record().unwrap()
    };
    let http = Http::new(server["url"].as_str().unwrap());
    http.post("/work_pools/", json!({"name": "far", "type": "elsewhere"}));
    let output = project.reconcile(&["dev", "--pool", "local", "--pool", "far"]).exits(1);
    assert!(output.stderr.contains("far") && !output.stderr.contains("Applied"), "{output:?}");
}
