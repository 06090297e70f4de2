//! `FakeForge`: the part of the REST APIs of GitHub and GitLab that we use, with faults on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::thread;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// The token that is let in.
pub const TOKEN: &str = "ghs_canary4711";

/// A forge on a free port of 127.0.0.1 until the test process ends. On GitHub its repository is `o/r`, on GitLab
/// project 7; the request is 5.
pub struct FakeForge {
    /// `http://HOST:PORT`; GitLab's API is below `/api/v4`.
    pub url: String,
    house: Arc<Mutex<House>>,
}

#[derive(Default)]
struct House {
    notes: Vec<Value>,
    /// Merged requests by commit.
    merged: Vec<(String, u64)>,
    statuses: Vec<Value>,
    seen: Vec<String>,
    faults: VecDeque<Fault>,
    /// Whose token it is; none for one that may not ask, as in jobs.
    login: Option<String>,
}

/// What happens to a request in the place of an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is answered with this status, headers and body, and not looked at.
    Refused(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// It is carried out, and then answered with 502.
    Lost,
}

impl FakeForge {
    /// A forge without notes.
    pub fn start() -> FakeForge {
        let house = Arc::new(Mutex::new(House::default()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new()
            .fallback(answer)
            .layer(axum::extract::DefaultBodyLimit::max(16 << 20))
            .with_state(Arc::clone(&house));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        FakeForge { url, house }
    }

    /// The environment of a job of GitHub Actions about pull request 5.
    pub fn github(&self) -> [(&'static str, String); 5] {
        [
            ("GITHUB_REPOSITORY", "o/r".to_owned()),
            ("GITHUB_API_URL", self.url.clone()),
            ("GITHUB_REF", "refs/pull/5/merge".to_owned()),
            ("GITHUB_RUN_ID", "99".to_owned()),
            ("GITHUB_TOKEN", TOKEN.to_owned()),
        ]
    }

    /// The environment of a job of GitLab CI about merge request 5.
    pub fn gitlab(&self) -> [(&'static str, String); 5] {
        [
            ("CI_PROJECT_ID", "7".to_owned()),
            ("CI_API_V4_URL", format!("{}/api/v4", self.url)),
            ("CI_MERGE_REQUEST_IID", "5".to_owned()),
            ("CI_JOB_URL", "https://gitlab.example.org/o/r/-/jobs/3".to_owned()),
            ("GITLAB_TOKEN", TOKEN.to_owned()),
        ]
    }

    /// The texts of all notes, oldest first.
    pub fn notes(&self) -> Vec<String> {
        self.house.lock().unwrap().notes.iter().map(|note| note["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Requests so far, `METHOD path`, and forgets them.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.house.lock().unwrap().seen)
    }

    /// Somebody writes a note.
    pub fn write(&self, author: &str, kind: &str, body: &str) {
        let mut house = self.house.lock().unwrap();
        let note = note(house.notes.len() as u64 + 1, author, kind, body);
        house.notes.push(note);
    }

    /// The statuses that were set: `COMMIT STATE CONTEXT`.
    pub fn statuses(&self) -> Vec<String> {
        let house = self.house.lock().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let line = |one: &Value| [&one["sha"], &one["body"]["state"], &one["body"]["context"]].map(text).join(" ");
        house.statuses.iter().map(line).collect()
    }

    /// Removes all notes.
    pub fn clear(&self) {
        self.house.lock().unwrap().notes.clear();
    }

    /// Request 5 is merged as a commit.
    pub fn merge(&self, commit: &str) {
        self.house.lock().unwrap().merged.push((commit.to_owned(), 5));
    }

    /// The next requests go wrong, one after another.
    pub fn fail(&self, faults: &[Fault]) {
        self.house.lock().unwrap().faults.extend(faults.iter().cloned());
    }

    /// The token is that of a user.
    pub fn is_of(&self, login: &str) {
        self.house.lock().unwrap().login = Some(login.to_owned());
    }
}

fn note(id: u64, author: &str, kind: &str, body: &str) -> Value {
    json!({
        "id": id, "body": body, "user": {"login": author, "type": kind}, "author": {"username": author},
        "html_url": format!("https://github.com/o/r/pull/5#issuecomment-{id}"),
    })
}

async fn answer(
    State(house): State<Arc<Mutex<House>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut house = house.lock().unwrap();
    house.seen.push(format!("{method} {uri}"));
    match house.faults.pop_front() {
        Some(Fault::Refused(status, headers, text)) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), text).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            return response;
        }
        Some(Fault::Lost) => {
            house.answer(&method, &uri, &headers, &body);
            return (StatusCode::BAD_GATEWAY, "<html>bad gateway</html>").into_response();
        }
        None => {}
    }
    let (status, json, link) = house.answer(&method, &uri, &headers, &body);
    let mut response = (StatusCode::from_u16(status).unwrap(), axum::Json(json)).into_response();
    if let Some(page) = link {
        let next = format!("<http://elsewhere.example/?page={page}>; rel=\"next\"");
        response.headers_mut().insert("link", next.parse().unwrap());
        response.headers_mut().insert("x-next-page", page.to_string().parse().unwrap());
    }
    response
}

type Answer = (u16, Value, Option<usize>);

fn no(status: u16, message: &str) -> Answer {
    (status, json!({ "message": message }), None)
}

impl House {
    fn answer(&mut self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Answer {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !text("user-agent").starts_with("reconcile/") {
            return no(403, "Request forbidden by administrative rules.");
        }
        let gitlab = uri.path().starts_with("/api/v4/");
        let shown = if gitlab { text("private-token") } else { text("authorization").trim_start_matches("Bearer ") };
        if shown != TOKEN {
            return no(401, "Bad credentials");
        }
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let path = uri.path().trim_start_matches("/api/v4");
        let query = |name: &str, usual: usize| {
            let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok()).unwrap_or(usual)
        };
        if path == "/user" {
            return match &self.login {
                Some(login) => (200, json!({ "login": login, "username": login }), None),
                None => no(403, "Resource not accessible by integration"),
            };
        }
        let rest = path.strip_prefix(if gitlab { "/projects/7/" } else { "/repos/o/r/" });
        let Some(rest) = rest else { return no(404, "Not Found") };
        let notes = if gitlab { "merge_requests/5/notes" } else { "issues/5/comments" };
        let limit = if gitlab { 1_000_000 } else { 65_536 };
        let body = json["body"].as_str().filter(|body| !body.is_empty() && body.chars().count() <= limit);
        let parts: Vec<&str> = rest.split('/').collect();
        match (method.as_str(), parts.as_slice()) {
            ("GET", _) if rest == notes => {
                let (rows, page) = (query("per_page", 30).min(100), query("page", 1));
                let found: Vec<Value> = self.notes.iter().skip((page - 1) * rows).take(rows).cloned().collect();
                (200, json!(found), (self.notes.len() > page * rows).then_some(page + 1))
            }
            ("POST", _) if rest == notes => match body {
                Some(body) => {
                    let author = self.login.clone().unwrap_or_else(|| "github-actions[bot]".to_owned());
                    let kind = if self.login.is_some() { "User" } else { "Bot" };
                    let made = note(self.notes.len() as u64 + 1, &author, kind, body);
                    self.notes.push(made.clone());
                    (201, made, None)
                }
                None => no(422, "Validation Failed"),
            },
            ("PATCH", ["issues", "comments", id]) | ("PUT", ["merge_requests", "5", "notes", id]) => {
                let id: u64 = id.parse().unwrap();
                match (self.notes.iter_mut().find(|note| note["id"] == id), body) {
                    (Some(note), Some(body)) => {
                        note["body"] = json!(body);
                        (200, note.clone(), None)
                    }
                    (_, None) => no(422, "Validation Failed"),
                    (None, _) => no(404, "Not Found"),
                }
            }
            ("GET", ["commits", sha, "pulls"]) | ("GET", ["repository", "commits", sha, "merge_requests"]) => {
                let merged = self.merged.iter().filter(|(commit, _)| commit == sha);
                let rows = merged.map(|(_, n)| json!({"number": n, "iid": n, "merged_at": "2026-01-01T00:00:00Z"}));
                (200, rows.collect(), None)
            }
            ("POST", ["statuses", sha]) => {
                self.statuses.push(json!({ "sha": sha, "body": json }));
                (201, json!({}), None)
            }
            _ => no(404, "Not Found"),
        }
    }
}
