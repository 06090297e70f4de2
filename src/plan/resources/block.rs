//! Blocks: their data with secrets, environment and references filled in, checked against the form of their type.

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::manifest::resources::{Item, block_of, known_types};
use crate::model::{Key, Kind, Map, Path, Secret, Tree};
use crate::resource::block_data;
use crate::resource::schema_check::Misfit;

use super::{Filler, block_reference};

/// The form of a block type, as the API describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockForm {
    /// Its JSON Schema.
    pub fields: Value,
    /// Dotted paths of secrets; `.*` at the end means everything below.
    pub secrets: Vec<String>,
    /// The version of this schema; empty where there is none.
    pub version: String,
    /// Its checksum; empty where it is not known yet.
    pub checksum: String,
}

impl BlockForm {
    /// The form that a schema of the API describes.
    pub fn of(mut schema: Value) -> Self {
        let fields = schema["fields"].take();
        let secrets = fields["secret_fields"].as_array().into_iter().flatten();
        let secrets = secrets.filter_map(|path| path.as_str().map(str::to_owned)).collect();
        let text = |key: &str| schema[key].as_str().unwrap_or_default().to_owned();
        BlockForm { secrets, version: text("version"), checksum: text("checksum"), fields }
    }

    /// The form of a type that every server has.
    fn known(slug: &str) -> Option<Self> {
        let known = known_types().get(slug)?;
        let (version, checksum) = (known.version.clone(), known.checksum.clone());
        Some(BlockForm { fields: known.fields.clone(), secrets: known.secret_fields.clone(), version, checksum })
    }

    /// Whether a block that pins `schema` is made by this form.
    fn is(&self, pinned: Option<&Tree>) -> bool {
        let pin = |key: &str| pinned.and_then(|pinned| pinned.get(key)).and_then(Tree::as_str);
        pin("version").is_none_or(|version| version == self.version)
            && pin("checksum").is_none_or(|checksum| checksum == self.checksum)
    }
}

