//! `Report`: one pass told as data. Every other form (text, Markdown, annotations, SARIF) is rendered from it.

pub mod diagnostics;
pub mod drift;
mod failure;
mod fit;
pub mod github;
mod leaves;
pub mod markdown;
pub mod metrics;
pub mod overview;
pub mod page;
pub mod sarif;
pub mod schema;
pub mod status;
pub mod text;

pub use failure::Failure;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::diagnostic::Diagnostic;
use crate::model::plan::{Action, Change, FieldChange, Held, LeftToPython, Plan, Summary};
use crate::model::{Key, Origin, Tree};

/// The version of the JSON form. Additions keep it; a change of meaning raises the first number.
pub const FORMAT_VERSION: &str = "1.0";

/// Where the desired state came from.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Source {
    /// The commit, if the directory is inside a git repository.
    pub commit: Option<String>,
    /// The branch, unless detached.
    pub branch: Option<String>,
    /// Whether files differ from that commit.
    pub dirty: bool,
    /// How many files declare something.
    pub files: usize,
    /// What `--rev` named: the files are those of that commit and not those on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// The API the plan was made against; absent when there is none.
#[derive(Clone, Debug, Serialize)]
pub struct ApiFacts {
    /// Its URL without credentials.
    pub url: String,
    /// The server's version.
    pub version: String,
}

/// What the plan was made from, besides the files.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Base {
    /// The commit that was last applied.
    pub commit: Option<String>,
    /// How often the ledger has been saved.
    pub ledger_generation: u64,
    /// What the files were compared with in the place of an API: a commit as it was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whether no API was to be asked: the files are a stranger's.
    #[serde(skip)]
    pub untrusted: bool,
    /// What was taken from an earlier comparison in the place of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remembered: Option<Remembered>,
}

/// A comparison that rests on an earlier one: nothing had moved on the API since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remembered {
    /// When everything was last compared.
    pub compared: String,
    /// How long ago that was.
    pub age_seconds: u64,
    /// How many deployments git wants otherwise since; these were read and compared.
    pub read: usize,
}

/// Requests sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Requests that change nothing.
    pub read: u64,
    /// Requests that may change something.
    pub write: u64,
}

/// What became of a change when it was applied.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is in.
    Done,
    /// It is not in, and why.
    Failed(String),
    /// It was not tried, because of what.
    Skipped(String),
    /// It was held back when its turn came, and why.
    Held(String),
}

/// One pass: what would change or has changed, and everything worth telling about it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The scope's name.
    pub scope: String,
    /// The plan's digest: equal for equal plans.
    pub digest: String,
    /// What it was planned from.
    pub base: Base,
    /// Where the desired state came from.
    pub source: Source,
    /// The API.
    pub api: Option<ApiFacts>,
    /// The plan.
    pub plan: Plan,
    /// What became of each change; empty when only planning.
    pub outcomes: BTreeMap<Key, Outcome>,
    /// Requests sent.
    pub requests: Requests,
    /// Problems and remarks about the files.
    pub diagnostics: Vec<Diagnostic>,
    /// What the files declare and where, if anybody asks for more than what changes. The JSON form leaves it out.
    pub declared: Vec<(Key, Origin)>,
    /// Seconds the pass took.
    pub seconds: f64,
}

impl Report {
    /// What became of one change.
    pub fn outcome(&self, key: &Key) -> Option<&Outcome> {
        self.outcomes.get(key)
    }

    /// Counts by action.
    pub fn summary(&self) -> Summary {
        self.plan.summary()
    }

    /// How many changes were held back when their turn came.
    pub fn held_late(&self) -> usize {
        self.outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Held(_))).count()
    }

    /// How many changes are in, failed and were skipped.
    pub fn tally(&self) -> (usize, usize, usize) {
        let count = |test: fn(&Outcome) -> bool| self.outcomes.values().filter(|outcome| test(outcome)).count();
        (
            count(|o| matches!(o, Outcome::Done)),
            count(|o| matches!(o, Outcome::Failed(_))),
            count(|o| matches!(o, Outcome::Skipped(_))),
        )
    }

    /// What is in by action, and what is not.
    pub fn counts(&self) -> [(&'static str, usize); 9] {
        let is_in = |change: &&Change| self.outcome(&change.key) == Some(&Outcome::Done);
        let done = |actions: &[Action]| {
            self.plan.changes.iter().filter(is_in).filter(|change| actions.contains(&change.action)).count()
        };
        let (_, failed, skipped) = self.tally();
        [
            ("created", done(&[Action::Create])),
            ("updated", done(&[Action::Update, Action::Replace])),
            ("deleted", done(&[Action::Delete])),
            ("adopted", done(&[Action::Adopt])),
            ("released", done(&[Action::Release])),
            ("unchanged", self.plan.unchanged),
            ("failed", failed),
            ("skipped", skipped),
            ("held", self.plan.held.len() + self.held_late()),
        ]
    }

    /// The machine-readable form.
    pub fn to_json(&self) -> Value {
        json!({
            "format_version": FORMAT_VERSION,
            "digest": self.digest,
            "scope": self.scope,
            "base": self.base,
            "source": self.source,
            "api": self.api,
            "summary": self.summary(),
            "changes": self.plan.changes.iter().map(|change| self.change_json(change)).collect::<Vec<_>>(),
            "held": self.plan.held.iter().map(held_json).collect::<Vec<_>>(),
            "requests": self.requests,
            "seconds": self.rounded_seconds(),
            "diagnostics": diagnostics_json(&self.diagnostics),
        })
    }

    /// Seconds, to the millisecond.
    fn rounded_seconds(&self) -> f64 {
        (self.seconds * 1000.0).round() / 1000.0
    }

    fn change_json(&self, change: &Change) -> Value {
        let mut out = json!({
            "kind": change.key.kind,
            "name": change.key.name,
            "action": change.action,
            "reason": change.because,
            "origin": change.origin.as_ref().map(origin_json),
            "fields": change.fields.iter().map(field_json).collect::<Vec<_>>(),
            "impact": change.impact,
            "left_to_python": change.left_to_python.iter().map(left_json).collect::<Vec<_>>(),
            "after": change.after,
        });
        if let Some(outcome) = self.outcome(&change.key) {
            let (result, error) = match outcome {
                Outcome::Done => ("done", None),
                Outcome::Failed(error) => ("failed", Some(error)),
                Outcome::Skipped(because) => ("skipped", Some(because)),
                Outcome::Held(because) => ("held", Some(because)),
            };
            out["result"] = json!(result);
            out["error"] = json!(error);
        }
        out
    }
}

