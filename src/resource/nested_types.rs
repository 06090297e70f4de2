//! The schema of a block type whose fields hold blocks of other types: what Prefect's client sends of it, and what of
//! that the API keeps.
//!
//! Source: Prefect 3.8.8 `blocks/core.py`, `schema_extra`, for what is sent; `server/models/block_schemas.py` for what
//! is kept: the other types get schemas of their own, found by their checksums, and are put together again when read.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::block_schema::{plain_definitions, references, schema_checksum};

/// How many definitions are completed: the schemas of other types bring their own along.
const MOST: usize = 1_000;

/// How deep types may hold each other; what is deeper is left as it is written.
const DEEPEST: usize = 100;

/// What is known of another block type.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The fields of its schema.
    pub fields: Value,
    /// The checksum that the API gives it; none for one that will be made.
    pub checksum: Option<String>,
}

/// The slugs of the types that the definitions of a schema stand for.
pub fn nested(fields: &Value) -> impl Iterator<Item = &str> {
    let definitions = fields["definitions"].as_object().into_iter().flatten();
    definitions.filter_map(|(_, definition)| definition["block_type_slug"].as_str())
}

/// The schema with every definition of another type in full, and with the references to them. `{ block_type_slug: x }`
/// alone stands for the type as `known` has it. References that are written down count as they are.
pub fn complete(fields: &Value, known: &dyn Fn(&str) -> Option<Known>) -> Value {
    let Value::Object(mut root) = fields.clone() else { return fields.clone() };
    let definitions = root.get("definitions").and_then(Value::as_object).cloned().unwrap_or_default();
    if definitions.len() > MOST {
        return fields.clone();
    }
    let mut nest = Nest { definitions, checksums: BTreeMap::new(), depth: 0 };
    nest.unfold(known);
    let names: Vec<String> = nest.definitions.keys().cloned().collect();
    names.iter().for_each(|name| drop(nest.checksum(name)));
    if !root.contains_key("block_schema_references") {
        root.insert("block_schema_references".to_owned(), nest.references(&root));
    }
    if !nest.definitions.is_empty() {
        root.insert("definitions".to_owned(), Value::Object(nest.definitions));
    }
    Value::Object(root)
}

/// The secrets of the types that a schema holds, as [`complete`] has made it: `auth.token` where its field `auth` holds
/// blocks of a type with the secret `token`. (`blocks/core.py`, `_collect_secret_fields`)
pub fn secrets(fields: &Value) -> Vec<String> {
    let of_type = |slug: &Value| {
        let all = fields["definitions"].as_object().into_iter().flatten();
        let found = all.map(|(_, definition)| definition).find(|definition| definition["block_type_slug"] == *slug);
        found.and_then(|definition| definition["secret_fields"].as_array()).into_iter().flatten()
    };
    let mut out = Vec::new();
    for (field, held) in fields["block_schema_references"].as_object().into_iter().flatten() {
        let types = held.as_array().map_or_else(|| std::slice::from_ref(held), Vec::as_slice);
        let inner = types.iter().flat_map(|held| of_type(&held["block_type_slug"])).filter_map(Value::as_str);
        for secret in inner.map(|secret| format!("{field}.{secret}")) {
            if !out.contains(&secret) {
                out.push(secret);
            }
        }
    }
    out
}

/// What the API keeps of a schema as part of it: without the definitions of other types and what nothing refers to, and
/// without what stands elsewhere in an item.
pub fn kept(fields: &Value) -> Value {
    let Value::Object(mut root) = fields.clone() else { return fields.clone() };
    for key in ["block_type_slug", "secret_fields"] {
        root.shift_remove(key);
    }
    if let Some(Value::Object(definitions)) = root.shift_remove("definitions") {
        let plain = plain_definitions(&Value::Object(root.clone()), &definitions);
        if !plain.is_empty() {
            root.insert("definitions".to_owned(), Value::Object(plain));
        }
    }
    match root.get_mut("block_schema_references").and_then(Value::as_object_mut) {
        Some(all) if !all.is_empty() => all.values_mut().for_each(sort),
        Some(_) | None => drop(root.shift_remove("block_schema_references")),
    }
    Value::Object(root)
}

/// Several types for one field are in no order, and one needs no list.
fn sort(references: &mut Value) {
    let Value::Array(all) = references else { return };
    all.sort_by_key(Value::to_string);
    all.dedup();
    if let [_] = all[..] {
        *references = all.remove(0);
    }
}

