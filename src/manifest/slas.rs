//! Service level agreements of a deployment, which only Prefect Cloud keeps.
//!
//! Source of the rules: Prefect 3.8.8 `prefect/_experimental/sla/objects.py` and `prefect/cli/deploy/_sla.py`. Like
//! schedules they are checked twice: as written, and again after templating.

use super::lax;
use super::node::{Node, Value};
use super::problem::Problem;
use crate::diagnostic::did_you_mean;
use crate::model::{Key, Map, Path, Tree};

const KINDS: [&str; 3] = ["duration", "within", "stale_after"];
pub(super) const KEYS: [&str; 6] = ["name", "severity", "enabled", "duration", "within", "stale_after"];
const SEVERITIES: [&str; 5] = ["minor", "low", "moderate", "high", "critical"];

/// The list that a deployment declares; the server replaces all agreements of the deployment by it.
#[derive(Clone, Debug, PartialEq)]
pub struct Slas {
    /// The items of the body, without `owner_resource`: the caller adds `prefect.deployment.<id of owner>` to each.
    pub body: Vec<Tree>,
    /// The deployment.
    pub owner: Key,
}

/// Checks `sla` as written. Null means that nothing is declared.
///
/// Besides errors there are warnings (`W0193`) for keys that Prefect drops in silence.
pub fn check(node: &Node) -> (Tree, Vec<Problem>) {
    let mut problems = Vec::new();
    let items = match &node.value {
        Value::Null => return (Tree::Null, problems),
        Value::List(items) => items,
        other => {
            let message = format!("`sla` is a list of mappings, not {}", other.type_name());
            problems.push(Problem::new("E0193", Path::root(), message).help("put `- ` before each agreement"));
            return (Tree::Null, problems);
        }
    };
    let mut all = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let path = Path::root().item(i);
        match plain(item) {
            Some(item) => {
                warn_unknown(&item, &path, &mut problems);
                all.push(agreement(&item, &path, &mut problems));
            }
            None => {
                let message = format!("an agreement is a mapping, not {}", item.value.type_name());
                problems.push(Problem::new("E0193", path, message));
            }
        }
    }
    (Tree::List(all), problems)
}

/// The body of a declared list after templating.
pub fn build(list: &Tree, deployment: &Key) -> Result<Slas, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut body = Vec::new();
    for (i, item) in list.as_list().unwrap_or_default().iter().enumerate() {
        let path = Path::root().item(i);
        match item {
            Tree::Map(map) => body.push(agreement(map, &path, &mut problems)),
            other => {
                let message = format!("an agreement is a mapping, not {}", lax::type_name(other));
                problems.push(Problem::new("E0193", path, message));
            }
        }
    }
    if problems.is_empty() { Ok(Slas { body, owner: deployment.clone() }) } else { Err(problems) }
}

/// The scalars of a mapping; what is no scalar becomes a list, which no field allows.
fn plain(node: &Node) -> Option<Map> {
    let Value::Map(entries) = &node.value else { return None };
    let value = |node: &Node| lax::scalar(node).unwrap_or(Tree::List(Vec::new()));
    Some(entries.iter().filter_map(|(key, node)| Some((key.as_str()?.to_owned(), value(node)))).collect())
}

fn warn_unknown(map: &Map, path: &Path, problems: &mut Vec<Problem>) {
    for key in map.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let message = format!("`{key}` is not a key of an agreement and counts for nothing");
        let help = did_you_mean(key, KEYS).unwrap_or_else(|| format!("the keys are {}", KEYS.join(", ")));
        problems.push(Problem::new("W0193", path.key(key), message).help(help));
    }
}

/// One agreement with the fields that are set; it has one kind, the first that reads, as in pydantic's union.
fn agreement(map: &Map, path: &Path, problems: &mut Vec<Problem>) -> Tree {
    let mut problem = |key: &str, message: String, help: Option<String>| {
        let path = if key.is_empty() { path.clone() } else { path.key(key) };
        let problem = Problem { code: "E0193", path, message, help };
        problems.push(problem);
    };
    let mut out = Map::new();
    match map.get("name").map(lax::revealed) {
        Some(Tree::Text(name)) => drop(out.insert("name".to_owned(), Tree::Text(name))),
        Some(Tree::Unknown(why)) => drop(out.insert("name".to_owned(), Tree::Unknown(why))),
        Some(other) => problem("name", format!("`name` is text, not {}", lax::type_name(&other)), None),
        None => problem("name", "an agreement needs a `name`".to_owned(), None),
    }
    if let Some(severity) = map.get("severity").map(lax::revealed) {
        match severity.as_str() {
            Some(text) if SEVERITIES.contains(&text) => drop(out.insert("severity".to_owned(), severity)),
            text => {
                let help = text.and_then(|text| did_you_mean(text, SEVERITIES));
                problem("severity", format!("`severity` is one of {}", SEVERITIES.join(", ")), help);
            }
        }
    }
    if let Some(enabled) = map.get("enabled").map(lax::revealed) {
        match lax::boolean(&enabled) {
            Some(read) => drop(out.insert("enabled".to_owned(), Tree::Bool(read))),
            None if enabled.is_null() => drop(out.insert("enabled".to_owned(), Tree::Null)),
            None => problem("enabled", "`enabled` is true or false".to_owned(), None),
        }
    }
    match KINDS.into_iter().find_map(|kind| map.get(kind).and_then(|value| Some((kind, measure(kind, value)?)))) {
        Some((kind, value)) => drop(out.insert(kind.to_owned(), value)),
        None => match KINDS.into_iter().find(|kind| map.contains_key(*kind)) {
            Some("duration") => problem("duration", "`duration` is a whole number of seconds".to_owned(), None),
            Some(kind) => {
                let help = "write seconds as a number, or a text such as `PT1H30M` or `01:30:00`";
                problem(kind, format!("`{kind}` is not a length of time"), Some(help.to_owned()));
            }
            None => {
                let help = "`duration`: longest run; `within`: latest start; `stale_after`: longest time between runs";
                problem("", "an agreement says nothing about what is agreed".to_owned(), Some(help.to_owned()));
            }
        },
    }
    Tree::Map(out)
}

fn measure(kind: &str, value: &Tree) -> Option<Tree> {
    let value = lax::revealed(value);
    match kind {
        "duration" => lax::integer(&value).map(Tree::int),
        _ => lax::duration(&value).ok().map(|length| Tree::Number(length.number())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn built(list: serde_json::Value) -> Result<Vec<Tree>, Vec<Problem>> {
        build(&Tree::from(list), &Key::deployment("etl", "nightly")).map(|slas| slas.body)
    }

    #[test]
    fn bodies_hold_what_is_set() {
        let body =
            built(json!([{"name": "a", "duration": "60"}, {"name": "b", "within": "PT10M", "severity": "high"}]));
        let expected = json!([{"name": "a", "duration": 60}, {"name": "b", "severity": "high", "within": 600.0}]);
        assert_eq!(body.map(Tree::List), Ok(Tree::from(expected)));
        assert_eq!(built(json!([])), Ok(vec![]));
    }

    #[test]
    fn problems_name_the_field() {
        let problems = built(json!([{"severity": "hi", "stale_after": "soon"}])).expect_err("three problems");
        let places: Vec<String> = problems.iter().map(|p| p.path.to_string()).collect();
        assert_eq!(places, ["[0].name", "[0].severity", "[0].stale_after"]);
    }
}
