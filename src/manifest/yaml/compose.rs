//! Events → a graph of values in which an alias is the very value of its anchor.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::model::Span;

use super::cursor::Mark;
use super::limits::{DEPTH, NODES};
use super::messages::Source;
use super::parser::{Event, EventKind, Parser, Props};
use super::resolve::{Tag, resolve};

/// The number of a value in its graph.
pub(super) type Id = usize;

/// A value as written, with its type decided.
#[derive(Debug)]
pub(super) struct Raw {
    /// Its text or its parts.
    pub content: Content,
    /// Its type.
    pub tag: Tag,
    /// Where it stands, without anchor and tag.
    pub span: Span,
    /// How many values are nested in it, itself included.
    height: usize,
}

/// The text or the parts of a value.
#[derive(Debug)]
pub(super) enum Content {
    Scalar(String),
    Sequence(Vec<Id>),
    Mapping(Vec<(Id, Id)>),
}

/// The values of a document.
#[derive(Debug)]
pub(super) struct Graph {
    pub nodes: Vec<Raw>,
    /// Nothing for a file without a document.
    pub root: Option<Id>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    id: Id,
    children: Vec<Id>,
    mapping: bool,
}

struct Composer<'a> {
    source: &'a Source<'a>,
    nodes: Vec<Raw>,
    anchors: BTreeMap<String, (Id, Span)>,
    open: Vec<Open>,
    root: Option<Id>,
    /// Where the last written thing ended: blocks end there, not at the next token.
    last_end: usize,
}

/// Reads the one document of a file.
pub(super) fn compose(source: &Source) -> Result<Graph, Diagnostic> {
    let mut parser = Parser::new(source.text);
    let mut composer =
        Composer { source, nodes: Vec::new(), anchors: BTreeMap::new(), open: Vec::new(), root: None, last_end: 0 };
    let mut document: Option<Mark> = None;
    loop {
        let event = parser.next().map_err(|fault| source.explain(&fault))?;
        match event.kind {
            EventKind::StreamEnd => break,
            EventKind::DocumentStart => match document {
                None => document = Some(event.start),
                Some(first) => return Err(source.several_documents(first.point(), event.start.to(event.end))),
            },
            EventKind::DocumentEnd => {}
            _ => composer.take(event)?,
        }
    }
    Ok(Graph { nodes: composer.nodes, root: composer.root })
}

impl Composer<'_> {
    fn take(&mut self, event: Event) -> Result<(), Diagnostic> {
        let span = event.start.to(event.end);
        if span.end > span.start {
            self.last_end = span.end;
        }
        match event.kind {
            EventKind::Alias(name) => {
                let id = self.target(&name, span)?;
                self.add(id, span)
            }
            EventKind::Scalar { props, text, resolves } => {
                let tag = match &props.tag {
                    Some((tag, _)) if tag != "!" => Tag::named(tag),
                    _ if resolves => resolve(&text),
                    _ => Tag::Str,
                };
                let id = self.create(Content::Scalar(text), tag, span, props)?;
                self.add(id, span)
            }
            EventKind::SequenceStart(props) => self.start(Content::Sequence(Vec::new()), Tag::Seq, span, props),
            EventKind::MappingStart(props) => self.start(Content::Mapping(Vec::new()), Tag::Map, span, props),
            EventKind::SequenceEnd { flow } | EventKind::MappingEnd { flow } => {
                let end = if flow { span.end } else { self.last_end };
                self.finish(end)
            }
            EventKind::StreamEnd | EventKind::DocumentStart | EventKind::DocumentEnd => Ok(()),
        }
    }

    fn target(&self, name: &str, span: Span) -> Result<Id, Diagnostic> {
        let Some((id, _)) = self.anchors.get(name) else {
            return Err(self.source.unknown_alias(name, span, self.anchors.keys().map(String::as_str)));
        };
        if self.open.iter().any(|open| open.id == *id) {
            return Err(self.source.recursive_alias(name, span, self.nodes[*id].span));
        }
        Ok(*id)
    }

    fn create(&mut self, content: Content, tag: Tag, span: Span, props: Props) -> Result<Id, Diagnostic> {
        let id = self.nodes.len();
        if id >= NODES {
            return Err(self.source.too_many_nodes(span));
        }
        if let Some((name, place)) = props.anchor {
            if let Some((_, first)) = self.anchors.get(&name) {
                return Err(self.source.duplicate_anchor(&name, place, *first));
            }
            self.anchors.insert(name, (id, place));
        }
        self.nodes.push(Raw { content, tag, span, height: 1 });
        Ok(id)
    }

    fn start(&mut self, content: Content, implied: Tag, span: Span, props: Props) -> Result<(), Diagnostic> {
        let tag = match &props.tag {
            Some((tag, _)) if tag != "!" => Tag::named(tag),
            _ => implied,
        };
        let mapping = matches!(content, Content::Mapping(_));
        let id = self.create(content, tag, span, props)?;
        self.open.push(Open { id, children: Vec::new(), mapping });
        if self.open.len() > DEPTH { Err(self.source.too_deep(span)) } else { Ok(()) }
    }

    fn finish(&mut self, end: usize) -> Result<(), Diagnostic> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let height = 1 + open.children.iter().map(|child| self.nodes[*child].height).max().unwrap_or(0);
        let node = &mut self.nodes[open.id];
        node.height = height;
        node.span.end = end.max(node.span.end);
        node.content = if open.mapping {
            Content::Mapping(open.children.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
        } else {
            Content::Sequence(open.children)
        };
        let span = node.span;
        // Aliases can nest deeper than brackets do: `b: &b [*a]`, `c: &c [*b]`, ...
        if height > DEPTH + 1 {
            return Err(self.source.too_deep(span));
        }
        self.add(open.id, span)
    }

    /// Adds a finished value to the list or mapping that is open, or makes it the root.
    fn add(&mut self, id: Id, span: Span) -> Result<(), Diagnostic> {
        self.last_end = self.last_end.max(span.end);
        match self.open.last_mut() {
            Some(open) => open.children.push(id),
            None => self.root = Some(id),
        }
        Ok(())
    }
}
