//! `Value`: what is known of a Python object without making it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use indexmap::IndexMap;
use ruff_python_ast::{Expr, StmtClassDef, StmtFunctionDef};
use serde_json::Value as Json;

use super::Reason;
use crate::model::Origin;

/// The names of a module or of a class, in the order of their first binding.
pub(super) type Env = IndexMap<String, Value>;

/// A Python object as far as the text tells.
#[derive(Clone)]
pub(super) enum Value {
    /// Could be anything.
    Unknown(Rc<Reason>),
    /// `None`.
    None,
    /// `...`.
    Ellipsis,
    /// `True`, `False`.
    Bool(bool),
    /// An integer that fits.
    Int(i128),
    /// A float.
    Float(f64),
    /// A string.
    Str(Rc<str>),
    /// Bytes.
    Bytes(Rc<[u8]>),
    /// A list.
    List(Rc<Vec<Value>>),
    /// A tuple.
    Tuple(Rc<Vec<Value>>),
    /// A set.
    Set(Rc<Vec<Value>>),
    /// A frozenset.
    FrozenSet(Rc<Vec<Value>>),
    /// A dictionary.
    Dict(Rc<Vec<(Value, Value)>>),
    /// What only gives its items: a view of a dictionary, a generator that is passed on at once.
    Items(Rc<Vec<Value>>),
    /// `range(from, to, step)`.
    Range(i128, i128, i128),
    /// An object of the standard library known by its type and its JSON form: a date, a path, a UUID.
    Data(Rc<Data>),
    /// An object that exists but has no JSON form: a lock, a range, a function of a library.
    Opaque(Rc<str>),
    /// Something imported, not looked at yet: the module, and the name in it.
    Import(Rc<Import>),
    /// What a module outside the repository holds, by its canonical dotted name: `typing.Optional`.
    Extern(Rc<str>),
    /// A module of the repository, by its number.
    Module(usize),
    /// A class of the repository.
    Class(Rc<Class>),
    /// A function or class statement, not looked at yet.
    Lazy(Rc<Lazy>),
    /// A function of the repository.
    Function(Rc<Function>),
    /// `staticmethod` or `classmethod` around something.
    Static(Rc<Value>),
    /// `classmethod` around something.
    ClassMethod(Rc<Value>),
    /// A lambda: the module it is in, its parameters' count and its body.
    Lambda(usize, usize, Rc<Expr>),
    /// `origin[arguments]`.
    Generic(Rc<str>, Rc<Vec<Value>>),
    /// `Union[...]`, flat; `None` stands for its type.
    Union(Rc<Vec<Value>>),
    /// `Literal[...]`, flat.
    Literal(Rc<Vec<Value>>),
    /// `Annotated[type, metadata...]`.
    Annotated(Rc<(Value, Vec<Value>)>),
    /// A string where a type should be.
    Forward(Rc<str>),
    /// `NewType(name, type)`.
    NewType(Rc<Value>),
    /// A type variable: its bound and its constraints.
    TypeVar(Option<Rc<Value>>, Rc<Vec<Value>>),
    /// A named alias: `type Name = ...` or `TypeAliasType`.
    Alias(Rc<Alias>),
    /// A member of an enumeration.
    Member(Rc<Class>, usize),
    /// A call of a class of the repository.
    Instance(Rc<Instance>),
    /// `pydantic.Field(...)`, `dataclasses.field(...)`, `StringConstraints(...)` and the like, by canonical name.
    Made(Rc<Made>),
    /// A flow.
    Flow(Rc<Flow>),
    /// `flow(name=...)`, waiting for its function.
    FlowMaker(Rc<Made>),
    /// An attribute of a known value, about to be called.
    Bound(Rc<(Value, String)>),
}

/// A definition that is looked at only when it is used.
pub(super) struct Lazy {
    /// The module it is in.
    pub module: usize,
    /// The statement.
    pub node: Definition,
    /// What came of it.
    pub done: RefCell<Option<Value>>,
    /// Whether it is being looked at.
    pub busy: Cell<bool>,
}

