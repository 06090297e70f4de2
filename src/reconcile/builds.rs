//! Build and push steps: each distinct list runs once in a pass, and not at all while nothing it sees has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Mutex;

use crate::manifest::project::BuildCache;
use crate::model::{Map, RepoPath, Tree};
use crate::plan::resolve::Filled;
use crate::python::{PythonHelper, StepCall};
use crate::render::{Filling, Missing, env_as_values, fill, fill_blocks, fill_variables, references};
use crate::steps::{
    Foreign, ForeignAnswer, ForeignCall, Masker, StepError, StepEvent, StepProblem, StepScope, Stream, digest,
    environment, foreign_by, needs_python, run as run_steps,
};

use super::error::PassError;
use super::sight::Sight;
use super::{Pass, flows};

/// The helper process, once something needed it, and its interpreter.
type Helper = Option<(PathBuf, Arc<Mutex<PythonHelper>>)>;

/// The steps of one declaration.
type List = (RepoPath, String);

/// What the builds gave, as far as they have run.
#[derive(Clone, Debug, Default)]
pub struct Builds {
    outputs: BTreeMap<List, Map>,
    /// Outputs under the digest of everything that they depend on.
    remembered: BTreeMap<String, Value>,
    /// Whether a list without outputs has yet to run.
    pending: bool,
}

impl Builds {
    /// Nothing has run.
    pub fn pending() -> Self {
        Builds { pending: true, ..Builds::default() }
    }

    /// The outputs that a declaration's templates are filled with, and whether some are still to come.
    pub fn of(&self, filled: &Filled) -> (Map, bool) {
        let list = list(filled);
        let known = self.outputs.get(&list);
        let waits = known.is_none() && self.pending && has_steps(filled);
        let mut outputs = known.cloned().unwrap_or_default();
        outputs.extend(filled.selected.job_variable_outputs.clone());
        (outputs, waits)
    }

    /// What the ledger remembers.
    pub fn to_remember(&self) -> &BTreeMap<String, Value> {
        &self.remembered
    }
}

/// Whether something has yet to run.
pub fn are_open(pass: &Pass<'_>, builds: &Builds) -> bool {
    pass.filled.iter().any(|filled| has_steps(filled) && !builds.outputs.contains_key(&list(filled)))
}

fn has_steps(filled: &Filled) -> bool {
    !filled.build_steps().is_empty() || !filled.push_steps().is_empty()
}

fn list(filled: &Filled) -> List {
    let steps = Tree::List(vec![Tree::List(filled.build_steps()), Tree::List(filled.push_steps())]);
    (filled.selected.dir.clone(), steps.masked().to_string())
}

/// The builds whose outputs the ledger still knows, because nothing that they see has changed.
pub fn remembered(pass: &Pass<'_>) -> Builds {
    let mut builds = Builds::pending();
    for filled in pass.filled.iter().filter(|filled| has_steps(filled)) {
        if builds.outputs.contains_key(&list(filled)) {
            continue;
        }
        let Some(key) = cache_key(pass, filled) else { continue };
        if let Some(Tree::Map(outputs)) = pass.asked.ledger.builds.get(&key).map(Tree::from) {
            builds.remembered.insert(key.clone(), pass.asked.ledger.builds[&key].clone());
            builds.outputs.insert(list(filled), outputs);
        }
    }
    builds
}

/// The digest of what a build sees: its steps, files, the environment that it names, and the commit if it asks git.
/// Other commits that change none of these change nothing. `None`
/// when that cannot be told, or is not wanted.
fn cache_key(pass: &Pass<'_>, filled: &Filled) -> Option<String> {
    let reading = &pass.reading;
    if reading.project.build_cache == BuildCache::Never {
        return None;
    }
    let steps: Vec<Tree> = filled.build_steps().into_iter().chain(filled.push_steps()).collect();
    let mut refers = references(&Tree::List(steps.clone()));
    // What secrets or the workspace's variables put into a step is not kept, not even as a digest.
    if !refers.blocks.is_empty() || !refers.variables.is_empty() || !refers.block_ids.is_empty() {
        return None;
    }
    let mut seen = String::new();
    let dir = &filled.selected.dir;
    let mut names: BTreeSet<String> = BTreeSet::new();
    if reading.project.build_cache == BuildCache::Changed {
        let git = reading.git.as_ref()?;
        let sight = Sight::of(&steps, dir, &reading.worktree, &reading.project.step_env);
        if sight.commit {
            seen.push_str(&git.commit);
        }
        let climbs = git.subdir.as_str().split('/').filter(|part| !part.is_empty()).count();
        let whole = RepoPath::new(&"../".repeat(climbs));
        let part = if sight.above { &whole } else { dir };
        seen.push_str(&reading.worktree.tree_digest(part).ok()??);
        names = sight.env;
    }
    refers.env.extend(std::mem::take(&mut refers.outputs));
    names.extend(refers.env.keys().map(|name| name.trim_start_matches('$').to_owned()));
    for name in &names {
        let value = pass.request.environment.get(name).map(String::as_str).unwrap_or_default();
        seen.push_str(&format!("\0{name}={value}"));
    }
    let secret = crate::model::Secret::text(seen).digest(&pass.asked.ledger.digest_key);
    Some(digest(&steps, &reading.worktree.absolute(dir), &secret))
}

