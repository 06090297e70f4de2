//! `Masker`: takes secrets out of whatever a step prints.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::Tree;
use crate::model::secret::MASK;

/// Lines of a secret of several lines that are long enough to be told from ordinary text.
const SHORTEST_LINE: usize = 8;

/// Knows texts that must not be seen.
#[derive(Clone, Default)]
pub struct Masker {
    /// Longest first, so that a secret which contains another goes as a whole.
    texts: Vec<String>,
}

impl Masker {
    /// Hides these texts.
    pub fn new<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut masker = Masker::default();
        masker.add(texts);
        masker
    }

    /// Hides these texts, too; of those with several lines also every longer line, and their form inside a URL.
    pub fn add<T: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = T>) {
        let mut all: BTreeSet<String> = self.texts.drain(..).collect();
        for text in texts {
            let text = text.as_ref().trim();
            let lines = text.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE);
            all.extend(lines.map(str::to_owned));
            all.insert(percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string());
            all.insert(text.to_owned());
        }
        all.remove("");
        self.texts = all.into_iter().collect();
        self.texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// Hides every secret of a tree.
    pub fn add_secrets_of(&mut self, tree: &Tree) {
        let mut texts = Vec::new();
        secrets(tree, &mut texts);
        self.add(texts);
    }

    /// Hides every secret of a tree that a step refers to, wherever a command puts it. A value of a few letters is
    /// left out: hiding it would hide ordinary words.
    pub fn add_referenced(&mut self, tree: &Tree) {
        const SHORTEST: usize = 4;
        let mut texts = Vec::new();
        secrets(tree, &mut texts);
        texts.retain(|text| text.len() >= SHORTEST);
        self.add(texts);
    }

    /// The text with `(sensitive)` in place of every secret.
    pub fn mask(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for secret in &self.texts {
            if masked.contains(secret.as_str()) {
                masked = masked.replace(secret.as_str(), MASK);
            }
        }
        masked
    }

    /// Whether a secret stands in the text.
    pub fn covers(&self, text: &str) -> bool {
        self.texts.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// The longest secret, in bytes.
    fn reach(&self) -> usize {
        self.texts.first().map_or(0, String::len)
    }
}

/// Never shows what it hides.
impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masker({})", self.texts.len())
    }
}

fn secrets(tree: &Tree, found: &mut Vec<String>) {
    match tree {
        Tree::Secret(secret) => leaves(secret.reveal(), found),
        Tree::List(items) => items.iter().for_each(|item| secrets(item, found)),
        Tree::Map(map) => map.values().for_each(|value| secrets(value, found)),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::IdOf(_) | Tree::Unknown(_) => {}
    }
}

/// The texts of a structured secret. Flags and short numbers tell nothing and would mask half of all output.
fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Number(number) if number.to_string().len() >= 4 => found.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(map) => map.values().for_each(|value| leaves(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Bytes without an end of line after which a line is told in pieces.
const LONGEST_LINE: usize = 1 << 20;

/// Cuts a stream into masked lines. `\r` ends a line as well: progress bars redraw theirs.
pub(super) struct Lines<'a> {
    masker: &'a Masker,
    say: Box<dyn FnMut(String) + Send + 'a>,
    pending: Vec<u8>,
}

impl<'a> Lines<'a> {
    pub fn new(masker: &'a Masker, say: impl FnMut(String) + Send + 'a) -> Self {
        Lines { masker, say: Box::new(say), pending: Vec::new() }
    }

    /// Takes what came.
    pub fn push(&mut self, data: &[u8]) {
        self.pending.extend_from_slice(data);
        let mut start = 0;
        while let Some(length) = self.pending[start..].iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.tell(start, start + length);
            start += length + 1;
        }
        self.pending.drain(..start);
        if self.pending.len() > LONGEST_LINE {
            self.tell_most();
        }
    }

    /// Tells what is left at the end.
    pub fn finish(mut self) {
        self.tell(0, self.pending.len());
    }

    fn tell(&mut self, start: usize, end: usize) {
        let line = String::from_utf8_lossy(&self.pending[start..end]);
        let line = line.trim_end();
        if !line.is_empty() {
            (self.say)(self.masker.mask(line));
        }
    }

    /// All but the end, where a secret may have begun that is not complete.
    fn tell_most(&mut self) {
        let masked = self.masker.mask(&String::from_utf8_lossy(&self.pending)).into_bytes();
        let cut = masked.len().saturating_sub(self.masker.reach()).max(masked.len() / 2);
        (self.say)(String::from_utf8_lossy(&masked[..cut]).into_owned());
        self.pending = masked[cut..].to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;
    use serde_json::json;

    #[test]
    fn longer_secrets_go_first_and_url_forms_too() {
        let masker = Masker::new(["pass", "password/1", ""]);
        assert_eq!(
            masker.mask("password/1 pass https://u:password%2F1@h"),
            "(sensitive) (sensitive) https://u:(sensitive)@h"
        );
    }

    #[test]
    fn structured_secrets_and_lines_of_keys_are_hidden() {
        let mut masker = Masker::default();
        let secret = Secret::new(json!({"key": "-----BEGIN KEY-----\nabcdefghij\n", "on": true, "pin": 12345}));
        masker.add_secrets_of(&Tree::List(vec![Tree::Secret(secret)]));
        assert_eq!(masker.mask("got abcdefghij and 12345, true"), "got (sensitive) and (sensitive), true");
    }

    #[test]
    fn lines_come_whole_whatever_the_pieces() {
        let masker = Masker::new(["hunter2"]);
        let mut told = Vec::new();
        let mut lines = Lines::new(&masker, |line| told.push(line));
        for piece in ["one\r\ntwo hun", "ter2\n\nthr", "ee"] {
            lines.push(piece.as_bytes());
        }
        lines.finish();
        assert_eq!(told, ["one", "two (sensitive)", "three"]);
    }

    #[test]
    fn endless_lines_are_told_in_pieces_without_leaking() {
        let masker = Masker::new(["hunter2"]);
        let mut told = String::new();
        let mut lines = Lines::new(&masker, |line| told.push_str(&line));
        lines.push(&vec![b'x'; LONGEST_LINE - 3]);
        lines.push(b"hunt");
        lines.push(b"er2");
        lines.finish();
        assert!(told.ends_with("xxx(sensitive)"), "{}", &told[told.len() - 30..]);
        assert!(!told.contains("hunt"));
    }
}
