//! A plan → requests: flows first, then deployments, then what hangs on them; the ledger before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::api::{Api, ApiError, LedgerTrouble, Which};
use crate::manifest::triggers;
use crate::model::ledger::Ledger;
use crate::model::plan::{Action, Change};
use crate::model::{Key, Kind, Tree};
use crate::plan::want::{ScheduleWrite, Write};
use crate::plan::{Planned, order};
use crate::report::Outcome;
use crate::resource::deployment::create_body;

use super::builds::Builds;
use super::drain::{self, Drain};
use super::keep::Keeper;
use super::lock::{Guard, LockLost};
use super::{Decided, Pass, Request, queues, remember, traced};

/// What became of every change.
pub type Outcomes = BTreeMap<Key, Outcome>;

/// Told of every change as it ends: how many have ended, of how many.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// What an apply came to.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// What became of every change.
    pub outcomes: Outcomes,
    /// The ids of what there was before and is there now.
    pub ids: BTreeMap<Key, String>,
    /// The ids of flows by their names.
    pub flows: BTreeMap<String, String>,
}

/// Why an apply stopped early. What was under way is finished by then, and told in the outcomes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerTrouble),
    /// The lock is not ours any more. The ledger was left to whoever has it.
    #[error(transparent)]
    Lock(#[from] LockLost),
}

impl Stopped {
    /// The next step.
    pub fn help(&self) -> String {
        match self {
            Stopped::Ledger(trouble) => trouble.help(),
            Stopped::Lock(_) => "run again: what is in is found, and nothing is made twice".to_owned(),
        }
    }
}

/// Carries out a plan while `guard` holds the scope's lock. A failure stops only what depends on it; the outcomes say
/// what is in and what is not.
///
/// # Errors
/// A ledger that cannot be written, a lock that was lost: nothing more is begun then; what became of the rest comes
/// along.
pub async fn apply(
    pass: &Pass<'_>,
    decided: &Decided,
    builds: &Builds,
    guard: Option<&Guard>,
    progress: Progress<'_>,
) -> Result<Applied, (Stopped, Applied)> {
    let Some(api) = pass.api else { return Ok(Applied::default()) };
    let enabled = pass.reading.project.ledger && pass.asked.trouble.is_none();
    let mut keeper = Keeper::new(api, &pass.reading.scope, decided.ledger.clone(), enabled);
    keeper.ledger.commit = pass.reading.git.as_ref().map(|git| git.commit.clone());
    if decided.desired.complete {
        keeper.ledger.builds.clear();
        keeper.ledger.flows.clear();
    }
    keeper.ledger.flows.extend(pass.flows.to_remember().clone());
    keeper.ledger.flows = remember::bounded(&keeper.ledger.flows);
    keeper.ledger.builds.extend(builds.to_remember().clone());
    for gone in &decided.planned.gone {
        keeper.ledger.owned.remove(gone);
    }
    restate(&decided.planned, &mut keeper.ledger);
    let mut applying = Applying {
        api: api.clone(),
        scope: Arc::from(pass.reading.scope.as_str()),
        decided,
        planned: &decided.planned,
        changes: decided.planned.plan.changes.iter().map(|change| (&change.key, change)).collect(),
        ids: Arc::new(RwLock::new(decided.observed.ids())),
        flows: Arc::new(decided.observed.flows.clone()),
        outcomes: Outcomes::new(),
        paused: BTreeMap::new(),
        request: pass.request,
        stop: pass.request.stop.clone(),
        guard,
        pools: BTreeMap::new(),
        progress,
    };
    let mut result = applying.run(&mut keeper).await;
    // A ledger that is written after the lock was lost would undo what its new holder recorded.
    if !matches!(result, Err(Stopped::Lock(_))) {
        result = match applying.check_lock(false).await {
            Ok(()) => {
                let ends = decided.desired.policy.destroy && result.is_ok();
                let closed = if ends { keeper.end().await } else { keeper.close().await };
                result.and(closed.map_err(Stopped::Ledger))
            }
            Err(lost) => Err(lost),
        };
    }
    applying.leave_out_the_rest(result.as_ref().err());
    let ids = applying.ids.read().unwrap_or_else(PoisonError::into_inner).clone();
    let applied = Applied { outcomes: applying.outcomes, ids, flows: (*applying.flows).clone() };
    match result {
        Ok(()) => Ok(applied),
        Err(stopped) => Err((stopped, applied)),
    }
}

