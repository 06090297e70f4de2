//! The board in the text format of Prometheus.

use jiff::Timestamp;

use super::board::{Board, Verdict};
use crate::api::Answered;
use crate::report::metrics::{Metrics, escaped, number, one};

/// Everything that is counted. Labels are few: no object and no commit but the last one is named.
pub(super) fn text(board: &Board) -> String {
    let inner = board.look();
    let counts = &inner.counts;
    let mut out = Metrics::default();
    let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    out.metric("info", "gauge", "The version that runs.", [(version, 1.0)]);
    let passes = Verdict::ALL.map(Verdict::word);
    let passes = passes.map(|word| (format!("{{result=\"{word}\"}}"), number(counts.passes.get(word))));
    out.metric("passes_total", "counter", "Passes by how they ended.", passes);
    out.metric("pass_duration_seconds_total", "counter", "Seconds that all passes took.", one(counts.seconds));
    out.metric("last_pass_duration_seconds", "gauge", "Seconds that the last pass took.", one(counts.last_seconds));
    let seconds = |at: Option<Timestamp>| one(at.map_or(0.0, |at| at.as_second() as f64));
    out.metric(
        "last_pass_timestamp_seconds",
        "gauge",
        "When the last pass began; 0 if none did.",
        seconds(counts.last),
    );
    let last = seconds(counts.last_success);
    out.metric(
        "last_success_timestamp_seconds",
        "gauge",
        "When the last pass began that went well; 0 if none did.",
        last,
    );
    let in_sync = inner.verdict == Some(Verdict::InSync);
    out.metric("in_sync", "gauge", "Whether the last pass left everything as git says.", one(f64::from(in_sync)));
    out.metric("suspended", "gauge", "Whether passes are left out.", one(f64::from(inner.suspended.is_some())));
    let waiting = one(f64::from(inner.waiting.is_some()));
    out.metric("waiting", "gauge", "Whether passes wait: for git, or for the lock.", waiting);
    let under_way = seconds(inner.under_way);
    out.metric(
        "pass_under_way_timestamp_seconds",
        "gauge",
        "When a pass began that takes its time; 0 if none does.",
        under_way,
    );
    let changes = counts
        .changes
        .iter()
        .map(|((action, result), n)| (format!("{{action=\"{action}\",result=\"{result}\"}}"), number(Some(n))));
    out.metric("changes_total", "counter", "Changes by action and what became of them.", changes);
    out.metric(
        "drift_total",
        "counter",
        "Changes that undid what somebody did on the API.",
        one(number(Some(&counts.drift))),
    );
    let requests = counts.answers.iter().map(|(answered, n)| (request(answered), number(Some(n))));
    out.metric(
        "api_requests_total",
        "counter",
        "Requests to the API by what they are for, method and status; `none` if no answer came.",
        requests,
    );
    out.metric(
        "lag_seconds",
        "gauge",
        "For how long there has been a commit that is not applied; 0 if there is none.",
        one(counts.lag.now(Timestamp::now()).as_secs_f64()),
    );
    let took = counts.lag.last.into_iter().map(|took| (String::new(), took.as_secs_f64()));
    let help = "Seconds from when the last commit that was applied was seen to when it was in.";
    out.metric("last_commit_lag_seconds", "gauge", help, took);
    let webhooks = ["accepted", "replayed", "forged", "too_large", "busy"];
    let webhooks = webhooks.map(|word| (format!("{{result=\"{word}\"}}"), number(counts.webhooks.get(word))));
    out.metric("webhooks_total", "counter", "Webhooks by what they were.", webhooks);
    if let Some(report) = &inner.report {
        let summary = |name: &str| report["summary"][name].as_f64().unwrap_or_default();
        let objects = ["unchanged", "held"].map(|name| (format!("{{state=\"{name}\"}}"), summary(name)));
        out.metric("objects", "gauge", "Objects as of the last pass.", objects);
        let text = |value: &serde_json::Value| escaped(value.as_str().unwrap_or_default());
        let labels =
            format!("{{scope=\"{}\",commit=\"{}\"}}", text(&report["scope"]), text(&report["source"]["commit"]));
        out.metric("commit_info", "gauge", "What the last pass read.", [(labels, 1.0)]);
    }
    out.text
}

/// The labels of a kind of request.
fn request(answered: &Answered) -> String {
    let kind = if answered.write { "write" } else { "read" };
    let status = answered.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
    format!("{{kind=\"{kind}\",method=\"{}\",status=\"{status}\"}}", escaped(&answered.method))
}
