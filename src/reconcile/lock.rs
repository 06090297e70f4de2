//! Holding the lock of a scope while a plan is applied: acquired, kept alive, watched, given back.
//!
//! A lock is stale after 30 seconds without a sign of life; a holder gives one every 10. Tests shorten both with
//! `RECONCILE_TEST_LOCK_SECONDS`, the seconds after which a lock is stale.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::PassError;
use super::moment::Moment;
use super::{Pass, Request};
use crate::api::{Acquired, Api, ApiError, Claim, Holder, Leave, Lock};

/// After so long a silence a lock counts as left behind.
const EXPIRY: Duration = Duration::from_secs(30);
/// For so large a part of that time after its last sign of life a holder writes without asking.
const SURE: f64 = 0.8;
/// How often one looks whether a lock became free.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the wait for a lock is spoken of.
const SAY_EVERY: Duration = Duration::from_secs(15);

/// A lock that we hold, or held. Give it back with [`Guard::release`]; one that is dropped goes stale.
pub struct Guard {
    held: Arc<Held>,
    beat: JoinHandle<()>,
}

/// What the heart, the guard and the writes share.
struct Held {
    api: Api,
    lock: Lock,
    expiry: Duration,
    /// When the last sign of life was sent that arrived. While the machine sleeps, the lock goes stale.
    confirmed: Mutex<Moment>,
    lost: CancellationToken,
}

/// Why nothing more may be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockLost {
    /// Another pass has it.
    #[error("the lock was lost: nothing was heard of this pass for too long, or somebody deleted it")]
    Taken,
    /// It cannot be known.
    #[error("it cannot be known whether the lock is still ours: {0}")]
    Unknown(ApiError),
}

/// Acquires the lock of a pass's scope. While another holds it, waits up to `patience`.
///
/// A scope without a ledger keeps nothing of its own on the API: no lock either (`None`).
///
/// # Errors
/// The lock is held, the API fails, or the user asked to stop.
pub async fn acquire(pass: &Pass<'_>, patience: Duration) -> Result<Option<Guard>, PassError> {
    let Some(api) = pass.api.filter(|_| pass.reading.project.ledger) else { return Ok(None) };
    let (scope, request) = (pass.reading.scope.as_str(), pass.request);
    let (expiry, claim, began) = (expiry(&request.environment), claim(&request.environment), Instant::now());
    let mut said: Option<Instant> = None;
    loop {
        let asked = Moment::now();
        let holder = match api.acquire_lock(scope, &claim, expiry).await? {
            Acquired::Ours(lock) => return settled(request, Guard::watch(api.clone(), lock, expiry, asked)).await,
            Acquired::Held(holder) => holder,
        };
        if began.elapsed() >= patience {
            return Err(PassError::Locked { scope: scope.to_owned(), holder: Box::new(holder) });
        }
        if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            said = Some(Instant::now());
            (request.say)(&format!("waiting for the lock of `{scope}`, held by {}", described(&holder)));
        }
        wait(request, LOOK_EVERY.min(expiry / 2).min(patience.saturating_sub(began.elapsed()))).await?;
    }
}

/// Waits until whoever had the lock before has surely stopped.
///
/// When a lock is deleted because it was silent, its holder may have given a sign of life since that was read: a process
/// that slept and woke up. It takes the lock for its own until [`SURE`] of the expiry is over, counted from that sign,
/// which came before the deletion; then it asks, and is told that the lock is gone. Who took over writes nothing until
/// then.
async fn settled(request: &Request, guard: Guard) -> Result<Option<Guard>, PassError> {
    if guard.held.lock.took_over() {
        let rest = guard.held.expiry.mul_f64(SURE);
        (request.say)(&format!(
            "took over a lock that was left behind; waiting {:.0} s, until its holder has surely stopped",
            rest.as_secs_f64().ceil()
        ));
        if let Err(interrupted) = wait(request, rest).await {
            guard.release().await;
            return Err(interrupted);
        }
    }
    Ok(Some(guard))
}

async fn wait(request: &Request, length: Duration) -> Result<(), PassError> {
    tokio::select! {
        () = tokio::time::sleep(length) => Ok(()),
        () = request.stop.cancelled() => Err(PassError::Interrupted),
    }
}

/// `ci-7 (pid 12) for 40 s, https://…`
pub(super) fn described(holder: &Holder) -> String {
    let mut words = match holder.host.as_str() {
        "" => "another pass".to_owned(),
        host => format!("{host} (pid {})", holder.pid),
    };
    if let Some(age) = holder.age {
        words.push_str(&format!(" for {} s", age.as_secs()));
    }
    if let Some(url) = &holder.url {
        words.push_str(&format!(", {url}"));
    }
    words
}

impl Guard {
    fn watch(api: Api, lock: Lock, expiry: Duration, asked: Moment) -> Guard {
        let (confirmed, lost) = (Mutex::new(asked), CancellationToken::new());
        let held = Arc::new(Held { api: api.clone(), lock, expiry, confirmed, lost });
        let leave = Arc::clone(&held);
        api.ask_before_writing(move || {
            let held = Arc::clone(&leave);
            Box::pin(async move { held.leave().await })
        });
        let beat = tokio::spawn(beat(Arc::clone(&held)));
        Guard { held, beat }
    }

    /// Whether nobody can have taken the lock yet: then there is no need to ask.
    pub fn is_sure(&self) -> bool {
        self.held.is_sure()
    }

    /// Asks whether the lock is still ours, and says that we live if that is overdue.
    ///
    /// # Errors
    /// It is not, or the API does not tell.
    pub async fn check(&self) -> Result<(), LockLost> {
        self.held.check().await
    }

