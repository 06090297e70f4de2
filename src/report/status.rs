//! How a scope stands, told: what was applied, what drifted, what git has that is not applied, who is at work.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::drift::DriftReport;
use super::text::{self, Look};
use super::{FORMAT_VERSION, Failure, Report, diagnostics_json};
use crate::model::plan::Because;
use crate::model::{Key, Kind};

/// What the ledger says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The commit that was last applied.
    pub commit: Option<String>,
    /// When a pass last changed something, by the server's clock: one that changes nothing leaves no trace.
    pub at: Option<String>,
    /// How often the ledger was saved.
    pub generation: u64,
    /// How many objects are ours, by kind.
    #[serde(skip)]
    pub owned: BTreeMap<Kind, usize>,
    /// What an interrupted pass left open.
    #[serde(skip)]
    pub interrupted: Vec<Key>,
}

/// Who applies at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LockHolder {
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: String,
    /// The page of the CI run.
    pub url: Option<String>,
    /// Since when.
    pub since: Option<String>,
    /// For how long nothing was heard of it, in seconds.
    pub silent_seconds: Option<u64>,
    /// The same in words.
    #[serde(skip)]
    pub words: String,
}

/// How a scope stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// What git has that is not applied yet; its diagnostics are those of the files.
    pub plan: Report,
    /// Whether the files can be applied at all.
    pub valid: bool,
    /// What was applied; `None` if nothing was.
    pub applied: Option<Applied>,
    /// Why that cannot be told.
    pub trouble: Option<Failure>,
    /// What drifted since.
    pub drift: Option<DriftReport>,
    /// Who applies at this moment.
    pub lock: Option<LockHolder>,
}

impl Status {
    /// How many changes wait because git moved, without those that only put back what drifted.
    pub fn pending(&self) -> usize {
        self.plan.plan.changes.iter().filter(|change| change.because != Because::Drift).count()
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let report = &self.plan;
        let owned = self.applied.as_ref().map(|applied| {
            let by_kind: BTreeMap<&str, usize> = applied.owned.iter().map(|(kind, n)| (kind.word(), *n)).collect();
            json!({ "total": applied.owned.values().sum::<usize>(), "by_kind": by_kind })
        });
        let mut out = json!({
            "format_version": FORMAT_VERSION,
            "scope": report.scope,
            "api": report.api,
            "applied": self.applied,
            "owned": owned,
            "interrupted": self.applied.as_ref().map(|applied| &applied.interrupted),
            "drift": self.drift.as_ref().map(DriftReport::summary_json),
            "source": report.source,
            "valid": self.valid,
            "pending": self.valid.then(|| json!({ "changes": self.pending(), "plan": report.summary() })),
            "lock": self.lock,
            "requests": report.requests,
            "seconds": report.rounded_seconds(),
            "diagnostics": diagnostics_json(&report.diagnostics),
        });
        if let Some(trouble) = &self.trouble {
            out["error"] = json!(trouble);
        }
        out
    }

    /// For people.
    pub fn text(&self, look: Look) -> String {
        let mut out = text::header(&self.plan, look);
        let rows = [
            ("applied", self.told_applied()),
            ("owned", self.told_owned()),
            ("drift", self.told_drift()),
            ("pending", self.told_pending()),
            ("lock", self.lock.as_ref().map_or_else(|| "free".to_owned(), |lock| format!("held by {}", lock.words))),
        ];
        for (word, told) in rows {
            let _ = writeln!(out, "  {word:<8}  {}", text::printable(&told));
        }
        out
    }

    fn told_applied(&self) -> String {
        match (&self.applied, &self.trouble) {
            (_, Some(trouble)) => trouble.message.clone(),
            (None, None) => "nothing yet".to_owned(),
            (Some(applied), None) => {
                let commit = applied.commit.as_deref().map_or("no commit", text::short);
                let at = applied.at.as_ref().map(|at| format!(", last changed {at}")).unwrap_or_default();
                let open = match applied.interrupted.len() {
                    0 => String::new(),
                    n => format!("; an apply ended early, {n} open"),
                };
                format!("{commit}{at}{open}")
            }
        }
    }

    fn told_owned(&self) -> String {
        let Some(applied) = &self.applied else { return "nothing".to_owned() };
        let kinds: Vec<String> = applied.owned.iter().map(|(kind, n)| text::plural(*kind, *n)).collect();
        if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") }
    }

    fn told_drift(&self) -> String {
        let Some(drift) = &self.drift else { return "not known".to_owned() };
        let sum = drift.sum();
        let sum = sum.trim_start_matches("Drift: ").trim_end_matches('.').to_owned();
        if drift.drifted() { format!("{sum}; `reconcile drift` shows it") } else { sum }
    }

    fn told_pending(&self) -> String {
        if !self.valid {
            return "the files are invalid: `reconcile validate` says why".to_owned();
        }
        let held = match self.plan.plan.held.len() {
            0 => String::new(),
            n => format!(", {n} held"),
        };
        match self.pending() {
            0 => format!("nothing{held}"),
            n => format!("{}{held}; `reconcile plan` shows them", super::count(n, "change", "changes")),
        }
    }
}
