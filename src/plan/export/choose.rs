//! Which objects of the API are to be declared, and why the others are not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Rows;
use crate::manifest::globs::Globs;
use crate::manifest::resources::known_types;
use crate::model::ledger::Ledger;
use crate::model::{Key, Kind};

/// Whose the objects are.
pub struct Standing<'a> {
    /// What files declare.
    pub declared: &'a BTreeSet<Key>,
    /// What is ours.
    pub ledger: &'a Ledger,
    /// What is another scope's, with that scope.
    pub elsewhere: &'a BTreeMap<Key, String>,
}

/// What comes of a choice.
#[derive(Debug, Default)]
pub struct Chosen {
    /// What is to be declared.
    pub keys: BTreeSet<Key>,
    /// What the user asked for by its name.
    pub named: BTreeSet<Key>,
    /// What is declared already.
    pub declared: BTreeSet<Key>,
    /// What is not to be declared.
    pub left_out: Vec<LeftOut>,
    /// Patterns that nothing has a name for.
    pub nothing: Vec<Key>,
}

/// An object that is not declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The object.
    pub key: Key,
    /// Why, in a clause.
    pub why: String,
    /// Whether the user asked for it by name.
    pub named: bool,
}

/// Chooses among the rows: all that can be, or those of some names, in which `*` and their like may stand.
pub fn choose(rows: &Rows, standing: &Standing<'_>, patterns: Option<&[Key]>) -> Chosen {
    let globs: Vec<(&Key, Option<Globs>)> =
        patterns.into_iter().flatten().map(|key| (key, Globs::new(std::slice::from_ref(&key.name)).ok())).collect();
    let fits = |pattern: &(&Key, Option<Globs>), key: &Key| {
        let (wanted, globs) = pattern;
        let by_glob = || globs.as_ref().is_some_and(|globs| globs.is_match(&key.name));
        wanted.kind == key.kind && (wanted.name == key.name || by_glob())
    };
    let mut chosen = Chosen::default();
    let mut used: BTreeSet<&Key> = BTreeSet::new();
    let mut judge = Judge { rows, standing, seen: BTreeSet::new() };
    for (key, row) in rows.values().flatten() {
        let by: Vec<&Key> = globs.iter().filter(|pattern| fits(pattern, key)).map(|(key, _)| *key).collect();
        let named = by.iter().any(|pattern| pattern.name == key.name);
        let pool = key.whole().filter(|_| key.kind == Kind::WorkQueue);
        let with_pool = pool.is_some_and(|pool| globs.iter().any(|pattern| fits(pattern, &pool)));
        if patterns.is_some() && by.is_empty() && !with_pool {
            continue;
        }
        used.extend(by);
        if named {
            chosen.named.insert(key.clone());
        }
        match judge.of(key, row) {
            Fate::Taken => drop(chosen.keys.insert(key.clone())),
            Fate::Declared => drop(chosen.declared.insert(key.clone())),
            Fate::NotOurs(why) => {
                let fresh = !chosen.left_out.iter().any(|left| left.key == *key);
                if fresh {
                    chosen.left_out.push(LeftOut { key: key.clone(), why, named });
                }
            }
            Fate::Prefects(why) if named => {
                chosen.left_out.push(LeftOut { key: key.clone(), why: why.to_owned(), named });
            }
            Fate::Prefects(_) => {}
        }
    }
    queues_with_pools(&mut chosen, standing, patterns.is_some());
    let all = globs.iter().map(|(key, _)| *key);
    chosen.nothing = all.filter(|key| !used.contains(key)).cloned().collect();
    chosen.left_out.sort_by(|a, b| a.key.cmp(&b.key));
    chosen
}

