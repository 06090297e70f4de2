//! Automations of a deployment's triggers: made, replaced in place, or deleted when their trigger left git.

use serde_json::Value;

use crate::manifest::triggers;
use crate::model::ledger::Ledger;
use crate::model::plan::{Action, Because, Change, FieldChange};
use crate::model::{Key, Kind, Path, Tree};

use super::want::{Automation, Declared, Deployment, Observed, Write};
use super::{Planned, diff};

/// Adds what has to happen to the automations of one deployment to the plan.
pub fn plan(wanted: &Deployment, observed: &Observed, ledger: &Ledger, planned: &mut Planned) {
    let mut taken: Vec<String> = Vec::new();
    for automation in &wanted.automations {
        planned.declared.insert(automation.key.clone(), declared(automation, ledger).into());
        let owner = planned.ids.get(&wanted.key).cloned();
        match find(automation, owner.as_deref(), observed, ledger, &taken) {
            Some(found) => {
                taken.push(id_of(found));
                replace(automation, found, owner.as_deref(), wanted.strict, ledger, planned);
            }
            None => create(automation, former(automation, wanted, observed, ledger), wanted.strict, ledger, planned),
        }
    }
    removed(wanted, &wanted.key, observed, ledger, planned);
    if let Some(old) = &wanted.replaces {
        removed(wanted, &old.key, observed, ledger, planned);
    }
}

/// The automation that the deployment which is replaced has in its place.
fn former<'a>(
    automation: &Automation,
    wanted: &Deployment,
    observed: &'a Observed,
    ledger: &'a Ledger,
) -> Option<(&'a Value, &'a Declared)> {
    let old = wanted.replaces.as_ref()?;
    let name = automation.key.name.strip_prefix(&wanted.key.name)?;
    let owned = ledger.owned.get(&Key::new(Kind::Automation, format!("{}{name}", old.key.name)))?;
    let found = observed.automations.iter().find(|found| id_of(found) == owned.id)?;
    Some((found, &owned.declared))
}

/// An automation is known by the ledger's id, then by its owner and its name.
fn find<'a>(
    wanted: &Automation,
    owner: Option<&str>,
    observed: &'a Observed,
    ledger: &Ledger,
    taken: &[String],
) -> Option<&'a Value> {
    let free = |found: &&Value| !taken.contains(&id_of(found));
    let owned = ledger.owned.get(&wanted.key).map(|owned| owned.id.as_str());
    let by_id = observed.automations.iter().filter(free).find(|found| Some(id_of(found).as_str()) == owned);
    by_id.or_else(|| {
        let owner = owner?;
        observed.automations.iter().filter(free).find(|found| {
            let ours = ledger.owned.values().any(|owned| owned.id == id_of(found));
            !ours && wanted.made.name.as_deref().is_none_or(|name| found["name"] == name) && runs(found, owner)
        })
    })
}

fn runs(automation: &Value, deployment: &str) -> bool {
    automation["actions"].as_array().is_some_and(|actions| {
        actions.iter().any(|action| action["type"] == "run-deployment" && action["deployment_id"] == deployment)
    })
}

fn id_of(found: &Value) -> String {
    found["id"].as_str().unwrap_or_default().to_owned()
}

fn create(
    wanted: &Automation,
    former: Option<(&Value, &Declared)>,
    strict: bool,
    ledger: &Ledger,
    planned: &mut Planned,
) {
    let because = if ledger.owned.contains_key(&wanted.key) { Because::Drift } else { Because::Git };
    let made = former.map(|(found, owned)| {
        let ids = &planned.ids;
        beside(&wanted.made, found, &diff::Sides { owned, digest_key: &ledger.digest_key, strict, ids })
    });
    let write = Write::CreateAutomation(Box::new(made.unwrap_or_else(|| wanted.made.clone())));
    planned.push(change(wanted, Action::Create, because, declared_fields(wanted)), vec![write]);
}

/// The digest of the whole, and of each part that the trigger declares.
fn declared(wanted: &Automation, ledger: &Ledger) -> Declared {
    let body = wanted.made.body.as_map().into_iter().flatten();
    let parts = body.filter(|(key, _)| !wanted.made.defaults.contains(&key.as_str()));
    let parts = parts.filter_map(|(key, value)| Some((Path::of(key), diff::digest_of(value, &ledger.digest_key)?)));
    digest(wanted, ledger).map(|digest| (Path::root(), digest)).into_iter().chain(parts).collect()
}

/// What its trigger says, so that a reviewed plan covers it.
fn declared_fields(wanted: &Automation) -> Vec<FieldChange> {
    let body = wanted.made.body.as_map().into_iter().flatten();
    let declared = body.filter(|(key, _)| !wanted.made.defaults.contains(&key.as_str()));
    declared.map(|(key, value)| FieldChange { path: Path::of(key), before: None, after: Some(value.clone()) }).collect()
}

