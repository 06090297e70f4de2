//! Where runs run: one implementation of [`Infrastructure`] for each kind of place.
//!
//! Nobody here talks to Prefect's API: what a run is and what is told about it is the worker's affair.

mod cgroup;
mod control;
mod error;
mod forkserver;
mod pid;
mod process;
mod warm;
mod workspace;

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use cgroup::Cgroups;
pub use control::Control;
pub use error::InfraError;
pub use pid::Identity;
pub use process::{Process, Python};
pub use warm::{Say, Warm};
pub use workspace::{HookKind, Workspace};

use crate::model::{JobSpec, RunExit, RunHandle};

/// What a later worker needs to find a job again, if this one dies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// What the server knows.
    pub handle: RunHandle,
    /// The process on this machine.
    pub process: Option<Identity>,
    /// Its directories on this machine.
    pub workspace: Option<Workspace>,
}

/// A place where runs run. Runs are named by their ids.
pub trait Infrastructure: Send + Sync {
    /// Starts a job.
    fn start<'a>(&'a self, job: &'a JobSpec) -> BoxFuture<'a, Result<RunHandle, InfraError>>;

    /// Waits for the end of a job that was started or adopted here.
    fn watch<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<RunExit, InfraError>>;

    /// Tells the engine that its run is cancelled and ends the job: gently, and after `grace` by force. Returns when
    /// it is gone.
    fn cancel<'a>(&'a self, run: &'a str, grace: Duration) -> BoxFuture<'a, Result<(), InfraError>>;

    /// Ends the job in the same way without telling the engine why.
    fn stop<'a>(&'a self, run: &'a str, grace: Duration) -> BoxFuture<'a, Result<(), InfraError>>;

    /// Runs the flow's own hooks for a state, where the infrastructure does not do that itself. `about` and `state`
    /// are what the API says of the run.
    fn hooks<'a>(
        &'a self,
        kind: HookKind,
        run: &'a str,
        about: &'a Value,
        state: &'a Value,
    ) -> BoxFuture<'a, Result<(), InfraError>>;

    /// Lets go of what was kept for a job that has ended.
    fn forget<'a>(&'a self, run: &'a str) -> BoxFuture<'a, ()>;

    /// What a later worker needs to find the job.
    fn trace(&self, run: &str) -> Option<Trace>;

    /// Looks for the job of a run of which nothing was noted.
    fn search(&self, run: &str) -> Option<Trace>;

    /// Takes over a job of a worker that died; it can be watched from now on. False if it has ended already.
    fn adopt(&self, run: &str, trace: &Trace) -> bool;
}
