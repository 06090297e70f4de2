//! `Docker`: runs as containers of a Docker Engine, here or elsewhere.
//!
//! prefect-docker 0.7.4 `worker.py`. What runs in a container is Prefect's own `prefect flow-run execute`: it reports
//! what becomes of the run, and hears of cancellations itself.

mod client;
mod create;
mod host;
mod insist;
mod launch;
mod names;
mod wanted;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::query_parameters::{ListContainersOptionsBuilder, StopContainerOptionsBuilder};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use create::Split;

use self::host::Engine;
use self::launch::{Container, Launch, said, status};
use self::wanted::Wanted;
use self::watch::{Ended, Output, Watching};
use super::error::InfraError;
use super::workspace::HookKind;
use super::{Infrastructure, News, Say, Trace};
use crate::model::{JobSpec, RunExit, RunHandle, Secret};
use crate::render::job_template::Configuration;

/// More news are not kept while nobody takes them.
const MOST_NEWS: usize = 1000;
/// So long an engine that is away is asked again to end a container.
const INSISTING: Duration = Duration::from_secs(600);
/// Between two such attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// So long a container may take to end that did not heed the cancellation itself.
const LAST_GRACE: Duration = Duration::from_secs(10);

/// What the Engine API gets for the arguments of docker-py's `containers.create`, and the platform that is asked for.
///
/// # Errors
/// One sentence about the first argument that cannot be used.
pub fn body_of_arguments(arguments: Map<String, Value>, split: Split) -> Result<Value, String> {
    create::body(arguments, split).map(|body| json!({"body": body.json, "platform": body.platform}))
}

/// The same for a job, with the container's name and the pull policy. It holds the environment of the job.
///
/// # Errors
/// One sentence about the first field of the configuration that cannot be used.
pub fn body_of_job(
    job: &JobSpec,
    settings: &BTreeMap<String, Secret>,
    cwd: &Path,
    split: Split,
) -> Result<Value, String> {
    let wanted = Wanted::of(job, settings, cwd)?;
    let body = wanted.body(true, split)?;
    let policy = format!("{:?}", wanted.policy);
    Ok(json!({"body": body.json, "platform": body.platform, "name": wanted.name, "policy": policy}))
}

/// The worker's settings as jobs in containers get them: what is `localhost` here is another machine there.
pub fn settings_in_containers(
    configuration: &Configuration,
    settings: &BTreeMap<String, Secret>,
) -> BTreeMap<String, Secret> {
    wanted::settings_for(configuration, settings)
}

/// Runs as containers.
pub struct Docker {
    shared: Arc<Shared>,
    jobs: Mutex<BTreeMap<String, Arc<Job>>>,
    /// Runs whose containers are being made, and how that is given up.
    starting: Mutex<BTreeMap<String, CancellationToken>>,
    untaken: Mutex<Option<mpsc::Receiver<News>>>,
    /// The worker's settings, as environment variables.
    settings: BTreeMap<String, Secret>,
    /// The environment of this process.
    environment: BTreeMap<String, String>,
    split: Split,
}

/// What the tasks that watch containers need.
struct Shared {
    engine: Engine,
    say: Say,
    news: mpsc::Sender<News>,
    /// Where what containers print goes.
    output: Output,
}

