//! The actions of an automation.
//!
//! Source: Prefect 3.8.8 `prefect/server/events/actions.py`, and `prefect/events/actions.py` for what only Prefect
//! Cloud does.

use crate::diagnostic::did_you_mean;
use crate::manifest::lax;
use crate::manifest::node::{Node, Value};
use crate::manifest::resources::reader::Reader;
use crate::manifest::schedules::interval::Duration;
use crate::model::{Key, Kind, Map, Path, Tree};

/// One type of action.
pub(in crate::manifest) struct Action {
    /// Its `type`.
    pub word: &'static str,
    /// What it works on, with the key that holds the id.
    pub target: Option<Target>,
    /// Its other keys, each with what it is when nobody says anything, as JSON text; empty where it has to be said.
    pub keys: &'static [(&'static str, &'static str)],
}

/// An object that an action names.
#[derive(Clone, Copy)]
pub(in crate::manifest) struct Target {
    /// The key of its name.
    pub key: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The key of its id, as the API has it.
    pub id: &'static str,
    /// Whether it can also be that of the event: `source: inferred`.
    pub inferred: bool,
}

const fn target(key: &'static str, kind: Kind, id: &'static str, inferred: bool) -> Option<Target> {
    Some(Target { key, kind, id, inferred })
}

const DEPLOYMENT: Option<Target> = target("deployment", Kind::Deployment, "deployment_id", true);
const WORK_POOL: Option<Target> = target("work_pool", Kind::WorkPool, "work_pool_id", true);
const WORK_QUEUE: Option<Target> = target("work_queue", Kind::WorkQueue, "work_queue_id", true);
const AUTOMATION: Option<Target> = target("automation", Kind::Automation, "automation_id", true);
const BLOCK: Option<Target> = target("block", Kind::Block, "block_document_id", false);

const fn plain(word: &'static str, target: Option<Target>) -> Action {
    Action { word, target, keys: &[] }
}

/// Every type of action.
pub(in crate::manifest) const KINDS: [Action; 18] = [
    plain("do-nothing", None),
    Action {
        word: "run-deployment",
        target: DEPLOYMENT,
        keys: &[("parameters", "null"), ("job_variables", "null"), ("schedule_after", "0.0")],
    },
    plain("pause-deployment", DEPLOYMENT),
    plain("resume-deployment", DEPLOYMENT),
    plain("cancel-flow-run", None),
    plain("suspend-flow-run", None),
    plain("resume-flow-run", None),
    plain("delete-flow-run", None),
    Action {
        word: "change-flow-run-state",
        target: None,
        keys: &[("name", "null"), ("state", ""), ("message", "null"), ("force", "false")],
    },
    plain("pause-work-pool", WORK_POOL),
    plain("resume-work-pool", WORK_POOL),
    plain("pause-work-queue", WORK_QUEUE),
    plain("resume-work-queue", WORK_QUEUE),
    plain("pause-automation", AUTOMATION),
    plain("resume-automation", AUTOMATION),
    Action {
        word: "send-notification",
        target: BLOCK,
        keys: &[("subject", "\"Prefect automated notification\""), ("body", "")],
    },
    Action { word: "call-webhook", target: BLOCK, keys: &[("payload", "\"\"")] },
    plain("declare-incident", None),
];

/// What a run's state can be.
const STATES: [&str; 9] =
    ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING"];

pub(super) fn check(reader: &mut Reader, node: &Node) {
    if !reader.is_mapping(node, "an action", "write `- type: run-deployment` with its other keys below") {
        return;
    }
    let words = || KINDS.iter().map(|action| action.word);
    let Some(kind) = node.get("type") else {
        let help = format!("add `type:` and one of {}", words().collect::<Vec<_>>().join(", "));
        reader.error("E0703", node, "an action has no `type`", help);
        return;
    };
    let word = kind.as_str().unwrap_or_default();
    let Some(action) = KINDS.iter().find(|action| action.word == word) else {
        let help = did_you_mean(word, words())
            .unwrap_or_else(|| format!("the types are {}", words().collect::<Vec<_>>().join(", ")));
        let shown = kind.as_str().map_or(kind.value.type_name().to_owned(), |word| format!("`{word}`"));
        reader.error("E0715", kind, format!("{shown} is not a type of action"), help);
        return;
    };
    check_keys(reader, node, action);
    if let Some(target) = action.target {
        check_target(reader, node, action, target);
    }
    for (key, value) in node.entries() {
        if let Some(key) = key.as_str().filter(|key| action.keys.iter().any(|(known, _)| known == key)) {
            check_value(reader, key, value);
        }
    }
}

