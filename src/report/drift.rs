//! What drifted since the last apply, told: text, Markdown, JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::text::Look;
use super::{FORMAT_VERSION, Report, count, diagnostics_json, field_json, markdown, origin_json, text};
use crate::model::Key;
use crate::model::plan::Action;

/// Who changed an object and when, as far as the API tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// When its row was last written, schedules and the like not always included.
    pub updated: Option<String>,
    /// Who wrote it last, where the API says so.
    pub updated_by: Option<String>,
    /// Who made it, where the API says so.
    pub created_by: Option<String>,
    /// The last event that tells of a change.
    pub event: Option<Event>,
}

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// What happened, such as `prefect.deployment.updated`.
    pub name: String,
    /// When.
    pub occurred: String,
    /// Who did it.
    pub actor: Option<String>,
}

impl Trace {
    /// `changed 2026-11-22T07:00:00Z by Ada (prefect.deployment.updated)`; nothing where nothing is known.
    pub fn sentence(&self, action: Action) -> Option<String> {
        let verb = if action == Action::Delete { "deleted" } else { "changed" };
        let (when, what) = match &self.event {
            Some(event) => (event.occurred.clone(), format!(" ({})", event.name)),
            None => (self.updated.clone()?, String::new()),
        };
        let by = self.event.as_ref().and_then(|event| event.actor.as_ref()).or(self.updated_by.as_ref());
        let by = by.map(|who| format!(" by {who}")).unwrap_or_default();
        Some(format!("last {verb} {when}{by}{what}"))
    }
}

/// One look at what drifted.
#[derive(Clone, Debug)]
pub struct DriftReport {
    /// Scope, API and what was last applied. Its changes lead from what was applied to what the API holds.
    pub report: Report,
    /// What cannot be told of.
    pub undecided: Vec<Key>,
    /// Who and when.
    pub traces: BTreeMap<Key, Trace>,
    /// What an interrupted pass left open.
    pub pending: Vec<Key>,
    /// Who applies at this moment: what is under way may look like drift.
    pub busy: Option<String>,
}

impl DriftReport {
    /// Whether something drifted.
    pub fn drifted(&self) -> bool {
        !self.report.plan.changes.is_empty()
    }

    /// How many objects were changed, and how many are gone.
    pub fn counts(&self) -> (usize, usize) {
        let summary = self.report.summary();
        (summary.update, summary.delete)
    }

    /// The counts for machines.
    pub fn summary_json(&self) -> Value {
        let (changed, gone) = self.counts();
        json!({
            "changed": changed, "gone": gone, "unchanged": self.report.plan.unchanged,
            "undecided": self.undecided.len(),
        })
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let report = &self.report;
        let drift = report.plan.changes.iter().map(|change| {
            json!({
                "kind": change.key.kind,
                "name": change.key.name,
                "state": if change.action == Action::Delete { "gone" } else { "changed" },
                "origin": change.origin.as_ref().map(origin_json),
                "fields": change.fields.iter().map(field_json).collect::<Vec<_>>(),
                "trace": self.traces.get(&change.key).cloned().unwrap_or_default(),
            })
        });
        json!({
            "format_version": FORMAT_VERSION,
            "scope": report.scope,
            "base": report.base,
            "api": report.api,
            "summary": self.summary_json(),
            "drift": drift.collect::<Vec<_>>(),
            "undecided": self.undecided,
            "pending": self.pending,
            "busy": self.busy,
            "requests": report.requests,
            "seconds": report.rounded_seconds(),
            "diagnostics": diagnostics_json(&report.diagnostics),
        })
    }

    /// For people.
    pub fn text(&self, look: Look) -> String {
        let mut out = text::header(&self.report, look);
        out.push_str(&text::changes(&self.report, look));
        for note in self.notes() {
            let _ = writeln!(out, "{}", text::printable(&note));
        }
        let _ = writeln!(out, "{}   {}", self.sum(), text::cost(&self.report));
        out
    }

    /// For a comment or a job summary.
    pub fn markdown(&self) -> String {
        let mut out = markdown::page(&self.report, "drift", &self.sum());
        for note in self.notes() {
            let _ = writeln!(out, "\n> {}", crate::render::markdown::escape(&note));
        }
        out
    }

    /// `Drift: 1 changed, 1 gone, 5 unchanged.`
    pub fn sum(&self) -> String {
        let (changed, gone) = self.counts();
        let mut parts: Vec<String> = [(changed, "changed"), (gone, "gone")]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}"))
            .collect();
        if parts.is_empty() {
            parts.push("none".to_owned());
        }
        parts.push(format!("{} unchanged", self.report.plan.unchanged));
        if !self.undecided.is_empty() {
            parts.push(format!("{} not known", self.undecided.len()));
        }
        format!("Drift: {}.", parts.join(", "))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let named = |keys: &[Key]| {
            let more = keys.len().saturating_sub(5);
            let named: Vec<String> = keys.iter().take(5).map(|key| format!("`{key}`")).collect();
            format!("{}{}", named.join(", "), if more > 0 { format!(" and {more} more") } else { String::new() })
        };
        if let Some(busy) = &self.busy {
            notes.push(format!("An apply is under way ({busy}): what it has written by now may look like drift."));
        }
        if !self.pending.is_empty() {
            let objects = count(self.pending.len(), "object", "objects");
            let named = named(&self.pending);
            notes.push(format!("An apply ended early; {objects} may be half written until the next one: {named}."));
        }
        if !self.undecided.is_empty() {
            notes.push(format!(
                "Of {} it cannot be told: neither these files nor those of the applied commit hold what was applied.",
                named(&self.undecided)
            ));
        }
        notes
    }
}
