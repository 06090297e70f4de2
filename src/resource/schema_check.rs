//! Whether job variables and parameters fit their JSON Schemas, as the server will decide it.
//!
//! Source: `prefect/utilities/schema_tools/validation.py` and `server/api/validation.py` (3.8.8): `required` does not
//! count, fields without a default may be null, old tuple schemas are repaired, blocks may be given as references.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::lax;
use crate::model::{Path, Seg};

/// A value that does not fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    /// Where below the checked value.
    pub path: Path,
    /// Why, in a few words, without the value itself: it may be a secret.
    pub why: String,
    /// Whether something is missing or too much there, instead of wrong.
    pub about_keys: bool,
}

/// How the one who takes the value reads its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Taker {
    /// The server: `required` does not count; and whether null may stand where there is a default.
    Server { none_with_default: bool },
    /// The Python class of a block; and whether text may stand where a mapping or a list belongs.
    Block { text_for_all: bool },
}

/// Checks job variables against the `variables` schema of a pool's base job template.
///
/// `creating`: the server also lets null stand where there is a default.
pub fn job_variables(variables: &Value, base_job_template: &Value, creating: bool) -> Vec<Misfit> {
    match base_job_template.get("variables") {
        Some(schema) if schema.is_object() => check(variables, schema, creating),
        _ => Vec::new(),
    }
}

/// Parameters with the values that `__prefect_kind: json` and `none` stand for, as the server takes them
/// (`prefect/utilities/schema_tools/hydration.py`, 3.8.8). None where the server alone knows a value: templates,
/// variables of the workspace, and JSON that does not parse.
pub fn hydrated(parameters: &Value) -> Option<Value> {
    Some(hydrate(parameters)?.unwrap_or_else(|| json!({})))
}

/// The outer none: unknown. The inner one: taken out of what holds it.
fn hydrate(value: &Value) -> Option<Option<Value>> {
    match value {
        Value::Object(map) => match map.get("__prefect_kind").map(|kind| (kind.as_str(), map.get("value"))) {
            None => {
                let mut out = Map::new();
                for (key, value) in map {
                    if let Some(value) = hydrate(value)? {
                        out.insert(key.clone(), value);
                    }
                }
                Some(Some(Value::Object(out)))
            }
            Some((Some("json"), None)) => Some(None),
            Some((Some("json"), Some(value))) => {
                let value = if value.is_object() { hydrate(value)? } else { Some(value.clone()) };
                match value {
                    Some(Value::String(text)) => serde_json::from_str(&text).ok().map(Some),
                    other => Some(other),
                }
            }
            Some((Some("none"), Some(value))) => hydrate(value),
            Some(_) => None,
        },
        Value::Array(items) => {
            let items: Option<Vec<Option<Value>>> = items.iter().map(hydrate).collect();
            Some(Some(Value::Array(items?.into_iter().flatten().collect())))
        }
        other => Some(Some(other.clone())),
    }
}

/// Checks a deployment's parameters against its flow's schema.
pub fn parameters(parameters: &Value, schema: &Value) -> Vec<Misfit> {
    check(parameters, schema, false)
}

fn check(value: &Value, schema: &Value, none_with_default: bool) -> Vec<Misfit> {
    check_for(Taker::Server { none_with_default }, value, schema)
}

pub(super) fn check_for(taker: Taker, value: &Value, schema: &Value) -> Vec<Misfit> {
    // The library may refuse or stumble over a schema that a server holds; then the server decides alone.
    let Some(validator) = validator(schema, taker) else { return Vec::new() };
    let misfits = || validator.iter_errors(value).flat_map(|error| misfits(&error)).collect();
    catch_unwind(AssertUnwindSafe(misfits)).unwrap_or_default()
}

/// What schemas were made into, by the hash of their text and how they were prepared.
type Known = BTreeMap<(u64, Taker), Vec<Made>>;

/// What a schema was made into; `None` for one that the library refuses.
type Made = (Value, Option<Rc<Validator>>);

/// So many schemas are kept; more are a reason to begin anew.
const MOST_KNOWN: usize = 256;

thread_local! {
    /// Many deployments share a flow or a pool, and making a validator costs far more than using it.
    static KNOWN: RefCell<Known> = const { RefCell::new(Known::new()) };
}

fn validator(schema: &Value, taker: Taker) -> Option<Rc<Validator>> {
    let key = (fingerprint(schema), taker);
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= MOST_KNOWN && !known.contains_key(&key) {
            known.clear();
        }
        let made = known.entry(key).or_default();
        if let Some((_, validator)) = made.iter().find(|(same, _)| same == schema) {
            return validator.clone();
        }
        let validator = built(schema, taker);
        made.push((schema.clone(), validator.clone()));
        validator
    })
}

