//! `Events`: what the worker tells the server's event log. Losing one never hurts a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Worker;
use super::configure::Relatives;
use super::patience::{Patience, REFUSED, about};
use crate::api::{Socket, SocketError};
use crate::infra::News;

/// More are not kept while the server is away.
const MOST: usize = 1000;
/// How long the last ones may take at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where events go.
pub(super) struct Events {
    to: mpsc::Sender<Value>,
    /// How many have not arrived yet.
    open: AtomicUsize,
}

impl Events {
    /// A way for events, and its end.
    pub fn new() -> (Events, mpsc::Receiver<Value>) {
        let (to, from) = mpsc::channel(MOST);
        (Events { to, open: AtomicUsize::new(0) }, from)
    }

    /// Gives what was told a moment to arrive.
    pub async fn flush(&self) {
        let arrived = async {
            while self.open.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, arrived).await;
    }
}

/// Sends events until it is dropped; as long as the server refuses them, they go nowhere.
pub(super) async fn keep_emitting(worker: Arc<Worker>, mut from: mpsc::Receiver<Value>) {
    let mut patience = Patience::default();
    let mut kept: Option<Value> = None;
    loop {
        if kept.is_none() {
            kept = from.recv().await;
        }
        let begun = Instant::now();
        match emit(&worker, &mut kept, &mut from).await {
            Ok(()) => return,
            Err(SocketError::Refused(_)) => {
                tracing::info!("the server takes no events");
                if kept.take().is_some() {
                    worker.events.open.fetch_sub(1, Ordering::Relaxed);
                }
                if tokio::time::timeout(about(REFUSED), discard(&worker, &mut from)).await.is_ok() {
                    return;
                }
            }
            Err(error) => {
                tracing::info!(%error, "events wait");
                patience.lasted(begun.elapsed());
                tokio::time::sleep(patience.next()).await;
            }
        }
    }
}

/// Lets events go; ends when there will be none any more.
async fn discard(worker: &Worker, from: &mut mpsc::Receiver<Value>) {
    while from.recv().await.is_some() {
        worker.events.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends one after another over one connection, each with a confirmation that it arrived.
async fn emit(worker: &Worker, kept: &mut Option<Value>, from: &mut mpsc::Receiver<Value>) -> Result<(), SocketError> {
    let mut socket: Socket = worker.api.socket("/events/in").await?;
    loop {
        if let Some(event) = kept {
            socket.send(event).await?;
            socket.confirm().await?;
            *kept = None;
            worker.events.open.fetch_sub(1, Ordering::Relaxed);
        }
        tokio::select! {
            next = from.recv() => match next {
                Some(event) => *kept = Some(event),
                None => {
                    socket.close().await;
                    return Ok(());
                }
            },
            // Nothing ever comes: this notices a connection that is lost.
            heard = socket.next() => drop(heard?),
        }
    }
}

impl Worker {
    /// Tells that the worker started or stopped; the id of the event.
    pub(super) fn tell_of_itself(&self, name: &str, follows: Option<&str>) -> String {
        self.emit(name, Vec::new(), follows)
    }

    /// Tells what it did with a run; the id of the event.
    pub(super) fn tell_of_run(
        &self,
        name: &str,
        relatives: &Relatives,
        end: Option<(&str, i32)>,
        follows: Option<&str>,
    ) -> String {
        let mut related = related(relatives);
        let run = related.iter_mut().find(|one| one["prefect.resource.role"] == "flow-run");
        if let (Some((handle, code)), Some(run)) = (end, run) {
            run["prefect.infrastructure.identifier"] = json!(handle);
            run["prefect.infrastructure.status-code"] = json!(code.to_string());
        }
        self.emit(name, related, follows)
    }

    fn emit(&self, name: &str, mut related: Vec<Value>, follows: Option<&str>) -> String {
        related.push(relative("work-pool", &self.pool()));
        self.send_event(json!({
            "event": name,
            "resource": self.resource(),
            "related": related,
            "payload": {},
            "follows": follows,
        }))
    }

    /// What events call this worker.
    fn resource(&self) -> Value {
        let pool = self.pool();
        let kind = pool["type"].as_str().unwrap_or_default();
        json!({
            "prefect.resource.id": format!("prefect.worker.{kind}.{}", slug(&self.name)),
            "prefect.resource.name": self.name,
            "prefect.version": super::configure::VERSION,
            "prefect.worker-type": kind,
        })
    }

    /// Tells what happened to a run's infrastructure; the id of the event.
    fn tell_news(&self, news: &News, relatives: &Relatives, follows: Option<&str>) -> String {
        let Some((id, name)) = &news.resource else {
            return self.tell_of_run(&news.event, relatives, None, None);
        };
        let mut related = related(relatives);
        related.push(relative("work-pool", &self.pool()));
        let mut own = self.resource();
        own["prefect.resource.role"] = json!("worker");
        related.push(own);
        self.send_event(json!({
            "event": news.event,
            "resource": {"prefect.resource.id": id, "prefect.resource.name": name},
            "related": related,
            "payload": {},
            "follows": follows,
        }))
    }

    /// Sends an event that lacks only time and id; the id.
    pub(super) fn send_event(&self, mut event: Value) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        event["occurred"] = json!(jiff::Timestamp::now().to_string());
        event["id"] = json!(id);
        // A full queue means that the server has been away for long.
        if self.events.to.try_send(event).is_ok() {
            self.events.open.fetch_add(1, Ordering::Relaxed);
        }
        id
    }
}

/// A run's relatives, as events name them: deployment, flow, run, and the tags of all of them.
fn related(relatives: &Relatives) -> Vec<Value> {
    let mut tags = BTreeSet::new();
    let mut related = Vec::new();
    let objects = [("deployment", &relatives.deployment), ("flow", &relatives.flow), ("flow-run", &relatives.run)];
    for (kind, object) in objects.into_iter().filter(|(_, object)| object.is_object()) {
        tags.extend(object["tags"].as_array().into_iter().flatten().filter_map(Value::as_str));
        related.push(relative(kind, object));
    }
    let tag = |tag: &str| json!({"prefect.resource.id": format!("prefect.tag.{tag}"), "prefect.resource.role": "tag"});
    related.extend(tags.into_iter().map(tag));
    related
}

/// Tells what happens to the infrastructure of runs, each event with the one before it.
pub(super) async fn keep_telling_news(worker: Arc<Worker>) {
    let Some(mut news) = worker.place.news() else { return };
    // The last news of a run can come when it is over.
    let mut last: BTreeMap<String, (Arc<Relatives>, String)> = BTreeMap::new();
    while let Some(news) = news.recv().await {
        let before = last.remove(&news.run);
        let relatives = worker.flights.relatives(&news.run);
        let Some(relatives) = relatives.or_else(|| before.as_ref().map(|(relatives, _)| relatives.clone())) else {
            continue;
        };
        let event = worker.tell_news(&news, &relatives, before.as_ref().map(|(_, event)| event.as_str()));
        last.retain(|run, _| worker.flights.has(run));
        last.insert(news.run, (relatives, event));
    }
}

fn relative(kind: &str, object: &Value) -> Value {
    let id = object["id"].as_str().unwrap_or_default();
    json!({
        "prefect.resource.id": format!("prefect.{kind}.{id}"),
        "prefect.resource.role": kind,
        "prefect.resource.name": object["name"],
    })
}

/// A name as ids have it: lower case, everything but letters and digits a dash.
fn slug(name: &str) -> String {
    let dashed: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids() {
        assert_eq!(slug("ProcessWorker 5D3--x!"), "processworker-5d3-x");
    }
}
