//! The JSON Schema of resource files, for editors; the data of a block is completed by its type.

use serde_json::{Map, Value, json};

use super::automation::actions::{self, Action};
use super::known_types::{KnownType, known_types};
use super::work_pool::BACKENDS;
use crate::manifest::schema::{
    head, labels, lifecycle, object, or_null, reference, template, text, texts, told, trigger,
};

/// Definitions inside definitions are followed so deep.
const DEPTH: usize = 6;

/// The schema of resource files.
pub fn resources() -> Value {
    let mut schema = head(
        "resources.schema.json",
        "Resource files",
        "Blocks, variables, work pools, limits and automations of Prefect 3, as reconcile keeps them.",
    );
    let list =
        |of: &str, words: &str| json!({ "type": ["array", "null"], "items": reference(of), "description": words });
    schema["type"] = json!(["object", "null"]);
    schema["properties"] = json!({
        "blocks": list("block", "Blocks: credentials, storage, notifications."),
        "variables": list("variable", "Variables, which flows and templates read."),
        "work_pools": list("work_pool", "Work pools with their queues."),
        "concurrency_limits": list("concurrency_limit", "Global concurrency limits, which code asks for by name."),
        "tag_concurrency_limits": list("tag_concurrency_limit", "How many tasks with a tag may run at once."),
        "automations": list("automation", "What happens when something happens."),
        "block_types": list("block_type", "Types of blocks of one's own."),
        "definitions": told(json!({}), "A place for YAML anchors."),
    });
    schema["additionalProperties"] = json!(false);
    schema["$defs"] = json!({
        "block": block(),
        "variable": variable(),
        "work_pool": work_pool(),
        "work_queue": work_queue(),
        "concurrency_limit": concurrency_limit(),
        "tag_concurrency_limit": tag_limit(),
        "automation": automation(),
        "action": action(),
        "inner_trigger": named_trigger(),
        "labels": labels(),
        "block_type": block_type(),
        "elsewhere": elsewhere(),
        "lifecycle": lifecycle(),
    });
    schema
}

/// An item: its keys, those that it must have, and `lifecycle`.
fn item(mut properties: Value, required: &[&str]) -> Value {
    properties["lifecycle"] = told(reference("lifecycle"), "How reconcile treats it.");
    let mut schema = object(properties);
    schema["required"] = json!(required);
    schema
}

fn count(least: i64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": i32::MAX })
}

