//! What is known of the flows behind the entrypoints: read from their files, or asked of Python.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::flow::{self, Answer, Entrypoint, Reason, Sources};
use crate::model::plan::{LeftToPython, Plan};
use crate::model::{Kind, Origin, Path, RepoPath};
use crate::plan::desire::FlowAnswer;
use crate::plan::resolve::Filled;
use crate::python::{
    Candidate, HelperOptions, PythonError, PythonHelper, Question, candidates, fingerprint, parsed_version as parsed,
};
use crate::source::Worktree;
use crate::steps::environment;

use super::Request;
use super::error::PassError;
use super::gather::Asked;
use super::read::Reading;
use super::remember::Memory;

/// An entrypoint as seen from a directory.
type Seen = (RepoPath, String);

/// What is known of every flow.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    known: BTreeMap<Seen, FlowAnswer>,
    open: BTreeMap<Seen, Vec<Reason>>,
    /// What the ledger shall remember of what Python said, now or earlier.
    remembered: BTreeMap<String, Value>,
    /// Problems and remarks.
    pub diagnostics: Vec<Diagnostic>,
}

impl Answers {
    /// What the ledger remembers.
    pub fn to_remember(&self) -> &BTreeMap<String, Value> {
        &self.remembered
    }

    /// Why only Python can tell what a declaration's flow takes; nothing once that is known.
    pub fn left_to_python(&self, filled: &Filled) -> Vec<LeftToPython> {
        let reasons = self.open.get(&seen(filled)).into_iter().flatten();
        let told = |reason: &Reason| LeftToPython {
            parameter: reason.parameter.clone(),
            why: reason.text.clone(),
            origin: reason.origin.clone(),
        };
        reasons.map(told).collect()
    }

    /// Notes with every change of a deployment what only Python can tell of it.
    pub fn note(&self, all: &[Filled], plan: &mut Plan) {
        if self.open.is_empty() {
            return;
        }
        let places: BTreeMap<Origin, &Filled> =
            all.iter().map(|one| (one.selected.declaration.origin(), one)).collect();
        for change in plan.changes.iter_mut().filter(|change| change.key.kind == Kind::Deployment) {
            let declared = change.origin.as_ref().and_then(|origin| places.get(origin));
            change.left_to_python = declared.map(|one| self.left_to_python(one)).unwrap_or_default();
        }
    }

    /// What is known of a declaration's flow; `None` when it is invalid.
    pub fn of(&self, filled: &Filled) -> Option<&FlowAnswer> {
        self.known.get(&seen(filled))
    }
}

fn seen(filled: &Filled) -> Seen {
    (filled.selected.dir.clone(), filled.entrypoint.clone())
}

/// The version of the Python that would run the flows, told from files: of the first one in line that has Prefect, or
/// of what the repository asks for.
pub fn version(request: &Request, reading: &Reading) -> Option<(u8, u8)> {
    let home = request.environment.get("HOME").map(PathBuf::from);
    for one in pythons(request, reading).iter().filter(|one| one.path.exists()) {
        if fingerprint(one, home.as_deref()).is_some() {
            return crate::python::version(one);
        }
        if one.explicit {
            return None;
        }
    }
    declared_version(reading)
}

/// The oldest version of Python that the repository asks for: `.python-version`, or `requires-python` of pyproject.toml.
pub fn declared_version(reading: &Reading) -> Option<(u8, u8)> {
    let text = |name: &str| {
        let bytes = reading.worktree.read(&RepoPath::new(name)).ok().flatten()?;
        String::from_utf8(bytes).ok()
    };
    let pinned = text(".python-version").and_then(|text| parsed(text.lines().next()?));
    pinned.or_else(|| {
        let project: toml::Table = text("pyproject.toml")?.parse().ok()?;
        let wanted = project.get("project")?.get("requires-python")?.as_str()?;
        wanted.split(',').find_map(|part| parsed(part.trim().strip_prefix(">=")?))
    })
}

