//! The shape of schedules as written, before templates are filled in: keys, types and what JSON mode makes of them.
//!
//! Source of the rules: `RawScheduleConfig` and `ScheduleItem` of Prefect 3.8.8 `prefect/cli/deploy/_models.py`. Of the
//! four forms that Prefect's model accepts, two fail in every case afterwards (`{schedule: …}` and `{}` in a list); they
//! are refused here.

use jiff::civil::Time;
use serde_json::Number;

use super::anchor::Anchor;
use super::interval::{self, Duration};
use super::timezone;
use crate::diagnostic::did_you_mean;
use crate::manifest::lax;
use crate::manifest::node::{Node, Value};
use crate::manifest::problem::Problem;
use crate::model::{Map, Path, Tree};

/// What Prefect reads from a part of a file, and what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The value in JSON mode; parts with problems are null.
    pub value: Tree,
    /// Nothing counts while there are any.
    pub problems: Vec<Problem>,
}

pub(in crate::manifest) const KEYS: [&str; 10] =
    ["cron", "interval", "rrule", "timezone", "anchor_date", "active", "parameters", "slug", "replaces", "day_or"];
const KINDS: [&str; 3] = ["cron", "interval", "rrule"];

/// Checks the value of `schedules`. `free` is the JSON mode of free-form values, for `parameters`.
pub fn schedules(node: &Node, free: &dyn Fn(&Node) -> Tree) -> Checked {
    match &node.value {
        Value::Null => Checked { value: Tree::Null, problems: Vec::new() },
        Value::List(items) => {
            let mut checker = Checker { free, problems: Vec::new() };
            let value = items.iter().enumerate().map(|(i, item)| checker.item(item, Path::root().item(i))).collect();
            Checked { value: Tree::List(value), problems: checker.problems }
        }
        other => {
            let message = format!("`schedules` is a list of mappings, not {}", other.type_name());
            let problem = Problem::new("E0180", Path::root(), message).help("put `- ` before each schedule");
            Checked { value: Tree::Null, problems: vec![problem] }
        }
    }
}

/// Checks the value of the old key `schedule`: one schedule, `{}` or null.
pub fn schedule(node: &Node, free: &dyn Fn(&Node) -> Tree) -> Checked {
    match &node.value {
        Value::Null => Checked { value: Tree::Null, problems: Vec::new() },
        Value::Map(entries) if entries.is_empty() => Checked { value: Tree::Map(Map::new()), problems: Vec::new() },
        _ => {
            let mut checker = Checker { free, problems: Vec::new() };
            let value = checker.item(node, Path::root());
            Checked { value, problems: checker.problems }
        }
    }
}

/// The schedules of a declaration from its keys `schedule` and `schedules`; the path of the problem is the declaration's.
///
/// Source: `_handle_deprecated_schedule_fields` of Prefect 3.8.8 `prefect/cli/deploy/_config.py`.
pub fn join(schedule: Option<&Tree>, schedules: Option<&Tree>) -> Result<Option<Tree>, Problem> {
    match (schedule.filter(|one| one.is_truthy()), schedules) {
        (Some(_), Some(_)) => {
            let message = "a deployment has both `schedule` and `schedules`";
            let help = "move the schedule into the list `schedules` and remove `schedule`";
            Err(Problem::new("E0181", Path::of("schedule"), message).help(help))
        }
        (Some(one), None) => Ok(Some(Tree::List(vec![one.clone()]))),
        (None, list) => Ok(list.cloned()),
    }
}

/// Makes every schedule inactive that does not say itself whether it is active: Prefect 2's `is_schedule_active: false`.
pub fn deactivate(schedules: &mut Tree) {
    let Tree::List(items) = schedules else { return };
    for item in items {
        if let Tree::Map(map) = item
            && map.get("active").is_none_or(Tree::is_null)
        {
            map.insert("active".to_owned(), Tree::Bool(false));
        }
    }
}

