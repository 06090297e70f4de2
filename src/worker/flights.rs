//! `Flights`: the runs that this worker has, from before the claim to after the report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::configure::Relatives;

/// The runs that this worker has, by id.
#[derive(Default)]
pub(super) struct Flights(Mutex<BTreeMap<String, Flight>>);

#[derive(Default)]
struct Flight {
    cancel: CancellationToken,
    /// Whether something was to be told of it that the server has not taken.
    unheard: bool,
    /// What the API says of it, once it is claimed.
    relatives: Option<Arc<Relatives>>,
}

impl Flights {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Flight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a run in; what tells that it is to be cancelled. `None` if it is here already.
    pub fn board(&self, run: &str) -> Option<CancellationToken> {
        let mut all = self.all();
        if all.contains_key(run) {
            return None;
        }
        let flight = Flight::default();
        let cancel = flight.cancel.clone();
        all.insert(run.to_owned(), flight);
        Some(cancel)
    }

    /// Notes what the API says of a run.
    pub fn know(&self, run: &str, relatives: Arc<Relatives>) {
        if let Some(flight) = self.all().get_mut(run) {
            flight.relatives = Some(relatives);
        }
    }

    /// What the API says of a run that was claimed here.
    pub fn relatives(&self, run: &str) -> Option<Arc<Relatives>> {
        self.all().get(run)?.relatives.clone()
    }

    /// The server did not take what was to be told of a run, and is not told again by this worker.
    pub fn unheard(&self, run: &str) {
        if let Some(flight) = self.all().get_mut(run) {
            flight.unheard = true;
        }
    }

    /// Whether there is nothing left to tell of a run.
    pub fn is_told(&self, run: &str) -> bool {
        self.all().get(run).is_some_and(|flight| !flight.unheard)
    }

    /// A run is over.
    pub fn land(&self, run: &str) {
        self.all().remove(run);
    }

    /// A run is to be cancelled; nothing happens if it is not here.
    pub fn cancel(&self, run: &str) {
        if let Some(flight) = self.all().get(run) {
            flight.cancel.cancel();
        }
    }

    /// Whether a run is here.
    pub fn has(&self, run: &str) -> bool {
        self.all().contains_key(run)
    }

    /// How many are here.
    pub fn count(&self) -> usize {
        self.all().len()
    }

    /// All that are here and not yet being cancelled.
    pub fn ids(&self) -> Vec<String> {
        self.all().iter().filter(|(_, flight)| !flight.cancel.is_cancelled()).map(|(run, _)| run.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_here_once_and_leaves_with_nothing_left_to_tell() {
        let flights = Flights::default();
        let cancel = flights.board("a").expect("it is not here yet");
        assert!(flights.board("a").is_none() && flights.board("b").is_some());
        flights.cancel("a");
        flights.cancel("nobody");
        assert!(cancel.is_cancelled());
        assert_eq!(flights.ids(), ["b"]);
        flights.unheard("b");
        assert!(flights.is_told("a") && !flights.is_told("b") && !flights.is_told("nobody"));
        flights.land("b");
        assert!(flights.board("b").is_some() && flights.is_told("b"));
    }
}
