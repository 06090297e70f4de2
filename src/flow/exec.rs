//! Statements bind names.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{
    Expr, ExprContext, Parameters, Pattern, Stmt, StmtClassDef, StmtFunctionDef, StmtIf, StmtImportFrom, StmtTry,
};
use ruff_text_size::Ranged;

use super::Reason;
use super::machine::{Frame, Machine, Raise, unknown};
use super::simple;
use super::value::{
    Alias, Annotation, Class, Declared, Definition, Env, Function, Import, Lazy, Parameter, Value, same,
};

/// Methods that change a list, a dictionary or a set in place.
const MUTATORS: &[&str] = &[
    "append",
    "extend",
    "insert",
    "pop",
    "remove",
    "clear",
    "update",
    "add",
    "discard",
    "setdefault",
    "sort",
    "reverse",
    "popitem",
    "appendleft",
    "extendleft",
    "difference_update",
    "intersection_update",
    "model_rebuild",
];

/// The most fields of a class.
const MAX_FIELDS: usize = 2000;

/// What happens after a statement.
pub(super) enum After {
    /// The next one.
    Next,
    /// An exception, certainly.
    Raised(Reason),
}

impl Machine<'_> {
    /// Runs a module's body.
    pub fn run(&mut self, id: usize, body: ruff_python_ast::Suite) {
        let mut scan = Scan::default();
        scan.visit_body(&body);
        scan.follow();
        self.modules[id].mutated = scan.mutated;
        self.modules[id].rebound = scan.rebound;
        self.modules[id].future = body.iter().any(|stmt| is_future(stmt, "annotations"));
        let late =
            body.iter().skip_while(|stmt| is_docstring(stmt) || is_future(stmt, "")).find(|stmt| is_future(stmt, ""));
        if let Some(late) = late {
            let origin = self.origin(id, late.range());
            let text = "`from __future__` must be the first statement";
            self.modules[id].broken = Some(Reason::new(text, Some(origin)));
            return;
        }
        let mut frame = Frame::top(id);
        if let After::Raised(reason) = self.block(&mut frame, &body) {
            self.modules[id].broken.get_or_insert(reason);
        }
    }

    /// Runs statements in order.
    fn block(&mut self, frame: &mut Frame, body: &[Stmt]) -> After {
        for stmt in body {
            let after = self.deeper(|m| m.statement(frame, stmt));
            match after {
                Some(After::Next) => {}
                Some(raised @ After::Raised(_)) => return raised,
                None => return After::Raised(self.reason(frame, stmt, "the code is too much to follow")),
            }
        }
        After::Next
    }

    fn reason(&self, frame: &Frame, at: impl Ranged, text: impl Into<String>) -> Reason {
        Reason::new(text, Some(self.origin(frame.module, at.range())))
    }

    fn raised(&self, frame: &Frame, at: impl Ranged, raise: &Raise) -> After {
        After::Raised(self.reason(frame, at, format!("importing it raises: {}", raise.text())))
    }

    fn statement(&mut self, frame: &mut Frame, stmt: &Stmt) -> After {
        match stmt {
            Stmt::FunctionDef(def) => self.definition(frame, Definition::Function(Rc::new(def.clone())), stmt),
            Stmt::ClassDef(def) => self.definition(frame, Definition::Class(Rc::new(def.clone())), stmt),
            Stmt::Import(import) => {
                for alias in &import.names {
                    let (bound, module) = match &alias.asname {
                        Some(name) => (name.as_str(), alias.name.as_str()),
                        None => {
                            let first = alias.name.as_str().split('.').next().unwrap_or_default();
                            (first, first)
                        }
                    };
                    let module = module.to_owned();
                    self.bind(frame, bound, Value::Import(Rc::new(Import { module, name: None })));
                }
                After::Next
            }
            Stmt::ImportFrom(import) => self.import_from(frame, import),
            Stmt::Assign(assign) => match self.eval(frame, &assign.value) {
                Ok(value) => {
                    for target in &assign.targets {
                        self.assign(frame, target, value.clone());
                    }
                    After::Next
                }
                Err(raise) => self.raised(frame, stmt, &raise),
            },
            Stmt::AnnAssign(assign) => self.annotated(frame, assign),
            Stmt::AugAssign(assign) => {
                if let Expr::Name(name) = &*assign.target {
                    let left = self.name(frame, &name.id);
                    let right = self.eval(frame, &assign.value);
                    match (left, right) {
                        (Ok(left), Ok(right)) => match self.binary(frame, assign.op, left, right, stmt) {
                            Ok(value) => self.bind(frame, &name.id, value),
                            Err(raise) => return self.raised(frame, stmt, &raise),
                        },
                        (Err(raise), _) | (_, Err(raise)) => return self.raised(frame, stmt, &raise),
                    }
                }
                After::Next
            }
            Stmt::TypeAlias(alias) => {
                if let Expr::Name(name) = &*alias.name {
                    let value = match alias.type_params {
                        Some(_) => self.unknown(frame.module, stmt, "generic type aliases are left to Python"),
                        None => Value::Alias(Rc::new(Alias {
                            name: name.id.to_string(),
                            module: frame.module,
                            value: Annotation::Text(Rc::new((*alias.value).clone())),
                        })),
                    };
                    self.bind(frame, &name.id, value);
                }
                After::Next
            }
            Stmt::If(branch) => self.branches(frame, branch),
            Stmt::Try(attempt) => self.attempt(frame, attempt),
            Stmt::With(with) => {
                let mut suppresses = false;
                for item in &with.items {
                    let entered = self.eval(frame, &item.context_expr);
                    suppresses |= matches!(&entered, Ok(Value::Opaque(what)) if &**what == "contextlib.suppress");
                    if let Some(target) = &item.optional_vars {
                        self.assign(frame, target, unknown("a context manager makes it"));
                    }
                }
                if !suppresses {
                    return self.block(frame, &with.body);
                }
                let before = self.snapshot(frame);
                frame.unsure += 1;
                let after = self.block(frame, &with.body);
                frame.unsure -= 1;
                match after {
                    After::Next => {
                        let after = self.snapshot(frame);
                        self.merge(frame, vec![before, after]);
                    }
                    After::Raised(_) => self.restore(frame, before),
                }
                After::Next
            }
            Stmt::For(_) | Stmt::While(_) | Stmt::Match(_) => {
                let mut bound = Bound::default();
                bound.visit_stmt(stmt);
                for name in bound.names {
                    let value = self.unknown(frame.module, stmt, format!("`{name}` is bound in a loop or a match"));
                    self.bind(frame, &name, value);
                }
                if bound.annotated {
                    frame.odd = Some(self.reason(frame, stmt, "annotations stand in a loop"));
                }
                After::Next
            }
            Stmt::Delete(delete) => {
                for target in &delete.targets {
                    if let Expr::Name(name) = target {
                        self.unbind(frame, &name.id);
                    }
                }
                After::Next
            }
            Stmt::Raise(_) => After::Raised(self.reason(frame, stmt, "importing it raises")),
            Stmt::Return(_) | Stmt::Nonlocal(_) | Stmt::Break(_) | Stmt::Continue(_) => {
                After::Raised(self.reason(frame, stmt, "the statement is not allowed here"))
            }
            Stmt::Expr(expr) => self.expression(frame, &expr.value),
            Stmt::Pass(_) | Stmt::Global(_) | Stmt::Assert(_) | Stmt::IpyEscapeCommand(_) => After::Next,
        }
    }

    /// A statement that is only an expression: what it does to names, if anything.
    fn expression(&mut self, frame: &mut Frame, expr: &Expr) -> After {
        if let Expr::Call(call) = expr {
            match &*call.func {
                Expr::Name(name) if name.id == "exec" => {
                    return After::Raised(self.reason(frame, expr, "`exec` may bind any name"));
                }
                Expr::Attribute(attribute) if attribute.attr.as_str() == "update" => {
                    if matches!(&*attribute.value, Expr::Call(inner) if matches!(&*inner.func, Expr::Name(n) if n.id == "globals"))
                    {
                        return After::Raised(self.reason(frame, expr, "`globals()` may bind any name"));
                    }
                }
                _ => {}
            }
        }
        match self.eval(frame, expr) {
            Ok(_) => After::Next,
            Err(raise) => self.raised(frame, expr, &raise),
        }
    }

    // names

    fn env<'a>(&'a mut self, frame: &'a mut Frame) -> &'a mut Env {
        frame.class.as_mut().unwrap_or(&mut self.modules[frame.module].env)
    }

    /// Binds a name; definitions that were put off are looked at before a name changes under them.
    pub fn bind(&mut self, frame: &mut Frame, name: &str, value: Value) {
        let changes = self.env(frame).get(name).is_some_and(|old| !same(old, &value));
        if changes && frame.class.is_none() {
            self.spend(self.modules[frame.module].env.len());
            let pending: Vec<Value> =
                self.modules[frame.module].env.values().filter(|v| matches!(v, Value::Lazy(_))).cloned().collect();
            for lazy in pending {
                self.force(lazy);
            }
        }
        self.env(frame).insert(name.to_owned(), value);
    }

    fn unbind(&mut self, frame: &mut Frame, name: &str) {
        self.bind(frame, name, unknown("it was deleted"));
        self.env(frame).shift_remove(name);
    }

    fn snapshot(&mut self, frame: &Frame) -> Env {
        self.spend(frame.class.as_ref().unwrap_or(&self.modules[frame.module].env).len());
        frame.class.clone().unwrap_or_else(|| self.modules[frame.module].env.clone())
    }

    fn restore(&mut self, frame: &mut Frame, env: Env) {
        *self.env(frame) = env;
    }

    /// What is known whichever way was taken.
    fn merge(&mut self, frame: &mut Frame, ways: Vec<Env>) {
        let mut ways = ways.into_iter();
        let Some(mut merged) = ways.next() else { return };
        for way in ways {
            let names: BTreeSet<String> = merged.keys().chain(way.keys()).cloned().collect();
            for name in names {
                let agreed = matches!((merged.get(&name), way.get(&name)), (Some(a), Some(b)) if same(a, b));
                if !agreed {
                    let text = format!("what `{name}` is depends on a condition that is only known when the code runs");
                    merged.insert(name, unknown(text));
                }
            }
        }
        self.restore(frame, merged);
    }

    /// Assigns to a target.
    fn assign(&mut self, frame: &mut Frame, target: &Expr, value: Value) {
        match target {
            Expr::Name(name) => self.bind(frame, &name.id, value),
            Expr::Tuple(_) | Expr::List(_) => {
                let targets = match target {
                    Expr::Tuple(tuple) => &tuple.elts,
                    Expr::List(list) => &list.elts,
                    _ => return,
                };
                let values = match &value {
                    Value::Tuple(v) | Value::List(v) if v.len() == targets.len() => Some(v.clone()),
                    _ => None,
                };
                for (i, target) in targets.iter().enumerate() {
                    let starred = target.is_starred_expr();
                    let item = values.as_ref().filter(|_| !starred).map(|v| v[i].clone());
                    self.assign(
                        frame,
                        target,
                        item.unwrap_or_else(|| unknown("it is unpacked from something unknown")),
                    );
                }
            }
            Expr::Starred(starred) => self.assign(frame, &starred.value, value),
            Expr::Attribute(attribute) => match self.eval(frame, &attribute.value) {
                Ok(Value::Module(id)) => {
                    self.modules[id].rebound.insert(attribute.attr.to_string());
                }
                Ok(Value::Extern(name)) if simple::is_core(&name) => {
                    let reason = self.reason(frame, target, format!("it changes `{name}`"));
                    self.modules[frame.module].broken.get_or_insert(reason);
                }
                _ => {}
            },
            Expr::Subscript(subscript) => {
                if matches!(&*subscript.value, Expr::Call(call) if matches!(&*call.func, Expr::Name(n) if n.id == "globals" || n.id == "vars" || n.id == "locals"))
                {
                    let reason = self.reason(frame, target, "`globals()` may bind any name");
                    self.modules[frame.module].broken.get_or_insert(reason);
                }
            }
            _ => {}
        }
    }

    /// `name: annotation = value`.
    fn annotated(&mut self, frame: &mut Frame, assign: &ruff_python_ast::StmtAnnAssign) -> After {
        if let Some(value) = &assign.value {
            match self.eval(frame, value) {
                Ok(value) => self.assign(frame, &assign.target, value),
                Err(raise) => return self.raised(frame, &**value, &raise),
            }
        }
        let annotation = match self.annotation(frame, &assign.annotation) {
            Ok(annotation) => annotation,
            Err(raise) => return self.raised(frame, &*assign.annotation, &raise),
        };
        if let (Expr::Name(name), true, true) = (&*assign.target, assign.simple, frame.class.is_some()) {
            if frame.unsure > 0 {
                frame.odd = Some(self.reason(frame, &*assign.target, "an annotation depends on a condition"));
            }
            let declared = Declared { name: name.id.to_string(), annotation };
            if frame.fields.len() > MAX_FIELDS {
                frame.odd = Some(self.reason(frame, &*assign.target, "the class has too many fields"));
                return After::Next;
            }
            match frame.fields.iter_mut().find(|field| field.name == declared.name) {
                Some(field) => *field = declared,
                None => frame.fields.push(declared),
            }
        }
        After::Next
    }

    /// An annotation: a text where annotations are texts, else its value.
    pub fn annotation(&mut self, frame: &Frame, expr: &Expr) -> Result<Annotation, Raise> {
        if self.modules[frame.module].future {
            return Ok(Annotation::Text(Rc::new(expr.clone())));
        }
        if let Expr::StringLiteral(text) = expr {
            return Ok(parse_annotation(text.value.to_str()));
        }
        Ok(match self.eval(frame, expr)? {
            // Where it comes from does not matter: a text is looked at later.
            Value::Str(text) => parse_annotation(&text),
            value => Annotation::Now(value),
        })
    }

    // branches

    fn branches(&mut self, frame: &mut Frame, branch: &StmtIf) -> After {
        let before = self.snapshot(frame);
        let mut ways = Vec::new();
        let mut raised = None;
        let mut arms: Vec<(Option<&Expr>, &[Stmt])> = vec![(Some(&branch.test), &branch.body)];
        arms.extend(branch.elif_else_clauses.iter().map(|clause| (clause.test.as_ref(), &*clause.body)));
        if branch.elif_else_clauses.last().is_none_or(|last| last.test.is_some()) {
            arms.push((None, &[]));
        }
        for (test, body) in arms {
            let truth = match test {
                None => Some(true),
                Some(test) => match self.eval(frame, test) {
                    Ok(value) => self.truth(&value),
                    Err(raise) if ways.is_empty() => return self.raised(frame, test, &raise),
                    Err(_) => None,
                },
            };
            if truth == Some(false) {
                continue;
            }
            let sure = truth == Some(true) && ways.is_empty() && raised.is_none();
            frame.unsure += u32::from(!sure);
            let after = self.block(frame, body);
            frame.unsure -= u32::from(!sure);
            match after {
                After::Next => ways.push(self.snapshot(frame)),
                After::Raised(reason) => raised = Some(reason),
            }
            self.restore(frame, before.clone());
            if truth == Some(true) {
                break;
            }
        }
        match (ways.is_empty(), raised) {
            (true, Some(reason)) => After::Raised(reason),
            _ => {
                self.merge(frame, ways);
                After::Next
            }
        }
    }

    fn attempt(&mut self, frame: &mut Frame, attempt: &StmtTry) -> After {
        let before = self.snapshot(frame);
        let certain = attempt.body.iter().all(|stmt| self.cannot_fail(stmt));
        frame.unsure += u32::from(!certain);
        let mut after = self.block(frame, &attempt.body);
        if matches!(after, After::Next) {
            after = self.block(frame, &attempt.orelse);
        }
        if !certain || matches!(after, After::Raised(_)) {
            let mut ways = Vec::new();
            if matches!(after, After::Next) {
                ways.push(self.snapshot(frame));
            }
            let mut bound = Bound::default();
            bound.visit_body(&attempt.body);
            for handler in &attempt.handlers {
                let ruff_python_ast::ExceptHandler::ExceptHandler(handler) = handler;
                self.restore(frame, before.clone());
                for name in &bound.names {
                    self.bind(frame, name, unknown(format!("`{name}` depends on whether an exception was raised")));
                }
                if let After::Next = self.block(frame, &handler.body) {
                    ways.push(self.snapshot(frame));
                    after = After::Next;
                }
            }
            if !ways.is_empty() {
                self.restore(frame, before);
                self.merge(frame, ways);
            }
        }
        frame.unsure -= u32::from(!certain);
        match (after, self.block(frame, &attempt.finalbody)) {
            (After::Raised(reason), _) | (_, After::Raised(reason)) => After::Raised(reason),
            (After::Next, After::Next) => After::Next,
        }
    }

    /// Whether a statement of a `try` is taken to succeed.
    fn cannot_fail(&self, stmt: &Stmt) -> bool {
        match stmt {
            Stmt::Import(import) => import.names.iter().all(|alias| simple::is_present(&alias.name)),
            Stmt::ImportFrom(import) => {
                import.level == 0 && import.module.as_ref().is_some_and(|module| simple::is_present(module))
            }
            Stmt::FunctionDef(def) => def.decorator_list.is_empty(),
            Stmt::Pass(_) => true,
            Stmt::Assign(assign) => assign.value.is_literal_expr(),
            _ => false,
        }
    }

    // imports

    fn import_from(&mut self, frame: &mut Frame, import: &StmtImportFrom) -> After {
        let own = self.modules[frame.module].name.clone();
        let named = import.module.as_ref().map(|name| name.as_str());
        let module = match import.level {
            0 => named.unwrap_or_default().to_owned(),
            level => {
                let package = self.modules[frame.module].package.clone();
                let parts: Vec<&str> = package.split('.').filter(|part| !part.is_empty()).collect();
                let up = level as usize - 1;
                if parts.len() <= up {
                    let raise = Raise::Other("a relative import leads out of its package".to_owned());
                    return self.raised(frame, import, &raise);
                }
                parts[..parts.len() - up].iter().copied().chain(named).collect::<Vec<_>>().join(".")
            }
        };
        if module == "__future__" {
            return After::Next;
        }
        for alias in &import.names {
            let name = alias.name.as_str();
            if name == "*" {
                self.import_star(frame, import, &module);
                continue;
            }
            let target = match module == own {
                true => Import { module: format!("{module}.{name}"), name: None },
                false => Import { module: module.clone(), name: Some(name.to_owned()) },
            };
            let bound = alias.asname.as_ref().map_or(name, |name| name.as_str());
            self.bind(frame, bound, Value::Import(Rc::new(target)));
        }
        After::Next
    }

    fn import_star(&mut self, frame: &mut Frame, import: &StmtImportFrom, module: &str) {
        let all = match self.module(module) {
            Ok(Some(id)) if id != frame.module => {
                let star = self.modules[id].star.clone().or(self.modules[id].broken.clone().map(Rc::new));
                match (star, self.modules[id].env.get("__all__").cloned()) {
                    (None, None) => Ok(self.modules[id].env.keys().filter(|k| !k.starts_with('_')).cloned().collect()),
                    (None, Some(Value::List(names) | Value::Tuple(names))) => names
                        .iter()
                        .map(|name| name.as_str().map(str::to_owned).ok_or("`__all__` is not known".to_owned()))
                        .collect::<Result<Vec<String>, String>>(),
                    (None, Some(_)) => Err(format!("`__all__` of `{module}` is not known")),
                    (Some(star), _) => Err(star.text.clone()),
                }
            }
            _ => Err(format!("`from {module} import *` may bind any name")),
        };
        match all {
            Ok(names) => {
                for name in names {
                    let target = Import { module: module.to_owned(), name: Some(name.clone()) };
                    self.bind(frame, &name, Value::Import(Rc::new(target)));
                }
            }
            Err(text) => {
                let reason = self.reason(frame, import, text);
                self.modules[frame.module].star = Some(Rc::new(reason));
            }
        }
    }

    // definitions

    /// `def` and `class`: put off at the top level, followed at once in a class.
    fn definition(&mut self, frame: &mut Frame, node: Definition, stmt: &Stmt) -> After {
        let name = match &node {
            Definition::Function(def) => def.name.to_string(),
            Definition::Class(def) => def.name.to_string(),
        };
        if frame.class.is_some() {
            let made = match &node {
                Definition::Function(def) => self.decorated(frame, def),
                Definition::Class(def) => self.class(frame, def),
            };
            return match made {
                Ok(value) => {
                    self.bind(frame, &name, value);
                    After::Next
                }
                Err(raise) => self.raised(frame, stmt, &raise),
            };
        }
        let mut used = Used { future: self.modules[frame.module].future, ..Used::default() };
        match &node {
            Definition::Function(def) => used.function(def),
            Definition::Class(def) => used.class(def),
        }
        for wanted in used.names {
            if let Err(raise) = self.bound(frame, &wanted) {
                return self.raised(frame, stmt, &raise);
            }
        }
        let lazy = Lazy { module: frame.module, node, done: RefCell::new(None), busy: Cell::new(false) };
        self.bind(frame, &name, Value::Lazy(Rc::new(lazy)));
        After::Next
    }

    /// Whether a name is bound, without looking at what it is.
    fn bound(&self, frame: &Frame, name: &str) -> Result<(), Raise> {
        let module = &self.modules[frame.module];
        let known = module.env.contains_key(name)
            || simple::is_builtin(name)
            || module.star.is_some()
            || (name.starts_with("__") && name.ends_with("__"));
        if known { Ok(()) } else { Err(Raise::Name(name.to_owned())) }
    }

    /// Looks at a definition that was put off.
    pub fn define(&mut self, lazy: &Lazy) -> Value {
        let frame = Frame::top(lazy.module);
        let (made, range) = match &lazy.node {
            Definition::Function(def) => (self.decorated(&frame, def), def.name.range()),
            Definition::Class(def) => (self.class(&frame, def), def.name.range()),
        };
        made.unwrap_or_else(|raise| {
            let reason = self.reason(&frame, range, format!("importing it raises: {}", raise.text()));
            self.modules[lazy.module].broken.get_or_insert(reason.clone());
            Value::Unknown(Rc::new(reason))
        })
    }

    /// A function with its decorators applied.
    fn decorated(&mut self, frame: &Frame, def: &Rc<StmtFunctionDef>) -> Result<Value, Raise> {
        let mut decorators = Vec::new();
        for decorator in &def.decorator_list {
            decorators.push((self.eval(frame, &decorator.expression)?, decorator));
        }
        let mut value = Value::Function(Rc::new(self.function(frame, def)?));
        for (decorator, at) in decorators.into_iter().rev() {
            value = self.decorate(frame, decorator, value, at)?;
        }
        Ok(value)
    }

    /// A function as it stands.
    fn function(&mut self, frame: &Frame, def: &Rc<StmtFunctionDef>) -> Result<Function, Raise> {
        let mut params = Vec::new();
        for (parameter, default, _) in listed(&def.parameters) {
            let default = match default {
                Some(default) => Some(self.eval(frame, default)?),
                None => None,
            };
            let annotation = match parameter.annotation.as_deref() {
                Some(annotation) if def.type_params.is_some() => {
                    Some(Annotation::Now(self.of_variables(frame, annotation)))
                }
                Some(annotation) => Some(self.annotation(frame, annotation)?),
                None => None,
            };
            let origin = self.origin(frame.module, parameter.range());
            params.push(Parameter { name: parameter.name.to_string(), annotation, default, origin });
        }
        let returns = match def.returns.as_deref().filter(|_| def.type_params.is_none()) {
            Some(returns) => Some(self.annotation(frame, returns)?),
            None => None,
        };
        Ok(Function {
            def: def.clone(),
            module: frame.module,
            code: frame.module,
            params,
            returns,
            doc: docstring(&def.body),
            method: frame.class.is_some(),
            origin: self.origin(frame.module, def.name.range()),
        })
    }

    /// A type that may be made of the variables of its own definition.
    fn of_variables(&self, frame: &Frame, at: impl Ranged) -> Value {
        self.unknown(frame.module, at, "types with variables of their own are left to Python")
    }

    /// A class with its body run.
    fn class(&mut self, frame: &Frame, def: &StmtClassDef) -> Result<Value, Raise> {
        let mut decorators = Vec::new();
        for decorator in &def.decorator_list {
            decorators.push(self.eval(frame, &decorator.expression)?);
        }
        let mut bases = Vec::new();
        let mut keywords = Vec::new();
        let mut inner = Frame::top(frame.module);
        if let Some(variables) = &def.type_params {
            let named = |one: &ruff_python_ast::TypeParam| (one.name().to_string(), self.of_variables(frame, one));
            inner.locals = Some(variables.iter().map(named).collect());
        }
        if let Some(arguments) = &def.arguments {
            for base in &arguments.args {
                let base = self.eval(&inner, base)?;
                let base = self.force(base);
                if let Some(what) = super::refused::as_base(&base) {
                    return Err(Raise::Type(format!("`{}` inherits from {what}", def.name)));
                }
                bases.push(base);
            }
            for keyword in &arguments.keywords {
                let name = keyword.arg.as_ref().map_or("**", |name| name.as_str());
                keywords.push((name.to_owned(), self.eval(&inner, &keyword.value)?));
            }
        }
        if def.type_params.is_some() {
            inner.odd = Some(self.reason(frame, &def.name, "generic classes are left to Python"));
        }
        inner.class = Some(Env::new());
        if let After::Raised(reason) = self.block(&mut inner, &def.body) {
            return Err(Raise::Other(reason.text));
        }
        let made = Rc::new(Class {
            name: def.name.to_string(),
            module: frame.module,
            bases,
            keywords,
            decorators,
            fields: inner.fields,
            env: RefCell::new(inner.class.unwrap_or_default()),
            doc: docstring(&def.body),
            odd: inner.odd,
            origin: self.origin(frame.module, def.name.range()),
            given: None,
        });
        match super::refused::class(&made) {
            Some(why) => Err(Raise::Other(why)),
            None => Ok(Value::Class(made)),
        }
    }
}

