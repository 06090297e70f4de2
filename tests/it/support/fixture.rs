//! `Fixture`: a project of `tests/parity`, and what a server needs before it can be deployed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

use sha2::{Digest, Sha256};

use super::project::Project;
use super::server::Server;
use super::workspace::Workspace;
use super::{python, server_version};

/// One project, or one of several that differ in `prefect.yaml` only: those of its directory `cases`.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// `DIRECTORY` or `DIRECTORY/CASE`.
    pub name: String,
    /// What `setup.json` says.
    pub setup: Setup,
    dir: PathBuf,
    case: Option<String>,
}

/// `setup.json`; everything may be absent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Setup {
    /// Environment of both programs.
    env: BTreeMap<String, String>,
    /// Name and value.
    variables: BTreeMap<String, Value>,
    /// Name and type, or name and body. Without it there is `pool`, of type `process`.
    work_pools: BTreeMap<String, Value>,
    /// `type/name` and data.
    blocks: BTreeMap<String, Value>,
    /// Name and value of secret blocks.
    secrets: BTreeMap<String, Value>,
    /// `true`, or the URL of the remote: the project is a git repository.
    git: Option<Value>,
    /// What follows `prefect deploy`; `--all` if absent. Our program gets the same.
    args: Vec<String>,
    /// Prefect refuses it, and so do we.
    pub refused: bool,
    /// By case: Prefect refuses it, we do not, and why. `cases/CASE.like.yaml` says the same in Prefect's words.
    pub accepts: BTreeMap<String, String>,
    /// By place: a difference that is meant, and why.
    pub differs: BTreeMap<String, String>,
}

impl Fixture {
    /// All of them, in order; those whose name contains `$PARITY`, if that is set.
    pub fn all() -> Vec<Fixture> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity");
        let wanted = std::env::var("PARITY").unwrap_or_default();
        let found = names(&root).into_iter().flat_map(|name| Fixture::of_directory(&root.join(name)));
        found.filter(|fixture| fixture.name.contains(&wanted)).collect()
    }

    /// Those that Prefect deploys as they are.
    pub fn deployable() -> Vec<Fixture> {
        Fixture::all()
            .into_iter()
            .filter(|fixture| !fixture.setup.refused && fixture.why_accepted().is_none())
            .collect()
    }

    fn of_directory(dir: &Path) -> Vec<Fixture> {
        let setup = match fs::read_to_string(dir.join("setup.json")) {
            Ok(text) => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", dir.display())),
            Err(_) => Setup::default(),
        };
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let one = Fixture { name, setup, dir: dir.to_owned(), case: None };
        if !dir.join("cases").is_dir() {
            return vec![one];
        }
        let files = names(&dir.join("cases")).into_iter();
        let cases = files.filter_map(|file| file.strip_suffix(".yaml").map(str::to_owned));
        cases
            .filter(|case| !case.ends_with(".like"))
            .map(|case| Fixture { name: format!("{}/{case}", one.name), case: Some(case), ..one.clone() })
            .collect()
    }

    /// The reason that we take what Prefect refuses.
    pub fn why_accepted(&self) -> Option<&str> {
        self.setup.accepts.get(self.case.as_deref()?).map(String::as_str)
    }

    /// A copy of its files, talking to the API at `url`.
    pub fn project(&self, url: &str) -> Project {
        let mut project = Project::new().api(url).with_python();
        for (name, value) in &self.setup.env {
            project = project.env(name, value);
        }
        copy(&self.dir, &project.path());
        self.use_case(&project, "");
        match &self.setup.git {
            None | Some(Value::Bool(false)) => project,
            Some(Value::String(remote)) => project.git_init(Some(remote)),
            Some(_) => project.git_init(None),
        }
    }

    /// Makes the project say the same in Prefect's words.
    pub fn say_it_as_prefect_does(&self, project: &Project) {
        self.use_case(project, ".like");
    }

    /// Takes that back.
    pub fn say_it_as_given(&self, project: &Project) {
        self.use_case(project, "");
    }

    fn use_case(&self, project: &Project, suffix: &str) {
        if let Some(case) = &self.case {
            let file = self.dir.join(format!("cases/{case}{suffix}.yaml"));
            fs::copy(file, project.path().join("prefect.yaml")).unwrap();
        }
    }

    /// Creates what it builds upon.
    pub fn prepare(&self, workspace: &Workspace) {
        let mut pools: Vec<(&str, Value)> =
            self.setup.work_pools.iter().map(|(name, pool)| (name.as_str(), pool.clone())).collect();
        if pools.is_empty() {
            pools.push(("pool", json!("process")));
        }
        let variables: Vec<_> =
            self.setup.variables.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let mut blocks: Vec<(String, Value)> =
            self.setup.blocks.iter().map(|(path, data)| (path.clone(), data.clone())).collect();
        for (name, value) in &self.setup.secrets {
            blocks.push((format!("secret/{name}"), json!({"value": value})));
        }
        let blocks: Vec<_> = blocks.iter().map(|(path, data)| (path.as_str(), data.clone())).collect();
        workspace.prepare(&pools, &variables, &blocks);
    }

    /// A word for what it holds and how it is looked at: another fixture, another word.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for source in [include_str!("fixture.rs"), include_str!("workspace.rs"), include_str!("project.rs")] {
            digest.update(source);
        }
        digest.update(format!("{} {:?} {:?} {}", self.name, self.setup, python(), server_version()));
        feed(&mut digest, &self.dir, self.case.as_deref());
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What follows `prefect deploy`.
    pub fn deploy(&self) -> Vec<&str> {
        match self.setup.args.is_empty() {
            true => vec!["deploy", "--all"],
            false => ["deploy"].into_iter().chain(self.setup.args.iter().map(String::as_str)).collect(),
        }
    }

    /// The same for our program.
    pub fn apply(&self) -> Vec<&str> {
        let given = self.setup.args.iter().map(String::as_str);
        ["apply", "--yes", "--resolve-secrets"].into_iter().chain(given).collect()
    }
}

