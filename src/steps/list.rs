//! Running a list: read a step, fill its inputs, run it, keep its outputs (Prefect 3.8.8 deployments/steps/core.py).

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::environment::Env;
use super::error::{StepError, StepProblem};
use super::foreign::{Foreign, ForeignCall};
use super::mask::{Lines, Masker};
use super::names::{self, Native};
use super::step::{self, Step};
use super::{directory, pip, shell};
use crate::model::{Map, Secret, Tree};

/// One of the two streams of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something to tell while steps run. Texts are masked.
#[derive(Clone, Debug, PartialEq)]
pub enum StepEvent {
    /// A step begins.
    Started {
        /// Its position in the list, from 0.
        index: usize,
        /// The last part of the function's name.
        name: String,
        /// The function.
        fqn: String,
    },
    /// It printed a line.
    Output {
        /// The step.
        index: usize,
        /// Where it printed.
        stream: Stream,
        /// The line, without its end.
        line: String,
    },
    /// Something about it is worth knowing.
    Warning {
        /// The step.
        index: usize,
        /// The code of its page in `reconcile explain`; empty for the step's own warnings.
        code: &'static str,
        /// What.
        message: String,
    },
    /// It is done.
    Finished {
        /// The step.
        index: usize,
        /// Its outputs, secrets masked.
        outputs: Value,
    },
}

/// Who is told.
pub type Say<'a> = &'a (dyn Fn(StepEvent) + Send + Sync);

/// Fills the templates of a step's inputs, given the outputs so far; an error is [`StepProblem::Template`].
pub type Fill<'a> = dyn FnMut(&Tree, &Map) -> Result<Tree, StepProblem> + Send + 'a;

/// What the steps of one declaration share: its build list and then its push list.
pub struct StepScope<'a> {
    /// Where steps run; `set_working_directory` and foreign steps move it, for this declaration only.
    pub cwd: PathBuf,
    /// Outputs so far: bare names, and mappings under the ids of steps.
    pub outputs: Map,
    /// What native steps see: see [`super::environment::native`].
    pub env: Env,
    /// What foreign steps changed in the environment; applies to all later steps.
    pub env_changes: std::collections::BTreeMap<String, Option<String>>,
    /// Hides secrets in everything that is told. Those in filled inputs are added by themselves.
    pub masker: Masker,
    /// The project's Python, for pip.
    pub python: Option<PathBuf>,
    /// Where foreign functions are looked for first: the script's directory and the project's.
    pub import_paths: Vec<PathBuf>,
    /// Fills templates.
    pub fill: &'a mut Fill<'a>,
    /// Calls functions in Python; `None` where there is none.
    pub foreign: Option<&'a mut Foreign<'a>>,
    /// Ends the running step.
    pub cancel: CancellationToken,
}

impl<'a> StepScope<'a> {
    /// The beginning of a declaration: in `cwd`, with the environment of native steps, no outputs, no Python.
    pub fn new(cwd: impl Into<PathBuf>, env: Env, fill: &'a mut Fill<'a>) -> Self {
        StepScope {
            cwd: cwd.into(),
            outputs: Map::new(),
            env,
            env_changes: Default::default(),
            masker: Masker::default(),
            python: None,
            import_paths: Vec::new(),
            fill,
            foreign: None,
            cancel: CancellationToken::new(),
        }
    }
}

/// What a native step needs of its surroundings.
pub(super) struct Runner<'s> {
    pub index: usize,
    pub cwd: &'s Path,
    pub env: &'s Env,
    pub masker: &'s Masker,
    pub python: Option<&'s Path>,
    pub cancel: &'s CancellationToken,
    pub say: Say<'s>,
}

impl Runner<'_> {
    pub fn output(&self, stream: Stream, line: String) {
        (self.say)(StepEvent::Output { index: self.index, stream, line });
    }

    pub fn warn(&self, code: &'static str, message: String) {
        (self.say)(StepEvent::Warning { index: self.index, code, message: self.masker.mask(&message) });
    }
}

/// Whether some step of the list needs a Python. Steps that cannot be read do not.
pub fn needs_python(steps: &[Tree]) -> bool {
    steps.iter().filter_map(|item| step::read(0, item).ok().flatten()).any(|step| {
        !step.requires.is_empty() || !matches!(names::native(&step.fqn), Some(Native::Shell | Native::Directory))
    })
}

/// Whether some step of the list is code that nobody here knows: it neither runs here nor is one of Prefect's own.
/// Nothing tells what such a step looks at.
pub fn are_opaque(steps: &[Tree]) -> bool {
    let mut all = steps.iter().filter_map(|item| step::read(0, item).ok().flatten());
    all.any(|step| !names::is_prefects(&step.fqn))
}

/// Runs the steps in order and gives all outputs so far; `scope` keeps them, its directory and its environment for the
/// next list of the same declaration.
///
/// # Errors
/// The first step that fails; those after it have not run, those before it have.
pub async fn run(steps: &[Tree], scope: &mut StepScope<'_>, say: Say<'_>) -> Result<Map, StepError> {
    for (index, item) in steps.iter().enumerate() {
        let Some(step) = step::read(index, item)? else { continue };
        let fail = |problem| StepError { index, fqn: step.fqn.clone(), problem };
        if scope.cancel.is_cancelled() {
            return Err(fail(StepProblem::Cancelled));
        }
        announce(index, &step, say);
        let outputs = run_one(index, &step, scope, say).await.map_err(fail)?;
        if let Some(outputs) = outputs {
            say(StepEvent::Finished { index, outputs: Tree::Map(outputs.clone()).masked() });
            if let Some(id) = &step.id {
                scope.outputs.insert(id.clone(), Tree::Map(outputs.clone()));
            }
            scope.outputs.extend(outputs);
        } else {
            say(StepEvent::Finished { index, outputs: Value::Null });
        }
    }
    Ok(scope.outputs.clone())
}

