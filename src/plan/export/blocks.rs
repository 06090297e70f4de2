//! Blocks and block types in the words of files: references by name, secrets by the name of a variable.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::secrets::{Hidden, hide};
use super::{Draft, Names, block_key, is_empty, misread, source_key};
use crate::manifest::resources::known_types;
use crate::model::{Key, Kind, Path};
use crate::resource;
use crate::resource::nested_types::{complete, kept};

/// What Prefect's Python writes into data besides the fields of the type.
const NOISE: [&str; 5] =
    ["block_type_slug", "_block_type_slug", "_block_document_id", "_block_document_name", "_is_anonymous"];

/// Words in the names of what nobody wants to read in git.
const SECRET_WORDS: [&str; 8] =
    ["password", "passwd", "secret", "token", "api_key", "apikey", "access_key", "private_key"];

/// An item of `blocks`.
///
/// # Errors
/// Why its secrets cannot be named.
pub fn block(key: &Key, row: &Value, names: &mut Names<'_>) -> Result<Draft, String> {
    let (slug, name) = key.name.split_once('/').unwrap_or_default();
    let mut draft = Draft::of(key);
    draft.put("type", slug);
    draft.put("name", name);
    let mut data = row["data"].as_object().cloned().unwrap_or_default();
    data.retain(|field, _| !NOISE.contains(&field.as_str()));
    let references = resource::block::references(row);
    // The API puts the data of other blocks in their place.
    let order: Vec<String> = data.keys().cloned().chain(references.iter().map(|(field, _)| field.clone())).collect();
    references.iter().for_each(|(field, _)| drop(data.shift_remove(field)));
    let form = &row["block_schema"]["fields"];
    drop_defaults(&mut data, form);
    let mut paths = secret_paths(slug, form);
    for (field, value) in &data {
        by_name(field, field, value, &mut paths);
    }
    draft.secrets = hide(&key.name, &mut data, &paths, names)?;
    misread(&without(&draft.secrets, &data), &Path::of("data"), &|map| source_key(map).or_else(|| block_key(map)))?;
    let mut referred: BTreeMap<String, String> = references.into_iter().collect();
    let each = order.into_iter().filter_map(|field| {
        let value =
            referred.remove(&field).map(|other| json!({ "block": other })).or_else(|| data.shift_remove(&field));
        Some((field, value?))
    });
    let data: Map<String, Value> = each.collect();
    if !data.is_empty() {
        draft.put("data", data);
    }
    Ok(draft)
}

/// The data as it is without its secrets: what stands for them is a reference on purpose.
fn without(secrets: &[Hidden], data: &Map<String, Value>) -> Value {
    let mut rest = Value::Object(data.clone());
    for secret in secrets {
        let place = secret.path.split('.').try_fold(&mut rest, |place, key| place.get_mut(key));
        place.into_iter().for_each(|place| *place = Value::Null);
    }
    rest
}

/// What its own schema calls secret, and what the newest one of its type does.
fn secret_paths(slug: &str, form: &Value) -> Vec<String> {
    let own = form["secret_fields"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let known = known_types().get(slug).into_iter().flat_map(|known| known.secret_fields.iter().cloned());
    let mut paths: Vec<String> = Vec::new();
    for path in own.chain(known) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Texts that are secrets by their name, though the type does not say so, as in a mapping of options.
fn by_name(path: &str, key: &str, value: &Value, paths: &mut Vec<String>) {
    let key = key.to_ascii_lowercase().replace('-', "_");
    match value {
        Value::String(text) if !text.is_empty() && SECRET_WORDS.iter().any(|word| key.contains(word)) => {
            let is_covered = paths
                .iter()
                .map(|known| known.strip_suffix(".*").unwrap_or(known))
                .any(|known| path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
            // A key with a dot cannot be told from a path.
            if !is_covered && !key.contains('.') {
                paths.push(path.to_owned());
            }
        }
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| by_name(&format!("{path}.{key}"), key, value, paths));
        }
        _ => {}
    }
}

/// Leaves out what Python fills in when it loads the block.
fn drop_defaults(data: &mut Map<String, Value>, form: &Value) {
    let is_required = |field: &str| form["required"].as_array().is_some_and(|all| all.iter().any(|one| one == field));
    data.retain(|field, value| {
        let default = form["properties"][field].get("default");
        let is_default = default == Some(value) || (value.is_null() && default.is_none_or(Value::is_null));
        is_required(field) || !is_default
    });
}

/// An item of `block_types`.
pub fn block_type(key: &Key, row: &Value) -> Draft {
    let mut draft = Draft::of(key);
    draft.put("slug", key.name.clone());
    let default = |name: &str| match name {
        "version" => json!("non-versioned"),
        _ => Value::Null,
    };
    for field in resource::rules(Kind::BlockType).fields {
        let value = match field.name {
            "fields" => fields(&row["block_schema"]["fields"]),
            name => resource::found(Kind::BlockType, row, name),
        };
        let is_said = field.name == "fields" || !(is_empty(&value) || value == default(field.name));
        if is_said {
            draft.put(field.name, value);
        }
    }
    draft
}

/// The fields of a schema with the types that it holds; what refers to them only where it does not follow from these.
fn fields(served: &Value) -> Value {
    let mut fields = served.clone();
    let Value::Object(map) = &mut fields else { return fields };
    map.retain(|key, _| !["block_type_slug", "secret_fields", "block_schema_references"].contains(&key.as_str()));
    if kept(&complete(&fields, &|_| None)) != kept(served) {
        fields["block_schema_references"] = served["block_schema_references"].clone();
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_noise_references_and_secrets() {
        let row = json!({
            "data": {
                "bucket_name": "b", "bucket_folder": "", "region": null, "must": null, "block_type_slug": "s3",
                "credentials": {"aws_secret_access_key": "inlined"}, "token": "hidden", "options": {"a": 1, "Client-Secret": "x"},
            },
            "block_document_references": {
                "credentials": {"block_document": {"id": "1", "name": "prod", "block_type": {"slug": "aws-credentials"}}},
            },
            "block_schema": {"fields": {
                "properties": {"bucket_folder": {"default": ""}, "region": {}, "must": {}, "token": {}},
                "required": ["must"],
                "secret_fields": ["credentials.aws_secret_access_key", "token"],
            }},
        });
        let environment = BTreeMap::new();
        let draft = block(&Key::new(Kind::Block, "s3/x"), &row, &mut Names::new(&environment)).unwrap();
        let expected = json!({
            "bucket_name": "b", "must": null, "credentials": {"block": "aws-credentials/prod"},
            "token": {"from_env": "S3_X_TOKEN"}, "options": {"a": 1, "Client-Secret": {"from_env": "S3_X_OPTIONS_CLIENT_SECRET"}},
        });
        assert_eq!(draft.item["data"], expected);
        assert_eq!(draft.secrets.len(), 2);
        for (data, key) in [
            (json!({"options": {"a": [{"from_env": "X"}]}}), "from_env"),
            (json!({"options": {"deep": {"block": "secret/x"}}}), "block"),
        ] {
            let row = json!({"data": data});
            let why = block(&Key::new(Kind::Block, "s3/x"), &row, &mut Names::new(&environment)).unwrap_err();
            assert!(why.contains("`data.options.") && why.contains(&format!("the key `{key}`")), "{why}");
        }
    }
}
