//! A plan → requests: flows first, then deployments, then what hangs on them; the ledger before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, ApiError, LedgerTrouble};
use crate::manifest::triggers;
use crate::model::{Key, Kind, Tree};
use crate::plan::Planned;
use crate::plan::want::{ScheduleWrite, Write};
use crate::report::Outcome;
use crate::resource::deployment::create_body;

use super::builds::Builds;
use super::keep::Keeper;
use super::{Decided, Pass};

/// What became of every change.
pub type Outcomes = Vec<(Key, Outcome)>;

/// Told of every change as it ends: how many have ended, of how many.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Carries out a plan. A failure stops only what depends on it; the outcomes say what is in and what is not.
///
/// # Errors
/// A ledger that cannot be written: nothing more is written then; what became of the rest comes along.
pub async fn apply(
    pass: &Pass<'_>,
    decided: &Decided,
    builds: &Builds,
    progress: Progress<'_>,
) -> Result<Outcomes, (LedgerTrouble, Outcomes)> {
    let Some(api) = pass.api else { return Ok(Vec::new()) };
    let enabled = pass.reading.project.ledger && pass.asked.trouble.is_none();
    let mut keeper = Keeper::new(api, &pass.reading.scope, pass.asked.ledger.clone(), enabled);
    keeper.ledger.commit = pass.reading.git.as_ref().map(|git| git.commit.clone());
    keeper.ledger.builds = builds.to_remember().clone();
    for gone in &decided.planned.gone {
        keeper.ledger.owned.remove(gone);
    }
    let mut applying = Applying {
        api: api.clone(),
        planned: &decided.planned,
        ids: Arc::new(known_ids(decided)),
        flows: decided.observed.flows.clone(),
        outcomes: BTreeMap::new(),
        stop: pass.request.stop.clone(),
        progress,
    };
    let result = applying.run(&mut keeper).await;
    let closed = keeper.close().await;
    applying.leave_out_the_rest();
    let outcomes = applying.outcomes.into_iter().collect();
    match result.and(closed) {
        Ok(()) => Ok(outcomes),
        Err(trouble) => Err((trouble, outcomes)),
    }
}

/// The ids of everything that exists, for references.
fn known_ids(decided: &Decided) -> BTreeMap<Key, String> {
    let found = decided.observed.deployments.iter();
    found.filter_map(|(key, answer)| Some((key.clone(), answer["id"].as_str()?.to_owned()))).collect()
}

struct Applying<'a> {
    api: Api,
    planned: &'a Planned,
    ids: Arc<BTreeMap<Key, String>>,
    flows: BTreeMap<String, String>,
    outcomes: BTreeMap<Key, Outcome>,
    stop: CancellationToken,
    progress: Progress<'a>,
}

/// One change on its way: what it comes to is the id of its object, if that still exists.
type Job = (Key, Result<Option<String>, ApiError>);

