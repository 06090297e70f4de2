//! Who uses what: what the rows of the API name, by name or by id, and whether a planned write takes that name away.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::{Key, Kind, Tree};
use crate::render::references;
use crate::resource;

use super::Planned;
use super::want::Write;

/// Fields of a row that can name other objects, by kind.
const DEPLOYMENT: [&str; 4] = ["job_variables", "pull_steps", "parameters", "schedules"];
const POOL: [&str; 2] = ["base_job_template", "storage_configuration"];
const AUTOMATION: [&str; 4] = ["trigger", "actions", "actions_on_trigger", "actions_on_resolve"];
/// So many users are named.
const NAMED: usize = 3;
/// The length of an id.
const ID: usize = 36;

/// How an object is named by another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// By its kind and name.
    Named(Key),
    /// By the server's id.
    Id(String),
}

/// Who uses an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum User {
    /// An object of the API, ours or not.
    Object(Key),
    /// Something without a name of its own, in words.
    Other(String),
}

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            User::Object(key) => write!(f, "`{key}`"),
            User::Other(words) => f.write_str(words),
        }
    }
}

/// One use of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Who uses it.
    pub by: User,
    /// The field of the user that says so; empty where the user is nothing without it.
    pub field: &'static str,
    /// How it is named there.
    pub target: Target,
}

/// Everything that a row of the API names, each with the field that does.
pub fn of_row(kind: Kind, row: &Value) -> Vec<(&'static str, Target)> {
    let mut found = Vec::new();
    let text = |field: &str| row[field].as_str().map(str::to_owned);
    match kind {
        Kind::Block => {
            let slug = row["block_type"]["slug"].as_str();
            found.extend(slug.map(|slug| ("", Target::Named(Key::new(Kind::BlockType, slug)))));
            let data = Tree::from(resource::found(kind, row, "data"));
            found.extend(in_field("data", &data));
        }
        Kind::Deployment => {
            for field in ["storage_document_id", "infrastructure_document_id"] {
                found.extend(text(field).map(|id| (field, Target::Id(id))));
            }
            let pool = text("work_pool_name");
            let queue = pool.as_ref().zip(text("work_queue_name")).map(|(pool, queue)| format!("{pool}/{queue}"));
            let named = |kind: Kind, name: String| Target::Named(Key::new(kind, name));
            found.extend(pool.map(|pool| ("work_pool_name", named(Kind::WorkPool, pool))));
            found.extend(queue.map(|queue| ("work_queue_name", named(Kind::WorkQueue, queue))));
            let limit = row["global_concurrency_limit"]["id"].as_str();
            found.extend(limit.map(|id| ("concurrency_limit", Target::Id(id.to_owned()))));
            found.extend(in_fields(row, &DEPLOYMENT));
        }
        Kind::WorkPool => found.extend(in_fields(row, &POOL)),
        Kind::WorkQueue => {
            let pool = row["work_pool_name"].as_str();
            found.extend(pool.map(|pool| ("", Target::Named(Key::new(Kind::WorkPool, pool)))));
        }
        Kind::Automation => found.extend(in_fields(row, &AUTOMATION)),
        Kind::BlockType | Kind::Variable | Kind::ConcurrencyLimit | Kind::TagConcurrencyLimit | Kind::Flow => {}
    }
    found
}

