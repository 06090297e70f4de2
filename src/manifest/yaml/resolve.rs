//! Which type a value has: from its tag, or from the look of its unquoted text by the rules of YAML 1.1 as PyYAML 6.0.3 has
//! them (`yaml/resolver.py`).

use std::sync::LazyLock;

use regex::Regex;

/// A type that the safe loader knows, or the name of one that it does not.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tag {
    Null,
    Bool,
    Int,
    Float,
    Binary,
    Timestamp,
    Omap,
    Pairs,
    Set,
    Str,
    Seq,
    Map,
    /// `<<`: meaningful as a key only.
    Merge,
    /// `=`: likewise.
    Default,
    Unknown(String),
}

const CORE: &str = "tag:yaml.org,2002:";

impl Tag {
    /// The type with this name in full, such as `tag:yaml.org,2002:int`.
    pub fn named(name: &str) -> Tag {
        match name.strip_prefix(CORE) {
            Some("null") => Tag::Null,
            Some("bool") => Tag::Bool,
            Some("int") => Tag::Int,
            Some("float") => Tag::Float,
            Some("binary") => Tag::Binary,
            Some("timestamp") => Tag::Timestamp,
            Some("omap") => Tag::Omap,
            Some("pairs") => Tag::Pairs,
            Some("set") => Tag::Set,
            Some("str") => Tag::Str,
            Some("seq") => Tag::Seq,
            Some("map") => Tag::Map,
            Some("merge") => Tag::Merge,
            Some("value") => Tag::Default,
            Some(_) | None => Tag::Unknown(name.to_owned()),
        }
    }

    /// As people write it: `!!int`, `!custom`.
    pub fn spelling(&self) -> String {
        let short = match self {
            Tag::Null => "null",
            Tag::Bool => "bool",
            Tag::Int => "int",
            Tag::Float => "float",
            Tag::Binary => "binary",
            Tag::Timestamp => "timestamp",
            Tag::Omap => "omap",
            Tag::Pairs => "pairs",
            Tag::Set => "set",
            Tag::Str => "str",
            Tag::Seq => "seq",
            Tag::Map => "map",
            Tag::Merge => "merge",
            Tag::Default => "value",
            Tag::Unknown(name) => {
                return name.strip_prefix(CORE).map_or_else(|| name.clone(), |short| format!("!!{short}"));
            }
        };
        format!("!!{short}")
    }
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of this file")
}

static FLOAT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)^(?: [-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?
                 | \.[0-9][0-9_]*(?:[eE][-+][0-9]+)?
                 | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*
                 | [-+]?\.(?:inf|Inf|INF)
                 | \.(?:nan|NaN|NAN) )$",
    )
});

static INT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)^(?: [-+]?0b[0-1_]+
                 | [-+]?0[0-7_]+
                 | [-+]?(?:0|[1-9][0-9_]*)
                 | [-+]?0x[0-9a-fA-F_]+
                 | [-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+ )$",
    )
});

static TIMESTAMP: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)^(?: [0-9]{4}-[0-9]{2}-[0-9]{2}
                 | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2} (?:[Tt]|[\ \t]+) [0-9]{1,2}:[0-9]{2}:[0-9]{2} (?:\.[0-9]*)?
                   (?:[\ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))? )$",
    )
});

/// The type of unquoted text.
pub(super) fn resolve(text: &str) -> Tag {
    let Some(first) = text.chars().next() else { return Tag::Null };
    // Python's `$` also matches before a last line break, which text under a lone `!` can have.
    let text = text.strip_suffix('\n').unwrap_or(text);
    match first {
        'y' | 'Y' | 'n' | 'N' | 't' | 'T' | 'f' | 'F' | 'o' | 'O' => word(text),
        '~' if text == "~" => Tag::Null,
        '<' if text == "<<" => Tag::Merge,
        '=' if text == "=" => Tag::Default,
        '!' | '&' | '*' if text.len() == 1 => Tag::Unknown(format!("{CORE}yaml")),
        '-' | '+' | '.' | '0'..='9' => number(text),
        _ => Tag::Str,
    }
}

fn word(text: &str) -> Tag {
    match text {
        "null" | "Null" | "NULL" => Tag::Null,
        "yes" | "Yes" | "YES" | "no" | "No" | "NO" | "true" | "True" | "TRUE" | "false" | "False" | "FALSE" | "on"
        | "On" | "ON" | "off" | "Off" | "OFF" => Tag::Bool,
        _ => Tag::Str,
    }
}

fn number(text: &str) -> Tag {
    if FLOAT.is_match(text) {
        Tag::Float
    } else if INT.is_match(text) {
        Tag::Int
    } else if TIMESTAMP.is_match(text) {
        Tag::Timestamp
    } else {
        Tag::Str
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_text_has_the_types_of_yaml_1_1() {
        for (text, tag) in [
            ("", Tag::Null),
            ("~", Tag::Null),
            ("nULL", Tag::Str),
            ("on", Tag::Bool),
            ("y", Tag::Str),
            ("tRue", Tag::Str),
            ("017", Tag::Int),
            ("08", Tag::Str),
            ("0o17", Tag::Str),
            ("12:30", Tag::Int),
            ("3306:3306", Tag::Str),
            ("12:30:45.5", Tag::Float),
            ("1e3", Tag::Str),
            ("1.0e+3", Tag::Float),
            ("1.e3", Tag::Str),
            ("-.5", Tag::Str),
            ("+.inf", Tag::Float),
            ("2024-01-01", Tag::Timestamp),
            ("2024-1-1", Tag::Str),
            ("2024-1-1 1:00:00", Tag::Timestamp),
            ("2024-01-01T10:00", Tag::Str),
            ("1.2.3", Tag::Str),
            ("<<", Tag::Merge),
            ("=", Tag::Default),
            ("0 9 * * *", Tag::Str),
            ("0 9 ٣", Tag::Str),
        ] {
            assert_eq!(resolve(text), tag, "{text:?}");
        }
    }
}
