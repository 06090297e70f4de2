//! Finds the running embedded server, or starts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::environment::Places;
use super::launch::{Record, copy_whole};
use super::loopback::{self, Answer};
use super::{Launch, Lifetime, LocalError, PREFECT_VERSION, Prefect, Say, install, lock};

/// How long the server stays without a request. A worker asks every few seconds: it keeps the server running.
pub const IDLE: Duration = Duration::from_secs(600);

/// The process work pool that a new embedded server is given, so that a first deployment has somewhere to go.
pub const POOL: &str = "local";

const PATIENCE: Duration = Duration::from_secs(30);

/// An embedded server that answers.
#[derive(Clone, Debug)]
pub struct Server {
    /// The API: `http://127.0.0.1:PORT/api`.
    pub url: String,
    /// The interpreter that it runs on; `prefect` is beside it.
    pub python: PathBuf,
    /// Whether this call started it.
    pub started: bool,
}

/// The embedded server of `cache`: the running one, or one that is installed and started now.
///
/// # Errors
/// See [`install()`]; or the server does not start (with the end of its log).
pub async fn ensure(cache: &Path, say: Say<'_>) -> Result<Server, LocalError> {
    ensure_with(cache, IDLE, say).await
}

/// As [`ensure`], with another time after which an idle server ends.
///
/// # Errors
/// See [`ensure`].
pub async fn ensure_with(cache: &Path, idle: Duration, say: Say<'_>) -> Result<Server, LocalError> {
    let places = Places::of(cache);
    let _lock = lock::hold(&places.server_lock(), "waiting for another `reconcile` to start Prefect", say).await?;
    let last = Record::read(&places.record());
    if let Some(record) = &last
        && record.answers().await
    {
        return Ok(Server { url: record.url.clone(), python: places.python(), started: false });
    }
    let prefect = install(cache, say).await?;
    start(&places, &prefect, last.and_then(|record| record.port()), idle, say).await
}

/// `port` is that of the last server: the `export PREFECT_API_URL=…` of yesterday stays true if it can.
async fn start(
    places: &Places,
    prefect: &Prefect,
    port: Option<u16>,
    idle: Duration,
    say: Say<'_>,
) -> Result<Server, LocalError> {
    let launch = Launch {
        python: prefect.python.clone(),
        home: places.home(),
        record: places.record(),
        port: port.unwrap_or(0),
        lifetime: Lifetime::Idle { after: idle, lock: places.server_lock() },
        settings: vec![],
    };
    say(&format!("starting a private Prefect {PREFECT_VERSION} server"));
    let newborn = Newborn::prepare(&launch, prefect)?;
    let (mut child, url) = launch.start().await?;
    if newborn.is_new() {
        create_pool(&url).await?;
        newborn.grown()?;
    }
    // the server outlives us; if it ends before we do, somebody has to take note
    std::thread::spawn(move || child.wait());
    Ok(Server { url, python: prefect.python.clone(), started: true })
}

/// The mark of a database that has not yet been given its work pool.
struct Newborn(PathBuf);

impl Newborn {
    /// Copies the template unless there is a database.
    fn prepare(launch: &Launch, prefect: &Prefect) -> Result<Newborn, LocalError> {
        let (home, database) = (&launch.home, launch.database());
        let mark = home.join("new");
        if !database.exists() {
            fs::create_dir_all(home).map_err(LocalError::io("create", home))?;
            fs::write(&mark, "").map_err(LocalError::io("write", &mark))?;
            copy_whole(&prefect.template, &database).map_err(LocalError::io("write", &database))?;
        }
        Ok(Newborn(mark))
    }

    fn is_new(&self) -> bool {
        self.0.exists()
    }

    fn grown(&self) -> Result<(), LocalError> {
        fs::remove_file(&self.0).map_err(LocalError::io("remove", &self.0))
    }
}

/// Creates the work pool [`POOL`] as `prefect work-pool create local --type process` does; one that exists stays.
///
/// # Errors
/// The server does not answer, or refuses.
pub async fn create_pool(url: &str) -> Result<(), LocalError> {
    let known = loopback::ask(url, "/collections/views/aggregate-worker-metadata", None, PATIENCE).await;
    let known: Value = known.and_then(|answer| serde_json::from_str(&answer.body).ok()).unwrap_or_default();
    let template = known.pointer("/prefect/process/default_base_job_configuration").cloned().unwrap_or(json!({}));
    let pool = json!({"name": POOL, "type": "process", "base_job_template": template});
    match loopback::ask(url, "/work_pools/", Some(&pool), PATIENCE).await {
        Some(Answer { status: 200..=299 | 409, .. }) => Ok(()),
        other => Err(LocalError::Answer { doing: "create the work pool `local`", why: said(other) }),
    }
}

fn said(answer: Option<Answer>) -> String {
    match answer {
        Some(answer) => format!("status {}: {}", answer.status, answer.body.chars().take(200).collect::<String>()),
        None => format!("no answer within {} s", PATIENCE.as_secs()),
    }
}
