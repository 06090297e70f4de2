//! Items of `automations:`: Prefect's own triggers and actions, with names where the API wants ids.

pub(super) mod actions;
mod trigger;

pub use actions::sent as sent_action;
pub use trigger::sent as sent_trigger;

use super::names;
use super::reader::{Draft, Reader};
use crate::manifest::node::{Node, Value};
use crate::model::{Key, Kind};

pub(in crate::manifest) const KEYS: [&str; 8] =
    ["name", "description", "enabled", "tags", "trigger", "actions", "actions_on_trigger", "actions_on_resolve"];

pub(super) fn read(reader: &mut Reader, node: &Node) {
    let Some(mut draft) = Draft::begin(reader, node, "an automation", &KEYS) else { return };
    let name = draft.name("name", names::automation);
    draft.text("description");
    draft.flag("enabled", "enabled");
    draft.texts("tags");
    draft.must_have("trigger", "write `trigger:` and what it waits for, such as `expect: [prefect.flow-run.Failed]`");
    draft.must_have("actions", "write `actions:` and what happens then, such as `- type: cancel-flow-run`");
    if let Some(node) = draft.node.get("trigger") {
        trigger::read(&mut draft, node);
    }
    for key in ["actions", "actions_on_trigger", "actions_on_resolve"] {
        list_of_actions(&mut draft, key);
    }
    if let Some(name) = name {
        draft.finish(Key::new(Kind::Automation, name));
    }
}

fn list_of_actions(draft: &mut Draft, key: &str) {
    let Some(node) = draft.node.get(key) else { return };
    let Value::List(items) = &node.value else {
        let message = format!("`{key}` must be a list, not {}", node.value.type_name());
        draft.reader.error("E0701", node, message, "write each action as an item that starts with `- type:`");
        return;
    };
    let told = draft.reader.diagnostics.len();
    items.iter().for_each(|item| actions::check(draft.reader, item));
    if draft.reader.diagnostics.len() == told {
        draft.any(key);
    }
}

/// Complains where a key that names an object does not name one.
fn check_name(reader: &mut Reader, key: &str, kind: Kind, node: &Node) {
    if node.as_str().is_some_and(|name| super::references::is_name(kind, name)) {
        return;
    }
    let form = match kind {
        Kind::Deployment => "flow/name",
        Kind::WorkQueue => "pool/queue",
        Kind::Block => "type-slug/name",
        Kind::WorkPool
        | Kind::Automation
        | Kind::BlockType
        | Kind::Variable
        | Kind::ConcurrencyLimit
        | Kind::TagConcurrencyLimit
        | Kind::Flow => "name",
    };
    let message = format!("`{key}` must name the {}", kind.word().replace('_', " "));
    reader.error("E0716", node, message, format!("write `{key}: {form}`"));
}
