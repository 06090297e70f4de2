//! One helper process answers a batch of questions that only Python can: flow facts and foreign steps.
//!
//! [`candidates`] says where a Python with Prefect may be, [`PythonHelper::find`] starts the first that has it. Prefect
//! is imported once; every question is answered in a fork of its own, in the question's directory, so that a project's
//! code sees what it would see under a fresh `prefect deploy` and can only spoil its own answer.
//!
//! The program itself is `templates/helper.py` with `flow_facts.py` and `run_step.py`; it needs only the project's Prefect.

mod error;
mod fingerprint;
mod helper;
mod interpreter;
mod process;
mod protocol;

pub use error::{Failure, FailureKind, PythonError};
pub use fingerprint::{fingerprint, parsed as parsed_version, version};
pub use helper::{HelperOptions, PythonHelper};
pub use interpreter::{Candidate, Interpreter, candidates};
pub use protocol::{FlowAnswer, Question, StepAnswer, StepCall, Stream};
