//! Deciding: what the repository wants, what the API holds and what we own → a plan. A function of its inputs.

pub mod automations;
pub mod compare;
pub mod deployments;
pub mod desire;
pub mod diff;
pub mod digest;
pub mod fingerprint;
pub mod resolve;
pub mod same;
pub mod schedules;
pub mod want;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::ledger::Ledger;
use crate::model::plan::{Action, Because, Change, Held, Plan};
use crate::model::{Key, Kind};

use want::{Declared, Desired, Observed, Write};

/// A plan with the requests it comes down to and what the ledger will say once they are through.
#[derive(Debug, Default)]
pub struct Planned {
    /// What is shown.
    pub plan: Plan,
    /// What is sent, by the change it belongs to.
    pub writes: BTreeMap<Key, Vec<Write>>,
    /// The declared paths of every wanted object.
    pub declared: BTreeMap<Key, Declared>,
    /// The ids of wanted objects that exist.
    pub ids: BTreeMap<Key, String>,
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
    let mut planned = Planned::default();
    for wanted in desired.deployments.values() {
        deployments::plan(wanted, observed, ledger, now, &mut planned);
        automations::plan(wanted, observed, ledger, &mut planned);
        service_levels(wanted, ledger, &mut planned);
    }
    orphans(desired, observed, ledger, &mut planned);
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
    declared.insert(path.clone(), digest.clone().unwrap_or_default());
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
    let change = Change {
        key: wanted.key.clone(),
        action: Action::Update,
        because: Because::Git,
        origin: Some(wanted.origin.clone()),
        fields: vec![field],
        impact: Vec::new(),
        after: Vec::new(),
    };
    planned.push(change, vec![write]);
}

/// What is ours and no longer declared is named, and left alone.
fn orphans(desired: &Desired, observed: &Observed, ledger: &Ledger, planned: &mut Planned) {
    for key in ledger.owned.keys().filter(|key| key.kind == Kind::Deployment) {
        if desired.deployments.contains_key(key) {
            continue;
        }
        if !observed.deployments.contains_key(key) {
            planned.gone.push(key.clone());
            let prefix = format!("{}/", key.name);
            let hanging = ledger.owned.keys().filter(|k| k.kind == Kind::Automation && k.name.starts_with(&prefix));
            planned.gone.extend(hanging.cloned());
        } else if desired.complete {
            planned.plan.held.push(Held {
                key: key.clone(),
                action: Action::Delete,
                reason: "it left git; pruning is not built yet, so it stays until it is deleted by hand".to_owned(),
            });
        }
    }
}
