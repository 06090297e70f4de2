//! The report on a terminal: one line an object, one line a field that differs, one line to sum up.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use similar::TextDiff;

use super::leaves::leaves;
use super::{Outcome, Report, count};
use crate::diagnostic::Severity;
use crate::model::plan::{Action, Change, FieldChange, Held, LeftToPython, Summary};
use crate::model::{Key, Kind, Tree};

/// How a report is printed.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether to colour. Meaning never rests on colour alone.
    pub colour: bool,
    /// Whether to show every change and whole values.
    pub full: bool,
}

/// How many changes are shown unless all are asked for.
pub const SHOWN: usize = 200;

/// How many characters of one value are shown unless all are asked for.
const VALUE_WIDTH: usize = 100;
/// So many values that differ are shown of an object.
const FIELDS: usize = 60;

/// How many reasons are shown why only Python can tell something of one flow, unless all are asked for.
const PYTHON_SHOWN: usize = 5;

/// A plan: header, changes, held objects, summary.
pub fn plan(report: &Report, look: Look) -> String {
    let mut out = header(report, look);
    out.push_str(&changes(report, look));
    out.push_str(&remembered(report));
    let _ = writeln!(out, "{}   {}", plan_summary(&report.summary()), cost(report));
    out
}

/// `Compared 42 s ago; nothing moved on the API since, 1 deployment read.`
fn remembered(report: &Report) -> String {
    let Some(known) = &report.base.remembered else { return String::new() };
    let read = count(known.read, "deployment", "deployments");
    format!(
        "Compared with what was found {} s ago; nothing has moved on the API since. {read} read.\n",
        known.age_seconds
    )
}

/// What an apply did, below the plan that was shown before it: what is not in and why, and the sum.
pub fn applied(report: &Report, look: Look) -> String {
    let mut out = String::new();
    let failed_ones = report
        .plan
        .changes
        .iter()
        .filter(|change| report.outcome(&change.key).is_some_and(|outcome| *outcome != Outcome::Done));
    let failed_ones: Vec<&Change> = failed_ones.collect();
    let kinds = width_of_kinds(failed_ones.iter().map(|change| &change.key));
    for change in failed_ones {
        out.push_str(&one_change(report, change, (kinds, 0), look));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "{}", sum(report));
    out
}

/// A pass in one line.
pub fn line(report: &Report) -> String {
    let errors = report.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    match (errors, report.outcomes.is_empty()) {
        (0, true) => format!("{}   {}", plan_summary(&report.summary()), cost(report)),
        (0, false) => sum(report),
        _ => format!("Invalid: {}; nothing was written.", count(errors, "error", "errors")),
    }
}

/// `Applied: 2 applied, 1 unchanged.   6 reads, 8 writes, 1.4 s`
fn sum(report: &Report) -> String {
    let (done, failed, skipped) = report.tally();
    let mut parts = vec![format!("{done} applied")];
    for (n, word) in [(failed, "failed"), (skipped, "skipped"), (report.plan.held.len() + report.held_late(), "held")] {
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    }
    parts.push(format!("{} unchanged", report.plan.unchanged));
    let word = match (done, failed, skipped) {
        (_, 0, 0) => "Applied",
        (0, 0, _) => "Not applied",
        (0, _, _) => "Failed",
        _ => "Partly applied",
    };
    format!("{word}: {}.   {}", parts.join(", "), cost(report))
}

/// `shop  main@3f2c1a9  →  http://127.0.0.1:4200/api (Prefect 3.8.8)`
pub fn header(report: &Report, look: Look) -> String {
    let bold = style(look, Style::new().bold());
    let source = match (&report.source.branch, &report.source.commit) {
        (Some(branch), Some(commit)) => format!("  {branch}@{}", short(commit)),
        (None, Some(commit)) => format!("  {}", short(commit)),
        (_, None) => String::new(),
    };
    let named =
        report.source.revision.as_ref().filter(|named| !report.source.commit.iter().any(|c| c.starts_with(*named)));
    let named = named.map(|named| format!(" ({})", printable(named))).unwrap_or_default();
    let dirty = if report.source.dirty { " + local changes" } else { "" };
    let against = report.base.revision.as_ref().map(|revision| {
        let commit = report.base.commit.as_deref().unwrap_or_default();
        format!("compared with {} ({}), no API asked", printable(revision), short(commit))
    });
    let target = match &report.api {
        _ if against.is_some() => against.unwrap_or_default(),
        Some(api) => format!("{} (Prefect {})", api.url, api.version),
        None if report.base.untrusted => "an empty workspace (untrusted files: no API asked)".to_owned(),
        None => "an empty workspace (no API configured)".to_owned(),
    };
    format!("{bold}{}{bold:#}{source}{named}{dirty}  →  {target}\n\n", printable(&report.scope))
}

