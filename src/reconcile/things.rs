//! Objects of resource files: what is asked about them, and how the answers become desired and observed state.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::api::{Api, Which};
use crate::diagnostic::Diagnostic;
use crate::model::ledger::Ledger;
use crate::model::tree::Unknown;
use crate::model::{Key, Kind, RepoPath, Secret, Tree};
use crate::plan::resources::{self, House, Questions};
use crate::plan::want::{Desired, Object};
use crate::render::references;

use super::error::PassError;
use super::gather::{Asked, sealed_environment};
use super::read::Reading;
use super::{Decided, Request, secrets};

pub use crate::plan::resources::Facts;

/// Asks what items of resource files are filled with.
///
/// # Errors
/// An API that does not answer.
pub async fn ask(request: &Request, reading: &Reading, api: &Api) -> Result<Facts, PassError> {
    let wanted = resources::questions(&reading.items);
    let mut facts = files(request, reading, &wanted);
    let types = api.objects(Kind::BlockType, &Which::named(wanted.block_types)).await?;
    let form = |row: &mut Value| resources::BlockForm::of(row["block_schema"].take());
    facts.block_types = Some(types.into_iter().map(|(key, mut row)| (key.name, form(&mut row))).collect());
    Ok(facts)
}

/// What is known without an API.
pub fn nothing_asked(request: &Request, reading: &Reading) -> Facts {
    files(request, reading, &resources::questions(&reading.items))
}

fn files(request: &Request, reading: &Reading, wanted: &Questions) -> Facts {
    let trusted = !request.guarded && !request.files_only;
    let secrets = wanted.secrets.iter().map(|file| (file.clone(), secrets::secret(request, reading, file, trusted)));
    let templates = wanted.templates.iter().map(|path| (path.clone(), template(reading, path)));
    Facts {
        env: sealed_environment(request, reading),
        secrets: secrets.collect(),
        templates: templates.collect(),
        block_types: None,
        symbolic: false,
        open: request.files_only,
    }
}

fn template(reading: &Reading, path: &RepoPath) -> Result<Value, String> {
    let held = reading.texts.get(path).map(|text| text.as_bytes().to_vec());
    let bytes = match held {
        Some(bytes) => Some(bytes),
        None => reading.worktree.read(path).map_err(|error| error.to_string())?,
    };
    let bytes = bytes.ok_or_else(|| "there is no such file".to_owned())?;
    serde_json::from_slice(&bytes).map_err(|error| format!("it is not JSON: {error}"))
}

/// What the objects should be; what declarations are filled with learns of them, for they will be there first.
pub fn objects(reading: &Reading, asked: &mut Asked, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<Key, Object> {
    let house = House { ignore_drift: &reading.project.ignore_drift, strict: reading.project.strict };
    let objects = resources::objects(&reading.items, &asked.things, &house, diagnostics);
    let facts = &mut asked.facts;
    for object in objects.values() {
        match object.key.kind {
            Kind::Variable => {
                let value = object.fields.get("value").cloned().unwrap_or(Tree::Null);
                facts.variables.insert(object.key.name.clone(), value);
            }
            Kind::Block => {
                let Some((slug, name)) = object.key.name.split_once('/') else { continue };
                let data = object.fields.get("data").and_then(|data| data.revealed(&|_| None));
                let data = data.map_or(Tree::Unknown(Unknown::AtApply), |data| Tree::Secret(Secret::new(data)));
                facts.blocks.by_name.insert((slug.to_owned(), name.to_owned()), data);
            }
            Kind::WorkPool => {
                if let Some(pools) = &mut facts.pools {
                    let row = pools.entry(object.key.name.clone()).or_insert_with(|| serde_json::json!({}));
                    for (field, value) in object.along.iter().chain(&object.fields) {
                        row[field] = value.revealed(&|key| Some(key.to_string())).unwrap_or_default();
                    }
                }
            }
            Kind::BlockType
            | Kind::WorkQueue
            | Kind::ConcurrencyLimit
            | Kind::TagConcurrencyLimit
            | Kind::Flow
            | Kind::Deployment
            | Kind::Automation => {}
        }
    }
    objects
}

/// The objects as they are written, templates unfilled.
pub fn symbolic(reading: &Reading, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<Key, Object> {
    let house = House { ignore_drift: &[], strict: false };
    resources::objects(&reading.items, &Facts { symbolic: true, ..Facts::default() }, &house, diagnostics)
}

/// The keys that have to be looked up: what is wanted, what that needs, what is ours, what was about to be written.
pub fn needed(desired: &Desired, ledger: &Ledger) -> BTreeSet<Key> {
    let mut keys: BTreeSet<Key> = desired.objects.keys().cloned().collect();
    keys.extend(desired.objects.values().flat_map(|object| object.needs.keys().cloned()));
    keys.extend(ledger.owned.keys().chain(&ledger.pending).filter(|key| key.kind != Kind::Deployment).cloned());
    keys.extend(desired.deployments.values().flat_map(soft).map(|(key, _)| key));
    keys
}

/// What a deployment refers to at run time: blocks and variables in its job variables and pull steps.
fn soft(deployment: &crate::plan::want::Deployment) -> Vec<(Key, crate::model::Origin)> {
    let fields = deployment.fields.iter().filter(|(name, _)| ["job_variables", "pull_steps"].contains(&name.as_str()));
    let found: Vec<_> = fields.map(|(_, value)| references(value)).collect();
    let blocks = found.iter().flat_map(|found| found.blocks.keys());
    let blocks = blocks.map(|(slug, name)| Key::new(Kind::Block, format!("{slug}/{name}")));
    let variables = found.iter().flat_map(|found| found.variables.keys());
    let variables = variables.map(|name| Key::new(Kind::Variable, name.clone()));
    blocks.chain(variables).map(|key| (key, deployment.origin.clone())).collect()
}

/// Reads the rows of the needed objects, every kind at once.
///
/// # Errors
/// An API that does not answer.
pub async fn observe(api: &Api, needed: &BTreeSet<Key>, ledger: &Ledger) -> Result<BTreeMap<Key, Value>, PassError> {
    let kinds = Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::Deployment | Kind::Automation));
    let reads = kinds.filter_map(|kind| {
        let keys: Vec<&Key> = needed.iter().filter(|key| key.kind == kind).collect();
        if keys.is_empty() {
            return None;
        }
        let names = keys.iter().map(|key| key.name.clone()).collect();
        let ids = keys.iter().filter_map(|key| Some(ledger.owned.get(key)?.id.clone())).collect();
        Some(async move { api.objects(kind, &Which::Of { names, ids }).await })
    });
    let mut out = BTreeMap::new();
    for rows in futures_util::future::join_all(reads).await {
        out.extend(rows?);
    }
    Ok(out)
}

