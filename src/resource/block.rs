//! Block documents: their fields, and how the API's answers spell them.

use serde_json::{Value, json};

use super::{Compare, Field, Rules, text};

static FIELDS: [Field; 2] = [
    Field { name: "data", compare: Compare::Keys, default: "{}" },
    Field { name: "schema", compare: Compare::Keys, default: "null" },
];

/// Their fields; none is fixed. `schema` is what a file pins of it, its version or its checksum.
pub static RULES: Rules = Rules { fields: &FIELDS, fixed: &[] };

/// What the API's row says of a field. References are as they are sent, `{"$ref": {"block_document_id": …}}`, instead
/// of the data of the other block that the API puts there.
pub fn found(row: &Value, field: &str) -> Value {
    match field {
        "data" => data(row),
        "schema" => {
            let schema = &row["block_schema"];
            json!({ "version": schema["version"], "checksum": schema["checksum"] })
        }
        other => row.get(other).cloned().unwrap_or(Value::Null),
    }
}

fn data(row: &Value) -> Value {
    let mut data = row.get("data").cloned().unwrap_or_else(|| json!({}));
    let Value::Object(fields) = &mut data else { return data };
    for (field, reference) in row["block_document_references"].as_object().into_iter().flatten() {
        let id = &reference["block_document"]["id"];
        fields.insert(field.clone(), json!({ "$ref": { "block_document_id": id } }));
    }
    data
}

/// The fields that refer to other blocks, each with the natural name of that block.
pub fn references(row: &Value) -> Vec<(String, String)> {
    let all = row["block_document_references"].as_object().into_iter().flatten();
    all.filter_map(|(field, reference)| {
        let block = &reference["block_document"];
        Some((field.clone(), format!("{}/{}", text(&block["block_type"], "slug")?, text(block, "name")?)))
    })
    .collect()
}

/// `type-slug/name`; none for anonymous ones.
pub fn name(row: &Value) -> Option<String> {
    if row["is_anonymous"] == true {
        return None;
    }
    Some(format!("{}/{}", text(&row["block_type"], "slug")?, text(row, "name")?))
}
