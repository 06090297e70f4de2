//! What hangs on an object: runs under way or waiting, deployments that a block carries, the default storage.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Call;
use super::error::ApiError;
use super::reads::text;
use super::writes::segment;
use super::{Api, Which};
use crate::model::{Key, Kind};

/// So many deployments are asked for at once.
const DEPLOYMENTS_AT_ONCE: usize = 200;
/// Up to so many runs are read and counted here; of more, the API is asked to count them for each deployment.
const FEW_RUNS: u64 = 300;
/// What is under way: a worker has taken it, and it has not ended.
const RUNNING: [&str; 3] = ["PENDING", "RUNNING", "CANCELLING"];
/// What waits for a worker.
const QUEUED: [&str; 1] = ["SCHEDULED"];

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

    /// How many runs wait for a worker of a pool, those planned for later included, and those of some deployments not.
    pub async fn queued_runs_of_pool(&self, name: &str, except: &BTreeSet<String>) -> Result<u64, ApiError> {
        let mut filter = json!({
            "flow_runs": {"state": {"type": {"any_": QUEUED}}},
            "work_pools": {"name": {"any_": [name]}},
        });
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

    /// The deployments that have one of these blocks as their storage or infrastructure, each with that block's id:
    /// the API deletes them along with the block. It has no filter for it, so all deployments are read.
    pub async fn deployments_using_block(&self, blocks: &BTreeSet<String>) -> Result<Vec<(Key, String)>, ApiError> {
        const PLACES: [&str; 2] = ["storage_document_id", "infrastructure_document_id"];
        if blocks.is_empty() {
            return Ok(Vec::new());
        }
        let mut using: Vec<(Value, String)> = Vec::new();
        for row in self.deployments(&Which::All).await? {
            let used: BTreeSet<String> = PLACES.iter().filter_map(|place| text(&row, place)).collect();
            using.extend(used.intersection(blocks).map(|block| (row.clone(), block.clone())));
        }
        let rows = using.iter().map(|(row, _)| row.clone()).collect();
        let keys: BTreeMap<Option<String>, String> = self
            .with_flow_names(rows)
            .await?
            .iter()
            .filter_map(|row| Some((text(row, "id"), super::routes::natural_name(Kind::Deployment, row)?)))
            .collect();
        let key = |row: &Value| Some(Key::new(Kind::Deployment, keys.get(&text(row, "id"))?.clone()));
        Ok(using.iter().filter_map(|(row, block)| Some((key(row)?, block.clone()))).collect())
    }
}

fn of_deployments(ids: &[&str]) -> Value {
    json!({"flow_runs": {"deployment_id": {"any_": ids}, "state": {"type": {"any_": RUNNING}}}})
}
