//! `WorkerError`: why there is nothing to work for.

use thiserror::Error;

use crate::api::ApiError;

/// Why there is nothing to work for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WorkerError {
    /// The server denies, or is none.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The pool does not exist and is not to be made.
    #[error("the work pool `{0}` does not exist")]
    NoPool(String),
    /// Its runs need no worker.
    #[error("the work pool `{pool}` is of the type `{kind}`: its runs need no worker")]
    NeedsNone {
        /// The pool.
        pool: String,
        /// Its type.
        kind: String,
    },
    /// Its runs need a worker that this is not.
    #[error("the work pool `{pool}` is of the type `{kind}`, which this worker cannot run")]
    Foreign {
        /// The pool.
        pool: String,
        /// Its type.
        kind: String,
    },
    /// It was stopped before it had begun.
    #[error("stopped before the API answered")]
    Stopped,
}

impl WorkerError {
    /// The next step.
    pub fn help(&self) -> String {
        match self {
            WorkerError::Api(error) => error.help(),
            WorkerError::NoPool(pool) => {
                format!("make it with `prefect work-pool create {pool}`, or leave out `--no-create-pool-if-not-found`")
            }
            WorkerError::NeedsNone { .. } => "just run its deployments".to_owned(),
            WorkerError::Foreign { kind, .. } => {
                format!(
                    "start `prefect worker start --type {kind}` for it, or name a pool of the type `process` or `docker`"
                )
            }
            WorkerError::Stopped => "start it again when the API is there".to_owned(),
        }
    }
}
