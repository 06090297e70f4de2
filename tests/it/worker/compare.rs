//! The same flows run by Prefect's worker and by ours: the same states, and the same logs on the server.

use regex::Regex;
use serde_json::{Value, json};

use super::site::{Site, server, wait_for};
use crate::support::proxy::{Proxy, Request};

/// What a run left behind, without what differs from run to run.
#[derive(Debug, PartialEq)]
pub struct Left {
    case: &'static str,
    pub states: Vec<String>,
    message: String,
    labels: Vec<String>,
    /// What run and worker stored; what the worker says of crashes is in our own words.
    logs: Vec<(String, i64, String)>,
}

const CASES: [(&str, &str, i64); 5] =
    [("hello", "n", 2), ("fails", "", 0), ("dies", "code", 7), ("killed", "sig", 9), ("killed", "sig", 15)];

pub fn left(site: &Site, case: &'static str, run: &str) -> Left {
    site.end(run);
    // Who it was and where is told last.
    site.placed(run);
    let now = site.read(run);
    // What was stored last arrives last.
    let lost = now["state"]["name"] == "Crashed";
    let farewell = if lost { "submitted to infrastructure" } else { "Finished in state" };
    let last = [farewell, "submitted to infrastructure"];
    let stored = |logs: Vec<(String, i64, String)>| last.iter().all(|end| logs.iter().any(|log| log.2.contains(end)));
    assert!(wait_for(|| stored(site.logs(run)).then_some(())).is_some());
    let names = Regex::new(r"'[a-z]+-[a-z]+'|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|http://\S+|/tmp/\S+").unwrap();
    let plain = |text: &str| {
        let head = text.split("\nTraceback").next().unwrap_or_default();
        names.replace_all(&head.replace(&site.pool, "<pool>"), "<x>").into_owned()
    };
    let of_worker = |text: &str| text.starts_with("Worker '") || text.ends_with("submitted to infrastructure");
    // A process that is lost takes its last words with it, or does not.
    let of_engine = |text: &str| !lost || text.to_lowercase().contains("deployment");
    let wanted = |log: &(String, i64, String)| (log.0 == "prefect.flow_runs" && of_engine(&log.2)) || of_worker(&log.2);
    let mut logs: Vec<(String, i64, String)> =
        site.logs(run).into_iter().filter(wanted).map(|(name, level, text)| (name, level, plain(&text))).collect();
    logs.sort();
    // What a busy server took without an answer in time was sent to it again.
    logs.dedup();
    Left {
        case,
        // How late a run is depends on the machine.
        states: site.states(run).into_iter().filter(|name| name != "Late").collect(),
        message: plain(now["state"]["message"].as_str().unwrap_or_default()),
        labels: now["labels"].as_object().unwrap().keys().cloned().collect(),
        logs,
    }
}

pub fn all(site: &Site) -> Vec<Left> {
    let start = |(flow, name, value): &(&'static str, &str, i64)| {
        let parameters: Value = if name.is_empty() { json!({}) } else { json!({ *name: value }) };
        site.run_of(flow, parameters)
    };
    let runs: Vec<String> = CASES.iter().map(start).collect();
    CASES.iter().zip(&runs).map(|((flow, ..), run)| left(site, flow, run)).collect()
}

/// How many requests changed runs, how many a busy database refused, and how many writes were on their way at once.
/// Those refused are sent again, and do not count as changes.
fn asked(proxy: &Proxy) -> [usize; 3] {
    let all = proxy.requests();
    let count = |wanted: &dyn Fn(&Request) -> bool| all.iter().filter(|request| wanted(request)).count();
    [
        count(&|one| one.is_write() && one.path.contains("/flow_runs/") && one.status < 500),
        count(&|one| one.status == 503),
        all.iter().map(|request| request.at_once).max().unwrap_or_default(),
    ]
}

/// What both workers left of the same runs, and what they asked for: Prefect's first.
fn both(theirs: &Site, ours: &Site) -> [(Vec<Left>, [usize; 3]); 2] {
    let args = ["--name", "w", "--limit", "3"];
    let run = |site: &Site, is_ours: bool| {
        let front = Proxy::in_front_of(&server().url);
        let env = [("PREFECT_API_URL", front.url.as_str())];
        let _worker = if is_ours { site.worker_with(&args, &env) } else { site.reference(&args, &env) };
        let left = all(site);
        (left, asked(&front))
    };
    [run(theirs, false), run(ours, true)]
}

#[test]
fn our_worker_leaves_what_prefects_leaves() {
    let (theirs, ours) = (Site::new("their-pool"), Site::beside("our-pool"));
    for attempt in 1.. {
        let [(expected, asked), (found, asked_by_us)] = both(&theirs, &ours);
        eprintln!(
            "changes of runs, refusals, writes at once: {asked:?} with Prefect's worker, {asked_by_us:?} with ours"
        );
        // What a busy server refuses is told again or lost, as the run's end has it: not comparable.
        if found != expected && attempt < 4 && asked[1] + asked_by_us[1] > 0 {
            eprintln!("the server was too busy; once more");
            continue;
        }
        for (ours, theirs) in found.into_iter().zip(expected) {
            assert_eq!(ours, theirs);
        }
        // What got no answer on a busy machine was sent again: one for each run is forgiven.
        assert!(asked_by_us[0] <= asked[0] + CASES.len());
        return;
    }
}
