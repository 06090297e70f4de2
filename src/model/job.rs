//! `JobSpec`: a run as its infrastructure is to start it, and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::tree::Tree;

/// A run as its infrastructure is to start it.
#[derive(Clone)]
pub struct JobSpec {
    /// The id of the run.
    pub run: String,
    /// What tells this attempt at it from all others.
    pub attempt: String,
    /// What the infrastructure is called.
    pub name: String,
    /// The words of the command that was configured; none leaves it to the infrastructure.
    pub command: Option<Vec<String>>,
    /// The environment that the configuration gives.
    pub env: BTreeMap<String, Secret>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Where its code is, if no step has to bring it.
    pub ready: Option<ReadyCode>,
    /// What only this type of infrastructure knows, as JSON with its secrets.
    pub config: BTreeMap<String, Tree>,
}

impl fmt::Debug for JobSpec {
    /// All but the words of the command, of which any may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JobSpec { run, attempt, name, command, env, labels, ready, config } = self;
        f.debug_struct("JobSpec")
            .field("run", run)
            .field("attempt", attempt)
            .field("name", name)
            .field("command", &command.as_ref().map(|words| format!("{} words", words.len())))
            .field("env", env)
            .field("labels", labels)
            .field("ready", ready)
            .field("config", config)
            .finish()
    }
}

/// Code that is where it runs already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyCode {
    /// The directory that the run begins in.
    pub directory: PathBuf,
    /// What is run there: `file.py:flow`.
    pub entrypoint: String,
}

/// What finds a running job again: Prefect's `infrastructure_pid`, in its very spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunHandle(pub String);

impl fmt::Display for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunExit {
    /// The exit code; signals are negative, as in Python. `None` if nobody can know it any more.
    pub code: Option<i32>,
    /// Whether the engine said before its end that it has told the server all there is to tell.
    pub concluded: bool,
    /// Whether it was killed because it wanted more memory than it may have.
    pub out_of_memory: bool,
}

/// What an exit code tells people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What happened; part of the message of a crashed state.
    pub explanation: &'static str,
    /// What to do about it; logged.
    pub resolution: &'static str,
    /// Whether it usually is no fault of the run.
    pub expected: bool,
}

/// What an exit code tells, in the words that Prefect uses in its states (3.8.8
/// `_internal/infrastructure_exit_codes.py`): whoever looks for them finds those of all workers.
pub fn meaning(code: i32) -> Meaning {
    let of = |explanation, resolution, expected| Meaning { explanation, resolution, expected };
    const LOOK: &str = "Its logs, and those of the infrastructure, may say why";
    match code {
        0 => of("Process exited cleanly.", "Nothing is to be done", true),
        -9 => of(
            "Process exited due to a SIGKILL signal. Typically caused by the operating system terminating the process \
             for exceeding memory limits, or by manual cancellation.",
            "Unless somebody killed it: give it more memory, or make it need less",
            true,
        ),
        -15 => of(
            "Process exited due to a SIGTERM signal. Typically caused by graceful shutdown or manual cancellation.",
            "Unless it was cancelled: look who ended it, such as a scale-down or a new release",
            true,
        ),
        1 => of("Process exited with a general error.", "The logs of the run hold the exception that ended it", false),
        125 => of(
            "Container failed to run (Docker/OCI exit code 125).",
            "Check the image, its entrypoint and the container engine",
            false,
        ),
        126 => of(
            "Command found but not executable (permission denied).",
            "Make the program executable for the user of the run",
            false,
        ),
        127 => of("Command not found.", "Install the program where the run is, or correct its PATH", false),
        137 => of(
            "Process was killed, likely due to an out-of-memory (OOM) condition.",
            "Raise the memory limit of the job",
            false,
        ),
        143 => of(
            "Process received SIGTERM via the container runtime. This is the containerized equivalent of exit code -15.",
            "Unless it was cancelled: look who stopped the container",
            true,
        ),
        247 => of("Process was terminated due to high memory usage.", "Raise the memory limit of the job", false),
        _ => of("Process exited with an unexpected status code.", LOOK, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_shows_no_word_of_its_command_and_no_value_of_its_environment() {
        let job = JobSpec {
            run: "r".to_owned(),
            attempt: "a".to_owned(),
            name: "n".to_owned(),
            command: Some(vec!["hunter2".to_owned(), "--key=hunter2".to_owned()]),
            env: [("KEY".to_owned(), Secret::text("hunter2"))].into(),
            labels: BTreeMap::new(),
            ready: None,
            config: [("x".to_owned(), Tree::Secret(Secret::text("hunter2")))].into(),
        };
        let shown = format!("{job:?} {job:#?}");
        assert!(!shown.contains("hunter2") && shown.contains("2 words"), "{shown}");
    }
}