fn announce(index: usize, step: &Step, say: Say<'_>) {
    say(StepEvent::Started { index, name: names::short(&step.fqn).to_owned(), fqn: step.fqn.clone() });
    if let Some(old) = &step.old_name {
        let message = format!("`{old}` is a name of Prefect 2: running `{}`", step.fqn);
        say(StepEvent::Warning { index, code: "W0650", message });
    }
}

async fn run_one(
    index: usize,
    step: &Step,
    scope: &mut StepScope<'_>,
    say: Say<'_>,
) -> Result<Option<Map>, StepProblem> {
    let inputs = (scope.fill)(&step.inputs, &scope.outputs)?;
    scope.masker.add_secrets_of(&inputs);
    let inputs = match inputs.revealed(&|_| None) {
        Some(Value::Object(inputs)) => inputs,
        Some(_) => return Err(StepProblem::NotInputs { found: step::kind(&inputs) }),
        None => return Err(StepProblem::Template("a value is not known yet".to_owned())),
    };
    let native = names::native(&step.fqn).filter(|_| step.requires.is_empty());
    let outputs = match native {
        Some(Native::Directory) => {
            let mut arguments = super::arguments::Arguments::new("set_working_directory", inputs);
            let directory = arguments.text("directory")?;
            arguments.finish()?;
            scope.cwd = directory::enter(&scope.cwd, &directory)?;
            let told = scope.cwd.to_string_lossy().into_owned();
            Some([("directory".to_owned(), Value::String(told))].into_iter().collect())
        }
        Some(native @ (Native::Shell | Native::Pip)) => {
            let env = changed(&scope.env, &scope.env_changes);
            let runner = Runner {
                index,
                cwd: &scope.cwd,
                env: &env,
                masker: &scope.masker,
                python: scope.python.as_deref(),
                cancel: &scope.cancel,
                say,
            };
            Some(match native {
                Native::Pip => pip::run(inputs, &runner).await?,
                Native::Shell | Native::Directory => shell::run(inputs, &runner).await?,
            })
        }
        None => call_foreign(index, step, inputs, scope, say).await?,
    };
    Ok(outputs.map(|outputs| outputs.into_iter().map(|(name, value)| (name, seal(&scope.masker, value))).collect()))
}

async fn call_foreign(
    index: usize,
    step: &Step,
    inputs: serde_json::Map<String, Value>,
    scope: &mut StepScope<'_>,
    say: Say<'_>,
) -> Result<Option<serde_json::Map<String, Value>>, StepProblem> {
    let foreign = scope.foreign.as_mut().ok_or(StepProblem::NoPython)?;
    let call = ForeignCall {
        fqn: step.fqn.clone(),
        inputs,
        requires: step.requires.clone(),
        cwd: scope.cwd.clone(),
        env: scope.env_changes.clone(),
        import_paths: scope.import_paths.clone(),
    };
    let masker = &scope.masker;
    let lines = |stream| Lines::new(masker, move |line| say(StepEvent::Output { index, stream, line }));
    let (mut stdout, mut stderr) = (lines(Stream::Stdout), lines(Stream::Stderr));
    let mut sink = |stream, text: &str| match stream {
        Stream::Stdout => stdout.push(text.as_bytes()),
        Stream::Stderr => stderr.push(text.as_bytes()),
    };
    let answer = tokio::select! {
        () = scope.cancel.cancelled() => Err(StepProblem::Cancelled),
        answer = foreign(call, &mut sink) => answer.map_err(|error| StepProblem::Foreign(masker.mask(&error))),
    };
    stdout.finish();
    stderr.finish();
    let answer = answer?;
    for warning in &answer.warnings {
        say(StepEvent::Warning { index, code: "", message: masker.mask(warning) });
    }
    scope.cwd = answer.cwd;
    scope.env_changes.extend(answer.env);
    Ok(answer.outputs)
}

fn changed(env: &Env, changes: &std::collections::BTreeMap<String, Option<String>>) -> Env {
    let mut env = env.clone();
    for (name, value) in changes {
        match value {
            Some(value) => env.insert(name.clone(), value.clone()),
            None => env.remove(name),
        };
    }
    env
}

/// An output that holds a secret stays one: it may be stored where it goes, but not shown.
fn seal(masker: &Masker, value: Value) -> Tree {
    match value {
        Value::String(text) if masker.covers(&text) => Tree::Secret(Secret::text(text)),
        Value::Array(items) => Tree::List(items.into_iter().map(|item| seal(masker, item)).collect()),
        Value::Object(map) => Tree::Map(map.into_iter().map(|(key, value)| (key, seal(masker, value))).collect()),
        plain => Tree::from(plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Floor 4 runs lists inside a `JoinSet`.
    #[test]
    fn a_running_list_may_move_between_threads() {
        fn may_move<T: Send>(_: &T) {}
        let mut fill = |inputs: &Tree, _: &Map| Ok(inputs.clone());
        let mut scope = StepScope::new("/", Env::new(), &mut fill);
        let running = run(&[], &mut scope, &|_| {});
        may_move(&running);
        drop(running);
        assert!(scope.outputs.is_empty());
    }
}
