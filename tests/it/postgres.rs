//! A server on PostgreSQL. `RECONCILE_TEST_DATABASE=postgres` has all tests run on one; this is what every run has of it.

use std::collections::BTreeSet;

use reconcile::api::{Api, Which};
use reconcile::model::Connection;
use serde_json::json;

use crate::support::chaos::{Case, peaceful, prepare};
use crate::support::postgres::programs;
use crate::support::server::Server;
use crate::support::skip::skipped;

/// What is applied to a server on PostgreSQL, first and after a change, is what a server on SQLite holds then, and
/// another pass has nothing to write.
#[test]
fn it_makes_no_difference() {
    if let Err(why) = programs() {
        skipped(why);
        return;
    }
    let (server, other) = (Server::start_on_postgres(&[]), Server::start());
    for one in [&server, &other] {
        prepare(&one.url);
    }
    let (first, second) = peaceful(&other.url, "postgres");
    let case = Case::new(&server.url, "postgres", "30");
    case.project.reconcile(&["apply", "--yes"]).exits(0);
    case.equals(&first);
    case.change();
    case.project.reconcile(&["apply", "--yes"]).exits(0);
    case.equals(&second);
    case.proxy.reset();
    case.project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(case.proxy.writes(), []);
}

/// PostgreSQL gives rows that are equal in the order of a list differently for every page. Names of deployments are equal
/// in many flows.
#[tokio::test]
async fn lists_lose_nothing_where_a_page_ends_among_equal_names() {
    if let Err(why) = programs() {
        skipped(why);
        return;
    }
    let server = Server::start_on_postgres(&[("PREFECT_SERVER_API_DEFAULT_LIMIT", "7")]);
    let api = Api::connect(Connection::new(&server.url)).unwrap();
    let mut made = BTreeSet::new();
    for flow in 0..20 {
        let flow = api.create_flow(&format!("f{flow}")).await.unwrap();
        for name in ["a", "b"] {
            let body = json!({"name": name, "flow_id": flow, "entrypoint": "f.py:f", "parameter_openapi_schema": {}});
            made.insert(api.create_deployment(&body).await.unwrap().id);
        }
    }
    for (which, rows) in [(Which::All, 40), (Which::named(["a"]), 20)] {
        let read = api.deployments(&which).await.unwrap();
        assert_eq!(read.len(), rows);
        assert!(read.iter().all(|row| row["id"].as_str().is_some_and(|id| made.contains(id))));
    }
}
