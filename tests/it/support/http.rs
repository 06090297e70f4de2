//! `Http`: a small blocking JSON client, to set up and look at a server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};

const ROWS: usize = 200; // a page of Prefect's

/// A client of one API. Every request is a connection of its own.
#[derive(Clone, Debug)]
pub struct Http {
    url: String,
    auth: Option<String>,
}

/// Status and body of an answer; a body that is no JSON is a string, an empty one null.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Http {
    /// A client of the API at `url`, `http://HOST:PORT/…`.
    pub fn new(url: &str) -> Http {
        Http { url: url.trim_end_matches('/').to_owned(), auth: None }
    }

    /// The same, with `user:password`.
    pub fn auth(&self, credentials: &str) -> Http {
        let code = base64::engine::general_purpose::STANDARD.encode(credentials);
        Http { auth: Some(format!("authorization: Basic {code}\r\n")), ..self.clone() }
    }

    /// GET; panics unless the answer is a success, as do the three below.
    pub fn get(&self, path: &str) -> Value {
        self.success("GET", path, None)
    }

    /// POST.
    pub fn post(&self, path: &str, body: Value) -> Value {
        self.success("POST", path, Some(&body))
    }

    /// PATCH.
    pub fn patch(&self, path: &str, body: Value) -> Value {
        self.success("PATCH", path, Some(&body))
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Value {
        self.success("DELETE", path, None)
    }

    /// All rows of a kind: `deployments`, `flows`, `automations`, …
    pub fn all(&self, kind: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        loop {
            let page = self.post(&format!("/{kind}/filter"), json!({"limit": ROWS, "offset": rows.len()}));
            let page = page.as_array().expect("a filter answers a list").clone();
            let last = page.len() < ROWS;
            rows.extend(page);
            if last {
                return rows;
            }
        }
    }

    /// Any request, any answer. A busy SQLite database answers 503 and is asked again.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        for _ in 0..240 {
            let answer = self.once(method, path, body);
            if answer.status != 503 {
                return answer;
            }
            sleep(Duration::from_millis(500));
        }
        panic!("{method} {path}: still busy")
    }

    fn success(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.request(method, path, body);
        assert!((200..300).contains(&answer.status), "{method} {path} {body:?}: {answer:?}");
        answer.body
    }

    /// Any request, whatever the answer.
    pub fn once(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let rest = self.url.strip_prefix("http://").unwrap();
        let (host, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let body = body.map(Value::to_string).unwrap_or_default();
        let auth = self.auth.as_deref().unwrap_or("");
        let mut stream = TcpStream::connect(host).unwrap_or_else(|error| panic!("{}: {error}", self.url));
        stream.set_read_timeout(Some(Duration::from_secs(600))).unwrap();
        let head = format!(
            "{method} {base}{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{auth}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {path}: no answer"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = match body {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        };
        Answer { status, body }
    }
}
