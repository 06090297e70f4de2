//! What a worker asks and tells: its pool, the runs that are due, their states, its own signs of life, logs.
//!
//! All of it goes ahead of the queue for writes: a run must not wait for another run's report.

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::Api;
use super::client::{Answer, Call};
use super::error::ApiError;
use super::socket::{Socket, SocketError};
use super::writes::segment;

/// What the server made of a proposed state.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The run has it.
    Accepted,
    /// The run has another state instead.
    Rejected {
        /// The type of that state, such as `SCHEDULED`.
        kind: String,
        /// Why.
        reason: String,
    },
    /// Nothing was done, and this run is none of ours any more.
    Aborted {
        /// Why.
        reason: String,
    },
    /// To be proposed again after so many seconds.
    Wait {
        /// How long.
        seconds: f64,
    },
}

/// A state to propose. Proposed again it is the same proposal: the server knows it by its id.
#[derive(Clone, Debug)]
pub struct Proposal {
    kind: &'static str,
    name: &'static str,
    message: Option<String>,
    force: bool,
    id: String,
}

impl Proposal {
    /// A state by its type (`PENDING`) and what people see (`Submitting`).
    pub fn of(kind: &'static str, name: &'static str) -> Self {
        Proposal { kind, name, message: None, force: false, id: uuid::Uuid::new_v4().to_string() }
    }

    /// The id by which the server knows the proposal; the state that comes of it keeps it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same with more about it.
    #[must_use]
    pub fn saying(self, message: impl Into<String>) -> Self {
        Proposal { message: Some(message.into()), ..self }
    }

    /// The same, passing over the server's rules.
    #[must_use]
    pub fn by_force(self) -> Self {
        Proposal { force: true, ..self }
    }
}

impl Api {
    /// A work pool as the API gives it, if there is one.
    pub async fn work_pool(&self, name: &str) -> Result<Option<Value>, ApiError> {
        let path = format!("/work_pools/{}", segment(name));
        found(self.client.send(&Call::get(&path, &format!("the work pool `{name}`"))).await)
    }

    /// Makes a work pool; what is there already stays.
    pub async fn make_work_pool(&self, body: &Value) -> Result<(), ApiError> {
        match self.tell(Method::POST, "/work_pools/", "the work pool", body).await {
            Err(error) if error.is_conflict() => Ok(()),
            result => result.map(drop),
        }
    }

    /// Gives a work pool a base job template.
    pub async fn set_template(&self, pool: &str, template: &Value) -> Result<(), ApiError> {
        let path = format!("/work_pools/{}", segment(pool));
        self.tell(Method::PATCH, &path, &format!("the template of the work pool `{pool}`"), &template_body(template))
            .await
            .map(drop)
    }

    /// A worker's sign of life.
    pub async fn worker_heartbeat(&self, pool: &str, name: &str, seconds: u64) -> Result<(), ApiError> {
        let path = format!("/work_pools/{}/workers/heartbeat", segment(pool));
        let body = json!({"name": name, "heartbeat_interval_seconds": seconds});
        self.tell(Method::POST, &path, "the worker's sign of life", &body).await.map(drop)
    }

    /// The channel of a pool's workers: signs of life there, news of the pool back.
    ///
    /// # Errors
    /// If the server has none.
    pub async fn worker_channel(&self, pool: &str) -> Result<Socket, SocketError> {
        self.socket(&format!("/work_pools/{}/workers/connect", segment(pool))).await
    }

    /// The workers of a pool, online and offline.
    pub async fn workers(&self, pool: &str) -> Result<Vec<Value>, ApiError> {
        let path = format!("/work_pools/{}/workers/filter", segment(pool));
        self.client.filter(&path, &json!({}), "the workers").await
    }

    /// The queues of a pool.
    pub async fn queues_of(&self, pool: &str) -> Result<Vec<Value>, ApiError> {
        let path = format!("/work_pools/{}/queues/filter", segment(pool));
        self.client.filter(&path, &json!({}), "the work queues").await
    }

    /// The runs of a pool that are due before a time, most urgent first. No queues means all.
    ///
    /// # Errors
    /// 404 if the pool or one of the queues does not exist.
    pub async fn due_runs(&self, pool: &str, queues: &[String], before: Timestamp) -> Result<Vec<Value>, ApiError> {
        let path = format!("/work_pools/{}/get_scheduled_flow_runs", segment(pool));
        let body = json!({"work_queue_names": queues, "scheduled_before": before.to_string()});
        let answer = self.tell(Method::POST, &path, "the runs that are due", &body).await?;
        let Value::Array(rows) = answer.body else {
            return Err(Call::new(Method::POST, &path, "the runs that are due").garbled("it holds no list"));
        };
        Ok(rows.into_iter().map(|mut row| row["flow_run"].take()).filter(Value::is_object).collect())
    }

    /// A run, if it still exists.
    pub async fn flow_run(&self, id: &str) -> Result<Option<Value>, ApiError> {
        found(self.client.send(&Call::get(&format!("/flow_runs/{}", segment(id)), "the run").urgent()).await)
    }