/// The definitions of a schema, and the checksums of those that are block types.
struct Nest {
    definitions: Map<String, Value>,
    /// Empty while one is worked out: a type that holds itself has none.
    checksums: BTreeMap<String, String>,
    /// How many checksums are being worked out, each for the one before.
    depth: usize,
}

impl Nest {
    /// Puts what is known in the place of definitions that name a type only.
    fn unfold(&mut self, known: &dyn Fn(&str) -> Option<Known>) {
        let mut left: Vec<String> = self.definitions.keys().rev().cloned().collect();
        while let Some(name) = left.pop().filter(|_| self.definitions.len() < MOST) {
            let definition = &self.definitions[&name];
            let slug = definition["block_type_slug"].as_str().filter(|_| definition.get("properties").is_none());
            let Some(slug) = slug.map(str::to_owned) else { continue };
            let Some(Known { fields: Value::Object(mut other), checksum }) = known(&slug) else { continue };
            if let Some(Value::Object(more)) = other.shift_remove("definitions") {
                for (name, definition) in more {
                    if self.definitions.contains_key(&name) {
                        continue;
                    }
                    left.push(name.clone());
                    self.definitions.insert(name, definition);
                }
            }
            other.insert("block_type_slug".to_owned(), json!(slug));
            self.definitions.insert(name.clone(), Value::Object(other));
            self.checksums.extend(checksum.map(|checksum| (name, checksum)));
        }
    }

    /// The checksum of a definition's schema, if it is a block type. What the client sends of one is filled in.
    fn checksum(&mut self, name: &str) -> Option<String> {
        if self.depth >= DEEPEST {
            return None;
        }
        self.depth += 1;
        let checksum = self.checksum_within(name);
        self.depth -= 1;
        checksum
    }

    fn checksum_within(&mut self, name: &str) -> Option<String> {
        let Some(Value::Object(definition)) = self.definitions.get(name) else { return None };
        if !definition.get("block_type_slug").is_some_and(Value::is_string) {
            return None;
        }
        let known = self.checksums.get(name).cloned();
        if known.as_ref().is_some_and(String::is_empty) {
            return known;
        }
        let mut definition = definition.clone();
        if known.is_none() {
            self.checksums.insert(name.to_owned(), String::new());
        }
        if !definition.contains_key("block_schema_references") {
            definition.insert("block_schema_references".to_owned(), self.references(&definition));
        }
        definition.entry("secret_fields").or_insert_with(|| json!([]));
        self.definitions.insert(name.to_owned(), Value::Object(definition.clone()));
        let checksum = known.unwrap_or_else(|| {
            definition.insert("definitions".to_owned(), Value::Object(self.definitions.clone()));
            schema_checksum(&Value::Object(definition))
        });
        self.checksums.insert(name.to_owned(), checksum.clone());
        Some(checksum)
    }

