//! One run, from the claim to the report.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::configure::{self, Relatives};
use super::logs::Level;
use super::report::is_final;
use crate::api::{Proposal, Verdict};
use crate::infra::{HookKind, InfraError};
use crate::model::RunExit;
use crate::model::job::meaning;

/// So long a run that is cancelled may take to end by itself (Prefect's worker grants the same).
const GRACE: Duration = Duration::from_secs(30);
/// The same for one whose worker stops.
const LAST_GRACE: Duration = Duration::from_secs(8);

/// Takes a run through all of it. Nothing that goes wrong leaves this function.
pub(super) async fn fly(
    worker: Arc<Worker>,
    run: Value,
    id: String,
    cancel: CancellationToken,
    permit: Option<OwnedSemaphorePermit>,
) {
    if let Some(relatives) = claim(&worker, run, &id).await {
        if launch(&worker, &relatives, &id).await {
            attend(&worker, &relatives, &id, &cancel).await;
        }
        worker.place.forget(&id).await;
    }
    worker.flights.land(&id);
    drop(permit);
}

/// Makes the run ours. `None` if it is not to be, which is no failure: others work here too.
async fn claim(worker: &Worker, run: Value, id: &str) -> Option<Relatives> {
    worker.log(id, Level::Info, &format!("Worker '{}' submitting flow run '{id}'", worker.name));
    let (deployment_id, flow_id) = (run["deployment_id"].as_str(), run["flow_id"].as_str().unwrap_or_default());
    let deployment = async {
        match deployment_id {
            Some(id) => worker.api.deployment_by_id(id).await,
            None => Ok(Some(Value::Null)),
        }
    };
    let (deployment, flow) = tokio::join!(deployment, worker.api.flow_by_id(flow_id));
    let (deployment, flow) = match (deployment, flow) {
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
    match worker.insist(id, &Proposal::of("PENDING", "Pending")).await {
        Ok(Verdict::Accepted) => Some(Relatives { run, deployment, flow }),
        Ok(Verdict::Rejected { kind, .. }) if kind == "PENDING" => Some(Relatives { run, deployment, flow }),
        Ok(Verdict::Rejected { kind, .. }) => {
            let text = format!("Aborted submission of flow run '{id}': Server returned a non-pending state '{kind}'");
            worker.log(id, Level::Info, &text);
            None
        }
        Ok(Verdict::Aborted { reason }) => {
            let text = format!("Aborted submission of flow run '{id}'. Server sent an abort signal: {reason}");
            worker.log(id, Level::Info, &text);
            None
        }
        Ok(Verdict::Wait { .. }) => None,
        Err(error) => {
            worker.say(&format!("Failed to update state of flow run '{id}': {error}"));
            None
        }
    }
}

/// Starts the run's infrastructure; false if that failed and was reported.
async fn launch(worker: &Worker, relatives: &Relatives, id: &str) -> bool {
    let name = relatives.run["name"].as_str().unwrap_or(id);
    let job = match configure::job(worker, relatives).await {
        Ok(job) => job,
        Err(error) => {
            worker.log(id, Level::Error, &format!("Failed to submit flow run '{name}' to infrastructure. {error}"));
            worker.crashed(id, &format!("Failed to submit flow run to infrastructure: {error}")).await;
            return false;
        }
    };
    let labels = labels(worker);
    let submitting = Proposal::of("PENDING", "Submitting");
    let (labelled, _) = tokio::join!(worker.api.label_run(id, &labels), worker.api.propose(id, &submitting));
    if let Err(error) = labelled {
        tracing::warn!(run = id, %error, "the run got no labels");
    }
    let handle = match worker.place.start(&job).await {
        Ok(handle) => handle,
        Err(error) => {
            worker.log(id, Level::Error, &format!("Flow run '{id}' could not start: {error}"));
            worker.crashed(id, &format!("Flow run could not start: {error}")).await;
            return false;
        }
    };
    if let Err(error) = worker.api.set_infrastructure(id, &handle.0).await {
        tracing::warn!(run = id, %error, "the server does not know the run's infrastructure");
    }
    worker.log(id, Level::Info, &format!("Flow run '{name}' submitted to infrastructure"));
    true
}

fn labels(worker: &Worker) -> Value {
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
    Stop,
}

/// Waits for the end of a run, or brings it about, and reports what the run cannot say itself.
async fn attend(worker: &Worker, relatives: &Relatives, id: &str, cancel: &CancellationToken) {
    let mut watched = worker.place.watch(id);
    let turn = tokio::select! {
        exit = &mut watched => Turn::Ended(exit),
        () = cancel.cancelled() => Turn::Cancel,
        () = worker.ending.cancelled() => Turn::Stop,
    };
    drop(watched);
    match turn {
        Turn::Ended(Ok(exit)) => ended(worker, relatives, id, exit).await,
        Turn::Ended(Err(error)) => worker.log(id, Level::Error, &format!("Lost flow run '{id}': {error}")),
        Turn::Cancel => end_cancelled(worker, id).await,
        Turn::Stop => {
            if let Err(error) = worker.place.stop(id, LAST_GRACE).await {
                tracing::warn!(run = id, %error, "the run could not be ended");
            }
            worker.crashed(id, "Flow run was ended: its worker stopped.").await;
        }
    }
}

/// Reports an end of which the engine has not said anything.
async fn ended(worker: &Worker, relatives: &Relatives, id: &str, exit: RunExit) {
    let code = match exit {
        RunExit { concluded: true, .. } => 0,
        RunExit { code: Some(code), .. } => code,
        RunExit { code: None, .. } => {
            worker.crashed(id, "Flow run process ended while no worker watched it.").await;
            return;
        }
    };
    if code == 0 {
        return;
    }
    let meaning = meaning(code);
    let message = format!("Process exited with status code: {code}. {}", meaning.explanation);
    let level = if meaning.expected { Level::Info } else { Level::Error };
    worker.log(id, level, &message);
    if worker.crashed(id, &message).await {
        run_hooks(worker, HookKind::Crashed, id, "CRASHED").await;
    }
    worker.log(id, Level::Info, meaning.resolution);
    let _ = relatives;
}

/// Ends a run that is to be cancelled.
async fn end_cancelled(worker: &Worker, id: &str) {
    worker.log(id, Level::Info, &format!("Cancelling flow run '{id}'"));
    if let Err(error) = worker.place.cancel(id, GRACE).await {
        tracing::warn!(run = id, %error, "the run could not be ended");
    }
    run_hooks(worker, HookKind::Cancellation, id, "CANCELLING").await;
    // It may have ended by itself in the last moment; then that is what happened.
    if !matches!(worker.api.flow_run(id).await, Ok(Some(run)) if is_final(&run)) {
        worker.cancelled(id, "Flow run was cancelled successfully.").await;
    }
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
