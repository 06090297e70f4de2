//! The probe: while nothing has moved on the API since a pass that found nothing to do, only what git changed since is
//! read and compared.
//!
//! Asked anew in every pass: the server's version, pools, blocks, variables, the ledger, and the marks of deployments
//! and automations. What marks do not show is found when the drift interval is over.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::memory::{self, Memory};
use super::read::Reading;
use super::{Asked, Decided, Pass, Request};
use crate::api::{Api, Marked};
use crate::model::ledger::Ledger;
use crate::model::{Key, Kind};
use crate::plan::fingerprint::fingerprint;
use crate::plan::want::Desired;
use crate::report::Remembered;

/// How much a pass may rest on the pass before.
#[derive(Clone, Debug, Default)]
pub struct Caution {
    /// How long after a full comparison the next one is due; `None` if the project says. Zero: every pass compares
    /// everything, and nothing is remembered.
    pub interval: Option<Duration>,
    /// The same where the project says nothing.
    pub usual: Duration,
    /// Whether everything is compared whatever is remembered.
    pub full: bool,
    /// The cache directory; without one nothing is remembered.
    pub cache: Option<PathBuf>,
}

/// The marks of a workspace.
#[derive(Clone, Debug)]
pub struct Marks {
    deployments: Marked,
    automations: Option<Marked>,
}

/// What a pass remembers, and where.
pub(super) struct Recall {
    file: PathBuf,
    memory: Option<Memory>,
    /// Whether automations have a part in it.
    automations: bool,
}

impl Recall {
    /// `None` where nothing is remembered: no interval, or a pass that does not see the whole.
    pub fn open(request: &Request, reading: &Reading, api: &Api, now: Timestamp) -> Option<Recall> {
        let usual = Some(reading.project.drift_interval).filter(|interval| !interval.is_zero());
        let interval = request.caution.interval.or(usual).unwrap_or(request.caution.usual);
        let whole = reading.complete && reading.project.ledger && request.at.is_none();
        let plain = request.selection == Default::default() || request.selection == all();
        if interval.is_zero() || !whole || !plain || request.guarded || request.changed_since.is_some() {
            return None;
        }
        let file = memory::file(request.caution.cache.as_deref()?, api.connection(), &reading.scope);
        let fresh = |memory: &Memory| {
            let age = Duration::try_from(now.duration_since(memory.compared));
            age.is_ok_and(|age| age < interval) && !request.caution.full
        };
        let memory = Memory::read(&file, api.connection(), &reading.scope).filter(fresh);
        let triggers = || reading.selecting.selected.iter().any(|one| one.declaration.config.contains_key("triggers"));
        let automations = memory.as_ref().map_or_else(triggers, |memory| memory.automations.is_some());
        Some(Recall { file, memory, automations })
    }

    /// Asks for the marks. Where they cannot be had everything is compared.
    pub async fn marks(&self, api: &Api) -> Option<Marks> {
        let automations = async { if self.automations { api.automations_mark().await.map(Some) } else { Ok(None) } };
        match tokio::try_join!(api.deployments_mark(), automations) {
            Ok((deployments, automations)) => Some(Marks { deployments, automations }),
            Err(error) => {
                tracing::debug!(%error, "no marks: everything is compared");
                None
            }
        }
    }

    /// The memory, if nothing has moved on the API since.
    fn unmoved(&self, asked: &Asked) -> Option<&Memory> {
        let (memory, marks) = (self.memory.as_ref()?, asked.marks.as_ref()?);
        let automations = marks.automations.as_ref().map(|marked| &marked.mark);
        let same = memory.deployments == marks.deployments.mark
            && memory.automations.as_ref() == automations
            && asked.trouble.is_none()
            && asked.ledger.pending.is_empty()
            && memory.generation == asked.ledger.generation
            && Some(&memory.server) == asked.version.as_ref();
        same.then_some(memory)
    }
}

fn all() -> crate::manifest::select::Selection {
    crate::manifest::select::Selection { all: true, ..Default::default() }
}

/// What has to be compared although nothing has moved on the API.
pub(super) struct Changed {
    /// What git wants otherwise than remembered, and nothing else.
    pub desired: Desired,
    /// What the ledger says of that.
    pub ledger: Ledger,
    /// How many objects are as remembered.
    pub unchanged: usize,
    /// What is told of it.
    pub remembered: Remembered,
}

