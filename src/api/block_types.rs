//! Block types and their schemas: found for a new block, made and changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::client::Call;
use super::error::ApiError;
use super::own_type::Schema;
use super::reads::text;
use super::routes::{parts, refusal, route};
use super::writes::{Fresh, id_of};
use super::{Api, Which, retry};
use crate::model::{Key, Kind};

/// What of a block type can be changed; the rest is its name, and its schema.
const TEXTS: [&str; 4] = ["logo_url", "documentation_url", "description", "code_example"];
/// What belongs to the schema.
const SCHEMA: [&str; 3] = ["fields", "capabilities", "version"];
/// The version of schemas that came along with others, or that nobody gave one.
const NO_VERSION: &str = "non-versioned";
/// Types of Prefect 2 that a new server of Prefect 3 does not have.
const LEGACY: [&str; 14] = [
    "azure",
    "azure-container-instance-job",
    "cloud-run-job",
    "date-time",
    "docker-container",
    "docker-registry",
    "ecs-task",
    "gcs",
    "github",
    "json",
    "kubernetes-job",
    "process",
    "s3",
    "string",
];

/// The block types that were looked up, by slug.
pub(super) type Types = Arc<Mutex<BTreeMap<String, Known>>>;

/// A block type and its schemas, newest first.
#[derive(Clone)]
pub(super) struct Known {
    id: String,
    schemas: Vec<Value>,
}

impl Api {
    /// Block types, each with the schema that counts for new blocks in `block_schema`, if it has one.
    pub(super) async fn type_rows(&self, which: &Which) -> Result<Vec<Value>, ApiError> {
        let filter = match which {
            Which::Of { names, ids } if ids.is_empty() => json!({"block_types": {"slug": {"any_": names}}}),
            Which::All | Which::Of { .. } => json!({}),
        };
        let row = route(Kind::BlockType);
        let mut types = self.client.filter(row.list, &filter, row.all).await?;
        types.retain(|found| match which {
            Which::All => true,
            Which::Of { names, ids } => {
                let has = |set: &BTreeSet<String>, key| text(found, key).is_some_and(|text| set.contains(&text));
                has(names, "slug") || has(ids, "id")
            }
        });
        let ids: Vec<String> = types.iter().filter_map(|row| text(row, "id")).collect();
        let mut schemas: BTreeMap<Option<String>, Vec<Value>> = BTreeMap::new();
        if !ids.is_empty() {
            for schema in self.schemas(*which == Which::All, &ids).await? {
                schemas.entry(text(&schema, "block_type_id")).or_default().push(schema);
            }
        }
        for row in &mut types {
            let known = schemas.remove(&text(row, "id")).unwrap_or_default();
            row["block_schema"] = newest(&known).cloned().unwrap_or(Value::Null);
            for field in ["description", "code_example"] {
                if let Some(text) = row[field].as_str() {
                    row[field] = json!(unescaped(text));
                }
            }
        }
        Ok(types)
    }

    /// Schemas of some types, newest first.
    async fn schemas(&self, all: bool, types: &[String]) -> Result<Vec<Value>, ApiError> {
        let filter = if all { json!({}) } else { json!({"block_schemas": {"block_type_id": {"any_": types}}}) };
        let mut rows = self.client.filter("/block_schemas/filter", &filter, "the schemas of block types").await?;
        for row in &mut rows {
            if let Some(row) = row.as_object_mut() {
                row.shift_remove("block_type");
            }
        }
        Ok(rows)
    }

    /// Makes a block.
    pub(super) async fn create_block(&self, key: &Key, body: &Value) -> Result<String, ApiError> {
        let (slug, name) = parts(key);
        let slug = slug.unwrap_or_default();
        let schema = self.schema_for(slug, &body["schema"]).await?;
        let made = self.create_once(key, &schema.document(name, &data(key, body)?)).await;
        if made.is_err() {
            // The type may have been made anew since it was looked up.
            self.forget_type(slug).await;
        }
        made
    }

    /// Replaces all data of a block: a part alone would lose its references to other blocks.
    pub(super) async fn update_block(&self, key: &Key, id: &str, body: &Value) -> Result<(), ApiError> {
        let row = route(Kind::Block);
        let data = data(key, body)?;
        let schema = self.schema_for(parts(key).0.unwrap_or_default(), &body["schema"]).await?;
        let sent = json!({"data": data, "block_schema_id": schema.id, "merge_existing_data": false});
        self.change(Method::PATCH, &row.path(row.at, key, id)?, &row.what(key), Some(&sent)).await
    }