/// Runs `work` for every fixture, two at once, each worker with a server that is wiped in between.
/// Every complaint of every fixture is collected; there has to be none.
#[track_caller]
pub fn for_each(
    fixtures: &[Fixture],
    settings: &[(&str, &str)],
    work: impl Fn(&Fixture, &Server) -> Vec<String> + Sync,
) {
    assert!(!fixtures.is_empty(), "no fixture is called like $PARITY");
    let (next, complaints) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..fixtures.len().min(2) {
            scope.spawn(|| {
                let server = Server::start_with(settings);
                while let Some(fixture) = fixtures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    Workspace::of(&server.url).wipe();
                    let start = Instant::now();
                    let found = work(fixture, &server);
                    eprintln!("{} {:.1} s, {} complaints", fixture.name, start.elapsed().as_secs_f32(), found.len());
                    let found = found.into_iter().map(|line| format!("{}: {line}", fixture.name));
                    complaints.lock().unwrap().extend(found);
                }
            });
        }
    });
    let mut complaints = complaints.into_inner().unwrap();
    complaints.sort();
    assert!(complaints.is_empty(), "{} complaints\n{}", complaints.len(), complaints.join("\n"));
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// All but what is about the fixture itself.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names(from) {
        let (source, target) = (from.join(&name), to.join(&name));
        match name.as_str() {
            "setup.json" | "cases" | "__pycache__" => {}
            _ if source.is_dir() => copy(&source, &target),
            _ => drop(fs::copy(source, target).unwrap()),
        }
    }
}

/// Every file with its name; of `cases` only the one that is meant.
fn feed(digest: &mut Sha256, dir: &Path, case: Option<&str>) {
    for name in names(dir) {
        let path = dir.join(&name);
        if path.is_dir() {
            digest.update(&name);
            feed(digest, &path, case);
        } else if dir.file_name().is_none_or(|dir| dir != "cases") || case.is_some_and(|case| of_case(&name, case)) {
            digest.update(format!("\0{name}\0"));
            digest.update(fs::read(path).unwrap());
        }
    }
}

fn of_case(file: &str, case: &str) -> bool {
    file.strip_prefix(case).is_some_and(|rest| [".yaml", ".like.yaml"].contains(&rest))
}
