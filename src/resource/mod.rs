//! What each kind of object is: its fields, how they compare, what their absence means. Rules only.

pub mod deployment;
pub mod schema_check;

/// How a declared field is compared with the API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// As a whole.
    Exact,
    /// As a set: order and repetition mean nothing.
    Set,
    /// Key by key, at every depth: keys that were never declared are somebody else's.
    Keys,
    /// Never a difference by itself; sent along with another change.
    Along,
}

/// One field of a kind.
pub struct Field {
    /// Its name in requests, in plans and in paths.
    pub name: &'static str,
    /// How it compares.
    pub compare: Compare,
    /// What it is when nobody says anything, as JSON text: sent on create, and when it leaves git.
    pub default: &'static str,
}

impl Field {
    /// The default as a value.
    pub fn default_value(&self) -> serde_json::Value {
        serde_json::from_str(self.default).expect("the table holds JSON")
    }
}