/// The beginning of a commit's id.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// The changes and what is held, a line each and one for each field that differs.
pub(super) fn changes(report: &Report, look: Look) -> String {
    let mut out = String::new();
    let all = &report.plan.changes;
    let shown = if look.full { all.len() } else { all.len().min(SHOWN) };
    let kinds = width_of_kinds(all[..shown].iter().map(|change| &change.key));
    let width = all[..shown].iter().map(|c| title(c, kinds).chars().count()).max().unwrap_or(0).min(60);
    for change in &all[..shown] {
        out.push_str(&one_change(report, change, (kinds, width), look));
    }
    if shown < all.len() {
        let _ = writeln!(out, "  … and {} more; `--full` shows all", all.len() - shown);
    }
    let kinds = width_of_kinds(report.plan.held.iter().map(|held| &held.key));
    for held in &report.plan.held {
        out.push_str(&one_held(held, kinds, look));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

fn title(change: &Change, kinds: usize) -> String {
    format!("{:<kinds$} {}", change.key.kind.word(), printable(&change.key.name))
}

/// How wide the column of kinds is: none is cut, and a plan of short ones stays narrow.
fn width_of_kinds<'a>(keys: impl Iterator<Item = &'a Key>) -> usize {
    keys.map(|key| key.kind.word().len()).max().unwrap_or(0).max(11)
}

fn one_change(report: &Report, change: &Change, (kinds, width): (usize, usize), look: Look) -> String {
    let colour = style(look, action_style(change.action));
    let dim = style(look, Style::new().dimmed());
    let place = match &change.origin {
        Some(origin) => format!("{}:{}", printable(origin.file.as_str()), origin.span.line),
        None => String::new(),
    };
    let mut out =
        format!("  {colour}{}{colour:#} {:<width$}  {dim}{place}{dim:#}", change.action.symbol(), title(change, kinds));
    out.truncate(out.trim_end().len());
    match report.outcome(&change.key) {
        Some(Outcome::Failed(error)) => {
            let red = style(look, Style::new().fg_color(Some(AnsiColor::Red.into())));
            let _ = write!(out, "\n      {red}failed{red:#}: {}", printable(error));
        }
        Some(Outcome::Skipped(because)) => {
            let _ = write!(out, "\n      skipped: {}", printable(because));
        }
        Some(Outcome::Held(because)) => {
            let _ = write!(out, "\n      held: {}", printable(because));
        }
        Some(Outcome::Done) | None => {}
    }
    out.push('\n');
    if change.action == Action::Update || change.action == Action::Replace {
        out.push_str(&fields(&change.fields, look));
    }
    for line in &change.impact {
        let _ = writeln!(out, "      ! {}", printable(line));
    }
    let shown = if look.full { change.left_to_python.len() } else { PYTHON_SHOWN };
    for left in change.left_to_python.iter().take(shown) {
        let _ = writeln!(out, "      ? {}", left_to_python(left));
    }
    if change.left_to_python.len() > shown {
        let more = change.left_to_python.len() - shown;
        let _ = writeln!(out, "      ? … and {more} more of only Python; `--full` shows all");
    }
    out
}

/// ``only Python can tell what `size` is: its default is computed (flow.py:7)``
pub fn left_to_python(left: &LeftToPython) -> String {
    let what = match &left.parameter {
        Some(name) => format!("what `{name}` takes"),
        None => "what the flow takes".to_owned(),
    };
    let place = left.origin.as_ref().map(|o| format!(" ({}:{})", o.file, o.span.line)).unwrap_or_default();
    printable(&format!("only Python can tell {what}: {}{place}", left.why))
}

fn one_held(held: &Held, kinds: usize, look: Look) -> String {
    let yellow = style(look, Style::new().fg_color(Some(AnsiColor::Yellow.into())));
    let mut out = format!("  {yellow}held{yellow:#} {:<kinds$} {}\n", held.key.kind.word(), printable(&held.key.name));
    let verb = match held.action {
        Action::Delete => "would be deleted: ",
        _ => "",
    };
    let _ = writeln!(out, "      {verb}{}", printable(&held.reason));
    out
}

fn fields(fields: &[FieldChange], look: Look) -> String {
    let all: Vec<FieldChange> = fields.iter().flat_map(|field| leaves(field).into_owned()).collect();
    let fields = if look.full { &all[..] } else { &all[..all.len().min(FIELDS)] };
    let width = fields.iter().map(|f| f.path.to_string().chars().count()).max().unwrap_or(0).min(40);
    let mut out = String::new();
    for field in fields {
        let path = field.path.to_string();
        let path = printable(&path);
        let sensitive = [&field.before, &field.after].into_iter().flatten().any(Tree::has_secret);
        match lines(field, sensitive) {
            Some(diff) => {
                let _ = write!(out, "      {path}\n{diff}");
            }
            None => {
                let before = value(field.before.as_ref(), sensitive, look);
                let after = value(field.after.as_ref(), sensitive, look);
                let _ = writeln!(out, "      {path:<width$}  {before} → {after}");
            }
        }
    }
    if fields.len() < all.len() {
        let _ = writeln!(out, "      … and {} more; `--full` shows all", all.len() - fields.len());
    }
    out
}

/// A field on one line: `schedules[daily].cron: "0 6 * * *" → "0 7 * * *"`.
pub(super) fn field(field: &FieldChange) -> String {
    let look = Look { colour: false, full: false };
    let sensitive = [&field.before, &field.after].into_iter().flatten().any(Tree::has_secret);
    let side = |tree: &Option<Tree>| value(tree.as_ref(), sensitive, look);
    format!("{}: {} → {}", printable(&field.path.to_string()), side(&field.before), side(&field.after))
}

/// A text of several lines is shown as a line diff.
fn lines(field: &FieldChange, sensitive: bool) -> Option<String> {
    let (Some(Tree::Text(before)), Some(Tree::Text(after))) = (&field.before, &field.after) else { return None };
    if sensitive || !(before.contains('\n') || after.contains('\n')) {
        return None;
    }
    let diff = TextDiff::from_lines(before.as_str(), after.as_str());
    let mut out = String::new();
    for hunk in diff.unified_diff().context_radius(1).iter_hunks() {
        for change in hunk.iter_changes() {
            // The bar also keeps a line of the text from being read as a command of the CI that prints it.
            let _ =
                writeln!(out, "      │ {}{}", change.tag(), printable(change.value().trim_end_matches(['\n', '\r'])));
        }
    }
    Some(out)
}

/// A value on one line. Where one side of a field is secret, neither side is shown.
fn value(value: Option<&Tree>, sensitive: bool, look: Look) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Tree::Unknown(why)) => format!("(known {})", why.phrase()),
        Some(Tree::Text(_)) | Some(Tree::Number(_)) | Some(Tree::Bool(_)) if sensitive => "(sensitive)".to_owned(),
        Some(Tree::Secret(secret)) => secret.to_string(),
        Some(tree) => {
            let text = printable(&tree.masked().to_string());
            if look.full || text.chars().count() <= VALUE_WIDTH {
                text
            } else {
                format!("{}…", text.chars().take(VALUE_WIDTH).collect::<String>())
            }
        }
    }
}