impl Applying<'_> {
    async fn run(&mut self, keeper: &mut Keeper<'_>) -> Result<(), LedgerTrouble> {
        let keys: Vec<Key> = self.planned.plan.changes.iter().map(|change| change.key.clone()).collect();
        if keys.is_empty() {
            return Ok(());
        }
        keeper.announce(keys.iter().cloned()).await?;
        self.make_flows().await;
        let (deployments, rest): (Vec<Key>, Vec<Key>) = keys.into_iter().partition(|key| key.kind == Kind::Deployment);
        self.wave(deployments, keeper).await?;
        self.wave(rest, keeper).await
    }

    /// Makes the flows that new deployments need; a failure is that of the deployments.
    async fn make_flows(&mut self) {
        let missing: BTreeSet<String> = self
            .planned
            .writes
            .values()
            .flatten()
            .filter_map(|write| match write {
                Write::CreateDeployment { flow, .. } => Some(flow.clone()),
                _ => None,
            })
            .filter(|flow| !self.flows.contains_key(flow))
            .collect();
        let mut jobs = JoinSet::new();
        for flow in missing {
            let api = self.api.clone();
            jobs.spawn(async move { (api.create_flow(&flow).await, flow) });
        }
        while let Some(done) = jobs.join_next().await {
            match done.expect("a request does not panic") {
                (Ok(id), flow) => {
                    self.flows.insert(flow, id);
                }
                (Err(error), flow) => {
                    let message = format!("its flow `{flow}` could not be made: {error}");
                    self.fail_deployments_of(&flow, &message);
                }
            }
        }
    }

    fn fail_deployments_of(&mut self, flow: &str, message: &str) {
        for (key, writes) in &self.planned.writes {
            let needs = writes.iter().any(|w| matches!(w, Write::CreateDeployment { flow: f, .. } if f == flow));
            if needs {
                self.outcomes.insert(key.clone(), Outcome::Failed(message.to_owned()));
            }
        }
    }

    /// Sends the changes of one wave, as many at once as the server takes.
    async fn wave(&mut self, keys: Vec<Key>, keeper: &mut Keeper<'_>) -> Result<(), LedgerTrouble> {
        let mut waiting = keys.into_iter();
        let mut jobs: JoinSet<Job> = JoinSet::new();
        loop {
            while jobs.len() < self.api.connection().parallelism * 2 && !self.stop.is_cancelled() {
                let Some(key) = waiting.next() else { break };
                if self.outcomes.contains_key(&key) || self.is_skipped(&key) {
                    continue;
                }
                let job = self.job(key);
                jobs.spawn(job);
            }
            let Some(done) = jobs.join_next().await else { return Ok(()) };
            self.finish(done.expect("a request does not panic"), keeper).await?;
        }
    }

    /// What hangs on a deployment that is not in is not tried.
    fn is_skipped(&mut self, key: &Key) -> bool {
        let change = self.planned.plan.changes.iter().find(|change| change.key == *key);
        let missing = change.and_then(|change| {
            change.after.iter().find(|needed| {
                matches!(self.outcomes.get(needed), Some(Outcome::Failed(_) | Outcome::Skipped(_)))
            })
        });
        let Some(needed) = missing else { return false };
        self.outcomes.insert(key.clone(), Outcome::Skipped(format!("it needs {needed}, which failed")));
        true
    }

    fn job(&self, key: Key) -> impl Future<Output = Job> + Send + 'static {
        let writes = self.planned.writes.get(&key).cloned().unwrap_or_default();
        let (api, ids, flows) = (self.api.clone(), Arc::clone(&self.ids), self.flows.clone());
        async move {
            let sender = Sender { api, ids, flows };
            let result = sender.send(&key, &writes).await;
            (key, result)
        }
    }

    async fn finish(&mut self, (key, result): Job, keeper: &mut Keeper<'_>) -> Result<(), LedgerTrouble> {
        let recorded = match result {
            Ok(Some(id)) => {
                Arc::make_mut(&mut self.ids).insert(key.clone(), id.clone());
                let declared = self.planned.declared.get(&key).cloned().unwrap_or_default();
                self.outcomes.insert(key.clone(), Outcome::Done);
                keeper.record(&key, id, declared).await
            }
            Ok(None) => {
                self.outcomes.insert(key.clone(), Outcome::Done);
                keeper.forget(&key).await
            }
            Err(error) => {
                self.outcomes.insert(key.clone(), Outcome::Failed(error.to_string()));
                Ok(())
            }
        };
        (self.progress)(self.outcomes.len(), self.planned.plan.changes.len());
        recorded
    }

    /// What was never begun is said to be so.
    fn leave_out_the_rest(&mut self) {
        for change in &self.planned.plan.changes {
            let why = if self.stop.is_cancelled() { "interrupted before it began" } else { "the ledger failed before it" };
            self.outcomes.entry(change.key.clone()).or_insert_with(|| Outcome::Skipped(why.to_owned()));
        }
    }
}

