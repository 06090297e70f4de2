//! Whether a plan still does what an earlier one promised: only what was shown as unknown may have become known.

use crate::model::plan::{Action, Change, FieldChange, Plan};
use crate::model::tree::Unknown;
use crate::model::{Key, Path, Tree};

/// One object about which two plans differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Only the later plan changes it.
    Added(Key),
    /// Only the earlier plan changes it.
    Removed(Key),
    /// Both change it, in different ways.
    Changed(Key),
}

impl Difference {
    /// The word for it in reports.
    pub fn word(&self) -> &'static str {
        match self {
            Difference::Added(_) => "added",
            Difference::Removed(_) => "removed",
            Difference::Changed(_) => "changed",
        }
    }

    /// The object.
    pub fn key(&self) -> &Key {
        match self {
            Difference::Added(key) | Difference::Removed(key) | Difference::Changed(key) => key,
        }
    }
}

/// Where `now` does something else than `promised` said. Secrets compare by their values.
pub fn differences(promised: &Plan, now: &Plan) -> Vec<Difference> {
    let mut out = Vec::new();
    let mut kept: Vec<&Key> = Vec::new();
    for change in &now.changes {
        match promise_of(promised, change) {
            None => out.push(Difference::Added(change.key.clone())),
            Some(promise) => {
                kept.push(&promise.key);
                if !is_kept(promise, change) {
                    out.push(Difference::Changed(change.key.clone()));
                }
            }
        }
    }
    for promise in promised.changes.iter().filter(|promise| !kept.contains(&&promise.key)) {
        if !may_come_to_nothing(promise) {
            out.push(Difference::Removed(promise.key.clone()));
        }
    }
    out
}

/// What was promised of an object: by its key, or by where it is declared while its key was not known.
fn promise_of<'a>(promised: &'a Plan, change: &Change) -> Option<&'a Change> {
    let by_key = promised.changes.iter().find(|promise| promise.key == change.key);
    by_key.or_else(|| {
        promised.changes.iter().find(|promise| {
            has_open_name(&promise.key)
                && promise.key.kind == change.key.kind
                && promise.origin.is_some()
                && promise.origin == change.origin
        })
    })
}

fn has_open_name(key: &Key) -> bool {
    [Unknown::AtApply, Unknown::AfterBuild].iter().any(|why| key.name.contains(&format!("(known {})", why.phrase())))
}

fn is_kept(promise: &Change, change: &Change) -> bool {
    if has_open_name(&promise.key) {
        // Whether it exists could not be looked up: it is made or changed, but never deleted.
        return matches!(change.action, Action::Create | Action::Update | Action::Adopt);
    }
    promise.action == change.action
        && change.fields.iter().all(|field| promise.fields.iter().any(|promised| covers(promised, field)))
        && promise
            .fields
            .iter()
            .all(|promised| is_open(promised) || change.fields.iter().any(|field| field.path == promised.path))
}

fn is_open(field: &FieldChange) -> bool {
    field.after.as_ref().is_some_and(Tree::has_unknown)
}

/// Whether a field does what was promised of it, or of what holds it.
fn covers(promised: &FieldChange, field: &FieldChange) -> bool {
    if promised.path == field.path {
        return promised.before == field.before && fits_option(promised.after.as_ref(), field.after.as_ref());
    }
    matches!(&promised.after, Some(Tree::Unknown(_))) && is_below(&promised.path, &field.path)
}

fn is_below(above: &Path, path: &Path) -> bool {
    path.starts_with(above)
}

fn fits_option(promised: Option<&Tree>, now: Option<&Tree>) -> bool {
    match (promised, now) {
        (None, None) => true,
        (Some(promised), Some(now)) => fits(promised, now),
        (Some(promised), None) => matches!(promised, Tree::Unknown(_)),
        (None, Some(_)) => false,
    }
}

