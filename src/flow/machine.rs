//! `Machine`: modules, imports and names.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use ruff_python_ast::ModModule;
use ruff_python_parser::{Mode, ParseError, ParseOptions, Parsed};
use ruff_text_size::{Ranged, TextRange};

use super::sources::{Sources, refusal};
use super::value::{Declared, Env, Import, Value};
use super::{Reason, simple};
use crate::model::{Origin, RepoPath, Span};

/// How deep values may nest while they are worked out.
const MAX_DEPTH: u32 = 120;
/// Columns farther to the right are counted in bytes: counting characters anew for each of the values of one long line
/// would take the square of its length.
const MAX_COLUMN: usize = 1000;
/// How many expressions may be evaluated for one entrypoint.
const MAX_FUEL: u32 = 1_000_000;

/// An exception that certainly happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raise {
    /// `NameError`, with the name.
    Name(String),
    /// `TypeError`.
    Type(String),
    /// Anything else.
    Other(String),
}

impl Raise {
    /// What to tell of it.
    pub fn text(&self) -> String {
        match self {
            Raise::Name(name) => format!("`{name}` is not defined here"),
            Raise::Type(text) | Raise::Other(text) => text.clone(),
        }
    }
}

/// The outcome of an expression.
pub(super) type Eval = Result<Value, Raise>;

/// A module of the repository.
pub(super) struct Module {
    /// Its dotted name.
    pub name: String,
    /// The package that its relative imports start from.
    pub package: String,
    /// Its file.
    pub path: RepoPath,
    /// Its text, byte for byte.
    pub text: Arc<str>,
    /// Where its lines start, once line ends are one byte.
    lines: Vec<usize>,
    /// The text with one-byte line ends, as Python reads it.
    clean: Arc<str>,
    /// The places in `clean` of line ends that take two bytes in the file.
    pairs: Vec<usize>,
    /// Its names.
    pub env: Env,
    /// Whether annotations are texts.
    pub future: bool,
    /// Names whose objects are changed somewhere in place.
    pub mutated: BTreeSet<String>,
    /// Names that functions rebind.
    pub rebound: BTreeSet<String>,
    /// A star import of something unknown.
    pub star: Option<Rc<Reason>>,
    /// Whether it is being run.
    pub running: bool,
    /// Why its import certainly fails, or cannot be followed.
    pub broken: Option<Reason>,
}

impl Module {
    /// A piece of its text.
    pub fn text(&self, range: TextRange) -> &str {
        self.clean.get(range.start().to_usize()..range.end().to_usize()).unwrap_or_default()
    }
}

/// Where an expression is evaluated.
pub(super) struct Frame {
    /// The module.
    pub module: usize,
    /// The names of the class whose body it is in.
    pub class: Option<Env>,
    /// The parameters of a lambda, or nothing.
    pub locals: Option<Env>,
    /// The annotated names of the class.
    pub fields: Vec<Declared>,
    /// How many undecided branches it is in.
    pub unsure: u32,
    /// Why the class could not be followed.
    pub odd: Option<Reason>,
}

impl Frame {
    /// The top level of a module.
    pub fn top(module: usize) -> Self {
        Frame { module, class: None, locals: None, fields: Vec::new(), unsure: 0, odd: None }
    }
}

/// Everything that is known while an entrypoint is worked out.
pub(super) struct Machine<'s> {
    sources: &'s Sources,
    /// Where absolute imports are looked for.
    pub roots: Vec<RepoPath>,
    /// The name and the search path of the script, which acts as a package.
    pub script: Option<String>,
    /// The modules read so far.
    pub modules: Vec<Module>,
    by_name: BTreeMap<String, Option<usize>>,
    /// Files that must be seen first.
    pub needed: BTreeSet<RepoPath>,
    /// Files that were seen, or seen to be absent.
    pub read: BTreeSet<RepoPath>,
    /// How deep the evaluation is.
    pub depth: u32,
    fuel: u32,
    /// The definitions that are being made.
    pub busy: Vec<(usize, String)>,
    nowhere: Option<usize>,
    /// The definition names handed out so far.
    pub definitions: IndexMap<String, (usize, serde_json::Value)>,
    /// How often a class was let through that pydantic only checks instances of.
    pub lenient: u32,
    /// The definitions, by class, that hold such classes.
    pub lenient_ids: BTreeSet<usize>,
    /// The classes whose addresses are keys.
    pub kept: Vec<Rc<super::value::Class>>,
    /// Generic classes with the arguments they were given, and the class that is.
    pub given: Vec<(Rc<super::value::Class>, Vec<Value>, Rc<super::value::Class>)>,
    /// Field lists of classes, by address.
    pub memo: RefCell<BTreeMap<usize, Result<super::class::Kind, Reason>>>,
}

