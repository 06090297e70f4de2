//! A server that misbehaves in every way we know of.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use reconcile::api::{Api, Which};
use reconcile::model::Secret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{api, connection};

/// One answer: status, headers, body.
type Reply = (u16, Vec<(&'static str, String)>, String);

/// A request as it arrived.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Clone, Default)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    fn lines(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").iter().map(|seen| seen.line.clone()).collect()
    }
}

fn ok(body: Value) -> Reply {
    (200, Vec::new(), body.to_string())
}

fn bad(status: u16, body: Value) -> Reply {
    (status, Vec::new(), body.to_string())
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let headers = request.headers().clone();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap_or_default();
    script.seen.lock().expect("no panic").push(Seen { line, headers, body });
    let reply = script.replies.lock().expect("no panic").pop_front();
    let (status, headers, body) = reply.unwrap_or_else(|| (500, Vec::new(), "Internal Server Error".to_owned()));
    let mut response = body.into_response();
    *response.status_mut() = status.try_into().expect("a status");
    response.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a value"));
    }
    response
}

/// Starts a server that gives these answers in order.
async fn serve(replies: impl IntoIterator<Item = Reply>) -> (String, Script) {
    let script = Script { replies: Arc::new(Mutex::new(replies.into_iter().collect())), seen: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/api", listener.local_addr().expect("an address"));
    let app = Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, script)
}

/// Starts a server that reads a request and closes the connection for the first `drops`, then answers `reply`.
async fn drop_connections(drops: usize, reply: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/api", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        for n in 0.. {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            if n >= drops {
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", reply.len());
                let _ = stream.write_all(format!("{head}{reply}").as_bytes()).await;
            }
        }
    });
    url
}

#[tokio::test]
async fn every_request_says_who_asks() {
    let (url, script) = serve([ok(json!("3.8.8"))]).await;
    let mut connection = connection(&url);
    connection.key = Some(Secret::text("k"));
    connection.headers.insert("X-Mine".to_owned(), Secret::text("m"));
    Api::connect(connection).expect("a connection").server().await.expect("a version");
    let seen = script.seen.lock().expect("no panic")[0].clone();
    let header = |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    assert_eq!(header("user-agent").as_deref(), Some("prefect/3.8.8 (API 0.8.4)"));
    assert_eq!(header("x-prefect-api-version").as_deref(), Some("0.8.4"));
    assert_eq!(header("authorization").as_deref(), Some("Bearer k"));
    assert_eq!(header("x-mine").as_deref(), Some("m"));
    assert!(header("x-reconcile-version").is_some());
}

#[tokio::test]
async fn a_server_that_asks_for_patience_gets_it() {
    let wait = (429, vec![("retry-after", "1".to_owned())], "{}".to_owned());
    let (url, script) = serve([wait, ok(json!("3.8.8"))]).await;
    let started = Instant::now();
    api(&url).server().await.expect("a version");
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(script.lines().len(), 2);
}

#[tokio::test]
async fn passing_failures_are_repeated_and_lasting_ones_told() {
    for status in [408, 429, 502, 503, 504, 418] {
        let (url, script) = serve([bad(status, json!({})), bad(status, json!({})), ok(json!({"id": "i"}))]).await;
        let mut connection = connection(&url);
        connection.retry_extra_codes.insert(418);
        let api = Api::connect(connection).expect("a connection");
        assert_eq!(api.create_flow("f").await.as_deref(), Ok("i"), "{status}");
        assert_eq!((script.lines().len(), api.requests().write), (3, 3));
    }
    let (url, script) = serve((0..9).map(|_| bad(503, json!({"exception_message": "Service Unavailable"})))).await;
    let mut connection = connection(&url);
    connection.max_retries = 2;
    let error = Api::connect(connection).expect("a connection").create_flow("f").await.expect_err("fails");
    assert_eq!((script.lines().len(), error.code(), error.is_transient()), (3, "E0515", true));
}

#[tokio::test]
async fn a_bare_500_is_told_at_once() {
    let (url, script) =
        serve([(500, vec![("content-type", "text/plain".to_owned())], "Internal Server Error".to_owned())]).await;
    let error = api(&url).create_flow("f").await.expect_err("fails");
    assert_eq!((script.lines().len(), error.code()), (1, "E0515"));
}

