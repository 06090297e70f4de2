//! `storage:` of a work pool: a bucket of one of three clouds, or Prefect's own three keys.
//!
//! Source: `prefect work-pool storage configure` of Prefect 3.8.8, `prefect/cli/work_pool.py`.

use crate::manifest::node::{Node, Value};
use crate::manifest::resources::reader::{Draft, Reader};
use crate::manifest::resources::references;
use crate::model::{Map, Tree};

/// One cloud that flows can be stored at.
pub(in crate::manifest) struct Backend {
    /// Its key below `storage`.
    pub key: &'static str,
    /// What its place is called.
    pub place: &'static str,
    /// The type of its credentials.
    pub credentials: &'static str,
    /// The module of the steps.
    module: &'static str,
    /// The package of that module.
    package: &'static str,
    /// The argument of the steps that names the credentials.
    argument: &'static str,
}

/// The clouds.
pub(in crate::manifest) const BACKENDS: [Backend; 3] = [
    Backend {
        key: "s3",
        place: "bucket",
        credentials: "aws-credentials",
        module: "prefect_aws",
        package: "prefect-aws",
        argument: "aws_credentials_block_name",
    },
    Backend {
        key: "gcs",
        place: "bucket",
        credentials: "gcp-credentials",
        module: "prefect_gcp",
        package: "prefect-gcp",
        argument: "gcp_credentials_block_name",
    },
    Backend {
        key: "azure",
        place: "container",
        credentials: "azure-blob-storage-credentials",
        module: "prefect_azure",
        package: "prefect-azure",
        argument: "azure_blob_storage_credentials_block_name",
    },
];

/// What the API itself calls its parts.
pub(in crate::manifest) const PREFECT_KEYS: [&str; 3] =
    ["bundle_upload_step", "bundle_execution_step", "default_result_storage_block_id"];

const KEY: &str = "storage";
const API: &str = "storage_configuration";

pub(super) fn read(draft: &mut Draft) {
    let Some(node) = draft.node.get(KEY) else { return };
    let help = "write `storage: { s3: { bucket: … } }`, or `{}` for none";
    if !draft.reader.is_mapping(node, "`storage`", help) {
        return;
    }
    let told = draft.reader.diagnostics.len();
    check(draft.reader, node);
    let fine = draft.reader.diagnostics.len() == told;
    if let Some(tree) = draft.reader.json(node).filter(|_| fine) {
        draft.set(KEY, API, tree);
    }
}

fn check(reader: &mut Reader, node: &Node) {
    let known: Vec<&str> = BACKENDS.iter().map(|backend| backend.key).chain(PREFECT_KEYS).collect();
    reader.known_keys(node, "`storage`", &known);
    let named: Vec<&Backend> = BACKENDS.iter().filter(|backend| node.get(backend.key).is_some()).collect();
    let own = PREFECT_KEYS.iter().any(|key| node.get(key).is_some());
    if named.len() > 1 || (own && !named.is_empty()) {
        reader.error("E0714", node, "`storage` names more than one place", "keep one of them");
    }
    for backend in named {
        if let Some(value) = node.get(backend.key) {
            check_backend(reader, value, backend);
        }
    }
    for key in &PREFECT_KEYS[..2] {
        if let Some(step) = node.get(key).filter(|step| !step.is_null()) {
            check_step(reader, step, key);
        }
    }
    if let Some(id) = node.get(PREFECT_KEYS[2]) {
        check_result_storage(reader, id);
    }
}

fn check_backend(reader: &mut Reader, node: &Node, backend: &Backend) {
    let (key, place) = (backend.key, backend.place);
    if !reader.is_mapping(node, &format!("`{key}`"), &format!("write `{key}: {{ {place}: … }}`")) {
        return;
    }
    reader.known_keys(node, &format!("`{key}`"), &[place, "credentials"]);
    if node.get(place).and_then(Node::as_str).is_none_or(str::is_empty) {
        let place_node = node.get(place).unwrap_or(node);
        let message = format!("`{key}` must say which `{place}`");
        reader.error("E0714", place_node, message, format!("write `{place}:` and its name"));
    }
    let Some(credentials) = node.get("credentials").filter(|node| !node.is_null()) else { return };
    let slug = backend.credentials;
    let fits = references::block(credentials).is_some_and(|found| found.split('/').next() == Some(slug));
    if !fits {
        let message = format!("the credentials of `{key}` must be a block of type `{slug}`");
        reader.error("E0714", credentials, message, format!("write `credentials: {{ block: {slug}/name }}`"));
    }
}

/// A step is a mapping with the name of a function and its arguments.
fn check_step(reader: &mut Reader, node: &Node, key: &str) {
    let fits = match node.entries() {
        [(name, inputs)] => name.as_str().is_some() && matches!(inputs.value, Value::Map(_)),
        _ => false,
    };
    if !fits {
        let help = "write `package.module.function: { argument: value }` below it";
        reader.error("E0714", node, format!("`{key}` must be one step"), help);
    }
}

fn check_result_storage(reader: &mut Reader, node: &Node) {
    let id = node.as_str().is_some_and(is_uuid);
    if !id && !node.is_null() && references::block(node).is_none() {
        let message = "`default_result_storage_block_id` must be a block or its id";
        reader.error("E0714", node, message, "write `{ block: s3-bucket/results }`");
    }
}

/// Whether a text is an id of the API.
fn is_uuid(text: &str) -> bool {
    let hex = text.bytes().filter(|b| b.is_ascii_hexdigit()).count();
    let dashes = text.bytes().filter(|b| *b == b'-').count();
    hex == 32 && hex + dashes == text.len()
}

/// The three keys that the API takes, of a `storage` as declared; what it does not name is null.
///
/// A block is left as declared where the API wants its id. The commands of Prefect also make a block for results; this
/// makes none.
pub fn storage_configuration(declared: &Tree) -> Map {
    let mut keys: Map = PREFECT_KEYS.iter().map(|key| ((*key).to_owned(), Tree::Null)).collect();
    for (key, value) in declared.as_map().into_iter().flatten() {
        match BACKENDS.iter().find(|backend| backend.key == key) {
            Some(backend) => {
                keys.insert(PREFECT_KEYS[0].to_owned(), step(backend, "upload", value));
                keys.insert(PREFECT_KEYS[1].to_owned(), step(backend, "execute", value));
            }
            None => {
                keys.insert(key.clone(), value.clone());
            }
        }
    }
    keys
}

fn step(backend: &Backend, what: &str, declared: &Tree) -> Tree {
    let mut arguments = Map::new();
    arguments.insert(backend.place.to_owned(), declared.get(backend.place).cloned().unwrap_or(Tree::Null));
    let block = declared.get("credentials").and_then(|credentials| credentials.get("block")).and_then(Tree::as_str);
    if let Some((_, name)) = block.and_then(|block| block.split_once('/')) {
        arguments.insert(backend.argument.to_owned(), Tree::text(name));
    }
    arguments.insert("requires".to_owned(), Tree::text(backend.package));
    let function = format!("{}.experimental.bundles.{what}", backend.module);
    Tree::Map(Map::from([(function, Tree::Map(arguments))]))
}
