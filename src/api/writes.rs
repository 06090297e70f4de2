//! What can be changed. Everything here may be called again after a failure without doing it twice.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::Api;
use super::client::{Answer, Call};
use super::error::ApiError;
use super::reads::text;
use super::retry;

/// The server's clock in an answer shows whole seconds.
const CLOCK_GRAIN: Duration = Duration::from_secs(2);

/// What came of making a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The server's id.
    pub id: String,
    /// Whether it was there before and was overwritten. After a failure in between, this may be our own first try.
    pub existed: bool,
}

impl Api {
    /// Makes a flow, or finds the one of that name; returns its id.
    pub async fn create_flow(&self, name: &str) -> Result<String, ApiError> {
        let (what, body) = (format!("the flow `{name}`"), json!({"name": name, "tags": [], "labels": {}}));
        let call = Call::new(Method::POST, "/flows/", &what).body(&body);
        id_of(&self.client.send(&call).await?, &call)
    }

    /// Makes a deployment. The API overwrites one of the same flow and name: its schedules are made anew then.
    pub async fn create_deployment(&self, body: &Value) -> Result<Created, ApiError> {
        let what = format!("the deployment `{}`", body["name"].as_str().unwrap_or_default());
        let call = Call::new(Method::POST, "/deployments/", &what).body(body);
        let answer = self.client.send(&call).await?;
        Ok(Created { id: id_of(&answer, &call)?, existed: answer.status == 200 })
    }

    /// Changes the fields of a deployment that `body` holds.
    pub async fn update_deployment(&self, id: &str, body: &Value) -> Result<(), ApiError> {
        let (path, what) = (format!("/deployments/{}", segment(id)), format!("the deployment {id}"));
        self.change(Method::PATCH, &path, &what, Some(body)).await
    }

    /// Deletes a deployment; one that is gone already is no failure.
    pub async fn delete_deployment(&self, id: &str) -> Result<(), ApiError> {
        self.delete(&format!("/deployments/{}", segment(id)), &format!("the deployment {id}")).await
    }

    /// Adds schedules to a deployment, each as the API wants it: `{schedule: {…}, active, slug, …}`.
    pub async fn add_schedules(&self, deployment: &str, schedules: &[Value]) -> Result<(), ApiError> {
        let path = format!("/deployments/{}/schedules", segment(deployment));
        let what = format!("schedules of the deployment {deployment}");
        let started = Instant::now();
        let mut left = schedules.to_vec();
        for attempt in 1.. {
            if left.is_empty() {
                break;
            }
            let body = Value::Array(left.clone());
            let call = Call::new(Method::POST, &path, &what).body(&body).once();
            let Err(error) = self.client.send(&call).await else { break };
            self.pause_before_looking(error, attempt).await?;
            let look = self.client.send(&Call::get(&path, &what)).await?;
            let there: Vec<&Value> = look.body.as_array().into_iter().flatten().collect();
            let mut missing = Vec::new();
            for schedule in left {
                let same: Vec<&Value> = there.iter().filter(|row| is_same_schedule(&schedule, row)).copied().collect();
                let is_there = match schedule["slug"].is_string() || same.is_empty() {
                    true => !same.is_empty(),
                    false => Fresh::since(started, &look, &call)?.any(same).is_some(),
                };
                if !is_there {
                    missing.push(schedule);
                }
            }
            left = missing;
        }
        Ok(())
    }

    /// Changes one schedule in place.
    pub async fn update_schedule(&self, deployment: &str, schedule: &str, body: &Value) -> Result<(), ApiError> {
        let path = format!("/deployments/{}/schedules/{}", segment(deployment), segment(schedule));
        let what = format!("a schedule of the deployment {deployment}");
        self.change(Method::PATCH, &path, &what, Some(body)).await
    }

    /// Deletes one schedule.
    pub async fn delete_schedule(&self, deployment: &str, schedule: &str) -> Result<(), ApiError> {
        let path = format!("/deployments/{}/schedules/{}", segment(deployment), segment(schedule));
        self.delete(&path, &format!("a schedule of the deployment {deployment}")).await
    }

