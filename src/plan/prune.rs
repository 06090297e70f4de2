//! What is ours and left git: deleted if that was asked for and nothing stands in its way, else named and kept.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::project::MaxDelete;
use crate::model::ledger::Ledger;
use crate::model::plan::{Action, Because, Change, Held};
use crate::model::{Key, Kind, Tree};
use crate::render::references;

use super::uses::{self, Fate};
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
    let going = Going::new(desired, observed, ledger, planned);
    planned.plan.held.extend(going.held.into_iter().map(|(key, reason)| held(&key, reason)));
    if let Some(reason) = too_many(going.ids.len(), desired, ledger) {
        planned.plan.held.extend(going.ids.keys().map(|key| held(key, reason.clone())));
        return;
    }
    for (key, id) in going.ids {
        let mut change = Change::new(key.clone(), Action::Delete, Because::Orphan);
        change.impact.extend(observed.running.get(&key).map(|runs| under_way(*runs)));
        change.after = going.after.get(&key).into_iter().flatten().cloned().collect();
        planned.push(change, vec![Write::DeleteObject { id }]);
    }
}

fn under_way(runs: u64) -> String {
    let are = if runs == 1 { "run is" } else { "runs are" };
    format!("{runs} {are} under way: it is paused, and deleted when they have ended")
}

/// What left git: what may go, and what stays and why.
struct Going {
    /// What may go, with its id.
    ids: BTreeMap<Key, String>,
    /// What comes before each of them: the end of every use.
    after: BTreeMap<Key, BTreeSet<Key>>,
    /// What stays, and why.
    held: BTreeMap<Key, String>,
}

impl Going {
    fn new(desired: &Desired, observed: &Observed, ledger: &Ledger, planned: &Planned) -> Going {
        // What is replaced goes with the change that replaces it, and what hangs on it as well.
        let stays = |key: &Key| planned.gone.contains(key) || renames::is_replaced(key, desired);
        let used = used(desired);
        let mut out = Going { ids: BTreeMap::new(), after: BTreeMap::new(), held: BTreeMap::new() };
        for key in orphans(desired, ledger).filter(|key| !stays(key)) {
            let Some(id) = id(key, observed, ledger) else { continue };
            match why_not(key, desired, observed, ledger, &used) {
                Some(reason) => out.held.insert(key.clone(), reason),
                None => out.ids.insert(key.clone(), id),
            };
        }
        while let Some(in_use) = out.in_use(desired, observed, planned) {
            for (key, reason) in in_use {
                out.ids.remove(&key);
                out.held.insert(key, reason);
            }
        }
        out
    }