impl<'s> Machine<'s> {
    /// A machine that knows nothing yet.
    pub fn new(sources: &'s Sources, roots: Vec<RepoPath>) -> Self {
        Machine {
            sources,
            roots,
            script: None,
            modules: Vec::new(),
            by_name: BTreeMap::new(),
            needed: BTreeSet::new(),
            read: BTreeSet::new(),
            depth: 0,
            fuel: MAX_FUEL,
            busy: Vec::new(),
            nowhere: None,
            definitions: IndexMap::new(),
            lenient: 0,
            lenient_ids: BTreeSet::new(),
            kept: Vec::new(),
            given: Vec::new(),
            memo: RefCell::new(BTreeMap::new()),
        }
    }

    /// A place in a module.
    pub fn origin(&self, module: usize, range: TextRange) -> Origin {
        let module = &self.modules[module];
        let (start, end) = (range.start().to_usize(), range.end().to_usize());
        let line = module.lines.partition_point(|first| *first <= start).max(1);
        let first = module.lines.get(line - 1).copied().unwrap_or_default();
        let column = match module.clean.get(first..start) {
            Some(text) if text.len() <= MAX_COLUMN => text.chars().count() + 1,
            Some(_) | None => start - first + 1,
        };
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        // Every `\r\n` before a place is one byte longer in the file itself.
        let in_file = |at: usize| at + module.pairs.partition_point(|pair| *pair < at);
        let span = Span { start: in_file(start), end: in_file(end), line: small(line), column: small(column) };
        Origin::new(module.path.clone(), span)
    }

    /// Something unknown at a place.
    pub fn unknown(&self, module: usize, at: impl Ranged, text: impl Into<String>) -> Value {
        Value::Unknown(Rc::new(Reason::new(text, Some(self.origin(module, at.range())))))
    }

