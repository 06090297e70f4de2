//! The block types that every Prefect server has: their fields, and which of them are secret.
//!
//! Source: what a fresh server of Prefect 3.8.8 has registered, without titles and descriptions.

use std::sync::LazyLock;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

/// One block type with its newest schema.
#[derive(Debug, Deserialize)]
pub struct KnownType {
    /// What people call it.
    pub name: String,
    /// The version of its schema.
    pub version: String,
    /// The checksum of its schema.
    pub checksum: String,
    /// What its blocks can do.
    pub capabilities: Vec<String>,
    /// Paths that are hidden; `.*` at the end means everything below.
    pub secret_fields: Vec<String>,
    /// A JSON Schema; definitions of other blocks hold nothing but their `block_type_slug`.
    pub fields: Value,
}

static KNOWN: LazyLock<IndexMap<String, KnownType>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../templates/block_types.json")).expect("the file is our own")
});

/// All of them, by slug.
pub fn known_types() -> &'static IndexMap<String, KnownType> {
    &KNOWN
}

impl KnownType {
    /// The names of its fields.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// Whether a path into its data is secret.
    pub fn is_secret(&self, path: &[&str]) -> bool {
        self.secret_fields.iter().any(|secret| match secret.strip_suffix(".*") {
            Some(above) => below(above, path),
            None => secret.split('.').eq(path.iter().copied()),
        })
    }
}

/// Whether a path leads to something below another.
fn below(above: &str, path: &[&str]) -> bool {
    let parts: Vec<&str> = above.split('.').collect();
    path.len() > parts.len() && path.starts_with(&parts)
}