/// Automations by their key: that of the ledger's id, else the only one of that name that is nobody's.
pub fn automations(needed: &BTreeSet<Key>, ledger: &Ledger, rows: &[Value]) -> BTreeMap<Key, Value> {
    let id = |row: &Value| row["id"].as_str().map(str::to_owned);
    let taken: BTreeSet<&String> = ledger.owned.values().map(|owned| &owned.id).collect();
    let find = |key: &Key| {
        let ours = ledger.owned.get(key).map(|owned| &owned.id);
        let by_id = rows.iter().find(|row| ours.is_some() && id(row).as_ref() == ours);
        by_id.or_else(|| {
            let mut named = rows.iter().filter(|row| row["name"] == key.name.as_str());
            let mut free = named.by_ref().filter(|row| id(row).is_none_or(|id| !taken.contains(&id)));
            free.next().filter(|_| free.next().is_none())
        })
    };
    let keys = needed.iter().filter(|key| key.kind == Kind::Automation);
    keys.filter_map(|key| Some((key.clone(), find(key)?.clone()))).collect()
}

/// References to what is neither in git nor on the API, and what new objects lack, of everything that is wanted or of a part that was looked up.
pub fn dangling(part: Option<&Desired>, decided: &mut Decided) {
    let (desired, observed) = (&decided.desired, &decided.observed);
    let part = part.unwrap_or(desired);
    let is_there = |key: &Key| {
        desired.objects.contains_key(key)
            || desired.deployments.contains_key(key)
            || observed.id(key).is_some()
            || (key.kind == Kind::Flow && desired.deployments.values().any(|wanted| wanted.flow == key.name))
    };
    let mut told = Vec::new();
    for object in part.objects.values() {
        for (key, origin) in object.needs.iter().filter(|(key, _)| !is_there(key)) {
            let message = format!("`{key}` does not exist: neither git nor the API has it");
            let help = "declare it, correct its name, or make it by other means first";
            told.push(Diagnostic::error("E0758", message).at(origin.clone(), "needed here").help(help));
        }
        if observed.id(&object.key).is_none() {
            told.extend(object.if_new.iter().cloned());
        }
    }
    for deployment in part.deployments.values() {
        for (key, origin) in soft(deployment).into_iter().filter(|(key, _)| !is_there(key)) {
            let message = format!("`{}` refers to `{key}`, which does not exist", deployment.key);
            let help = "its runs will fail until it is there: declare it, or make it by other means";
            told.push(Diagnostic::warning("W0759", message).at(origin, "").help(help));
        }
    }
    decided.diagnostics.extend(told);
}
