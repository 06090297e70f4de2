//! The floor: a client that does nothing but send requests over one kept connection and read the answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

/// One kept connection to a server on `http://`.
pub struct Raw {
    host: String,
    base: String,
    stream: BufReader<TcpStream>,
}

impl Raw {
    /// Connects to the API at `url`.
    pub fn new(url: &str) -> Raw {
        let (host, base) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        Raw { host: host.to_owned(), base: base.to_owned(), stream: BufReader::new(TcpStream::connect(host).unwrap()) }
    }

    /// POST until it is answered well; a busy SQLite database answers 503 and is asked again.
    pub fn post(&mut self, path: &str, body: &str) -> Vec<u8> {
        for _ in 0..50 {
            match self.once(path, body) {
                Some((status, answer)) if (200..300).contains(&status) => return answer,
                Some((503, _)) => sleep(Duration::from_millis(100)),
                Some((status, answer)) => panic!("{path}: {status} {}", String::from_utf8_lossy(&answer)),
                None => self.stream = BufReader::new(TcpStream::connect(&self.host).unwrap()),
            }
        }
        panic!("{path}: still busy");
    }

    /// The same, and the answer as JSON.
    pub fn json(&mut self, path: &str, body: &str) -> Value {
        serde_json::from_slice(&self.post(path, body)).expect("JSON")
    }

    /// `None` when the server closed the connection.
    fn once(&mut self, path: &str, body: &str) -> Option<(u16, Vec<u8>)> {
        let head = format!(
            "POST /{}{path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.base,
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all(head.as_bytes()).ok()?;
        let mut line = String::new();
        self.stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut length = None;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).ok()?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse::<usize>().ok();
            }
        }
        let mut answer = vec![0; length.expect("the server tells the length of its answers")];
        self.stream.read_exact(&mut answer).ok()?;
        Some((status, answer))
    }
}