/// A queue stands below its pool: it comes along with it, or not at all.
fn queues_with_pools(chosen: &mut Chosen, standing: &Standing<'_>, by_name: bool) {
    let queues: Vec<Key> = chosen.keys.iter().filter(|key| key.kind == Kind::WorkQueue).cloned().collect();
    for queue in queues {
        let Some(pool) = queue.whole() else { continue };
        if chosen.keys.contains(&pool) {
            continue;
        }
        chosen.keys.remove(&queue);
        let why = match standing.declared.contains(&pool) {
            true => format!("its pool is declared: add the queue to `queues` of `{}` there", pool.name),
            false => format!("it is declared with its pool: import work_pool/{}", pool.name),
        };
        chosen.left_out.push(LeftOut { key: queue, why, named: by_name });
    }
}

enum Fate {
    Taken,
    Declared,
    NotOurs(String),
    /// Prefect's own, of which nobody expects to hear.
    Prefects(&'static str),
}

struct Judge<'a> {
    rows: &'a Rows,
    standing: &'a Standing<'a>,
    seen: BTreeSet<Key>,
}

impl Judge<'_> {
    fn of(&mut self, key: &Key, row: &Value) -> Fate {
        if self.standing.declared.contains(key) {
            return Fate::Declared;
        }
        if let Some(why) = prefects_own(key, row) {
            return Fate::Prefects(why);
        }
        if let Some(scope) = self.standing.elsewhere.get(key) {
            return Fate::NotOurs(format!("it belongs to the scope `{scope}`"));
        }
        match key.kind {
            Kind::WorkPool if row["type"] == "prefect-agent" => {
                Fate::NotOurs("it is for agents of Prefect 2, which no deployment can use".to_owned())
            }
            Kind::Automation => self.automation(key, row),
            Kind::BlockType
            | Kind::Block
            | Kind::Variable
            | Kind::WorkPool
            | Kind::WorkQueue
            | Kind::ConcurrencyLimit
            | Kind::TagConcurrencyLimit
            | Kind::Flow
            | Kind::Deployment => Fate::Taken,
        }
    }

    fn automation(&mut self, key: &Key, row: &Value) -> Fate {
        let id = row["id"].as_str().unwrap_or_default();
        let mut ours = self.standing.ledger.owned.iter().filter(|(_, owned)| owned.id == id);
        if let Some((other, _)) = ours.find(|(other, _)| *other != key) {
            let deployment = other.name.rsplit_once('/').map_or("?", |(deployment, _)| deployment);
            return Fate::NotOurs(format!("it belongs to the triggers of the deployment `{deployment}`"));
        }
        if let Some(deployment) = self.triggered(key, row) {
            return Fate::NotOurs(format!("it belongs to the triggers of the deployment `{deployment}`"));
        }
        let same = self.rows.get(&Kind::Automation).into_iter().flatten().filter(|(other, _)| other == key).count();
        if same > 1 {
            self.seen.insert(key.clone());
            return Fate::NotOurs(format!("{same} automations have this name: give each a name of its own"));
        }
        Fate::Taken
    }

    /// The deployment whose trigger it is, by the name that Prefect gives: the API does not tell who owns an automation.
    /// Source: `prefect/cli/deploy/_triggers.py`, `prefect/deployments/runner.py` (3.8.8).
    fn triggered(&self, key: &Key, row: &Value) -> Option<String> {
        let action = row["actions"].as_array().filter(|actions| actions.len() == 1)?.first()?;
        let id = action["deployment_id"].as_str().filter(|_| action["type"] == "run-deployment")?;
        let (deployment, _) =
            self.rows.get(&Kind::Deployment)?.iter().find(|(_, deployment)| deployment["id"] == id)?;
        let own = deployment.name.rsplit('/').next()?;
        let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
        let numbered = key.name.strip_prefix(own).and_then(|rest| rest.strip_prefix("__automation_"));
        let is_its = numbered.is_some_and(is_number) || key.name == format!("Automation for deployment {id}");
        is_its.then(|| deployment.name.clone())
    }
}

/// Block types that older servers make by themselves: `prefect/blocks/system.py` of 3.4.
const MADE_BY_OLDER_SERVERS: [&str; 1] = ["string"];

