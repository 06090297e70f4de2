//! What hangs on an object.

use std::collections::{BTreeMap, BTreeSet};

use reconcile::api::Which;
use reconcile::model::{Key, Kind};
use serde_json::{Value, json};

use super::api;
use crate::support::{Server, sent, server_is_at_least, server_version};

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn runs_storage_and_blocks_in_use_are_told() {
    let server = Server::start();
    let (api, http) = (api(&server.url), server.http());
    http.post("/work_pools/", json!({"name": "p 1", "type": "process"}));
    let block = Key::new(Kind::Block, "local-file-system/code");
    let block = api.create_object(&block, &json!({"data": {"basepath": "/tmp"}})).await.unwrap();
    let flow = api.create_flow("f").await.unwrap();
    let mut ids = Vec::new();
    for (name, storage) in [("a", json!(block)), ("b", Value::Null), ("c", Value::Null)] {
        let body = json!({
            "flow_id": flow, "work_pool_name": "p 1", "storage_document_id": storage, "parameter_openapi_schema": {},
        });
        ids.push(api.create_object(&Key::new(Kind::Deployment, format!("f/{name}")), &body).await.unwrap());
    }
    let run = |deployment: &str, state: &str| {
        let run = http.post(&format!("/deployments/{deployment}/create_flow_run"), json!({}));
        let path = format!("/flow_runs/{}/set_state", text(&run["id"]));
        http.post(&path, json!({"state": {"type": state}, "force": true}));
    };
    for (deployment, state) in [(0, "RUNNING"), (0, "PENDING"), (1, "RUNNING"), (1, "COMPLETED"), (2, "SCHEDULED")] {
        run(&ids[deployment], state);
    }
    let all: BTreeSet<String> = ids.iter().cloned().collect();
    let before = sent(&api);
    let running = api.running_runs(&all).await.unwrap();
    assert_eq!(running, BTreeMap::from([(ids[0].clone(), 2), (ids[1].clone(), 1)]));
    assert_eq!(sent(&api) - before, 2);
    assert!(api.running_runs(&BTreeSet::from([ids[2].clone(), "no-uuid".to_owned()])).await.unwrap().is_empty());
    assert_eq!(sent(&api) - before, 3);
    assert_eq!(api.queued_runs(&Key::new(Kind::WorkPool, "p 1"), &BTreeSet::new()).await.unwrap(), 2);
    let queue = |name: &str| Key::new(Kind::WorkQueue, format!("p 1/{name}"));
    assert_eq!(api.queued_runs(&queue("default"), &BTreeSet::new()).await.unwrap(), 2);
    assert_eq!(api.queued_runs(&queue("default"), &BTreeSet::from([ids[0].clone()])).await.unwrap(), 1);
    assert_eq!(api.queued_runs(&queue("missing"), &BTreeSet::new()).await.unwrap(), 0);
    assert_eq!(api.queued_runs(&Key::new(Kind::WorkPool, "missing"), &BTreeSet::new()).await.unwrap(), 0);

    for paused in [true, true, false] {
        api.pause_deployment(&ids[0], paused).await.unwrap();
        assert_eq!(api.deployments(&Which::ids([ids[0].as_str()])).await.unwrap()[0]["paused"], json!(paused));
    }

    assert_eq!(api.admin_storage().await.unwrap(), None);
    if !server_is_at_least((3, 7)) {
        assert_eq!(http.request("GET", "/admin/storage", None).status, 404);
        return println!("Prefect {} has no default storage for results", server_version());
    }
    assert_eq!(
        http.request("PUT", "/admin/storage", Some(&json!({"default_result_storage_block_id": block}))).status,
        200
    );
    assert_eq!(api.admin_storage().await.unwrap(), Some(block));
}
