//! Every kind of object in the same words: list, make, change, delete.
//!
//! What differs from kind to kind stands in [`super::routes`]; lists that need more than their row are in
//! [`super::listing`], and what a block needs before it can be made is in [`super::block_types`].

use std::collections::BTreeSet;
use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Call;
use super::error::ApiError;
use super::reads::text;
use super::routes::{natural_name, parts, refusal, route};
use super::writes::{Fresh, id_of};
use super::{Api, Which};
use crate::model::{Key, Kind};

/// What reconcile keeps on the API for itself.
pub(super) const OURS: [&str; 2] = ["reconcile-ledger", "reconcile-lock"];

impl Api {
    /// Rows of a kind as the API gives them, each with its natural key, in as few requests as possible.
    ///
    /// In [`Which::Of`], names are natural ones: `type/name`, `pool/queue`, `flow/name`. What others own is missing
    /// from [`Which::All`]: anonymous blocks, limits of tags and of deployments among the global ones, and our own
    /// bookkeeping. Automations may share a name; each is given. Blocks come with their secrets. Block types have
    /// `block_schema`, the schema that counts for new blocks, and their texts without HTML's escapes; deployments
    /// have `flow_name`.
    pub async fn objects(&self, kind: Kind, which: &Which) -> Result<Vec<(Key, Value)>, ApiError> {
        if matches!(which, Which::Of { names, ids } if names.is_empty() && ids.is_empty()) {
            return Ok(Vec::new());
        }
        let rows = match kind {
            Kind::BlockType => self.type_rows(which).await?,
            Kind::Block => self.block_rows(which).await?,
            Kind::WorkQueue => self.queue_rows(which).await?,
            Kind::TagConcurrencyLimit => self.tag_rows().await?,
            Kind::Flow => self.flows(which).await?,
            Kind::Deployment => self.deployment_rows(which).await?,
            Kind::Variable | Kind::WorkPool | Kind::ConcurrencyLimit | Kind::Automation => {
                self.rows(kind, which).await?
            }
        };
        let keyed = rows.into_iter().filter_map(|row| Some((Key::new(kind, natural_name(kind, &row)?), row)));
        Ok(keyed.filter(|(key, row)| is_meant(which, key, row)).collect())
    }

    /// Makes an object; returns its id. One of that name that is there already is a conflict.
    ///
    /// Safe to repeat: after a failure that leaves it open whether it was made, it is looked for by name and time,
    /// and sent again only if it is not there. What the name says (`name`, `slug`, `tag`) may be left out of the
    /// body; a block's is `{data, schema?: {version | checksum}}`, a block type's has its schema's `fields`,
    /// `capabilities` and `version` beside its own.
    pub async fn create_object(&self, key: &Key, body: &Value) -> Result<String, ApiError> {
        let row = route(key.kind);
        let path = row.path(row.make, key, "")?;
        let mut body = body.clone();
        match key.kind {
            Kind::BlockType => self.create_block_type(key, &body).await,
            Kind::Block => self.create_block(key, &body).await,
            Kind::Flow => self.create_flow(&key.name).await,
            Kind::TagConcurrencyLimit => {
                body["tag"] = json!(key.name);
                let what = row.what(key);
                // The API makes the one that is there equal to it: it may arrive twice.
                let call = Call::new(Method::POST, &path, &what).body(&body);
                id_of(&self.client.send(&call).await?, &call)
            }
            Kind::Deployment => {
                body["name"] = json!(parts(key).1);
                Ok(self.create_deployment(&body).await?.id)
            }
            Kind::Automation => {
                body["name"] = json!(key.name);
                self.create_automation(&body).await
            }
            Kind::Variable | Kind::WorkPool | Kind::WorkQueue | Kind::ConcurrencyLimit => {
                // Made under a name that no path can hold, it could not be changed or deleted.
                row.path(row.at, key, "")?;
                body["name"] = json!(parts(key).1);
                self.create_once(key, &body).await
            }
        }
    }

