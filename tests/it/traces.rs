//! Traces by OTLP: what a collector gets of a pass, and that none of its troubles is one of the pass.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::serve::{declared, project};
use crate::support::Server;
use crate::support::collector::{Collector, attribute};
use crate::support::project::Project;
use crate::support::proxy::{Proxy, Verdict};
use crate::support::watcher::Watcher;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const CANARY: &str = "canary-of-the-collector";

fn traced(name: &str, collector: &Collector) -> Project {
    project(name)
        .env(ENDPOINT, &collector.url)
        .env("OTEL_EXPORTER_OTLP_HEADERS", &format!("authorization=Bearer%20{CANARY}"))
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

/// The names of the spans above one, the root last.
fn above<'a>(spans: &'a [Value], mut span: &'a Value) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(parent) = spans.iter().find(|one| one["spanId"] == span["parentSpanId"]) {
        names.push(parent["name"].as_str().unwrap().to_owned());
        span = parent;
    }
    names
}

fn has_no_canary(texts: &[String]) {
    for text in texts {
        assert!(!text.contains(CANARY), "{text}");
    }
}

#[test]
fn every_pass_of_a_loop_is_a_trace() {
    let collector = Collector::start(Some(200));
    let project = traced("traced-loop", &collector)
        .env("OTEL_SERVICE_NAME", "our-gitops")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=here")
        .git_init(None);
    let mut watcher = Watcher::start(&project, &["--interval", "1h", "-vv"]);
    let spans = collector.until("the first pass", |spans| !named(spans, "watch").is_empty());
    let root = named(&spans, "watch")[0];
    let commit = project.git(&["rev-parse", "HEAD"]);
    for (name, value) in [
        ("scope", json!("traced-loop")),
        ("commit", json!(commit.trim())),
        ("dirty", json!(false)),
        ("result", json!("done")),
        ("planned", json!(1)),
        ("created", json!(1)),
        ("failed", json!(0)),
    ] {
        assert_eq!(attribute(root, &format!("reconcile.{name}")), value, "{name}: {root:#}");
    }
    let ids: BTreeSet<_> = spans.iter().map(|span| span["traceId"].to_string()).collect();
    assert_eq!(ids.len(), 1, "signs of life of the lock are in no trace: {spans:#?}");
    for name in ["read", "ask", "compare", "lock", "apply", "create deployment"] {
        assert!(!named(&spans, name).is_empty(), "no {name}: {spans:#?}");
    }
    let write = named(&spans, "POST /deployments")[0];
    assert_eq!(above(&spans, write), ["create deployment", "apply", "watch"]);
    assert_eq!(attribute(write, "http.request.method"), "POST");
    assert_eq!(attribute(write, "http.response.status_code"), 201);
    assert_eq!(attribute(write, "server.address"), "127.0.0.1");
    assert!(attribute(write, "server.port").is_i64(), "{write:#}");
    assert_eq!(write["kind"], 3, "a client's: {write:#}");
    assert_eq!(above(&spans, named(&spans, "POST /work_pools/filter")[0]), ["ask", "watch"]);

    let taken = &collector.taken()[0];
    assert_eq!(taken.path, "/v1/traces");
    assert_eq!(taken.headers["authorization"], format!("Bearer {CANARY}"));
    let resource = &taken.body["resourceSpans"][0]["resource"];
    for (name, value) in [("service.name", "our-gitops"), ("deployment.environment.name", "here")] {
        assert_eq!(attribute(resource, name), value, "{resource:#}");
    }

    project.write("prefect.yaml", &declared("second"));
    let spans = collector.until("another pass", |spans| named(spans, "watch").len() > 1);
    let second = named(&spans, "watch")[1];
    assert_ne!(second["traceId"], root["traceId"]);
    assert_eq!(attribute(second, "reconcile.updated"), 1);
    assert_eq!(attribute(second, "reconcile.dirty"), true);

    project.write("prefect.yaml", "deployments:\n- name: a\n  entrypoint: [\n");
    let spans = collector.until("a bad pass", |spans| named(spans, "watch").len() > 2);
    let bad = named(&spans, "watch")[2];
    assert_eq!((attribute(bad, "reconcile.result"), &bad["status"]["code"]), (json!("invalid"), &json!(2)), "{bad:#}");

    // What was not sent yet goes out at the end.
    watcher.until(2, "the bad pass", |report| !report["diagnostics"].as_array().unwrap().is_empty());
    let output = watcher.stop().exits(0);
    has_no_canary(&[output.stdout, output.stderr.clone()]);
    assert!(!output.stderr.contains("otel") && !output.stderr.contains("create deployment"), "{}", output.stderr);
}

