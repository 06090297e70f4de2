//! `--commit-status`: how a commit stands, said at its forge, one status after the other.
//!
//! What every pass wants said is kept until the forge took it. While one status is on its way or the forge is away, only
//! the newest waits: none is overtaken by an older one, and none is lost to a failure while passes go on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::comment;
use super::exit::Exit;
use crate::forge::{Forge, Status};
use crate::reconcile::serve::Verdict;

/// How long the last status may take at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// What is to be said of a commit.
#[derive(Clone, Debug)]
pub struct Said {
    /// How it stands: it is said once for each verdict on each commit.
    pub verdict: Verdict,
    /// The commit.
    pub commit: String,
    /// The same for the forge.
    pub status: Status,
}

impl Said {
    fn is_as(&self, other: &Said) -> bool {
        (self.verdict, &self.commit) == (other.verdict, &other.commit)
    }
}

/// Says how commits stand.
pub struct CommitStatus {
    wanted: watch::Sender<Option<Said>>,
    saying: JoinHandle<()>,
}

impl CommitStatus {
    /// Speaks at the forge that the environment names.
    ///
    /// # Errors
    /// The exit of the command: there is none, or nothing to speak with.
    pub fn new() -> Result<CommitStatus, Exit> {
        let place = comment::place().map_err(|misplaced| comment::told(&misplaced))?;
        let forge = Forge::new(place).map(Arc::new).map_err(|error| comment::broken(&error))?;
        let (wanted, newest) = watch::channel(None);
        let say = async move |said: Said| match forge.set_status(&said.commit, &said.status).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!("the status of {} was not set: {error}", said.commit);
                false
            }
        };
        Ok(CommitStatus { wanted, saying: tokio::spawn(keep_saying(newest, say)) })
    }

    /// From now on this holds. Saying the same again repeats nothing but what the forge did not take.
    pub fn say(&self, said: Said) {
        self.wanted.send_replace(Some(said));
    }

    /// Gives what was said last a moment to arrive.
    pub async fn end(self) {
        let CommitStatus { wanted, mut saying } = self;
        drop(wanted);
        if tokio::time::timeout(FAREWELL, &mut saying).await.is_err() {
            saying.abort();
        }
    }
}

/// Says the newest until nobody wants anything said any more; `say` tells whether the forge took it.
async fn keep_saying(mut newest: watch::Receiver<Option<Said>>, say: impl AsyncFn(Said) -> bool) {
    let mut heard: Option<Said> = None;
    while newest.changed().await.is_ok() {
        let Some(said) = newest.borrow_and_update().clone() else { continue };
        if heard.as_ref().is_some_and(|heard| heard.is_as(&said)) {
            continue;
        }
        // After a failure nobody knows what the forge has.
        heard = say(said.clone()).await.then_some(said);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::forge::State;

    fn said(verdict: Verdict, commit: &str) -> Option<Said> {
        let status = Status { state: State::Success, context: String::new(), words: String::new(), link: None };
        Some(Said { verdict, commit: commit.to_owned(), status })
    }

    #[tokio::test]
    async fn the_newest_is_said_and_what_failed_is_said_again() {
        let (wanted, newest) = watch::channel(None);
        let (turns, came) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (allowed, log) = (Arc::clone(&turns), Arc::clone(&came));
        let say = async move |said: Said| {
            allowed.acquire().await.expect("open").forget();
            let mut log = log.lock().expect("no panic");
            log.push(format!("{} {}", said.commit, said.verdict.word()));
            log.len() != 2
        };
        let saying = tokio::spawn(keep_saying(newest, say));
        let until = async |count: usize| {
            while came.lock().expect("no panic").len() < count {
                tokio::task::yield_now().await;
            }
        };
        wanted.send_replace(said(Verdict::InSync, "a"));
        tokio::task::yield_now().await;
        // Both while the first is on its way: only the newer is said, and it fails.
        wanted.send_replace(said(Verdict::InSync, "b"));
        wanted.send_replace(said(Verdict::Partly, "c"));
        turns.add_permits(2);
        until(2).await;
        // The next passes want the same: it is said once more, and then it is known.
        for _ in 0..3 {
            wanted.send_replace(said(Verdict::Partly, "c"));
            turns.add_permits(1);
            until(3).await;
            tokio::task::yield_now().await;
        }
        drop(wanted);
        saying.await.expect("no panic");
        assert_eq!(*came.lock().expect("no panic"), ["a in_sync", "c partly", "c partly"]);
    }
}
