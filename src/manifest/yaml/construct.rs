//! The graph of a document → its values, as the safe constructor of PyYAML 6.0.3 (`yaml/constructor.py`) builds them: merge
//! keys are spread, keys compared as Python does, and what Python cannot build is refused. All such problems are found in one go.

use std::collections::BTreeSet;
use std::rc::Rc;

use indexmap::IndexMap;
use indexmap::map::Entry;

use crate::diagnostic::Diagnostic;
use crate::manifest::node::{Node, Value};
use crate::model::Span;

use super::compose::{Content, Graph, Id};
use super::equal::{Identity, identity};
use super::limits::{NODES, TEXT};
use super::messages::Source;
use super::resolve::Tag;
use super::scalar;

/// A key and its value.
type Pair = (Id, Id);

/// A mapping's pairs with its merge keys spread; the first `merged` come from elsewhere.
#[derive(Debug)]
struct Spread {
    pairs: Vec<Pair>,
    merged: usize,
}

/// The document has grown too large: nothing more is built.
struct TooLarge;

struct Constructor<'a> {
    source: &'a Source<'a>,
    graph: &'a Graph,
    spread: Vec<Option<Rc<Spread>>>,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// Values reached through several aliases are built several times, and reported once.
    reported: BTreeSet<(&'static str, Span)>,
    nodes: usize,
    text: usize,
}

/// Builds the document. Gives its root and warnings, or every error.
pub(super) fn construct(source: &Source, graph: &Graph) -> Result<(Node, Vec<Diagnostic>), Vec<Diagnostic>> {
    let Some(root) = graph.root else {
        return Ok((Node::new(Value::Null, Span { line: 1, column: 1, ..Span::default() }), Vec::new()));
    };
    let mut constructor = Constructor {
        source,
        graph,
        spread: graph.nodes.iter().map(|_| None).collect(),
        errors: Vec::new(),
        warnings: Vec::new(),
        reported: BTreeSet::new(),
        nodes: 0,
        text: 0,
    };
    let built = constructor.build(root);
    let Constructor { mut errors, warnings, .. } = constructor;
    match built {
        Ok(root) if errors.is_empty() => Ok((root, warnings)),
        Ok(_) => Err(errors),
        Err(TooLarge) => {
            errors.push(source.grows_too_large(graph.nodes[root].span));
            Err(errors)
        }
    }
}

