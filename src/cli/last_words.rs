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
static SPOKEN: Mutex<Spoken> = Mutex::new(Spoken { printed: false, failure: None, diagnostics: Vec::new() });

struct Spoken {
    /// Whether stdout has a result.
    printed: bool,
    /// The first complaint: what follows comes of it.
    failure: Option<Failure>,
    diagnostics: Vec<Diagnostic>,
}

fn spoken() -> MutexGuard<'static, Spoken> {
    SPOKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets everything: another pass begins.
pub fn begin() {
    *spoken() = Spoken { printed: false, failure: None, diagnostics: Vec::new() };
}

/// A result was printed.
pub fn printed() {
    spoken().printed = true;
}

/// It was said why the command fails.
pub fn complained(code: Option<&str>, message: &str) {
    let failure = || Failure { code: code.map(str::to_owned), message: message.to_owned(), help: None };
    spoken().failure.get_or_insert_with(failure);
}

/// The next step was said.
pub fn helped(help: &str) {
    if let Some(failure) = &mut spoken().failure {
        failure.help.get_or_insert_with(|| help.to_owned());
    }
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
