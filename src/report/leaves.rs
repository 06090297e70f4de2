//! A field that changed, as the values below it that differ: of a template of two pages nobody sees which line is new.

use std::borrow::Cow;

use crate::model::plan::FieldChange;
use crate::model::{Path, Tree};

/// The changes to show in the place of one: path by path where both sides are mappings, or lists with mappings in them.
/// Nothing with a secret in it is taken apart: which part of it changed would say something of it.
pub fn leaves(change: &FieldChange) -> Cow<'_, [FieldChange]> {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return one(change) };
    if before.has_secret() || after.has_secret() {
        return one(change);
    }
    let mut out = Vec::new();
    compare(&change.path, Some(before), Some(after), &mut out);
    // What equals as a whole and is told all the same stays told.
    if out.is_empty() { one(change) } else { Cow::Owned(out) }
}

fn one(change: &FieldChange) -> Cow<'_, [FieldChange]> {
    Cow::Borrowed(std::slice::from_ref(change))
}

fn compare(path: &Path, before: Option<&Tree>, after: Option<&Tree>, out: &mut Vec<FieldChange>) {
    match (before, after) {
        _ if before == after => {}
        (Some(Tree::Map(old)), Some(Tree::Map(new))) => {
            for (key, value) in old {
                compare(&path.key(key), Some(value), new.get(key), out);
            }
            for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                compare(&path.key(key), None, Some(value), out);
            }
        }
        (Some(Tree::List(old)), Some(Tree::List(new))) if old.iter().chain(new).any(is_nested) => {
            for n in 0..old.len().max(new.len()) {
                compare(&path.item(n), old.get(n), new.get(n), out);
            }
        }
        _ => out.push(FieldChange { path: path.clone(), before: before.cloned(), after: after.cloned() }),
    }
}

fn is_nested(tree: &Tree) -> bool {
    matches!(tree, Tree::Map(_) | Tree::List(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;
    use serde_json::{Value, json};

    fn told(before: Value, after: Value) -> Vec<String> {
        let change = FieldChange { path: Path::of("f"), before: Some(before.into()), after: Some(after.into()) };
        let shown = |tree: &Option<Tree>| tree.as_ref().map_or("-".to_owned(), |tree| tree.masked().to_string());
        leaves(&change).iter().map(|one| format!("{} {} {}", one.path, shown(&one.before), shown(&one.after))).collect()
    }

    #[test]
    fn only_what_differs_is_told() {
        let before = json!({"a": {"b": 1, "same": [1]}, "gone": {"x": 1}, "tags": ["a"], "list": [{"x": 1}, {"y": 1}]});
        let after =
            json!({"a": {"b": 2, "same": [1.0]}, "new": null, "tags": ["a", "b"], "list": [{"x": 1}, {"y": 2}, 3]});
        let expected = [
            "f.a.b 1 2",
            "f.gone {\"x\":1} -",
            "f.tags [\"a\"] [\"a\",\"b\"]",
            "f.list[1].y 1 2",
            "f.list[2] - 3",
            "f.new - null",
        ];
        assert_eq!(told(before, after), expected);
    }

    #[test]
    fn what_cannot_be_taken_apart_stays_whole() {
        assert_eq!(told(json!({"a": 1}), json!([1])), ["f {\"a\":1} [1]"]);
        assert_eq!(told(json!({"a": 1}), json!({"a": 1})), ["f {\"a\":1} {\"a\":1}"]);
        let secret =
            Tree::Map([("p".to_owned(), Tree::Secret(Secret::text("x"))), ("q".to_owned(), Tree::int(1))].into());
        let change =
            FieldChange { path: Path::of("f"), before: Some(json!({"p": "y", "q": 2}).into()), after: Some(secret) };
        assert_eq!(leaves(&change).len(), 1);
    }
}
