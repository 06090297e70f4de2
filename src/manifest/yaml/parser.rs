//! Tokens → events, with the grammar of PyYAML 6.0.3, `yaml/parser.py`: a machine with a stack of states instead of recursion,
//! so that nesting costs no stack.

use std::collections::BTreeMap;

use crate::model::Span;

use super::cursor::Mark;
use super::fault::{Fault, What};
use super::scanner::Scanner;
use super::token::{Kind, Token};

/// What stands before a value: `&name` and `!tag`.
#[derive(Clone, Debug, Default)]
pub(super) struct Props {
    /// The anchor's name and place.
    pub anchor: Option<(String, Span)>,
    /// The tag with its handle resolved, and its place.
    pub tag: Option<(String, Span)>,
}

/// An event and the stretch it covers; what stands before a value is not part of it.
#[derive(Debug)]
pub(super) struct Event {
    /// What happens.
    pub kind: EventKind,
    /// First character.
    pub start: Mark,
    /// One past the last character.
    pub end: Mark,
}

/// What happens.
#[derive(Debug)]
pub(super) enum EventKind {
    StreamEnd,
    DocumentStart,
    DocumentEnd,
    Alias(String),
    /// `resolves`: its type follows from its text.
    Scalar {
        props: Props,
        text: String,
        resolves: bool,
    },
    SequenceStart(Props),
    SequenceEnd {
        flow: bool,
    },
    MappingStart(Props),
    MappingEnd {
        flow: bool,
    },
}

#[derive(Clone, Copy)]
enum State {
    FirstDocument,
    Document,
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockItem,
    BareItem,
    BlockKey,
    BlockValue,
    FlowItem { first: bool },
    FlowPairKey,
    FlowPairValue,
    FlowPairEnd,
    FlowKey { first: bool },
    FlowValue,
    FlowNoValue,
}

/// Where a value may stand decides which forms it may take.
#[derive(Clone, Copy, PartialEq)]
enum Context {
    Flow,
    Block,
    /// A value of a block mapping, whose list need not be indented.
    BlockOrBareList,
}

/// Gives events one at a time.
pub(super) struct Parser<'a> {
    scanner: Scanner<'a>,
    state: State,
    states: Vec<State>,
    /// Where the open brackets and blocks began.
    opened: Vec<Mark>,
    handles: BTreeMap<String, String>,
}

type Parsed<T = Event> = Result<T, Fault>;

impl<'a> Parser<'a> {
    /// A parser at the beginning of a text.
    pub fn new(text: &'a str) -> Self {
        Parser {
            scanner: Scanner::new(text),
            state: State::FirstDocument,
            states: Vec::new(),
            opened: Vec::new(),
            handles: BTreeMap::new(),
        }
    }

    /// The next event. After `StreamEnd` there is none.
    pub fn next(&mut self) -> Parsed {
        match self.state {
            State::FirstDocument => self.first_document(),
            State::Document => self.document(),
            State::DocumentContent => self.document_content(),
            State::DocumentEnd => self.document_end(),
            State::BlockNode => self.node(Context::Block),
            State::BlockItem => self.block_item(),
            State::BareItem => self.bare_item(),
            State::BlockKey => self.block_key(),
            State::BlockValue => self.block_value(),
            State::FlowItem { first } => self.flow_item(first),
            State::FlowPairKey => self.flow_pair_key(),
            State::FlowPairValue => self.flow_pair_value(),
            State::FlowPairEnd => {
                let mark = self.scanner.peek()?.start;
                self.state = State::FlowItem { first: false };
                Ok(Event { kind: EventKind::MappingEnd { flow: false }, start: mark, end: mark })
            }
            State::FlowKey { first } => self.flow_key(first),
            State::FlowValue => self.flow_value(),
            State::FlowNoValue => {
                let mark = self.scanner.peek()?.start;
                Ok(self.nothing(mark, State::FlowKey { first: false }))
            }
        }
    }

    fn sees(&mut self, test: impl Fn(&Kind) -> bool) -> Parsed<bool> {
        Ok(test(&self.scanner.peek()?.kind))
    }

    /// Takes the next token if it is this one.
    fn takes(&mut self, kind: &Kind) -> Parsed<Option<Token>> {
        if self.scanner.peek()?.kind == *kind { Ok(Some(self.scanner.next()?)) } else { Ok(None) }
    }