    /// Makes an automation; returns its id. After a failure that leaves it open whether it was made, it is looked
    /// for by name, time and the deployments it runs, and sent again only if it is not there.
    pub async fn create_automation(&self, body: &Value) -> Result<String, ApiError> {
        let name = text(body, "name").unwrap_or_default();
        let what = format!("the automation `{name}`");
        let started = Instant::now();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let call = Call::new(Method::POST, "/automations/", &what).body(body).once();
            let error = match self.client.send(&call).await {
                Ok(answer) => {
                    let id = id_of(&answer, &call)?;
                    self.made().insert(id.clone());
                    return Ok(id);
                }
                Err(error) => error,
            };
            self.pause_before_looking(error, attempt).await?;
            let found = self.fresh_automation(&name, body, started).await.map_err(ApiError::after_doubt)?;
            if let Some(id) = found {
                self.made().insert(id.clone());
                return Ok(id);
            }
        }
    }

    /// Replaces an automation as a whole; it keeps its id.
    pub async fn replace_automation(&self, id: &str, body: &Value) -> Result<(), ApiError> {
        let what = format!("the automation `{}`", body["name"].as_str().unwrap_or(id));
        self.change(Method::PUT, &format!("/automations/{}", segment(id)), &what, Some(body)).await
    }

    /// Deletes an automation.
    pub async fn delete_automation(&self, id: &str) -> Result<(), ApiError> {
        self.delete(&format!("/automations/{}", segment(id)), &format!("the automation {id}")).await
    }

    /// Makes the service levels of a deployment equal to a list. Prefect Cloud only.
    pub async fn apply_slas(&self, deployment: &str, slas: &[Value]) -> Result<(), ApiError> {
        let connection = self.connection();
        if !connection.is_cloud() {
            let (what, url) = ("service level agreements".to_owned(), connection.url.clone());
            return Err(ApiError::CloudOnly { what, url });
        }
        let resource = format!("prefect.deployment.{deployment}");
        let path = format!("/slas/apply-resource-slas/{}", segment(&resource));
        let mut body = Value::Array(slas.to_vec());
        for sla in body.as_array_mut().into_iter().flatten() {
            sla["owner_resource"] = json!(resource);
        }
        let what = format!("service levels of the deployment {deployment}");
        self.change(Method::POST, &path, &what, Some(&body)).await
    }

    /// Makes a work pool; returns its id.
    pub async fn create_work_pool(&self, body: &Value) -> Result<String, ApiError> {
        let what = format!("the work pool `{}`", body["name"].as_str().unwrap_or_default());
        let call = Call::new(Method::POST, "/work_pools/", &what).body(body);
        id_of(&self.client.send(&call).await?, &call)
    }

    pub(super) async fn change(
        &self,
        method: Method,
        path: &str,
        what: &str,
        body: Option<&Value>,
    ) -> Result<(), ApiError> {
        let call = Call { body, ..Call::new(method, path, what) };
        self.client.send(&call).await.map(drop)
    }

    pub(super) async fn delete(&self, path: &str, what: &str) -> Result<(), ApiError> {
        match self.change(Method::DELETE, path, what, None).await {
            Err(error) if error.is_not_found() => Ok(()),
            result => result,
        }
    }

    /// Waits before looking whether an unclear write was done; any other failure is final.
    pub(super) async fn pause_before_looking(&self, error: ApiError, attempt: u32) -> Result<(), ApiError> {
        let connection = self.connection();
        match error {
            ApiError::Ambiguous { .. } if attempt <= connection.max_retries => {
                self.client.pause(retry::delay(connection.retry_delay, attempt, None)).await;
                Ok(())
            }
            error if attempt > 1 => Err(error.after_doubt()),
            error => Err(error),
        }
    }

    async fn fresh_automation(&self, name: &str, body: &Value, started: Instant) -> Result<Option<String>, ApiError> {
        let filter = json!({"automations": {"name": {"any_": [name]}}, "sort": "CREATED_DESC"});
        let what = format!("the automation `{name}`");
        let call = Call::new(Method::POST, "/automations/filter", &what).body(&filter);
        let look = self.client.send(&call).await?;
        let known = self.made().clone();
        let is_known = |row: &Value| text(row, "id").is_some_and(|id| known.contains(&id));
        let rows = look.body.as_array().into_iter().flatten();
        let alike: Vec<&Value> = rows.filter(|row| targets(row) == targets(body) && !is_known(row)).collect();
        if alike.is_empty() {
            return Ok(None);
        }
        let ours = Fresh::since(started, &look, &call)?.any(alike).and_then(|row| text(row, "id"));
        Ok(ours)
    }

    /// The automations this process made: none of them is another's first try.
    fn made(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.client.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The stretch of the server's time in which something of ours was made.
pub(super) struct Fresh {
    from: Timestamp,
}

impl Fresh {
    /// From `started` (our clock) to an answer to `call` that just came (the server's clock): the two need not agree.
    ///
    /// # Errors
    /// The answer does not say what time it is.
    pub(super) fn since(started: Instant, answer: &Answer, call: &Call<'_>) -> Result<Fresh, ApiError> {
        let back = jiff::SignedDuration::try_from(started.elapsed() + CLOCK_GRAIN).ok();
        let from = answer.date.zip(back).and_then(|(date, back)| date.checked_sub(back).ok());
        from.map(|from| Fresh { from }).ok_or_else(|| call.timeless())
    }

    pub(super) fn includes(&self, row: &Value) -> bool {
        let created = row["created"].as_str().and_then(|created| created.parse::<Timestamp>().ok());
        created.is_some_and(|created| created >= self.from)
    }

    /// The first row that was made in it.
    fn any<'a>(&self, rows: Vec<&'a Value>) -> Option<&'a Value> {
        rows.into_iter().find(|row| self.includes(row))
    }
}

