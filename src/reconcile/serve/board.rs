//! `Board`: what the loop has done so far, for whoever asks while it goes on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::lag::Lag;
use super::objects::Objects;
use crate::api::Answers;
use crate::report::{Failure, Outcome, Report, text};

/// So many passes are remembered one by one.
const REMEMBERED: usize = 50;

/// How a pass ended, for a loop that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything is as git says, but for what was held back.
    InSync,
    /// Some of it is in, some is not.
    Partly,
    /// It came to nothing.
    Failed,
    /// The files are invalid.
    Invalid,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Verdict; 4] = [Verdict::InSync, Verdict::Partly, Verdict::Failed, Verdict::Invalid];

    /// The word in metrics and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::InSync => "in_sync",
            Verdict::Partly => "partly",
            Verdict::Failed => "failed",
            Verdict::Invalid => "invalid",
        }
    }
}

/// One pass, as the loop tells it.
pub struct Noted<'a> {
    /// How it ended.
    pub verdict: Verdict,
    /// What there is to tell.
    pub report: Option<&'a Report>,
    /// Why there is no more.
    pub failure: Option<Failure>,
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The commit that was to be applied, as far as it is known and nothing else was read.
    pub commit: Option<&'a str>,
    /// The requests it sent.
    pub answers: Answers,
}

/// What everybody sees. Clones share it.
#[derive(Clone, Debug)]
pub struct Board {
    inner: Arc<Mutex<Inner>>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub started: Timestamp,
    /// Since when passes are left out, if they are.
    pub suspended: Option<Timestamp>,
    /// What is waited for, if anything is, and since when.
    pub waiting: Option<(Timestamp, String)>,
    /// Since when a pass is under way that takes its time.
    pub under_way: Option<Timestamp>,
    /// After so long without an end, waits and passes count as trouble.
    patience: Duration,
    /// How every object stands.
    pub objects: Objects,
    /// The last report, and the last one that changed something.
    pub report: Option<Value>,
    pub changes: Option<(Timestamp, Value)>,
    pub failure: Option<Failure>,
    pub verdict: Option<Verdict>,
    pub history: VecDeque<Value>,
    pub counts: Counts,
}

/// What metrics are made of.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub passes: BTreeMap<&'static str, u64>,
    pub seconds: f64,
    pub last_seconds: f64,
    pub last: Option<Timestamp>,
    pub last_success: Option<Timestamp>,
    pub answers: Answers,
    pub lag: Lag,
    /// By action and result.
    pub changes: BTreeMap<(String, &'static str), u64>,
    pub drift: u64,
    pub webhooks: BTreeMap<&'static str, u64>,
}

impl Board {
    /// A board without a pass. A wait or a pass that lasts longer than `patience` is no good sign.
    pub fn new(patience: Duration) -> Board {
        let inner = Inner {
            started: Timestamp::now(),
            suspended: None,
            waiting: None,
            under_way: None,
            patience,
            objects: Objects::default(),
            report: None,
            changes: None,
            failure: None,
            verdict: None,
            history: VecDeque::new(),
            counts: Counts::default(),
        };
        Board { inner: Arc::new(Mutex::new(inner)), changed: watch::channel(0).0 }
    }

    pub(super) fn look(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whenever something changes.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn tell(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    /// Whether passes are to be left out.
    pub fn is_suspended(&self) -> bool {
        self.look().suspended.is_some()
    }

    /// Leaves passes out from now on, or no longer.
    pub fn suspend(&self, suspended: bool) {
        {
            let mut inner = self.look();
            inner.suspended = suspended.then(|| inner.suspended.unwrap_or_else(Timestamp::now));
        }
        self.tell();
    }

    /// Nothing is done until this is over; `None`: it is. Whatever a pass came to ends it too.
    pub fn waiting(&self, what: Option<&str>) {
        {
            let mut inner = self.look();
            inner.under_way = None;
            if inner.waiting.as_ref().map(|(_, before)| before.as_str()) == what {
                return;
            }
            let since = inner.waiting.take().map_or_else(Timestamp::now, |(since, _)| since);
            inner.waiting = what.map(|what| (since, what.to_owned()));
        }
        self.tell();
    }

    /// A pass found the lock taken: its requests count, and its commit is not in.
    pub fn found_locked(&self, commit: Option<&str>, answers: &Answers, began: Timestamp) {
        let counts = &mut self.look().counts;
        counts.answered(answers);
        if let Some(commit) = commit {
            counts.lag.note(commit, began, Duration::ZERO, false);
        }
    }

    /// A pass is under way since then, and takes its time. What it comes to ends that.
    pub fn takes_its_time(&self, began: Timestamp) {
        self.look().under_way = Some(began);
        self.tell();
    }

    /// Why not everything is as git says, or nobody may know, in a word; `None` if all is well.
    pub(super) fn trouble(&self, now: Timestamp) -> Option<&'static str> {
        let inner = self.look();
        let patience = i64::try_from(inner.patience.as_secs()).unwrap_or(i64::MAX);
        let for_long = |since: Timestamp| now.as_second().saturating_sub(since.as_second()) > patience;
        match inner.verdict {
            None => Some("starting"),
            Some(verdict @ (Verdict::Partly | Verdict::Failed | Verdict::Invalid)) => Some(verdict.word()),
            Some(Verdict::InSync) if inner.waiting.as_ref().is_some_and(|(since, _)| for_long(*since)) => {
                Some("waiting")
            }
            Some(Verdict::InSync) if inner.under_way.is_some_and(for_long) => Some("hanging"),
            Some(Verdict::InSync) => None,
        }
    }

    pub(super) fn count_webhook(&self, result: &'static str) {
        *self.look().counts.webhooks.entry(result).or_default() += 1;
    }

    /// A pass is over.
    pub fn note(&self, pass: &Noted<'_>) {
        {
            let mut inner = self.look();
            inner.count(pass);
            (inner.waiting, inner.under_way) = (None, None);
            inner.history.push_front(entry(pass));
            inner.history.truncate(REMEMBERED);
            inner.verdict = Some(pass.verdict);
            inner.failure.clone_from(&pass.failure);
            if let Some(report) = pass.report {
                // Of invalid files nobody knows what they declare.
                if pass.verdict != Verdict::Invalid {
                    inner.objects.note(report, pass.began);
                }
                let json = report.to_json();
                if !report.outcomes.is_empty() {
                    inner.changes = Some((pass.began, json.clone()));
                }
                inner.report = Some(json);
            }
        }
        self.tell();
    }

    /// All of it as data.
    pub fn to_json(&self) -> Value {
        let inner = self.look();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "started": shown(inner.started),
            "state": inner.verdict.map_or("starting", Verdict::word),
            "suspended": inner.suspended.is_some(),
            "suspended_since": inner.suspended.map(shown),
            "waiting": inner.waiting.as_ref().map(|(_, what)| what),
            "waiting_since": inner.waiting.as_ref().map(|(since, _)| shown(*since)),
            "under_way_since": inner.under_way.map(shown),
            "error": inner.failure,
            "report": inner.report,
            "objects": inner.objects.to_json(),
            "changed": inner.changes.as_ref().map(|(at, report)| json!({"at": shown(*at), "report": report})),
            "history": inner.history,
        })
    }
}

