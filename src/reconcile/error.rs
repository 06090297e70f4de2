//! `PassError`: why a pass could not be made at all.

use super::lock::described;
use crate::api::{ApiError, Holder, LedgerTrouble};
use crate::python::PythonError;
use crate::source::SourceError;
use crate::steps::StepError;

/// Why a pass could not be made at all. Problems of the files are diagnostics instead.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The command line asks for something that does not make sense.
    #[error("{0}")]
    Usage(String),
    /// The directory could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The API did not do what it was asked.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Python could not be asked.
    #[error(transparent)]
    Python(#[from] PythonError),
    /// A build or push step failed. Nothing was written to the API.
    #[error("{deployment}: {error}\n  nothing was written to the API")]
    Step {
        /// Whose step.
        deployment: String,
        /// What happened.
        error: Box<StepError>,
        /// The next step.
        help: &'static str,
    },
    /// The record of what is ours cannot be trusted.
    #[error("{0}")]
    Ledger(String),
    /// The record of what is ours is there and not as it was left.
    #[error(transparent)]
    Untrusted(LedgerTrouble),
    /// Nothing is recorded as ours.
    #[error("nothing was applied as `{scope}` yet: there is no ledger of that name")]
    NeverApplied {
        /// The scope.
        scope: String,
    },
    /// Another pass applies the same scope.
    #[error("the lock of `{scope}` is held by {}", described(holder))]
    Locked {
        /// The scope.
        scope: String,
        /// Who holds it.
        holder: Box<Holder>,
    },
    /// What was reviewed is not what would be done now.
    #[error("the plan changed after it was reviewed: {reviewed} became {now}")]
    Stale {
        /// The digest of the plan that was reviewed.
        reviewed: String,
        /// The digest of the plan that there is now.
        now: String,
    },
    /// What templates are filled with leads to a flow that was not looked at.
    #[error("the entrypoint of `{deployment}` became another one after the plan was made")]
    Moved {
        /// The deployment.
        deployment: String,
    },
    /// A file could not be written.
    #[error("`{path}` could not be written: {source}")]
    Write {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The user asked to stop.
    #[error("interrupted before anything was written")]
    Interrupted,
}

impl PassError {
    /// The code of the page that explains it.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            PassError::Api(error) => Some(error.code()),
            PassError::Python(error) => Some(error.code()),
            PassError::Step { error, .. } => Some(error.code()),
            PassError::Untrusted(trouble) => Some(trouble.code()),
            PassError::Source(error) => error.code(),
            PassError::Usage(_)
            | PassError::Ledger(_)
            | PassError::NeverApplied { .. }
            | PassError::Locked { .. }
            | PassError::Stale { .. }
            | PassError::Moved { .. }
            | PassError::Write { .. }
            | PassError::Interrupted => None,
        }
    }

    /// The next step, where the sentence does not hold it already.
    pub fn help(&self) -> Option<String> {
        match self {
            PassError::Source(error) => error.help(),
            PassError::Api(error) => Some(error.help()),
            PassError::Python(error) => Some(error.help()),
            PassError::Locked { holder, .. } => {
                let gone = match holder.silence {
                    Some(_) => "one that was left behind is taken over after 30 seconds".to_owned(),
                    None => "nobody can tell whether it was left behind, for the server's answers carry no `Date` header; if it \
                             was, delete the block of type `reconcile-lock`"
                        .to_owned(),
                };
                Some(format!("let it finish, or wait for it with `--lock-timeout 10m`; {gone}"))
            }
            PassError::Untrusted(trouble) => Some(trouble.help()),
            PassError::NeverApplied { .. } => Some(
                "apply first; what was applied under another name is found by `name` in reconcile.yaml, or by `--env`"
                    .to_owned(),
            ),
            PassError::Stale { .. } => Some("nothing was written; plan again and review the new plan".to_owned()),
            PassError::Moved { .. } => Some("nothing was written; run again".to_owned()),
            PassError::Step { help, .. } => Some((*help).to_owned()),
            PassError::Write { .. } => {
                Some("nothing was taken over; remove what was written before it, and import again".to_owned())
            }
            PassError::Usage(_) | PassError::Ledger(_) | PassError::Interrupted => None,
        }
    }
}