    /// Gives the lock back. If that fails it goes stale.
    pub async fn release(self) {
        let held = Arc::clone(&self.held);
        drop(self);
        if !held.lost.is_cancelled()
            && let Err(error) = held.api.release_lock(&held.lock).await
        {
            tracing::warn!(%error, "the lock could not be given back; it counts as left behind after {:?}", held.expiry);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.beat.abort();
        self.held.api.write_freely();
    }
}

impl Held {
    fn is_sure(&self) -> bool {
        let silence = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        !self.lost.is_cancelled() && silence < self.expiry.mul_f64(SURE)
    }

    async fn check(&self) -> Result<(), LockLost> {
        if self.lost.is_cancelled() {
            return Err(LockLost::Taken);
        }
        let asked = Moment::now();
        let held = if self.is_sure() {
            self.api.holds_lock(&self.lock).await
        } else {
            let held = self.api.keep_lock(&self.lock, 0).await;
            if held == Ok(true) {
                self.confirm(asked);
            }
            held
        };
        match held {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.lost.cancel();
                Err(LockLost::Taken)
            }
            Err(error) => Err(LockLost::Unknown(error)),
        }
    }

    /// Whether a write may go out: the process may have been stopped since it was decided on.
    async fn leave(&self) -> Leave {
        if self.is_sure() {
            return Leave::Granted;
        }
        match self.check().await {
            Ok(()) => Leave::Granted,
            Err(LockLost::Taken) => Leave::Gone,
            Err(LockLost::Unknown(_)) => Leave::Unknown,
        }
    }

    fn confirm(&self, asked: Moment) {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = asked;
    }
}

async fn beat(held: Arc<Held>) {
    let every = held.expiry / 3;
    for beat in 1.. {
        tokio::time::sleep(every).await;
        let asked = Moment::now();
        match tokio::time::timeout(every, held.api.keep_lock(&held.lock, beat)).await {
            Ok(Ok(true)) => held.confirm(asked),
            Ok(Ok(false)) => {
                held.lost.cancel();
                return;
            }
            Ok(Err(error)) => tracing::debug!(%error, "no sign of life could be given"),
            Err(_) => tracing::debug!("no sign of life arrived in time"),
        }
    }
}

/// When a lock counts as left behind.
fn expiry(environment: &BTreeMap<String, String>) -> Duration {
    let seconds = environment.get("RECONCILE_TEST_LOCK_SECONDS").and_then(|text| text.parse::<f64>().ok());
    let given = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    given.filter(|given| (Duration::from_millis(100)..=EXPIRY).contains(given)).unwrap_or(EXPIRY)
}

fn claim(environment: &BTreeMap<String, String>) -> Claim {
    Claim {
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        url: run_url(environment),
        since: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }
}

/// The page of the CI run, as the common systems tell it.
fn run_url(environment: &BTreeMap<String, String>) -> Option<String> {
    let var = |name: &str| environment.get(name).map(|value| value.trim_end_matches('/')).filter(|v| !v.is_empty());
    let github = || {
        let (server, repository) = (var("GITHUB_SERVER_URL")?, var("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}", var("GITHUB_RUN_ID")?))
    };
    let azure = || {
        let (server, project) = (var("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI")?, var("SYSTEM_TEAMPROJECT")?);
        Some(format!("{server}/{project}/_build/results?buildId={}", var("BUILD_BUILDID")?))
    };
    let bitbucket = || {
        let (origin, number) = (var("BITBUCKET_GIT_HTTP_ORIGIN")?, var("BITBUCKET_BUILD_NUMBER")?);
        Some(format!("{origin}/pipelines/results/{number}"))
    };
    // GitLab, CircleCI, Buildkite, Jenkins.
    let whole = ["CI_JOB_URL", "CIRCLE_BUILD_URL", "BUILDKITE_BUILD_URL", "BUILD_URL"];
    let found = github().or_else(azure).or_else(bitbucket);
    found
        .or_else(|| whole.into_iter().find_map(var).map(str::to_owned))
        .filter(|url| url.starts_with("https://") || url.starts_with("http://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_run_is_named_as_its_system_names_it() {
        let github =
            [("GITHUB_SERVER_URL", "https://github.com"), ("GITHUB_REPOSITORY", "acme/shop"), ("GITHUB_RUN_ID", "7")];
        assert_eq!(run_url(&environment(&github)).as_deref(), Some("https://github.com/acme/shop/actions/runs/7"));
        assert_eq!(run_url(&environment(&[("BUILD_URL", "https://ci/1/")])).as_deref(), Some("https://ci/1"));
        assert_eq!(run_url(&environment(&[("BUILD_URL", "javascript:x")])), None);
        assert_eq!(run_url(&environment(&[("GITHUB_RUN_ID", "7")])), None);
    }

    #[test]
    fn a_holder_is_described_with_what_is_known() {
        let mut holder = Holder { host: "ci".to_owned(), pid: "12".to_owned(), ..Holder::default() };
        assert_eq!(described(&holder), "ci (pid 12)");
        holder.age = Some(Duration::from_millis(41_500));
        holder.url = Some("https://ci/1".to_owned());
        assert_eq!(described(&holder), "ci (pid 12) for 41 s, https://ci/1");
        assert_eq!(described(&Holder::default()), "another pass");
    }

    #[test]
    fn only_tests_change_when_a_lock_is_stale() {
        let of = |text: &str| expiry(&environment(&[("RECONCILE_TEST_LOCK_SECONDS", text)]));
        assert_eq!((of("2"), of("0.5")), (Duration::from_secs(2), Duration::from_millis(500)));
        assert!(["", "x", "-1", "0", "inf", "NaN", "3600"].into_iter().all(|text| of(text) == EXPIRY));
    }
}
