//! Deciding: what the repository wants, what the API holds and what we own → a plan. A function of its inputs.

pub mod automations;
pub mod compare;
pub mod deployments;
pub mod desire;
pub mod diff;
pub mod digest;
pub mod drift;
pub mod export;
pub mod fingerprint;
pub mod needed;
pub mod objects;
pub mod order;
pub mod prune;
pub mod renames;
pub mod resolve;
pub mod resources;
pub mod same;
pub mod schedules;
pub mod server;
pub mod uses;
pub mod want;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::Key;
use crate::model::ledger::Ledger;
use crate::model::plan::{Action, Because, Change, Plan};

use want::{Declared, Desired, Observed, Write};

/// A plan with the requests it comes down to and what the ledger will say once they are through.
#[derive(Debug, Default)]
pub struct Planned {
    /// What is shown.
    pub plan: Plan,
    /// What is sent, by the change it belongs to.
    pub writes: BTreeMap<Key, Vec<Write>>,
    /// The declared paths of every wanted object.
    pub declared: BTreeMap<Key, Arc<Declared>>,
    /// The ids of objects that exist.
    pub ids: BTreeMap<Key, String>,
    /// Wanted objects that stay when they leave git.
    pub keeps: BTreeSet<Key>,
    /// Owned objects that exist no more: the ledger forgets them at its next save.
    pub gone: Vec<Key>,
}

impl Planned {
    fn push(&mut self, change: Change, writes: Vec<Write>) {
        self.writes.insert(change.key.clone(), writes);
        self.plan.changes.push(change);
    }
}

/// Works out the plan. `now` anchors intervals that are declared without an anchor.
pub fn plan(desired: &Desired, observed: &Observed, ledger: &Ledger, now: Timestamp) -> Planned {
    let mut planned = Planned { ids: observed.ids(), ..Planned::default() };
    for wanted in desired.deployments.values() {
        deployments::plan(wanted, observed, ledger, now, &mut planned);
        automations::plan(wanted, observed, ledger, &mut planned);
        service_levels(wanted, ledger, &mut planned);
    }
    for wanted in desired.objects.values() {
        objects::plan(wanted, &desired.policy, observed, ledger, &mut planned);
    }
    prune::plan(desired, observed, ledger, &mut planned);
    planned.plan.changes.sort_by(|a, b| a.key.cmp(&b.key));
    planned.plan.held.sort_by(|a, b| a.key.cmp(&b.key));
    planned
}

/// Service level agreements cannot be read back: they are sent with the first apply and when git changes them.
fn service_levels(wanted: &want::Deployment, ledger: &Ledger, planned: &mut Planned) {
    let path = crate::model::Path::of("sla");
    let owned = ledger.owned.get(&wanted.key).and_then(|owned| owned.declared.get(&path));
    let Some(slas) = &wanted.slas else { return };
    let digest = diff::digest_of(slas, &ledger.digest_key);
    let declared = planned.declared.entry(wanted.key.clone()).or_default();
    Arc::make_mut(declared).insert(path.clone(), digest.clone().unwrap_or_default());
    if owned == digest.as_ref() && digest.is_some() {
        return;
    }
    let write = Write::ApplySlas { owner: wanted.key.clone(), slas: slas.clone() };
    let field = crate::model::plan::FieldChange { path, before: None, after: Some(slas.clone()) };
    if let Some(change) = planned.plan.changes.iter_mut().find(|change| change.key == wanted.key) {
        if change.action == Action::Adopt {
            change.action = Action::Update;
        }
        change.fields.push(field);
        planned.writes.entry(wanted.key.clone()).or_default().push(write);
        return;
    }
    planned.plan.unchanged = planned.plan.unchanged.saturating_sub(1);
    let mut change = Change::new(wanted.key.clone(), Action::Update, Because::Git);
    change.origin = Some(wanted.origin.clone());
    change.fields.push(field);
    planned.push(change, vec![write]);
}