/// The parameters in the order of `inspect.signature`, with whether each is starred.
pub(super) fn listed(parameters: &Parameters) -> Vec<(&ruff_python_ast::Parameter, Option<&Expr>, bool)> {
    let mut all = Vec::new();
    for parameter in parameters.posonlyargs.iter().chain(&parameters.args) {
        all.push((&parameter.parameter, parameter.default.as_deref(), false));
    }
    all.extend(parameters.vararg.as_deref().map(|p| (p, None, true)));
    for parameter in &parameters.kwonlyargs {
        all.push((&parameter.parameter, parameter.default.as_deref(), false));
    }
    all.extend(parameters.kwarg.as_deref().map(|p| (p, None, true)));
    all
}

/// A text as an annotation.
pub(super) fn parse_annotation(text: &str) -> Annotation {
    if super::sources::refusal(text).is_some() {
        return Annotation::Broken;
    }
    match ruff_python_parser::parse_expression(text.trim_start_matches([' ', '\t'])) {
        Ok(parsed) => Annotation::Text(Rc::new(parsed.into_expr())),
        Err(_) => Annotation::Broken,
    }
}

/// The string that a body starts with.
fn docstring(body: &[Stmt]) -> Option<String> {
    match body.first() {
        Some(Stmt::Expr(expr)) => match &*expr.value {
            Expr::StringLiteral(text) => Some(text.value.to_str().to_owned()),
            _ => None,
        },
        _ => None,
    }
}

