//! `Warm`: interpreters that have imported Prefect already, one for each environment, which fork for each run.
//!
//! A run gets the process that it would have got, only sooner. Where a fork would not be the same as a fresh interpreter
//! it is started ordinarily, and that is said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Say;
use super::forkserver::{Answer, Forkserver, News};
use crate::model::Secret;

/// An interpreter that nothing has used for so long makes way for one with another environment.
const UNUSED: Duration = Duration::from_secs(600);
/// One that could not be warmed up is not tried again before.
const AGAIN: Duration = Duration::from_secs(60);
/// One that dies sooner than this after it was ready is not started again at once.
const LIVED: Duration = Duration::from_secs(10);

/// Variables that an interpreter, or what Prefect imports, reads when it starts and never again: all that begin so.
#[rustfmt::skip]
const READ_EARLY: [&str; 25] = [
    "BLIS_", "COL", "DYLD_", "FORCE_COLOR", "GLIBC_", "GOMP_", "HOME", "KMP_", "LANG", "LC_", "LD_", "MALLOC_", "MKL_",
    "NO_COLOR", "NUMEXPR_", "OMP_", "OPENBLAS_", "OPENSSL_", "OTEL_", "PREFECT_", "PYTHON", "SSL_", "TERM", "TZ",
    "VECLIB_",
];
/// What a run is told of itself begins so: it is read late.
const OF_RUN: &str = "PREFECT__";

/// The variables of an environment that make an interpreter what it is.
pub(super) type Early = BTreeMap<String, Secret>;