fn name(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

const SLUG: &str = "^[a-z0-9-]+$";
const BLOCK_NAME: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";
const PLAIN: &str = "^[^/%&><]+$";

fn variable() -> Value {
    item(
        json!({
            "name": told(name("^[a-z0-9_-]{1,255}$"), "Its name: lowercase letters, digits, dashes and underscores."),
            "value": told(json!({}), "Any JSON, up to 5000 bytes."),
            "tags": told(texts(), "Its tags."),
        }),
        &["name", "value"],
    )
}

fn concurrency_limit() -> Value {
    item(
        json!({
            "name": told(name(PLAIN), "Its name."),
            "limit": told(count(0), "How many slots there are."),
            "active": told(flag(), "Whether it counts; true by default."),
            "slot_decay_per_second": told(json!({ "type": "number", "minimum": 0 }), "How many slots come back by themselves."),
        }),
        &["name", "limit"],
    )
}

fn tag_limit() -> Value {
    item(
        json!({
            "tag": told(name(PLAIN), "The tag."),
            "limit": told(count(0), "How many tasks with it may run at once."),
        }),
        &["tag", "limit"],
    )
}

fn work_queue() -> Value {
    item(
        json!({
            "name": told(name(PLAIN), "Its name."),
            "priority": told(count(1), "Its place, 1 first; unique in the pool."),
            "concurrency_limit": told(or_null(count(0)), "How many runs of it may be under way."),
            "description": told(text(), "What people read."),
            "paused": told(flag(), "Whether it is at rest."),
        }),
        &["name"],
    )
}

fn work_pool() -> Value {
    item(
        json!({
            "name": told(name(PLAIN), "Its name; not one that begins with `prefect`."),
            "type": told(text(), "The type of worker: `process`, `docker`, `kubernetes`, …"),
            "description": told(or_null(text()), "What people read."),
            "paused": told(flag(), "Whether it is at rest."),
            "concurrency_limit": told(or_null(count(0)), "How many runs of it may be under way."),
            "base_job_template": told(job_template(), "What its jobs look like."),
            "storage": told(storage(), "Where flows and results are kept."),
            "queues": { "type": ["array", "null"], "items": reference("work_queue"), "description": "Its queues." },
        }),
        &["name", "type"],
    )
}

fn job_template() -> Value {
    let patch = || {
        json!({
            "type": ["object", "null"],
            "propertyNames": { "pattern": r"^(variables|job_configuration)\b" },
            "description": "Values by dotted paths, such as `variables.properties.namespace.default: flows`.",
        })
    };
    let mut default = object(json!({
        "default": told(json!({ "const": true }), "The template of the pool's type."), "patch": patch(),
    }));
    default["required"] = json!(["default"]);
    let mut file = object(json!({ "file": told(text(), "A JSON file with the template."), "patch": patch() }));
    file["required"] = json!(["file"]);
    let literal = json!({
        "type": "object",
        "required": ["job_configuration", "variables"],
        "properties": { "job_configuration": { "type": "object" }, "variables": { "type": "object" } },
    });
    json!({ "anyOf": [default, file, literal, { "type": "object", "maxProperties": 0 }] })
}

fn storage() -> Value {
    let mut properties = Map::new();
    for backend in &BACKENDS {
        let mut place = object(json!({
            backend.place: told(text(), "Its name."),
            "credentials": told(or_null(reference_to(&[backend.credentials])), "A block; without one, what the machine has."),
        }));
        place["required"] = json!([backend.place]);
        properties.insert(backend.key.to_owned(), place);
    }
    let step = json!({ "type": ["object", "null"], "maxProperties": 1 });
    properties.insert("bundle_upload_step".to_owned(), step.clone());
    properties.insert("bundle_execution_step".to_owned(), step);
    properties.insert(
        "default_result_storage_block_id".to_owned(),
        json!({ "anyOf": [reference_to(&[]), { "type": ["string", "null"] }] }),
    );
    object(Value::Object(properties))
}

fn automation() -> Value {
    let actions = || json!({ "type": "array", "items": reference("action") });
    item(
        json!({
            "name": told(text(), "Its name."),
            "description": told(text(), "What people read."),
            "enabled": told(flag(), "Whether it is at work; true by default."),
            "tags": told(texts(), "Its tags."),
            "trigger": told(reference("inner_trigger"), "What it waits for."),
            "actions": told(actions(), "What happens then."),
            "actions_on_trigger": told(actions(), "What happens when it begins to hold."),
            "actions_on_resolve": told(actions(), "What happens when it ceases to hold."),
        }),
        &["name", "trigger", "actions"],
    )
}

fn named_trigger() -> Value {
    let mut schema = trigger(false);
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.shift_remove("id");
        let forms = [
            ("deployment", "flow/name"),
            ("work_pool", "name"),
            ("work_queue", "pool/queue"),
            ("block", "type-slug/name"),
            ("automation", "name"),
        ];
        for (key, form) in forms {
            properties.insert(key.to_owned(), told(text(), &format!("Only events about this one: {form}.")));
        }
    }
    schema
}

/// An action, whose other keys depend on its type.
fn action() -> Value {
    let words: Vec<&str> = actions::KINDS.iter().map(|action| action.word).collect();
    let cases: Vec<Value> = actions::KINDS
        .iter()
        .map(|action| {
            let is = json!({ "properties": { "type": { "const": action.word } } });
            json!({ "if": is, "then": action_keys(action) })
        })
        .collect();
    json!({
        "type": "object",
        "required": ["type"],
        "properties": { "type": told(json!({ "enum": words }), "What happens.") },
        "allOf": cases,
    })
}

