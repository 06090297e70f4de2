//! Blocks and block types: which schema, what an update keeps, and what the API only seems to do.

use std::sync::atomic::{AtomicUsize, Ordering};

use reconcile::api::{Api, ApiError, Which};
use reconcile::model::{Key, Kind};
use reconcile::resource::block_schema::schema_checksum;
use serde_json::{Value, json};

use super::{api, connection, named};
use crate::support::Server;
use crate::support::proxy::{Proxy, Verdict};

fn block_type(slug: &str) -> Key {
    Key::new(Kind::BlockType, slug)
}

fn fields(slug: &str, properties: Value) -> Value {
    json!({"title": slug, "type": "object", "properties": properties, "block_type_slug": slug, "secret_fields": []})
}

#[tokio::test]
async fn checksums_are_those_that_the_server_computes() {
    let server = Server::shared();
    let http = server.http();
    let served = http.all("block_schemas");
    let same = served.iter().filter(|row| row["checksum"] == json!(schema_checksum(&row["fields"]))).count();
    assert!(same >= 50, "{same} of {}", served.len());

    let kind = api(&server.url).create_object(&block_type("checksums"), &json!({"name": "Checksums"})).await.unwrap();
    let cases = [
        json!({}),
        json!({"title": "é😀\u{1}\u{7f}\"\\/", "x": [1, 1.5, 1.0, -0.0, 1e16, 1e15, 1e22, 1.5e-7, 1e-4, 1e-5, 123456789012345678u64, true, null]}),
        json!({"b": 1, "a": {"z": [], "secret_fields": ["x"], "y": [{"secret_fields": 1}]}, "secret_fields": ["p"]}),
        json!({"x": {"$ref": "#/definitions/A"}, "definitions": {
            "A": {"y": [{"$ref": "#/definitions/B"}]}, "B": {"t": 1}, "C": {"unused": true}, "D": {}, "Block": {"block_type_slug": "secret", "t": 1},
        }}),
        json!({"x": {"$ref": "#/definitions/C"}, "definitions": {"A": {"t": 1}}}),
        json!({"definitions": {"A": {"t": {"$ref": "#/definitions/A2"}}, "A2": {"t": 2}}}),
        json!({"definitions": {}}),
    ];
    for case in cases {
        let made = http.post("/block_schemas/", json!({"block_type_id": kind, "fields": case, "version": "1"}));
        assert_eq!(made["checksum"], json!(schema_checksum(&case)), "{case}");
    }
}

#[tokio::test]
async fn a_block_gets_the_newest_schema_with_a_version_or_the_pinned_one() {
    let server = Server::shared();
    let (api, http) = (api(&server.url), server.http());
    let kind = block_type("pinned");
    let body =
        json!({"name": "Pinned", "fields": fields("pinned", json!({"a": {}})), "capabilities": ["x"], "version": "1"});
    let type_id = api.create_object(&kind, &body).await.unwrap();
    api.update_object(&kind, &type_id, &json!({"version": "2"})).await.unwrap();
    let loose = json!({"block_type_id": type_id, "fields": fields("pinned", json!({"b": {}}))});
    let loose = http.post("/block_schemas/", loose);
    let row = named(&api, &kind).await.remove(0);
    let newest = &row["block_schema"];
    assert_eq!((&newest["version"], &newest["capabilities"]), (&json!("2"), &json!(["x"])), "what was not said stays");
    assert!(newest["fields"]["properties"]["a"].is_object());

    let version = |name: &str| {
        let key = Key::new(Kind::Block, format!("pinned/{name}"));
        let api = &api;
        async move { named(api, &key).await[0]["block_schema"]["version"].clone() }
    };
    let pins = [
        ("newest", Value::Null, "2"),
        ("latest", json!({"version": "latest"}), "2"),
        ("one", json!({"version": "1"}), "1"),
        ("sum", json!({"checksum": loose["checksum"]}), "non-versioned"),
    ];
    for (name, pin, expected) in pins {
        let body = json!({"data": {"a": 1}, "schema": pin});
        api.create_object(&Key::new(Kind::Block, format!("pinned/{name}")), &body).await.unwrap();
        assert_eq!(version(name).await, expected, "{name}");
    }
    let key = Key::new(Kind::Block, "pinned/one");
    let id = named(&api, &key).await[0]["id"].as_str().unwrap().to_owned();
    api.update_object(&key, &id, &json!({"data": {"a": 2}})).await.unwrap();
    assert_eq!(version("one").await, "2");
    let key = Key::new(Kind::Block, "pinned/no");
    let body = json!({"data": {}, "schema": {"version": "9"}});
    let error = api.create_object(&key, &body).await.expect_err("no such version");
    assert_eq!((error.code(), error.help().as_str()), ("E0524", "it has `1`, `2`, `non-versioned`"));
    assert!(error.to_string().ends_with("has no schema `9` of the block type `pinned`"), "{error}");
}

#[tokio::test]
async fn an_unknown_type_is_told_with_similar_ones() {
    let server = Server::shared();
    let api = api(&server.url);
    for (slug, hint) in [("s3-buckt", "`s3-bucket`"), ("s3", "Prefect 2"), ("qqqqqqqq", "prefect block register")] {
        let error = api.create_object(&Key::new(Kind::Block, format!("{slug}/x")), &json!({"data": {}})).await;
        let error = error.expect_err("no such type");
        assert!(
            matches!(error, ApiError::UnknownType { .. }) && error.help().contains(hint),
            "{error} {}",
            error.help()
        );
        assert!(error.to_string().ends_with(&format!("has no block type `{slug}`")), "{error}");
    }
}