/// A statement that defines.
pub(super) enum Definition {
    /// `def`.
    Function(Rc<StmtFunctionDef>),
    /// `class`.
    Class(Rc<StmtClassDef>),
}

/// A standard object and its JSON form.
pub(super) struct Data {
    /// `datetime.date`.
    pub class: &'static str,
    /// How pydantic writes it.
    pub json: Json,
}

/// An import that is looked at only when it is used.
pub(super) struct Import {
    /// The absolute dotted name of the module.
    pub module: String,
    /// The name imported from it.
    pub name: Option<String>,
}

/// The arguments of a call.
#[derive(Clone, Default)]
pub(super) struct Args {
    /// By position.
    pub pos: Vec<Value>,
    /// By name.
    pub kw: Vec<(String, Value)>,
}

impl Args {
    /// An argument by name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.kw.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// An argument by position or name.
    pub fn arg(&self, at: usize, name: &str) -> Option<&Value> {
        self.pos.get(at).or_else(|| self.get(name))
    }
}

/// What a known constructor was called with.
pub(super) struct Made {
    /// The constructor's canonical name.
    pub by: Rc<str>,
    /// Its arguments.
    pub args: Args,
}

/// A type annotation.
#[derive(Clone)]
pub(super) enum Annotation {
    /// Evaluated where it stands.
    Now(Value),
    /// A text, evaluated later.
    Text(Rc<Expr>),
    /// A text that is no expression.
    Broken,
}

/// A parameter of a function.
pub(super) struct Parameter {
    /// Its name.
    pub name: String,
    /// Its annotation, if any.
    pub annotation: Option<Annotation>,
    /// Its default, if any.
    pub default: Option<Value>,
    /// Where it stands.
    pub origin: Origin,
}

/// A function of the repository.
pub(super) struct Function {
    /// Its definition.
    pub def: Rc<StmtFunctionDef>,
    /// The module whose globals it sees.
    pub module: usize,
    /// The module whose file holds the code that is called: a decorator's own if it wraps.
    pub code: usize,
    /// Its parameters in order.
    pub params: Vec<Parameter>,
    /// Its return annotation.
    pub returns: Option<Annotation>,
    /// Its docstring, raw.
    pub doc: Option<String>,
    /// Whether it stands in a class.
    pub method: bool,
    /// Where its name stands.
    pub origin: Origin,
}

/// A class of the repository.
pub(super) struct Class {
    /// Its name.
    pub name: String,
    /// The module it is in.
    pub module: usize,
    /// Its bases, evaluated.
    pub bases: Vec<Value>,
    /// `total=False`, `metaclass=...` and the like.
    pub keywords: Vec<(String, Value)>,
    /// Its decorators, evaluated, outermost first.
    pub decorators: Vec<Value>,
    /// Annotated names in order, with the default's presence.
    pub fields: Vec<Declared>,
    /// Everything bound in its body.
    pub env: RefCell<Env>,
    /// Its docstring, raw.
    pub doc: Option<String>,
    /// Why its body could not be followed.
    pub odd: Option<Reason>,
    /// Where its name stands.
    pub origin: Origin,
    /// The arguments it was given, if it is a generic class with some.
    pub given: Option<super::given::Given>,
}

/// `name: annotation = default` in a class.
pub(super) struct Declared {
    /// The name.
    pub name: String,
    /// The annotation.
    pub annotation: Annotation,
}

/// A named type alias.
pub(super) struct Alias {
    /// Its name.
    pub name: String,
    /// The module it is in.
    pub module: usize,
    /// What it stands for, evaluated late.
    pub value: Annotation,
}

/// A call of a class of the repository.
pub(super) struct Instance {
    /// The class.
    pub class: Rc<Class>,
    /// The arguments.
    pub args: Args,
}