/// One container.
struct Job {
    trace: Trace,
    container: Container,
    /// Set when it has ended.
    ended: channel::Receiver<Option<Ended>>,
    watching: JoinHandle<()>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Docker {
    /// A place for runs on the engine that the environment names. Nothing is asked of it yet.
    ///
    /// # Errors
    /// If no engine can be where the environment says, or if its socket is not there yet.
    pub fn new(
        environment: BTreeMap<String, String>,
        settings: BTreeMap<String, Secret>,
        split: Split,
        to_stderr: bool,
        say: Say,
    ) -> Result<Docker, InfraError> {
        let engine = host::engine(&environment)?;
        let (news, untaken) = mpsc::channel(MOST_NEWS);
        let output = if to_stderr { Output::Stderr } else { Output::Stdout };
        Ok(Docker {
            shared: Arc::new(Shared { engine, say, news, output }),
            jobs: Mutex::default(),
            starting: Mutex::default(),
            untaken: Mutex::new(Some(untaken)),
            settings,
            environment,
            split,
        })
    }

    /// What the engine says of itself.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn greet(&self) -> Result<String, InfraError> {
        let engine = &self.shared.engine;
        // A client of a later version speaks the engine's language from now on.
        let client = engine.client.clone().negotiate_version().await;
        let client = client.map_err(|error| InfraError::Engine(said(engine, &error)))?;
        let version = client.version().await.map_err(|error| InfraError::Engine(said(engine, &error)))?;
        Ok(format!("Docker Engine {} at {}", version.version.unwrap_or_default(), engine.place))
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn starting(&self) -> MutexGuard<'_, BTreeMap<String, CancellationToken>> {
        self.starting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job(&self, run: &str) -> Result<Arc<Job>, InfraError> {
        self.jobs().get(run).cloned().ok_or_else(|| InfraError::Unknown(run.to_owned()))
    }

    async fn launch(&self, job: &JobSpec) -> Result<RunHandle, InfraError> {
        let abandoned = CancellationToken::new();
        self.starting().insert(job.run.clone(), abandoned.clone());
        let started = self.start_container(job, &abandoned).await;
        self.starting().remove(&job.run);
        let (container, wanted) = started?;
        Ok(self.keep(&job.run, container, self.output(wanted.streams), Timestamp::UNIX_EPOCH))
    }

    async fn start_container(
        &self,
        job: &JobSpec,
        abandoned: &CancellationToken,
    ) -> Result<(Container, Wanted), InfraError> {
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let wanted = Wanted::of(job, &self.settings, &cwd).map_err(InfraError::Start)?;
        if let Some(warning) = wanted.warning {
            (self.shared.say)(&format!("warning: {warning}"));
        }
        let launch = Launch {
            engine: &self.shared.engine,
            wanted: &wanted,
            split: self.split,
            environment: &self.environment,
            abandoned,
            say: &*self.shared.say,
        };
        launch.fetch().await?;
        if abandoned.is_cancelled() {
            return Err(InfraError::Abandoned);
        }
        let container = match launch.create().await {
            Ok(container) => container,
            Err(error) => {
                self.shared.tell(News {
                    run: job.run.clone(),
                    event: "prefect.docker.container.creation-failed".to_owned(),
                    resource: None,
                });
                return Err(error);
            }
        };
        self.shared.tell_status(&job.run, &container, "created");
        match launch.start(&container).await {
            Ok(()) => Ok((container, wanted)),
            Err(error) => {
                launch.remove(&container).await;
                Err(error)
            }
        }
    }

    fn output(&self, streams: bool) -> Output {
        if streams { self.shared.output } else { Output::Nowhere }
    }

    /// Watches a container from now on.
    fn keep(&self, run: &str, container: Container, output: Output, since: Timestamp) -> RunHandle {
        let (tell, ended) = channel::channel(None);
        let handle = RunHandle(format!("{}:{}", self.shared.engine.base, container.id));
        let (shared, watched, of) = (self.shared.clone(), container.clone(), run.to_owned());
        let watching = tokio::spawn(async move {
            let news = |status: &str| {
                // Its creation was told where it was created.
                if status != "created" {
                    shared.tell_status(&of, &watched, status);
                }
            };
            let (engine, id, name, say) = (&shared.engine, watched.id.as_str(), watched.name.as_str(), &shared.say);
            let end = Watching { engine, id, name, output, since, news: &news, say: &**say }.until_ended().await;
            let _ = tell.send(Some(end));
        });
        let streams = output != Output::Nowhere;
        let trace = Trace { handle: handle.clone(), process: None, workspace: None, streams };
        self.jobs().insert(run.to_owned(), Arc::new(Job { trace, container, ended, watching }));
        handle
    }

    /// Ends a container, gently and then by force. An engine that is away is asked again.
    async fn end(&self, job: &Job, grace: Duration) -> Result<(), InfraError> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        let engine = &self.shared.engine;
        let insist = async {
            loop {
                match engine.client.stop_container(&job.container.id, Some(options.clone())).await {
                    Ok(()) => return,
                    Err(error) if matches!(status(&error), Some(304 | 404)) => return,
                    Err(error) => tracing::warn!(error = said(engine, &error), "a container could not be ended yet"),
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let gone = async {
            tokio::select! {
                () = insist => drop(tokio::time::timeout(LAST_GRACE, ended(job)).await),
                _ = ended(job) => {}
            }
        };
        let patience = INSISTING + grace;
        let late = |_| InfraError::Engine(format!("the container `{}` could not be ended", job.container.name));
        tokio::time::timeout(patience, gone).await.map_err(late)
    }

    /// Whether the container that a handle names runs. An engine that is away is asked again.
    async fn runs(&self, handle: &RunHandle) -> bool {
        let Some((_, id)) = handle.0.rsplit_once(':') else { return false };
        match self.shared.engine.learn(|| self.shared.engine.client.inspect_container(id, None)).await {
            Ok(found) => found.state.and_then(|state| state.running).unwrap_or_default(),
            Err(_) => false,
        }
    }

    /// The newest container of a run. An engine that is away is asked again.
    async fn of_run(&self, run: &str) -> Option<Trace> {
        let filters = HashMap::from([("label", vec![format!("{}={run}", names::RUN_LABEL)])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let list = || self.shared.engine.client.list_containers(Some(options.clone()));
        let found = self.shared.engine.learn(list).await.ok()?;
        let newest = found.into_iter().max_by_key(|container| container.created)?;
        let handle = RunHandle(format!("{}:{}", self.shared.engine.base, newest.id?));
        Some(Trace { handle, process: None, workspace: None, streams: true })
    }
}

impl Shared {
    fn tell(&self, news: News) {
        // A full queue means that nobody takes them.
        let _ = self.news.try_send(news);
    }

    fn tell_status(&self, run: &str, container: &Container, status: &str) {
        self.tell(News {
            run: run.to_owned(),
            event: format!("prefect.docker.container.{}", status.to_lowercase()),
            resource: Some((format!("prefect.docker.container.{}", container.id), container.name.clone())),
        });
    }
}

async fn ended(job: &Job) -> Ended {
    let mut ended = job.ended.clone();
    let found = ended.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
    found.unwrap_or(Ended { code: None, remark: None })
}

impl Infrastructure for Docker {
    fn start<'a>(&'a self, job: &'a JobSpec) -> BoxFuture<'a, Result<RunHandle, InfraError>> {
        self.launch(job).boxed()
    }

    fn abandon(&self, run: &str) {
        if let Some(abandoned) = self.starting().get(run) {
            abandoned.cancel();
        }
    }

    fn watch<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<RunExit, InfraError>> {
        async move {
            let job = self.job(run)?;
            Ok(RunExit { code: ended(&job).await.code, concluded: false, out_of_memory: false })
        }
        .boxed()
    }

    fn remark(&self, run: &str) -> Option<String> {
        let job = self.job(run).ok()?;
        let ended = job.ended.borrow();
        ended.as_ref()?.remark.clone()
    }

    fn cancel<'a>(&'a self, run: &'a str, grace: Duration) -> BoxFuture<'a, Result<(), InfraError>> {
        async move {
            let job = self.job(run)?;
            if tokio::time::timeout(grace, ended(&job)).await.is_err() {
                self.end(&job, LAST_GRACE).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn stop<'a>(&'a self, run: &'a str, grace: Duration) -> BoxFuture<'a, Result<(), InfraError>> {
        async move { self.end(&*self.job(run)?, grace).await }.boxed()
    }

    fn hooks<'a>(
        &'a self,
        _kind: HookKind,
        _run: &'a str,
        _about: &'a Value,
        _state: &'a Value,
    ) -> BoxFuture<'a, Result<(), InfraError>> {
        // What runs in the container sees to them.
        async { Ok(()) }.boxed()
    }

    fn forget<'a>(&'a self, run: &'a str) -> BoxFuture<'a, ()> {
        async move { drop(self.jobs().remove(run)) }.boxed()
    }

    fn trace(&self, run: &str) -> Option<Trace> {
        self.job(run).ok().map(|job| job.trace.clone())
    }

    fn search<'a>(&'a self, run: &'a str, _attempt: Option<&'a str>) -> BoxFuture<'a, Option<Trace>> {
        self.of_run(run).boxed()
    }

    fn lives<'a>(&'a self, trace: &'a Trace) -> BoxFuture<'a, bool> {
        self.runs(&trace.handle).boxed()
    }

    fn adopt(&self, run: &str, trace: &Trace) -> bool {
        let Some((_, id)) = trace.handle.0.rsplit_once(':') else { return false };
        let container = Container { id: id.to_owned(), name: id.chars().take(12).collect() };
        self.keep(run, container, self.output(trace.streams), Timestamp::now());
        true
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn settings_for(
        &self,
        configuration: &Configuration,
        settings: &BTreeMap<String, Secret>,
    ) -> BTreeMap<String, Secret> {
        settings_in_containers(configuration, settings)
    }

    fn news(&self) -> Option<mpsc::Receiver<News>> {
        self.untaken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
