//! Expressions become values, as far as that is certain.

use std::rc::Rc;

use ruff_python_ast::{
    CmpOp, Expr, ExprCall, ExprSubscript, InterpolatedStringElement, Number, Operator, StmtFunctionDef, UnaryOp,
};
use ruff_text_size::Ranged;

use super::machine::{Eval, Frame, Machine, Raise, unknown};
use super::simple::{self, canonical};
use super::value::{Args, Class, Function, Value, same};

/// The most arguments of a type.
const MAX_ARGUMENTS: usize = 2000;
/// The longest text, list or tuple that an expression may build.
const MAX_LEN: usize = 100_000;

impl Machine<'_> {
    /// What an expression gives.
    pub fn eval(&mut self, frame: &Frame, expr: &Expr) -> Eval {
        match self.deeper(|m| m.eval_inner(frame, expr)) {
            Some(result) => result,
            None => Ok(self.unknown(frame.module, expr, "the expression is too much to follow")),
        }
    }

    fn eval_inner(&mut self, frame: &Frame, expr: &Expr) -> Eval {
        let all = |m: &mut Self, items: &[Expr]| {
            items.iter().map(|item| m.eval_item(frame, item)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match expr {
            Expr::NoneLiteral(_) => Value::None,
            Expr::EllipsisLiteral(_) => Value::Ellipsis,
            Expr::BooleanLiteral(literal) => Value::Bool(literal.value),
            Expr::StringLiteral(literal) => Value::str(literal.value.to_str()),
            Expr::BytesLiteral(literal) => Value::Bytes(literal.value.bytes().collect::<Vec<u8>>().into()),
            Expr::NumberLiteral(literal) => match &literal.value {
                Number::Int(int) => match int.to_string().parse() {
                    Ok(int) => Value::Int(int),
                    Err(_) => self.unknown(frame.module, expr, "the number is too large"),
                },
                Number::Float(float) => Value::Float(*float),
                Number::Complex { .. } => self.unknown(frame.module, expr, "complex numbers are left to Python"),
            },
            Expr::Name(name) => return self.name(frame, &name.id),
            Expr::Tuple(tuple) => {
                let items = all(self, &tuple.elts)?;
                return self.sequence(frame, expr, items, Value::Tuple);
            }
            Expr::List(list) => {
                let items = all(self, &list.elts)?;
                return self.sequence(frame, expr, items, Value::List);
            }
            Expr::Set(set) => {
                let items = all(self, &set.elts)?;
                return self.sequence(frame, expr, items, Value::Set);
            }
            Expr::Dict(dict) => {
                let mut items = Vec::new();
                for item in &dict.items {
                    let value = self.eval(frame, &item.value)?;
                    match &item.key {
                        Some(key) => {
                            let key = self.eval(frame, key)?;
                            put(&mut items, key, value);
                        }
                        None => match value {
                            Value::Dict(more) => more.iter().for_each(|(k, v)| put(&mut items, k.clone(), v.clone())),
                            _ => {
                                return Ok(self.unknown(
                                    frame.module,
                                    expr,
                                    "the dictionary takes in something unknown",
                                ));
                            }
                        },
                    }
                }
                Value::Dict(Rc::new(items))
            }
            Expr::Attribute(attribute) => {
                let value = self.eval(frame, &attribute.value)?;
                return self.attribute(value, &attribute.attr, || (frame.module, attribute.range()));
            }
            Expr::Subscript(subscript) => return self.subscript(frame, subscript),
            Expr::Call(call) => {
                let function = self.eval(frame, &call.func)?;
                return self.call_expr(frame, function, call);
            }
            Expr::UnaryOp(unary) => {
                let value = self.eval(frame, &unary.operand)?;
                match (unary.op, value) {
                    (UnaryOp::USub, Value::Int(i)) => Value::Int(-i),
                    (UnaryOp::USub, Value::Float(x)) => Value::Float(-x),
                    (UnaryOp::UAdd, v @ (Value::Int(_) | Value::Float(_))) => v,
                    (UnaryOp::Not, v) => match self.truth(&v) {
                        Some(truth) => Value::Bool(!truth),
                        None => self.unknown(frame.module, expr, "it depends on something unknown"),
                    },
                    (_, Value::Unknown(reason)) => Value::Unknown(reason),
                    _ => self.unknown(frame.module, expr, "the operation is left to Python"),
                }
            }
            Expr::BinOp(binary) => {
                let left = self.eval(frame, &binary.left)?;
                let right = self.eval(frame, &binary.right)?;
                return self.binary(frame, binary.op, left, right, expr);
            }
            Expr::BoolOp(operation) => {
                let stops_at = matches!(operation.op, ruff_python_ast::BoolOp::Or);
                let mut last = Value::None;
                for (i, item) in operation.values.iter().enumerate() {
                    last = self.eval(frame, item)?;
                    if i + 1 == operation.values.len() {
                        break;
                    }
                    match self.truth(&last) {
                        Some(truth) if truth == stops_at => break,
                        Some(_) => {}
                        None => return Ok(self.unknown(frame.module, expr, "it depends on something unknown")),
                    }
                }
                last
            }
            Expr::If(choice) => {
                let test = self.eval(frame, &choice.test)?;
                match self.truth(&test) {
                    Some(true) => return self.eval(frame, &choice.body),
                    Some(false) => return self.eval(frame, &choice.orelse),
                    None => self.unknown(frame.module, expr, "it depends on something unknown"),
                }
            }
            Expr::Compare(compare) if compare.ops.len() == 1 => {
                let left = self.eval(frame, &compare.left)?;
                let right = self.eval(frame, &compare.comparators[0])?;
                match compared(compare.ops[0], &left, &right) {
                    Some(truth) => Value::Bool(truth),
                    None => self.unknown(frame.module, expr, "the comparison is only known when the code runs"),
                }
            }
            Expr::FString(text) => {
                let mut out = String::new();
                for element in text.value.elements() {
                    if out.len() > MAX_LEN {
                        return Ok(self.unknown(frame.module, expr, "the text is too long to follow"));
                    }
                    match element {
                        InterpolatedStringElement::Literal(literal) => out.push_str(literal),
                        InterpolatedStringElement::Interpolation(hole)
                            if hole.format_spec.is_none() && hole.conversion.is_none() && hole.debug_text.is_none() =>
                        {
                            match self.eval(frame, &hole.expression)? {
                                Value::Str(text) => out.push_str(&text),
                                Value::Int(int) => out.push_str(&int.to_string()),
                                Value::Unknown(reason) => return Ok(Value::Unknown(reason)),
                                _ => return Ok(self.unknown(frame.module, expr, "the text is left to Python")),
                            }
                        }
                        InterpolatedStringElement::Interpolation(_) => {
                            return Ok(self.unknown(frame.module, expr, "formatted text is left to Python"));
                        }
                    }
                }
                for part in text.value.iter() {
                    if let ruff_python_ast::FStringPart::Literal(_) = part {
                        return Ok(self.unknown(frame.module, expr, "joined texts are left to Python"));
                    }
                }
                Value::str(out)
            }
            Expr::ListComp(list) => match self.comprehension(frame, &list.generators, &[&list.elt]) {
                Some(items) => Value::List(Rc::new(items)),
                None => self.unknown(frame.module, expr, "the list is only known when the code runs"),
            },
            Expr::SetComp(set) => match self.comprehension(frame, &set.generators, &[&set.elt]) {
                Some(items) => Value::Set(Rc::new(items)),
                None => self.unknown(frame.module, expr, "the set is only known when the code runs"),
            },
            Expr::DictComp(dict) => {
                let pair = dict.key.as_ref().map(|key| [&**key, &*dict.value]);
                match pair.and_then(|pair| self.comprehension(frame, &dict.generators, &pair)) {
                    Some(flat) => {
                        let mut items = Vec::new();
                        for pair in flat.chunks_exact(2) {
                            put(&mut items, pair[0].clone(), pair[1].clone());
                        }
                        Value::Dict(Rc::new(items))
                    }
                    None => self.unknown(frame.module, expr, "the dictionary is only known when the code runs"),
                }
            }
            Expr::Lambda(lambda) => {
                let count = lambda.parameters.as_ref().map_or(0, |p| p.len());
                Value::Lambda(frame.module, count, Rc::new((*lambda.body).clone()))
            }
            _ => self.unknown(frame.module, expr, "the expression is only known when the code runs"),
        })
    }

    /// An item of a display; a starred one is marked by being unknown unless its items are known.
    fn eval_item(&mut self, frame: &Frame, expr: &Expr) -> Eval {
        match expr {
            Expr::Starred(starred) => {
                let inner = self.eval(frame, &starred.value)?;
                Ok(match inner {
                    Value::Unknown(reason) => Value::Unknown(reason),
                    _ => self.unknown(frame.module, expr, "starred items are left to Python"),
                })
            }
            other => self.eval(frame, other),
        }
    }

    fn sequence(&self, frame: &Frame, at: &Expr, items: Vec<Value>, make: fn(Rc<Vec<Value>>) -> Value) -> Eval {
        let starred = match at {
            Expr::Tuple(t) => t.elts.iter().any(Expr::is_starred_expr),
            Expr::List(t) => t.elts.iter().any(Expr::is_starred_expr),
            Expr::Set(t) => t.elts.iter().any(Expr::is_starred_expr),
            _ => false,
        };
        Ok(match starred || items.len() > MAX_LEN {
            true => self.unknown(frame.module, at, "starred items are left to Python"),
            false => make(Rc::new(items)),
        })
    }

    /// Whether a value is true, `typing.TYPE_CHECKING` included.
    pub fn truth(&mut self, value: &Value) -> Option<bool> {
        match self.force(value.clone()) {
            Value::Extern(name) if &*name == "typing.TYPE_CHECKING" => Some(false),
            other => other.truth(),
        }
    }

    /// `value.name`.
    pub fn attribute(&mut self, value: Value, name: &str, at: impl Fn() -> (usize, ruff_text_size::TextRange)) -> Eval {
        let value = self.force(value);
        let here = |m: &Self, text: String| {
            let (module, range) = at();
            m.unknown(module, range, text)
        };
        Ok(match &value {
            Value::Unknown(_) => value.clone(),
            Value::Module(id) => return self.attribute_of_module(*id, name),
            Value::Extern(module) => {
                let dotted = format!("{module}.{name}");
                match self.module(&dotted) {
                    Ok(Some(id)) => Value::Module(id),
                    _ => Value::ext(canonical(&dotted)),
                }
            }
            Value::Class(class) => return self.class_attribute(&class.clone(), name, &at),
            Value::Member(class, index) => match (name, self.members(class)) {
                ("value" | "_value_", Ok(members)) => members.get(*index).map_or(Value::None, |m| m.1.clone()),
                ("name" | "_name_", Ok(members)) => {
                    members.get(*index).map_or(Value::None, |m| Value::str(m.0.as_str()))
                }
                _ => here(self, format!("`{name}` of a member is left to Python")),
            },
            Value::Opaque(what) if what.contains("property") && matches!(name, "setter" | "getter" | "deleter") => {
                Value::ext("builtins.property")
            }
            Value::Flow(flow) if name == "name" => Value::str(flow.name.as_str()),
            Value::Flow(flow) if name == "fn" => Value::Function(flow.function.clone()),
            Value::Flow(_) | Value::Str(_) | Value::Dict(_) | Value::Data(_) | Value::Alias(_) => {
                Value::Bound(Rc::new((value.clone(), name.to_owned())))
            }
            _ => here(self, format!("`.{name}` is only known when the code runs")),
        })
    }

    fn class_attribute(
        &mut self,
        class: &Rc<Class>,
        name: &str,
        at: &dyn Fn() -> (usize, ruff_text_size::TextRange),
    ) -> Eval {
        let here = |m: &Self, text: String| {
            let (module, range) = at();
            m.unknown(module, range, text)
        };
        if let Ok(members) = self.members(class)
            && let Some(index) = members.iter().position(|(member, _)| member == name)
        {
            return Ok(Value::Member(class.clone(), index));
        }
        if let Some(reason) = &class.odd {
            return Ok(Value::Unknown(Rc::new(reason.clone())));
        }
        let found = class.env.borrow().get(name).cloned();
        if let Some(value) = found {
            let value = self.force(value);
            let plain = self.kind(class).is_ok_and(|kind| kind.keeps_attributes());
            return Ok(match value {
                Value::Static(inner) => (*inner).clone(),
                Value::ClassMethod(inner) if matches!(*inner, Value::Flow(_)) => {
                    here(self, "`@classmethod` around a flow depends on the version of Python".to_owned())
                }
                flow @ Value::Flow(_) => flow,
                _ if !plain && class.fields.iter().any(|field| field.name == name) => {
                    here(self, format!("`{}.{name}` is only known when the code runs", class.name))
                }
                Value::ClassMethod(_) => here(self, format!("`{name}` is a class method")),
                other if plain => other,
                _ => here(self, format!("`{}.{name}` is only known when the code runs", class.name)),
            });
        }
        let mut open = !class.keywords.is_empty() || !class.decorators.is_empty();
        for base in class.bases.clone() {
            match base {
                Value::Class(base) => match self.class_attribute(&base, name, at) {
                    Err(_) => {}
                    found => return found,
                },
                Value::Extern(base) if matches!(&*base, "builtins.object" | "abc.ABC") => {}
                _ => open = true,
            }
        }
        match open || name.starts_with("__") {
            true => Ok(here(self, format!("`{}.{name}` comes from outside the repository", class.name))),
            false => Err(Raise::Other(format!("`{}` has no `{name}`", class.name))),
        }
    }

    /// `left operator right`.
    pub fn binary(&mut self, frame: &Frame, op: Operator, left: Value, right: Value, at: impl Ranged) -> Eval {
        let (left, right) = (self.force(left), self.force(right));
        let vague =
            |m: &Self| Ok(m.unknown(frame.module, at.range(), "the operation is only known when the code runs"));
        if let (Value::Unknown(reason), _) | (_, Value::Unknown(reason)) = (&left, &right) {
            return Ok(Value::Unknown(reason.clone()));
        }
        if op == Operator::BitOr {
            return match union_of(&left, &right) {
                Some(result) => result,
                None => match (&left, &right) {
                    (Value::Int(a), Value::Int(b)) => Ok(Value::Int(a | b)),
                    (Value::Dict(a), Value::Dict(b)) => {
                        let mut items = (**a).clone();
                        b.iter().for_each(|(k, v)| put(&mut items, k.clone(), v.clone()));
                        Ok(Value::Dict(Rc::new(items)))
                    }
                    _ => vague(self),
                },
            };
        }
        let number = |value: &Value| match value {
            Value::Int(int) if int.unsigned_abs() < 1 << 53 => Some(*int as f64),
            Value::Float(float) => Some(*float),
            _ => None,
        };
        Ok(match (op, &left, &right) {
            (Operator::Div | Operator::FloorDiv | Operator::Mod, Value::Int(_) | Value::Float(_), Value::Int(0)) => {
                return Err(Raise::Other("division by zero".to_owned()));
            }
            (Operator::Add, Value::Int(a), Value::Int(b)) => {
                a.checked_add(*b).map_or_else(|| unknown("too large"), Value::Int)
            }
            (Operator::Sub, Value::Int(a), Value::Int(b)) => {
                a.checked_sub(*b).map_or_else(|| unknown("too large"), Value::Int)
            }
            (Operator::Mult, Value::Int(a), Value::Int(b)) => {
                a.checked_mul(*b).map_or_else(|| unknown("too large"), Value::Int)
            }
            (Operator::BitAnd, Value::Int(a), Value::Int(b)) => Value::Int(a & b),
            (Operator::LShift, Value::Int(a), Value::Int(b)) if (0..60).contains(b) && a.unsigned_abs() < 1 << 60 => {
                Value::Int(a << b)
            }
            (Operator::FloorDiv, Value::Int(a), Value::Int(b)) if *b > 0 => Value::Int(a.div_euclid(*b)),
            (Operator::Mod, Value::Int(a), Value::Int(b)) if *b > 0 => Value::Int(a.rem_euclid(*b)),
            (Operator::Pow, Value::Int(a), Value::Int(b)) if (0..200).contains(b) => {
                a.checked_pow(*b as u32).map_or_else(|| unknown("too large"), Value::Int)
            }
            (Operator::Add, Value::Str(a), Value::Str(b)) if a.len() + b.len() <= MAX_LEN => {
                Value::str(format!("{a}{b}"))
            }
            (Operator::Mult, Value::Str(a), Value::Int(n)) | (Operator::Mult, Value::Int(n), Value::Str(a))
                if a.len().saturating_mul((*n).clamp(0, 1 << 20) as usize) <= MAX_LEN =>
            {
                Value::str(a.repeat((*n).clamp(0, 1 << 20) as usize))
            }
            (Operator::Add, Value::List(a), Value::List(b)) if a.len() + b.len() <= MAX_LEN => {
                Value::List(Rc::new(a.iter().chain(b.iter()).cloned().collect()))
            }
            (Operator::Add, Value::Tuple(a), Value::Tuple(b)) if a.len() + b.len() <= MAX_LEN => {
                Value::Tuple(Rc::new(a.iter().chain(b.iter()).cloned().collect()))
            }
            (Operator::Div, Value::Data(path), Value::Str(part)) if path.class == "pathlib.Path" => {
                match (path.json.as_str(), part.starts_with('/')) {
                    (Some(path), false) => super::call::path(&format!("{path}/{part}")),
                    _ => return vague(self),
                }
            }
            (op, a, b) => match (op, number(a), number(b)) {
                (Operator::Add, Some(a), Some(b)) => Value::Float(a + b),
                (Operator::Sub, Some(a), Some(b)) => Value::Float(a - b),
                (Operator::Mult, Some(a), Some(b)) => Value::Float(a * b),
                (Operator::Div, Some(a), Some(b)) if b != 0.0 => Value::Float(a / b),
                _ => return vague(self),
            },
        })
    }

    /// `value[index]`: mostly a generic type.
    fn subscript(&mut self, frame: &Frame, subscript: &ExprSubscript) -> Eval {
        let value = self.eval(frame, &subscript.value)?;
        let value = self.force(value);
        let index = self.eval(frame, &subscript.slice)?;
        if let Value::Unknown(_) = index {
            return Ok(index);
        }
        let mut args: Vec<Value> = match (&*subscript.slice, &index) {
            // `tuple[()]` is a tuple without items.
            (Expr::Tuple(_), Value::Tuple(items)) if items.is_empty() => vec![index.clone()],
            (Expr::Tuple(_), Value::Tuple(items)) => (**items).clone(),
            _ => vec![index.clone()],
        };
        for arg in &mut args {
            *arg = self.force(arg.clone());
        }
        let vague = |m: &Self, text: &str| Ok(m.unknown(frame.module, subscript.range(), text));
        if args.len() > MAX_ARGUMENTS {
            return vague(self, "the type has too many arguments");
        }
        Ok(match &value {
            Value::Unknown(_) => value,
            Value::Extern(name) => match &**name {
                "typing.Literal" => {
                    let mut flat = Vec::new();
                    for arg in args {
                        match arg {
                            Value::Literal(inner) => inner.iter().for_each(|v| push_new(&mut flat, v)),
                            Value::Str(_)
                            | Value::Int(_)
                            | Value::Bool(_)
                            | Value::None
                            | Value::Bytes(_)
                            | Value::Member(..) => {
                                push_new(&mut flat, &arg);
                            }
                            _ => return vague(self, "the literal is only known when the code runs"),
                        }
                    }
                    Value::Literal(Rc::new(flat))
                }
                "typing.Annotated" if args.len() > 1 => {
                    let meta = args.split_off(1);
                    let inner = args.pop().map_or(Value::None, as_type);
                    match inner {
                        Value::Annotated(inner) => {
                            let mut all = inner.1.clone();
                            all.extend(meta);
                            Value::Annotated(Rc::new((inner.0.clone(), all)))
                        }
                        other => Value::Annotated(Rc::new((other, meta))),
                    }
                }
                "typing.Optional" if args.len() == 1 => make_union(vec![as_type(args.remove(0)), Value::None]),
                "typing.Union" => make_union(args.into_iter().map(as_type).collect()),
                "os.environ" => return vague(self, "it reads the environment"),
                name if simple::is_generic(name) => {
                    Value::Generic(name.into(), Rc::new(args.into_iter().map(as_type).collect()))
                }
                _ => return vague(self, &format!("`{name}[...]` is left to Python")),
            },
            Value::List(items) | Value::Tuple(items) => match index {
                Value::Int(i) => {
                    let at = if i < 0 { i + items.len() as i128 } else { i };
                    match usize::try_from(at).ok().and_then(|at| items.get(at)) {
                        Some(item) => item.clone(),
                        None => return vague(self, "the index may be out of range"),
                    }
                }
                _ => return vague(self, "slices are left to Python"),
            },
            Value::Dict(items) => match items.iter().rev().find(|(key, _)| same(key, &index)) {
                Some((_, value)) => value.clone(),
                None => return vague(self, "the key may be missing"),
            },
            Value::Class(class) => match self.members(class) {
                Ok(members) => match members.iter().position(|(name, _)| index.as_str() == Some(name)) {
                    Some(at) => Value::Member(class.clone(), at),
                    None => return vague(self, "there may be no such member"),
                },
                Err(_) => match self.parametrised(class, &args) {
                    Some(made) => made,
                    None => return vague(self, "generic classes of the repository are left to Python"),
                },
            },
            _ => return vague(self, "the subscript is only known when the code runs"),
        })
    }

    /// A call with its arguments evaluated.
    fn call_expr(&mut self, frame: &Frame, function: Value, call: &ExprCall) -> Eval {
        let mut args = Args::default();
        let mut open = false;
        for arg in &call.arguments.args {
            match arg {
                Expr::Starred(starred) => match self.eval(frame, &starred.value)? {
                    Value::List(items) | Value::Tuple(items) => args.pos.extend(items.iter().cloned()),
                    _ => open = true,
                },
                Expr::Generator(inner) => {
                    let items = self.comprehension(frame, &inner.generators, &[&inner.elt]);
                    let vague = || self.unknown(frame.module, arg, "the items are only known when the code runs");
                    args.pos.push(items.map_or_else(vague, |items| Value::Items(Rc::new(items))));
                }
                arg => args.pos.push(self.eval(frame, arg)?),
            }
        }
        for keyword in &call.arguments.keywords {
            let value = self.eval(frame, &keyword.value)?;
            match (&keyword.arg, value) {
                (Some(name), value) => args.kw.push((name.to_string(), value)),
                (None, Value::Dict(items)) if items.iter().all(|(key, _)| key.as_str().is_some()) => {
                    args.kw.extend(items.iter().map(|(k, v)| (k.as_str().unwrap_or_default().to_owned(), v.clone())));
                }
                (None, _) => open = true,
            }
        }
        if open {
            return Ok(self.unknown(frame.module, call, "the arguments are only known when the code runs"));
        }
        let function = self.force(function);
        self.call(frame, function, args, call.range())
    }

    /// A lambda's or a one-line function's result without arguments.
    pub fn call_simple(&mut self, value: &Value) -> Value {
        match value {
            Value::Lambda(module, 0, body) => {
                let frame = Frame::top(*module);
                self.eval(&frame, body).unwrap_or_else(|raise| unknown(raise.text()))
            }
            Value::Extern(name) => match &**name {
                "builtins.list" => Value::List(Rc::default()),
                "builtins.dict" => Value::Dict(Rc::default()),
                "builtins.set" => Value::Set(Rc::default()),
                "builtins.tuple" => Value::Tuple(Rc::default()),
                "builtins.str" => Value::str(""),
                "builtins.int" => Value::Int(0),
                _ => unknown(format!("`{name}()` is only known when the code runs")),
            },
            Value::Class(class) => {
                Value::Instance(Rc::new(super::value::Instance { class: class.clone(), args: Args::default() }))
            }
            _ => unknown("it is made when the code runs"),
        }
    }
}

