//! `drift`: the live state against what was last applied. Reads only, and runs no code of the repository.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::error::PassError;
use super::lock::described;
use super::{Decided, Pass, Python, Request, builds, gather};
use crate::api::{Api, LastEvent};
use crate::model::ledger::Ledger;
use crate::model::plan::{Action, Plan};
use crate::model::{Key, Kind};
use crate::plan::drift::{self, House};
use crate::plan::want::{Desired, Observed};
use crate::report::drift::{DriftReport, Event, Trace};

/// So much may lie between a change and the event that tells of it.
const EVENT_LAG: SignedDuration = SignedDuration::from_secs(1);

impl<'a> Pass<'a> {
    /// A pass that looks at what was applied. Files that are wrong do not matter to it: the ledger is read all the same.
    ///
    /// # Errors
    /// A directory that cannot be read, an API that does not answer.
    pub async fn look(request: &'a Request, api: &'a Api) -> Result<Self, PassError> {
        let mut pass = Pass::prepare(request, Some(api), Python::AtApply).await?;
        if pass.asked.version.is_none() {
            pass.asked.version = Some(api.server().await?.version);
            pass.refresh().await?;
        }
        Ok(pass)
    }

    /// The ledger of what was applied.
    ///
    /// # Errors
    /// There is none, or it cannot be trusted.
    pub fn applied(&self) -> Result<&Ledger, PassError> {
        if !self.reading.project.ledger {
            let sentence = "`ledger: false` in reconcile.yaml: what was applied and is ours is not recorded";
            return Err(PassError::Ledger(sentence.to_owned()));
        }
        match &self.asked.trouble {
            Some(trouble) => Err(PassError::Untrusted(trouble.clone())),
            None if self.asked.ledger.generation == 0 => {
                Err(PassError::NeverApplied { scope: self.reading.scope.clone() })
            }
            None => Ok(&self.asked.ledger),
        }
    }
}