fn prefects_own(key: &Key, row: &Value) -> Option<&'static str> {
    match key.kind {
        Kind::BlockType if row["is_protected"] == true || known_types().contains_key(&key.name) => {
            Some("it is a type that every Prefect server has")
        }
        Kind::BlockType if MADE_BY_OLDER_SERVERS.contains(&key.name.as_str()) => Some("older Prefect servers have it"),
        Kind::WorkQueue if key.is_default_queue() => Some("every pool has this queue"),
        Kind::Flow => Some("flows come with their deployments"),
        Kind::BlockType
        | Kind::Block
        | Kind::Variable
        | Kind::WorkPool
        | Kind::WorkQueue
        | Kind::ConcurrencyLimit
        | Kind::TagConcurrencyLimit
        | Kind::Deployment
        | Kind::Automation => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows() -> Rows {
        let row = |kind: Kind, name: &str, row: Value| (kind, (Key::new(kind, name), row));
        let run = |id: &str| json!([{"type": "run-deployment", "deployment_id": id}]);
        let all = [
            row(Kind::BlockType, "secret", json!({"is_protected": true})),
            row(Kind::BlockType, "string", json!({"is_protected": false})),
            row(Kind::Block, "secret/a", json!({})),
            row(Kind::Variable, "a", json!({})),
            row(Kind::Variable, "b", json!({})),
            row(Kind::WorkPool, "old", json!({"type": "prefect-agent"})),
            row(Kind::WorkPool, "p", json!({"type": "process"})),
            row(Kind::WorkQueue, "p/default", json!({})),
            row(Kind::WorkQueue, "p/q", json!({})),
            row(Kind::Deployment, "etl/nightly", json!({"id": "1"})),
            row(Kind::Automation, "nightly__automation_1", json!({"id": "2", "actions": run("1")})),
            row(Kind::Automation, "mine", json!({"id": "3", "actions": run("1")})),
            row(Kind::Automation, "twice", json!({"id": "4"})),
            row(Kind::Automation, "twice", json!({"id": "5"})),
        ];
        let mut rows = Rows::new();
        for (kind, one) in all {
            rows.entry(kind).or_default().push(one);
        }
        rows
    }

    fn chosen(patterns: Option<&[&str]>) -> Chosen {
        let elsewhere = BTreeMap::from([(Key::new(Kind::Variable, "b"), "team".to_owned())]);
        let declared = BTreeSet::from([Key::new(Kind::Variable, "a")]);
        let standing = Standing { declared: &declared, ledger: &Ledger::default(), elsewhere: &elsewhere };
        let patterns: Option<Vec<Key>> = patterns.map(|all| all.iter().map(|text| text.parse().unwrap()).collect());
        choose(&rows(), &standing, patterns.as_deref())
    }

    fn names<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Vec<String> {
        keys.into_iter().map(Key::to_string).collect()
    }

    #[test]
    fn all_is_what_is_nobodys_and_not_prefects() {
        let chosen = chosen(None);
        let expected = ["block secret/a", "work_pool p", "work_queue p/q", "deployment etl/nightly", "automation mine"];
        assert_eq!(names(&chosen.keys), expected);
        assert_eq!(names(&chosen.declared), ["variable a"]);
        let left = ["variable b", "work_pool old", "automation nightly__automation_1", "automation twice"];
        assert_eq!(names(chosen.left_out.iter().map(|left| &left.key)), left);
        assert!(chosen.left_out[0].why.contains("`team`"));
    }

    #[test]
    fn names_and_patterns_choose() {
        let chosen = chosen(Some(&["block/*/a", "work_pool/p", "block_type/secret", "work_queue/old/x", "flow/x"]));
        assert_eq!(names(&chosen.keys), ["block secret/a", "work_pool p", "work_queue p/q"]);
        assert_eq!(names(chosen.left_out.iter().map(|left| &left.key)), ["block_type secret"]);
        assert_eq!(names(&chosen.nothing), ["work_queue old/x", "flow x"]);
    }

    #[test]
    fn a_queue_needs_its_pool() {
        let chosen = chosen(Some(&["work_queue/p/q"]));
        assert!(chosen.keys.is_empty() && chosen.left_out[0].why.contains("import work_pool/p"));
    }
}
