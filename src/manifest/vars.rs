//! `{{ vars.x }}`: values of reconcile.yaml, filled into a file before anything else is.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Number;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::manifest::node::{Node, Value};
use crate::model::{Map, Origin, RepoPath, Span, Tree};

/// Prefect's own form of a placeholder, whose name begins with `vars.`.
static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{\s*vars\.([\w.\-\[\]$]+)\s*\}\}").expect("a constant pattern"));

/// How much text filling may add to one file, in bytes.
const LIMIT: usize = 16 * 1024 * 1024;

/// How often a name is looked up, split at one dot or another. Keys can hold dots, so that a name with many of them can
/// be split in more ways than anyone could try.
const SPLITS: usize = 1000;

/// So many unknown names get a suggestion, and so many known ones are compared for it.
const SUGGESTIONS: usize = 100;

/// Replaces `{{ vars.x }}` in every text of a file, keys of mappings excepted. A text that is nothing but one
/// placeholder becomes the value with its type; within a longer text the value is written as Prefect writes the
/// values of its own placeholders. Values are not filled in turn.
///
/// Without any `vars` nothing is touched: `vars` may then be the id of a build step.
pub fn fill_vars(file: &RepoPath, node: Node, vars: &Map) -> (Node, Vec<Diagnostic>) {
    if vars.is_empty() {
        return (node, Vec::new());
    }
    let mut filler = Filler { file, vars, room: Some(LIMIT), diagnostics: Vec::new() };
    let filled = filler.node(&node);
    (filled, filler.diagnostics)
}

struct Filler<'a> {
    file: &'a RepoPath,
    vars: &'a Map,
    /// Bytes that may still be added; none once more was wanted.
    room: Option<usize>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Filler<'a> {
    fn node(&mut self, node: &Node) -> Node {
        let value = match &node.value {
            Value::Text(text) => self.text(text, node.span),
            Value::List(items) => Value::List(items.iter().map(|item| self.node(item)).collect()),
            Value::Set(items) => Value::Set(items.iter().map(|item| self.node(item)).collect()),
            Value::Map(entries) => Value::Map(entries.iter().map(|(k, v)| (k.clone(), self.node(v))).collect()),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Date(_)
            | Value::Naive(_)
            | Value::Aware(..)
            | Value::Bytes(_) => node.value.clone(),
        };
        Node { value, span: node.span, elsewhere: node.elsewhere.clone() }
    }

    fn text(&mut self, text: &str, span: Span) -> Value {
        match PLACEHOLDER.captures(text) {
            None => Value::Text(text.to_owned()),
            Some(found) if found[0].len() == text.len() => self.whole(text, &found[1], span),
            Some(_) => Value::Text(self.within(text, span)),
        }
    }

    fn whole(&mut self, text: &str, name: &str, span: Span) -> Value {
        let Some(tree) = self.look_up(name, span) else { return Value::Text(text.to_owned()) };
        let filled = to_value(tree, span);
        match filled {
            Some(value) if self.take(size(tree), span) => value,
            Some(_) => Value::Text(text.to_owned()),
            None => {
                self.unusable(name, "is not known while files are read", span);
                Value::Text(text.to_owned())
            }
        }
    }

    fn within(&mut self, text: &str, span: Span) -> String {
        PLACEHOLDER
            .replace_all(text, |found: &Captures<'_>| {
                let kept = found[0].to_owned();
                let Some(tree) = self.look_up(&found[1], span) else { return kept };
                let Some(word) = scalar(tree) else {
                    self.unusable(&found[1], "is not a plain value, so it cannot stand within a text", span);
                    return kept;
                };
                if self.take(word.len(), span) { word } else { kept }
            })
            .into_owned()
    }

    /// The value under a name: a key of `vars`, or keys joined by dots.
    fn look_up(&mut self, name: &str, span: Span) -> Option<&'a Tree> {
        let found = find(self.vars, name, &mut { SPLITS });
        if found.is_none() {
            let known = || self.vars.keys().map(String::as_str).take(SUGGESTIONS);
            let near = if self.diagnostics.len() < SUGGESTIONS { did_you_mean(name, known()) } else { None };
            let help = near.unwrap_or_else(|| format!("`vars` of reconcile.yaml has {}", listed(known())));
            self.diagnostics.push(
                Diagnostic::error("E0125", format!("unknown variable `vars.{name}`"))
                    .at(Origin::new(self.file.clone(), span), "")
                    .help(help),
            );
        }
        found
    }

    fn unusable(&mut self, name: &str, why: &str, span: Span) {
        let origin = Origin::new(self.file.clone(), span);
        self.diagnostics.push(Diagnostic::error("E0126", format!("variable `vars.{name}` {why}")).at(origin, ""));
    }

    fn take(&mut self, bytes: usize, span: Span) -> bool {
        let Some(room) = self.room else { return false };
        self.room = room.checked_sub(bytes);
        if self.room.is_none() {
            let origin = Origin::new(self.file.clone(), span);
            self.diagnostics.push(
                Diagnostic::error("E0127", format!("filling `vars` makes `{}` larger than 16 MiB", self.file))
                    .at(origin, "the limit is reached here"),
            );
        }
        self.room.is_some()
    }
}

