//! Runs build and push steps when applying: outputs of one feed the next.
//!
//! A step is `{function: inputs}`. Three functions are known here (`run_shell_script`, `pip_install_requirements`,
//! `set_working_directory`); every other is handed to the caller's Python ([`Foreign`]). Filling templates is the
//! caller's too ([`StepScope::fill`]). Steps run one after the other, as in Prefect; a failing step ends the list.
//!
//! Native steps run in the full environment without Prefect's credentials ([`environment::native`]), as they are the
//! user's own commands; foreign functions only see what was named ([`environment::foreign`]). Standard input is empty.

mod arguments;
mod digest;
mod directory;
pub mod environment;
mod error;
mod foreign;
mod list;
mod mask;
mod names;
mod pip;
mod process;
mod program;
mod shell;
mod step;
pub mod words;

pub use digest::digest;
pub use error::{StepError, StepProblem};
pub use foreign::{Foreign, ForeignAnswer, ForeignCall, ForeignFuture, OutputSink, foreign_by};
pub use list::{Fill, Say, StepEvent, StepScope, Stream, are_opaque, needs_python, run};
pub use mask::Masker;
