//! GitHub workflow commands: every diagnostic and every change as an annotation on its YAML line.

use super::Report;
use super::drift::DriftReport;
use super::text::printable;
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::Origin;
use crate::model::plan::Action;

/// Diagnostics as `::error`, `::warning` and `::notice`, then one notice per change.
pub fn annotations(report: &Report) -> String {
    annotations_below(report, "")
}

/// The same for files below a directory, `flows/`: GitHub wants to know them from the top of the repository.
pub fn annotations_below(report: &Report, below: &str) -> String {
    let mut lines: Vec<String> = report.diagnostics.iter().map(|one| diagnostic_below(one, below)).collect();
    for change in &report.plan.changes {
        let Some(origin) = &change.origin else { continue };
        let title = format!("{} {}", change.action.symbol(), change.key);
        let shown = change.fields.iter().take(20);
        let mut text: Vec<String> = match change.action {
            Action::Update | Action::Replace => shown.map(super::text::field).collect(),
            Action::Create | Action::Delete | Action::Adopt | Action::Release => {
                shown.map(|field| field.path.to_string()).collect()
            }
        };
        text.extend(change.left_to_python.iter().map(super::text::left_to_python));
        text.extend(change.impact.iter().cloned());
        let text = if text.is_empty() { "no field to show".to_owned() } else { text.join("\n") };
        lines.push(command("notice", Some(origin), below, &title, &text));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What steps that follow may ask for, a `name=value` a line.
pub fn outputs(report: &Report) -> String {
    let summary = report.summary();
    let counts = [
        ("to-create", summary.create),
        ("to-update", summary.update),
        ("to-replace", summary.replace),
        ("to-delete", summary.delete),
        ("held", summary.held),
        ("unchanged", summary.unchanged),
    ];
    let counts = counts.iter().map(|(name, n)| format!("{name}={n}\n")).collect::<String>();
    format!("changes={}\n{counts}digest={}\n", !report.plan.is_empty(), report.digest)
}

/// The same of what drifted.
pub fn drift_outputs(found: &DriftReport) -> String {
    let (changed, gone) = found.counts();
    format!("changes={}\nchanged={changed}\ngone={gone}\n", found.drifted())
}

/// One diagnostic as a workflow command.
pub fn diagnostic(diagnostic: &Diagnostic) -> String {
    diagnostic_below(diagnostic, "")
}

/// The same for a file below a directory.
pub fn diagnostic_below(diagnostic: &Diagnostic, below: &str) -> String {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut text = diagnostic.message.clone();
    // An annotation has one place; the others are words.
    for label in diagnostic.labels.iter().skip(1) {
        let told = if label.text.is_empty() { "see also" } else { &label.text };
        text.push_str(&format!("\n{told}: {below}{}:{}", label.origin.file, label.origin.span.line));
    }
    if let Some(help) = &diagnostic.help {
        text.push_str(&format!("\nhelp: {help}"));
    }
    command(level, diagnostic.origin(), below, diagnostic.code, &text)
}

fn command(level: &str, origin: Option<&Origin>, below: &str, title: &str, text: &str) -> String {
    let mut properties = Vec::new();
    if let Some(origin) = origin {
        properties.push(format!("file={}", property(&format!("{below}{}", origin.file))));
        properties.push(format!("line={}", origin.span.line));
        properties.push(format!("col={}", origin.span.column));
    }
    properties.push(format!("title={}", property(title)));
    format!("::{level} {}::{}", properties.join(","), message(text))
}

/// Escapes the text of a command, so that a hostile name cannot start a command of its own.
fn message(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    lines.join("\n").replace('%', "%25").replace('\n', "%0A")
}

/// Escapes a property of a command.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RepoPath;

    #[test]
    fn a_hostile_message_stays_one_command() {
        let hostile = "a\n::set-output name=x::y";
        let line = diagnostic(&Diagnostic::error("E0100", hostile).at(Origin::whole(RepoPath::new("a,b:c.yaml")), ""));
        assert_eq!(line.lines().count(), 1);
        assert!(line.starts_with("::error file=a%2Cb%3Ac.yaml,line=1,col=1,title=E0100::a%0A"), "{line}");
    }
}
