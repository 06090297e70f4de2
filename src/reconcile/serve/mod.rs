//! What a loop says over HTTP while it goes on, and who may wake it: health, metrics, webhooks, the status page.
//!
//! | path | |
//! |---|---|
//! | `GET /` | the status page |
//! | `GET /status.json` | the same as data |
//! | `GET /events` | server-sent events: one whenever the page changes |
//! | `GET /healthz`, `GET /readyz` | whether the process lives; whether the last pass went well |
//! | `GET /metrics` | for Prometheus |
//! | `GET /env/NAME/…` | of several environments one: page, `status.json`, `events` |
//! | `POST /webhook` | look again, signed by a forge |
//! | `POST /reconcile`, `/suspend`, `/resume` | with the bearer token |
//! | `POST /env/NAME/reconcile`, `/suspend`, `/resume` | the same for one of several environments |

mod board;
mod connections;
mod hooks;
mod lag;
mod metrics;
mod objects;
mod several;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures_util::stream::{select_all, unfold};
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

pub use board::{Board, Noted, Verdict};

use super::watch::Waker;
use crate::report::{overview, page};
use connections::Limits;
use hooks::{Delivery, Hooks};

/// No webhook has a larger body, in bytes.
const LARGEST_WEBHOOK: usize = 5 << 20;
/// So many webhooks are read at once: before the end of a body nobody knows whose it is.
const MOST_WEBHOOKS: usize = 4;
/// How long a webhook waits until others are read, and how long its body may take.
const WEBHOOK_WAITS: Duration = Duration::from_secs(5);
const WEBHOOK_TAKES: Duration = Duration::from_secs(30);
/// Pages, probes and forges together are few; descriptors are not many more.
const LIMITS: Limits = Limits { most: 256, silence: Duration::from_secs(30) };
/// So many pages may listen at once.
const MOST_LISTENERS: usize = 64;

/// Who may do what.
#[derive(Clone, Default)]
pub struct Keys {
    /// Who shows this as bearer may act; nobody may if there is none.
    pub token: Option<String>,
    /// What webhooks are signed with; none is taken if there is none.
    pub webhook_secret: Option<String>,
}

struct House {
    /// By environment; one without a name if there is one only.
    boards: Vec<(String, Board)>,
    waker: Waker,
    token: Option<String>,
    hooks: Option<Hooks>,
    /// Places for webhooks that are read.
    reading: Semaphore,
    listeners: AtomicUsize,
    /// Whether only this machine can reach us. Then names of other machines are refused: a page of theirs that a
    /// browser here has open could otherwise reach us under its own name.
    loopback: bool,
}

/// Serves until dropped.
///
/// Of several boards each has the name of its environment, and its own page below `/env/NAME/`.
pub async fn run(listener: TcpListener, boards: Vec<(String, Board)>, waker: Waker, keys: Keys) {
    let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let hooks = keys.webhook_secret.as_deref().map(Hooks::new);
    let (reading, listeners) = (Semaphore::new(MOST_WEBHOOKS), AtomicUsize::new(0));
    let house = Arc::new(House { boards, waker, token: keys.token, hooks, reading, listeners, loopback });
    let router = Router::new()
        .route("/", get(status_page))
        .route("/status.json", get(status))
        .route("/events", get(events))
        .route("/env/{name}/", get(page_of))
        .route("/env/{name}/status.json", get(status_of))
        .route("/env/{name}/events", get(events_of))
        .route("/env/{name}/reconcile", post(reconcile_of))
        .route("/env/{name}/suspend", post(suspend_of))
        .route("/env/{name}/resume", post(resume_of))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics_text))
        .route("/webhook", post(webhook))
        .route("/reconcile", post(reconcile))
        .route("/suspend", post(suspend))
        .route("/resume", post(resume))
        .layer(middleware::from_fn_with_state(Arc::clone(&house), guard))
        .with_state(house);
    connections::keep_answering(listener, router, &LIMITS).await;
}

type Our = State<Arc<House>>;