/// What is as declared is written down as declared now: git may speak of more, or less, than when it was applied.
fn restate(planned: &Planned, ledger: &mut Ledger) {
    let changing = planned.plan.changes.iter().map(|change| &change.key);
    // What is held was not applied.
    let held = planned.plan.held.iter().filter(|held| held.key.kind != Kind::Deployment).map(|held| &held.key);
    let changing: BTreeSet<&Key> = changing.chain(held).collect();
    for (key, declared) in planned.declared.iter().filter(|(key, _)| !changing.contains(key)) {
        if let Some(owned) = ledger.owned.get_mut(key) {
            owned.declared.clone_from(declared);
            owned.keep = planned.keeps.contains(key);
        }
    }
}

/// The ids of everything that exists, for references. Requests on their way share it with what records their answers.
type Ids = Arc<RwLock<BTreeMap<Key, String>>>;

struct Applying<'a> {
    api: Api,
    scope: Arc<str>,
    decided: &'a Decided,
    planned: &'a Planned,
    changes: BTreeMap<&'a Key, &'a Change>,
    ids: Ids,
    flows: Arc<BTreeMap<String, String>>,
    outcomes: Outcomes,
    /// Deployments that were paused to be deleted, with their ids.
    paused: BTreeMap<Key, String>,
    request: &'a Request,
    stop: CancellationToken,
    guard: Option<&'a Guard>,
    /// Queues of one pool are written one after the other: a new priority moves those of others.
    pools: BTreeMap<String, Arc<tokio::sync::Mutex<()>>>,
    progress: Progress<'a>,
}

/// One change on its way: what it comes to is the id of its object, if that still exists.
type Job = (Key, Result<Option<String>, ApiError>);

impl<'a> Applying<'a> {
    async fn run(&mut self, keeper: &mut Keeper<'_>) -> Result<(), Stopped> {
        for wave in order::waves(&self.planned.plan) {
            let ended = self.whole_wave(wave, keeper).await;
            self.resume().await;
            ended?;
        }
        self.settle_queues().await;
        Ok(())
    }

    async fn whole_wave(&mut self, wave: Vec<Key>, keeper: &mut Keeper<'_>) -> Result<(), Stopped> {
        self.begin(&wave, keeper).await?;
        self.make_flows(&wave).await;
        self.drain(&wave, keeper).await?;
        self.wave(wave, keeper).await
    }

    /// Whatever stood in the way of a deletion, what was paused for it goes on: the next pass would take it for paused
    /// by somebody.
    async fn resume(&mut self) {
        let mut paused = std::mem::take(&mut self.paused);
        paused.retain(|key, _| self.outcomes.get(key) != Some(&Outcome::Done));
        drain::resume(&self.api, paused, &*self.request.say).await;
    }

    /// Waits for the runs of deployments of a wave that are to be deleted.
    async fn drain(&mut self, wave: &[Key], keeper: &mut Keeper<'_>) -> Result<(), Stopped> {
        let deletes = |key: &Key| match self.planned.writes.get(key).map(Vec::as_slice) {
            Some([Write::DeleteObject { id }]) if key.kind == Kind::Deployment => Some(id.clone()),
            Some(_) | None => None,
        };
        let begun = wave.iter().filter(|key| !self.outcomes.contains_key(key) && self.missing(key).is_none());
        let going: BTreeMap<String, Key> = begun.filter_map(|key| Some((deletes(key)?, key.clone()))).collect();
        if going.is_empty() || self.stop.is_cancelled() {
            return Ok(());
        }
        self.save(keeper).await?;
        let is_paused =
            |key: &&Key| self.decided.observed.deployments.get(*key).is_some_and(|row| row["paused"] == true);
        let drain = Drain {
            api: &self.api,
            say: &*self.request.say,
            stop: &self.stop,
            patience: self.request.owning.drain.unwrap_or(drain::PATIENCE),
            paused: going.values().filter(is_paused).cloned().collect(),
            going,
        };
        let mut paused = BTreeMap::new();
        let stays = drain.run(&mut paused, async || self.check_lock(false).await).await;
        self.paused = paused;
        self.outcomes.extend(stays?);
        Ok(())
    }

