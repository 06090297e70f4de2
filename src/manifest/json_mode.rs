//! A YAML value → the JSON that Prefect makes of it before it looks at templates: pydantic 2's `model_dump(mode="json")`.
//!
//! Holds for free-form values: `parameters`, `job_variables`, steps and triggers of a declaration. Verified against pydantic
//! through Prefect 3.8.8 `prefect/cli/deploy/_models.py`.

use jiff::civil::DateTime;
use serde_json::Number;

use crate::diagnostic::Diagnostic;
use crate::model::{Map, RepoPath, Tree};

use super::node::{Node, Value};

/// The JSON of a value.
///
/// Dates and times become ISO 8601 text, `Z` for UTC; sets become lists in the order written (Python's own order varies from run to
/// run); binary data becomes text; infinite numbers become null. Keys become text: `1`, `true`, `None` for null, dates as above;
/// of two keys with one text the last value counts.
///
/// # Errors
/// Every binary value that is not UTF-8 text, with its place.
pub fn tree(file: &RepoPath, node: &Node) -> Result<Tree, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let tree = convert(file, node, &mut problems);
    if problems.is_empty() { Ok(tree) } else { Err(problems) }
}

fn convert(file: &RepoPath, node: &Node, problems: &mut Vec<Diagnostic>) -> Tree {
    match &node.value {
        Value::Null => Tree::Null,
        Value::Bool(b) => Tree::Bool(*b),
        Value::Int(n) => Tree::Number(n.clone()),
        Value::Float(f) => Number::from_f64(*f).map_or(Tree::Null, Tree::Number),
        Value::List(items) | Value::Set(items) => {
            Tree::List(items.iter().map(|item| convert(file, item, problems)).collect())
        }
        Value::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let key = text(file, key, problems);
                map.insert(key, convert(file, value, problems));
            }
            Tree::Map(map)
        }
        Value::Text(_) | Value::Date(_) | Value::Naive(_) | Value::Aware(..) | Value::Bytes(_) => {
            Tree::Text(text(file, node, problems))
        }
    }
}

/// The text of a key, or of a value that JSON has only text for.
fn text(file: &RepoPath, node: &Node, problems: &mut Vec<Diagnostic>) -> String {
    match &node.value {
        Value::Null => "None".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Float(f) => float_key(*f),
        Value::Text(text) => text.clone(),
        Value::Date(date) => date.to_string(),
        Value::Naive(time) => naive(*time),
        Value::Aware(time, offset) => format!("{}{}", naive(*time), zone(*offset)),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                problems.push(not_text(file, node));
                String::new()
            }
        },
        // PyYAML builds no such keys, and values of these kinds do not come here.
        Value::List(_) | Value::Set(_) | Value::Map(_) => String::new(),
    }
}

fn not_text(file: &RepoPath, node: &Node) -> Diagnostic {
    Diagnostic::error("E0115", "the binary value is not UTF-8 text, which JSON would need")
        .at(node.origin(file), "")
        .help("pass the data as base64 text without the tag `!!binary`, and decode it in the flow")
}

fn naive(time: DateTime) -> String {
    let whole = time.strftime("%Y-%m-%dT%H:%M:%S");
    match time.subsec_nanosecond() / 1000 {
        0 => whole.to_string(),
        micros => format!("{whole}.{micros:06}"),
    }
}

fn zone(offset: i32) -> String {
    if offset == 0 {
        return "Z".to_owned();
    }
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// A float as a key, as Python's `repr` writes it; `None` where JSON has no such number.
fn float_key(f: f64) -> String {
    if !f.is_finite() {
        return "None".to_owned();
    }
    let scientific = format!("{f:e}");
    let (digits, exponent) = scientific.split_once('e').expect("`{:e}` writes an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes a whole exponent");
    if (-4..16).contains(&exponent) {
        let plain = f.to_string();
        return if plain.contains('.') { plain } else { format!("{plain}.0") };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml;
    use serde_json::json;

    fn json(text: &str) -> serde_json::Value {
        let file = RepoPath::new("prefect.yaml");
        let document = yaml::read(&file, text.as_bytes()).unwrap();
        tree(&file, &document.root).unwrap().revealed(&|_| None).unwrap()
    }

    #[test]
    fn times_become_text() {
        assert_eq!(
            json(
                "[2024-01-01, 2024-01-01 01:00:00, 2024-01-01T00:00:00.12Z, 9999-12-31T23:59:59+05:30, 0001-01-01 0:00:00 -0:30]"
            ),
            json!([
                "2024-01-01",
                "2024-01-01T01:00:00",
                "2024-01-01T00:00:00.120000Z",
                "9999-12-31T23:59:59+05:30",
                "0001-01-01T00:00:00-00:30"
            ])
        );
    }

    #[test]
    fn keys_become_text_and_the_last_of_equal_ones_counts() {
        assert_eq!(
            json("{1: a, '1': b, true: c, null: d, 1.0e+20: f, 1.0e-7: g, 2.0: h, .inf: i, 2024-01-01: j}"),
            json!({"1": "c", "None": "i", "1e+20": "f", "1e-07": "g", "2.0": "h", "2024-01-01": "j"})
                .as_object()
                .map(|expected| {
                    // `true` and `1` are one key in Python, and the text `'1'` comes after it.
                    let mut expected = expected.clone();
                    expected["1"] = json!("b");
                    serde_json::Value::Object(expected)
                })
                .unwrap()
        );
    }

    #[test]
    fn the_rest_is_what_json_has() {
        assert_eq!(
            json("[.inf, .nan, !!set {b, a}, !!binary aGk=, !!omap [{a: 1}]]"),
            json!([null, null, ["b", "a"], "hi", [["a", 1]]])
        );
    }

    #[test]
    fn binary_data_must_be_text() {
        let file = RepoPath::new("prefect.yaml");
        let document = yaml::read(&file, b"a: !!binary //79").unwrap();
        let problems = tree(&file, &document.root).unwrap_err();
        assert_eq!((problems[0].code, problems[0].origin().unwrap().span.column), ("E0115", 13));
    }
}
