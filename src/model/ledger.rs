//! `Ledger`: what a scope owns on the API, what it last applied there and what it is about to write.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::key::Key;
use super::path::Path;

/// One object that is ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// The server's id.
    pub id: String,
    /// The paths that were declared when it was last applied, each with the keyed digest of its value.
    pub declared: BTreeMap<Path, String>,
    /// Whether it stays when it leaves git: `lifecycle: { prune: false }`.
    pub keep: bool,
}

/// What a scope owns. One per scope, kept on the API itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// Counts the saves; 0 for a ledger that was never saved.
    pub generation: u64,
    /// The commit that was last applied, if the source was a git repository.
    pub commit: Option<String>,
    /// The key of all digests in it: 32 random bytes.
    pub digest_key: Vec<u8>,
    /// What is ours.
    pub owned: BTreeMap<Key, Owned>,
    /// What was about to be written when it was last saved: after a crash these are adopted by name.
    pub pending: BTreeSet<Key>,
    /// Remembered outputs of builds, by the digest of what went into them.
    pub builds: BTreeMap<String, Value>,
    /// Remembered answers about flows, by the digest of what they depend on.
    pub flows: BTreeMap<String, Value>,
}
