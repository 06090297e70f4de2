//! `Process`: runs as processes of this machine, each the head of a process group.
//!
//! Prefect 3.8.8 `workers/process.py`, `runner/_starter_engine.py`, `runner/_process_manager.py`. Other than there, a
//! run writes to the worker's own output itself, so that it survives a worker that dies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;

use super::cgroup::Cgroups;
use super::control::Control;
use super::error::InfraError;
use super::pid::Identity;
use super::warm::{Errand, Warm, early};
use super::workspace::{HookKind, Workspace};
use super::{Infrastructure, Trace};
use crate::model::{JobSpec, RunExit, RunHandle, Secret, Tree};

/// How often it is looked whether a process that is not our child still runs.
const LOOK: Duration = Duration::from_millis(200);
/// So long a process may take to end once it is killed: longer if the kernel waits for a disk, and then for ever.
const KILLED: Duration = Duration::from_secs(10);

/// What asks an interpreter where its Prefect is, without importing it.
const WHERE: &str = "import importlib.util as u, sys; s = u.find_spec('prefect'); \
    print(s.submodule_search_locations[0] if s else '')";

/// The interpreter that runs use, unless a command is configured.
#[derive(Debug)]
pub struct Python {
    /// The program.
    pub program: PathBuf,
    /// The directory of its Prefect, if that prepares workspaces itself (as since 3.8).
    found: OnceCell<Option<PathBuf>>,
}

impl Python {
    /// An interpreter that is looked at when the first run needs it.
    pub fn new(program: PathBuf) -> Python {
        Python { program, found: OnceCell::new() }
    }

    /// The directory of its Prefect; none if that leaves preparing workspaces to the engine.
    async fn package(&self) -> Result<Option<PathBuf>, InfraError> {
        let found = self.found.get_or_try_init(|| async {
            let program = self.program.display();
            let asked = Command::new(&self.program).args(["-c", WHERE]).stdin(Stdio::null()).output().await;
            let asked = asked.map_err(|error| InfraError::Start(format!("`{program}` cannot be started: {error}")))?;
            let package = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
            if !asked.status.success() || package.is_empty() {
                return Err(InfraError::Start(format!(
                    "`{program}` has no Prefect; name a Python that has it with `--python`"
                )));
            }
            let package = PathBuf::from(package);
            let supervises = package.join("runner/_workspace_supervisor.py").is_file();
            Ok(supervises.then_some(package))
        });
        found.await.cloned()
    }
}

/// Runs as processes of this machine.
pub struct Process {
    /// The interpreter.
    pub python: Python,
    /// The worker's own environment.
    pub environment: BTreeMap<String, Secret>,
    /// The worker's settings, as environment variables.
    pub settings: BTreeMap<String, Secret>,
    /// Whether what runs print goes to stderr instead of stdout, which then has another use.
    pub to_stderr: bool,
    /// Interpreters that start runs sooner, if that is wanted.
    pub warm: Option<Warm>,
    /// What limits the memory of each run, if that is wanted.
    pub groups: Option<Cgroups>,
    control: Option<Control>,
    jobs: Mutex<BTreeMap<String, Arc<Job>>>,
}

/// One process.
struct Job {
    trace: Trace,
    pid: i32,
    /// Set when it has ended.
    ended: watch::Receiver<Option<Ended>>,
    waiting: JoinHandle<()>,
}

/// How a process ended: its exit code, unless nobody is left who could know it.
#[derive(Clone, Copy)]
struct Ended(Option<i32>);

