//! The HTTP clients: encryption, credentials and the headers every request carries.

use base64::Engine;
use reqwest::ClientBuilder;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::error::ApiError;
use super::tls;
use crate::diagnostic::root_cause;
use crate::model::Connection;

/// Servers read the client's version from this.
pub(super) const USER_AGENT: &str = "prefect/3.8.8 (API 0.8.4)";
/// The version of the API we speak.
const API_VERSION: &str = "0.8.4";
/// Headers a setting may not replace (Prefect 3.8.8 client/base.py).
const PROTECTED: [&str; 3] = ["user-agent", "prefect-csrf-token", "prefect-csrf-client"];

/// A client that keeps connections open, and one that opens a new one for each request: on a connection that was
/// kept, a request can fail because the server is just closing it, and one never knows whether it was read.
pub(super) fn clients(connection: &Connection) -> Result<(reqwest::Client, reqwest::Client), ApiError> {
    // Fails only when one was installed already, which then is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let keeping = builder(connection)?.pool_idle_timeout(std::time::Duration::from_secs(25));
    let fresh = builder(connection)?.pool_max_idle_per_host(0);
    Ok((built(keeping)?, built(fresh)?))
}

fn builder(connection: &Connection) -> Result<ClientBuilder, ApiError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .default_headers(headers(connection)?)
        .timeout(connection.timeout)
        .connect_timeout(connection.timeout.min(std::time::Duration::from_secs(30)))
        // A redirected POST arrives as a GET or carries its body to a host nobody named: the user is told instead.
        .redirect(reqwest::redirect::Policy::none());
    if !connection.http2 {
        builder = builder.http1_only();
    }
    if connection.tls_insecure {
        builder = builder.tls_danger_accept_invalid_certs(true);
    } else if let Some(path) = &connection.ca_file {
        builder = builder.tls_backend_preconfigured(tls::config(path, connection.http2)?);
    } else if connection.url.starts_with("http://") {
        // Nothing to check, so the system's authorities need not be loaded, nor exist.
        builder = builder.tls_certs_only([]);
    }
    Ok(builder)
}

fn built(builder: ClientBuilder) -> Result<reqwest::Client, ApiError> {
    builder.build().map_err(|error| ApiError::Setup {
        problem: format!(
            "no encrypted connection can be made: {}; install the system's CA certificates, or name a file of them \
             in `PREFECT_API_SSL_CERT_FILE`",
            root_cause(&error)
        ),
    })
}

pub(super) fn headers(connection: &Connection) -> Result<HeaderMap, ApiError> {
    let mut headers = HeaderMap::new();
    headers.insert("x-prefect-api-version", HeaderValue::from_static(API_VERSION));
    headers.insert("x-reconcile-version", HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    if let Some(value) = authorization(connection) {
        headers.insert(AUTHORIZATION, secret_value("the API key or auth string", &value)?);
    }
    for (name, secret) in &connection.headers {
        let parsed: HeaderName = name.parse().map_err(|_| ApiError::Setup {
            problem: format!("`PREFECT_CLIENT_CUSTOM_HEADERS` holds `{name}`, which is no name of a header"),
        })?;
        if !PROTECTED.contains(&parsed.as_str()) {
            let what = format!("`{name}` in `PREFECT_CLIENT_CUSTOM_HEADERS`");
            headers.insert(parsed, secret_value(&what, secret.reveal_str().unwrap_or_default())?);
        }
    }
    Ok(headers)
}

/// The auth string goes before the key, as with Prefect.
fn authorization(connection: &Connection) -> Option<String> {
    let text = |secret: &Option<crate::model::Secret>| secret.as_ref()?.reveal_str().map(str::to_owned);
    match text(&connection.auth) {
        Some(auth) => Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(auth))),
        None => text(&connection.key).map(|key| format!("Bearer {key}")),
    }
}

fn secret_value(what: &str, value: &str) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| ApiError::Setup { problem: format!("{what} holds characters that no HTTP header can carry") })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    #[test]
    fn the_auth_string_goes_before_the_key_and_neither_is_shown() {
        let mut connection = Connection::new("http://x/api");
        connection.key = Some(Secret::text("canary-key"));
        assert_eq!(authorization(&connection).as_deref(), Some("Bearer canary-key"));
        connection.auth = Some(Secret::text("admin:canary"));
        assert_eq!(authorization(&connection).as_deref(), Some("Basic YWRtaW46Y2FuYXJ5"));
        let shown = format!("{:?}", headers(&connection).expect("good headers"));
        assert!(!shown.contains("canary") && !shown.contains("YWRt"), "{shown}");
    }

    #[test]
    fn headers_of_the_settings_cannot_replace_ours() {
        let mut connection = Connection::new("http://x/api");
        connection.headers.insert("User-Agent".to_owned(), Secret::text("other"));
        connection.headers.insert("X-Mine".to_owned(), Secret::text("yes"));
        let headers = headers(&connection).expect("good headers");
        assert_eq!((headers.get("user-agent"), headers["x-mine"].to_str().ok()), (None, Some("yes")));
        connection.headers.insert("bad name".to_owned(), Secret::text("x"));
        assert!(super::headers(&connection).is_err());
    }

    #[test]
    fn a_missing_authority_file_is_named() {
        let mut connection = Connection::new("https://x/api");
        connection.ca_file = Some("/nowhere/ca.pem".into());
        let error = clients(&connection).expect_err("no such file").to_string();
        assert!(error.contains("/nowhere/ca.pem") && error.contains("PREFECT_API_SSL_CERT_FILE"), "{error}");
    }
}
