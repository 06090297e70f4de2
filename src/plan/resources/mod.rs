//! Items of resource files and facts → what each object should be. Ask, then answer: nothing here reaches out.

mod automation;
mod block;
mod block_type;
mod fill;
mod pool;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::manifest::project::IgnoreDrift;
use crate::manifest::resources::Item;
use crate::model::{Key, Kind, Map, Origin, Path, RepoPath, Secret, Tree};

use super::want::Object;

pub use block::BlockForm;
pub use fill::SecretFile;
pub use pool::default_template;

/// What has to be asked before items can be filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Files that hold secrets.
    pub secrets: BTreeSet<SecretFile>,
    /// Base job templates, as JSON files of the repository.
    pub templates: BTreeSet<RepoPath>,
    /// Block types, by slug.
    pub block_types: BTreeSet<String>,
}

/// What is known of the world when items are filled.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The environment; values that may not be shown are sealed.
    pub env: BTreeMap<String, Tree>,
    /// What files of secrets hold, or why they cannot be read.
    pub secrets: BTreeMap<SecretFile, Result<Secret, String>>,
    /// What files of base job templates hold, or why they cannot be read.
    pub templates: BTreeMap<RepoPath, Result<Value, String>>,
    /// The forms of the block types that the API knows; `None` when no API is asked.
    pub block_types: Option<BTreeMap<String, BlockForm>>,
    /// Whether templates stay as they are written, for comparing files with files.
    pub symbolic: bool,
    /// Whether what the environment lacks is left open, for looking at files only.
    pub open: bool,
}

/// How the project wants its objects treated.
pub struct House<'a> {
    /// Paths whose drift is nobody's business.
    pub ignore_drift: &'a [IgnoreDrift],
    /// Whether every field is ours.
    pub strict: bool,
}

/// What has to be asked about some items.
pub fn questions(items: &[Item]) -> Questions {
    let mut out = Questions::default();
    for item in items {
        fill::secret_files(item, &mut out.secrets);
        out.templates.extend(pool::template_file(item));
        if item.key.kind == Kind::Block {
            out.block_types.extend(item.key.name.split('/').next().map(str::to_owned));
        }
        out.block_types.extend(block_type::nested(item));
    }
    out
}

/// What every object should be. An item with a problem is told and left out.
pub fn objects(
    items: &[Item],
    facts: &Facts,
    house: &House<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<Key, Object> {
    let mut objects = BTreeMap::new();
    let own_types: BTreeMap<String, BlockForm> = items.iter().filter_map(block::own_type).collect();
    for item in items {
        let mut filler = Filler {
            item,
            facts,
            own_types: &own_types,
            needs: BTreeMap::new(),
            if_new: Vec::new(),
            diagnostics,
            failed: false,
        };
        filler.renamed();
        let Some((fields, along)) = filler.fields() else { continue };
        let (needs, if_new) = (filler.needs, filler.if_new);
        for object in pool::derived(item) {
            objects.insert(object.key.clone(), object);
        }
        objects.insert(item.key.clone(), Object { if_new, ..object(item, fields, along, needs, house) });
    }
    in_order(&mut objects);
    circles(&objects, diagnostics);
    objects
}

fn object(
    item: &Item,
    fields: BTreeMap<String, Tree>,
    along: BTreeMap<String, Tree>,
    needs: BTreeMap<Key, Origin>,
    house: &House<'_>,
) -> Object {
    let lifecycle = item.lifecycle.clone();
    let mut ignore_drift: BTreeSet<String> = lifecycle.ignore_drift.iter().map(Path::to_string).collect();
    let of_house = house.ignore_drift.iter().filter(|pattern| pattern.covers(&item.key, &pattern.path));
    ignore_drift.extend(of_house.map(|pattern| pattern.path.to_string()));
    let (key, origin, strict) = (item.key.clone(), item.origin(), house.strict);
    Object { key, origin, fields, along, needs, if_new: Vec::new(), lifecycle, ignore_drift, strict }
}

/// Queues of a pool are written in the order of their priorities: a new one takes its number from those that have it.
fn in_order(objects: &mut BTreeMap<Key, Object>) {
    let priority = |object: &Object| match object.fields.get("priority") {
        Some(Tree::Number(n)) => n.as_i64().unwrap_or(i64::MAX),
        Some(_) | None => i64::MAX,
    };
    let queues = objects.values().filter(|object| object.key.kind == Kind::WorkQueue);
    let mut queues: Vec<(String, i64, Key, Origin)> = queues
        .map(|object| {
            let pool = object.key.name.split('/').next().unwrap_or_default().to_owned();
            (pool, priority(object), object.key.clone(), object.origin.clone())
        })
        .collect();
    queues.sort_by(|a, b| (&a.0, a.1, &a.2).cmp(&(&b.0, b.1, &b.2)));
    for pair in queues.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        if let Some(later) = objects.get_mut(&pair[1].2) {
            later.needs.insert(pair[0].2.clone(), pair[0].3.clone());
        }
    }
}

