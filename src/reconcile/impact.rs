//! What follows from a plan: how many planned runs an update moves.
//!
//! The server forgets the future runs that its scheduler has planned whenever a deployment or one of its schedules is
//! written, and plans them anew (`_delete_scheduled_runs` in `server/models/deployments.py`, 3.8.8).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::{Api, PlannedRuns};
use crate::model::plan::{Action, Change, Plan};
use crate::model::{Key, Kind, Path, Tree};
use crate::plan::Planned;
use crate::plan::want::Write;

/// Notes with every update of a deployment what becomes of its planned runs. Asks only if there are such updates.
///
/// An API that does not answer this question spoils no plan: the notes are then missing.
pub async fn note(api: &Api, planned: &mut Planned) {
    let touched = touched(planned);
    if touched.is_empty() {
        return;
    }
    let ids: BTreeSet<String> = touched.values().cloned().collect();
    match api.planned_runs(&ids).await {
        Ok(runs) => {
            for change in &mut planned.plan.changes {
                let Some(id) = touched.get(&change.key) else { continue };
                change.impact.extend(sentence(change, id, &runs));
            }
        }
        Err(error) => tracing::warn!("planned runs are not counted: {error}"),
    }
}

/// Takes over what was noted with an equal plan; whether this one is equal.
pub fn carry(before: &Plan, planned: &mut Planned) -> bool {
    let changes = &mut planned.plan.changes;
    let same = |(was, is): (&Change, &Change)| (&was.key, was.action, &was.fields) == (&is.key, is.action, &is.fields);
    let equal = before.changes.len() == changes.len() && before.changes.iter().zip(changes.iter()).all(same);
    if equal {
        for (is, was) in changes.iter_mut().zip(&before.changes) {
            is.impact.clone_from(&was.impact);
        }
    }
    equal
}

/// The ids of the deployments that are written to.
fn touched(planned: &Planned) -> BTreeMap<Key, String> {
    let updates = planned.plan.changes.iter().filter(|change| {
        change.key.kind == Kind::Deployment && change.action == Action::Update && is_written(planned, &change.key)
    });
    updates.filter_map(|change| Some((change.key.clone(), planned.ids.get(&change.key)?.clone()))).collect()
}

fn is_written(planned: &Planned, key: &Key) -> bool {
    let writes = planned.writes.get(key).into_iter().flatten();
    writes.into_iter().any(|write| matches!(write, Write::UpdateDeployment { .. }))
}

fn sentence(change: &Change, id: &str, runs: &PlannedRuns) -> Option<String> {
    let found = runs.by_deployment.get(id)?;
    let at_least = if runs.more { "at least " } else { "" };
    let one = found.count == 1;
    let runs = crate::report::count(found.count, "planned run", "planned runs");
    let changes = |name: &str| change.fields.iter().any(|field| field.path.starts_with(&Path::of(name)));
    let pauses = change
        .fields
        .iter()
        .any(|field| field.path == Path::of("paused") && field.after.as_ref() == Some(&Tree::Bool(true)));
    let (verb, was) = match (pauses, changes("schedules")) {
        (true, _) => (if one { "is dropped" } else { "are dropped" }, "next was at"),
        (false, true) => (if one { "moves" } else { "move" }, "next at"),
        (false, false) => (if one { "is planned anew" } else { "are planned anew" }, "next at"),
    };
    let next = found.next.map(|next| format!("; {was} {}", minute(next))).unwrap_or_default();
    Some(format!("{at_least}{runs} {verb}{next}"))
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{Because, FieldChange};

    fn planned(description: &str) -> Planned {
        let mut change = Change::new(Key::new(Kind::Deployment, "f/d"), Action::Update, Because::Git);
        let (path, after) = (Path::of("description"), Some(Tree::from(description)));
        change.fields.push(FieldChange { path, before: None, after });
        Planned { plan: Plan { changes: vec![change], ..Plan::default() }, ..Planned::default() }
    }

    #[test]
    fn what_follows_is_carried_to_an_equal_plan_only() {
        let mut before = planned("a").plan;
        before.changes[0].impact.push("3 planned runs move".to_owned());
        let (mut equal, mut other, mut less) = (planned("a"), planned("b"), Planned::default());
        assert!(carry(&before, &mut equal));
        assert_eq!(equal.plan.changes[0].impact, ["3 planned runs move"]);
        assert!(!carry(&before, &mut other) && other.plan.changes[0].impact.is_empty());
        assert!(!carry(&before, &mut less));
    }
}
