//! `reconcile dev`: the private server, a watch and a worker in one terminal, until somebody presses Ctrl-C.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::args::{Bare, DevArgs, Global, WatchArgs, WorkerStartArgs};
use super::connect::{self, Absent};
use super::exit::{Exit, wrong_usage};
use super::{output, watch, worker};
use crate::local;
use crate::report::text::printable;
use crate::settings::Declared;

/// How long runs under way get at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs until asked to stop, or until one of the three cannot go on.
pub async fn run(global: &Global, args: DevArgs, stop: CancellationToken) -> Exit {
    if global.api_url.is_some() || global.profile.is_some() {
        return wrong_usage(
            "`dev` works with the private server of this machine: leave out `--api-url` and `--profile`",
        );
    }
    let global = Global { local: true, ..global.clone() };
    let _hangup = watch::Ends::of(with_the_terminal());
    // Before anybody else asks for it: it takes a while, and is told once.
    let python = match connect::connect(&global, directory(&args), Declared::default(), Absent::StartLocal).await {
        Ok(connected) => connected.python,
        Err(exit) => return exit,
    };
    let over = stop.child_token();
    let mut workers = match started(&global, &args, python.as_deref(), &over).await {
        Ok(workers) => workers,
        Err(exit) => return exit,
    };
    let (in_sync, applied) = oneshot::channel();
    let watching = async {
        let exit = watch::run_and_tell(&global, bare(&args), over.clone(), Some(in_sync)).await;
        over.cancel();
        exit
    };
    let working = end(&mut workers, &over);
    let running = over.run_until_cancelled(async {
        if applied.await.is_ok() {
            start_runs(&global, &args).await;
        }
    });
    let (watched, worked, _) = tokio::join!(watching, working, running);
    if watched == Exit::Done { worked } else { watched }
}

/// Who closes the terminal wants what a supervisor wants that asks for a stop. To a loop alone a hangup means less.
async fn with_the_terminal() {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    if hangup.recv().await.is_some() {
        let _ = kill_process(getpid(), Signal::TERM);
    }
}

fn directory(args: &DevArgs) -> &Path {
    args.path.as_deref().unwrap_or(Path::new("."))
}

fn bare(args: &DevArgs) -> Bare {
    let watch = WatchArgs { watch: true, listen: args.listen, ..WatchArgs::default() };
    Bare { path: args.path.clone(), yes: true, watch, ..Bare::default() }
}

/// Starts the workers, and waits until each of them is at work: what is applied names their pools.
async fn started(
    global: &Global,
    args: &DevArgs,
    python: Option<&Path>,
    over: &CancellationToken,
) -> Result<JoinSet<Exit>, Exit> {
    let global = Global { python: interpreter(global, python), ..global.clone() };
    let usual = [local::POOL.to_owned()];
    let pools = if args.pools.is_empty() { &usual[..] } else { &args.pools };
    let (mut workers, mut begun) = (JoinSet::new(), Vec::new());
    for pool in pools {
        let at_work = CancellationToken::new();
        begun.push(at_work.clone());
        workers.spawn(work(global.clone(), pool.clone(), at_work, over.clone()));
    }
    let all_begun = async {
        for at_work in &begun {
            at_work.cancelled().await;
        }
    };
    tokio::select! {
        () = all_begun => Ok(workers),
        exit = end(&mut workers, over) => Err(exit),
    }
}

/// Waits until all workers have ended: one that ends takes everything along. How the first bad one ended.
async fn end(workers: &mut JoinSet<Exit>, over: &CancellationToken) -> Exit {
    let mut worst = Exit::Done;
    while let Some(ended) = workers.join_next().await {
        over.cancel();
        let exit = ended.unwrap_or_else(|gone| std::panic::resume_unwind(gone.into_panic()));
        worst = if worst == Exit::Done { exit } else { worst };
    }
    worst
}

async fn work(global: Global, pool: String, at_work: CancellationToken, over: CancellationToken) -> Exit {
    let quiet = global.quiet;
    let told = at_work.clone();
    let say = Arc::new(move |text: &str| {
        if !quiet {
            pane("worker", text);
        }
        if text.starts_with("Worker '") && text.ends_with("' started!") {
            told.cancel();
        }
    });
    let args = WorkerStartArgs { drain_timeout: DRAIN, ..WorkerStartArgs::of(pool) };
    match worker::serve(&global, &args, say, over).await {
        Ok(_) => Exit::Done,
        Err(exit) => exit,
    }
}

/// The Python of runs, if it is not the one that a worker finds: that of the server has Prefect, if nothing else.
fn interpreter(global: &Global, python: Option<&Path>) -> Option<PathBuf> {
    let active = std::env::var_os("VIRTUAL_ENV").is_some_and(|dir| !dir.is_empty());
    let own = active || Path::new(".venv/bin/python").is_file();
    global.python.clone().or_else(|| python.filter(|_| !own).map(Path::to_owned))
}

async fn start_runs(global: &Global, args: &DevArgs) {
    if args.runs.is_empty() {
        return;
    }
    let connected = connect::connect(global, directory(args), Declared::default(), Absent::StartLocal).await;
    let Ok(Some(api)) = connected.map(|connected| connected.api) else { return };
    for wanted in &args.runs {
        let (flow, name) = wanted.split_once('/').unwrap_or((wanted, ""));
        match api.start_run(flow, name).await {
            Ok(Some(run)) => pane("dev", &format!("started the run `{run}` of `{wanted}`")),
            Ok(None) => pane("dev", &format!("there is no deployment `{wanted}` to start a run of")),
            Err(error) => pane("dev", &format!("no run of `{wanted}` could be started: {error}")),
        }
    }
}

/// A line of whom it is from.
fn pane(who: &str, text: &str) {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    output::say(&format!("{now}  {who}  {}", printable(text)));
}