fn action_keys(action: &Action) -> Value {
    let mut properties = Map::from_iter([("type".to_owned(), json!(true))]);
    if let Some(target) = action.target {
        let words = format!("The {} by its name.", target.kind.word().replace('_', " "));
        properties.insert(target.key.to_owned(), told(text(), &words));
        properties.insert(target.id.to_owned(), told(or_null(text()), "The same by its id."));
        if target.inferred {
            let source = json!({ "enum": ["selected", "inferred"] });
            properties.insert("source".to_owned(), told(source, "`inferred`: the one that the event is about."));
        }
    }
    for (key, _) in action.keys {
        properties.insert((*key).to_owned(), json!(true));
    }
    let required: Vec<&str> =
        action.keys.iter().filter(|(_, default)| default.is_empty()).map(|(key, _)| *key).collect();
    let mut schema = object(Value::Object(properties));
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn block_type() -> Value {
    item(
        json!({
            "slug": told(name(SLUG), "Its slug, which blocks name as their `type`."),
            "name": told(name(PLAIN), "What people call it; not a name that begins with `prefect`."),
            "logo_url": told(or_null(text()), "The address of its logo."),
            "documentation_url": told(or_null(text()), "The address of its documentation."),
            "description": told(or_null(text()), "What it is for."),
            "code_example": told(or_null(text()), "How it is used."),
            "fields": told(
                json!({ "type": "object", "properties": { "type": { "const": "object" }, "properties": { "type": "object" } } }),
                "The JSON Schema of its data.",
            ),
            "secret_fields": told(texts(), "Fields that are hidden, such as `password`, `auth.token` or `headers.*`."),
            "capabilities": told(texts(), "What its blocks can do, such as `get-directory` or `notify`."),
            "version": told(text(), "The version of the schema."),
        }),
        &["slug", "name", "fields"],
    )
}

fn block() -> Value {
    let cases: Vec<Value> = known_types()
        .iter()
        .map(|(slug, known)| {
            let is = json!({ "required": ["type"], "properties": { "type": { "const": slug } } });
            json!({ "if": is, "then": { "properties": { "data": data(known) } } })
        })
        .collect();
    let slugs: Vec<&str> = known_types().keys().map(String::as_str).collect();
    let pin = json!({
        "type": "object",
        "properties": {
            "version": told(text(), "Its version, as the API lists it."),
            "checksum": told(name("^sha256:[0-9a-fA-F]{64}$"), "Its checksum."),
        },
        "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
    });
    let mut schema = item(
        json!({
            "type": { "anyOf": [{ "enum": slugs }, name(SLUG)], "description": "The slug of its type." },
            "name": told(name(BLOCK_NAME), "Its name: lowercase letters, digits and dashes."),
            "data": told(json!({ "type": "object" }), "Its fields."),
            "schema": told(pin, "The schema to use instead of the newest."),
        }),
        &["type", "name"],
    );
    schema["allOf"] = json!(cases);
    schema
}

/// What a field says in place of a value.
fn elsewhere() -> Value {
    let only = |key: &str, words: &str| {
        let format = told(json!({ "enum": ["text", "json"] }), "How it is read; as text if not given.");
        let mut schema = object(json!({ key: told(text(), words), "format": format }));
        if key == "from_file" {
            schema["properties"]["sops"] = told(json!({ "type": "boolean" }), "Whether it is encrypted with SOPS.");
            schema["properties"]["key"] = told(text(), "Where in the file, which holds YAML or JSON: keys with dots.");
        }
        schema["required"] = json!([key]);
        schema
    };
    json!({ "anyOf": [
        template(),
        only("from_env", "An environment variable of the reconciler."),
        only("from_file", "A file, whose text it is."),
    ] })
}

/// A block of one of these types; of any, without.
fn reference_to(slugs: &[&str]) -> Value {
    let of = if slugs.is_empty() { "[a-z0-9-]+".to_owned() } else { format!("({})", slugs.join("|")) };
    let mut schema = object(json!({ "block": { "type": "string", "pattern": format!("^{of}/[a-z0-9-]+$") } }));
    schema["required"] = json!(["block"]);
    schema
}

/// The fields of a type of blocks; others are left open, since a newer schema may have them.
fn data(known: &KnownType) -> Value {
    let definitions = &known.fields["definitions"];
    let required = known.fields["required"].as_array().cloned().unwrap_or_default();
    let mut properties = Map::new();
    for (field, schema) in known.fields["properties"].as_object().into_iter().flatten() {
        let mut ways = vec![resolved(schema, definitions, DEPTH), reference("elsewhere")];
        if !required.contains(&json!(field)) {
            ways.push(json!({ "type": "null" }));
        }
        properties.insert(field.clone(), json!({ "anyOf": ways }));
    }
    json!({ "type": "object", "required": required, "properties": properties })
}

/// A schema with its definitions put in; a definition of another block becomes a reference to one.
fn resolved(schema: &Value, definitions: &Value, depth: usize) -> Value {
    match schema {
        Value::Object(map) => {
            if let Some(name) = map.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
                let definition = &definitions[name];
                return match definition["block_type_slug"].as_str() {
                    Some(slug) => json!({ "anyOf": [reference_to(&[slug]), { "type": "object" }] }),
                    // One that is not there means any JSON.
                    None if definition.is_null() || depth == 0 => json!({}),
                    None => resolved(definition, definitions, depth - 1),
                };
            }
            Value::Object(map.iter().map(|(key, value)| (key.clone(), resolved(value, definitions, depth))).collect())
        }
        Value::Array(items) => items.iter().map(|item| resolved(item, definitions, depth)).collect(),
        other => other.clone(),
    }
}