fn is_docstring(stmt: &Stmt) -> bool {
    matches!(stmt, Stmt::Expr(expr) if expr.value.is_string_literal_expr())
}

/// `from __future__ import feature`; any feature if it is empty.
fn is_future(stmt: &Stmt, feature: &str) -> bool {
    matches!(stmt, Stmt::ImportFrom(import)
        if import.level == 0
            && import.module.as_ref().is_some_and(|m| m.as_str() == "__future__")
            && (feature.is_empty() || import.names.iter().any(|a| a.name.as_str() == feature)))
}

/// Names whose objects are changed in place anywhere, and names that functions rebind.
#[derive(Default)]
struct Scan {
    mutated: BTreeSet<String>,
    rebound: BTreeSet<String>,
    /// Names that may stand for the same object, or for a part of it.
    links: Vec<(String, String)>,
}

impl Scan {
    /// What is changed through one name is changed through the others.
    fn follow(&mut self) {
        loop {
            let before = self.mutated.len();
            for (a, b) in &self.links {
                if self.mutated.contains(a) || self.mutated.contains(b) {
                    self.mutated.extend([a.clone(), b.clone()]);
                }
            }
            if self.mutated.len() == before {
                return;
            }
        }
    }

    fn link(&mut self, targets: &[&Expr], value: &Expr) {
        let mut names: Vec<String> = Vec::new();
        for target in targets {
            let mut bound = Bound::default();
            bound.visit_expr(target);
            names.extend(bound.names);
        }
        let mut part = value;
        while let Expr::Attribute(_) | Expr::Subscript(_) | Expr::Starred(_) = part {
            part = match part {
                Expr::Attribute(inner) => &inner.value,
                Expr::Subscript(inner) => &inner.value,
                Expr::Starred(inner) => &inner.value,
                other => other,
            };
        }
        if let Expr::Name(name) = part {
            names.push(name.id.to_string());
        }
        let Some(last) = names.pop() else { return };
        self.links.extend(names.into_iter().map(|name| (name, last.clone())));
    }