    /// Changes the fields of an object that `body` holds. An automation is replaced as a whole, and of a block all
    /// of `data`.
    pub async fn update_object(&self, key: &Key, id: &str, body: &Value) -> Result<(), ApiError> {
        let row = route(key.kind);
        let mut body = body.clone();
        let mut without = |field: &str| body.as_object_mut().and_then(|body| body.shift_remove(field));
        let method = match key.kind {
            Kind::BlockType => return self.update_block_type(key, id, &body).await,
            Kind::Block => return self.update_block(key, id, &body).await,
            Kind::TagConcurrencyLimit => return self.create_object(key, &body).await.map(drop),
            Kind::Automation => {
                without("owner_resource");
                body["name"] = json!(key.name);
                Method::PUT
            }
            Kind::WorkPool | Kind::Flow | Kind::Deployment => {
                without("name");
                Method::PATCH
            }
            Kind::Variable | Kind::WorkQueue | Kind::ConcurrencyLimit => Method::PATCH,
        };
        self.change(method, &row.path(row.at, key, id)?, &row.what(key), Some(&body)).await
    }

    /// Deletes an object; one that is gone already is no failure, also when another has taken its name since.
    pub async fn delete_object(&self, key: &Key, id: &str) -> Result<(), ApiError> {
        let row = route(key.kind);
        let (path, what) = (row.path(row.at, key, id)?, row.what(key));
        match key.kind {
            // Deleted by name: it must still be the one that is meant.
            Kind::WorkPool | Kind::WorkQueue => match self.client.send(&Call::get(&path, &what)).await {
                Ok(there) if text(&there.body, "id").as_deref() != Some(id) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(error),
            },
            Kind::BlockType => self.forget_type(&key.name).await,
            Kind::Block
            | Kind::Variable
            | Kind::ConcurrencyLimit
            | Kind::TagConcurrencyLimit
            | Kind::Flow
            | Kind::Deployment
            | Kind::Automation => {}
        }
        self.delete(&path, &what).await
    }

    /// Sends what must not arrive twice until it is known to be there.
    pub(super) async fn create_once(&self, key: &Key, body: &Value) -> Result<String, ApiError> {
        let row = route(key.kind);
        let (path, what) = (row.path(row.make, key, "")?, row.what(key));
        let started = Instant::now();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let call = Call::new(Method::POST, &path, &what).body(body).once();
            match self.client.send(&call).await {
                Ok(answer) => return id_of(&answer, &call),
                // What stands in the way may be our own first try, which arrived late.
                Err(error) if error.is_conflict() && attempt > 1 => {
                    let made = self.made_since(key, started).await.map_err(ApiError::after_doubt)?;
                    return made.ok_or(error);
                }
                Err(error) => self.pause_before_looking(error, attempt).await?,
            }
            if let Some(id) = self.made_since(key, started).await.map_err(ApiError::after_doubt)? {
                return Ok(id);
            }
        }
    }

    /// The id of the object of that name, if it was made since `started`. An older one is somebody else's.
    pub(super) async fn made_since(&self, key: &Key, started: Instant) -> Result<Option<String>, ApiError> {
        let row = route(key.kind);
        let (path, what) = (row.path(row.find, key, "")?, row.what(key));
        let call = Call::get(&path, &what);
        match self.client.send(&call).await {
            Ok(look) if Fresh::since(started, &look, &call)?.includes(&look.body) => {
                self.unclear().insert(key.clone());
                Ok(text(&look.body, "id"))
            }
            Ok(_) => Err(refusal(&row, key, 409, "there is one of that name already".to_owned())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Api {
    /// Whether an object counts as made by us because it is there and new: no answer said so.
    pub fn is_unclear(&self, key: &Key) -> bool {
        self.unclear().contains(key)
    }

    fn unclear(&self) -> std::sync::MutexGuard<'_, BTreeSet<Key>> {
        self.client.unclear.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whether a row is one of those that were asked for.
fn is_meant(which: &Which, key: &Key, row: &Value) -> bool {
    match which {
        Which::Of { names, ids } => {
            (names.contains(&key.name) || row["id"].as_str().is_some_and(|id| ids.contains(id)))
                && !(key.kind == Kind::ConcurrencyLimit && key.name.starts_with("tag:"))
        }
        Which::All => match key.kind {
            Kind::BlockType => !OURS.contains(&key.name.as_str()),
            Kind::Block => !parts(key).0.is_some_and(|slug| OURS.contains(&slug)),
            Kind::ConcurrencyLimit => !["tag:", "deployment:"].iter().any(|start| key.name.starts_with(start)),
            Kind::Variable
            | Kind::WorkPool
            | Kind::WorkQueue
            | Kind::TagConcurrencyLimit
            | Kind::Flow
            | Kind::Deployment
            | Kind::Automation => true,
        },
    }
}