/// Refuses names that are not ours, and forbids browsers what no page of ours needs.
async fn guard(State(house): Our, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if house.loopback && !is_local(host) {
        return (StatusCode::MISDIRECTED_REQUEST, "this is served to this machine alone\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert("x-content-type-options", axum::http::HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", axum::http::HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(axum::http::HeaderValue::from_static("no-store"));
    response
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn status_page(State(house): Our) -> Response {
    let policy = [(CONTENT_SECURITY_POLICY, page::policy())];
    let page = match house.boards.as_slice() {
        [(_, board)] => page::status(&board.to_json()),
        several => overview::overview(&statuses(several).collect::<Vec<_>>()),
    };
    (policy, Html(page)).into_response()
}

fn statuses(boards: &[(String, Board)]) -> impl Iterator<Item = (String, Value)> {
    boards.iter().map(|(name, board)| (name.clone(), board.to_json()))
}

async fn status(State(house): Our) -> Response {
    match house.boards.as_slice() {
        [(_, board)] => Json(board.to_json()).into_response(),
        several => Json(json!({"environments": statuses(several).collect::<serde_json::Map<_, _>>()})).into_response(),
    }
}

async fn page_of(State(house): Our, Path(name): Path<String>) -> Response {
    let policy = [(CONTENT_SECURITY_POLICY, page::policy())];
    house.of(&name, |board| {
        let mut status = board.to_json();
        status["overview"] = json!("../../");
        (policy, Html(page::status(&status))).into_response()
    })
}

async fn status_of(State(house): Our, Path(name): Path<String>) -> Response {
    house.of(&name, |board| Json(board.to_json()).into_response())
}

async fn events_of(State(house): Our, Path(name): Path<String>) -> Response {
    house.of(&name, |board| heard(&house, [board]))
}

/// Ready is who has everything as git says, everywhere, and goes on looking.
async fn readiness(State(house): Our) -> Response {
    let now = Timestamp::now();
    match house.boards.iter().find_map(|(_, board)| board.trouble(now)) {
        None => format!("{}\n", Verdict::InSync.word()).into_response(),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("{trouble}\n")).into_response(),
    }
}

async fn metrics_text(State(house): Our) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics_of(&house.boards)).into_response()
}

fn metrics_of(boards: &[(String, Board)]) -> String {
    match boards {
        [(_, board)] => metrics::text(board),
        several => {
            let texts: Vec<_> = several.iter().map(|(name, board)| (name.clone(), metrics::text(board))).collect();
            several::merged(&texts)
        }
    }
}

/// One event whenever a board changes.
async fn events(State(house): Our) -> Response {
    heard(&house, house.boards.iter().map(|(_, board)| board))
}

fn heard<'a>(house: &Arc<House>, boards: impl IntoIterator<Item = &'a Board>) -> Response {
    let Some(place) = Place::take(house) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many are listening\n").into_response();
    };
    let all = select_all(boards.into_iter().map(|board| Box::pin(stream(board.listen()))));
    // As long as somebody listens, the place is taken.
    let all = all.inspect(move |_| _ = &place);
    Sse::new(all).keep_alive(KeepAlive::default()).into_response()
}

fn stream(changes: watch::Receiver<u64>) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(changes, async |mut changes| {
        changes.changed().await.ok()?;
        let version = *changes.borrow_and_update();
        Some((Ok(Event::default().event("pass").data(version.to_string())), changes))
    })
}

/// A place among the listeners, given back when dropped.
struct Place(Arc<House>);

