//! `Server`: a real Prefect server of a test's own, gone with the test.

use std::fs::{self, File};
use std::path::Path;
use std::process::Child;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

use reconcile::local::{Launch, Lifetime};
use serde_json::json;
use tempfile::TempDir;

use super::http::Http;
use super::postgres::{self, Postgres};
use super::{block_on, server_prefect};

/// A running server with a fresh database, on a free port of 127.0.0.1.
///
/// Which Prefect it is and which database it has: [`server_prefect`] and `RECONCILE_TEST_DATABASE`.
///
/// It ends when dropped, and with the test process, however that ends: it watches a pipe that the process holds.
#[derive(Debug)]
pub struct Server {
    /// The API; ends in `/api`.
    pub url: String,
    child: Child,
    dir: TempDir,
    launch: Launch,
}

impl Server {
    /// Starts one. Services run; the scheduler looks every 2 seconds.
    pub fn start() -> Server {
        Server::start_with(&[])
    }

    /// Starts one that has the work pool `local`, of the type `process`.
    pub fn with_pool() -> Server {
        let server = Server::start();
        server.http().post("/work_pools/", json!({"name": "local", "type": "process"}));
        server
    }

    /// Starts one with more (or other) settings, as environment variables.
    pub fn start_with(settings: &[(&str, &str)]) -> Server {
        Server::start_on(postgres::is_wanted(), settings)
    }

    /// Starts one on PostgreSQL, whatever the others are on, with more settings.
    pub fn start_on_postgres(settings: &[(&str, &str)]) -> Server {
        Server::start_on(true, settings)
    }

    fn start_on(postgres: bool, settings: &[(&str, &str)]) -> Server {
        const BASE: [(&str, &str); 5] = [
            ("PREFECT_SERVER_UI_ENABLED", "false"),
            ("PREFECT_SERVER_DATABASE_MIGRATE_ON_START", "false"), // the template is migrated
            ("PREFECT_API_BLOCKS_REGISTER_ON_START", "false"),     // and has its block types
            ("PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS", "2"),
            ("PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS", "5"),
        ];
        let prefect = server_prefect();
        let dir = tempfile::tempdir().unwrap();
        let mut launch = Launch {
            python: prefect.python.clone(),
            home: dir.path().to_owned(),
            record: dir.path().join("record.json"),
            port: 0,
            lifetime: Lifetime::Starter { temporary: Some(dir.path().to_owned()) },
            settings: BASE.iter().chain(settings).map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        };
        match postgres {
            true => {
                launch.settings.push(("PREFECT_API_DATABASE_CONNECTION_URL".to_owned(), Postgres::shared().database()))
            }
            false => drop(fs::copy(&prefect.template, launch.database()).unwrap()),
        }
        let _slot = slot();
        match block_on(async { launch.start().await }) {
            Ok((child, url)) => Server { url, child, dir, launch },
            Err(error) => panic!("{error}"),
        }
    }

    /// One server for all tests of this process that can live with each other's objects.
    ///
    /// All integration tests are one binary, so under `cargo test` that is one server; a runner that gives every
    /// test a process of its own (cargo-nextest) gets as many.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Server::start)
    }

    /// Kills it and starts it again with what its database holds, on another port.
    pub fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _slot = slot();
        (self.child, self.url) = block_on(async { self.launch.start().await }).unwrap();
    }

    /// Kills it, as nothing should.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts one that was killed again: with what its database holds, on the port that it had, if nobody has that now.
    pub fn start_again(&mut self) {
        let port = self.url.trim_end_matches("/api").rsplit(':').next().unwrap().parse().unwrap();
        let launch = Launch { port, ..self.launch.clone() };
        let _slot = slot();
        (self.child, self.url) = block_on(async { launch.start().await }).unwrap();
    }

    /// A client of this server.
    pub fn http(&self) -> Http {
        Http::new(&self.url)
    }

    /// Where it keeps its log, and its database unless that is PostgreSQL's.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The process id, for tests that stop or kill it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // it has no children and its database goes with it: there is nothing to end gently
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One of two starting places of this machine; a start costs 3 CPU seconds.
fn slot() -> File {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    loop {
        for n in 0..2 {
            let file = File::create(dir.join(format!("starting.{n}.lock"))).unwrap();
            if file.try_lock().is_ok() {
                return file;
            }
        }
        sleep(Duration::from_millis(50));
    }
}
