//! The `concurrency_limit` of a deployment: a number, or a mapping with what to do with runs above it.
//!
//! Source of the rules: `ConcurrencyLimitSpec` of Prefect 3.8.8 `prefect/cli/deploy/_models.py`, the splitting in
//! `prefect/cli/deploy/_core.py` and `ConcurrencyOptions` of `prefect/client/schemas/objects.py`.

use super::lax;
use super::node::{Node, Value};
use super::problem::Problem;
use crate::diagnostic::did_you_mean;
use crate::model::{Map, Path, Tree};

/// A limit as the API takes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limit {
    /// `concurrency_limit`, if there is one.
    pub limit: Option<i64>,
    /// `concurrency_options`, if the mapping form was used.
    pub options: Option<Map>,
}

pub(super) const KEYS: [&str; 3] = ["limit", "collision_strategy", "grace_period_seconds"];
/// What may happen to a run over the limit.
pub const STRATEGIES: [&str; 2] = ["ENQUEUE", "CANCEL_NEW"];

/// Reads the value as written; templates are not possible in it, so that everything can be checked at once.
///
/// Besides errors there are warnings (`W0192`) for keys that Prefect drops in silence.
pub fn read(node: &Node) -> (Option<Limit>, Vec<Problem>) {
    let mut problems = Vec::new();
    let limit = match &node.value {
        Value::Null => Some(Limit::default()),
        Value::Map(_) => mapping(node, &mut problems),
        _ => {
            let number = number(node, Path::root(), "concurrency_limit", &mut problems);
            number.map(|limit| Limit { limit: Some(limit), options: None })
        }
    };
    if let Some(Limit { limit: Some(number), .. }) = &limit
        && *number < 1
    {
        let path = if matches!(node.value, Value::Map(_)) { Path::of("limit") } else { Path::root() };
        let message = format!("a concurrency limit is at least 1, not {number}");
        problems
            .push(Problem::new("E0192", path, message).help("remove it for no limit; `paused: true` lets nothing run"));
    }
    let wrong = problems.iter().any(|problem| problem.code.starts_with('E'));
    (limit.filter(|_| !wrong), problems)
}

impl Limit {
    /// The limit as one value: `{limit, options}`.
    pub fn to_tree(&self) -> Tree {
        Tree::Map(Map::from([
            ("limit".to_owned(), self.limit.map_or(Tree::Null, Tree::int)),
            ("options".to_owned(), self.options.clone().map_or(Tree::Null, Tree::Map)),
        ]))
    }

    /// The limit of the command line; a strategy without a limit counts for nothing, as in Prefect.
    pub fn from_flags(limit: Option<i64>, strategy: Option<&str>) -> Option<Limit> {
        let options = strategy.map(|s| Map::from([("collision_strategy".to_owned(), Tree::text(s))]));
        Some(Limit { limit: Some(limit?), options })
    }
}

fn number(node: &Node, path: Path, name: &str, problems: &mut Vec<Problem>) -> Option<i64> {
    let read = lax::scalar(node).and_then(|value| lax::integer(&value));
    if read.is_none() {
        let message = format!("`{name}` is a whole number, not {}", shown(node));
        let problem = Problem::new("E0192", path, message);
        problems.push(match node.as_str() {
            Some(text) if text.contains("{{") => {
                problem.help("Prefect reads it before templates are filled in: write the number")
            }
            _ => problem,
        });
    }
    read
}

fn shown(node: &Node) -> String {
    node.as_str().map_or_else(|| node.value.type_name().to_owned(), |text| format!("`{text}`"))
}

