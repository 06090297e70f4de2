//! Strays: runs that live apart from their worker, which died on another machine and left no journal here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Worker;
use super::adopt::{self, Orphan};
use super::journal::Entry;
use super::patience::about;
use crate::api::ApiError;

/// How often it is looked for them: as often as workers give signs of life.
const LOOK: Duration = Duration::from_secs(30);
/// So long a worker is away before its runs are taken: longer than it may take to its next sign of life.
const GONE: Duration = Duration::from_secs(45);

/// What the server said of workers is true for so long.
const FRESH: Duration = Duration::from_secs(10);

/// Looks for strays again and again, if there can be any. They are put where what is adopted is taken from.
pub(super) async fn keep_looking(worker: Arc<Worker>) {
    if !worker.place.is_remote() || worker.options.run_once {
        return;
    }
    // Runs that were taken over, as long as the server says that they go on: once is enough.
    let mut seen = BTreeSet::new();
    // Until now, those of workers that are called as this one cannot be ours.
    let mut namesakes = true;
    // Since when workers are away. After an outage of the server all are, until they give the next sign of life.
    let mut away = BTreeMap::new();
    while !worker.stop.is_cancelled() {
        match look(&worker, &mut seen, &mut away, namesakes).await {
            Ok(found) => {
                namesakes = false;
                worker.strays().extend(found);
            }
            Err(error) => {
                away.clear();
                tracing::info!(%error, "it is not known whether other workers left runs");
            }
        }
        let _ = worker.stop.run_until_cancelled(tokio::time::sleep(about(LOOK))).await;
    }
}

/// The runs of this pool that nobody has: their worker is not online, and their container is on our engine.
async fn look(
    worker: &Worker,
    seen: &mut BTreeSet<String>,
    away: &mut BTreeMap<String, Instant>,
    namesakes: bool,
) -> Result<Vec<Orphan>, ApiError> {
    let runs = worker.api.open_runs(&worker.options.pool).await?;
    let open: BTreeSet<&str> = runs.iter().filter_map(|run| run["id"].as_str()).collect();
    seen.retain(|id| open.contains(id.as_str()));
    let is_new = |id: &str| !worker.flights.has(id) && !seen.contains(id);
    let foreign: Vec<&Value> = runs.iter().filter(|run| run["id"].as_str().is_some_and(is_new)).collect();
    if foreign.is_empty() {
        return Ok(Vec::new());
    }
    let workers = worker.api.workers(&worker.options.pool).await?;
    let online = workers.iter().filter(|one| one["status"] == "ONLINE");
    let online: BTreeSet<&str> = online.filter_map(|one| one["name"].as_str()).collect();
    away.retain(|name, _| !online.contains(name.as_str()));
    let mut found = Vec::new();
    for run in foreign {
        let keeper = run["labels"]["prefect.worker.name"].as_str();
        let kept = keeper.is_none_or(|name| match name == worker.name {
            true => !namesakes,
            false => online.contains(name) || away.entry(name.to_owned()).or_insert_with(Instant::now).elapsed() < GONE,
        });
        let id = run["id"].as_str().unwrap_or_default();
        if !kept
            && !worker.journal.is_held(id, None)
            && let Some(orphan) = stray(worker, run, id).await
        {
            seen.insert(id.to_owned());
            found.push(orphan);
        }
    }
    Ok(found)
}

/// A run as ours from now on, if its container is on our engine.
async fn stray(worker: &Worker, run: &Value, id: &str) -> Option<Orphan> {
    let began = Instant::now();
    let trace = adopt::found(worker, run, None).await?;
    // While the engine was away, its worker may have come back.
    if began.elapsed() > FRESH {
        return None;
    }
    let entry = Entry {
        api: worker.api.connection().url.clone(),
        pool: worker.options.pool.clone(),
        machine: super::journal::machine().to_owned(),
        run: id.to_owned(),
        claims: Vec::new(),
        earlier: None,
        trace: Some(trace),
    };
    let held = worker.journal.note(&entry).ok()?;
    match worker.flights.board(id) {
        Some(cancel) => {
            let keeper = run["labels"]["prefect.worker.name"].as_str().map(str::to_owned);
            Some(Orphan { entry, keeper, held, cancel })
        }
        None => {
            held.strike_out();
            None
        }
    }
}
