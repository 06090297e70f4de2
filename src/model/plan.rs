//! `Plan`: the changes that would make the API equal to the repository.

use serde::{Serialize, Serializer};

use super::key::Key;
use super::origin::Origin;
use super::path::Path;
use super::tree::Tree;

/// What happens to one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is made.
    Create,
    /// Some of its fields are changed in place.
    Update,
    /// It is deleted and made anew, because a field cannot be changed in place.
    Replace,
    /// It is deleted.
    Delete,
    /// It exists, is equal, and becomes ours; nothing is written to it.
    Adopt,
    /// It stops being ours; nothing is written to it.
    Release,
}

impl Action {
    /// The symbol in front of its line.
    pub fn symbol(self) -> char {
        match self {
            Action::Create => '+',
            Action::Update => '~',
            Action::Replace => '∓',
            Action::Delete => '-',
            Action::Adopt => '=',
            Action::Release => '.',
        }
    }
}

/// Why it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Because {
    /// The repository changed.
    Git,
    /// Somebody changed the object on the API since we last applied.
    Drift,
    /// It left the repository.
    Orphan,
    /// A build step's output changed.
    Build,
}

/// One field that differs. `None` stands for absent.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// Which field.
    pub path: Path,
    /// What the API holds.
    pub before: Option<Tree>,
    /// What it will hold.
    pub after: Option<Tree>,
}

/// Something about an object that only Python can tell: it is asked when applying.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftToPython {
    /// The flow's parameter, if it is about one.
    pub parameter: Option<String>,
    /// Why it cannot be read from the files: one sentence without a final full stop.
    pub why: String,
    /// The place in the Python file.
    pub origin: Option<Origin>,
}

/// What happens to one object, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The object.
    pub key: Key,
    /// What happens.
    pub action: Action,
    /// Why.
    pub because: Because,
    /// Where it is declared; `None` for orphans.
    pub origin: Option<Origin>,
    /// What differs, by path. Empty for adoption and release.
    pub fields: Vec<FieldChange>,
    /// What follows from it, in words: `24 planned runs move; next at …`.
    pub impact: Vec<String>,
    /// What is not known before Python is asked.
    pub left_to_python: Vec<LeftToPython>,
    /// The changes that come first, if they are in the plan: of what is made, what it needs; of what is deleted, what
    /// needed it.
    pub after: Vec<Key>,
}

impl Change {
    /// A change of which nothing more is known yet.
    pub fn new(key: Key, action: Action, because: Because) -> Change {
        Change {
            key,
            action,
            because,
            origin: None,
            fields: Vec::new(),
            impact: Vec::new(),
            left_to_python: Vec::new(),
            after: Vec::new(),
        }
    }
}

/// Something that should happen and does not, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The object.
    pub key: Key,
    /// What would happen.
    pub action: Action,
    /// Why it does not, and how to let it.
    pub reason: String,
}

/// How many objects each action concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// To create.
    pub create: usize,
    /// To change in place.
    pub update: usize,
    /// To delete and make anew.
    pub replace: usize,
    /// To delete.
    pub delete: usize,
    /// To take over as they are.
    pub adopt: usize,
    /// To let go.
    pub release: usize,
    /// Already as declared.
    pub unchanged: usize,
    /// Held back.
    pub held: usize,
}

/// Everything that would change, in the order of keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What changes.
    pub changes: Vec<Change>,
    /// What is held back.
    pub held: Vec<Held>,
    /// How many declared objects are already as declared.
    pub unchanged: usize,
}

impl Plan {
    /// Counts by action.
    pub fn summary(&self) -> Summary {
        let count = |action| self.changes.iter().filter(|change| change.action == action).count();
        Summary {
            create: count(Action::Create),
            update: count(Action::Update),
            replace: count(Action::Replace),
            delete: count(Action::Delete),
            adopt: count(Action::Adopt),
            release: count(Action::Release),
            unchanged: self.unchanged,
            held: self.held.len(),
        }
    }

    /// Whether applying it would do nothing at all.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