impl Constructor<'_> {
    fn report(&mut self, diagnostic: Diagnostic) {
        let span = diagnostic.origin().map_or(Span::default(), |origin| origin.span);
        if self.reported.insert((diagnostic.code, span)) {
            match diagnostic.severity {
                crate::diagnostic::Severity::Error => self.errors.push(diagnostic),
                crate::diagnostic::Severity::Warning | crate::diagnostic::Severity::Note => {
                    self.warnings.push(diagnostic)
                }
            }
        }
    }

    fn count(&mut self, nodes: usize, text: usize) -> Result<(), TooLarge> {
        self.nodes += nodes;
        self.text += text;
        if self.nodes > NODES || self.text > TEXT { Err(TooLarge) } else { Ok(()) }
    }

    /// The value with this number; null where it cannot be built, which is then reported.
    fn build(&mut self, id: Id) -> Result<Node, TooLarge> {
        let raw = &self.graph.nodes[id];
        self.count(1, if let Content::Scalar(text) = &raw.content { text.len() } else { 0 })?;
        let value = match &raw.tag {
            Tag::Seq => self.list(id)?,
            Tag::Omap | Tag::Pairs => self.pairs(id)?,
            Tag::Map => self.mapping(id)?.map(Value::Map),
            Tag::Set => self.mapping(id)?.map(|entries| Value::Set(entries.into_iter().map(|(key, _)| key).collect())),
            Tag::Merge | Tag::Default | Tag::Unknown(_) => {
                let diagnostic = self.source.unbuildable(&raw.tag, raw.span);
                self.report(diagnostic);
                None
            }
            Tag::Null | Tag::Bool | Tag::Int | Tag::Float | Tag::Binary | Tag::Timestamp | Tag::Str => self.scalar(id),
        };
        Ok(Node::new(value.unwrap_or(Value::Null), raw.span))
    }

    fn misfit(&mut self, id: Id) {
        let raw = &self.graph.nodes[id];
        let kind = match raw.content {
            Content::Scalar(_) => "text",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        };
        let diagnostic = self.source.tag_misfit(&raw.tag, kind, raw.span);
        self.report(diagnostic);
    }

    fn scalar(&mut self, id: Id) -> Option<Value> {
        let raw = &self.graph.nodes[id];
        // A timestamp looks at its own text, everything else at the text of its `=` key if it is a mapping.
        let text = match (&raw.content, &raw.tag) {
            (Content::Mapping(_), Tag::Timestamp) => None,
            _ => self.text_of(id),
        };
        let Some(text) = text else {
            self.misfit(id);
            return None;
        };
        let built = match &raw.tag {
            Tag::Null => Ok(Value::Null),
            Tag::Bool => scalar::boolean(text),
            Tag::Int => scalar::int(text),
            Tag::Float => scalar::float(text),
            Tag::Binary => scalar::binary(text),
            Tag::Timestamp => scalar::timestamp(text),
            _ => Ok(Value::Text(text.to_owned())),
        };
        built.map_err(|unfit| self.report(self.source.unfit_text(&raw.tag, unfit, raw.span))).ok()
    }

    fn text_of(&self, id: Id) -> Option<&str> {
        match &self.graph.nodes[id].content {
            Content::Scalar(text) => Some(text),
            Content::Sequence(_) => None,
            Content::Mapping(pairs) => {
                let (_, value) = pairs.iter().find(|(key, _)| self.graph.nodes[*key].tag == Tag::Default)?;
                self.text_of(*value)
            }
        }
    }

    fn list(&mut self, id: Id) -> Result<Option<Value>, TooLarge> {
        let Content::Sequence(items) = &self.graph.nodes[id].content else {
            self.misfit(id);
            return Ok(None);
        };
        let items: Result<_, TooLarge> = items.iter().map(|item| self.build(*item)).collect();
        Ok(Some(Value::List(items?)))
    }

    /// `!!omap` and `!!pairs`: a list of mappings with one entry each becomes a list of pairs.
    fn pairs(&mut self, id: Id) -> Result<Option<Value>, TooLarge> {
        let Content::Sequence(items) = &self.graph.nodes[id].content else {
            self.misfit(id);
            return Ok(None);
        };
        let mut pairs = Vec::new();
        for item in items {
            let raw = &self.graph.nodes[*item];
            match &raw.content {
                Content::Mapping(entries) if entries.len() == 1 => {
                    self.count(1, 0)?;
                    let pair = vec![self.build(entries[0].0)?, self.build(entries[0].1)?];
                    pairs.push(Node::new(Value::List(pair), raw.span));
                }
                Content::Mapping(_) | Content::Sequence(_) | Content::Scalar(_) => {
                    let diagnostic = self.source.no_single_entry(&self.graph.nodes[id].tag, raw.span);
                    self.report(diagnostic);
                }
            }
        }
        Ok(Some(Value::List(pairs)))
    }

    fn mapping(&mut self, id: Id) -> Result<Option<Vec<(Node, Node)>>, TooLarge> {
        if !matches!(self.graph.nodes[id].content, Content::Mapping(_)) {
            self.misfit(id);
            return Ok(None);
        }
        let spread = self.spread(id)?;
        let mut entries: IndexMap<Identity, (Node, Node, bool)> = IndexMap::new();
        for (i, (key, value)) in spread.pairs.iter().enumerate() {
            let merged = i < spread.merged;
            let known = self.errors.len();
            let key_node = self.build_key(*key)?;
            let Some(identity) = identity(&key_node.value) else {
                // A key that is itself broken is reported already.
                if self.errors.len() > known {
                    continue;
                }
                let mapping = self.graph.nodes[id].span;
                let diagnostic = self.source.unhashable_key(key_node.value.type_name(), key_node.span, mapping);
                self.report(diagnostic);
                continue;
            };
            let value = self.build(*value)?;
            match entries.entry(identity) {
                Entry::Vacant(entry) => {
                    entry.insert((key_node, value, merged));
                }
                Entry::Occupied(mut entry) => {
                    let (first, old, was_merged) = entry.get_mut();
                    let earlier = first.span;
                    *old = value;
                    if std::mem::replace(was_merged, merged) {
                        // The key stays the one that was merged in; people look for it where it is written here.
                        first.span = key_node.span;
                    } else if !merged {
                        let diagnostic = self.source.duplicate_key(key_node.span, earlier);
                        self.report(diagnostic);
                    }
                }
            }
        }
        Ok(Some(entries.into_values().map(|(key, value, _)| (key, value)).collect()))
    }

    /// A key: `=` is an ordinary text there.
    fn build_key(&mut self, id: Id) -> Result<Node, TooLarge> {
        let raw = &self.graph.nodes[id];
        match &raw.content {
            Content::Scalar(text) if raw.tag == Tag::Default => Ok(Node::new(Value::Text(text.clone()), raw.span)),
            Content::Scalar(_) | Content::Sequence(_) | Content::Mapping(_) => self.build(id),
        }
    }

    /// The pairs of a mapping, those of its merge keys first: what comes later in the list wins.
    fn spread(&mut self, id: Id) -> Result<Rc<Spread>, TooLarge> {
        if let Some(spread) = &self.spread[id] {
            return Ok(Rc::clone(spread));
        }
        let Content::Mapping(written) = &self.graph.nodes[id].content else {
            return Ok(Rc::new(Spread { pairs: Vec::new(), merged: 0 }));
        };
        let mut pairs = Vec::new();
        let mut own = Vec::new();
        for (key, value) in written {
            if self.graph.nodes[*key].tag == Tag::Merge {
                self.merge(*value, &mut pairs)?;
            } else {
                own.push((*key, *value));
            }
        }
        let merged = pairs.len();
        pairs.append(&mut own);
        let spread = Rc::new(Spread { pairs, merged });
        self.spread[id] = Some(Rc::clone(&spread));
        Ok(spread)
    }

    /// Adds the pairs of a merge key's value: of a mapping, or of the mappings of a list, of which earlier ones win.
    fn merge(&mut self, value: Id, pairs: &mut Vec<Pair>) -> Result<(), TooLarge> {
        let raw = &self.graph.nodes[value];
        let sources: Vec<Id> = match &raw.content {
            Content::Mapping(_) => vec![value],
            Content::Sequence(items) => items.iter().rev().copied().collect(),
            Content::Scalar(_) => {
                let diagnostic = self.source.bad_merge("text", raw.span);
                self.report(diagnostic);
                Vec::new()
            }
        };
        for source in sources {
            let raw = &self.graph.nodes[source];
            if !matches!(raw.content, Content::Mapping(_)) {
                let kind = if matches!(raw.content, Content::Scalar(_)) { "text" } else { "a list" };
                let diagnostic = self.source.bad_merge(kind, raw.span);
                self.report(diagnostic);
                continue;
            }
            let spread = self.spread(source)?;
            // Counted before they are copied: merges of merges double as aliases do.
            self.count(spread.pairs.len(), 0)?;
            pairs.extend_from_slice(&spread.pairs);
        }
        Ok(())
    }
}
