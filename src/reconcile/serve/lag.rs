//! `Lag`: how far what is applied is behind what git says.

use std::time::Duration;

use jiff::Timestamp;

/// Counts from when a commit was first read to when it was in. Drift is no lag: its commit was applied.
#[derive(Debug, Default)]
pub(super) struct Lag {
    applied: Option<String>,
    waiting: Option<Waiting>,
    /// How long it took the last commit that was applied.
    pub last: Option<Duration>,
}

/// Commits that are not in.
#[derive(Debug)]
struct Waiting {
    /// When the first of them was seen.
    since: Timestamp,
    newest: String,
    /// When the newest was seen.
    seen: Timestamp,
}

impl Lag {
    /// A pass over a commit began then, took so long, and brought it in or not.
    pub fn note(&mut self, commit: &str, began: Timestamp, took: Duration, is_in: bool) {
        if self.applied.as_deref() == Some(commit) {
            // Also of a branch that went back to it.
            self.waiting = None;
            return;
        }
        let waiting = self.waiting.take();
        let seen = waiting.as_ref().filter(|waiting| waiting.newest == commit).map_or(began, |waiting| waiting.seen);
        if !is_in {
            let since = waiting.map_or(began, |waiting| waiting.since);
            self.waiting = Some(Waiting { since, newest: commit.to_owned(), seen });
            return;
        }
        self.last = Some(took.saturating_add(between(seen, began)));
        self.applied = Some(commit.to_owned());
    }

    /// How long there has been a commit that is not in.
    pub fn now(&self, now: Timestamp) -> Duration {
        self.waiting.as_ref().map_or(Duration::ZERO, |waiting| between(waiting.since, now))
    }
}

/// Nothing if the clock was set back.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_secs(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("within range")
    }

    #[test]
    fn it_grows_until_the_commit_is_in() {
        let mut lag = Lag::default();
        lag.note("a", at(0), TOOK, true);
        assert_eq!((lag.last, lag.now(at(9))), (Some(TOOK), Duration::ZERO));
        lag.note("b", at(10), TOOK, false);
        lag.note("b", at(12), TOOK, false);
        assert_eq!(lag.now(at(15)).as_secs(), 5);
        lag.note("b", at(20), TOOK, true);
        assert_eq!((lag.last.map(|last| last.as_secs()), lag.now(at(30))), (Some(11), Duration::ZERO));
    }

    #[test]
    fn commits_that_follow_one_another_do_not_hide_that_none_is_in() {
        let mut lag = Lag::default();
        for (n, commit) in ["a", "b", "c"].into_iter().enumerate() {
            lag.note(commit, at(n as i64 * 10), TOOK, false);
        }
        assert_eq!(lag.now(at(30)).as_secs(), 30);
        lag.note("c", at(30), TOOK, true);
        assert_eq!(lag.last.map(|last| last.as_secs()), Some(11), "it was seen ten seconds before");
        lag.note("d", at(40), TOOK, true);
        assert_eq!(lag.last, Some(TOOK), "it was applied as soon as it was seen");
    }

    #[test]
    fn drift_a_revert_and_a_clock_that_is_set_back_are_no_lag() {
        let mut lag = Lag::default();
        lag.note("a", at(0), TOOK, true);
        lag.note("a", at(10), TOOK, false);
        assert_eq!(lag.now(at(20)), Duration::ZERO);
        lag.note("b", at(20), TOOK, false);
        assert_eq!(lag.now(at(15)), Duration::ZERO);
        lag.note("a", at(30), TOOK, true);
        assert_eq!(lag.now(at(40)), Duration::ZERO);
    }
}
