//! The ledger on the API: block documents of a type of our own, one set per scope.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::Api;
use super::client::Call;
use super::error::ApiError;
use super::ledger_parts::{Documents, document_name, is_part};
use super::ledger_text::{self, Damage};
use super::own_type::{OwnType, Schema};
use super::reads::text;
use super::writes::id_of;
use crate::diagnostic::Diagnostic;
use crate::model::Key;
use crate::model::ledger::Ledger;

/// The slug of the block type.
const TYPE: &str = "reconcile-ledger";
const DOCUMENTS: &str = "/block_documents/";

/// Why a ledger cannot be had or kept. While it stands, nothing may be pruned.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LedgerTrouble {
    /// The API fails.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// It is there, but not as we left it.
    #[error("the ledger of `{scope}` is damaged: block `reconcile-ledger/{document}`: {problem}")]
    Damaged {
        /// The scope.
        scope: String,
        /// The block document.
        document: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A newer reconcile wrote it.
    #[error("the ledger of `{scope}` has format {format}, which only a newer reconcile can read")]
    TooNew {
        /// The scope.
        scope: String,
        /// Its format.
        format: u64,
    },
    /// The API masks its key.
    #[error("the key of the ledger of `{scope}` is withheld: the account may not read block secrets")]
    Withheld {
        /// The scope.
        scope: String,
    },
}

impl LedgerTrouble {
    /// The page that explains it: see [`crate::explain`].
    pub fn code(&self) -> &'static str {
        match self {
            LedgerTrouble::Api(error) => error.code(),
            LedgerTrouble::Damaged { .. } => "E0520",
            LedgerTrouble::TooNew { .. } => "E0521",
            LedgerTrouble::Withheld { .. } => "E0522",
        }
    }

    /// The next step.
    pub fn help(&self) -> String {
        match self {
            LedgerTrouble::Api(error) => error.help(),
            LedgerTrouble::Damaged { .. } => "nothing is pruned until it is whole; delete the scope's blocks of type \
                 `reconcile-ledger` to begin anew: what is declared is adopted again, what left git since is not known \
                 any more"
                .to_owned(),
            LedgerTrouble::TooNew { .. } => "update reconcile".to_owned(),
            LedgerTrouble::Withheld { .. } => {
                "use an account that may read the values of blocks, or do without with `ledger: false`".to_owned()
            }
        }
    }

    /// The same as a diagnostic.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic::error(self.code(), self.to_string()).help(self.help())
    }
}

/// A ledger that was never saved, with a digest key of its own.
pub fn new_ledger() -> Ledger {
    // Each holds 122 random bits; three make 32 bytes without a weak spot.
    let random: Vec<u8> = (0..3).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
    Ledger { digest_key: Sha256::digest(&random).to_vec(), ..Ledger::default() }
}

/// The ledgers seen so far, by the name of their main document.
pub(super) type Shelf = Arc<Mutex<BTreeMap<String, Shelved>>>;

/// What is known of a ledger's documents.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelved {
    /// Their ids by name.
    ids: BTreeMap<String, String>,
    /// What the main document is made after.
    schema: Option<Schema>,
    /// The seal of the main document: it speaks of all of them.
    seal: Option<String>,
}

impl Api {
    /// The ledger of a scope; `None` if it has none. Mostly one request.
    pub async fn load_ledger(&self, scope: &str) -> Result<Option<Ledger>, LedgerTrouble> {
        let name = document_name(scope);
        let documents = self.ledger_documents(&name).await?;
        if documents.main.is_null() {
            // Parts alone are what a save left that failed before its end, or what is left of a main document that
            // somebody deleted: either way nothing is known to be ours.
            return Ok(None);
        }
        let scope = scope.to_owned();
        match ledger_text::read(documents, &scope, &name) {
            Ok(ledger) => Ok(Some(ledger)),
            Err(Damage::Broken { document, problem }) => Err(LedgerTrouble::Damaged { scope, document, problem }),
            Err(Damage::TooNew { format }) => Err(LedgerTrouble::TooNew { scope, format }),
            Err(Damage::Withheld) => Err(LedgerTrouble::Withheld { scope }),
        }
    }

