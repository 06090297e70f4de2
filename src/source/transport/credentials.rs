//! `Credentials`: who we are to a git server that speaks HTTP.

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use reqwest::header::HeaderValue;
use url::Url;

/// What is told a server; never shown.
#[derive(Clone, Default)]
pub struct Credentials(Option<HeaderValue>);

impl Credentials {
    /// A user and a password or token. None if no header can carry them.
    pub fn basic(user: &str, password: &str) -> Credentials {
        let code = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Credentials(HeaderValue::from_str(&format!("Basic {code}")).ok().map(|mut value| {
            value.set_sensitive(true);
            value
        }))
    }

    /// What goes into the header `authorization`.
    pub(super) fn header(&self) -> Option<&HeaderValue> {
        self.0.as_ref()
    }

    /// What git's own credential helpers know of a server: `git credential fill`, which may not ask anybody.
    pub(super) fn of_helper(url: &Url) -> Option<Credentials> {
        let host = url.host_str()?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let path = url.path().trim_start_matches('/');
        let question = format!("protocol={}\nhost={host}{port}\npath={path}\n\n", url.scheme());
        let mut command = Command::new("git");
        // Nowhere: a repository around us could name a helper of its own.
        command.args(["credential", "fill"]).current_dir("/").env_remove("GIT_DIR").env("GIT_TERMINAL_PROMPT", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let sent = child.stdin.take().map(|mut stdin| stdin.write_all(question.as_bytes()));
        let output = child.wait_with_output().ok().filter(|output| output.status.success())?;
        sent?.ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        Some(Credentials::basic(value("username").unwrap_or_default(), value("password")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_never_shown() {
        let credentials = Credentials::basic("x-access-token", "canary");
        let header = credentials.header().expect("a header");
        assert_eq!(header.to_str().ok(), Some("Basic eC1hY2Nlc3MtdG9rZW46Y2FuYXJ5"));
        assert!(!format!("{header:?}").contains("eC1"));
        assert!(Credentials::default().header().is_none());
    }
}
