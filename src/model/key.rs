//! `Kind` and `Key`: how an object of the API is named, independent of its server id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of object on a Prefect API, in the order in which listings show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A block type with its schema.
    BlockType,
    /// A block document, named `type-slug/name`.
    Block,
    /// A variable.
    Variable,
    /// A work pool.
    WorkPool,
    /// A work queue, named `pool/queue`.
    WorkQueue,
    /// A global concurrency limit.
    ConcurrencyLimit,
    /// A tag concurrency limit, named by its tag.
    TagConcurrencyLimit,
    /// A flow.
    Flow,
    /// A deployment, named `flow/name`.
    Deployment,
    /// An automation.
    Automation,
}

impl Kind {
    /// Every kind, in listing order.
    pub const ALL: [Kind; 10] = [
        Kind::BlockType,
        Kind::Block,
        Kind::Variable,
        Kind::WorkPool,
        Kind::WorkQueue,
        Kind::ConcurrencyLimit,
        Kind::TagConcurrencyLimit,
        Kind::Flow,
        Kind::Deployment,
        Kind::Automation,
    ];

    /// The word used in files, on the command line and in JSON, such as `work_pool`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::BlockType => "block_type",
            Kind::Block => "block",
            Kind::Variable => "variable",
            Kind::WorkPool => "work_pool",
            Kind::WorkQueue => "work_queue",
            Kind::ConcurrencyLimit => "concurrency_limit",
            Kind::TagConcurrencyLimit => "tag_concurrency_limit",
            Kind::Flow => "flow",
            Kind::Deployment => "deployment",
            Kind::Automation => "automation",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One object: its kind and its natural name. Orders listings and names ledger entries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it is.
    pub kind: Kind,
    /// Its natural name: `flow/name` for deployments, `type/name` for blocks, else the plain name.
    pub name: String,
}

impl Key {
    /// Names an object.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Key { kind, name: name.into() }
    }

    /// Names a deployment by its flow's name and its own.
    pub fn deployment(flow: &str, name: &str) -> Self {
        Key::new(Kind::Deployment, format!("{flow}/{name}"))
    }

    /// Whether it is an automation of a trigger of that deployment: `flow/name/trigger`.
    pub fn hangs_on(&self, deployment: &Key) -> bool {
        let below = self.name.strip_prefix(&deployment.name);
        self.kind == Kind::Automation && below.is_some_and(|rest| rest.starts_with('/'))
    }

    /// What it is a part of: the type of a block, the pool of a queue.
    pub fn whole(&self) -> Option<Key> {
        let kind = match self.kind {
            Kind::Block => Kind::BlockType,
            Kind::WorkQueue => Kind::WorkPool,
            Kind::BlockType
            | Kind::Variable
            | Kind::WorkPool
            | Kind::ConcurrencyLimit
            | Kind::TagConcurrencyLimit
            | Kind::Flow
            | Kind::Deployment
            | Kind::Automation => return None,
        };
        self.name.split_once('/').map(|(name, _)| Key::new(kind, name))
    }

    /// Whether it is the queue that every pool has.
    pub fn is_default_queue(&self) -> bool {
        self.kind == Kind::WorkQueue && self.name.ends_with("/default")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Parses `kind/name` (as typed on the command line) and `kind name` (as printed).
impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = text.find(['/', ' ']).ok_or_else(|| format!("`{text}` is not of the form KIND/NAME"))?;
        let (word, name) = (&text[..at], &text[at + 1..]);
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(|| {
            let known = Kind::ALL.map(Kind::word).join(", ");
            format!("`{word}` is not a kind; kinds are {known}")
        })?;
        if name.is_empty() {
            return Err(format!("`{text}` has no name after `{word}`"));
        }
        Ok(Key::new(kind, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_prints_and_parses_as_itself() {
        for kind in Kind::ALL {
            let key = Key::new(kind, "etl/nightly run");
            assert_eq!(key.to_string().parse::<Key>(), Ok(key.clone()));
            assert_eq!(format!("{kind}/etl/nightly run").parse::<Key>(), Ok(key));
        }
    }

    #[test]
    fn an_unknown_kind_lists_the_known_ones() {
        let error = "deploymnt/etl/prod".parse::<Key>().expect_err("not a kind");
        assert!(error.contains("work_pool") && error.contains("deploymnt"), "{error}");
    }
}
