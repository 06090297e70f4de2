//! `Field(...)` and what stands in `Annotated[...]`: titles, descriptions, constraints.

use serde_json::{Map, Value as Json};

use super::Reason;
use super::machine::Machine;
use super::schema::{Bad, Js, Sort};
use super::value::{Args, Value};

/// What a field says of itself besides its type.
#[derive(Clone, Default)]
pub(super) struct Extras {
    /// `title`, `description`, `examples`, `deprecated`, as they appear in a schema.
    pub updates: Map<String, Json>,
    /// `json_schema_extra`.
    pub extra: Map<String, Json>,
    /// Constraints by their Python names.
    pub limits: Vec<(String, Value)>,
    /// The default; `...` is none.
    pub default: Option<Value>,
    /// Whether a factory makes the default, and which.
    pub factory: Option<Value>,
    /// The name that validation uses.
    pub alias: Option<String>,
    /// The name that serialisation uses.
    pub written: Option<String>,
    /// The field that tells the members of a union apart.
    pub discriminator: Option<String>,
    /// Whether serialisation leaves it out.
    pub hidden: bool,
}

impl Extras {
    /// Takes over what another one says.
    pub fn merge(&mut self, other: Extras) {
        self.updates.extend(other.updates);
        self.extra.extend(other.extra);
        for (key, value) in other.limits {
            match self.limits.iter_mut().find(|(known, _)| *known == key) {
                Some(slot) => slot.1 = value,
                None => self.limits.push((key, value)),
            }
        }
        self.default = other.default.or(self.default.take());
        self.factory = other.factory.or(self.factory.take());
        self.alias = other.alias.or(self.alias.take());
        self.written = other.written.or(self.written.take());
        self.discriminator = other.discriminator.or(self.discriminator.take());
        self.hidden |= other.hidden;
    }
}

/// A reason that stops.
fn vague(text: impl Into<String>) -> Bad {
    Bad::Unknown(Reason::new(text, None))
}

