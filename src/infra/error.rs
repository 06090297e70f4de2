//! `InfraError`: why a job could not be started, watched or ended.

use thiserror::Error;

/// Why a job could not be started, watched or ended. Never holds values of its environment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InfraError {
    /// It could not be started.
    #[error("{0}")]
    Start(String),
    /// Nobody here knows it.
    #[error("the job of the run `{0}` is not known here")]
    Unknown(String),
    /// It was killed, and is still there.
    #[error("the process {0} does not end, not even by force")]
    Stuck(i32),
    /// The flow's hooks could not be run.
    #[error("the hooks of the flow could not be run: {0}")]
    Hooks(String),
}
