//! What Python's `str()` prints of a value: the text that an embedded placeholder becomes.

use std::fmt::Write;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Number, Value};
use zeroize::Zeroizing;

use crate::model::tree::Unknown;
use crate::model::{Secret, Tree};

/// A printed value.
pub(super) struct Printed {
    /// The text; wiped when dropped, as it may be a secret.
    pub(super) text: Zeroizing<String>,
    /// Whether some part of it was sealed.
    pub(super) sealed: bool,
    /// Set if some part is not known yet; then the text means nothing.
    pub(super) unknown: Option<Unknown>,
}

/// `str(value)`: a text is itself, everything else is its `repr`.
pub(super) fn print(value: &Tree) -> Printed {
    let mut printed = Printed { text: Zeroizing::default(), sealed: false, unknown: None };
    match value {
        Tree::Text(text) => printed.text.push_str(text),
        Tree::Secret(secret) => {
            printed.sealed = true;
            match secret.reveal() {
                Value::String(text) => printed.text.push_str(text),
                other => printed.json(other),
            }
        }
        other => printed.tree(other),
    }
    printed
}

/// A value as the text that Python prints of it: sealed if it was, unknown if it is.
pub fn as_text(value: &Tree) -> Tree {
    let printed = print(value);
    match printed.unknown {
        Some(why) => Tree::Unknown(why),
        None if printed.sealed => Tree::Secret(Secret::text(printed.text.as_str())),
        None => Tree::text(printed.text.as_str()),
    }
}

impl Printed {
    fn tree(&mut self, value: &Tree) {
        match value {
            Tree::Null => self.text.push_str("None"),
            Tree::Bool(b) => self.bool(*b),
            Tree::Number(number) => write_number(&mut self.text, number),
            Tree::Text(text) => write_repr(&mut self.text, text),
            Tree::List(items) => self.list(items, Self::tree),
            Tree::Map(map) => self.map(map.iter(), Self::tree),
            Tree::Secret(secret) => {
                self.sealed = true;
                self.json(secret.reveal());
            }
            // The id of an object that does not exist yet.
            Tree::IdOf(_) => self.unknown = self.unknown.or(Some(Unknown::AtApply)),
            Tree::Unknown(why) => self.unknown = self.unknown.or(Some(*why)),
        }
    }

    fn json(&mut self, value: &Value) {
        match value {
            Value::Null => self.text.push_str("None"),
            Value::Bool(b) => self.bool(*b),
            Value::Number(number) => write_number(&mut self.text, number),
            Value::String(text) => write_repr(&mut self.text, text),
            Value::Array(items) => self.list(items, Self::json),
            Value::Object(map) => self.map(map.iter(), Self::json),
        }
    }

    fn bool(&mut self, b: bool) {
        self.text.push_str(if b { "True" } else { "False" });
    }

    fn list<T>(&mut self, items: &[T], one: impl Fn(&mut Self, &T)) {
        self.text.push('[');
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.text.push_str(", ");
            }
            one(self, item);
        }
        self.text.push(']');
    }

    fn map<'a, T: 'a>(&mut self, entries: impl Iterator<Item = (&'a String, &'a T)>, one: impl Fn(&mut Self, &T)) {
        self.text.push('{');
        for (i, (key, value)) in entries.enumerate() {
            if i > 0 {
                self.text.push_str(", ");
            }
            write_repr(&mut self.text, key);
            self.text.push_str(": ");
            one(self, value);
        }
        self.text.push('}');
    }
}

fn write_number(out: &mut String, number: &Number) {
    match number.as_f64() {
        Some(float) if number.is_f64() => write_float(out, float),
        _ => out.push_str(&number.to_string()),
    }
}

/// The shortest digits that read back as the same number, as Python lays them out: plain from 1e-4 up to 1e16,
/// with an exponent of at least two digits outside.
fn write_float(out: &mut String, float: f64) {
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if float == 0.0 || (-4..16).contains(&exponent) {
        out.push_str(&format!("{float:?}"));
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        // Writing to a String cannot fail.
        let _ = write!(out, "{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
}

/// A text in quotes: single ones unless only double ones save escaping.
fn write_repr(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if c == quote => {
                out.push('\\');
                out.push(c);
            }
            _ if is_printable(c) => out.push(c),
            _ => write_escape(out, u32::from(c)),
        }
    }
    out.push(quote);
}

fn write_escape(out: &mut String, code: u32) {
    // Writing to a String cannot fail.
    let _ = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// Python's `str.isprintable` for one character: nothing of Unicode's "other" and "separator", save the space.
fn is_printable(c: char) -> bool {
    static UNPRINTABLE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[\p{C}\p{Z}]").expect("the pattern is valid"));
    match c {
        ' '..='~' => true,
        _ => !UNPRINTABLE.is_match(c.encode_utf8(&mut [0; 4])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Map, Secret};
    use serde_json::json;

    fn text(value: Value) -> String {
        print(&Tree::from(value)).text.to_string()
    }

    #[test]
    fn values_print_as_python_prints_them() {
        assert_eq!(text(json!("it's")), "it's");
        assert_eq!(text(json!([null, true, false, 1, -2])), "[None, True, False, 1, -2]");
        assert_eq!(
            text(json!({"k": ["it's", "a \"b\" 'c'", "é\u{a0}\n\u{7f}\u{200b}\u{1f600}\u{e0001}"], "": {}})),
            r#"{'k': ["it's", 'a "b" \'c\'', 'é\xa0\n\x7f\u200b😀\U000e0001'], '': {}}"#
        );
    }

    #[test]
    fn floats_print_as_python_prints_them() {
        let cases = [
            (1.0, "1.0"),
            (1.5, "1.5"),
            (-0.0, "-0.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e16, "1.25e+16"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
            (0.1, "0.1"),
        ];
        for (float, printed) in cases {
            assert_eq!(text(json!(float)), printed);
        }
    }

    #[test]
    fn a_sealed_or_unknown_part_marks_the_whole() {
        let sealed = Tree::Map(Map::from([("k".to_owned(), Tree::Secret(Secret::text("s")))]));
        let printed = print(&sealed);
        assert!(printed.sealed && printed.unknown.is_none());
        assert_eq!(&**printed.text, "{'k': 's'}");
        assert!(print(&Tree::List(vec![Tree::Unknown(Unknown::AfterBuild)])).unknown.is_some());
    }
}
