//! Marks: by what one notices, without reading a list, that something in it has changed.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use reqwest::Method;

use super::Api;
use super::client::Call;
use super::error::ApiError;
use super::reads::text;

/// An object is stamped when it is written, and seen when that is committed: what is younger than this may be followed
/// by something that was stamped before it.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// What a list looks like from afar. Equal marks: nothing was made, changed or deleted in between.
///
/// The server stamps a row when the row itself is written. What it only refers to has a life of its own: the schedules
/// of a deployment (written at `/deployments/{id}/schedules`), its concurrency limit, the name of its queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// How many objects there are.
    pub count: u64,
    /// The id of the one that was written last, and when.
    pub newest: Option<(String, String)>,
}

/// A mark, and whether it can be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// The mark.
    pub mark: Mark,
    /// Whether the last write is long enough ago, by the server's clock.
    pub settled: bool,
}

impl Api {
    /// The mark of all deployments of the workspace: two small requests.
    pub async fn deployments_mark(&self) -> Result<Marked, ApiError> {
        self.mark("/deployments", "the deployments").await
    }

    /// The mark of all automations of the workspace: two small requests.
    pub async fn automations_mark(&self) -> Result<Marked, ApiError> {
        self.mark("/automations", "the automations").await
    }

    async fn mark(&self, list: &str, what: &str) -> Result<Marked, ApiError> {
        let (filter, count) = (format!("{list}/filter"), format!("{list}/count"));
        let (newest, all) = (json!({"sort": "UPDATED_DESC", "limit": 1}), json!({}));
        let newest = Call::new(Method::POST, &filter, what).body(&newest);
        let all = Call::new(Method::POST, &count, what).body(&all);
        let (row, number) = tokio::try_join!(self.client.send(&newest), self.client.send(&all))?;
        let count = number.body.as_u64().ok_or_else(|| all.garbled("it is no number"))?;
        let row = match row.body.as_array().map(Vec::as_slice) {
            Some([]) => None,
            Some([first, ..]) => Some(stamp(first).ok_or_else(|| newest.garbled("a row has no time"))?),
            None => return Err(newest.garbled("it holds no list")),
        };
        let settled = number.date.is_some_and(|now| row.as_ref().is_none_or(|(_, at)| is_settled(at, now)));
        Ok(Marked { mark: Mark { count, newest: row }, settled })
    }
}

fn stamp(row: &Value) -> Option<(String, String)> {
    text(row, "id").zip(text(row, "updated"))
}

fn is_settled(at: &str, now: Timestamp) -> bool {
    at.parse::<Timestamp>().is_ok_and(|at| now.duration_since(at) >= SETTLED_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_just_now_is_not_settled() {
        let now = "2026-01-01T00:00:10Z".parse().expect("a time");
        assert!(is_settled("2026-01-01T00:00:07.999000Z", now));
        assert!(!is_settled("2026-01-01T00:00:08.001Z", now));
        assert!(!is_settled("2026-01-01T00:01:00Z", now));
        assert!(!is_settled("yesterday", now));
    }
}
