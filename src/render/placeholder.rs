//! `Placeholder`: where a text says `{{ name }}`, and what kind of thing the name means.
//!
//! This is not Jinja: a name is one run of word characters, dots, dashes, brackets and dollar signs. Anything else
//! between braces is plain text, and there is no way to escape a placeholder.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// What a placeholder refers to (Prefect 3.8.8 `utilities/templating/__init__.py`, `determine_placeholder_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlaceholderKind {
    /// `prefect.blocks.TYPE.NAME[.path]`: a block document or a part of it.
    Block,
    /// `prefect.variables.NAME`: a variable.
    Variable,
    /// `$NAME`: an environment variable.
    Env,
    /// Any other name: a step's output, or a value of whatever mapping the pass fills from.
    Output,
}

impl PlaceholderKind {
    /// The kind that a name has.
    pub fn of(name: &str) -> Self {
        if name.starts_with(BLOCK_PREFIX) {
            PlaceholderKind::Block
        } else if name.starts_with(VARIABLE_PREFIX) {
            PlaceholderKind::Variable
        } else if name.starts_with('$') {
            PlaceholderKind::Env
        } else {
            PlaceholderKind::Output
        }
    }
}

/// One `{{ name }}` in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// What the name refers to.
    pub kind: PlaceholderKind,
    /// The name inside the braces, without the white space around it.
    pub name: String,
    /// The bytes of the text that it takes, braces included.
    pub range: Range<usize>,
    /// Whether it is the whole text: then it is replaced by a value with its type, not by text.
    pub whole: bool,
}

impl Placeholder {
    /// The placeholder as written, braces included.
    pub fn text<'a>(&self, of: &'a str) -> &'a str {
        &of[self.range.clone()]
    }
}

const BLOCK_PREFIX: &str = "prefect.blocks.";
const VARIABLE_PREFIX: &str = "prefect.variables.";

/// Prefect's pattern with Python's notions spelt out: white space includes the four separators U+001C to U+001F,
/// and a word character is a letter, any number or `_`, but no combining mark.
static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\{\{[\s\x1c-\x1f]*([\p{L}\p{N}_.\-\[\]$]+)[\s\x1c-\x1f]*\}\}").expect("the pattern is valid")
});

/// Every placeholder of a text, in order.
pub fn placeholders(text: &str) -> Vec<Placeholder> {
    // Most texts hold none, and looking for two braces is much quicker than the pattern.
    if !text.contains("{{") {
        return Vec::new();
    }
    PATTERN
        .captures_iter(text)
        .map(|found| {
            let (all, name) = (found.get_match(), &found[1]);
            Placeholder {
                kind: PlaceholderKind::of(name),
                name: name.to_owned(),
                range: all.range(),
                whole: all.len() == text.len(),
            }
        })
        .collect()
}

/// The placeholders of a text without those that are spelt like an earlier one: what a pass replaces, in the order
/// of first appearance. (Prefect goes through a set, so its own order changes from run to run.)
pub(super) fn distinct(text: &str) -> Vec<Placeholder> {
    let mut seen = BTreeSet::new();
    placeholders(text).into_iter().filter(|found| seen.insert(&text[found.range.clone()])).collect()
}

/// The environment variable that `$NAME` stands for: all leading dollar signs go.
pub(super) fn env_name(name: &str) -> &str {
    name.trim_start_matches('$')
}

/// The variable that `prefect.variables.NAME` stands for: the prefix goes, wherever it stands.
pub(super) fn variable_name(name: &str) -> String {
    name.replace(VARIABLE_PREFIX, "")
}

/// The parts of `prefect.blocks.TYPE.NAME[.path]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlockName {
    /// The slug of the block's type.
    pub(super) slug: String,
    /// The name of the document.
    pub(super) name: String,
    /// The path into its data.
    pub(super) path: Option<String>,
}

/// Takes `prefect.blocks.TYPE.NAME[.path]` apart; `None` if it lacks a type or a name.
pub(super) fn block_name(name: &str) -> Option<BlockName> {
    let rest = name.replace(BLOCK_PREFIX, "");
    let mut parts = rest.splitn(3, '.');
    let (slug, name, path) = (parts.next()?, parts.next()?, parts.next());
    let complete = !slug.is_empty() && !name.is_empty();
    complete.then(|| BlockName { slug: slug.to_owned(), name: name.to_owned(), path: path.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> Vec<String> {
        placeholders(text).into_iter().map(|found| found.name).collect()
    }

    #[test]
    fn only_plain_names_between_double_braces_are_placeholders() {
        assert_eq!(names("{{ a }}-{{b.c[0]}} {{\n$X }}{{\u{1c}é_١}}"), ["a", "b.c[0]", "$X", "é_١"]);
        for plain in
            ["{{ a | upper }}", "{{ 'a' }}", "{{ a b }}", "{{}}", "{% if a %}", "{ a }", "{{ a }", "{{e\u{301}}}"]
        {
            assert_eq!(names(plain), [""; 0], "{plain}");
        }
    }

    #[test]
    fn a_placeholder_is_whole_only_without_anything_around_it() {
        assert!(placeholders("{{ a }}")[0].whole);
        assert!(!placeholders("{{ a }} ")[0].whole);
        assert!(!placeholders("{{{ a }}}")[0].whole);
        assert_eq!(placeholders("{{{ a }}}")[0].range, 1..8);
    }

    #[test]
    fn the_name_tells_the_kind() {
        let kind = |text: &str| placeholders(text)[0].kind;
        assert_eq!(kind("{{ prefect.blocks.secret.x }}"), PlaceholderKind::Block);
        assert_eq!(kind("{{ prefect.variables.x }}"), PlaceholderKind::Variable);
        assert_eq!(kind("{{ $$X }}"), PlaceholderKind::Env);
        assert_eq!(kind("{{ prefect.block.x }}"), PlaceholderKind::Output);
    }

    #[test]
    fn spellings_are_told_apart_and_repetitions_are_not() {
        let text = "{{ b }}{{ a }}{{b}}{{ b }}";
        let spellings: Vec<&str> = distinct(text).iter().map(|found| found.text(text)).collect();
        assert_eq!(spellings, ["{{ b }}", "{{ a }}", "{{b}}"]);
    }

    #[test]
    fn block_names_come_apart() {
        let parts = block_name("prefect.blocks.json.conf.a.b[0]").expect("complete");
        assert_eq!((&*parts.slug, &*parts.name, parts.path.as_deref()), ("json", "conf", Some("a.b[0]")));
        assert_eq!(block_name("prefect.blocks.json"), None);
        assert_eq!(block_name("prefect.blocks.json."), None);
        assert_eq!(block_name("prefect.blocks.prefect.blocks.json.x").expect("complete").slug, "json");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in r"([{} \n$.a\[\]-]|\PC){0,40}") {
            for found in placeholders(&text) {
                prop_assert!(found.text(&text).contains(&found.name));
                prop_assert_eq!(found.whole, found.range == (0..text.len()));
            }
        }
    }
}
