//! A ledger cut into block documents: one main document, and more for what is large.
//!
//! A large mapping is spread over parts of some two hundred entries. A part is named by a keyed digest of what it holds,
//! so an unchanged part is never written again, an edited one is noticed, and the main document, written after its
//! parts, changes from one whole ledger to the next at once, whatever fails in between.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::model::secret::{hex, keyed_digest};

/// So many entries stand in one document: about 300 kB of owned deployments, which the server encrypts as one.
const ENTRIES: usize = 250;

/// The documents of one ledger, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Documents {
    /// The main document's data.
    pub main: Value,
    /// The data of all others.
    pub parts: BTreeMap<String, Value>,
}

/// The name of a scope's main document: readable, and different for different scopes.
pub(super) fn document_name(scope: &str) -> String {
    let mut slug = String::new();
    for c in scope.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(60);
    let digest = hex(&Sha256::digest(scope.as_bytes())[..4]);
    match slug.trim_end_matches('-') {
        "" => format!("scope-{digest}"),
        slug => format!("{slug}-{digest}"),
    }
}

/// Whether a document is one of the parts of the main document `main`.
pub(super) fn is_part(main: &str, name: &str) -> bool {
    name.strip_prefix(main).is_some_and(|rest| rest.starts_with("-part-"))
}

/// Puts a mapping into the main document under `field`, or into parts named under `field_parts`.
pub(super) fn spread(documents: &mut Documents, name: &str, field: &str, entries: Map<String, Value>, key: &[u8]) {
    let count = entries.len().div_ceil(ENTRIES).next_power_of_two();
    if count <= 1 {
        documents.main[field] = Value::Object(entries);
        return;
    }
    let mut shards: Vec<Map<String, Value>> = vec![Map::new(); count];
    for (entry, value) in entries {
        shards[shard(&entry, count)].insert(entry, value);
    }
    let mut names = Vec::new();
    for shard in shards.into_iter().filter(|shard| !shard.is_empty()) {
        let data = Value::Object(Map::from_iter([(field.to_owned(), Value::Object(shard))]));
        let part = part_name(name, &data, key);
        documents.parts.insert(part.clone(), data);
        names.push(Value::String(part));
    }
    documents.main[format!("{field}_parts")] = Value::Array(names);
}

/// Undoes [`spread`], taking the entries out; the error says what is wrong and with which document.
pub(super) fn gather(
    documents: &mut Documents,
    name: &str,
    field: &str,
    key: &[u8],
) -> Result<Map<String, Value>, (String, String)> {
    let trouble = |document: &str, problem: &str| Err((document.to_owned(), problem.to_owned()));
    let Some(names) = documents.main.get(format!("{field}_parts")) else {
        return match documents.main.get_mut(field).map(Value::take) {
            Some(Value::Object(entries)) => Ok(entries),
            _ => trouble(name, &format!("`{field}` is missing")),
        };
    };
    let mut all = Map::new();
    for part in names.as_array().into_iter().flatten().map(|name| name.as_str().unwrap_or_default()) {
        let Some(data) = documents.parts.get_mut(part) else { return trouble(part, "it is missing") };
        if part_name(name, data, key) != part {
            return trouble(part, "it was edited");
        }
        match data.get_mut(field).map(Value::take) {
            Some(Value::Object(entries)) => all.extend(entries),
            _ => return trouble(part, "it was edited"),
        }
    }
    Ok(all)
}

fn part_name(name: &str, data: &Value, key: &[u8]) -> String {
    format!("{name}-part-{}", &keyed_digest(key, data)[..16])
}

/// Which shard an entry belongs to: by its own name, so that others coming and going do not move it.
fn shard(entry: &str, count: usize) -> usize {
    let digest = Sha256::digest(entry.as_bytes());
    usize::from(u16::from_be_bytes([digest[0], digest[1]])) % count
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_what_the_api_accepts() {
        assert_eq!(
            document_name("github.com/Acme/Shop@prod"),
            format!("github-com-acme-shop-prod-{}", hex(&Sha256::digest("github.com/Acme/Shop@prod".as_bytes())[..4]))
        );
        assert!(document_name("日本").starts_with("scope-"));
        assert_ne!(document_name("a.b"), document_name("a-b"));
        assert!(document_name(&"x-".repeat(500)).len() <= 69);
    }

    #[test]
    fn an_unchanged_part_keeps_its_name() {
        let entries = |n: usize| (0..n).map(|i| (format!("k{i}"), json!(i))).collect::<Map<_, _>>();
        let parts = |n: usize| {
            let mut documents = Documents { main: json!({}), ..Documents::default() };
            spread(&mut documents, "s", "owned", entries(n), b"k");
            documents
        };
        let (mut a, b) = (parts(750), parts(751));
        assert_eq!(a.parts.len(), 4);
        assert_eq!(a.parts.keys().filter(|name| !b.parts.contains_key(*name)).count(), 1);
        assert_eq!(gather(&mut a, "s", "owned", b"k").map(|all| all.len()), Ok(750));
        assert!(parts(250).parts.is_empty());
    }
}
