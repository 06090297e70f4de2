//! Words that others chose, in our Markdown: they can neither break out of their place nor call anybody.

use std::fmt::Write;

/// What stands for a line break inside a line.
const BREAK: char = '⏎';

/// A text as inline code. Safe in paragraphs, lists, headings and table cells.
///
/// The run of backticks around it is longer than any inside. A text with `|` becomes `<code>` with character
/// references instead, since a table's cell ends at every `|`, in code as well.
pub fn code(text: &str) -> String {
    let text = one_line(text);
    if text.contains('|') || text.is_empty() {
        return html_code(&text);
    }
    let ticks = "`".repeat(longest_run(&text, '`') + 1);
    let touches = |edge: Option<char>| matches!(edge, Some('`' | ' '));
    let pad = if touches(text.chars().next()) || touches(text.chars().last()) { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// A text as code inside raw HTML such as a `<summary>`, where Markdown means nothing.
pub fn html_code(text: &str) -> String {
    format!("<code>{}</code>", references(&one_line(text)))
}

/// A text as a fenced block of its own lines, with the language that colours it.
pub fn fence(text: &str, language: &str) -> String {
    let ticks = "`".repeat(longest_run(text, '`').max(2) + 1);
    let language: String = language.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let body: String = text.chars().map(|c| if c == '\n' || c == '\t' { c } else { visible(c) }).collect();
    let end = if body.is_empty() || body.ends_with('\n') { "" } else { "\n" };
    format!("{ticks}{language}\n{body}{end}{ticks}")
}

/// A text as plain text inside a line: no emphasis, link, HTML, table cell, mention or reference comes of it.
pub fn escape(text: &str) -> String {
    let text = one_line(text);
    let mut out = String::with_capacity(text.len() + 8);
    for (at, c) in text.char_indices() {
        match c {
            // Mentions, issue numbers and bare links are found after Markdown, in the text: a zero-width space
            // parts them.
            _ if is_call(&text, at, c) => push_all(&mut out, &["\\", c.encode_utf8(&mut [0; 4]), "&#8203;"]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' => out.push_str("&#124;"),
            c if c.is_ascii_punctuation() => push_all(&mut out, &["\\", c.encode_utf8(&mut [0; 4])]),
            c => out.push(c),
        }
    }
    out
}

/// Whether the character makes a mention, an issue number or a bare link of what stands around it.
fn is_call(text: &str, at: usize, c: char) -> bool {
    match c {
        '@' | '#' => true,
        ':' => text[at..].starts_with("://"),
        '.' => at >= 3 && text.is_char_boundary(at - 3) && text[at - 3..at].eq_ignore_ascii_case("www"),
        _ => false,
    }
}

fn push_all(out: &mut String, parts: &[&str]) {
    out.extend(parts.iter().copied());
}

/// Every character that means anything to Markdown or HTML as a character reference.
fn references(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            // Writing to a String cannot fail.
            let _ = write!(out, "&#{};", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn one_line(text: &str) -> String {
    text.replace("\r\n", "\n").chars().map(visible).collect()
}

/// Line breaks, control characters and the marks that turn the direction of writing, made visible.
fn visible(c: char) -> char {
    match c {
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => BREAK,
        '\t' => ' ',
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

fn longest_run(text: &str, of: char) -> usize {
    let (longest, _) = text.chars().fold((0, 0), |(longest, run), c| {
        let run = if c == of { run + 1 } else { 0 };
        (longest.max(run), run)
    });
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn code_holds_whatever_it_is_given() {
        assert_eq!(code("etl/nightly"), "`etl/nightly`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`a"), "`` `a ``");
        assert_eq!(code("a|<b>"), "<code>a&#124;&#60;b&#62;</code>");
        assert_eq!(code("a\n\n# b\u{202e}"), "`a⏎⏎# b\u{fffd}`");
        assert_eq!(code(""), "<code></code>");
    }

    #[test]
    fn fences_outgrow_what_they_hold() {
        assert_eq!(fence("a\n````\nb", "diff"), "`````diff\na\n````\nb\n`````");
        assert_eq!(fence("a\r\n", "x`y"), "```xy\na⏎\n```");
    }

    #[test]
    fn escaped_text_says_what_it_said() {
        assert_eq!(escape("*a* [b](c)"), r"\*a\* \[b\]\(c\)");
        assert_eq!(escape("<img>|@me\n#1"), r"&lt;img&gt;&#124;\@&#8203;me⏎\#&#8203;1");
        assert_eq!(escape("https://x.y"), r"https\:&#8203;\/\/x\.y");
        assert_eq!(escape("www.x v1.2"), r"www\.&#8203;x v1\.2");
    }

    proptest! {
        #[test]
        fn nothing_breaks_out(text in r"([`|<>@#\[\]\n\\*_& ]|\PC){0,30}") {
            let (code, escaped) = (code(&text), escape(&text));
            for one in [&code, &escaped] {
                prop_assert!(!one.contains(['\n', '\r', '|']), "{}", one);
            }
            if let Some(inner) = code.strip_prefix('`') {
                let ticks = 1 + inner.chars().take_while(|c| *c == '`').count();
                let body = &code[ticks..code.len() - ticks];
                prop_assert!(longest_run(body, '`') < ticks);
                prop_assert!(!body.starts_with('`') && !body.ends_with('`'));
            } else {
                let inner = code.strip_prefix("<code>").and_then(|c| c.strip_suffix("</code>"));
                prop_assert!(inner.is_some_and(|inner| !inner.contains(['`', '<', '>'])));
            }
            prop_assert!(!escaped.contains(['<', '>']));
            let unescaped = |c: char| escaped.match_indices(c).any(|(at, _)| {
                escaped[..at].chars().rev().take_while(|c| *c == '\\').count() % 2 == 0
            });
            for c in ['`', '*', '_', '[', ']', '@'] {
                prop_assert!(!unescaped(c), "{} in {}", c, escaped);
            }
        }
    }
}