impl Place {
    fn take(house: &Arc<House>) -> Option<Place> {
        let before = house.listeners.fetch_add(1, Ordering::SeqCst);
        let place = Place(Arc::clone(house));
        (before < MOST_LISTENERS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn webhook(State(house): Our, headers: HeaderMap, body: Body) -> Response {
    let Some(hooks) = &house.hooks else {
        return (StatusCode::NOT_FOUND, "webhooks are taken only where a secret for them was given\n").into_response();
    };
    if !hooks::claims_to_be_signed(&headers) {
        house.count_webhook("forged");
        return (StatusCode::UNAUTHORIZED, "there is no signature\n").into_response();
    }
    let too_large = || {
        house.count_webhook("too_large");
        (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or never ends\n").into_response()
    };
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > LARGEST_WEBHOOK) {
        return too_large();
    }
    let Ok(Ok(_place)) = tokio::time::timeout(WEBHOOK_WAITS, house.reading.acquire()).await else {
        house.count_webhook("busy");
        return (StatusCode::SERVICE_UNAVAILABLE, "too many come at once\n").into_response();
    };
    let Ok(Ok(body)) = tokio::time::timeout(WEBHOOK_TAKES, to_bytes(body, LARGEST_WEBHOOK)).await else {
        return too_large();
    };
    match hooks.judge(&headers, &body) {
        Delivery::Good => {
            house.count_webhook("accepted");
            house.waker.wake();
            (StatusCode::ACCEPTED, "looking again\n").into_response()
        }
        Delivery::Replayed => {
            house.count_webhook("replayed");
            (StatusCode::OK, "this was here just now\n").into_response()
        }
        Delivery::Forged => {
            house.count_webhook("forged");
            (StatusCode::UNAUTHORIZED, "the signature does not fit\n").into_response()
        }
    }
}

async fn reconcile(State(house): Our, headers: HeaderMap) -> Response {
    house.act(&headers, || house.waker.wake(), "looking again\n")
}

async fn suspend(State(house): Our, headers: HeaderMap) -> Response {
    house.act(&headers, || house.suspend(true), "suspended\n")
}

async fn resume(State(house): Our, headers: HeaderMap) -> Response {
    let resume = || {
        house.suspend(false);
        house.waker.wake();
    };
    house.act(&headers, resume, "resumed\n")
}

/// Who looks again looks at all of them.
async fn reconcile_of(State(house): Our, Path(name): Path<String>, headers: HeaderMap) -> Response {
    house.of(&name, |_| house.act(&headers, || house.waker.wake(), "looking again\n"))
}

async fn suspend_of(State(house): Our, Path(name): Path<String>, headers: HeaderMap) -> Response {
    house.of(&name, |board| house.act(&headers, || board.suspend(true), "suspended\n"))
}

async fn resume_of(State(house): Our, Path(name): Path<String>, headers: HeaderMap) -> Response {
    house.of(&name, |board| {
        let resume = || {
            board.suspend(false);
            house.waker.wake();
        };
        house.act(&headers, resume, "resumed\n")
    })
}

impl House {
    /// Something about one of several environments.
    fn of(&self, name: &str, answer: impl FnOnce(&Board) -> Response) -> Response {
        match self.boards.iter().find(|(known, _)| known == name) {
            Some((_, board)) if self.boards.len() > 1 => answer(board),
            Some(_) | None => (StatusCode::NOT_FOUND, "there is no such environment here\n").into_response(),
        }
    }

    fn suspend(&self, suspended: bool) {
        self.boards.iter().for_each(|(_, board)| board.suspend(suspended));
    }

    fn count_webhook(&self, result: &'static str) {
        self.boards.iter().for_each(|(_, board)| board.count_webhook(result));
    }

    fn act(&self, headers: &HeaderMap, act: impl FnOnce(), done: &'static str) -> Response {
        let Some(token) = &self.token else {
            return (StatusCode::FORBIDDEN, "nobody may act: no token was given\n").into_response();
        };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if !given.is_some_and(|given| hooks::same(given, token.as_bytes())) {
            return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")], "the token does not fit\n")
                .into_response();
        }
        act();
        (StatusCode::ACCEPTED, done).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in ["localhost", "localhost:80", "127.0.0.1:8080", "127.9.9.9", "[::1]:80", "[::1]"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["", "example.org", "example.org:80", "localhost.example.org", "10.0.0.1:80", "127.0.0.1.nip.io"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