    /// Reads the priorities of the queues that were written, and puts right what the server moved meanwhile.
    async fn settle_queues(&mut self) {
        let is_done = |key: &&Key| matches!(self.outcomes.get(*key), Some(Outcome::Done));
        let written = self.planned.plan.changes.iter().filter(|change| change.action != Action::Delete);
        let written: Vec<&Key> = written.map(|change| &change.key).filter(is_done).collect();
        let pools: BTreeSet<&str> = written.iter().filter_map(|key| queues::pool_of(key)).collect();
        let failed = |key: &Key| self.outcomes.get(key).is_some_and(|outcome| *outcome != Outcome::Done);
        let held = |key: &Key| self.planned.plan.held.iter().any(|held| held.key == *key);
        let declared = self.decided.desired.objects.values().filter(|object| {
            let pool = queues::pool_of(&object.key);
            pool.is_some_and(|pool| pools.contains(pool)) && !failed(&object.key) && !held(&object.key)
        });
        if pools.is_empty() || self.stop.is_cancelled() {
            return;
        }
        let off = match queues::settle(&self.api, declared).await {
            Ok(off) => off,
            Err(error) => {
                let why = format!("its priority could not be read again: {error}");
                let queues = written.into_iter().filter(|key| queues::pool_of(key).is_some());
                queues.map(|key| (key.clone(), why.clone())).collect()
            }
        };
        let changed = |key: &Key| self.planned.writes.contains_key(key);
        let off: Vec<(Key, String)> = off.into_iter().filter(|(key, _)| changed(key)).collect();
        self.outcomes.extend(off.into_iter().map(|(key, why)| (key, Outcome::Failed(why))));
    }

    /// Before a wave: makes sure that the lock is still ours, and writes down what is about to be written.
    async fn begin(&self, keys: &[Key], keeper: &mut Keeper<'_>) -> Result<(), Stopped> {
        self.check_lock(true).await?;
        if !self.stop.is_cancelled() {
            keeper.announce(keys, self.planned).await?;
        }
        Ok(())
    }

    /// Makes sure that the lock is ours; unless `ask`, only if somebody could have taken it by now.
    async fn check_lock(&self, ask: bool) -> Result<(), Stopped> {
        match self.guard {
            Some(guard) if ask || !guard.is_sure() => Ok(guard.check().await?),
            Some(_) | None => Ok(()),
        }
    }

