//! Items of `tag_concurrency_limits:`: how many tasks with a tag may run at once.

use super::names;
use super::reader::{Draft, Reader};
use crate::manifest::node::Node;
use crate::model::{Key, Kind};

pub(in crate::manifest) const KEYS: [&str; 2] = ["tag", "limit"];

pub(super) fn read(reader: &mut Reader, node: &Node) {
    let Some(mut draft) = Draft::begin(reader, node, "a tag concurrency limit", &KEYS) else { return };
    let tag = draft.name("tag", names::tag);
    draft.must_have("limit", "write `limit:` and how many tasks with this tag may run at once");
    draft.count("limit", "concurrency_limit", 0);
    if let Some(tag) = tag {
        draft.finish(Key::new(Kind::TagConcurrencyLimit, tag));
    }
}