fn find<'a>(vars: &'a Map, name: &str, splits: &mut usize) -> Option<&'a Tree> {
    if let Some(tree) = vars.get(name) {
        return Some(tree);
    }
    name.match_indices('.').find_map(|(dot, _)| {
        *splits = splits.checked_sub(1)?;
        find(vars.get(&name[..dot])?.as_map()?, &name[dot + 1..], splits)
    })
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.take(20).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A value as a node whose every part stands where the placeholder stands.
fn to_value(tree: &Tree, span: Span) -> Option<Value> {
    let node = |tree: &Tree| Some(Node::new(to_value(tree, span)?, span));
    Some(match tree {
        Tree::Null => Value::Null,
        Tree::Bool(b) => Value::Bool(*b),
        Tree::Number(n) => number(n),
        Tree::Text(text) => Value::Text(text.clone()),
        Tree::List(items) => Value::List(items.iter().map(node).collect::<Option<_>>()?),
        Tree::Map(map) => Value::Map(
            map.iter()
                .map(|(key, value)| Some((Node::new(Value::Text(key.clone()), span), node(value)?)))
                .collect::<Option<_>>()?,
        ),
        Tree::Secret(_) | Tree::IdOf(_) | Tree::Unknown(_) => return None,
    })
}

fn number(n: &Number) -> Value {
    match n.as_f64() {
        Some(f) if n.is_f64() => Value::Float(f),
        _ => Value::Int(n.clone()),
    }
}

/// Python's `str()` of a plain value.
fn scalar(tree: &Tree) -> Option<String> {
    match tree {
        Tree::Null => Some("None".to_owned()),
        Tree::Bool(true) => Some("True".to_owned()),
        Tree::Bool(false) => Some("False".to_owned()),
        Tree::Number(n) => Some(n.to_string()),
        Tree::Text(text) => Some(text.clone()),
        Tree::List(_) | Tree::Map(_) | Tree::Secret(_) | Tree::IdOf(_) | Tree::Unknown(_) => None,
    }
}

