//! Where runs run: one implementation of [`Infrastructure`] for each kind of place.
//!
//! Nobody here talks to Prefect's API: what a run is and what is told about it is the worker's affair.

mod cgroup;
mod control;
mod docker;
mod error;
mod forkserver;
mod pid;
mod process;
mod warm;
mod workspace;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;

pub use cgroup::Cgroups;
pub use control::Control;
pub use docker::{Docker, Split, body_of_arguments, body_of_job, settings_in_containers};
pub use error::InfraError;
pub use pid::Identity;
pub use process::{Process, Python};
pub use warm::Warm;
pub use workspace::{HookKind, Workspace};

use crate::model::{JobSpec, RunExit, RunHandle, Secret};
use crate::render::job_template::Configuration;

/// Who talks to people.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// What a later worker needs to find a job again, if this one dies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// What the server knows.
    pub handle: RunHandle,
    /// The process on this machine.
    pub process: Option<Identity>,
    /// Its directories on this machine.
    pub workspace: Option<Workspace>,
    /// Whether what it prints is shown. So it is if nothing says otherwise.
    #[serde(default = "shown")]
    pub streams: bool,
}

fn shown() -> bool {
    true
}

/// Something that happened to a job, for the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The run.
    pub run: String,
    /// What the event is called.
    pub event: String,
    /// What it happened to: an id, and a name for people. The worker itself, if there is nothing else.
    pub resource: Option<(String, String)>,
}

/// A place where runs run. Runs are named by their ids.
pub trait Infrastructure: Send + Sync {
    /// Starts a job.
    fn start<'a>(&'a self, job: &'a JobSpec) -> BoxFuture<'a, Result<RunHandle, InfraError>>;

    /// Gives up a start that is under way; it fails with [`InfraError::Abandoned`], unless it is too late for that.
    fn abandon(&self, _run: &str) {}

    /// Waits for the end of a job that was started or adopted here.
    fn watch<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<RunExit, InfraError>>;

    /// What there is to say of a job's end beside its exit code: a sentence.
    fn remark(&self, _run: &str) -> Option<String> {
        None
    }

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

    /// Looks for the job of a run of which nothing was noted but the attempt, if that. Waits for an answer, if somebody
    /// has to be asked.
    fn search<'a>(&'a self, run: &'a str, attempt: Option<&'a str>) -> BoxFuture<'a, Option<Trace>>;

    /// Takes away what was made for an attempt, unless its job still runs.
    fn clear(&self, _attempt: &str, _trace: Option<&Trace>) {}

    /// Whether a job still runs. Waits for an answer, if somebody has to be asked.
    fn lives<'a>(&'a self, trace: &'a Trace) -> BoxFuture<'a, bool>;

    /// Takes over a job of a worker that died; it can be watched from now on. False if it has ended already.
    fn adopt(&self, run: &str, trace: &Trace) -> bool;

    /// Whether jobs live apart from this worker: they go on when it stops, and what runs there hears of cancellations
    /// itself.
    fn is_remote(&self) -> bool {
        false
    }

    /// The worker's settings as a job gets them.
    fn settings_for(
        &self,
        _configuration: &Configuration,
        settings: &BTreeMap<String, Secret>,
    ) -> BTreeMap<String, Secret> {
        settings.clone()
    }

    /// What happens to jobs, for whoever asks first.
    fn news(&self) -> Option<mpsc::Receiver<News>> {
        None
    }
}
