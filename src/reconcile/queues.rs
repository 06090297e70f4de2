//! The priorities of work queues after they were written: the server keeps them different within a pool by moving others
//! out of the way, so they are read again, and put right until they are as declared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::api::{Api, ApiError, Which};
use crate::model::{Key, Kind, Tree};
use crate::plan::diff;
use crate::plan::want::Object;

const PRIORITY: &str = "priority";

/// The pool of a queue.
pub fn pool_of(queue: &Key) -> Option<&str> {
    queue.name.split_once('/').map(|(pool, _)| pool).filter(|_| queue.kind == Kind::WorkQueue)
}

/// The priority that a queue is declared with.
pub fn priority(object: &Object) -> Option<u64> {
    match object.fields.get(PRIORITY)? {
        Tree::Number(number) => number.as_u64(),
        Tree::Null
        | Tree::Bool(_)
        | Tree::Text(_)
        | Tree::List(_)
        | Tree::Map(_)
        | Tree::Secret(_)
        | Tree::IdOf(_)
        | Tree::Unknown(_) => None,
    }
}

/// Puts the priorities of declared queues right, pool by pool. Gives the queues whose priority could not be had, and
/// why: those that a third party keeps moving.
///
/// # Errors
/// An API that does not answer.
pub async fn settle<'a>(
    api: &Api,
    declared: impl Iterator<Item = &'a Object>,
) -> Result<BTreeMap<Key, String>, ApiError> {
    let mut pools: BTreeMap<&str, Vec<(u64, &Key)>> = BTreeMap::new();
    for object in declared.filter(|object| !diff::is_ignored(&object.ignore_drift, PRIORITY)) {
        if let (Some(pool), Some(priority)) = (pool_of(&object.key), priority(object)) {
            pools.entry(pool).or_default().push((priority, &object.key));
        }
    }
    let mut off = BTreeMap::new();
    for mut wanted in pools.into_values() {
        // The server moves what comes after: what is put right first stays right.
        wanted.sort();
        off.extend(in_pool(api, &wanted).await?);
    }
    Ok(off)
}

async fn in_pool(api: &Api, wanted: &[(u64, &Key)]) -> Result<BTreeMap<Key, String>, ApiError> {
    let names: BTreeSet<String> = wanted.iter().map(|(_, key)| key.name.clone()).collect();
    let mut off = BTreeMap::new();
    // Each write puts one right for good; the last look finds nothing.
    for _ in 0..=wanted.len() {
        let rows: BTreeMap<Key, Value> =
            api.objects(Kind::WorkQueue, &Which::named(names.clone())).await?.into_iter().collect();
        let found = |key: &Key| rows.get(key).and_then(|row| row[PRIORITY].as_u64());
        off = wanted
            .iter()
            .filter(|(priority, key)| found(key).is_some_and(|found| found != *priority))
            .map(|(priority, key)| {
                let found = found(key).unwrap_or_default();
                (
                    (*key).clone(),
                    format!("its priority is {found} and not {priority}: another queue of the pool has it"),
                )
            })
            .collect();
        let Some((priority, key)) = wanted.iter().find(|(_, key)| off.contains_key(*key)) else { break };
        let id = rows[*key]["id"].as_str().unwrap_or_default();
        api.update_object(key, id, &json!({ PRIORITY: priority })).await?;
    }
    Ok(off)
}