/// Runs what has not run. This runs code of the repository.
///
/// # Errors
/// The first step that fails; nothing has been written to the API then.
pub async fn run(pass: &Pass<'_>, mut builds: Builds) -> Result<Builds, PassError> {
    let mut helper: Helper = None;
    for filled in pass.filled.iter().filter(|filled| has_steps(filled)) {
        let list = list(filled);
        if builds.outputs.contains_key(&list) {
            continue;
        }
        if pass.request.stop.is_cancelled() {
            return Err(PassError::Interrupted);
        }
        let (build, push) = (filled.build_steps(), filled.push_steps());
        if helper.is_none() && (needs_python(&build) || needs_python(&push)) {
            let started = flows::start(pass.request, &pass.reading).await?;
            helper = Some((started.interpreter().path.clone(), Arc::new(Mutex::new(started))));
        }
        let outputs = run_list(pass, filled, &build, &push, &helper).await?;
        if let Some(key) = cache_key(pass, filled)
            && !holds_secrets(pass, &outputs)
            && !names_the_copy(pass, &outputs)
            && let Some(value) = Tree::Map(outputs.clone()).revealed(&|_| None)
        {
            builds.remembered.insert(key, value);
        }
        builds.outputs.insert(list, outputs);
    }
    builds.pending = false;
    Ok(builds)
}

/// Hides the values that steps name, wherever in a command they end up: a text that holds a secret is not the secret
/// itself, and what a command prints of it is not that text.
fn hide<'s>(pass: &Pass<'_>, steps: impl Iterator<Item = &'s Tree>, masker: &mut Masker) {
    let facts = &pass.asked.facts;
    let refers = references(&Tree::List(steps.cloned().collect()));
    for name in refers.env.keys().chain(refers.outputs.keys()) {
        if let Some(value) = facts.env.get(name.trim_start_matches('$')) {
            masker.add_referenced(value);
        }
    }
    for block in facts.blocks.by_name.values().chain(facts.blocks.by_id.values()) {
        masker.add_referenced(block);
    }
}

/// Whether outputs hold something that must not stand in the ledger: a sealed value, or the value of a variable of
/// the environment that is a credential by its name.
fn holds_secrets(pass: &Pass<'_>, outputs: &Map) -> bool {
    const WORDS: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "AUTH"];
    let outputs = Tree::Map(outputs.clone());
    let shown = outputs.masked().to_string();
    let named = |name: &str| WORDS.iter().any(|word| name.to_ascii_uppercase().contains(word));
    let leaks = |(name, value): (&String, &String)| named(name) && value.len() >= 4 && shown.contains(value.as_str());
    outputs.has_secret() || pass.request.environment.iter().any(leaks)
}

/// Whether outputs name the copy of a commit in which the steps ran: it is gone after the pass.
fn names_the_copy(pass: &Pass<'_>, outputs: &Map) -> bool {
    let copy = pass.reading.export().ok().flatten().and_then(|export| export.top().to_str());
    copy.is_some_and(|top| Tree::Map(outputs.clone()).any(&|tree| tree.as_str().is_some_and(|text| text.contains(top))))
}

