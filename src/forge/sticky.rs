//! The first line of a note of ours: by it the note is found again, and it holds the digest of the plan that was shown.
//!
//! It holds hexadecimal digits only of what others chose, so that nothing can break out of it.

use sha2::{Digest, Sha256};

use crate::model::secret::hex;

/// By what a note is found again: what it is about, of which scope and in which workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker(String);

impl Marker {
    /// The marker of what a command says of a scope, environment included, at an API. Without an API there is no
    /// workspace, and the note is another one.
    pub fn new(command: &str, scope: &str, api: Option<&str>) -> Marker {
        let mut digest = Sha256::new();
        for part in [command, scope, api.map_or("", |api| api.trim_end_matches('/'))] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Marker(hex(&digest.finalize()[..16]))
    }

    /// The first line of the note.
    pub fn line(&self, digest: &str) -> String {
        let digest: String = digest.chars().filter(|c| c.is_ascii_alphanumeric() || *c == ':').collect();
        format!("{}digest={digest} -->", self.head())
    }

    /// Whether a note is ours, as far as its text tells.
    pub fn is_on(&self, body: &str) -> bool {
        body.starts_with(&self.head())
    }

    fn head(&self) -> String {
        format!("<!-- reconcile:note={} ", self.0)
    }
}

/// The digest that a note of ours was made for.
pub fn digest_in(body: &str) -> Option<&str> {
    let line = body.lines().next()?.strip_prefix("<!-- reconcile:note=")?;
    let digest = line.split_once(" digest=")?.1.strip_suffix(" -->")?;
    let sound = digest.strip_prefix("sha256:").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    sound.then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_and_workspace_has_a_marker_of_its_own() {
        let one = Marker::new("plan", "shop@prod", Some("http://x/api"));
        assert_eq!(one, Marker::new("plan", "shop@prod", Some("http://x/api/")));
        let others =
            [("plan", "shop", Some("http://x/api")), ("plan", "shop@prod", None), ("drift", "shop@prod", None)];
        for (command, scope, api) in others {
            assert!(!Marker::new(command, scope, api).is_on(&one.line("sha256:00")), "{command} {scope} {api:?}");
        }
        assert!(one.is_on(&format!("{}\nand more", one.line("sha256:00"))));
        assert!(!one.is_on(&format!("look: {}", one.line("sha256:00"))));
    }

    #[test]
    fn a_hostile_scope_does_not_leave_the_marker() {
        let marker = Marker::new("plan", "x --> <script> $(touch pwned) \n::set-output", None);
        let line = marker.line("sha256:ab --> \n");
        assert_eq!((line.matches("-->").count(), line.lines().count()), (1, 1), "{line}");
        assert_eq!(digest_in(&line), Some("sha256:ab"));
        assert_eq!(digest_in("<!-- reconcile:note=00 digest=sha256:xyz -->"), None);
        assert_eq!(digest_in("digest=sha256:ab"), None);
    }
}
