//! `Ledger`: what a scope owns on the API, what it last applied there and what it is about to write.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::key::Key;
use super::path::Path;

/// The paths that are declared of an object, each with the keyed digest of its value.
pub type Declared = BTreeMap<Path, String>;

/// One object that is ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// The server's id.
    pub id: String,
    /// What was declared when it was last applied.
    pub declared: Arc<Declared>,
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
    /// What was about to come into being below pending objects and has no key of its own: their new schedules.
    pub intended: BTreeMap<Key, BTreeSet<Path>>,
    /// Remembered outputs of builds, by the digest of what went into them.
    pub builds: BTreeMap<String, Value>,
    /// Remembered answers about flows, by the digest of what they depend on.
    pub flows: BTreeMap<String, Value>,
}

/// Stands in the place of a digest for what was about to be declared when a pass ended early: it may be there or not.
pub const INTENDED: &str = "?";

impl Ledger {
    /// The declared paths of an object: those that were applied, and those that an interrupted pass was about to.
    pub fn declared(&self, key: &Key) -> Cow<'_, BTreeMap<Path, String>> {
        let applied = self.owned.get(key).map(|owned| &*owned.declared);
        let Some(intended) = self.intended.get(key) else {
            return applied.map_or_else(|| Cow::Owned(BTreeMap::new()), Cow::Borrowed);
        };
        let mut all: BTreeMap<Path, String> = intended.iter().map(|path| (path.clone(), INTENDED.to_owned())).collect();
        all.extend(applied.cloned().unwrap_or_default());
        Cow::Owned(all)
    }
}
