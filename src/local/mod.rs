//! The embedded default: a private, real Prefect server for whoever has no API configured.
//!
//! Everything lives in one cache directory:
//!
//! | path | holds |
//! |---|---|
//! | `prefect-3.8.8-<digest of the lock>/` | the Python environment, a migrated empty database, `.complete` |
//! | `server/` | the home of the server: its database (kept between runs), its log |
//! | `server.json` | the running server: pid, url, start time, token |
//! | `install.lock`, `server.lock` | who may write the above |
//!
//! The server listens on 127.0.0.1 only, outlives the program that started it, and ends after ten idle minutes.

mod environment;
mod error;
mod install;
mod launch;
mod lock;
mod loopback;
mod server;

pub use environment::{cache_dir, python};
pub use error::LocalError;
pub use install::{Prefect, install, template};
pub use launch::{Launch, Lifetime};
pub use server::{IDLE, POOL, Server, create_pool, ensure, ensure_with};

/// Who hears about each slow step, one line at a time.
pub type Say<'a> = &'a (dyn Fn(&str) + Sync);

/// The version of Prefect that the embedded server is.
pub const PREFECT_VERSION: &str = "3.8.8";

/// Every package of the embedded server, by version and hash.
pub const REQUIREMENTS: &str = include_str!("../../templates/prefect-3.8.8.lock");
