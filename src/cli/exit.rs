//! Exit codes, signals, and the last words of a command that fails.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::last_words;
use crate::reconcile::stop;

/// So long a command that is left has to put away what it holds: programs it started, files in the making.
const GRACE: Duration = Duration::from_secs(1);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// Failed.
    Failed,
    /// Changes are pending.
    Pending,
    /// Some of it is in, some is not; the report says which.
    Partly,
    /// The files are invalid.
    Invalid,
    /// The plan is stale, or another pass holds the lock.
    Stale,
    /// Wrong usage.
    Usage,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> i32 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Pending => 2,
            Exit::Partly => 3,
            Exit::Invalid => 4,
            Exit::Stale => 5,
            Exit::Usage => 64,
            Exit::Interrupted => 130,
        }
    }

    /// It in a word, for machines.
    pub fn word(self) -> &'static str {
        match self {
            Exit::Done => "done",
            Exit::Failed => "failed",
            Exit::Pending => "pending",
            Exit::Partly => "partly",
            Exit::Invalid => "invalid",
            Exit::Stale => "stale",
            Exit::Usage => "usage",
            Exit::Interrupted => "interrupted",
        }
    }
}

/// Prints what clap has to say: help and version to stdout with 0, complaints to stderr with 64. `json`: the same
/// complaint is the result as well.
pub fn usage(error: &clap::Error, json: bool) -> i32 {
    let _ = error.print();
    if !error.use_stderr() {
        return 0;
    }
    let told = error.render().to_string();
    let mut lines = told.lines();
    let first = lines.next().unwrap_or_default();
    last_words::complained(None, first.strip_prefix("error: ").unwrap_or(first));
    if let Some(tip) = lines.find_map(|line| line.trim().strip_prefix("tip: ")) {
        last_words::helped(tip);
    }
    if json {
        super::output::result(&format!("{:#}", last_words::json()));
    }
    Exit::Usage.code()
}

/// Whether words that make no command line ask for JSON: `--json`, or `--format json`.
pub fn asks_for_json(words: impl Iterator<Item = std::ffi::OsString>) -> bool {
    let words: Vec<_> = words.take_while(|word| word != "--").collect();
    let is_format = |pair: &[std::ffi::OsString]| pair[0] == "--format" && pair[1] == "json";
    words.iter().any(|word| word == "--json" || word == "--format=json") || words.windows(2).any(is_format)
}

/// One sentence on stderr, then exit code 1.
pub fn failed(sentence: &str) -> Exit {
    super::output::complain(sentence);
    Exit::Failed
}

/// One sentence on stderr, then exit code 64.
pub fn wrong_usage(sentence: &str) -> Exit {
    super::output::complain(sentence);
    Exit::Usage
}

/// What asked us to stop, if anything did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Ctrl-C: somebody waits for an answer.
    Interrupt,
    /// SIGTERM: a supervisor, to whom a clean stop is no failure.
    Terminate,
}

static ASKED: OnceLock<Asked> = OnceLock::new();

/// How a command ends that wrote what it could until it was asked to stop, and told what is left: a supervisor asked for
/// no more than that.
pub fn stopped() -> Exit {
    match ASKED.get() {
        Some(Asked::Terminate) => Exit::Done,
        Some(Asked::Interrupt) | None => Exit::Interrupted,
    }
}

/// While nothing is written, a signal ends the command at once; else it asks for a stop at a safe point. The second one
/// leaves at once in any case. `left` says how a command ends that is left; `last` prints what stdout is still owed.
pub fn watch_signals(
    (stop, leave): (CancellationToken, CancellationToken),
    left: fn() -> Exit,
    last: impl Fn(Exit) + Send + 'static,
) -> Signals {
    Signals(tokio::spawn(async move {
        let asked = wait().await;
        let _ = ASKED.set(asked);
        if stop::leave() {
            super::progress::end();
            leave.cancel();
            stop.cancel();
            // What does not wait for anything cannot be told: it is in the middle of a file, or of a question.
            tokio::time::sleep(GRACE).await;
            let exit = left();
            last(exit);
            std::process::exit(exit.code());
        }
        super::output::say("stopping after the requests under way; press Ctrl-C again to leave at once");
        stop.cancel();
        wait().await;
        super::progress::end();
        super::output::complain("left at once: what became of the requests under way is not known");
        super::output::help(
            "run again: what is in is found, and nothing is made twice. The lock counts as left behind after 30 seconds; \
             `--lock-timeout 1m` waits for that",
        );
        last(Exit::Interrupted);
        std::process::exit(Exit::Interrupted.code());
    }))
}

/// Ends the watch when dropped.
pub struct Signals(JoinHandle<()>);

impl Drop for Signals {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn wait() -> Asked {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return Asked::Interrupt;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Asked::Interrupt,
        _ = terminate.recv() => Asked::Terminate,
    }
}
