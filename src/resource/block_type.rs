//! Block types with their schema: their fields, and how the API's answers spell them.

use serde_json::Value;

use super::{Compare, Field, Rules, nested_types, text};

static FIELDS: [Field; 9] = [
    Field { name: "name", compare: Compare::Exact, default: "null" },
    Field { name: "logo_url", compare: Compare::Exact, default: "null" },
    Field { name: "documentation_url", compare: Compare::Exact, default: "null" },
    Field { name: "description", compare: Compare::Exact, default: "null" },
    Field { name: "code_example", compare: Compare::Exact, default: "null" },
    Field { name: "fields", compare: Compare::Exact, default: "{}" },
    Field { name: "secret_fields", compare: Compare::Set, default: "[]" },
    Field { name: "capabilities", compare: Compare::Set, default: "[]" },
    Field { name: "version", compare: Compare::Exact, default: "\"non-versioned\"" },
];

/// Their fields. The name is fixed; the last four belong to a schema, which never changes: other ones are another
/// schema of the same type.
pub static RULES: Rules = Rules { fields: &FIELDS, fixed: &["name"] };

/// What the API's row says of a field: the row of the type, with that of its schema as `block_schema` beside its own
/// keys where the question is about it.
///
/// The server escapes `&`, `<` and `>` in words; they are undone.
pub fn found(row: &Value, field: &str) -> Value {
    let schema = &row["block_schema"];
    match field {
        "description" | "code_example" => match row[field].as_str() {
            Some(words) => unescaped(words).into(),
            None => Value::Null,
        },
        "fields" => nested_types::kept(&schema["fields"]),
        "secret_fields" => match &schema["fields"]["secret_fields"] {
            Value::Null => Value::Array(Vec::new()),
            secret => secret.clone(),
        },
        // A type can be there without a schema: whoever made it got no further. It gets one with the defaults.
        "capabilities" | "version" if schema.is_null() => {
            let default = FIELDS.iter().find(|known| known.name == field).map(Field::default_value);
            default.unwrap_or(Value::Null)
        }
        "capabilities" | "version" => schema[field].clone(),
        other => row.get(other).cloned().unwrap_or(Value::Null),
    }
}

fn unescaped(words: &str) -> String {
    words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// The slug that its row has.
pub fn name(row: &Value) -> Option<String> {
    text(row, "slug")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_type_without_a_schema_is_one_with_the_defaults() {
        let row = json!({"slug": "t", "block_schema": null});
        let fields = ["fields", "secret_fields", "capabilities", "version"].map(|field| found(&row, field));
        assert_eq!(fields, [json!(null), json!([]), json!([]), json!("non-versioned")]);
    }
}
