//! `reconcile worker`: a worker in the place of Prefect's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::args::{Global, WorkerCommand, WorkerStartArgs};
use super::exit::{Exit, failed, wrong_usage};
use super::{connect, output, worker_status};
use crate::api::Api;
use crate::infra::{Cgroups, Control, Docker, InfraError, Infrastructure, Process, Python, Say, Warm};
use crate::model::Secret;
use crate::python::candidates;
use crate::reconcile::stop;
use crate::report::text::printable;
use crate::settings::WorkerSettings;
use crate::steps::words;
use crate::worker::{self, GitCache, Options, Summary, WorkerError};

/// Runs one of the commands about workers.
pub async fn run(global: &Global, command: WorkerCommand, stop: CancellationToken) -> Exit {
    match command {
        WorkerCommand::Start(args) => start(global, &args, stop).await.unwrap_or_else(|exit| exit),
        WorkerCommand::Status { pool } => worker_status::run(global, &pool).await.unwrap_or_else(|exit| exit),
    }
}

async fn start(global: &Global, args: &WorkerStartArgs, stop: CancellationToken) -> Result<Exit, Exit> {
    let quiet = global.quiet;
    let say = Arc::new(move |text: &str| {
        if !quiet {
            output::say(&printable(text));
        }
    });
    let (name, summary) = serve(global, args, say, stop).await?;
    if global.json {
        let told = json!({"worker": name, "taken": summary.taken, "ended": summary.ended});
        output::result(&format!("{told:#}"));
    }
    Ok(Exit::Done)
}

/// Runs a worker until `stop`; what it is called, and what it did.
///
/// # Errors
/// The exit of the command.
pub async fn serve(
    global: &Global,
    args: &WorkerStartArgs,
    say: Say,
    stop: CancellationToken,
) -> Result<(String, Summary), Exit> {
    let (mut connection, inputs) = connect::demand(global, Path::new(".")).await?;
    let settings = WorkerSettings::resolve(&inputs, &connection).map_err(|error| {
        output::complain_with(error.code(), &error.to_string());
        output::help(&error.help());
        Exit::Failed
    })?;
    let health = settings.health.clone();
    let mut options = options(args, settings, say)?;
    // The pool says of which type the worker is, and so what it is called if nobody says.
    let nobody = Api::connect(connection.clone()).map_err(|error| refused(&error.into()))?;
    let (pool, kind) = worker::find(&nobody, &options, &stop).await.map_err(|error| refused(&error))?;
    let name = args.name.clone().unwrap_or_else(|| named(&kind));
    options.name.clone_from(&name);
    options.kind = Some(kind.clone());
    connection.headers.insert("X-Prefect-Worker-Name".to_owned(), Secret::text(name.trim()));
    let api = Api::connect(connection).map_err(|error| refused(&error.into()))?;
    if args.with_healthcheck {
        let (host, port) = health;
        let listening = tokio::net::TcpListener::bind((host.as_str(), port)).await;
        options.health =
            Some(listening.map_err(|error| failed(&format!("nothing can listen on {host}:{port}: {error}")))?);
    }
    let place: Arc<dyn Infrastructure> = match kind.as_str() {
        "docker" => Arc::new(docker(global, args, &options, &stop).await?),
        _ => Arc::new(process(global, args, &options).await?),
    };
    // From here on it may have runs: a stop waits until they are drained.
    let _writing = stop::writing().map_err(|_| Exit::Interrupted)?;
    Ok((name, worker::run(api, options, pool, place, stop).await))
}

/// What a worker of a type is called if nobody says: as Prefect's class for it, and like no other.
fn named(kind: &str) -> String {
    let class = if kind == "docker" { "DockerWorker" } else { "ProcessWorker" };
    format!("{class} {}", uuid::Uuid::new_v4())
}

fn refused(error: &WorkerError) -> Exit {
    let text = printable(&error.to_string());
    match error {
        WorkerError::Api(inner) => output::complain_with(inner.code(), &text),
        _ => output::complain(&text),
    }
    output::help(&printable(&error.help()));
    match error {
        WorkerError::Stopped => Exit::Interrupted,
        _ => Exit::Failed,
    }
}

fn options(args: &WorkerStartArgs, settings: WorkerSettings, say: Say) -> Result<Options, Exit> {
    if args.install_policy.is_some() {
        output::say("note: `--install-policy` changes nothing: no type of worker has to be installed");
    }
    Ok(Options {
        pool: args.pool.clone(),
        name: args.name.clone().unwrap_or_default(),
        queues: args.queues.clone(),
        kind: args.kind.clone(),
        limit: args.limit.and_then(|limit| usize::try_from(limit).ok()),
        prefetch: args
            .prefetch_seconds
            .map_or(settings.prefetch, |seconds| std::time::Duration::from_secs(seconds.into())),
        query: settings.query,
        heartbeat: settings.heartbeat,
        run_once: args.run_once,
        template: args.base_job_template.as_deref().map(template).transpose()?,
        create_pool: !args.no_create_pool_if_not_found,
        drain: args.drain_timeout,
        time_limit: args.time_limit,
        git_cache: if args.git_cache { Some(git_cache()?) } else { None },
        logs_to_api: settings.logs_to_api,
        journal: crate::local::cache_dir(|name| std::env::var(name).ok()).join("worker"),
        health: None,
        environment: environment().into_iter().map(|(name, text)| (name, Secret::text(text))).collect(),
        settings: settings.explicit,
        say,
    })
}