#[tokio::test]
async fn types_are_looked_up_once_and_awaited_on_cloud() {
    let server = Server::shared();
    let proxy = Proxy::in_front_of(&server.url);
    let looks = |of: &Proxy| of.requests().iter().filter(|seen| seen.path.ends_with("/block_types/filter")).count();
    let plain = api(&proxy.url);
    for name in ["looked-a", "looked-b"] {
        plain
            .create_object(&Key::new(Kind::Block, format!("secret/{name}")), &json!({"data": {"value": 1}}))
            .await
            .unwrap();
    }
    assert_eq!(looks(&proxy), 1);

    let empty = |times: usize| {
        let left = AtomicUsize::new(times);
        proxy.reset();
        proxy.rule(move |request| {
            let asks = request.path.ends_with("/block_types/filter");
            match asks && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                true => Verdict::Answer(200, "[]".to_owned()),
                false => Verdict::Pass,
            }
        });
    };
    let mut cloud = connection(&proxy.url);
    cloud.cloud_api_url = proxy.url.clone();
    cloud.max_retries = 3;
    let cloud = || Api::connect(cloud.clone()).unwrap();
    empty(3);
    cloud().create_object(&Key::new(Kind::Block, "secret/awaited"), &json!({"data": {"value": 1}})).await.unwrap();
    assert_eq!(looks(&proxy), 4);
    empty(usize::MAX);
    let key = Key::new(Kind::Block, "secret/never");
    assert_eq!(cloud().create_object(&key, &json!({"data": {}})).await.expect_err("never").code(), "E0524");
    assert_eq!(looks(&proxy), 5, "three more, and one for similar ones");
}

#[tokio::test]
async fn an_update_replaces_all_data_and_keeps_references() {
    let server = Server::shared();
    let api = api(&server.url);
    let target = Key::new(Kind::Block, "gcp-credentials/kept");
    let target_id = api.create_object(&target, &json!({"data": {"project": "p"}})).await.unwrap();
    let reference = json!({"$ref": {"block_document_id": target_id}});
    let key = Key::new(Kind::Block, "gcs-bucket/kept");
    let body = json!({"data": {"bucket": "b", "bucket_folder": "f", "gcp_credentials": reference}});
    let id = api.create_object(&key, &body).await.unwrap();
    api.update_object(&key, &id, &json!({"data": {"bucket": "c", "gcp_credentials": reference}})).await.unwrap();
    let row = named(&api, &key).await.remove(0);
    assert_eq!((&row["data"]["bucket"], row["data"].get("bucket_folder")), (&json!("c"), None));
    assert_eq!(row["block_document_references"]["gcp_credentials"]["block_document"]["id"], json!(target_id));
    let anonymous = json!({"data": {}, "is_anonymous": true, "block_type_id": row["block_type_id"], "block_schema_id": row["block_schema_id"]});
    let hidden = server.http().post("/block_documents/", anonymous);
    for which in [Which::All, Which::ids([hidden["id"].as_str().unwrap()])] {
        let found = api.objects(Kind::Block, &which).await.unwrap();
        assert!(found.iter().all(|(_, row)| row["id"] != hidden["id"]), "anonymous blocks belong to what uses them");
    }
}

#[tokio::test]
async fn what_the_api_only_seems_to_do_to_a_type_is_refused() {
    let server = Server::shared();
    let api = api(&server.url);
    let key = block_type("seeming");
    let first = fields("seeming", json!({"a": {}}));
    let text = "a < b & \"c\" &lt; &amp;";
    let made = json!({"name": "Seeming", "description": text, "fields": first, "version": "1"});
    let id = api.create_object(&key, &made).await.unwrap();
    assert_eq!(named(&api, &key).await[0]["description"], text);
    for text in ["x > y & z", "&gt;"] {
        api.update_object(&key, &id, &json!({ "description": text })).await.unwrap();
        assert_eq!(named(&api, &key).await[0]["description"], text);
    }

    // Names need not be unique; the API answers with the wrong one.
    let too = block_type("seeming-too");
    let other = api.create_object(&too, &json!({"name": "Seeming"})).await.unwrap();
    assert_eq!((named(&api, &too).await[0]["id"].as_str(), other == id), (Some(other.as_str()), false));

    let foreign = json!({"name": "Foreign", "fields": first, "version": "1"});
    let error = api.create_object(&block_type("foreign"), &foreign).await.expect_err("its schema is another's");
    assert!(error.to_string().contains("another block type has a schema"), "{error}");

    let mut hiding = first.clone();
    hiding["secret_fields"] = json!(["a"]);
    let error = api.update_object(&key, &id, &json!({"fields": hiding, "version": "1"})).await.expect_err("no effect");
    assert!(error.to_string().contains("`secret_fields`, which do not change"), "{error}");
    api.update_object(&key, &id, &json!({"fields": hiding, "version": "2"})).await.unwrap();
    assert_eq!(named(&api, &key).await[0]["block_schema"]["fields"]["secret_fields"], json!(["a"]));
    api.update_object(&key, &id, &json!({"fields": hiding, "version": "2"})).await.unwrap();
    let error = api.update_object(&key, &id, &json!({"fields": first, "version": "1"})).await.expect_err("no effect");
    assert!(error.to_string().contains("the newer one goes on to count"), "{error}");
}
