//! What is there: each kind of object read in as few requests as the API allows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Api;
use super::error::ApiError;
use super::routes::route;
use crate::model::{Kind, Secret};

/// So many names fit into one filter; databases limit the variables of a statement.
pub(super) const NAMES_AT_ONCE: usize = 1000;

/// Which objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All there are.
    All,
    /// Those with one of these names or ids. An id that is no UUID belongs to nothing.
    Of {
        /// Names; deployments are meant by their own name, without the flow's.
        names: BTreeSet<String>,
        /// The server's ids.
        ids: BTreeSet<String>,
    },
}

impl Which {
    /// Those with one of these names.
    pub fn named<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Which::Of { names: names.into_iter().map(Into::into).collect(), ids: BTreeSet::new() }
    }

    /// Those with one of these ids.
    pub fn ids<N: Into<String>>(ids: impl IntoIterator<Item = N>) -> Self {
        Which::Of { names: BTreeSet::new(), ids: ids.into_iter().map(Into::into).collect() }
    }

    /// The filters to send, one request each.
    pub(super) fn filters(&self) -> Vec<Value> {
        let Which::Of { names, ids } = self else { return vec![json!({})] };
        let names: Vec<&String> = names.iter().collect();
        let ids: Vec<&String> = ids.iter().filter(|id| uuid::Uuid::parse_str(id).is_ok()).collect();
        let chunks = names.len().max(ids.len()).div_ceil(NAMES_AT_ONCE);
        let part = |all: &[&String], n: usize| -> Vec<String> {
            all.iter().skip(n * NAMES_AT_ONCE).take(NAMES_AT_ONCE).map(|text| (*text).clone()).collect()
        };
        (0..chunks)
            .map(|n| {
                let mut filter = json!({"operator": "or_"});
                for (key, values) in [("name", part(&names, n)), ("id", part(&ids, n))] {
                    if !values.is_empty() {
                        filter[key] = json!({"any_": values});
                    }
                }
                filter
            })
            .collect()
    }
}

impl Api {
    /// Deployments as the API gives them. Names are not unique across flows: more may come than were meant.
    pub async fn deployments(&self, which: &Which) -> Result<Vec<Value>, ApiError> {
        self.paged("/deployments/paginate", "deployments", which, "the deployments").await
    }

    /// Flows as the API gives them.
    pub async fn flows(&self, which: &Which) -> Result<Vec<Value>, ApiError> {
        self.paged("/flows/paginate", "flows", which, "the flows").await
    }

    /// Work pools as the API gives them, base job templates included.
    pub async fn work_pools(&self, names: Option<&BTreeSet<String>>) -> Result<Vec<Value>, ApiError> {
        self.named_rows(Kind::WorkPool, names).await
    }

    /// Automations as the API gives them: without their owner.
    pub async fn automations(&self, names: Option<&BTreeSet<String>>) -> Result<Vec<Value>, ApiError> {
        self.named_rows(Kind::Automation, names).await
    }

    /// The values of variables, by name.
    pub async fn variables(&self, names: Option<&BTreeSet<String>>) -> Result<BTreeMap<String, Value>, ApiError> {
        let rows = self.named_rows(Kind::Variable, names).await?;
        let named = rows.into_iter().filter_map(|mut row| Some((text(&row, "name")?, row["value"].take())));
        Ok(named.collect())
    }

    /// The data of block documents, secrets included, by type slug and name. Those that do not exist are missing.
    ///
    /// One request for all: it asks for the wanted names of the wanted types, which can be a few more documents.
    pub async fn blocks(
        &self,
        wanted: &BTreeSet<(String, String)>,
    ) -> Result<BTreeMap<(String, String), Secret>, ApiError> {
        let mut found = BTreeMap::new();
        let wanted_list: Vec<&(String, String)> = wanted.iter().collect();
        for chunk in wanted_list.chunks(NAMES_AT_ONCE) {
            let slugs: BTreeSet<&String> = chunk.iter().map(|(slug, _)| slug).collect();
            let names: BTreeSet<&String> = chunk.iter().map(|(_, name)| name).collect();
            let filter = json!({
                "block_types": {"slug": {"any_": slugs}},
                // Anonymous documents can be referred to by name as well, and are hidden otherwise.
                "block_documents": {"name": {"any_": names}, "is_anonymous": null},
                "include_secrets": true,
                "sort": route(Kind::Block).sort,
            });
            for mut row in self.client.filter("/block_documents/filter", &filter, "the blocks").await? {
                let Some(key) = text(&row["block_type"], "slug").zip(text(&row, "name")) else { continue };
                if wanted.contains(&key) {
                    found.insert(key, Secret::new(row["data"].take()));
                }
            }
        }
        Ok(found)
    }

    /// The data of block documents, secrets included, by id. Those that do not exist are missing.
    pub async fn blocks_by_id(&self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Secret>, ApiError> {
        let mut found = BTreeMap::new();
        let ids: Vec<&String> = ids.iter().filter(|id| uuid::Uuid::parse_str(id).is_ok()).collect();
        for chunk in ids.chunks(NAMES_AT_ONCE) {
            let filter = json!({
                "block_documents": {"id": {"any_": chunk}, "is_anonymous": null},
                "include_secrets": true,
                "sort": route(Kind::Block).sort,
            });
            for mut row in self.client.filter("/block_documents/filter", &filter, "the blocks").await? {
                if let Some(id) = text(&row, "id") {
                    found.insert(id, Secret::new(row["data"].take()));
                }
            }
        }
        Ok(found)
    }

    async fn paged(&self, path: &str, kind: &str, which: &Which, what: &str) -> Result<Vec<Value>, ApiError> {
        let mut all = indexmap::IndexMap::new();
        for filter in which.filters() {
            let filter = if *which == Which::All { json!({}) } else { json!({ kind: filter }) };
            for row in self.client.paginate(path, &filter, what).await? {
                all.insert(text(&row, "id"), row);
            }
        }
        Ok(all.into_values().collect())
    }

    async fn named_rows(&self, kind: Kind, names: Option<&BTreeSet<String>>) -> Result<Vec<Value>, ApiError> {
        self.rows(kind, &names.map_or(Which::All, |names| Which::named(names.iter().cloned()))).await
    }
}

/// A text of a row.
pub(super) fn text(row: &Value, key: &str) -> Option<String> {
    row[key].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_cut_and_odd_ids_dropped() {
        assert_eq!(Which::All.filters().len(), 1);
        assert!(Which::named(Vec::<String>::new()).filters().is_empty());
        assert!(Which::ids(["not-a-uuid"]).filters().is_empty());
        let filters = Which::named((0..1001).map(|n| n.to_string())).filters();
        assert_eq!(
            filters.iter().map(|f| f["name"]["any_"].as_array().map(Vec::len)).collect::<Vec<_>>(),
            [Some(1000), Some(1)]
        );
        assert_eq!(filters[1]["operator"], "or_");
    }
}
