//! Items of `variables:`.

use super::names;
use super::reader::{Draft, Reader};
use crate::manifest::node::Node;
use crate::model::{Key, Kind, Tree};

pub(in crate::manifest) const KEYS: [&str; 3] = ["name", "value", "tags"];

/// How long the value may be as compact JSON, in bytes.
///
/// Source: Prefect 3.8.8 `prefect/types/__init__.py`.
const LONGEST: usize = 5000;

pub(super) fn read(reader: &mut Reader, node: &Node) {
    let Some(mut draft) = Draft::begin(reader, node, "a variable", &KEYS) else { return };
    let name = draft.name("name", names::variable);
    draft.must_have("value", "write `value:` and any JSON, `null` for none");
    draft.any("value");
    check_length(&mut draft);
    draft.texts("tags");
    if let Some(name) = name {
        draft.finish(Key::new(Kind::Variable, name));
    }
}

fn check_length(draft: &mut Draft) {
    let length = draft.field("value").map_or(0, |value: &Tree| value.masked().to_string().len());
    if let (Some(node), true) = (draft.node.get("value"), length > LONGEST) {
        let message = format!("the value is {length} bytes long as JSON; a variable holds at most {LONGEST}");
        let help = "split it into several variables, or keep it in a `json` or `secret` block";
        draft.reader.error("E0709", node, message, help);
    }
}
