//! What is said about values that are well formed and still cannot be built.

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::model::{Origin, RepoPath, Span};

use super::limits::{DEPTH, NODES, TEXT};
use super::resolve::Tag;
use super::scalar::Unfit;

/// The file being read, for pointing at and quoting from.
pub(super) struct Source<'a> {
    /// Its path.
    pub file: &'a RepoPath,
    /// Its text.
    pub text: &'a str,
}

/// Longer quotations are cut.
const QUOTED: usize = 60;

impl Source<'_> {
    /// A place in the file.
    pub fn origin(&self, span: Span) -> Origin {
        Origin::new(self.file.clone(), span)
    }

    /// An error at a place.
    pub fn error(&self, code: &'static str, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic::error(code, message).at(self.origin(span), "")
    }

    /// What stands there, cut to one short line.
    pub fn quote(&self, span: Span) -> String {
        cut(self.text.get(span.start..span.end).unwrap_or_default())
    }

    pub fn several_documents(&self, first: Span, second: Span) -> Diagnostic {
        self.error("E0110", "the file holds several YAML documents; only one is read", second)
            .at(self.origin(first), "the first document")
            .help("move what follows `---` to a file of its own, or remove the `---`")
    }

    pub fn unknown_alias<'k>(&self, name: &str, span: Span, known: impl Iterator<Item = &'k str>) -> Diagnostic {
        // Names beyond any use are not compared: comparing takes the product of their lengths.
        let sane = |name: &&str| name.len() <= QUOTED;
        let near = if sane(&name) { did_you_mean(name, known.filter(sane).take(1000)) } else { None };
        let name = cut(name);
        let help = near.unwrap_or_else(|| {
            format!("define it earlier in the file with `&{name}`, or quote the text: `\"*{name}\"`")
        });
        self.error("E0111", format!("`*{name}` names an anchor that is not defined before it"), span).help(help)
    }

    pub fn recursive_alias(&self, name: &str, span: Span, anchor: Span) -> Diagnostic {
        self.error("E0111", format!("`*{}` stands inside the very value that it names", cut(name)), span)
            .at(self.origin(anchor), "the value that would hold itself")
            .help("write the value out; a value that holds itself cannot be sent to an API")
    }

    pub fn duplicate_anchor(&self, name: &str, span: Span, first: Span) -> Diagnostic {
        self.error("E0111", format!("the anchor `&{}` is defined twice", cut(name)), span)
            .at(self.origin(first), "defined here before")
            .help("rename one of them, and the aliases that mean it")
    }

    pub fn too_deep(&self, span: Span) -> Diagnostic {
        self.error("E0117", format!("lists and mappings are nested more than {DEPTH} deep"), span)
            .help("flatten the data; nothing of Prefect needs such depth")
    }

    pub fn too_many_nodes(&self, span: Span) -> Diagnostic {
        self.error("E0117", format!("the file holds more than {NODES} values"), span)
            .help("keep large data out of YAML files, or exclude this file from what is read")
    }

    pub fn grows_too_large(&self, span: Span) -> Diagnostic {
        let mib = TEXT / 1024 / 1024;
        let message = format!("with its aliases written out the document exceeds {NODES} values or {mib} MiB of text");
        self.error("E0117", message, span).help("use fewer aliases to large values")
    }

    pub fn unbuildable(&self, tag: &Tag, span: Span) -> Diagnostic {
        match tag {
            Tag::Merge => self
                .error("E0113", "`<<` is a merge key; it cannot be a value", span)
                .help("quote it if the text is meant: `\"<<\"`"),
            Tag::Default => self.error("E0115", "`=` cannot stand unquoted as a value", span).help("quote it: `\"=\"`"),
            _ => self
                .error("E0114", format!("the tag `{}` is not known", cut(&tag.spelling())), span)
                .help("remove the tag, or quote the whole value if it is text that starts with `!`"),
        }
    }

    pub fn tag_misfit(&self, tag: &Tag, kind: &str, span: Span) -> Diagnostic {
        self.error("E0114", format!("the tag `{}` does not fit {kind}", tag.spelling()), span)
            .help("remove the tag, or write a value that fits it")
    }

    pub fn no_single_entry(&self, tag: &Tag, span: Span) -> Diagnostic {
        self.error("E0114", format!("each item under `{}` must be a mapping with one entry", tag.spelling()), span)
            .help("write the items as `- key: value`")
    }

    pub fn unfit_text(&self, tag: &Tag, unfit: Unfit, span: Span) -> Diagnostic {
        let text = self.quote(span);
        match unfit {
            Unfit::TooLarge => self
                .error("E0116", format!("the whole number `{text}` is too large"), span)
                .help(format!("whole numbers go from -2^63 to 2^64 - 1; quote it if it is text: `\"{text}\"`")),
            Unfit::NoSuchTime => self
                .error("E0115", format!("`{text}` looks like a date, but there is no such date or time"), span)
                .help(format!("correct it, or quote it if it is text: `\"{text}\"`")),
            Unfit::Form(why) => self
                .error("E0115", format!("`{text}` {why}"), span)
                .help(format!("correct it, or quote it if it is text; its type here is `{}`", tag.spelling())),
        }
    }

    pub fn bad_merge(&self, kind: &str, span: Span) -> Diagnostic {
        self.error("E0113", format!("the merge key `<<` takes a mapping or a list of mappings, not {kind}"), span)
            .help("give it an alias of a mapping: `<<: *name`")
    }

    pub fn unhashable_key(&self, kind: &str, key: Span, mapping: Span) -> Diagnostic {
        let written = self.text.get(mapping.start..mapping.end).unwrap_or_default();
        if written.starts_with("{{") {
            return self.unquoted_template(mapping);
        }
        self.error("E0112", format!("{kind} cannot be the key of a mapping"), key)
            .help("use text as key; quote it if it starts with `{` or `[`")
    }

    /// `key: {{ template }}`, which YAML takes for a mapping inside a mapping.
    pub fn unquoted_template(&self, span: Span) -> Diagnostic {
        let text = self.quote(span);
        self.error("E0105", format!("the template `{text}` is not quoted; YAML reads its braces as a mapping"), span)
            .help(quoting(&text))
    }

    pub fn duplicate_key(&self, key: Span, earlier: Span) -> Diagnostic {
        let (text, first) = (self.quote(key), self.quote(earlier));
        let message = if text == first {
            format!("`{text}` is written twice in one mapping; the last one counts")
        } else {
            format!("`{first}` and `{text}` are the same key; the last one counts")
        };
        Diagnostic::warning("W0100", message)
            .at(self.origin(key), "this one counts")
            .at(self.origin(earlier), "this one is ignored")
            .help("remove one of them")
    }
}

/// The text as one short line.
pub(super) fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim_end();
    let short: String = line.chars().take(QUOTED).collect();
    if short.len() < text.trim_end().len() { format!("{short}…") } else { short }
}

/// How to quote a text that was written unquoted.
pub(super) fn quoting(text: &str) -> String {
    if text.ends_with('…') || text.contains('\'') && text.contains('"') {
        "put the whole value in quotes".to_owned()
    } else if text.contains(['"', '\\']) {
        format!("put the whole value in quotes: `'{text}'`")
    } else {
        format!("put the whole value in quotes: `\"{text}\"`")
    }
}
