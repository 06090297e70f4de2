//! Coercions of pydantic's lax mode, which is how Prefect's models read booleans, numbers and lengths of time.

use super::node::{Node, Value};
use super::schedules::interval::Duration;
use crate::model::Tree;

/// The plain value of a scalar of a file: binary data is text if it is UTF-8. `None` for dates, lists and mappings
/// and for numbers that JSON cannot say.
pub fn scalar(node: &Node) -> Option<Tree> {
    match &node.value {
        Value::Null => Some(Tree::Null),
        Value::Bool(b) => Some(Tree::Bool(*b)),
        Value::Int(n) => Some(Tree::Number(n.clone())),
        Value::Float(f) => serde_json::Number::from_f64(*f).map(Tree::Number),
        Value::Text(text) => Some(Tree::text(text)),
        Value::Bytes(bytes) => String::from_utf8(bytes.clone()).ok().map(Tree::Text),
        Value::Date(_) | Value::Naive(_) | Value::Aware(..) | Value::List(_) | Value::Set(_) | Value::Map(_) => None,
    }
}

/// A secret as its plain value; everything else as it is.
pub fn revealed(tree: &Tree) -> Tree {
    match tree {
        Tree::Secret(secret) => Tree::from(secret.reveal()),
        _ => tree.clone(),
    }
}

/// The name of a value's type for messages, as [`Value::type_name`] gives it for values of files.
pub fn type_name(tree: &Tree) -> &'static str {
    match tree {
        Tree::Null => "null",
        Tree::Bool(_) => "true or false",
        Tree::Number(_) => "a number",
        Tree::Text(_) => "text",
        Tree::List(_) => "a list",
        Tree::Map(_) => "a mapping",
        Tree::Secret(_) => "a secret",
        Tree::IdOf(_) => "an id",
        Tree::Unknown(_) => "not known yet",
    }
}

/// `true`, `yes`, `on`, `t`, `y`, `1` and their opposites, in any case; 0 and 1.
pub fn boolean(tree: &Tree) -> Option<bool> {
    match tree {
        Tree::Bool(b) => Some(*b),
        Tree::Number(n) => match n.as_f64() {
            Some(0.0) => Some(false),
            Some(1.0) => Some(true),
            _ => None,
        },
        Tree::Text(text) => match text.to_ascii_lowercase().as_str() {
            "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
            "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
            _ => None,
        },
        Tree::Null | Tree::List(_) | Tree::Map(_) | Tree::Secret(_) | Tree::IdOf(_) | Tree::Unknown(_) => None,
    }
}

/// Whole numbers, also as floats, booleans and texts such as `" 1_000.0 "`.
pub fn integer(tree: &Tree) -> Option<i64> {
    match tree {
        Tree::Bool(b) => Some(i64::from(*b)),
        Tree::Number(n) => n.as_i64().or_else(|| {
            let float = n.as_f64().filter(|f| n.is_f64() && f.fract() == 0.0 && f.abs() < 9.0e18)?;
            Some(float as i64)
        }),
        Tree::Text(text) => integer_text(text),
        Tree::Null | Tree::List(_) | Tree::Map(_) | Tree::Secret(_) | Tree::IdOf(_) | Tree::Unknown(_) => None,
    }
}

fn integer_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (&text[..1], rest),
        None => ("", text),
    };
    let digits = match digits.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => digits,
    };
    let well_placed = !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__");
    let plain = digits.replace('_', "");
    let fits = well_placed && !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit());
    if fits { format!("{sign}{plain}").parse().ok() } else { None }
}

/// Finite numbers, also as booleans and texts.
pub fn float(tree: &Tree) -> Option<f64> {
    match tree {
        Tree::Bool(b) => Some(f64::from(u8::from(*b))),
        Tree::Number(n) => n.as_f64(),
        Tree::Text(text) => text.trim().parse().ok().filter(|f: &f64| f.is_finite()),
        Tree::Null | Tree::List(_) | Tree::Map(_) | Tree::Secret(_) | Tree::IdOf(_) | Tree::Unknown(_) => None,
    }
}

/// Seconds as a number or a boolean, or a text in one of [`Duration::parse`]'s forms. The error is one sentence.
pub fn duration(tree: &Tree) -> Result<Duration, String> {
    match tree {
        Tree::Bool(b) => Ok(Duration::seconds(i64::from(*b))),
        Tree::Number(n) => Duration::from_number(n),
        Tree::Text(text) => Duration::parse(text),
        Tree::Null | Tree::List(_) | Tree::Map(_) | Tree::Secret(_) | Tree::IdOf(_) | Tree::Unknown(_) => {
            Err(format!("a length of time is expected, not {}", type_name(tree)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn coerces_as_pydantic() {
        assert_eq!(boolean(&json!("Yes").into()), Some(true));
        assert_eq!(boolean(&json!(0.0).into()), Some(false));
        assert_eq!(boolean(&json!(2).into()), None);
        for (value, expected) in [
            (json!(" 1_000.0 "), Some(1000)),
            (json!("+3"), Some(3)),
            (json!("3.5"), None),
            (json!("1__0"), None),
            (json!(""), None),
            (json!(true), Some(1)),
            (json!(3.0), Some(3)),
            (json!(3.5), None),
        ] {
            assert_eq!(integer(&value.clone().into()), expected, "{value}");
        }
        assert_eq!(float(&json!("0.5").into()), Some(0.5));
        assert_eq!(float(&json!("inf").into()), None);
        assert_eq!(duration(&json!("PT1M").into()), Ok(Duration::seconds(60)));
        assert!(duration(&json!(null).into()).is_err());
    }
}