    /// One step deeper; `None` when that is deep enough or the work is too much.
    pub fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth >= MAX_DEPTH || self.fuel == 0 {
            return None;
        }
        self.fuel -= 1;
        self.depth += 1;
        let done = work(self);
        self.depth -= 1;
        Some(done)
    }

    /// Takes the cost of something large off what may still be done.
    pub fn spend(&mut self, cost: usize) {
        self.fuel = self.fuel.saturating_sub(u32::try_from(cost).unwrap_or(u32::MAX));
    }

    /// The text of a file; `Err` while nobody has looked.
    pub fn file(&mut self, path: &RepoPath) -> Result<Option<Arc<str>>, ()> {
        if path.escapes() {
            return Ok(None);
        }
        match self.sources.get(path) {
            Some(text) => {
                self.read.insert(path.clone());
                Ok(text.cloned())
            }
            None => {
                self.needed.insert(path.clone());
                Err(())
            }
        }
    }

    /// Reads and runs a file as a module.
    pub fn load(&mut self, name: &str, package: &str, path: RepoPath, text: Arc<str>) -> usize {
        let id = self.modules.len();
        let clean: Arc<str> = match text.contains('\r') {
            true => text.replace("\r\n", "\n").replace('\r', "\n").into(),
            false => text.clone(),
        };
        self.modules.push(Module {
            name: name.to_owned(),
            package: package.to_owned(),
            path,
            lines: std::iter::once(0)
                .chain(clean.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1))
                .collect(),
            pairs: pairs(&text),
            clean: clean.clone(),
            text: text.clone(),
            env: Env::new(),
            future: false,
            mutated: BTreeSet::new(),
            rebound: BTreeSet::new(),
            star: None,
            running: true,
            broken: None,
        });
        self.by_name.insert(name.to_owned(), Some(id));
        if let Some(why) = refusal(&clean) {
            self.modules[id].broken = Some(Reason::new(why, Some(Origin::whole(self.modules[id].path.clone()))));
            return id;
        }
        match self.parse(&clean) {
            Ok(parsed) if parsed.unsupported_syntax_errors().is_empty() => self.run(id, parsed.into_syntax().body),
            Ok(_) => {
                let text = match self.sources.python() {
                    None => super::OF_A_VERSION.to_owned(),
                    Some((major, minor)) => format!("Python {major}.{minor} does not know this syntax"),
                };
                self.modules[id].broken = Some(Reason::new(text, Some(Origin::whole(self.modules[id].path.clone()))));
            }
            Err(error) => {
                let origin = self.origin(id, error.location);
                self.modules[id].broken = Some(Reason::new(format!("invalid syntax: {}", error.error), Some(origin)));
            }
        }
        self.modules[id].running = false;
        id
    }

    fn parse(&self, text: &str) -> Result<Parsed<ModModule>, ParseError> {
        let options = ParseOptions::from(Mode::Module);
        let options = match self.sources.python() {
            Some(version) => options.with_target_version(version.into()),
            None => options,
        };
        let parsed = ruff_python_parser::parse(text, options)?;
        Ok(parsed.try_into_module().expect("a module was asked for"))
    }

    /// The module of that absolute name: `Some` if it is in the repository; `Err` while files are missing.
    pub fn module(&mut self, name: &str) -> Result<Option<usize>, ()> {
        if let Some(known) = self.by_name.get(name) {
            return Ok(*known);
        }
        let first = name.split('.').next().unwrap_or(name);
        if simple::is_foreign(first) {
            return Ok(None);
        }
        let script = self.script.clone().filter(|script| script == first && name.contains('.'));
        let tail = script.map_or(name, |_| name.split_once('.').map_or(name, |(_, tail)| tail));
        let below = tail.replace('.', "/");
        let mut missing = false;
        for root in self.roots.clone() {
            for (file, is_package) in [(format!("{below}/__init__.py"), true), (format!("{below}.py"), false)] {
                match self.file(&root.join(&file)) {
                    Ok(Some(text)) if !missing => {
                        let package = match is_package {
                            true => name,
                            false => name.rsplit_once('.').map_or("", |(package, _)| package),
                        };
                        return match self.deeper(|m| m.load(name, package, root.join(&file), text)) {
                            Some(id) => Ok(Some(id)),
                            None => Ok(None),
                        };
                    }
                    Ok(_) => {}
                    Err(()) => missing = true,
                }
            }
        }
        if missing {
            return Err(());
        }
        self.by_name.insert(name.to_owned(), None);
        Ok(None)
    }

    /// Looks at an import or a definition.
    pub fn force(&mut self, value: Value) -> Value {
        match value {
            Value::Import(import) => self
                .deeper(|m| m.import(&import))
                .unwrap_or_else(|| unknown(format!("`{}` is imported in circles", import.module))),
            Value::Lazy(lazy) => {
                if let Some(done) = &*lazy.done.borrow() {
                    return done.clone();
                }
                if lazy.busy.replace(true) {
                    return unknown("a definition needs itself");
                }
                let made = self.deeper(|m| m.define(&lazy)).unwrap_or_else(|| unknown("definitions nest too deeply"));
                lazy.busy.set(false);
                *lazy.done.borrow_mut() = Some(made.clone());
                made
            }
            other => other,
        }
    }

    fn import(&mut self, import: &Import) -> Value {
        let pending = || unknown(format!("`{}` is not read yet", import.module));
        let Ok(module) = self.module(&import.module) else { return pending() };
        match (&import.name, module) {
            (None, Some(id)) => Value::Module(id),
            (None, None) => Value::ext(simple::canonical(&import.module)),
            (Some(name), None) => {
                // A directory without `__init__.py` is a package too.
                let inner = format!("{}.{name}", import.module);
                match self.module(&inner) {
                    Ok(Some(id)) => Value::Module(id),
                    Ok(None) => Value::ext(simple::canonical(&inner)),
                    Err(()) => pending(),
                }
            }
            (Some(name), Some(id)) => match self.attribute_of_module(id, name) {
                Ok(value) => value,
                Err(raise) => {
                    unknown(format!("`{name}` cannot be imported from `{}`: {}", import.module, raise.text()))
                }
            },
        }
    }

    /// A module without names of its own.
    pub fn nowhere(&mut self) -> usize {
        match self.nowhere {
            Some(id) => id,
            None => {
                let id = self.load("", "", RepoPath::new(""), "".into());
                self.nowhere = Some(id);
                id
            }
        }
    }

    /// `module.name`.
    pub fn attribute_of_module(&mut self, id: usize, name: &str) -> Eval {
        if let Some(reason) = &self.modules[id].broken {
            return Ok(Value::Unknown(Rc::new(reason.clone())));
        }
        if let Some(value) = self.global(id, name) {
            return Ok(self.force(value));
        }
        let inner = format!("{}.{name}", self.modules[id].name);
        match self.module(&inner) {
            Ok(Some(id)) => Ok(Value::Module(id)),
            Ok(None) if self.modules[id].env.contains_key("__getattr__") => {
                Ok(unknown("a module's `__getattr__` answers"))
            }
            Ok(None) if self.modules[id].running => Ok(unknown(format!("`{name}` is imported in circles"))),
            Ok(None) => match &self.modules[id].star {
                Some(reason) => Ok(Value::Unknown(reason.clone())),
                None => Err(Raise::Other(format!("`{}` has no `{name}`", self.modules[id].name))),
            },
            Err(()) => Ok(unknown(format!("`{inner}` is not read yet"))),
        }
    }

    /// A module's own name, if it is bound and its object is never changed.
    fn global(&self, id: usize, name: &str) -> Option<Value> {
        let module = &self.modules[id];
        let value = module.env.get(name)?;
        let changed = module.rebound.contains(name) || (module.mutated.contains(name) && value.is_mutable());
        Some(match changed {
            true => unknown(format!("`{name}` is changed elsewhere")),
            false => value.clone(),
        })
    }

    /// What a name means.
    pub fn name(&mut self, frame: &Frame, name: &str) -> Eval {
        let local = frame.locals.as_ref().and_then(|env| env.get(name));
        if let Some(value) = local.or_else(|| frame.class.as_ref().and_then(|env| env.get(name))) {
            let value = value.clone();
            return Ok(self.force(value));
        }
        if let Some(value) = self.global(frame.module, name) {
            return Ok(self.force(value));
        }
        let module = &self.modules[frame.module];
        match name {
            "__name__" => return Ok(Value::str(module.name.as_str())),
            "__file__" | "__doc__" | "__spec__" | "__path__" | "__package__" | "__builtins__" | "__loader__" => {
                return Ok(unknown(format!("`{name}` is set by Python")));
            }
            _ => {}
        }
        if simple::is_builtin(name) {
            return Ok(Value::ext(format!("builtins.{name}")));
        }
        match &module.star {
            Some(reason) => Ok(Value::Unknown(reason.clone())),
            None => Err(Raise::Name(name.to_owned())),
        }
    }
}

