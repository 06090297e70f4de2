//! The server's protection against forged requests: a token to be sent with every change, if the server wants one.
//!
//! Prefect's own client asks for a token before its first change; we ask only when a server demands it, which saves
//! a request on every server that does not.

use std::sync::Mutex;

use serde_json::Value;

/// The token, once there is one.
pub(super) struct Csrf {
    client: String,
    token: Mutex<Option<String>>,
}

impl Csrf {
    pub fn new() -> Self {
        Csrf { client: uuid::Uuid::new_v4().to_string(), token: Mutex::new(None) }
    }

    /// Where a token is to be had.
    pub fn path(&self) -> String {
        format!("/csrf-token?client={}", self.client)
    }

    /// Keeps the token of an answer; says whether it held one.
    pub fn keep(&self, answer: &Value) -> bool {
        let token = answer["token"].as_str().map(str::to_owned);
        let found = token.is_some();
        *self.lock() = token;
        found
    }

    /// The headers of a change.
    pub fn headers(&self) -> Option<[(&'static str, String); 2]> {
        let token = self.lock().clone()?;
        Some([("prefect-csrf-token", token), ("prefect-csrf-client", self.client.clone())])
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.token.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whether an answer demands a token (Prefect 3.8.8 server/api/middleware.py).
pub(super) fn is_demanded(status: u16, body: &Value) -> bool {
    let detail = body["detail"].as_str().unwrap_or_default();
    status == 403 && (detail.contains("CSRF token") || detail.contains("Missing client identifier"))
}
