//! Resource files: blocks, variables, pools, queues, limits, automations and block types as code.

mod automation;
mod block;
mod block_type;
mod concurrency_limit;
mod known_types;
mod lifecycle;
mod names;
mod reader;
mod references;
pub(super) mod schema;
mod tag_limit;
mod twice;
mod variable;
mod work_pool;
mod work_queue;

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::manifest::node::{Node, Value};
use crate::model::{Key, Map, Origin, Path, RepoPath};
use reader::Reader;

pub use automation::{sent_action, sent_trigger};
pub use known_types::{KnownType, known_types};
pub use references::{block_of, references};
pub use twice::twice;
pub use work_pool::storage_configuration;

/// The root keys of resource files, in the order in which they are documented.
pub const ROOT_KEYS: [&str; 7] =
    ["blocks", "variables", "work_pools", "concurrency_limits", "tag_concurrency_limits", "automations", "block_types"];

/// Root keys that mean nothing: a place for YAML anchors.
pub(super) const QUIET_ROOT_KEYS: [&str; 1] = ["definitions"];

/// One object as its file declares it, before environment, secrets and references are filled in.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its kind and natural name.
    pub key: Key,
    /// The file.
    pub file: RepoPath,
    /// The item as written; diagnostics about its values point into it.
    pub node: Node,
    /// What it declares, under the names that the API uses.
    pub fields: Map,
    /// Where in `node` a field stands that the API names otherwise, or that was moved there from elsewhere.
    pub places: IndexMap<String, Path>,
    /// How it is treated.
    pub lifecycle: Lifecycle,
}

impl Item {
    /// Where it is declared.
    pub fn origin(&self) -> Origin {
        self.node.origin(&self.file)
    }

    /// Where a part of its fields stands, or the nearest thing above that part.
    pub fn origin_of(&self, path: &Path) -> Origin {
        self.node.nearest(&self.written(path)).origin(&self.file)
    }

    /// A path below `fields` as a path below `node`.
    fn written(&self, path: &Path) -> Path {
        let Some((crate::model::Seg::Key(field), rest)) = path.0.split_first() else { return path.clone() };
        match self.places.get(field) {
            Some(place) => Path(place.0.iter().chain(rest).cloned().collect()),
            None => path.clone(),
        }
    }
}

/// `lifecycle:` of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lifecycle {
    /// Whether it may be deleted when it leaves git; `None` when nothing is said.
    pub prune: Option<bool>,
    /// Paths whose drift is nobody's business.
    pub ignore_drift: Vec<Path>,
    /// Whether one that exists and is nobody's becomes ours.
    pub adopt: bool,
    /// Its name before it was renamed.
    pub replaces: Option<String>,
}

/// Reads a whole file, whose `{{ vars.x }}` are filled already: what it declares, in order, and every problem.
///
/// What has no usable name is left out. Keys of `prefect.yaml` are its own reader's where the file has `deployments`.
pub fn read(path: &RepoPath, root: &Node) -> (Vec<Item>, Vec<Diagnostic>) {
    let mut reader = Reader { file: path, items: Vec::new(), diagnostics: Vec::new() };
    match &root.value {
        Value::Map(_) => entries(&mut reader, root),
        Value::Null => {}
        other => reader.error(
            "E0701",
            root,
            format!("the file holds {}, not a mapping", other.type_name()),
            format!("start with one of {} and a list below it", ROOT_KEYS.join(", ")),
        ),
    }
    let (items, mut diagnostics) = (reader.items, reader.diagnostics);
    diagnostics.extend(twice(&items));
    (items, diagnostics)
}

fn entries(reader: &mut Reader, root: &Node) {
    let shared = root.get("deployments").is_some();
    for (key, value) in root.entries() {
        match key.as_str() {
            Some("blocks") => reader.each("blocks", value, block::read),
            Some("variables") => reader.each("variables", value, variable::read),
            Some("work_pools") => reader.each("work_pools", value, work_pool::read),
            Some("concurrency_limits") => reader.each("concurrency_limits", value, concurrency_limit::read),
            Some("tag_concurrency_limits") => reader.each("tag_concurrency_limits", value, tag_limit::read),
            Some("automations") => reader.each("automations", value, automation::read),
            Some("block_types") => reader.each("block_types", value, block_type::read),
            Some(word) if QUIET_ROOT_KEYS.contains(&word) || (shared && is_prefects(word)) => {}
            Some(word) => reader.error(
                "E0700",
                key,
                format!("`{word}` is not a key of a resource file"),
                root_help(word).unwrap_or_else(|| format!("keys at the top are {}", ROOT_KEYS.join(", "))),
            ),
            None => reader.error("E0700", key, "a key at the top of a resource file must be text", "remove it"),
        }
    }
}

fn is_prefects(word: &str) -> bool {
    use super::prefect_yaml::{QUIET_ROOT_KEYS, ROOT_KEYS};
    ROOT_KEYS.contains(&word) || QUIET_ROOT_KEYS.contains(&word)
}

fn root_help(word: &str) -> Option<String> {
    match word {
        "work_queues" | "queues" => {
            Some("write the queues below their pool: `queues:` of an item of `work_pools`".into())
        }
        "global_concurrency_limits" => Some("write `concurrency_limits`".into()),
        "sops" => Some("the file is encrypted with SOPS; decrypt it before reconcile reads it".into()),
        _ => did_you_mean(word, ROOT_KEYS),
    }
}

#[cfg(test)]
mod tests;
