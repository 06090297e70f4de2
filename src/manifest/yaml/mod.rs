//! YAML exactly as PyYAML 6's `yaml.safe_load` reads it, with the place of every value and a diagnosis of every fault.
//!
//! Prefect reads its files with PyYAML's pure-Python safe loader: YAML 1.1, with leniencies and refusals of its own that no other
//! parser shares. The rooms behind one another, each following the module of PyYAML 6.0.3 (MIT licence) that it names:
//!
//! bytes → `text` → `scanner` (tokens) → `parser` (events) → `compose` (a graph) → `construct` (values)
//!
//! Beyond PyYAML: every value has a [`Span`](crate::model::Span), size and depth are limited, values that hold themselves are
//! refused, as are whole numbers that JSON clients cannot hold, and duplicate keys are warned of.

mod compose;
mod construct;
mod cursor;
mod equal;
mod explain;
mod fault;
mod limits;
mod messages;
mod parser;
mod resolve;
mod scalar;
mod scan_property;
mod scan_scalar;
mod scanner;
mod text;
mod token;
pub mod write;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::diagnostic::Diagnostic;
use crate::model::{Origin, RepoPath};

use super::node::Node;
use messages::Source;

/// A YAML file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its value; null for an empty file.
    pub root: Node,
    /// What is strange and still read: duplicate keys, with both places.
    pub warnings: Vec<Diagnostic>,
}

/// Reads the one document of a YAML file.
///
/// # Errors
/// A fault of form is reported alone: what follows it cannot be known. Values that cannot be built are reported all at once.
pub fn read(file: &RepoPath, bytes: &[u8]) -> Result<Document, Vec<Diagnostic>> {
    // Files come from anyone: a mistake of ours in one of them must not end a loop that serves many.
    catch_unwind(AssertUnwindSafe(|| read_unguarded(file, bytes))).unwrap_or_else(|_| {
        Err(vec![
            Diagnostic::error("E0118", "the YAML reader itself failed on this file")
                .at(Origin::whole(file.clone()), "")
                .help("this is a bug: please report it with the file, or with the part of it that suffices"),
        ])
    })
}

fn read_unguarded(file: &RepoPath, bytes: &[u8]) -> Result<Document, Vec<Diagnostic>> {
    let text = text::decode(file, bytes).map_err(|error| vec![error])?;
    let source = Source { file, text };
    let graph = compose::compose(&source).map_err(|error| vec![error])?;
    let (root, warnings) = construct::construct(&source, &graph)?;
    Ok(Document { root, warnings })
}

#[cfg(test)]
mod tests;
