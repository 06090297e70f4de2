//! The embedded server: installed once, started once, found again, gone when idle.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use reconcile::local::{self, Launch, Lifetime};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::http::Http;
use crate::support::project::Project;
use crate::support::proxy::{Proxy, Verdict};
use crate::support::server::Server;
use crate::support::workspace::{Workspace, differences};
use crate::support::{block_on, prefect};

const HOUR: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(60);

/// A cache directory of its own that shares the installed Prefect; its server ends with it.
pub struct Cache(TempDir);

impl Cache {
    pub fn new() -> Cache {
        let cache = tempfile::tempdir().unwrap();
        let environment = environment(cache.path());
        fs::create_dir(&environment).unwrap();
        let prefect = prefect();
        let root = prefect.python.parent().and_then(Path::parent).unwrap();
        for entry in fs::read_dir(root).unwrap().flatten() {
            symlink(entry.path(), environment.join(entry.file_name())).unwrap();
        }
        if !environment.join("template.db").exists() {
            symlink(&prefect.template, environment.join("template.db")).unwrap();
            fs::write(environment.join(".complete"), "").unwrap();
        }
        Cache(cache)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn record(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.path().join("server.json")).ok()?).ok()
    }

    fn ensure(&self, idle: Duration) -> local::Server {
        block_on(async { local::ensure_with(self.path(), idle, &|_| ()).await }).unwrap()
    }

    fn stop(&self, signal: &str) {
        if let Some(record) = self.record() {
            kill(signal, &record["pid"].to_string());
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.stop("-KILL");
    }
}

fn environment(cache: &Path) -> PathBuf {
    local::python(cache).parent().and_then(Path::parent).unwrap().to_owned()
}

fn kill(signal: &str, pid: &str) {
    Command::new("kill").args([signal, pid]).stderr(Stdio::null()).status().unwrap();
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(50));
    }
}

fn nobody_at(url: &str) -> bool {
    let host = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    std::net::TcpStream::connect(host).is_err()
}

/// Run as a process of its own by the tests below: `ensure` in the cache that the environment names.
#[test]
fn ensure_in_a_process_of_its_own() {
    let Some(cache) = std::env::var_os("RECONCILE_TEST_ENSURE") else { return };
    let said = std::sync::Mutex::new(Vec::new());
    let say = |line: &str| said.lock().unwrap().push(line.to_owned());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(local::ensure_with(Path::new(&cache), HOUR, &say)).unwrap();
    assert_eq!(server.started, said.lock().unwrap().iter().any(|line| line.starts_with("starting a private Prefect")));
    println!("ENSURED {} {}", server.url, server.started);
}

/// Starts this test binary again, with only the test above.
fn ensure_elsewhere(cache: &Cache) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "local_server::ensure_in_a_process_of_its_own"]);
    command.env("RECONCILE_TEST_ENSURE", cache.path()).stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

fn ensured(child: Child) -> (String, bool) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // the test harness prints `test … ... ` on the same line
    let (_, rest) = text.split_once("ENSURED ").unwrap_or_else(|| panic!("{text}"));
    let (url, started) = rest.lines().next().unwrap().split_once(' ').unwrap();
    (url.to_owned(), started == "true")
}

#[test]
fn two_processes_that_race_get_one_server_that_outlives_both() {
    let cache = Cache::new();
    let (first, second) = (ensure_elsewhere(&cache), ensure_elsewhere(&cache));
    let (first, second) = (ensured(first), ensured(second));
    assert_eq!(first.0, second.0);
    assert!(first.1 != second.1, "one starts it, the other finds it: {first:?} {second:?}");

    let http = Http::new(&first.0);
    assert_eq!(http.get("/health"), json!(true));
    assert_eq!(http.get("/admin/version"), json!(local::PREFECT_VERSION));
    let again = cache.ensure(HOUR);
    assert_eq!((again.url.as_str(), again.started), (first.0.as_str(), false));
    assert!(again.python.exists());

    let session = Command::new("ps").args(["-o", "sid=", "-p", &cache.record().unwrap()["pid"].to_string()]).output();
    if let Ok(output) = session {
        let session = String::from_utf8(output.stdout).unwrap();
        assert_eq!(session.trim(), cache.record().unwrap()["pid"].to_string(), "a session of its own");
    }
}

