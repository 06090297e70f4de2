//! What hangs on an object: runs under way or waiting, deployments that a block carries, the default storage.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use super::Api;
use super::client::Call;
use super::error::ApiError;
use super::objects::OURS;
use super::reads::text;
use super::routes::parts;
use super::writes::segment;
use crate::model::Key;

/// So many deployments are asked for at once.
const DEPLOYMENTS_AT_ONCE: usize = 200;
/// Up to so many runs are read and counted here; of more, the API is asked to count them for each deployment.
const FEW_RUNS: u64 = 300;
/// What is under way: a worker has taken it, and it has not ended.
const RUNNING: [&str; 3] = ["PENDING", "RUNNING", "CANCELLING"];
/// What waits for a worker, has been taken by one and not begun, or is to be resumed.
const QUEUED: [&str; 3] = ["SCHEDULED", "PENDING", "PAUSED"];

impl Api {
    /// How many runs of each deployment a worker has taken and that have not ended; deployments without any are
    /// missing. One request where nothing runs.
    pub async fn running_runs(&self, deployments: &BTreeSet<String>) -> Result<BTreeMap<String, u64>, ApiError> {
        let ids: Vec<&str> =
            deployments.iter().map(String::as_str).filter(|id| uuid::Uuid::parse_str(id).is_ok()).collect();
        let mut running = BTreeMap::new();
        for chunk in ids.chunks(DEPLOYMENTS_AT_ONCE) {
            match self.count_runs(&of_deployments(chunk)).await? {
                0 => {}
                1..=FEW_RUNS => {
                    let mut filter = of_deployments(chunk);
                    filter["sort"] = json!("ID_DESC");
                    for row in self.client.filter("/flow_runs/filter", &filter, "the runs").await? {
                        if let Some(id) = text(&row, "deployment_id") {
                            *running.entry(id).or_default() += 1;
                        }
                    }
                }
                _ => {
                    for id in chunk {
                        let count = self.count_runs(&of_deployments(&[id])).await?;
                        if count > 0 {
                            running.insert((*id).to_owned(), count);
                        }
                    }
                }
            }
        }
        Ok(running)
    }

    /// How many runs wait in a pool or in a queue, those planned for later included, and those of some deployments not.
    ///
    /// Prefect keeps such runs when it deletes their queue (`ondelete="SET NULL"` of `flow_run.work_queue_id` in
    /// `prefect/server/database/orm_models.py`, 3.8.8), and no worker finds them any more.
    pub async fn queued_runs(&self, place: &Key, except: &BTreeSet<String>) -> Result<u64, ApiError> {
        let (pool, name) = parts(place);
        let mut filter = json!({
            "flow_runs": {"state": {"type": {"any_": QUEUED}}},
            "work_pools": {"name": {"any_": [pool.unwrap_or(name)]}},
        });
        if pool.is_some() {
            filter["work_pool_queues"] = json!({"name": {"any_": [name]}});
        }
        let all = self.count_runs(&filter).await?;
        if all == 0 || except.is_empty() {
            return Ok(all);
        }
        filter["flow_runs"]["deployment_id"] = json!({"any_": except});
        Ok(all.saturating_sub(self.count_runs(&filter).await?))
    }

    async fn count_runs(&self, filter: &Value) -> Result<u64, ApiError> {
        let call = Call::new(Method::POST, "/flow_runs/count", "the number of runs").body(filter);
        self.client.send(&call).await?.body.as_u64().ok_or_else(|| call.garbled("it is no number"))
    }

    /// Pauses a deployment, or lets it go on. Pausing removes the runs that the scheduler has planned.
    pub async fn pause_deployment(&self, id: &str, paused: bool) -> Result<(), ApiError> {
        let verb = if paused { "pause_deployment" } else { "resume_deployment" };
        let path = format!("/deployments/{}/{verb}", segment(id));
        self.change(Method::POST, &path, &format!("the deployment {id}"), None).await
    }

    /// The block that keeps results where nothing else is said, if the server has such a setting and it is set.
    pub async fn admin_storage(&self) -> Result<Option<String>, ApiError> {
        if self.connection().is_cloud() {
            return Ok(None);
        }
        let call = Call::get("/admin/storage", "the server's default result storage");
        match self.client.send(&call).await {
            Ok(answer) => Ok(text(&answer.body, "default_result_storage_block_id")),
            // Older servers do not have it.
            Err(ApiError::NotPrefect { .. }) => Ok(None),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every block but our own, those included that have no name and belong to what uses them, with their secrets.
    pub async fn every_block(&self) -> Result<Vec<Value>, ApiError> {
        let filter = json!({
            "block_documents": {"is_anonymous": null},
            "include_secrets": true,
            "sort": "BLOCK_TYPE_AND_NAME_ASC",
        });
        let rows = self.client.filter("/block_documents/filter", &filter, "the blocks").await?;
        let is_ours = |row: &Value| text(&row["block_type"], "slug").is_some_and(|slug| OURS.contains(&slug.as_str()));
        Ok(rows.into_iter().filter(|row| !is_ours(row)).collect())
    }
}

fn of_deployments(ids: &[&str]) -> Value {
    json!({"flow_runs": {"deployment_id": {"any_": ids}, "state": {"type": {"any_": RUNNING}}}})
}
