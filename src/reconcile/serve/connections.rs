//! Connections: so many at once, and none that keeps silent.
//!
//! `axum::serve` sets no timer: there who connects and says nothing stays, until nobody else can be let in.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long one waits after a connection could not be taken: most likely there are too many open files.
const BREATH: Duration = Duration::from_millis(200);

/// What is put up with.
pub(super) struct Limits {
    /// So many connections are answered at once; others wait.
    pub most: usize,
    /// One that sends no head of a request for so long is closed.
    pub silence: Duration,
}

/// Answers until dropped.
pub(super) async fn keep_answering(listener: TcpListener, router: Router, limits: &Limits) {
    let mut open = JoinSet::new();
    loop {
        while open.len() >= limits.most || open.try_join_next().is_some() {
            if open.len() >= limits.most {
                open.join_next().await;
            }
        }
        match listener.accept().await {
            Ok((stream, _)) => drop(open.spawn(answer(stream, router.clone(), limits.silence))),
            Err(error) => {
                tracing::debug!(%error, "a connection could not be taken");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, router: Router, silence: Duration) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(silence);
    let answering = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = answering.await {
        tracing::debug!(%error, "a connection came to no good end");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn who_keeps_silent_makes_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let limits = Limits { most: 2, silence: Duration::from_millis(300) };
        let serving = async {
            let router = Router::new().route("/", get(async || "here\n"));
            keep_answering(listener, router, &limits).await;
        };
        let asking = async {
            let mut silent = Vec::new();
            for _ in 0..6 {
                silent.push(TcpStream::connect(address).await.expect("connected"));
            }
            let mut stream = TcpStream::connect(address).await.expect("connected");
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
            let mut told = String::new();
            stream.read_to_string(&mut told).await.expect("an answer");
            assert!(told.ends_with("here\n"), "{told}");
            for mut one in silent {
                assert_eq!(one.read(&mut [0; 8]).await.unwrap_or(0), 0, "it is closed");
            }
        };
        tokio::select! {
            () = serving => {}
            asked = tokio::time::timeout(Duration::from_secs(60), asking) => asked.expect("there is room in the end"),
        }
    }
}
