//! How git's protocol reaches a remote repository: HTTP by the client that everything else uses, SSH by the `ssh` of
//! this machine.
//!
//! libgit2 brings transports of its own, which need OpenSSL and a second stack for SSH. These two need neither, and
//! what is configured for the rest (authorities, proxies, agents, known hosts) holds for them.

mod credentials;
mod http;
mod ssh;

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::Duration;

use git2::transport::{self, Transport};

pub use credentials::Credentials;

/// The user whose password is a token; GitHub and GitLab do not mind the name.
const USER: &str = "x-access-token";

/// What a connection may need.
#[derive(Clone)]
pub struct Access {
    /// Where to run what waits for the network.
    pub runtime: tokio::runtime::Handle,
    /// Speaks HTTP.
    pub client: reqwest::Client,
    /// Who we are to an HTTP server.
    pub credentials: Credentials,
    /// The program in the place of `ssh`, as `GIT_SSH_COMMAND` has it.
    pub ssh_command: Option<String>,
}

impl Access {
    /// What the environment says: `RECONCILE_GIT_TOKEN` with `RECONCILE_GIT_USER`, `GIT_SSL_CAINFO`,
    /// `GIT_SSH_COMMAND`. Call it within a runtime.
    ///
    /// # Errors
    /// One sentence about certificates that cannot be used.
    pub fn new(env: impl Fn(&str) -> Option<String>) -> Result<Access, String> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        let user = env("RECONCILE_GIT_USER").unwrap_or_else(|| USER.to_owned());
        let token = env("RECONCILE_GIT_TOKEN").map(|token| Credentials::basic(&user, token.trim()));
        Ok(Access {
            runtime: tokio::runtime::Handle::current(),
            client: client(env("GIT_SSL_CAINFO").as_deref())?,
            credentials: token.unwrap_or_default(),
            ssh_command: env("GIT_SSH_COMMAND"),
        })
    }
}

/// A client that follows git's ways: servers tell git by its name, and only the first question may be redirected.
fn client(authorities: Option<&str>) -> Result<reqwest::Client, String> {
    // Fails only when one was installed already, which then is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("git/2.0 (reconcile ", env!("CARGO_PKG_VERSION"), ")"))
        .connect_timeout(Duration::from_secs(30))
        .read_timeout(Duration::from_secs(60))
        .redirect(reqwest::redirect::Policy::custom(|attempt| {
            let leaves_encryption =
                attempt.url().scheme() != "https" && attempt.previous().iter().any(|url| url.scheme() == "https");
            if leaves_encryption || attempt.previous().len() > 5 { attempt.stop() } else { attempt.follow() }
        }));
    if let Some(file) = authorities {
        let bad =
            |error: &dyn std::fmt::Display| format!("`GIT_SSL_CAINFO` names `{file}`, which cannot be used: {error}");
        let pem = std::fs::read(file).map_err(|error| bad(&error))?;
        let listed = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad(&error))?;
        builder = builder.tls_certs_only(listed);
    }
    builder.build().map_err(|error| format!("no encrypted connection can be made: {error}"))
}

thread_local! {
    /// What connections of this thread may use: libgit2 makes a transport with nothing but an address.
    static ACCESS: RefCell<Option<Access>> = const { RefCell::new(None) };
}

/// Runs something on this thread whose connections may use `access`. It must not be a thread of the runtime's own.
///
/// # Errors
/// What `run` says, or that libgit2 does not take our transports.
pub fn with<T>(access: &Access, run: impl FnOnce() -> Result<T, git2::Error>) -> Result<T, git2::Error> {
    registered()?;
    let before = ACCESS.replace(Some(access.clone()));
    let result = run();
    ACCESS.set(before);
    result
}

fn registered() -> Result<(), git2::Error> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    let done = DONE.get_or_init(|| register().map_err(|error| error.message().to_owned()));
    done.clone().map_err(|message| git2::Error::from_str(&message))
}

#[expect(unsafe_code, reason = "registering must not meet the making of transports, which only `with` does, after it")]
fn register() -> Result<(), git2::Error> {
    let access = || ACCESS.with_borrow(Clone::clone).ok_or_else(|| git2::Error::from_str("nothing may connect here"));
    let http = move |remote: &git2::Remote<'_>| Transport::smart(remote, true, http::Http::new(access()?));
    let ssh = move |remote: &git2::Remote<'_>| Transport::smart(remote, false, ssh::Ssh::new(access()?));
    // SAFETY: this runs once, and whoever makes transports has waited for it.
    unsafe {
        transport::register("http", http)?;
        transport::register("https", http)?;
        transport::register("ssh", ssh)
    }
}
