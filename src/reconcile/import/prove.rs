//! Files that were drafted, as a plan would read them: what is not to be said as it is comes to light before it is
//! written.

use crate::api::Api;
use crate::diagnostic::{Diagnostic, Severity, has_errors};
use crate::model::plan::{Action, Change};
use crate::model::{Key, Kind, RepoPath};
use crate::plan::export::{Draft, File, LeftOut, files};

use super::super::builds;
use super::super::error::PassError;
use super::super::read::Reading;
use super::super::{Decided, Pass, Python, Request};

/// What the flow's code says, and no file.
const OF_THE_CODE: [&str; 2] = ["parameter_openapi_schema", "description"];

/// Files that plan to nothing.
pub struct Proved<'a> {
    /// What they declare.
    pub drafts: Vec<Draft>,
    /// The files.
    pub files: Vec<File>,
    /// The pass over them.
    pub pass: Pass<'a>,
    /// What it decided.
    pub decided: Decided,
}

/// Proves drafts.
pub struct Prover<'a> {
    /// How the files are read.
    pub request: &'a Request,
    /// The API.
    pub api: &'a Api,
    /// The directory as it is.
    pub base: &'a Reading,
}

impl<'a> Prover<'a> {
    /// Plans the drafts and takes out what does not come to nothing, until what is left does; none if nothing is left.
    ///
    /// # Errors
    /// An API that does not answer.
    pub async fn prove(
        &self,
        mut drafts: Vec<Draft>,
        named: &dyn Fn(&Key) -> bool,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<Option<Proved<'a>>, PassError> {
        // Every round takes out at least one.
        loop {
            if drafts.iter().all(|draft| draft.inert.is_some()) {
                return Ok(None);
            }
            let files = files(&drafts, &|path| self.exists(path));
            let (pass, decided) = self.plan(&files).await?;
            let complaints = complaints(&drafts, &files, &decided);
            if complaints.is_empty() {
                return Ok(Some(Proved { drafts, files, pass, decided }));
            }
            for (key, why) in complaints {
                left_out.push(LeftOut { named: named(&key), key: key.clone(), why: why.clone() });
                match key.kind {
                    // With its code at hand it can be declared.
                    Kind::Deployment => {
                        drafts.iter_mut().filter(|draft| draft.key == key).for_each(|d| d.inert = Some(why.clone()));
                    }
                    _ => drafts.retain(|draft| draft.key != key),
                }
            }
        }
    }

    fn exists(&self, path: &RepoPath) -> bool {
        self.base.worktree.absolute(path).symlink_metadata().is_ok()
    }

    async fn plan(&self, files: &[File]) -> Result<(Pass<'a>, Decided), PassError> {
        let texts: Vec<(RepoPath, String)> = files.iter().map(|file| (file.path.clone(), file.text.clone())).collect();
        let reading = self.base.holding(self.request.env_name.as_deref(), &texts);
        let pass = Pass::over(self.request, Some(self.api), Python::Ask, reading, None).await?;
        let decided = pass.decide(&builds::remembered(&pass)).await?;
        Ok((pass, decided))
    }
}

/// Which drafts do not come to nothing, and why.
fn complaints(drafts: &[Draft], files: &[File], decided: &Decided) -> Vec<(Key, String)> {
    let live = || drafts.iter().filter(|draft| draft.inert.is_none());
    if !has_errors(&decided.diagnostics) {
        return live().filter_map(|draft| Some((draft.key.clone(), difference(draft, decided)?))).collect();
    }
    let errors = || decided.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let about = |draft: &&Draft| errors().find(|error| places(error, files).any(|key| *key == draft.key));
    let told: Vec<(Key, String)> = live().filter_map(|draft| Some((draft.key.clone(), said(about(&draft)?)))).collect();
    if !told.is_empty() {
        return told;
    }
    // Nobody knows whose mistake it is.
    let why = errors().next().map(said).unwrap_or_default();
    live().map(|draft| (draft.key.clone(), why.clone())).collect()
}

fn said(error: &Diagnostic) -> String {
    format!("{} ({})", error.message, error.code)
}

/// The objects at whose places a diagnostic points.
fn places<'f>(error: &'f Diagnostic, files: &'f [File]) -> impl Iterator<Item = &'f Key> {
    error.labels.iter().filter_map(|label| {
        let file = files.iter().find(|file| file.path == label.origin.file)?;
        let line = label.origin.span.line as usize;
        file.places.iter().rev().find(|(first, _)| *first <= line).map(|(_, key)| key)
    })
}

/// Why a draft does not come to nothing.
fn difference(draft: &Draft, decided: &Decided) -> Option<String> {
    let plan = &decided.planned.plan;
    draft.keys().find_map(|key| {
        if let Some(held) = plan.held.iter().find(|held| held.key == *key) {
            return Some(held.reason.clone());
        }
        match plan.changes.iter().find(|change| change.key == *key) {
            Some(change) if change.action == Action::Adopt && change.fields.is_empty() => None,
            Some(change) => Some(changed(change)),
            None if decided.planned.declared.contains_key(key) => None,
            None => Some("its code here belongs to a flow of another name".to_owned()),
        }
    })
}

fn changed(change: &Change) -> String {
    let mut paths: Vec<String> = change.fields.iter().map(|field| field.path.to_string()).collect();
    paths.dedup();
    let shown = paths.iter().take(5).map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
    if change.key.kind == Kind::Deployment && change.action == Action::Create {
        return "its code here belongs to a flow of another name".to_owned();
    }
    if paths.iter().all(|path| OF_THE_CODE.iter().any(|field| path.starts_with(field))) {
        return format!("its code here is not the code that was deployed: an apply would change {shown}");
    }
    let kind = match change.key.kind {
        Kind::Deployment => "Prefect fills in templates there, and no file can say",
        _ => "no file can say",
    };
    format!("{kind} what {shown} holds")
}