impl Machine<'_> {
    /// What `Field(...)` says.
    pub fn field(&mut self, args: &Args) -> Result<Extras, Bad> {
        let mut out = Extras::default();
        if args.pos.len() > 1 {
            return Err(vague("`Field` takes one default"));
        }
        let all = args.pos.iter().map(|value| ("default", value)).chain(args.kw.iter().map(|(k, v)| (k.as_str(), v)));
        for (key, value) in all {
            if let Value::Unknown(reason) = value
                && !matches!(key, "default" | "default_factory")
            {
                return Err(Bad::Unknown((**reason).clone()));
            }
            match (key, value) {
                ("default", Value::Ellipsis) => {}
                ("default", value) => out.default = Some(value.clone()),
                ("default_factory", Value::None) => {}
                ("default_factory", value) => out.factory = Some(value.clone()),
                (_, Value::None) if key != "examples" => {}
                ("title" | "description", Value::Str(text)) => {
                    out.updates.insert(key.to_owned(), Json::String(text.to_string()));
                }
                ("examples", value) => {
                    out.updates.insert(key.to_owned(), self.plain_json(value)?);
                }
                ("deprecated", Value::Bool(true) | Value::Str(_)) => {
                    out.updates.insert(key.to_owned(), Json::Bool(true));
                }
                ("deprecated", Value::Bool(false)) => {
                    out.updates.insert(key.to_owned(), Json::Bool(false));
                }
                ("json_schema_extra", value @ Value::Dict(_)) => match self.plain_json(value)? {
                    Json::Object(map) => out.extra.extend(map),
                    _ => return Err(vague("`json_schema_extra` is left to Python")),
                },
                ("alias", Value::Str(text)) => {
                    out.alias.get_or_insert_with(|| text.to_string());
                    out.written.get_or_insert_with(|| text.to_string());
                }
                ("validation_alias", Value::Str(text)) => out.alias = Some(text.to_string()),
                ("serialization_alias", Value::Str(text)) => out.written = Some(text.to_string()),
                ("discriminator", Value::Str(name)) => out.discriminator = Some(name.to_string()),
                ("exclude", Value::Bool(hidden)) => out.hidden = *hidden,
                ("gt" | "ge" | "lt" | "le" | "multiple_of", Value::Int(_) | Value::Float(_))
                | ("min_length" | "max_length" | "max_digits" | "decimal_places", Value::Int(_))
                | ("pattern", Value::Str(_)) => out.limits.push((key.to_owned(), value.clone())),
                ("allow_inf_nan" | "strict" | "coerce_numbers_to_str", Value::Bool(_)) => {
                    out.limits.push((key.to_owned(), value.clone()));
                }
                ("frozen" | "validate_default" | "repr" | "kw_only", Value::Bool(_)) => {}
                _ => return Err(vague(format!("`{key}=` of `Field` is left to Python"))),
            }
        }
        Ok(out)
    }

    /// What stands beside the type in `Annotated[...]`.
    pub fn metadata(&mut self, items: &[Value]) -> Result<Extras, Bad> {
        let mut out = Extras::default();
        for item in items {
            let made = match item {
                Value::Made(made) => made,
                Value::Str(_) | Value::Int(_) | Value::None | Value::Bool(_) | Value::Float(_) | Value::Forward(_) => {
                    continue;
                }
                Value::Opaque(_) => continue,
                Value::Unknown(reason) => return Err(Bad::Unknown((**reason).clone())),
                _ => return Err(vague("the metadata of an annotation is left to Python")),
            };
            let one = |key: &str, at: usize| made.args.arg(at, key).cloned();
            let mut limit = |key: &str, value: Option<Value>| match value {
                Some(value @ (Value::Int(_) | Value::Float(_))) => {
                    out.limits.push((key.to_owned(), value));
                    Ok(())
                }
                _ => Err(vague("a constraint is only known when the code runs")),
            };
            match &*made.by {
                "pydantic.Field" => {
                    let field = self.field(&made.args)?;
                    if field.default.is_some() || field.factory.is_some() {
                        return Err(vague("a default inside `Annotated` is left to Python"));
                    }
                    out.merge(field);
                }
                "pydantic.StringConstraints" => {
                    for (key, value) in &made.args.kw {
                        match (key.as_str(), value) {
                            (_, Value::None)
                            | ("strip_whitespace" | "to_upper" | "to_lower" | "strict", Value::Bool(_)) => {}
                            ("min_length" | "max_length", Value::Int(_)) | ("pattern", Value::Str(_)) => {
                                out.limits.push((key.clone(), value.clone()));
                            }
                            _ => return Err(vague("the constraints of a text are left to Python")),
                        }
                    }
                }
                "annotated_types.Gt" => limit("gt", one("gt", 0))?,
                "annotated_types.Ge" => limit("ge", one("ge", 0))?,
                "annotated_types.Lt" => limit("lt", one("lt", 0))?,
                "annotated_types.Le" => limit("le", one("le", 0))?,
                "annotated_types.MultipleOf" => limit("multiple_of", one("multiple_of", 0))?,
                "annotated_types.MinLen" => limit("min_length", one("min_length", 0))?,
                "annotated_types.MaxLen" => limit("max_length", one("max_length", 0))?,
                "annotated_types.Len" => {
                    limit("min_length", Some(one("min_length", 0).unwrap_or(Value::Int(0))))?;
                    if let Some(most) = one("max_length", 1).filter(|most| !matches!(most, Value::None)) {
                        limit("max_length", Some(most))?;
                    }
                }
                "annotated_types.Interval" if made.args.pos.is_empty() => {
                    for key in ["gt", "ge", "lt", "le"] {
                        if let Some(value) = made.args.get(key).filter(|value| !matches!(value, Value::None)) {
                            limit(key, Some(value.clone()))?;
                        }
                    }
                }
                "pydantic.Strict" if made.args.kw.is_empty() && made.args.pos.is_empty() => {
                    out.limits.push(("strict".to_owned(), Value::Bool(true)));
                }
                "pydantic.AfterValidator" | "pydantic.PlainSerializer" | "pydantic.WrapSerializer" => {}
                "pydantic.BeforeValidator" | "pydantic.WrapValidator"
                    if made.args.get("json_schema_input_type").is_none() => {}
                "typing_extensions.Doc" => {}
                other => return Err(vague(format!("`{other}` is left to Python"))),
            }
        }
        Ok(out)
    }

    /// A value as JSON, if every part of it has one.
    pub fn plain_json(&mut self, value: &Value) -> Result<Json, Bad> {
        match self.encode(value) {
            Ok(Some(json)) => Ok(json),
            Ok(None) => Err(vague("it has no JSON form")),
            Err(reason) => Err(Bad::Unknown(reason)),
        }
    }
}

