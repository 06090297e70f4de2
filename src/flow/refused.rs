//! Class statements that certainly raise: importing their file fails, whoever uses the class.

use super::value::{Annotation, Class, Value};

/// What a value is that no class can inherit from.
pub(super) fn as_base(value: &Value) -> Option<&'static str> {
    match value {
        Value::None => Some("`None`"),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => Some("a number"),
        Value::Str(_) | Value::Bytes(_) => Some("a text"),
        Value::List(_) | Value::Tuple(_) | Value::Set(_) | Value::FrozenSet(_) | Value::Dict(_) => Some("a collection"),
        Value::Function(_) | Value::Lambda(..) => Some("a function"),
        Value::Module(_) => Some("a module"),
        _ => None,
    }
}

/// Why pydantic or `dataclass` refuses a class as it stands, if that is certain.
pub(super) fn class(class: &Class) -> Option<String> {
    let env = class.env.borrow();
    let is_extern = |value: &Value, wanted: &str| matches!(value, Value::Extern(name) if &**name == wanted);
    let is_declared = |name: &str| class.fields.iter().any(|field| field.name == name);
    let of_pydantic = class.bases.iter().any(|base| is_extern(base, "pydantic.BaseModel"));
    let of_dataclass = class.decorators.iter().any(|decorator| match decorator {
        Value::Made(made) => &*made.by == "dataclasses.dataclass",
        other => is_extern(other, "dataclasses.dataclass"),
    });
    for (name, value) in env.iter() {
        let plain = is_plain(value);
        if of_pydantic && plain && !name.starts_with('_') && name != "model_config" && !is_declared(name) {
            return Some(format!("pydantic refuses `{}.{name}`, which has no annotation", class.name));
        }
        if let Value::Made(made) = value
            && &*made.by == "pydantic.Field"
            && made
                .args
                .arg(0, "default")
                .is_some_and(|default| !matches!(default, Value::Ellipsis | Value::Unknown(_)))
            && made.args.get("default_factory").is_some_and(|made| matches!(made, Value::Extern(_) | Value::Lambda(..)))
        {
            return Some(format!("`{}.{name}` has a default and a factory", class.name));
        }
        let declared = class.fields.iter().find(|field| field.name == *name);
        let is_field = declared.is_some_and(|field| match &field.annotation {
            Annotation::Now(Value::Extern(name) | Value::Generic(name, _)) => &**name != "typing.ClassVar",
            Annotation::Now(_) => true,
            Annotation::Text(_) | Annotation::Broken => false,
        });
        if of_dataclass && is_field && matches!(value, Value::List(_) | Value::Dict(_) | Value::Set(_)) {
            return Some(format!("`dataclass` refuses the mutable default of `{}.{name}`", class.name));
        }
    }
    None
}

fn is_plain(value: &Value) -> bool {
    matches!(
        value,
        Value::None
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Str(_)
            | Value::Bytes(_)
            | Value::List(_)
            | Value::Tuple(_)
            | Value::Set(_)
            | Value::Dict(_)
    )
}
