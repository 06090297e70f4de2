//! Settings of the command line and the environment → an API to talk to, or the reason why there is none.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::args::Global;
use super::exit::{Exit, wrong_usage};
use super::output;
use crate::api::Api;
use crate::diagnostic::Diagnostic;
use crate::local;
use crate::model::Connection;
use crate::settings::{self, Absence, Declared, Flags, Inputs, Settings};

/// The address of the private server that was told last.
static TOLD: Mutex<String> = Mutex::new(String::new());

/// What is there to talk to.
pub struct Connected {
    /// The API, unless the command does without.
    pub api: Option<Api>,
    /// The pool of deployments that name none.
    pub default_pool: Option<String>,
    /// Warnings about the settings.
    pub diagnostics: Vec<Diagnostic>,
    /// The Python of the private server, which has Prefect.
    pub python: Option<std::path::PathBuf>,
}

/// What to do when no API is configured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Plan against an empty workspace.
    DoWithout,
    /// Use the private server of this machine.
    StartLocal,
    /// Say which setting is missing: the command is about an API that somebody used before.
    Demand,
}

/// Finds the API. What is wrong with the settings, and the next step, is said here.
///
/// # Errors
/// The exit of the command.
pub async fn connect(global: &Global, dir: &Path, declared: Declared, absent: Absent) -> Result<Connected, Exit> {
    let found =
        settings::load(flags(global, declared)?, dir).map_err(|error| told(error.code(), &error, &error.help()))?;
    let (api, python) = match &found.api {
        settings::Api::Configured(connection) => (Some(client(connection.clone())?), None),
        settings::Api::Absent { why } => absent_api(&found, why, absent).await?,
    };
    Ok(Connected { api, default_pool: found.default_work_pool_name, diagnostics: found.diagnostics, python })
}

/// How the API of a command that cannot do without one is reached, and all that settings were decided from.
///
/// # Errors
/// The exit of the command: what is wrong, and the next step, was said here.
pub async fn demand(global: &Global, dir: &Path) -> Result<(Connection, Inputs), Exit> {
    let flags = flags(global, Declared::default())?;
    let inputs = settings::inputs(flags, dir).map_err(|error| told(error.code(), &error, &error.help()))?;
    let found = settings::resolve(&inputs).map_err(|error| told(error.code(), &error, &error.help()))?;
    match &found.api {
        settings::Api::Configured(connection) => Ok((connection.clone(), inputs)),
        settings::Api::Absent { why: Absence::Local } => Ok((private_server(&found).await?.0, inputs)),
        settings::Api::Absent { why } => {
            let refusal = why.demand();
            Err(told(refusal.code(), &refusal, &refusal.help()))
        }
    }
}

fn flags(global: &Global, declared: Declared) -> Result<Flags, Exit> {
    Ok(Flags {
        api_url: global.api_url.clone(),
        api_key_file: global.api_key_file.clone(),
        profile: global.profile.clone(),
        local: global.local,
        untrusted: false,
        timeout: timeout(global).map_err(|sentence| wrong_usage(&sentence))?,
        parallelism: global.parallelism,
        declared,
    })
}

type Found = (Option<Api>, Option<std::path::PathBuf>);

async fn absent_api(found: &Settings, why: &Absence, absent: Absent) -> Result<Found, Exit> {
    if let Some(refusal) = why.refusal() {
        return Err(told(refusal.code(), &refusal, &refusal.help()));
    }
    if absent == Absent::Demand && *why != Absence::Local {
        let demand = why.demand();
        return Err(told(demand.code(), &demand, &demand.help()));
    }
    if absent == Absent::DoWithout && *why != Absence::Local {
        return Ok((None, None));
    }
    let (connection, python) = private_server(found).await?;
    Ok((Some(client(connection)?), Some(python)))
}

/// The private server, started if need be, and its Python.
async fn private_server(found: &Settings) -> Result<(Connection, std::path::PathBuf), Exit> {
    let cache = local::cache_dir(|name| std::env::var(name).ok());
    let server = local::ensure(&cache, &output::say).await.map_err(|error| {
        output::complain(&error.to_string());
        output::help(&error.help());
        Exit::Failed
    })?;
    // Of many passes only the first has something to tell.
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if server.started || *told != server.url {
        let verb = if server.started { "started" } else { "using" };
        output::say(&format!(
            "{verb} the private Prefect server of this machine: export PREFECT_API_URL={}",
            server.url
        ));
    }
    told.clone_from(&server.url);
    drop(told);
    Ok((found.connection_to(server.url, "the private server"), server.python))
}

fn client(connection: Connection) -> Result<Api, Exit> {
    Api::connect(connection).map_err(|error| told(error.code(), &error, &error.help()))
}

/// Says what is wrong and the next step.
fn told(code: &str, error: &dyn std::fmt::Display, help: &str) -> Exit {
    output::complain_with(code, &error.to_string());
    output::help(help);
    Exit::Failed
}

fn timeout(global: &Global) -> Result<Option<Duration>, String> {
    match global.timeout {
        None => Ok(None),
        Some(seconds) if seconds > 0.0 && seconds < 86_400.0 => Ok(Some(Duration::from_secs_f64(seconds))),
        Some(seconds) => Err(format!("`--timeout {seconds}` is not a number of seconds between 0 and 86400")),
    }
}
