//! Metrics of a loop that does not get through: requests by what they were answered, and how far behind it is.

use serde_json::json;

use crate::serve::{Served, declared, project};
use crate::support::Server;
use crate::support::proxy::{Proxy, Verdict};

/// The value of a sample.
fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}: {metrics}")).parse().unwrap()
}

#[test]
fn a_commit_that_is_not_applied_is_seen_in_the_metrics() {
    let proxy = Proxy::in_front_of(&Server::shared().url);
    let project = project("lagging").api(&proxy.url).git_init(None);
    let mut served = Served::start(&project, &[]);
    served.watcher.until(0, "the first pass", |report| report["changes"][0]["result"] == "done");
    let metrics = served.until("/metrics", "reconcile_in_sync 1").body;
    assert_eq!(value(&metrics, "reconcile_lag_seconds"), 0.0);
    assert!(value(&metrics, "reconcile_last_commit_lag_seconds") > 0.0, "{metrics}");

    proxy.rule(|request| match request.method == "PATCH" && request.path.starts_with("/api/deployments/") {
        true => Verdict::Answer(422, json!({"detail": "no"}).to_string()),
        false => Verdict::Pass,
    });
    // No pass shall see the files before they are a commit.
    assert_eq!(served.act("/suspend"), 202);
    project.write("prefect.yaml", &declared("second"));
    project.git_commit("second");
    assert_eq!(served.act("/resume"), 202);
    let refused = "reconcile_api_requests_total{kind=\"write\",method=\"PATCH\",status=\"422\"}";
    served.until("/metrics", refused);
    let before = served.until("/metrics", "reconcile_in_sync 0").body;
    served.watcher.says("trying again");
    let after = served.get("/metrics").body;
    let lag = "reconcile_lag_seconds";
    assert!(value(&before, lag) > 0.0 && value(&after, lag) >= value(&before, lag), "{before}\n{after}");
    assert_eq!(
        value(&after, "reconcile_last_commit_lag_seconds"),
        value(&metrics, "reconcile_last_commit_lag_seconds")
    );

    // Requests that nobody answers count even where a pass comes to nothing.
    proxy.rule(|_| Verdict::CutBefore);
    served.until("/metrics", "status=\"none\"}");
    proxy.rule(|_| Verdict::Pass);
    let metrics = served.until("/metrics", "reconcile_in_sync 1").body;
    assert_eq!(value(&metrics, lag), 0.0);
    let took = value(&metrics, "reconcile_last_commit_lag_seconds");
    assert!(took >= value(&after, lag), "it counts from when the commit was seen: {took}, {after}");
    served.watcher.stop().exits(0);
}
