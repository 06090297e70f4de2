//! What a pass that found nothing to do leaves behind in the cache directory, so that the next one can do with less.
//!
//! The file is a hint and never more: whatever is wrong with it, everything is compared. It holds digests only, under
//! a random key of its own, and is readable by its owner alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::{Mark, new_ledger};
use crate::model::Connection;
use crate::model::secret::{hex, keyed_digest};

/// The format of the file; another one is not read.
const FORMAT: u32 = 1;
/// No memory is larger, in bytes; what is larger is not read.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What a comparison rested on that found nothing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    format: u32,
    /// The version of this program.
    program: String,
    /// The digest of address, scope and credentials.
    of: String,
    /// The key of all digests in it, in hexadecimal.
    key: String,
    /// The version of the server.
    pub server: String,
    /// How often the ledger had been saved.
    pub generation: u64,
    /// The workspace's deployments.
    pub deployments: Mark,
    /// The workspace's automations, if some are ours.
    pub automations: Option<Mark>,
    /// When everything was last compared.
    pub compared: Timestamp,
    /// Fingerprints of the deployments, by their keys as text.
    pub fingerprints: BTreeMap<String, String>,
}

impl Memory {
    /// An empty one with a key of its own.
    pub fn new(connection: &Connection, scope: &str, compared: Timestamp) -> Memory {
        let key = hex(&new_ledger().digest_key);
        Memory {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            of: whose(connection, scope, key.as_bytes()),
            key,
            server: String::new(),
            generation: 0,
            deployments: Mark { count: 0, newest: None },
            automations: None,
            compared,
            fingerprints: BTreeMap::new(),
        }
    }

    /// The key of its digests.
    pub fn key(&self) -> &[u8] {
        self.key.as_bytes()
    }

    /// Reads one that was made for this API, with these credentials, for this scope, by this version of the program.
    pub fn read(file: &Path, connection: &Connection, scope: &str) -> Option<Memory> {
        let mut text = String::new();
        let opened = fs::File::open(file).ok()?;
        opened.take(LARGEST).read_to_string(&mut text).ok()?;
        let memory: Memory = serde_json::from_str(&text).ok()?;
        let fits = memory.format == FORMAT
            && memory.program == env!("CARGO_PKG_VERSION")
            && memory.of == whose(connection, scope, memory.key());
        fits.then_some(memory)
    }

    /// Writes it in one piece. What fails is only logged: the next pass compares everything.
    pub fn write(&self, file: &Path) {
        if let Err(error) = self.try_write(file) {
            tracing::debug!(file = %file.display(), %error, "the pass is not remembered");
        }
    }

    fn try_write(&self, file: &Path) -> std::io::Result<()> {
        let dir = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir)?;
        // A temporary file is its owner's alone, and stays so under its new name.
        let mut new = tempfile::NamedTempFile::new_in(dir)?;
        new.write_all(serde_json::to_string(self)?.as_bytes())?;
        new.persist(file)?;
        Ok(())
    }
}

/// The file of one API and scope.
pub(super) fn file(cache: &Path, connection: &Connection, scope: &str) -> PathBuf {
    let of = Sha256::digest(format!("{}\0{scope}", connection.url).as_bytes());
    cache.join("passes").join(format!("{}.json", &hex(&of)[..32]))
}

/// Whose memory it is. Credentials enter under the key: an auth string can be guessed.
fn whose(connection: &Connection, scope: &str, key: &[u8]) -> String {
    let mut parts = vec![connection.url.clone(), scope.to_owned()];
    for secret in [&connection.key, &connection.auth] {
        parts.push(secret.as_ref().map(|secret| secret.digest(key)).unwrap_or_default());
    }
    for (name, secret) in &connection.headers {
        parts.push(format!("{name}:{}", secret.digest(key)));
    }
    keyed_digest(key, &Value::from(parts))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::model::Secret;

    fn connection(key: &str) -> Connection {
        let mut connection = Connection::new("http://x/api");
        connection.key = Some(Secret::text(key));
        connection
    }

    #[test]
    fn it_is_read_back_by_whom_it_was_made_for_and_nobody_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = file(dir.path(), &connection("canary"), "shop");
        let memory = Memory::new(&connection("canary"), "shop", Timestamp::UNIX_EPOCH);
        memory.write(&file);
        assert_eq!(Memory::read(&file, &connection("canary"), "shop"), Some(memory));
        assert_eq!(Memory::read(&file, &connection("other"), "shop"), None);
        assert_eq!(Memory::read(&file, &connection("canary"), "shop@prod"), None);
        let text = fs::read_to_string(&file).expect("it is there");
        assert!(!text.contains("canary"), "{text}");
        let mode = fs::metadata(&file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }

    #[test]
    fn a_damaged_one_is_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, connection) = (dir.path().join("x.json"), connection("k"));
        assert_eq!(Memory::read(&file, &connection, "shop"), None);
        let memory = Memory::new(&connection, "shop", Timestamp::UNIX_EPOCH);
        memory.write(&file);
        let whole = fs::read_to_string(&file).expect("it is there");
        for bad in ["", "{", "null", "[]", &whole[..whole.len() / 2], &whole.replace("\"format\":1", "\"format\":2")] {
            fs::write(&file, bad).expect("a file");
            assert_eq!(Memory::read(&file, &connection, "shop"), None, "{bad}");
        }
    }
}