fn check_keys(reader: &mut Reader, node: &Node, action: &Action) {
    let mut known = vec!["type"];
    if let Some(target) = action.target {
        known.extend([target.key, target.id]);
        known.extend(target.inferred.then_some("source"));
    }
    known.extend(action.keys.iter().map(|(key, _)| key));
    reader.known_keys(node, &format!("`{}`", action.word), &known);
    for (key, _) in action.keys.iter().filter(|(key, default)| default.is_empty() && node.get(key).is_none()) {
        let message = format!("`{}` has no `{key}`", action.word);
        reader.error("E0703", node, message, format!("add `{key}:`"));
    }
}

fn check_target(reader: &mut Reader, node: &Node, action: &Action, target: Target) {
    let Target { key, kind, id, inferred } = target;
    if let Some(name) = node.get(key) {
        super::check_name(reader, key, kind, name);
    }
    let source = node.get("source").filter(|_| inferred);
    if let Some(source) = source.filter(|source| !matches!(source.as_str(), Some("selected" | "inferred"))) {
        let help = format!("write `source: selected` and `{key}: …`, or `source: inferred` alone");
        reader.error("E0715", source, "`source` must be `selected` or `inferred`", help);
        return;
    }
    let infers = source.and_then(Node::as_str) == Some("inferred");
    let named = node.get(key).or_else(|| node.get(id).filter(|id| !id.is_null()));
    match (named, infers) {
        (Some(named), true) => {
            let message = format!("`{}` names what `source: inferred` takes from the event", action.word);
            reader.error("E0715", named, message, "remove it, or remove `source`");
        }
        (None, false) => {
            let help = match inferred {
                true => format!("add `{key}:` and its name, or `source: inferred`"),
                false => format!("add `{key}:` and its name"),
            };
            reader.error("E0703", node, format!("`{}` has no `{key}`", action.word), help);
        }
        (Some(_), false) if node.get(key).is_some() && node.get(id).is_some() => {
            reader.error("E0715", node, format!("both `{key}` and `{id}` are given"), format!("remove `{id}`"));
        }
        (Some(_), false) | (None, true) => {}
    }
}

fn check_value(reader: &mut Reader, key: &str, node: &Node) {
    let wanted = match key {
        "parameters" | "job_variables" if !matches!(node.value, Value::Map(_) | Value::Null) => "a mapping or null",
        "subject" | "body" | "payload" if node.as_str().is_none() => "text",
        "name" | "message" if !node.is_null() && node.as_str().is_none() => "text or null",
        "force" if !matches!(node.value, Value::Bool(_)) => "true or false",
        "state" if !node.as_str().is_some_and(|state| STATES.contains(&state)) => {
            let help = node
                .as_str()
                .and_then(|word| did_you_mean(word, STATES))
                .unwrap_or_else(|| format!("the types of states are {}", STATES.join(", ")));
            reader.error("E0715", node, "`state` must be a type of state", help);
            return;
        }
        "schedule_after" => {
            let length = lax::scalar(node).and_then(|value| lax::duration(&value).ok());
            if length.is_some_and(|length| length >= Duration::ZERO) {
                return;
            }
            "a length of time of at least 0, in seconds or ISO 8601"
        }
        _ => return,
    };
    let message = format!("`{key}` must be {wanted}, not {}", node.value.type_name());
    reader.error("E0715", node, message, format!("write {wanted} after `{key}:`"));
}

/// The action as it is sent, with everything that the server would fill in. `name` gives what stands for the id of a
/// named object; it is told where the name stands.
pub fn sent(declared: &Tree, at: &Path, name: &mut dyn FnMut(Key, &Path) -> Tree) -> Tree {
    let word = declared.get("type").and_then(Tree::as_str).unwrap_or_default();
    let (Some(map), Some(action)) = (declared.as_map(), KINDS.iter().find(|action| action.word == word)) else {
        return declared.clone();
    };
    let mut out = Map::from([("type".to_owned(), Tree::text(word))]);
    if let Some(target) = action.target {
        if target.inferred {
            out.insert("source".to_owned(), map.get("source").cloned().unwrap_or_else(|| Tree::text("selected")));
        }
        let named = map.get(target.key).and_then(Tree::as_str);
        let id = named.map(|named| name(Key::new(target.kind, named), &at.key(target.key)));
        out.insert(target.id.to_owned(), id.or_else(|| map.get(target.id).cloned()).unwrap_or(Tree::Null));
    }
    for (key, default) in action.keys {
        let value = match map.get(*key) {
            Some(value) if *key == "schedule_after" => {
                lax::duration(value).map_or_else(|_| value.clone(), |length| Tree::Number(length.number()))
            }
            Some(value) => value.clone(),
            None => serde_json::from_str(default).map_or(Tree::Null, |value: serde_json::Value| Tree::from(value)),
        };
        out.insert((*key).to_owned(), value);
    }
    Tree::Map(out)
}
