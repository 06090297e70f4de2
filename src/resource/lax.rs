//! A JSON Schema as the Python class behind it takes values: `"5"` for a number, `"yes"` for true, null for what is optional.
//!
//! Source: the conversion table of pydantic 2 (lax mode), which `Block.load` of Prefect 3.8.8 goes through, and
//! `prefect/blocks/core.py`, whose schemas do not say which fields may be null.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError};
use regex::Regex;
use serde_json::{Map, Value, json};

/// The keyword that stands in relaxed schemas where `type` stood.
pub(super) const KEYWORD: &str = "x-lax-type";

/// How deep a schema may be; below that everything fits.
const DEEPEST: usize = 100;

/// The same schema with its types as pydantic takes them. `text_for_all`: text may stand for mappings and lists as well, for
/// classes that parse it themselves.
pub(super) fn relaxed(schema: &Value, text_for_all: bool) -> Value {
    let mut relaxed = Relaxing { text_for_all }.schema(schema, 0);
    define(&mut relaxed);
    relaxed
}

/// Lets anything fit what is referred to and not defined: Prefect leaves definitions out that say nothing, such as that
/// of any JSON value, and the library refuses a schema with a reference to nothing.
fn define(schema: &mut Value) {
    let mut names = BTreeSet::new();
    collect(schema, 0, &mut names);
    let Some(map) = schema.as_object_mut().filter(|_| !names.is_empty()) else { return };
    let definitions = map.entry("definitions").or_insert_with(|| json!({}));
    for name in names {
        if let Some(definitions) = definitions.as_object_mut() {
            definitions.entry(name).or_insert_with(|| json!({}));
        }
    }
}

/// The definitions that are referred to.
fn collect(value: &Value, depth: usize, names: &mut BTreeSet<String>) {
    if depth > DEEPEST {
        return;
    }
    match value {
        Value::Object(map) => {
            let name = map.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/definitions/"));
            names.extend(name.filter(|name| !name.contains(['/', '~', '%'])).map(str::to_owned));
            map.values().for_each(|value| collect(value, depth + 1, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, depth + 1, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

struct Relaxing {
    text_for_all: bool,
}

impl Relaxing {
    fn schema(&self, schema: &Value, depth: usize) -> Value {
        let Value::Object(map) = schema else { return schema.clone() };
        if depth > DEEPEST {
            return json!({});
        }
        let below = |value: &Value| self.schema(value, depth + 1);
        let required: Vec<&str> =
            map.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut out = Map::new();
        for (key, value) in map {
            let value = match (key.as_str(), value) {
                ("type", Value::String(kind)) => {
                    let (key, value) = self.kind(kind, map);
                    out.insert(key.to_owned(), value);
                    continue;
                }
                ("properties", Value::Object(fields)) => {
                    let field = |(name, field): (&String, &Value)| {
                        let field = below(field);
                        let open = !required.contains(&name.as_str());
                        (name.clone(), if open { json!({ "anyOf": [field, { "type": "null" }] }) } else { field })
                    };
                    Value::Object(fields.iter().map(field).collect())
                }
                ("definitions" | "$defs", Value::Object(all)) => Value::Object(
                    all.iter().map(|(name, one)| (name.clone(), block_or_plain(one, below(one)))).collect(),
                ),
                ("patternProperties", Value::Object(all)) => {
                    Value::Object(all.iter().map(|(name, one)| (name.clone(), below(one))).collect())
                }
                ("anyOf" | "allOf" | "oneOf" | "prefixItems", Value::Array(all)) => {
                    Value::Array(all.iter().map(below).collect())
                }
                // Lists of schemas are the tuples of older drafts.
                ("items", Value::Array(all)) => {
                    out.insert("prefixItems".to_owned(), Value::Array(all.iter().map(below).collect()));
                    continue;
                }
                ("items" | "additionalProperties" | "not", value) => below(value),
                ("default" | "example" | "examples" | "$id" | "$schema", _) => continue,
                (_, value) => value.clone(),
            };
            out.insert(key.clone(), value);
        }
        Value::Object(out)
    }

    /// What stands in the place of `type`.
    fn kind(&self, kind: &str, schema: &Map<String, Value>) -> (&'static str, Value) {
        let is_time = matches!(
            schema.get("format").and_then(Value::as_str),
            Some("date-time" | "date" | "time" | "duration" | "time-delta")
        );
        match kind {
            "integer" | "number" | "boolean" => (KEYWORD, json!(kind)),
            "object" | "array" if self.text_for_all => ("type", json!([kind, "string"])),
            "string" if is_time => ("type", json!(["string", "number"])),
            kind => ("type", json!(kind)),
        }
    }
}

/// Another block can be given as a reference to it.
fn block_or_plain(definition: &Value, relaxed: Value) -> Value {
    match definition.get("block_type_slug") {
        Some(_) => json!({ "anyOf": [relaxed, { "type": "object", "required": ["$ref"] }] }),
        None => relaxed,
    }
}

/// Makes the keyword's check.
#[expect(clippy::unnecessary_wraps, reason = "the library asks for this type")]
pub(super) fn keyword<'a>(
    _: &'a Map<String, Value>,
    value: &'a Value,
    _: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    Ok(Box::new(match value.as_str() {
        Some("integer") => Lax::Integer,
        Some("number") => Lax::Number,
        _ => Lax::Boolean,
    }))
}

#[derive(Clone, Copy)]
enum Lax {
    Integer,
    Number,
    Boolean,
}

/// `1_000` and `5.0` are whole numbers to pydantic as well.
static WHOLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*[+-]?[0-9]+(_[0-9]+)*(\.0+)?\s*$").expect("the pattern is our own"));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let digits = "[0-9]+(_[0-9]+)*";
    let pattern = format!(r"(?i)^\s*[+-]?({digits}\.?({digits})?|\.{digits}|inf|infinity|nan)(e[+-]?{digits})?\s*$");
    Regex::new(&pattern).expect("the pattern is our own")
});

/// What pydantic reads as true and false.
const FLAGS: [&str; 12] = ["0", "off", "f", "false", "n", "no", "1", "on", "t", "true", "y", "yes"];

impl<'i> Keyword<'i> for Lax {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            return Ok(());
        }
        Err(ValidationError::custom(match self {
            Lax::Integer => "it is not a whole number",
            Lax::Number => "it is not a number",
            Lax::Boolean => "it is neither true nor false",
        }))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        let number = instance.as_f64();
        match (self, instance) {
            (Lax::Integer, Value::Number(_)) => number.is_some_and(|n| n.fract() == 0.0),
            (Lax::Integer | Lax::Number, Value::Bool(_))
            | (Lax::Number, Value::Number(_))
            | (Lax::Boolean, Value::Bool(_)) => true,
            (Lax::Integer, Value::String(text)) => WHOLE.is_match(text),
            (Lax::Number, Value::String(text)) => NUMBER.is_match(text),
            (Lax::Boolean, Value::Number(_)) => matches!(number, Some(n) if n == 0.0 || n == 1.0),
            (Lax::Boolean, Value::String(text)) => FLAGS.contains(&text.to_lowercase().as_str()),
            (_, Value::Null | Value::Array(_) | Value::Object(_)) => false,
        }
    }
}
