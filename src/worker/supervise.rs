//! One run, from the claim to the report.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::configure::{self, Relatives};
use super::journal::{Entry, Held};
use super::logs::Level;
use super::ready;
use super::report::is_final;
use crate::api::{Proposal, Verdict};
use crate::infra::{HookKind, InfraError};
use crate::model::job::{Meaning, meaning};
use crate::model::{JobSpec, RunExit, RunHandle};

/// So long a run that is cancelled may take to end by itself (Prefect's worker grants the same).
const GRACE: Duration = Duration::from_secs(30);
/// The same for one whose worker stops.
const LAST_GRACE: Duration = Duration::from_secs(8);

/// How a process ends that is killed.
const KILLED: i32 = -9;
/// What it means if its memory was the reason.
const OUT_OF_MEMORY: Meaning = Meaning {
    explanation: "It was killed because it needed more memory than its limit allows.",
    resolution: "Give its worker a higher `--memory-limit`, or make it need less",
    expected: false,
};

/// Takes a run through all of it. Nothing that goes wrong leaves this function.
pub(super) async fn fly(
    worker: Arc<Worker>,
    run: Value,
    id: String,
    cancel: CancellationToken,
    permit: Option<OwnedSemaphorePermit>,
) {
    let mut flight = Flight::begin(&worker, &run, id.clone()).await;
    if let Some(relatives) = flight.claim(run).await {
        let relatives = Arc::new(relatives);
        worker.flights.know(&id, relatives.clone());
        if let Some(handle) = flight.launch(&relatives, &cancel).await {
            let event = worker.tell_of_run("prefect.worker.submitted-flow-run", &relatives, None, None);
            let name = relatives.run["name"].as_str().unwrap_or(&id);
            // A server that is slow to take in what the run is may take longer than the run: it is told all the same,
            // while the next run has its place.
            let over = CancellationToken::new();
            let attended = async {
                let code = attend(&worker, &id, &cancel).await;
                drop(permit);
                over.cancel();
                code
            };
            let ((), code) = tokio::join!(flight.introduce(name, &handle, &over), attended);
            if let Some(code) = code {
                let end = Some((handle.0.as_str(), code));
                worker.tell_of_run("prefect.worker.executed-flow-run", &relatives, end, Some(&event));
            }
        }
        worker.place.forget(&id).await;
    }
    // Before it lands: afterwards it can be taken again, and noted under the same name.
    if worker.flights.is_told(&id) {
        flight.held.into_iter().for_each(Held::strike_out);
    }
    worker.flights.land(&id);
}

/// A run on its way to its process.
struct Flight<'a> {
    worker: &'a Worker,
    id: String,
    /// The infrastructure of the attempt before.
    earlier: Option<String>,
    pending: Proposal,
    submitting: Proposal,
    /// Its entry in the journal, unless the disk did not take it.
    held: Option<Held>,
}

