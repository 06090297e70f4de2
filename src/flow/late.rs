//! Annotations that are texts: when they are looked at, and which names they see.

use std::rc::Rc;

use ruff_python_ast::Expr;
use ruff_python_ast::visitor::{Visitor, walk_expr};

use super::Reason;
use super::machine::{Frame, Machine, Raise};
use super::schema::Bad;
use super::simple;
use super::value::{Annotation, Class, Value};

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
