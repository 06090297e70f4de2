//! Items of `blocks:`, whose `data` may refer to other blocks, the environment and files.

use super::known_types::{KnownType, known_types};
use super::names;
use super::reader::{Draft, Reader};
use super::references::{self, BLOCK};
use crate::diagnostic::{Diagnostic, nearest};
use crate::manifest::node::{Node, Value};
use crate::model::{Key, Kind};

pub(in crate::manifest) const KEYS: [&str; 4] = ["type", "name", "data", "schema"];
pub(in crate::manifest) const PIN_KEYS: [&str; 2] = ["version", "checksum"];

/// Where a value comes from when it does not stand in the file.
pub(in crate::manifest) const FROM: [&str; 2] = ["from_env", "from_file"];

/// How a value that comes from elsewhere is read.
const FORMATS: [&str; 2] = ["text", "json"];

/// So many asterisks are what the API and Prefect print for a secret: 8 and 10 of them.
const MASK: usize = 8;

pub(super) fn read(reader: &mut Reader, node: &Node) {
    let Some(mut draft) = Draft::begin(reader, node, "a block", &KEYS) else { return };
    let slug = draft.key_part("type", names::type_of_block);
    let name = draft.key_part("name", names::block);
    data(&mut draft);
    schema(&mut draft);
    if let (Some(data), Some(known)) = (node.get("data"), slug.as_ref().and_then(|slug| known_types().get(slug))) {
        warn(draft.reader, slug.as_deref().unwrap_or_default(), known, data);
    }
    if let (Some(slug), Some(name)) = (slug, name) {
        draft.finish(Key::new(Kind::Block, format!("{slug}/{name}")));
    }
}

fn data(draft: &mut Draft) {
    let Some(node) = draft.node.get("data") else { return };
    if !draft.reader.is_mapping(node, "`data`", "write the fields of the block below it") {
        return;
    }
    let told = draft.reader.diagnostics.len();
    for (key, value) in node.entries() {
        match key.as_str() {
            Some(_) => check_value(draft.reader, value, true),
            None => draft.reader.error("E0701", key, "a field of a block must be text", "put quotes around it"),
        }
    }
    if draft.reader.diagnostics.len() == told {
        draft.any("data");
    }
}

fn check_value(reader: &mut Reader, node: &Node, top: bool) {
    match &node.value {
        Value::Map(entries) if entries.iter().any(|(key, _)| is_source(key)) => check_source(reader, node),
        Value::Map(entries) => {
            check_reference(reader, node, top);
            entries.iter().for_each(|(_, value)| check_value(reader, value, false));
        }
        Value::List(items) | Value::Set(items) => items.iter().for_each(|item| check_value(reader, item, false)),
        Value::Text(text) if text.len() >= MASK && text.bytes().all(|b| b == b'*') => {
            let help = "write the value itself, `{ from_env: NAME }` or `{ from_file: path }`";
            reader.error("E0711", node, "asterisks stand where a secret was; they would overwrite it", help);
        }
        Value::Text(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Date(_)
        | Value::Naive(_)
        | Value::Aware(..)
        | Value::Bytes(_) => {}
    }
}

fn is_source(key: &Node) -> bool {
    key.as_str().is_some_and(|word| FROM.contains(&word))
}

fn check_source(reader: &mut Reader, node: &Node) {
    let (sources, others): (Vec<_>, Vec<_>) = node.entries().iter().partition(|(key, _)| is_source(key));
    let of_file = sources.iter().any(|(key, _)| key.as_str() == Some("from_file"));
    let strange = others.iter().find(|(key, value)| match key.as_str() {
        Some("format") => !value.as_str().is_some_and(|format| FORMATS.contains(&format)),
        Some("key") => !of_file || value.as_str().is_none_or(str::is_empty),
        Some("sops") => !of_file || !matches!(value.value, Value::Bool(_)),
        _ => true,
    });
    let ([(key, value)], None) = (&sources[..], strange) else {
        let help = "write `{ from_env: NAME }` or `{ from_file: path }`; beside them `format: json` may stand, and beside \
                    `from_file` also `sops: true` and `key: path.in.file`";
        let place = strange.map_or(node, |(key, _)| key);
        reader.error("E0710", place, "a value comes from one place, and nothing else stands beside it", help);
        return;
    };
    let word = key.as_str().unwrap_or_default();
    let text = value.as_str().unwrap_or_default();
    match word {
        "from_env" if !is_env_name(text) => {
            let help = "write a name such as `{ from_env: DB_PASSWORD }`";
            reader.error("E0710", value, "`from_env` must name an environment variable", help);
        }
        "from_file" if text.is_empty() => {
            let help = "write a path such as `{ from_file: /run/secrets/db }`";
            reader.error("E0710", value, "`from_file` must be the path of a file", help);
        }
        _ => {}
    }
}

fn is_env_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(plain)
}

