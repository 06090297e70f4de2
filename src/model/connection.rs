//! `Connection`: everything needed to talk to one Prefect API.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::secret::Secret;

/// Where Prefect Cloud's API is, unless a setting says otherwise.
pub const CLOUD_API_URL: &str = "https://api.prefect.cloud/api";

/// How to reach one API, as plain values: the settings make it, the API client uses it.
///
/// Defaults are those of Prefect 3.8.8 settings/models/api.py and settings/models/client.py.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The address of the API without a final slash, usually ending in `/api`.
    pub url: String,
    /// Which setting gave the address, for messages: "`PREFECT_API_URL` in the environment".
    pub from: String,
    /// The API key, sent as a bearer token unless `auth` is there.
    pub key: Option<Secret>,
    /// `user:password`, sent as basic authentication.
    pub auth: Option<Secret>,
    /// More headers for every request.
    pub headers: BTreeMap<String, Secret>,
    /// Whether the server's certificate goes unchecked.
    pub tls_insecure: bool,
    /// The only certificate authorities to trust, in PEM; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// Whether HTTP/2 may be spoken.
    pub http2: bool,
    /// Whether to take part in the server's protection against forged requests when it asks for that.
    pub csrf: bool,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a request is sent again after a passing failure.
    pub max_retries: u32,
    /// The wait before the first of these; it doubles each time.
    pub retry_delay: Duration,
    /// Status codes that count as passing failures besides 408, 429, 502 and 503.
    pub retry_extra_codes: BTreeSet<u16>,
    /// How many writes may be on their way at once, at most.
    pub parallelism: usize,
    /// Where Prefect Cloud's API is.
    pub cloud_api_url: String,
    /// Where people look at it, without a final slash.
    pub ui_url: Option<String>,
}

impl Connection {
    /// A connection with nothing but an address; the rest as Prefect has it by default.
    pub fn new(url: impl Into<String>) -> Self {
        Connection {
            url: url.into().trim_end_matches('/').to_owned(),
            from: "the address given".to_owned(),
            key: None,
            auth: None,
            headers: BTreeMap::new(),
            tls_insecure: false,
            ca_file: None,
            http2: false,
            csrf: true,
            timeout: Duration::from_secs(60),
            max_retries: 5,
            retry_delay: Duration::from_millis(500),
            retry_extra_codes: BTreeSet::new(),
            parallelism: 4,
            cloud_api_url: CLOUD_API_URL.to_owned(),
            ui_url: None,
        }
    }

    /// Whether the API is Prefect Cloud's.
    pub fn is_cloud(&self) -> bool {
        self.url.starts_with(self.cloud_api_url.trim_end_matches('/'))
    }
}