/// Equal for equal schemas.
fn fingerprint(schema: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    schema.hash(&mut hasher);
    hasher.finish()
}

fn built(schema: &Value, taker: Taker) -> Option<Rc<Validator>> {
    let build = || {
        let schema = match taker {
            Taker::Server { none_with_default } => without_required(preprocessed(schema, none_with_default)),
            Taker::Block { text_for_all } => lax::relaxed(schema, text_for_all),
        };
        let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012);
        let options = options.with_keyword(lax::KEYWORD, lax::keyword);
        options.should_validate_formats(false).build(&schema).ok().map(Rc::new)
    };
    catch_unwind(AssertUnwindSafe(build)).ok().flatten()
}

/// Of a value that could be null or something else, what is wrong with the something.
fn misfits(error: &jsonschema::ValidationError<'_>) -> Vec<Misfit> {
    use jsonschema::error::{TypeKind, ValidationErrorKind as Why};
    if let Why::AnyOf { context } = error.kind() {
        let is_null = |error: &jsonschema::ValidationError<'_>| {
            matches!(error.kind(), Why::Type { kind: TypeKind::Single(jsonschema::JsonType::Null) })
        };
        let mut others = context.iter().filter(|branch| !matches!(&branch[..], [one] if is_null(one)));
        if let (Some(only), None) = (others.next(), others.next()) {
            return only.iter().flat_map(misfits).collect();
        }
    }
    vec![misfit(error)]
}

fn misfit(error: &jsonschema::ValidationError<'_>) -> Misfit {
    let mut path = Path::root();
    for part in error.instance_path().as_str().split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        path.0.push(match part.parse::<usize>() {
            Ok(_) => Seg::Item(part),
            Err(_) => Seg::Key(part),
        });
    }
    use jsonschema::error::ValidationErrorKind::{AdditionalProperties, Required};
    let about_keys = matches!(error.kind(), AdditionalProperties { .. } | Required { .. });
    Misfit { path, why: why(error), about_keys }
}

/// Why, without the value. Of alternatives, those that say more than that it could be null.
fn why(error: &jsonschema::ValidationError<'_>) -> String {
    use jsonschema::error::ValidationErrorKind::{AnyOf, OneOfNotValid};
    let (AnyOf { context } | OneOfNotValid { context }) = error.kind() else {
        return error.masked_with("it").to_string();
    };
    let mut reasons: Vec<String> = context.iter().flatten().map(why).collect();
    reasons.dedup();
    if reasons.len() > 1 {
        reasons.retain(|reason| !reason.contains("\"null\""));
    }
    match reasons.is_empty() || reasons.len() > 3 {
        true => "it fits none of the alternatives".to_owned(),
        false => reasons.join(", and "),
    }
}

/// The server's repairs of schemas that pydantic 1 wrote.
fn preprocessed(schema: &Value, none_with_default: bool) -> Value {
    let mut schema = schema.clone();
    properties(&mut schema, none_with_default);
    let Some(Value::Object(definitions)) = schema.get_mut("definitions") else { return schema };
    let mut blocks = Map::new();
    for definition in definitions.values_mut() {
        properties(definition, none_with_default);
        if definition.get("block_type_slug").is_some()
            && let Some(title) = definition["title"].as_str()
        {
            blocks.insert(title.to_owned(), block_or_reference(definition));
        }
    }
    definitions.extend(blocks);
    schema
}

