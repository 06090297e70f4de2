//! Work pools: base job templates from their type or from files, patched; where they store bundles and results.

use serde_json::Value;

use crate::manifest::resources::{Item, block_of, storage_configuration};
use crate::model::{Key, Kind, Map, Path, RepoPath, Tree};

use super::{Filler, Object, block_reference};

/// The base job templates of Prefect's own types of pools. Source: the collections that Prefect 3.8.8 ships
/// (`GET /collections/views/aggregate-worker-metadata`).
const TEMPLATES: [(&str, &str); 8] = [
    ("azure-container-instance", include_str!("../../../templates/pools/azure-container-instance.json")),
    ("cloud-run", include_str!("../../../templates/pools/cloud-run.json")),
    ("cloud-run-v2", include_str!("../../../templates/pools/cloud-run-v2.json")),
    ("docker", include_str!("../../../templates/pools/docker.json")),
    ("ecs", include_str!("../../../templates/pools/ecs.json")),
    ("kubernetes", include_str!("../../../templates/pools/kubernetes.json")),
    ("process", include_str!("../../../templates/pools/process.json")),
    ("vertex-ai", include_str!("../../../templates/pools/vertex-ai.json")),
];

/// The base job template of a type of pools.
pub fn default_template(kind: &str) -> Option<Tree> {
    let (_, text) = TEMPLATES.iter().find(|(name, _)| *name == kind)?;
    let template: Value = serde_json::from_str(text).expect("the templates are JSON");
    Some(Tree::from(template))
}

/// The file that a pool takes its template from.
pub fn template_file(item: &Item) -> Option<RepoPath> {
    let declared = item.fields.get("base_job_template").filter(|_| item.key.kind == Kind::WorkPool)?;
    let file = declared.get("file")?.as_str()?;
    let named_in = item.origin_of(&Path::of("base_job_template").key("file")).file;
    Some(named_in.parent().join(file))
}

impl Filler<'_> {
    /// The template that a pool declares.
    pub(super) fn template(&mut self, declared: &Tree) -> Option<Tree> {
        let at = Path::of("base_job_template");
        if self.facts.symbolic {
            return Some(declared.clone());
        }
        let is_own = declared.get("job_configuration").is_some() || declared.as_map().is_some_and(|map| map.is_empty());
        let mut template = if is_own {
            declared.clone()
        } else if let Some(path) = template_file(self.item) {
            match self.facts.templates.get(&path) {
                Some(Ok(template)) => Tree::from(template),
                Some(Err(why)) => {
                    let message = format!("the base job template `{path}` cannot be read: {why}");
                    self.error("E0754", &at.key("file"), message, "it is a JSON file, named relative to this file");
                    return None;
                }
                None => return Some(declared.clone()),
            }
        } else {
            let kind = self.item.fields.get("type").and_then(Tree::as_str).unwrap_or_default();
            let Some(template) = default_template(kind) else {
                let known: Vec<&str> = TEMPLATES.iter().map(|(name, _)| *name).collect();
                let message = format!("there is no default template for work pools of type `{kind}`");
                let help =
                    format!("name a `file`, or write the template here; defaults are known for {}", known.join(", "));
                self.error("E0755", &at, message, &help);
                return None;
            };
            template
        };
        if let Some(Tree::Map(patch)) = declared.get("patch") {
            for (path, value) in patch {
                self.patch(&mut template, path, value);
            }
        }
        Some(self.with_blocks(&at, &template))
    }

    /// Sets the value at a dotted path; mappings on the way are made.
    fn patch(&mut self, template: &mut Tree, path: &str, value: &Tree) {
        let at = Path::of("base_job_template").key("patch").key(path);
        let value = self.filled(&at, value);
        let mut place = template;
        let mut keys = path.split('.').peekable();
        while let Some(key) = keys.next() {
            let Tree::Map(map) = place else {
                let message = format!("`{path}` leads through a value that is not a mapping");
                return self.error("E0756", &at, message, "correct the path: keys of mappings, separated by dots");
            };
            if keys.peek().is_none() {
                map.insert(key.to_owned(), value);
                return;
            }
            place = map.entry(key.to_owned()).or_insert_with(|| Tree::Map(Map::new()));
        }
    }

    /// A tree with references to blocks as the API wants them, at any depth.
    pub(super) fn with_blocks(&mut self, at: &Path, tree: &Tree) -> Tree {
        if let Some(block) = block_of(tree) {
            return block_reference(self.reference(block, at));
        }
        match tree {
            Tree::Map(map) => {
                Tree::Map(map.iter().map(|(key, value)| (key.clone(), self.with_blocks(&at.key(key), value))).collect())
            }
            Tree::List(items) => {
                Tree::List(items.iter().enumerate().map(|(n, item)| self.with_blocks(&at.item(n), item)).collect())
            }
            other => other.clone(),
        }
    }

    /// Where a pool stores bundles of flows, and the block for its results.
    pub(super) fn storage(&mut self, declared: &Tree) -> Tree {
        let at = Path::of("storage_configuration");
        let declared = self.filled(&at, declared);
        let mut keys = storage_configuration(&declared);
        if let Some((store, inputs)) = store_of(&declared) {
            let below = at.key(store.word);
            if let Some(block) = inputs.get("credentials").and_then(block_of) {
                self.needs.insert(block, self.place(&below.key("credentials")));
            }
            let id = self.reference(result_block(&self.item.key.name, store), &below);
            keys.insert("default_result_storage_block_id".to_owned(), id);
        }
        for (key, value) in &mut keys {
            if let Some(block) = block_of(value) {
                *value = self.reference(block, &at.key(key));
            }
        }
        Tree::Map(keys)
    }
}