/// Lowers writes to requests.
struct Sender {
    api: Api,
    ids: Arc<BTreeMap<Key, String>>,
    flows: BTreeMap<String, String>,
}

impl Sender {
    /// Sends the writes of one change in order. Gives the object's id, or nothing when it is gone.
    async fn send(&self, key: &Key, writes: &[Write]) -> Result<Option<String>, ApiError> {
        let mut id = self.ids.get(key).cloned();
        for write in writes {
            id = self.one(write, id).await?;
        }
        Ok(id)
    }

    async fn one(&self, write: &Write, id: Option<String>) -> Result<Option<String>, ApiError> {
        match write {
            Write::CreateDeployment { flow, name, fields, schedules } => {
                let flow = self.flows.get(flow).cloned().unwrap_or_default();
                let schedules = schedules.iter().map(|schedule| self.lower(schedule)).collect();
                let body = create_body(name, &flow, &self.lower_all(fields), schedules);
                Ok(Some(self.api.create_deployment(&body).await?.id))
            }
            Write::UpdateDeployment { id, patch, schedules } => {
                if !patch.is_empty() {
                    self.api.update_deployment(id, &Value::Object(self.lower_all(patch))).await?;
                }
                self.timetable(id, schedules).await?;
                Ok(Some(id.clone()))
            }
            Write::CreateAutomation(made) => Ok(Some(self.api.create_automation(&self.automation(made)).await?)),
            Write::ReplaceAutomation { id, made } => {
                let mut body = self.automation(made);
                // Prefect keeps the owner, and refuses to be told.
                body.as_object_mut().map(|body| body.shift_remove("owner_resource"));
                self.api.replace_automation(id, &body).await?;
                Ok(Some(id.clone()))
            }
            Write::DeleteAutomation { id } => {
                self.api.delete_automation(id).await?;
                Ok(None)
            }
            Write::ApplySlas { owner, slas } => {
                let deployment = id.clone().or_else(|| self.ids.get(owner).cloned()).unwrap_or_default();
                let slas = self.lower(slas);
                self.api.apply_slas(&deployment, slas.as_array().map_or(&[], Vec::as_slice)).await?;
                Ok(id)
            }
            Write::Adopt { id } => Ok(Some(id.clone())),
        }
    }

    /// The body of an automation with the id of its deployment.
    fn automation(&self, made: &triggers::Automation) -> Value {
        let owner = self.ids.get(&made.owner).cloned().unwrap_or_default();
        self.lower(&made.complete(&owner))
    }

    async fn timetable(&self, deployment: &str, schedules: &[ScheduleWrite]) -> Result<(), ApiError> {
        // Those that go make room for the slugs of those that come.
        for write in schedules {
            if let ScheduleWrite::Delete { id } = write {
                self.api.delete_schedule(deployment, id).await?;
            }
        }
        for write in schedules {
            if let ScheduleWrite::Update { id, body } = write {
                self.api.update_schedule(deployment, id, &self.lower(body)).await?;
            }
        }
        let added: Vec<Value> = schedules
            .iter()
            .filter_map(|write| match write {
                ScheduleWrite::Add(body) => Some(self.lower(body)),
                ScheduleWrite::Update { .. } | ScheduleWrite::Delete { .. } => None,
            })
            .collect();
        if !added.is_empty() {
            self.api.add_schedules(deployment, &added).await?;
        }
        Ok(())
    }

    fn lower_all(&self, fields: &BTreeMap<String, Tree>) -> Map<String, Value> {
        fields.iter().map(|(name, tree)| (name.clone(), self.lower(tree))).collect()
    }

    /// The JSON of a tree: secrets revealed, references as ids.
    fn lower(&self, tree: &Tree) -> Value {
        tree.revealed(&|key| self.ids.get(key).cloned()).unwrap_or_default()
    }
}
