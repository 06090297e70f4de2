//! Cancellation: finds out which of our runs are to be cancelled, and tells their tasks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Worker;
use super::patience::about;

/// How often it is asked while nobody tells us (Prefect's runner asks as often).
const ASKING: Duration = Duration::from_secs(10);
/// How often it is asked all the same while events come in: one can be lost.
const MAKING_SURE: Duration = Duration::from_secs(60);

/// Asks again and again, as long as there are runs that could be cancelled.
pub(super) async fn keep_asking(worker: Arc<Worker>) {
    loop {
        let pause = if worker.hears.load(Ordering::Relaxed) { MAKING_SURE } else { ASKING };
        tokio::select! {
            () = tokio::time::sleep(about(pause)) => {}
            () = worker.ask.notified() => {}
        }
        let runs = worker.flights.ids();
        if runs.is_empty() {
            continue;
        }
        match worker.api.cancelling(&runs).await {
            Ok(found) => found.iter().for_each(|run| worker.flights.cancel(run)),
            Err(error) => tracing::info!(%error, "it is not known which runs are to be cancelled"),
        }
    }
}
