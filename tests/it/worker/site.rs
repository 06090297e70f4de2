//! `Site`: a pool with flows of a test's own, and workers for it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::Http;
use crate::support::project::Project;
use crate::support::server::Server;
use crate::support::{prefect_cli, python};

/// Whatever is waited for comes in this time, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(600);

/// A pool of a server, and a directory of flows.
pub struct Site {
    pub http: Http,
    pub pool: String,
    pub project: Project,
    /// Engines are many requests: one test at a time has them, or SQLite locks up.
    _turn: Option<MutexGuard<'static, ()>>,
}

/// A worker that runs beside the test; it is killed with it.
pub struct Worker {
    pub child: Child,
    log: PathBuf,
}

/// A server of these tests' own: engines write much, and others' tests would have to wait.
pub fn server() -> &'static Server {
    static OWN: OnceLock<Server> = OnceLock::new();
    // How long a run waits for a slot of its deployment; half a minute otherwise.
    OWN.get_or_init(|| Server::start_with(&[("PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS", "3")]))
}

impl Site {
    /// A new pool of the type process.
    pub fn new(pool: &str) -> Site {
        Site::of_type(pool, "process")
    }

    /// A new pool of another type.
    pub fn of_type(pool: &str, kind: &str) -> Site {
        let url = &server().url;
        Site::on(url, url, pool, kind)
    }

    /// A pool of the type process, within a test that has one already.
    pub fn beside(pool: &str) -> Site {
        let url = &server().url;
        Site::made(url, url, pool, "process")
    }

    /// A pool of the server at `url`, which workers reach by `way`.
    pub fn on(url: &str, way: &str, pool: &str, kind: &str) -> Site {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Site { _turn: Some(turn), ..Site::made(url, way, pool, kind) }
    }

    fn made(url: &str, way: &str, pool: &str, kind: &str) -> Site {
        let project = Project::new().api(way).file("flows.py", include_str!("flows.py"));
        let http = Http::new(url);
        http.post("/work_pools/", json!({"name": pool, "type": kind}));
        Site { http, pool: pool.to_owned(), project, _turn: None }
    }

    /// A deployment of one of the flows, run where the flows are; `more` is laid over it.
    pub fn deploy(&self, flow: &str, more: Value) -> String {
        let of = self.http.post("/flows/", json!({"name": flow}));
        let step = json!({"prefect.deployments.steps.set_working_directory": {"directory": self.project.path()}});
        let mut body = json!({
            "name": format!("{flow}-{}", self.pool), "flow_id": of["id"], "entrypoint": format!("flows.py:{flow}"),
            "work_pool_name": self.pool, "pull_steps": [step], "enforce_parameter_schema": false,
        });
        for (key, value) in more.as_object().cloned().unwrap_or_default() {
            body[key] = value;
        }
        id(&self.http.post("/deployments/", body))
    }

    /// A run of a deployment, due now unless `more` says otherwise.
    pub fn run(&self, deployment: &str, more: Value) -> String {
        id(&self.http.post(&format!("/deployments/{deployment}/create_flow_run"), more))
    }

    /// A run of one of the flows, with these parameters.
    pub fn run_of(&self, flow: &str, parameters: Value) -> String {
        self.run(&self.deploy(flow, json!({})), json!({ "parameters": parameters }))
    }

    /// The run as it is.
    pub fn read(&self, run: &str) -> Value {
        self.http.get(&format!("/flow_runs/{run}"))
    }

    /// Waits until the run is in a state of one of these types; the run then.
    #[track_caller]
    pub fn until(&self, run: &str, types: &[&str]) -> Value {
        let found = wait_for(|| {
            let now = self.read(run);
            types.contains(&now["state"]["type"].as_str().unwrap_or_default()).then_some(now)
        });
        found.unwrap_or_else(|| panic!("not {types:?}: {:#}", self.read(run)["state"]))
    }

    /// Waits until the server knows the run's process; its number.
    #[track_caller]
    pub fn placed(&self, run: &str) -> String {
        wait_for(|| self.read(run)["infrastructure_pid"].as_str().map(str::to_owned)).expect("a process")
    }

