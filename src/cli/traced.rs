//! Traces of commands that make passes: begun if the environment asks for them, with what came of each pass.

use tokio::runtime::Handle;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::args::{Cli, Command, Global};
use super::exit::Exit;
use super::last_words;
use crate::report::Report;
use crate::telemetry::{Settings, Traces};

/// Begins to send traces, where passes are made and the environment asks for it; else what stands in the way, if
/// anything does.
pub fn begin(cli: &Cli, runtime: &Handle) -> Result<Option<Traces>, String> {
    let makes_passes = match &cli.command {
        // What compares files with files asks nobody, and looks at no variable.
        Some(Command::Plan(args)) => !args.untrusted && args.base.is_none(),
        None | Some(Command::Apply(_) | Command::Destroy(_) | Command::Dev(_)) => true,
        Some(_) => false,
    };
    if !makes_passes {
        return Ok(None);
    }
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    settings.map(|settings| Traces::begin(&settings, runtime.clone())).transpose()
}

/// The span of one pass: the root of its trace.
pub fn pass(command: &'static str, global: &Global) -> Span {
    tracing::info_span!(
        target: "otel", parent: None, "pass",
        otel.name = command, otel.status_code = Empty, otel.status_description = Empty,
        reconcile.environment = global.env,
    )
}

/// Notes in the span of a pass how it ended. `commit` is what was to be applied, if there is no report to say so.
pub fn ended(span: &Span, exit: Exit, report: Option<&Report>, commit: Option<&str>) {
    if span.is_disabled() {
        return;
    }
    span.set_attribute("reconcile.result", exit.word());
    let is_good = matches!(exit, Exit::Done | Exit::Pending | Exit::Interrupted);
    if !is_good {
        let because = last_words::failure().map(|failure| failure.message);
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", because.unwrap_or_else(|| exit.word().to_owned()));
    }
    if let Some(commit) = report.and_then(|report| report.source.commit.as_deref()).or(commit) {
        span.set_attribute("reconcile.commit", commit.to_owned());
    }
    let Some(report) = report else { return };
    span.set_attribute("reconcile.scope", report.scope.clone());
    if let Some(branch) = &report.source.branch {
        span.set_attribute("reconcile.branch", branch.clone());
    }
    span.set_attribute("reconcile.dirty", report.source.dirty);
    span.set_attribute("reconcile.planned", count(report.plan.changes.len()));
    for (name, n) in report.counts() {
        span.set_attribute(format!("reconcile.{name}"), count(n));
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
