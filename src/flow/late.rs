//! Annotations that are texts: when they are looked at, and which names they see.

use std::rc::Rc;

use ruff_python_ast::Expr;
use ruff_python_ast::visitor::{Visitor, walk_expr};

use super::Reason;
use super::machine::{Frame, Machine, Raise};
use super::schema::Bad;
use super::simple;
use super::value::{Annotation, Class, Function, Value};

/// Names that mean something where Prefect makes its model.
const SEEN: &[&str] = &[
    "typing",
    "t",
    "inspect",
    "pydantic",
    "V2BaseModel",
    "ConfigDict",
    "PydanticUndefinedAnnotation",
    "create_model",
    "PydanticUserError",
    "FieldInfo",
    "TypeAdapter",
    "GenerateEmptySchemaForUserClasses",
    "is_v2_model",
    "is_v2_type",
    "has_v2_type_as_param",
    "process_v2_params",
    "create_v2_schema",
    "name_",
    "model_cfg",
    "model_base",
    "model_fields",
    "model",
    "adapter",
    "schema",
    "CheckParameter",
    "Parameters",
];

impl Machine<'_> {
    /// A text in a class: the names of its module once everything is loaded.
    pub fn annotation_in_class(&mut self, annotation: &Annotation, class: &Rc<Class>) -> Result<Value, Bad> {
        match annotation {
            Annotation::Now(value) => Ok(value.clone()),
            Annotation::Broken => Err(Bad::vague("the annotation is no expression")),
            Annotation::Text(expr) => {
                let names = names_in(expr);
                if names.iter().any(|name| class.env.borrow().contains_key(name)) {
                    return Err(Bad::vague(format!(
                        "an annotation of `{}` uses a name of the class itself",
                        class.name
                    )));
                }
                match self.eval(&Frame::top(class.module), expr) {
                    Ok(Value::Str(text)) => Ok(Value::Forward(text)),
                    Ok(value) => Ok(value),
                    // Pydantic gives up on such a class, and Prefect on the type of the parameter.
                    Err(Raise::Name(name)) if !SEEN.contains(&name.as_str()) && !name.starts_with("__") => {
                        Err(Bad::Untyped)
                    }
                    Err(raise) => Err(Bad::Unknown(Reason::new(raise.text(), Some(class.origin.clone())))),
                }
            }
        }
    }

    /// A parameter whose type refers to itself in texts: with any text among the types of a function, Prefect resolves
    /// all of them at once, without end.
    pub fn circular(&mut self, function: &Function) -> Option<Reason> {
        let late = |annotation: &Annotation| matches!(annotation, Annotation::Text(_) | Annotation::Now(Value::Str(_)));
        if !function.params.iter().any(|parameter| parameter.annotation.as_ref().is_some_and(late)) {
            return None;
        }
        for parameter in &function.params {
            let value = match &parameter.annotation {
                Some(Annotation::Now(value)) => value.clone(),
                Some(Annotation::Text(expr)) => match self.eval(&Frame::top(function.module), expr) {
                    Ok(value) => value,
                    Err(_) => continue,
                },
                Some(Annotation::Broken) | None => continue,
            };
            if self.comes_back(&value, function.module, &mut Vec::new()) {
                let text = "its type refers to itself in texts";
                return Some(Reason {
                    parameter: Some(parameter.name.clone()),
                    text: text.to_owned(),
                    origin: Some(parameter.origin.clone()),
                });
            }
        }
        None
    }

    fn comes_back(&mut self, value: &Value, module: usize, seen: &mut Vec<Rc<str>>) -> bool {
        match value {
            Value::Str(text) | Value::Forward(text) => {
                if seen.contains(text) || seen.len() > 50 {
                    return true;
                }
                let Annotation::Text(expr) = super::exec::parse_annotation(text) else { return false };
                let Ok(inner) = self.eval(&Frame::top(module), &expr) else { return false };
                seen.push(text.clone());
                let back = self.comes_back(&inner, module, seen);
                seen.pop();
                back
            }
            Value::Generic(_, items) | Value::Union(items) => {
                items.iter().any(|item| self.comes_back(item, module, seen))
            }
            Value::Annotated(inner) => self.comes_back(&inner.0, module, seen),
            _ => false,
        }
    }

    /// A text that pydantic looks at where Prefect makes its model: it sees the built-in names only.
    pub fn annotation_in_prefect(&mut self, annotation: &Annotation) -> Result<Value, Bad> {
        match annotation {
            Annotation::Now(value) => Ok(value.clone()),
            Annotation::Broken => Err(Bad::vague("the annotation is no expression")),
            Annotation::Text(expr) => {
                for name in names_in(expr) {
                    if SEEN.contains(&name.as_str()) || name.starts_with("__") {
                        return Err(Bad::vague(format!("`{name}` may mean something inside Prefect")));
                    }
                    if !simple::is_builtin(&name) {
                        return Err(Bad::Untyped);
                    }
                }
                let nowhere = self.nowhere();
                match self.eval(&Frame::top(nowhere), expr) {
                    Ok(Value::Str(text)) => Ok(Value::Forward(text)),
                    Ok(value) => Ok(value),
                    Err(Raise::Name(_)) => Err(Bad::Untyped),
                    Err(raise) => Err(Bad::vague(raise.text())),
                }
            }
        }
    }
}

/// The names that an expression reads.
pub(super) fn names_in(expr: &Expr) -> Vec<String> {
    struct Names(Vec<String>);
    impl<'a> Visitor<'a> for Names {
        fn visit_expr(&mut self, expr: &'a Expr) {
            if let Expr::Name(name) = expr {
                self.0.push(name.id.to_string());
            }
            walk_expr(self, expr);
        }
    }
    let mut names = Names(Vec::new());
    names.visit_expr(expr);
    names.0
}
