//! JSON → YAML that reads back as the same value, here and with PyYAML, in the form in which people write it.
//!
//! Only text that cannot be taken for anything else stays bare; all other text is quoted, or a block of lines.

use std::fmt::Write;

use serde_json::{Map, Number, Value};

/// Words that YAML 1.1 takes for something else than text. Source: `yaml/resolver.py` of PyYAML 6.0.3.
const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];

/// A list or mapping of plain values that fits into so many characters stands on one line.
const NARROW: usize = 80;

/// A key that is longer needs the form `? key`: PyYAML looks no further for its colon than 1024 characters.
const LONGEST_KEY: usize = 1000;

/// Spaces by which a level is indented.
const STEP: usize = 2;

/// Says something about a value, as a comment behind it.
pub type Remark<'a> = &'a dyn Fn(&Value) -> Option<&'static str>;

/// A mapping, one entry a line, each line indented by so many spaces.
pub fn mapping(map: &Map<String, Value>, indent: usize, remark: Remark<'_>) -> String {
    let mut writer = Writer { out: String::new(), remark };
    writer.mapping(map, indent);
    writer.out
}

/// One mapping as an item of a list, `- ` and its entries.
pub fn item(map: &Map<String, Value>, indent: usize, remark: Remark<'_>) -> String {
    let mut writer = Writer { out: String::new(), remark };
    writer.dashed(&Value::Object(map.clone()), indent);
    writer.out
}

struct Writer<'a> {
    out: String,
    remark: Remark<'a>,
}

