//! The reference page of each kind: its tables are made from the JSON Schemas.
//!
//! A page holds `<!-- fields SCHEMA#DEFINITION -->`, `<!-- types -->` or `<!-- actions -->`, what is made, and
//! `<!-- end -->`. Set `RECONCILE_UPDATE_DOCS` to make it anew.

use std::path::{Path, PathBuf};

use serde_json::Value;

const KINDS: [&str; 9] = [
    "automation",
    "block",
    "block-type",
    "concurrency-limit",
    "deployment",
    "tag-concurrency-limit",
    "variable",
    "work-pool",
    "work-queue",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn schema(name: &str) -> Value {
    let text = std::fs::read_to_string(root().join(format!("schemas/{name}.schema.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What a value looks like, in few words.
fn form(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return match name {
            "lifecycle" | "labels" | "action" | "schedule" | "sla" | "work_pool" => format!("`{name}`"),
            "inner_trigger" | "trigger" => "a trigger".to_owned(),
            "work_queue" => "a queue".to_owned(),
            "steps" => "steps".to_owned(),
            other => other.replace('_', " "),
        };
    }
    if let Some(ways) = schema["anyOf"].as_array() {
        let mut words: Vec<String> = ways.iter().filter(|way| !is_template(way)).map(form).collect();
        let mut seen = std::collections::BTreeSet::new();
        words.retain(|word| seen.insert(word.clone()));
        return words.join(" or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        if words.len() > 20 {
            return "text".to_owned();
        }
        return words.iter().map(|word| format!("`{}`", text(word))).collect::<Vec<_>>().join(", ");
    }
    if let Some(value) = schema.get("const") {
        return format!("`{}`", text(value));
    }
    match &schema["type"] {
        Value::String(kind) => word(kind, schema),
        Value::Array(kinds) => {
            kinds.iter().map(|kind| word(kind.as_str().unwrap(), schema)).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

/// A text such as `{{ … }}`, which may stand anywhere.
fn is_template(schema: &Value) -> bool {
    schema["pattern"].as_str().is_some_and(|pattern| pattern.contains("{"))
}

fn word(kind: &str, schema: &Value) -> String {
    match kind {
        "array" if schema["items"].is_object() => format!("list of {}", form(&schema["items"])),
        "array" => "list".to_owned(),
        "object" => "mapping".to_owned(),
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        other => other.to_owned(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_required(schema: &Value, key: &str) -> bool {
    schema["required"].as_array().is_some_and(|keys| keys.iter().any(|other| other == key))
}

fn keys(schema: &Value) -> Vec<(&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten().collect()
}

fn fields(what: &str) -> String {
    let (file, definition) = what.split_once('#').unwrap();
    let definition = &schema(file)["$defs"][definition];
    assert!(definition["properties"].is_object(), "{what} is a definition");
    let mut out = "| Key | Value | |\n|---|---|---|\n".to_owned();
    for (key, value) in keys(definition) {
        let must = if is_required(definition, key) { "**must be given.** " } else { "" };
        let told = value["description"].as_str().unwrap_or_default().replace('|', "\\|");
        out += &format!("| `{key}` | {} | {must}{told} |\n", form(value).replace('|', "\\|"));
    }
    out
}

/// What `if` asks of the key `type`, and what `then` says, of each case.
fn cases(definition: &str) -> Vec<(String, Value)> {
    let all = schema("resources")["$defs"][definition]["allOf"].as_array().unwrap().clone();
    let named = |case: &Value| text(&case["if"]["properties"]["type"]["const"]);
    all.iter().map(|case| (named(case), case["then"].clone())).collect()
}

fn types() -> String {
    let mut out = "| Type | Fields |\n|---|---|\n".to_owned();
    for (slug, then) in cases("block") {
        let data = &then["properties"]["data"];
        let word = |key: &String| match is_required(data, key) {
            true => format!("**`{key}`**"),
            false => format!("`{key}`"),
        };
        let words: Vec<String> = keys(data).into_iter().map(|(key, _)| word(key)).collect();
        out += &format!("| `{slug}` | {} |\n", words.join(", "));
    }
    out
}

fn actions() -> String {
    let mut out = "| Type | Keys |\n|---|---|\n".to_owned();
    for (name, then) in cases("action") {
        let words =
            keys(&then).into_iter().filter(|(key, _)| *key != "type").map(|(key, _)| match is_required(&then, key) {
                true => format!("**`{key}`**"),
                false => format!("`{key}`"),
            });
        out += &format!("| `{name}` | {} |\n", words.collect::<Vec<_>>().join(", "));
    }
    out
}

/// The page with its tables made anew.
fn made(page: &Path, text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!-- ") {
        let (what, after) = after.split_once(" -->\n").unwrap();
        let (_, after) = after.split_once("<!-- end -->").unwrap_or_else(|| panic!("{}: no end", page.display()));
        let table = match what.split_once(' ') {
            Some(("fields", what)) => fields(what),
            None if what == "types" => types(),
            None if what == "actions" => actions(),
            _ => panic!("{}: what is `{what}`?", page.display()),
        };
        out += &format!("{before}<!-- {what} -->\n{table}<!-- end -->");
        rest = after;
    }
    out + rest
}

#[test]
fn each_kind_has_a_page_with_the_fields_of_its_schema() {
    for kind in KINDS {
        let page = root().join(format!("docs/kinds/{kind}.md"));
        let text = std::fs::read_to_string(&page).unwrap();
        let fresh = made(&page, &text);
        assert!(fresh.contains("| Key | Value |"), "{kind}: it has a table");
        if std::env::var_os("RECONCILE_UPDATE_DOCS").is_some() {
            std::fs::write(&page, &fresh).unwrap();
        } else {
            assert!(fresh == text, "{}: not fresh; set RECONCILE_UPDATE_DOCS to make it anew", page.display());
        }
    }
}
