//! What `plan`, `apply` and `validate` share: the request, the API, and how diagnostics are shown.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::args::{DriftArgs, Global, OwningArgs, Selecting};
use super::connect::{Absent, Connected, connect};
use super::exit::Exit;
use super::last_words;
use super::output;
use super::overlay;
use crate::api::Api;
use crate::diagnostic::Diagnostic;
use crate::reconcile::read::declared_api;
use crate::reconcile::{Caution, Owning, PassError, Request};
use crate::report::diagnostics::{self, Texts};

/// The request of a command line.
///
/// # Errors
/// One sentence for flags that do not parse.
pub fn request(global: &Global, selecting: &Selecting, stop: CancellationToken) -> Result<Request, String> {
    let target = overlay::target(selecting)?;
    let quiet = global.quiet;
    Ok(Request {
        path: target.path,
        project: global.project.clone(),
        at: selecting.rev.clone().filter(|_| selecting.git.url.is_none()),
        cloned: false,
        pinned: false,
        submodules: false,
        guarded: false,
        changed_since: selecting.changed_since.clone(),
        prefect_file: selecting.prefect_file.clone(),
        env_name: global.env.clone(),
        selection: target.selection,
        resolve_secrets: selecting.resolve_secrets,
        python: global.python.clone(),
        fallback_python: None,
        environment: environment(),
        default_pool: None,
        caution: Caution::default(),
        owning: owning(selecting),
        files_only: false,
        stop,
        commit: Default::default(),
        say: Box::new(move |text| {
            if !quiet {
                output::say(text);
            }
        }),
    })
}

/// The request and the API of a command about a whole scope, which needs an API.
///
/// # Errors
/// The exit of the command.
pub async fn of_scope(global: &Global, path: Option<String>, stop: CancellationToken) -> Result<(Request, Api), Exit> {
    let selecting = Selecting { path, ..Selecting::default() };
    let mut request = request(global, &selecting, stop).map_err(|sentence| super::exit::wrong_usage(&sentence))?;
    let mut connected = connect(global, &directory(&request), declared_api(&request), Absent::Demand).await?;
    settle(&mut request, &connected);
    show(global, &connected.diagnostics, &Texts::default());
    connected.api.take().map(|api| (request, api)).ok_or(Exit::Failed)
}

fn owning(selecting: &Selecting) -> Owning {
    let OwningArgs { prune, max_delete, adopt } = selecting.owning;
    Owning { prune, max_delete, adopt, destroy: false, drain: None }
}

/// Secrets of ours: the repository is not told them, neither by templates nor by steps.
const OUR_SECRETS: [&str; 5] =
    ["RECONCILE_GIT_TOKEN", "RECONCILE_TOKEN", "RECONCILE_WEBHOOK_SECRET", "RECONCILE_NOTIFY", "RECONCILE_FORGE_TOKEN"];

/// The environment as far as it is text, and not for us alone.
fn environment() -> std::collections::BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !OUR_SECRETS.contains(&name.as_str()))
        .collect()
}

/// How much a pass may rest on the one before, as the flags say.
pub fn caution(drift: &DriftArgs) -> Caution {
    let cache = crate::local::cache_dir(|name| std::env::var(name).ok());
    Caution { interval: drift.drift_interval, full: drift.full_compare, cache: Some(cache), ..Caution::default() }
}

/// Takes what was found when connecting into the request, and lets the request's end be that of long waits for the API.
pub fn settle(request: &mut Request, connected: &Connected) {
    if let Some(api) = &connected.api {
        api.hurry_after(request.stop.clone());
    }
    request.default_pool.clone_from(&connected.default_pool);
    request.fallback_python.clone_from(&connected.python);
}

/// The directory whose settings files count.
pub fn directory(request: &Request) -> PathBuf {
    if request.path.is_dir() {
        request.path.clone()
    } else {
        request.path.parent().map(PathBuf::from).unwrap_or_default()
    }
}

/// Shows diagnostics on stderr.
pub fn show(global: &Global, all: &[Diagnostic], texts: &Texts) {
    last_words::showed(all);
    let shown: Vec<Diagnostic> =
        all.iter().filter(|d| !global.quiet || d.severity == crate::diagnostic::Severity::Error).cloned().collect();
    if !shown.is_empty() {
        output::say(&format!("{}\n", diagnostics::render(&shown, texts, output::colour(global, &std::io::stderr()))));
    }
}

/// Says why no pass could be made.
pub fn failed(error: &PassError) -> Exit {
    match error {
        PassError::Usage(sentence) => super::exit::wrong_usage(sentence),
        PassError::Interrupted => {
            output::complain(&error.to_string());
            Exit::Interrupted
        }
        other => {
            match other.code() {
                Some(code) => output::complain_with(code, &other.to_string()),
                None => output::complain(&other.to_string()),
            }
            if let Some(help) = other.help() {
                output::help(&help);
            }
            match other {
                PassError::Locked { .. } | PassError::Stale { .. } | PassError::Moved { .. } => Exit::Stale,
                _ => Exit::Failed,
            }
        }
    }
}

/// What stands on stdout in place of a plan.
pub fn refusal(all: &[Diagnostic]) -> String {
    let errors = all.iter().filter(|d| d.severity == crate::diagnostic::Severity::Error).count();
    format!("Invalid: {}; nothing was written.", crate::report::count(errors, "error", "errors"))
}
