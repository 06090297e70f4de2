//! Adoption: what a worker of this machine left when it died is taken over, or truthfully reported.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::health::count;
use super::journal::{Entry, Held};
use super::supervise;
use super::{Worker, report};
use crate::infra::Trace;

/// How often it is looked for what others left.
pub(super) const LOOK: Duration = Duration::from_secs(10);
/// So long a request may be on its way to a server that is busy: longer than those that it makes wait for its database.
const CLAIMING: Duration = Duration::from_secs(120);

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
    let (id, mut trace) = (entry.run.clone(), entry.trace.clone());
    // Another worker may have found it as well, and been quicker.
    let theirs = |run: &Value| keeper.as_ref().is_some_and(|keeper| run["labels"]["prefect.worker.name"] != **keeper);
    match worker.read_run(&id).await {
        None => {}
        Some(run) if report::is_final(&run) => finish(&worker, &entry).await,
        Some(run) if theirs(&run) => {}
        // Looked at again the next time: another worker may have the run by now, and may lose it.
        Some(run) if may_be_claimed_yet(&entry, &run, &held) || worker.journal.is_held(&id, Some(&held)) => {
            worker.flights.unheard(&id);
        }
        Some(run) => {
            trace = take_over(&worker, &entry, &run, &cancel).await;
            worker.place.forget(&id).await;
        }
    }
    if worker.flights.is_told(&id) {
        if let Some(attempt) = entry.attempt() {
            worker.place.clear(attempt, trace.as_ref());
        }
        held.strike_out();
    }
    worker.flights.land(&id);
    drop(permit);
}

/// Lets go of a job whose run has ended, once it has ended itself.
async fn finish(worker: &Worker, entry: &Entry) {
    if worker.place.is_remote() {
        return;
    }
    let id = &entry.run;
    let trace = match &entry.trace {
        Some(trace) => Some(trace.clone()),
        None => worker.place.search(id, entry.attempt()).await,
    };
    if let Some(trace) = trace {
        worker.place.adopt(id, &trace);
        if worker.ending.run_until_cancelled(worker.place.watch(id)).await.is_none() {
            return worker.flights.unheard(id);
        }
        worker.place.forget(id).await;
    }
}

/// Whether the claim of a worker that died may still be on its way: then nobody would know of the run once it arrives.
fn may_be_claimed_yet(entry: &Entry, run: &Value, held: &Held) -> bool {
    entry.trace.is_none() && run["state"]["type"] == "SCHEDULED" && held.age() < CLAIMING
}

/// Takes a run over that goes on and is still the one that was left; its job, if there is one.
async fn take_over(worker: &Worker, entry: &Entry, run: &Value, cancel: &CancellationToken) -> Option<Trace> {
    let Some((trace, lives)) = worker.ending.run_until_cancelled(traced(worker, entry, run)).await else {
        worker.flights.unheard(&entry.run);
        return entry.trace.clone();
    };
    let kind = run["state"]["type"].as_str().unwrap_or_default();
    let goes_on = matches!(kind, "PENDING" | "RUNNING" | "CANCELLING") || (lives && !report::is_final(run));
    let told = run["infrastructure_pid"].as_str().filter(|told| entry.earlier.as_deref() != Some(told));
    if goes_on && is_ours(entry, trace.as_ref(), run, told) {
        see_through(worker, run, trace.as_ref(), told, cancel).await;
    }
    trace
}

/// Sees a run through to its end, or says that it never began.
async fn see_through(
    worker: &Worker,
    run: &Value,
    trace: Option<&Trace>,
    told: Option<&str>,
    cancel: &CancellationToken,
) {
    let id = run["id"].as_str().unwrap_or_default();
    let Some(trace) = trace else {
        worker.crashed(id, "The worker that had taken this flow run died before it had started it.").await;
        return;
    };
    if worker.place.adopt(id, trace) {
        count(&worker.counts.adopted);
        worker.say(&format!("Adopted flow run '{id}', whose worker died"));
        let _ = worker.api.label_run(id, &supervise::labels(worker)).await;
        if told.is_none() {
            let _ = worker.api.set_infrastructure(id, &trace.handle.0).await;
        }
        if run["state"]["type"] == "CANCELLING" {
            cancel.cancel();
        }
    }
    supervise::attend(worker, id, cancel).await;
}

/// The job of a run that was left, and whether it runs: one that waits to try again, or is paused, may wait there.
async fn traced(worker: &Worker, entry: &Entry, run: &Value) -> (Option<Trace>, bool) {
    let trace = match &entry.trace {
        Some(trace) => Some(trace.clone()),
        None => found(worker, run, entry.attempt()).await,
    };
    let lives = match &trace {
        Some(trace) => worker.place.lives(trace).await,
        None => false,
    };
    (trace, lives)
}

/// The job of a run of which nothing was noted. What has ended before the run was taken again is of an attempt before.
pub(super) async fn found(worker: &Worker, run: &Value, attempt: Option<&str>) -> Option<Trace> {
    let found = worker.place.search(run["id"].as_str()?, attempt).await?;
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
