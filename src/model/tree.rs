//! `Tree`: JSON, plus what JSON cannot say while planning.

use serde_json::{Number, Value};

use super::key::Key;
use super::map::Map;
use super::secret::{Secret, canonical};

/// A JSON-like value. Equality follows the API's: mappings compare without order, `1` equals `1.0`.
#[derive(Clone, Debug)]
pub enum Tree {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A mapping.
    Map(Map),
    /// A value that is never shown.
    Secret(Secret),
    /// The server's id of another object; also the edge by which that object comes first.
    IdOf(Key),
    /// Not known before something has run.
    Unknown(Unknown),
}

/// Why a value is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unknown {
    /// It is the output of a build or push step.
    AfterBuild,
    /// It is asked of Python when applying.
    AtApply,
    /// Only its digest was recorded.
    ByDigest,
}

impl Unknown {
    /// What plans print in the value's place.
    pub fn phrase(self) -> &'static str {
        match self {
            Unknown::AfterBuild => "after build",
            Unknown::AtApply => "at apply",
            Unknown::ByDigest => "by its digest only",
        }
    }
}

/// The label under which events tell a resource: ids below it are told with their kind.
const RESOURCE_ID: &str = "prefect.resource.id";

/// The name of an object in events: `prefect.deployment.ID`. Source: `prefect/server/events` (3.8.8).
fn resource(key: &Key, id: &str) -> String {
    use super::key::Kind;
    let kind = match key.kind {
        Kind::BlockType => "block-type",
        Kind::Block => "block-document",
        Kind::Variable => "variable",
        Kind::WorkPool => "work-pool",
        Kind::WorkQueue => "work-queue",
        Kind::ConcurrencyLimit => "concurrency-limit",
        Kind::TagConcurrencyLimit => "tag-concurrency-limit",
        Kind::Flow => "flow",
        Kind::Deployment => "deployment",
        Kind::Automation => "automation",
    };
    format!("prefect.{kind}.{id}")
}

impl Tree {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Tree::Text(text.into())
    }

    /// A whole number.
    pub fn int(n: i64) -> Self {
        Tree::Number(n.into())
    }

    /// The text of a text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Tree::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Tree]> {
        match self {
            Tree::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value under a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Tree> {
        self.as_map().and_then(|map| map.get(key))
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Tree::Null)
    }

    /// Python's notion of truth: false for null, false, 0, and empty text, list or mapping.
    pub fn is_truthy(&self) -> bool {
        match self {
            Tree::Null => false,
            Tree::Bool(b) => *b,
            Tree::Number(n) => n.as_f64() != Some(0.0),
            Tree::Text(text) => !text.is_empty(),
            Tree::List(items) => !items.is_empty(),
            Tree::Map(map) => !map.is_empty(),
            Tree::Secret(secret) => Tree::from(secret.reveal()).is_truthy(),
            Tree::IdOf(_) | Tree::Unknown(_) => true,
        }
    }

    /// Whether some part of it satisfies `test`.
    pub fn any(&self, test: &impl Fn(&Tree) -> bool) -> bool {
        test(self)
            || match self {
                Tree::List(items) => items.iter().any(|item| item.any(test)),
                Tree::Map(map) => map.values().any(|value| value.any(test)),
                _ => false,
            }
    }

    /// Whether some part of it is not known yet.
    pub fn has_unknown(&self) -> bool {
        self.any(&|tree| matches!(tree, Tree::Unknown(_)))
    }

    /// Whether some part of it is a secret.
    pub fn has_secret(&self) -> bool {
        self.any(&|tree| matches!(tree, Tree::Secret(_)))
    }

    /// What may be shown to anyone: secrets as `(sensitive)`, unknowns as `(known after build)`.
    pub fn masked(&self) -> Value {
        match self {
            Tree::Secret(secret) => Value::String(secret.to_string()),
            Tree::IdOf(key) => Value::String(format!("(id of {key})")),
            Tree::Unknown(why) => Value::String(format!("(known {})", why.phrase())),
            _ => self.convert(&Tree::masked),
        }
    }

    /// The true JSON, secrets included, for the wire and for comparing: `None` while something is unknown or an
    /// id is missing. `id` gives the server's id of another object.
    pub fn revealed(&self, id: &dyn Fn(&Key) -> Option<String>) -> Option<Value> {
        Some(match self {
            Tree::Secret(secret) => secret.reveal().clone(),
            Tree::IdOf(key) => Value::String(id(key)?),
            Tree::Unknown(_) => return None,
            Tree::List(items) => Value::Array(items.iter().map(|item| item.revealed(id)).collect::<Option<_>>()?),
            Tree::Map(map) => {
                let entry = |(k, v): (&String, &Tree)| {
                    let value = match k == RESOURCE_ID {
                        true => v.revealed(&|key| id(key).map(|id| resource(key, &id))),
                        false => v.revealed(id),
                    };
                    Some((k.clone(), value?))
                };
                Value::Object(map.iter().map(entry).collect::<Option<_>>()?)
            }
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) => self.convert(&Tree::masked),
        })
    }

    /// The same with the ids that are known in the place of references; the others stay.
    #[must_use]
    pub fn with_ids(&self, id: &dyn Fn(&Key) -> Option<String>) -> Tree {
        match self {
            Tree::IdOf(key) => id(key).map_or_else(|| self.clone(), Tree::Text),
            Tree::List(items) => Tree::List(items.iter().map(|item| item.with_ids(id)).collect()),
            Tree::Map(map) => {
                let value = |(k, v): (&String, &Tree)| match k == RESOURCE_ID {
                    true => v.with_ids(&|key| id(key).map(|id| resource(key, &id))),
                    false => v.with_ids(id),
                };
                Tree::Map(map.iter().map(|entry| (entry.0.clone(), value(entry))).collect())
            }
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::Secret(_) | Tree::Unknown(_) => {
                self.clone()
            }
        }
    }

    fn convert(&self, inner: &impl Fn(&Tree) -> Value) -> Value {
        match self {
            Tree::Null => Value::Null,
            Tree::Bool(b) => Value::Bool(*b),
            Tree::Number(n) => Value::Number(n.clone()),
            Tree::Text(text) => Value::String(text.clone()),
            Tree::List(items) => Value::Array(items.iter().map(inner).collect()),
            Tree::Map(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), inner(v))).collect()),
            Tree::Secret(_) | Tree::IdOf(_) | Tree::Unknown(_) => self.masked(),
        }
    }
}

