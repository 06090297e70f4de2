//! `Diagnostic`: what is wrong with the user's files, where, and what to do about it.
//!
//! Diagnostics are collected, never thrown at the first: one pass over the files reports everything.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::Origin;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is written while one stands.
    Error,
    /// The pass goes on; the user should know.
    Warning,
    /// Worth knowing.
    Note,
}

/// A place that a diagnostic points at, and what is to be said of that place.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The place.
    pub origin: Origin,
    /// What stands there; may be empty.
    pub text: String,
}

/// One problem: code, message, the places it concerns (the first is the main one) and the next step.
///
/// Messages are one sentence without a final full stop. Codes have a page each: see [`crate::explain`].
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// `E` for errors and `W` for warnings, and a number; one code has one meaning: see [`crate::explain`].
    pub code: &'static str,
    /// What is wrong, naming the thing.
    pub message: String,
    /// The places; empty when no file is concerned.
    pub labels: Vec<Label>,
    /// The next step.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A problem that stops every write.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Error, code, message: message.into(), labels: Vec::new(), help: None }
    }

    /// A problem that does not stop the pass.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    /// Something worth knowing.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Note, ..Diagnostic::error(code, message) }
    }

    /// Points at a place; the first place given is the main one.
    #[must_use]
    pub fn at(mut self, origin: Origin, text: impl Into<String>) -> Self {
        self.labels.push(Label { origin, text: text.into() });
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The main place, if a file is concerned.
    pub fn origin(&self) -> Option<&Origin> {
        self.labels.first().map(|label| &label.origin)
    }
}

/// Whether one of them stops every write.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}

/// Takes out what only repeats an error among the first `told`: whatever concerns the same place, or a part of it, or a
/// value around it. The files were read first; what later looks at a value that is wrong finds it missing.
pub fn without_echoes(told: usize, diagnostics: &mut Vec<Diagnostic>) {
    let wrong: Vec<Origin> = diagnostics[..told]
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .filter_map(|d| d.origin().cloned())
        .take(1000) // nobody reads more, and hostile files shall not cost a square of them
        .collect();
    let holds = |a: &Origin, b: &Origin| a.file == b.file && a.span.start <= b.span.start && b.span.end <= a.span.end;
    let is_echo = |d: &Diagnostic| d.origin().is_some_and(|at| wrong.iter().any(|w| holds(w, at) || holds(at, w)));
    let rest = diagnostics.split_off(told);
    diagnostics.extend(rest.into_iter().filter(|d| !is_echo(d)));
    // What several aliases lead to is wrong once.
    let mut seen = BTreeSet::new();
    diagnostics.retain(|d| d.labels.is_empty() || seen.insert((d.code, d.message.clone(), d.origin().cloned())));
}

/// Longer words, in bytes, are nobody's typing error. Comparing two takes time and memory in the product of their lengths.
const LONGEST_WORD: usize = 200;

/// The known word nearest to a misspelt one, if one is near enough to be what was meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let word = word.to_lowercase();
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST_WORD)
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean `x`?` for a misspelt word, if a known one is near.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// The innermost reason of a failure: the outer ones of a request only say that it failed, and name its address.
pub fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_an_error_is_not_told_again() {
        use crate::model::{RepoPath, Span};
        let at = |start, end| Origin::new(RepoPath::new("prefect.yaml"), Span { start, end, line: 1, column: 1 });
        let mut all = vec![
            Diagnostic::error("E0185", "not a length of time").at(at(10, 20), ""),
            Diagnostic::warning("W0141", "ignored").at(at(30, 40), ""),
            Diagnostic::error("E0182", "says nothing").at(at(5, 25), ""),
            Diagnostic::error("E0160", "missing").at(at(12, 13), ""),
            Diagnostic::error("E0161", "another place").at(at(30, 40), ""),
            Diagnostic::error("E0161", "another place").at(at(30, 40), "by an alias"),
        ];
        without_echoes(2, &mut all);
        assert_eq!(all.iter().map(|d| d.code).collect::<Vec<_>>(), ["E0185", "W0141", "E0161"]);
    }

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["schedules", "parameters", "tags"];
        assert_eq!(nearest("schedule", known), Some("schedules"));
        assert_eq!(nearest("paramters", known), Some("parameters"));
        assert_eq!(nearest("tgas", known), Some("tags"));
        assert_eq!(nearest("description", known), None);
    }

    #[test]
    fn words_beyond_any_use_are_not_compared() {
        // Both would ask for more memory than there is.
        let long = "x".repeat(16 << 20);
        assert_eq!(nearest(&long, ["schedules"]), None);
        assert_eq!(nearest("schedules", [&*long, "schedule"]), Some("schedule"));
    }
}