/// A reference is `{ block: type/name }`, and counts only at the top of `data`.
fn check_reference(reader: &mut Reader, node: &Node, top: bool) {
    let [(key, value)] = node.entries() else { return };
    if key.as_str() != Some(BLOCK) {
        return;
    }
    let valid = is_reference(node);
    if top && !valid {
        let help = "write the slug of its type and its name: `{ block: aws-credentials/prod }`";
        reader.error("E0710", value, "the reference does not name a block", help);
    } else if !top && valid {
        let help = "move it to the top of `data`; deeper down, the API keeps references unresolved";
        reader.error("E0710", node, "a reference to a block stands below the top of `data`", help);
    }
}

/// Whether it is `{ block: type/name }`.
fn is_reference(node: &Node) -> bool {
    matches!(node.entries(), [(key, value)] if key.as_str() == Some(BLOCK) && value.as_str().is_some_and(references::is_block))
}

/// What is possible and most likely a mistake: a field that is misspelt, a secret that everybody with the repository reads.
fn warn(reader: &mut Reader, slug: &str, known: &KnownType, data: &Node) {
    for (key, value) in data.entries() {
        let Some(field) = key.as_str() else { continue };
        if !known.field_names().any(|name| name == field)
            && let Some(meant) = nearest(field, known.field_names())
        {
            let message = format!("`{field}` is not a field of `{slug}`");
            let diagnostic = Diagnostic::warning("W0722", message).at(reader.origin(key), "");
            reader.diagnostics.push(diagnostic.help(format!("did you mean `{meant}`?")));
        }
        warn_of_secrets(reader, known, &mut vec![field], value);
    }
}

fn warn_of_secrets<'n>(reader: &mut Reader, known: &KnownType, path: &mut Vec<&'n str>, node: &'n Node) {
    if let Value::Map(entries) = &node.value {
        if entries.iter().any(|(key, _)| is_source(key)) || (path.len() == 1 && is_reference(node)) {
            return;
        }
        for (key, value) in entries {
            path.push(key.as_str().unwrap_or_default());
            warn_of_secrets(reader, known, path, value);
            path.pop();
        }
        return;
    }
    let written = match &node.value {
        Value::Null => false,
        Value::Text(text) => !text.is_empty() && !text.contains("{{"),
        _ => true,
    };
    if written && (known.is_secret(path) || (path.first() == Some(&"value") && known.is_secret(&["value"]))) {
        let message = format!("`{}` is a secret, and stands in the file in clear", path.join("."));
        let diagnostic = Diagnostic::warning("W0721", message).at(reader.origin(node), "");
        let help =
            "write `{ from_env: NAME }` or `{ from_file: path }`, and replace the secret: it is in the history of git";
        reader.diagnostics.push(diagnostic.help(help));
    }
}

/// `schema: { version: … }` or `{ checksum: … }`: the schema to use instead of the newest.
fn schema(draft: &mut Draft) {
    let Some(node) = draft.node.get("schema") else { return };
    let help = "write `schema: { version: \"0.5.8\" }` or `schema: { checksum: \"sha256:…\" }`";
    if !draft.reader.is_mapping(node, "`schema`", help) {
        return;
    }
    draft.reader.known_keys(node, "`schema`", &PIN_KEYS);
    match node.entries() {
        [(key, value)] if value.as_str().is_some_and(|text| !text.is_empty()) => {
            let sum = value.as_str().unwrap_or_default();
            if key.as_str() == Some("checksum") && !is_checksum(sum) {
                let help = "it is `sha256:` and 64 hexadecimal digits";
                draft.reader.error("E0718", value, "`checksum` is not the checksum of a schema", help);
                return;
            }
            draft.any("schema");
        }
        _ => draft.reader.error("E0718", node, "`schema` must name one version or one checksum, as text", help),
    }
}

fn is_checksum(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}
