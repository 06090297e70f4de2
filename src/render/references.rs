//! `References`: everything a template refers to, so that the API is asked once for all of it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{Path, Seg, Tree};

use super::blocks::{Ref, reference};
use super::placeholder::{PlaceholderKind, block_name, env_name, placeholders, variable_name};

/// What a template refers to, each with the places where it does.
///
/// A value that is filled in can itself hold placeholders for a later pass, so the references of the filled template
/// are asked for again before that pass. Names that stand inside sealed values are listed like all others, with their
/// places, for the API to be asked: do not print them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Blocks, by the slug of the type and the name. Malformed names are left out.
    pub blocks: BTreeMap<(String, String), Vec<Path>>,
    /// Block documents in `$ref` mappings, by id.
    pub block_ids: BTreeMap<String, Vec<Path>>,
    /// Variables.
    pub variables: BTreeMap<String, Vec<Path>>,
    /// Environment variables written `$NAME`.
    pub env: BTreeMap<String, Vec<Path>>,
    /// Standard placeholders: step outputs, environment variables without `$`, `ctx.` names.
    pub outputs: BTreeMap<String, Vec<Path>>,
}

/// Whether any pass could change this or find something wrong with it. Most values hold no placeholder: they need not be
/// walked and copied by every pass.
pub fn may_refer(template: &Tree) -> bool {
    match template {
        Tree::Text(text) => text.contains("{{"),
        Tree::List(items) => items.iter().any(may_refer),
        Tree::Map(map) => map.iter().any(|(key, value)| key == "$ref" || may_refer(value)),
        Tree::Secret(_) => true,
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::IdOf(_) | Tree::Unknown(_) => false,
    }
}

/// Everything a template refers to.
pub fn references(template: &Tree) -> References {
    references_except(template, &|_| false)
}

/// The same without the blocks at the places that `keep` names, as [`super::fill_blocks_except`] needs none there.
pub fn references_except(template: &Tree, keep: &dyn Fn(&Path) -> bool) -> References {
    let mut search = Search { found: References::default(), path: Path::root(), keep };
    search.tree(template);
    search.found
}

impl References {
    /// Takes in what another template refers to.
    pub fn extend(&mut self, other: References) {
        fn merge<K: Ord>(into: &mut BTreeMap<K, Vec<Path>>, from: BTreeMap<K, Vec<Path>>) {
            for (key, mut paths) in from {
                into.entry(key).or_default().append(&mut paths);
            }
        }
        merge(&mut self.blocks, other.blocks);
        merge(&mut self.block_ids, other.block_ids);
        merge(&mut self.variables, other.variables);
        merge(&mut self.env, other.env);
        merge(&mut self.outputs, other.outputs);
    }
}

struct Search<'a> {
    found: References,
    path: Path,
    keep: &'a dyn Fn(&Path) -> bool,
}

impl Search<'_> {
    fn tree(&mut self, tree: &Tree) {
        match tree {
            Tree::Text(text) => self.text(text),
            Tree::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.below(Seg::Item(i.to_string()), |search| search.tree(item));
                }
            }
            Tree::Map(map) => {
                if let Ref::To(id) = reference(map)
                    && !(self.keep)(&self.path)
                {
                    return self.found.block_ids.entry(id).or_default().push(self.path.clone());
                }
                for (key, value) in map {
                    self.below(Seg::Key(key.clone()), |search| search.tree(value));
                }
            }
            Tree::Secret(secret) => match secret.reveal() {
                Value::String(text) => self.text(text),
                Value::Array(_) | Value::Object(_) => self.tree(&Tree::from(secret.reveal())),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            },
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::IdOf(_) | Tree::Unknown(_) => {}
        }
    }

    fn below(&mut self, seg: Seg, then: impl FnOnce(&mut Self)) {
        self.path.0.push(seg);
        then(self);
        self.path.0.pop();
    }

    fn text(&mut self, text: &str) {
        for found in placeholders(text) {
            let path = self.path.clone();
            let name = match found.kind {
                PlaceholderKind::Block => {
                    if let Some(of) = block_name(&found.name)
                        && !(self.keep)(&path)
                    {
                        push(&mut self.found.blocks, (of.slug, of.name), path);
                    }
                    continue;
                }
                PlaceholderKind::Variable => variable_name(&found.name),
                PlaceholderKind::Env => env_name(&found.name).to_owned(),
                PlaceholderKind::Output => found.name,
            };
            let into = match found.kind {
                PlaceholderKind::Variable => &mut self.found.variables,
                PlaceholderKind::Env => &mut self.found.env,
                PlaceholderKind::Output | PlaceholderKind::Block => &mut self.found.outputs,
            };
            // `{{ $ }}` and `{{ prefect.variables. }}` name nothing that could be asked for.
            if !name.is_empty() {
                push(into, name, path);
            }
        }
    }
}

fn push<K: Ord>(into: &mut BTreeMap<K, Vec<Path>>, key: K, path: Path) {
    let paths = into.entry(key).or_default();
    if paths.last() != Some(&path) {
        paths.push(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;
    use serde_json::json;

    #[test]
    fn what_no_pass_could_change_is_known() {
        for (template, expected) in [
            (json!({"{{ key }}": [1, "a{b}}", null, true]}), false),
            (json!({"a": ["{{ x }}"]}), true),
            (json!([{"$ref": 1}]), true),
        ] {
            assert_eq!(may_refer(&Tree::from(template.clone())), expected, "{template}");
        }
        assert!(may_refer(&Tree::List(vec![Tree::Secret(Secret::text("x"))])));
    }

    #[test]
    fn everything_is_found_with_its_place() {
        let mut template = Tree::from(json!({
            "a": "{{ prefect.blocks.secret.tok.k }}{{ prefect.variables.v }}{{ $E }}{{ out.x }}",
            "l": [{"$ref": {"block_document_id": "id-1"}}, "{{ prefect.blocks.bad }}", "{{ out.x }} {{ out.x }}", "{{ $ }}"],
        }));
        if let Tree::Map(map) = &mut template {
            map.insert("s".to_owned(), Tree::Secret(Secret::new(json!(["{{ prefect.variables.w }}"]))));
        }
        let found = references(&template);
        assert_eq!(found.blocks.keys().collect::<Vec<_>>(), [&("secret".to_owned(), "tok".to_owned())]);
        assert_eq!(found.block_ids["id-1"], [Path::of("l").item(0)]);
        assert_eq!(found.variables.keys().collect::<Vec<_>>(), ["v", "w"]);
        assert_eq!(found.variables["w"], [Path::of("s").item(0)]);
        assert_eq!(found.env.keys().collect::<Vec<_>>(), ["E"]);
        assert_eq!(found.outputs["out.x"], [Path::of("a"), Path::of("l").item(2)]);
        assert!(references_except(&template, &|path| *path == Path::of("a")).blocks.is_empty());
    }
}
