//! Variables and limits in the words of files: only what is not at its default.

use serde_json::Value;

use super::{Draft, is_empty};
use crate::model::Key;

/// An item of `variables`.
pub fn variable(key: &Key, row: &Value) -> Draft {
    let mut draft = Draft::of(key);
    draft.put("name", key.name.clone());
    draft.put("value", row["value"].clone());
    if !is_empty(&row["tags"]) {
        draft.put("tags", row["tags"].clone());
    }
    draft
}

/// An item of `concurrency_limits`.
pub fn global(key: &Key, row: &Value) -> Draft {
    let mut draft = Draft::of(key);
    draft.put("name", key.name.clone());
    draft.put("limit", row["limit"].clone());
    if row["active"] == false {
        draft.put("active", false);
    }
    if row["slot_decay_per_second"].as_f64().is_some_and(|decay| decay != 0.0) {
        draft.put("slot_decay_per_second", row["slot_decay_per_second"].clone());
    }
    draft
}

/// An item of `tag_concurrency_limits`.
pub fn of_tag(key: &Key, row: &Value) -> Draft {
    let mut draft = Draft::of(key);
    draft.put("tag", key.name.clone());
    draft.put("limit", row["concurrency_limit"].clone());
    draft
}
