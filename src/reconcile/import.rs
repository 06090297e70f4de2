//! From the API to files: what exists is chosen, drafted, proved to plan to nothing, written, and taken over.

mod prove;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::time::Duration;

use crate::api::{Api, Which};
use crate::diagnostic::{Diagnostic, did_you_mean, has_errors};
use crate::manifest::globs::Globs;
use crate::model::{Key, Kind, RepoPath};
use crate::plan::export::{Chosen, Draft, File, LeftOut, Rows, Standing, Workshop, choose};
use crate::plan::want::Desired;
use crate::report::diagnostics::Texts;

use super::builds::Builds;
use super::error::PassError;
use super::keep::Keeper;
use super::lock::{self, Guard};
use super::read::{self, Reading};
use super::{Pass, Python, Request, remember, stop};

use prove::{Proved, Prover};

/// What to import.
pub struct Wanted {
    /// Names of objects, in which `*` and their like may stand; `None`: all there is.
    pub names: Option<Vec<Key>>,
    /// Whether files are written and objects taken over, and nothing is only shown.
    pub write: bool,
    /// How long another pass of the same scope is waited for.
    pub patience: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Imported {
    /// The name under which objects are owned.
    pub scope: String,
    /// The files, with the objects of each.
    pub files: Vec<File>,
    /// What they declare.
    pub drafts: Vec<Draft>,
    /// What is not declared, and why.
    pub left_out: Vec<LeftOut>,
    /// What was declared already.
    pub declared: BTreeSet<Key>,
    /// Whether it is recorded that the objects are ours.
    pub owned: bool,
    /// Remarks; without any files also the problems of those that were there before.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that these point into.
    pub texts: Texts,
}

impl Imported {
    /// Whether the files that were there are wrong, so that nothing was done.
    pub fn is_invalid(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

/// Imports.
///
/// # Errors
/// A directory that cannot be read or written, an API that does not answer, names that nothing has, a lock that is held.
pub async fn import(request: &Request, api: &Api, wanted: &Wanted) -> Result<Imported, PassError> {
    let mut looking = request.quiet_copy();
    // What secrets of the files that are there come to does not matter here.
    looking.files_only = true;
    let pass = look(&looking, api).await?;
    let (desired, mut diagnostics) = pass.desire(&Builds::pending());
    let mut out = Imported { scope: pass.reading.scope.clone(), ..Imported::default() };
    if has_errors(&diagnostics) {
        out.texts = pass.reading.texts.clone();
        out.diagnostics.append(&mut diagnostics);
        return Ok(out);
    }
    let rows = rows(api).await?;
    let chosen = chosen(&pass, api, &rows, &desired, wanted.names.as_deref()).await?;
    out.declared.clone_from(&chosen.declared);
    let drafts = drafts(request, &rows, &chosen, &mut out.left_out);
    out.left_out.extend(chosen.left_out);
    let _writing = wanted.write.then(stop::writing).transpose()?;
    let guard = match wanted.write && !drafts.is_empty() {
        true => lock::acquire(&pass, wanted.patience).await?,
        false => None,
    };
    let result = settle(request, api, &pass.reading, drafts, (wanted, guard.as_ref()), &mut out).await;
    if let Some(guard) = guard {
        guard.release().await;
    }
    out.left_out.sort_by(|a, b| a.key.cmp(&b.key));
    result.map(|()| out)
}

/// Reads what the directory declares; that it may be nothing is no problem.
async fn look<'a>(request: &'a Request, api: &'a Api) -> Result<Pass<'a>, PassError> {
    let mut reading = read::read(request)?;
    if reading.worktree.selected().is_some() {
        return Err(PassError::Usage("give the directory that files are written to, not a file".to_owned()));
    }
    reading.diagnostics.retain(|diagnostic| diagnostic.code != "E0170");
    let pass = Pass::over(request, Some(api), Python::AtApply, reading, None).await?;
    match &pass.asked.trouble {
        Some(trouble) => Err(PassError::Ledger(format!("{trouble}; {}", trouble.help()))),
        None => Ok(pass),
    }
}

/// Everything that the API holds and files can declare, every kind at once.
async fn rows(api: &Api) -> Result<Rows, PassError> {
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Flow);
    let asked = kinds.map(|kind| async move { Ok((kind, api.objects(kind, &Which::All).await?)) });
    let mut rows: Rows = futures_util::future::try_join_all(asked).await.map_err(PassError::Api)?.into_iter().collect();
    let flows = api.objects(Kind::Flow, &Which::All).await?;
    rows.insert(Kind::Flow, flows);
    for of_kind in rows.values_mut() {
        of_kind.sort_by(|a, b| (&a.0, a.1["id"].as_str()).cmp(&(&b.0, b.1["id"].as_str())));
    }
    Ok(rows)
}

async fn chosen(
    pass: &Pass<'_>,
    api: &Api,
    rows: &Rows,
    desired: &Desired,
    names: Option<&[Key]>,
) -> Result<Chosen, PassError> {
    let elsewhere = match pass.reading.project.ledger {
        true => api.owned_elsewhere(&pass.reading.scope).await?,
        false => BTreeMap::new(),
    };
    let declared = declared(desired, rows);
    let standing = Standing { declared: &declared, ledger: &pass.asked.ledger, elsewhere: &elsewhere };
    let mut chosen = choose(rows, &standing, names);
    // Flows are read for the names of their ids only.
    if names.is_none() {
        chosen.left_out.retain(|left| left.key.kind != Kind::Flow);
    }
    match chosen.nothing.first() {
        None => Ok(chosen),
        Some(key) => Err(PassError::Usage(nothing(key, rows))),
    }
}

/// What the files declare. A deployment whose flow only Python can name is known by its own name and its entrypoint.
fn declared(desired: &Desired, rows: &Rows) -> BTreeSet<Key> {
    let mut declared: BTreeSet<Key> = desired.objects.keys().chain(desired.deployments.keys()).cloned().collect();
    for wanted in desired.deployments.values().filter(|wanted| wanted.flow.contains('(')) {
        let entrypoint = wanted.fields.get("entrypoint").and_then(|tree| tree.as_str());
        let of_kind = rows.get(&Kind::Deployment).into_iter().flatten();
        let same = of_kind.filter(|(_, row)| row["name"] == wanted.name && row["entrypoint"].as_str() == entrypoint);
        declared.extend(same.map(|(key, _)| key.clone()));
    }
    declared
}

fn nothing(key: &Key, rows: &Rows) -> String {
    let names: Vec<&str> = rows.get(&key.kind).into_iter().flatten().map(|(key, _)| key.name.as_str()).collect();
    let hint = did_you_mean(&key.name, names.iter().copied()).unwrap_or_else(|| match names.len() {
        0 => "there is none of that kind".to_owned(),
        _ => format!("there are {}", names.iter().take(20).copied().collect::<Vec<_>>().join(", ")),
    });
    format!("the API has no {key}: {hint}")
}

fn drafts(request: &Request, rows: &Rows, chosen: &Chosen, left_out: &mut Vec<LeftOut>) -> Vec<Draft> {
    let mut workshop = Workshop::new(rows, &request.environment);
    let mut drafts = Vec::new();
    for (key, row) in rows.values().flatten().filter(|(key, _)| chosen.keys.contains(key)) {
        if key.kind == Kind::WorkQueue {
            continue;
        }
        let own = format!("{}/", key.name);
        let is_own = |queue: &&Key| queue.kind == Kind::WorkQueue && queue.name.starts_with(&own);
        let along = match key.kind {
            Kind::WorkPool => chosen.keys.iter().filter(is_own).cloned().collect(),
            _ => BTreeSet::new(),
        };
        match workshop.draft(key, row, &along) {
            Ok(draft) => drafts.push(draft),
            Err(why) => left_out.push(LeftOut { key: key.clone(), why, named: chosen.named.contains(key) }),
        }
    }
    drafts
}

/// Proves the drafts, writes what is left of them, and records that it is ours.
async fn settle(
    request: &Request,
    api: &Api,
    base: &Reading,
    drafts: Vec<Draft>,
    (wanted, guard): (&Wanted, Option<&Guard>),
    out: &mut Imported,
) -> Result<(), PassError> {
    if drafts.is_empty() {
        return Ok(());
    }
    let checking = with_secrets(request, &drafts);
    let named = |key: &Key| wanted.names.as_ref().is_some_and(|names| names.contains(key));
    let prover = Prover { request: &checking, api, base };
    let Some(proved) = prover.prove(drafts, &named, &mut out.left_out).await? else { return Ok(()) };
    included(base, &proved.files)?;
    out.diagnostics = proved.pass.diagnostics.iter().filter(|found| !found.labels.is_empty()).cloned().collect();
    out.texts = proved.pass.reading.texts.clone();
    if wanted.write {
        if request.stop.is_cancelled() {
            return Err(PassError::Interrupted);
        }
        proved.files.iter().try_for_each(|file| write(base, file))?;
        out.owned = take_over(api, base, &proved, guard).await?;
    }
    out.files = proved.files;
    out.drafts = proved.drafts;
    Ok(())
}

/// The request that proves: with what the API says that secrets are in the place of the environment's.
fn with_secrets(request: &Request, drafts: &[Draft]) -> Request {
    let mut checking = request.quiet_copy();
    checking.owning.adopt = true;
    for secret in drafts.iter().flat_map(|draft| &draft.secrets) {
        let value = crate::model::Tree::Secret(secret.value.clone()).revealed(&|_| None);
        let value = value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
        checking.environment.insert(secret.name.clone(), value);
    }
    checking
}

/// Files that no pattern of the project matches would declare nothing.
fn included(base: &Reading, files: &[File]) -> Result<(), PassError> {
    let project = &base.project;
    let (include, exclude) = (Globs::new(&project.include), Globs::new(&project.exclude));
    let fits = |path: &RepoPath| {
        include.as_ref().is_ok_and(|globs| globs.is_match(path.as_str()))
            && !exclude.as_ref().is_ok_and(|globs| globs.is_match(path.as_str()))
    };
    match files.iter().find(|file| file.path.as_str().ends_with(".yaml") && !fits(&file.path)) {
        None => Ok(()),
        Some(file) => Err(PassError::Usage(format!(
            "`{}` would be read by no pass: add it to `include` of reconcile.yaml, or take it out of `exclude`",
            file.path
        ))),
    }
}

/// Writes a file that is not there.
fn write(base: &Reading, file: &File) -> Result<(), PassError> {
    let failed = |source| PassError::Write { path: file.path.to_string(), source };
    let path = base.worktree.absolute(&file.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut handle = fs::OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    handle.write_all(file.text.as_bytes()).map_err(failed)
}

/// Records that the objects are ours; nothing of them is written.
async fn take_over(api: &Api, base: &Reading, proved: &Proved<'_>, guard: Option<&Guard>) -> Result<bool, PassError> {
    if !base.project.ledger {
        return Ok(false);
    }
    let planned = &proved.decided.planned;
    let mut keeper = Keeper::new(api, &base.scope, proved.decided.ledger.clone(), true);
    keeper.ledger.flows.extend(proved.pass.flows.to_remember().clone());
    keeper.ledger.flows = remember::bounded(&keeper.ledger.flows);
    for key in proved.drafts.iter().filter(|draft| draft.inert.is_none()).flat_map(Draft::keys) {
        let Some((id, declared)) = planned.ids.get(key).zip(planned.declared.get(key)) else { continue };
        keeper.record(key, id.clone(), declared.clone(), false);
    }
    if let Some(guard) = guard {
        guard.check().await.map_err(|lost| PassError::Ledger(format!("{lost}; the files are written")))?;
    }
    let saved = keeper.close().await;
    saved.map_err(|trouble| PassError::Ledger(format!("{trouble}; the files are written: {}", trouble.help())))?;
    Ok(true)
}
