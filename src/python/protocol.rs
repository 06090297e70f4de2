//! The lines that the helper and we exchange: see `templates/helper.py`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::Failure;
use crate::model::FlowFacts;

/// The program that the interpreter runs, ready to be sent.
pub(super) const PROGRAM: &str = concat!(
    include_str!("../../templates/helper.py"),
    "\n",
    include_str!("../../templates/flow_facts.py"),
    "\n",
    include_str!("../../templates/run_step.py"),
    "\nmain()\n",
);

/// Reads [`PROGRAM`] from its standard input: the length in one line, then the text. The project's directory is taken
/// off `sys.path` first, so that a file there cannot stand in for a module of Python or Prefect.
pub(super) const BOOTSTRAP: &str = "import sys; sys.path[:] = [p for p in sys.path if p]; i = sys.stdin.buffer; \
    exec(compile(i.read(int(i.readline())), '<reconcile helper>', 'exec'))";

/// Which flow, seen from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// `path/to/file.py:function`, `package.module.function` or `package.module:function`.
    pub entrypoint: String,
    /// The directory in which `prefect deploy` would be called.
    pub cwd: PathBuf,
}

/// What Python says of a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowAnswer {
    /// What a deployment needs to know.
    pub facts: FlowFacts,
    /// Why the file could not be imported, when Prefect read the flow from its syntax instead.
    pub fallback: Option<String>,
    /// The files that the answer rests on, absolute, existing or not; none if it rests on more than files.
    pub reads: Option<Vec<PathBuf>>,
}

/// A step function to call.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StepCall {
    /// `package.module.function`.
    pub fqn: String,
    /// Its keyword arguments, secrets revealed.
    pub inputs: Map<String, Value>,
    /// Requirements to install if it cannot be imported.
    pub requires: Vec<String>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// Changes to the helper's environment: a value, or `None` to take the variable away.
    pub env: BTreeMap<String, Option<String>>,
    /// Directories that come first when modules are looked for.
    pub import_paths: Vec<PathBuf>,
}

/// What a step function returned and changed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct StepAnswer {
    /// The mapping it returned; `None` if it returned something else.
    pub outputs: Option<Map<String, Value>>,
    /// The working directory it left behind.
    pub cwd: PathBuf,
    /// Environment variables it set, or took away.
    pub env: BTreeMap<String, Option<String>>,
    /// Deprecation warnings it raised, each once.
    pub warnings: Vec<String>,
}

/// One of the two streams of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What the helper says first.
#[derive(Debug, Deserialize)]
pub(super) struct Greeting {
    pub python: String,
    pub prefect: Option<String>,
    pub error: Option<String>,
}

/// What it says later: an answer has `ok` or `error`, all else is output of a running step.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub id: u64,
    pub stream: Option<Stream>,
    #[serde(default)]
    pub text: String,
    pub ok: Option<Value>,
    pub error: Option<Failure>,
}

/// The facts as they come over the wire.
#[derive(Debug, Deserialize)]
pub(super) struct RawFacts {
    #[serde(flatten)]
    facts: FlowFacts,
    fallback: Option<String>,
    reads: Option<Vec<PathBuf>>,
}

impl From<RawFacts> for FlowAnswer {
    fn from(raw: RawFacts) -> Self {
        FlowAnswer { facts: raw.facts, fallback: raw.fallback, reads: raw.reads }
    }
}