/// A flow: its function and what the decorator said.
pub(super) struct Flow {
    /// The function, without decorators.
    pub function: Rc<Function>,
    /// Its name.
    pub name: String,
    /// `description=`, if it says something.
    pub description: Option<String>,
    /// `version=`, if it says something.
    pub version: Option<String>,
    /// Why it cannot be known after all.
    pub doubt: Option<Reason>,
    /// What Prefect would refuse.
    pub faults: Vec<crate::diagnostic::Diagnostic>,
}

impl Value {
    /// A string.
    pub fn str(text: impl Into<Rc<str>>) -> Self {
        Value::Str(text.into())
    }

    /// An extern by name.
    pub fn ext(name: impl Into<Rc<str>>) -> Self {
        Value::Extern(name.into())
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is true, if that is known.
    pub fn truth(&self) -> Option<bool> {
        Some(match self {
            Value::None => false,
            Value::Bool(b) => *b,
            Value::Int(i) => *i != 0,
            Value::Float(x) => *x != 0.0,
            Value::Str(s) => !s.is_empty(),
            Value::Bytes(b) => !b.is_empty(),
            Value::List(v) | Value::Tuple(v) | Value::Set(v) | Value::FrozenSet(v) => !v.is_empty(),
            Value::Dict(v) => !v.is_empty(),
            Value::Flow(_)
            | Value::Function(_)
            | Value::Class(_)
            | Value::Lazy(_)
            | Value::Lambda(..)
            | Value::Module(_) => true,
            _ => return None,
        })
    }

    /// Whether it can change after it was made.
    pub fn is_mutable(&self) -> bool {
        matches!(
            self,
            Value::List(_)
                | Value::Set(_)
                | Value::Dict(_)
                | Value::Instance(_)
                | Value::Class(_)
                | Value::Flow(_)
                | Value::Function(_)
                | Value::Module(_)
                | Value::Import(_)
                | Value::Lazy(_)
                | Value::Made(_)
        )
    }
}

/// Whether two values are certainly the same; type expressions compare by structure, classes by identity.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    same_within(a, b, &mut 50_000)
}

fn same_within(a: &Value, b: &Value, budget: &mut u32) -> bool {
    if *budget == 0 {
        return false;
    }
    *budget -= 1;
    let mut all =
        |a: &[Value], b: &[Value]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_within(a, b, budget));
    match (a, b) {
        (Value::None, Value::None) | (Value::Ellipsis, Value::Ellipsis) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Str(a), Value::Str(b))
        | (Value::Extern(a), Value::Extern(b))
        | (Value::Forward(a), Value::Forward(b)) => a == b,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::List(a), Value::List(b))
        | (Value::Tuple(a), Value::Tuple(b))
        | (Value::Union(a), Value::Union(b))
        | (Value::Literal(a), Value::Literal(b)) => all(a, b),
        (Value::Dict(a), Value::Dict(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b.iter())
                    .all(|(a, b)| same_within(&a.0, &b.0, budget) && same_within(&a.1, &b.1, budget))
        }
        (Value::Data(a), Value::Data(b)) => a.class == b.class && a.json == b.json,
        (Value::Generic(a, x), Value::Generic(b, y)) => a == b && all(x, y),
        (Value::Module(a), Value::Module(b)) => a == b,
        (Value::Import(a), Value::Import(b)) => a.module == b.module && a.name == b.name,
        (Value::Lazy(a), Value::Lazy(b)) => Rc::ptr_eq(a, b),
        (Value::Class(a), Value::Class(b)) => Rc::ptr_eq(a, b),
        (Value::Function(a), Value::Function(b)) => Rc::ptr_eq(a, b),
        (Value::Flow(a), Value::Flow(b)) => Rc::ptr_eq(a, b),
        (Value::Member(a, i), Value::Member(b, j)) => Rc::ptr_eq(a, b) && i == j,
        (Value::Alias(a), Value::Alias(b)) => Rc::ptr_eq(a, b),
        (Value::NewType(a), Value::NewType(b)) => Rc::ptr_eq(a, b),
        (Value::Instance(a), Value::Instance(b)) => Rc::ptr_eq(a, b),
        _ => false,
    }
}
