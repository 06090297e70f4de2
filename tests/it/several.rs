//! `--watch` over several environments: one process, one page, and nobody's trouble is that of another.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::serve::Served;
use crate::support::Server;
use crate::support::http::Http;
use crate::support::project::Project;
use crate::support::watcher::Watcher;

const PROJECT: &str = "name: several\nenvironments:\n  test: { vars: { stage: test, value: one } }\n  \
                       prod: { vars: { stage: prod, value: one } }\n";

const RESOURCES: &str = "variables:\n- {name: \"several_{{ vars.stage }}\", value: \"{{ vars.value }}\"}\n";

fn project() -> Project {
    Project::new()
        .file("reconcile.yaml", PROJECT)
        .file("all.reconcile.yaml", RESOURCES)
        .api(&Server::shared().url)
        .with_python()
}

fn of<'a>(reports: &'a [Value], scope: &str) -> Vec<&'a Value> {
    reports.iter().filter(|report| report["scope"] == scope).collect()
}

#[test]
fn one_loop_looks_after_all_of_them() {
    let project = project();
    let args = ["--env", "test", "--env", "prod", "--interval", "1h", "--listen", "127.0.0.1:0"];
    let mut watcher = Watcher::start(&project, &args);
    let page = watcher.says("the status page is at").rsplit("at ").next().unwrap().to_owned();
    let http = Http::new(&page);
    watcher.until(0, "test", |report| report["scope"] == "several@test" && report["changes"][0]["result"] == "done");
    watcher.until(0, "prod", |report| report["scope"] == "several@prod" && report["changes"][0]["result"] == "done");
    for stage in ["test", "prod"] {
        let variable = Server::shared().http().get(&format!("/variables/name/several_{stage}"));
        assert_eq!(variable["value"], "one");
    }
    let until = |what: &str, holds: &dyn Fn(&Value) -> bool| {
        let began = std::time::Instant::now();
        loop {
            let all = http.get("/status.json")["environments"].clone();
            if holds(&all) {
                return;
            }
            assert!(began.elapsed() < std::time::Duration::from_secs(120), "{what}: {all:#}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    until("both are in sync", &|all| all["test"]["state"] == "in_sync" && all["prod"]["state"] == "in_sync");
    assert_eq!(http.request("GET", "/readyz", None).status, 200);
    let overview = http.get("/").as_str().unwrap().to_owned();
    assert!(overview.contains("href=\"env/test/\"") && overview.contains("several@prod"), "{overview}");
    let prod = http.get("/env/prod/").as_str().unwrap().to_owned();
    assert!(prod.contains("several@prod") && !prod.contains("several@test"), "{prod}");
    assert!(prod.contains("All environments</a>"), "{prod}");
    assert_eq!(http.get("/env/test/status.json")["report"]["scope"], "several@test");
    assert_eq!(http.request("GET", "/env/none/", None).status, 404);
    let metrics = http.get("/metrics").as_str().unwrap().to_owned();
    assert!(metrics.contains("reconcile_in_sync{env=\"test\"} 1\nreconcile_in_sync{env=\"prod\"} 1\n"), "{metrics}");

    // A pass over any of them is an event of the page that lists them.
    let host = page.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(120))).unwrap();
    stream.write_all(format!("GET /events HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.to_lowercase().contains("text/event-stream")));
    watcher.signal("-HUP");
    let began = std::time::Instant::now();
    let passes = lines.take_while(|_| began.elapsed().as_secs() < 300).filter(|line| line == "event: pass");
    assert_eq!(passes.take(2).count(), 2, "of both");

    // One breaks, and the other goes on.
    project.write(
        "reconcile.yaml",
        &PROJECT.replace("stage: test, value: one", "stage: test").replace("prod, value: one", "prod, value: two"),
    );
    until("one is invalid, one in sync", &|all| {
        all["test"]["state"] == "invalid" && all["prod"]["changed"]["report"]["changes"][0]["action"] == "update"
    });
    assert_eq!(Server::shared().http().get("/variables/name/several_prod")["value"], "two");
    let ready = http.once("GET", "/readyz", None);
    assert_eq!((ready.status, ready.body), (503, json!("invalid\n")));
    let reports = watcher.reports();
    assert!(!of(&reports, "several@test").is_empty() && !of(&reports, "several@prod").is_empty());
    watcher.stop().exits(0);
}

#[test]
fn one_of_them_is_suspended_alone() {
    let mine = |text: &str| text.replace("several", "suspended");
    let project = project().env("RECONCILE_TOKEN", "canary-of-the-token");
    project.write("reconcile.yaml", &mine(PROJECT));
    project.write("all.reconcile.yaml", &mine(RESOURCES));
    let mut served = Served::start(&project, &["--env", "test", "--env", "prod"]);
    let is_done = |scope: &'static str| {
        move |report: &Value| report["scope"] == scope && report["changes"][0]["result"] == "done"
    };
    served.watcher.until(0, "test", is_done("suspended@test"));
    served.watcher.until(0, "prod", is_done("suspended@prod"));

    assert_eq!((served.act("/env/none/suspend"), served.act("/env/test/suspend")), (404, 202));
    served.until("/env/test/status.json", "\"suspended\":true");
    served.until("/env/prod/status.json", "\"suspended\":false");
    let passes = served.watcher.reports().len();
    project.write("reconcile.yaml", &mine(PROJECT).replace("value: one", "value: two"));
    served.watcher.until(passes, "prod goes on", is_done("suspended@prod"));
    served.watcher.says("suspended@test  suspended: nothing is done");
    let value =
        |stage: &str| Server::shared().http().get(&format!("/variables/name/suspended_{stage}"))["value"].clone();
    assert_eq!((value("test"), value("prod")), (json!("one"), json!("two")));
    assert_eq!(served.act("/env/prod/reconcile"), 202);
    assert_eq!(served.act("/env/test/resume"), 202);
    served.watcher.until(passes, "test is resumed", is_done("suspended@test"));
    assert_eq!(value("test"), "two");
    served.watcher.stop().exits(0);
}

#[test]
fn it_is_for_loops_only() {
    let project = project();
    for args in [&["plan", "--env", "test", "--env", "prod"][..], &["--env", "test", "--env", "prod", "--yes"]] {
        let output = project.reconcile(args).exits(64);
        assert!(output.stderr.contains("with `--watch` only"), "{output:?}");
    }
    let twice = project.reconcile(&["--watch", "--env", "test", "--env", "test"]).exits(64);
    assert!(twice.stderr.contains("`test` is named twice"), "{twice:?}");
}