    fn return_to_outer(&mut self) {
        self.state = self.states.pop().unwrap_or(State::Document);
    }

    /// The value that is not written.
    fn nothing(&mut self, at: Mark, then: State) -> Event {
        self.state = then;
        let kind = EventKind::Scalar { props: Props::default(), text: String::new(), resolves: true };
        Event { kind, start: at, end: at }
    }

    /// A value, after which the parser goes on in `then`.
    fn node_then(&mut self, then: State, context: Context) -> Parsed {
        self.states.push(then);
        self.node(context)
    }

    // Documents.

    fn first_document(&mut self) -> Parsed {
        if self.sees(|k| k.is_directive() || matches!(k, Kind::DocumentStart | Kind::StreamEnd))? {
            return self.document();
        }
        self.declare_default_handles();
        self.states.push(State::DocumentEnd);
        self.state = State::BlockNode;
        let mark = self.scanner.peek()?.start;
        Ok(Event { kind: EventKind::DocumentStart, start: mark, end: mark })
    }

    fn document(&mut self) -> Parsed {
        while self.takes(&Kind::DocumentEnd)?.is_some() {}
        let start = self.scanner.peek()?.start;
        if self.sees(|k| *k == Kind::StreamEnd)? {
            return Ok(Event { kind: EventKind::StreamEnd, start, end: start });
        }
        self.directives()?;
        let token = self.scanner.next()?;
        if token.kind != Kind::DocumentStart {
            return Err(Fault::new(What::ExpectedDocument, token.start));
        }
        self.states.push(State::DocumentEnd);
        self.state = State::DocumentContent;
        Ok(Event { kind: EventKind::DocumentStart, start: token.start, end: token.end })
    }

    fn directives(&mut self) -> Parsed<()> {
        self.handles.clear();
        let mut versioned = false;
        while self.sees(Kind::is_directive)? {
            let token = self.scanner.next()?;
            let fault = |why| Err(Fault::new(What::Directive(why), token.start));
            match token.kind {
                Kind::VersionDirective(_) if versioned => return fault("the version is already given"),
                Kind::VersionDirective(major) if major != 1 => return fault("only versions 1.x are known"),
                Kind::VersionDirective(_) => versioned = true,
                Kind::TagDirective(handle, prefix) => {
                    let again = self.handles.insert(handle, prefix).is_some();
                    if again {
                        return fault("the handle is already given");
                    }
                }
                _ => {}
            }
        }
        self.declare_default_handles();
        Ok(())
    }

    fn declare_default_handles(&mut self) {
        for (handle, prefix) in [("!", "!"), ("!!", "tag:yaml.org,2002:")] {
            self.handles.entry(handle.to_owned()).or_insert_with(|| prefix.to_owned());
        }
    }

    fn document_content(&mut self) -> Parsed {
        let mark = self.scanner.peek()?.start;
        let empty =
            |k: &Kind| k.is_directive() || matches!(k, Kind::DocumentStart | Kind::DocumentEnd | Kind::StreamEnd);
        if self.sees(empty)? {
            let event = self.nothing(mark, State::DocumentEnd);
            self.return_to_outer();
            return Ok(event);
        }
        self.node(Context::Block)
    }

    fn document_end(&mut self) -> Parsed {
        let start = self.scanner.peek()?.start;
        let end = self.takes(&Kind::DocumentEnd)?.map_or(start, |token| token.end);
        self.state = State::Document;
        Ok(Event { kind: EventKind::DocumentEnd, start, end })
    }

    // Values.