/// Reads the flows from their files. No code is run. `python` is asked for the version of Python where that matters.
pub fn read_statically(reading: &Reading, filled: &[Filled], python: impl FnOnce() -> Option<(u8, u8)>) -> Answers {
    let mut answers = Answers::default();
    let mut sources = Sources::new();
    let mut python = Some(python);
    let mut of_version = None;
    for one in filled {
        let seen = seen(one);
        if answers.known.contains_key(&seen) {
            continue;
        }
        let mut found = answer(&seen, &reading.worktree, &mut sources);
        if found.as_ref().is_ok_and(Answer::depends_on_version) {
            if let Some(python) = python.take() {
                of_version = python().map(|version| Sources::new().for_python(version));
            }
            if let Some(sources) = &mut of_version {
                found = answer(&seen, &reading.worktree, sources);
            }
        }
        match found {
            Ok(Answer::Known { facts, .. }) => {
                answers.known.insert(seen, facts.into());
            }
            Ok(Answer::NeedsPython(unsure)) => {
                answers.known.insert(seen.clone(), FlowAnswer::AtApply { name: unsure.name });
                answers.open.insert(seen, unsure.reasons);
            }
            Ok(Answer::Invalid(problems)) => {
                answers.diagnostics.extend(problems.into_iter().map(|problem| from_entrypoint(problem, one)));
            }
            Ok(Answer::NeedsFiles(_)) => unreachable!("`answer` asks until it is answered otherwise"),
            Err(problem) => answers.diagnostics.push(from_entrypoint(problem, one)),
        }
    }
    answers
}

/// Fills in what Python said on an earlier day, as far as it still holds. No code is run.
pub fn recall(request: &Request, reading: &Reading, asked: &Asked, answers: &mut Answers) {
    if answers.open.is_empty() || asked.ledger.flows.is_empty() {
        return;
    }
    let candidates = pythons(request, reading);
    let memory = Memory::new(request, reading, &asked.ledger, &candidates);
    for seen in answers.open.keys().cloned().collect::<Vec<Seen>>() {
        let Some((facts, (name, entry))) = memory.find(&seen.0, &seen.1) else { continue };
        answers.open.remove(&seen);
        answers.known.insert(seen, facts.into());
        answers.remembered.insert(name, entry);
    }
}

/// The files that a flow is made of, as far as they can be known without Python.
pub fn files_of(
    entrypoint: &str,
    dir: &RepoPath,
    worktree: &Worktree,
    sources: &mut Sources,
) -> Option<BTreeSet<RepoPath>> {
    match answer(&(dir.clone(), entrypoint.to_owned()), worktree, sources) {
        Ok(Answer::Known { files, .. }) => Some(files),
        Ok(Answer::NeedsPython(_) | Answer::Invalid(_) | Answer::NeedsFiles(_)) | Err(_) => None,
    }
}

/// A problem of a Python file, seen from the declaration that leads there.
fn from_entrypoint(problem: Diagnostic, filled: &Filled) -> Diagnostic {
    let place = filled.place(&Path::of("entrypoint"));
    if problem.labels.is_empty() { problem.at(place, "") } else { problem.at(place, "the entrypoint is given here") }
}

/// Asks the pure analysis until it needs no more files. Each round names at least one file that it has not seen.
fn answer(seen: &Seen, worktree: &Worktree, sources: &mut Sources) -> Result<Answer, Diagnostic> {
    let entrypoint: Entrypoint = seen.1.parse().map_err(|error: String| Diagnostic::error("E0200", error))?;
    loop {
        match flow::facts(&entrypoint, &seen.0, sources) {
            Answer::NeedsFiles(paths) => load(paths, worktree, sources),
            other => return Ok(other),
        }
    }
}

fn load(paths: BTreeSet<RepoPath>, worktree: &Worktree, sources: &mut Sources) {
    for path in paths {
        // A file that cannot be read is as good as absent to the analysis; importing it would fail just so.
        let bytes = if path.escapes() { None } else { worktree.read(&path).ok().flatten() };
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(Arc::from);
        sources.insert(path, text);
    }
}