    /// What cannot go because something that stays uses it; else what comes before each is noted. What is held is a
    /// user that stays in its turn.
    fn in_use(&mut self, desired: &Desired, observed: &Observed, planned: &Planned) -> Option<BTreeMap<Key, String>> {
        let replaced = renames::replaced(desired);
        let mut in_use = BTreeMap::new();
        self.after.clear();
        for key in self.ids.keys() {
            let users = observed.users.get(key).map_or(&[][..], Vec::as_slice);
            let mut staying = Vec::new();
            for one in users {
                match uses::fate(one, &self.ids, &replaced, planned) {
                    Fate::Stays => staying.push(&one.by),
                    Fate::Ends(with) => drop(self.after.entry(key.clone()).or_default().insert(with)),
                }
            }
            let pool = key.is_default_queue().then(|| key.whole()).flatten();
            match pool {
                // The server deletes it with its pool, and never alone.
                Some(pool) if self.ids.contains_key(&pool) => {
                    self.after.entry(key.clone()).or_default().insert(pool);
                }
                Some(_) => drop(in_use.insert(key.clone(), "every pool has it; it goes with its pool".to_owned())),
                None if !staying.is_empty() => drop(in_use.insert(key.clone(), uses::told(&staying))),
                None => {}
            }
        }
        (!in_use.is_empty()).then_some(in_use)
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

#[cfg(test)]
mod tests {
    use super::super::uses::{Target, Use, User};
    use super::super::want::{Object, Policy};
    use super::*;
    use crate::model::ledger::Owned;
    use crate::model::{Origin, RepoPath};
    use proptest::prelude::*;
    use serde_json::json;

    const KINDS: [Kind; 6] =
        [Kind::Block, Kind::Variable, Kind::WorkPool, Kind::WorkQueue, Kind::ConcurrencyLimit, Kind::Deployment];

    /// What is the case of one object.
    #[derive(Clone, Debug)]
    struct Case {
        kind: usize,
        /// In the ledger, with the id that the API has or with another one.
        owned: Option<bool>,
        is_there: bool,
        declared: bool,
        keep: bool,
        waits: bool,
    }

    fn cases() -> impl Strategy<Value = Vec<Case>> {
        let owned = prop_oneof![1 => Just(None), 1 => Just(Some(false)), 4 => Just(Some(true))];
        let rare = || proptest::bool::weighted(0.1);
        let one = (0..KINDS.len(), owned, proptest::bool::weighted(0.9), proptest::bool::weighted(0.3), rare(), rare());
        let case = one.prop_map(|(kind, owned, is_there, declared, keep, waits)| Case {
            kind,
            owned,
            is_there,
            declared,
            keep,
            waits,
        });
        proptest::collection::vec(case, 1..20)
    }

    fn object(key: &Key) -> Object {
        Object {
            key: key.clone(),
            origin: Origin::whole(RepoPath::new("x.yaml")),
            fields: BTreeMap::new(),
            along: BTreeMap::new(),
            needs: BTreeMap::new(),
            if_new: Vec::new(),
            lifecycle: Default::default(),
            ignore_drift: BTreeSet::new(),
            strict: false,
        }
    }

    proptest! {
        #[test]
        fn only_what_is_ours_goes_and_only_when_nobody_is_left_who_uses_it(
            cases in cases(),
            edges in proptest::collection::vec((0usize..20, 0usize..20), 0..30),
            (prune, destroy, complete) in (any::<bool>(), any::<bool>(), proptest::bool::weighted(0.8)),
        ) {
            let key = |n: usize| Key::new(KINDS[cases[n].kind], format!("p/n{n:02}"));
            let id = |n: usize| format!("id-{n}");
            let mut desired = Desired { complete, ..Desired::default() };
            desired.policy = Policy { prune, destroy, ledger: true, ..Policy::default() };
            let (mut observed, mut ledger) = (Observed::default(), Ledger::default());
            for (n, case) in cases.iter().enumerate() {
                let key = key(n);
                if case.is_there {
                    let rows = if key.kind == Kind::Deployment { &mut observed.deployments } else { &mut observed.objects };
                    rows.insert(key.clone(), json!({"id": id(n)}));
                }
                if case.declared && key.kind != Kind::Deployment {
                    desired.objects.insert(key.clone(), object(&key));
                }
                if let Some(same) = case.owned {
                    let id = if same { id(n) } else { "another".to_owned() };
                    ledger.owned.insert(key.clone(), Owned { id, keep: case.keep, ..Owned::default() });
                }
                if case.waits {
                    observed.in_use.insert(key.clone(), "runs wait".to_owned());
                }
            }
            for (user, used) in edges.into_iter().filter(|(a, b)| a > b && *a < cases.len()) {
                let one = Use { by: User::Object(key(user)), field: "data", target: Target::Named(key(used)) };
                observed.users.entry(key(used)).or_default().push(one);
            }
            let mut planned = Planned::default();
            plan(&desired, &observed, &ledger, &mut planned);
            let going: BTreeMap<&Key, &Change> = planned.plan.changes.iter().map(|change| (&change.key, change)).collect();
            for (n, case) in cases.iter().enumerate() {
                let key = key(n);
                let Some(change) = going.get(&key) else { continue };
                prop_assert!(complete && (prune || destroy));
                prop_assert!(case.owned == Some(true) && case.is_there && !case.keep && !case.waits);
                prop_assert!(!desired.objects.contains_key(&key));
                prop_assert_eq!(&planned.writes[&key], &vec![Write::DeleteObject { id: id(n) }]);
                for one in observed.users.get(&key).into_iter().flatten() {
                    let User::Object(user) = &one.by else { continue };
                    prop_assert!(going.contains_key(user) && change.after.contains(user), "{} uses {}", user, key);
                }
            }
            // Whatever is ours and left git is told: it goes, it is held, or it is gone.
            let held: BTreeSet<&Key> = planned.plan.held.iter().map(|held| &held.key).collect();
            for orphan in orphans(&desired, &ledger).filter(|_| complete) {
                prop_assert!(going.contains_key(orphan) != (held.contains(orphan) || planned.gone.contains(orphan)));
            }
        }
    }
}