#[test]
fn the_database_port_and_work_pool_outlive_a_killed_server() {
    let cache = Cache::new();
    let first = cache.ensure(HOUR);
    let http = Http::new(&first.url);
    let pool = http.get(&format!("/work_pools/{}", local::POOL));
    assert_eq!(pool["type"], json!("process"));
    assert!(pool["base_job_template"]["variables"]["properties"]["working_dir"].is_object(), "{pool}");
    http.delete("/work_pools/local");
    http.post("/variables/", json!({"name": "kept", "value": 1}));

    cache.stop("-KILL");
    eventually("the server is gone", || nobody_at(&first.url));
    let second = cache.ensure(HOUR);
    assert!(second.started);
    assert_eq!(second.url, first.url, "its port was free");
    let http = Http::new(&second.url);
    assert_eq!(http.get("/variables/name/kept")["value"], json!(1));
    assert_eq!(http.all("work_pools").len(), 0, "what the user deleted stays deleted");
}

#[test]
fn another_program_on_the_recorded_port_is_not_taken_for_the_server() {
    let other = Server::start();
    let cache = Cache::new();
    let record = json!({"pid": other.pid(), "url": other.url, "token": "of another", "started": 0});
    fs::write(cache.path().join("server.json"), record.to_string()).unwrap();
    let server = cache.ensure(HOUR);
    assert!(server.started);
    assert_ne!(server.url, other.url);
    assert_eq!(other.http().get("/health"), json!(true), "the other program was left alone");
    for nonsense in ["", "[]", "{\"url\": \"ftp://x\", \"token\": \"\"}"] {
        cache.stop("-KILL");
        fs::write(cache.path().join("server.json"), nonsense).unwrap();
        assert!(!block_on(async { local::ensure_with(cache.path(), HOUR, &|_| ()).await }).unwrap().url.is_empty());
    }
}

#[test]
fn an_idle_server_ends_and_a_used_one_does_not() {
    let cache = Cache::new();
    let server = cache.ensure(Duration::from_secs(5));
    let http = Http::new(&server.url);
    for _ in 0..14 {
        sleep(Duration::from_millis(500));
        assert_eq!(http.get("/health"), json!(true));
    }
    eventually("the idle server is gone", || nobody_at(&server.url));
    eventually("so is its record", || cache.record().is_none());
    assert!(cache.ensure(HOUR).started);
}

#[test]
fn what_is_installed_is_not_installed_again() {
    let cache = Cache::new();
    let said = std::sync::Mutex::new(Vec::new());
    let say = |line: &str| said.lock().unwrap().push(line.to_owned());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let found = runtime.block_on(local::install(cache.path(), &say)).unwrap();
    assert_eq!(found.python, local::python(cache.path()));
    assert!(said.lock().unwrap().is_empty(), "{:?}", said.lock().unwrap());
}

#[test]
fn a_test_server_ends_when_its_pipe_does() {
    let home = tempfile::tempdir().unwrap();
    let launch = Launch {
        python: prefect().python.clone(),
        home: home.path().to_owned(),
        record: home.path().join("record.json"),
        port: 0,
        lifetime: Lifetime::Starter { temporary: Some(home.path().to_owned()) },
        settings: vec![],
    };
    fs::copy(&prefect().template, launch.database()).unwrap();
    let (mut child, url) = block_on(async { launch.start().await }).unwrap();
    assert_eq!(Http::new(&url).get("/health"), json!(true));
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(nobody_at(&url));
    assert!(!home.path().exists(), "its directory went along");
}