/// About how many bytes a value takes.
fn size(tree: &Tree) -> usize {
    match tree {
        Tree::Text(text) => text.len() + 8,
        Tree::List(items) => items.iter().map(size).sum::<usize>() + 8,
        Tree::Map(map) => map.iter().map(|(key, value)| key.len() + size(value)).sum::<usize>() + 8,
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Secret(_) | Tree::IdOf(_) | Tree::Unknown(_) => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn vars(value: serde_json::Value) -> Map {
        Tree::from(value).as_map().unwrap().clone()
    }

    fn text(text: &str) -> Node {
        Node::new(Value::Text(text.to_owned()), Span::default())
    }

    fn fill(words: &str, values: serde_json::Value) -> (Value, Vec<Diagnostic>) {
        let (node, diagnostics) = fill_vars(&RepoPath::new("prefect.yaml"), text(words), &vars(values));
        (node.value, diagnostics)
    }

    #[test]
    fn a_whole_text_keeps_the_type_and_a_part_is_written_as_python_would() {
        let values = json!({"n": 3, "t": "stable", "b": true, "f": 1.5, "none": null, "image": {"tag": "x"}, "a.b": 1});
        let one = |words: &str| fill(words, values.clone()).0;
        assert_eq!(one("{{ vars.n }}"), Value::Int(3.into()));
        assert_eq!(one("{{vars.f}}"), Value::Float(1.5));
        assert_eq!(one("{{ vars.none }}"), Value::Null);
        assert_eq!(one("{{ vars.a.b }}"), Value::Int(1.into()));
        assert_eq!(one("{{ vars.image }}"), Value::Map(vec![(text("tag"), text("x"))]));
        let mixed = "a{{ vars.n }}:{{ vars.t }} {{ vars.b }} {{ vars.f }} {{ vars.none }} {{ vars.image.tag }}";
        assert_eq!(one(mixed), Value::Text("a3:stable True 1.5 None x".into()));
        assert_eq!(one(" {{ vars.n }}"), Value::Text(" 3".into()));
        assert_eq!(one("{{ build.tag }} {{ $X }}"), Value::Text("{{ build.tag }} {{ $X }}".into()));
    }

    #[test]
    fn every_text_of_a_tree_is_filled_but_keys_are_not() {
        let key = text("{{ vars.t }}");
        let root = Node {
            value: Value::Map(vec![(key.clone(), Node::new(Value::List(vec![key.clone()]), key.span))]),
            span: key.span,
            elsewhere: None,
        };
        let (filled, diagnostics) = fill_vars(&RepoPath::new("p"), root, &vars(json!({"t": "{{ vars.t }}!"})));
        assert_eq!(filled.entries()[0].0, key);
        assert_eq!(filled.entries()[0].1.items(), [text("{{ vars.t }}!")]);
        assert_eq!(diagnostics, []);
    }

    #[test]
    fn what_cannot_be_filled_is_said_and_left() {
        let (value, diagnostics) = fill("{{ vars.tga }} {{ vars.list }}", json!({"tag": 1, "list": [1]}));
        assert_eq!(value, Value::Text("{{ vars.tga }} {{ vars.list }}".into()));
        assert_eq!(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["E0125", "E0126"]);
        assert_eq!(diagnostics[0].help.as_deref(), Some("did you mean `tag`?"));
    }

    #[test]
    fn without_vars_nothing_is_touched() {
        let (value, diagnostics) = fill("{{ vars.stdout }}", json!({}));
        assert_eq!((value, diagnostics), (Value::Text("{{ vars.stdout }}".into()), vec![]));
    }

    #[test]
    fn names_that_split_in_many_ways_are_given_up() {
        let mut vars = vars(json!({"b": 1}));
        for _ in 0..8 {
            let inner = Tree::Map(vars);
            vars = Map::from([("a".to_owned(), inner.clone()), ("a.a".to_owned(), inner)]);
        }
        assert_eq!(find(&vars, "a.a.a.a.a.a.a.a.b", &mut { SPLITS }), Some(&Tree::int(1)));
        let mut splits = 100;
        assert_eq!(find(&vars, &"a.".repeat(16), &mut splits), None);
        assert_eq!(splits, 0);
    }

    #[test]
    fn growth_has_a_limit() {
        let words = "{{ vars.big }}.".repeat(100);
        let (value, diagnostics) = fill(&words, json!({"big": "x".repeat(1 << 20)}));
        assert_eq!(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["E0127"]);
        assert!(matches!(value, Value::Text(text) if text.len() < LIMIT + words.len()));
    }
}
