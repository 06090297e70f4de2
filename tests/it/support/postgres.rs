//! `Postgres`: a PostgreSQL of the test process's own, gone with it, and a fresh database in it for every server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use reconcile::local::{Launch, Lifetime};

use super::{block_on, server_prefect};

/// Runs the database until its standard input ends, which is when the test process does, and removes its directory.
const KEEPER: &str = r#"
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=500 -c fsync=off -c full_page_writes=off \
    -c synchronous_commit=off >"$2/log" 2>&1 </dev/null &
cat >/dev/null
kill -QUIT $!
wait
rm -rf "$2"
"#;
const PATIENCE: Duration = Duration::from_secs(60); // half a second on an idle machine
const TEMPLATE: &str = "template_prefect";

/// A running PostgreSQL that listens on a socket in its directory only.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    dir: PathBuf,
    /// Its standard input is what keeps it alive.
    _keeper: Child,
    /// Only one at a time may copy the template.
    copying: Mutex<()>,
}

/// Whether `RECONCILE_TEST_DATABASE=postgres` wants it below every server.
pub fn is_wanted() -> bool {
    match std::env::var("RECONCILE_TEST_DATABASE").as_deref() {
        Ok("postgres") => true,
        Ok("sqlite" | "") | Err(_) => false,
        Ok(other) => panic!("RECONCILE_TEST_DATABASE is `postgres` or `sqlite`, not `{other}`"),
    }
}

/// The directory of its programs: `$PG_BIN`, or where PATH or Debian has them. Without one, why there is none.
pub fn programs() -> Result<PathBuf, String> {
    let mut places: Vec<PathBuf> = std::env::var_os("PG_BIN").into_iter().map(PathBuf::from).collect();
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort();
    places.extend(versions.into_iter().rev());
    places
        .into_iter()
        .find(|bin| ["initdb", "postgres", "psql"].iter().all(|name| bin.join(name).exists()))
        .ok_or_else(|| "no `initdb`, `postgres` and `psql` in $PG_BIN, PATH or /usr/lib/postgresql".to_owned())
}

impl Postgres {
    /// The one of this process, with a migrated template of Prefect's tables and block types.
    pub fn shared() -> &'static Postgres {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| {
            let postgres = Postgres::start(programs().unwrap_or_else(|why| panic!("{why}")));
            postgres.make_template();
            postgres
        })
    }

    /// The address of a new database, for `PREFECT_API_DATABASE_CONNECTION_URL`.
    pub fn database(&self) -> String {
        let name = format!("t{}", uuid::Uuid::new_v4().simple());
        let _guard = self.copying.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        assert!(self.sql(&format!("create database {name} template {TEMPLATE}")), "no database {name}");
        self.url(&name)
    }

    fn start(bin: PathBuf) -> Postgres {
        let dir = tempfile::tempdir().unwrap().keep(); // the keeper removes it
        let account = account();
        if let Some((uid, gid)) = account {
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
            std::os::unix::fs::chown(&dir, Some(uid), Some(gid)).unwrap();
        }
        let data = dir.join("data").display().to_string();
        let mut initdb = as_account(&bin.join("initdb"), account);
        let made = initdb.args(["-D", &data, "-A", "trust", "-U", "prefect", "--no-sync", "-E", "UTF8", "--locale=C"]);
        let made = made.current_dir(&dir).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut keeper = as_account(Path::new("/bin/sh"), account);
        keeper.args(["-c", KEEPER, "keeper"]).arg(&bin).arg(&dir).current_dir(&dir).stdin(Stdio::piped());
        let postgres = Postgres { _keeper: keeper.spawn().unwrap(), bin, dir, copying: Mutex::default() };
        let began = Instant::now();
        while !postgres.sql("select 1") {
            let log = || fs::read_to_string(postgres.dir.join("log")).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "PostgreSQL does not start: {}", log());
            sleep(Duration::from_millis(50));
        }
        postgres
    }

    /// Starts a server once: it makes its tables and registers its block types.
    fn make_template(&self) {
        assert!(self.sql(&format!("create database {TEMPLATE}")), "no template");
        let home = tempfile::tempdir().unwrap();
        let launch = Launch {
            python: server_prefect().python.clone(),
            home: home.path().to_owned(),
            record: home.path().join("record.json"),
            port: 0,
            lifetime: Lifetime::Once,
            settings: vec![
                ("PREFECT_SERVER_UI_ENABLED".to_owned(), "false".to_owned()),
                ("PREFECT_API_DATABASE_CONNECTION_URL".to_owned(), self.url(TEMPLATE)),
            ],
        };
        let (mut child, _) = block_on(async { launch.start().await }).unwrap_or_else(|error| panic!("{error}"));
        let status = child.wait().unwrap();
        let log = || fs::read_to_string(launch.log()).unwrap_or_default();
        assert!(status.success(), "{status}: {}", log());
    }

    fn url(&self, database: &str) -> String {
        format!("postgresql+asyncpg://prefect@/{database}?host={}", self.dir.display())
    }

    fn sql(&self, command: &str) -> bool {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.arg("-h").arg(&self.dir).args(["-q", "-U", "prefect", "-d", "postgres", "-c", command]);
        psql.output().unwrap().status.success()
    }
}

/// PostgreSQL refuses to run as root; then it runs as its own account, or as nobody.
fn account() -> Option<(u32, u32)> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = |name: &str| {
        let mut fields = accounts.lines().find(|line| line.starts_with(&format!("{name}:")))?.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    is_root.then(|| number("postgres").or_else(|| number("nobody")).expect("root knows an account to run it as"))
}

fn as_account(program: &Path, account: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = account {
        command.uid(uid).gid(gid);
    }
    command.env_remove("LC_ALL").env("LANG", "C");
    command
}
