//! `lifecycle.replaces`: a deployment takes the place of one of the same flow with another name.
//!
//! The API renames nothing: the name is part of a deployment's key (`DeploymentUpdate` of Prefect 3.8.8 has none). So
//! the new one is made as the old one would have become, undeclared fields included, and the old one is deleted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::model::ledger::Ledger;
use crate::model::plan::{Action, Because, Change, FieldChange};
use crate::model::{Key, Map, Path, Tree};
use crate::resource::Compare;
use crate::resource::deployment::{FIELDS, found, owns_its_limit};

use super::diff::{Sides, sealed};
use super::want::{Deployment, Desired, Observed, ScheduleWrite, Write};
use super::{Planned, deployments, schedules};

/// Keys of a schedule that are its own and not the server's.
const SCHEDULE_KEYS: [&str; 5] = ["schedule", "active", "max_scheduled_runs", "parameters", "slug"];

/// The deployment that is to be replaced, if it is there.
pub fn old<'a>(wanted: &Deployment, observed: &'a Observed) -> Option<(&'a Key, &'a Value)> {
    observed.deployments.get_key_value(&wanted.replaces.as_ref()?.key)
}

/// What is to be replaced, each with what takes its place.
pub fn replaced(desired: &Desired) -> BTreeMap<Key, Key> {
    let all = desired.deployments.values();
    all.filter_map(|wanted| Some((wanted.replaces.as_ref()?.key.clone(), wanted.key.clone()))).collect()
}

/// Whether a deployment is to be replaced by one that is wanted, or hangs on such a one.
pub fn is_replaced(key: &Key, desired: &Desired) -> bool {
    let mut old = desired.deployments.values().filter_map(|wanted| wanted.replaces.as_ref());
    old.any(|old| old.key == *key || key.hangs_on(&old.key))
}

/// What contradicts itself: one that replaces itself, two that replace one, one that is still declared.
pub fn check(desired: &Desired) -> Vec<Diagnostic> {
    let mut first: BTreeMap<&Key, &Deployment> = BTreeMap::new();
    let mut out = Vec::new();
    for wanted in desired.deployments.values() {
        let Some(old) = &wanted.replaces else { continue };
        let error = |message: String| Diagnostic::error("E0415", message).at(old.origin.clone(), "");
        if old.key == wanted.key {
            out.push(error(format!("`{}` replaces itself", wanted.key)).help("remove `replaces`, or correct the name"));
        } else if let Some(other) = desired.deployments.get(&old.key) {
            let message = format!("`{}` is to be replaced and is still declared", old.key);
            out.push(error(message).at(other.origin.clone(), "declared here").help("remove one of the two"));
        } else if let Some(other) = first.insert(&old.key, wanted) {
            let message = format!("`{}` is replaced twice", old.key);
            out.push(error(message).at(other.origin.clone(), "the other one").help("only one can take its place"));
        }
    }
    out
}

/// Makes the new one of the old one and of what is declared.
pub fn replace(
    wanted: &Deployment,
    (key, answer): (&Key, &Value),
    ledger: &Ledger,
    now: Timestamp,
    planned: &mut Planned,
) {
    let owned = ledger.owned.get(key);
    let declared = ledger.declared(key);
    let sides =
        Sides { owned: &declared, digest_key: &ledger.digest_key, strict: wanted.strict, ids: &deployments::NO_IDS };
    let (mut changes, mut patch) = deployments::fields(wanted, answer, &sides);
    let timetable = schedules::diff(wanted, answer, &sides, owned.is_none(), now);
    changes.extend(timetable.changes);
    let name = |key: &Key| Some(Tree::text(key.name.rsplit('/').next().unwrap_or_default()));
    changes.insert(0, FieldChange { path: Path::of("name"), before: name(key), after: name(&wanted.key) });
    let moves_pool = patch.contains_key("work_pool_name");
    let mut fields = BTreeMap::new();
    for field in FIELDS.iter().filter(|field| field.compare != Compare::Along) {
        let kept = || {
            let held = Tree::from(found(answer, field.name));
            let secret =
                wanted.fields.get(field.name).is_some_and(Tree::has_secret) || sides.was_secret(&Path::of(field.name));
            if secret { sealed(&held) } else { held }
        };
        let value = match patch.remove(field.name) {
            Some(value) => value,
            // A queue is one of its pool, and a limit that others share is theirs.
            None if field.name == "work_queue_name" && moves_pool => continue,
            None if field.name == "concurrency_limit" && !owns_its_limit(answer) => continue,
            None => kept(),
        };
        if !value.is_null() {
            fields.insert(field.name.to_owned(), value);
        }
    }
    fields.extend(wanted.along.clone());
    let write = Write::CreateDeployment {
        flow: wanted.flow.clone(),
        name: wanted.name.clone(),
        fields,
        schedules: timetable_of(answer, &timetable.writes),
    };
    let mut change = deployments::change(wanted, Action::Replace, Because::Git, changes);
    if !owns_its_limit(answer) {
        let limit = answer["global_concurrency_limit"]["name"].as_str().unwrap_or_default();
        change.impact.push(format!("the shared limit `{limit}` is not taken over"));
    }
    change.impact.push(farewell(key));
    planned.push(change, vec![write, delete(key, answer)]);
}

/// The new one is there already, from a pass that ended early or by hand: the old one still has to go.
pub fn finish(wanted: &Deployment, (key, answer): (&Key, &Value), planned: &mut Planned) {
    let there = planned.plan.changes.iter_mut().find(|change| change.key == wanted.key);
    match there {
        Some(change) => {
            change.action = Action::Replace;
            change.impact.push(farewell(key));
        }
        None => {
            planned.plan.unchanged = planned.plan.unchanged.saturating_sub(1);
            let mut change: Change = deployments::change(wanted, Action::Replace, Because::Git, Vec::new());
            change.impact.push(farewell(key));
            planned.plan.changes.push(change);
        }
    }
    planned.writes.entry(wanted.key.clone()).or_default().push(delete(key, answer));
}

fn delete(key: &Key, answer: &Value) -> Write {
    Write::DeleteDeployment { id: answer["id"].as_str().unwrap_or_default().to_owned(), key: key.clone() }
}

fn farewell(key: &Key) -> String {
    format!("`{}` is deleted; runs that it has had keep its old id, and those that are planned are lost", key.name)
}

/// The old schedules as they would have become.
fn timetable_of(answer: &Value, writes: &[ScheduleWrite]) -> Vec<Tree> {
    let rows = answer["schedules"].as_array().into_iter().flatten();
    let own = |row: &Value| -> Map {
        let keys = SCHEDULE_KEYS.iter().filter_map(|key| Some(((*key).to_owned(), Tree::from(row.get(*key)?))));
        keys.collect()
    };
    let mut list: Vec<(String, Map)> =
        rows.map(|row| (row["id"].as_str().unwrap_or_default().to_owned(), own(row))).collect();
    let mut added = Vec::new();
    for write in writes {
        match write {
            ScheduleWrite::Add(body) => added.push(body.clone()),
            ScheduleWrite::Delete { id } => list.retain(|(other, _)| other != id),
            ScheduleWrite::Update { id, body } => {
                let body = body.as_map().into_iter().flatten();
                if let Some((_, map)) = list.iter_mut().find(|(other, _)| other == id) {
                    map.extend(body.map(|(key, value)| (key.clone(), value.clone())));
                }
            }
        }
    }
    list.into_iter().map(|(_, map)| Tree::Map(map)).chain(added).collect()
}
