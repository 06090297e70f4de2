//! The ledger on a real server.

use std::collections::{BTreeMap, BTreeSet};

use reconcile::api::{LedgerTrouble, new_ledger};
use reconcile::model::ledger::{Ledger, Owned};
use reconcile::model::{Key, Kind, Path};
use serde_json::{Value, json};

use super::api;
use crate::support::{Server, sent};

fn documents(server: &Server) -> Vec<Value> {
    let body = json!({"block_types": {"slug": {"any_": ["reconcile-ledger"]}}});
    let found = server.http().post("/block_documents/filter", body);
    found.as_array().cloned().unwrap_or_default()
}

fn ledger(deployments: usize) -> Ledger {
    let declared = |n: usize| {
        BTreeMap::from([
            (Path::of("schedules").item("daily").key("cron"), format!("d{n}")),
            (Path::of("env").key("a.b \"é\""), "x".to_owned()),
        ])
    };
    let owned = (0..deployments).map(|n| {
        (
            Key::deployment("my flow", &format!("d {n}")),
            Owned { id: n.to_string(), declared: declared(n).into(), keep: false },
        )
    });
    Ledger {
        commit: Some("3f2c1a9".to_owned()),
        owned: owned.collect(),
        pending: BTreeSet::from([Key::new(Kind::Automation, "α/β")]),
        builds: BTreeMap::from([("b".to_owned(), json!({"n": [1, 1.5, 1e300, -0.1, null, true], "": {}}))]),
        flows: BTreeMap::from([("f".to_owned(), json!({"schema": {"$ref": "#/definitions/X", "o": {"$ref": {}}}}))]),
        ..new_ledger()
    }
}

#[tokio::test]
async fn a_ledger_is_saved_and_loaded_in_one_request() {
    let server = Server::start();
    let api = api(&server.url);
    assert_eq!(api.load_ledger("shop").await, Ok(None));
    let mut first = ledger(3);
    assert_eq!(api.save_ledger("shop", &first).await, Ok(1));
    first.generation = 1;

    let other = super::api(&server.url);
    assert_eq!(other.load_ledger("shop").await, Ok(Some(first.clone())));
    assert_eq!((sent(&other), other.requests().write), (1, 0));
    first.owned.pop_first();
    assert_eq!(other.save_ledger("shop", &first).await, Ok(2));
    assert_eq!(sent(&other), 2);
    first.generation = 2;
    assert_eq!(api.load_ledger("shop").await, Ok(Some(first.clone())));

    let seen = documents(&server);
    assert_eq!((seen.len(), &seen[0]["data"]["digest_key"]), (1, &json!("********")));
    assert_eq!(seen[0]["data"]["owned"]["deployment my flow/d 1"]["id"], "1");

    // A scope whose name contains another's is another scope.
    assert_eq!(api.load_ledger("sho").await, Ok(None));
    api.save_ledger("sho", &ledger(1)).await.expect("saved");
    let elsewhere = api.owned_elsewhere("shop").await.expect("read");
    assert_eq!(elsewhere, BTreeMap::from([(Key::deployment("my flow", "d 0"), "sho".to_owned())]));
    api.delete_ledger("shop").await.expect("deleted");
    assert_eq!(other.load_ledger("shop").await, Ok(None));
    assert_eq!(documents(&server).len(), 1);
    // It is made anew where it was known before.
    assert_eq!(other.save_ledger("shop", &first).await, Ok(3));
}

#[tokio::test]
async fn a_large_ledger_is_spread_and_only_what_changed_is_written() {
    let server = Server::start();
    let api = api(&server.url);
    let mut large = ledger(600);
    api.save_ledger("shop", &large).await.expect("saved");
    assert_eq!(documents(&server).len(), 5);
    large.generation = 1;
    let before = sent(&api);
    assert_eq!(api.load_ledger("shop").await, Ok(Some(large.clone())));
    assert_eq!(sent(&api) - before, 1);

    let before = api.requests();
    large.owned.insert(Key::deployment("new", "one"), Owned::default());
    api.save_ledger("shop", &large).await.expect("saved");
    large.generation = 2;
    // One part, the main document, and the old part's end.
    let after = api.requests();
    assert!(after.write - before.write <= 3 + after.repeated - before.repeated, "{before:?} {after:?}");
    assert_eq!(documents(&server).len(), 5);
    assert_eq!(api.load_ledger("shop").await, Ok(Some(large.clone())));
    assert_eq!(api.owned_elsewhere("x").await.expect("read").len(), 601);

    // Whether it moved is told by one small answer.
    assert!(api.is_ledger("shop", &large).await.expect("answered"));
    large.owned = large.owned.into_iter().take(2).collect();
    self::api(&server.url).save_ledger("shop", &large).await.expect("saved");
    assert_eq!(documents(&server).len(), 1);
    assert!(!api.is_ledger("shop", &large).await.expect("answered"));
}

#[tokio::test]
async fn damage_is_told_from_absence() {
    let server = Server::start();
    let api = api(&server.url);
    let large = ledger(1500);
    api.save_ledger("shop", &large).await.expect("saved");
    let is_part = |document: &Value| document["name"].as_str().is_some_and(|name| name.contains("-part-"));
    let found = documents(&server);
    let part = found.iter().find(|d| is_part(d)).expect("a part");
    let http = server.http();
    let path = |document: &Value| format!("/block_documents/{}", document["id"].as_str().expect("an id"));

    let edit = json!({"data": {"owned": {}}, "merge_existing_data": false});
    http.patch(&path(part), edit);
    let trouble = api.load_ledger("shop").await.expect_err("edited");
    assert_eq!(trouble.code(), "E0520");
    assert!(trouble.to_string().ends_with("it was edited"), "{trouble}");
    http.delete(&path(part));
    let trouble = api.load_ledger("shop").await.expect_err("truncated");
    assert!(trouble.to_string().ends_with("it is missing"), "{trouble}");

    // Saving again makes it whole.
    api.save_ledger("shop", &large).await.expect("saved");
    assert!(api.load_ledger("shop").await.expect("whole").is_some());
    let found = documents(&server);
    let main = found.iter().find(|d| !is_part(d)).expect("the main document");
    http.patch(&path(main), json!({"data": {"generation": 9}}));
    assert!(matches!(api.load_ledger("shop").await, Err(LedgerTrouble::Damaged { .. })));
    http.delete(&path(main));
    assert_eq!(api.load_ledger("shop").await, Ok(None));
}