impl Pass<'_> {
    /// Whether it is known what there is to destroy, if that is what the pass is for.
    ///
    /// # Errors
    /// No ledger that can be trusted. One that was never written holds nothing, which is well known.
    pub fn may_destroy(&self) -> Result<(), PassError> {
        match self.applied() {
            Err(error @ (PassError::Ledger(_) | PassError::Untrusted(_))) if self.request.owning.destroy => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Looks at everything that is ours.
///
/// # Errors
/// No ledger that can be trusted, an API that does not answer.
pub async fn drift(pass: &Pass<'_>) -> Result<DriftReport, PassError> {
    let (ledger, Some(api)) = (pass.applied()?, pass.api) else {
        return Err(PassError::Ledger("there is no API to look at".to_owned()));
    };
    let mut files = vec![ours(pass.desire(&builds::remembered(pass)).0, ledger)];
    files.extend(at_applied_commit(pass, api, ledger).await);
    let observed = gather::observe(api, &together(&files), ledger, pass.asked.abilities(Some(api))).await?;
    let house = House { files: &files, ignore_drift: &pass.reading.project.ignore_drift, now: pass.now };
    let mut found = drift::drift(&house, &observed, ledger);
    let traces = traces(api, ledger, &observed, &found).await;
    for change in &mut found.changes {
        change.impact.extend(traces.get(&change.key).and_then(|trace| trace.sentence(change.action)));
    }
    let busy = api.lock_holder(&pass.reading.scope).await?.map(|holder| described(&holder));
    let planned = Plan { changes: found.changes, held: Vec::new(), unchanged: found.unchanged };
    let mut report = pass.report(&undecided(ledger), Default::default());
    report.plan = planned;
    // What was applied is looked at, not what is checked out.
    report.source.commit.clone_from(&ledger.commit);
    (report.source.branch, report.source.dirty) = (None, false);
    let pending = ledger.pending.iter().cloned().collect();
    Ok(DriftReport { report, undecided: found.undecided, traces, pending, busy })
}

/// Nothing is planned here.
fn undecided(ledger: &Ledger) -> Decided {
    Decided {
        desired: Desired::default(),
        observed: Observed::default(),
        ledger: ledger.clone(),
        planned: Default::default(),
        diagnostics: Vec::new(),
        remembered: None,
    }
}

/// What files say of what is ours; the rest is not looked at.
fn ours(mut desired: Desired, ledger: &Ledger) -> Desired {
    desired.deployments.retain(|key, _| ledger.owned.contains_key(key));
    desired.objects.retain(|key, _| ledger.owned.contains_key(key));
    desired
}

/// What the files of the applied commit say, if it is another one than that which was read and git still has it.
async fn at_applied_commit(pass: &Pass<'_>, api: &Api, ledger: &Ledger) -> Option<Desired> {
    let git = pass.reading.git.as_ref()?;
    let is_id = |commit: &&String| commit.len() >= 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
    let commit = ledger.commit.as_ref().filter(is_id)?;
    if git.commit == *commit && !git.dirty {
        return None;
    }
    let mut request = pass.request.quiet_copy();
    request.at = Some(commit.clone());
    match Pass::prepare(&request, Some(api), Python::AtApply).await {
        Ok(then) => Some(ours(then.desire(&builds::remembered(&then)).0, ledger)),
        Err(error) => {
            tracing::debug!(%error, commit, "the applied commit cannot be read");
            None
        }
    }
}

/// Everything that some files say, for what has to be looked up.
fn together(files: &[Desired]) -> Desired {
    let mut all = Desired::default();
    for one in files.iter().rev() {
        all.deployments.extend(one.deployments.clone());
        all.objects.extend(one.objects.clone());
    }
    all
}

/// Who changed what drifted, and when. What the API does not tell is missing.
async fn traces(api: &Api, ledger: &Ledger, observed: &Observed, found: &drift::Drift) -> BTreeMap<Key, Trace> {
    let id = |key: &Key| ledger.owned.get(key).map(|owned| owned.id.clone()).unwrap_or_default();
    let asked: Vec<(Kind, String)> = found.changes.iter().map(|change| (change.key.kind, id(&change.key))).collect();
    let events = if asked.is_empty() { Ok(BTreeMap::new()) } else { api.last_events(&asked).await };
    let events = events.unwrap_or_else(|error| {
        tracing::debug!(%error, "no events");
        BTreeMap::new()
    });
    let trace = |key: &Key, action: Action| {
        let row = row(key, &id(key), observed).filter(|_| action != Action::Delete).unwrap_or(&Value::Null);
        let who = |field: &str| row[field]["display_value"].as_str().map(str::to_owned);
        let event = events.get(&id(key)).filter(|event| tells(event, action, row)).map(
            |LastEvent { id, event, occurred, actor }| Event {
                id: id.clone(),
                name: event.clone(),
                occurred: occurred.clone(),
                actor: actor.clone(),
            },
        );
        let updated = row["updated"].as_str().map(str::to_owned);
        Trace { updated, updated_by: who("updated_by"), created_by: who("created_by"), event }
    };
    found.changes.iter().map(|change| (change.key.clone(), trace(&change.key, change.action))).collect()
}

/// Whether an event tells of the last change: it may be on its way still, and the one before it says nothing.
fn tells(event: &LastEvent, action: Action, row: &Value) -> bool {
    if action == Action::Delete {
        return event.event.ends_with(".deleted");
    }
    let at = |text: &str| text.parse::<Timestamp>().ok();
    let Some((occurred, updated)) = at(&event.occurred).zip(row["updated"].as_str().and_then(at)) else { return true };
    updated.duration_since(occurred) <= EVENT_LAG
}

fn row<'a>(key: &Key, id: &str, observed: &'a Observed) -> Option<&'a Value> {
    if key.kind == Kind::Automation {
        return observed.automations.iter().find(|row| row["id"] == id);
    }
    observed.deployments.get(key).or_else(|| observed.objects.get(key))
}
