//! `Inputs`: all that settings are decided from, as plain values.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::Secret;

/// Our own flags, as far as they concern the API.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--api-url`
    pub api_url: Option<String>,
    /// `--api-key-file`
    pub api_key_file: Option<PathBuf>,
    /// `--profile`
    pub profile: Option<String>,
    /// `--local`: the embedded server, whatever is configured.
    pub local: bool,
    /// `--untrusted`: nothing of the repository and nothing of the environment.
    pub untrusted: bool,
    /// `--timeout`, per request.
    pub timeout: Option<Duration>,
    /// `--parallelism`
    pub parallelism: Option<usize>,
    /// What `reconcile.yaml` says about the API.
    pub declared: Declared,
}

/// What the `api:` mapping of the chosen environment in `reconcile.yaml` says.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// `url`: comes from the repository, so no key from elsewhere is sent to it.
    pub url: Option<String>,
    /// `profile`: names a profile of the user's own, which holds address and key together.
    pub profile: Option<String>,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct FileText {
    /// How messages call it.
    pub name: String,
    /// What it holds.
    pub text: String,
    /// Whether it really lies outside of the repository (through a symbolic link): then its keys are not the
    /// repository's own.
    pub outside: bool,
}

/// The `profiles.toml` that applies.
#[derive(Clone, Debug)]
pub struct Profiles {
    /// The file.
    pub file: FileText,
    /// Whether a file of the repository chose it.
    pub chosen_by_tree: bool,
}

/// Everything settings are decided from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Our flags.
    pub flags: Flags,
    /// The text of the file behind `--api-key-file`.
    pub api_key: Option<Secret>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// `.env`
    pub dotenv: Option<FileText>,
    /// `prefect.toml`
    pub prefect_toml: Option<FileText>,
    /// `pyproject.toml`
    pub pyproject: Option<FileText>,
    /// `profiles.toml`
    pub profiles: Option<Profiles>,
    /// The user's home directory.
    pub home: PathBuf,
}
