//! `Socket`: a WebSocket of the API: events in and out, the workers' channel. One JSON value is one frame.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::Api;
use super::http::USER_AGENT;
use super::tls;
use crate::diagnostic::root_cause;
use crate::model::Connection;

/// How long connecting and introducing ourselves may take.
const SETUP: Duration = Duration::from_secs(10);
/// After so long without a word the other side is asked for a sign of life …
const QUIET: Duration = Duration::from_secs(45);
/// … and has so long to give it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// No message of a Prefect API is longer, in bytes.
const LONGEST: usize = 16 << 20;

/// Why there is no connection, or none any more.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SocketError {
    /// The server, or something on the way to it, does not open one here; asking again at once is of no use.
    #[error("the server opens no WebSocket there ({0})")]
    Refused(u16),
    /// It was closed.
    #[error("the connection was closed ({code}): {reason}")]
    Closed {
        /// The WebSocket's code; 1005 if none was given.
        code: u16,
        /// What was said.
        reason: String,
    },
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

/// Something that bytes go through in both directions.
trait Pipe: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Pipe for T {}

/// An open WebSocket.
pub struct Socket {
    stream: WebSocketStream<Box<dyn Pipe>>,
    /// When something last came.
    heard: Instant,
    /// When a sign of life was asked for that has not come yet.
    asked: Option<Instant>,
}

impl Api {
    /// Opens a WebSocket below the API's address and introduces us.
    ///
    /// # Errors
    /// If there is none to be had: the caller does without, or asks again later.
    pub async fn socket(&self, path: &str) -> Result<Socket, SocketError> {
        let opened = timeout(SETUP, async {
            let mut socket = open(self.connection(), path).await?;
            socket.introduce(self.connection()).await?;
            Ok(socket)
        });
        opened.await.map_err(|_| SocketError::Failed("no answer within the time limit".to_owned()))?
    }
}

async fn open(connection: &Connection, path: &str) -> Result<Socket, SocketError> {
    let failed = |error: &dyn std::error::Error| SocketError::Failed(error.to_string());
    let address = format!("{}{path}", connection.url).replacen("http", "ws", 1);
    let mut request = address.as_str().into_client_request().map_err(|error| failed(&error))?;
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", HeaderValue::from_static("prefect"));
    headers.insert("user-agent", HeaderValue::from_static(USER_AGENT));
    for (name, value) in super::http::headers(connection).map_err(|error| failed(&error))?.iter() {
        headers.insert(name.clone(), value.clone());
    }
    let pipe = pipe(connection).await?;
    let config = WebSocketConfig::default().max_message_size(Some(LONGEST)).max_frame_size(Some(LONGEST));
    match client_async_with_config(request, pipe, Some(config)).await {
        Ok((stream, _)) => Ok(Socket { stream, heard: Instant::now(), asked: None }),
        Err(WsError::Http(answer)) if answer.status().is_client_error() => {
            Err(SocketError::Refused(answer.status().as_u16()))
        }
        Err(error) => Err(lost(&error)),
    }
}

/// The connection below: plain, or encrypted under the same rules as requests.
async fn pipe(connection: &Connection) -> Result<Box<dyn Pipe>, SocketError> {
    let failed = |error: String| SocketError::Failed(error);
    let url = url::Url::parse(&connection.url).map_err(|error| failed(error.to_string()))?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(failed("the address names no host".to_owned()));
    };
    let bare = host.trim_matches(['[', ']']);
    let stream = TcpStream::connect((bare, port)).await.map_err(|error| failed(root_cause(&error)))?;
    let _ = stream.set_nodelay(true);
    if url.scheme() != "https" {
        return Ok(Box::new(stream));
    }
    let config = tls::for_sockets(connection).map_err(|error| failed(error.to_string()))?;
    let name = rustls::pki_types::ServerName::try_from(bare.to_owned()).map_err(|error| failed(error.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = connector.connect(name, stream).await.map_err(|error| failed(root_cause(&error)))?;
    Ok(Box::new(stream))
}

impl Socket {
    /// The first words: who we are. Prefect Cloud reads that from the headers.
    async fn introduce(&mut self, connection: &Connection) -> Result<(), SocketError> {
        let text = |secret: &Option<crate::model::Secret>| secret.as_ref()?.reveal_str().map(str::to_owned);
        let token = text(&connection.auth).or_else(|| text(&connection.key));
        self.send(&json!({"type": "auth", "token": token})).await?;
        match self.next().await? {
            answer if answer["type"] == "auth_success" => Ok(()),
            answer => {
                let reason = answer["reason"].as_str().unwrap_or("the server did not let us in").to_owned();
                Err(SocketError::Closed { code: 1008, reason })
            }
        }
    }

    /// Sends a value.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn send(&mut self, value: &Value) -> Result<(), SocketError> {
        self.stream.send(Message::text(value.to_string())).await.map_err(|error| lost(&error))
    }

    /// The next value. A connection on which nothing comes is tried now and then. Waiting may be given up and taken up
    /// again without losing anything.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn next(&mut self) -> Result<Value, SocketError> {
        loop {
            let until = self.asked.map_or(self.heard + QUIET, |asked| asked + SIGN_OF_LIFE);
            match timeout_at(until, self.stream.next()).await {
                Err(_) if self.asked.is_some() => {
                    return Err(SocketError::Failed("the other side is silent".to_owned()));
                }
                Err(_) => {
                    self.asked = Some(Instant::now());
                    self.stream.send(Message::Ping(Bytes::new())).await.map_err(|error| lost(&error))?;
                }
                Ok(None) => return Err(closed(None)),
                Ok(Some(Err(error))) => return Err(lost(&error)),
                Ok(Some(Ok(Message::Close(frame)))) => return Err(closed(frame.as_ref())),
                Ok(Some(Ok(message))) => {
                    (self.heard, self.asked) = (Instant::now(), None);
                    if let Message::Text(text) = message {
                        let parsed = serde_json::from_str(text.as_str());
                        return parsed.map_err(|error| SocketError::Failed(format!("what came is not JSON: {error}")));
                    }
                }
            }
        }
    }

    /// Waits until what was sent has arrived.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn confirm(&mut self) -> Result<(), SocketError> {
        self.stream.send(Message::Ping(Bytes::new())).await.map_err(|error| lost(&error))?;
        let answered = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Pong(_))) => return Ok(()),
                    Some(Ok(Message::Close(frame))) => return Err(closed(frame.as_ref())),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(lost(&error)),
                    None => return Err(closed(None)),
                }
            }
        };
        timeout(SIGN_OF_LIFE, answered).await.map_err(|_| SocketError::Failed("the other side is silent".to_owned()))?
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.stream.close(None)).await;
    }
}

fn closed(frame: Option<&CloseFrame>) -> SocketError {
    let (code, reason) = frame.map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
    SocketError::Closed { code, reason }
}

fn lost(error: &WsError) -> SocketError {
    SocketError::Failed(root_cause(error))
}
