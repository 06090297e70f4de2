//! The health check: `GET /health` says whether the worker still polls.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::Worker;

/// A worker that has not polled for so many times its interval may be unresponsive (Prefect 3.8.8 `workers/server.py`).
const INTERVALS: u32 = 30;
/// How long somebody who asks may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers until it is dropped.
pub(super) async fn keep_answering(worker: Arc<Worker>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(timeout(PATIENCE, answer(&worker, stream)).await),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(worker: &Worker, mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < 16 * 1024 {
        match stream.read(&mut part).await? {
            0 => break,
            read => head.extend_from_slice(&part[..read]),
        }
    }
    let asked = String::from_utf8_lossy(&head);
    let path = asked.split_whitespace().nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    let polled = Duration::from_millis(worker.polled.load(Ordering::Relaxed));
    let fresh = worker.begun.elapsed().saturating_sub(polled) <= worker.options.query * INTERVALS;
    let (status, body) = match (path.as_str(), fresh) {
        ("/health", true) => ("200 OK", r#"{"message":"OK"}"#),
        ("/health", false) => ("503 Service Unavailable", r#"{"message":"Worker may be unresponsive at this time"}"#),
        _ => ("404 Not Found", r#"{"detail":"Not Found"}"#),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
