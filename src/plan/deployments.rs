//! One deployment: created, changed in place, adopted, or as it should be.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::model::ledger::Ledger;
use crate::model::plan::{Action, Because, Change, FieldChange, Held};
use crate::model::{Abilities, Key, Map, Path, Tree};
use crate::resource::Compare;
use crate::resource::deployment::{FIELDS, found, owns_its_limit};

use super::diff::{self, Sides};
use super::want::{Declared, Deployment, Observed, Write};
use super::{Planned, prune, renames, schedules};

const VARIABLES: &str = "job_variables";

/// Adds what has to happen to one deployment to the plan.
pub fn plan(wanted: &Deployment, observed: &Observed, ledger: &Ledger, now: Timestamp, planned: &mut Planned) {
    planned.declared.insert(wanted.key.clone(), declared(wanted, &ledger.digest_key).into());
    match observed.deployments.get(&wanted.key) {
        None => match renames::old(wanted, observed) {
            Some(old) => renames::replace(wanted, old, ledger, now, planned),
            None => create(wanted, ledger, now, planned),
        },
        Some(answer) => {
            update(wanted, answer, &observed.abilities, ledger, now, planned);
            if let Some(old) = renames::old(wanted, observed) {
                renames::finish(wanted, old, planned);
            }
        }
    }
}

fn create(wanted: &Deployment, ledger: &Ledger, now: Timestamp, planned: &mut Planned) {
    // We made it once, so somebody deleted it on the API.
    let because = if ledger.owned.contains_key(&wanted.key) { Because::Drift } else { Because::Git };
    let change = change(wanted, Action::Create, because, created_fields(wanted, now));
    let mut fields = wanted.fields.clone();
    fields.extend(wanted.along.clone());
    let schedules = wanted.schedules.iter().flatten().map(|schedule| schedules::new_body(schedule, now)).collect();
    let write = Write::CreateDeployment { flow: wanted.flow.clone(), name: wanted.name.clone(), fields, schedules };
    planned.push(change, vec![write]);
}

/// What a new deployment will hold, without what is at its default.
fn created_fields(wanted: &Deployment, now: Timestamp) -> Vec<FieldChange> {
    let mut out = Vec::new();
    for field in &FIELDS {
        let Some(value) = wanted.fields.get(field.name) else { continue };
        if *value != Tree::from(field.default_value()) {
            out.push(FieldChange { path: Path::of(field.name), before: None, after: Some(value.clone()) });
        }
    }
    for schedule in wanted.schedules.iter().flatten() {
        let path = Path::of("schedules").item(schedules::label(schedule));
        out.push(FieldChange { path, before: None, after: Some(schedule.set_fields(now)) });
    }
    out
}

fn update(
    wanted: &Deployment,
    answer: &Value,
    abilities: &Abilities,
    ledger: &Ledger,
    now: Timestamp,
    planned: &mut Planned,
) {
    let id = answer["id"].as_str().unwrap_or_default().to_owned();
    planned.ids.insert(wanted.key.clone(), id.clone());
    let owned = ledger.owned.get(&wanted.key);
    let declared = ledger.declared(&wanted.key);
    let sides = Sides { owned: &declared, digest_key: &ledger.digest_key, strict: wanted.strict, ids: &NO_IDS };
    let (mut changes, mut patch) = fields(wanted, answer, &sides);
    if !abilities.empties_job_variables && patch.get(VARIABLES) == Some(&Tree::Map(Map::new())) {
        patch.remove(VARIABLES);
        changes.retain(|change| !change.path.starts_with(&Path::of(VARIABLES)));
        hold_job_variables(&wanted.key, &abilities.version, &sides, planned);
    }
    let timetable = schedules::diff(wanted, answer, &sides, owned.is_none(), now);
    changes.extend(timetable.changes);
    if changes.is_empty() {
        if owned.is_some() {
            planned.plan.unchanged += 1;
        } else {
            planned.push(change(wanted, Action::Adopt, Because::Git, Vec::new()), vec![Write::Adopt { id }]);
        }
        return;
    }
    for (name, value) in &wanted.along {
        patch.insert(name.clone(), value.clone());
    }
    complete(&mut patch, wanted, answer);
    let because = diff::because(&changes, &sides);
    let mut update = change(wanted, Action::Update, because, changes);
    if patch.contains_key("concurrency_limit") && !owns_its_limit(answer) {
        let name = answer["global_concurrency_limit"]["name"].as_str().unwrap_or_default();
        update.impact.push(format!("the limit `{name}` changes for everything that shares it"));
    }
    let write = Write::UpdateDeployment { id, patch, schedules: timetable.writes };
    planned.push(update, vec![write]);
}