fn replace(
    wanted: &Automation,
    found: &Value,
    owner: Option<&str>,
    strict: bool,
    ledger: &Ledger,
    planned: &mut Planned,
) {
    let id = id_of(found);
    planned.ids.insert(wanted.key.clone(), id.clone());
    let owned = ledger.owned.get(&wanted.key);
    let nothing = Declared::new();
    let declared = owned.map_or(&nothing, |owned| &*owned.declared);
    let sides = diff::Sides { owned: declared, digest_key: &ledger.digest_key, strict, ids: &planned.ids };
    let (made, fields) = compared(wanted, found, owner, &sides);
    if fields.is_empty() {
        match owned {
            Some(_) => planned.plan.unchanged += 1,
            None => {
                let change = change(wanted, Action::Adopt, Because::Git, Vec::new());
                planned.push(change, vec![Write::Adopt { id }]);
            }
        }
        return;
    }
    let as_applied = owned.and_then(|owned| owned.declared.get(&Path::root()));
    let because = match digest(wanted, ledger) {
        Some(digest) if Some(&digest) == as_applied => Because::Drift,
        _ => Because::Git,
    };
    let write = Write::ReplaceAutomation { id, made: Box::new(made) };
    planned.push(change(wanted, Action::Update, because, fields), vec![write]);
}

/// The automation as it would be written, and what of it the API holds otherwise.
pub(super) fn compared(
    wanted: &Automation,
    found: &Value,
    owner: Option<&str>,
    sides: &diff::Sides<'_>,
) -> (triggers::Automation, Vec<FieldChange>) {
    let made = beside(&wanted.made, found, sides);
    let body = made.complete(owner.unwrap_or_default());
    let body = with_ids(&body, &wanted.made.owner, owner);
    let fields = differences(&body, found, sides.was_secret(&Path::root()));
    (made, fields)
}

/// The automation with what the API holds where git never spoke: a replacement is whole, and must not undo what
/// somebody did in the web interface. What left git is reset.
fn beside(made: &triggers::Automation, found: &Value, sides: &diff::Sides<'_>) -> triggers::Automation {
    let mut made = made.clone();
    if let Tree::Map(body) = &mut made.body {
        for key in made.defaults.iter().filter(|key| !sides.strict && !sides.was_declared(&Path::of(key))) {
            if let Some(value) = found.get(*key).filter(|value| !value.is_null()) {
                body.insert((*key).to_owned(), Tree::from(value));
            }
        }
    }
    made
}

/// The body with the id of its deployment in the place of the reference, if the deployment exists.
fn with_ids(body: &Tree, owner: &Key, id: Option<&str>) -> Tree {
    match body {
        Tree::IdOf(key) if key == owner => id.map_or_else(|| body.clone(), Tree::text),
        Tree::List(items) => Tree::List(items.iter().map(|item| with_ids(item, owner, id)).collect()),
        Tree::Map(map) => Tree::Map(map.iter().map(|(k, v)| (k.clone(), with_ids(v, owner, id))).collect()),
        other => other.clone(),
    }
}

fn differences(body: &Tree, found: &Value, was_secret: bool) -> Vec<FieldChange> {
    triggers::differences(body, found)
        .into_iter()
        .map(|(path, before, after)| {
            let secret = was_secret || after.as_ref().is_some_and(Tree::has_secret);
            let before = if secret { before.as_ref().map(diff::sealed) } else { before };
            FieldChange { path, before, after }
        })
        .collect()
}

/// Automations that we made for a deployment and whose trigger left git.
fn removed(wanted: &Deployment, of: &Key, observed: &Observed, ledger: &Ledger, planned: &mut Planned) {
    for (key, owned) in &ledger.owned {
        let ours = key.hangs_on(of);
        if !ours || wanted.automations.iter().any(|automation| automation.key == *key) {
            continue;
        }
        if !observed.automations.iter().any(|found| id_of(found) == owned.id) {
            planned.gone.push(key.clone());
            continue;
        }
        let mut change = Change::new(key.clone(), Action::Delete, Because::Orphan);
        change.origin = Some(wanted.origin.clone());
        // What is replaced keeps its automations until the new one is there.
        change.after.extend((*of != wanted.key).then(|| wanted.key.clone()));
        planned.push(change, vec![Write::DeleteAutomation { id: owned.id.clone() }]);
    }
}

pub(super) fn digest(wanted: &Automation, ledger: &Ledger) -> Option<String> {
    diff::digest_of(&wanted.made.body, &ledger.digest_key)
}

fn change(wanted: &Automation, action: Action, because: Because, fields: Vec<FieldChange>) -> Change {
    let (origin, after) = (Some(wanted.origin.clone()), vec![wanted.made.owner.clone()]);
    Change { origin, fields, after, ..Change::new(wanted.key.clone(), action, because) }
}
