//! `Launch`: how one private Prefect server process is started: its environment, arguments and log.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::time::sleep;

use super::LocalError;
use super::loopback::{self, Answer};

const SCRIPT: &str = include_str!("../../templates/local_server.py");
const PATIENCE: Duration = Duration::from_secs(180); // 3 s on an idle machine
const PAUSE: Duration = Duration::from_millis(50);
const ANSWER: Duration = Duration::from_secs(10);
const TAIL: usize = 20; // lines of a log worth showing

/// When a server ends by itself.
#[derive(Clone, Debug)]
pub enum Lifetime {
    /// After this long without a request, unless `lock` is held. The server leaves the terminal's session.
    Idle {
        /// How long.
        after: Duration,
        /// The file whose lock guards the record.
        lock: PathBuf,
    },
    /// When the standard input that its starter holds is closed: with its starter, however that ends.
    Starter {
        /// A directory that goes with the server, should nobody be left to remove it.
        temporary: Option<PathBuf>,
    },
    /// As soon as it has started, leaving the database file whole.
    Once,
}

/// One server process to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// An interpreter that has Prefect.
    pub python: PathBuf,
    /// The server's home and working directory: database (`prefect.db`), settings, log (`server.log`).
    pub home: PathBuf,
    /// The file that the server writes when it answers.
    pub record: PathBuf,
    /// The port to prefer; 0 is any free one.
    pub port: u16,
    /// When it ends by itself.
    pub lifetime: Lifetime,
    /// More environment: settings of Prefect.
    pub settings: Vec<(String, String)>,
}

/// What a server writes down about itself.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Record {
    pub url: String,
    pub token: String,
}

impl Record {
    /// The record in `path`, if there is a readable one.
    pub fn read(path: &Path) -> Option<Record> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// The port that the server listens, or listened, on.
    pub fn port(&self) -> Option<u16> {
        self.url.strip_prefix("http://127.0.0.1:")?.split('/').next()?.parse().ok()
    }

    /// Whether this very server answers: health (or the wish for a password first), marked with its token.
    pub async fn answers(&self) -> bool {
        let answer = loopback::ask(&self.url, "/health", None, ANSWER).await;
        let ours = |answer: &Answer| answer.header("x-reconcile-server") == Some(&self.token);
        answer.is_some_and(|answer| matches!(answer.status, 200 | 401) && ours(&answer))
    }
}