    fn node(&mut self, context: Context) -> Parsed {
        if self.sees(|k| matches!(k, Kind::Alias(_)))? {
            let Token { kind: Kind::Alias(name), start, end } = self.scanner.next()? else { unreachable!("just seen") };
            self.return_to_outer();
            return Ok(Event { kind: EventKind::Alias(name), start, end });
        }
        let first = self.scanner.peek()?.start;
        let (props, props_end) = self.props()?;
        let token = self.scanner.peek()?;
        let (start, end) = (token.start, token.end);
        let block = context != Context::Flow;
        let kind = match &token.kind {
            Kind::Scalar { .. } => {
                let Kind::Scalar { text, plain } = self.scanner.next()?.kind else { unreachable!("just seen") };
                let resolves = props.tag.as_ref().map_or(plain, |(tag, _)| tag == "!");
                self.return_to_outer();
                EventKind::Scalar { props, text, resolves }
            }
            Kind::BlockEntry if context == Context::BlockOrBareList => {
                self.state = State::BareItem;
                EventKind::SequenceStart(props)
            }
            Kind::FlowSequenceStart => self.open(State::FlowItem { first: true }, EventKind::SequenceStart(props))?,
            Kind::FlowMappingStart => self.open(State::FlowKey { first: true }, EventKind::MappingStart(props))?,
            Kind::BlockSequenceStart if block => self.open(State::BlockItem, EventKind::SequenceStart(props))?,
            Kind::BlockMappingStart if block => self.open(State::BlockKey, EventKind::MappingStart(props))?,
            _ if props.anchor.is_some() || props.tag.is_some() => {
                let resolves = props.tag.as_ref().is_none_or(|(tag, _)| tag == "!");
                self.return_to_outer();
                let kind = EventKind::Scalar { props, text: String::new(), resolves };
                return Ok(Event { kind, start: props_end, end: props_end });
            }
            other => return Err(Fault::new(What::ExpectedContent(other.name()), start).since(first)),
        };
        Ok(Event { kind, start, end })
    }

    /// Takes the bracket, or the token that opens a block.
    fn open(&mut self, state: State, kind: EventKind) -> Parsed<EventKind> {
        self.opened.push(self.scanner.next()?.start);
        self.state = state;
        Ok(kind)
    }

    /// Takes the token that closes what is open.
    fn close(&mut self, kind: EventKind) -> Parsed {
        let token = self.scanner.next()?;
        self.opened.pop();
        self.return_to_outer();
        Ok(Event { kind, start: token.start, end: token.end })
    }

    /// Takes an anchor and a tag, in either order, and gives the place after them.
    fn props(&mut self) -> Parsed<(Props, Mark)> {
        let mut props = Props::default();
        let mut end = self.scanner.peek()?.start;
        loop {
            let wanted = match &self.scanner.peek()?.kind {
                Kind::Anchor(_) => props.anchor.is_none(),
                Kind::Tag(..) => props.tag.is_none(),
                _ => false,
            };
            if !wanted {
                return Ok((props, end));
            }
            let token = self.scanner.next()?;
            let span = token.start.to(token.end);
            end = token.end;
            match token.kind {
                Kind::Anchor(name) => props.anchor = Some((name, span)),
                Kind::Tag(None, suffix) => props.tag = Some((suffix, span)),
                Kind::Tag(Some(handle), suffix) => match self.handles.get(&handle) {
                    Some(prefix) => props.tag = Some((format!("{prefix}{suffix}"), span)),
                    None => return Err(Fault::new(What::TagHandle(handle), token.start)),
                },
                _ => unreachable!("only anchors and tags are wanted"),
            }
        }
    }

    // Lists and mappings written with indentation.

    fn block_item(&mut self) -> Parsed {
        if let Some(dash) = self.takes(&Kind::BlockEntry)? {
            if self.sees(|k| matches!(k, Kind::BlockEntry | Kind::BlockEnd))? {
                return Ok(self.nothing(dash.end, State::BlockItem));
            }
            return self.node_then(State::BlockItem, Context::Block);
        }
        self.block_end(EventKind::SequenceEnd { flow: false })
    }

    fn bare_item(&mut self) -> Parsed {
        if let Some(dash) = self.takes(&Kind::BlockEntry)? {
            if self.sees(|k| matches!(k, Kind::BlockEntry | Kind::Key | Kind::Value | Kind::BlockEnd))? {
                return Ok(self.nothing(dash.end, State::BareItem));
            }
            return self.node_then(State::BareItem, Context::Block);
        }
        let mark = self.scanner.peek()?.start;
        self.return_to_outer();
        Ok(Event { kind: EventKind::SequenceEnd { flow: false }, start: mark, end: mark })
    }

    fn block_end(&mut self, kind: EventKind) -> Parsed {
        let token = self.scanner.peek()?;
        if token.kind == Kind::BlockEnd {
            return self.close(kind);
        }
        let fault = Fault::new(What::ExpectedBlockEnd(token.kind.name()), token.start);
        Err(match self.opened.last() {
            Some(opened) => fault.since(*opened),
            None => fault,
        })
    }

