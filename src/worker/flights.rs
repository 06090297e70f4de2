//! `Flights`: the runs that this worker has, from before the claim to after the report.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The runs that this worker has, by id.
#[derive(Default)]
pub(super) struct Flights(Mutex<BTreeMap<String, CancellationToken>>);

impl Flights {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a run in; what tells that it is to be cancelled. `None` if it is here already.
    pub fn board(&self, run: &str) -> Option<CancellationToken> {
        let mut all = self.all();
        if all.contains_key(run) {
            return None;
        }
        let cancel = CancellationToken::new();
        all.insert(run.to_owned(), cancel.clone());
        Some(cancel)
    }

    /// A run is over.
    pub fn land(&self, run: &str) {
        self.all().remove(run);
    }

    /// A run is to be cancelled; nothing happens if it is not here.
    pub fn cancel(&self, run: &str) {
        if let Some(cancel) = self.all().get(run) {
            cancel.cancel();
        }
    }

    /// All that are here and not yet being cancelled.
    pub fn ids(&self) -> Vec<String> {
        self.all().iter().filter(|(_, cancel)| !cancel.is_cancelled()).map(|(run, _)| run.clone()).collect()
    }
}
