//! `reconcile worker status`: the workers of a pool, and the runs they have.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::Global;
use super::exit::{Exit, failed};
use super::{connect, output};
use crate::api::{Api, ApiError};
use crate::report::text::printable;

/// Shows them.
pub async fn run(global: &Global, pool: &str) -> Result<Exit, Exit> {
    let (connection, _) = connect::demand(global, Path::new(".")).await?;
    let told = |error: ApiError| {
        output::complain_with(error.code(), &error.to_string());
        output::help(&error.help());
        Exit::Failed
    };
    let api = Api::connect(connection).map_err(told)?;
    let Some(found) = api.work_pool(pool).await.map_err(told)? else {
        return Err(failed(&format!("the work pool `{pool}` does not exist")));
    };
    let (workers, runs) = tokio::try_join!(api.workers(pool), api.open_runs(pool)).map_err(told)?;
    let runs: Vec<Value> = runs.iter().map(row).collect();
    if global.json {
        let workers: Vec<Value> = workers
            .iter()
            .map(|one| json!({"name": one["name"], "status": one["status"], "heard": one["last_heartbeat_time"]}))
            .collect();
        let told = json!({"pool": pool, "status": found["status"], "paused": found["is_paused"], "workers": workers, "runs": runs});
        output::result(&format!("{told:#}"));
    } else {
        output::result(&text(pool, &found, &workers, &runs));
    }
    Ok(Exit::Done)
}

/// What is shown of a run.
fn row(run: &Value) -> Value {
    json!({
        "id": run["id"],
        "name": run["name"],
        "state": run["state"]["name"],
        "since": run["state"]["timestamp"],
        "worker": run["labels"]["prefect.worker.name"],
        "infrastructure": run["infrastructure_pid"],
    })
}

fn text(pool: &str, found: &Value, workers: &[Value], runs: &[Value]) -> String {
    let word = |value: &Value| printable(value.as_str().unwrap_or("-"));
    let paused = if found["is_paused"] == true { ", paused" } else { "" };
    let mut lines = vec![format!("Work pool {pool}: {}{paused}", word(&found["status"]).to_lowercase())];
    for worker in workers {
        let ago = age(&worker["last_heartbeat_time"]);
        lines.push(format!("  {}  {}, heard {ago} ago", word(&worker["name"]), word(&worker["status"]).to_lowercase()));
    }
    for run in runs {
        let (name, state) = (word(&run["name"]), word(&run["state"]));
        let (worker, at) = (word(&run["worker"]), word(&run["infrastructure"]));
        lines.push(format!("  {name}  {state} for {}, on {worker} ({at})", age(&run["since"])));
    }
    if runs.is_empty() {
        lines.push("  no runs".to_owned());
    }
    lines.join("\n")
}

/// How long ago a time is, in seconds.
fn age(time: &Value) -> String {
    let then = time.as_str().and_then(|time| time.parse::<Timestamp>().ok());
    then.map_or_else(
        || "-".to_owned(),
        |then| format!("{} s", (Timestamp::now().as_second() - then.as_second()).max(0)),
    )
}