struct Checker<'f> {
    free: &'f dyn Fn(&Node) -> Tree,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn problem(&mut self, code: &'static str, path: Path, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::new(code, path, message).help(help));
    }

    fn item(&mut self, node: &Node, path: Path) -> Tree {
        let Value::Map(entries) = &node.value else {
            let message = format!("a schedule is a mapping, not {}", node.value.type_name());
            self.problem("E0180", path, message, "for example `cron: \"0 9 * * *\"`");
            return Tree::Null;
        };
        if is_dated_interval(node) {
            return self.dated_interval(node, &path);
        }
        let before = self.problems.len();
        let mut map = Map::new();
        for (key, value) in entries {
            match key.as_str() {
                Some(key) => {
                    let read = self.field(key, value, path.key(key));
                    map.insert(key.to_owned(), read);
                }
                None => {
                    let message = format!("a key of a schedule is text, not {}", key.value.type_name());
                    self.problem("E0180", path.clone(), message, "put quotes around the key");
                }
            }
        }
        if self.problems.len() == before {
            self.exactly_one(node, path);
        }
        Tree::Map(map)
    }

    fn exactly_one(&mut self, node: &Node, path: Path) {
        let given: Vec<&str> =
            KINDS.into_iter().filter(|key| node.get(key).is_some_and(|value| !value.is_null())).collect();
        match given.as_slice() {
            [_] => {}
            [] => {
                let help = "give it one of `cron`, `interval` and `rrule`";
                self.problem("E0182", path, "a schedule says nothing about when it is due", help);
            }
            [first, second, ..] => {
                let message = format!("a schedule has both `{first}` and `{second}`");
                self.problem("E0182", path.key(second), message, "make two schedules of it");
            }
        }
    }

    fn field(&mut self, key: &str, node: &Node, path: Path) -> Tree {
        match key {
            "cron" | "rrule" | "timezone" | "anchor_date" | "slug" | "replaces" => self.text(key, node, path),
            "interval" => self.interval(node, path),
            "active" | "day_or" => self.boolean(key, node, path),
            "parameters" => self.parameters(node, path),
            _ => {
                self.unknown(key, path);
                Tree::Null
            }
        }
    }

    fn unknown(&mut self, key: &str, path: Path) {
        let message = format!("`{key}` is not a key of a schedule");
        let help = match key {
            "max_scheduled_runs" | "catchup" => "Prefect allows it only through its API: remove it".to_owned(),
            "schedule" => "move its keys up, in place of `schedule`".to_owned(),
            "enabled" | "is_active" | "paused" => "the key is `active`".to_owned(),
            "tz" | "time_zone" => "the key is `timezone`".to_owned(),
            "anchor" | "start_date" | "start" => "the key is `anchor_date`".to_owned(),
            "name" | "id" => "the key is `slug`".to_owned(),
            _ => did_you_mean(key, KEYS).unwrap_or_else(|| format!("the keys are {}", KEYS.join(", "))),
        };
        self.problem("E0180", path, message, help);
    }

    fn text(&mut self, key: &str, node: &Node, path: Path) -> Tree {
        match lax::scalar(node) {
            Some(value @ (Tree::Text(_) | Tree::Null)) => value,
            _ => {
                let help = match (&node.value, key) {
                    (Value::Date(_) | Value::Naive(_) | Value::Aware(..), "anchor_date") => {
                        "put quotes around the date; without quotes it may only stand with `interval` and `timezone`"
                    }
                    _ => "put quotes around the value",
                };
                self.problem("E0183", path, format!("`{key}` is text, not {}", node.value.type_name()), help);
                Tree::Null
            }
        }
    }

    fn boolean(&mut self, key: &str, node: &Node, path: Path) -> Tree {
        match lax::scalar(node) {
            Some(value @ (Tree::Bool(_) | Tree::Text(_) | Tree::Null)) => return value,
            Some(value) => {
                if let Some(read) = lax::boolean(&value) {
                    return Tree::Bool(read);
                }
            }
            None => {}
        }
        let message = format!("`{key}` is true or false, not {}", node.value.type_name());
        self.problem("E0183", path, message, "write `true` or `false`");
        Tree::Null
    }

    fn interval(&mut self, node: &Node, path: Path) -> Tree {
        if node.is_null() {
            return Tree::Null;
        }
        match duration(node) {
            Ok(length) => Tree::Text(length.iso()),
            Err(why) => {
                let text = node.as_str().unwrap_or_default();
                let help = if text.contains("{{") {
                    "Prefect reads `interval` before templates are filled in: write the number".to_owned()
                } else {
                    interval::help(text)
                };
                self.problem("E0185", path, why, help);
                Tree::Null
            }
        }
    }

    fn parameters(&mut self, node: &Node, path: Path) -> Tree {
        let Value::Map(entries) = &node.value else {
            let message = format!("`parameters` is a mapping, not {}", node.value.type_name());
            self.problem("E0183", path, message, "remove the key or give it a mapping");
            return Tree::Null;
        };
        for (key, _) in entries {
            if lax::scalar(key).is_none_or(|key| key.as_str().is_none()) {
                let message = format!("the name of a parameter is text, not {}", key.value.type_name());
                self.problem("E0183", path.clone(), message, "put quotes around the name");
            }
        }
        (self.free)(node)
    }

    /// The form in which `anchor_date` need not be quoted: read at once, without templates.
    fn dated_interval(&mut self, node: &Node, path: &Path) -> Tree {
        let interval = node.get("interval").map(duration).unwrap_or_else(|| Err("there is no `interval`".to_owned()));
        let length = match interval {
            Ok(length) if length > Duration::ZERO => Some(length),
            Ok(_) => {
                let message = "an interval must be longer than 0 seconds";
                self.problems.push(Problem::new("E0185", path.key("interval"), message));
                None
            }
            Err(why) => {
                let text = node.get("interval").and_then(Node::as_str).unwrap_or_default();
                self.problem("E0185", path.key("interval"), why, interval::help(text));
                None
            }
        };
        let anchor = node.get("anchor_date").and_then(anchor);
        if anchor.is_none() {
            let message = "`anchor_date` is not a point in time";
            self.problem("E0186", path.key("anchor_date"), message, "write it as `2024-01-31`");
        }
        let zone = self.zone(node.get("timezone"), path);
        match (length, anchor) {
            (Some(length), Some(anchor)) => Tree::Map(Map::from([
                ("interval".to_owned(), Tree::Number(length.number())),
                ("anchor_date".to_owned(), Tree::Text(anchor.text())),
                ("timezone".to_owned(), Tree::Text(zone)),
            ])),
            _ => Tree::Null,
        }
    }

    fn zone(&mut self, node: Option<&Node>, path: &Path) -> String {
        let path = path.key("timezone");
        match node.map(|node| self.text("timezone", node, path.clone())) {
            None | Some(Tree::Null) => "UTC".to_owned(),
            Some(value) => {
                let name = value.as_str().unwrap_or_default();
                if !name.is_empty() && !timezone::is_known(name, false) {
                    let help = "with an unquoted `anchor_date` it must be an IANA name such as `America/New_York`";
                    self.problem("E0188", path, format!("`{name}` is not a time zone"), help);
                }
                name.to_owned()
            }
        }
    }
}

