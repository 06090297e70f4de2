//! The lists of all kinds: what is asked for, and what has to be put together from more than one answer.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::error::ApiError;
use super::reads::{NAMES_AT_ONCE, text};
use super::routes::route;
use super::{Api, Which};
use crate::model::Kind;

impl Api {
    /// The rows of a kind by its row of the table. Where the API cannot be asked for names and ids, all come.
    pub(super) async fn rows(&self, kind: Kind, which: &Which) -> Result<Vec<Value>, ApiError> {
        let row = route(kind);
        let filters = match (which, row.filter) {
            // Prefect 3.8.3 and older refuse to be asked for automations by id.
            (Which::Of { ids, .. }, _) if kind == Kind::Automation && !ids.is_empty() => vec![json!({})],
            (Which::Of { .. }, Some(name)) => which.filters().into_iter().map(|asked| json!({ name: asked })).collect(),
            (Which::All, _) | (_, None) => vec![json!({})],
        };
        let mut found = IndexMap::new();
        for mut filter in filters {
            if let Some(sort) = row.sort {
                filter["sort"] = json!(sort);
            }
            let rows = self.client.filter(row.list, &filter, row.all).await?;
            found.extend(rows.into_iter().map(|row| (text(&row, "id"), row)));
        }
        Ok(found.into_values().collect())
    }

    /// Queues of all pools. The API sorts them by name alone, so where a page ends among queues of one name, rows can
    /// be lost; then the pools are asked one by one.
    pub(super) async fn queue_rows(&self, which: &Which) -> Result<Vec<Value>, ApiError> {
        let wanted = match which {
            Which::All => Which::All,
            Which::Of { names, ids } => {
                let own = names.iter().filter_map(|name| name.split_once('/')).map(|(_, queue)| queue.to_owned());
                Which::Of { names: own.collect(), ids: ids.clone() }
            }
        };
        let row = route(Kind::WorkQueue);
        let mut found = IndexMap::new();
        for asked in wanted.filters() {
            let filter = if *which == Which::All { json!({}) } else { json!({ "work_queues": asked }) };
            let Some(rows) = self.client.filter_settled(row.list, &filter, row.all).await? else {
                return self.queues_by_pool(which).await;
            };
            found.extend(rows.into_iter().map(|row| (text(&row, "id"), row)));
        }
        Ok(found.into_values().collect())
    }

    async fn queues_by_pool(&self, which: &Which) -> Result<Vec<Value>, ApiError> {
        let pools: BTreeSet<String> = match which {
            Which::Of { names, ids } if ids.is_empty() => {
                names.iter().filter_map(|name| name.split_once('/')).map(|(pool, _)| pool.to_owned()).collect()
            }
            Which::All | Which::Of { .. } => {
                self.work_pools(None).await?.iter().filter_map(|row| text(row, "name")).collect()
            }
        };
        let all = route(Kind::WorkQueue).all;
        let asked = pools.iter().map(|pool| async move {
            let path = format!("/work_pools/{}/queues/filter", super::writes::segment(pool));
            match self.client.filter(&path, &json!({}), all).await {
                Err(error) if error.is_not_found() => Ok(Vec::new()),
                result => result,
            }
        });
        let found = futures_util::future::try_join_all(asked).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Limits of tags. Their own list loses rows on a page where other limits come first, so those that are kept as
    /// global limits are read from there; older servers keep some only in the list of their own.
    pub(super) async fn tag_rows(&self) -> Result<Vec<Value>, ApiError> {
        let mut found: IndexMap<Option<String>, Value> = IndexMap::new();
        for row in self.rows(Kind::TagConcurrencyLimit, &Which::All).await? {
            found.insert(text(&row, "tag"), row);
        }
        for mut row in self.rows(Kind::ConcurrencyLimit, &Which::All).await? {
            let Some(tag) = text(&row, "name").and_then(|name| name.strip_prefix("tag:").map(str::to_owned)) else {
                continue;
            };
            row["tag"] = json!(tag);
            row["concurrency_limit"] = row["limit"].take();
            found.entry(Some(tag)).or_insert(row);
        }
        Ok(found.into_values().collect())
    }

    /// Blocks with their secrets; anonymous ones belong to what uses them.
    pub(super) async fn block_rows(&self, which: &Which) -> Result<Vec<Value>, ApiError> {
        let mut filters = Vec::new();
        match which {
            Which::All => filters.push(json!({})),
            Which::Of { names, ids } => {
                let names: Vec<(&str, &str)> = names.iter().filter_map(|name| name.split_once('/')).collect();
                for chunk in names.chunks(NAMES_AT_ONCE) {
                    let slugs: BTreeSet<&str> = chunk.iter().map(|(slug, _)| *slug).collect();
                    let names: BTreeSet<&str> = chunk.iter().map(|(_, name)| *name).collect();
                    filters.push(json!({
                        "block_types": {"slug": {"any_": slugs}},
                        "block_documents": {"name": {"any_": names}, "is_anonymous": {"eq_": false}},
                    }));
                }
                let ids: Vec<&String> = ids.iter().filter(|id| uuid::Uuid::parse_str(id).is_ok()).collect();
                for chunk in ids.chunks(NAMES_AT_ONCE) {
                    let documents = json!({"id": {"any_": chunk}, "is_anonymous": {"eq_": false}});
                    filters.push(json!({ "block_documents": documents }));
                }
            }
        }
        let row = route(Kind::Block);
        let mut found = IndexMap::new();
        for mut filter in filters {
            filter["include_secrets"] = json!(true);
            filter["sort"] = json!(row.sort);
            let rows = self.client.filter(row.list, &filter, row.all).await?;
            found.extend(rows.into_iter().map(|row| (text(&row, "id"), row)));
        }
        Ok(found.into_values().collect())
    }

    /// Deployments with the names of their flows.
    pub(super) async fn deployment_rows(&self, which: &Which) -> Result<Vec<Value>, ApiError> {
        let wanted = match which {
            Which::All => Which::All,
            Which::Of { names, ids } => {
                let own = names.iter().filter_map(|name| name.split_once('/')).map(|(_, own)| own.to_owned());
                Which::Of { names: own.collect(), ids: ids.clone() }
            }
        };
        let rows = self.deployments(&wanted).await?;
        self.with_flow_names(rows).await
    }

    /// Deployments, each with `flow_name`; one whose flow has gone is gone itself.
    pub(super) async fn with_flow_names(&self, rows: Vec<Value>) -> Result<Vec<Value>, ApiError> {
        let flows = Which::ids(rows.iter().filter_map(|row| text(row, "flow_id")));
        let names: BTreeMap<Option<String>, Value> =
            self.flows(&flows).await?.into_iter().map(|mut flow| (text(&flow, "id"), flow["name"].take())).collect();
        let named = rows.into_iter().filter_map(|mut row| {
            row["flow_name"] = names.get(&text(&row, "flow_id"))?.clone();
            Some(row)
        });
        Ok(named.collect())
    }
}