/// Where a `\r\n` stands once it is one byte, and every one before it as well.
fn pairs(text: &str) -> Vec<usize> {
    text.match_indices("\r\n").enumerate().map(|(before, (at, _))| at - before).collect()
}

/// Something unknown, nowhere in particular.
pub(super) fn unknown(text: impl Into<String>) -> Value {
    Value::Unknown(Rc::new(Reason::new(text, None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_file_whatever_ends_its_lines() {
        let text = "a\r\n\nb\r\r\nx = '''\r\n\n''' )\r\n";
        let sources = Sources::new();
        let mut machine = Machine::new(&sources, Vec::new());
        let id = machine.load("m", "", RepoPath::new("m.py"), text.into());
        let clean = text.replace("\r\n", "\n").replace('\r', "\n");
        let range = |from: &str, to: &str| {
            let (start, end) = (clean.find(from).expect("there"), clean.rfind(to).expect("there") + to.len());
            TextRange::new(u32::try_from(start).expect("small").into(), u32::try_from(end).expect("small").into())
        };
        let span = machine.origin(id, range("x", "'''")).span;
        assert_eq!(&text[span.start..span.end], "x = '''\r\n\n'''");
        assert_eq!((span.line, span.column), (5, 1));
        let broken = machine.modules[id].broken.as_ref().and_then(|reason| reason.origin.clone()).expect("a place");
        assert_eq!(&text[broken.span.start..broken.span.end], ")");
    }
}
