//! Whether the data of a block fits the form of its type: what its Python class would refuse when a run loads it.
//!
//! The server takes anything (Prefect 3.8.8 `server/models/block_documents.py` never looks at the schema), so that a mistake shows
//! at run time only. Fields that the schema does not know are kept by the class and are no mistake.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::schema_check::{Misfit, Taker, check_for};
use crate::model::Path;

/// How deep the alternatives of a field are looked into.
const DEEPEST: usize = 20;

/// What is wrong with the data of a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Misfits {
    /// Values that no class of this form takes.
    pub wrong: Vec<Misfit>,
    /// Text where a mapping or a list belongs: some classes parse it themselves.
    pub doubtful: Vec<Misfit>,
    /// Required fields that are not there: a problem unless the block has them already.
    pub missing: Vec<Misfit>,
}

/// Checks data against the JSON Schema of a block type. What lies at a path of `open` is not known yet, whatever stands there.
pub fn misfits(data: &Value, fields: &Value, open: &[Path]) -> Misfits {
    let strict = known(check_for(Taker::Block { text_for_all: false }, data, fields), open);
    if strict.is_empty() {
        return Misfits::default();
    }
    let sure = known(check_for(Taker::Block { text_for_all: true }, data, fields), open);
    let (sure, doubtful): (Vec<_>, _) =
        strict.into_iter().partition(|misfit| sure.iter().any(|one| one.path == misfit.path));
    let (missing, wrong) = sure.into_iter().partition(|misfit| misfit.about_keys && misfit.path == Path::root());
    Misfits { wrong, doubtful, missing }
}

/// The slugs of the block types that a field takes; none where it takes other mappings as well, or no block at all.
pub fn blocks_taken(fields: &Value, field: &str) -> Option<BTreeSet<String>> {
    let mut taken = BTreeSet::new();
    let references = match &fields["block_schema_references"][field] {
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    };
    taken.extend(references.into_iter().filter_map(|one| one["block_type_slug"].as_str().map(str::to_owned)));
    let mut look = Look { definitions: &fields["definitions"], known: BTreeMap::new(), taken };
    let is_closed = look.closed(&fields["properties"][field], 0);
    let taken = look.taken;
    (is_closed && !taken.is_empty()).then_some(taken)
}

/// A look into a schema for the blocks that it takes.
struct Look<'a> {
    definitions: &'a Value,
    /// What was found of definitions: each is looked into once, however many ways lead to it.
    known: BTreeMap<&'a str, bool>,
    taken: BTreeSet<String>,
}

impl<'a> Look<'a> {
    /// Collects the blocks that a schema takes; whether it takes no other mapping.
    fn closed(&mut self, schema: &'a Value, depth: usize) -> bool {
        if depth > DEEPEST {
            return false;
        }
        if let Some(slug) = schema["block_type_slug"].as_str() {
            self.taken.insert(slug.to_owned());
            return true;
        }
        if let Some(name) = schema["$ref"].as_str() {
            if let Some(known) = self.known.get(name) {
                return *known;
            }
            // A circle adds nothing.
            self.known.insert(name, true);
            let definition = &self.definitions[name.strip_prefix("#/definitions/").unwrap_or_default()];
            let closed = self.closed(definition, depth + 1);
            self.known.insert(name, closed);
            return closed;
        }
        if let Some(all) = ["anyOf", "oneOf", "allOf"].iter().find_map(|word| schema[*word].as_array()) {
            // Each is looked into, for the blocks that it takes.
            return all.iter().filter(|one| !self.closed(one, depth + 1)).count() == 0;
        }
        schema["type"].as_str().is_some_and(|kind| kind != "object")
    }
}

