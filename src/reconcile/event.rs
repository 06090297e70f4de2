//! The event of a pass that changed something: it stands in Prefect's event log, and automations can react to it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Pass;
use super::apply::Applied;
use crate::model::plan::{Action, Change};
use crate::model::{Key, Kind};
use crate::report::{Outcome, Report};

/// What happened.
const NAME: &str = "reconcile.pass.applied";
/// How long a pass waits for the event log.
const PATIENCE: Duration = Duration::from_secs(5);
/// An event may name so many other resources. Source: `PREFECT_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES` of
/// `prefect/settings/models/server/events.py` (3.8.8).
const MOST_RELATED: usize = 100;
/// So many of them are deployments: their flows need room as well.
const MOST_DEPLOYMENTS: usize = 70;
/// So many changes are listed one by one.
const MOST_LISTED: usize = 100;

/// Tells the API of a pass that changed something, unless reconcile.yaml says otherwise. That it cannot be told is no
/// failure of the pass. `stopped`: it ended early, or the ledger does not know of it.
pub async fn tell(pass: &Pass<'_>, report: &Report, applied: &Applied, stopped: bool) {
    let project = &pass.reading.project;
    let Some(api) = pass.api.filter(|_| project.events && project.ledger && report.tally().0 > 0) else { return };
    let event = of(report, pass.request.env_name.as_deref(), applied, stopped);
    let told = tokio::time::timeout(PATIENCE, api.emit(&event)).await;
    match told {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::info!(%error, "the event log was not told"),
        Err(_) => tracing::info!("the event log was not told: it does not answer in time"),
    }
}

fn of(report: &Report, environment: Option<&str>, applied: &Applied, stopped: bool) -> Value {
    let (_, failed, skipped) = report.tally();
    let whole = !stopped && failed + skipped == 0;
    let mut resource = json!({
        "prefect.resource.id": format!("reconcile.scope.{}", report.scope),
        "prefect.resource.name": report.scope,
        "reconcile.result": if whole { "complete" } else { "partial" },
    });
    let labels = [("reconcile.environment", environment), ("reconcile.commit", report.source.commit.as_deref())];
    for (label, value) in labels {
        if let Some(value) = value {
            resource[label] = json!(value);
        }
    }
    json!({
        "id": uuid::Uuid::new_v4().to_string(),
        "occurred": Timestamp::now().to_string(),
        "event": NAME,
        "resource": resource,
        "related": related(&done(report), applied),
        "payload": payload(report),
    })
}

/// What is in.
fn done(report: &Report) -> Vec<&Change> {
    let is_in = |change: &&Change| report.outcome(&change.key) == Some(&Outcome::Done);
    report.plan.changes.iter().filter(is_in).collect()
}

/// Deployments, and the flows of those that are left.
fn related(done: &[&Change], applied: &Applied) -> Vec<Value> {
    let one = |kind: &str, id: &str, name: &str| {
        json!({
            "prefect.resource.id": format!("prefect.{kind}.{id}"),
            "prefect.resource.role": kind,
            "prefect.resource.name": name,
        })
    };
    let (mut all, mut flows) = (Vec::new(), BTreeMap::new());
    for change in done.iter().filter(|change| change.key.kind == Kind::Deployment).take(MOST_DEPLOYMENTS) {
        let Some(id) = applied.ids.get(&change.key) else { continue };
        let (flow, name) = change.key.name.split_once('/').unwrap_or(("", &change.key.name));
        all.push(one("deployment", id, name));
        flows.extend(applied.flows.get(flow).filter(|_| change.action != Action::Delete).map(|id| (flow, id)));
    }
    all.extend(flows.iter().map(|(name, id)| one("flow", id, name)));
    all.truncate(MOST_RELATED);
    all
}

fn payload(report: &Report) -> Value {
    let done = done(report);
    let listed: Vec<Value> = done.iter().take(MOST_LISTED).map(|change| listed(&change.key, change.action)).collect();
    let mut payload = json!({
        "scope": report.scope,
        "commit": report.source.commit,
        "branch": report.source.branch,
        "dirty": report.source.dirty,
        "digest": report.digest,
        "more": done.len() - listed.len(),
        "changes": listed,
        "version": env!("CARGO_PKG_VERSION"),
    });
    for (name, n) in report.counts() {
        payload[name] = json!(n);
    }
    payload
}

fn listed(key: &Key, action: Action) -> Value {
    json!({"kind": key.kind, "name": key.name, "action": action})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{Because, Plan};

    fn report(names: usize) -> (Report, Applied) {
        let key = |n: usize| Key::deployment("etl", &format!("d{n:03}"));
        let change = |n| Change::new(key(n), Action::Create, Because::Git);
        let mut applied = Applied::default();
        applied.flows.insert("etl".to_owned(), "f".to_owned());
        for n in 0..names {
            applied.ids.insert(key(n), format!("id{n}"));
            applied.outcomes.insert(key(n), Outcome::Done);
        }
        let report = Report {
            scope: "shop@prod".to_owned(),
            digest: "sha256:00".to_owned(),
            base: Default::default(),
            source: Default::default(),
            api: None,
            plan: Plan { changes: (0..names).map(change).collect(), ..Plan::default() },
            declared: Vec::new(),
            outcomes: applied.outcomes.clone(),
            requests: Default::default(),
            diagnostics: Vec::new(),
            seconds: 0.0,
        };
        (report, applied)
    }

    #[test]
    fn it_names_what_is_in_and_no_more_than_the_server_takes() {
        let (mut report, applied) = report(250);
        report.outcomes.insert(Key::deployment("etl", "d000"), Outcome::Failed("no".to_owned()));
        let event = of(&report, Some("prod"), &applied, false);
        let related = event["related"].as_array().expect("a list");
        assert_eq!(related.len(), MOST_DEPLOYMENTS + 1);
        assert_eq!(related[0]["prefect.resource.id"], "prefect.deployment.id1");
        assert_eq!(related[MOST_DEPLOYMENTS]["prefect.resource.id"], "prefect.flow.f");
        assert_eq!(event["resource"]["prefect.resource.id"], "reconcile.scope.shop@prod");
        assert_eq!(event["resource"]["reconcile.result"], "partial");
        assert_eq!(event["resource"].get("reconcile.commit"), None);
        let payload = &event["payload"];
        assert_eq!((&payload["created"], &payload["failed"], &payload["more"]), (&json!(249), &json!(1), &json!(149)));
    }
}
