//! The event of a pass that changed something, and an automation that reacts to it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::http::Http;
use crate::support::project::Project;
use crate::support::proxy::{Proxy, Verdict};

const FLOW: &str = "from prefect import flow\n\n@flow(name=\"smoke\")\ndef smoke():\n    pass\n";

fn declared(description: &str) -> String {
    format!(
        "deployments:\n- name: after-apply\n  entrypoint: flow.py:smoke\n  description: {description}\n  \
         work_pool: {{name: told}}\n"
    )
}

/// The example of the documentation.
fn automation() -> String {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/watch.md")).unwrap();
    let found = text.split("```").find(|block| block.contains("expect: [reconcile.pass.applied]"));
    found.unwrap().strip_prefix("yaml\n").unwrap().to_owned()
}

/// The events of our passes, oldest first, once there are so many.
#[track_caller]
fn events(http: &Http, count: usize) -> Vec<Value> {
    let filter = json!({"filter": {"order": "ASC", "event": {"name": ["reconcile.pass.applied"]}}});
    eventually("the events are there", || {
        let found = http.post("/events/filter", filter.clone())["events"].as_array().unwrap().clone();
        (found.len() >= count).then_some(found)
    })
}

#[track_caller]
fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn an_automation_reacts_to_a_pass() {
    let server = Server::start();
    let http = server.http();
    http.post("/work_pools/", json!({"name": "told", "type": "process"}));
    let project = Project::new()
        .file("reconcile.yaml", "name: shop\n")
        .file("flow.py", FLOW)
        .file("prefect.yaml", &declared("first"))
        .file("reacting.reconcile.yaml", &automation())
        .api(&server.url)
        .with_python()
        .git_init(None);
    let commit = project.git(&["rev-parse", "HEAD"]).trim().to_owned();
    project.reconcile(&["apply", "--yes"]).exits(0);
    let deployment = http.get("/deployments/name/smoke/after-apply");
    let first = events(&http, 1).remove(0);
    assert_eq!(first["resource"]["prefect.resource.id"], "reconcile.scope.shop");
    assert_eq!((&first["resource"]["reconcile.commit"], &first["payload"]["commit"]), (&json!(commit), &json!(commit)));
    assert_eq!((&first["payload"]["created"], &first["payload"]["failed"]), (&json!(2), &json!(0)), "{first:#}");
    let related: Vec<&str> =
        first["related"].as_array().unwrap().iter().map(|one| one["prefect.resource.id"].as_str().unwrap()).collect();
    let id = |kind: &str, id: &Value| format!("prefect.{kind}.{}", id.as_str().unwrap());
    assert_eq!(related, [id("deployment", &deployment["id"]), id("flow", &deployment["flow_id"])]);

    project.write("prefect.yaml", &declared("second"));
    project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(events(&http, 2)[1]["payload"]["updated"], 1);
    let runs = json!({"deployments": {"id": {"any_": [deployment["id"]]}}});
    let run = eventually("the automation starts a run", || {
        http.post("/flow_runs/filter", runs.clone()).as_array().unwrap().first().cloned()
    });
    assert_eq!(run["created_by"]["type"], "AUTOMATION", "{run:#}");
}

#[test]
fn it_is_no_part_of_the_pass() {
    let server = Server::shared();
    let proxy = Proxy::in_front_of(&server.url);
    server.http().request("POST", "/work_pools/", Some(&json!({"name": "told", "type": "process"})));
    let flow = FLOW.replace("\"smoke\"", "\"untold\"");
    let project = Project::new()
        .file("reconcile.yaml", "name: untold\n")
        .file("flow.py", &flow)
        .file("prefect.yaml", &declared("first"))
        .api(&proxy.url)
        .with_python();
    let told = || proxy.writes().iter().filter(|request| request.path.ends_with("/events")).count();
    // Nobody who reconciles minds that the event log takes nothing.
    proxy.rule(|request| match request.path.ends_with("/events") {
        true => Verdict::Answer(404, "{\"detail\": \"Not Found\"}".to_owned()),
        false => Verdict::Pass,
    });
    let output = project.reconcile(&["apply", "--yes", "--json"]).exits(0);
    assert!(told() == 1 && !output.stderr.contains("event"), "{output:?}");
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(report["requests"]["write"].as_u64().unwrap() as usize, proxy.writes().len() - 2, "{report:#}");
    // Where nothing changes nothing is told, and neither is where nobody wants to hear of it.
    proxy.reset();
    project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(proxy.writes(), []);
    project.write("reconcile.yaml", "name: untold\nevents: false\n");
    project.write("prefect.yaml", &declared("second"));
    project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!((told(), proxy.writes().is_empty()), (0, false));
}
