//! The API client against a real Prefect server, and against one that misbehaves.
#![allow(clippy::disallowed_methods, reason = "tests touch the world")]

mod ledger;
mod mischief;
mod real;

use reconcile::api::Api;
use reconcile::model::Connection;

/// A connection with short waits.
fn connection(url: &str) -> Connection {
    let mut connection = Connection::new(url);
    connection.retry_delay = std::time::Duration::from_millis(50);
    connection
}

fn api(url: &str) -> Api {
    Api::connect(connection(url)).expect("a connection")
}