/// What is left to compare; `None` if that is everything.
pub(super) fn changed(pass: &Pass<'_>, desired: &Desired) -> Option<Changed> {
    let memory = pass.recall.as_ref()?.unmoved(&pass.asked)?;
    let ledger = &pass.asked.ledger;
    let prints = fingerprints(desired, ledger, memory.key())?;
    if !desired.complete || memory.fingerprints.keys().any(|known| !prints.contains_key(known)) {
        return None;
    }
    let is_same = |key: &Key| {
        let key = key.to_string();
        prints.get(&key).is_some_and(|print| memory.fingerprints.get(&key) == Some(print))
    };
    // Objects of the other kinds are few, and read in every pass: their marks are not kept.
    let left = ledger.owned.keys().any(|key| is_other(key, desired) && !desired.objects.contains_key(key));
    // A renaming asks for more than its own deployment.
    let renames = desired.deployments.values().any(|wanted| wanted.replaces.is_some());
    if left || renames || desired.policy.destroy {
        return None;
    }
    let (objects, policy) = (desired.objects.clone(), desired.policy.clone());
    let mut part = Desired { objects, policy, ..Desired::default() };
    let mut unchanged = 0;
    for (key, wanted) in &desired.deployments {
        if is_same(key) {
            unchanged += 1 + wanted.automations.len();
        } else {
            part.deployments.insert(key.clone(), wanted.clone());
        }
    }
    let age = pass.now.duration_since(memory.compared);
    let remembered = Remembered {
        compared: memory.compared.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        age_seconds: u64::try_from(age.as_secs()).unwrap_or_default(),
        read: part.deployments.len(),
    };
    Some(Changed { ledger: of(&part, desired, ledger), desired: part, unchanged, remembered })
}

/// Whether it is neither a deployment nor an automation of one.
fn is_other(key: &Key, desired: &Desired) -> bool {
    match key.kind {
        Kind::Deployment => false,
        Kind::Automation => !desired.deployments.keys().any(|owner| key.hangs_on(owner)),
        Kind::BlockType
        | Kind::Block
        | Kind::Variable
        | Kind::WorkPool
        | Kind::WorkQueue
        | Kind::ConcurrencyLimit
        | Kind::TagConcurrencyLimit
        | Kind::Flow => true,
    }
}

/// The ledger as far as it speaks of some deployments and their automations.
fn of(part: &Desired, desired: &Desired, ledger: &Ledger) -> Ledger {
    let is_meant = |key: &Key| {
        is_other(key, desired)
            || part.deployments.contains_key(key)
            || part.deployments.keys().any(|owner| key.hangs_on(owner))
    };
    let owned = ledger.owned.iter().filter(|(key, _)| is_meant(key));
    Ledger {
        generation: ledger.generation,
        commit: ledger.commit.clone(),
        digest_key: ledger.digest_key.clone(),
        owned: owned.map(|(key, owned)| (key.clone(), owned.clone())).collect(),
        ..Ledger::default()
    }
}

fn fingerprints(desired: &Desired, ledger: &Ledger, key: &[u8]) -> Option<BTreeMap<String, String>> {
    let prints = desired.deployments.iter().map(|(name, wanted)| {
        let print = fingerprint(wanted, ledger.owned.get(name), key)?;
        Some((name.to_string(), print))
    });
    prints.collect()
}

/// Remembers a comparison that found nothing to do, as of the marks that were asked for before it.
pub(super) fn remember(pass: &Pass<'_>, decided: &Decided) {
    let (Some(api), Some(recall)) = (pass.api, &pass.recall) else { return };
    let Some(marks) = pass.asked.marks.as_ref().filter(|marks| is_settled(marks)) else { return };
    let planned = &decided.planned;
    let idle = planned.plan.changes.is_empty() && planned.plan.held.is_empty() && planned.gone.is_empty();
    let has_automations = decided.desired.deployments.values().any(|wanted| !wanted.automations.is_empty());
    let fits = idle
        && !decided.is_invalid()
        && decided.desired.complete
        && decided.ledger.pending.is_empty()
        && pass.asked.trouble.is_none()
        && (marks.automations.is_some() || !has_automations);
    if !fits {
        return;
    }
    // What was partly remembered stays as old as the comparison of the rest.
    let before = decided.remembered.as_ref().and(recall.memory.as_ref());
    let mut memory = match before {
        Some(memory) => memory.clone(),
        None => Memory::new(api.connection(), &pass.reading.scope, pass.now),
    };
    let Some(prints) = fingerprints(&decided.desired, &decided.ledger, memory.key()) else { return };
    memory.fingerprints = prints;
    memory.server = pass.asked.version.clone().unwrap_or_default();
    memory.generation = decided.ledger.generation;
    memory.deployments = marks.deployments.mark.clone();
    memory.automations = marks.automations.as_ref().map(|marked| marked.mark.clone());
    if Some(&memory) != before {
        memory.write(&recall.file);
    }
}

fn is_settled(marks: &Marks) -> bool {
    marks.deployments.settled && marks.automations.as_ref().is_none_or(|marked| marked.settled)
}
