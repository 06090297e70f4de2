//! A second pass over an unchanged project writes nothing: schedules keep their ids, planned runs stay planned.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fixture::{Fixture, for_each};
use crate::support::http::Http;
use crate::support::project::Project;
use crate::support::proxy::Proxy;
use crate::support::server::Server;
use crate::support::workspace::Workspace;

/// Every project of `tests/parity` that can be deployed, `PARITY=word` those whose name contains the word.
#[test]
fn nothing_is_written_when_nothing_changed() {
    const STILL: [(&str, &str); 1] = [("PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED", "false")];
    for_each(&Fixture::deployable(), &STILL, |fixture, server| {
        let proxy = Proxy::in_front_of(&server.url);
        let project = fixture.project(&proxy.url);
        fixture.prepare(&Workspace::of(&server.url));
        let first = project.reconcile(&fixture.apply());
        if first.code != 0 {
            return vec![format!("the first pass ended with {}\n{}", first.code, first.stderr)];
        }
        let before = identities(&server.http());
        proxy.reset();
        let second = project.reconcile(&fixture.apply());
        let mut found = Vec::new();
        if second.code != 0 {
            found.push(format!("the second pass ended with {}\n{}", second.code, second.stderr));
        }
        let writes = proxy.writes().into_iter();
        found.extend(writes.map(|request| format!("{} {} {}", request.method, request.path, request.body)));
        if !found.is_empty() {
            found.push(second.stdout);
        }
        if before != identities(&server.http()) {
            found.push("ids changed".to_owned());
        }
        found
    });
}

/// The ids of all that has to live on.
fn identities(http: &Http) -> BTreeMap<String, BTreeSet<String>> {
    let id = |row: &Value| row["id"].as_str().unwrap_or_default().to_owned();
    let kinds = ["deployments", "automations", "flows", "work_pools"];
    let mut found: BTreeMap<String, BTreeSet<String>> =
        kinds.iter().map(|kind| (kind.to_string(), http.all(kind).iter().map(id).collect())).collect();
    let schedules =
        http.all("deployments").iter().flat_map(|row| row["schedules"].as_array().unwrap().clone()).collect::<Vec<_>>();
    found.insert("schedules".to_owned(), schedules.iter().map(id).collect());
    found
}

/// With the scheduler on: what it has planned before the second pass is what is planned after it.
#[test]
fn planned_runs_survive_a_second_pass() {
    let server = Server::start();
    let http = server.http();
    Workspace::of(&server.url).prepare(&[("pool", json!("process"))], &[], &[]);
    let project = Project::new()
        .api(&server.url)
        .with_python()
        .file("flow.py", "from prefect import flow\n\n\n@flow\ndef etl():\n    pass\n")
        .file("prefect.yaml", &declared("07"));
    project.reconcile(&["apply", "--yes"]).exits(0);
    let planned = wait_for_runs(&http, 3);
    project.reconcile(&["apply", "--yes"]).exits(0);
    let later = planned_runs(&http);
    assert!(later.is_superset(&planned), "{planned:?}\n{later:?}");
}

fn declared(minute: &str) -> String {
    format!(
        "deployments:\n  - name: d\n    entrypoint: flow.py:etl\n    work_pool: {{name: pool}}\n    schedules:\n      \
         - {{cron: \"{minute} * * * *\", slug: hourly}}\n      - {{interval: 7200}}\n      - {{rrule: FREQ=DAILY}}\n"
    )
}

/// Waits until every schedule has runs, and they are no longer becoming more.
fn wait_for_runs(http: &Http, least: usize) -> BTreeSet<String> {
    let start = Instant::now();
    let mut before = BTreeSet::new();
    while start.elapsed() < Duration::from_secs(60) {
        let now = planned_runs(http);
        if now.len() >= least && now == before {
            return now;
        }
        before = now;
        sleep(Duration::from_secs(3));
    }
    panic!("the scheduler planned {before:?}")
}

fn planned_runs(http: &Http) -> BTreeSet<String> {
    let runs = http.all("flow_runs");
    runs.iter().filter(|run| run["auto_scheduled"] == true).map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}
