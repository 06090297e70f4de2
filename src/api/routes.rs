//! Where the objects of each kind live on the API: one row per kind.

use serde_json::Value;

use super::error::ApiError;
use super::reads::text;
use super::writes::segment;
use crate::model::{Key, Kind};

/// The paths of one kind.
pub(super) struct Route {
    /// One object, for messages: "the work pool".
    pub one: &'static str,
    /// All of them, for messages.
    pub all: &'static str,
    /// Where they are listed.
    pub list: &'static str,
    /// What a filter of that list is called; none where names and ids cannot be asked for.
    pub filter: Option<&'static str>,
    /// An order without ties: pages cut in a tie lose rows.
    pub sort: Option<&'static str>,
    /// Where one is made; `{pool}` is the queue's pool.
    pub make: &'static str,
    /// Where one is found by its natural name: `{pool}`, `{type}` and `{name}`.
    pub find: &'static str,
    /// Where one is changed and deleted: `{id}`, or as above.
    pub at: &'static str,
}

/// The row of a kind.
pub(super) fn route(kind: Kind) -> Route {
    let row = |one, all, list, filter, sort, make, find, at| Route { one, all, list, filter, sort, make, find, at };
    match kind {
        Kind::BlockType => row(
            "the block type",
            "the block types",
            "/block_types/filter",
            None,
            None,
            "/block_types/",
            "/block_types/slug/{name}",
            "/block_types/{id}",
        ),
        Kind::Block => row(
            "the block",
            "the blocks",
            "/block_documents/filter",
            None,
            Some("BLOCK_TYPE_AND_NAME_ASC"),
            "/block_documents/",
            "/block_types/slug/{type}/block_documents/name/{name}",
            "/block_documents/{id}",
        ),
        Kind::Variable => row(
            "the variable",
            "the variables",
            "/variables/filter",
            Some("variables"),
            None,
            "/variables/",
            "/variables/name/{name}",
            "/variables/{id}",
        ),
        Kind::WorkPool => row(
            "the work pool",
            "the work pools",
            "/work_pools/filter",
            Some("work_pools"),
            None,
            "/work_pools/",
            "/work_pools/{name}",
            "/work_pools/{name}",
        ),
        Kind::WorkQueue => row(
            "the work queue",
            "the work queues",
            "/work_queues/filter",
            Some("work_queues"),
            None,
            "/work_pools/{pool}/queues",
            "/work_pools/{pool}/queues/{name}",
            "/work_pools/{pool}/queues/{name}",
        ),
        Kind::ConcurrencyLimit => row(
            "the concurrency limit",
            "the concurrency limits",
            "/v2/concurrency_limits/filter",
            None,
            None,
            "/v2/concurrency_limits/",
            "/v2/concurrency_limits/{name}",
            "/v2/concurrency_limits/{id}",
        ),
        Kind::TagConcurrencyLimit => row(
            "the concurrency limit of the tag",
            "the concurrency limits of tags",
            "/concurrency_limits/filter",
            None,
            None,
            "/concurrency_limits/",
            "/concurrency_limits/tag/{name}",
            // By id: a slash in a tag cannot be written into a path.
            "/concurrency_limits/{id}",
        ),
        Kind::Flow => row(
            "the flow",
            "the flows",
            "/flows/paginate",
            Some("flows"),
            None,
            "/flows/",
            "/flows/name/{name}",
            "/flows/{id}",
        ),
        Kind::Deployment => row(
            "the deployment",
            "the deployments",
            "/deployments/paginate",
            Some("deployments"),
            None,
            "/deployments/",
            "/deployments/name/{type}/{name}",
            "/deployments/{id}",
        ),
        Kind::Automation => row(
            "the automation",
            "the automations",
            "/automations/filter",
            Some("automations"),
            Some("CREATED_DESC"),
            "/automations/",
            // Names say nothing of identity.
            "/automations/{id}",
            "/automations/{id}",
        ),
    }
}

impl Route {
    /// A path for an object; an error if its name is one that no path can hold.
    pub fn path(&self, template: &str, key: &Key, id: &str) -> Result<String, ApiError> {
        let (parent, name) = parts(key);
        if template.contains("{name}") || template.contains("{pool}") {
            let used = [template.contains("{pool}").then(|| parent.unwrap_or_default()), Some(name)];
            if let Some(bad) = used.into_iter().flatten().find(|part| ["", ".", ".."].contains(part)) {
                return Err(refusal(self, key, 422, format!("the name `{bad}` cannot stand in an address")));
            }
        }
        let parent = segment(parent.unwrap_or_default());
        // The id comes first: the others may hold any text.
        let path = template.replace("{id}", &segment(id)).replace("{pool}", &parent).replace("{type}", &parent);
        Ok(path.replace("{name}", &segment(name)))
    }

    /// An object as messages name it.
    pub fn what(&self, key: &Key) -> String {
        format!("{} `{}`", self.one, key.name)
    }
}

/// Says no in the API's place.
pub(super) fn refusal(route: &Route, key: &Key, status: u16, detail: String) -> ApiError {
    ApiError::Refused { what: route.what(key), request: format!("POST {}", route.make), status, detail }
}

/// What stands before the slash of a name (pool, block type, flow), for kinds that have that, and the object's own.
pub(super) fn parts(key: &Key) -> (Option<&str>, &str) {
    match key.kind {
        Kind::Block | Kind::WorkQueue | Kind::Deployment => match key.name.split_once('/') {
            Some((parent, name)) => (Some(parent), name),
            None => (None, &key.name),
        },
        Kind::BlockType
        | Kind::Variable
        | Kind::WorkPool
        | Kind::ConcurrencyLimit
        | Kind::TagConcurrencyLimit
        | Kind::Flow
        | Kind::Automation => (None, &key.name),
    }
}

/// The natural name of a row; none if it has none. A deployment's flow must stand in `flow_name`.
pub(super) fn natural_name(kind: Kind, row: &Value) -> Option<String> {
    let below = |parent: Option<String>| Some(format!("{}/{}", parent?, text(row, "name")?));
    match kind {
        Kind::BlockType => text(row, "slug"),
        Kind::Block => below(text(&row["block_type"], "slug")),
        Kind::WorkQueue => below(text(row, "work_pool_name")),
        Kind::Deployment => below(text(row, "flow_name")),
        Kind::TagConcurrencyLimit => text(row, "tag"),
        Kind::Variable | Kind::WorkPool | Kind::ConcurrencyLimit | Kind::Flow | Kind::Automation => text(row, "name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_of_a_path_and_nothing_more() {
        let path = |kind, name: &str| {
            let row = route(kind);
            row.path(row.at, &Key::new(kind, name), "an id").map_err(|error| error.to_string())
        };
        assert_eq!(path(Kind::WorkPool, "a b?c#{id}").as_deref(), Ok("/work_pools/a%20b%3Fc%23%7Bid%7D"));
        assert_eq!(path(Kind::WorkQueue, "p q/x/y").as_deref(), Ok("/work_pools/p%20q/queues/x%2Fy"));
        assert_eq!(path(Kind::Variable, "..").as_deref(), Ok("/variables/an%20id"));
        for (kind, name) in
            [(Kind::WorkPool, ".."), (Kind::WorkQueue, "p/."), (Kind::WorkQueue, "../q"), (Kind::WorkQueue, "q")]
        {
            assert!(path(kind, name).is_err_and(|error| error.contains("cannot stand in an address")), "{name}");
        }
    }
}