impl<'a> Flight<'a> {
    async fn begin(worker: &'a Worker, run: &Value, id: String) -> Flight<'a> {
        worker.log(&id, Level::Info, &format!("Worker '{}' submitting flow run '{id}'", worker.name));
        let (pending, submitting) = (Proposal::of("PENDING", "Pending"), Proposal::of("PENDING", "Submitting"));
        let earlier = run["infrastructure_pid"].as_str().map(str::to_owned);
        let mut flight = Flight { worker, id, earlier, pending, submitting, held: None };
        flight.note().await;
        flight
    }

    /// Notes in the journal how far it is.
    async fn note(&mut self) {
        let entry = Entry {
            api: self.worker.api.connection().url.clone(),
            pool: self.worker.options.pool.clone(),
            machine: super::journal::machine().to_owned(),
            run: self.id.clone(),
            claims: vec![self.pending.id().to_owned(), self.submitting.id().to_owned()],
            earlier: self.earlier.clone(),
            trace: self.worker.place.trace(&self.id),
        };
        let journal = self.worker.journal.clone();
        match tokio::task::spawn_blocking(move || journal.note(&entry)).await {
            Ok(Ok(held)) => self.held = Some(held),
            Ok(Err(error)) => tracing::warn!(%error, "the run cannot be noted: if this worker dies, it is not found"),
            Err(error) => tracing::warn!(%error, "the run was not noted"),
        }
    }

    /// Makes the run ours. `None` if it is not to be, which is no failure: others work here too.
    async fn claim(&self, run: Value) -> Option<Relatives> {
        let (worker, id) = (self.worker, self.id.as_str());
        let (deployment_id, flow_id) = (run["deployment_id"].as_str(), run["flow_id"].as_str().unwrap_or_default());
        let deployment = async {
            match deployment_id {
                Some(id) => worker.api.deployment_by_id(id).await,
                None => Ok(Some(Value::Null)),
            }
        };
        let (deployment, flow) = match tokio::join!(deployment, worker.api.flow_by_id(flow_id)) {
            (Ok(deployment), Ok(flow)) => (deployment, flow.unwrap_or_default()),
            (Err(error), _) | (_, Err(error)) => {
                worker.say(&format!("flow run '{id}' is left for later: {error}"));
                return None;
            }
        };
        let Some(deployment) = deployment else {
            let missing = deployment_id.unwrap_or_default();
            worker.cancelled(id, &format!("Deployment {missing} no longer exists, cancelled run.")).await;
            return None;
        };
        let refused = match worker.insist(id, &self.pending).await {
            Ok(Verdict::Accepted) => return Some(Relatives { run, deployment, flow }),
            Ok(Verdict::Rejected { kind, .. }) => format!("Server returned a non-pending state '{kind}'"),
            Ok(Verdict::Aborted { reason }) => format!("Server sent an abort signal: {reason}"),
            Ok(Verdict::Wait { .. }) => return None,
            Err(error) => {
                worker.say(&format!("Failed to update state of flow run '{id}': {error}"));
                return None;
            }
        };
        worker.log(id, Level::Info, &format!("Aborted submission of flow run '{id}': {refused}"));
        None
    }

    /// Starts the run's infrastructure; `None` if that failed and was reported.
    async fn launch(&mut self, relatives: &Relatives, cancel: &CancellationToken) -> Option<RunHandle> {
        let (worker, id) = (self.worker, self.id.clone());
        let name = relatives.run["name"].as_str().unwrap_or(&id);
        let job = match configure::job(worker, relatives, self.pending.id()).await {
            Ok(job) => job,
            Err(error) => {
                worker.log(
                    &id,
                    Level::Error,
                    &format!("Failed to submit flow run '{name}' to infrastructure. {error}"),
                );
                worker.crashed(&id, &format!("Failed to submit flow run to infrastructure: {error}")).await;
                return None;
            }
        };
        if let Err(error) = worker.api.propose(&id, &self.submitting).await {
            tracing::info!(run = id, %error, "the run is not shown as being submitted");
        }
        let handle = match self.start(&job, cancel).await {
            Ok(handle) => handle,
            Err(InfraError::Abandoned) if cancel.is_cancelled() => {
                worker.cancelled(&id, "Flow run was cancelled successfully.").await;
                return None;
            }
            Err(InfraError::Abandoned) => {
                worker.crashed(&id, "Flow run was ended: its worker stopped.").await;
                return None;
            }
            Err(error) => {
                let _ = worker.api.label_run(&id, &labels(worker)).await;
                let (logged, message) = match worker.place.is_remote() {
                    true => (
                        format!("Failed to submit flow run '{name}' to infrastructure. {error}"),
                        format!("Failed to submit flow run to infrastructure: {error}"),
                    ),
                    false => (
                        format!("Flow run '{id}' could not start: {error}"),
                        format!("Flow run could not start: {error}"),
                    ),
                };
                worker.log(&id, Level::Error, &logged);
                worker.crashed(&id, &message).await;
                return None;
            }
        };
        self.note().await;
        if job.ready.is_some() {
            ready::tell(worker, relatives, &id);
        }
        Some(handle)
    }

    /// Starts the job; that is given up if the run is to be cancelled, or if this worker ends.
    async fn start(&self, job: &JobSpec, cancel: &CancellationToken) -> Result<RunHandle, InfraError> {
        let mut starting = self.worker.place.start(job);
        tokio::select! {
            started = &mut starting => return started,
            () = cancel.cancelled() => {}
            () = self.worker.ending.cancelled() => {}
        }
        self.worker.place.abandon(&self.id);
        starting.await
    }

    /// Tells the server what runs and where. One request after the other, while the process starts: a small database
    /// refuses two writes at once. A server that is away is waited for. `over`: the attempt has ended.
    async fn introduce(&self, name: &str, handle: &RunHandle, over: &CancellationToken) {
        let (worker, id) = (self.worker, self.id.as_str());
        let labels = labels(worker);
        let labelled = worker.persist(id, over, || worker.api.label_run(id, &labels)).await;
        if let Err(error) = labelled {
            tracing::warn!(run = id, %error, "the run got no labels");
        }
        let placed = worker.persist(id, over, || worker.api.set_infrastructure(id, &handle.0)).await;
        if let Err(error) = placed {
            tracing::warn!(run = id, %error, "the server does not know the run's infrastructure");
        }
        worker.log(id, Level::Info, &format!("Flow run '{name}' submitted to infrastructure"));
    }
}

/// What the server is told of who has a run.
pub(super) fn labels(worker: &Worker) -> Value {
    let pool = worker.pool();
    json!({
        "prefect.worker.name": worker.name,
        "prefect.worker.type": pool["type"],
        "prefect.work-pool.name": pool["name"],
        "prefect.work-pool.id": pool["id"],
    })
}

/// What is to be done about a run that goes on.
enum Turn {
    Ended(Result<RunExit, InfraError>),
    Cancel,
    Late(Duration),
    Stop,
}

/// Waits for the end of a run, or brings it about, and reports what the run cannot say itself. The code that its
/// process is said to have ended with; none if the run goes on without us.
pub(super) async fn attend(worker: &Worker, id: &str, cancel: &CancellationToken) -> Option<i32> {
    let turn = tokio::select! {
        exit = worker.place.watch(id) => Turn::Ended(exit),
        () = cancel.cancelled() => Turn::Cancel,
        limit = late(worker) => Turn::Late(limit),
        () = worker.ending.cancelled() => Turn::Stop,
    };
    Some(match turn {
        Turn::Ended(Ok(exit)) => ended(worker, id, exit).await,
        Turn::Ended(Err(error)) => {
            worker.log(id, Level::Error, &format!("Lost flow run '{id}': {error}"));
            -1
        }
        Turn::Cancel => {
            end_cancelled(worker, id).await;
            0
        }
        Turn::Late(limit) => {
            end_late(worker, id, limit).await;
            -15
        }
        Turn::Stop if worker.place.is_remote() => {
            // It stays in the journal, for the worker that comes next.
            worker.flights.unheard(id);
            return None;
        }
        Turn::Stop => {
            if let Err(error) = worker.place.stop(id, LAST_GRACE).await {
                tracing::warn!(run = id, %error, "the run could not be ended");
            }
            report_lost(worker, id, "Flow run was ended: its worker stopped.").await;
            -15
        }
    })
}

/// Waits until a run has taken longer than it may; for ever if it may take its time.
async fn late(worker: &Worker) -> Duration {
    match worker.options.time_limit {
        Some(limit) => {
            tokio::time::sleep(limit).await;
            limit
        }
        None => std::future::pending().await,
    }
}

/// Ends a run that took too long. What it says itself, that it was ended, is not the reason.
async fn end_late(worker: &Worker, id: &str, limit: Duration) {
    let message = format!("Flow run took longer than its time limit of {} s.", limit.as_secs());
    worker.log(id, Level::Error, &message);
    if let Err(error) = worker.place.stop(id, GRACE).await {
        tracing::warn!(run = id, %error, "the run could not be ended");
    }
    let own = |run: &Value| is_final(run) && run["state"]["type"] != "CRASHED";
    if worker.read_run(id).await.is_some_and(|run| !own(&run)) {
        let proposal = Proposal::of("CRASHED", "Crashed").saying(message).by_force();
        worker.report_crash(id, &proposal).await;
        run_hooks(worker, HookKind::Crashed, id, "CRASHED").await;
    }
}

/// Reports an end of which the engine has not said anything.
async fn ended(worker: &Worker, id: &str, exit: RunExit) -> i32 {
    let code = match exit {
        RunExit { concluded: true, .. } => 0,
        RunExit { code: Some(code), .. } => code,
        RunExit { code: None, out_of_memory: true, .. } => KILLED,
        RunExit { code: None, .. } => {
            let what = if worker.place.is_remote() { "container" } else { "process" };
            report_lost(worker, id, &format!("Flow run {what} ended while no worker watched it.")).await;
            return 0;
        }
    };
    if code == 0 {
        return code;
    }
    let meaning = if exit.out_of_memory { OUT_OF_MEMORY } else { meaning(code) };
    let mut message = match worker.place.is_remote() {
        true => format!("Flow run infrastructure exited with non-zero status code {code}. {}", meaning.explanation),
        false => format!("Process exited with status code: {code}. {}", meaning.explanation),
    };
    if let Some(remark) = worker.place.remark(id) {
        message = format!("{message} {remark}");
    }
    let level = if meaning.expected { Level::Info } else { Level::Error };
    worker.log(id, level, &message);
    if worker.crashed(id, &message).await {
        run_hooks(worker, HookKind::Crashed, id, "CRASHED").await;
    }
    worker.log(id, Level::Info, meaning.resolution);
    code
}

/// Reports a run whose process is gone, whatever its end was, unless it has said itself how it goes on.
async fn report_lost(worker: &Worker, id: &str, message: &str) {
    let Some(run) = worker.read_run(id).await else { return };
    match run["state"]["type"].as_str().unwrap_or_default() {
        "CANCELLING" => worker.cancelled(id, "Flow run was cancelled successfully.").await,
        "PENDING" | "RUNNING" => drop(worker.crashed(id, message).await),
        _ => {}
    }
}

/// Ends a run that is to be cancelled.
async fn end_cancelled(worker: &Worker, id: &str) {
    worker.log(id, Level::Info, &format!("Cancelling flow run '{id}'"));
    let ended = match worker.place.is_remote() && !has_begun(worker, id).await {
        // Nothing is there yet that would hear of it.
        true => worker.place.stop(id, GRACE).await,
        false => worker.place.cancel(id, GRACE).await,
    };
    if let Err(error) = ended {
        tracing::warn!(run = id, %error, "the run could not be ended");
    }
    run_hooks(worker, HookKind::Cancellation, id, "CANCELLING").await;
    // It may have ended by itself in the last moment; then that is what happened.
    if worker.read_run(id).await.is_some_and(|run| !is_final(&run)) {
        worker.cancelled(id, "Flow run was cancelled successfully.").await;
    }
}

/// Whether a run was in the state Running once.
async fn has_begun(worker: &Worker, id: &str) -> bool {
    !matches!(worker.api.flow_run(id).await, Ok(Some(run)) if run["start_time"].is_null())
}

/// Has the flow's own hooks run, if the run is in the state they are for.
async fn run_hooks(worker: &Worker, kind: HookKind, id: &str, state: &str) {
    let run = match worker.api.flow_run(id).await {
        Ok(Some(run)) if run["state"]["type"] == state => run,
        Ok(_) => return,
        Err(error) => return worker.log(id, Level::Warning, &format!("The hooks were not run: {error}")),
    };
    if let Err(error) = worker.place.hooks(kind, id, &run, &run["state"]).await {
        worker.log(id, Level::Warning, &error.to_string());
    }
}
