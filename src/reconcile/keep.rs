//! Keeps the ledger while a plan is applied: what is about to be written, then what is in.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::api::{Api, LedgerTrouble};
use crate::model::Key;
use crate::model::ledger::{Ledger, Owned};
use crate::plan::want::Declared;

/// How long finished work may go unrecorded.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// The ledger of one apply.
pub struct Keeper<'a> {
    api: &'a Api,
    scope: &'a str,
    /// Off for `ledger: false`, and while the ledger on the API cannot be trusted.
    enabled: bool,
    /// What is ours.
    pub ledger: Ledger,
    /// What an earlier pass left pending.
    left: BTreeSet<Key>,
    saved: Instant,
    dirty: bool,
}

impl<'a> Keeper<'a> {
    /// Starts from what was loaded.
    pub fn new(api: &'a Api, scope: &'a str, ledger: Ledger, enabled: bool) -> Self {
        let left = ledger.pending.clone();
        Keeper { api, scope, enabled, ledger, left, saved: Instant::now(), dirty: false }
    }

    /// Records what is about to be written, and what was done before. After a crash, these are found again by name.
    /// What an earlier pass left pending and this one does not touch stays so.
    pub async fn announce(&mut self, keys: impl IntoIterator<Item = Key>) -> Result<(), LedgerTrouble> {
        self.ledger.pending.extend(keys);
        self.save().await
    }

    /// Records that an object is in.
    pub fn record(&mut self, key: &Key, id: String, declared: Declared, keep: bool) {
        self.ledger.owned.insert(key.clone(), Owned { id, declared, keep });
        self.ledger.pending.remove(key);
        self.dirty = true;
    }

    /// Records that an object is gone.
    pub fn forget(&mut self, key: &Key) {
        self.ledger.owned.remove(key);
        self.ledger.pending.remove(key);
        self.dirty = true;
    }

    /// Records that nothing was written for it: unless an earlier pass left it pending, there is nothing to find.
    pub fn skip(&mut self, key: &Key) {
        if !self.left.contains(key) && self.ledger.pending.remove(key) {
            self.dirty = true;
        }
    }

    /// When finished work has to be recorded, if there is any.
    pub fn due(&self) -> Option<Instant> {
        self.dirty.then(|| self.saved + SAVE_EVERY)
    }

    /// Saves if something is not saved yet.
    pub async fn close(&mut self) -> Result<(), LedgerTrouble> {
        if self.dirty { self.save().await } else { Ok(()) }
    }

    async fn save(&mut self) -> Result<(), LedgerTrouble> {
        if self.enabled {
            self.ledger.generation = self.api.save_ledger(self.scope, &self.ledger).await?;
        }
        self.saved = Instant::now();
        self.dirty = false;
        Ok(())
    }
}
