//! Items of `concurrency_limits:`: global limits, which code asks for by name.

use super::names;
use super::reader::{Draft, Reader};
use crate::manifest::node::{Node, Value};
use crate::model::{Key, Kind, Tree};

pub(in crate::manifest) const KEYS: [&str; 4] = ["name", "limit", "active", "slot_decay_per_second"];

pub(super) fn read(reader: &mut Reader, node: &Node) {
    let Some(mut draft) = Draft::begin(reader, node, "a concurrency limit", &KEYS) else { return };
    let name = draft.name("name", names::concurrency_limit);
    draft.must_have("limit", "write `limit:` and how many slots there are");
    draft.count("limit", "limit", 0);
    draft.flag("active", "active");
    decay(&mut draft);
    if let Some(name) = name {
        draft.finish(Key::new(Kind::ConcurrencyLimit, name));
    }
}

fn decay(draft: &mut Draft) {
    const KEY: &str = "slot_decay_per_second";
    let Some(node) = draft.node.get(KEY) else { return };
    let number = match &node.value {
        Value::Int(number) => Some(number.clone()),
        Value::Float(float) => serde_json::Number::from_f64(*float),
        _ => None,
    };
    match number {
        Some(number) if number.as_f64().is_some_and(|n| n >= 0.0) => draft.set(KEY, KEY, Tree::Number(number)),
        Some(number) => draft.out_of_range(node, KEY, &format!("is at least 0, not {number}")),
        None => draft.wrong(node, KEY, "a number"),
    }
}
