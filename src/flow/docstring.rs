//! Docstrings: the description of a flow and, from Google-style sections, of its parameters.
//!
//! The rules are those of `inspect.cleandoc` and of griffe's Google parser, which Prefect asks.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

/// A section's title line, or an admonition's.
static TITLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?P<type>\w[\s\w-]*):(\s+(?P<title>\S.*))?\s*$").expect("the pattern is constant and valid")
});

/// The text as `inspect.cleandoc` leaves it: tabs widened, common indentation and blank ends removed.
pub(super) fn clean(text: &str) -> String {
    let widened = expand_tabs(text);
    let mut lines: Vec<&str> = widened.split('\n').collect();
    let margin = lines[1..]
        .iter()
        .filter(|line| !line.trim_start().is_empty())
        .map(|line| line.chars().count() - line.trim_start().chars().count())
        .min();
    lines[0] = lines[0].trim_start();
    if let Some(margin) = margin {
        for line in &mut lines[1..] {
            let cut = line.char_indices().nth(margin).map_or(line.len(), |(at, _)| at);
            *line = &line[cut..];
        }
    }
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let first = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
    lines[first..].join("\n")
}

/// Tabs to the next multiple of eight columns.
fn expand_tabs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' => {
                let width = 8 - column % 8;
                out.extend(std::iter::repeat_n(' ', width));
                column += width;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            other => {
                out.push(other);
                column += 1;
            }
        }
    }
    out
}

/// What a section's body is made of.
enum Body {
    /// Parameters: the ones we want.
    Parameters,
    /// Other sections of items.
    Items,
    /// Free text.
    Text,
}

/// The kind of section that a title announces.
fn section(title: &str) -> Option<Body> {
    Some(match title.to_lowercase().as_str() {
        "args" | "arguments" | "params" | "parameters" => Body::Parameters,
        "keyword args" | "keyword arguments" | "other args" | "other arguments" | "other params"
        | "other parameters" | "type args" | "type arguments" | "type params" | "type parameters" | "raises"
        | "exceptions" | "returns" | "yields" | "receives" | "attributes" | "functions" | "methods" | "classes"
        | "type aliases" | "modules" | "warns" | "warnings" => Body::Items,
        "examples" => Body::Text,
        _ => return None,
    })
}

/// The descriptions of the parameters named in the last parameter section.
pub(super) fn parameters(docstring: &str) -> BTreeMap<String, String> {
    let cleaned = clean(docstring.trim_end());
    let lines: Vec<&str> = cleaned.split('\n').collect();
    let mut found = BTreeMap::new();
    let mut in_code = false;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let fence = line.trim_start_matches(' ').starts_with("```");
        if in_code || fence {
            in_code = in_code != fence;
        } else if let Some(title) = TITLE.captures(line)
            && opens(&lines, at)
        {
            match section(&title["type"]) {
                Some(Body::Parameters) => {
                    let (items, end) = items(&lines, at + 1);
                    let named = describe(&items);
                    if !named.is_empty() {
                        found = named;
                    }
                    at = end;
                }
                Some(Body::Items) => at = items(&lines, at + 1).1,
                Some(Body::Text) | None => at = block_end(&lines, at + 1),
            }
        }
        at += 1;
    }
    found
}

/// Whether a title line is followed by indented text at once and preceded by a blank line.
fn opens(lines: &[&str], at: usize) -> bool {
    let blank = |i: usize| lines.get(i).is_some_and(|line| line.trim().is_empty());
    let indented = |i: usize| lines.get(i).is_some_and(|line| !line.trim().is_empty() && line.starts_with(' '));
    let blank_above = at == 0 || blank(at - 1);
    let (next, after) = (indented(at + 1), indented(at + 2));
    (next || after) && blank_above && !(after && blank(at + 1))
}

/// Whether a line has nothing but white space.
fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// The width of a line's indentation in characters.
fn indent_of(line: &str) -> usize {
    line.chars().count() - line.trim_start().chars().count()
}

/// A line without its first `count` characters.
fn skip(line: &str, count: usize) -> &str {
    line.char_indices().nth(count).map_or("", |(at, _)| &line[at..])
}

/// The items of a section that starts at `from`, and the last line that belongs to it.
fn items<'a>(lines: &[&'a str], from: usize) -> (Vec<Vec<&'a str>>, usize) {
    let Some(first) = (from..lines.len()).find(|&i| !is_blank(lines[i])) else { return (Vec::new(), from) };
    let indent = indent_of(lines[first]);
    if indent == 0 {
        return (Vec::new(), first - 1);
    }
    let mut found = vec![vec![skip(lines[first], indent)]];
    let mut at = first + 1;
    while let Some(&line) = lines.get(at) {
        let current = found.last_mut().expect("it starts with one item");
        if is_blank(line) {
            current.push("");
        } else if line.starts_with(&" ".repeat(indent * 2)) {
            current.push(skip(line, indent * 2));
        } else if line.starts_with(&" ".repeat(indent + 1)) {
            current.push(skip(line, indent_of(line)));
        } else if line.starts_with(&" ".repeat(indent)) {
            found.push(vec![skip(line, indent)]);
        } else {
            break;
        }
        at += 1;
    }
    (found, at - 1)
}

/// The last line of an indented block that starts at `from`.
fn block_end(lines: &[&str], from: usize) -> usize {
    let Some(first) = (from..lines.len()).find(|&i| !is_blank(lines[i])) else { return from - 1 };
    let indent = " ".repeat(indent_of(lines[first]));
    if indent.is_empty() {
        return from - 1;
    }
    let more = lines[first + 1..].iter().take_while(|line| line.starts_with(&indent) || is_blank(line)).count();
    first + more
}

/// `name (type): text` of each item that has a colon.
fn describe(items: &[Vec<&str>]) -> BTreeMap<String, String> {
    let mut named = BTreeMap::new();
    for item in items {
        let Some((head, text)) = item[0].split_once(':') else { continue };
        let name = match head.split_once('(') {
            Some((name, _)) if head.ends_with(')') => name.trim(),
            _ => head,
        };
        let mut lines = vec![text.trim_start()];
        lines.extend(&item[1..]);
        named.insert(name.to_owned(), lines.join("\n").trim_end_matches('\n').to_owned());
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indentation_is_cleaned_as_python_does() {
        assert_eq!(clean("\n    Leading.\n\n        Deep.\n    "), "Leading.\n\n    Deep.");
        assert_eq!(clean("One\n\ttab"), "One\ntab");
        assert_eq!(clean(""), "");
    }

    #[test]
    fn only_the_last_google_parameter_section_counts() {
        let doc =
            "S.\n\nParams:\n    a: first\n\nArguments:\n    b (int): second\n        and more\n\nReturns:\n    x\n";
        let expected = BTreeMap::from([("b".to_owned(), "second\nand more".to_owned())]);
        assert_eq!(parameters(doc), expected);
        assert!(parameters("Numpy.\n\nParameters\n----------\na : int\n    no\n").is_empty());
    }
}
