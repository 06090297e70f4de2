//! The lock of a scope: a block document of a type of our own. Its name is unique, so the API lets only one be made.
//!
//! Whether a holder is still alive is judged by the server's clock alone: by the time of the document's last change
//! and that of the answer which tells it. (Prefect's own concurrency leases live in the memory of one server
//! process, and a limit that is missing grants everybody: they cannot serve.)

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::Api;
use super::client::{Answer, Call};
use super::error::ApiError;
use super::ledger_parts::document_name;
use super::own_type::{OwnType, Schema};
use super::reads::text;
use super::writes::id_of;

/// The slug of the block type.
const TYPE: &str = "reconcile-lock";
const DOCUMENTS: &str = "/block_documents/";
/// So often the lock may slip away between two requests before it counts as held.
const TRIES: usize = 5;
/// No name of a host and no address of a run is longer.
const LONGEST: usize = 300;

/// Who asks for a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The page of the CI run.
    pub url: Option<String>,
    /// Since when, by the clock of that machine: for people, never compared.
    pub since: String,
}

/// Who holds a lock. Others wrote this: it is short and without control characters, and nothing else is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: String,
    /// The page of the CI run.
    pub url: Option<String>,
    /// For how long, by the server's clock.
    pub age: Option<Duration>,
    /// How long nothing was heard of it, by the server's clock; `None` if the server does not say what time it is.
    pub silence: Option<Duration>,
}

/// What came of asking for a lock.
#[derive(Clone, Debug)]
pub enum Acquired {
    /// It is ours.
    Ours(Lock),
    /// Somebody else has it.
    Held(Holder),
}

/// A lock that was ours when it was acquired.
#[derive(Clone, Debug)]
pub struct Lock {
    id: String,
    data: Value,
    took_over: bool,
}

impl Api {
    /// Asks for the lock of a scope. One whose holder has been silent for longer than `expiry` is taken over: it is
    /// deleted by its id, so that of two who do so at once only one deletes anything, and then made anew. Its holder may
    /// have come back to life in that moment: see [`Lock::took_over`].
    pub async fn acquire_lock(&self, scope: &str, claim: &Claim, expiry: Duration) -> Result<Acquired, ApiError> {
        let name = document_name(scope);
        let what = format!("the lock of `{scope}`");
        let data = data(scope, claim);
        let schema = self.lock_schema().await?;
        let new = schema.document(&name, &data);
        let post = Call::new(Method::POST, DOCUMENTS, &what).body(&new);
        let (mut took_over, mut failed) = (false, None);
        for _ in 0..TRIES {
            match self.client.send(&post).await {
                Ok(answer) => return Ok(Acquired::Ours(Lock { id: id_of(&answer, &post)?, data, took_over })),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
            let path = format!("/block_types/slug/{TYPE}/block_documents/name/{name}");
            let look = Call::get(&path, &what);
            let answer = match self.client.send(&look).await {
                Ok(answer) => answer,
                // Released in between.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            let id = id_of(&answer, &look)?;
            // Our own first try, whose answer was lost.
            if answer.body["data"]["token"] == data["token"] {
                return Ok(Acquired::Ours(Lock { id, data, took_over }));
            }
            let holder = holder(&answer);
            if holder.silence.is_none_or(|silence| silence <= expiry) {
                return Ok(Acquired::Held(holder));
            }
            tracing::info!(scope, host = holder.host, pid = holder.pid, "taking over a lock that went stale");
            took_over = true;
            failed = self.delete_stale(&id, &what).await?;
        }
        // It goes from hand to hand, so somebody lives.
        let unknown = Holder { silence: Some(Duration::ZERO), ..Holder::default() };
        failed.map_or(Ok(Acquired::Held(unknown)), Err)
    }

    /// Deletes a lock that was stale a moment ago. It is sent once: between two tries the holder may give a sign of life,
    /// and the second try would take the lock from one that lives. Gives what failed, if one may look again.
    async fn delete_stale(&self, id: &str, what: &str) -> Result<Option<ApiError>, ApiError> {
        let path = format!("{DOCUMENTS}{id}");
        match self.client.send(&Call::new(Method::DELETE, &path, what).fleeting().urgent()).await {
            Ok(_) => Ok(None),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) if error.is_transient() => Ok(Some(error)),
            Err(error) => Err(error),
        }
    }

    /// Who holds the lock of a scope, if somebody does or did until a moment ago.
    pub async fn lock_holder(&self, scope: &str) -> Result<Option<Holder>, ApiError> {
        let path = format!("/block_types/slug/{TYPE}/block_documents/name/{}", document_name(scope));
        let look = Call::get(&path, "the lock");
        Ok(there(self.client.send(&look).await)?.map(|answer| holder(&answer)))
    }

    /// Tells the API that the holder is alive; false if the lock is not ours any more.
    pub async fn keep_lock(&self, lock: &Lock, beat: u64) -> Result<bool, ApiError> {
        let mut data = lock.data.clone();
        data["beat"] = json!(beat);
        let (path, body) = (lock.path(), json!({"data": data, "merge_existing_data": false}));
        let call = Call::new(Method::PATCH, &path, "the lock").body(&body).urgent();
        there(self.client.send(&call).await).map(|answer| answer.is_some())
    }

    /// Whether a lock is still ours.
    pub async fn holds_lock(&self, lock: &Lock) -> Result<bool, ApiError> {
        let path = lock.path();
        let answer = there(self.client.send(&Call::get(&path, "the lock").urgent()).await)?;
        Ok(answer.is_some_and(|answer| answer.body["data"]["token"] == lock.data["token"]))
    }

    /// Gives a lock back. One that is not ours any more is left alone, for the one that took its place has another id.
    pub async fn release_lock(&self, lock: &Lock) -> Result<(), ApiError> {
        self.delete(&lock.path(), "the lock").await
    }

    async fn lock_schema(&self) -> Result<Schema, ApiError> {
        let own = OwnType {
            slug: TYPE,
            name: "Reconcile Lock",
            description: "Held while reconcile applies. Kept by reconcile, not for use in flows.",
            what: "locks",
            version: "1".to_owned(),
            fields: fields(),
        };
        self.own_schema(&own).await
    }
}

impl Lock {
    /// Whether it was taken from a holder of whom nothing was heard.
    pub fn took_over(&self) -> bool {
        self.took_over
    }

