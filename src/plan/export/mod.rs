//! What the API holds → files that declare it: the way back. Whether they declare just that is proved by planning them.

mod automations;
mod blocks;
mod choose;
mod deployments;
mod files;
mod limits;
mod pools;
mod secrets;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::manifest::resources::block_of;
use crate::model::{Key, Kind, Path, RepoPath, Tree};

pub use choose::{Chosen, LeftOut, Standing, choose};
pub use files::{File, files};
pub use secrets::{Hidden, Names};

/// The rows of the API by key, automations that share a name included.
pub type Rows = BTreeMap<Kind, Vec<(Key, Value)>>;

/// One object in the words of a file.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its kind and natural name.
    pub key: Key,
    /// What is declared along with it: the queues of a pool.
    pub along: Vec<Key>,
    /// The item.
    pub item: Map<String, Value>,
    /// What has to be said about it, a line each.
    pub notes: Vec<String>,
    /// Its secrets, which the file only names.
    pub secrets: Vec<Hidden>,
    /// What stands in a file of its own: the base job template of a pool.
    pub template: Option<Value>,
    /// Why it can only be shown and not be declared, if so.
    pub inert: Option<String>,
}

impl Draft {
    fn of(key: &Key) -> Self {
        let (along, notes, secrets) = Default::default();
        Draft { key: key.clone(), along, item: Map::new(), notes, secrets, template: None, inert: None }
    }

    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.item.insert(key.to_owned(), value.into());
    }

    /// Everything that it declares.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.key).chain(&self.along)
    }
}

/// What the drafts of all kinds are made with.
pub struct Workshop<'a> {
    /// The rows of the API.
    pub rows: &'a Rows,
    /// The names of the variables that secrets are taken from.
    pub names: Names<'a>,
    keys: BTreeMap<&'a str, &'a Key>,
}

impl<'a> Workshop<'a> {
    /// Opens it over what the API holds; `environment` is that of the process.
    pub fn new(rows: &'a Rows, environment: &'a BTreeMap<String, String>) -> Self {
        let ids = rows.values().flatten().filter_map(|(key, row)| Some((row["id"].as_str()?, key)));
        Workshop { rows, names: Names::new(environment), keys: ids.collect() }
    }

    /// One object in the words of a file; or why it cannot be said in them.
    pub fn draft(&mut self, key: &Key, row: &Value, along: &BTreeSet<Key>) -> Result<Draft, String> {
        match key.kind {
            Kind::BlockType => Ok(blocks::block_type(key, row)),
            Kind::Block => blocks::block(key, row, &mut self.names),
            Kind::Variable => {
                misread(&row["value"], &Path::of("value"), &|map| source_key(map))?;
                Ok(limits::variable(key, row))
            }
            Kind::WorkPool => {
                misread(&row["base_job_template"], &Path::of("base_job_template"), &|map| block_key(map))?;
                Ok(pools::pool(key, row, self.queues(along), self))
            }
            Kind::ConcurrencyLimit => Ok(limits::global(key, row)),
            Kind::TagConcurrencyLimit => Ok(limits::of_tag(key, row)),
            Kind::Automation => automations::automation(key, row, self),
            Kind::Deployment => deployments::deployment(key, row),
            Kind::WorkQueue => Err("a work queue is declared with its pool".to_owned()),
            Kind::Flow => Err("a flow is declared by its deployments".to_owned()),
        }
    }

    /// The queues of those keys, by priority.
    fn queues(&self, along: &BTreeSet<Key>) -> Vec<&'a (Key, Value)> {
        let all = self.rows.get(&Kind::WorkQueue).into_iter().flatten();
        let mut queues: Vec<&(Key, Value)> = all.filter(|(key, _)| along.contains(key)).collect();
        queues.sort_by_key(|(key, row)| (row["priority"].as_i64().unwrap_or(i64::MAX), key.clone()));
        queues
    }

    /// What an id of the API belongs to.
    fn named(&self, id: &str) -> Option<&'a Key> {
        self.keys.get(id).copied()
    }

    /// The same with `{ block: type/name }` in the place of references by id, at any depth.
    fn with_names(&self, value: &Value) -> Value {
        match value {
            Value::Object(map) => match self.block(value) {
                Some(block) => block,
                None => map.iter().map(|(key, value)| (key.clone(), self.with_names(value))).collect(),
            },
            Value::Array(items) => items.iter().map(|item| self.with_names(item)).collect(),
            other => other.clone(),
        }
    }

    fn block(&self, reference: &Value) -> Option<Value> {
        let only = reference.as_object().filter(|map| map.len() == 1)?.get("$ref")?;
        let id = only.as_object().filter(|map| map.len() == 1)?.get("block_document_id")?.as_str()?;
        let key = self.named(id).filter(|key| key.kind == Kind::Block)?;
        Some(serde_json::json!({ "block": key.name }))
    }
}

/// The key of a mapping that a file reads as the place that a value comes from.
fn source_key(map: &Map<String, Value>) -> Option<&'static str> {
    ["from_env", "from_file"].into_iter().find(|word| map.contains_key(*word))
}

/// The key of a mapping that a file reads as a block.
fn block_key(map: &Map<String, Value>) -> Option<&'static str> {
    let is_block = map.len() == 1 && block_of(&Tree::from(&Value::Object(map.clone()))).is_some();
    is_block.then_some("block")
}

/// Looks for mappings in a value that a file would read as something else than themselves.
///
/// # Errors
/// Why the value cannot be written down.
fn misread(
    value: &Value,
    at: &Path,
    read_as: &dyn Fn(&Map<String, Value>) -> Option<&'static str>,
) -> Result<(), String> {
    match value {
        Value::Object(map) => match read_as(map) {
            Some(word) => Err(format!(
                "`{at}` is a mapping with the key `{word}`, which a file reads as a reference and not as data: no file can \
                 say it, so leave it to whoever made it"
            )),
            None => map.iter().try_for_each(|(key, value)| misread(value, &at.key(key), read_as)),
        },
        Value::Array(items) => items.iter().enumerate().try_for_each(|(n, item)| misread(item, &at.item(n), read_as)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Where a base job template is written.
pub fn template_path(pool: &str) -> RepoPath {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = pool.chars().map(plain).collect();
    RepoPath::new(&format!("work_pools/{}.json", name.trim_start_matches('.')))
}

/// A number without a fraction of nothing.
fn whole(value: &Value) -> Value {
    /// Beyond, not every whole number is a float.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    match value.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < LARGEST) {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and not too large")]
        Some(n) => Value::from(n as i64),
        None => value.clone(),
    }
}

/// Whether a value is as nothing were said.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
