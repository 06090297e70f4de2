//! `Project`: a temporary project directory, and the two command lines run in it under the same clean environment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::proxy::{Proxy, Verdict};
use super::{prefect_cli, python, server_is_at_least};

/// A project directory with a home directory beside it; both go with it.
#[derive(Debug)]
pub struct Project {
    root: TempDir,
    env: BTreeMap<String, String>,
}

/// What a program left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit status; -1 when a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Panics, showing everything, unless it ended with `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Output {
        let Output { code: found, stdout, stderr } = &self;
        assert_eq!(*found, code, "\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
        self
    }
}

impl Project {
    /// An empty project.
    pub fn new() -> Project {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("repo")).unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        Project { root, env: BTreeMap::new() }
    }

    /// The same with a file; its directories are made.
    pub fn file(self, path: &str, text: &str) -> Project {
        self.write(path, text);
        self
    }

    /// The same, talking to the API at `url`.
    pub fn api(self, url: &str) -> Project {
        self.env("PREFECT_API_URL", url)
    }

    /// The same, with an environment variable for both programs.
    pub fn env(mut self, name: &str, value: &str) -> Project {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same, with the interpreter that has Prefect as its active virtual environment.
    pub fn with_python(self) -> Project {
        let environment = python().parent().and_then(Path::parent).unwrap().display().to_string();
        self.env("VIRTUAL_ENV", &environment)
    }

    /// Writes a file now.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Removes a file now.
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.path().join(path)).unwrap();
    }

    /// The project directory.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("repo")
    }

    /// The home directory of the programs.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// Makes it a git repository with one commit, whose id depends on the files alone, and a remote.
    pub fn git_init(self, remote: Option<&str>) -> Project {
        self.git(&["init", "-q", "-b", "main"]);
        if let Some(url) = remote {
            self.git(&["remote", "add", "origin", url]);
        }
        self.git_commit("first");
        self
    }

    /// Commits everything; the id of the commit.
    pub fn git_commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Runs git here, as a fixed author at a fixed time; what it printed.
    pub fn git(&self, args: &[&str]) -> String {
        let mut command = self.command(Path::new("git"));
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Ada").env(format!("GIT_{role}_EMAIL"), "ada@example.org");
            command.env(format!("GIT_{role}_DATE"), "2026-01-01T00:00:00Z");
        }
        finish(command.args(args)).exits(0).stdout
    }

    /// Runs the built `reconcile` here.
    pub fn reconcile(&self, args: &[&str]) -> Output {
        finish(self.reconcile_command().args(args))
    }

    /// The same, not yet started.
    pub fn reconcile_command(&self) -> Command {
        self.command(Path::new(env!("CARGO_BIN_EXE_reconcile")))
    }

    /// Runs the real `prefect` here.
    pub fn prefect(&self, args: &[&str]) -> Output {
        finish(self.prefect_command().args(args))
    }

    /// The same, not yet started.
    pub fn prefect_command(&self) -> Command {
        const QUIET: [(&str, &str); 6] = [
            ("DO_NOT_TRACK", "1"),
            ("PREFECT_CLI_COLORS", "false"),
            ("PREFECT_CLI_PROMPT", "false"),
            ("PREFECT_LOGGING_TO_API_ENABLED", "false"),
            ("PREFECT_SERVER_ANALYTICS_ENABLED", "false"),
            ("PREFECT_SERVER_EPHEMERAL_ENABLED", "false"),
        ];
        let mut command = self.command(&prefect_cli());
        if let Some(url) = self.env.get("PREFECT_API_URL").filter(|_| !server_is_at_least((3, 6))) {
            command.env("PREFECT_API_URL", for_older_ears(url));
        }
        command.envs(QUIET);
        command
    }

    /// Runs a command line in a shell here, with the built `reconcile` first on PATH.
    pub fn shell(&self, line: &str) -> Output {
        let mut path = vec![Path::new(env!("CARGO_BIN_EXE_reconcile")).parent().unwrap().to_owned()];
        path.extend(self.env.get("VIRTUAL_ENV").map(|environment| Path::new(environment).join("bin")));
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut command = self.command(Path::new("sh"));
        finish(command.env("PATH", std::env::join_paths(path).unwrap()).args(["-c", line]))
    }

    /// Nothing of the tester's environment but PATH; `.env()` has the last word.
    fn command(&self, program: &Path) -> Command {
        let temporary = std::env::temp_dir();
        let mut command = Command::new(program);
        command.current_dir(self.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.home());
        command.env("TMPDIR", &temporary).env("LANG", "C.UTF-8").env("NO_COLOR", "1").env("COLUMNS", "200");
        command.env("RECONCILE_CACHE_DIR", self.home().join("cache"));
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CEILING_DIRECTORIES", self.root.path());
        command.envs(&self.env);
        command
    }
}

/// A server before 3.6.20 refuses every schedule of this client, for it always names a key that came with that version.
fn for_older_ears(url: &str) -> String {
    let proxy = Proxy::in_front_of(url);
    proxy.rule(|request| match request.body.contains("\"replaces\"") {
        true => Verdict::Instead(without_replaces(&request.body)),
        false => Verdict::Pass,
    });
    proxy.url
}

fn without_replaces(body: &str) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap();
    for schedule in body["schedules"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        schedule.shift_remove("replaces");
    }
    body.to_string()
}

fn finish(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Output { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}
