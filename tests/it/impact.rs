//! What a plan says of the runs that are already planned.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::proxy::Proxy;
use crate::support::server::Server;
use crate::support::workspace::Workspace;

const FLOW: &str = "from prefect import flow\n\n@flow\ndef moved():\n    pass\n";

fn manifest(cron: &str, tag: &str, paused: bool) -> String {
    format!(
        "deployments:\n- name: impact\n  entrypoint: flow.py:moved\n  tags: [{tag}]\n  paused: {paused}\n  \
         schedules:\n  - cron: {cron}\n    slug: daily\n  work_pool:\n    name: impact\n"
    )
}

fn impact(project: &Project) -> Vec<String> {
    let out = project.reconcile(&["plan", "--json"]).exits(0);
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    json["changes"][0]["impact"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[test]
fn planned_runs_are_counted_in_one_request_and_only_for_updates() {
    let server = Server::start();
    let proxy = Proxy::in_front_of(&server.url);
    Workspace::of(&server.url).prepare(&[("impact", json!("process"))], &[], &[]);
    let project = Project::new()
        .api(&proxy.url)
        .file("flow.py", FLOW)
        .file("reconcile.yaml", "name: impact\n")
        .file("prefect.yaml", &manifest("0 6 * * *", "a", false));
    let asked = || proxy.requests().iter().filter(|request| request.path.contains("flow_runs")).count();
    project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(asked(), 0, "nothing is updated by a first apply");
    let id = server.http().get("/deployments/name/moved/impact")["id"].clone();
    let filter = json!({ "deployments": { "id": { "any_": [id] } }, "sort": "NEXT_SCHEDULED_START_TIME_ASC" });
    let mut runs = Vec::new();
    for _ in 0..120 {
        runs = server.http().post("/flow_runs/filter", filter.clone()).as_array().unwrap().clone();
        if runs.len() > 2 {
            break;
        }
        sleep(Duration::from_millis(500));
    }
    assert!(runs.len() > 2, "the scheduler plans runs: {}", server.log());
    sleep(Duration::from_secs(5));
    let runs = server.http().post("/flow_runs/filter", filter).as_array().unwrap().clone();
    let next = runs[0]["next_scheduled_start_time"].as_str().unwrap().replace('T', " ");
    let (count, next) = (runs.len(), format!("{} UTC", &next[..16]));

    proxy.reset();
    project.reconcile(&["plan"]).exits(0);
    assert_eq!(asked(), 0, "nothing differs");
    project.write("prefect.yaml", &manifest("0 7 * * *", "a", false));
    assert_eq!(impact(&project), [format!("{count} planned runs move; next at {next}")]);
    assert_eq!(asked(), 1);
    let text = project.reconcile(&["plan"]).exits(0).stdout;
    assert!(text.contains(&format!("      ! {count} planned runs move; next at {next}")), "{text}");
    project.write("prefect.yaml", &manifest("0 6 * * *", "b", false));
    assert_eq!(impact(&project), [format!("{count} planned runs are planned anew; next at {next}")]);
    project.write("prefect.yaml", &manifest("0 6 * * *", "a", true));
    assert_eq!(impact(&project), [format!("{count} planned runs are dropped; next was at {next}")]);

    // A server that does not answer this question spoils no plan.
    proxy.rule(|request| match request.path.contains("flow_runs") {
        true => crate::support::proxy::Verdict::Answer(403, "{}".to_owned()),
        false => crate::support::proxy::Verdict::Pass,
    });
    assert_eq!(impact(&project), Vec::<String>::new());
    proxy.rule(|_| crate::support::proxy::Verdict::Pass);

    // What was said is said again of what was done, without another question; and it comes true.
    proxy.reset();
    let report = project.reconcile(&["apply", "--yes", "--json"]).exits(0).stdout;
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        report["changes"][0]["impact"],
        json!([format!("{count} planned runs are dropped; next was at {next}")])
    );
    assert_eq!(asked(), 1);
    let left = server.http().post("/flow_runs/filter", json!({ "deployments": { "id": { "any_": [id] } } }));
    assert_eq!(left, json!([]), "a pause drops the planned runs");
}
