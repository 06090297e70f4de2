//! `.env` files as python-dotenv reads them: quotes, escapes, `export`, comments and `${NAME:-default}`.

use std::collections::BTreeMap;

/// One value of a `.env` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The value, filled.
    pub value: String,
    /// The variables of the environment that went into it: such a value is not the file's own.
    pub taken: Vec<String>,
}

/// Reads a file; lines that are no assignments are skipped, as python-dotenv does. Names keep their case.
///
/// `${NAME}` means an earlier entry of the file, else a variable of the environment.
pub(super) fn parse(text: &str, env: &BTreeMap<String, String>) -> BTreeMap<String, Entry> {
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return entries;
        }
        let line_end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        match assignment(rest) {
            Some((name, raw, after)) => {
                if let (Some(raw), false) = (raw, name.is_empty()) {
                    let entry = fill(&raw, &entries, env);
                    entries.insert(name, entry);
                }
                rest = after;
            }
            None => rest = &rest[line_end..],
        }
    }
}

/// `NAME=value` at the start of the text, the value without its quotes (`None` without `=`), and what follows it.
fn assignment(text: &str) -> Option<(String, Option<String>, &str)> {
    if text.starts_with('#') {
        return None;
    }
    let text = match text.strip_prefix("export") {
        Some(after) if after.starts_with([' ', '\t']) => after.trim_start_matches([' ', '\t']),
        _ => text,
    };
    let (name, after) = match text.strip_prefix('\'') {
        Some(quoted) => quoted.split_once('\'')?,
        None => text.split_at(text.find(|c: char| c == '=' || c == '#' || c.is_whitespace()).unwrap_or(text.len())),
    };
    let after = after.trim_start_matches([' ', '\t']);
    let Some(value) = after.strip_prefix('=') else {
        return is_line_end(after).map(|rest| (name.to_owned(), None, rest));
    };
    let value = value.trim_start_matches([' ', '\t']);
    let (value, after) = match value.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let end = closing(value, quote)?;
            (unescape(&value[1..end], quote), &value[end + 1..])
        }
        _ => {
            let end = value.find(['\n', '\r']).unwrap_or(value.len());
            (without_comment(&value[..end]).trim_end().to_owned(), &value[end..])
        }
    };
    is_line_end(after).map(|rest| (name.to_owned(), Some(value), rest))
}

/// What follows the line, if nothing but white space and a comment is left of it.
fn is_line_end(text: &str) -> Option<&str> {
    let end = text.find(['\n', '\r']).unwrap_or(text.len());
    let left = text[..end].trim();
    (left.is_empty() || left.starts_with('#')).then(|| &text[end..])
}

/// The byte index of the quote that closes the one at the start.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(i),
            _ => {}
        }
    }
    None
}

/// An unquoted value up to ` #`.
fn without_comment(text: &str) -> &str {
    let mut before_is_space = false;
    for (i, c) in text.char_indices() {
        if c == '#' && before_is_space {
            return &text[..i];
        }
        before_is_space = c.is_whitespace();
    }
    text
}

fn unescape(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match (chars.next(), quote) {
            (Some(escaped @ ('\\' | '\'')), _) | (Some(escaped @ '"'), '"') => out.push(escaped),
            (Some('n'), '"') => out.push('\n'),
            (Some('t'), '"') => out.push('\t'),
            (Some('r'), '"') => out.push('\r'),
            (Some('a'), '"') => out.push('\u{7}'),
            (Some('b'), '"') => out.push('\u{8}'),
            (Some('f'), '"') => out.push('\u{c}'),
            (Some('v'), '"') => out.push('\u{b}'),
            (Some(other), _) => out.extend(['\\', other]),
            (None, _) => out.push('\\'),
        }
    }
    out
}

/// Fills `${NAME}` and `${NAME:-default}`. A value grows no longer than 64 KiB, so that no file can make it explode.
fn fill(raw: &str, earlier: &BTreeMap<String, Entry>, env: &BTreeMap<String, String>) -> Entry {
    const LONGEST: usize = 64 * 1024;
    let mut entry = Entry::default();
    let mut rest = raw;
    while let Some(at) = rest.find("${") {
        let Some(end) = rest[at..].find('}').map(|end| at + end) else { break };
        entry.value.push_str(&rest[..at]);
        let inner = &rest[at + 2..end];
        let (name, default) = inner.split_once(":-").map_or((inner, ""), |(name, default)| (name, default));
        if let Some(known) = earlier.get(name) {
            entry.value.push_str(&known.value);
            entry.taken.extend(known.taken.iter().cloned());
        } else if let Some(value) = env.get(name) {
            entry.value.push_str(value);
            entry.taken.push(name.to_owned());
        } else {
            entry.value.push_str(default);
        }
        rest = &rest[end + 1..];
        if entry.value.len() > LONGEST {
            return Entry::default();
        }
    }
    entry.value.push_str(rest);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str, name: &str) -> Option<String> {
        let env = BTreeMap::from([("HOST".to_owned(), "example.org".to_owned())]);
        parse(text, &env).get(name).map(|entry| entry.value.clone())
    }

    #[test]
    fn it_reads_what_python_dotenv_reads() {
        let text =
            "# c\nexport A=1 # one\nB='it\\'s' \nC=\"x\\ny\"\nD = a#b \nE\n'F'=f\nbroken line\nG=\nH=\"open\nI=i";
        assert_eq!(value(text, "A").as_deref(), Some("1"));
        assert_eq!(value(text, "B").as_deref(), Some("it's"));
        assert_eq!(value(text, "C").as_deref(), Some("x\ny"));
        assert_eq!(value(text, "D").as_deref(), Some("a#b"));
        assert_eq!(value(text, "E"), None);
        assert_eq!(value(text, "F").as_deref(), Some("f"));
        assert_eq!(value(text, "G").as_deref(), Some(""));
        assert_eq!(value(text, "I").as_deref(), Some("i"));
    }

    #[test]
    fn it_tells_what_it_took_from_the_environment() {
        let env = BTreeMap::from([("HOST".to_owned(), "example.org".to_owned())]);
        let entries = parse("P=4200\nU=http://${HOST}:${P}/${X:-api}\nV=${U}", &env);
        assert_eq!(entries["U"].value, "http://example.org:4200/api");
        assert_eq!(entries["V"].taken, ["HOST"]);
        assert!(entries["P"].taken.is_empty());
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[A-Z=\"'#\\\\${}:\\- \n\r\u{e9}]{0,60}") {
            let _ = parse(&text, &BTreeMap::new());
        }
    }
}
