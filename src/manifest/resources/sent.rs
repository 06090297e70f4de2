//! An item's fields → what is sent of them: names become ids, and what the server would fill in is there.

use super::automation::{actions, trigger};
use super::references::block_of;
use super::work_pool::storage_configuration;
use super::{Item, Map};
use crate::model::{Key, Kind, Tree};

/// The fields of an item in the form in which they are sent and in which `resource::found` gives them. Only declared
/// fields are there. `id` gives the server's ids where they are known; where they may come later, they stay `IdOf`.
///
/// Left as declared, because they need more than the file: `from_env` and `from_file` in blocks, and base job templates
/// that are derived from others.
pub fn sent(item: &Item, id: &dyn Fn(&Key) -> Option<String>) -> Map {
    let each = item.fields.iter().map(|(field, value)| {
        let value = match (item.key.kind, field.as_str()) {
            (Kind::Block, "data") => block_data(value),
            (Kind::WorkPool, "base_job_template") => with_references(value),
            (Kind::WorkPool, "storage_configuration") => storage(value),
            (Kind::Automation, "trigger") => trigger::sent(value, id),
            (Kind::Automation, "actions" | "actions_on_trigger" | "actions_on_resolve") => match value {
                Tree::List(items) => Tree::List(items.iter().map(actions::sent).collect()),
                _ => value.clone(),
            },
            _ => value.clone(),
        };
        (field.clone(), value)
    });
    each.collect()
}

/// Only the top of a block's data can refer to other blocks.
fn block_data(data: &Tree) -> Tree {
    let Tree::Map(fields) = data else { return data.clone() };
    Tree::Map(
        fields.iter().map(|(key, value)| (key.clone(), reference(value).unwrap_or_else(|| value.clone()))).collect(),
    )
}

/// `{ block: type/name }` as the API has it.
fn reference(tree: &Tree) -> Option<Tree> {
    let id = Tree::IdOf(Key::new(Kind::Block, block_of(tree)?));
    let inner = Tree::Map(Map::from([("block_document_id".to_owned(), id)]));
    Some(Tree::Map(Map::from([("$ref".to_owned(), inner)])))
}

fn with_references(tree: &Tree) -> Tree {
    match (reference(tree), tree) {
        (Some(reference), _) => reference,
        (None, Tree::Map(map)) => {
            Tree::Map(map.iter().map(|(key, value)| (key.clone(), with_references(value))).collect())
        }
        (None, Tree::List(items)) => Tree::List(items.iter().map(with_references).collect()),
        (None, _) => tree.clone(),
    }
}

fn storage(declared: &Tree) -> Tree {
    let mut keys = storage_configuration(declared);
    for value in keys.values_mut() {
        if let Some(name) = block_of(value) {
            *value = Tree::IdOf(Key::new(Kind::Block, name));
        }
    }
    Tree::Map(keys)
}
