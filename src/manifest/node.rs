//! `Node`: a YAML value as PyYAML constructs it, with the place where it stands.

use std::sync::Arc;

use jiff::civil::{Date, DateTime};
use serde_json::Number;

use crate::model::{Origin, Path, RepoPath, Seg, Span};

/// A value and its place in the file. A value reached through an alias keeps the place of its anchor.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What PyYAML's safe loader makes of it.
    pub value: Value,
    /// Where it stands.
    pub span: Span,
    /// The file, where it is not the one that everything around it stands in: values of overlays.
    pub elsewhere: Option<Arc<Elsewhere>>,
}

/// Another file than the one that is read.
#[derive(Debug, PartialEq)]
pub struct Elsewhere {
    /// The file.
    pub file: RepoPath,
    /// Its text.
    pub text: Arc<str>,
}

/// The Python objects that `yaml.safe_load` can give.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`
    Null,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(Number),
    /// `float`; may be infinite or not a number.
    Float(f64),
    /// `str`
    Text(String),
    /// `datetime.date`
    Date(Date),
    /// A naive `datetime.datetime`.
    Naive(DateTime),
    /// An aware `datetime.datetime`: the time as written, and its offset from UTC in seconds.
    Aware(DateTime, i32),
    /// `bytes`
    Bytes(Vec<u8>),
    /// `list` (also what `!!omap` and `!!pairs` give, as lists of two-item lists).
    List(Vec<Node>),
    /// `set`
    Set(Vec<Node>),
    /// `dict`; keys keep the place of the first occurrence, values are those of the last.
    Map(Vec<(Node, Node)>),
}

impl Value {
    /// The Python-free name of its type for messages: `text`, `a list`, …
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Int(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::Date(_) => "a date",
            Value::Naive(_) | Value::Aware(..) => "a date and time",
            Value::Bytes(_) => "binary data",
            Value::List(_) => "a list",
            Value::Set(_) => "a set",
            Value::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// A value in the file that is read.
    pub fn new(value: Value, span: Span) -> Node {
        Node { value, span, elsewhere: None }
    }

    /// Where it stands, in `file` unless it comes from another one.
    pub fn origin(&self, file: &RepoPath) -> Origin {
        let file = self.elsewhere.as_ref().map_or(file, |elsewhere| &elsewhere.file);
        Origin::new(file.clone(), self.span)
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Key and value of an entry of a mapping.
    pub fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        self.entries().iter().find(|(k, _)| k.as_str() == Some(key)).map(|(k, v)| (k, v))
    }

    /// The value under a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The value under a key of a mapping, taken out of it.
    pub fn into_value(self, key: &str) -> Option<Node> {
        match self.value {
            Value::Map(entries) => entries.into_iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The key that a path ends with, or the nearest node above it.
    pub fn nearest_key(&self, path: &Path) -> &Node {
        let mut above = path.clone();
        let Some(last) = above.0.pop() else { return self };
        let holder = self.nearest(&above);
        match &last {
            Seg::Key(key) => holder.entry(key).map_or(holder, |(key, _)| key),
            Seg::Item(_) => self.nearest(path),
        }
    }

    /// The node at a path, or the nearest one above it: diagnostics about values that were derived point there.
    pub fn nearest(&self, path: &Path) -> &Node {
        let mut node = self;
        for seg in &path.0 {
            let next = match seg {
                Seg::Key(key) => node.get(key),
                Seg::Item(item) => item.parse::<usize>().ok().and_then(|i| node.items().get(i)),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }
}
