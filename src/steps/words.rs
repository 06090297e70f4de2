//! Text as Python treats it: lines, words and `$NAME`, exactly as `run_shell_script` needs them.

/// Python's `str.splitlines`: more characters end a line than `\n`.
pub fn lines(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if !matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}') {
            continue;
        }
        found.push(&text[start..at]);
        start = at + c.len_utf8();
        if c == '\r' && chars.next_if(|(_, next)| *next == '\n').is_some() {
            start += 1;
        }
    }
    if start < text.len() {
        found.push(&text[start..]);
    }
    found
}

/// Python's `str.strip`: the white space of Unicode and the four information separators.
pub fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

/// Python's `shlex.split`: POSIX quoting, `#` is an ordinary character.
///
/// # Errors
/// Python's own words for an open quote or a trailing backslash.
pub fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None; // None between words; '' makes an empty one
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next().ok_or("No escaped character")?),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

const OPEN_QUOTE: &str = "No closing quotation";

fn quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    loop {
        match chars.next().ok_or(OPEN_QUOTE)? {
            '\'' => return Ok(()),
            other => word.push(other),
        }
    }
}

/// Between double quotes a backslash protects only itself and the quote; before anything else it stays.
fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    loop {
        match chars.next().ok_or(OPEN_QUOTE)? {
            '"' => return Ok(()),
            '\\' => {
                let protected = chars.next().ok_or("No escaped character")?;
                if !matches!(protected, '"' | '\\') {
                    word.push('\\');
                }
                word.push(protected);
            }
            other => word.push(other),
        }
    }
}

/// Python's `string.Template(...).safe_substitute`: `$NAME` and `${NAME}`; unknown ones stay, `$$` is `$`.
pub fn substitute<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        let (name, length) = match after.strip_prefix('{') {
            Some(inner) => match name_at(inner) {
                name if !name.is_empty() && inner[name.len()..].starts_with('}') => (name, name.len() + 2),
                _ => ("", 0),
            },
            None => (name_at(after), name_at(after).len()),
        };
        let taken = if after.starts_with('$') { 1 } else { length };
        match value(name) {
            Some(value) if !name.is_empty() => filled.push_str(value),
            _ => {
                filled.push('$');
                filled.push_str(if after.starts_with('$') { "" } else { &after[..taken] });
            }
        }
        rest = &after[taken..];
    }
    filled.push_str(rest);
    filled
}

/// The identifier at the start: ASCII letters, digits and `_`, no digit first.
fn name_at(text: &str) -> &str {
    let end = text
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_alphabetic() || *c == '_' || (*at > 0 && c.is_ascii_digit())))
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_python_says() {
        assert_eq!(lines("a\r\nb\rc\n\nd"), ["a", "b", "c", "", "d"]);
        assert_eq!(lines("a\u{2028}b\u{c}"), ["a", "b"]);
        assert!(lines("").is_empty());
    }

    #[test]
    fn words_are_split_as_by_shlex() {
        assert_eq!(split("a 'b c' \"d \\\" \\x\" e\\ f ''").unwrap(), ["a", "b c", "d \" \\x", "e f", ""]);
        assert_eq!(split("# no comment").unwrap(), ["#", "no", "comment"]);
        assert_eq!(split("a|b>c").unwrap(), ["a|b>c"]);
        assert_eq!(split("  \t ").unwrap(), [""; 0]);
        assert_eq!(split("it's"), Err("No closing quotation"));
        assert_eq!(split("a \\"), Err("No escaped character"));
    }

    #[test]
    fn names_are_filled_as_by_template() {
        let value = |name: &str| (name == "A").then_some("1");
        for (text, filled) in [
            ("$A ${A} $AB ${B} $$A $ $1 ${A", "1 1 $AB ${B} $A $ $1 ${A"),
            ("$A-é$", "1-é$"),
            ("$é ${é}", "$é ${é}"),
            ("${}", "${}"),
        ] {
            assert_eq!(substitute(text, value), filled, "{text}");
        }
    }
}