#[tokio::test]
async fn dropped_connections_are_repeated_only_where_that_is_safe() {
    let url = drop_connections(2, r#"{"id":"i"}"#).await;
    assert_eq!(api(&url).create_flow("f").await.as_deref(), Ok("i"));
}

#[tokio::test]
async fn an_automation_is_looked_for_before_it_is_sent_again() {
    let (sent, row) = (
        json!({"name": "a", "actions": [{"type": "run-deployment", "deployment_id": "d"}]}),
        json!({"id": "there", "name": "a", "created": "2026-11-21T08:00:00Z", "actions": [{"deployment_id": "d"}]}),
    );
    let dated = |date: &str, rows: Value| (200, vec![("date", date.to_owned())], rows.to_string());
    // It was made although the answer was lost.
    let now = "Sat, 21 Nov 2026 08:00:00 GMT";
    let (url, script) = serve([bad(503, json!({})), dated(now, json!([row]))]).await;
    assert_eq!(api(&url).create_automation(&sent).await.as_deref(), Ok("there"));
    assert_eq!(script.lines(), ["POST /api/automations/", "POST /api/automations/filter"]);
    // The one that is there is an old one.
    let later = "Sat, 21 Nov 2026 09:00:00 GMT";
    let (url, script) = serve([bad(503, json!({})), dated(later, json!([row])), ok(json!({"id": "new"}))]).await;
    assert_eq!(api(&url).create_automation(&sent).await.as_deref(), Ok("new"));
    assert_eq!(script.lines().len(), 3);
    // A refusal is final.
    let (url, script) = serve([bad(422, json!({"detail": "no"}))]).await;
    assert_eq!(api(&url).create_automation(&sent).await.expect_err("refused").status(), Some(422));
    assert_eq!(script.lines().len(), 1);
}

#[tokio::test]
async fn schedules_that_arrived_are_not_sent_again() {
    let slug = |slug: &str| json!({"slug": slug, "schedule": {"cron": "* * * * *"}});
    let (url, script) = serve([bad(502, json!({})), ok(json!([slug("a")])), ok(json!([]))]).await;
    api(&url).add_schedules("d", &[slug("a"), slug("b")]).await.expect("added");
    let seen = script.seen.lock().expect("no panic").clone();
    assert_eq!(serde_json::from_slice::<Value>(&seen[2].body).expect("JSON"), json!([slug("b")]));
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn an_echoed_secret_stays_unseen() {
    let echo = json!({
        "exception_message": "Invalid request received.",
        "exception_detail": [{"type": "x", "loc": ["body", "job_variables"], "msg": "no canary-1 here", "input": "canary-2"}],
        "request_body": {"job_variables": {"token": "canary-1"}, "name": "canary-2"},
    });
    let (url, _) = serve([bad(422, echo)]).await;
    let body = json!({"job_variables": {"token": "canary-1"}, "name": "n"});
    let error = api(&url).update_deployment("d", &body).await.expect_err("refused");
    let all = format!("{error} {error:?} {:?}", error.diagnostic());
    assert!(all.contains("job_variables: no (sensitive) here") && !all.contains("canary"), "{all}");
}

#[tokio::test]
async fn a_stranger_is_recognised() {
    let html = |status| (status, vec![("content-type", "text/html; charset=utf-8".to_owned())], "<html>".to_owned());
    let redirect = (307, vec![("location", "https://elsewhere/api?token=x".to_owned())], String::new());
    for (reply, expected) in [
        (html(200), "with a web page (200)"),
        (html(404), "with a web page (404)"),
        (bad(404, json!({"detail": "Not Found"})), "does not know GET /admin/version (404)"),
        (redirect, "redirects GET /admin/version to https://elsewhere/api"),
        (ok(json!({"version": 1})), "its version is not a text"),
        ((200, vec![], "3.8.8 is not JSON".to_owned()), "something else than JSON"),
    ] {
        let (url, _) = serve([reply]).await;
        let error = api(&url).server().await.expect_err("a stranger");
        assert_eq!(error.code(), "E0512", "{error}");
        assert!(error.to_string().contains(expected) && !error.to_string().contains("token"), "{error}");
        assert!(error.help().contains("/api"), "{}", error.help());
    }
}

#[tokio::test]
async fn nobody_at_home_is_told_at_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    for url in [format!("http://127.0.0.1:{port}/api"), "http://no-such-host.invalid/api".to_owned()] {
        let api = api(&url);
        let error = api.server().await.expect_err("nobody");
        assert_eq!((error.code(), error.is_transient(), api.requests().read), ("E0510", true, 1), "{error}");
        assert!(error.to_string().contains(&url), "{error}");
    }
}

#[tokio::test]
async fn encryption_where_there_is_none_is_explained() {
    let (url, _) = serve([ok(json!("3.8.8"))]).await;
    let mut connection = connection(&url.replace("http://", "https://"));
    connection.tls_insecure = true;
    let error = Api::connect(connection).expect("a connection").server().await.expect_err("no encryption");
    assert_eq!(error.code(), "E0511", "{error}");
}

#[tokio::test]
async fn a_silent_server_costs_no_more_than_the_time_limit() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut connection = connection(&format!("http://{}/api", listener.local_addr().expect("an address")));
    connection.timeout = Duration::from_millis(100);
    connection.max_retries = 1;
    let error = Api::connect(connection).expect("a connection").server().await.expect_err("silence");
    assert_eq!(error.code(), "E0515");
    assert!(error.to_string().contains("time limit"), "{error}");
}