    fn block_key(&mut self) -> Parsed {
        if let Some(key) = self.takes(&Kind::Key)? {
            if self.sees(|k| matches!(k, Kind::Key | Kind::Value | Kind::BlockEnd))? {
                return Ok(self.nothing(key.end, State::BlockValue));
            }
            return self.node_then(State::BlockValue, Context::BlockOrBareList);
        }
        self.block_end(EventKind::MappingEnd { flow: false })
    }

    fn block_value(&mut self) -> Parsed {
        let Some(colon) = self.takes(&Kind::Value)? else {
            let mark = self.scanner.peek()?.start;
            return Ok(self.nothing(mark, State::BlockKey));
        };
        if self.sees(|k| matches!(k, Kind::Key | Kind::Value | Kind::BlockEnd))? {
            return Ok(self.nothing(colon.end, State::BlockKey));
        }
        self.node_then(State::BlockKey, Context::BlockOrBareList)
    }

    // Lists and mappings in brackets.

    fn comma_or_close(&mut self, close: char) -> Parsed<()> {
        let token = self.scanner.peek()?;
        if token.kind == Kind::FlowEntry {
            self.scanner.next()?;
            return Ok(());
        }
        let fault = Fault::new(What::ExpectedClosing { close, found: token.kind.name() }, token.start);
        Err(match self.opened.last() {
            Some(opened) => fault.since(*opened),
            None => fault,
        })
    }

    fn flow_item(&mut self, first: bool) -> Parsed {
        if !first && !self.sees(|k| *k == Kind::FlowSequenceEnd)? {
            self.comma_or_close(']')?;
        }
        let token = self.scanner.peek()?;
        match token.kind {
            Kind::FlowSequenceEnd => self.close(EventKind::SequenceEnd { flow: true }),
            Kind::Key => {
                let (start, end) = (token.start, token.end);
                self.state = State::FlowPairKey;
                Ok(Event { kind: EventKind::MappingStart(Props::default()), start, end })
            }
            _ => self.node_then(State::FlowItem { first: false }, Context::Flow),
        }
    }

    fn flow_pair_key(&mut self) -> Parsed {
        let key = self.scanner.next()?;
        if self.sees(|k| matches!(k, Kind::Value | Kind::FlowEntry | Kind::FlowSequenceEnd))? {
            return Ok(self.nothing(key.end, State::FlowPairValue));
        }
        self.node_then(State::FlowPairValue, Context::Flow)
    }

    fn flow_pair_value(&mut self) -> Parsed {
        let Some(colon) = self.takes(&Kind::Value)? else {
            let mark = self.scanner.peek()?.start;
            return Ok(self.nothing(mark, State::FlowPairEnd));
        };
        if self.sees(|k| matches!(k, Kind::FlowEntry | Kind::FlowSequenceEnd))? {
            return Ok(self.nothing(colon.end, State::FlowPairEnd));
        }
        self.node_then(State::FlowPairEnd, Context::Flow)
    }

    fn flow_key(&mut self, first: bool) -> Parsed {
        if !first && !self.sees(|k| *k == Kind::FlowMappingEnd)? {
            self.comma_or_close('}')?;
        }
        if let Some(key) = self.takes(&Kind::Key)? {
            if self.sees(|k| matches!(k, Kind::Value | Kind::FlowEntry | Kind::FlowMappingEnd))? {
                return Ok(self.nothing(key.end, State::FlowValue));
            }
            return self.node_then(State::FlowValue, Context::Flow);
        }
        if self.sees(|k| *k == Kind::FlowMappingEnd)? {
            return self.close(EventKind::MappingEnd { flow: true });
        }
        self.node_then(State::FlowNoValue, Context::Flow)
    }

    fn flow_value(&mut self) -> Parsed {
        let then = State::FlowKey { first: false };
        let Some(colon) = self.takes(&Kind::Value)? else {
            let mark = self.scanner.peek()?.start;
            return Ok(self.nothing(mark, then));
        };
        if self.sees(|k| matches!(k, Kind::FlowEntry | Kind::FlowMappingEnd))? {
            return Ok(self.nothing(colon.end, then));
        }
        self.node_then(then, Context::Flow)
    }
}
