//! The report as Markdown: a pull-request comment or a job summary.

use serde_json::{Value, json};

use super::fit::fit;
use super::leaves::leaves;
use super::{Outcome, Report, text, value_json};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::Tree;
use crate::model::plan::{Change, FieldChange};
use crate::render::jinja;
use crate::render::markdown::{code, escape};

const TEMPLATE: &str = include_str!("../../templates/plan.md.j2");

/// The plan as a comment. Its first line is a marker by which the comment of a scope is found again.
pub fn plan(report: &Report) -> String {
    page(report, "plan", &summary(report))
}

/// What was applied, if anything was, and what is not in and why; else the plan.
pub fn whole(report: &Report) -> String {
    if report.outcomes.is_empty() {
        return plan(report);
    }
    let mut out = page(report, "apply", &text::line(report));
    for (key, outcome) in &report.outcomes {
        let (word, why) = match outcome {
            Outcome::Done => continue,
            Outcome::Failed(why) => ("failed", why),
            Outcome::Skipped(why) => ("skipped", why),
            Outcome::Held(why) => ("held", why),
        };
        out.push_str(&format!("\n- **{word}** {}: {}\n", code(&key.to_string()), escape(why)));
    }
    out
}

/// A page of at most so many UTF-16 units, cut from the middle; `rest` says where all of it is.
pub fn fitting(page: &str, limit: usize, rest: &str) -> String {
    fit(page, limit, rest)
}

/// A page about what one command found. That of a plan is the scope's comment; others have a marker of their own.
pub(super) fn page(report: &Report, command: &str, summary: &str) -> String {
    let scope = report.scope.replace("--", "- -").replace('>', "");
    let marker = match command {
        "plan" => format!("<!-- reconcile:{scope} -->"),
        other => format!("<!-- reconcile {other}:{scope} -->"),
    };
    let context = json!({
        "marker": marker,
        "title": format!("reconcile {command}: {}", title(&report.scope)),
        "summary": summary,
        "changes": report.plan.changes.iter().map(change).collect::<Vec<_>>(),
        "held": report.plan.held.iter().map(|held| json!({
            "kind": held.key.kind, "name": held.key.name, "reason": held.reason,
        })).collect::<Vec<_>>(),
        "diagnostics": report.diagnostics.iter().map(diagnostic).collect::<Vec<_>>(),
        "footer": footer(report),
    });
    jinja::render("plan.md", TEMPLATE, &context)
        .unwrap_or_else(|error| format!("the {command} could not be rendered: {error}\n"))
}

/// The name of a scope, which others may have chosen, as text. Most names mean nothing to Markdown and stay as they are.
fn title(scope: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '@' | ' ');
    if scope.chars().all(is_plain) { scope.to_owned() } else { escape(scope) }
}

fn summary(report: &Report) -> String {
    let errors = report.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    match errors {
        0 => text::plan_summary(&report.summary()),
        n => format!("Invalid: {}; nothing is planned.", super::count(n, "error", "errors")),
    }
}

fn footer(report: &Report) -> String {
    let commit = report.source.commit.as_deref().and_then(|commit| commit.get(..7)).unwrap_or("no commit");
    format!("{commit} · {} · {} reads, {} writes", report.digest, report.requests.read, report.requests.write)
}

fn change(change: &Change) -> Value {
    json!({
        "symbol": change.action.symbol().to_string(),
        "kind": change.key.kind,
        "name": change.key.name,
        "place": change.origin.as_ref().map_or_else(|| "left git".to_owned(), |o| format!("{}:{}", o.file, o.span.line)),
        "fields": change.fields.len(),
        "impact": change.impact,
        "left": change.left_to_python.iter().map(text::left_to_python).collect::<Vec<_>>(),
        "diff": change.fields.iter().flat_map(|field| leaves(field).into_owned()).map(|leaf| diff(&leaf)).collect::<Vec<_>>().join("\n"),
    })
}

/// One field as lines that a diff colours.
fn diff(field: &FieldChange) -> String {
    let sensitive = [&field.before, &field.after].into_iter().flatten().any(Tree::has_secret);
    let side = |sign: char, tree: &Option<Tree>| {
        tree.as_ref().map(|tree| format!("{sign} {}: {}", field.path, shown(tree, sensitive)))
    };
    [side('-', &field.before), side('+', &field.after)].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn shown(tree: &Tree, sensitive: bool) -> String {
    match value_json(Some(tree), true, sensitive) {
        Value::Object(map) if map.contains_key("sensitive") => crate::model::secret::MASK.to_owned(),
        _ => tree.masked().to_string(),
    }
}

fn diagnostic(d: &Diagnostic) -> Value {
    json!({
        "severity": d.severity,
        "code": d.code,
        "message": d.message,
        "place": d.origin().map(ToString::to_string),
        "help": d.help,
    })
}