    /// Waits for the run's end; its state.
    #[track_caller]
    pub fn end(&self, run: &str) -> Value {
        self.until(run, &["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])["state"].clone()
    }

    /// Asks for a run's cancellation, as the user interface does.
    pub fn cancel(&self, run: &str) {
        let state = json!({"state": {"type": "CANCELLING", "name": "Cancelling"}});
        self.http.post(&format!("/flow_runs/{run}/set_state"), state);
    }

    /// The names of all states the run was in.
    pub fn states(&self, run: &str) -> Vec<String> {
        let rows = self.http.get(&format!("/flow_run_states/?flow_run_id={run}"));
        let mut rows = rows.as_array().unwrap().clone();
        rows.sort_by_key(|row| row["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The run's log as (logger, level, message).
    pub fn logs(&self, run: &str) -> Vec<(String, i64, String)> {
        let filter = json!({"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"});
        let rows = self.http.post("/logs/filter", filter);
        let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        let of = |row: &Value| (text(row, "name"), row["level"].as_i64().unwrap(), text(row, "message"));
        rows.as_array().unwrap().iter().map(of).collect()
    }

    /// Starts our worker.
    pub fn worker(&self, args: &[&str]) -> Worker {
        self.worker_with(args, &[])
    }

    /// The same with more environment.
    pub fn worker_with(&self, args: &[&str], env: &[(&str, &str)]) -> Worker {
        let mut command = self.project.reconcile_command();
        command.args(["worker", "start", "--pool", &self.pool, "--python"]).arg(python()).args(args);
        self.start(command, env)
    }

    /// Starts Prefect's worker, which has to do the same.
    pub fn reference(&self, args: &[&str], env: &[(&str, &str)]) -> Worker {
        let mut command = self.project.prefect_command();
        assert!(prefect_cli().is_file());
        command.env_remove("PREFECT_LOGGING_TO_API_ENABLED");
        command.args(["worker", "start", "--pool", &self.pool]).args(args);
        self.start(command, env)
    }

    fn start(&self, mut command: Command, env: &[(&str, &str)]) -> Worker {
        let log = self.project.home().join(format!("worker-{}.log", jiff::Timestamp::now().as_nanosecond()));
        let file = File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        command.env("PREFECT_SERVER_ANALYTICS_ENABLED", "false").env("DO_NOT_TRACK", "1");
        command.env("PREFECT_HOME", self.project.home()).env("NOTES", self.notes()).envs(env.iter().copied());
        Worker { child: command.spawn().unwrap(), log }
    }

    /// Lets flows go on that wait.
    pub fn go(&self) {
        fs::write(self.notes().join("go"), "").unwrap();
    }

    /// How many runs the workers of this site have noted.
    pub fn noted(&self) -> usize {
        fs::read_dir(self.project.home().join("cache/worker")).map_or(0, Iterator::count)
    }

    /// Where hooks leave notes.
    pub fn notes(&self) -> PathBuf {
        let dir = self.project.home().join("notes");
        fs::create_dir_all(&dir).unwrap();
        dir
    }
}

impl Worker {
    /// What it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; its exit code.
    #[track_caller]
    pub fn wait(&mut self) -> Option<i32> {
        let ended = wait_for(|| self.child.try_wait().unwrap());
        ended.unwrap_or_else(|| panic!("it does not end:\n{}", fs::read_to_string(&self.log).unwrap())).code()
    }

    /// Waits until it has printed a text.
    #[track_caller]
    pub fn says(&self, text: &str) {
        assert!(wait_for(|| self.log().contains(text).then_some(())).is_some(), "no `{text}` in\n{}", self.log());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- worker\n{}", self.log());
        }
    }
}

/// Looks until there is something.
pub fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return Some(found);
        }
        sleep(Duration::from_millis(100));
    }
    None
}

fn id(row: &Value) -> String {
    row["id"].as_str().unwrap().to_owned()
}
