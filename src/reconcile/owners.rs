//! Whose an object is: what an interrupted pass of ours made, and what another scope owns.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Decided;
use super::error::PassError;
use crate::api::Api;
use crate::diagnostic::Diagnostic;
use crate::model::ledger::Owned;
use crate::model::plan::{Action, Because, Change};
use crate::model::{Key, Kind, Origin};
use crate::plan::Planned;
use crate::plan::want::{Desired, Observed, Write};

/// Takes what was about to be written when a pass ended early, exists, and left git since: without this it would
/// belong to nobody. What is still declared is found by the plan itself, which also has it recorded.
///
/// # Errors
/// An API that does not answer: it is asked whether somebody else took those objects since.
pub(super) async fn adopt_pending(api: &Api, scope: &str, decided: &mut Decided) -> Result<(), PassError> {
    let wanted = |key: &Key| {
        let deployments = &decided.desired.deployments;
        deployments.contains_key(key)
            || decided.desired.objects.contains_key(key)
            || deployments.values().any(|wanted| wanted.automations.iter().any(|automation| automation.key == *key))
    };
    // Of a part of the declarations nobody can say what left git.
    if !decided.desired.complete {
        return Ok(());
    }
    let pending = decided.ledger.pending.iter();
    let lost: Vec<Key> = pending.filter(|key| !wanted(key)).cloned().collect();
    let unowned = lost.iter().filter(|key| !decided.ledger.owned.contains_key(key));
    let found: Vec<(Key, String)> =
        unowned.filter_map(|key| Some((key.clone(), found(key, &decided.observed)?))).collect();
    lost.iter().for_each(|key| {
        decided.ledger.pending.remove(key);
        decided.ledger.intended.remove(key);
    });
    if found.is_empty() {
        return Ok(());
    }
    let taken = api.owned_elsewhere(scope).await?;
    for (key, id) in found.into_iter().filter(|(key, _)| !taken.contains_key(key)) {
        decided.ledger.owned.insert(key, Owned { id, ..Owned::default() });
    }
    Ok(())
}

/// What an interrupted pass wrote and could not record is recorded, even if it is as it should be by now: the ledger
/// still says what was declared before.
pub(super) fn record_pending(decided: &mut Decided) {
    let changing: BTreeSet<Key> = decided.planned.plan.changes.iter().map(|change| change.key.clone()).collect();
    for key in decided.ledger.pending.iter().filter(|key| !changing.contains(key)) {
        let Some((id, origin)) = decided.planned.ids.get(key).zip(origin(key, &decided.desired)) else { continue };
        let mut change = Change::new(key.clone(), Action::Adopt, Because::Git);
        change.origin = Some(origin);
        decided.planned.writes.insert(key.clone(), vec![Write::Adopt { id: id.clone() }]);
        decided.planned.plan.unchanged = decided.planned.plan.unchanged.saturating_sub(1);
        decided.planned.plan.changes.push(change);
    }
    decided.planned.plan.changes.sort_by(|a, b| a.key.cmp(&b.key));
}

fn origin(key: &Key, desired: &Desired) -> Option<Origin> {
    let automations = || desired.deployments.values().flat_map(|wanted| &wanted.automations);
    match (desired.deployments.get(key), desired.objects.get(key)) {
        (Some(wanted), _) => Some(wanted.origin.clone()),
        (None, Some(wanted)) => Some(wanted.origin.clone()),
        (None, None) => {
            automations().find(|automation| automation.key == *key).map(|automation| automation.origin.clone())
        }
    }
}

/// The id of an object by its natural name.
fn found(key: &Key, observed: &Observed) -> Option<String> {
    let id = |row: &Value| row["id"].as_str().map(str::to_owned);
    if key.kind != Kind::Automation {
        return observed.id(key);
    }
    let owners = observed.deployments.iter().filter_map(|(owner, row)| {
        let name = key.name.strip_prefix(&owner.name)?.strip_prefix('/')?;
        Some((name, row["id"].as_str()?))
    });
    let of_a_trigger = owners.into_iter().find_map(|(name, owner)| {
        let unnamed = format!("Automation for deployment {owner}");
        let named = |row: &&Value| row["name"] == name || row["name"] == unnamed.as_str();
        observed.automations.iter().filter(named).find(|row| runs(row, owner)).and_then(id)
    });
    of_a_trigger.or_else(|| observed.id(key))
}

fn runs(automation: &Value, deployment: &str) -> bool {
    let actions = automation["actions"].as_array().into_iter().flatten();
    actions.into_iter().any(|action| action["deployment_id"] == deployment)
}

/// Refuses what would become ours and is another scope's. Asks only when something would become ours.
///
/// # Errors
/// An API that does not answer.
pub(super) async fn refuse_foreign(api: &Api, scope: &str, decided: &mut Decided) -> Result<(), PassError> {
    let ledger = &decided.ledger;
    let becomes_ours = |change: &&Change| !ledger.owned.contains_key(&change.key);
    if !decided.planned.plan.changes.iter().any(|change| becomes_ours(&change)) {
        return Ok(());
    }
    let owners = api.owned_elsewhere(scope).await?;
    let new = decided.planned.plan.changes.iter().filter(becomes_ours);
    let owner = |key: &Key| owners.get(key).or_else(|| owner_by_name(key, &owners));
    let foreign: Vec<Diagnostic> = new.filter_map(|change| Some(refusal(change, owner(&change.key)?))).collect();
    if !foreign.is_empty() {
        decided.diagnostics.extend(foreign);
        decided.planned = Planned::default();
    }
    Ok(())
}

/// Automations of triggers are recorded below their deployment, and on the API they have only their own name.
fn owner_by_name<'a>(key: &Key, owners: &'a BTreeMap<Key, String>) -> Option<&'a String> {
    if key.kind != Kind::Automation {
        return None;
    }
    let last = |key: &Key| key.name.rsplit('/').next().map(str::to_owned);
    let mut same = owners.iter().filter(|(other, _)| other.kind == Kind::Automation && last(other) == last(key));
    // A trigger's own automation is told apart by its deployment.
    same.find(|(other, _)| !(key.name.contains('/') && other.name.contains('/'))).map(|(_, owner)| owner)
}

fn refusal(change: &Change, owner: &str) -> Diagnostic {
    foreign(&change.key, owner, change.origin.as_ref())
}

/// What belongs to another scope.
pub(super) fn foreign(key: &Key, owner: &str, origin: Option<&Origin>) -> Diagnostic {
    let message = format!("`{key}` belongs to the scope `{owner}`");
    let refusal = Diagnostic::error("E0410", message).help(format!(
        "declare it in one place only; if it moved here, let go of it there first; if `{owner}` is what this scope was \
         called before, give `reconcile.yaml` that `name` again"
    ));
    match origin {
        Some(origin) => refusal.at(origin.clone(), "declared here as well"),
        None => refusal,
    }
}
