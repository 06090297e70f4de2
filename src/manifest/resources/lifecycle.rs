//! `lifecycle:` of an item: whether it is pruned, adopted, renamed, and whose drift is nobody's business.

use super::Lifecycle;
use super::reader::Reader;
use crate::diagnostic::did_you_mean;
use crate::manifest::node::{Node, Value};
use crate::manifest::prefect_yaml::LIFECYCLE_KEYS;
use crate::model::Path;

/// Reads it; what is wrong counts as not said.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Lifecycle {
    let mut lifecycle = Lifecycle::default();
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("`lifecycle` must be a mapping, not {}", node.value.type_name());
        reader.error("E0712", node, message, "write `lifecycle: { prune: false }`");
        return lifecycle;
    }
    for (key, value) in node.entries() {
        match key.as_str() {
            Some("prune") => lifecycle.prune = flag(reader, "prune", value),
            Some("adopt") => lifecycle.adopt = flag(reader, "adopt", value).unwrap_or_default(),
            Some("replaces") => lifecycle.replaces = replaces(reader, value),
            Some("ignore_drift") => lifecycle.ignore_drift = paths(reader, value),
            other => {
                let word = other.unwrap_or("?");
                let help = did_you_mean(word, LIFECYCLE_KEYS)
                    .unwrap_or_else(|| format!("use one of {}", LIFECYCLE_KEYS.join(", ")));
                reader.error("E0712", key, format!("`{word}` is not a key of `lifecycle`"), help);
            }
        }
    }
    lifecycle
}

fn flag(reader: &mut Reader, key: &str, node: &Node) -> Option<bool> {
    if let Value::Bool(flag) = node.value {
        return Some(flag);
    }
    let message = format!("`{key}` of `lifecycle` must be true or false, not {}", node.value.type_name());
    reader.error("E0712", node, message, format!("write `{key}: true` or `{key}: false`"));
    None
}

fn replaces(reader: &mut Reader, node: &Node) -> Option<String> {
    if let Some(name) = node.as_str().filter(|name| !name.is_empty()) {
        return Some(name.to_owned());
    }
    let message = format!("`replaces` of `lifecycle` must be the old name, not {}", node.value.type_name());
    reader.error("E0712", node, message, "write the name that it had before");
    None
}

fn paths(reader: &mut Reader, node: &Node) -> Vec<Path> {
    if !matches!(node.value, Value::List(_)) {
        let message = format!("`ignore_drift` of `lifecycle` must be a list, not {}", node.value.type_name());
        reader.error("E0712", node, message, "write `ignore_drift: [tags, data.bucket_folder]`");
    }
    let mut paths = Vec::new();
    for item in node.items() {
        match item.as_str().map(str::parse::<Path>) {
            Some(Ok(path)) if !path.0.is_empty() => paths.push(path),
            _ => {
                let message = "an item of `ignore_drift` must be the path of a field";
                reader.error("E0712", item, message, "write it as plans print it, such as `data.bucket_folder`");
            }
        }
    }
    paths
}
