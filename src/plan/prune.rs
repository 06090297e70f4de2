//! What is ours and left git: deleted if that was asked for and nothing stands in its way, else named and kept.

use std::collections::BTreeMap;

use crate::manifest::project::MaxDelete;
use crate::model::ledger::Ledger;
use crate::model::plan::{Action, Because, Change, Held};
use crate::model::{Key, Kind, Tree};
use crate::render::references;

use super::want::{Desired, Observed, Write};
use super::{Planned, renames};

/// Up to so many objects of ours, any number of them may be deleted unasked: a share of few says nothing.
const FEW: usize = 5;

/// Adds what has to happen to everything that is ours and no longer declared.
pub fn plan(desired: &Desired, observed: &Observed, ledger: &Ledger, planned: &mut Planned) {
    let gone: Vec<Key> = orphans(desired, ledger).filter(|key| !is_there(key, observed, ledger)).cloned().collect();
    planned.gone.extend(gone.iter().cloned());
    // What hangs on a deployment that somebody deleted went with it.
    for deployment in gone.iter().filter(|key| key.kind == Kind::Deployment) {
        let hanging = ledger.owned.keys().filter(|key| key.hangs_on(deployment));
        planned.gone.extend(hanging.filter(|key| !gone.contains(key)).cloned());
    }
    // Of a part of the declarations nobody can say what left git.
    if !desired.complete {
        return;
    }
    // What is replaced goes with the change that replaces it, and what hangs on it as well.
    let stays = |key: &Key| planned.gone.contains(key) || renames::is_replaced(key, desired);
    let left: Vec<&Key> = orphans(desired, ledger).filter(|key| !stays(key)).collect();
    let used = used(desired);
    let mut going = Vec::new();
    for key in left {
        let Some(id) = id(key, observed, ledger) else { continue };
        match why_not(key, desired, observed, ledger, &used) {
            Some(reason) => planned.plan.held.push(held(key, reason)),
            None => going.push((key.clone(), id)),
        }
    }
    if let Some(reason) = too_many(going.len(), desired, ledger) {
        planned.plan.held.extend(going.iter().map(|(key, _)| held(key, reason.clone())));
        return;
    }
    for (key, id) in going {
        let change = Change {
            key: key.clone(),
            action: Action::Delete,
            because: Because::Orphan,
            origin: None,
            fields: Vec::new(),
            impact: Vec::new(),
            after: Vec::new(),
        };
        planned.push(change, vec![Write::DeleteObject { id }]);
    }
}

/// What is ours and not declared. Automations of deployments that are declared are their deployment's business.
pub fn orphans<'a>(desired: &'a Desired, ledger: &'a Ledger) -> impl Iterator<Item = &'a Key> {
    let hangs = |key: &Key| desired.deployments.keys().any(|owner| key.hangs_on(owner));
    let declared = |key: &Key| desired.deployments.contains_key(key) || desired.objects.contains_key(key);
    ledger.owned.keys().filter(move |key| !declared(key) && !hangs(key))
}

fn is_there(key: &Key, observed: &Observed, ledger: &Ledger) -> bool {
    id(key, observed, ledger).is_some()
}

/// The id under which it is there. An object that somebody made anew under the same name is not ours any more.
fn id(key: &Key, observed: &Observed, ledger: &Ledger) -> Option<String> {
    let ours = &ledger.owned.get(key)?.id;
    let found = match key.kind {
        Kind::Automation => observed.automations.iter().find(|row| row["id"] == ours.as_str()).map(|_| ours.clone()),
        Kind::BlockType
        | Kind::Block
        | Kind::Variable
        | Kind::WorkPool
        | Kind::WorkQueue
        | Kind::ConcurrencyLimit
        | Kind::TagConcurrencyLimit
        | Kind::Flow
        | Kind::Deployment => observed.id(key),
    };
    found.filter(|id| id == ours)
}

/// What stands in the way of deleting it, if something does.
fn why_not(
    key: &Key,
    desired: &Desired,
    observed: &Observed,
    ledger: &Ledger,
    used: &BTreeMap<Key, Key>,
) -> Option<String> {
    let policy = &desired.policy;
    if !policy.prune && !policy.destroy {
        return Some("it left git; `--prune` deletes it".to_owned());
    }
    if ledger.owned.get(key).is_some_and(|owned| owned.keep) {
        return Some("it was declared with `lifecycle: { prune: false }`".to_owned());
    }
    if key.is_default_queue() {
        return Some("every pool has it; it goes with its pool".to_owned());
    }
    if let Some(reason) = observed.in_use.get(key) {
        return Some(reason.clone());
    }
    if let Some(user) = used.get(key) {
        return Some(format!("`{user}` is declared and needs it"));
    }
    let nothing = desired.deployments.is_empty() && desired.objects.is_empty();
    (nothing && !policy.destroy)
        .then(|| "nothing is declared any more; `reconcile destroy` deletes everything".to_owned())
}

/// Why so many are not deleted unasked.
fn too_many(going: usize, desired: &Desired, ledger: &Ledger) -> Option<String> {
    let (allowed, ours) = (desired.policy.max_delete?, ledger.owned.len());
    if desired.policy.destroy || ours <= FEW {
        return None;
    }
    let (limit, told) = match allowed {
        MaxDelete::Percent(share) => (ours * usize::from(share) / 100, format!("{share}% of {ours}")),
        MaxDelete::Count(count) => (usize::try_from(count).unwrap_or(usize::MAX), format!("{count}")),
    };
    (going > limit).then(|| {
        format!(
            "{going} objects left git, and no more than {told} are deleted unasked: `--max-delete {going}` allows it"
        )
    })
}

/// What declared objects need, each with one that does.
fn used(desired: &Desired) -> BTreeMap<Key, Key> {
    let mut used = BTreeMap::new();
    for object in desired.objects.values() {
        used.extend(object.needs.keys().map(|needed| (needed.clone(), object.key.clone())));
    }
    for deployment in desired.deployments.values() {
        let fields = deployment.fields.values().chain(deployment.along.values());
        for found in fields.map(references) {
            let blocks = found.blocks.keys().map(|(slug, name)| Key::new(Kind::Block, format!("{slug}/{name}")));
            let variables = found.variables.keys().map(|name| Key::new(Kind::Variable, name.clone()));
            used.extend(blocks.chain(variables).map(|needed| (needed, deployment.key.clone())));
        }
        used.extend(place(deployment).into_iter().map(|needed| (needed, deployment.key.clone())));
    }
    used
}

/// The pool and the queue of a deployment.
pub(super) fn place(deployment: &super::want::Deployment) -> Vec<Key> {
    let text = |field: &str| deployment.fields.get(field).and_then(Tree::as_str);
    let Some(pool) = text("work_pool_name") else { return Vec::new() };
    let queue = text("work_queue_name").map(|queue| Key::new(Kind::WorkQueue, format!("{pool}/{queue}")));
    std::iter::once(Key::new(Kind::WorkPool, pool)).chain(queue).collect()
}

fn held(key: &Key, reason: String) -> Held {
    Held { key: key.clone(), action: Action::Delete, reason }
}
