//! `StepError`: which step of a list failed, and why.

use std::path::PathBuf;

/// A step that failed. Later steps of the list did not run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("step {} (`{fqn}`): {problem}", index + 1)]
pub struct StepError {
    /// Its position in the list, from 0.
    pub index: usize,
    /// Its function as written; empty where that cannot be told.
    pub fqn: String,
    /// Why.
    pub problem: StepProblem,
}

/// Why a step failed. Texts are masked already.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StepProblem {
    /// Not `{function: inputs}`.
    #[error("a step is a mapping of one function to its inputs, not {found}")]
    NotAStep {
        /// What stands there.
        found: &'static str,
    },
    /// More than one function.
    #[error("a step names one function, but this one also has {}", quoted(.others))]
    ExtraKeys {
        /// The others.
        others: Vec<String>,
    },
    /// Inputs are not a mapping.
    #[error("the inputs of a step are a mapping, not {found}")]
    NotInputs {
        /// What stands there.
        found: &'static str,
    },
    /// The inputs' templates cannot be filled.
    #[error("its inputs cannot be filled in: {0}")]
    Template(String),
    /// An input has the wrong shape, is missing, or is not known to the function.
    #[error("{0}")]
    Argument(String),
    /// A line of a script is no command.
    #[error("line {line} of the script cannot be split into words: {reason}")]
    Words {
        /// The line, from 1.
        line: usize,
        /// Why not.
        reason: &'static str,
    },
    /// A program could not be started.
    #[error("`{program}` cannot be started: {reason}")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        reason: String,
    },
    /// A command ended with another exit code than 0.
    #[error("`{command}` ended with exit code {code}{}", tail(.stderr))]
    Exit {
        /// The command, masked and shortened.
        command: String,
        /// Its exit code; minus the signal's number when a signal ended it.
        code: i32,
        /// The last lines of stderr, masked; over all commands of the step.
        stderr: String,
    },
    /// A directory does not exist.
    #[error("`{}` is not a directory that can be entered: {reason}", .directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The function ran in Python and failed there.
    #[error("{0}")]
    Foreign(String),
    /// The step needs Python and there is none.
    #[error("it needs a Python with Prefect, and none was found")]
    NoPython,
    /// The pass was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl StepError {
    /// The code of its page in `reconcile explain`.
    pub fn code(&self) -> &'static str {
        match self.problem {
            StepProblem::NotAStep { .. } => "E0600",
            StepProblem::ExtraKeys { .. } => "E0601",
            StepProblem::NotInputs { .. } => "E0602",
            StepProblem::Template(_) => "E0603",
            StepProblem::Argument(_) => "E0604",
            StepProblem::Words { .. } => "E0605",
            StepProblem::Start { .. } => "E0606",
            StepProblem::Exit { .. } => "E0607",
            StepProblem::Directory { .. } => "E0608",
            StepProblem::Foreign(_) => "E0609",
            StepProblem::NoPython => "E0610",
            StepProblem::Cancelled => "E0611",
        }
    }

    /// The next step.
    pub fn help(&self) -> &'static str {
        match self.problem {
            StepProblem::NotAStep { .. } => "write `- package.function: {…}`",
            StepProblem::ExtraKeys { .. } => "indent the inputs below the function, or begin a new item with `-`",
            StepProblem::NotInputs { .. } => "write the inputs as `name: value` below the function, or `{}`",
            StepProblem::Template(_) => "correct the placeholder, or give the step that makes the value an `id`",
            StepProblem::Argument(_) => "correct the inputs of the step",
            StepProblem::Words { .. } => {
                "close the quotes; a line is one command, and `shell: true` gives it to a shell"
            }
            StepProblem::Start { .. } => {
                "install the program or correct its name; `shell: true` allows pipes, `&&` and builtins"
            }
            StepProblem::Exit { .. } => "run the command by hand in the same directory",
            StepProblem::Directory { .. } => "create it, or correct the path; it is relative to the step's directory",
            StepProblem::Foreign(_) => {
                "steps in Python see only PATH, HOME, LANG, VIRTUAL_ENV and what `step_env` names"
            }
            StepProblem::NoPython => "name one with `--python PATH`, or `pip install prefect`",
            StepProblem::Cancelled => "run the command again: nothing was written for this declaration",
        }
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn tail(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(":\n{stderr}") }
}