/// `Plan: 1 to create, 1 to update, 997 unchanged.`
pub fn plan_summary(summary: &Summary) -> String {
    let mut parts = Vec::new();
    for (n, words) in [
        (summary.create, "to create"),
        (summary.update, "to update"),
        (summary.replace, "to replace"),
        (summary.delete, "to delete"),
        (summary.adopt, "to adopt"),
        (summary.release, "to release"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {words}"));
        }
    }
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    parts.push(format!("{} unchanged", summary.unchanged));
    if summary.held > 0 {
        parts.push(format!("{} held", summary.held));
    }
    format!("Plan: {}.", parts.join(", "))
}

/// `6 reads, 0.4 s`
pub(super) fn cost(report: &Report) -> String {
    let mut parts = Vec::new();
    if report.requests.read > 0 {
        parts.push(count(usize::try_from(report.requests.read).unwrap_or(usize::MAX), "read", "reads"));
    }
    if report.requests.write > 0 {
        parts.push(count(usize::try_from(report.requests.write).unwrap_or(usize::MAX), "write", "writes"));
    }
    parts.push(format!("{:.1} s", report.seconds));
    parts.join(", ")
}

fn action_style(action: Action) -> Style {
    let colour = match action {
        Action::Create | Action::Adopt => AnsiColor::Green,
        Action::Update | Action::Replace | Action::Release => AnsiColor::Yellow,
        Action::Delete => AnsiColor::Red,
    };
    Style::new().fg_color(Some(colour.into())).bold()
}

fn style(look: Look, style: Style) -> Style {
    if look.colour { style } else { Style::new() }
}

/// Text from files and servers without the characters that could move a cursor, fake a line or turn the direction of
/// writing.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether a character could move a cursor, fake a line or turn the direction of writing.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What a kind's listing is headed with, in the plural.
pub fn plural(kind: Kind, n: usize) -> String {
    let word = kind.word().replace('_', " ");
    count(n, &word, &format!("{word}s"))
}