/// Without what rests on a value that is not known.
fn known(misfits: Vec<Misfit>, open: &[Path]) -> Vec<Misfit> {
    let rests = |misfit: &Misfit, hole: &Path| {
        misfit.path.starts_with(hole) || (hole.starts_with(&misfit.path) && !misfit.about_keys)
    };
    misfits.into_iter().filter(|misfit| !open.iter().any(|hole| rests(misfit, hole))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields() -> Value {
        json!({
            "properties": {
                "port": { "type": "integer" },
                "host": { "type": "string" },
                "ratio": { "type": "number" },
                "tls": { "type": "boolean", "default": true },
                "mode": { "enum": ["a", "b"], "type": "string" },
                "options": { "type": "object", "additionalProperties": { "type": "integer" } },
                "parent": { "$ref": "#/definitions/Parent" },
                "nested": { "$ref": "#/definitions/Nested" },
                "either": { "anyOf": [{ "type": "integer" }, { "type": "array", "items": { "type": "string" } }] },
            },
            "required": ["host", "port"],
            "definitions": {
                "Parent": { "block_type_slug": "parent", "type": "object", "properties": { "x": { "type": "integer" } }, "required": ["x"] },
                "Nested": { "type": "object", "properties": { "x": { "type": "integer" } }, "required": ["x"] },
            },
        })
    }

    fn whys(misfits: &[Misfit]) -> Vec<String> {
        misfits.iter().map(|misfit| format!("{}: {}", misfit.path, misfit.why)).collect()
    }

    fn with(extra: Value) -> Misfits {
        let mut data = json!({ "host": "db", "port": 1 });
        data.as_object_mut().expect("a mapping").extend(extra.as_object().expect("a mapping").clone());
        misfits(&data, &fields(), &[])
    }

    #[test]
    fn what_pydantic_converts_is_right() {
        for good in [
            json!({}),
            json!({ "port": "5432" }),
            json!({ "port": 5432.0 }),
            json!({ "port": true }),
            json!({ "ratio": "1e-3", "tls": "Yes" }),
            json!({ "tls": 1 }),
            json!({ "tls": null, "mode": null, "nested": null }),
            json!({ "options": { "a": "5" } }),
            json!({ "extra": [1, { "x": 2 }] }),
            json!({ "parent": { "$ref": { "block_document_id": "…" } } }),
            json!({ "parent": { "x": 1 }, "nested": { "x": 1, "more": 2 } }),
            json!({ "either": ["a"] }),
            json!({ "either": "7" }),
        ] {
            assert_eq!(with(good.clone()), Misfits::default(), "{good}");
        }
    }

    #[test]
    fn what_it_refuses_is_told_with_its_place_and_without_the_value() {
        for (bad, told) in [
            (json!({ "port": "canary" }), "port: it is not a whole number"),
            (json!({ "port": 1.5 }), "port: it is not a whole number"),
            (json!({ "port": null }), "port: it is not a whole number"),
            (json!({ "host": 5 }), "host: it is not of type \"string\""),
            (json!({ "tls": "canary" }), "tls: it is neither true nor false"),
            (json!({ "ratio": "canary" }), "ratio: it is not a number"),
            (json!({ "mode": "canary" }), "mode: it is not one of \"a\" or \"b\""),
            (json!({ "options": { "a": "canary" } }), "options.a: it is not a whole number"),
            (json!({ "either": { "canary": 1 } }), "either: it is not a whole number, and it is not of type \"array\""),
        ] {
            let found = with(bad);
            assert_eq!(whys(&found.wrong), [told]);
            assert_eq!((found.doubtful, found.missing), (Vec::new(), Vec::new()));
        }
    }

    #[test]
    fn text_for_a_mapping_is_doubtful_and_a_missing_field_is_missing() {
        let found = with(json!({ "options": "a: 1" }));
        assert_eq!(whys(&found.doubtful), ["options: it is not of type \"object\""]);
        assert!(found.wrong.is_empty());
        let found = misfits(&json!({ "host": "db" }), &fields(), &[]);
        assert_eq!(whys(&found.missing), [": \"port\" is a required property"]);
        let found = with(json!({ "nested": {} }));
        assert_eq!(whys(&found.wrong), ["nested: \"x\" is a required property"]);
    }

    #[test]
    fn what_is_not_known_is_passed_over_alone() {
        let data = json!({ "host": 5, "port": null, "options": { "a": null, "b": "canary" } });
        let open = [Path::of("port"), Path::of("options").key("a")];
        let found = misfits(&data, &fields(), &open);
        let mut told = whys(&found.wrong);
        told.sort();
        assert_eq!(told, ["host: it is not of type \"string\"", "options.b: it is not a whole number"]);
    }

    #[test]
    fn the_blocks_of_a_field_are_known_unless_it_takes_other_mappings() {
        let fields = json!({
            "properties": {
                "one": { "$ref": "#/definitions/A" },
                "some": { "anyOf": [{ "$ref": "#/definitions/A" }, { "allOf": [{ "$ref": "#/definitions/B" }] }, { "type": "null" }] },
                "open": { "anyOf": [{ "$ref": "#/definitions/A" }, { "type": "object" }] },
                "any": { "anyOf": [{ "$ref": "#/definitions/A" }, { "$ref": "#/definitions/JsonValue" }] },
                "text": { "type": "string" },
                "round": { "$ref": "#/definitions/Round" },
            },
            "definitions": {
                "A": { "block_type_slug": "a" }, "B": { "block_type_slug": "b" },
                "Round": { "anyOf": [{ "$ref": "#/definitions/Round" }] },
            },
            "block_schema_references": { "one": [{ "block_type_slug": "c" }] },
        });
        let taken = |field| blocks_taken(&fields, field).map(|all| all.into_iter().collect::<Vec<_>>().join(" "));
        let all = ["one", "some", "open", "any", "text", "round", "none"].map(taken);
        assert_eq!(all, [Some("a c".into()), Some("a b".into()), None, None, None, None, None]);
    }

    #[test]
    fn a_definition_that_is_left_out_takes_anything() {
        let any = json!({ "anyOf": [{ "type": "string" }, { "$ref": "#/definitions/JsonValue" }] });
        let fields = json!({ "properties": { "value": any }, "required": ["value"] });
        assert_eq!(misfits(&json!({ "value": [1] }), &fields, &[]), Misfits::default());
        assert_eq!(whys(&misfits(&json!({}), &fields, &[]).missing), [": \"value\" is a required property"]);
    }

    #[test]
    fn a_schema_that_is_none_refuses_nothing() {
        let mut deep = json!({ "type": "integer" });
        for _ in 0..150 {
            deep = json!({ "properties": { "a": deep } });
        }
        for fields in [json!(null), json!("x"), json!({ "type": 7 }), json!({ "$ref": "#/definitions/None" }), deep] {
            assert_eq!(misfits(&json!({ "a": { "a": 1 } }), &fields, &[]), Misfits::default());
        }
    }
}