/// A process that was started just now.
struct Begun {
    pid: i32,
    /// Its exit code in the end; none if its parent is gone.
    code: BoxFuture<'static, Option<i32>>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

impl Process {
    /// A place for runs. Without a port for engines to call, exit codes alone decide.
    pub fn new(
        python: Python,
        environment: BTreeMap<String, Secret>,
        settings: BTreeMap<String, Secret>,
        control: Option<Control>,
    ) -> Process {
        let (warm, groups, jobs) = (None, None, Mutex::default());
        Process { python, environment, settings, to_stderr: false, warm, groups, control, jobs }
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job(&self, run: &str) -> Result<Arc<Job>, InfraError> {
        self.jobs().get(run).cloned().ok_or_else(|| InfraError::Unknown(run.to_owned()))
    }

    async fn launch(&self, job: &JobSpec) -> Result<RunHandle, InfraError> {
        let streams = match job.config.get("stream_output") {
            Some(Tree::Secret(value)) => *value.reveal() != serde_json::Value::Bool(false),
            value => !matches!(value, Some(Tree::Bool(false))),
        };
        let dir = directory(job.config.get("working_dir"))?;
        let workspace = Workspace::make(dir.map(Path::new), &job.attempt)?;
        let started = self.spawn(job, &workspace, streams).await;
        let Begun { pid, code } = match started {
            Ok(begun) => begun,
            Err(error) => {
                self.control.iter().for_each(|control| control.forget(&job.run));
                self.groups.iter().for_each(|groups| groups.remove(&job.run));
                workspace.remove();
                return Err(error);
            }
        };
        let process = Identity::of(pid);
        let (identity, (tell, ended)) = (process.clone(), watch::channel(None));
        let waiting = tokio::spawn(async move {
            let code = code.await;
            if let (None, Some(identity)) = (code, identity) {
                vanished(&identity).await;
            }
            let _ = tell.send(Some(Ended(code)));
        });
        let handle = RunHandle(pid.to_string());
        let trace = Trace { handle: handle.clone(), process, workspace: Some(workspace), streams };
        self.jobs().insert(job.run.clone(), Arc::new(Job { trace, pid, ended, waiting }));
        Ok(handle)
    }

    async fn spawn(&self, job: &JobSpec, workspace: &Workspace, streams: bool) -> Result<Begun, InfraError> {
        let mut environment = self.environment_of(job);
        let early = early(&environment);
        let (words, directory) = match &job.command {
            Some(words) => {
                workspace.own(&environment, &self.python.program)?;
                (words.clone(), workspace.root.clone())
            }
            None => self.own_command(job, workspace, &mut environment).await?,
        };
        let group = self.group(&job.run)?;
        match (&self.warm, &job.command) {
            (None, _) => {}
            (Some(warm), Some(_)) => warm.ordinary(&job.run, "it has a command of its own"),
            (Some(warm), None) => {
                let (run, words, directory, environment) = (&*job.run, &*words, &*directory, &environment);
                let errand = Errand { run, words, directory, environment, early, streams, group: group.clone() };
                if let Some(forked) = warm.fork(errand).await {
                    return Ok(Begun { pid: forked.pid, code: async move { forked.code.await.ok() }.boxed() });
                }
            }
        }
        if words.is_empty() {
            return Err(InfraError::Start("the command of the job is empty".to_owned()));
        }
        let words = match &self.groups {
            Some(groups) => groups.entering(&job.run, &words),
            None => words,
        };
        let program = &words[0];
        let mut command = Command::new(program);
        command.args(&words[1..]).current_dir(directory).env_clear();
        for (name, value) in environment {
            if let Some(text) = value.reveal_str() {
                command.env(name, text);
            }
        }
        command.stdin(Stdio::null()).stdout(self.output(streams, false)).stderr(self.output(streams, true));
        command.process_group(0);
        // A configured command may hold a secret in any of its words.
        let named = if job.command.is_some() { "the command of the job".to_owned() } else { format!("`{program}`") };
        let child = command.spawn();
        let mut child = child.map_err(|error| InfraError::Start(format!("{named} cannot be started: {error}")))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        Ok(Begun { pid, code: async move { Some(child.wait().await.map_or(-1, code_of)) }.boxed() })
    }

    /// Makes the group that limits a run; the file that its process enters it by.
    fn group(&self, run: &str) -> Result<Option<PathBuf>, InfraError> {
        let Some(groups) = &self.groups else { return Ok(None) };
        let made = groups.make(run);
        made.map_err(|error| InfraError::Start(format!("its memory cannot be limited: {error}")))?;
        Ok(Some(groups.members(run)))
    }

    /// What starts the engine where no command is configured, and where.
    async fn own_command(
        &self,
        job: &JobSpec,
        workspace: &Workspace,
        environment: &mut BTreeMap<String, Secret>,
    ) -> Result<(Vec<String>, PathBuf), InfraError> {
        let python = self.python.program.display().to_string();
        let words = |rest: &[&str]| {
            std::iter::once(python.clone()).chain(rest.iter().map(|word| (*word).to_owned())).collect::<Vec<_>>()
        };
        let Some(package) = self.python.package().await? else {
            return Ok((words(&["-m", "prefect.engine"]), workspace.root.clone()));
        };
        if let Some(code) = &job.ready {
            let bootstrap = package.join("runner/_workspace_runtime_bootstrap.py").display().to_string();
            let directory = workspace.ready(code, environment, words(&[&bootstrap, "hook"]))?;
            return Ok((words(&["-m", "prefect.engine"]), directory));
        }
        let told = workspace.instruct(&job.run)?.display().to_string();
        Ok((words(&["-m", "prefect.runner._workspace_supervisor", &told]), workspace.root.clone()))
    }

    /// The worker's environment, its settings, and the job's own; what was configured goes last, but before the
    /// settings where the command was configured too.
    fn environment_of(&self, job: &JobSpec) -> BTreeMap<String, Secret> {
        let mut all = self.environment.clone();
        let layers = match job.command {
            None => [&self.settings, &job.env],
            Some(_) => [&job.env, &self.settings],
        };
        layers.into_iter().for_each(|layer| all.extend(layer.clone()));
        let mut fixed = vec![
            ("PREFECT__FLOW_RUN_ID", job.run.clone()),
            ("PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS", "false".to_owned()),
        ];
        if let Some(control) = &self.control {
            let (port, token) = control.expect(&job.run);
            fixed.push(("PREFECT__CONTROL_PORT", port.to_string()));
            fixed.push(("PREFECT__CONTROL_TOKEN", token));
        }
        all.extend(fixed.into_iter().map(|(name, text)| (name.to_owned(), Secret::text(text))));
        all
    }

    fn output(&self, streams: bool, stderr: bool) -> Stdio {
        match (streams, stderr || self.to_stderr) {
            (false, _) => Stdio::null(),
            (true, true) => Stdio::from(std::io::stderr()),
            (true, false) => Stdio::inherit(),
        }
    }

    async fn end(&self, run: &str, grace: Duration) -> Result<(), InfraError> {
        let job = self.job(run)?;
        let Some(group) = Pid::from_raw(job.pid) else { return Ok(()) };
        let _ = kill_process_group(group, Signal::TERM);
        if tokio::time::timeout(grace, gone(&job, group)).await.is_ok() {
            return Ok(());
        }
        let _ = kill_process_group(group, Signal::KILL);
        let killed = tokio::time::timeout(KILLED, gone(&job, group)).await;
        // What is left of its group may be zombies that nobody reaps.
        match killed.is_ok() || job.ended.borrow().is_some() {
            true => Ok(()),
            false => Err(InfraError::Stuck(job.pid)),
        }
    }
}

/// The directory that is configured. One of a block or of the environment is not named in an error.
fn directory(value: Option<&Tree>) -> Result<Option<&str>, InfraError> {
    let dir = match value {
        Some(Tree::Secret(secret)) => secret.reveal_str(),
        value => value.and_then(Tree::as_str),
    };
    let dir = dir.filter(|dir| !dir.is_empty());
    match (value, dir) {
        (Some(Tree::Secret(_)), Some(dir)) if !Path::new(dir).is_dir() => {
            Err(InfraError::Start("the directory that `working_dir` comes to does not exist".to_owned()))
        }
        _ => Ok(dir),
    }
}

/// Waits until a process and all of its group are gone.
async fn gone(job: &Job, group: Pid) {
    ended(job).await;
    while test_kill_process_group(group).is_ok() {
        tokio::time::sleep(LOOK / 4).await;
    }
}

/// Waits until a process that is not our child is gone.
async fn vanished(identity: &Identity) {
    while identity.is_alive() {
        tokio::time::sleep(LOOK).await;
    }
}

async fn ended(job: &Job) -> Option<i32> {
    let mut ended = job.ended.clone();
    let found = ended.wait_for(Option::is_some).await.ok().and_then(|found| *found);
    found.and_then(|Ended(code)| code)
}

/// An exit code as Python has it: signals are negative.
fn code_of(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap_or(-1)
}

impl Infrastructure for Process {
    fn start<'a>(&'a self, job: &'a JobSpec) -> BoxFuture<'a, Result<RunHandle, InfraError>> {
        self.launch(job).boxed()
    }

