//! Blocks: their data with secrets, environment and references filled in, checked against the form of their type.

use serde_json::Value;

use crate::manifest::resources::{Item, known_types};
use crate::model::{Kind, Path, Secret, Tree};

use super::{Filler, block_reference, named_block};

/// The form of a block type, as the API describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockForm {
    /// Its JSON Schema.
    pub fields: Value,
    /// Dotted paths of secrets; `.*` at the end means everything below.
    pub secrets: Vec<String>,
}

impl BlockForm {
    /// The form that a schema of the API describes.
    pub fn of(fields: Value) -> Self {
        let secrets = fields["secret_fields"].as_array().into_iter().flatten();
        let secrets = secrets.filter_map(|path| path.as_str().map(str::to_owned)).collect();
        BlockForm { fields, secrets }
    }
}

/// The form of a block type that git declares.
pub fn own_type(item: &Item) -> Option<(String, BlockForm)> {
    if item.key.kind != Kind::BlockType {
        return None;
    }
    let fields = item.fields.get("fields").and_then(|fields| fields.revealed(&|_| None)).unwrap_or_default();
    let mut form = BlockForm::of(fields);
    let own = item.fields.get("secret_fields").and_then(Tree::as_list).into_iter().flatten();
    form.secrets.extend(own.filter_map(|path| path.as_str().map(str::to_owned)));
    Some((item.key.name.clone(), form))
}

impl Filler<'_> {
    /// The data of a block.
    pub(super) fn data(&mut self, declared: &Tree) -> Tree {
        let at = Path::of("data");
        let Tree::Map(entries) = declared else { return declared.clone() };
        let mut out = crate::model::Map::new();
        for (key, value) in entries {
            let below = at.key(key);
            let value = match named_block(value) {
                Some(block) => block_reference(self.reference(block, &below)),
                None => self.filled(&below, value),
            };
            out.insert(key.clone(), value);
        }
        self.sealed(&at, Tree::Map(out))
    }

    /// The same with what stands where secrets belong sealed, and a warning where that is plain text.
    fn sealed(&mut self, at: &Path, data: Tree) -> Tree {
        let slug = self.item.key.name.split('/').next().unwrap_or_default();
        let form = self.own_types.get(slug).or_else(|| self.facts.block_types.as_ref()?.get(slug)).cloned();
        let Some(form) = form else { return data };
        let mut data = data;
        for secret in &form.secrets {
            let keys: Vec<&str> = secret.split('.').collect();
            self.seal(at, &mut data, &keys);
        }
        data
    }

    fn seal(&mut self, at: &Path, tree: &mut Tree, keys: &[&str]) {
        let Some((first, rest)) = keys.split_first() else {
            let is_plain = !matches!(tree, Tree::Secret(_) | Tree::Null | Tree::Unknown(_)) && !tree.has_secret();
            // Of types that everybody knows it was told when the file was read.
            let slug = self.item.key.name.split('/').next().unwrap_or_default();
            let is_told = known_types().contains_key(slug);
            if is_plain && !is_told && tree.get("$ref").is_none() {
                let message = format!("`{at}` is a secret and stands in plain text");
                self.warn("W0757", at, message, "take it from the environment or from a file: `{ from_env: NAME }`");
            }
            if let Some(value) = tree.revealed(&|_| None).filter(|value| !value.is_null()) {
                *tree = Tree::Secret(Secret::new(value));
            }
            return;
        };
        let Tree::Map(map) = tree else { return };
        for (key, value) in map.iter_mut().filter(|(key, _)| *first == "*" || key == first) {
            self.seal(&at.key(key), value, rest);
        }
    }
}