#[test]
fn one_command_is_one_trace() {
    let collector = Collector::start(Some(200));
    let proxy = Proxy::in_front_of(&Server::shared().url);
    let project = traced("traced-once", &collector)
        .api(&proxy.url)
        .env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    project.reconcile(&["plan"]).exits(0);
    let spans = collector.spans();
    assert_eq!(attribute(named(&spans, "plan")[0], "reconcile.planned"), 1, "{spans:#?}");
    assert_eq!(collector.taken()[0].headers["content-type"], "application/json");

    project.reconcile(&["apply", "--yes"]).exits(0);
    project.write("prefect.yaml", &declared("refused"));
    proxy.rule(|request| match request.method == "PATCH" && request.path.starts_with("/api/deployments/") {
        true => Verdict::Answer(422, json!({"detail": "no"}).to_string()),
        false => Verdict::Pass,
    });
    let output = project.reconcile(&["apply", "--yes"]).exits(1);
    assert!(output.stdout.contains("refuses the deployment `traced-once/a`"), "{}", output.stdout);
    let spans = collector.spans();
    let root = named(&spans, "apply").into_iter().rfind(|span| span["parentSpanId"] == "").unwrap();
    assert_eq!((attribute(root, "reconcile.failed"), &root["status"]["code"]), (json!(1), &json!(2)), "{root:#}");
    let refused = named(&spans, "PATCH /deployments")[0];
    assert_eq!(attribute(refused, "error.type"), "422", "{refused:#}");
    assert_eq!(refused["status"]["code"], 2, "{refused:#}");

    let before = collector.taken().len();
    project.reconcile(&["plan", "--untrusted"]).exits(0);
    project.reconcile(&["status"]).exits(0);
    assert_eq!(collector.taken().len(), before, "neither of them makes a pass");
}

#[test]
fn a_collector_in_trouble_is_no_trouble_of_the_passes() {
    let collector = Collector::start(None);
    let hour = "3600000";
    let project = traced("traced-hangs", &collector).env("OTEL_EXPORTER_OTLP_TIMEOUT", hour);
    let began = Instant::now();
    project.reconcile(&["apply", "--yes"]).exits(0);
    assert!(began.elapsed() < Duration::from_secs(100), "it was waited for: {:?}", began.elapsed());
    assert!(!collector.taken().is_empty());

    let project = project.env("OTEL_EXPORTER_OTLP_TIMEOUT", "200").env("OTEL_BSP_MAX_QUEUE_SIZE", "4");
    let mut watcher = Watcher::start(&project, &["--interval", "1h"]);
    watcher.until(0, "a pass", |report| report["summary"]["unchanged"] == 1);
    watcher.says("it does not answer in time; passes go on without");
    for n in 0..3 {
        let description = format!("number {n}");
        project.write("prefect.yaml", &declared(&description));
        watcher.until(0, &description, |report| report["changes"][0]["fields"][0]["after"] == *description);
    }
    collector.answers(Some(503));
    project.write("prefect.yaml", &declared("last"));
    watcher.until(0, "last", |report| report["changes"][0]["fields"][0]["after"] == "last");
    let output = watcher.stop().exits(0);
    assert_eq!(output.stderr.matches("traces are not taken").count(), 1, "it is said once: {}", output.stderr);
    has_no_canary(&[output.stdout, output.stderr]);
}

#[test]
fn nothing_is_sent_unless_it_is_asked_for() {
    let collector = Collector::start(Some(200));
    let project = project("traced-not").env("OTEL_SERVICE_NAME", "x");
    let with = |all: &[(&str, &str)]| {
        let mut command = project.reconcile_command();
        command.args(["plan"]).envs(all.iter().copied());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let url = collector.url.as_str();
    let grpc = with(&[(ENDPOINT, url), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    assert!(grpc.contains("no traces are sent") && grpc.contains("gRPC"), "{grpc}");
    for all in [
        &[][..],
        &[(ENDPOINT, "")],
        &[(ENDPOINT, url), ("OTEL_SDK_DISABLED", "true")],
        &[(ENDPOINT, url), ("OTEL_TRACES_EXPORTER", "none")],
    ] {
        let said = with(all);
        assert!(!said.contains("traces"), "{all:?}: {said}");
    }
    assert_eq!(collector.taken().len(), 0);
    with(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{url}/somewhere"))]);
    assert_eq!(collector.taken()[0].path, "/somewhere");
}