fn in_fields(row: &Value, fields: &[&'static str]) -> Vec<(&'static str, Target)> {
    fields.iter().flat_map(|field| in_field(field, &Tree::from(&row[*field]))).collect()
}

fn in_field(field: &'static str, value: &Tree) -> Vec<(&'static str, Target)> {
    targets(value).into_iter().map(|target| (field, target)).collect()
}

/// Everything that a value names: placeholders, ids wherever they stand, and variables of parameters.
pub fn targets(value: &Tree) -> BTreeSet<Target> {
    let found = references(value);
    let blocks = found.blocks.into_keys().map(|(slug, name)| Key::new(Kind::Block, format!("{slug}/{name}")));
    let variables = found.variables.into_keys().map(|name| Key::new(Kind::Variable, name));
    let mut out: BTreeSet<Target> = blocks.chain(variables).map(Target::Named).collect();
    walk(value, &mut out);
    out
}

fn walk(value: &Tree, out: &mut BTreeSet<Target>) {
    match value {
        Tree::Text(text) => out.extend(ids(text).map(Target::Id)),
        Tree::IdOf(key) => {
            out.insert(Target::Named(key.clone()));
        }
        Tree::List(items) => items.iter().for_each(|item| walk(item, out)),
        Tree::Map(map) => {
            // A parameter that is filled with a variable when a run begins: `prefect/utilities/schema_tools/hydration.py`.
            let kind = map.get("__prefect_kind").and_then(Tree::as_str);
            if let Some(name) =
                map.get("variable_name").and_then(Tree::as_str).filter(|_| kind == Some("workspace_variable"))
            {
                out.insert(Target::Named(Key::new(Kind::Variable, name)));
            }
            map.values().for_each(|value| walk(value, out));
        }
        Tree::Secret(secret) => walk(&Tree::from(secret.reveal()), out),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Unknown(_) => {}
    }
}

/// The ids in a text: `prefect.deployment.ID` is how events name a deployment.
fn ids(text: &str) -> impl Iterator<Item = String> {
    let starts = text.char_indices().map(|(at, _)| at);
    starts.filter_map(|at| text.get(at..at + ID)).filter(|part| is_id(part)).map(str::to_lowercase)
}

fn is_id(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// What becomes of the use of an object that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays: so has the object to.
    Stays,
    /// It ends with this change, which has to be in first.
    Ends(Key),
}

/// What becomes of a use, by what is planned so far; `going` are the objects that are to be deleted besides.
pub fn fate(of: &Use, going: &BTreeMap<Key, String>, replaced: &BTreeMap<Key, Key>, planned: &Planned) -> Fate {
    let User::Object(user) = &of.by else { return Fate::Stays };
    if going.contains_key(user) {
        return Fate::Ends(user.clone());
    }
    if let Some(by) = replaced.get(user) {
        return Fate::Ends(by.clone());
    }
    let writes = planned.writes.get(user).map_or(&[][..], Vec::as_slice);
    match writes.iter().any(|write| ends(write, of)) {
        true => Fate::Ends(user.clone()),
        false => Fate::Stays,
    }
}

/// Whether a write takes the name away.
fn ends(write: &Write, of: &Use) -> bool {
    let lacks = |value: Option<&Tree>| value.is_some_and(|value| !names(value, of));
    match write {
        Write::UpdateDeployment { patch, .. } => lacks(patch.get(of.field)),
        Write::UpdateObject { patch, .. } => lacks(patch.get(of.field)),
        Write::ReplaceAutomation { made, .. } => !names(&made.complete(""), of),
        Write::DeleteAutomation { .. } | Write::DeleteObject { .. } => true,
        Write::CreateDeployment { .. }
        | Write::DeleteDeployment { .. }
        | Write::CreateAutomation(_)
        | Write::ApplySlas { .. }
        | Write::CreateObject { .. }
        | Write::Adopt { .. } => false,
    }
}

fn names(value: &Tree, of: &Use) -> bool {
    let plain = |kind: Kind, name: &str| of.target == Target::Named(Key::new(kind, name));
    match (of.field, value.as_str()) {
        ("work_pool_name", Some(pool)) => plain(Kind::WorkPool, pool),
        // Its pool is not told here: in doubt it is the same.
        ("work_queue_name", Some(queue)) => match &of.target {
            Target::Named(key) => key.name.rsplit('/').next() == Some(queue),
            Target::Id(_) => true,
        },
        // A limit of its own takes the place of the shared one, or none does.
        ("concurrency_limit", _) => false,
        _ => value.has_unknown() || targets(value).iter().any(|target| is_same(target, of)),
    }
}

/// A reference by name may be one by id on the API: in doubt it is the same.
fn is_same(target: &Target, of: &Use) -> bool {
    match (target, &of.target) {
        (Target::Named(_), Target::Id(_)) => true,
        (target, used) => target == used,
    }
}

/// Who uses it, in words.
pub fn told(users: &[&User]) -> String {
    let users: BTreeSet<&User> = users.iter().copied().collect();
    let named: Vec<String> = users.iter().take(NAMED).map(ToString::to_string).collect();
    let more = users.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let uses = if users.len() == 1 { "uses" } else { "use" };
    format!("{}{more} {uses} it", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const A: &str = "7b0d2b3a-61a1-4a3c-8f6a-94f3a9e4b1c2";
    const B: &str = "9a0d2b3a-61a1-4a3c-8f6a-94f3a9e4b1c2";

    fn told_of(kind: Kind, row: Value) -> Vec<String> {
        let told = |(field, target): (&str, Target)| match target {
            Target::Named(key) => format!("{field}: {key}"),
            Target::Id(id) => format!("{field}: {id}"),
        };
        let mut all: Vec<String> = of_row(kind, &row).into_iter().map(told).collect();
        all.sort();
        all
    }

    #[test]
    fn a_few_users_are_named() {
        let users: Vec<User> = (0..5).map(|n| User::Object(Key::new(Kind::Block, format!("a/b{n}")))).collect();
        let users: Vec<&User> = users.iter().collect();
        assert_eq!(told(&users[..1]), "`block a/b0` uses it");
        assert_eq!(told(&users), "`block a/b0`, `block a/b1`, `block a/b2` and 2 more use it");
        assert_eq!(told(&[users[0], users[0]]), "`block a/b0` uses it");
    }

    #[test]
    fn a_deployment_names_what_it_runs_with() {
        let row = json!({
            "storage_document_id": A, "work_pool_name": "p", "work_queue_name": "q",
            "global_concurrency_limit": {"id": B},
            "job_variables": {"env": {"K": "{{ prefect.blocks.secret.key }}"}, "c": {"$ref": {"block_document_id": A}}},
            "pull_steps": [{"x": {"branch": "{{ prefect.variables.branch }}"}}],
            "parameters": {"p": {"__prefect_kind": "workspace_variable", "variable_name": "v"}},
        });
        let expected = [
            format!("concurrency_limit: {B}"),
            format!("job_variables: {A}"),
            "job_variables: block secret/key".into(),
            "parameters: variable v".into(),
            "pull_steps: variable branch".into(),
            format!("storage_document_id: {A}"),
            "work_pool_name: work_pool p".into(),
            "work_queue_name: work_queue p/q".into(),
        ];
        assert_eq!(told_of(Kind::Deployment, row), expected);
    }

    #[test]
    fn ids_are_found_wherever_an_automation_has_them() {
        let row = json!({
            "id": "00000000-61a1-4a3c-8f6a-94f3a9e4b1c2",
            "trigger": {"type": "compound", "triggers": [{"match": {"prefect.resource.id": format!("prefect.deployment.{A}")}}]},
            "actions": [{"type": "pause-work-pool", "work_pool_id": B, "é": "é"}],
        });
        assert_eq!(told_of(Kind::Automation, row), [format!("actions: {B}"), format!("trigger: {A}")]);
    }

    #[test]
    fn a_block_names_its_type_and_other_blocks() {
        let row = json!({
            "block_type": {"slug": "t"}, "data": {"c": {"inlined": 1}, "v": "{{ prefect.variables.x }}"},
            "block_document_references": {"c": {"block_document": {"id": A}}},
        });
        let expected = [": block_type t".to_owned(), format!("data: {A}"), "data: variable x".into()];
        assert_eq!(told_of(Kind::Block, row), expected);
    }
}