/// Of an environment, what is read early.
pub(super) fn early(environment: &BTreeMap<String, Secret>) -> Early {
    let wanted = |name: &str| READ_EARLY.iter().any(|head| name.starts_with(head)) && !name.starts_with(OF_RUN);
    environment.iter().filter(|(name, _)| wanted(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// How a run would be started ordinarily, and what a warm interpreter has to know besides.
pub(super) struct Errand<'a> {
    pub run: &'a str,
    pub words: &'a [String],
    pub directory: &'a Path,
    pub environment: &'a BTreeMap<String, Secret>,
    /// What its interpreter has to have read early.
    pub early: Early,
    /// Whether what it prints is shown.
    pub streams: bool,
    /// The file of a cgroup that it has to enter.
    pub group: Option<PathBuf>,
}

/// A process that was forked for a run.
pub(super) struct Forked {
    pub pid: i32,
    /// Its exit code; nothing comes if its parent died.
    pub code: oneshot::Receiver<i32>,
}

/// Warm interpreters.
pub struct Warm(Arc<House>);

struct House {
    program: PathBuf,
    /// The worker's own environment and settings.
    environment: BTreeMap<String, Secret>,
    /// How many interpreters there may be.
    most: usize,
    to_stderr: bool,
    say: Say,
    places: Mutex<Vec<Place>>,
}

/// An interpreter, or why there is none.
struct Place {
    early: Early,
    used: Instant,
    server: Result<Arc<Forkserver>, String>,
}

impl Warm {
    /// At most so many interpreters; the first is warmed up now.
    pub fn new(
        program: PathBuf,
        environment: BTreeMap<String, Secret>,
        most: usize,
        to_stderr: bool,
        say: Say,
    ) -> Warm {
        let warm = Warm(Arc::new(House { program, environment, most, to_stderr, say, places: Mutex::default() }));
        let first = early(&warm.0.environment);
        let _ = warm.0.server(&first);
        warm
    }

    /// Says why a run is started ordinarily.
    pub(super) fn ordinary(&self, run: &str, why: &str) {
        self.0.ordinary(run, why);
    }

    /// Has a run's process forked; none if it has to be started ordinarily.
    pub(super) async fn fork(&self, errand: Errand<'_>) -> Option<Forked> {
        let run = errand.run;
        match self.0.fork(&errand).await {
            Ok(forked) => Some(forked),
            Err(why) => {
                self.ordinary(run, &why);
                None
            }
        }
    }
}

impl House {
    async fn fork(self: &Arc<House>, errand: &Errand<'_>) -> Result<Forked, String> {
        let server = self.server(&errand.early)?;
        server.ready().await?;
        let environment: BTreeMap<&String, &str> =
            errand.environment.iter().filter_map(|(name, value)| Some((name, value.reveal_str()?))).collect();
        let order = json!({
            "run": errand.run,
            "words": errand.words,
            "dir": errand.directory,
            "env": environment,
            "streams": errand.streams,
            "group": errand.group,
        });
        match server.ask(errand.run, &order).await {
            Answer::Forked(forked) => Ok(forked),
            Answer::Refused { why, stale } => {
                if stale {
                    server.retire();
                    self.replace(&server);
                }
                Err(why)
            }
            Answer::Lost => Err("the warm interpreter died".to_owned()),
        }
    }

    fn ordinary(&self, run: &str, why: &str) {
        (self.say)(&format!("Flow run '{run}' is started without a warm interpreter: {why}"));
    }

    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The interpreter of an environment, which may still be warming up.
    fn server(self: &Arc<House>, early: &Early) -> Result<Arc<Forkserver>, String> {
        let mut places = self.places();
        let now = Instant::now();
        places.retain(|place| place.server.is_ok() || now - place.used < AGAIN);
        if let Some(place) = places.iter_mut().find(|place| place.early == *early) {
            let server = place.server.clone()?;
            place.used = now;
            return Ok(server);
        }
        if places.iter().filter(|place| place.server.is_ok()).count() >= self.most {
            let idle = |place: &&Place| place.server.is_ok() && now - place.used >= UNUSED;
            let oldest = places.iter().filter(idle).map(|place| place.used).min();
            let oldest = oldest.ok_or_else(|| match self.most {
                1 => "its environment is not that of the warm interpreter".to_owned(),
                most => format!("its environment is that of none of the {most} warm interpreters"),
            })?;
            let kept = |place: &Place| match &place.server {
                Ok(server) if place.used == oldest => {
                    server.retire();
                    false
                }
                _ => true,
            };
            places.retain(kept);
        }
        let server = self.start(early);
        places.push(Place { early: early.clone(), used: now, server: Ok(server.clone()) });
        Ok(server)
    }

    fn start(self: &Arc<House>, wanted: &Early) -> Arc<Forkserver> {
        let ours = early(&self.environment);
        let mut environment = self.environment.clone();
        environment.retain(|name, _| !ours.contains_key(name) && !name.starts_with(OF_RUN));
        environment.extend(wanted.clone());
        let house = Arc::downgrade(self);
        Forkserver::start(&self.program, &environment, self.to_stderr, move |server, news| {
            match (house.upgrade(), news) {
                (Some(house), News::Over) => house.ended(server),
                (Some(house), News::Cold { run, why }) => house.ordinary(run, why),
                (None, _) => {}
            }
        })
    }

    /// What happened to an interpreter that is no more: another one is started, unless it had no time to be of use.
    fn ended(self: &Arc<House>, server: &Arc<Forkserver>) {
        let why = server.failure();
        let lived = server.lived().is_some_and(|lived| lived >= LIVED);
        let mut places = self.places();
        let of = |place: &&mut Place| place.server.as_ref().is_ok_and(|other| Arc::ptr_eq(other, server));
        let Some(place) = places.iter_mut().find(of) else { return };
        match lived {
            true => {
                place.server = Ok(self.start(&place.early));
                (self.say)(&format!("A warm interpreter is replaced: {why}"));
            }
            false => {
                place.used = Instant::now();
                place.server = Err(why.clone());
                (self.say)(&format!("No warm interpreter for a minute: {why}"));
            }
        }
    }

    /// Starts another one in the place of one that takes no more orders.
    fn replace(self: &Arc<House>, server: &Arc<Forkserver>) {
        let mut places = self.places();
        let of = |place: &&mut Place| place.server.as_ref().is_ok_and(|other| Arc::ptr_eq(other, server));
        if let Some(place) = places.iter_mut().find(of) {
            place.server = Ok(self.start(&place.early));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_early_makes_an_environment() {
        let names =
            ["PATH", "PYTHONPATH", "LC_ALL", "MODE", "PREFECT_API_URL", "PREFECT__FLOW_RUN_ID", "OMP_NUM_THREADS"];
        let environment = names.map(|name| (name.to_owned(), Secret::text(name))).into();
        let found: Vec<String> = early(&environment).into_keys().collect();
        assert_eq!(found, ["LC_ALL", "OMP_NUM_THREADS", "PREFECT_API_URL", "PYTHONPATH"]);
    }
}