/// The server would drop an empty mapping without a word: what it holds stays, and stays ours until it can go.
fn hold_job_variables(key: &Key, version: &str, sides: &Sides<'_>, planned: &mut Planned) {
    let path = Path::of(VARIABLES);
    let ours = sides.owned.iter().filter(|(owned, _)| owned.starts_with(&path));
    let ours = ours.map(|(owned, digest)| (owned.clone(), digest.clone()));
    Arc::make_mut(planned.declared.entry(key.clone()).or_default()).extend(ours);
    let reason = format!("Prefect {version} cannot take the last job variables away: 3.8.7 and newer ones can");
    planned.plan.held.push(Held { key: key.clone(), action: Action::Update, reason });
}

/// Deployments refer to other objects by name.
pub(super) static NO_IDS: BTreeMap<Key, String> = BTreeMap::new();

pub(super) type Patch = BTreeMap<String, Tree>;

pub(super) fn fields(wanted: &Deployment, answer: &Value, sides: &Sides<'_>) -> (Vec<FieldChange>, Patch) {
    let (mut changes, mut patch) = (Vec::new(), Patch::new());
    for field in FIELDS.iter().filter(|field| field.compare != Compare::Along) {
        if diff::is_ignored(&wanted.ignore_drift, field.name) {
            continue;
        }
        let holds = found(answer, field.name);
        let diff = match wanted.fields.get(field.name) {
            Some(value) => diff::declared(field, value, &holds, sides),
            // Clearing a limit that is not the deployment's own would delete it for everybody.
            None if field.name == "concurrency_limit" && !owns_its_limit(answer) => continue,
            // The server's default queue is what an unset queue reads back as.
            None if field.name == "work_queue_name" && holds == "default" => continue,
            // What goes along with every change takes the place of a declaration that left git.
            None => match wanted.along.get(field.name) {
                Some(value) if sides.was_declared(&Path::of(field.name)) => diff::declared(field, value, &holds, sides),
                Some(_) => continue,
                None => diff::undeclared(field, &holds, sides),
            },
        };
        let diff_changes =
            diff.changes.into_iter().filter(|change| !diff::is_ignored(&wanted.ignore_drift, &change.path.to_string()));
        let kept: Vec<FieldChange> = diff_changes.collect();
        if let Some(value) = diff.send.filter(|_| !kept.is_empty()) {
            patch.insert(field.name.to_owned(), value);
        }
        changes.extend(kept);
    }
    (changes, patch)
}

/// A queue is only understood together with its pool; naming a pool without a queue resets the queue.
fn complete(patch: &mut Patch, wanted: &Deployment, answer: &Value) {
    if patch.contains_key("work_queue_name") && !patch.contains_key("work_pool_name") {
        let pool = wanted.fields.get("work_pool_name").cloned();
        patch.insert("work_pool_name".to_owned(), pool.unwrap_or_else(|| Tree::from(&answer["work_pool_name"])));
    }
    if patch.contains_key("work_pool_name")
        && let Some(queue) = wanted.fields.get("work_queue_name")
    {
        patch.insert("work_queue_name".to_owned(), queue.clone());
    }
    // Job variables are checked against the pool that is named beside them. Where they do not change, they go along as
    // the API has them: with what others put there.
    if patch.contains_key("work_pool_name") && wanted.fields.contains_key("job_variables") {
        patch.entry("job_variables".to_owned()).or_insert_with(|| Tree::from(&answer["job_variables"]));
    }
}

pub(super) fn change(wanted: &Deployment, action: Action, because: Because, fields: Vec<FieldChange>) -> Change {
    let (origin, after) = (Some(wanted.origin.clone()), prune::place(wanted));
    Change { origin, fields, after, ..Change::new(wanted.key.clone(), action, because) }
}

/// The declared paths of a deployment with their digests, for the ledger.
pub fn declared(wanted: &Deployment, digest_key: &[u8]) -> Declared {
    let mut out = Declared::new();
    for field in &FIELDS {
        if let Some(value) = wanted.fields.get(field.name) {
            out.extend(diff::leaves(field, value, digest_key));
        }
    }
    out.extend(schedules::declared(wanted, digest_key));
    out
}