    fn root(&mut self, expr: &Expr) {
        match expr {
            Expr::Name(name) => {
                self.mutated.insert(name.id.to_string());
            }
            Expr::Attribute(inner) => self.root(&inner.value),
            Expr::Subscript(inner) => self.root(&inner.value),
            _ => {}
        }
    }
}

impl<'a> Visitor<'a> for Scan {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Global(global) => self.rebound.extend(global.names.iter().map(ToString::to_string)),
            Stmt::Assign(assign) => self.link(&assign.targets.iter().collect::<Vec<_>>(), &assign.value),
            Stmt::AnnAssign(assign) => assign.value.iter().for_each(|value| self.link(&[&assign.target], value)),
            Stmt::For(each) => self.link(&[&each.target], &each.iter),
            _ => {}
        }
        walk_stmt(self, stmt);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Attribute(target) if target.ctx != ExprContext::Load => self.root(&target.value),
            Expr::Subscript(target) if target.ctx != ExprContext::Load => self.root(&target.value),
            Expr::Call(call) => match &*call.func {
                Expr::Attribute(method) if MUTATORS.contains(&method.attr.as_str()) => self.root(&method.value),
                Expr::Attribute(method) if matches!(method.attr.as_str(), "shuffle" | "heapify") => {
                    call.arguments.args.iter().for_each(|arg| self.root(arg));
                }
                Expr::Name(name) if matches!(name.id.as_str(), "setattr" | "delattr" | "shuffle" | "heapify") => {
                    call.arguments.args.iter().take(1).for_each(|arg| self.root(arg));
                }
                _ => {}
            },
            _ => {}
        }
        walk_expr(self, expr);
    }
}