impl From<&Value> for Tree {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Tree::Null,
            Value::Bool(b) => Tree::Bool(*b),
            Value::Number(n) => Tree::Number(n.clone()),
            Value::String(text) => Tree::Text(text.clone()),
            Value::Array(items) => Tree::List(items.iter().map(Tree::from).collect()),
            Value::Object(map) => Tree::Map(map.iter().map(|(k, v)| (k.clone(), Tree::from(v))).collect()),
        }
    }
}

impl From<Value> for Tree {
    fn from(value: Value) -> Self {
        Tree::from(&value)
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Tree::Text(text.to_owned())
    }
}

impl From<bool> for Tree {
    fn from(b: bool) -> Self {
        Tree::Bool(b)
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Tree::Null, Tree::Null) => true,
            (Tree::Bool(a), Tree::Bool(b)) => a == b,
            (Tree::Number(a), Tree::Number(b)) => {
                canonical(&Value::Number(a.clone())) == canonical(&Value::Number(b.clone()))
            }
            (Tree::Text(a), Tree::Text(b)) => a == b,
            (Tree::List(a), Tree::List(b)) => a == b,
            (Tree::Map(a), Tree::Map(b)) => a == b,
            (Tree::Secret(a), Tree::Secret(b)) => canonical(a.reveal()) == canonical(b.reveal()),
            // What the API returns is not sealed: a secret equals its own plain value.
            (Tree::Secret(a), plain) | (plain, Tree::Secret(a)) => Tree::from(a.reveal()) == *plain,
            (Tree::IdOf(a), Tree::IdOf(b)) => a == b,
            (Tree::Unknown(a), Tree::Unknown(b)) => a == b,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equality_is_the_apis() {
        assert_eq!(Tree::from(json!({"a": 1, "b": [2.0]})), Tree::from(json!({"b": [2], "a": 1.0})));
        assert_ne!(Tree::from(json!({"a": null})), Tree::from(json!({})));
        assert_ne!(Tree::from(json!(1)), Tree::from(json!(true)));
        assert_eq!(Tree::Secret(Secret::new(json!({"k": 1}))), Tree::from(json!({"k": 1})));
    }

    #[test]
    fn events_tell_ids_with_their_kind() {
        let reference = || Tree::IdOf(Key::deployment("etl", "nightly"));
        let map = |key: &str| Tree::Map(Map::from([(key.to_owned(), reference())]));
        let id = |_: &Key| Some("7".to_owned());
        assert_eq!(map("deployment_id").revealed(&id), Some(json!({"deployment_id": "7"})));
        let told = json!({"prefect.resource.id": "prefect.deployment.7"});
        assert_eq!(map("prefect.resource.id").revealed(&id), Some(told.clone()));
        assert_eq!(map("prefect.resource.id").with_ids(&id), Tree::from(told));
        assert_eq!(map("prefect.resource.id").with_ids(&|_| None), map("prefect.resource.id"));
    }

    #[test]
    fn masks_hide_and_reveal_refuses_unknowns() {
        let tree = Tree::Map(Map::from([
            ("token".to_owned(), Tree::Secret(Secret::text("hunter2"))),
            ("tag".to_owned(), Tree::Unknown(Unknown::AfterBuild)),
        ]));
        assert_eq!(tree.masked(), json!({"token": "(sensitive)", "tag": "(known after build)"}));
        assert_eq!(tree.revealed(&|_| None), None);
        assert!(tree.has_secret() && tree.has_unknown());
        assert!(!format!("{tree:?}").contains("hunter2"));
    }
}
