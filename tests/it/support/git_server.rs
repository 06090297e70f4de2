//! `GitServer`: bare repositories behind git's own HTTP backend, with a token if need be.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use tempfile::TempDir;

use super::project::Project;

/// A server on a free port of 127.0.0.1 until the test process ends; its repositories go with this.
pub struct GitServer {
    /// Repositories are below it.
    pub url: String,
    dir: TempDir,
    house: Arc<House>,
}

#[derive(Default)]
struct House {
    root: PathBuf,
    rules: Mutex<Rules>,
    seen: Mutex<Vec<Request>>,
}

/// How it behaves.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The password that is wanted of whatever user.
    pub token: Option<String>,
    /// Every question for references is redirected to below this.
    pub redirect: Option<String>,
    /// Everything is answered with 503.
    pub away: bool,
}

/// What somebody asked.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub authorized: bool,
}

impl GitServer {
    /// A server without repositories that lets everybody in.
    pub fn start() -> GitServer {
        let dir = tempfile::tempdir().unwrap();
        let house = Arc::new(House { root: dir.path().to_owned(), ..House::default() });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&house));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        GitServer { url, dir, house }
    }

    /// From now on it behaves like this.
    pub fn rules(&self, rules: Rules) {
        *self.house.rules.lock().unwrap() = rules;
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.house.seen.lock().unwrap().clone()
    }

    /// Where a repository lies on disk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.git"))
    }

    /// The address of a repository.
    pub fn address(&self, name: &str) -> String {
        format!("{}/{name}.git", self.url)
    }

    /// Pushes something of a project, by force, into a repository that is made if there is none.
    pub fn push(&self, project: &Project, name: &str, what: &str) {
        let path = self.path(name).display().to_string();
        if !self.path(name).exists() {
            project.git(&["init", "-q", "--bare", "-b", "main", &path]);
        }
        project.git(&["push", "-q", "--force", &path, what]);
    }
}

async fn answer(
    State(house): State<Arc<House>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let rules = house.rules.lock().unwrap().clone();
    let given = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    house.seen.lock().unwrap().push(Request { path: uri.path().to_owned(), authorized: !given.is_empty() });
    if rules.away {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if let Some(base) = rules.redirect.filter(|_| uri.path().ends_with("/info/refs")) {
        return (StatusCode::FOUND, [("location", format!("{base}{uri}"))]).into_response();
    }
    if rules.token.is_some_and(|token| !is_password(&given, &token)) {
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic realm=\"git\"")]).into_response();
    }
    tokio::task::spawn_blocking(move || backend(&house, &method, &uri, &headers, &body)).await.unwrap()
}

fn is_password(header: &str, password: &str) -> bool {
    let code = header.strip_prefix("Basic ").unwrap_or_default();
    let text = base64::engine::general_purpose::STANDARD.decode(code).unwrap_or_default();
    String::from_utf8(text).is_ok_and(|text| text.split_once(':').is_some_and(|(_, given)| given == password))
}

/// Runs the CGI program that comes with git.
fn backend(house: &House, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut command = Command::new("git");
    command.arg("http-backend").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env("GIT_PROJECT_ROOT", &house.root).env("GIT_HTTP_EXPORT_ALL", "").env("REQUEST_METHOD", method.as_str());
    command.env("PATH_INFO", uri.path()).env("QUERY_STRING", uri.query().unwrap_or_default());
    command.env("CONTENT_TYPE", header("content-type")).env("CONTENT_LENGTH", body.len().to_string());
    command.env("HTTP_CONTENT_ENCODING", header("content-encoding")).env("GIT_CONFIG_GLOBAL", "/dev/null");
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), body).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let mut response = Response::new(axum::body::Body::from(output[end + 4..].to_vec()));
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        match name {
            "Status" => *response.status_mut() = value[..3].parse().unwrap(),
            name => drop(
                response
                    .headers_mut()
                    .insert(axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap()),
            ),
        }
    }
    response
}
