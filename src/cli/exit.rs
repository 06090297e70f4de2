//! Exit codes, signals, and the last words of a command that fails.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::last_words;

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

/// The first interrupt asks for a stop at a safe point, the second leaves at once.
pub fn watch_signals(stop: CancellationToken) -> Signals {
    Signals(tokio::spawn(async move {
        wait().await;
        super::output::say("stopping after the requests under way; press Ctrl-C again to leave at once");
        stop.cancel();
        wait().await;
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

async fn wait() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
