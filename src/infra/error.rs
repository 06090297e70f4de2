//! `InfraError`: why a job could not be started, watched or ended.

use thiserror::Error;

/// Why a job could not be started, watched or ended. Never holds values of its environment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InfraError {
    /// It could not be started.
    #[error("{0}")]
    Start(String),
    /// It was given up before it had started.
    #[error("its start was given up")]
    Abandoned,
    /// There is no container engine where one should be.
    #[error("{0}")]
    Engine(String),
    /// It is not there yet.
    #[error("{0}")]
    Away(String),
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
