//! A fault in the form of a text → what the user most likely did, and the next step.

use std::sync::LazyLock;

use regex::Regex;

use crate::diagnostic::Diagnostic;
use crate::model::Span;

use super::cursor::Mark;
use super::fault::{Fault, What};
use super::messages::{Source, cut, quoting};

/// A value that starts with `{{`, in a line without quotes before it.
static TEMPLATE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r##"^(?:[^'"#]*?(?::|-)\s+|\s*)(\{\{)"##).expect("a pattern of this file"));

/// A key whose colon touches its value.
static TIGHT_COLON: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^([\w.$-]+):([^\s:/].*)$").expect("a pattern of this file"));

impl Source<'_> {
    /// The diagnosis of a fault.
    pub fn explain(&self, fault: &Fault) -> Diagnostic {
        if let Some(template) = self.template_before(fault) {
            return self.unquoted_template(template);
        }
        let at = self.one_character(fault.at);
        let since = fault.since.unwrap_or(fault.at);
        match &fault.what {
            What::CannotStart('\t') => self.tab(fault.at),
            What::CannotStart(c @ ('@' | '`' | '%')) => self
                .error("E0106", format!("unquoted text cannot start with `{c}`"), self.value(fault.at))
                .help(quoting(&self.quote(self.value(fault.at)))),
            What::CannotStart(c) => self
                .error("E0103", format!("`{c}` cannot stand here"), at)
                .help("put text that holds special characters in quotes"),
            What::AliasName => self.indicator(since, "`*`, which makes it an alias"),
            What::AnchorName => self.indicator(since, "`&`, which makes it an anchor"),
            What::KeyWithoutColon => self.key_without_colon(since),
            What::ValueNotAllowed => self.value_not_allowed(fault.at),
            What::ItemNotAllowed => self
                .error("E0109", "a list cannot start here with `- `", at)
                .help("start the list on a line of its own, below its key; or quote the text if no list is meant"),
            What::KeyNotAllowed => {
                self.error("E0103", "`? ` cannot start a key here", at).help("quote the text if no key is meant")
            }
            What::Directive(why) => self
                .error("E0103", format!("a line that starts with `%` is a directive, and {why}"), self.value(since))
                .help("indent or quote the line if it is text"),
            What::Tag => self
                .error("E0114", "the tag after `!` is not well formed", self.value(since))
                .help(quoting(&self.quote(self.value(since)))),
            What::TagHandle(handle) => self
                .error("E0114", format!("the tag handle `{}` is not introduced by a `%TAG` line", cut(handle)), at)
                .help("remove the tag, or quote the whole value if it is text that starts with `!`"),
            What::BlockHeader => self
                .error("E0103", "only `-`, `+`, a digit and a comment may follow `|` or `>` on their line", at)
                .help("start the text on the next line, indented; or quote it if it starts with `|` or `>`"),
            What::Escape => self
                .error("E0103", format!("`\\{}` is not an escape that double quotes know", self.quote(at)), at)
                .help("double the backslash, or use single quotes, which know no escapes"),
            What::HalfCharacter => self
                .error("E0103", "the escape names half of a surrogate pair, which is no character", at)
                .help("write the character itself, or its `\\U` escape of eight digits"),
            What::UnclosedQuote => self
                .error("E0108", format!("the quote {} is never closed", self.opening(since)), self.value(since))
                .help("add the closing quote"),
            What::SeparatorInQuote => self
                .error(
                    "E0108",
                    format!("the quote {} is not closed before a new document starts", self.opening(since)),
                    self.value(since),
                )
                .at(self.origin(at), "the document ends here")
                .help("add the closing quote, or indent the line"),
            What::ExpectedDocument => self
                .error("E0103", "content follows the end of the document", at)
                .help("remove it, or remove the `...` before it; one file holds one document"),
            What::ExpectedContent(found) => self
                .error("E0103", format!("{found} stands where a value should stand"), at)
                .help("write a value, or quote it if the character is part of a text"),
            What::ExpectedBlockEnd(found) => self.block_broken(found, fault.at, since),
            What::ExpectedClosing { close, found } => self.not_closed(*close, found, fault.at, since),
        }
    }

    fn indicator(&self, since: Mark, why: &str) -> Diagnostic {
        let value = self.value(since);
        let text = self.quote(value);
        self.error("E0106", format!("`{text}` starts with {why}"), value).help(quoting(&text))
    }

    fn tab(&self, at: Mark) -> Diagnostic {
        let (before, _) = self.line_around(at);
        let span = self.one_character(at);
        if before.trim().is_empty() {
            self.error("E0104", "the line is indented with a tab", span)
                .help("indent with spaces; YAML forbids tabs there")
        } else {
            self.error("E0104", "a tab separates words outside of quotes", span)
                .help("replace it with a space, or quote the text that holds it")
        }
    }

    fn key_without_colon(&self, key: Mark) -> Diagnostic {
        let span = self.value(key);
        let text = self.quote(span);
        if let Some(parts) = TIGHT_COLON.captures(&text) {
            return self
                .error("E0103", format!("no space follows the colon of `{}`", &parts[1]), span)
                .help(format!("write `{}: {}`", &parts[1], &parts[2]));
        }
        if let Some(item) = text.strip_prefix('-') {
            return self
                .error("E0103", format!("no space follows the dash of `{text}`"), span)
                .help(format!("write `- {item}`"));
        }
        let message =
            format!("`{text}` is neither a key, which ends with `: `, nor a list item, which starts with `- `");
        self.error("E0103", message, span)
            .help("add what is missing; or, if it continues the text above, indent it deeper")
    }

    fn value_not_allowed(&self, colon: Mark) -> Diagnostic {
        let at = self.one_character(colon);
        let (before, after) = self.line_around(colon);
        if let Some(first) = before.find(": ") {
            let value = format!("{}{}", before[first + 2..].trim_start(), after);
            let value = cut(cut_comment(&value));
            return self
                .error("E0107", format!("the value `{value}` holds `: `, which makes it another mapping"), at)
                .help(quoting(&value));
        }
        if before.starts_with("---") {
            return self
                .error("E0103", "a mapping cannot start on the line of `---`", at)
                .help("start it on the next line");
        }
        if let Some(diagnostic) = self.tight_colon_above(colon, before.len()) {
            return diagnostic;
        }
        let indent = before.len() - before.trim_start().len();
        let key = Span { start: colon.byte - before.len() + indent, end: colon.byte, line: colon.line + 1, column: 0 };
        let key = Span { column: u32::try_from(indent).unwrap_or(0) + 1, ..key };
        self.error(
            "E0109",
            format!("the key `{}` continues the value above it, because it is indented deeper", self.quote(key)),
            key,
        )
        .help("indent it exactly as the other keys of its mapping")
    }

    /// The line right above, if it was meant as a key: `name:morning` is one text, which this line then continues.
    fn tight_colon_above(&self, colon: Mark, before: usize) -> Option<Diagnostic> {
        let above = self.text[..colon.byte - before].strip_suffix('\n')?;
        let above = above.strip_suffix('\r').unwrap_or(above);
        let line = cut_comment(&above[above.rfind('\n').map_or(0, |i| i + 1)..]);
        let text = line.trim_start().trim_start_matches("- ").trim_start();
        let parts = TIGHT_COLON.captures(text)?;
        let column = line[..line.len() - text.len()].chars().count();
        let start = above.rfind('\n').map_or(0, |i| i + 1) + line.len() - text.len();
        let span = Span { start, end: start + text.len(), line: colon.line, column: u32::try_from(column).ok()? + 1 };
        let (key, value) = (&parts[1], &parts[2]);
        Some(
            self.error("E0103", format!("no space follows the colon of `{key}`"), span)
                .help(format!("write `{key}: {value}`")),
        )
    }

    fn block_broken(&self, found: &str, at: Mark, since: Mark) -> Diagnostic {
        let span = self.one_character(at);
        let (before, _) = self.line_around(at);
        let before = before.trim_end();
        match found {
            "`]`" | "`}`" => self
                .error("E0108", format!("{found} closes a bracket that was never opened"), span)
                .help("remove it, or quote the text that holds it"),
            _ if before.ends_with(['"', '\'']) => self
                .error("E0103", "something follows the closing quote", self.value(at))
                .help("put the whole value inside the quotes; double a single quote, or escape a double one, within the text"),
            _ if before.ends_with([']', '}']) => self
                .error("E0103", "something follows the closing bracket", self.value(at))
                .help("put the whole value in quotes if it is text"),
            _ if before.trim().is_empty() => self
                .error("E0109", "the indentation of this line fits no block above it", self.value(at))
                .at(self.origin(self.one_character(since)), "the block that it would have to belong to starts here")
                .help("indent it exactly as the other keys or items of its block; list items start with `- `, keys end with `:`"),
            _ => self
                .error("E0103", format!("{found} cannot stand here"), self.value(at))
                .at(self.origin(self.one_character(since)), "in the block that starts here")
                .help("put text that holds special characters in quotes"),
        }
    }

    fn not_closed(&self, close: char, found: &str, at: Mark, since: Mark) -> Diagnostic {
        let span = self.one_character(at);
        let open = if close == ']' { '[' } else { '{' };
        if since.line != at.line || found == "the end of the file" {
            return self
                .error("E0108", format!("the bracket `{open}` is not closed"), self.one_character(since))
                .at(self.origin(span), format!("a `,` or `{close}` is missing before this"))
                .help(format!("add the `{close}`, or put the value in quotes if it is text"));
        }
        let found = if self.text[at.byte..].starts_with('?') { "`?`" } else { found };
        self.error("E0103", format!("{found} stands where `,` or `{close}` should stand"), span)
            .at(self.origin(self.one_character(since)), "inside this bracket")
            .help("put text that holds special characters in quotes")
    }

    /// The unquoted template that a value starts with on the line of the fault and before it.
    fn template_before(&self, fault: &Fault) -> Option<Span> {
        match fault.what {
            What::UnclosedQuote | What::SeparatorInQuote | What::Escape | What::HalfCharacter => return None,
            _ => {}
        }
        let (before, after) = self.line_around(fault.at);
        let line = format!("{before}{after}");
        let start = TEMPLATE.captures(&line)?.get(1)?.start();
        if start > before.len() {
            return None;
        }
        let value = cut_comment(&line[start..]);
        let begin = fault.at.byte - before.len() + start;
        let column = u32::try_from(line[..start].chars().count()).unwrap_or(0) + 1;
        Some(Span { start: begin, end: begin + value.len(), line: fault.at.line + 1, column })
    }

    /// The line of a place: before it, and from it on.
    fn line_around(&self, at: Mark) -> (&str, &str) {
        let (before, after) = self.text.split_at(at.byte.min(self.text.len()));
        let start = before.rfind(['\n', '\r']).map_or(0, |i| i + 1);
        let end = after.find(['\n', '\r']).unwrap_or(after.len());
        (before[start..].trim_start_matches('\u{feff}'), &after[..end])
    }

    /// From a place to the end of its line, without a comment.
    fn value(&self, at: Mark) -> Span {
        let value = cut_comment(self.line_around(at).1);
        let mut span = at.point();
        span.end += value.len();
        span
    }

    fn one_character(&self, at: Mark) -> Span {
        let mut span = at.point();
        span.end += self.text[at.byte.min(self.text.len())..].chars().next().map_or(0, char::len_utf8);
        span
    }

    /// The first character at a place, fit for a message.
    fn opening(&self, at: Mark) -> String {
        format!("`{}`", self.quote(self.one_character(at)))
    }
}

/// The line without its comment and the white space before that.
fn cut_comment(line: &str) -> &str {
    line.find(" #").map_or(line, |i| &line[..i]).trim_end()
}
