//! `Sources`: the texts of the repository that the analysis may look at, and the guard that keeps hostile ones out.

use std::collections::BTreeMap;
use std::sync::Arc;

use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, lexer};

use crate::model::RepoPath;

/// The largest file that is read, in bytes.
const MAX_BYTES: usize = 4 << 20;
/// CPython refuses deeper brackets and deeper indentation.
const MAX_NESTING: usize = 90;
/// The most operators and keywords that one element of an expression may chain.
const MAX_CHAIN: usize = 1500;

/// The texts loaded so far, byte for byte as in the repository; `None` for a file known to be absent.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    texts: BTreeMap<RepoPath, Option<Arc<str>>>,
    python: Option<(u8, u8)>,
}

impl Sources {
    /// Nothing loaded yet.
    pub fn new() -> Self {
        Sources::default()
    }

    /// The same for a Python of a known version, `(3, 12)`: what only newer ones understand depends on that.
    #[must_use]
    pub fn for_python(self, version: (u8, u8)) -> Self {
        Sources { python: Some(version), ..self }
    }

    /// The version of Python, if it is known.
    pub fn python(&self) -> Option<(u8, u8)> {
        self.python
    }

    /// Records a file's text, or that there is no such file.
    pub fn insert(&mut self, path: RepoPath, text: Option<Arc<str>>) {
        self.texts.insert(path, text);
    }

    /// The text of a file; `Some(None)` if it is known to be absent, `None` if nobody looked.
    pub fn get(&self, path: &RepoPath) -> Option<Option<&Arc<str>>> {
        self.texts.get(path).map(Option::as_ref)
    }
}

impl FromIterator<(RepoPath, Option<Arc<str>>)> for Sources {
    fn from_iter<I: IntoIterator<Item = (RepoPath, Option<Arc<str>>)>>(items: I) -> Self {
        Sources { texts: items.into_iter().collect(), python: None }
    }
}

/// Why a text is better left to Python: too large, or nested so deeply that its tree could not be walked safely.
pub(super) fn refusal(text: &str) -> Option<String> {
    if text.len() > MAX_BYTES {
        return Some(format!("the file is larger than {} MiB", MAX_BYTES >> 20));
    }
    let mut lexer = lexer::lex(text, Mode::Module);
    let mut chains = vec![0_usize];
    let (mut total, mut indents) = (0_usize, 0_usize);
    loop {
        match lexer.next_token() {
            TokenKind::EndOfFile => return None,
            TokenKind::Lpar
            | TokenKind::Lsqb
            | TokenKind::Lbrace
            | TokenKind::FStringStart
            | TokenKind::TStringStart => {
                chains.push(0);
            }
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace | TokenKind::FStringEnd | TokenKind::TStringEnd => {
                total -= chains.pop().unwrap_or_default();
                if chains.is_empty() {
                    chains.push(0);
                }
            }
            TokenKind::Indent => indents += 1,
            TokenKind::Dedent => indents = indents.saturating_sub(1),
            TokenKind::Newline => {
                chains = vec![0];
                total = 0;
            }
            TokenKind::Comma => total -= chains.last_mut().map(std::mem::take).unwrap_or_default(),
            TokenKind::String | TokenKind::Comment | TokenKind::NonLogicalNewline | TokenKind::FStringMiddle => {}
            _ => {
                total += 1;
                if let Some(last) = chains.last_mut() {
                    *last += 1;
                }
            }
        }
        if chains.len() > MAX_NESTING || indents > MAX_NESTING || total > MAX_CHAIN {
            return Some("the code is nested too deeply".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_code_passes_and_deep_nesting_does_not() {
        assert_eq!(refusal("x = [1, 2, (3, {4: 5})]\ndef f(a: int = 3):\n    return f'{a}'\n"), None);
        let table = format!("T = {{{}}}\n", "'k': -1.5, ".repeat(20_000));
        assert_eq!(refusal(&table), None);
        for hostile in
            ["(".repeat(100_000), "not ".repeat(100_000), format!("x{}", ".y".repeat(100_000)), "a+".repeat(90_000)]
        {
            assert!(refusal(&hostile).is_some());
        }
        assert!(refusal(&"#".repeat(MAX_BYTES + 1)).is_some());
    }
}
