//! Listening: the server's events say at once that a run is due or to be cancelled. Without them, polling does.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Worker;
use super::patience::{Patience, REFUSED, about};
use crate::api::{Socket, SocketError};

/// Events after which a run may be due.
const DUE: [&str; 4] = [
    "prefect.flow-run.Scheduled",
    "prefect.flow-run.AwaitingRetry",
    "prefect.flow-run.Resuming",
    "prefect.flow-run.AwaitingConcurrencySlot",
];
/// The event after which a run is to be cancelled.
const CANCELLING: &str = "prefect.flow-run.Cancelling";
/// How far ahead of our clock the server's may be.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Listens, again and again; where the server refuses to tell events, now and then.
pub(super) async fn keep_listening(worker: Arc<Worker>) {
    let mut patience = Patience::default();
    loop {
        let pause = match listen(&worker, &mut patience).await {
            SocketError::Refused(status) => {
                tracing::info!(status, "the server tells no events; polling alone finds runs");
                about(REFUSED)
            }
            error => {
                tracing::info!(%error, "events are not heard for a while");
                patience.next()
            }
        };
        worker.hears.store(false, std::sync::atomic::Ordering::Relaxed);
        tokio::time::sleep(pause).await;
    }
}

async fn listen(worker: &Worker, patience: &mut Patience) -> SocketError {
    let mut socket = match subscribe(worker).await {
        Ok(socket) => socket,
        Err(error) => return error,
    };
    let begun = Instant::now();
    worker.hears.store(true, std::sync::atomic::Ordering::Relaxed);
    // What happened before is found by asking.
    worker.wake.notify_one();
    worker.ask.notify_one();
    loop {
        match socket.next().await {
            Ok(message) => heard(worker, &message["event"]),
            Err(error) => {
                patience.lasted(begun.elapsed());
                return error;
            }
        }
    }
}

async fn subscribe(worker: &Worker) -> Result<Socket, SocketError> {
    let mut socket = worker.api.socket("/events/out").await?;
    let pool = worker.pool();
    let now = jiff::Timestamp::now();
    let names: Vec<&str> = DUE.into_iter().chain([CANCELLING]).collect();
    let filter = json!({
        "occurred": {"since": now.to_string(), "until": (now + YEAR).to_string()},
        "event": {"name": names},
        "any_resource": {"id": [format!("prefect.work-pool.{}", pool["id"].as_str().unwrap_or_default())]},
    });
    socket.send(&json!({"type": "filter", "filter": filter})).await?;
    Ok(socket)
}

fn heard(worker: &Worker, event: &Value) {
    let name = event["event"].as_str().unwrap_or_default();
    if name == CANCELLING {
        let run = event["resource"]["prefect.resource.id"].as_str().unwrap_or_default();
        worker.flights.cancel(run.trim_start_matches("prefect.flow-run."));
    } else if DUE.contains(&name) {
        worker.wake.notify_one();
    }
}