/// The kind of storage that is declared, and its inputs.
fn store_of(declared: &Tree) -> Option<(&'static Store, &Tree)> {
    STORES.iter().find_map(|store| Some((store, declared.get(store.word)?)))
}

/// What the block for results is made of, by the kind of storage. Source: `prefect/cli/work_pool.py` (3.8.8),
/// `storage configure`.
struct Store {
    word: &'static str,
    /// The key that says where.
    place: &'static str,
    /// The type of the block.
    slug: &'static str,
    /// Its keys for the place, the folder and the credentials.
    keys: [&'static str; 3],
}

const STORES: [Store; 3] = [
    Store { word: "s3", place: "bucket", slug: "s3-bucket", keys: ["bucket_name", "bucket_folder", "credentials"] },
    Store { word: "gcs", place: "bucket", slug: "gcs-bucket", keys: ["bucket", "bucket_folder", "gcp_credentials"] },
    Store {
        word: "azure",
        place: "container",
        slug: "azure-blob-storage-container",
        keys: ["container_name", "base_folder", "credentials"],
    },
];

/// The block that a pool's results are written with.
fn result_block(pool: &str, store: &Store) -> Key {
    Key::new(Kind::Block, format!("{}/default-{}-result-storage", store.slug, pool.to_lowercase()))
}

/// The objects that an item brings along: the block for the results of a pool with storage.
pub fn derived(item: &Item) -> Vec<Object> {
    let Some(declared) = item.fields.get("storage_configuration").filter(|_| item.key.kind == Kind::WorkPool) else {
        return Vec::new();
    };
    let Some((store, inputs)) = store_of(declared) else { return Vec::new() };
    let [place, folder, credentials] = store.keys;
    let mut data = Map::new();
    let mut needs = std::collections::BTreeMap::new();
    data.insert(place.to_owned(), inputs.get(store.place).cloned().unwrap_or(Tree::Null));
    data.insert(folder.to_owned(), Tree::text("results"));
    if let Some(block) = inputs.get("credentials").and_then(block_of) {
        data.insert(credentials.to_owned(), block_reference(Tree::IdOf(block.clone())));
        needs.insert(block, item.origin());
    }
    vec![Object {
        key: result_block(&item.key.name, store),
        origin: item.origin(),
        fields: super::Fields::from([("data".to_owned(), Tree::Map(data))]),
        along: super::Fields::new(),
        needs,
        if_new: Vec::new(),
        lifecycle: crate::manifest::resources::Lifecycle { adopt: item.lifecycle.adopt, ..Default::default() },
        ignore_drift: std::collections::BTreeSet::new(),
        strict: false,
    }]
}