    fn path(&self) -> String {
        format!("{DOCUMENTS}{}", self.id)
    }
}

/// An answer, or nothing if the thing is gone.
fn there(result: Result<Answer, ApiError>) -> Result<Option<Answer>, ApiError> {
    match result {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn data(scope: &str, claim: &Claim) -> Value {
    json!({
        "about": "Held while reconcile applies; stale when it has not changed for 30 seconds.",
        "scope": scope,
        "host": claim.host,
        "pid": claim.pid,
        "url": claim.url,
        "since": claim.since,
        "token": uuid::Uuid::new_v4().to_string(),
        "beat": 0,
    })
}

fn holder(answer: &Answer) -> Holder {
    let data = &answer.body["data"];
    let ago = |field: &str| {
        let at: Timestamp = answer.body[field].as_str()?.parse().ok()?;
        let passed = answer.date?.duration_since(at);
        // The clock in an answer shows whole seconds, so it may seem to come from before the change it tells.
        Some(passed.unsigned_abs()).map(|length| if passed.is_negative() { Duration::ZERO } else { length })
    };
    Holder {
        host: shown(text(data, "host").unwrap_or_default()),
        pid: shown(data["pid"].to_string()),
        url: text(data, "url").map(shown).filter(|url| !url.is_empty()),
        age: ago("created"),
        silence: ago("updated"),
    }
}

fn shown(text: String) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

fn fields() -> Value {
    let texts = ["about", "scope", "host", "url", "since", "token"];
    let mut properties: serde_json::Map<String, Value> =
        texts.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    for number in ["pid", "beat"] {
        properties.insert(number.to_owned(), json!({"type": "integer"}));
    }
    json!({
        "title": "ReconcileLock",
        "type": "object",
        "block_type_slug": TYPE,
        "block_schema_references": {},
        "secret_fields": [],
        "properties": properties,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(updated: &str, date: Option<&str>) -> Answer {
        let data = json!({"host": "ci\u{1b}[31m-7", "pid": 12, "url": null});
        let body = json!({"created": "2026-11-21T08:00:00.5Z", "updated": updated, "data": data});
        Answer { status: 200, body, date: date.and_then(|date| date.parse().ok()) }
    }

    #[test]
    fn silence_is_measured_by_the_servers_clock() {
        let at = |updated, date| holder(&answer(updated, date)).silence;
        assert_eq!(at("2026-11-21T08:00:10Z", Some("2026-11-21T08:00:41Z")), Some(Duration::from_secs(31)));
        assert_eq!(at("2026-11-21T08:00:10.9Z", Some("2026-11-21T08:00:10Z")), Some(Duration::ZERO));
        assert_eq!(at("2026-11-21T08:00:10Z", None), None);
        assert_eq!(at("yesterday", Some("2026-11-21T08:00:10Z")), None);
    }

    #[test]
    fn what_others_wrote_cannot_paint_the_terminal() {
        let holder = holder(&answer("2026-11-21T08:00:10Z", None));
        assert_eq!((holder.host.as_str(), holder.pid.as_str(), holder.url), ("ci[31m-7", "12", None));
    }
}