fn held_json(held: &Held) -> Value {
    json!({
        "kind": held.key.kind,
        "name": held.key.name,
        "action": held.action,
        "reason": held.reason,
        "result": "held",
    })
}

/// What only Python can tell, for machines.
pub fn left_json(left: &LeftToPython) -> Value {
    let origin = left.origin.as_ref();
    json!({
        "parameter": left.parameter,
        "why": left.why,
        "file": origin.map(|o| o.file.as_str()),
        "line": origin.map(|o| o.span.line),
        "column": origin.map(|o| o.span.column),
    })
}

fn origin_json(origin: &Origin) -> Value {
    json!({ "file": origin.file, "line": origin.span.line, "column": origin.span.column })
}

fn field_json(field: &FieldChange) -> Value {
    let changed = field.before != field.after;
    let sensitive = [&field.before, &field.after].into_iter().flatten().any(Tree::has_secret);
    json!({
        "path": field.path.to_string(),
        "before": value_json(field.before.as_ref(), changed, sensitive),
        "after": value_json(field.after.as_ref(), changed, sensitive),
    })
}

/// A value for machines. Where one side of a field is secret, neither side is shown.
fn value_json(value: Option<&Tree>, changed: bool, sensitive: bool) -> Value {
    match value {
        None => Value::Null,
        Some(Tree::Unknown(why)) => json!({ "unknown": why.phrase() }),
        Some(Tree::Secret(_)) => json!({ "sensitive": true, "changed": changed }),
        Some(Tree::List(items)) => items.iter().map(|item| value_json(Some(item), changed, false)).collect(),
        Some(Tree::Map(map)) => {
            Value::Object(map.iter().map(|(k, v)| (k.clone(), value_json(Some(v), changed, false))).collect())
        }
        Some(_) if sensitive => json!({ "sensitive": true, "changed": changed }),
        Some(plain) => plain.masked(),
    }
}

/// The diagnostics for machines.
pub fn diagnostics_json(diagnostics: &[Diagnostic]) -> Value {
    let one = |d: &Diagnostic| {
        let origin = d.origin();
        json!({
            "severity": d.severity,
            "code": d.code,
            "message": d.message,
            "file": origin.map(|o| o.file.as_str()),
            "line": origin.map(|o| o.span.line),
            "column": origin.map(|o| o.span.column),
            "help": d.help,
            "related": d.labels.iter().skip(1).map(|label| json!({
                "file": label.origin.file, "line": label.origin.span.line,
                "column": label.origin.span.column, "message": label.text,
            })).collect::<Vec<_>>(),
        })
    };
    Value::Array(diagnostics.iter().map(one).collect())
}

/// `1 change`, `2 changes`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{Action, Because};
    use crate::model::{Kind, Path, Secret};

    #[test]
    fn a_secret_field_shows_neither_side() {
        let change = FieldChange {
            path: Path::of("job_variables").key("env"),
            before: Some(Tree::text("old-canary")),
            after: Some(Tree::Secret(Secret::text("new-canary"))),
        };
        let shown = field_json(&change).to_string();
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains(r#""sensitive":true"#) && shown.contains(r#""changed":true"#), "{shown}");
    }

    #[test]
    fn keys_of_the_json_form_are_the_documented_ones() {
        let key = Key::new(Kind::Deployment, "etl/nightly");
        let mut change = Change::new(key.clone(), Action::Create, Because::Git);
        change.after.push(Key::new(Kind::WorkPool, "k8s"));
        let report = Report {
            scope: "shop".into(),
            digest: "sha256:0".into(),
            base: Base::default(),
            source: Source::default(),
            api: None,
            plan: Plan { changes: vec![change], held: Vec::new(), unchanged: 3 },
            outcomes: BTreeMap::from([(key, Outcome::Failed("no".into()))]),
            requests: Requests { read: 6, write: 0 },
            diagnostics: Vec::new(),
            declared: Vec::new(),
            seconds: 0.4,
        };
        let json = report.to_json();
        assert_eq!(json["changes"][0]["action"], "create");
        assert_eq!(json["changes"][0]["after"][0], "work_pool k8s");
        assert_eq!(json["changes"][0]["result"], "failed");
        assert_eq!(json["summary"]["unchanged"], 3);
        assert_eq!(json["requests"]["read"], 6);
    }
}