/// The same function as called through a wrapper whose code is in another module.
pub(super) fn wrapped(function: &Function, code: usize) -> Function {
    Function {
        def: function.def.clone(),
        module: function.module,
        code,
        params: function.params.iter().map(copy_parameter).collect(),
        returns: function.returns.clone(),
        doc: function.doc.clone(),
        method: function.method,
        origin: function.origin.clone(),
    }
}

fn copy_parameter(parameter: &super::value::Parameter) -> super::value::Parameter {
    super::value::Parameter {
        name: parameter.name.clone(),
        annotation: parameter.annotation.clone(),
        default: parameter.default.clone(),
        origin: parameter.origin.clone(),
    }
}

/// Whether a decorator only wraps: `@functools.wraps(fn)` on the one function it makes and returns.
pub(super) fn only_wraps(def: &StmtFunctionDef) -> bool {
    use ruff_python_ast::Stmt;
    let parameters = &def.parameters;
    let [parameter] = &*parameters.args else { return false };
    let single = parameters.posonlyargs.is_empty()
        && parameters.kwonlyargs.is_empty()
        && parameters.vararg.is_none()
        && parameters.kwarg.is_none()
        && def.decorator_list.is_empty()
        && !def.is_async;
    let body: Vec<&Stmt> =
        def.body.iter().filter(|s| !matches!(s, Stmt::Expr(e) if e.value.is_string_literal_expr())).collect();
    let [Stmt::FunctionDef(inner), Stmt::Return(result)] = &body[..] else { return false };
    let returns = matches!(result.value.as_deref(), Some(Expr::Name(name)) if name.id == inner.name.as_str());
    let [decorator] = &*inner.decorator_list else { return false };
    let Expr::Call(call) = &decorator.expression else { return false };
    let wraps = match &*call.func {
        Expr::Name(name) => name.id == "wraps",
        Expr::Attribute(attribute) => {
            attribute.attr.as_str() == "wraps"
                && matches!(&*attribute.value, Expr::Name(name) if name.id == "functools")
        }
        _ => false,
    };
    let of = matches!(&*call.arguments.args, [Expr::Name(name)] if name.id == parameter.parameter.name.as_str());
    single && returns && wraps && of && call.arguments.keywords.is_empty()
}

