//! Who changed what, and when, as far as the API tells: the last event of an object, and the marks of its row.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::Api;
use super::client::Call;
use super::error::ApiError;
use super::reads::text;
use crate::model::Kind;

/// So many objects are asked about at once: a page of events is no longer.
const AT_ONCE: usize = 50;
/// What happens to an object in events that tell of a change. Others, such as `ready`, do not.
const CHANGES: [&str; 3] = ["created", "updated", "deleted"];

/// The last event that tells of a change of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastEvent {
    /// Its id, by which the web interface finds it.
    pub id: String,
    /// What happened: `prefect.deployment.updated`.
    pub event: String,
    /// When, as the API has it.
    pub occurred: String,
    /// Who did it. Prefect Cloud tells; an open-source server does not.
    pub actor: Option<String>,
}

/// What objects of a kind are called in events. Source: `prefect/server/events/schemas/lifecycle.py` and
/// `prefect/server/models/events.py` (3.8.8); older servers tell of fewer kinds.
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::BlockType => "block-type",
        Kind::Block => "block-document",
        Kind::Variable => "variable",
        Kind::WorkPool => "work-pool",
        Kind::WorkQueue => "work-queue",
        Kind::ConcurrencyLimit | Kind::TagConcurrencyLimit => "concurrency-limit",
        Kind::Flow => "flow",
        Kind::Deployment => "deployment",
        Kind::Automation => "automation",
    }
}

impl Api {
    /// Puts an event into the event log. One that arrives twice is stored once, by its id: it may be sent again.
    pub async fn emit(&self, event: &Value) -> Result<(), ApiError> {
        let body = json!([event]);
        let call = Call::new(Method::POST, "/events", "the event").body(&body);
        self.client.send(&call).await.map(drop)
    }

    /// The last change of each object, by its id; those that no event tells of are missing. The payload of an event
    /// may hold what is secret: it is not looked at.
    pub async fn last_events(&self, objects: &[(Kind, String)]) -> Result<BTreeMap<String, LastEvent>, ApiError> {
        let mut last = BTreeMap::new();
        for chunk in objects.chunks(AT_ONCE) {
            let ids: BTreeMap<String, &String> =
                chunk.iter().map(|(kind, id)| (format!("prefect.{}.{id}", word(*kind)), id)).collect();
            let kinds: std::collections::BTreeSet<&str> = chunk.iter().map(|(kind, _)| word(*kind)).collect();
            let names: Vec<String> =
                kinds.iter().flat_map(|kind| CHANGES.map(|change| format!("prefect.{kind}.{change}"))).collect();
            let resources: Vec<&String> = ids.keys().collect();
            let filter = json!({"order": "DESC", "event": {"name": names}, "resource": {"id": resources}});
            let body = json!({"filter": filter, "limit": AT_ONCE});
            let call = Call::new(Method::POST, "/events/filter", "the events").body(&body);
            let answer = self.client.send(&call).await?;
            for event in answer.body["events"].as_array().into_iter().flatten() {
                let id = text(&event["resource"], "prefect.resource.id").and_then(|name| ids.get(&name).copied());
                // The newest come first.
                if let Some((id, event)) = id.zip(read(event)) {
                    last.entry(id.clone()).or_insert(event);
                }
            }
        }
        Ok(last)
    }
}

fn read(event: &Value) -> Option<LastEvent> {
    let related = event["related"].as_array().into_iter().flatten();
    let mut actors = related
        .filter(|one| one["prefect.resource.role"].as_str().is_some_and(|role| role == "actor" || role == "creator"));
    let actor = actors.next().and_then(|one| {
        text(one, "prefect.resource.name")
            .or_else(|| text(one, "prefect.name"))
            .or_else(|| text(one, "prefect.resource.id"))
    });
    Some(LastEvent { id: text(event, "id")?, event: text(event, "event")?, occurred: text(event, "occurred")?, actor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_did_it_is_read_where_it_is_told() {
        let mut event = json!({"id": "1", "event": "prefect.variable.updated", "occurred": "2026-01-01T00:00:00Z",
            "related": [{"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "flow"}]});
        assert_eq!(read(&event).expect("an event").actor, None);
        event["related"][0]["prefect.resource.role"] = json!("actor");
        assert_eq!(read(&event).expect("an event").actor.as_deref(), Some("prefect.flow.1"));
        event["related"][0]["prefect.resource.name"] = json!("Ada");
        assert_eq!(read(&event).expect("an event").actor.as_deref(), Some("Ada"));
        assert_eq!(read(&json!({"event": 3})), None);
    }
}
