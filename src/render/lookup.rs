//! Looking a placeholder's name up in nested values: `a.b[0].c`.
//!
//! Prefect 3.8.8 `utilities/collections.py`, `get_from_dict`: brackets are dots, whatever Python's `int()` takes is
//! a position, a position in a text gives a character, and whatever does not fit is simply not there.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::model::{Map, Secret, Tree};

/// The value under a dotted name; `None` if there is none. What lies inside a sealed value comes out sealed, what
/// lies inside an unknown one is unknown.
pub(super) fn lookup(values: &Map, name: &str) -> Option<Tree> {
    let path = name.replace('[', ".").replace(']', "");
    let mut segments = path.split('.').map(segment);
    let first = match segments.next()? {
        Segment::Key(key) => values.get(key)?,
        Segment::Position(_) => return None,
    };
    walk(Here::Open(first), segments)
}

/// The same within one value.
pub(super) fn lookup_in(value: &Tree, name: &str) -> Option<Tree> {
    let path = name.replace('[', ".").replace(']', "");
    walk(Here::Open(value), path.split('.').map(segment))
}

fn walk<'a>(start: Here<'_>, segments: impl Iterator<Item = Segment<'a>>) -> Option<Tree> {
    let mut here = start;
    for segment in segments {
        here = here.step(&segment)?;
    }
    Some(here.take())
}

/// One step of a path.
enum Segment<'a> {
    Key(&'a str),
    /// `None`: a number too great for any list.
    Position(Option<i64>),
}

/// Python's `int()` gives up beyond this many digits, and then the text stays a key.
const MOST_DIGITS: usize = 4300;

static INTEGER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[+-]?\p{Nd}+(_\p{Nd}+)*$").expect("the pattern is valid"));

fn segment(text: &str) -> Segment<'_> {
    let digits = || text.chars().filter(|c| !matches!(c, '+' | '-' | '_'));
    if !INTEGER.is_match(text) || digits().count() > MOST_DIGITS {
        return Segment::Key(text);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let number = digits().try_fold(0_i64, |sum, c| sum.checked_mul(10)?.checked_add(digit(c)));
    Segment::Position(number.map(|n| n * sign))
}

/// The value of a decimal digit of any script: they stand in runs of ten, from nought.
fn digit(c: char) -> i64 {
    static DECIMAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\p{Nd}").expect("the pattern is valid"));
    if let Some(ascii) = c.to_digit(10) {
        return i64::from(ascii);
    }
    let is_decimal = |code: u32| char::from_u32(code).is_some_and(|c| DECIMAL.is_match(c.encode_utf8(&mut [0; 4])));
    let run = (0..u32::from(c)).rev().take_while(|code| is_decimal(*code)).count();
    i64::try_from(run % 10).expect("less than ten")
}

/// Where a lookup stands.
enum Here<'a> {
    Open(&'a Tree),
    /// Inside a sealed value.
    Sealed(&'a Value),
    /// At a character of a text, sealed or not.
    Char(char, bool),
}

impl<'a> Here<'a> {
    fn step(self, segment: &Segment) -> Option<Here<'a>> {
        match (self, segment) {
            (Here::Open(tree), segment) => step_open(tree, segment),
            (Here::Sealed(Value::Object(map)), Segment::Key(key)) => map.get(*key).map(Here::Sealed),
            (Here::Sealed(Value::Array(items)), Segment::Position(at)) => {
                items.get(position(*at, items.len())?).map(Here::Sealed)
            }
            (Here::Sealed(Value::String(text)), Segment::Position(at)) => char_at(text, *at, true),
            (Here::Sealed(_), _) => None,
            (Here::Char(c, sealed), Segment::Position(Some(0 | -1))) => Some(Here::Char(c, sealed)),
            (Here::Char(..), _) => None,
        }
    }

    fn take(self) -> Tree {
        match self {
            Here::Open(tree) => tree.clone(),
            Here::Sealed(value) => Tree::Secret(Secret::new(value.clone())),
            Here::Char(c, true) => Tree::Secret(Secret::text(c)),
            Here::Char(c, false) => Tree::text(c),
        }
    }
}

fn step_open<'a>(tree: &'a Tree, segment: &Segment) -> Option<Here<'a>> {
    match (tree, segment) {
        (Tree::Map(map), Segment::Key(key)) => map.get(*key).map(Here::Open),
        (Tree::List(items), Segment::Position(at)) => items.get(position(*at, items.len())?).map(Here::Open),
        (Tree::Text(text), Segment::Position(at)) => char_at(text, *at, false),
        (Tree::Secret(secret), segment) => Here::Sealed(secret.reveal()).step(segment),
        (Tree::Unknown(_), _) => Some(Here::Open(tree)),
        (
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::List(_) | Tree::Map(_) | Tree::IdOf(_),
            _,
        ) => None,
    }
}

/// A place counted from the end if negative.
fn position(at: Option<i64>, len: usize) -> Option<usize> {
    let at = at?;
    if at < 0 { len.checked_sub(usize::try_from(at.unsigned_abs()).ok()?) } else { usize::try_from(at).ok() }
}

fn char_at<'a>(text: &str, at: Option<i64>, sealed: bool) -> Option<Here<'a>> {
    let at = position(at, text.chars().count())?;
    text.chars().nth(at).map(|c| Here::Char(c, sealed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tree::Unknown;
    use serde_json::json;

    fn values() -> Map {
        let plain = Tree::from(json!({
            "a": {"b": [10, {"c": null}]}, "": {"": "empty"}, "0": "zero", "text": "héllo", "d": {"0": "key"}
        }));
        let mut values = plain.as_map().cloned().unwrap_or_default();
        values.insert("sealed".to_owned(), Tree::Secret(Secret::new(json!({"k": ["x", "yz"]}))));
        values.insert("later".to_owned(), Tree::Unknown(Unknown::AfterBuild));
        values
    }

    #[test]
    fn paths_lead_through_mappings_lists_and_texts() {
        let get = |name| lookup(&values(), name).map(|tree| tree.masked());
        assert_eq!(get("a.b[0]"), Some(json!(10)));
        assert_eq!(get("a.b.1.c"), Some(json!(null)));
        assert_eq!(get("a.b[-1].c"), Some(json!(null)));
        assert_eq!(get("text[1]"), Some(json!("é")));
        assert_eq!(get("text.-1.0.-1"), Some(json!("o")));
        assert_eq!(get("text.٤"), Some(json!("o")));
        assert_eq!(get("."), Some(json!("empty")));
        for missing in [
            "0",
            "d.0",
            "a.b.2",
            "a.b.-3",
            "a.b.x",
            "a.b[0].x",
            "text.9",
            "text.x",
            "nope",
            "a.b.9999999999999999999999",
        ] {
            assert_eq!(get(missing), None, "{missing}");
        }
    }

    #[test]
    fn sealed_parts_are_sealed_and_unknown_parts_unknown() {
        assert!(
            matches!(lookup(&values(), "sealed.k[1]"), Some(Tree::Secret(part)) if part.reveal_str() == Some("yz"))
        );
        assert!(
            matches!(lookup(&values(), "sealed.k[1][0]"), Some(Tree::Secret(part)) if part.reveal_str() == Some("y"))
        );
        assert_eq!(lookup(&values(), "sealed.nope"), None);
        assert_eq!(lookup(&values(), "later.x[3]"), Some(Tree::Unknown(Unknown::AfterBuild)));
    }
}