/// Puts an item into a dictionary.
fn put(items: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    match items.iter_mut().rev().take(64).find(|(known, _)| same(known, &key)) {
        Some(slot) => slot.1 = value,
        None => items.push((key, value)),
    }
}

fn push_new(items: &mut Vec<Value>, value: &Value) {
    if !items.iter().any(|known| same(known, value)) {
        items.push(value.clone());
    }
}

/// A type's argument: a string is a reference to a type of that name.
fn as_type(value: Value) -> Value {
    match value {
        Value::Str(text) => Value::Forward(text),
        other => other,
    }
}

/// `Union[...]`, flat and without repetitions.
pub(super) fn make_union(members: Vec<Value>) -> Value {
    let mut flat: Vec<Value> = Vec::new();
    for member in members {
        match member {
            Value::Union(inner) => inner.iter().for_each(|v| push_new(&mut flat, v)),
            other => push_new(&mut flat, &other),
        }
    }
    match flat.len() {
        1 => flat.remove(0),
        _ => Value::Union(Rc::new(flat)),
    }
}

/// `a | b` of types; `None` if they are no types.
fn union_of(left: &Value, right: &Value) -> Option<Eval> {
    let is_type = |value: &Value| {
        matches!(
            value,
            Value::Class(_)
                | Value::Generic(..)
                | Value::Union(_)
                | Value::Literal(_)
                | Value::Annotated(_)
                | Value::NewType(_)
                | Value::TypeVar(..)
                | Value::Alias(_)
        ) || matches!(value, Value::Extern(name) if simple::is_type(name))
    };
    let text = |value: &Value| matches!(value, Value::Str(_));
    let class = |value: &Value| {
        matches!(value, Value::Class(_)) || matches!(value, Value::Extern(name) if simple::is_plain_class(name))
    };
    match (left, right) {
        (Value::None, Value::None) => Some(Err(Raise::Type("`None | None` is no type".to_owned()))),
        (a, b)
            if (is_type(a) && (is_type(b) || matches!(b, Value::None))) || (matches!(a, Value::None) && is_type(b)) =>
        {
            Some(Ok(make_union(vec![a.clone(), b.clone()])))
        }
        // A class and a text do not combine; typing's own objects and a text do, with a forward reference.
        (a, b) if (class(a) && text(b)) || (text(a) && class(b)) => {
            Some(Err(Raise::Type("a type and a text do not combine with `|`".to_owned())))
        }
        _ => None,
    }
}

