//! The command line: arguments in, exit code out. One file per command.

mod also;
mod apply;
mod args;
mod ask;
mod comment;
mod commit_status;
mod connect;
mod dev;
mod drift;
mod exit;
mod explain;
mod import;
mod init;
mod last_words;
mod output;
mod overlay;
mod pass;
mod plan;
mod progress;
mod release;
mod remote;
mod render;
mod review;
mod saved;
mod saying;
mod schema;
mod shell;
mod status;
mod traced;
mod validate;
mod watch;
mod worker;
mod worker_status;

use clap::{CommandFactory, FromArgMatches};
use tokio_util::sync::CancellationToken;

pub use args::Cli;
pub use exit::Exit;

use args::Command;

use crate::reconcile::PassError;

/// Runs one command line and gives the exit code of the process.
pub fn run() -> i32 {
    let parsed = shell::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error, exit::asks_for_json(std::env::args_os().skip(1))),
    };
    let wants_json = wants_json(&cli);
    let code = ended(cli, wants_json);
    last(code, wants_json);
    code.code()
}

/// Prints what stdout is still owed.
fn last(exit: Exit, wants_json: bool) {
    if let Some(owed) = last_words::owed(exit).filter(|_| wants_json) {
        output::result(&format!("{owed:#}"));
    }
}

fn ended(mut cli: Cli, wants_json: bool) -> Exit {
    if let Err(sentence) = environments(&mut cli) {
        return exit::wrong_usage(&sentence);
    }
    if let Some(path) = cli.bare.path.as_deref().filter(|path| !path.exists()) {
        return exit::wrong_usage(&neither_command_nor_directory(path));
    }
    match cli.command {
        Some(Command::Completions { shell }) => shell::completions(&cli.global, &mut shell::command(), shell),
        Some(Command::Man { ref command }) => shell::man(&cli.global, shell::command(), command.as_deref()),
        Some(Command::Explain { ref code }) => explain::run(&cli.global, code.as_deref()),
        Some(Command::Schema { name }) => schema::run(&cli.global, name),
        _ => with_runtime(cli, wants_json),
    }
}

/// Takes in which environment is meant: only a loop can be about several.
fn environments(cli: &mut Cli) -> Result<(), String> {
    let all = &cli.global.envs;
    if all.len() > 1 && !(cli.command.is_none() && cli.bare.watch.watch) {
        return Err("`--env` can be given several times with `--watch` only".to_owned());
    }
    if let Some((_, twice)) = all.iter().enumerate().find(|(n, name)| all[..*n].contains(name)) {
        return Err(format!("the environment `{twice}` is named twice"));
    }
    cli.global.env = all.first().cloned();
    Ok(())
}

/// A misspelt command would otherwise be taken for the directory to apply.
fn neither_command_nor_directory(path: &std::path::Path) -> String {
    let word = path.display().to_string();
    let root = Cli::command();
    let known = root.get_subcommands().filter(|one| !one.is_hide_set()).map(clap::Command::get_name);
    let hint = crate::diagnostic::did_you_mean(&word, known)
        .unwrap_or_else(|| "`reconcile --help` lists the commands".to_owned());
    format!("`{word}` is neither a command nor a directory: {hint}")
}

fn with_runtime(cli: Cli, wants_json: bool) -> Exit {
    // The provider has to be there before the first connection is built.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::tracing(&cli.global, None);
            return exit::failed(&format!("the async runtime could not start: {error}"));
        }
    };
    let traces = traced::begin(&cli, runtime.handle());
    output::tracing(&cli.global, traces.as_ref().ok().and_then(Option::as_ref));
    if let Err(sentence) = &traces {
        tracing::warn!("no traces are sent: {sentence}");
    }
    let (stop, leave) = (CancellationToken::new(), CancellationToken::new());
    let when_left = when_left(&cli);
    let code = runtime.block_on(async {
        let both = (stop.clone(), leave.clone());
        let _signals = exit::watch_signals(both, when_left, move |exit| last(exit, wants_json));
        tokio::select! {
            biased;
            () = leave.cancelled() => when_left(),
            code = dispatch(cli, stop) => code,
        }
    });
    if let Ok(Some(traces)) = traces {
        traces.end();
    }
    runtime.shutdown_background();
    code
}

/// How a command ends that is asked to stop while it writes nothing.
fn when_left(cli: &Cli) -> fn() -> Exit {
    let interrupted = || pass::failed(&PassError::Interrupted);
    match &cli.command {
        // There is no end to it but this one.
        None if cli.bare.watch.watch => || Exit::Done,
        Some(Command::Dev(_)) => || Exit::Done,
        // Nothing was asked of it but to write, and the next one goes on where it stopped.
        None | Some(Command::Apply(_) | Command::Destroy(_)) => || {
            pass::failed(&PassError::Interrupted);
            exit::stopped()
        },
        Some(_) => interrupted,
    }
}

/// Whether stdout is to carry JSON.
fn wants_json(cli: &Cli) -> bool {
    let format = match &cli.command {
        Some(Command::Plan(args)) => args.format,
        Some(Command::Validate(args)) => args.format,
        Some(Command::Drift(args)) if args.format.is_some() => return args.format == Some(args::DriftFormat::Json),
        _ => None,
    };
    format.map_or(cli.global.json, |format| format == args::Format::Json)
}

async fn dispatch(cli: Cli, stop: CancellationToken) -> Exit {
    match cli.command {
        None if cli.bare.watch.watch => watch::run(&cli.global, cli.bare, stop).await,
        None => apply::run(&cli.global, apply::Apply::from_bare(cli.bare), stop).await,
        Some(Command::Plan(args)) => plan::run(&cli.global, args, stop).await,
        Some(Command::Apply(args)) => apply::run(&cli.global, args.into(), stop).await,
        Some(Command::Destroy(args)) => apply::run(&cli.global, args.into(), stop).await,
        Some(Command::Drift(args)) => drift::run(&cli.global, args, stop).await,
        Some(Command::Status(args)) => status::run(&cli.global, args, stop).await,
        Some(Command::Release(args)) => release::run(&cli.global, args, stop).await,
        Some(Command::Import(args)) => import::run(&cli.global, args, stop).await,
        Some(Command::Render(args)) => render::run(&cli.global, args, stop).await,
        Some(Command::Validate(args)) => validate::run(&cli.global, args, stop).await,
        Some(Command::Init(args)) => init::run(&cli.global, &args),
        Some(Command::Dev(args)) => dev::run(&cli.global, args, stop).await,
        Some(Command::Worker { command }) => worker::run(&cli.global, command, stop).await,
        Some(Command::Completions { .. } | Command::Man { .. } | Command::Explain { .. } | Command::Schema { .. }) => {
            Exit::Done
        }
    }
}