    /// The schema a document of a type gets: the pinned one, `{version}` or `{checksum}`, else the newest.
    async fn schema_for(&self, slug: &str, pin: &Value) -> Result<Schema, ApiError> {
        let known = self.known_type(slug).await?;
        let pinned = |row: &&Value| {
            ["version", "checksum"].iter().all(|what| match pin[*what].as_str() {
                None | Some("latest") => true,
                Some(wanted) => row[*what] == wanted,
            })
        };
        let fitting: Vec<Value> = known.schemas.iter().filter(pinned).cloned().collect();
        match newest(&fitting).and_then(|row| text(row, "id")) {
            Some(id) => Ok(Schema { type_id: known.id, id }),
            None => {
                let versions: BTreeSet<String> = known.schemas.iter().filter_map(|row| text(row, "version")).collect();
                let versions: Vec<String> = versions.iter().map(|version| format!("`{version}`")).collect();
                let wanted = ["version", "checksum"].iter().filter_map(|what| text(pin, what)).collect::<Vec<_>>();
                let which = if wanted.is_empty() { String::new() } else { format!(" `{}`", wanted.join(" ")) };
                Err(ApiError::UnknownType {
                    what: format!("schema{which} of the block type `{slug}`"),
                    url: self.connection().url.clone(),
                    hint: match versions.is_empty() {
                        true => "the type has no schema: register it again".to_owned(),
                        false => format!("it has {}", versions.join(", ")),
                    },
                })
            }
        }
    }

    /// Looks a type up, once for each slug. A new workspace of Prefect Cloud gets its types a while after it is made.
    async fn known_type(&self, slug: &str) -> Result<Known, ApiError> {
        let mut shelf = self.types.lock().await;
        if let Some(known) = shelf.get(slug) {
            return Ok(known.clone());
        }
        let connection = self.connection();
        let patience = if connection.is_cloud() { connection.max_retries } else { 0 };
        let mut attempt = 0;
        let known = loop {
            match self.look_up(slug).await? {
                Some(known) if !known.schemas.is_empty() || attempt >= patience => break known,
                None if attempt >= patience => return Err(self.unknown_type(slug).await?),
                Some(_) | None => {
                    attempt += 1;
                    self.client.pause(retry::delay(connection.retry_delay, attempt, None)).await;
                }
            }
        };
        if !known.schemas.is_empty() {
            shelf.insert(slug.to_owned(), known.clone());
        }
        Ok(known)
    }

    async fn look_up(&self, slug: &str) -> Result<Option<Known>, ApiError> {
        let row = route(Kind::BlockType);
        let filter = json!({"block_types": {"slug": {"any_": [slug]}}});
        let types = self.client.filter(row.list, &filter, row.all).await?;
        let Some(id) = types.iter().find(|row| row["slug"] == slug).and_then(|row| text(row, "id")) else {
            return Ok(None);
        };
        let schemas = self.schemas(false, std::slice::from_ref(&id)).await?;
        Ok(Some(Known { id, schemas }))
    }

    async fn unknown_type(&self, slug: &str) -> Result<ApiError, ApiError> {
        let row = route(Kind::BlockType);
        let types = self.client.filter(row.list, &json!({}), row.all).await?;
        let near = near(slug, types.iter().filter_map(|row| row["slug"].as_str()));
        let near: Vec<String> = near.into_iter().map(|slug| format!("`{slug}`")).collect();
        let similar = if near.is_empty() { String::new() } else { format!("similar ones are {}; ", near.join(", ")) };
        let register = match LEGACY.contains(&slug) {
            true => "it is a type of Prefect 2, which Prefect 3 does not register: declare the block type as well",
            false => "register the type with `prefect block register`, or declare it as well",
        };
        Ok(ApiError::UnknownType {
            what: format!("block type `{slug}`"),
            url: self.connection().url.clone(),
            hint: format!("{similar}{register}"),
        })
    }

    pub(super) async fn forget_type(&self, slug: &str) {
        self.types.lock().await.remove(slug);
    }

    /// Makes a block type and its schema.
    pub(super) async fn create_block_type(&self, key: &Key, body: &Value) -> Result<String, ApiError> {
        self.forget_type(&key.name).await;
        let row = route(Kind::BlockType);
        let what = row.what(key);
        let mut sent = picked(body, &TEXTS);
        sent.insert("slug".to_owned(), json!(key.name));
        sent.insert("name".to_owned(), body.get("name").cloned().unwrap_or_else(|| json!(key.name)));
        let sent = Value::Object(sent);
        let started = Instant::now();
        let call = Call::new(Method::POST, row.make, &what).body(&sent);
        let id = match self.client.send(&call).await {
            // The API answers a name that another type has with that type, and makes ours as well.
            Ok(answer) if answer.body["slug"] != key.name => {
                let other = text(&answer.body, "slug").unwrap_or_default();
                let detail = format!("the block type `{other}` has the same name, {}", sent["name"]);
                self.made_since(key, started).await?.ok_or_else(|| refusal(&row, key, 409, detail))?
            }
            Ok(answer) if !Fresh::since(started, &answer, &call)?.includes(&answer.body) => {
                return Err(refusal(&row, key, 409, "there is one of that name already".to_owned()));
            }
            Ok(answer) => id_of(&answer, &call)?,
            // It may have arrived before a repetition of it did.
            Err(error) if error.is_conflict() => self.made_since(key, started).await?.ok_or(error)?,
            Err(error) => return Err(error),
        };
        if SCHEMA.iter().any(|field| body.get(*field).is_some()) {
            self.add_schema(key, &id, picked(body, &SCHEMA)).await?;
        }
        Ok(id)
    }