/// Asks Python about the flows that could not be understood without it. This runs code of the repository.
///
/// # Errors
/// A helper that breaks off. Flows that Python cannot load are diagnostics.
pub async fn ask_python(
    request: &Request,
    reading: &Reading,
    asked: &Asked,
    filled: &[Filled],
    answers: &mut Answers,
) -> Result<(), PassError> {
    if answers.open.is_empty() || crate::diagnostic::has_errors(&answers.diagnostics) {
        return Ok(());
    }
    let mut helper = match start(request, reading).await {
        Ok(helper) => helper,
        Err(PassError::Python(error)) => {
            without_python(&error, filled, answers);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    (request.say)(&format!("asking {} about {}", helper.interpreter().path.display(), flows(answers.open.len())));
    let open: Vec<Seen> = answers.open.keys().cloned().collect();
    let question =
        |(dir, entrypoint): &Seen| Ok(Question { entrypoint: entrypoint.clone(), cwd: reading.workplace(dir)? });
    let questions = open.iter().map(question).collect::<Result<Vec<Question>, PassError>>()?;
    let python = helper.interpreter().path.clone();
    let candidates = pythons(request, reading);
    let memory = Memory::new(request, reading, &asked.ledger, &candidates);
    for (seen, answer) in open.into_iter().zip(helper.flow_facts(&questions).await) {
        match answer {
            Ok(answer) => {
                let files = answer.reads.and_then(|reads| within(reading, &reads));
                let entry = files.and_then(|files| memory.entry(&python, (&seen.0, &seen.1), &answer.facts, files));
                answers.remembered.extend(entry);
                answers.known.insert(seen.clone(), answer.facts.into());
            }
            Err(error) => {
                answers.known.remove(&seen);
                let problem = Diagnostic::error(error.code(), error.to_string()).help(error.help());
                let place = filled.iter().find(|one| self::seen(one) == seen);
                answers.diagnostics.push(match place {
                    Some(one) => from_entrypoint(problem, one),
                    None => problem,
                });
            }
        }
        answers.open.remove(&seen);
    }
    Ok(())
}

/// Absolute paths as paths of the repository; none if one of them lies elsewhere.
fn within(reading: &Reading, paths: &[PathBuf]) -> Option<BTreeSet<RepoPath>> {
    let root = reading.workplace(&RepoPath::new("")).ok()?;
    let top = match reading.export().ok()? {
        Some(export) => export.top().canonicalize().ok()?,
        None => reading.worktree.repository().to_owned(),
    };
    let one = |path: &PathBuf| {
        let above = root.ancestors().take_while(|dir| dir.starts_with(&top)).enumerate();
        above.into_iter().find_map(|(climbed, dir)| {
            let below = path.strip_prefix(dir).ok()?.to_str()?;
            Some(RepoPath::new(&format!("{}{below}", "../".repeat(climbed))))
        })
    };
    paths.iter().map(one).collect()
}

fn flows(n: usize) -> String {
    crate::report::count(n, "flow", "flows")
}

/// Where a Python may be, in the order in which it is looked for.
fn pythons(request: &Request, reading: &Reading) -> Vec<Candidate> {
    let root = reading.worktree.root();
    let configured = reading.project.python.as_ref().map(PathBuf::from);
    let mut found = candidates(request.python.as_deref(), configured.as_deref(), root, &request.environment);
    if let Some(path) = request.fallback_python.clone().filter(|_| !found.iter().any(|one| one.explicit)) {
        found.push(Candidate { path, named_by: "the private server", explicit: false });
    }
    found
}

/// Starts the helper in the environment that decision and documentation grant it.
///
/// # Errors
/// No usable Python, or a commit that cannot be written down.
pub async fn start(request: &Request, reading: &Reading) -> Result<PythonHelper, PassError> {
    let found = pythons(request, reading);
    let env = environment::foreign(&request.environment, &reading.project.step_env);
    let mut options = HelperOptions::new(reading.workplace(&RepoPath::new(""))?, env);
    options.cancel = request.stop.clone();
    Ok(PythonHelper::find(&found, options).await?)
}

/// Nothing can be deployed of a flow that nobody understands.
fn without_python(error: &PythonError, filled: &[Filled], answers: &mut Answers) {
    let open = std::mem::take(&mut answers.open);
    for (seen, reasons) in open {
        let Some(one) = filled.iter().find(|one| self::seen(one) == seen) else { continue };
        let mut problem = Diagnostic::error("E0264", format!("only Python can tell what `{}` takes", seen.1))
            .at(one.place(&Path::of("entrypoint")), "")
            .help(format!("{error}; {}", error.help()));
        for reason in reasons {
            if let Some(origin) = reason.origin {
                problem = problem.at(origin, reason.text);
            }
        }
        answers.known.remove(&seen);
        answers.diagnostics.push(problem);
    }
}
