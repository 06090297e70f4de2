//! How runs end: by their own word, by an exit code, by a signal, by a cancellation.

use serde_json::{Value, json};

use super::site::{Site, wait_for};

fn told(state: &Value) -> (String, String) {
    let text = |key: &str| state[key].as_str().unwrap_or_default().to_owned();
    (text("name"), text("message"))
}

#[test]
fn runs_end_as_they_say_and_as_their_processes_do() {
    let site = Site::new("ends");
    let env = json!({"job_variables": {"env": {"MODE": "deployed"}}});
    let hello =
        site.run(&site.deploy("hello", env), json!({"parameters": {"n": 5}, "job_variables": {"env.MODE": "x"}}));
    let (fails, dies) = (site.run_of("fails", json!({})), site.run_of("dies", json!({})));
    let killed = site.run_of("killed", json!({}));
    let worker = site.worker(&["--name", "w1", "--limit", "3"]);
    assert_eq!(told(&site.end(&hello)).0, "Completed");
    // A busy server is told later.
    assert!(site.placed(&hello).parse::<u32>().is_ok());
    let done = site.read(&hello);
    assert_eq!(done["labels"]["prefect.worker.name"], "w1");
    assert_eq!(done["labels"]["prefect.work-pool.name"], "ends");
    let states: Vec<String> = site.states(&hello).into_iter().filter(|name| name != "Late").collect();
    assert_eq!(states, ["Scheduled", "Pending", "Submitting", "Running", "Completed"]);
    let printed = wait_for(|| site.logs(&hello).into_iter().find(|(_, _, text)| text.starts_with("hello")));
    assert_eq!(printed.unwrap().2, "hello 5 deployed repo");
    assert_eq!(told(&site.end(&fails)).0, "Failed");
    let crashed = "Process exited with status code: 7. Process exited with an unexpected status code.";
    assert_eq!(told(&site.end(&dies)), ("Crashed".to_owned(), crashed.to_owned()));
    let (name, message) = told(&site.end(&killed));
    assert!(name == "Crashed" && message.starts_with("Process exited with status code: -9. "), "{message}");
    assert!(worker.log().contains("Discovered type 'process'"));
}

#[test]
fn a_cancelled_run_is_ended_and_its_hooks_run() {
    let site = Site::new("cancels");
    let deployment = site.deploy("hooked", json!({}));
    let cancelled = site.run(&deployment, json!({"name": "one"}));
    let crashed = site.run(&deployment, json!({"name": "two", "parameters": {"code": 3}}));
    // Its command is its own, so only the deployment says which flow it is.
    let own = json!({"name": "three", "job_variables": {"command": "sh -c 'exit 4'"}});
    let own = site.run(&deployment, own);
    let mut worker = site.worker(&[]);
    assert_eq!(told(&site.end(&crashed)).0, "Crashed");
    assert_eq!(told(&site.end(&own)).0, "Crashed");
    site.until(&cancelled, &["RUNNING"]);
    site.cancel(&cancelled);
    let state = site.end(&cancelled);
    assert_eq!(told(&state), ("Cancelled".to_owned(), "Flow run was cancelled successfully.".to_owned()));
    let notes = ["one.CANCELLING", "two.CRASHED", "three.CRASHED"].map(|name| site.notes().join(name));
    assert!(wait_for(|| notes.iter().all(|note| note.is_file()).then_some(())).is_some(), "{}", worker.log());
    worker.signal("TERM");
    assert_eq!(worker.wait(), Some(0));
}

#[test]
fn a_worker_that_stops_waits_for_its_runs_and_reports_those_it_ends() {
    let site = Site::new("drains");
    let waits = site.run_of("waits", json!({}));
    let mut patient = site.worker(&["--drain-timeout", "1h"]);
    site.until(&waits, &["RUNNING"]);
    patient.signal("TERM");
    patient.says("Waiting up to 3600 s for 1 flow run(s) to end");
    site.go();
    assert_eq!(patient.wait(), Some(0));
    assert_eq!(told(&site.read(&waits)["state"]).0, "Completed");
    let endless = site.run_of("killed", json!({"sig": 0}));
    let mut hasty = site.worker(&["--drain-timeout", "0s"]);
    site.until(&endless, &["RUNNING"]);
    hasty.signal("TERM");
    hasty.says("Ending 1 flow run(s)");
    assert_eq!(hasty.wait(), Some(0));
    assert_eq!(told(&site.end(&endless)).0, "Crashed");
}