fn git_cache() -> Result<GitCache, Exit> {
    let mirrors = crate::local::cache_dir(|name| std::env::var(name).ok()).join("git");
    let path = std::env::var("PATH").unwrap_or_default();
    GitCache::new(&mirrors, &path).map_err(|error| failed(&format!("nothing can be cached for `git`: {error}")))
}

fn template(path: &Path) -> Result<Value, Exit> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| failed(&format!("`{}` cannot be read: {error}", path.display())))?;
    serde_json::from_str(&text).map_err(|error| wrong_usage(&format!("`{}` is not JSON: {error}", path.display())))
}

async fn process(global: &Global, args: &WorkerStartArgs, options: &Options) -> Result<Process, Exit> {
    let control = match Control::listen().await {
        Ok(control) => Some(control),
        Err(error) => {
            output::say(&format!("warning: no port for engines to call could be opened: {error}"));
            None
        }
    };
    let python = Python::new(interpreter(global));
    // Before any process is started, so that none is left in the group that is to be divided.
    let groups = groups(args.memory_limit)?;
    let mut process = Process::new(python, options.environment.clone(), options.settings.clone(), control);
    process.to_stderr = global.json;
    process.groups = groups;
    process.warm = args.warm.and_then(|most| usize::try_from(most).ok()).map(|most| {
        let mut environment = options.environment.clone();
        environment.extend(options.settings.clone());
        Warm::new(process.python.program.clone(), environment, most, global.json, options.say.clone())
    });
    Ok(process)
}

/// What limits the memory of runs. A limit that cannot be kept is no limit: then nothing is started.
fn groups(limit: Option<u64>) -> Result<Option<Cgroups>, Exit> {
    limit.map(Cgroups::new).transpose().map_err(|why| {
        output::complain(&format!("`--memory-limit` cannot be kept here: {why}"));
        output::help(
            "give the worker a control group of its own (`Delegate=memory` in its systemd unit, or `systemd-run --scope \
             -p Delegate=memory reconcile worker start …`), or leave out `--memory-limit`",
        );
        Exit::Failed
    })
}

/// A place for containers. An engine that is away is no reason to end: it may come.
async fn docker(
    global: &Global,
    args: &WorkerStartArgs,
    options: &Options,
    stop: &CancellationToken,
) -> Result<Docker, Exit> {
    const PAUSE: std::time::Duration = std::time::Duration::from_secs(2);
    of_processes(args)?;
    let mut told = false;
    let docker = loop {
        let say = options.say.clone();
        match Docker::new(environment(), options.settings.clone(), words::split, global.json, say) {
            Ok(docker) => break docker,
            Err(InfraError::Away(why)) => {
                if !std::mem::replace(&mut told, true) {
                    (options.say)(&format!("{why}; waiting for it"));
                }
                stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.ok_or(Exit::Interrupted)?;
            }
            Err(error) => {
                output::complain(&error.to_string());
                output::help(
                    "`DOCKER_HOST` says where it is, such as `unix:///var/run/docker.sock` or `tcp://host:2375`",
                );
                return Err(Exit::Failed);
            }
        }
    };
    match docker.greet().await {
        Ok(engine) => (options.say)(&format!("Runs are containers of {engine}.")),
        Err(error) => output::say(&format!("warning: {error}")),
    }
    Ok(docker)
}

/// Refuses options that only runs in processes can have: who asks for a limit must not get none.
fn of_processes(args: &WorkerStartArgs) -> Result<(), Exit> {
    let asked = [
        (args.warm.is_some(), "--warm", "leave it out: an image brings its own Python"),
        (args.memory_limit.is_some(), "--memory-limit", "set `mem_limit` among the job variables of the pool"),
        (args.git_cache, "--git-cache", "leave it out: containers clone for themselves"),
    ];
    match asked.into_iter().find(|(is_asked, ..)| *is_asked) {
        None => Ok(()),
        Some((_, option, help)) => {
            output::complain(&format!(
                "`{option}` is for pools of the type `process`, and this one has the type `docker`"
            ));
            output::help(help);
            Err(Exit::Failed)
        }
    }
}

/// The Python of runs: `--python`, the active virtual environment, `.venv`, `python3`.
fn interpreter(global: &Global) -> PathBuf {
    let root = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let found = candidates(global.python.as_deref(), None, &root, &environment());
    let usable = found.iter().find(|candidate| candidate.explicit || candidate.path.is_file());
    let found = usable.map_or_else(|| PathBuf::from("python3"), |candidate| candidate.path.clone());
    // Runs begin elsewhere. A bare name is looked for on their search path.
    match found.components().count() {
        1 => found,
        _ => std::path::absolute(&found).unwrap_or(found),
    }
}

/// The environment as far as it is text.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_is_the_same_wherever_a_run_begins() {
        let of = |python: &str| interpreter(&Global { python: Some(PathBuf::from(python)), ..Global::default() });
        assert!(of(".venv/bin/python").is_absolute() && of("./python").is_absolute());
        assert!(of(".venv/bin/python").ends_with(".venv/bin/python"));
    }
}
