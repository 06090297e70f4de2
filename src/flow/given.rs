//! Generic models with arguments: `Box[int]` is a model of its own, with the argument in the place of the variable.
//!
//! Names are those that pydantic gives (`model_parametrized_name` in `main.py`, `get_type_ref` in
//! `_internal/_core_utils.py`, `get_defs_ref` in `json_schema.py`).

use std::cell::RefCell;
use std::rc::Rc;

use super::eval::make_union;
use super::machine::Machine;
use super::schema::Bad;
use super::value::{Class, Env, Value, same};

/// The longest name, in bytes, of a class with arguments: a few lines could make one that fills the memory.
const MAX_NAME: usize = 1000;
/// How many types are looked at to find a variable; where none is found by then, there may be one.
const MAX_TYPES: u32 = 2000;

/// What a class with arguments is made of.
pub(super) struct Given {
    /// The class without arguments.
    pub generic: Rc<Class>,
    /// Its variables, and what stands for each.
    pub pairs: Rc<Vec<(Value, Value)>>,
    /// Whether a variable is left among them: then the class is only good for being inherited from.
    pub open: bool,
    /// The name of its definition.
    pub definition: String,
}

impl Machine<'_> {
    /// `class[arguments]`; none where only Python can tell what that is.
    pub fn parametrised(&mut self, class: &Rc<Class>, args: &[Value]) -> Option<Value> {
        let variables = variables(class)?;
        if class.given.is_some() || variables.len() != args.len() || variables.is_empty() {
            return None;
        }
        let equal = |known: &[Value]| known.iter().zip(args).all(|(a, b)| same_argument(a, b));
        if let Some((_, _, made)) = self.given.iter().find(|(of, known, _)| Rc::ptr_eq(of, class) && equal(known)) {
            return Some(Value::Class(made.clone()));
        }
        let shown: Option<Vec<String>> = args.iter().map(shown).collect();
        let open = shown.is_none();
        if open && !args.iter().any(has_variable) {
            return None;
        }
        let shown = shown.unwrap_or_default();
        if shown.iter().map(String::len).sum::<usize>() > MAX_NAME {
            return None;
        }
        let (name, reference) = (format!("{}[{}]", class.name, shown.join(", ")), shown.join(","));
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
        let definition = format!("{}[{reference}]", class.name).chars().map(plain).collect();
        let pairs = Rc::new(variables.into_iter().zip(args.iter().cloned()).collect());
        let made = Rc::new(Class {
            name,
            module: class.module,
            bases: vec![Value::Class(class.clone())],
            keywords: Vec::new(),
            decorators: Vec::new(),
            fields: Vec::new(),
            env: RefCell::new(Env::new()),
            // What Python makes of the class statement has no docstring.
            doc: None,
            odd: None,
            origin: class.origin.clone(),
            given: Some(Given { generic: class.clone(), pairs, open, definition }),
        });
        self.given.push((class.clone(), args.to_vec(), made.clone()));
        Some(Value::Class(made))
    }

    /// A type with arguments in the place of variables.
    pub fn filled_in(&mut self, ty: &Value, pairs: &[(Value, Value)]) -> Result<Value, Bad> {
        self.deeper(|m| m.filled_in_here(ty, pairs)).unwrap_or_else(|| Err(Bad::vague("the type is too deep")))
    }

    fn filled_in_here(&mut self, ty: &Value, pairs: &[(Value, Value)]) -> Result<Value, Bad> {
        let all = |m: &mut Self, types: &[Value]| {
            types.iter().map(|ty| m.filled_in(ty, pairs)).collect::<Result<Vec<Value>, Bad>>()
        };
        Ok(match ty {
            Value::TypeVar(..) => {
                let found = pairs.iter().find(|(variable, _)| same_variable(variable, ty));
                found.map_or_else(|| ty.clone(), |(_, arg)| arg.clone())
            }
            Value::Generic(name, args) => Value::Generic(name.clone(), Rc::new(all(self, args)?)),
            Value::Union(members) => make_union(all(self, members)?),
            Value::Annotated(inner) => Value::Annotated(Rc::new((self.filled_in(&inner.0, pairs)?, inner.1.clone()))),
            Value::Class(class) => match &class.given {
                Some(given) if given.open => {
                    let args: Vec<Value> = given.pairs.iter().map(|(_, arg)| arg.clone()).collect();
                    let args = all(self, &args)?;
                    let made = self.parametrised(&given.generic.clone(), &args);
                    made.ok_or_else(|| Bad::vague(format!("`{}[...]` is left to Python", given.generic.name)))?
                }
                Some(_) | None => ty.clone(),
            },
            Value::Forward(_) | Value::Str(_) => {
                return Err(Bad::vague("a type that is given as a text may hold a variable of the class"));
            }
            other => other.clone(),
        })
    }
}

