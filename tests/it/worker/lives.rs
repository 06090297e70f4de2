//! How workers live: they are killed and come back, hear of runs at once, miss a queue, answer a health check.

use std::time::{Duration, Instant};

use serde_json::json;

use super::site::{Site, server, wait_for};
use crate::support::http::Http;
use crate::support::proxy::{Proxy, Verdict};

#[test]
fn a_killed_workers_runs_are_adopted_by_the_next_and_waited_for_as_its_own() {
    let site = Site::new("adopts");
    let (lives, dies) = (site.run_of("waits", json!({})), site.run_of("killed", json!({"sig": 0})));
    let mut first = site.worker(&["--name", "first"]);
    site.until(&lives, &["RUNNING"]);
    site.until(&dies, &["RUNNING"]);
    let pid = site.placed(&dies);
    first.signal("KILL");
    first.wait();
    let killed = std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
    assert!(killed.success());
    let mut second = site.worker(&["--name", "second", "--drain-timeout", "1h"]);
    second.says("Adopted flow run");
    assert_eq!(site.end(&dies)["message"], "Flow run process ended while no worker watched it.");
    assert!(wait_for(|| (site.noted() == 1).then_some(())).is_some(), "{} noted", site.noted());
    second.signal("TERM");
    second.says("Waiting up to 3600 s");
    site.go();
    // Its process takes its time to end, and is watched until then.
    assert_eq!(second.wait(), Some(0));
    assert_eq!(site.end(&lives)["name"], "Completed");
    assert_eq!(site.noted(), 0);
}

#[test]
fn what_a_worker_could_not_tell_before_it_ended_is_told_by_the_next() {
    let site = Site::new("untold");
    let run = site.run_of("killed", json!({"sig": 0}));
    let proxy = Proxy::in_front_of(&server().url);
    let env = [("PREFECT_API_URL", proxy.url.as_str()), ("PREFECT_CLIENT_MAX_RETRIES", "1")];
    let mut first = site.worker_with(&["--drain-timeout", "0s"], &env);
    site.until(&run, &["RUNNING"]);
    site.placed(&run);
    proxy.rule(|_| Verdict::Answer(503, "{}".to_owned()));
    first.signal("TERM");
    assert_eq!(first.wait(), Some(0));
    assert_eq!((site.read(&run)["state"]["name"].as_str(), site.noted()), (Some("Running"), 1));
    proxy.rule(|_| Verdict::Pass);
    let _second = site.worker_with(&[], &env);
    assert_eq!(site.end(&run)["message"], "Flow run process ended while no worker watched it.");
}

#[test]
fn a_run_that_is_due_is_taken_at_once() {
    let site = Site::new("hears");
    let slow = [("PREFECT_WORKER_QUERY_SECONDS", "3600")];
    let worker = site.worker_with(&[], &slow);
    worker.says("started!");
    // The connection for events comes after the first poll; once it is there, the worker polls again.
    let deployment = site.deploy("hello", json!({}));
    std::thread::sleep(Duration::from_secs(3));
    let begun = Instant::now();
    let run = site.run(&deployment, json!({}));
    // Polling alone would find it after an hour.
    assert!(wait_for(|| (site.states(&run).len() > 1).then_some(())).is_some());
    eprintln!("created to Pending: {:?}", begun.elapsed());
    site.end(&run);
    // The server stores events now and then.
    let told = |name: &str| {
        let filter = json!({"filter": {"event": {"name": [name]}}, "limit": 50});
        let events = site.http.post("/events/filter", filter)["events"].to_string();
        events.contains("\"hears\"").then_some(())
    };
    for name in ["prefect.worker.started", "prefect.worker.submitted-flow-run", "prefect.worker.executed-flow-run"] {
        assert!(wait_for(|| told(name)).is_some(), "no event {name}");
    }
}

#[test]
fn a_missing_queue_is_told_and_status_shows_who_works() {
    let site = Site::new("told");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let health = [("PREFECT_WORKER_WEBSERVER_HOST", "127.0.0.1"), ("PREFECT_WORKER_WEBSERVER_PORT", port.as_str())];
    let worker = site.worker_with(&["-q", "nowhere", "--name", "asker", "--with-healthcheck"], &health);
    worker.says("nothing is taken until that exists");
    let health = Http::new(&format!("http://127.0.0.1:{port}/health"));
    assert_eq!(health.get(""), json!({"message": "OK"}));
    let answer = |path: &str| Http::new(&format!("http://127.0.0.1:{port}{path}")).request("GET", "", None);
    assert_eq!((answer("/other").status, answer("/metrics").status), (404, 200));
    let metrics = answer("/metrics").body.as_str().unwrap().to_owned();
    for line in ["reconcile_worker_runs_total{from=\"poll\"} 0", "reconcile_worker_runs_under_way 0"] {
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }
    let shown = wait_for(|| {
        let output = site.project.reconcile(&["worker", "status", "-p", "told", "--json"]).exits(0);
        let told: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        (told["workers"][0]["name"] == "asker").then_some(told)
    });
    assert_eq!(shown.unwrap()["runs"], json!([]));
    let text = site.project.reconcile(&["worker", "status", "-p", "told"]).exits(0).stdout;
    assert!(text.contains("asker") && text.contains("no runs"), "{text}");
}

#[test]
fn a_pool_is_made_or_refused_and_others_are_not_served() {
    let site = Site::new("first-of-all");
    let start = |args: &[&str]| site.project.reconcile(&[&["worker", "start", "--run-once"], args].concat());
    let missing = start(&["-p", "made-here", "--no-create-pool-if-not-found"]).exits(1);
    assert!(missing.stderr.contains("`made-here` does not exist"), "{}", missing.stderr);
    start(&["-p", "made-here"]).exits(0);
    let made = site.http.get("/work_pools/made-here");
    assert_eq!((&made["type"], made["base_job_template"]["variables"].is_object()), (&json!("process"), true));
    site.http.post("/work_pools/", json!({"name": "pushes", "type": "ecs:push"}));
    assert!(start(&["-p", "pushes"]).exits(1).stderr.contains("need no worker"));
    site.http.post("/work_pools/", json!({"name": "pods", "type": "kubernetes"}));
    assert!(start(&["-p", "pods"]).exits(1).stderr.contains("kubernetes"));
}