/// Whether it is an interval with an unquoted anchor and nothing that rules out Prefect's second form.
fn is_dated_interval(node: &Node) -> bool {
    let keys = |(key, _): &(Node, Node)| matches!(key.as_str(), Some("interval" | "anchor_date" | "timezone"));
    let dated = node.get("anchor_date").is_some_and(|anchor| {
        matches!(anchor.value, Value::Date(_) | Value::Naive(_) | Value::Aware(..) | Value::Int(_) | Value::Float(_))
    });
    dated && node.get("interval").is_some_and(|interval| !interval.is_null()) && node.entries().iter().all(keys)
}

fn duration(node: &Node) -> Result<Duration, String> {
    match lax::scalar(node) {
        Some(value) => lax::duration(&value),
        None => Err(format!("a length of time is expected, not {}", node.value.type_name())),
    }
}

/// A date, a date with a time, or seconds or milliseconds since 1970.
fn anchor(node: &Node) -> Option<Anchor> {
    match &node.value {
        Value::Date(date) => Some(Anchor::new(date.to_datetime(Time::midnight()), 0)),
        Value::Naive(local) => Some(Anchor::new(*local, 0)),
        Value::Aware(local, offset) => Some(Anchor::new(*local, *offset)),
        Value::Int(number) => since_1970(number),
        Value::Float(float) => since_1970(&Number::from_f64(*float)?),
        Value::Null
        | Value::Bool(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::List(_)
        | Value::Set(_)
        | Value::Map(_) => None,
    }
}

/// Numbers beyond 2·10¹⁰ are milliseconds, as pydantic has it.
fn since_1970(number: &Number) -> Option<Anchor> {
    let value = number.as_f64()?;
    let seconds = if value.abs() > 2e10 { value / 1000.0 } else { value };
    let micros = (seconds * 1e6).round();
    // Years 1600 to 9999.
    let fits = (-11_676_096_000.0..=253_402_300_799.0).contains(&seconds);
    let instant = fits.then(|| jiff::Timestamp::from_microsecond(micros as i64).ok())??;
    Some(Anchor::new(jiff::tz::Offset::UTC.to_datetime(instant), 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;
    use serde_json::json;

    fn node(value: Value) -> Node {
        Node::new(value, Span::default())
    }

    fn text(text: &str) -> Node {
        node(Value::Text(text.to_owned()))
    }

    fn map(entries: Vec<(&str, Node)>) -> Node {
        node(Value::Map(entries.into_iter().map(|(key, value)| (text(key), value)).collect()))
    }

    fn int(n: i64) -> Node {
        node(Value::Int(n.into()))
    }

    fn check(item: Node) -> Checked {
        schedules(&node(Value::List(vec![item])), &|_| Tree::Map(Map::new()))
    }

    #[test]
    fn misspelt_keys_are_named() {
        let checked =
            check(map(vec![("corn", text("* * * * *")), ("timezon", text("UTC")), ("max_scheduled_runs", int(3))]));
        let helps: Vec<&str> = checked.problems.iter().filter_map(|p| p.help.as_deref()).collect();
        assert_eq!(helps[0], "did you mean `cron`?");
        assert_eq!(helps[1], "did you mean `timezone`?");
        assert!(helps[2].contains("API"));
        assert_eq!(checked.problems[0].path.to_string(), "[0].corn");
    }

    #[test]
    fn exactly_one_kind() {
        let both = check(map(vec![("cron", text("x")), ("interval", int(5))]));
        assert_eq!(both.problems[0].code, "E0182");
        assert_eq!(check(map(vec![])).problems[0].code, "E0182");
        assert_eq!(schedule(&map(vec![]), &|_| Tree::Null).problems, vec![]);
        let one = check(map(vec![("cron", node(Value::Null)), ("interval", int(5))]));
        assert_eq!(one.value, json!([{"cron": null, "interval": "PT5S"}]).into());
    }

    #[test]
    fn unquoted_dates_only_stand_alone() {
        let date = || node(Value::Date(jiff::civil::date(2024, 1, 1)));
        let alone = check(map(vec![("interval", int(600)), ("anchor_date", date())]));
        let expected = json!([{"interval": 600.0, "anchor_date": "2024-01-01T00:00:00Z", "timezone": "UTC"}]);
        assert_eq!((alone.value, alone.problems), (expected.into(), vec![]));
        let slugged = check(map(vec![("interval", int(600)), ("anchor_date", date()), ("slug", text("a"))]));
        assert!(slugged.problems[0].help.as_deref().is_some_and(|help| help.contains("quotes")));
    }

    #[test]
    fn the_old_key_joins() {
        let one = Tree::from(json!({"cron": "x"}));
        assert_eq!(join(Some(&one), None), Ok(Some(json!([{"cron": "x"}]).into())));
        assert!(join(Some(&one), Some(&Tree::Null)).is_err());
        assert_eq!(join(Some(&json!({}).into()), Some(&Tree::Null)), Ok(Some(Tree::Null)));
        let mut list = json!([{"cron": "x"}, {"cron": "y", "active": true}]).into();
        deactivate(&mut list);
        assert_eq!(list, json!([{"cron": "x", "active": false}, {"cron": "y", "active": true}]).into());
    }
}
