//! The digest of a plan: equal for plans that do the same, without giving away a secret.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::model::Tree;
use crate::model::ledger::Ledger;
use crate::model::plan::{FieldChange, Plan};
use crate::model::secret::{canonical, hex};

/// `sha256:` and the digest of actions with their values before and after. Where things were declared, why they
/// change and what follows is not part of it. Secrets enter by their digest under the ledger's key.
pub fn digest(plan: &Plan, ledger: &Ledger) -> String {
    // Before the ledger is first saved its key is a new one every time: secrets then enter without their values.
    let digest_key = (ledger.generation > 0).then_some(ledger.digest_key.as_slice());
    // Change by change: the text of a whole plan may be larger than what it was made of.
    let mut hash = Sha256::new();
    for (i, change) in plan.changes.iter().enumerate() {
        hash.update(if i == 0 { "[" } else { "," });
        let fields: Vec<Value> = change.fields.iter().map(|field| entry(field, digest_key)).collect();
        hash.update(canonical(&json!([change.key.to_string(), change.action, fields])));
    }
    hash.update(if plan.changes.is_empty() { "[]" } else { "]" });
    format!("sha256:{}", hex(&hash.finalize()))
}

fn entry(field: &FieldChange, digest_key: Option<&[u8]>) -> Value {
    let side = |tree: &Option<Tree>| tree.as_ref().map(|tree| value(tree, digest_key));
    json!([field.path.to_string(), side(&field.before), side(&field.after)])
}

fn value(tree: &Tree, digest_key: Option<&[u8]>) -> Value {
    match tree {
        Tree::Secret(secret) => json!({ "secret": digest_key.map(|key| secret.digest(key)) }),
        Tree::List(items) => items.iter().map(|item| value(item, digest_key)).collect(),
        Tree::Map(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), value(v, digest_key))).collect()),
        other => other.masked(),
    }
}