/// The deployments an automation acts on.
fn targets(automation: &Value) -> BTreeSet<&str> {
    let actions = automation["actions"].as_array().into_iter().flatten();
    actions.filter_map(|action| action["deployment_id"].as_str()).collect()
}

/// Whether a schedule of the API can be the one that was sent: by slug, else by its rule.
fn is_same_schedule(sent: &Value, row: &Value) -> bool {
    if let Some(slug) = sent["slug"].as_str() {
        return row["slug"] == slug;
    }
    let same = |key: &str| match (&sent["schedule"][key], &row["schedule"][key]) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        // The server puts a start in front of rules that have none.
        (Value::String(a), Value::String(b)) => a == b || b.ends_with(a.as_str()),
        (Value::Null, Value::Null) => true,
        _ => false,
    };
    ["cron", "interval", "rrule"].into_iter().all(same)
}

pub(super) fn id_of(answer: &Answer, call: &Call<'_>) -> Result<String, ApiError> {
    text(&answer.body, "id").ok_or_else(|| call.garbled("it holds no id"))
}

/// A text as one part of a path. What would climb out of it becomes a name that nothing has.
pub(super) fn segment(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
    match text {
        "" | "." | ".." => "no-such-thing".to_owned(),
        text => percent_encoding::utf8_percent_encode(text, KEPT).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_climbs_out_of_its_path() {
        assert_eq!(segment(".."), "no-such-thing");
        assert_eq!(segment("a/../b?c#d"), "a%2F..%2Fb%3Fc%23d");
    }

    #[test]
    fn schedules_are_recognised() {
        let row = |schedule: Value| json!({"schedule": schedule, "slug": null});
        let cron = json!({"schedule": {"cron": "* * * * *"}});
        assert!(is_same_schedule(&cron, &row(json!({"cron": "* * * * *", "day_or": true}))));
        assert!(!is_same_schedule(&cron, &row(json!({"interval": 60.0}))));
        let interval = json!({"schedule": {"interval": 60}});
        assert!(is_same_schedule(&interval, &row(json!({"interval": 60.0}))));
        let slug = json!({"slug": "a", "schedule": {"cron": "1 * * * *"}});
        assert!(is_same_schedule(&slug, &json!({"slug": "a", "schedule": {"cron": "2 * * * *"}})));
    }

    #[test]
    fn only_the_servers_clock_tells_what_is_new() {
        let answer = |date: &str| Answer { status: 200, body: Value::Null, date: date.parse().ok() };
        let call = Call::get("/x", "the thing");
        let fresh = Fresh::since(Instant::now(), &answer("2026-11-21T08:00:10Z"), &call).expect("it has a date");
        assert!(fresh.includes(&json!({"created": "2026-11-21T08:00:09Z"})));
        assert!(!fresh.includes(&json!({"created": "2026-11-20T08:00:09Z"})));
        assert!(!fresh.includes(&json!({})));
        let error = Fresh::since(Instant::now(), &answer("none"), &call).err().expect("it has none");
        assert_eq!(error.code(), "E0516");
    }
}
