//! stdout carries the result, stderr the talk.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use super::args::{Global, LogFormat};
use super::{last_words, progress};
use crate::report::text::Look;
use crate::telemetry::Traces;

/// Prints a result. A reader that closes early is no failure.
pub fn result(text: &str) {
    last_words::printed();
    progress::aside(|| {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = out.write_all(b"\n");
        }
    });
}

/// Whether what is said is a line of a log in JSON.
static LOGS_JSON: AtomicBool = AtomicBool::new(false);

/// Says something on stderr.
pub fn say(text: &str) {
    if LOGS_JSON.load(Ordering::Relaxed) {
        tracing::info!(target: "reconcile::said", "{}", text.trim_end());
        return;
    }
    let _ = progress::aside(|| writeln!(std::io::stderr(), "{text}"));
}

/// Says why a command fails; of many passes the first that fails so.
pub fn complain(text: &str) {
    if last_words::complained(None, text) {
        say(&format!("error: {text}"));
    }
}

/// Whether stdout takes colour: a terminal, and neither NO_COLOR nor `--no-color` nor TERM=dumb says otherwise.
pub fn colour(global: &Global, to: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let forced = set("CLICOLOR_FORCE") && std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    !global.no_color && !set("NO_COLOR") && (forced || (to.is_terminal() && !dumb))
}

/// How reports look on stdout.
pub fn look(global: &Global, full: bool) -> Look {
    Look { colour: colour(global, &std::io::stdout()), full }
}

/// Says why a command fails, with the code whose page explains it.
pub fn complain_with(code: &str, text: &str) {
    if last_words::complained(Some(code), text) {
        say(&format!("error[{code}]: {text}"));
    }
}

/// Says the next step.
pub fn help(text: &str) {
    if last_words::helped(text) {
        say(&format!("  help: {text}"));
    }
}

/// Sets up log lines on stderr, and traces if there are any to be made.
pub fn tracing(global: &Global, traces: Option<&Traces>) {
    let level = match global.verbose {
        // What would be said anyhow, and each pass of `--watch`, is worth a line.
        0 => "warn,reconcile::said=info,reconcile::watch=info",
        1 => "reconcile=info",
        _ => "reconcile=debug",
    };
    let filter = EnvFilter::try_from_env("RECONCILE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let lines = fmt::layer().with_writer(|| progress::Stderr).with_ansi(colour(global, &std::io::stderr()));
    LOGS_JSON.store(global.log_format == LogFormat::Json, Ordering::Relaxed);
    let lines = match global.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let lines = registry().with(lines.with_filter(filter));
    let _ = match traces {
        None => lines.try_init(),
        Some(traces) => lines.with(traces.layer()).try_init(),
    };
}
