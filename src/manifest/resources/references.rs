//! Names that stand where the API wants ids: `{ block: type/name }`, `deployment: flow/name` and their like.

use super::{Item, names};
use crate::manifest::node::Node;
use crate::model::{Key, Kind, Path, Tree};

/// The key of a reference to a block.
pub(super) const BLOCK: &str = "block";

/// Keys of actions and triggers of automations that name an object, and the kind that it has.
pub(super) const NAMES: [(&str, Kind); 5] = [
    ("deployment", Kind::Deployment),
    ("work_pool", Kind::WorkPool),
    ("work_queue", Kind::WorkQueue),
    ("block", Kind::Block),
    ("automation", Kind::Automation),
];

/// What a value refers to if it is `{ block: type/name }`.
pub(super) fn block(node: &Node) -> Option<&str> {
    match node.entries() {
        [(key, value)] if key.as_str() == Some(BLOCK) => value.as_str().filter(|name| is_block(name)),
        _ => None,
    }
}

/// Whether a text is a type's slug and a block's name.
pub(super) fn is_block(text: &str) -> bool {
    match text.split_once('/') {
        Some((slug, name)) => names::slug(slug).is_none() && names::block(name).is_none(),
        None => false,
    }
}

/// Whether a text can name an object of a kind.
pub(super) fn is_name(kind: Kind, text: &str) -> bool {
    let pair = |fits: fn(&str) -> bool| text.split_once('/').is_some_and(|(a, b)| fits(a) && fits(b));
    let plain = |part: &str| !part.is_empty() && !part.contains('/') && !part.contains("{{");
    match kind {
        Kind::Block => is_block(text),
        Kind::Deployment | Kind::WorkQueue => pair(plain),
        Kind::WorkPool => plain(text),
        Kind::Automation => !text.is_empty() && !text.contains("{{"),
        Kind::BlockType | Kind::Variable | Kind::ConcurrencyLimit | Kind::TagConcurrencyLimit | Kind::Flow => false,
    }
}

/// Every name in an item that stands for an id: where below `fields`, and what it names.
///
/// The value there is `{ block: type/name }` in blocks, pools and their storage, and the name itself in automations.
/// What an item needs because of its own name is not listed: a block its type, a queue its pool.
pub fn references(item: &Item) -> Vec<(Path, Key)> {
    let mut found = Vec::new();
    match item.key.kind {
        Kind::Block => {
            for (field, value) in item.fields.get("data").and_then(Tree::as_map).into_iter().flatten() {
                if let Some(block) = block_of(value) {
                    found.push((Path::of("data").key(field), block));
                }
            }
        }
        Kind::WorkPool => {
            for field in ["base_job_template", "storage_configuration"] {
                if let Some(value) = item.fields.get(field) {
                    blocks(value, Path::of(field), &mut found);
                }
            }
        }
        Kind::Automation => {
            for field in ["trigger", "actions", "actions_on_trigger", "actions_on_resolve"] {
                if let Some(value) = item.fields.get(field) {
                    named(value, Path::of(field), &mut found);
                }
            }
        }
        Kind::BlockType
        | Kind::Variable
        | Kind::WorkQueue
        | Kind::ConcurrencyLimit
        | Kind::TagConcurrencyLimit
        | Kind::Flow
        | Kind::Deployment => {}
    }
    found
}

/// The block that a value refers to if it is `{ block: type/name }`.
pub fn block_of(tree: &Tree) -> Option<Key> {
    let map = tree.as_map().filter(|map| map.len() == 1)?;
    let name = map.get(BLOCK).and_then(Tree::as_str).filter(|name| is_block(name))?;
    Some(Key::new(Kind::Block, name))
}

/// References to blocks at any depth.
fn blocks(tree: &Tree, path: Path, found: &mut Vec<(Path, Key)>) {
    if let Some(block) = block_of(tree) {
        found.push((path, block));
        return;
    }
    match tree {
        Tree::Map(map) => map.iter().for_each(|(key, value)| blocks(value, path.key(key), found)),
        Tree::List(items) => items.iter().enumerate().for_each(|(i, item)| blocks(item, path.item(i), found)),
        Tree::Null
        | Tree::Bool(_)
        | Tree::Number(_)
        | Tree::Text(_)
        | Tree::Secret(_)
        | Tree::IdOf(_)
        | Tree::Unknown(_) => {}
    }
}

/// Names in actions and triggers. What a flow run is given is the user's own and names nothing.
fn named(tree: &Tree, path: Path, found: &mut Vec<(Path, Key)>) {
    match tree {
        Tree::Map(map) => {
            for (key, value) in map {
                match (NAMES.iter().find(|(name, _)| name == key), value.as_str()) {
                    (Some((_, kind)), Some(name)) if is_name(*kind, name) => {
                        found.push((path.key(key), Key::new(*kind, name)));
                    }
                    _ if key == "triggers" => named(value, path.key(key), found),
                    _ => {}
                }
            }
        }
        Tree::List(items) => items.iter().enumerate().for_each(|(i, item)| named(item, path.item(i), found)),
        Tree::Null
        | Tree::Bool(_)
        | Tree::Number(_)
        | Tree::Text(_)
        | Tree::Secret(_)
        | Tree::IdOf(_)
        | Tree::Unknown(_) => {}
    }
}
