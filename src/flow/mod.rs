//! Temporary.
mod entrypoint;
mod sources;
use std::collections::BTreeSet;
use crate::diagnostic::Diagnostic;
use crate::model::{FlowFacts, Origin, RepoPath};
pub use entrypoint::Entrypoint;
pub use sources::Sources;
/// Why only Python can tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason { /// p
 pub parameter: Option<String>, /// t
 pub text: String, /// o
 pub origin: Option<Origin> }
/// A
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// k
    Known { /// f
 facts: FlowFacts, /// f
 files: BTreeSet<RepoPath> },
    /// n
    NeedsFiles(BTreeSet<RepoPath>),
    /// p
    NeedsPython(Vec<Reason>),
    /// i
    Invalid(Vec<Diagnostic>),
}
/// f
pub fn facts(_: &Entrypoint, _: &RepoPath, _: &Sources) -> Answer { Answer::NeedsPython(vec![Reason { parameter: None, text: "stub".into(), origin: None }]) }
