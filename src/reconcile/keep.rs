//! Keeps the ledger while a plan is applied: what is about to be written, then what is in.

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
    saved: Instant,
    dirty: bool,
}

impl<'a> Keeper<'a> {
    /// Starts from what was loaded.
    pub fn new(api: &'a Api, scope: &'a str, ledger: Ledger, enabled: bool) -> Self {
        Keeper { api, scope, enabled, ledger, saved: Instant::now(), dirty: false }
    }

    /// Records what is about to be written. After a crash, these are found again by name.
    pub async fn announce(&mut self, keys: impl IntoIterator<Item = Key>) -> Result<(), LedgerTrouble> {
        self.ledger.pending = keys.into_iter().collect();
        self.save().await
    }

    /// Records that an object is in.
    pub async fn record(&mut self, key: &Key, id: String, declared: Declared) -> Result<(), LedgerTrouble> {
        self.ledger.owned.insert(key.clone(), Owned { id, declared });
        self.ledger.pending.remove(key);
        self.touch().await
    }

    /// Records that an object is gone.
    pub async fn forget(&mut self, key: &Key) -> Result<(), LedgerTrouble> {
        self.ledger.owned.remove(key);
        self.ledger.pending.remove(key);
        self.touch().await
    }

    async fn touch(&mut self) -> Result<(), LedgerTrouble> {
        self.dirty = true;
        if self.saved.elapsed() >= SAVE_EVERY { self.save().await } else { Ok(()) }
    }

    /// Saves for good: nothing is pending any more.
    pub async fn close(&mut self) -> Result<(), LedgerTrouble> {
        if self.dirty || !self.ledger.pending.is_empty() {
            self.ledger.pending.clear();
            self.save().await?;
        }
        Ok(())
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