    fn watch<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<RunExit, InfraError>> {
        async move {
            let job = self.job(run)?;
            let code = ended(&job).await;
            let concluded = self.control.as_ref().is_some_and(|control| control.is_concluded(run));
            let out_of_memory = self.groups.as_ref().is_some_and(|groups| groups.ran_out(run));
            Ok(RunExit { code, concluded, out_of_memory })
        }
        .boxed()
    }

    fn cancel<'a>(&'a self, run: &'a str, grace: Duration) -> BoxFuture<'a, Result<(), InfraError>> {
        async move {
            if let Some(control) = &self.control {
                control.ask_to_cancel(run).await;
            }
            self.end(run, grace).await
        }
        .boxed()
    }

    fn stop<'a>(&'a self, run: &'a str, grace: Duration) -> BoxFuture<'a, Result<(), InfraError>> {
        self.end(run, grace).boxed()
    }

    fn hooks<'a>(
        &'a self,
        kind: HookKind,
        run: &'a str,
        about: &'a Value,
        state: &'a Value,
    ) -> BoxFuture<'a, Result<(), InfraError>> {
        async move {
            let job = self.job(run)?;
            match &job.trace.workspace {
                Some(workspace) => workspace.hooks(kind, about, state, self.output(job.trace.streams, false)).await,
                None => Ok(()),
            }
        }
        .boxed()
    }

