//! `Logs`: what the worker has to say about runs, stored among their own logs, many at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::Worker;
use crate::api::Api;

/// How long records are gathered (`PREFECT_LOGGING_TO_API_BATCH_INTERVAL`).
const GATHERING: Duration = Duration::from_secs(2);
/// More are not kept while the server is away: the oldest go.
const MOST: usize = 10_000;
/// So many are sent at once.
const AT_ONCE: usize = 200;
/// A longer message is cut (`PREFECT_LOGGING_TO_API_MAX_LOG_SIZE`, less than Prefect's).
const LONGEST: usize = 25_000;
/// How long the last records may take at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Python's number for a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Info = 20,
    Warning = 30,
    Error = 40,
}

/// What the worker has to say about runs.
pub(super) struct Logs {
    api: Api,
    wanted: bool,
    waiting: Mutex<VecDeque<Value>>,
    first: Notify,
}

impl Logs {
    pub fn new(api: Api, wanted: bool) -> Logs {
        Logs { api, wanted, waiting: Mutex::default(), first: Notify::new() }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Value>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a message about a run.
    pub fn add(&self, run: &str, level: Level, message: &str) {
        self.add_as("prefect.flow_runs.worker", run, level, message);
    }

    /// The same under the name of another logger.
    pub fn add_as(&self, logger: &str, run: &str, level: Level, message: &str) {
        if !self.wanted {
            return;
        }
        let mut waiting = self.waiting();
        if waiting.len() >= MOST {
            waiting.pop_front();
        }
        waiting.push_back(json!({
            "name": logger,
            "level": level as i32,
            "message": cut(message),
            "timestamp": jiff::Timestamp::now().to_string(),
            "flow_run_id": run,
            "task_run_id": null,
        }));
        self.first.notify_one();
    }

    /// Sends what waits. What cannot be sent now waits for the next time, unless the server refuses it.
    async fn send(&self) {
        loop {
            // Taken out, for the farewell may send beside the loop.
            let batch: Vec<Value> = {
                let mut waiting = self.waiting();
                let most = waiting.len().min(AT_ONCE);
                waiting.drain(..most).collect()
            };
            if batch.is_empty() {
                return;
            }
            if let Err(error) = self.api.send_logs(&batch).await {
                tracing::info!(%error, "log records could not be stored");
                if error.is_transient() {
                    let mut waiting = self.waiting();
                    let room = MOST.saturating_sub(waiting.len());
                    // The oldest go first where there is no room for all.
                    batch.into_iter().rev().take(room).for_each(|record| waiting.push_front(record));
                    return;
                }
            }
        }
    }

    /// Sends what still waits, if that takes no time.
    pub async fn flush(&self) {
        let _ = tokio::time::timeout(FAREWELL, self.send()).await;
    }
}

/// Sends records until it is dropped.
pub(super) async fn keep_sending(worker: Arc<Worker>) {
    loop {
        worker.logs.first.notified().await;
        tokio::time::sleep(GATHERING).await;
        worker.logs.send().await;
        if !worker.logs.waiting().is_empty() {
            worker.logs.first.notify_one();
        }
    }
}

fn cut(message: &str) -> String {
    match message.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}... [truncated]", &message[..at]),
        None => message.to_owned(),
    }
}