/// The variables of a class, in the order in which it takes arguments; none where that cannot be known.
fn variables(class: &Rc<Class>) -> Option<Vec<Value>> {
    let of_generic = class.bases.iter().find_map(|base| match base {
        Value::Generic(name, args) if &**name == "typing.Generic" => Some(args),
        _ => None,
    });
    if let Some(args) = of_generic {
        return args.iter().all(|arg| matches!(arg, Value::TypeVar(..))).then(|| args.to_vec());
    }
    let open: Vec<&Given> = class
        .bases
        .iter()
        .filter_map(|base| match base {
            Value::Class(parent) => parent.given.as_ref().filter(|given| given.open),
            _ => None,
        })
        .collect();
    let [only] = open[..] else { return None };
    let args: Vec<Value> = only.pairs.iter().map(|(_, arg)| arg.clone()).collect();
    // Others would have to be looked for inside of arguments, and may repeat.
    let variables: Vec<Value> = args.into_iter().filter(has_variable).collect();
    let single = |at: usize| !variables[..at].iter().any(|other| same_variable(other, &variables[at]));
    let plain = (0..variables.len()).all(|at| matches!(variables[at], Value::TypeVar(..)) && single(at));
    plain.then_some(variables)
}

/// The name of an argument within that of the class (`display_as_type` in `_internal/_repr.py`).
fn shown(arg: &Value) -> Option<String> {
    match arg {
        Value::None => Some("NoneType".to_owned()),
        Value::Class(class) if class.given.as_ref().is_none_or(|given| !given.open) => Some(class.name.clone()),
        Value::Extern(name) => {
            let (module, class) = name.rsplit_once('.')?;
            let known = match module {
                "builtins" => {
                    matches!(class, "int" | "str" | "float" | "bool" | "bytes" | "list" | "dict" | "set" | "tuple")
                }
                "datetime" => matches!(class, "date" | "datetime" | "time" | "timedelta"),
                "uuid" => class == "UUID",
                "decimal" => class == "Decimal",
                "pathlib" => class == "Path",
                _ => false,
            };
            known.then(|| class.to_owned())
        }
        _ => None,
    }
}

fn has_variable(ty: &Value) -> bool {
    let mut waiting = vec![ty];
    for _ in 0..MAX_TYPES {
        let Some(ty) = waiting.pop() else { return false };
        match ty {
            Value::TypeVar(..) => return true,
            Value::Generic(_, types) | Value::Union(types) => waiting.extend(types.iter()),
            Value::Annotated(inner) => waiting.push(&inner.0),
            Value::Class(class) if class.given.as_ref().is_some_and(|given| given.open) => return true,
            _ => {}
        }
    }
    true
}

/// A variable is made by one call, and its list of constraints with it.
fn same_variable(a: &Value, b: &Value) -> bool {
    matches!((a, b), (Value::TypeVar(_, a), Value::TypeVar(_, b)) if Rc::ptr_eq(a, b))
}

fn same_argument(a: &Value, b: &Value) -> bool {
    same(a, b) || same_variable(a, b)
}
