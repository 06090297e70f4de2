//! Keeps the ledger while a plan is applied: what is about to be written, then what is in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::{Api, LedgerTrouble};
use crate::model::ledger::{Ledger, Owned};
use crate::model::{Key, Path};
use crate::plan::Planned;
use crate::plan::want::Declared;

/// How long finished work may go unrecorded: a crash loses nothing, but the next pass then looks for it by name.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// Saving takes no more than one part in so many of the time: a ledger of ten thousand objects takes long to save.
const SAVES_TAKE: u32 = 10;

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
    /// When the next save may be, counted from the last.
    pause: Duration,
    dirty: bool,
}

fn is_schedule(path: &Path) -> bool {
    path.0.len() == 2 && path.starts_with(&Path::of("schedules"))
}

impl<'a> Keeper<'a> {
    /// Starts from what was loaded.
    pub fn new(api: &'a Api, scope: &'a str, ledger: Ledger, enabled: bool) -> Self {
        let left = ledger.pending.clone();
        Keeper { api, scope, enabled, ledger, left, saved: Instant::now(), pause: SAVE_EVERY, dirty: false }
    }

    /// Records what is about to be written, and what was done before. After a crash, these are found again by name.
    /// What an earlier pass left pending and this one does not touch stays so.
    /// What comes into being below them and has no key of its own, their schedules, is recorded along.
    pub async fn announce(&mut self, keys: &[Key], planned: &Planned) -> Result<(), LedgerTrouble> {
        for key in keys {
            let known = self.ledger.owned.get(key).map(|owned| &owned.declared);
            let declared = planned.declared.get(key).into_iter().flat_map(|declared| declared.keys());
            let new = declared.filter(|path| is_schedule(path) && known.is_none_or(|known| !known.contains_key(*path)));
            let new: Vec<Path> = new.cloned().collect();
            if !new.is_empty() {
                self.ledger.intended.entry(key.clone()).or_default().extend(new);
            }
        }
        self.ledger.pending.extend(keys.iter().cloned());
        self.save().await
    }

    /// Records that an object is in.
    pub fn record(&mut self, key: &Key, id: String, declared: Arc<Declared>, keep: bool) {
        self.ledger.owned.insert(key.clone(), Owned { id, declared, keep });
        self.settle(key);
        self.dirty = true;
    }

    /// Records that an object is gone.
    pub fn forget(&mut self, key: &Key) {
        self.ledger.owned.remove(key);
        self.settle(key);
        self.dirty = true;
    }

    /// Records that nothing was written for it: unless an earlier pass left it pending, there is nothing to find.
    pub fn skip(&mut self, key: &Key) {
        if !self.left.contains(key) && self.ledger.pending.remove(key) {
            self.ledger.intended.remove(key);
            self.dirty = true;
        }
    }

    fn settle(&mut self, key: &Key) {
        self.ledger.pending.remove(key);
        self.ledger.intended.remove(key);
    }

    /// When finished work has to be recorded, if there is any.
    pub fn due(&self) -> Option<Instant> {
        self.dirty.then(|| self.saved + self.pause)
    }

    /// Saves if something is not saved yet.
    pub async fn close(&mut self) -> Result<(), LedgerTrouble> {
        if self.dirty { self.save().await } else { Ok(()) }
    }

    /// The end of everything that was ours: a ledger in which nothing is left goes as well.
    pub async fn end(&mut self) -> Result<(), LedgerTrouble> {
        let is_left = !self.ledger.owned.is_empty() || !self.ledger.pending.is_empty();
        if is_left || !self.enabled || self.ledger.generation == 0 {
            return self.close().await;
        }
        self.api.delete_ledger(self.scope).await
    }

    async fn save(&mut self) -> Result<(), LedgerTrouble> {
        let began = Instant::now();
        if self.enabled {
            self.ledger.generation = self.api.save_ledger(self.scope, &self.ledger).await?;
        }
        self.saved = Instant::now();
        self.pause = SAVE_EVERY.max((self.saved - began) * SAVES_TAKE);
        self.dirty = false;
        Ok(())
    }
}
