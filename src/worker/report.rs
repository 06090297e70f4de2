//! What the server is told about a run: insisted on until there is an answer.

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::health::count;
use super::logs::Level;
use super::patience::Patience;
use crate::api::{ApiError, Proposal, Verdict};

/// Types of states after which nothing comes.
const FINAL: [&str; 4] = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"];

/// Whether a run has ended, as the API has it.
pub(super) fn is_final(run: &Value) -> bool {
    run["state"]["type"].as_str().is_some_and(|kind| FINAL.contains(&kind))
}

impl Worker {
    /// The run as the server has it. None if it is gone, or if this worker ends before there is an answer: then the run
    /// stays in its journal.
    pub(super) async fn read_run(&self, id: &str) -> Option<Value> {
        let mut patience = Patience::default();
        loop {
            match self.api.flow_run(id).await {
                Ok(run) => return run,
                Err(error) => tracing::info!(run = id, %error, "the run cannot be read yet"),
            }
            if self.ending.run_until_cancelled(tokio::time::sleep(patience.next())).await.is_none() {
                self.flights.unheard(id);
                return None;
            }
        }
    }

    /// Proposes a state until the server answers, be that hours; only a worker that ends gives up, and leaves the run
    /// in its journal. The answer is to wait if the server still said so then.
    pub(super) async fn insist(&self, run: &str, proposal: &Proposal) -> Result<Verdict, ApiError> {
        let mut patience = Patience::default();
        loop {
            let error = match self.api.propose(run, proposal).await {
                Ok(Verdict::Wait { seconds }) => {
                    let wait = std::time::Duration::try_from_secs_f64(seconds.clamp(0.0, 3600.0)).unwrap_or_default();
                    if self.ending.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                        self.flights.unheard(run);
                        return Ok(Verdict::Wait { seconds });
                    }
                    continue;
                }
                Ok(Verdict::Aborted { .. }) if self.has_taken(run, proposal).await => return Ok(Verdict::Accepted),
                Err(error) if error.is_transient() => error,
                answer => return answer,
            };
            if self.ending.is_cancelled() {
                self.flights.unheard(run);
                return Err(error);
            }
            tracing::warn!(run, %error, "the state of the run could not be told; trying again");
            let _ = self.ending.run_until_cancelled(tokio::time::sleep(patience.next())).await;
        }
    }

    /// Whether a proposal that is refused was accepted before, and the answer was lost: then the run is in that state.
    async fn has_taken(&self, run: &str, proposal: &Proposal) -> bool {
        let ours = |run: &Value| run["state"]["state_details"]["transition_id"] == proposal.id();
        matches!(self.api.flow_run(run).await, Ok(Some(found)) if ours(&found))
    }

    /// Tells something about a run, again while the server does not answer, until this worker ends. An attempt that is
    /// `over` is told of only if none can follow: the next one may be another worker's.
    pub(super) async fn persist<F>(
        &self,
        run: &str,
        over: &CancellationToken,
        tell: impl Fn() -> F,
    ) -> Result<(), ApiError>
    where
        F: Future<Output = Result<(), ApiError>>,
    {
        let mut patience = Patience::default();
        loop {
            let error = match tell().await {
                Err(error) if error.is_transient() => error,
                answer => return answer,
            };
            tokio::select! {
                () = tokio::time::sleep(patience.next()) => {}
                () = self.ending.cancelled() => return Err(error),
            }
            if over.is_cancelled()
                && matches!(self.api.flow_run(run).await, Ok(found) if !found.as_ref().is_some_and(is_final))
            {
                return Err(error);
            }
        }
    }

    /// Reports a run as crashed, unless it has said itself how it ended; true if that is its state now.
    pub(super) async fn crashed(&self, run: &str, message: &str) -> bool {
        let accepted = self.report_crash(run, &Proposal::of("CRASHED", "Crashed").saying(message)).await;
        if accepted {
            self.log(run, Level::Info, &format!("Reported flow run '{run}' as crashed: {message}"));
        }
        accepted
    }

    /// The same with a proposal of one's own.
    pub(super) async fn report_crash(&self, run: &str, proposal: &Proposal) -> bool {
        match self.insist(run, proposal).await {
            Ok(Verdict::Accepted) => {
                count(&self.counts.crashed);
                true
            }
            Ok(Verdict::Rejected { .. } | Verdict::Aborted { .. } | Verdict::Wait { .. }) => false,
            Err(error) => {
                self.log(run, Level::Error, &format!("Failed to update state of flow run '{run}': {error}"));
                false
            }
        }
    }

    /// Sets a run to cancelled, whatever it is.
    pub(super) async fn cancelled(&self, run: &str, message: &str) {
        let proposal = Proposal::of("CANCELLED", "Cancelled").saying(message).by_force();
        match self.insist(run, &proposal).await {
            Ok(_) => count(&self.counts.cancelled),
            Err(error) => {
                self.log(run, Level::Error, &format!("Failed to update state of flow run '{run}': {error}"));
            }
        }
    }

    /// Says something about a run, here and among its logs.
    pub(super) fn log(&self, run: &str, level: Level, message: &str) {
        self.say(message);
        self.logs.add(run, level, message);
    }
}
