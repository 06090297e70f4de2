//! Items of `work_pools:`, with their job templates, storage and queues.

mod storage;
mod template;

use super::names;
use super::reader::{Draft, Reader};
use super::work_queue;
use crate::manifest::node::Node;
use crate::model::{Key, Kind};

pub(in crate::manifest) use storage::BACKENDS;
pub use storage::storage_configuration;

pub(in crate::manifest) const KEYS: [&str; 8] =
    ["name", "type", "description", "paused", "concurrency_limit", "base_job_template", "storage", "queues"];

pub(super) fn read(reader: &mut Reader, node: &Node) {
    let Some(mut draft) = Draft::begin(reader, node, "a work pool", &KEYS) else { return };
    let name = draft.name("name", names::work_pool);
    draft.must_have("type", "write `type:` and a type of worker, such as `process`, `docker` or `kubernetes`");
    draft.name_of_type();
    draft.text_or_null("description");
    draft.flag("paused", "is_paused");
    draft.count_or_null("concurrency_limit", "concurrency_limit", 0);
    template::read(&mut draft);
    storage::read(&mut draft);
    if let Some(name) = &name {
        draft.finish(Key::new(Kind::WorkPool, name));
    }
    if let Some(queues) = node.get("queues") {
        work_queue::read(reader, queues, name.as_deref());
    }
}

impl Draft<'_, '_, '_> {
    fn name_of_type(&mut self) {
        match self.node.get("type") {
            Some(node) if node.as_str().is_some_and(|text| text.trim().is_empty()) => {
                let help = "write a type of worker, such as `process`, `docker` or `kubernetes`";
                self.reader.error("E0704", node, "the type of a work pool cannot be empty", help);
            }
            _ => self.text("type"),
        }
    }
}
