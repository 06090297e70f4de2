//! Diagnostics as people read them: the line of the file, a caret under the place, the next step.

use std::collections::BTreeMap;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::text::printable;
use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::model::RepoPath;

/// The texts that snippets are cut from.
pub type Texts = BTreeMap<RepoPath, Arc<str>>;

/// The code of credentials in files.
const CREDENTIAL: &str = "E0128";

/// Renders diagnostics one below the other, errors after warnings so that the last thing read is what matters.
pub fn render(diagnostics: &[Diagnostic], texts: &Texts, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut ordered: Vec<&Diagnostic> = diagnostics.iter().collect();
    ordered.sort_by_key(|d| (std::cmp::Reverse(d.severity), d.origin().cloned()));
    ordered.into_iter().map(|d| one(d, texts, &renderer)).collect::<Vec<_>>().join("\n\n")
}

fn one(diagnostic: &Diagnostic, texts: &Texts, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let message = printable(&diagnostic.message);
    let title = level.primary_title(message.as_str()).id(diagnostic.code);
    let mut group = Group::with_title(title);
    for (file, labels) in by_file(diagnostic) {
        // A line that holds a credential is not repeated into logs.
        match texts.get(file).filter(|_| diagnostic.code != CREDENTIAL) {
            Some(text) => group = group.element(snippet(text, file, &labels, diagnostic)),
            None => group = group.element(Level::NOTE.message(place(labels[0]))),
        }
    }
    let help = diagnostic.help.as_deref().map(lines);
    if let Some(help) = &help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group]).to_string()
}

/// A place whose text is not at hand.
fn place(label: &Label) -> String {
    let colon = if label.text.is_empty() { "" } else { ": " };
    printable(&format!("in {}{colon}{}", label.origin, label.text))
}

/// A text of several lines, each of them harmless.
fn lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Labels by file, the main label's file first.
fn by_file(diagnostic: &Diagnostic) -> Vec<(&RepoPath, Vec<&Label>)> {
    let mut files: Vec<(&RepoPath, Vec<&Label>)> = Vec::new();
    for label in &diagnostic.labels {
        match files.iter_mut().find(|(file, _)| *file == &label.origin.file) {
            Some((_, labels)) => labels.push(label),
            None => files.push((&label.origin.file, vec![label])),
        }
    }
    files
}

fn snippet<'a>(
    text: &'a str,
    file: &'a RepoPath,
    labels: &[&'a Label],
    diagnostic: &'a Diagnostic,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let mut snippet = Snippet::source(text).path(printable(file.as_str())).fold(true);
    for label in labels {
        let kind = match std::ptr::eq(*label, &diagnostic.labels[0]) {
            true => AnnotationKind::Primary,
            false => AnnotationKind::Context,
        };
        let mut annotation = kind.span(first_line(text, label));
        if !label.text.is_empty() {
            annotation = annotation.label(printable(&label.text));
        }
        snippet = snippet.annotation(annotation);
    }
    snippet
}

/// The label's range, cut at the end of its first line and moved inside the text.
fn first_line(text: &str, label: &Label) -> std::ops::Range<usize> {
    let start = floor_boundary(text, label.origin.span.start);
    let end = floor_boundary(text, label.origin.span.end).max(start);
    let stop = text[start..end].find(['\n', '\r']).map_or(end, |i| start + i);
    start..stop
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Origin, Span};

    fn texts(text: &str) -> Texts {
        Texts::from([(RepoPath::new("flows/prefect.yaml"), Arc::from(text))])
    }

    #[test]
    fn the_place_is_shown_with_a_caret_and_the_next_step() {
        let text = "work_pool:\n  name: k8s-prdo\n";
        let span = Span { start: 19, end: 27, line: 2, column: 9 };
        let diagnostic = Diagnostic::error("E0401", "unknown work pool `k8s-prdo`")
            .at(Origin::new(RepoPath::new("flows/prefect.yaml"), span), "no such pool")
            .help("a pool named `k8s-prod` exists");
        insta::assert_snapshot!(render(&[diagnostic], &texts(text), false), @r"
        error[E0401]: unknown work pool `k8s-prdo`
         --> flows/prefect.yaml:2:9
          |
        2 |   name: k8s-prdo
          |         ^^^^^^^^ no such pool
          |
          = help: a pool named `k8s-prod` exists
        ");
    }

    #[test]
    fn spans_outside_the_text_do_not_panic() {
        let span = Span { start: 3, end: 999, line: 1, column: 3 };
        let diagnostic =
            Diagnostic::error("E0100", "bad").at(Origin::new(RepoPath::new("flows/prefect.yaml"), span), "");
        assert!(render(&[diagnostic], &texts("é\u{1F600}"), false).contains("bad"));
    }
}
