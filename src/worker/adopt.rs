//! Adoption: what a worker of this machine left when it died is taken over, or truthfully reported.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::journal::{Entry, Held};
use super::patience::Patience;
use super::supervise;
use super::{Worker, report};
use crate::infra::Trace;

/// How often it is looked for what others left.
pub(super) const LOOK: Duration = Duration::from_secs(10);

/// A run that a dead worker left, and that is ours now.
pub(super) struct Orphan {
    pub entry: Entry,
    /// Who had it as far as the server knows, if that is how it was found.
    pub keeper: Option<String>,
    pub held: Held,
    pub cancel: CancellationToken,
}

/// What dead workers left of our pool's runs, but for those that we have ourselves.
pub(super) fn orphans(worker: &Worker) -> Vec<Orphan> {
    let left = worker.journal.orphans(&worker.api.connection().url, &worker.options.pool);
    let ours = |(entry, held): (Entry, Held)| {
        let cancel = worker.flights.board(&entry.run)?;
        Some(Orphan { entry, keeper: None, held, cancel })
    };
    let mut found: Vec<Orphan> = left.into_iter().filter_map(ours).collect();
    found.append(&mut worker.strays());
    found
}

/// Takes one through to its end. It has a place if there was one: it runs already.
pub(super) async fn adopt(worker: Arc<Worker>, orphan: Orphan, permit: Option<OwnedSemaphorePermit>) {
    let Orphan { entry, keeper, held, cancel } = orphan;
    let id = entry.run.clone();
    if let Some(run) = read(&worker, &id).await
        && !report::is_final(&run)
        // Another worker may have found it as well, and been quicker.
        && keeper.is_none_or(|keeper| run["labels"]["prefect.worker.name"] == keeper)
    {
        take_over(&worker, &entry, &run, &cancel).await;
        worker.place.forget(&id).await;
    }
    if worker.flights.is_told(&id) {
        held.strike_out();
    }
    worker.flights.land(&id);
    drop(permit);
}

/// The run as the server has it; none if it is gone, or if this worker ends before there is an answer.
async fn read(worker: &Worker, id: &str) -> Option<Value> {
    let mut patience = Patience::default();
    loop {
        match worker.api.flow_run(id).await {
            Ok(run) => return run,
            Err(error) => tracing::info!(run = id, %error, "a run that was left cannot be read yet"),
        }
        if worker.ending.run_until_cancelled(tokio::time::sleep(patience.next())).await.is_none() {
            worker.flights.unheard(id);
            return None;
        }
    }
}

async fn take_over(worker: &Worker, entry: &Entry, run: &Value, cancel: &CancellationToken) {
    let id = &entry.run;
    let kind = run["state"]["type"].as_str().unwrap_or_default();
    let trace = match &entry.trace {
        Some(trace) => Some(trace.clone()),
        None => found(worker, run).await,
    };
    // One that waits to try again, or is paused, may wait in its process.
    let lives = match &trace {
        Some(trace) => worker.place.lives(trace).await,
        None => false,
    };
    let goes_on = matches!(kind, "PENDING" | "RUNNING" | "CANCELLING") || (lives && !report::is_final(run));
    if !goes_on {
        return;
    }
    let told = run["infrastructure_pid"].as_str();
    if !is_ours(entry, trace.as_ref(), run, told) {
        return;
    }
    let Some(trace) = trace else {
        worker.crashed(id, "The worker that had taken this flow run died before it had started it.").await;
        return;
    };
    if worker.place.adopt(id, &trace) {
        worker.say(&format!("Adopted flow run '{id}', whose worker died"));
        let _ = worker.api.label_run(id, &supervise::labels(worker)).await;
        if told.is_none() {
            let _ = worker.api.set_infrastructure(id, &trace.handle.0).await;
        }
        if kind == "CANCELLING" {
            cancel.cancel();
        }
    }
    supervise::attend(worker, id, cancel).await;
}

/// The job of a run of which nothing was noted. What has ended before the run was taken again is of an attempt before.
pub(super) async fn found(worker: &Worker, run: &Value) -> Option<Trace> {
    let found = worker.place.search(run["id"].as_str()?).await?;
    let earlier = run["state"]["type"] == "PENDING" && !worker.place.lives(&found).await;
    (!earlier).then_some(found)
}

/// Whether the run is still the one that the dead worker had: others may have had it since. Without a job, the claim
/// says so: the server keeps the job of the attempt before.
fn is_ours(entry: &Entry, trace: Option<&Trace>, run: &Value, told: Option<&str>) -> bool {
    match (trace, told) {
        (Some(trace), Some(told)) => trace.handle.0 == told,
        (Some(_), None) => true,
        (None, _) => {
            let by = run["state"]["state_details"]["transition_id"].as_str();
            by.is_some_and(|by| entry.claims.iter().any(|claim| claim == by))
        }
    }
}
