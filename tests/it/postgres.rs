//! A server on PostgreSQL. `RECONCILE_TEST_DATABASE=postgres` has all tests run on one; this is what every run has of it.

use crate::support::chaos::{Case, peaceful, prepare};
use crate::support::postgres::programs;
use crate::support::server::Server;

/// What is applied to a server on PostgreSQL, first and after a change, is what a server on SQLite holds then, and
/// another pass has nothing to write.
#[test]
fn it_makes_no_difference() {
    if let Err(why) = programs() {
        eprintln!("skipped: {why}");
        return;
    }
    let (server, other) = (Server::start_on_postgres(), Server::start());
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
