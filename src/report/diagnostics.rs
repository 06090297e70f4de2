//! Diagnostics as people read them: the line of the file, a caret under the place, the next step.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::text::{is_hidden, printable};
use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::model::RepoPath;

/// The texts that snippets are cut from.
pub type Texts = BTreeMap<RepoPath, Arc<str>>;

/// The code of credentials in files.
const CREDENTIALS: [&str; 3] = ["E0128", "W0721", "W0757"];

/// So many diagnostics are shown, the gravest: nobody reads more, and each costs a look at its file.
const SHOWN: usize = 200;

/// So many bytes and lines lie from the beginning to the end of a snippet; beyond, places alone are told.
const WINDOW: (usize, usize) = (64 << 10, 1000);

/// Renders diagnostics one below the other, errors after warnings so that the last thing read is what matters.
pub fn render(diagnostics: &[Diagnostic], texts: &Texts, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut ordered: Vec<&Diagnostic> = diagnostics.iter().collect();
    ordered.sort_by_key(|d| (std::cmp::Reverse(d.severity), d.origin().cloned()));
    let hidden = ordered.len().saturating_sub(SHOWN);
    let more = (hidden > 0).then(|| format!("{} before these", super::count(hidden, "more problem", "more problems")));
    let shown = ordered.into_iter().skip(hidden).map(|d| one(d, texts, &renderer));
    more.into_iter().chain(shown).collect::<Vec<_>>().join("\n\n")
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
        let text = texts.get(file).filter(|_| !CREDENTIALS.contains(&diagnostic.code));
        let window = |labels| text.and_then(|text| Window::around(text, labels));
        let shown = if window(&labels).is_some() { labels.len() } else { 1 };
        match window(&labels[..shown]) {
            Some(window) => group = group.element(snippet(&window, file, &labels[..shown], diagnostic)),
            None => group = group.element(Level::NOTE.message(place(labels[0]))),
        }
        for label in labels.iter().skip(shown).filter(|_| text.is_some()) {
            group = group.element(Level::NOTE.message(place(label)));
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

/// The lines of a text that a snippet shows: to number all lines of a large file for each of its diagnostics would
/// take the square of its size.
struct Window<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

impl<'a> Window<'a> {
    /// From the first to the last line of the labels; none if that is too much.
    fn around(text: &'a str, labels: &[&Label]) -> Option<Self> {
        let ranges = || labels.iter().map(|label| first_line(text, label));
        let first = ranges().map(|range| range.start).min()?;
        let last = ranges().map(|range| range.end).max()?;
        // After the last line break there is no line: the end of a file is shown as the end of its last line.
        let first = if first == text.len() && text.ends_with('\n') { first - 1 } else { first };
        let start = text[..first].rfind('\n').map_or(0, |at| at + 1);
        let end = text[last..].find('\n').map_or(text.len(), |at| last + at + 1);
        let fits = end - start <= WINDOW.0 && text[start..end].matches('\n').count() <= WINDOW.1;
        fits.then_some(Window { text, start, end })
    }

    fn first_line(&self) -> usize {
        1 + self.text.as_bytes()[..self.start].iter().filter(|byte| **byte == b'\n').count()
    }
}

fn snippet<'a>(
    window: &Window<'a>,
    file: &'a RepoPath,
    labels: &[&'a Label],
    diagnostic: &'a Diagnostic,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let lines = &window.text[window.start..window.end];
    // What is put in place of a character need not have its length.
    let place = |at: usize| harmless(&window.text[window.start..at]).len();
    let mut snippet =
        Snippet::source(harmless(lines)).line_start(window.first_line()).path(printable(file.as_str())).fold(true);
    for label in labels {
        let kind = match std::ptr::eq(*label, &diagnostic.labels[0]) {
            true => AnnotationKind::Primary,
            false => AnnotationKind::Context,
        };
        let range = first_line(window.text, label);
        let mut annotation = kind.span(place(range.start)..place(range.end));
        if !label.text.is_empty() {
            annotation = annotation.label(printable(&label.text));
        }
        snippet = snippet.annotation(annotation);
    }
    snippet
}

/// Lines without the characters that could steer a terminal and that the renderer would let pass.
fn harmless(lines: &str) -> Cow<'_, str> {
    let passes = |c: char| c.is_ascii() || !is_hidden(c);
    match lines.chars().all(passes) {
        true => Cow::Borrowed(lines),
        false => lines.chars().map(|c| if passes(c) { c } else { '\u{fffd}' }).collect(),
    }
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
    fn lines_of_the_file_cannot_steer_the_terminal() {
        let text = "x = '\u{9b}31mé\u{85}\u{202e}' +\n";
        let start = text.find('+').expect("there");
        let span = Span { start, end: start + 1, line: 1, column: 15 };
        let origin = Origin::new(RepoPath::new("flows/prefect.yaml"), span);
        let diagnostic = Diagnostic::error("E0202", "wrong").at(origin, "");
        insta::assert_snapshot!(render(&[diagnostic], &texts(text), false), @r"
        error[E0202]: wrong
         --> flows/prefect.yaml:1:15
          |
        1 | x = '�31mé��' +
          |               ^
        ");
    }

    #[test]
    fn of_many_problems_the_gravest_are_shown_each_with_its_own_lines() {
        let line = "unknown: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n";
        let text = format!("{}{}", line.repeat(5_000), "x".repeat(1 << 17));
        let at = |start: usize, line: u32| {
            let span = Span { start, end: start + 7, line, column: 1 };
            Origin::new(RepoPath::new("flows/prefect.yaml"), span)
        };
        let all: Vec<Diagnostic> = (0..5_000)
            .map(|i| Diagnostic::warning("W0141", "means nothing").at(at(i * line.len(), i as u32 + 1), ""))
            .chain([Diagnostic::error("E0181", "two").at(at(40, 2), "one").at(at(40 * 4_000, 4_001), "other")])
            .chain([Diagnostic::error("E0140", "long").at(at(40 * 5_000 + 5, 5_001), "")])
            .collect();
        let shown = render(&all, &texts(&text), false);
        assert!(shown.starts_with("4802 more problems before these\n\nwarning"), "{}", &shown[..100]);
        assert!(shown.contains("flows/prefect.yaml:4803:1\n"), "{shown}");
        assert!(shown.contains("2 | unknown") && shown.contains("^^^^^^^ one"), "{shown}");
        assert!(shown.contains("note: in flows/prefect.yaml:4001:1: other"), "{shown}");
        assert!(shown.contains("in flows/prefect.yaml:5001:1"), "{shown}");
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
