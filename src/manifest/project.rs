//! `Project`: what reconcile.yaml says about the repository as a whole.

pub(in crate::manifest) mod reader;

use std::str::FromStr;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::manifest::globs::Globs;
use crate::model::{Key, Kind, Map, Origin, Path};

pub use reader::read;

/// The files that are read when reconcile.yaml names none.
pub const DEFAULT_INCLUDE: [&str; 8] = [
    "**/prefect.yaml",
    "**/prefect.yml",
    "**/*.reconcile.yaml",
    "**/*.reconcile.yml",
    "**/blocks.yaml",
    "**/blocks.yml",
    "**/blocks/*.yaml",
    "**/blocks/*.yml",
];

/// reconcile.yaml, read; [`Project::default`] is what holds without one.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// The scope's name, when one is given: pruning and destroying need it.
    pub name: Option<String>,
    /// Patterns of the files to read.
    pub include: Vec<String>,
    /// Patterns of files and directories to leave out.
    pub exclude: Vec<String>,
    /// Whether what left git is deleted.
    pub prune: bool,
    /// How many deletions happen unasked.
    pub max_delete: MaxDelete,
    /// What differs per environment, by name.
    pub environments: IndexMap<String, Environment>,
    /// Differences that nobody wants to hear of.
    pub ignore_drift: Vec<IgnoreDrift>,
    /// Whether every field is owned, declared or not.
    pub strict: bool,
    /// Whether a ledger is kept on the API.
    pub ledger: bool,
    /// Whether a pass that changed something is an event on the API.
    pub events: bool,
    /// The interpreter: a path, relative to the root or absolute, or a name on `PATH`.
    pub python: Option<String>,
    /// Environment variables that steps and the Python helper may see.
    pub step_env: Vec<String>,
    /// Environment variables whose values may be shown.
    pub show_env: Vec<String>,
    /// Directories outside the repository that `from_file` may read.
    pub secret_dirs: Vec<String>,
    /// Patterns of the prefect.yaml files whose relative paths start at the root.
    pub root_relative: Vec<String>,
    /// The pull step of a deployment that declares none.
    pub default_pull: DefaultPull,
    /// When build steps run again.
    pub build_cache: BuildCache,
    /// What `{{ vars.x }}` stands for; an environment's own come on top.
    pub vars: Map,
    /// How long after a full comparison the next one is due; zero: at once.
    pub drift_interval: Duration,
}

impl Default for Project {
    fn default() -> Self {
        Project {
            name: None,
            include: DEFAULT_INCLUDE.map(str::to_owned).to_vec(),
            exclude: Vec::new(),
            prune: false,
            max_delete: MaxDelete::Percent(25),
            environments: IndexMap::new(),
            ignore_drift: Vec::new(),
            strict: false,
            ledger: true,
            events: true,
            python: None,
            step_env: Vec::new(),
            show_env: Vec::new(),
            secret_dirs: Vec::new(),
            root_relative: Vec::new(),
            default_pull: DefaultPull::Directory,
            build_cache: BuildCache::Changed,
            vars: Map::new(),
            drift_interval: Duration::ZERO,
        }
    }
}

impl Project {
    /// The `vars` that hold in an environment: its own over the project's, key by key. An unknown environment has
    /// the project's.
    pub fn vars_in(&self, env: Option<&str>) -> Map {
        let mut vars = self.vars.clone();
        if let Some(environment) = env.and_then(|env| self.environments.get(env)) {
            vars.extend(environment.vars.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        vars
    }
}

/// What holds in one environment only.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// Where it stands.
    pub origin: Origin,
    /// Which API it is. Not to be followed in a tree that is not trusted.
    pub api: Option<Api>,
    /// Values over those of the project.
    pub vars: Map,
    /// Patterns of further files that are laid over the others.
    pub overlays: Vec<String>,
}

/// Which API an environment is.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// Where it stands.
    pub origin: Origin,
    /// The URL, up to and with `/api`.
    pub url: Option<String>,
    /// A profile of `profiles.toml`.
    pub profile: Option<String>,
}

/// How many of the owned objects may be deleted without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxDelete {
    /// A share of what is owned, 0 to 100.
    Percent(u8),
    /// A number of objects.
    Count(u64),
}

/// Reads `25%` and `10`, in files and on the command line.
impl FromStr for MaxDelete {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        let read = match trimmed.strip_suffix('%') {
            Some(share) => share.trim_end().parse().ok().filter(|share| *share <= 100).map(MaxDelete::Percent),
            None => trimmed.parse().ok().map(MaxDelete::Count),
        };
        read.ok_or_else(|| format!("`{text}` is neither a number of objects nor a share such as `25%`"))
    }
}

/// A length of time in files and on the command line: seconds, or as `90s`, `10m`, `1h 30m`.
///
/// # Errors
/// A sentence for text that is none.
pub fn length_of_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time, such as `90s`, `10m` or `1h 30m`");
    if let Ok(seconds) = text.trim().parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    text.trim().parse::<jiff::SignedDuration>().ok().and_then(|length| length.try_into().ok()).ok_or_else(wrong)
}

/// The pull step of a deployment that declares none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultPull {
    /// The absolute directory, as Prefect names it.
    Directory,
    /// A clone of `origin`.
    Git,
}

/// When build steps run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildCache {
    /// When something that they can see has changed.
    Changed,
    /// Never when there is an earlier result.
    Always,
    /// In every pass.
    Never,
}

/// A field of some objects whose drift is not reported: `deployment/*/*: paused`.
#[derive(Clone, Debug)]
pub struct IgnoreDrift {
    /// Where it stands.
    pub origin: Origin,
    /// The kind of the objects.
    pub kind: Kind,
    /// A pattern of their names.
    pub name: String,
    /// The field, and everything below it.
    pub path: Path,
    globs: Globs,
}

impl IgnoreDrift {
    /// Whether a field of an object is meant.
    pub fn covers(&self, key: &Key, path: &Path) -> bool {
        self.kind == key.kind && self.globs.is_match(&key.name) && path.starts_with(&self.path)
    }
}

impl PartialEq for IgnoreDrift {
    fn eq(&self, other: &Self) -> bool {
        (&self.origin, self.kind, &self.name, &self.path) == (&other.origin, other.kind, &other.name, &other.path)
    }
}
