//! Plain HTTP to a server on this machine: no proxy, no TLS, no reuse of connections.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: u64 = 4 << 20; // bytes of an answer; the largest we ask for is 100 KiB

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// GET, or POST when there is a body, of `path` below `url`; `None` when nobody answers HTTP there within `patience`.
pub(super) async fn ask(url: &str, path: &str, body: Option<&Value>, patience: Duration) -> Option<Answer> {
    timeout(patience, exchange(url, path, body)).await.ok()?
}

async fn exchange(url: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
    let (host, base) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = TcpStream::connect(host).await.ok()?;
    let (method, body) = match body {
        Some(body) => ("POST", body.to_string()),
        None => ("GET", String::new()),
    };
    let request = format!(
        "{method} /{base}{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\naccept: application/json\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut bytes = Vec::new();
    stream.take(LIMIT).read_to_end(&mut bytes).await.ok()?;
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_nonsense_is_none() {
        let answer = parse("HTTP/1.1 200 OK\r\nX-Reconcile-Server: abc\r\n\r\ntrue").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "true"));
        assert_eq!(answer.header("x-reconcile-server"), Some("abc"));
        assert_eq!(answer.header("date"), None);
        assert!(parse("SSH-2.0-x\r\n\r\n").is_none());
        assert!(parse("HTTP/1.1 nonsense\r\n\r\n").is_none());
    }

    #[tokio::test]
    async fn nobody_there_is_none() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(ask(&format!("http://{free}/api"), "/health", None, Duration::from_secs(2)).await.is_none());
    }

    #[tokio::test]
    async fn a_silent_port_is_none_in_time() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api", silent.local_addr().unwrap());
        assert!(ask(&url, "/health", None, Duration::from_millis(50)).await.is_none());
    }
}