    /// Changes a block type's texts, and gives it a new schema if the body has anything of one.
    pub(super) async fn update_block_type(&self, key: &Key, id: &str, body: &Value) -> Result<(), ApiError> {
        self.forget_type(&key.name).await;
        let row = route(Kind::BlockType);
        let mut sent = picked(body, &TEXTS);
        for field in ["description", "code_example"] {
            // Escaped by the API when it makes a type, but not when it changes one.
            if let Some(value @ Value::String(_)) = sent.get_mut(field) {
                *value = json!(escaped(value.as_str().unwrap_or_default()));
            }
        }
        if !sent.is_empty() {
            let sent = Value::Object(sent);
            self.change(Method::PATCH, &row.path(row.at, key, id)?, &row.what(key), Some(&sent)).await?;
        }
        let mut schema = picked(body, &SCHEMA);
        if schema.is_empty() {
            return Ok(());
        }
        if let Some(now) = self.look_up(&key.name).await?.as_ref().and_then(|known| newest(&known.schemas)) {
            for field in SCHEMA {
                schema.entry(field).or_insert_with(|| now[field].clone());
            }
        }
        self.add_schema(key, id, schema).await
    }

    /// Gives a type a schema. The API answers one that is there, of whatever type, with itself and changes nothing.
    async fn add_schema(&self, key: &Key, type_id: &str, mut schema: Map<String, Value>) -> Result<(), ApiError> {
        let row = route(Kind::BlockType);
        let what = format!("the schema of {}", row.what(key));
        schema.insert("block_type_id".to_owned(), json!(type_id));
        let schema = Value::Object(schema);
        let call = Call::new(Method::POST, "/block_schemas/", &what).body(&schema);
        let answer = self.client.send(&call).await?;
        let id = id_of(&answer, &call)?;
        let refused = |detail: &str| Err(refusal(&row, key, 409, detail.to_owned()));
        if answer.body["block_type_id"] != type_id {
            return refused(
                "another block type has a schema of the same fields and version: write `block_type_slug` into `fields`",
            );
        }
        if answer.status != 200 {
            return Ok(());
        }
        if secret_fields(&answer.body["fields"]) != secret_fields(&schema["fields"]) {
            return refused(
                "it has a schema of these fields and this version, with other `secret_fields`, which do not change: \
                 give `version` another value",
            );
        }
        let known = self.look_up(&key.name).await?.map(|known| known.schemas).unwrap_or_default();
        match newest(&known).is_none_or(|row| row["id"] == id.as_str()) {
            true => Ok(()),
            false => refused(
                "it had a schema of these fields and this version before, and the newer one goes on to count: give \
                 `version` another value",
            ),
        }
    }
}

/// A block's data. Without any, the API would empty it.
fn data(key: &Key, body: &Value) -> Result<Value, ApiError> {
    match &body["data"] {
        data @ Value::Object(_) => Ok(data.clone()),
        _ => Err(refusal(&route(Kind::Block), key, 422, "its `data` is missing".to_owned())),
    }
}

/// The schema that counts: the newest with a version, else the newest. `schemas` is newest first.
fn newest(schemas: &[Value]) -> Option<&Value> {
    schemas.iter().find(|row| row["version"] != NO_VERSION).or_else(|| schemas.first())
}

fn picked(body: &Value, fields: &[&str]) -> Map<String, Value> {
    let found = fields.iter().filter_map(|field| Some(((*field).to_owned(), body.get(*field)?.clone())));
    found.collect()
}

fn secret_fields(fields: &Value) -> BTreeSet<&str> {
    fields["secret_fields"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// As the API keeps texts of block types (Prefect 3.8.8 server/models/block_types.py).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Up to three slugs that could have been meant: nearly the same, or one within the other.
fn near<'a>(slug: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = known
        .map(|other| (strsim::damerau_levenshtein(slug, other), other))
        .filter(|(distance, other)| {
            let within = slug.len() > 1 && (other.contains(slug) || slug.contains(other));
            within || *distance <= 1 + other.len() / 4
        })
        .collect();
    near.sort();
    near.into_iter().take(3).map(|(_, other)| other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_with_a_version_goes_before_a_newer_one_without() {
        let row = |version: &str| json!({ "version": version });
        assert_eq!(newest(&[row(NO_VERSION), row("2"), row("1")]), Some(&row("2")));
        assert_eq!(newest(&[row(NO_VERSION)]), Some(&row(NO_VERSION)));
        assert_eq!(newest(&[]), None);
    }

    #[test]
    fn near_slugs_are_named_nearest_first() {
        let known = ["s3-bucket", "gcs-bucket", "secret", "slack-webhook"];
        assert_eq!(near("s3-buckt", known.into_iter()), ["s3-bucket"]);
        assert_eq!(near("s3", known.into_iter()), ["s3-bucket"]);
        assert!(near("nothing-alike", known.into_iter()).is_empty());
    }

    #[test]
    fn escapes_are_undone() {
        for text in ["a < b && c > d", "&lt;", "&amp;lt;", "\"quoted\""] {
            assert_eq!(unescaped(&escaped(text)), text);
        }
    }
}