    /// Makes the flows that the new deployments of a wave need; a failure is that of the deployments.
    async fn make_flows(&mut self, wave: &[Key]) {
        let missing: BTreeSet<String> = wave
            .iter()
            .filter_map(|key| self.planned.writes.get(key))
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
            jobs.spawn(async move { (api.create_flow(&flow).await, flow) }.in_current_span());
        }
        while let Some(done) = jobs.join_next().await {
            match done.expect("a request does not panic") {
                (Ok(id), flow) => {
                    Arc::make_mut(&mut self.flows).insert(flow, id);
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

    /// Sends the changes of one wave, as many at once as the server takes. When it has to stop, what is under way is
    /// finished first: nobody knows what would become of a request that is dropped.
    async fn wave(&mut self, keys: Vec<Key>, keeper: &mut Keeper<'_>) -> Result<(), Stopped> {
        let mut waiting = keys.into_iter();
        let mut jobs: JoinSet<Job> = JoinSet::new();
        let mut result = Ok(());
        loop {
            while result.is_ok() && jobs.len() < self.api.connection().parallelism * 2 && !self.stop.is_cancelled() {
                result = self.check_lock(false).await;
                let Some(key) = waiting.next().filter(|_| result.is_ok()) else { break };
                if self.outcomes.contains_key(&key) || self.is_skipped(&key) {
                    keeper.skip(&key);
                    continue;
                }
                let job = self.job(key);
                jobs.spawn(job);
            }
            if result.is_ok() && keeper.due().is_some_and(|due| due <= Instant::now()) {
                result = self.save(keeper).await;
            }
            let next = async { jobs.join_next().await.map(|done| done.expect("a request does not panic")) };
            let done = match keeper.due().filter(|_| result.is_ok()) {
                None => next.await,
                Some(due) => match tokio::time::timeout_at(due.into(), next).await {
                    Ok(done) => done,
                    Err(_) => continue,
                },
            };
            let Some(done) = done else { break };
            self.finish(done, keeper);
        }
        // What was not begun needs not be looked for.
        waiting.for_each(|key| keeper.skip(&key));
        result
    }

    async fn save(&self, keeper: &mut Keeper<'_>) -> Result<(), Stopped> {
        self.check_lock(false).await?;
        Ok(keeper.close().await?)
    }

    /// What hangs on a deployment that is not in is not tried.
    fn is_skipped(&mut self, key: &Key) -> bool {
        let Some((change, first)) = self.missing(key) else { return false };
        let why = match change.action {
            Action::Delete => format!("{first} uses it, and was not {}", self.done_to(first)),
            Action::Create | Action::Update | Action::Replace | Action::Adopt | Action::Release => {
                format!("it needs {first}, which failed")
            }
        };
        let is_held = matches!(self.outcomes.get(first), Some(Outcome::Held(_)));
        self.outcomes.insert(key.clone(), if is_held { Outcome::Held(why) } else { Outcome::Skipped(why) });
        true
    }

    /// What had to come first and is not in.
    fn missing(&self, key: &Key) -> Option<(&'a Change, &'a Key)> {
        let change = *self.changes.get(key)?;
        let is_missing = |first: &&Key| match self.outcomes.get(*first) {
            Some(Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Held(_)) => true,
            Some(Outcome::Done) | None => false,
        };
        Some((change, change.after.iter().find(is_missing)?))
    }

    fn done_to(&self, key: &Key) -> &'static str {
        let change = self.changes.get(key);
        if change.is_some_and(|change| change.action == Action::Delete) { "deleted" } else { "changed" }
    }

    fn job(&mut self, key: Key) -> impl Future<Output = Job> + Send + use<> {
        let writes = self.planned.writes.get(&key).cloned().unwrap_or_default();
        let (api, ids, flows) = (self.api.clone(), Arc::clone(&self.ids), Arc::clone(&self.flows));
        let scope = Arc::clone(&self.scope);
        let pool = queues::pool_of(&key).map(|pool| Arc::clone(self.pools.entry(pool.to_owned()).or_default()));
        let span = self.changes.get(&key).map_or_else(Span::none, |change| traced::change(change));
        let outer = span.clone();
        let sending = async move {
            let _alone = match &pool {
                Some(pool) => Some(pool.lock().await),
                None => None,
            };
            let sender = Sender { api, ids, flows, scope };
            let result = sender.send(&key, &writes).await;
            if result.is_err() {
                span.record("otel.status_code", "ERROR");
            }
            (key, result)
        };
        sending.instrument(outer)
    }

    /// Takes note of what became of a change. One that failed stays pending if something of it may have arrived.
    fn finish(&mut self, (key, result): Job, keeper: &mut Keeper<'_>) {
        let outcome = match result {
            Ok(Some(id)) => {
                self.ids.write().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), id.clone());
                let declared = self.planned.declared.get(&key).cloned().unwrap_or_default();
                keeper.record(&key, id, declared, self.planned.keeps.contains(&key));
                for write in self.planned.writes.get(&key).into_iter().flatten() {
                    if let Write::DeleteDeployment { key: old, .. } = write {
                        keeper.forget(old);
                    }
                }
                Outcome::Done
            }
            Ok(None) => {
                keeper.forget(&key);
                Outcome::Done
            }
            Err(error) => {
                let writes = self.planned.writes.get(&key).map_or(&[][..], Vec::as_slice);
                if makes_nothing(&key, writes, &error) {
                    keeper.skip(&key);
                }
                Outcome::Failed(error.to_string())
            }
        };
        self.outcomes.insert(key, outcome);
        (self.progress)(self.outcomes.len(), self.planned.plan.changes.len());
    }

    /// What was never begun is said to be so.
    fn leave_out_the_rest(&mut self, stopped: Option<&Stopped>) {
        let why = match stopped {
            Some(Stopped::Lock(_)) => "the lock was lost before it began",
            Some(Stopped::Ledger(_)) => "the ledger failed before it began",
            None => "interrupted before it began",
        };
        for change in &self.planned.plan.changes {
            self.outcomes.entry(change.key.clone()).or_insert_with(|| Outcome::Skipped(why.to_owned()));
        }
    }
}