/// Equal but for what was unknown.
fn fits(promised: &Tree, now: &Tree) -> bool {
    match (promised, now) {
        (Tree::Unknown(_), _) => true,
        (Tree::List(promised), Tree::List(now)) => {
            promised.len() == now.len() && promised.iter().zip(now).all(|(a, b)| fits(a, b))
        }
        (Tree::Map(promised), Tree::Map(now)) => {
            now.keys().all(|key| promised.contains_key(key))
                && promised.iter().all(|(key, a)| fits_option(Some(a), now.get(key)))
        }
        (promised, now) => promised == now,
    }
}

/// An update that turned out to change nothing once everything was known.
fn may_come_to_nothing(promise: &Change) -> bool {
    has_open_name(&promise.key)
        || (promise.action == Action::Update && !promise.fields.is_empty() && promise.fields.iter().all(is_open))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Because;
    use crate::model::{Kind, Map, Secret};
    use serde_json::json;

    fn plan(fields: Vec<(&str, Tree, Tree)>) -> Plan {
        let fields = fields.into_iter().map(|(path, before, after)| FieldChange {
            path: Path::of(path),
            before: Some(before),
            after: Some(after),
        });
        let mut change = Change::new(Key::deployment("etl", "nightly"), Action::Update, Because::Git);
        change.fields = fields.collect();
        change.impact.push("differs from time to time".to_owned());
        Plan { changes: vec![change], ..Plan::default() }
    }

    fn later() -> Tree {
        Tree::Unknown(Unknown::AfterBuild)
    }

    #[test]
    fn what_was_unknown_may_become_anything_and_nothing_else_may() {
        let promised = plan(vec![
            ("job_variables", Tree::Null, Tree::Map(Map::from([("image".to_owned(), later())]))),
            ("tags", Tree::from(json!([])), Tree::from(json!(["a"]))),
        ]);
        let now = |image: &str, tag: &str| {
            plan(vec![
                ("job_variables", Tree::Null, Tree::from(json!({ "image": image }))),
                ("tags", Tree::from(json!([])), Tree::from(json!([tag]))),
            ])
        };
        assert_eq!(differences(&promised, &now("x:1", "a")), []);
        let changed = Difference::Changed(Key::deployment("etl", "nightly"));
        assert_eq!(differences(&promised, &now("x:1", "b")), [changed]);
    }

    #[test]
    fn an_open_update_may_come_to_nothing_and_a_known_one_may_not() {
        let nothing = Plan::default();
        assert_eq!(differences(&plan(vec![("description", Tree::Null, later())]), &nothing), []);
        let known = plan(vec![("description", Tree::Null, Tree::text("x"))]);
        assert_eq!(differences(&known, &nothing), [Difference::Removed(Key::deployment("etl", "nightly"))]);
        assert_eq!(differences(&nothing, &known), [Difference::Added(Key::deployment("etl", "nightly"))]);
    }

    #[test]
    fn secrets_compare_by_value() {
        let secret = |text: &str| plan(vec![("parameters", Tree::Null, Tree::Secret(Secret::text(text)))]);
        assert_eq!(differences(&secret("a"), &secret("a")), []);
        assert_eq!(differences(&secret("a"), &secret("b")).len(), 1);
    }

    #[test]
    fn an_unknown_name_is_matched_by_its_place() {
        let origin = crate::model::Origin::whole(crate::model::RepoPath::new("prefect.yaml"));
        let mut promised = plan(vec![]);
        promised.changes[0].key = Key::new(Kind::Deployment, "(known at apply)/nightly");
        promised.changes[0].action = Action::Create;
        promised.changes[0].origin = Some(origin.clone());
        let mut now = plan(vec![("tags", Tree::Null, Tree::Null)]);
        now.changes[0].origin = Some(origin);
        assert_eq!(differences(&promised, &now), []);
        now.changes[0].action = Action::Delete;
        assert_eq!(differences(&promised, &now).len(), 1);
    }
}
