//! Automations: the names in their triggers and actions become ids; their Jinja is left alone.

use crate::model::{Key, Kind, Map, Path, Tree};

use super::Filler;

/// A key that names an object: what it names, and the key under which the API wants its id.
const NAMES: [(&str, Kind, &str); 5] = [
    ("deployment", Kind::Deployment, "deployment_id"),
    ("work_pool", Kind::WorkPool, "work_pool_id"),
    ("work_queue", Kind::WorkQueue, "work_queue_id"),
    ("block", Kind::Block, "block_document_id"),
    ("automation", Kind::Automation, "automation_id"),
];

impl Filler<'_> {
    /// A trigger or a list of actions with ids in the place of names.
    pub(super) fn automation(&mut self, at: &Path, tree: &Tree) -> Tree {
        match tree {
            Tree::List(items) => {
                Tree::List(items.iter().enumerate().map(|(n, item)| self.automation(&at.item(n), item)).collect())
            }
            Tree::Map(map) => Tree::Map(map.iter().map(|(key, value)| self.entry(at, key, value)).collect()),
            Tree::Null
            | Tree::Bool(_)
            | Tree::Number(_)
            | Tree::Text(_)
            | Tree::Secret(_)
            | Tree::IdOf(_)
            | Tree::Unknown(_) => tree.clone(),
        }
    }

    fn entry(&mut self, at: &Path, key: &str, value: &Tree) -> (String, Tree) {
        let below = at.key(key);
        match (key, value) {
            ("match" | "match_related", value) => (key.to_owned(), self.matches(&below, value)),
            // What a run is started with is data.
            ("parameters" | "job_variables" | "payload", value) => (key.to_owned(), value.clone()),
            (_, Tree::Text(name)) => match NAMES.iter().find(|(word, _, _)| *word == key) {
                Some((_, kind, id)) => ((*id).to_owned(), self.reference(Key::new(*kind, name), &below)),
                None => (key.to_owned(), value.clone()),
            },
            (_, value) => (key.to_owned(), self.automation(&below, value)),
        }
    }

    /// The labels that an event must have: names of objects become the labels of their resources.
    fn matches(&mut self, at: &Path, tree: &Tree) -> Tree {
        match tree {
            // `match_related` takes a list of mappings as well.
            Tree::List(items) => {
                Tree::List(items.iter().enumerate().map(|(n, item)| self.matches(&at.item(n), item)).collect())
            }
            Tree::Map(map) => {
                let entries = map.iter().map(|(key, value)| self.label(at, key, value));
                Tree::Map(entries.collect::<Map>())
            }
            other => other.clone(),
        }
    }

    fn label(&mut self, at: &Path, key: &str, value: &Tree) -> (String, Tree) {
        let kind = NAMES.iter().find(|(word, _, _)| *word == key).map(|(_, kind, _)| *kind);
        let kind = kind.or((key == "flow").then_some(Kind::Flow));
        let Some(kind) = kind else { return (key.to_owned(), value.clone()) };
        let below = at.key(key);
        let id = match value {
            Tree::Text(name) => self.reference(Key::new(kind, name), &below),
            Tree::List(names) => {
                let named = names.iter().enumerate().map(|(n, name)| match name.as_str() {
                    Some(name) => self.reference(Key::new(kind, name), &below.item(n)),
                    None => name.clone(),
                });
                Tree::List(named.collect())
            }
            other => return (key.to_owned(), other.clone()),
        };
        ("prefect.resource.id".to_owned(), id)
    }
}