/// The form of a block type that git declares.
pub fn own_type(item: &Item) -> Option<(String, BlockForm)> {
    if item.key.kind != Kind::BlockType {
        return None;
    }
    let fields = item.fields.get("fields").and_then(|fields| fields.revealed(&|_| None)).unwrap_or_default();
    let mut form = BlockForm::of(json!({ "fields": fields }));
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
            let value = match block_of(value) {
                Some(block) => block_reference(self.reference(block, &below)),
                None => self.filled(&below, value),
            };
            out.insert(key.clone(), value);
        }
        let data = Tree::Map(out);
        if !self.failed {
            self.check(&at, &data);
        }
        self.sealed(&at, data)
    }

    /// Complains of what the class of the block would refuse.
    fn check(&mut self, at: &Path, data: &Tree) {
        let Some((slug, _)) = self.item.key.name.split_once('/') else { return };
        let slug = slug.to_owned();
        if !self.is_type(&slug) {
            return self.no_type(&slug, &Path::of("type"));
        }
        let Some(form) = self.form(&slug) else { return };
        self.check_references(at, data, &slug, &form);
        let mut open = Vec::new();
        let data = with_holes(data, &Path::root(), &mut open);
        let found = block_data::misfits(&data, &form.fields, &open);
        for misfit in &found.wrong {
            let (place, message) = told(at, &slug, misfit);
            self.error("E0770", &place, message, "correct it; the block could not be loaded when a run needs it");
        }
        for misfit in &found.doubtful {
            let (place, message) = told(at, &slug, misfit);
            self.warn(
                "W0771",
                &place,
                message,
                "write a mapping or a list, unless the block's class parses the text itself",
            );
        }
        for misfit in &found.missing {
            let (place, message) = told(at, &slug, misfit);
            let help = "add it to `data`";
            let problem = Diagnostic::error("E0770", message.clone()).at(self.place(&place), "").help(help);
            match self.facts.block_types {
                // A block that is there may have it, and keeps it.
                Some(_) => self.if_new.push(problem),
                None => self.warn("W0771", &place, message, "add it to `data`, unless the block is there and has it"),
            }
        }
    }

    /// Complains of references to blocks whose class is surely none that the field takes: a class of somebody's own may be
    /// derived from one that it takes, one that Prefect ships is not.
    fn check_references(&mut self, at: &Path, data: &Tree, slug: &str, form: &BlockForm) {
        for (field, value) in data.as_map().into_iter().flatten() {
            let id = value.get("$ref").and_then(|reference| reference.get("block_document_id"));
            let Some(Tree::IdOf(Key { name, .. })) = id else { continue };
            let Some((given, _)) = name.split_once('/').filter(|(given, _)| known_types().contains_key(*given)) else {
                continue;
            };
            let Some(taken) = block_data::blocks_taken(&form.fields, field) else { continue };
            // What is no type of its own is a base class, of which nobody knows what is derived from it.
            if taken.contains(given) || !taken.iter().all(|slug| self.is_registered(slug)) {
                continue;
            }
            let taken: Vec<String> = taken.iter().map(|slug| format!("`{slug}`")).collect();
            let place = at.key(field);
            let message = format!(
                "`{place}` does not fit the block type `{slug}`: it is a block of type `{given}`, and the field takes {}",
                taken.join(" or ")
            );
            self.error("E0770", &place, message, "refer to a block of such a type");
        }
    }

    /// Whether somebody is known to have registered such a type.
    fn is_registered(&self, slug: &str) -> bool {
        let on_api = self.facts.block_types.as_ref().is_some_and(|types| types.contains_key(slug));
        on_api || self.own_types.contains_key(slug) || known_types().contains_key(slug)
    }

    /// Whether there is such a type. Without an API anything may be one.
    pub(super) fn is_type(&self, slug: &str) -> bool {
        self.facts.block_types.is_none() || self.is_registered(slug)
    }

    pub(super) fn no_type(&mut self, slug: &str, at: &Path) {
        let known = self.own_types.keys().chain(known_types().keys()).map(String::as_str);
        let help = did_you_mean(slug, known).unwrap_or_else(|| {
            "declare it below `block_types:`, or register it with `prefect block register`".to_owned()
        });
        let message = format!("there is no block type `{slug}`, neither in git nor on the API");
        self.error("E0773", at, message, &help);
    }

    /// The schema that a block of this type gets: that of git, of the API, or of a fresh server.
    fn form(&self, slug: &str) -> Option<BlockForm> {
        let pinned = self.item.fields.get("schema");
        let api = self.facts.block_types.as_ref();
        let own = self.own_types.get(slug).cloned();
        let forms = [own, api.and_then(|types| types.get(slug)).cloned(), BlockForm::known(slug)];
        forms.into_iter().flatten().find(|form| form.is(pinned))
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

/// Where a value stands that does not fit, and what to say of it.
fn told(at: &Path, slug: &str, misfit: &Misfit) -> (Path, String) {
    let place = Path(at.0.iter().chain(&misfit.path.0).cloned().collect());
    let message = format!("`{place}` does not fit the block type `{slug}`: {}", misfit.why);
    (place, message)
}

/// True JSON with null where a value is not known yet; such places go to `open`.
fn with_holes(tree: &Tree, at: &Path, open: &mut Vec<Path>) -> Value {
    let is_source = |map: &Map| ["from_env", "from_file"].iter().any(|word| map.contains_key(*word));
    match tree {
        Tree::Map(map) if !is_source(map) && !map.contains_key("$ref") && block_of(tree).is_none() => {
            let below = |(key, value): (&String, &Tree)| (key.clone(), with_holes(value, &at.key(key), open));
            Value::Object(map.iter().map(below).collect())
        }
        Tree::List(items) => {
            Value::Array(items.iter().enumerate().map(|(n, item)| with_holes(item, &at.item(n), open)).collect())
        }
        Tree::Text(text) if text.contains("{{") => hole(at, open),
        Tree::Map(_) | Tree::Unknown(_) | Tree::IdOf(_) => hole(at, open),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::Secret(_) => {
            tree.revealed(&|_| None).unwrap_or_default()
        }
    }
}

fn hole(at: &Path, open: &mut Vec<Path>) -> Value {
    open.push(at.clone());
    Value::Null
}