/// A comparison, if its outcome is certain.
fn compared(op: CmpOp, left: &Value, right: &Value) -> Option<bool> {
    let known =
        |value: &Value| matches!(value, Value::None | Value::Bool(_) | Value::Int(_) | Value::Str(_) | Value::Float(_));
    if !known(left) || !known(right) {
        return None;
    }
    let alike = std::mem::discriminant(left) == std::mem::discriminant(right);
    match op {
        CmpOp::Eq if alike => Some(same(left, right)),
        CmpOp::NotEq if alike => Some(!same(left, right)),
        CmpOp::Is if matches!(left, Value::None) || matches!(right, Value::None) => Some(same(left, right)),
        CmpOp::IsNot if matches!(left, Value::None) || matches!(right, Value::None) => Some(!same(left, right)),
        CmpOp::Eq if matches!(left, Value::Str(_)) != matches!(right, Value::Str(_)) => Some(false),
        _ => match (left, right, op) {
            (Value::Int(a), Value::Int(b), CmpOp::Lt) => Some(a < b),
            (Value::Int(a), Value::Int(b), CmpOp::LtE) => Some(a <= b),
            (Value::Int(a), Value::Int(b), CmpOp::Gt) => Some(a > b),
            (Value::Int(a), Value::Int(b), CmpOp::GtE) => Some(a >= b),
            _ => None,
        },
    }
}
