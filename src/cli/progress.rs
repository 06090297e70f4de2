//! Progress, on a terminal only: what takes longer than a second is told, and leaves nothing behind.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::AbortHandle;

use super::args::{Global, LogFormat};
use crate::api::Api;
use crate::report::count;

/// What is over by then shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// So often it is drawn.
const FRAME: Duration = Duration::from_millis(100);

/// What is drawn at the moment, once something was.
static DRAWN: OnceLock<MultiProgress> = OnceLock::new();

/// Something under way, shown until this is dropped.
pub struct Progress {
    bar: ProgressBar,
    api: Arc<OnceLock<Api>>,
    ticker: Option<AbortHandle>,
}

impl Progress {
    /// Reading: how many requests were sent so far, once it is known to whom.
    pub fn reading(global: &Global) -> Progress {
        let api = Arc::new(OnceLock::<Api>::new());
        let asked = api.clone();
        let told = move |bar: &ProgressBar| {
            bar.set_message(match asked.get().map_or(0, |api| api.requests().read) {
                0 => String::new(),
                n => format!(", {} so far", count(n as usize, "request", "requests")),
            });
        };
        let (bar, ticker) = start(global, ProgressBar::new_spinner(), "{spinner} reading{msg}, {elapsed}", told);
        Progress { bar, api, ticker }
    }

    /// Applying so many changes: how many are in.
    pub fn applying(global: &Global, length: usize) -> Progress {
        let bar = ProgressBar::new(length as u64);
        let (bar, ticker) = start(global, bar, "{bar:30} {pos}/{len} applied, {elapsed}", |_| {});
        Progress { bar, api: Arc::default(), ticker }
    }

    /// Whose requests count.
    pub fn count(&self, api: Option<&Api>) {
        if let Some(api) = api {
            let _ = self.api.set(api.clone());
        }
    }

    /// So many are done.
    pub fn reached(&self, done: usize) {
        self.bar.set_position(done as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(ticker) = &self.ticker {
            ticker.abort();
        }
        self.bar.finish_and_clear();
    }
}

fn start(
    global: &Global,
    bar: ProgressBar,
    look: &str,
    told: impl Fn(&ProgressBar) + Send + 'static,
) -> (ProgressBar, Option<AbortHandle>) {
    let style = ProgressStyle::with_template(look).unwrap_or_else(|_| ProgressStyle::default_spinner());
    bar.set_draw_target(ProgressDrawTarget::hidden());
    bar.set_style(style);
    let shown = bar.clone();
    let ticker = is_shown(global).then(|| {
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            let bar = DRAWN.get_or_init(MultiProgress::new).add(shown);
            loop {
                told(&bar);
                bar.tick();
                tokio::time::sleep(FRAME).await;
            }
        })
        .abort_handle()
    });
    (bar, ticker)
}

fn is_shown(global: &Global) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let talks = !global.quiet && !global.json && global.log_format == LogFormat::Text;
    talks && !dumb && std::io::stderr().is_terminal()
}

/// Does something with the terminal while nothing is drawn there.
pub fn aside<T>(act: impl FnOnce() -> T) -> T {
    match DRAWN.get() {
        Some(drawn) => drawn.suspend(act),
        None => act(),
    }
}

/// Ends all drawing: the process is about to be left.
pub fn end() {
    if let Some(drawn) = DRAWN.get() {
        let _ = drawn.clear();
        drawn.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// stderr, beside what is drawn there.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        aside(|| std::io::stderr().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
