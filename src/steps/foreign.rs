//! Steps that are not known here: handed to the Python that the caller has.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use serde_json::{Map, Value};

use super::list::Stream;

/// A function to call in Python.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignCall {
    /// `package.module.function`.
    pub fqn: String,
    /// Keyword arguments, secrets revealed.
    pub inputs: Map<String, Value>,
    /// Requirements to install if it cannot be imported.
    pub requires: Vec<String>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// What earlier steps changed in the environment: a value, or `None` for a variable taken away.
    pub env: BTreeMap<String, Option<String>>,
    /// Directories that come first when modules are looked for.
    pub import_paths: Vec<PathBuf>,
}

/// What it returned and changed.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignAnswer {
    /// The mapping it returned; `None` if it returned something else.
    pub outputs: Option<Map<String, Value>>,
    /// The working directory it left behind, for the steps after it.
    pub cwd: PathBuf,
    /// What it changed in the environment, for the steps after it.
    pub env: BTreeMap<String, Option<String>>,
    /// Deprecation warnings it raised.
    pub warnings: Vec<String>,
}

/// Where the function's prints go, in pieces as they come.
pub type OutputSink<'a> = &'a mut (dyn FnMut(Stream, &str) + Send);

/// The call under way; an error says what went wrong, in words.
pub type ForeignFuture<'a> = Pin<Box<dyn Future<Output = Result<ForeignAnswer, String>> + Send + 'a>>;

/// Calls a function in Python.
pub type Foreign<'f> = dyn for<'a> FnMut(ForeignCall, OutputSink<'a>) -> ForeignFuture<'a> + Send + 'f;

/// Lets the compiler see that a closure fits [`Foreign`] whatever the life of its sink.
pub fn foreign_by<F>(call: F) -> F
where
    F: for<'a> FnMut(ForeignCall, OutputSink<'a>) -> ForeignFuture<'a> + Send,
{
    call
}
