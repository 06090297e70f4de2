//! Polling: asks for what is due, takes as much as fits, and asks again when a place is free or something happened.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::health::count;
use super::patience::{Patience, about};
use super::{Summary, Worker, adopt, supervise};
use crate::api::ApiError;

/// However much happens, the server is not asked more often.
const BREATH: Duration = Duration::from_millis(200);
/// An event can be heard before the run that it is about can be read: it is looked for again after these.
const AGAIN: [Duration; 2] = [Duration::from_millis(400), Duration::from_millis(1500)];
/// How long runs get to end once the patience with them is over, beside what ending them takes.
const LAST: Duration = Duration::from_secs(20);

/// Polls until the worker stops, then waits for the runs it has. With `run_once` it asks once.
pub(super) async fn run(worker: &Arc<Worker>) -> Summary {
    let (runs, again, search) = (JoinSet::new(), Vec::new(), Instant::now());
    let mut polling = Polling { worker, runs, full: false, again, search, taken: 0, told: None };
    polling.adopt();
    if worker.options.run_once {
        polling.look().await;
        polling.await_all().await;
    } else {
        polling.until_stopped().await;
    }
    let ended = polling.drain().await;
    Summary { taken: polling.taken, ended }
}

struct Polling<'a> {
    worker: &'a Arc<Worker>,
    runs: JoinSet<()>,
    /// Whether something was left for want of a place.
    full: bool,
    /// When to look again although nothing more was heard.
    again: Vec<Instant>,
    /// When it is next looked for what dead workers left.
    search: Instant,
    taken: u64,
    /// What was last complained of, so that it is not said every ten seconds.
    told: Option<String>,
}

impl Polling<'_> {
    async fn until_stopped(&mut self) {
        let mut patience = Patience::default();
        loop {
            let begun = Instant::now();
            let wait = match self.look().await {
                true => {
                    patience.reset();
                    about(self.worker.options.query)
                }
                false => patience.next().max(about(self.worker.options.query)),
            };
            if !self.rest(begun + BREATH, begun + wait).await {
                return;
            }
        }
    }

    /// Waits until the next look is due, or something happened but not before `soonest`. False: it is over.
    async fn rest(&mut self, soonest: Instant, due: Instant) -> bool {
        let worker = self.worker;
        self.again.retain(|again| *again > soonest);
        let mut due = self.again.iter().fold(due, |due, again| due.min(*again));
        loop {
            tokio::select! {
                biased;
                () = worker.stop.cancelled() => return false,
                () = sleep_until(due) => return true,
                () = sleep_until(self.search) => self.adopt(),
                () = worker.wake.notified() => {
                    due = due.min(soonest);
                    let now = Instant::now();
                    self.again = AGAIN.iter().map(|after| now + *after).collect();
                }
                Some(_) = self.runs.join_next() => {
                    if self.full {
                        due = due.min(soonest);
                    }
                }
            }
        }
    }

    /// Asks what is due and takes what fits. False if no answer came.
    async fn look(&mut self) -> bool {
        let options = &self.worker.options;
        let before = Timestamp::now() + options.prefetch;
        let due = self.worker.api.due_runs(&options.pool, &options.queues, before).await;
        self.worker.looked.cancel();
        match due {
            Ok(runs) => {
                let begun = u64::try_from(self.worker.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.worker.polled.store(begun, Ordering::Relaxed);
                self.told = None;
                count(&self.worker.counts.polls);
                self.take(runs);
                true
            }
            Err(error) => {
                count(&self.worker.counts.failed_polls);
                self.complain(&error);
                false
            }
        }
    }

    fn take(&mut self, runs: Vec<Value>) {
        self.full = false;
        for run in runs {
            let Some(id) = run["id"].as_str().map(str::to_owned) else { continue };
            let Ok(permit) = self.place() else {
                self.full = true;
                return;
            };
            let Some(cancel) = self.worker.flights.board(&id) else { continue };
            self.taken += 1;
            count(&self.worker.counts.taken);
            // What was heard of has been found.
            self.again.clear();
            self.runs.spawn(supervise::fly(self.worker.clone(), run, id, cancel, permit));
        }
    }

    /// Takes over what dead workers left. It counts among our runs, and is waited for as they are.
    fn adopt(&mut self) {
        // Not in step with other workers: two that find the same would get in each other's way again and again.
        self.search = Instant::now() + about(adopt::LOOK);
        for orphan in adopt::orphans(self.worker) {
            let permit = self.place().ok().flatten();
            self.runs.spawn(adopt::adopt(self.worker.clone(), orphan, permit));
        }
    }

    /// A place for one more run, if there is one.
    fn place(&self) -> Result<Option<OwnedSemaphorePermit>, tokio::sync::TryAcquireError> {
        self.worker.slots.clone().map(tokio::sync::Semaphore::try_acquire_owned).transpose()
    }

    /// Says what is wrong with asking, once.
    fn complain(&mut self, error: &ApiError) {
        let worker = self.worker;
        let text = match error.is_not_found() {
            true => format!("{error}: nothing is taken until that exists"),
            false => error.to_string(),
        };
        if self.told.as_ref() != Some(&text) {
            worker.say(&text);
            self.told = Some(text);
        }
    }

    async fn await_all(&mut self) {
        let stop = self.worker.stop.clone();
        while let Some(Some(_)) = stop.run_until_cancelled(self.runs.join_next()).await {}
    }

    /// Waits for the runs that are still there as long as told, then has them ended; how many that were.
    async fn drain(&mut self) -> u64 {
        let worker = self.worker;
        while self.runs.try_join_next().is_some() {}
        // Those that were found and not taken over stay noted, for whoever comes next.
        for orphan in std::mem::take(&mut *worker.strays()) {
            worker.flights.land(&orphan.entry.run);
        }
        if !self.runs.is_empty() {
            let (count, patience) = (self.runs.len(), worker.options.drain);
            worker.say(&format!("Waiting up to {} s for {count} flow run(s) to end", patience.as_secs()));
            let _ = tokio::time::timeout(patience, async { while self.runs.join_next().await.is_some() {} }).await;
        }
        let ended = self.runs.len();
        if ended > 0 {
            let what = if worker.place.is_remote() { "Leaving" } else { "Ending" };
            worker.say(&format!("{what} {ended} flow run(s)"));
            worker.ending.cancel();
            let _ = tokio::time::timeout(LAST, async { while self.runs.join_next().await.is_some() {} }).await;
        }
        u64::try_from(ended).unwrap_or(u64::MAX)
    }
}