/// Whether nothing was made by writes that failed. What has the name then, or gets it one day, is somebody else's: it must
/// not count as ours.
fn makes_nothing(key: &Key, writes: &[Write], error: &ApiError) -> bool {
    match writes {
        // A type has its schema made by a second request, and a pool's own queue is there whatever becomes of this one.
        [Write::CreateObject { .. }] if key.kind == Kind::BlockType || key.is_default_queue() => error.is_conflict(),
        [Write::CreateObject { .. }] => error.is_conflict() || error.is_refusal(),
        [Write::CreateDeployment { .. } | Write::CreateAutomation(_)] => error.is_refusal(),
        _ => false,
    }
}

/// Lowers writes to requests.
struct Sender {
    api: Api,
    scope: Arc<str>,
    ids: Ids,
    flows: Arc<BTreeMap<String, String>>,
}

impl Sender {
    fn id(&self, key: &Key) -> Option<String> {
        self.ids.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Sends the writes of one change in order. Gives the object's id, or nothing when it is gone.
    async fn send(&self, key: &Key, writes: &[Write]) -> Result<Option<String>, ApiError> {
        let mut id = self.id(key);
        for write in writes {
            id = self.one(key, write, id).await.map_err(|error| self.named(error, key, write))?;
        }
        Ok(id)
    }

    async fn one(&self, key: &Key, write: &Write, id: Option<String>) -> Result<Option<String>, ApiError> {
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
            Write::DeleteDeployment { id: old, .. } => {
                self.api.delete_deployment(old).await?;
                Ok(id)
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
                let deployment = id.clone().or_else(|| self.id(owner)).unwrap_or_default();
                let slas = self.lower(slas);
                self.api.apply_slas(&deployment, slas.as_array().map_or(&[], Vec::as_slice)).await?;
                Ok(id)
            }
            Write::CreateObject { body } if key.is_default_queue() => {
                // The server makes it with its pool.
                self.api.update_object(key, "", &self.lower(body)).await?;
                let rows = self.api.objects(key.kind, &Which::named([key.name.clone()])).await?;
                Ok(rows.first().and_then(|(_, row)| row["id"].as_str().map(str::to_owned)))
            }
            Write::CreateObject { body } => {
                let id = self.api.create_object(key, &self.lower(body)).await?;
                self.check_owner(key).await?;
                Ok(Some(id))
            }
            Write::UpdateObject { id, patch } => {
                self.api.update_object(key, id, &self.lower(patch)).await?;
                Ok(Some(id.clone()))
            }
            Write::DeleteObject { id } => {
                self.api.delete_object(key, id).await?;
                Ok(None)
            }
            Write::Adopt { id } => Ok(Some(id.clone())),
        }
    }

    /// Where no answer said that we made an object, one that another scope made or is about to make is not ours.
    async fn check_owner(&self, key: &Key) -> Result<(), ApiError> {
        if !self.api.is_unclear(key) {
            return Ok(());
        }
        let Some(other) = self.api.meant_elsewhere(&self.scope).await?.remove(key) else { return Ok(()) };
        let detail =
            format!("`{other}` makes it too, and no answer says whose it is; run again when `{other}` is done");
        Err(ApiError::Refused { what: format!("the {key}"), request: "looking for it".to_owned(), status: 409, detail })
    }

    /// The body of an automation with the id of its deployment.
    fn automation(&self, made: &triggers::Automation) -> Value {
        let owner = self.id(&made.owner).unwrap_or_default();
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
        tree.revealed(&|key| self.id(key)).unwrap_or_default()
    }

    /// Requests know some objects by their ids, or by a part of their names: people do not.
    fn named(&self, error: ApiError, key: &Key, write: &Write) -> ApiError {
        match write {
            Write::CreateDeployment { name, .. } => error.about(&format!("`{name}`"), &key.name),
            Write::DeleteDeployment { id, key: old } => error.about(id, &old.name),
            Write::UpdateDeployment { id, .. }
            | Write::ReplaceAutomation { id, .. }
            | Write::DeleteAutomation { id } => error.about(id, &key.name),
            Write::ApplySlas { owner, .. } => match self.id(owner) {
                Some(id) => error.about(&id, &owner.name),
                None => error,
            },
            Write::CreateAutomation(_)
            | Write::CreateObject { .. }
            | Write::UpdateObject { .. }
            | Write::DeleteObject { .. }
            | Write::Adopt { .. } => error,
        }
    }
}
