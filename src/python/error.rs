//! `PythonError`: what can go wrong when asking Python, and what to do about it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// Why Python could not answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PythonError {
    /// None of the places has a Python that imports Prefect: each with the reason.
    #[error("no Python with Prefect found: tried {}", list(.tried))]
    NotFound {
        /// The places that were tried, in order, and why each does not serve.
        tried: Vec<(String, String)>,
    },
    /// This Python does not serve.
    #[error("`{}` cannot answer questions about flows: {reason}", .python.display())]
    Unusable {
        /// The interpreter.
        python: PathBuf,
        /// What it said.
        reason: String,
    },
    /// The helper ended, or broke the protocol, while it was needed.
    #[error("the Python helper is gone: {reason}")]
    Gone {
        /// What is known about it, with the last lines of its stderr.
        reason: String,
    },
    /// The pass was cancelled.
    #[error("cancelled while Python was working")]
    Cancelled,
    /// The flow's facts cannot be had.
    #[error("{}", flow_message(.entrypoint, .failure))]
    Flow {
        /// Which flow.
        entrypoint: String,
        /// Why not.
        failure: Box<Failure>,
    },
    /// The step failed.
    #[error("{}", step_message(.fqn, .failure))]
    Step {
        /// Which function.
        fqn: String,
        /// Why.
        failure: Box<Failure>,
    },
}

/// A question that went wrong in its own way; the helper itself goes on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Failure {
    /// What sort of failure.
    pub kind: FailureKind,
    /// The exception's type; empty where there was none.
    #[serde(default, rename = "type")]
    pub exception: String,
    /// The exception's text, or what happened.
    #[serde(default)]
    pub message: String,
    /// The project's own part of the traceback; may be empty. At most 4,096 characters.
    #[serde(default)]
    pub traceback: String,
    /// The last 4,096 characters that the flow's file printed.
    #[serde(default)]
    pub output: String,
}

/// Sorts of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The script of the entrypoint does not exist.
    MissingFile,
    /// A module cannot be imported.
    MissingModule,
    /// The file or module has no such object.
    NotFound,
    /// The object is not a flow.
    NotAFlow,
    /// Some other exception.
    Raised,
    /// The code called `sys.exit`.
    Exited,
    /// The process ended without an answer: `os._exit`, a signal, a crash.
    Died,
    /// No answer within the time allowed.
    Timeout,
    /// The answer holds something that JSON cannot say.
    NotJson,
    /// The answer is longer than 32 MiB.
    TooLarge,
}

impl PythonError {
    /// The code of its page in `reconcile explain`.
    pub fn code(&self) -> &'static str {
        match self {
            PythonError::NotFound { .. } => "E0250",
            PythonError::Unusable { .. } => "E0251",
            PythonError::Gone { .. } => "E0252",
            PythonError::Cancelled => "E0253",
            PythonError::Flow { failure, .. } => failure.kind.flow_code(),
            PythonError::Step { .. } => "E0265",
        }
    }

    /// The next step.
    pub fn help(&self) -> String {
        match self {
            PythonError::NotFound { .. } => {
                "name one with `--python PATH`, or `pip install prefect` into one of them".to_owned()
            }
            PythonError::Unusable { python, .. } => {
                format!("install Prefect there (`{} -m pip install prefect`), or name another Python", python.display())
            }
            PythonError::Gone { .. } => "run the command again; `-v` shows what the helper printed".to_owned(),
            PythonError::Cancelled => "run the command again".to_owned(),
            PythonError::Flow { failure, .. } | PythonError::Step { failure, .. } => failure.kind.help().to_owned(),
        }
    }

    pub(super) fn timed_out(after: Duration) -> Self {
        PythonError::Gone { reason: format!("no answer within {} s", after.as_secs()) }
    }
}

impl FailureKind {
    fn flow_code(self) -> &'static str {
        match self {
            FailureKind::MissingFile => "E0254",
            FailureKind::MissingModule => "E0255",
            FailureKind::NotFound => "E0256",
            FailureKind::NotAFlow => "E0257",
            FailureKind::Raised => "E0258",
            FailureKind::Exited => "E0259",
            FailureKind::Died => "E0260",
            FailureKind::Timeout => "E0261",
            FailureKind::NotJson => "E0262",
            FailureKind::TooLarge => "E0263",
        }
    }

    fn help(self) -> &'static str {
        match self {
            FailureKind::MissingFile => "correct the path before the `:`; it is relative to the project's directory",
            FailureKind::MissingModule => "install it into the Python that was asked, or name another with `--python`",
            FailureKind::NotFound => "correct the name after the `:`, or the file it is looked for in",
            FailureKind::NotAFlow => "decorate the function with `@flow`, or name one that is",
            FailureKind::Raised => "run it with that Python to see the whole traceback",
            FailureKind::Exited => "put the call of `sys.exit` under `if __name__ == \"__main__\":`",
            FailureKind::Died => "importing a flow must not end the process; run the file with that Python",
            FailureKind::Timeout => "importing a flow must come to an end: put long work into functions",
            FailureKind::NotJson => "return or default to values that JSON knows: text, numbers, lists, mappings",
            FailureKind::TooLarge => "make the flow's schema or the step's outputs smaller",
        }
    }
}

/// `ModuleNotFoundError: No module named 'x'`, or just the message.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.trim().trim_end_matches('.');
        match (self.exception.is_empty(), message.is_empty()) {
            (true, _) => f.write_str(message),
            (false, true) => f.write_str(&self.exception),
            (false, false) => write!(f, "{}: {message}", self.exception),
        }
    }
}

fn flow_message(entrypoint: &str, failure: &Failure) -> String {
    match failure.kind {
        FailureKind::MissingFile => format!("`{entrypoint}` names a file that does not exist"),
        FailureKind::NotFound => format!("`{entrypoint}` names an object that does not exist"),
        FailureKind::NotAFlow => format!("`{entrypoint}` is not a flow"),
        FailureKind::MissingModule | FailureKind::Raised => format!("importing `{entrypoint}` failed: {failure}"),
        FailureKind::Exited => format!("importing `{entrypoint}` ended the program ({failure})"),
        FailureKind::Died | FailureKind::Timeout | FailureKind::NotJson | FailureKind::TooLarge => {
            format!("Python gave no facts about `{entrypoint}`: {failure}")
        }
    }
}

fn step_message(fqn: &str, failure: &Failure) -> String {
    match failure.kind {
        FailureKind::MissingModule | FailureKind::NotFound => {
            format!("the function of step `{fqn}` cannot be imported: {failure}")
        }
        FailureKind::MissingFile
        | FailureKind::NotAFlow
        | FailureKind::Raised
        | FailureKind::Exited
        | FailureKind::Died
        | FailureKind::Timeout
        | FailureKind::NotJson
        | FailureKind::TooLarge => format!("step `{fqn}` failed: {failure}"),
    }
}

fn list(tried: &[(String, String)]) -> String {
    if tried.is_empty() {
        return "nothing, as there is no candidate".to_owned();
    }
    tried.iter().map(|(place, reason)| format!("{place} ({reason})")).collect::<Vec<_>>().join(", ")
}
