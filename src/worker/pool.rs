//! The pool: found or made at the start, and told now and then that this worker lives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::patience::{Patience, about};
use super::{Options, Worker, WorkerError};
use crate::api::{Api, ApiError};
use crate::plan::resources::default_template;

/// The types of pools that can be served; the first is that of a pool that is made here and of which nobody says
/// another.
const KINDS: [&str; 2] = ["process", "docker"];

/// So long the workers' channel has to open before requests do its work.
const HEAD_START: Duration = Duration::from_secs(1);

/// The pool as the server has it, and the type that its worker has to be of. One that does not exist is made; a server
/// that does not answer is waited for.
///
/// # Errors
/// If this worker cannot serve it.
pub async fn find(api: &Api, options: &Options, stop: &CancellationToken) -> Result<(Value, String), WorkerError> {
    let mut patience = Patience::default();
    loop {
        match look(api, options).await {
            Err(WorkerError::Api(error)) if error.is_transient() => {
                (options.say)(&format!("{error}; trying again until it answers"));
                let waited = stop.run_until_cancelled(tokio::time::sleep(patience.next())).await;
                waited.ok_or(WorkerError::Stopped)?;
            }
            Err(error) => return Err(error),
            Ok((pool, kind)) => {
                if pool["is_paused"] == true {
                    (options.say)(&format!(
                        "The work pool '{}' is paused: nothing runs until it is resumed",
                        options.pool
                    ));
                }
                return Ok((pool, kind));
            }
        }
    }
}

async fn look(api: &Api, options: &Options) -> Result<(Value, String), WorkerError> {
    let pool = match api.work_pool(&options.pool).await? {
        Some(pool) => pool,
        None if !options.create_pool => return Err(WorkerError::NoPool(options.pool.clone())),
        None => make(api, options).await?,
    };
    let kind = pool["type"].as_str().unwrap_or_default().to_owned();
    if kind.ends_with(":push") || kind.ends_with(":managed") {
        return Err(WorkerError::NeedsNone { pool: options.pool.clone(), kind });
    }
    match &options.kind {
        Some(wanted) if *wanted != kind => (options.say)(&format!(
            "Worker type mismatch! This worker process expects type '{wanted}' but received '{kind}' from the server. \
             Unexpected behavior may occur."
        )),
        None => (options.say)(&format!("Discovered type '{kind}' for work pool '{}'.", options.pool)),
        Some(_) => {}
    }
    let kind = options.kind.clone().unwrap_or(kind);
    if !KINDS.contains(&kind.as_str()) {
        return Err(WorkerError::Foreign { pool: options.pool.clone(), kind });
    }
    Ok((fill_template(api, options, &kind, pool).await?, kind))
}

async fn make(api: &Api, options: &Options) -> Result<Value, WorkerError> {
    let kind = kind(options);
    if !KINDS.contains(&kind) {
        return Err(WorkerError::Foreign { pool: options.pool.clone(), kind: kind.to_owned() });
    }
    (options.say)(&format!("Work pool '{}' does not exist: making it, of the type '{kind}'.", options.pool));
    let body = json!({"name": options.pool, "type": kind, "base_job_template": template(options, kind)});
    api.make_work_pool(&body).await?;
    api.work_pool(&options.pool).await?.ok_or_else(|| WorkerError::NoPool(options.pool.clone()))
}

/// Only an empty template is filled: one that is there is somebody's.
async fn fill_template(api: &Api, options: &Options, kind: &str, mut pool: Value) -> Result<Value, ApiError> {
    let empty = pool["base_job_template"].as_object().is_none_or(serde_json::Map::is_empty);
    if empty {
        let template = template(options, kind);
        api.set_template(&options.pool, &template).await?;
        pool["base_job_template"] = template;
    }
    Ok(pool)
}

/// The type of a pool that is made.
pub(super) fn kind(options: &Options) -> &str {
    options.kind.as_deref().unwrap_or(KINDS[0])
}

/// The template of a pool that has none: the one that was given, or what Prefect gives pools of the type.
pub(super) fn template(options: &Options, kind: &str) -> Value {
    let usual = || default_template(kind).map_or_else(|| json!({}), |template| template.masked());
    options.template.clone().unwrap_or_else(usual)
}

/// Reads the pool and gives a sign of life, again and again, while the workers' channel does not.
pub(super) async fn keep_alive(worker: Arc<Worker>) {
    let seconds = worker.options.heartbeat.as_secs().max(1);
    tokio::time::sleep(HEAD_START).await;
    loop {
        if !worker.channel.load(Ordering::Relaxed) {
            sign_of_life(&worker, seconds).await;
        }
        tokio::time::sleep(about(worker.options.heartbeat)).await;
    }
}

async fn sign_of_life(worker: &Worker, seconds: u64) {
    match worker.api.work_pool(&worker.options.pool).await {
        Ok(Some(pool)) => worker.see_pool(pool),
        Ok(None) => tracing::warn!(pool = worker.options.pool, "the work pool is gone"),
        Err(error) => tracing::warn!(%error, "the work pool could not be read"),
    }
    if let Err(error) = worker.api.worker_heartbeat(&worker.options.pool, &worker.name, seconds).await {
        tracing::warn!(%error, "no sign of life could be given");
    }
}
