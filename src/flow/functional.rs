//! Classes that calls make: `namedtuple(...)`, `TypedDict(...)`, `Enum(...)`.

use std::cell::RefCell;
use std::rc::Rc;

use ruff_text_size::TextRange;

use super::machine::{Frame, Machine};
use super::value::{Annotation, Args, Class, Declared, Env, Value};

impl Machine<'_> {
    /// The class that a call of a known class factory makes; `None` if that is only known when the code runs.
    pub fn made_class(&mut self, frame: &Frame, factory: &str, args: &Args, range: TextRange) -> Option<Value> {
        let name = args.pos.first()?.as_str()?.to_owned();
        let made = match factory {
            "collections.namedtuple" => named_tuple(args)?,
            "typing.NamedTuple" if args.pos.len() == 2 && args.kw.is_empty() => typed_tuple(args)?,
            "typing_extensions.TypedDict" if args.pos.len() == 2 => typed_dict(args)?,
            "enum.Enum" | "enum.IntEnum" if args.pos.len() == 2 && args.kw.is_empty() => members(&args.pos[1])?,
            _ => return None,
        };
        let base = match factory {
            "collections.namedtuple" => "typing.NamedTuple",
            other => other,
        };
        Some(Value::Class(Rc::new(Class {
            name,
            module: frame.module,
            bases: vec![Value::ext(base)],
            keywords: made.keywords,
            decorators: Vec::new(),
            fields: made.fields,
            env: RefCell::new(made.env),
            doc: None,
            odd: None,
            origin: self.origin(frame.module, range),
            given: None,
        })))
    }
}

/// What a class body would have said.
#[derive(Default)]
struct Body {
    fields: Vec<Declared>,
    env: Env,
    keywords: Vec<(String, Value)>,
}

impl Body {
    fn field(&mut self, name: &str, ty: Value) {
        let annotation = match ty {
            Value::Str(text) => super::exec::parse_annotation(&text),
            other => Annotation::Now(other),
        };
        self.fields.push(Declared { name: name.to_owned(), annotation });
    }
}

fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::List(items) | Value::Tuple(items) => Some(items),
        _ => None,
    }
}

/// Names in a list or in one text with spaces or commas; only plain, different ones.
fn names(value: &Value) -> Option<Vec<String>> {
    let names: Vec<String> = match value {
        Value::Str(text) => text.replace(',', " ").split_whitespace().map(str::to_owned).collect(),
        other => items(other)?.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?,
    };
    let plain = |name: &String| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let different = names.iter().collect::<std::collections::BTreeSet<_>>().len() == names.len();
    (different && names.len() < 500 && names.iter().all(plain)).then_some(names)
}

fn named_tuple(args: &Args) -> Option<Body> {
    let names = names(args.arg(1, "field_names")?)?;
    if args.pos.len() > 2 || args.kw.iter().any(|(key, _)| !matches!(key.as_str(), "field_names" | "defaults")) {
        return None;
    }
    let mut body = Body::default();
    for name in &names {
        body.field(name, Value::ext("typing.Any"));
    }
    match args.get("defaults") {
        None | Some(Value::None) => {}
        Some(defaults) => {
            let defaults = items(defaults)?;
            let first = names.len().checked_sub(defaults.len())?;
            body.env.extend(names[first..].iter().cloned().zip(defaults.iter().cloned()));
        }
    }
    Some(body)
}

fn typed_tuple(args: &Args) -> Option<Body> {
    let mut body = Body::default();
    for item in items(&args.pos[1])? {
        let [name, ty] = items(item)? else { return None };
        body.field(name.as_str()?, ty.clone());
    }
    Some(body)
}

fn typed_dict(args: &Args) -> Option<Body> {
    let Value::Dict(entries) = &args.pos[1] else { return None };
    let mut body = Body { keywords: args.kw.clone(), ..Body::default() };
    for (name, ty) in entries.iter() {
        body.field(name.as_str()?, ty.clone());
    }
    Some(body)
}

fn members(value: &Value) -> Option<Body> {
    let mut body = Body::default();
    match value {
        Value::Dict(entries) => {
            for (name, value) in entries.iter() {
                body.env.insert(name.as_str()?.to_owned(), value.clone());
            }
        }
        other => {
            for (at, name) in names(other)?.into_iter().enumerate() {
                body.env.insert(name, Value::Int(at as i128 + 1));
            }
        }
    }
    (!body.env.is_empty()).then_some(body)
}