/// Adds constraints to a schema.
pub(super) fn limit(js: &mut Js, limits: &[(String, Value)]) -> Result<(), Bad> {
    if limits.is_empty() {
        return Ok(());
    }
    if let Some(inner) = &mut js.inner {
        limit(inner, limits)?;
        js.map = super::schema::nullable(&inner.map);
        return Ok(());
    }
    for (key, value) in limits {
        let (name, target): (&str, &mut Map<String, Json>) = match (js.sort, key.as_str()) {
            (Sort::Int | Sort::Float | Sort::Str, "strict")
            | (Sort::Float, "allow_inf_nan")
            | (Sort::Decimal, "max_digits" | "decimal_places") => {
                continue;
            }
            (Sort::Int, "gt" | "ge" | "lt" | "le" | "multiple_of") if matches!(value, Value::Float(_)) => {
                return Err(vague("a fraction limits a whole number"));
            }
            (Sort::Int | Sort::Float, "gt" | "ge" | "lt" | "le" | "multiple_of") => (numeric(key), &mut js.map),
            (Sort::Decimal, "gt" | "ge" | "lt" | "le" | "multiple_of") => {
                match js.map.get_mut("anyOf").and_then(|any| any.get_mut(0)).and_then(Json::as_object_mut) {
                    Some(map) => (numeric(key), map),
                    None => return Err(vague("the constraint is left to Python")),
                }
            }
            (Sort::Str | Sort::Bytes, "min_length") => ("minLength", &mut js.map),
            (Sort::Str | Sort::Bytes, "max_length") => ("maxLength", &mut js.map),
            (Sort::Str, "pattern") => ("pattern", &mut js.map),
            (Sort::Array, "min_length") => ("minItems", &mut js.map),
            (Sort::Array, "max_length") => ("maxItems", &mut js.map),
            (Sort::Object, "min_length") => ("minProperties", &mut js.map),
            (Sort::Object, "max_length") => ("maxProperties", &mut js.map),
            _ => return Err(vague(format!("what `{key}=` does to this type is left to Python"))),
        };
        let json = match value {
            Value::Int(int) => i64::try_from(*int).map(Json::from).map_err(|_| vague("the number is too large"))?,
            Value::Float(float) => serde_json::Number::from_f64(*float)
                .map(Json::Number)
                .ok_or_else(|| vague("the limit is not finite"))?,
            Value::Str(text) => Json::String(text.to_string()),
            _ => return Err(vague("the constraint is left to Python")),
        };
        if target.insert(name.to_owned(), json).is_some() {
            return Err(vague("a constraint is given twice"));
        }
    }
    Ok(())
}

/// The JSON schema's word for a numeric constraint.
fn numeric(key: &str) -> &'static str {
    match key {
        "gt" => "exclusiveMinimum",
        "ge" => "minimum",
        "lt" => "exclusiveMaximum",
        "le" => "maximum",
        _ => "multipleOf",
    }
}
