//! What each kind of object is: its fields, how they compare, what their absence means. Rules only.

pub mod automation;
pub mod block;
pub mod block_data;
pub mod block_schema;
pub mod block_type;
pub mod concurrency_limit;
pub mod deployment;
mod lax;
pub mod nested_types;
pub mod schema_check;
pub mod tag_limit;
pub mod variable;
pub mod work_pool;
pub mod work_queue;

use serde_json::Value;

use crate::model::Kind;

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

/// How the objects of one kind are described, compared and sent.
pub struct Rules {
    /// The fields that are compared and sent, in the order in which plans show them.
    pub fields: &'static [Field],
    /// Those of them that cannot be changed in place: another value makes it another object.
    pub fixed: &'static [&'static str],
}

static DEPLOYMENT: Rules = Rules { fields: &deployment::FIELDS, fixed: &[] };
static FLOW: Rules = Rules { fields: &[], fixed: &[] };

/// The rules of a kind. Those of flows are empty: files declare none.
pub fn rules(kind: Kind) -> &'static Rules {
    match kind {
        Kind::BlockType => &block_type::RULES,
        Kind::Block => &block::RULES,
        Kind::Variable => &variable::RULES,
        Kind::WorkPool => &work_pool::RULES,
        Kind::WorkQueue => &work_queue::RULES,
        Kind::ConcurrencyLimit => &concurrency_limit::RULES,
        Kind::TagConcurrencyLimit => &tag_limit::RULES,
        Kind::Flow => &FLOW,
        Kind::Deployment => &DEPLOYMENT,
        Kind::Automation => &automation::RULES,
    }
}

/// What the API's row says of a field of an object, in the form in which it is sent.
pub fn found(kind: Kind, row: &Value, field: &str) -> Value {
    match kind {
        Kind::BlockType => block_type::found(row, field),
        Kind::Block => block::found(row, field),
        Kind::Variable => variable::found(row, field),
        Kind::WorkPool => work_pool::found(row, field),
        Kind::WorkQueue => work_queue::found(row, field),
        Kind::ConcurrencyLimit => concurrency_limit::found(row, field),
        Kind::TagConcurrencyLimit => tag_limit::found(row, field),
        Kind::Flow => row.get(field).cloned().unwrap_or(Value::Null),
        Kind::Deployment => deployment::found(row, field),
        Kind::Automation => automation::found(row, field),
    }
}

/// The natural name of the object that a row of the API is about, where the row has all that is needed. A row of a
/// deployment has not: it holds its flow's id.
pub fn name(kind: Kind, row: &Value) -> Option<String> {
    match kind {
        Kind::BlockType => block_type::name(row),
        Kind::Block => block::name(row),
        Kind::Variable => variable::name(row),
        Kind::WorkPool => work_pool::name(row),
        Kind::WorkQueue => work_queue::name(row),
        Kind::ConcurrencyLimit => concurrency_limit::name(row),
        Kind::TagConcurrencyLimit => tag_limit::name(row),
        Kind::Flow => text(row, "name"),
        Kind::Deployment => None,
        Kind::Automation => automation::name(row),
    }
}

/// A text of a row.
fn text(row: &Value, key: &str) -> Option<String> {
    row[key].as_str().map(str::to_owned)
}