#[test]
fn the_proxy_tells_writes_from_reads_and_fails_on_demand() {
    let proxy = Proxy::in_front_of(&Server::shared().url);
    let http = Http::new(&proxy.url);
    http.get("/health");
    http.post("/flows/filter", json!({"limit": 1}));
    http.post("/flows/count", json!({}));
    assert_eq!((proxy.requests().len(), proxy.writes().len()), (3, 0));
    http.post("/flows/", json!({"name": "seen-by-the-proxy"}));
    let writes = proxy.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!((writes[0].method.as_str(), writes[0].path.as_str()), ("POST", "/api/flows/"));
    assert_eq!((writes[0].body.as_str(), writes[0].status), (r#"{"name":"seen-by-the-proxy"}"#, 201));
    proxy.reset();
    proxy.rule(|request| if request.is_write() { Verdict::Answer(418, "null".to_owned()) } else { Verdict::Pass });
    assert_eq!(http.request("POST", "/flows/", Some(&json!({"name": "refused"}))).status, 418);
    assert_eq!(http.request("GET", "/health", None).status, 200);
    assert_eq!(proxy.writes()[0].status, 418);
}

#[test]
fn prefect_deploys_a_project_and_two_equal_servers_are_equal() {
    let servers = [Server::start(), Server::start()];
    let project = || {
        Project::new()
            .file("flows/hello.py", "from prefect import flow\n\n\n@flow\ndef hello(name: str = 'you'):\n    pass\n")
            .file(
                "prefect.yaml",
                "deployments:\n- name: hourly\n  entrypoint: flows/hello.py:hello\n  tags: [b, a]\n  \
                 work_pool: {name: local}\n  schedules:\n  - {interval: 3600, slug: hourly}\n  triggers:\n  \
                 - {expect: [x, y], parameters: {name: me}}\n",
            )
            .git_init(None)
    };
    let mut ids = Vec::new();
    for server in &servers {
        Workspace::of(&server.url).prepare(
            &[("local", json!("process"))],
            &[("greeting", json!("hi"))],
            &[("secret/token", json!({"value": "hush"}))],
        );
        let project = project().api(&server.url);
        project.prefect(&["--no-prompt", "deploy", "--all"]).exits(0);
        ids.push(project.git(&["rev-parse", "HEAD"]));
    }
    assert_eq!(ids[0], ids[1], "a commit depends on its files alone");

    let states = servers.each_ref().map(|server| Workspace::of(&server.url).state());
    let found = differences(&states[0], &states[1]);
    assert!(found.iter().all(|line| line.contains("/pull_steps")), "only the directory differs: {found:#?}");
    let deployment = &states[0]["deployments"]["hello/hourly"];
    assert_eq!(deployment["schedules"][0]["schedule"]["anchor_date"], json!("now"));
    assert_eq!(deployment["tags"], json!(["a", "b"]));
    assert_eq!(states[0]["automations"].as_array().map(Vec::len), Some(1));
    assert_eq!(states[0]["work_queues"], json!(["local/default"]));

    let id = servers[1].http().all("deployments")[0]["id"].as_str().unwrap().to_owned();
    servers[1].http().patch(&format!("/deployments/{id}"), json!({"tags": ["a"]}));
    let found = differences(&states[1], &Workspace::of(&servers[1].url).state());
    assert_eq!(found, [r#"/deployments/hello/hourly/tags: left ["a","b"], right ["a"]"#]);
    Workspace::of(&servers[1].url).wipe();
    assert_eq!(Workspace::of(&servers[1].url).state()["deployments"], json!({}));
}

#[test]
fn the_example_deploys_onto_a_new_embedded_server() {
    let cache = Cache::new();
    let server = cache.ensure(HOUR);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello");
    let mut project = Project::new().api(&server.url);
    for path in ["prefect.yaml", "reconcile.yaml", "flows/hello.py"] {
        project = project.file(path, &fs::read_to_string(example.join(path)).unwrap());
    }
    project.prefect(&["--no-prompt", "deploy", "--all"]).exits(0);
    let state = Workspace::of(&server.url).state();
    let names: Vec<&String> = state["deployments"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["count/heartbeat", "hello/morning"]);
    assert_eq!(state["deployments"]["count/heartbeat"]["global_concurrency_limit"], json!(1));
    assert_eq!(state["deployments"]["hello/morning"]["schedules"][0]["schedule"]["cron"], json!("0 7 * * mon-fri"));
}
