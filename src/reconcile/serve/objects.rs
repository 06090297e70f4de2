//! `Objects`: how each object stands after the last pass that could tell.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::board::shown;
use crate::model::{Key, Origin};
use crate::report::{Outcome, Report};

/// How one object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Standing {
    /// `in_sync`, `held`, or what became of its change: `failed`, `skipped`.
    state: &'static str,
    /// Where it is declared; nowhere if it left git and is still there.
    origin: Option<Origin>,
    /// When this loop last changed it.
    changed: Option<Timestamp>,
}

/// All of them, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Objects {
    all: BTreeMap<Key, Standing>,
    at: Option<Timestamp>,
}

impl Objects {
    /// What a pass says of them that began at `began`; when one was changed before is kept.
    pub fn note(&mut self, report: &Report, began: Timestamp) {
        let before = std::mem::take(&mut self.all);
        let mut put = |key: &Key, state, origin: Option<&Origin>, changed: Option<Timestamp>| {
            let changed = changed.or_else(|| before.get(key)?.changed);
            self.all.insert(key.clone(), Standing { state, origin: origin.cloned(), changed });
        };
        for (key, origin) in &report.declared {
            put(key, "in_sync", Some(origin), None);
        }
        let declared: BTreeMap<&Key, &Origin> = report.declared.iter().map(|(key, origin)| (key, origin)).collect();
        for change in &report.plan.changes {
            let origin = declared.get(&change.key).copied();
            match report.outcome(&change.key) {
                // It is gone, or no longer ours.
                Some(Outcome::Done) if origin.is_none() => {}
                Some(Outcome::Done) => put(&change.key, "in_sync", origin, Some(began)),
                Some(Outcome::Failed(_)) => put(&change.key, "failed", origin, None),
                Some(Outcome::Held(_)) => put(&change.key, "held", origin, None),
                Some(Outcome::Skipped(_)) | None => put(&change.key, "skipped", origin, None),
            }
        }
        for held in &report.plan.held {
            let nothing = || Standing { state: "held", origin: None, changed: None };
            self.all.entry(held.key.clone()).or_insert_with(nothing).state = "held";
        }
        self.at = Some(began);
    }

    /// When the pass began that they are of, and each.
    pub fn to_json(&self) -> Value {
        let Some(at) = self.at else { return Value::Null };
        let one = |(key, standing): (&Key, &Standing)| {
            let origin = standing.origin.as_ref();
            json!({
                "kind": key.kind,
                "name": key.name,
                "state": standing.state,
                "file": origin.map(|origin| origin.file.as_str()),
                "line": origin.map(|origin| origin.span.line),
                "changed": standing.changed.map(shown),
            })
        };
        json!({"at": shown(at), "all": self.all.iter().map(one).collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{Action, Because, Change, Held, Plan};
    use crate::model::{Kind, RepoPath, Span};
    use crate::report::{Base, Requests, Source};

    fn key(name: &str) -> Key {
        Key::new(Kind::Variable, name)
    }

    fn report(declared: &[&str], changes: &[(&str, Action, Outcome)], held: &[&str]) -> Report {
        let origin = Origin { file: RepoPath::new("all.yaml"), span: Span { line: 3, ..Span::default() } };
        let planned = |(name, action, _): &(&str, Action, Outcome)| Change::new(key(name), *action, Because::Git);
        let reason = "nobody lets it".to_owned();
        let keep = |name: &&str| Held { key: key(name), action: Action::Update, reason: reason.clone() };
        Report {
            scope: "shop".to_owned(),
            digest: String::new(),
            base: Base::default(),
            source: Source::default(),
            api: None,
            plan: Plan {
                changes: changes.iter().map(planned).collect(),
                held: held.iter().map(keep).collect(),
                unchanged: 0,
            },
            outcomes: changes.iter().map(|(name, _, outcome)| (key(name), outcome.clone())).collect(),
            requests: Requests::default(),
            diagnostics: Vec::new(),
            declared: declared.iter().map(|name| (key(name), origin.clone())).collect(),
            seconds: 0.0,
        }
    }

    fn states(objects: &Objects) -> Vec<String> {
        let one = |(key, one): (&Key, &Standing)| {
            let changed = one.changed.map_or_else(|| "never".to_owned(), |at| at.as_second().to_string());
            let place = if one.origin.is_some() { "git" } else { "nowhere" };
            format!("{} {} {place} {changed}", key.name, one.state)
        };
        objects.all.iter().map(one).collect()
    }

    #[test]
    fn each_object_stands_as_the_last_pass_left_it() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let mut objects = Objects::default();
        assert_eq!(objects.to_json(), Value::Null);
        let failed = Outcome::Failed("no".to_owned());
        let first = [
            ("a", Action::Create, Outcome::Done),
            ("b", Action::Create, failed.clone()),
            ("c", Action::Create, Outcome::Skipped("b failed".to_owned())),
            ("gone", Action::Delete, Outcome::Done),
            ("stays", Action::Delete, failed),
        ];
        objects.note(&report(&["a", "b", "c", "d"], &first, &["d", "left"]), at(1));
        let expected = [
            "a in_sync git 1",
            "b failed git never",
            "c skipped git never",
            "d held git never",
            "left held nowhere never",
            "stays failed nowhere never",
        ];
        assert_eq!(states(&objects), expected);
        let second = [("b", Action::Create, Outcome::Done)];
        objects.note(&report(&["a", "b"], &second, &["b"]), at(2));
        assert_eq!(states(&objects), ["a in_sync git 1", "b held git 2"]);
        let json = objects.to_json();
        assert_eq!(
            (&json["at"], &json["all"][0]["changed"]),
            (&json!("1970-01-01T00:00:02Z"), &json!("1970-01-01T00:00:01Z"))
        );
        assert_eq!((&json["all"][0]["file"], &json["all"][0]["line"]), (&json!("all.yaml"), &json!(3)));
    }
}
