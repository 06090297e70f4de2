//! What runs are given: commands, directories, pull steps, variables; and how many run at once.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::site::{Site, server, wait_for};
use crate::support::proxy::{Proxy, Verdict};

fn message(state: &Value) -> &str {
    state["message"].as_str().unwrap_or_default()
}

#[test]
fn runs_get_what_their_deployments_say() {
    let site = Site::new("setups");
    site.http.post("/variables/", json!({"name": "setups_mode", "value": "from-a-variable"}));
    let deploy = |flow: &str, name: &str, more: Value| {
        let mut more = more;
        more["name"] = json!(name);
        site.run(&site.deploy(flow, more), json!({}))
    };
    let variables = |of: Value| json!({ "job_variables": of });
    let command = deploy("hello", "command", variables(json!({"command": "sh -c 'exit 3'"})));
    let nowhere = deploy("hello", "nowhere", variables(json!({"working_dir": "/nowhere/at/all", "command": "true"})));
    let block = deploy("hello", "block", variables(json!({"env": {"X": "{{ prefect.blocks.secret.missing }}"}})));
    let mode = deploy("hello", "mode", variables(json!({"env": {"MODE": "{{ prefect.variables.setups_mode }}"}})));
    let echo = format!("echo {}", site.project.path().display());
    let steps = json!([
        {"prefect.deployments.steps.run_shell_script": {"id": "where", "script": echo}},
        {"prefect.deployments.steps.set_working_directory": {"directory": "{{ where.stdout }}"}},
    ]);
    let pulled = deploy("hello", "pulled", json!({ "pull_steps": steps }));
    let again = deploy("again", "again", json!({}));
    let _worker = site.worker(&["--limit", "2"]);
    let crashed = "Process exited with status code: 3. Process exited with an unexpected status code.";
    assert_eq!(message(&site.end(&command)), crashed);
    let state = site.end(&nowhere);
    assert!(message(&state).starts_with("Flow run could not start: "), "{state}");
    let state = site.end(&block);
    assert!(message(&state).starts_with("Failed to submit flow run to infrastructure: "), "{state}");
    assert_eq!(site.end(&mode)["name"], "Completed");
    let printed = wait_for(|| site.logs(&mode).into_iter().find(|log| log.2.starts_with("hello")));
    assert_eq!(printed.unwrap().2, "hello 1 from-a-variable repo");
    assert_eq!(site.end(&pulled)["name"], "Completed");
    assert_eq!(site.end(&again)["name"], "Completed");
    assert!(site.states(&again).contains(&"AwaitingRetry".to_owned()), "{:?}", site.states(&again));
}

#[test]
fn no_more_run_at_once_than_allowed_and_none_before_its_time() {
    let site = Site::new("limits");
    let deployment = site.deploy("hello", json!({}));
    let due = Timestamp::now() + Duration::from_secs(8);
    let later =
        site.run(&deployment, json!({"state": {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}}));
    let runs = [site.run(&deployment, json!({})), site.run(&deployment, json!({}))];
    let _worker = site.worker(&["--limit", "1"]);
    let time = |run: &str, key: &str| site.read(run)[key].as_str().unwrap().parse::<Timestamp>().unwrap();
    let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
    for run in runs.iter().chain([&later]) {
        assert_eq!(site.end(run)["name"], "Completed");
        spans.push((time(run, "start_time"), time(run, "end_time")));
    }
    // The server counts what is left in whole seconds, whoever asks.
    assert!(spans[2].0 + Duration::from_secs(1) >= due, "{} before {due}", spans[2].0);
    spans.sort();
    assert!(spans.windows(2).all(|two| two[0].1 <= two[1].0), "{spans:?}");
}

#[test]
fn a_server_that_is_away_and_has_no_websockets_is_waited_for_and_polled() {
    let site = Site::new("away");
    let run = site.run_of("hello", json!({}));
    let proxy = Proxy::in_front_of(&server().url);
    proxy.rule(|_| Verdict::Answer(503, "{}".to_owned()));
    let env = [("PREFECT_API_URL", proxy.url.as_str()), ("PREFECT_CLIENT_MAX_RETRIES", "1")];
    let worker = site.worker_with(&["--name", "patient"], &env);
    worker.says("trying again until it answers");
    let sockets = ["/events/in", "/events/out", "/workers/connect"];
    proxy.rule(move |request| match sockets.iter().any(|end| request.path.ends_with(end)) {
        true => Verdict::Answer(404, "{}".to_owned()),
        false => Verdict::Pass,
    });
    assert_eq!(site.end(&run)["name"], "Completed");
    let workers = || site.http.post("/work_pools/away/workers/filter", json!({}));
    assert!(wait_for(|| (workers()[0]["name"] == "patient").then_some(())).is_some(), "{}", workers());
}