#[tokio::test]
async fn a_list_that_moves_is_read_again() {
    let row = |n: usize| json!({"id": n.to_string()});
    let page = |rows: std::ops::Range<usize>, count: usize| {
        ok(json!({"results": rows.map(row).collect::<Vec<_>>(), "count": count, "limit": 100, "pages": 2, "page": 1}))
    };
    // One is added in front while reading: its first reading doubles row 99 and has another count.
    let (url, script) = serve([page(0..100, 150), page(99..150, 151), page(0..100, 151), page(100..151, 151)]).await;
    assert_eq!(api(&url).deployments(&Which::All).await.expect("rows").len(), 151);
    let asked = script.seen.lock().expect("no panic").clone();
    let order = |seen: &Seen| serde_json::from_slice::<Value>(&seen.body).expect("JSON")["sort"].clone();
    let orders: Vec<Value> = asked.iter().map(order).collect();
    assert_eq!(orders, ["CREATED_DESC", "CREATED_DESC", "NAME_ASC", "NAME_ASC"], "a tie is cut only once");
    // A count beyond reason does not make us ask for ever.
    let (url, script) = serve([page(0..1, usize::MAX)]).await;
    assert_eq!(api(&url).deployments(&Which::All).await.expect_err("nonsense").code(), "E0517");
    assert_eq!(script.lines().len(), 1);
}

#[tokio::test]
async fn a_token_that_expired_is_replaced() {
    let denied = || bad(403, json!({"detail": "Invalid CSRF token or client identifier."}));
    let token = |token: &str| ok(json!({"token": token, "client": "c", "expiration": "2026-11-21T08:00:00Z"}));
    let made = || ok(json!({"id": "i"}));
    let (url, script) = serve([denied(), token("one"), made(), denied(), token("two"), made()]).await;
    let api = api(&url);
    api.create_flow("f").await.expect("a flow");
    api.create_flow("g").await.expect("a flow");
    let seen = script.seen.lock().expect("no panic").clone();
    let tokens: Vec<Option<&str>> =
        seen.iter().map(|seen| seen.headers.get("prefect-csrf-token").and_then(|v| v.to_str().ok())).collect();
    assert_eq!(tokens, [None, None, Some("one"), Some("one"), None, Some("two")]);
    // A server that never takes its own token does not keep us for ever.
    let (url, script) = serve([denied(), token("a"), denied(), token("b"), denied()]).await;
    assert_eq!(super::api(&url).create_flow("f").await.expect_err("denied").code(), "E0513");
    assert_eq!(script.lines().len(), 5);
}

#[tokio::test]
async fn redirects_carry_nothing_away() {
    let (thief, taken) = serve([ok(json!({"id": "i"}))]).await;
    let (url, _) = serve([(307, vec![("location", thief)], String::new())]).await;
    let mut connection = connection(&url);
    connection.key = Some(Secret::text("canary"));
    Api::connect(connection).expect("a connection").create_flow("f").await.expect_err("not followed");
    assert!(taken.lines().is_empty());
}
