//! The workers' channel: signs of life and news of the pool over one connection, where the server has it.
//!
//! Prefect 3.8.8 `server/api/workers.py`, `work_pool_worker_channel.v1`: hello, ready with the pool, heartbeats, and the
//! pool again whenever it changes. Frames must hold exactly the keys that the other side knows. While there is no
//! channel, `pool.rs` does the same by requests.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::patience::{Patience, REFUSED, about};
use super::{Worker, pool};
use crate::api::{Socket, SocketError};

/// How long the server may take to be ready.
const SETUP: Duration = Duration::from_secs(10);
/// Codes with which a server refuses: a word of ours that it does not understand, or does not allow.
const REFUSALS: [u16; 2] = [1002, 1008];

/// Keeps the channel open; where there is none to be had it is asked for now and then.
pub(super) async fn keep_open(worker: Arc<Worker>) {
    let consumer = uuid::Uuid::new_v4().to_string();
    let mut patience = Patience::default();
    loop {
        let error = match open(&worker, &consumer).await {
            Ok((mut socket, ready)) => {
                let begun = Instant::now();
                worker.channel.store(true, Ordering::Relaxed);
                let error = talk(&worker, &consumer, &mut socket, &ready).await;
                worker.channel.store(false, Ordering::Relaxed);
                patience.lasted(begun.elapsed());
                error
            }
            Err(error) => error,
        };
        tracing::info!(%error, "no workers' channel; requests do its work");
        let pause = match error {
            SocketError::Refused(_) => about(REFUSED),
            SocketError::Closed { code, .. } if REFUSALS.contains(&code) => about(REFUSED),
            SocketError::Closed { .. } | SocketError::Failed(_) => patience.next(),
        };
        tokio::time::sleep(pause).await;
    }
}

async fn open(worker: &Worker, consumer: &str) -> Result<(Socket, Value), SocketError> {
    let mut socket = worker.api.worker_channel(&worker.options.pool).await?;
    socket.send(&hello(worker, consumer)).await?;
    let ready = timeout(SETUP, socket.next()).await;
    let ready = ready.map_err(|_| SocketError::Failed("the server does not get ready".to_owned()))??;
    let payload = ready["payload"].clone();
    if ready["type"] != "worker.ready.v1" || payload["consumer_id"] != consumer {
        let reason = format!("`{}` came in the place of `worker.ready.v1`", ready["type"].as_str().unwrap_or_default());
        return Err(SocketError::Closed { code: REFUSALS[0], reason });
    }
    Ok((socket, payload))
}

/// Gives signs of life and takes in news, until the connection is lost.
async fn talk(worker: &Worker, consumer: &str, socket: &mut Socket, ready: &Value) -> SocketError {
    let seconds = ready["effective_heartbeat_interval_seconds"].as_f64().filter(|seconds| *seconds >= 1.0);
    let pause = seconds.map_or(worker.options.heartbeat, |seconds| Duration::from_secs_f64(seconds.min(3600.0)));
    let mut last = news(worker, &ready["initial_snapshot"], 0);
    let mut beats = interval(pause);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first comes at once, and hello was the first.
    beats.tick().await;
    loop {
        tokio::select! {
            _ = beats.tick() => {
                if let Err(error) = socket.send(&beat(worker, consumer, pause)).await {
                    return error;
                }
            }
            message = socket.next() => match message {
                Ok(message) if message["type"] == "work_pool.snapshot.v1" => {
                    last = news(worker, &message["payload"], last);
                }
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }
}

/// Takes in what is newer than `last`; the newest that was taken in.
fn news(worker: &Worker, snapshot: &Value, last: u64) -> u64 {
    match snapshot["snapshot_sequence"].as_u64() {
        Some(sequence) if sequence > last && snapshot["work_pool"].is_object() => {
            let (before, now) = (worker.pool(), &snapshot["work_pool"]);
            // Resumed, or with more places than before: something may be due that was not.
            let opened = ["is_paused", "concurrency_limit"].iter().any(|key| before[key] != now[key]);
            worker.see_pool(now.clone());
            if opened {
                worker.wake.notify_one();
            }
            sequence
        }
        _ => last,
    }
}

fn hello(worker: &Worker, consumer: &str) -> Value {
    let payload = json!({
        "consumer_id": consumer,
        "worker_name": worker.name,
        "worker_type": worker.pool()["type"],
        "heartbeat_interval_seconds": worker.options.heartbeat.as_secs().max(1),
        "supported_channel_versions": ["work_pool_worker_channel.v1"],
        "requested_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1"],
        "work_queue_names": worker.options.queues,
        "handled_cleanup_kinds": [],
        "max_cleanup_concurrency": 0,
        "create_pool_if_not_found": worker.options.create_pool,
        "default_base_job_template": pool::template(&worker.options, pool::kind(&worker.options)),
        "worker_metadata": null,
    });
    frame("worker.hello.v1", &payload)
}

fn beat(worker: &Worker, consumer: &str, pause: Duration) -> Value {
    let payload = json!({
        "consumer_id": consumer,
        "worker_name": worker.name,
        "heartbeat_interval_seconds": pause.as_secs().max(1),
    });
    frame("worker.heartbeat.v1", &payload)
}

fn frame(kind: &str, payload: &Value) -> Value {
    json!({
        "type": kind,
        "id": uuid::Uuid::new_v4().to_string(),
        "sent_at": jiff::Timestamp::now().to_string(),
        "payload": payload,
    })
}
