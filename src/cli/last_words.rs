//! Last words: who was asked for JSON answers with JSON, however early a command ends.
//!
//! What is said on stderr is remembered here. If a command ends badly and stdout is still empty, it gets that as data.
//! A pass of `--watch` counts as a command.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::exit::Exit;
use crate::diagnostic::Diagnostic;
use crate::report::Failure;

/// What this process has said so far. One process runs one command, or one pass after another.
static SPOKEN: Mutex<Spoken> = Mutex::new(Spoken::nothing());

struct Spoken {
    /// Whether stdout has a result.
    printed: bool,
    /// The first complaint: what follows comes of it.
    failure: Option<Failure>,
    diagnostics: Vec<Diagnostic>,
    /// All complaints.
    complaints: Vec<String>,
    /// Those of the pass before.
    known: Vec<String>,
}

impl Spoken {
    const fn nothing() -> Spoken {
        Spoken { printed: false, failure: None, diagnostics: Vec::new(), complaints: Vec::new(), known: Vec::new() }
    }
}

fn spoken() -> MutexGuard<'static, Spoken> {
    SPOKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets everything: another pass begins. The complaints of the one before are `known`.
pub fn begin(known: Vec<String>) {
    *spoken() = Spoken { known, ..Spoken::nothing() };
}

/// The complaints so far.
pub fn complaints() -> Vec<String> {
    spoken().complaints.clone()
}

/// A result was printed.
pub fn printed() {
    spoken().printed = true;
}

/// The command fails for this reason. Whether that is news.
pub fn complained(code: Option<&str>, message: &str) -> bool {
    let failure = || Failure { code: code.map(str::to_owned), message: message.to_owned(), help: None };
    let mut spoken = spoken();
    spoken.failure.get_or_insert_with(failure);
    spoken.complaints.push(message.to_owned());
    !spoken.known.iter().any(|known| known == message)
}

/// This is the next step after the last complaint. Whether that is news.
pub fn helped(help: &str) -> bool {
    let mut spoken = spoken();
    if let Some(failure) = &mut spoken.failure {
        failure.help.get_or_insert_with(|| help.to_owned());
    }
    spoken.complaints.last().is_none_or(|last| !spoken.known.contains(last))
}

/// Diagnostics were shown; those that are shown again are known already.
pub fn showed(diagnostics: &[Diagnostic]) {
    let known = &mut spoken().diagnostics;
    for diagnostic in diagnostics {
        if !known.contains(diagnostic) {
            known.push(diagnostic.clone());
        }
    }
}

/// Why the command fails, if that was said.
pub fn failure() -> Option<Failure> {
    spoken().failure.clone()
}

/// What stands on stdout in the place of a report.
pub fn json() -> Value {
    let spoken = spoken();
    spoken.failure.clone().unwrap_or_default().to_json(&spoken.diagnostics)
}

/// What is still owed to stdout by a command that was asked for JSON.
pub fn owed(exit: Exit) -> Option<Value> {
    let spoken_of = spoken().failure.is_some();
    let owes = (exit != Exit::Done || spoken_of) && !spoken().printed;
    owes.then(json)
}