fn mapping(node: &Node, problems: &mut Vec<Problem>) -> Option<Limit> {
    for (key, _) in node.entries() {
        let name = key.as_str().unwrap_or_default();
        if !KEYS.contains(&name) {
            let message = format!("`{name}` is not a key of `concurrency_limit` and counts for nothing");
            let help = did_you_mean(name, KEYS).unwrap_or_else(|| format!("the keys are {}", KEYS.join(", ")));
            problems.push(Problem::new("W0192", Path::of(name), message).help(help));
        }
    }
    let given = |key: &str| node.get(key).filter(|value| !value.is_null());
    let limit = given("limit").map(|node| number(node, Path::of("limit"), "limit", problems));
    let grace = given("grace_period_seconds")
        .map(|node| number(node, Path::of("grace_period_seconds"), "grace_period_seconds", problems));
    if let Some(Some(seconds)) = grace
        && !(60..=86_400).contains(&seconds)
    {
        let message = format!("`grace_period_seconds` is between 60 and 86400, not {seconds}");
        problems.push(Problem::new("E0192", Path::of("grace_period_seconds"), message));
    }
    let strategy = strategy(given("collision_strategy"), problems)?;
    let mut options = Map::from([("collision_strategy".to_owned(), Tree::text(strategy))]);
    if let Some(Some(seconds)) = grace {
        options.insert("grace_period_seconds".to_owned(), Tree::int(seconds));
    }
    Some(Limit { limit: limit.flatten(), options: Some(options) })
}

fn strategy(node: Option<&Node>, problems: &mut Vec<Problem>) -> Option<String> {
    let path = Path::of("collision_strategy");
    let Some(node) = node else {
        let message = "`concurrency_limit` as a mapping needs `collision_strategy`";
        problems.push(Problem::new("E0192", path, message).help("write `collision_strategy: ENQUEUE` or `CANCEL_NEW`"));
        return None;
    };
    match lax::scalar(node) {
        Some(Tree::Text(text)) if STRATEGIES.contains(&text.as_str()) || text.contains("{{") => Some(text),
        _ => {
            let message = format!("`collision_strategy` is ENQUEUE or CANCEL_NEW, not {}", shown(node));
            let problem = Problem::new("E0192", path, message);
            let help = node.as_str().and_then(|text| did_you_mean(text, STRATEGIES));
            problems.push(match help {
                Some(help) => problem.help(help),
                None => problem,
            });
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;

    fn node(value: Value) -> Node {
        Node::new(value, Span::default())
    }

    fn text(text: &str) -> Node {
        node(Value::Text(text.to_owned()))
    }

    fn map(entries: Vec<(&str, Node)>) -> Node {
        node(Value::Map(entries.into_iter().map(|(key, value)| (text(key), value)).collect()))
    }

    #[test]
    fn numbers_and_mappings() {
        assert_eq!(read(&node(Value::Int(3.into()))).0, Some(Limit { limit: Some(3), options: None }));
        assert_eq!(read(&text("3")).0.and_then(|limit| limit.limit), Some(3));
        assert_eq!(read(&node(Value::Null)).0, Some(Limit::default()));
        let (limit, problems) = read(&map(vec![
            ("limit", node(Value::Int(2.into()))),
            ("collision_strategy", text("CANCEL_NEW")),
            ("grace_period_seconds", node(Value::Int(60.into()))),
            ("collision_stratgy", text("x")),
        ]));
        let options = limit.and_then(|limit| limit.options).expect("options");
        assert_eq!(
            options.keys().map(String::as_str).collect::<Vec<_>>(),
            ["collision_strategy", "grace_period_seconds"]
        );
        assert_eq!(problems[0].code, "W0192");
    }

    #[test]
    fn what_the_server_would_refuse_is_refused() {
        for (bad, part) in [
            (node(Value::Int(0.into())), "at least 1"),
            (text("{{ x }}"), "whole number"),
            (map(vec![("limit", node(Value::Int(2.into())))]), "needs `collision_strategy`"),
            (map(vec![("collision_strategy", text("QUEUE"))]), "not `QUEUE`"),
            (
                map(vec![
                    ("collision_strategy", text("ENQUEUE")),
                    ("grace_period_seconds", node(Value::Int(5.into()))),
                ]),
                "between 60 and 86400",
            ),
        ] {
            let (limit, problems) = read(&bad);
            assert_eq!(limit, None);
            assert!(problems[0].message.contains(part), "{problems:?}");
        }
    }

    #[test]
    fn a_strategy_alone_counts_for_nothing() {
        assert_eq!(Limit::from_flags(Some(3), None), Some(Limit { limit: Some(3), options: None }));
        assert_eq!(Limit::from_flags(None, Some("ENQUEUE")), None);
        let tree = Limit::from_flags(Some(3), Some("ENQUEUE")).map(|limit| limit.to_tree()).expect("a limit");
        assert_eq!(tree, Tree::from(serde_json::json!({"limit": 3, "options": {"collision_strategy": "ENQUEUE"}})));
    }
}
