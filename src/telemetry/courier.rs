//! `Courier`: brings spans to the collector, and says once if it cannot.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::{Certificate, Client, Identity};
use tokio::runtime::Handle;

use super::settings::Settings;

/// No answer of a collector is longer, in bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// An HTTP client that works from threads without a runtime.
pub(super) struct Courier {
    client: Client,
    runtime: Handle,
    collector: String,
    /// Whether the last request came to nothing.
    failing: AtomicBool,
}

/// Requests hold headers, which may be secrets: nothing of them is shown.
impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Courier({})", self.collector)
    }
}

impl Courier {
    /// # Errors
    /// One sentence about a certificate.
    pub fn new(settings: &Settings, runtime: Handle) -> Result<Courier, String> {
        let client = client(settings)?;
        Ok(Courier { client, runtime, collector: settings.collector(), failing: AtomicBool::new(false) })
    }

    /// Says how it stands if that is news.
    fn tell(&self, failure: Option<String>) {
        let was_failing = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(because) if !was_failing => {
                tracing::warn!("traces are not taken by {}: {because}; passes go on without", self.collector);
            }
            None if was_failing => tracing::info!("traces are taken by {} again", self.collector),
            Some(_) | None => {}
        }
    }
}

#[async_trait]
impl HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = self.runtime.spawn(send(self.client.clone(), request));
        let sent = sending.await.unwrap_or_else(|_| Err("it was interrupted".to_owned()));
        let failure = match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers HTTP {}", answer.status().as_u16())),
            Err(because) => Some(because.clone()),
        };
        self.tell(failure);
        Ok(sent?)
    }
}

async fn send(client: Client, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
    // The errors themselves would name the address.
    let failed = |error: reqwest::Error| match error.is_timeout() {
        true => "it does not answer in time".to_owned(),
        false if error.is_connect() => "it cannot be reached".to_owned(),
        false => "the connection broke".to_owned(),
    };
    let (head, body) = request.into_parts();
    // Credentials in the address become a header.
    let request = client.request(head.method, head.uri.to_string()).headers(head.headers).body(body);
    let mut answer = request.send().await.map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > LONGEST_ANSWER {
            return Err("its answer does not end".to_owned());
        }
        bytes.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Bytes::from(bytes));
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

fn client(settings: &Settings) -> Result<Client, String> {
    // Fails only when one was installed already, which then is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder =
        // A redirection would take the headers to a host that nobody named.
        Client::builder().timeout(settings.timeout).redirect(reqwest::redirect::Policy::none());
    if settings.endpoint.starts_with("http://") {
        // Nothing to check, so the system's authorities need not be loaded, nor exist.
        builder = builder.tls_certs_only([]);
    } else if let Some(path) = &settings.authorities {
        let pem = read(path)?;
        let found = Certificate::from_pem_bundle(&pem).ok().filter(|found| !found.is_empty());
        builder = builder.tls_certs_only(found.ok_or_else(|| format!("{} holds no certificate", path.display()))?);
    }
    if let Some((certificate, key)) = &settings.identity {
        let pem = [read(certificate)?, b"\n".to_vec(), read(key)?].concat();
        let wrong = |_| format!("{} and {} hold no certificate and its key", certificate.display(), key.display());
        builder = builder.identity(Identity::from_pem(&pem).map_err(wrong)?);
    }
    builder.build().map_err(|error| format!("no encrypted connection can be made: {error}"))
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}
