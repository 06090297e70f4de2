//! Items of `block_types:`: types of blocks of one's own, with their schema.

use super::names;
use super::reader::{Draft, Reader};
use crate::manifest::node::{Node, Value};
use crate::model::{Key, Kind};

pub(in crate::manifest) const KEYS: [&str; 10] = [
    "slug",
    "name",
    "logo_url",
    "documentation_url",
    "description",
    "code_example",
    "fields",
    "secret_fields",
    "capabilities",
    "version",
];

pub(super) fn read(reader: &mut Reader, node: &Node) {
    let Some(mut draft) = Draft::begin(reader, node, "a block type", &KEYS) else { return };
    let slug = draft.name("slug", names::slug);
    draft.name("name", names::block_type);
    for key in ["logo_url", "documentation_url", "description", "code_example"] {
        draft.text_or_null(key);
    }
    draft.must_have("fields", "write `fields:` and the JSON Schema of its data, `properties` below it");
    fields(&mut draft);
    draft.texts("secret_fields");
    secret_fields(&mut draft);
    draft.texts("capabilities");
    draft.text("version");
    if let Some(slug) = slug {
        draft.finish(Key::new(Kind::BlockType, slug));
    }
}

/// A JSON Schema of an object, as far as the forms of the API need it.
fn fields(draft: &mut Draft) {
    let Some(node) = draft.node.get("fields") else { return };
    if !draft.reader.is_mapping(node, "`fields`", "write `properties:` and the fields below it") {
        return;
    }
    let told = draft.reader.diagnostics.len();
    if let Some(kind) = node.get("type").filter(|kind| kind.as_str() != Some("object")) {
        let help = "write `type: object`, or remove it";
        draft.reader.error("E0717", kind, "the schema of a block describes an object", help);
    }
    match node.get("properties") {
        Some(properties) => {
            if draft.reader.is_mapping(properties, "`properties`", "write each field and its schema below it") {
                for (key, value) in properties.entries() {
                    field(draft, key, value);
                }
            }
        }
        None if node.entries().is_empty() => {}
        None => {
            let help = "write the fields below `properties:`";
            draft.reader.error("E0717", node, "`fields` has no `properties`", help);
        }
    }
    if draft.reader.diagnostics.len() == told {
        draft.any("fields");
    }
}

fn field(draft: &mut Draft, key: &Node, schema: &Node) {
    if key.as_str().is_none() {
        draft.reader.error("E0717", key, "the name of a field must be text", "put quotes around it");
    }
    if !matches!(schema.value, Value::Map(_)) {
        let message = format!("the schema of a field must be a mapping, not {}", schema.value.type_name());
        draft.reader.error("E0717", schema, message, "write `{ type: string }` or another JSON Schema");
    }
}

/// The first part of each path must be a field.
fn secret_fields(draft: &mut Draft) {
    let Some(properties) = draft.node.get("fields").and_then(|fields| fields.get("properties")) else { return };
    for item in draft.node.get("secret_fields").map(Node::items).unwrap_or_default() {
        let Some(path) = item.as_str() else { continue };
        let first = path.split('.').next().unwrap_or_default();
        if properties.get(first).is_some() {
            continue;
        }
        let known = properties.entries().iter().filter_map(|(key, _)| key.as_str());
        let help = crate::diagnostic::did_you_mean(first, known)
            .unwrap_or_else(|| "name a field of `properties`; a path such as `auth.password` goes deeper".to_owned());
        draft.reader.error("E0717", item, format!("`{path}` is no field, so nothing of it would be secret"), help);
    }
}