/// Names that statements bind, functions' bodies excluded.
#[derive(Default)]
struct Bound {
    names: BTreeSet<String>,
    annotated: bool,
}

impl<'a> Visitor<'a> for Bound {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(def) => {
                self.names.insert(def.name.to_string());
            }
            Stmt::ClassDef(def) => {
                self.names.insert(def.name.to_string());
            }
            Stmt::Import(import) => self.names.extend(import.names.iter().map(|alias| {
                let name = alias.asname.as_ref().unwrap_or(&alias.name);
                name.as_str().split('.').next().unwrap_or_default().to_owned()
            })),
            Stmt::ImportFrom(import) => {
                self.names
                    .extend(import.names.iter().map(|alias| alias.asname.as_ref().unwrap_or(&alias.name).to_string()));
            }
            Stmt::AnnAssign(_) => {
                self.annotated = true;
                walk_stmt(self, stmt);
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if let Expr::Name(name) = expr
            && name.ctx != ExprContext::Load
        {
            self.names.insert(name.id.to_string());
        }
        walk_expr(self, expr);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        let name = match pattern {
            Pattern::MatchAs(p) => p.name.as_ref(),
            Pattern::MatchStar(p) => p.name.as_ref(),
            Pattern::MatchMapping(p) => p.rest.as_ref(),
            _ => None,
        };
        self.names.extend(name.map(ToString::to_string));
        ruff_python_ast::visitor::walk_pattern(self, pattern);
    }

