//! `Options`: what a worker is told on the command line and by settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;

use super::git_cache::GitCache;
use crate::infra::Say;
use crate::model::Secret;

/// What a worker is told. Defaults are those of Prefect 3.8.8 `settings/models/worker.py`.
pub struct Options {
    /// The pool whose runs it takes.
    pub pool: String,
    /// What it is called; two with one name are one worker to the server.
    pub name: String,
    /// The queues it takes runs from; none means all.
    pub queues: Vec<String>,
    /// The type of the worker; none takes what the pool has.
    pub kind: Option<String>,
    /// How many runs it may have at once.
    pub limit: Option<usize>,
    /// So long before its time a run is taken.
    pub prefetch: Duration,
    /// How often it asks for runs that are due.
    pub query: Duration,
    /// How often it gives a sign of life.
    pub heartbeat: Duration,
    /// Whether it asks once, waits for what it took, and ends.
    pub run_once: bool,
    /// The template of a pool that it makes.
    pub template: Option<Value>,
    /// Whether it makes a pool that does not exist.
    pub create_pool: bool,
    /// So long it waits for its runs when it is to stop.
    pub drain: Duration,
    /// So long a run may take.
    pub time_limit: Option<Duration>,
    /// What spares clones of pull steps the way to the remote.
    pub git_cache: Option<GitCache>,
    /// Whether what it has to say about runs is stored among their logs.
    pub logs_to_api: bool,
    /// Where it keeps note of the runs it has.
    pub journal: PathBuf,
    /// Where somebody may ask whether it is well.
    pub health: Option<TcpListener>,
    /// Its own environment, for `{{ $NAME }}` in templates.
    pub environment: BTreeMap<String, Secret>,
    /// Its settings as environment variables, which runs get.
    pub settings: BTreeMap<String, Secret>,
    /// Where it talks to people.
    pub say: Say,
}
