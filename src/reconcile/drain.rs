//! Deployments that are to be deleted while runs of theirs are under way: paused, waited for, and held if that takes too
//! long. Whatever is not deleted in the end is resumed, so that it is as it was found.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, ApiError};
use crate::model::Key;
use crate::report::{Outcome, count};

/// How long runs under way are waited for where nothing else is said.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// How long it takes from one look to the next, at first and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// How often it is told that something is waited for.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// Deployments that are about to be deleted.
pub struct Drain<'a> {
    /// The API.
    pub api: &'a Api,
    /// Tells what goes on.
    pub say: &'a (dyn Fn(&str) + Send + Sync),
    /// Ends the wait.
    pub stop: &'a CancellationToken,
    /// How long runs are waited for.
    pub patience: Duration,
    /// The deployments, by id.
    pub going: BTreeMap<String, Key>,
    /// Those that were paused before anybody came.
    pub paused: BTreeSet<Key>,
}

impl Drain<'_> {
    /// Waits until nothing is under way any more. Gives what must not be deleted now, and why.
    ///
    /// `paused` gets the ids of all that is paused here, also where this fails: what is not deleted has to be given to
    /// [`resume`]. `stays` is asked before every look whether the lock is still ours; when it fails, the wait ends with
    /// its error.
    ///
    /// # Errors
    /// Those of `stays`. An API that does not answer makes the deployments fail.
    pub async fn run<E>(
        &self,
        paused: &mut BTreeMap<Key, String>,
        stays: impl AsyncFn() -> Result<(), E>,
    ) -> Result<BTreeMap<Key, Outcome>, E> {
        match self.wait(paused, stays).await {
            Ok(result) => result,
            Err(error) => {
                let outcome = match self.stop.is_cancelled() {
                    true => interrupted(),
                    false => Outcome::Failed(format!("it is not known whether runs are under way: {error}")),
                };
                Ok(self.going.values().map(|key| (key.clone(), outcome.clone())).collect())
            }
        }
    }

    async fn wait<E>(
        &self,
        paused: &mut BTreeMap<Key, String>,
        stays: impl AsyncFn() -> Result<(), E>,
    ) -> Result<Result<BTreeMap<Key, Outcome>, E>, ApiError> {
        let mut running = self.api.running_runs(&self.going.keys().cloned().collect()).await?;
        if self.patience > Duration::ZERO {
            for id in running.keys() {
                let Some(key) = self.going.get(id).filter(|key| !self.paused.contains(*key)) else { continue };
                // It may be paused although that fails.
                paused.insert(key.clone(), id.clone());
                self.pause(id).await?;
            }
        }
        let (began, mut told, mut pause) = (Instant::now(), None::<Instant>, LOOKS.0);
        let mut lost = Ok(());
        while !running.is_empty() && began.elapsed() < self.patience && !self.stop.is_cancelled() {
            if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
                told = Some(Instant::now());
                (self.say)(&self.news(&running));
            }
            let rest = self.patience.saturating_sub(began.elapsed());
            tokio::select! {
                () = tokio::time::sleep(pause.min(rest)) => {}
                () = self.stop.cancelled() => break,
            }
            pause = (pause * 2).min(LOOKS.1);
            lost = stays().await;
            if lost.is_err() {
                break;
            }
            running = self.api.running_runs(&running.into_keys().collect()).await?;
        }
        let held = running.iter().filter_map(|(id, runs)| Some((self.going.get(id)?.clone(), self.outcome(*runs))));
        Ok(lost.map(|()| held.collect()))
    }

    async fn pause(&self, id: &str) -> Result<(), ApiError> {
        let name = self.going.get(id).map_or(id, |key| &key.name);
        self.api.pause_deployment(id, true).await.map_err(|error| error.about(id, name))
    }

    fn news(&self, running: &BTreeMap<String, u64>) -> String {
        let runs = number(running.values().sum());
        let (runs, of) = (count(runs, "run", "runs"), count(running.len(), "deployment", "deployments"));
        format!("waiting for {runs} of {of} that are to be deleted; new ones are paused")
    }

    fn outcome(&self, runs: u64) -> Outcome {
        if self.stop.is_cancelled() {
            return interrupted();
        }
        let runs = count(number(runs), "run is", "runs are");
        let waited = match self.patience {
            Duration::ZERO => String::new(),
            patience => format!(" after {} s", patience.as_secs_f64()),
        };
        Outcome::Held(format!(
            "{runs} still under way{waited}; let them end, or cancel them, and run again, or wait longer with `--drain`"
        ))
    }
}

fn interrupted() -> Outcome {
    Outcome::Skipped("interrupted while its runs were waited for".to_owned())
}

/// Resumes deployments that were paused to be deleted and were not. One that is gone all the same is no failure; of one
/// that stays paused it is told.
pub async fn resume(api: &Api, paused: BTreeMap<Key, String>, say: &(dyn Fn(&str) + Send + Sync)) {
    let all = paused.iter().map(|(key, id)| async move { (key, api.pause_deployment(id, false).await) });
    for (key, resumed) in join_all(all).await {
        match resumed {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => say(&format!("`{key}` was paused to be deleted and stays so; resume it by hand: {error}")),
        }
    }
}

fn number(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