impl Counts {
    fn answered(&mut self, answers: &Answers) {
        for (answered, n) in answers {
            *self.answers.entry(answered.clone()).or_default() += n;
        }
    }
}

impl Inner {
    fn count(&mut self, pass: &Noted<'_>) {
        let counts = &mut self.counts;
        *counts.passes.entry(pass.verdict.word()).or_default() += 1;
        counts.last_seconds = pass.took.as_secs_f64();
        counts.seconds += counts.last_seconds;
        counts.last = Some(pass.began);
        if pass.verdict == Verdict::InSync {
            counts.last_success = Some(pass.began);
        }
        counts.answered(&pass.answers);
        if let Some(commit) = pass.commit {
            counts.lag.note(commit, pass.began, pass.took, pass.verdict == Verdict::InSync);
        }
        let Some(report) = pass.report else { return };
        let changes: BTreeMap<_, _> = report.plan.changes.iter().map(|change| (&change.key, change)).collect();
        for (key, outcome) in &report.outcomes {
            let Some(change) = changes.get(key) else { continue };
            let result = match outcome {
                Outcome::Done => "done",
                Outcome::Failed(_) => "failed",
                Outcome::Skipped(_) => "skipped",
                Outcome::Held(_) => "held",
            };
            let action = serde_json::to_value(change.action).ok();
            let action = action.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
            *counts.changes.entry((action, result)).or_default() += 1;
            counts.drift += u64::from(change.because == crate::model::plan::Because::Drift);
        }
    }
}

/// One line of the history.
fn entry(pass: &Noted<'_>) -> Value {
    let words = match (pass.report, &pass.failure) {
        (_, Some(failure)) => failure.message.clone(),
        (Some(report), None) => text::line(report),
        (None, None) => String::new(),
    };
    json!({
        "at": shown(pass.began),
        "seconds": (pass.took.as_secs_f64() * 1000.0).round() / 1000.0,
        "state": pass.verdict.word(),
        "commit": pass.report.and_then(|report| report.source.commit.clone()),
        "summary": words,
    })
}

/// A moment as machines and people read it.
pub(super) fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_wait_nor_a_pass_lasts_for_ever_unseen() {
        let board = Board::new(Duration::from_secs(900));
        let now = Timestamp::now();
        let later = |seconds: u64| now + Duration::from_secs(seconds);
        let noted = Noted {
            verdict: Verdict::InSync,
            report: None,
            failure: None,
            began: now,
            took: Duration::ZERO,
            commit: None,
            answers: Answers::default(),
        };
        assert_eq!(board.trouble(now), Some("starting"));
        board.note(&noted);
        assert_eq!(board.trouble(later(10_000)), None);
        board.waiting(Some("a rebase of git"));
        // Another thing that is waited for is no new beginning.
        board.waiting(Some("a merge of git"));
        assert_eq!((board.trouble(later(800)), board.trouble(later(1000))), (None, Some("waiting")));
        assert_eq!(board.to_json()["waiting"], "a merge of git");
        board.waiting(None);
        assert_eq!(board.trouble(later(1000)), None);
        board.takes_its_time(now);
        assert_eq!((board.trouble(later(900)), board.trouble(later(901))), (None, Some("hanging")));
        assert_eq!(board.to_json()["under_way_since"], shown(now));
        board.note(&noted);
        assert_eq!(board.trouble(later(1000)), None);
        board.note(&Noted { verdict: Verdict::Partly, ..noted });
        assert_eq!(board.trouble(now), Some("partly"));
    }
}
