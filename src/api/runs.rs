//! Runs of deployments: what a change of schedules would move, and one that is wanted now.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::Api;
use super::client::Call;
use super::error::ApiError;
use super::reads::text;
use super::writes::segment;

/// So many deployments are asked for at once.
const DEPLOYMENTS_AT_ONCE: usize = 200;
/// A plan does not read more pages than this just to be able to give numbers.
const MOST_PAGES: usize = 10;

/// The planned runs of one deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// How many the scheduler has planned.
    pub count: usize,
    /// When the next one starts.
    pub next: Option<Timestamp>,
}

/// The planned runs of some deployments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedRuns {
    /// By the deployment's id; those without planned runs are missing.
    pub by_deployment: BTreeMap<String, Planned>,
    /// Whether there are more than were counted.
    pub more: bool,
}

impl Api {
    /// Counts the runs that the scheduler has planned and nothing has started yet, soonest first.
    ///
    /// Mostly one request; no more than ten for each 200 deployments, after which `more` is set.
    pub async fn planned_runs(&self, deployments: &BTreeSet<String>) -> Result<PlannedRuns, ApiError> {
        let mut planned = PlannedRuns::default();
        let ids: Vec<&String> = deployments.iter().filter(|id| uuid::Uuid::parse_str(id).is_ok()).collect();
        for chunk in ids.chunks(DEPLOYMENTS_AT_ONCE) {
            for page in 0.. {
                if page == MOST_PAGES {
                    planned.more = true;
                    break;
                }
                let (rows, full) = self.scheduled_page(chunk, page).await?;
                rows.iter().for_each(|row| planned.add(row));
                if !full {
                    break;
                }
            }
        }
        Ok(planned)
    }

    /// Starts a run of a deployment now; what it is called, or nothing if there is no such deployment.
    pub async fn start_run(&self, flow: &str, name: &str) -> Result<Option<String>, ApiError> {
        let path = format!("/deployments/name/{}/{}", segment(flow), segment(name));
        let id = match self.client.send(&Call::get(&path, "the deployment")).await {
            Ok(answer) => text(&answer.body, "id").unwrap_or_default(),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let path = format!("/deployments/{}/create_flow_run", segment(&id));
        // Of two requests with one key the second finds the run of the first.
        let body = json!({"idempotency_key": uuid::Uuid::new_v4().to_string()});
        let call = Call::new(Method::POST, &path, "the run").body(&body);
        let answer = self.client.send(&call).await?;
        text(&answer.body, "name").map(Some).ok_or_else(|| call.garbled("it has no name"))
    }

    /// How many runs of a deployment are under way: pending, running or on their way to being cancelled.
    pub async fn runs_under_way(&self, deployment: &str) -> Result<u64, ApiError> {
        let body = json!({
            "flow_runs": {
                "deployment_id": {"any_": [deployment]},
                "state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}},
            },
        });
        let call = Call::new(Method::POST, "/flow_runs/count", "the runs under way").body(&body);
        let answer = self.client.send(&call).await?;
        answer.body.as_u64().ok_or_else(|| call.garbled("it holds no number"))
    }

    async fn scheduled_page(&self, ids: &[&String], page: usize) -> Result<(Vec<Value>, bool), ApiError> {
        let limit = self.client.page.load(std::sync::atomic::Ordering::Relaxed);
        let body = json!({
            "flow_runs": {
                "deployment_id": {"any_": ids},
                "state": {"type": {"any_": ["SCHEDULED"]}, "name": {"any_": ["Scheduled"]}},
            },
            "sort": "NEXT_SCHEDULED_START_TIME_ASC",
            "limit": limit,
            "offset": page * limit,
        });
        let call = Call::new(Method::POST, "/flow_runs/filter", "the planned runs").body(&body);
        match self.client.send(&call).await?.body {
            Value::Array(rows) => {
                let full = rows.len() >= limit;
                Ok((rows, full))
            }
            _ => Err(call.garbled("it holds no list")),
        }
    }
}

impl PlannedRuns {
    /// Counts a run. Those that somebody scheduled by hand are not the scheduler's and stay where they are.
    fn add(&mut self, run: &Value) {
        if run["auto_scheduled"] == Value::Bool(false) {
            return;
        }
        let Some(id) = text(run, "deployment_id") else { return };
        let start = text(run, "next_scheduled_start_time").or_else(|| text(run, "expected_start_time"));
        let start = start.and_then(|start| start.parse::<Timestamp>().ok());
        let planned = self.by_deployment.entry(id).or_default();
        planned.count += 1;
        planned.next = match (planned.next, start) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}