    fn visit_except_handler(&mut self, handler: &'a ruff_python_ast::ExceptHandler) {
        let ruff_python_ast::ExceptHandler::ExceptHandler(inner) = handler;
        self.names.extend(inner.name.as_ref().map(ToString::to_string));
        ruff_python_ast::visitor::walk_except_handler(self, handler);
    }
}

/// Global names that a definition needs at once.
#[derive(Default)]
struct Used {
    future: bool,
    names: BTreeSet<String>,
}

impl Used {
    fn function(&mut self, def: &StmtFunctionDef) {
        def.decorator_list.iter().for_each(|d| self.visit_expr(&d.expression));
        let typed = def.type_params.is_none() && !self.future;
        for (parameter, default, _) in listed(&def.parameters) {
            default.into_iter().for_each(|d| self.visit_expr(d));
            parameter.annotation.iter().filter(|_| typed).for_each(|a| self.visit_expr(a));
        }
        def.returns.iter().filter(|_| typed).for_each(|r| self.visit_expr(r));
    }

    fn class(&mut self, def: &StmtClassDef) {
        def.decorator_list.iter().for_each(|d| self.visit_expr(&d.expression));
        if let Some(arguments) = def.arguments.as_ref().filter(|_| def.type_params.is_none()) {
            arguments.args.iter().for_each(|a| self.visit_expr(a));
            arguments.keywords.iter().for_each(|k| self.visit_expr(&k.value));
        }
        let mut inner = Used { future: self.future, ..Used::default() };
        for stmt in def.body.iter().filter(|_| def.type_params.is_none()) {
            match stmt {
                Stmt::AnnAssign(assign) => {
                    if !self.future {
                        inner.visit_expr(&assign.annotation);
                    }
                    assign.value.iter().for_each(|value| inner.visit_expr(value));
                }
                Stmt::Assign(assign) => inner.visit_expr(&assign.value),
                Stmt::FunctionDef(def) => inner.function(def),
                _ => {}
            }
        }
        let mut own = Bound::default();
        own.visit_body(&def.body);
        self.names.extend(inner.names.into_iter().filter(|name| !own.names.contains(name)));
    }
}

impl<'a> Visitor<'a> for Used {
    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) if name.ctx == ExprContext::Load => {
                self.names.insert(name.id.to_string());
            }
            // These have names of their own.
            Expr::Lambda(_)
            | Expr::ListComp(_)
            | Expr::SetComp(_)
            | Expr::DictComp(_)
            | Expr::Generator(_)
            | Expr::Named(_) => {}
            // What is not evaluated is not missed.
            Expr::BoolOp(_) | Expr::If(_) => {}
            _ => walk_expr(self, expr),
        }
    }
}