    fn forget<'a>(&'a self, run: &'a str) -> BoxFuture<'a, ()> {
        async move {
            self.control.iter().for_each(|control| control.forget(run));
            self.groups.iter().for_each(|groups| groups.remove(run));
            let job = self.jobs().remove(run);
            if let Some(workspace) = job.and_then(|job| job.trace.workspace.clone()) {
                let _ = tokio::task::spawn_blocking(move || workspace.remove()).await;
            }
        }
        .boxed()
    }

    fn trace(&self, run: &str) -> Option<Trace> {
        self.job(run).ok().map(|job| job.trace.clone())
    }

    fn search<'a>(&'a self, run: &'a str, attempt: Option<&'a str>) -> BoxFuture<'a, Option<Trace>> {
        async move {
            let process = Identity::of_run(run)?;
            let (handle, workspace) = (RunHandle(process.pid.to_string()), attempt.and_then(Workspace::left));
            Some(Trace { handle, process: Some(process), workspace, streams: true })
        }
        .boxed()
    }

    fn clear(&self, attempt: &str, trace: Option<&Trace>) {
        if !trace.and_then(|trace| trace.process.as_ref()).is_some_and(Identity::is_alive) {
            Workspace::left(attempt).iter().for_each(Workspace::remove);
        }
    }

    fn lives<'a>(&'a self, trace: &'a Trace) -> BoxFuture<'a, bool> {
        async { trace.process.as_ref().is_some_and(Identity::is_alive) }.boxed()
    }

    fn adopt(&self, run: &str, trace: &Trace) -> bool {
        let Some(identity) = trace.process.clone() else { return false };
        let (tell, ended) = watch::channel(None);
        let alive = identity.is_alive();
        // The number of one that is gone may be a stranger's by now.
        let pid = if alive { identity.pid } else { 0 };
        let waiting = tokio::spawn(async move {
            vanished(&identity).await;
            let _ = tell.send(Some(Ended(None)));
        });
        self.jobs().insert(run.to_owned(), Arc::new(Job { trace: trace.clone(), pid, ended, waiting }));
        alive
    }
}
