//! Block types of our own, made on the API where they are not there yet.

use reqwest::Method;
use serde_json::{Value, json};

use super::Api;
use super::client::Call;
use super::error::ApiError;
use super::writes::id_of;

/// A block type of ours.
pub(super) struct OwnType {
    /// Its slug.
    pub slug: &'static str,
    /// Its name, unique as well.
    pub name: &'static str,
    /// What people read on its page.
    pub description: &'static str,
    /// What its documents are, for messages: "ledgers".
    pub what: &'static str,
    /// The version of its form.
    pub version: String,
    /// Its form, as the API wants it.
    pub fields: Value,
}

/// What a new document has to name.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub type_id: String,
    pub id: String,
}

impl Schema {
    /// The body of a new document.
    pub fn document(&self, name: &str, data: &Value) -> Value {
        json!({"name": name, "data": data, "block_type_id": self.type_id, "block_schema_id": self.id})
    }
}

impl Api {
    /// The block type and schema, made if they are not there. The API answers a schema that is there with itself.
    pub(super) async fn own_schema(&self, own: &OwnType) -> Result<Schema, ApiError> {
        let type_id = self.own_type(own).await?;
        let body = json!({
            "block_type_id": type_id, "capabilities": [], "version": own.version, "fields": own.fields,
        });
        let what = format!("the schema of {}", own.what);
        let call = Call::new(Method::POST, "/block_schemas/", &what).body(&body);
        let answer = match self.client.send(&call).await {
            // On PostgreSQL, whoever makes it in the same moment as another is refused; then it is there.
            Err(error) if error.is_conflict() => self.client.send(&call).await?,
            result => result?,
        };
        let id = id_of(&answer, &call)?;
        Ok(Schema { type_id, id })
    }

    async fn own_type(&self, own: &OwnType) -> Result<String, ApiError> {
        let (path, what) = (format!("/block_types/slug/{}", own.slug), format!("the block type of {}", own.what));
        let ask = Call::get(&path, &what);
        match self.client.send(&ask).await {
            Ok(answer) => return id_of(&answer, &ask),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        let body = json!({"name": own.name, "slug": own.slug, "description": own.description});
        let call = Call::new(Method::POST, "/block_types/", &what).body(&body);
        match self.client.send(&call).await {
            // The API answers a name that is taken with the other type of that name.
            Ok(answer) if answer.body["slug"] != own.slug => {
                Err(call.garbled(format!("there is another block type named `{}`", own.name)))
            }
            Ok(answer) => id_of(&answer, &call),
            Err(error) if error.is_conflict() => id_of(&self.client.send(&ask).await?, &ask),
            Err(error) => Err(error),
        }
    }
}
