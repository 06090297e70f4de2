//! Triggers of a deployment: each becomes an automation that runs it.
//!
//! Source of the rules: Prefect 3.8.8 `prefect/events/schemas/deployment_triggers.py`,
//! `prefect/events/schemas/automations.py` and `prefect/cli/deploy/_triggers.py`. The file's check only looks at the
//! list; everything else is read after templating.

mod compare;
mod kinds;
pub(super) mod read;

use crate::diagnostic::did_you_mean;
use crate::model::{Key, Map, Path, Tree};

use super::lax;
use super::node::{Node, Value};
use super::problem::Problem;

pub use compare::differences;

/// Keys of an outer trigger that the templating with step outputs leaves alone, so that `{{ event.… }}` survives.
pub const UNTEMPLATED_KEYS: [&str; 1] = ["parameters"];

pub(super) const OUTER_KEYS: [&str; 6] =
    ["name", "description", "enabled", "parameters", "job_variables", "schedule_after"];

/// The automation of one trigger.
#[derive(Clone, Debug, PartialEq)]
pub struct Automation {
    /// Its name; `None` where Prefect names it `Automation for deployment <id>` (the trigger has an empty name).
    pub name: Option<String>,
    /// The body of `POST /automations/` without `owner_resource`, and without `name` if that is `None`.
    pub body: Tree,
    /// The deployment that owns it: `owner_resource` is `prefect.deployment.<its id>`.
    pub owner: Key,
    /// Top-level keys of the body that the trigger does not declare, filled with Prefect's defaults.
    pub defaults: Vec<&'static str>,
}

impl Automation {
    /// The whole body, once the id of the deployment is known; its key order is Prefect's.
    pub fn complete(&self, deployment_id: &str) -> Tree {
        let name = self.name.clone().unwrap_or_else(|| format!("Automation for deployment {deployment_id}"));
        let mut map = Map::from([("name".to_owned(), Tree::Text(name))]);
        for (key, value) in self.body.as_map().into_iter().flatten().filter(|(key, _)| *key != "name") {
            map.insert(key.clone(), value.clone());
        }
        let owner = format!("prefect.deployment.{deployment_id}");
        map.insert("owner_resource".to_owned(), Tree::Text(owner));
        Tree::Map(map)
    }
}

/// Checks `triggers` as written: a list of mappings with text keys.
///
/// Besides errors there are warnings (`W0190`) for keys that Prefect drops in silence.
pub fn check_triggers(node: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    match &node.value {
        Value::Null => {}
        Value::List(items) => {
            for (i, item) in items.iter().enumerate() {
                check_trigger(item, &Path::root().item(i), true, &mut problems);
            }
        }
        other => {
            let message = format!("`triggers` is a list of mappings, not {}", other.type_name());
            problems.push(Problem::new("E0190", Path::root(), message).help("put `- ` before each trigger"));
        }
    }
    problems
}

fn check_trigger(node: &Node, path: &Path, outer: bool, problems: &mut Vec<Problem>) {
    let Value::Map(entries) = &node.value else {
        // Inner triggers are read after templating.
        if outer {
            let message = format!("a trigger is a mapping, not {}", node.value.type_name());
            problems.push(Problem::new("E0190", path.clone(), message));
        }
        return;
    };
    let own = own_keys(node);
    for (key, _) in entries {
        match key.as_str() {
            Some(key) => warn_unknown(key, own, path, outer, problems),
            None if outer => {
                let message = format!("a key of a trigger is text, not {}", key.value.type_name());
                problems.push(Problem::new("E0190", path.clone(), message).help("put quotes around the key"));
            }
            None => {}
        }
    }
    for (i, inner) in node.get("triggers").map(Node::items).unwrap_or_default().iter().enumerate() {
        check_trigger(inner, &path.key("triggers").item(i), false, problems);
    }
}

/// The keys of a trigger of this type; none where the type is not known.
fn own_keys(node: &Node) -> Option<&'static [&'static str]> {
    match node.get("type").and_then(Node::as_str) {
        Some("event") => Some(read::EVENT_KEYS.as_slice()),
        Some("metric") => Some(read::METRIC_KEYS.as_slice()),
        Some("compound") => Some(read::COMPOUND_KEYS.as_slice()),
        Some("sequence") => Some(read::SEQUENCE_KEYS.as_slice()),
        Some(_) => None,
        None => Some(read::ALL_KEYS.as_slice()),
    }
}

fn warn_unknown(
    key: &str,
    own: Option<&'static [&'static str]>,
    path: &Path,
    outer: bool,
    problems: &mut Vec<Problem>,
) {
    let Some(own) = own else { return };
    let known = || own.iter().chain(OUTER_KEYS.iter().filter(|_| outer)).copied();
    if !known().any(|known| known == key) && key != "type" {
        let message = format!("`{key}` is not a key of this trigger and counts for nothing");
        let problem = Problem::new("W0190", path.key(key), message);
        problems.push(match did_you_mean(key, known()) {
            Some(help) => problem.help(help),
            None => problem,
        });
    }
}

