//! The checksum by which the API tells block schemas apart, predicted without asking it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// How deep a schema may be; Prefect itself gives up before that.
const DEEPEST: usize = 200;

/// The checksum the API computes for a schema of these `fields`, such as `sha256:17b7…`: that of what is *sent*. What
/// it serves later can be put together anew and give another one, so a served checksum is to be believed, not redone.
///
/// Order and `secret_fields` do not count, nor do definitions that nothing needs or that are blocks of their own
/// (Prefect 3.8.8 blocks/core.py, `Block._calculate_schema_checksum`).
pub fn schema_checksum(fields: &Value) -> String {
    let mut counted = without_secret_fields(fields, 0);
    if let Some(definitions) = counted.get("definitions").and_then(Value::as_object).filter(|all| !all.is_empty()) {
        let kept = plain_definitions(&counted, definitions);
        match (counted.as_object_mut(), kept.is_empty()) {
            (Some(counted), false) => counted.insert("definitions".to_owned(), Value::Object(kept)),
            (Some(counted), true) => counted.shift_remove("definitions"),
            (None, _) => None,
        };
    }
    let mut text = String::from("[[");
    write_python(&mut text, &counted, 0);
    text.push_str("], {}]");
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().fold("sha256:".to_owned(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Lists are left as they are.
fn without_secret_fields(value: &Value, depth: usize) -> Value {
    match value {
        Value::Object(map) if depth < DEEPEST => {
            let kept = map.iter().filter(|(key, _)| *key != "secret_fields");
            Value::Object(kept.map(|(key, value)| (key.clone(), without_secret_fields(value, depth + 1))).collect())
        }
        value => value.clone(),
    }
}

/// The definitions that `fields` refers to, directly or through one of these, and that are not blocks.
pub(super) fn plain_definitions(fields: &Value, definitions: &Map<String, Value>) -> Map<String, Value> {
    let mut found = Map::new();
    let mut left = Vec::new();
    references(fields, 0, &mut left);
    while let Some(name) = left.pop() {
        let Some(definition) = definitions.get(&name).filter(|definition| is_plain(definition)) else { continue };
        if found.insert(name, definition.clone()).is_none() {
            references(definition, 0, &mut left);
        }
    }
    found
}

fn is_plain(definition: &Value) -> bool {
    definition.as_object().is_some_and(|map| !map.is_empty()) && definition["block_type_slug"].is_null()
}

/// The definitions that a schema refers to by itself.
pub(super) fn references(value: &Value, depth: usize, found: &mut Vec<String>) {
    if depth >= DEEPEST {
        return;
    }
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(|text| text.replace("#/definitions/", "")));
            map.values().for_each(|value| references(value, depth + 1, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, depth + 1, found)),
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

/// JSON as Python writes it with sorted keys.
fn write_python(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if depth < DEEPEST => {
            out.push('{');
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            for (at, (key, value)) in sorted.into_iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                write_text(out, key);
                out.push_str(": ");
                write_python(out, value, depth + 1);
            }
            out.push('}');
        }
        Value::Array(items) if depth < DEEPEST => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                write_python(out, item, depth + 1);
            }
            out.push(']');
        }
        Value::String(text) => write_text(out, text),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => out.push_str(&float_text(float)),
            None => out.push_str(&number.to_string()),
        },
        Value::Bool(_) | Value::Null | Value::Object(_) | Value::Array(_) => out.push_str(&value.to_string()),
    }
}

/// Rust and Python agree on the digits of a float, not on its exponent: `1e-7` and `1e-07`.
fn float_text(float: f64) -> String {
    let text = format!("{float:?}");
    match text.split_once('e') {
        None => text,
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{digits}e{sign}{exponent:0>2}")
        }
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(value: &Value) -> String {
        let mut out = String::new();
        write_python(&mut out, value, 0);
        out
    }

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = json!({"b": [1, 1.0, 1e16, 1.5e-7, -0.0, 1e-5, 123456789.125], "a": "ä😀\u{7f}\"\n", "c": [true, null, {}]});
        let text = r#"{"a": "\u00e4\ud83d\ude00\u007f\"\n", "b": [1, 1.0, 1e+16, 1.5e-07, -0.0, 1e-05, 123456789.125], "c": [true, null, {}]}"#;
        assert_eq!(written(&value), text);
    }

    #[test]
    fn what_does_not_count_does_not() {
        let fields = json!({"title": "T", "properties": {"a": {"$ref": "#/definitions/A"}}, "definitions": {"A": {"type": "object"}}});
        let mut same = fields.clone();
        same["secret_fields"] = json!(["a"]);
        same["definitions"]["Unused"] = json!({"type": "object"});
        same["definitions"]["Block"] = json!({"block_type_slug": "b"});
        assert_eq!(schema_checksum(&same), schema_checksum(&fields));
        let mut other = fields.clone();
        other["block_schema_references"] = json!({"a": {}});
        assert_ne!(schema_checksum(&other), schema_checksum(&fields));
    }

    #[test]
    fn a_definition_that_needs_itself_ends() {
        let fields = json!({"$ref": "#/definitions/A", "definitions": {"A": {"x": {"$ref": "#/definitions/A"}}}});
        assert!(schema_checksum(&fields).starts_with("sha256:"));
        let mut deep = json!({});
        (0..500).for_each(|_| deep = json!({"a": [deep.take()]}));
        assert_eq!(schema_checksum(&deep).len(), 71);
    }
}