impl Launch {
    /// Starts the process and waits until it answers; its URL, which ends in `/api`.
    ///
    /// # Errors
    /// The process could not be started, ended, or did not answer within three minutes; it is gone then.
    pub async fn start(&self) -> Result<(Child, String), LocalError> {
        let token = uuid::Uuid::new_v4().simple().to_string();
        let mut child = self.spawn(&token)?;
        match self.answered(&mut child, &token).await {
            Ok(url) => Ok((child, url)),
            Err(error) => {
                // it may be gone already; then there is nothing to end
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Where the process writes what it prints.
    pub fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.home.join("prefect.db")
    }

    fn spawn(&self, token: &str) -> Result<Child, LocalError> {
        fs::create_dir_all(&self.home).map_err(LocalError::io("create", &self.home))?;
        let script = self.home.join("local_server.py");
        fs::write(&script, SCRIPT).map_err(LocalError::io("write", &script))?;
        let log = File::create(self.log()).map_err(LocalError::io("create", &self.log()))?;
        let copy = log.try_clone().map_err(LocalError::io("open", &self.log()))?;
        let mut command = Command::new(&self.python);
        command.arg(&script).arg("--record").arg(&self.record).args(["--token", token]);
        command.args(["--port", &self.port.to_string()]).args(self.lifetime.arguments(&self.database()));
        command.env_clear().envs(kept_environment()).envs(self.environment());
        command.current_dir(&self.home).stdin(self.lifetime.stdin()).stdout(log).stderr(copy);
        command.spawn().map_err(LocalError::io("run", &self.python))
    }

    /// Quiet, isolated from the user's own Prefect, nothing sent anywhere.
    fn environment(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.home.join(name).display().to_string();
        let fixed = [
            ("DO_NOT_TRACK", "1".to_owned()),
            ("PREFECT_API_DATABASE_CONNECTION_URL", format!("sqlite+aiosqlite:///{}", path("prefect.db"))),
            ("PREFECT_HOME", self.home.display().to_string()),
            ("PREFECT_LOGGING_TO_API_ENABLED", "false".to_owned()),
            ("PREFECT_MEMO_STORE_PATH", path("memo.toml")),
            ("PREFECT_PROFILES_PATH", path("profiles.toml")),
            ("PREFECT_SERVER_ANALYTICS_ENABLED", "false".to_owned()),
            ("PREFECT_SERVER_EPHEMERAL_ENABLED", "false".to_owned()),
            ("PREFECT_SERVER_LOGGING_LEVEL", "WARNING".to_owned()),
            ("PYTHONUNBUFFERED", "1".to_owned()),
        ];
        let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
        fixed.chain(self.settings.iter().cloned()).collect()
    }

    async fn answered(&self, child: &mut Child, token: &str) -> Result<String, LocalError> {
        let since = Instant::now();
        loop {
            if let Some(record) = Record::read(&self.record).filter(|record| record.token == token)
                && (matches!(self.lifetime, Lifetime::Once) || record.answers().await)
            {
                return Ok(record.url);
            }
            if let Some(status) = child.try_wait().map_err(LocalError::io("wait for", &self.python))? {
                return Err(self.no_start(format!("it ended with {status}")));
            }
            if since.elapsed() > PATIENCE {
                return Err(self.no_start(format!("no answer within {} s", PATIENCE.as_secs())));
            }
            sleep(PAUSE).await;
        }
    }

    fn no_start(&self, why: String) -> LocalError {
        let text = fs::read(self.log()).unwrap_or_default();
        LocalError::NoStart { why, tail: tail(&text), log: self.log() }
    }
}

impl Lifetime {
    fn arguments(&self, database: &Path) -> Vec<String> {
        match self {
            Lifetime::Idle { after, lock } => vec![
                "--detach".to_owned(),
                "--idle".to_owned(),
                after.as_secs_f64().to_string(),
                "--lock".to_owned(),
                lock.display().to_string(),
            ],
            Lifetime::Starter { temporary: None } => vec!["--stdin".to_owned()],
            Lifetime::Starter { temporary: Some(dir) } => {
                vec!["--stdin".to_owned(), "--temporary".to_owned(), dir.display().to_string()]
            }
            Lifetime::Once => vec!["--once".to_owned(), database.display().to_string()],
        }
    }

    fn stdin(&self) -> Stdio {
        match self {
            Lifetime::Starter { .. } => Stdio::piped(),
            Lifetime::Idle { .. } | Lifetime::Once => Stdio::null(),
        }
    }
}

/// The few names that a program needs to run at all; nothing of the user's Python or Prefect.
fn kept_environment() -> impl Iterator<Item = (String, String)> {
    const KEPT: [&str; 7] = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER"];
    KEPT.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
}

/// The last lines of what a program printed.
pub(super) fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// Copies a database so that a half copied one is never taken for whole.
pub(super) fn copy_whole(from: &Path, to: &Path) -> io::Result<()> {
    let fresh = to.with_extension(format!("{}.fresh", std::process::id()));
    fs::copy(from, &fresh)?;
    fs::rename(&fresh, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_its_port() {
        let record = Record { url: "http://127.0.0.1:4455/api".to_owned(), token: String::new() };
        assert_eq!(record.port(), Some(4455));
        assert_eq!(Record { url: "http://elsewhere:1/api".to_owned(), token: String::new() }.port(), None);
    }

    #[test]
    fn a_tail_is_the_last_lines_that_say_something() {
        let text: String = (0..50).map(|n| format!("line {n}\n\n")).collect();
        let tail = tail(text.as_bytes());
        assert!(tail.starts_with("line 30\n") && tail.ends_with("line 49"), "{tail}");
        assert_eq!(super::tail(b""), "");
    }

    #[tokio::test]
    async fn a_program_that_ends_at_once_is_an_error_with_its_last_words() {
        let home = tempfile::tempdir().unwrap();
        let python = home.path().join("python");
        fs::write(&python, "#!/bin/sh\necho 'no module named prefect' >&2; exit 3\n").unwrap();
        let mut rights = fs::metadata(&python).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut rights, 0o755);
        fs::set_permissions(&python, rights).unwrap();
        let launch = Launch {
            python,
            home: home.path().join("home"),
            record: home.path().join("record"),
            port: 0,
            lifetime: Lifetime::Starter { temporary: None },
            settings: vec![],
        };
        let error = launch.start().await.unwrap_err();
        assert!(error.to_string().contains("exit status: 3\nno module named prefect"), "{error}");
        assert!(error.help().contains("server.log"), "{}", error.help());
    }
}
