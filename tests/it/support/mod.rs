//! What integration tests stand on: a real Prefect, servers, a counting proxy, project directories.
#![allow(dead_code, reason = "not every test uses everything")]

pub mod browser;
pub mod cable;
pub mod chaos;
pub mod clock;
pub mod collector;
pub mod docker;
pub mod door;
pub mod fixture;
pub mod forge;
pub mod git_server;
pub mod http;
pub mod offline;
pub mod postgres;
pub mod project;
pub mod proxy;
pub mod questions;
pub mod sample;
pub mod server;
pub mod skip;
pub mod watcher;
pub mod workspace;

pub use server::Server;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use reconcile::api::Api;
use reconcile::local::{self, Prefect};

/// How many requests a client has sent, without those that a busy server made it send again.
pub fn sent(api: &Api) -> u64 {
    let all = api.requests();
    all.read + all.write - all.repeated
}

/// An interpreter that has the pinned Prefect.
///
/// It is `$RECONCILE_TEST_PYTHON` if that is set. Else it is that of the embedded server in the cache directory,
/// which the first test of this machine installs (the others wait).
pub fn python() -> PathBuf {
    prefect().python.clone()
}

/// The real `prefect` command line, of the same environment as [`python`].
pub fn prefect_cli() -> PathBuf {
    python().with_file_name("prefect")
}

/// The installed Prefect: its interpreter and an empty database to copy.
pub fn prefect() -> &'static Prefect {
    static PREFECT: OnceLock<Prefect> = OnceLock::new();
    PREFECT.get_or_init(|| {
        let say = |line: &str| eprintln!("{line}");
        let found = match var("RECONCILE_TEST_PYTHON") {
            Some(python) => existing(Path::new(&python)),
            None => block_on(async move { local::install(&local::cache_dir(var), &say).await }),
        };
        found.unwrap_or_else(|error| panic!("{error}\nhelp: {}", error.help()))
    })
}

/// The Prefect that servers are: `$RECONCILE_TEST_SERVER_PYTHON` names an interpreter that has it, else it is
/// [`prefect`]. What Python is asked otherwise is asked of [`prefect`], the version whose rules we follow.
pub fn server_prefect() -> &'static Prefect {
    static PREFECT: OnceLock<Prefect> = OnceLock::new();
    PREFECT.get_or_init(|| match var("RECONCILE_TEST_SERVER_PYTHON").filter(|python| !python.is_empty()) {
        Some(python) => existing(Path::new(&python)).unwrap_or_else(|error| panic!("{error}\nhelp: {}", error.help())),
        None => prefect().clone(),
    })
}

/// The version of the Prefect that servers are, such as `3.8.8`.
pub fn server_version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let ask = "import importlib.metadata; print(importlib.metadata.version('prefect'))";
        let asked = std::process::Command::new(&server_prefect().python).args(["-I", "-c", ask]).output().unwrap();
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).unwrap().trim().to_owned()
    })
}

/// Whether servers are at least of a version, `(3, 6)`. Tests of what older ones lack ask this.
pub fn server_is_at_least(version: (u32, u32)) -> bool {
    let mut parts = server_version().split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= version
}

/// An interpreter of the tester's own; only its template is made, in cargo's directory for tests.
fn existing(python: &Path) -> Result<Prefect, local::LocalError> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let guard = std::fs::File::create(dir.join("template.lock")).unwrap();
    guard.lock().unwrap();
    let name: String =
        python.display().to_string().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let prefect = Prefect { python: python.to_owned(), template: dir.join(format!("template{name}.db")) };
    if !prefect.template.exists() {
        let (python, file) = (prefect.python.clone(), prefect.template.clone());
        block_on(async move { local::template(&python, &file).await })?;
    }
    Ok(prefect)
}

/// Runs a future to its end on a thread of its own: works within and without a runtime.
pub fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
