//! Settings: which API to talk to and how, from our flags and from everywhere Prefect itself looks.
//!
//! A setting is taken from the first place that has it: flags, `reconcile.yaml`, `PREFECT_*` in the environment,
//! `.env`, `prefect.toml`, `[tool.prefect]` of `pyproject.toml`, the active profile, Prefect's default. [`load()`]
//! reads these places; [`resolve()`] decides, touching nothing.
//!
//! What the repository's own files say is less trusted than what the user says: see `trust.rs`.

mod dotenv;
mod error;
mod inputs;
mod layers;
mod load;
mod names;
mod resolve;
mod trust;
mod ui_url;
mod values;
mod worker;

pub use error::SettingsError;
pub use inputs::{Declared, FileText, Flags, Inputs, Profiles};
pub use layers::Source;
pub use load::{inputs, load};
pub use resolve::resolve;
pub use worker::WorkerSettings;

use std::path::PathBuf;

use crate::diagnostic::Diagnostic;
use crate::model::Connection;

/// What was found.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The API, or why there is none.
    pub api: Api,
    /// The work pool of deployments that name none (`PREFECT_DEFAULT_WORK_POOL_NAME`).
    pub default_work_pool_name: Option<String>,
    /// The registry namespace put before image names without one (`PREFECT_DEFAULT_DOCKER_BUILD_NAMESPACE`).
    pub default_docker_build_namespace: Option<String>,
    /// The profile in force, if any.
    pub profile: Option<String>,
    /// Prefect's home directory.
    pub prefect_home: PathBuf,
    /// Connection settings for an API that is not configured but started by us; its `url` is empty.
    pub unaddressed: Connection,
    /// What the user should know: warnings only.
    pub diagnostics: Vec<Diagnostic>,
}

/// The API, or why there is none.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
pub enum Api {
    /// An API is configured.
    Configured(Connection),
    /// None is; what to do about it is the caller's decision.
    Absent {
        /// Why.
        why: Absence,
    },
}

/// Why no API is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// No place names one.
    Unset,
    /// No place names one, and this is a build server (`CI` is set), where one is surely meant.
    Ci,
    /// A setting is there but empty, as happens when a build server lacks the secret behind it.
    Empty {
        /// The setting and its place.
        what: String,
    },
    /// `--local` asks for the embedded server.
    Local,
    /// `--untrusted` forbids talking to any.
    Untrusted,
}

impl Absence {
    /// The error, where the embedded server must not quietly take the missing API's place.
    pub fn refusal(&self) -> Option<SettingsError> {
        let because = match self {
            Absence::Unset | Absence::Local | Absence::Untrusted => return None,
            Absence::Ci => "the `CI` variable is set, and `PREFECT_API_URL` is not".to_owned(),
            Absence::Empty { what } => format!("{what} is set but empty"),
        };
        Some(SettingsError::NoApi { because })
    }

    /// The error for commands that need an API: it says which setting is missing.
    pub fn demand(&self) -> SettingsError {
        let because = match self {
            Absence::Unset => "`PREFECT_API_URL` is set nowhere".to_owned(),
            Absence::Ci | Absence::Empty { .. } => return self.refusal().expect("these two always refuse"),
            Absence::Local => "`--local` was given".to_owned(),
            Absence::Untrusted => "`--untrusted` was given".to_owned(),
        };
        SettingsError::NoApi { because }
    }
}