/// The automation of an outer trigger after templating; `index` counts from 0 in the list.
///
/// `deployment_name` is the declaration's name before step outputs are filled in, as in Prefect.
pub fn automation(
    trigger: &Tree,
    deployment_name: &str,
    index: usize,
    deployment: &Key,
) -> Result<Automation, Vec<Problem>> {
    let Some(map) = trigger.as_map() else {
        let message = format!("a trigger is a mapping, not {}", lax::type_name(trigger));
        return Err(vec![Problem::new("E0190", Path::root(), message)]);
    };
    let mut reader = read::Reader::default();
    let default_name = format!("{deployment_name}__automation_{}", index + 1);
    let name = reader.name(map, default_name);
    let description = reader.text(map, "description", "");
    let enabled = reader.enabled(map);
    let action = reader.action(map, deployment);
    let trigger = reader.trigger(map, &Path::root(), true);
    if !reader.problems.is_empty() {
        return Err(reader.problems);
    }
    let mut body = Map::new();
    let mut put = |key: &str, value: Tree| drop(body.insert(key.to_owned(), value));
    if let Some(name) = &name {
        put("name", name.clone());
    }
    put("description", description);
    put("enabled", enabled);
    put("tags", Tree::List(Vec::new()));
    put("trigger", trigger);
    put("actions", Tree::List(vec![action]));
    put("actions_on_trigger", Tree::List(Vec::new()));
    put("actions_on_resolve", Tree::List(Vec::new()));
    let name = name.map(|name| match lax::revealed(&name) {
        Tree::Text(text) => text,
        other => other.masked().to_string(),
    });
    let declarable = ["description", "enabled"].into_iter().filter(|key| !map.contains_key(*key));
    let defaults = declarable.chain(["tags", "actions_on_trigger", "actions_on_resolve"]).collect();
    Ok(Automation { name, body: Tree::Map(body), owner: deployment.clone(), defaults })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn key() -> Key {
        Key::deployment("etl", "nightly")
    }

    fn body(trigger: Json) -> Json {
        let built = automation(&Tree::from(&trigger), "t1", 0, &key()).unwrap_or_else(|p| panic!("{trigger}: {p:?}"));
        built.complete("ID").revealed(&|_| Some("ID".to_owned())).expect("everything is known")
    }

    fn problem(trigger: Json) -> String {
        let problems = automation(&Tree::from(&trigger), "t1", 0, &key()).expect_err("a problem");
        format!("{}: {}", problems[0].path, problems[0].message)
    }

    #[test]
    fn the_body_is_prefects() {
        let expected = json!({"name": "t1__automation_1", "description": "", "enabled": true, "tags": [],
            "trigger": {"type": "event", "match": {}, "match_related": {}, "after": [], "expect": ["prefect.flow-run.Completed"],
                "for_each": [], "posture": "Reactive", "threshold": 1, "within": 0.0},
            "actions": [{"type": "run-deployment", "source": "selected", "deployment_id": "ID", "parameters": null,
                "job_variables": null, "schedule_after": 0.0}],
            "actions_on_trigger": [], "actions_on_resolve": [], "owner_resource": "prefect.deployment.ID"});
        let sent = body(json!({"expect": ["prefect.flow-run.Completed"]}));
        assert_eq!(sent.to_string(), expected.to_string());
    }

    #[test]
    fn the_kind_follows_from_the_keys() {
        assert_eq!(body(json!({"triggers": [{}], "require": "all"}))["trigger"]["type"], "compound");
        assert_eq!(body(json!({"triggers": [{}], "within": 60}))["trigger"]["type"], "sequence");
        let metric = json!({"posture": "Metric", "metric": {"name": "successes", "threshold": 0.5, "operator": "<"}});
        assert_eq!(body(metric)["trigger"]["metric"]["firing_for"], 300.0);
        assert_eq!(body(json!({"posture": "Proactive"}))["trigger"]["within"], 10.0);
        assert!(problem(json!({"type": "cron"})).contains("`cron`"));
    }

    #[test]
    fn problems_name_their_place() {
        assert!(problem(json!({"posture": "Proactive", "within": 5})).starts_with("within:"));
        assert!(problem(json!({"within": null})).starts_with("within:"));
        assert!(problem(json!({"triggers": [{"threshold": "x"}], "require": 1})).starts_with("triggers[0].threshold:"));
        assert!(problem(json!({"triggers": [{}], "require": 2})).starts_with("require:"));
    }

    #[test]
    fn an_empty_name_is_left_to_the_id() {
        assert_eq!(body(json!({"name": null}))["name"], "Automation for deployment ID");
    }

    #[test]
    fn what_the_server_adds_is_no_difference() {
        let sent = body(json!({"expect": ["a", "b"], "triggers": [{"expect": ["x", "y"]}], "require": 1}));
        let mut found = sent.clone();
        found["id"] = json!("1");
        found["created"] = json!("now");
        found["trigger"]["id"] = json!("2");
        found["trigger"]["triggers"][0]["id"] = json!("3");
        found["trigger"]["triggers"][0]["expect"] = json!(["y", "x"]);
        found["actions"][0]["schedule_after"] = json!(0);
        if let Some(map) = found.as_object_mut() {
            map.remove("owner_resource");
        }
        assert_eq!(differences(&Tree::from(&sent), &found), vec![]);
        found["trigger"]["triggers"][0]["threshold"] = json!(2);
        let all = differences(&Tree::from(&sent), &found);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].0.to_string(), "trigger.triggers[0].threshold");
    }
}
