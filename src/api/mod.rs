//! The Prefect server: the only room that knows HTTP and the paths of the API.
//!
//! [`Api`] is the handle the other floors hold. What may be sent again after a failure and what not is said by
//! [`Idempotency`]; how fast we write is up to the governor; what went wrong comes as an [`ApiError`], one sentence
//! with a next step and without anything that was sent.

mod answer;
mod block_types;
mod client;
mod csrf;
mod error;
mod events;
mod governor;
mod http;
mod ledger;
mod ledger_parts;
mod ledger_text;
mod listing;
mod lock;
mod marks;
mod objects;
mod own_type;
mod paging;
mod reads;
mod retry;
mod routes;
mod runs;
mod socket;
mod tally;
mod tls;
mod traced;
mod usage;
mod worker;
mod writes;

use std::sync::{Arc, PoisonError};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use client::{Idempotency, Leave};
pub use error::ApiError;
pub use events::LastEvent;
pub use ledger::{LedgerTrouble, new_ledger};
pub use lock::{Acquired, Claim, Holder, Lock};
pub use marks::{Mark, Marked};
pub use reads::Which;
pub use runs::{Planned, PlannedRuns};
pub use socket::{Socket, SocketError};
pub use tally::{Answered, Answers};
pub use worker::{Proposal, Verdict};
pub use writes::Created;

use crate::model::Connection;
use client::{Call, Client};

/// A handle to one API. Cheap to clone; clones share connections, counters and speed limits.
#[derive(Clone)]
pub struct Api {
    client: Arc<Client>,
    ledgers: ledger::Shelf,
    types: block_types::Types,
}

/// What the server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its version, such as `3.8.8`.
    pub version: String,
}

/// How many requests were sent, repetitions included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Those that only read.
    pub read: u64,
    /// Those that change something.
    pub write: u64,
    /// Those of both that were sent again, because an answer was missing or said that the server was busy.
    pub repeated: u64,
}

impl Api {
    /// Prepares a connection without using it yet. The only file read is that of `ca_file`.
    pub fn connect(connection: Connection) -> Result<Api, ApiError> {
        let client = Arc::new(Client::new(connection)?);
        Ok(Api { client, ledgers: ledger::Shelf::default(), types: block_types::Types::default() })
    }

    /// Asks for the server's version: also the cheapest way to learn whether address and key are right.
    pub async fn server(&self) -> Result<ServerInfo, ApiError> {
        let answer = self.client.send(&Call::get("/admin/version", "the server's version")).await?;
        match answer.body.as_str() {
            Some(version) => Ok(ServerInfo { version: version.to_owned() }),
            None => Err(self.client.not_prefect("its version is not a text".to_owned())),
        }
    }

    /// How many requests were sent so far.
    pub fn requests(&self) -> Requests {
        self.client.requests()
    }

    /// How they were answered so far.
    pub fn answers(&self) -> Answers {
        self.client.answers()
    }

    /// From now on `leave` is asked right before every write, but for signs of life of a lock: a write that waited for
    /// its turn while the lock was lost does not go out. Clones are under the same rule.
    pub fn ask_before_writing(&self, leave: impl Fn() -> BoxFuture<'static, Leave> + Send + Sync + 'static) {
        *self.client.leash.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(leave));
    }

    /// From now on nobody is asked.
    pub fn write_freely(&self) {
        *self.client.leash.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Once `stop` is cancelled, no request waits long before it is sent again, nor is it sent again often. The first one
    /// that is given counts, for clones as well.
    pub fn hurry_after(&self, stop: CancellationToken) {
        let _ = self.client.stop.set(stop);
    }

    /// How the API is reached.
    pub fn connection(&self) -> &Connection {
        self.client.connection()
    }
}