impl Writer<'_> {
    fn mapping(&mut self, map: &Map<String, Value>, indent: usize) {
        for (key, value) in map {
            let key = text(key);
            self.space(indent);
            if key.len() > LONGEST_KEY {
                self.out.push_str("? ");
                self.out.push_str(&key);
                self.out.push('\n');
                self.space(indent);
            } else {
                self.out.push_str(&key);
            }
            self.out.push(':');
            self.after(value, indent);
        }
    }

    /// A value behind `key:`.
    fn after(&mut self, value: &Value, indent: usize) {
        if let Some(line) = on_one_line(value) {
            return self.line(&line, value);
        }
        match value {
            Value::String(lines) => self.lines(lines, indent),
            Value::Object(map) => {
                self.line_end(value);
                self.mapping(map, indent + STEP);
            }
            Value::Array(items) => {
                self.line_end(value);
                items.iter().for_each(|item| self.dashed(item, indent + STEP));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// An item of a list: what it would be one level deeper, with a dash in the place of the first spaces.
    fn dashed(&mut self, value: &Value, indent: usize) {
        self.space(indent);
        self.out.push('-');
        if let Some(line) = on_one_line(value).filter(|_| !matches!(value, Value::Object(map) if map.len() > 1)) {
            return self.line(&line, value);
        }
        let mut inner = Writer { out: String::new(), remark: self.remark };
        match value {
            Value::String(lines) => return self.lines(lines, indent),
            Value::Object(map) => inner.mapping(map, indent + STEP),
            Value::Array(items) => items.iter().for_each(|item| inner.dashed(item, indent + STEP)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        self.out.push(' ');
        self.out.push_str(inner.out.get(indent + STEP..).unwrap_or_default());
    }

    /// A text of several lines, as a block of them.
    fn lines(&mut self, text: &str, indent: usize) {
        self.out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
        for line in text.lines() {
            if !line.is_empty() {
                self.space(indent + STEP);
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
    }

    fn line(&mut self, line: &str, value: &Value) {
        self.out.push(' ');
        self.out.push_str(line);
        self.line_end(value);
    }

    fn line_end(&mut self, value: &Value) {
        if let Some(remark) = (self.remark)(value) {
            self.out.push_str("  # ");
            self.out.push_str(remark);
        }
        self.out.push('\n');
    }

    fn space(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }
}

/// The value on one line, if it is plain, or a narrow list or mapping of plain values.
fn on_one_line(value: &Value) -> Option<String> {
    let narrow = |line: String| (line.chars().count() <= NARROW).then_some(line);
    match value {
        Value::Null => Some("null".to_owned()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(found) => Some(number(found)),
        Value::String(found) if is_block(found) => None,
        Value::String(found) => Some(text(found)),
        Value::Array(items) if items.is_empty() => Some("[]".to_owned()),
        Value::Object(map) if map.is_empty() => Some("{}".to_owned()),
        Value::Array(items) => {
            let items = items.iter().map(plain).collect::<Option<Vec<_>>>()?;
            narrow(format!("[{}]", items.join(", ")))
        }
        Value::Object(map) if map.len() <= 2 => {
            let entry = |(key, value): (&String, &Value)| Some(format!("{}: {}", text(key), plain(value)?));
            let entries = map.iter().map(entry).collect::<Option<Vec<_>>>()?;
            narrow(format!("{{ {} }}", entries.join(", ")))
        }
        Value::Object(_) => None,
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Array(_) | Value::Object(_) => None,
        value => on_one_line(value),
    }
}

/// A number as YAML 1.1 takes it: its floats have a dot, and a sign in the exponent.
fn number(found: &Number) -> String {
    let Some(float) = found.as_f64().filter(|_| found.is_f64()) else { return found.to_string() };
    let text = format!("{float:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let dot = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{digits}{dot}e{sign}{exponent}")
}

/// A text on one line: bare where nothing can take it for something else, else in quotes.
pub fn text(text: &str) -> String {
    if is_bare(text) { text.to_owned() } else { quoted(text) }
}

fn is_bare(text: &str) -> bool {
    let word = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | '@' | '$' | ':');
        !part.is_empty() && part.chars().all(plain) && !part.ends_with(':')
    };
    text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/' | '$'))
        && text.split(' ').all(word)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            // Writing to a text cannot fail.
            c if u32::from(c) > 0xFFFF => drop(write!(out, "\\U{:08X}", u32::from(c))),
            c => drop(write!(out, "\\u{:04X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// What may stand in a YAML file as it is and breaks no line. Source: `yaml/reader.py` of PyYAML 6.0.3.
fn is_printable(c: char) -> bool {
    match c {
        '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}' => false,
        ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}' => true,
        _ => false,
    }
}

/// Whether a text is a block of lines that needs no quotes.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let line_fits = |line: &str| line.chars().all(is_printable) && !line.ends_with(' ');
    body.contains('\n') && !body.ends_with('\n') && !body.starts_with(['\n', ' ']) && body.split('\n').all(line_fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{json_mode, yaml};
    use crate::model::{RepoPath, Tree};
    use proptest::prelude::*;
    use serde_json::json;

    fn written(value: &Value) -> String {
        mapping(value.as_object().unwrap(), 0, &|_| None)
    }

    fn read_back(text: &str) -> Tree {
        let file = RepoPath::new("x.yaml");
        let document = yaml::read(&file, text.as_bytes()).unwrap_or_else(|e| panic!("{text}\n{e:?}"));
        assert_eq!(document.warnings, [], "{text}");
        json_mode::tree(&file, &document.root).unwrap_or_else(|e| panic!("{text}\n{e:?}"))
    }

    #[test]
    fn it_looks_as_if_written_by_hand() {
        let value = json!({
            "name": "k8s pool", "tags": ["a", "no", "1:30"], "limit": null, "data": {"x": {"from_env": "X"}, "on": 1e20, "n": -0.5},
            "steps": [{"a.b.c": {"d": "e", "f": []}, "g": 1, "h": 2}, [["x", {}]], "one\ntwo\n\n  three"],
        });
        let expected = "\
name: k8s pool
tags: [a, \"no\", \"1:30\"]
limit: null
data:
  x: { from_env: X }
  \"on\": 1.0e+20
  \"n\": -0.5
steps:
  - a.b.c:
      d: e
      f: []
    g: 1
    h: 2
  - - - x
      - {}
  - |-
    one
    two

      three
";
        assert_eq!(written(&value), expected);
        assert_eq!(read_back(expected), Tree::from(&value));
    }

    #[test]
    fn a_remark_stands_behind_its_value() {
        let value = json!({"a": {"from_env": "X"}, "b": 1});
        let remark = |value: &Value| value.get("from_env").is_some().then_some("a secret");
        let text = mapping(value.as_object().unwrap(), 2, &remark);
        assert_eq!(text, "  a: { from_env: X }  # a secret\n  b: 1\n");
    }

    fn texts() -> impl Strategy<Value = String> {
        let odd = [
            "yes",
            "No",
            "on",
            "Off",
            "y",
            "n",
            "true",
            "NULL",
            "~",
            "",
            " ",
            "010",
            "0x1f",
            "1:30",
            "1e5",
            "1_000",
            ".5",
            ".inf",
            "2026-01-01",
            "2026-01-01T00:00:00Z",
            "=",
            "<<",
            "- a",
            "a: b",
            "a #b",
            "#",
            "%x",
            "@a",
            "`",
            "!x",
            "&a",
            "*a",
            "{{ x }}",
            "{a",
            "[b",
            "a,b",
            "'q'",
            "\"",
            "\\",
            "\t",
            "a\tb",
            "a\n",
            "\na",
            "a\n\n",
            "a\n b",
            " a\nb",
            "a \nb",
            "a\r\nb",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "\u{0}",
            "\u{7f}",
            "é",
            "漢字",
            "😀",
            "---",
            "...",
            "---\na",
            "a\n---\nb",
            "a\n...\nb",
            "a: |\n  b",
            "? a",
            "key: ",
            "a  b",
            "trailing ",
            "\u{fffe}",
            "x:y",
            "C:\\",
            "null",
            "nan",
            ".NaN",
            "0o17",
            "1.",
            "+1",
            "-1",
            "0b1",
            "190:20:30",
            "12:30:45.5",
            "!!str x",
        ];
        prop_oneof![
            4 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
            3 => "[ -~]{0,20}",
            2 => "[a-z:#\\n {}\\[\\],&*?|>'\"%@`!-]{0,24}",
            1 => any::<String>(),
            1 => "[a-z ]{1000,1100}",
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_filter("JSON has no others", |f| f.is_finite()).prop_map(Value::from),
            texts().prop_map(Value::from),
            texts().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((texts(), inner), 0..6)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_written_reads_back_as_it_was(value in values(), indent in 0usize..5) {
            let map = Map::from_iter([("k".to_owned(), value)]);
            let tree = Tree::from(&Value::Object(map.clone()));
            prop_assert_eq!(read_back(&mapping(&map, indent, &|_| Some("remark"))), tree.clone());
            let listed = format!("list:\n{}", item(&map, indent, &|_| None));
            let whole = Tree::from(json!({"list": [Value::Object(map)]}));
            prop_assert_eq!(read_back(&listed), whole);
        }
    }
}