fn properties(holder: &mut Value, none_with_default: bool) {
    let required: Vec<String> = holder["required"]
        .as_array()
        .map(|names| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    let Some(Value::Object(fields)) = holder.get_mut("properties") else { return };
    for (name, field) in fields {
        if !field.is_object() {
            continue;
        }
        let typed = field.get("type").is_some_and(|t| t != "null");
        let open = field.get("default").is_none() || none_with_default;
        if typed && open && !required.contains(name) {
            let kind = field["type"].take();
            field["anyOf"] = json!([{ "type": kind }, { "type": "null" }]);
            field.as_object_mut().expect("checked above").shift_remove("type");
        }
        if field["items"].as_array().is_some_and(|items| !items.is_empty()) && field.get("prefixItems").is_none() {
            field["prefixItems"] = field["items"].take();
            field.as_object_mut().expect("checked above").shift_remove("items");
        }
        if field.get("properties").is_some() {
            properties(field, none_with_default);
        }
    }
}

fn block_or_reference(definition: &Value) -> Value {
    json!({ "oneOf": [definition, {
        "type": "object",
        "required": ["$ref"],
        "properties": { "$ref": { "oneOf": [
            { "type": "string" },
            { "type": "object", "additionalProperties": { "type": "string" }, "minProperties": 1 },
        ]}},
    }]})
}

/// Drops the keyword `required` everywhere, but not a property that happens to have that name.
fn without_required(schema: Value) -> Value {
    match schema {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(key, value)| key != "required" || !value.is_array())
                .map(|(key, value)| (key, without_required(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_required).collect()),
        other => other,
    }
}

/// Whether a string may stand at a place of the job variables: then a block reference can wait for the worker.
pub fn takes_text(base_job_template: &Value, path: &Path) -> bool {
    let mut schema = &base_job_template["variables"];
    for seg in &path.0 {
        let Seg::Key(key) = seg else { return schema_takes_text(&schema["items"]) };
        let property = &schema["properties"][key.as_str()];
        schema = if property.is_null() { &schema["additionalProperties"] } else { property };
    }
    schema_takes_text(schema)
}

fn schema_takes_text(schema: &Value) -> bool {
    let is_text = |kind: &Value| kind == "string";
    match &schema["type"] {
        Value::String(_) => is_text(&schema["type"]),
        Value::Array(kinds) => kinds.iter().any(is_text),
        _ => ["anyOf", "oneOf"]
            .iter()
            .any(|key| schema[*key].as_array().is_some_and(|options| options.iter().any(schema_takes_text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_json_is_checked_as_what_it_stands_for() {
        let kind = |kind: &str, value: Value| json!({"__prefect_kind": kind, "value": value});
        let of = |value: Value| hydrated(&json!({"a": value, "b": 1}));
        assert_eq!(of(kind("json", json!("[1, 2]"))), Some(json!({"a": [1, 2], "b": 1})));
        assert_eq!(of(kind("json", json!(7))), Some(json!({"a": 7, "b": 1})));
        assert_eq!(of(json!({"__prefect_kind": "json"})), Some(json!({"b": 1})));
        assert_eq!(
            of(json!([{"__prefect_kind": "json"}, kind("none", json!({"x": 1}))])),
            Some(json!({"a": [{"x": 1}], "b": 1}))
        );
        assert_eq!(of(kind("json", json!("{"))), None);
        assert_eq!(of(json!({"__prefect_kind": "jinja", "template": "{{ x }}"})), None);
        assert_eq!(of(json!([{"__prefect_kind": "workspace_variable", "variable_name": "v"}])), None);
    }

    fn template(properties: Value) -> Value {
        json!({"variables": {"type": "object", "properties": properties, "required": ["image"]}})
    }

    #[test]
    fn wrong_types_are_found_with_their_place() {
        let template = template(json!({
            "image": {"type": "string"},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
        }));
        assert_eq!(job_variables(&json!({}), &template, true), Vec::new());
        assert_eq!(job_variables(&json!({"other": 1}), &template, true), Vec::new());
        let misfits = job_variables(&json!({"env": {"A": 1}}), &template, true);
        assert_eq!(misfits.len(), 1);
        assert_eq!(misfits[0].path.to_string(), "env.A");
        let misfits = job_variables(&json!({"image": 1}), &template, true);
        assert_eq!(misfits[0].why, "it is not of type \"string\"");
    }

    #[test]
    fn null_stands_where_there_is_no_default() {
        let template = template(json!({"a": {"type": "string"}, "b": {"type": "string", "default": "x"}}));
        assert!(job_variables(&json!({"a": null}), &template, false).is_empty());
        assert!(!job_variables(&json!({"b": null}), &template, false).is_empty());
        assert!(job_variables(&json!({"b": null}), &template, true).is_empty());
    }

    #[test]
    fn the_message_does_not_hold_the_value() {
        let template = template(json!({"port": {"type": "integer"}}));
        let misfits = job_variables(&json!({"port": "canary"}), &template, true);
        assert!(!misfits[0].why.contains("canary"), "{}", misfits[0].why);
    }

    #[test]
    fn text_places_are_known() {
        let template = template(json!({
            "image": {"type": "string"},
            "env": {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            "registry": {"type": "object"},
        }));
        assert!(takes_text(&template, &Path::of("image")));
        assert!(takes_text(&template, &Path::of("env").key("TOKEN")));
        assert!(!takes_text(&template, &Path::of("registry")));
        assert!(!takes_text(&template, &Path::of("unknown")));
    }
}
