//! Comprehensions and simple functions: what can be worked out by going over known items.

use std::rc::Rc;

use ruff_python_ast::{Comprehension, Expr, Stmt};

use super::class::Kind;
use super::exec::listed;
use super::machine::{Frame, Machine};
use super::value::{Args, Env, Function, Value, same};

/// The most items that are gone over.
const MAX_ITEMS: usize = 5000;

impl Machine<'_> {
    /// The items that going over a value gives, in order.
    pub fn items_of(&mut self, value: &Value) -> Option<Vec<Value>> {
        match self.force(value.clone()) {
            Value::List(items) | Value::Tuple(items) | Value::Items(items) => Some((*items).clone()),
            Value::Dict(items) => Some(items.iter().map(|(key, _)| key.clone()).collect()),
            Value::Range(from, to, step) => {
                let mut items = Vec::new();
                let mut at = from;
                while (step > 0 && at < to) || (step < 0 && at > to) {
                    items.push(Value::Int(at));
                    at += step;
                    if items.len() > MAX_ITEMS {
                        return None;
                    }
                }
                Some(items)
            }
            Value::Class(class) => match self.kind(&class) {
                Ok(Kind::Enum(members)) if !class.bases.iter().any(is_flag) => {
                    let mut seen: Vec<&Value> = Vec::new();
                    let mut items = Vec::new();
                    for (at, (_, value)) in members.iter().enumerate() {
                        // A second name for a value is no member of its own.
                        if !seen.iter().any(|known| same(known, value)) {
                            seen.push(value);
                            items.push(Value::Member(class.clone(), at));
                        }
                    }
                    Some(items)
                }
                Ok(_) | Err(_) => None,
            },
            _ => None,
        }
    }

    /// What a comprehension with one `for` gives for each item; `None` if that is only known when the code runs.
    pub fn comprehension(
        &mut self,
        frame: &Frame,
        generators: &[Comprehension],
        wanted: &[&Expr],
    ) -> Option<Vec<Value>> {
        let [generator] = generators else { return None };
        let over = self.eval(frame, &generator.iter).ok()?;
        let items = self.items_of(&over).filter(|items| items.len() <= MAX_ITEMS && !generator.is_async)?;
        let mut out = Vec::new();
        for item in items {
            let mut locals = frame.locals.clone().unwrap_or_default();
            match &generator.target {
                Expr::Name(name) => {
                    locals.insert(name.id.to_string(), item);
                }
                Expr::Tuple(targets) => {
                    let (Value::Tuple(parts) | Value::List(parts)) = &item else { return None };
                    if parts.len() != targets.elts.len() {
                        return None;
                    }
                    for (target, part) in targets.elts.iter().zip(parts.iter()) {
                        locals.insert(target.as_name_expr()?.id.to_string(), part.clone());
                    }
                }
                _ => return None,
            }
            let inner = Frame { locals: Some(locals), ..Frame::top(frame.module) };
            let mut kept = true;
            for test in &generator.ifs {
                let value = self.eval(&inner, test).ok()?;
                kept &= self.truth(&value)?;
            }
            for expr in wanted.iter().filter(|_| kept) {
                match self.eval(&inner, expr).ok()? {
                    Value::Unknown(_) => return None,
                    value => out.push(value),
                }
            }
        }
        Some(out)
    }

    /// What a function gives whose body is one `return`; `None` for any other.
    pub fn returned(&mut self, function: &Rc<Function>, args: &Args) -> Option<Value> {
        let def = &function.def;
        let body: Vec<&Stmt> =
            def.body.iter().filter(|s| !matches!(s, Stmt::Expr(e) if e.value.is_string_literal_expr())).collect();
        let [Stmt::Return(result)] = &body[..] else { return None };
        let parameters = listed(&def.parameters);
        let plain = def.decorator_list.is_empty()
            && !def.is_async
            && !function.method
            && function.module == function.code
            && parameters.iter().all(|(_, _, starred)| !starred)
            && def.parameters.posonlyargs.is_empty()
            && def.parameters.kwonlyargs.is_empty()
            && args.pos.len() + args.kw.len() <= parameters.len()
            && args.kw.iter().all(|(key, _)| parameters.iter().any(|(p, ..)| p.name.as_str() == key));
        let result = result.value.as_deref().filter(|_| plain)?;
        let mut locals = Env::new();
        for (at, parameter) in function.params.iter().enumerate() {
            let given = args.arg(at, &parameter.name).or(parameter.default.as_ref())?;
            locals.insert(parameter.name.clone(), given.clone());
        }
        let frame = Frame { locals: Some(locals), ..Frame::top(function.module) };
        self.eval(&frame, result).ok().filter(|value| !matches!(value, Value::Unknown(_)))
    }
}

/// Whether it is a class of flags, whose combinations are no members.
fn is_flag(base: &Value) -> bool {
    matches!(base, Value::Extern(name) if matches!(&**name, "enum.Flag" | "enum.IntFlag"))
}