    /// A deployment by its id, if it still exists.
    pub async fn deployment_by_id(&self, id: &str) -> Result<Option<Value>, ApiError> {
        found(self.client.send(&Call::get(&format!("/deployments/{}", segment(id)), "the deployment").urgent()).await)
    }

    /// A flow by its id, if it still exists.
    pub async fn flow_by_id(&self, id: &str) -> Result<Option<Value>, ApiError> {
        found(self.client.send(&Call::get(&format!("/flows/{}", segment(id)), "the flow").urgent()).await)
    }

    /// Proposes a state.
    pub async fn propose(&self, run: &str, proposal: &Proposal) -> Result<Verdict, ApiError> {
        let path = format!("/flow_runs/{}/set_state", segment(run));
        let body = json!({
            "state": {
                "type": proposal.kind,
                "name": proposal.name,
                "message": proposal.message,
                "data": null,
                "state_details": {"flow_run_id": run, "transition_id": proposal.id},
            },
            "force": proposal.force,
        });
        let answer = self.tell(Method::POST, &path, "the state of the run", &body).await?;
        Ok(verdict(&answer.body, proposal))
    }

    /// Tells what finds a run's infrastructure again.
    pub async fn set_infrastructure(&self, run: &str, handle: &str) -> Result<(), ApiError> {
        let path = format!("/flow_runs/{}", segment(run));
        self.tell(Method::PATCH, &path, "the run's infrastructure", &json!({"infrastructure_pid": handle}))
            .await
            .map(drop)
    }

    /// Puts labels on a run.
    pub async fn label_run(&self, run: &str, labels: &Value) -> Result<(), ApiError> {
        let path = format!("/flow_runs/{}/labels", segment(run));
        self.tell(Method::PATCH, &path, "the run's labels", labels).await.map(drop)
    }

    /// Which of some runs are to be cancelled.
    pub async fn cancelling(&self, runs: &[String]) -> Result<Vec<String>, ApiError> {
        let body = json!({"flow_runs": {"id": {"any_": runs}, "state": {"type": {"any_": ["CANCELLING"]}}}});
        let rows = self.client.filter("/flow_runs/filter", &body, "the runs to cancel").await?;
        Ok(rows.iter().filter_map(|row| super::reads::text(row, "id")).collect())
    }

    /// The runs of a pool that some worker has and that have not ended.
    pub async fn open_runs(&self, pool: &str) -> Result<Vec<Value>, ApiError> {
        let body = json!({
            "flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}},
            "work_pools": {"name": {"any_": [pool]}},
        });
        self.client.filter("/flow_runs/filter", &body, "the runs under way").await
    }

    /// Stores log records.
    pub async fn send_logs(&self, records: &[Value]) -> Result<(), ApiError> {
        self.tell(Method::POST, "/logs/", "log records", &json!(records)).await.map(drop)
    }

    async fn tell(&self, method: Method, path: &str, what: &str, body: &Value) -> Result<Answer, ApiError> {
        self.client.send(&Call::new(method, path, what).body(body).urgent()).await
    }
}

fn template_body(template: &Value) -> Value {
    json!({"base_job_template": template})
}

fn found(result: Result<Answer, ApiError>) -> Result<Option<Value>, ApiError> {
    match result {
        Ok(answer) => Ok(Some(answer.body)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn verdict(body: &Value, proposal: &Proposal) -> Verdict {
    let details = &body["details"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, reason) = (text(&body["state"]["type"]), text(&details["reason"]));
    // Our own proposal arrived twice: the first time is what counts.
    let ours = body["state"]["state_details"]["transition_id"] == proposal.id && kind == proposal.kind;
    match body["status"].as_str() {
        _ if ours => Verdict::Accepted,
        Some("ACCEPT") => Verdict::Accepted,
        Some("WAIT") => Verdict::Wait { seconds: details["delay_seconds"].as_f64().unwrap_or(5.0) },
        Some("REJECT") => Verdict::Rejected { kind, reason },
        _ => Verdict::Aborted { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposal_that_arrived_twice_was_accepted() {
        let proposal = Proposal { id: "t".to_owned(), ..Proposal::of("PENDING", "Pending") };
        let body = |status: &str, transition: &str| {
            json!({
                "status": status, "details": {"reason": "why"},
                "state": {"type": "PENDING", "state_details": {"transition_id": transition}},
            })
        };
        assert_eq!(verdict(&body("REJECT", "t"), &proposal), Verdict::Accepted);
        let other = Verdict::Rejected { kind: "PENDING".to_owned(), reason: "why".to_owned() };
        assert_eq!(verdict(&body("REJECT", "u"), &proposal), other);
        assert_eq!(verdict(&body("ABORT", "u"), &proposal), Verdict::Aborted { reason: "why".to_owned() });
        assert_eq!(verdict(&json!({}), &proposal), Verdict::Aborted { reason: String::new() });
    }
}
