//! What holds of every diagnostic and every place, whichever reader they come from.

use std::sync::Arc;

use reconcile::diagnostic::Diagnostic;
use reconcile::explain;
use reconcile::model::{RepoPath, Span};
use reconcile::report::diagnostics::{Texts, render};
use reconcile::report::{diagnostics_json, github, sarif};

/// So many diagnostics of one file are rendered; more differ in nothing.
const RENDERED: usize = 50;

/// The texts that diagnostics point into.
pub fn texts(files: &[(&RepoPath, &str)]) -> Texts {
    files.iter().map(|(path, text)| ((*path).clone(), Arc::from(*text))).collect()
}

/// A place begins and ends in the text, between characters.
pub fn assert_inside(span: Span, text: &str) {
    let inside = span.start <= span.end && span.end <= text.len();
    assert!(inside, "{span:?} is not inside {} bytes", text.len());
    let between = text.is_char_boundary(span.start) && text.is_char_boundary(span.end);
    assert!(between, "{span:?} cuts a character");
    assert!(span.line >= 1 && span.column >= 1, "{span:?} counts from 0");
}

/// Diagnostics are explained, point into their files, and can be shown in every form without breaking out of it.
pub fn check_diagnostics(diagnostics: &[Diagnostic], texts: &Texts) {
    // A text that is no UTF-8 has other places than the text that is shown of it.
    let exact: Texts = texts
        .iter()
        .filter(|(_, text)| !text.contains('\u{fffd}'))
        .map(|(path, text)| (path.clone(), text.clone()))
        .collect();
    for diagnostic in diagnostics {
        assert!(explain::page(diagnostic.code).is_some(), "{} has no page", diagnostic.code);
        assert_ne!(diagnostic.code, "E0118", "the reader gave up: {diagnostic:?}");
        assert!(!diagnostic.message.is_empty());
        for label in &diagnostic.labels {
            if let Some(text) = exact.get(&label.origin.file) {
                assert_inside(label.origin.span, text);
            }
        }
    }
    let shown = &diagnostics[..diagnostics.len().min(RENDERED)];
    let text = render(shown, texts, false);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?} steers the terminal");
    render(shown, texts, true);
    for diagnostic in shown {
        let line = github::diagnostic(diagnostic);
        assert!(!line.contains(['\n', '\r']), "{line:?} is more than one command");
    }
    assert!(sarif::sarif(shown)["runs"][0]["results"].is_array());
    assert!(diagnostics_json(shown).is_array());
}
