//! What a worker says over HTTP: `GET /health`, whether it still polls; `GET /metrics`, what it did, for Prometheus.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Worker;
use crate::report::metrics::{Metrics, escaped, number, one};

/// A worker that has not polled for so many times its interval may be unresponsive (Prefect 3.8.8 `workers/server.py`).
const INTERVALS: u32 = 30;

/// What a worker did since it began.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Runs that it took.
    pub taken: AtomicU64,
    /// Runs that it took over from a worker that had died.
    pub adopted: AtomicU64,
    /// Runs that it reported as crashed.
    pub crashed: AtomicU64,
    /// Runs that it reported as cancelled.
    pub cancelled: AtomicU64,
    /// Polls that were answered.
    pub polls: AtomicU64,
    /// Polls that were not.
    pub failed_polls: AtomicU64,
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Answers until it is dropped.
pub(super) async fn keep_answering(worker: Arc<Worker>, listener: TcpListener) {
    let router = Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(worker);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the health check is answered no more");
    }
}

type Our = State<Arc<Worker>>;

async fn health(State(worker): Our) -> (StatusCode, Json<Value>) {
    match since_poll(&worker) <= worker.options.query * INTERVALS {
        true => (StatusCode::OK, Json(json!({"message": "OK"}))),
        false => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"message": "Worker may be unresponsive at this time"}))),
    }
}

fn since_poll(worker: &Worker) -> Duration {
    let polled = Duration::from_millis(worker.polled.load(Ordering::Relaxed));
    worker.begun.elapsed().saturating_sub(polled)
}

async fn metrics(State(worker): Our) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&worker))
}

fn text(worker: &Worker) -> String {
    let counts = &worker.counts;
    let read = |counter: &AtomicU64| number(Some(&counter.load(Ordering::Relaxed)));
    let labelled = |label: &str, all: &[(&str, f64)]| {
        all.iter().map(|(word, n)| (format!("{{{label}=\"{word}\"}}"), *n)).collect::<Vec<_>>()
    };
    let mut out = Metrics::default();
    let (version, pool) = (env!("CARGO_PKG_VERSION"), escaped(&worker.options.pool));
    let info = format!("{{version=\"{version}\",pool=\"{pool}\",name=\"{}\"}}", escaped(&worker.name));
    out.metric("worker_info", "gauge", "The worker.", [(info, 1.0)]);
    let from = labelled("from", &[("poll", read(&counts.taken)), ("journal", read(&counts.adopted))]);
    out.metric("worker_runs_total", "counter", "Runs taken, and taken over from a worker that died.", from);
    let under_way = u64::try_from(worker.flights.count()).unwrap_or_default();
    out.metric("worker_runs_under_way", "gauge", "Runs that have not ended.", one(number(Some(&under_way))));
    if let Some(limit) = worker.options.limit.and_then(|limit| u64::try_from(limit).ok()) {
        out.metric("worker_runs_limit", "gauge", "How many runs may be at once.", one(number(Some(&limit))));
    }
    let reported = labelled("state", &[("crashed", read(&counts.crashed)), ("cancelled", read(&counts.cancelled))]);
    out.metric("worker_reports_total", "counter", "Ends of runs that the worker reported itself.", reported);
    let polls = labelled("result", &[("answered", read(&counts.polls)), ("failed", read(&counts.failed_polls))]);
    out.metric("worker_polls_total", "counter", "Polls for runs that are due.", polls);
    let ago = one(since_poll(worker).as_secs_f64());
    out.metric("worker_last_poll_seconds", "gauge", "Seconds since a poll was answered.", ago);
    let sent = worker.api.requests();
    let requests = labelled("kind", &[("read", number(Some(&sent.read))), ("write", number(Some(&sent.write)))]);
    out.metric("worker_api_requests_total", "counter", "Requests to the API.", requests);
    let again = one(number(Some(&sent.repeated)));
    out.metric("worker_api_requests_repeated_total", "counter", "Those of them that were sent again.", again);
    let connected = |flag: &std::sync::atomic::AtomicBool| f64::from(flag.load(Ordering::Relaxed));
    let sockets = [("channel", connected(&worker.channel)), ("events", connected(&worker.hears))];
    let sockets = labelled("socket", &sockets);
    out.metric("worker_connected", "gauge", "Whether the web sockets of the API are open.", sockets);
    out.text
}