async fn run_list(
    pass: &Pass<'_>,
    filled: &Filled,
    build: &[Tree],
    push: &[Tree],
    helper: &Helper,
) -> Result<Map, PassError> {
    let request = pass.request;
    let dir = pass.reading.workplace(&filled.selected.dir)?;
    let mut fill = |inputs: &Tree, outputs: &Map| inputs_of(pass, inputs, outputs);
    let env = environment::native(&request.environment, &pass.reading.project.step_env);
    let mut scope = StepScope::new(dir.clone(), env, &mut fill);
    scope.cancel = request.stop.clone();
    hide(pass, build.iter().chain(push), &mut scope.masker);
    scope.import_paths = import_paths(filled, &dir);
    scope.python = helper.as_ref().map(|(path, _)| path.clone());
    let process = helper.as_ref().map(|(_, process)| Arc::clone(process));
    let mut call = foreign_by(move |call: ForeignCall, sink| {
        let process = process.clone();
        Box::pin(async move {
            match process {
                Some(process) => ask(&mut *process.lock().await, call, sink).await,
                None => Err("there is no Python to run it".to_owned()),
            }
        })
    });
    scope.foreign = Some(&mut call as &mut Foreign<'_>);
    let say = |event: StepEvent| tell(request, &event);
    for (word, steps) in [("build", build), ("push", push)] {
        if !steps.is_empty() {
            (request.say)(&format!("running the {word} steps of {}", filled.name));
        }
        run_steps(steps, &mut scope, &say).await.map_err(|error| failed(filled, error))?;
    }
    Ok(std::mem::take(&mut scope.outputs))
}

fn failed(filled: &Filled, error: StepError) -> PassError {
    let help = error.help();
    PassError::Step { deployment: filled.name.clone(), error: Box::new(error), help }
}

/// Python finds modules beside the flow's file first, then in the directory of the prefect.yaml.
fn import_paths(filled: &Filled, dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let file = filled.entrypoint.rsplit_once(':').map(|(file, _)| file).filter(|file| file.ends_with(".py"));
    let beside = file.and_then(|file| dir.join(file).parent().map(std::path::Path::to_owned));
    beside.into_iter().chain([dir.to_owned()]).collect()
}

/// Fills the inputs of a step in Prefect's order: outputs so far, blocks, variables, environment.
fn inputs_of(pass: &Pass<'_>, inputs: &Tree, outputs: &Map) -> Result<Tree, StepProblem> {
    let facts = &pass.asked.facts;
    let problem = |problems: Vec<crate::render::TemplateProblem>| {
        StepProblem::Template(problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; "))
    };
    let filling =
        Filling { values: outputs, env: &facts.env, missing: Missing::Remove, skip_prefixes: &[], pending: false };
    let nothing = || Tree::Map(Map::new());
    let filled = fill(inputs, &filling, &mut Vec::new()).map_err(problem)?.unwrap_or_else(nothing);
    let filled = fill_blocks(&filled, &facts.blocks).map_err(problem)?;
    let filled = fill_variables(&filled, &facts.variables, &mut Vec::new()).map_err(problem)?;
    let values = env_as_values(&facts.env, &filled);
    let filled = fill(&filled, &Filling { values: &values, ..filling }, &mut Vec::new()).map_err(problem)?;
    Ok(filled.unwrap_or_else(nothing))
}

async fn ask(
    helper: &mut PythonHelper,
    call: ForeignCall,
    sink: crate::steps::OutputSink<'_>,
) -> Result<ForeignAnswer, String> {
    let call = StepCall {
        fqn: call.fqn,
        inputs: call.inputs,
        requires: call.requires,
        cwd: call.cwd,
        env: call.env,
        import_paths: call.import_paths,
    };
    let mut output = |stream: crate::python::Stream, text: &str| {
        let stream = match stream {
            crate::python::Stream::Stdout => Stream::Stdout,
            crate::python::Stream::Stderr => Stream::Stderr,
        };
        sink(stream, text);
    };
    let answer = helper.run_step(&call, &mut output).await.map_err(|error| error.to_string())?;
    Ok(ForeignAnswer { outputs: answer.outputs, cwd: answer.cwd, env: answer.env, warnings: answer.warnings })
}

fn tell(request: &super::Request, event: &StepEvent) {
    match event {
        StepEvent::Started { name, .. } => (request.say)(&format!(" > {name}")),
        StepEvent::Output { line, .. } => (request.say)(&format!("   {line}")),
        StepEvent::Warning { message, .. } => (request.say)(&format!("   warning: {message}")),
        StepEvent::Finished { .. } => {}
    }
}
