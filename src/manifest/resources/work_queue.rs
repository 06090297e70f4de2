//! Items of `queues:` of a work pool.

use super::names;
use super::reader::{Draft, Reader};
use crate::diagnostic::Diagnostic;
use crate::manifest::node::{Node, Value};
use crate::model::{Key, Kind};

pub(in crate::manifest) const KEYS: [&str; 5] = ["name", "priority", "concurrency_limit", "description", "paused"];

/// Reads the queues of a pool; without its name they are only checked.
pub(super) fn read(reader: &mut Reader, node: &Node, pool: Option<&str>) {
    match &node.value {
        Value::List(items) => {
            let mut taken: Vec<(i64, &Node)> = Vec::new();
            for item in items {
                if let Some(priority) = queue(reader, item, pool) {
                    priority_is_free(reader, item, priority, &taken);
                    taken.push((priority, item));
                }
            }
        }
        Value::Null => {}
        other => {
            let message = format!("`queues` must be a list, not {}", other.type_name());
            reader.error("E0701", node, message, "write `queues: [{ name: urgent, priority: 1 }]`");
        }
    }
}

fn queue(reader: &mut Reader, node: &Node, pool: Option<&str>) -> Option<i64> {
    let mut draft = Draft::begin(reader, node, "a work queue", &KEYS)?;
    let name = draft.name("name", names::work_queue);
    let priority = draft.count("priority", "priority", 1);
    draft.count_or_null("concurrency_limit", "concurrency_limit", 0);
    draft.text("description");
    draft.flag("paused", "is_paused");
    if let (Some(pool), Some(name)) = (pool, name) {
        draft.finish(Key::new(Kind::WorkQueue, format!("{pool}/{name}")));
    }
    priority
}

fn priority_is_free(reader: &mut Reader, node: &Node, priority: i64, taken: &[(i64, &Node)]) {
    let Some((_, other)) = taken.iter().find(|(number, _)| *number == priority) else { return };
    let place = |node: &Node| reader.origin(node.get("priority").unwrap_or(node));
    let diagnostic = Diagnostic::error("E0708", format!("two queues of one pool have priority {priority}"))
        .at(place(node), "this one as well")
        .at(place(other), "taken here")
        .help("give each queue of a pool another priority; the server would push one of them back");
    reader.diagnostics.push(diagnostic);
}