fn circles(objects: &BTreeMap<Key, Object>, diagnostics: &mut Vec<Diagnostic>) {
    let needs = objects.values().map(|object| (object.key.clone(), object.needs.keys().cloned().collect())).collect();
    let Some(circle) = super::order::circle(&needs) else { return };
    let names: Vec<String> = circle.iter().chain(circle.first()).map(|key| format!("`{key}`")).collect();
    let message = format!("objects need each other in a circle: {}", names.join(" → "));
    let mut diagnostic = Diagnostic::error("E0750", message).help("take one of these references out");
    for (n, key) in circle.iter().enumerate() {
        let next = &circle[(n + 1) % circle.len()];
        if let Some(origin) = objects.get(key).and_then(|object| object.needs.get(next)) {
            diagnostic = diagnostic.at(origin.clone(), format!("`{key}` needs `{next}`"));
        }
    }
    diagnostics.push(diagnostic);
}

/// One item on its way.
struct Filler<'a> {
    item: &'a Item,
    facts: &'a Facts,
    own_types: &'a BTreeMap<String, BlockForm>,
    needs: BTreeMap<Key, Origin>,
    if_new: Vec<Diagnostic>,
    diagnostics: &'a mut Vec<Diagnostic>,
    failed: bool,
}

type Fields = BTreeMap<String, Tree>;

impl Filler<'_> {
    fn fields(&mut self) -> Option<(Fields, Fields)> {
        let mut fields = Fields::new();
        for (name, value) in &self.item.fields {
            let at = Path::of(name);
            let value = match (self.item.key.kind, name.as_str()) {
                (Kind::Automation, "trigger") => self.trigger(&at, value),
                (Kind::Automation, "actions" | "actions_on_trigger" | "actions_on_resolve") => self.actions(&at, value),
                // Their templates are the server's.
                (Kind::Automation, _) => value.clone(),
                (Kind::WorkPool, "base_job_template") => self.template(value)?,
                (Kind::WorkPool, "storage_configuration") => self.storage(value),
                (Kind::Block, "data") => self.data(value),
                (Kind::BlockType, "fields") => self.schema(value),
                _ => self.filled(&at, value),
            };
            fields.insert(name.clone(), value);
        }
        if self.item.key.kind == Kind::BlockType {
            let secrets = self.secrets(fields.remove("secret_fields"));
            fields.extend(secrets.map(|all| ("secret_fields".to_owned(), all)));
        }
        self.parents();
        let along = self.along(&fields);
        (!self.failed).then_some((fields, along))
    }

    fn renamed(&mut self) {
        if let Some(old) = &self.item.lifecycle.replaces {
            let message = format!("`replaces: {old}` has no effect: only deployments are renamed");
            let help = "the object is made under its new name; the old one is held, or deleted with `--prune`";
            self.warn("W0760", &Path::of("lifecycle"), message, help);
        }
    }

    /// What an object is a part of comes before it.
    fn parents(&mut self) {
        let Some(parent) = self.item.key.whole() else { return };
        // A type of somebody else's is no object of ours.
        if parent.kind == Kind::BlockType && !self.own_types.contains_key(&parent.name) {
            return;
        }
        self.needs.insert(parent, self.item.origin());
    }

    /// What is sent when it is made, and is no difference by itself.
    fn along(&self, fields: &Fields) -> Fields {
        if self.item.key.kind == Kind::BlockType {
            return self.definitions().map(|all| ("definitions".to_owned(), all)).into_iter().collect();
        }
        if self.item.key.kind != Kind::WorkPool || fields.contains_key("base_job_template") {
            return Fields::new();
        }
        // `prefect work-pool create` gives a new pool the template of its type as well.
        let kind = fields.get("type").and_then(Tree::as_str).unwrap_or_default();
        let template = pool::default_template(kind).map(|template| ("base_job_template".to_owned(), template));
        template.into_iter().collect()
    }

    /// A reference to another object, as its id.
    fn reference(&mut self, key: Key, at: &Path) -> Tree {
        self.needs.insert(key.clone(), self.place(at));
        Tree::IdOf(key)
    }

    /// Where a value stands, as near as can be told.
    fn place(&self, at: &Path) -> Origin {
        self.item.origin_of(at)
    }

    fn error(&mut self, code: &'static str, at: &Path, message: String, help: &str) {
        self.failed = true;
        self.diagnostics.push(Diagnostic::error(code, message).at(self.place(at), "").help(help));
    }

    fn warn(&mut self, code: &'static str, at: &Path, message: String, help: &str) {
        self.diagnostics.push(Diagnostic::warning(code, message).at(self.place(at), "").help(help));
    }
}

/// A mapping with one entry.
fn single(key: &str, value: Tree) -> Tree {
    Tree::Map(Map::from([(key.to_owned(), value)]))
}

/// A reference to a block as the API wants it.
fn block_reference(id: Tree) -> Tree {
    single("$ref", single("block_document_id", id))
}