    /// Which fields of a schema hold blocks of which types: one, or a list of several.
    fn references(&mut self, schema: &Map<String, Value>) -> Value {
        let mut out = Map::new();
        for (field, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let mut names = Vec::new();
            references(property, 0, &mut names);
            let mut types: Vec<Value> = Vec::new();
            for name in names {
                let Some(checksum) = self.checksum(&name) else { continue };
                let slug = self.definitions[&name]["block_type_slug"].clone();
                let one = json!({ "block_type_slug": slug, "block_schema_checksum": checksum });
                if !types.contains(&one) {
                    types.push(one);
                }
            }
            match types.len() {
                0 => {}
                1 => drop(out.insert(field.clone(), types.remove(0))),
                _ => drop(out.insert(field.clone(), Value::Array(types))),
            }
        }
        Value::Object(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<Known> {
        None
    }

    fn parent() -> Value {
        json!({
            "properties": {
                "one": { "$ref": "#/definitions/Child" },
                "some": { "anyOf": [{ "$ref": "#/definitions/Child" }, { "$ref": "#/definitions/Other" }, { "type": "null" }] },
                "plain": { "$ref": "#/definitions/Plain" },
                "text": { "type": "string" },
            },
            "definitions": {
                "Child": { "block_type_slug": "child", "title": "Child", "properties": { "x": { "type": "string" } } },
                "Other": { "block_type_slug": "other", "title": "Other", "properties": { "c": { "$ref": "#/definitions/Child" } } },
                "Plain": { "type": "object" },
            },
        })
    }

    #[test]
    fn fields_refer_to_the_types_that_they_hold() {
        let sent = complete(&parent(), &nothing);
        let references = &sent["block_schema_references"];
        assert_eq!(references["one"]["block_type_slug"], "child");
        let slugs: Vec<_> = references["some"].as_array().unwrap().iter().map(|one| &one["block_type_slug"]).collect();
        assert_eq!(slugs, ["child", "other"]);
        assert_eq!(references.as_object().unwrap().len(), 2);
        // The schema of a type within another is that which it has by itself.
        let mut alone = sent["definitions"]["Other"].clone();
        alone["definitions"] = sent["definitions"].clone();
        assert_eq!(references["some"][1]["block_schema_checksum"], schema_checksum(&alone));
        assert_eq!(
            sent["definitions"]["Other"]["block_schema_references"]["c"],
            json!({ "block_type_slug": "child", "block_schema_checksum": references["one"]["block_schema_checksum"] })
        );
    }

    #[test]
    fn secrets_of_types_within_are_found_by_the_field() {
        let mut fields = parent();
        fields["definitions"]["Child"]["secret_fields"] = json!(["token", "more.*"]);
        fields["definitions"]["Other"]["secret_fields"] = json!(["c.token"]);
        let found = secrets(&complete(&fields, &nothing));
        assert_eq!(found, ["one.token", "one.more.*", "some.token", "some.more.*", "some.c.token"]);
        assert_eq!(secrets(&parent()), Vec::<String>::new());
    }

    #[test]
    fn a_name_alone_stands_for_a_type_that_is_known() {
        let stub = json!({ "properties": { "one": { "$ref": "#/definitions/C" } }, "definitions": { "C": { "block_type_slug": "child" } } });
        let of_api = |_: &str| {
            Some(Known { fields: json!({ "title": "Child", "properties": {} }), checksum: Some("sha256:1".into()) })
        };
        let sent = complete(&stub, &of_api);
        assert_eq!(sent["block_schema_references"]["one"]["block_schema_checksum"], "sha256:1");
        assert_eq!(sent["definitions"]["C"]["title"], "Child");
        let of_git = |_: &str| {
            let deeper = json!({ "G": { "block_type_slug": "grandchild", "properties": {} } });
            let fields = json!({ "properties": { "g": { "$ref": "#/definitions/G" } }, "definitions": deeper });
            Some(Known { fields, checksum: None })
        };
        let sent = complete(&stub, &of_git);
        assert_eq!(sent["definitions"]["C"]["block_schema_references"]["g"]["block_type_slug"], "grandchild");
    }

    #[test]
    fn what_the_api_adds_and_leaves_out_does_not_count() {
        let kept_now = kept(&complete(&parent(), &nothing));
        assert_eq!(kept_now["definitions"], json!({ "Plain": { "type": "object" } }));
        assert_eq!(kept(&kept_now), kept_now);
        assert_eq!(kept(&json!({ "block_schema_references": {}, "secret_fields": [], "definitions": {} })), json!({}));
        assert_eq!(
            kept(&json!({ "block_schema_references": { "a": [{ "b": 1 }, { "a": 1 }] } }))["block_schema_references"]["a"]
                [0],
            json!({ "a": 1 })
        );
        assert_eq!(kept(&Value::Null), Value::Null);
    }

    #[test]
    fn types_that_hold_themselves_and_each_other_end() {
        let circle = json!({
            "properties": { "a": { "$ref": "#/definitions/A" }, "no": { "$ref": "#/definitions/None" }, "odd": 5 },
            "definitions": {
                "A": { "block_type_slug": "a", "properties": { "a": { "$ref": "#/definitions/A" }, "b": { "$ref": "#/definitions/B" } } },
                "B": { "block_type_slug": "b", "properties": { "a": { "$ref": "#/definitions/A" } } },
                "N": 7,
            },
        });
        let sent = complete(&circle, &nothing);
        assert!(sent["block_schema_references"]["a"]["block_schema_checksum"].as_str().unwrap().starts_with("sha256:"));
        let endless = |slug: &str| {
            let name = format!("{slug}x");
            let more = Value::Object(Map::from_iter([(name.clone(), json!({ "block_type_slug": name }))]));
            Some(Known { fields: json!({ "properties": {}, "definitions": more }), checksum: None })
        };
        let stub = json!({ "properties": {}, "definitions": { "x": { "block_type_slug": "x" } } });
        let few = complete(&stub, &|slug| (slug.len() < 50).then(|| endless(slug)).flatten());
        assert_eq!(few["definitions"].as_object().unwrap().len(), 50);
    }
}