    /// Whether a ledger is still as it was when it was loaded or saved here. Reads the main document alone.
    pub async fn is_ledger(&self, scope: &str, ledger: &Ledger) -> Result<bool, ApiError> {
        let name = document_name(scope);
        let shelved = self.shelved(&name).unwrap_or_default();
        let (Some(id), Some(seal)) = (shelved.ids.get(&name), shelved.seal) else { return Ok(false) };
        match self.client.send(&Call::get(&format!("{DOCUMENTS}{id}"), "the ledger")).await {
            Ok(answer) => {
                let data = &answer.body["data"];
                Ok(data["seal"] == seal && data["generation"] == ledger.generation)
            }
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Saves a ledger under the generation after its own, which is returned. It replaces what was there, at once.
    pub async fn save_ledger(&self, scope: &str, ledger: &Ledger) -> Result<u64, LedgerTrouble> {
        let name = document_name(scope);
        let damaged = |problem: &str| LedgerTrouble::Damaged {
            scope: scope.to_owned(),
            document: name.clone(),
            problem: problem.to_owned(),
        };
        if ledger.digest_key.is_empty() {
            return Err(damaged("it was to be saved without a digest key"));
        }
        let generation = ledger.generation + 1;
        let documents = ledger_text::write(ledger, generation, scope, &name);
        let Shelved { mut ids, schema, .. } = match self.shelved(&name) {
            Some(shelved) => shelved,
            None => {
                self.ledger_documents(&name).await?;
                self.shelved(&name).unwrap_or_default()
            }
        };
        let all_there = ids.contains_key(&name) && documents.parts.keys().all(|part| ids.contains_key(part));
        let schema = match schema {
            None if !all_there => Some(self.ledger_schema().await?),
            schema => schema,
        };
        for (part, data) in documents.parts.iter().filter(|(part, _)| !ids.contains_key(*part)).collect::<Vec<_>>() {
            let id = self.write_document(part, data, None, schema.as_ref()).await?;
            ids.insert(part.clone(), id);
        }
        let main = ids.get(&name).cloned();
        let id = self.write_document(&name, &documents.main, main.as_deref(), schema.as_ref()).await?;
        ids.insert(name.clone(), id);
        self.sweep(&name, &documents, &mut ids).await;
        let seal = text(&documents.main, "seal");
        self.shelve(&name, Shelved { ids, schema, seal });
        Ok(generation)
    }

    /// When the ledger of a scope was last saved, as the API has it; `None` if there is none.
    pub async fn ledger_saved(&self, scope: &str) -> Result<Option<String>, ApiError> {
        let path = format!("/block_types/slug/{TYPE}/block_documents/name/{}", document_name(scope));
        match self.client.send(&Call::get(&path, "the ledger")).await {
            Ok(answer) => Ok(text(&answer.body, "updated")),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes the ledger of a scope, parts included.
    pub async fn delete_ledger(&self, scope: &str) -> Result<(), LedgerTrouble> {
        let name = document_name(scope);
        self.ledger_documents(&name).await?;
        let ids = self.shelved(&name).unwrap_or_default().ids;
        // The main document goes first: parts without it mean nothing.
        let order = ids.get(&name).into_iter().chain(ids.iter().filter(|(n, _)| **n != name).map(|(_, id)| id));
        for id in order {
            self.delete(&format!("{DOCUMENTS}{id}"), "the ledger").await?;
        }
        self.shelf().remove(&name);
        Ok(())
    }

    /// What the ledgers of other scopes own, with the scope that owns it. Reads all ledgers of the workspace.
    pub async fn owned_elsewhere(&self, scope: &str) -> Result<BTreeMap<Key, String>, ApiError> {
        self.elsewhere(scope, |data| ledger_text::owned_keys(data).collect()).await
    }

    /// The same, with what those scopes are about to make.
    pub async fn meant_elsewhere(&self, scope: &str) -> Result<BTreeMap<Key, String>, ApiError> {
        self.elsewhere(scope, |data| ledger_text::owned_keys(data).chain(ledger_text::pending_keys(data)).collect())
            .await
    }

    async fn elsewhere(&self, scope: &str, keys: fn(&Value) -> Vec<Key>) -> Result<BTreeMap<Key, String>, ApiError> {
        let name = document_name(scope);
        let filter = json!({"block_types": {"slug": {"any_": [TYPE]}}});
        let rows = self.client.filter("/block_documents/filter", &filter, "the ledgers").await?;
        let mains: Vec<(String, String)> =
            rows.iter().filter_map(|row| Some((text(row, "name")?, text(&row["data"], "scope")?))).collect();
        let parts: BTreeSet<&str> = rows
            .iter()
            .flat_map(|row| row["data"]["owned_parts"].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        let mut owned = BTreeMap::new();
        for row in &rows {
            let document = row["name"].as_str().unwrap_or_default();
            // A part that no main document names was left behind, and owns nothing.
            let owner = mains
                .iter()
                .find(|(main, _)| main == document || (is_part(main, document) && parts.contains(document)));
            if let Some((_, owner)) = owner.filter(|(main, _)| *main != name) {
                owned.extend(keys(&row["data"]).into_iter().map(|key| (key, owner.clone())));
            }
        }
        Ok(owned)
    }

    /// The documents of a ledger with their secrets; remembers their ids.
    async fn ledger_documents(&self, name: &str) -> Result<Documents, ApiError> {
        let filter = json!({
            "block_types": {"slug": {"any_": [TYPE]}},
            "block_documents": {"name": {"like_": name}},
            "include_secrets": true,
        });
        let rows = self.client.filter("/block_documents/filter", &filter, "the ledger").await?;
        let mut documents = Documents::default();
        let mut shelved = Shelved::default();
        for mut row in rows {
            let Some((document, id)) = text(&row, "name").zip(text(&row, "id")) else { continue };
            if document == name {
                documents.main = row["data"].take();
                shelved.seal = text(&documents.main, "seal");
                let schema = text(&row, "block_type_id").zip(text(&row, "block_schema_id"));
                shelved.schema = schema.map(|(type_id, id)| Schema { type_id, id });
            } else if is_part(name, &document) {
                documents.parts.insert(document.clone(), row["data"].take());
            } else {
                continue;
            }
            shelved.ids.insert(document, id);
        }
        self.shelve(name, shelved);
        Ok(documents)
    }

    /// Writes a document: in place if its id is known, else anew; returns its id.
    async fn write_document(
        &self,
        name: &str,
        data: &Value,
        id: Option<&str>,
        schema: Option<&Schema>,
    ) -> Result<String, ApiError> {
        let what = format!("the ledger `{name}`");
        let body = json!({"data": data, "merge_existing_data": false});
        if let Some(id) = id {
            let path = format!("{DOCUMENTS}{id}");
            match self.change(Method::PATCH, &path, &what, Some(&body)).await {
                // Deleted behind our back: made anew below.
                Err(error) if error.is_not_found() => {}
                result => return result.map(|()| id.to_owned()),
            }
        }
        let made;
        let schema = match schema {
            Some(schema) => schema,
            None => {
                made = self.ledger_schema().await?;
                &made
            }
        };
        let new = schema.document(name, data);
        let call = Call::new(Method::POST, DOCUMENTS, &what).body(&new);
        match self.client.send(&call).await {
            Ok(answer) => id_of(&answer, &call),
            Err(error) if error.is_conflict() => self.settle_conflict(name, data, error).await,
            Err(error) => Err(error),
        }
    }

    /// A document of that name is there: our own first try whose answer was lost, a leftover part, or another's.
    async fn settle_conflict(&self, name: &str, data: &Value, conflict: ApiError) -> Result<String, ApiError> {
        let path = format!("/block_types/slug/{TYPE}/block_documents/name/{name}?include_secrets=true");
        let call = Call::get(&path, "the ledger");
        let answer = self.client.send(&call).await?;
        let id = id_of(&answer, &call)?;
        if answer.body["data"] == *data {
            return Ok(id);
        }
        if data.get("seal").is_some() {
            // Two processes keep the same scope: the other one was first, and its account is not overwritten.
            return Err(conflict);
        }
        let body = json!({"data": data, "merge_existing_data": false});
        self.change(Method::PATCH, &format!("{DOCUMENTS}{id}"), "the ledger", Some(&body)).await?;
        Ok(id)
    }

    /// Deletes parts that the main document does not name any more. What fails is left for the next save.
    async fn sweep(&self, name: &str, documents: &Documents, ids: &mut BTreeMap<String, String>) {
        let stale: Vec<(String, String)> = ids
            .iter()
            .filter(|(document, _)| *document != name && !documents.parts.contains_key(*document))
            .map(|(document, id)| (document.clone(), id.clone()))
            .collect();
        for (document, id) in stale {
            match self.delete(&format!("{DOCUMENTS}{id}"), "the ledger").await {
                Ok(()) => {
                    ids.remove(&document);
                }
                Err(error) => tracing::debug!(document, %error, "an old part of the ledger stays"),
            }
        }
    }

    /// The block type and schema of ledgers, made if they are not there.
    async fn ledger_schema(&self) -> Result<Schema, ApiError> {
        self.own_schema(&OwnType {
            slug: TYPE,
            name: "Reconcile Ledger",
            description: "What reconcile owns in this workspace. Kept by reconcile, not for use in flows.",
            what: "ledgers",
            version: ledger_text::FORMAT.to_string(),
            fields: fields(),
        })
        .await
    }

    fn shelved(&self, name: &str) -> Option<Shelved> {
        self.shelf().get(name).cloned()
    }

    fn shelve(&self, name: &str, shelved: Shelved) {
        self.shelf().insert(name.to_owned(), shelved);
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Shelved>> {
        self.ledgers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What the API knows of the form of a ledger: above all that its key is secret.
fn fields() -> Value {
    json!({
        "title": "ReconcileLedger",
        "type": "object",
        "block_type_slug": TYPE,
        "block_schema_references": {},
        "secret_fields": ["digest_key"],
        "properties": {
            "about": {"title": "About", "type": "string"},
            "format": {"title": "Format", "type": "integer"},
            "scope": {"title": "Scope", "type": "string"},
            "generation": {"title": "Generation", "type": "integer"},
            "commit": {"title": "Commit", "type": "string"},
            "digest_key": {"title": "Digest Key", "type": "string", "format": "password", "writeOnly": true},
            "owned": {"title": "Owned", "type": "object"},
            "pending": {"title": "Pending", "type": "array", "items": {"type": "string"}},
            "builds": {"title": "Builds", "type": "object"},
            "flows": {"title": "Flows", "type": "object"},
        },
    })
}
