//! Text → tokens, with the rules (and the leniencies) of the scanner of PyYAML 6.0.3, `yaml/scanner.py`.
//!
//! A key such as `name: x` is known as a key only at its colon, so the scanner remembers where a key might have started, per
//! bracket level, and puts the `Key` token there when the colon comes. Such a key fits on one line and in 1024 characters.

use std::collections::{BTreeMap, VecDeque};

use super::cursor::Mark;
use super::cursor::{Cursor, END, ends_word, frees_indicator};
use super::fault::{Fault, What};
use super::token::{Kind, Token};

/// How far a colon may stand from the start of its key, in characters.
const LONGEST_KEY: usize = 1024;

/// A place where a key may have started.
struct PossibleKey {
    token: usize,
    required: bool,
    mark: Mark,
}

/// Gives tokens one at a time.
pub(super) struct Scanner<'a> {
    pub(super) cursor: Cursor<'a>,
    /// Brackets open around the cursor; 0 is block context.
    pub(super) brackets: usize,
    /// The column of the block that is open, -1 outside of any.
    pub(super) indent: i64,
    /// Whether a key (in block context: any block) may start here.
    pub(super) key_allowed: bool,
    indents: Vec<i64>,
    tokens: VecDeque<Token>,
    taken: usize,
    keys: BTreeMap<usize, PossibleKey>,
    done: bool,
}

type Scanned<T = ()> = Result<T, Fault>;

impl<'a> Scanner<'a> {
    /// A scanner at the beginning of a text.
    pub fn new(text: &'a str) -> Self {
        Scanner {
            cursor: Cursor::new(text),
            brackets: 0,
            indent: -1,
            key_allowed: true,
            indents: Vec::new(),
            tokens: VecDeque::new(),
            taken: 0,
            keys: BTreeMap::new(),
            done: false,
        }
    }

    /// The next token, left in place.
    pub fn peek(&mut self) -> Scanned<&Token> {
        while self.needs_more()? {
            self.fetch()?;
        }
        Ok(self.tokens.front().expect("the end of the stream is a token, and it is never taken"))
    }

    /// The next token. The end of the stream is given again and again.
    pub fn next(&mut self) -> Scanned<Token> {
        let token = self.peek()?.clone_end();
        if let Some(end) = token {
            return Ok(end);
        }
        self.taken += 1;
        Ok(self.tokens.pop_front().expect("just seen"))
    }

    /// Whether the next token may still turn out to be preceded by a `Key`.
    fn needs_more(&mut self) -> Scanned<bool> {
        if self.done {
            return Ok(false);
        }
        if self.tokens.is_empty() {
            return Ok(true);
        }
        self.forget_stale_keys()?;
        Ok(self.keys.values().map(|key| key.token).min() == Some(self.taken))
    }

    fn fetch(&mut self) -> Scanned {
        self.skip_to_token();
        self.forget_stale_keys()?;
        self.close_blocks(self.cursor.column());
        let c = self.cursor.peek();
        let line_start = self.cursor.column() == 0;
        let alone = frees_indicator(self.cursor.peek_at(1));
        match c {
            END => self.stream_end(),
            '%' if line_start => self.directive_line(),
            '-' if line_start && self.cursor.at_word("---") => self.separator(Kind::DocumentStart),
            '.' if line_start && self.cursor.at_word("...") => self.separator(Kind::DocumentEnd),
            '[' => self.open_bracket(Kind::FlowSequenceStart),
            '{' => self.open_bracket(Kind::FlowMappingStart),
            ']' => self.close_bracket(Kind::FlowSequenceEnd),
            '}' => self.close_bracket(Kind::FlowMappingEnd),
            ',' => self.comma(),
            '-' if alone => self.dash(),
            '?' if alone || self.brackets > 0 => self.question_mark(),
            ':' if alone || self.brackets > 0 => self.colon(),
            '*' | '&' | '!' => self.property(c),
            '|' | '>' if self.brackets == 0 => self.block_text(c == '>'),
            '\'' | '"' => self.quoted_text(),
            _ if self.plain_starts(c, alone) => self.plain_text(),
            _ => Err(Fault::new(What::CannotStart(c), self.cursor.mark())),
        }
    }

    fn skip_to_token(&mut self) {
        loop {
            self.cursor.skip_spaces();
            self.cursor.skip_comment();
            if self.cursor.line_break().is_none() {
                return;
            }
            if self.brackets == 0 {
                self.key_allowed = true;
            }
        }
    }

    /// Whether unquoted text may start with `c`.
    fn plain_starts(&self, c: char, alone: bool) -> bool {
        if matches!(c, '-' | '?' | ':') {
            return !alone && (c == '-' || self.brackets == 0);
        }
        !frees_indicator(c)
            && !matches!(
                c,
                ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
            )
    }

    // Possible keys.

    fn forget_stale_keys(&mut self) -> Scanned {
        let now = self.cursor.mark();
        let stale = |key: &PossibleKey| key.mark.line != now.line || now.index - key.mark.index > LONGEST_KEY;
        if let Some(key) = self.keys.values().find(|key| key.required && stale(key)) {
            return Err(Fault::new(What::KeyWithoutColon, now).since(key.mark));
        }
        self.keys.retain(|_, key| !stale(key));
        Ok(())
    }

    fn note_possible_key(&mut self) -> Scanned {
        if !self.key_allowed {
            return Ok(());
        }
        let required = self.brackets == 0 && self.indent == self.cursor.column();
        self.drop_possible_key()?;
        let key = PossibleKey { token: self.taken + self.tokens.len(), required, mark: self.cursor.mark() };
        self.keys.insert(self.brackets, key);
        Ok(())
    }

    fn drop_possible_key(&mut self) -> Scanned {
        match self.keys.remove(&self.brackets) {
            Some(key) if key.required => Err(Fault::new(What::KeyWithoutColon, self.cursor.mark()).since(key.mark)),
            _ => Ok(()),
        }
    }

    // Blocks.

    fn close_blocks(&mut self, column: i64) {
        while self.brackets == 0 && self.indent > column {
            self.indent = self.indents.pop().unwrap_or(-1);
            self.push_empty(Kind::BlockEnd);
        }
    }

    fn open_block(&mut self, column: i64) -> bool {
        let opens = self.indent < column;
        if opens {
            self.indents.push(self.indent);
            self.indent = column;
        }
        opens
    }

    fn push_empty(&mut self, kind: Kind) {
        let mark = self.cursor.mark();
        self.tokens.push_back(Token { kind, start: mark, end: mark });
    }

    /// Moves over an indicator and makes it a token.
    fn push_indicator(&mut self, kind: Kind, width: usize) {
        let start = self.cursor.mark();
        self.cursor.forward(width);
        self.tokens.push_back(Token { kind, start, end: self.cursor.mark() });
    }

    // Tokens.

    fn stream_end(&mut self) -> Scanned {
        self.close_blocks(-1);
        self.drop_possible_key()?;
        self.key_allowed = false;
        self.keys.clear();
        self.push_empty(Kind::StreamEnd);
        self.done = true;
        Ok(())
    }

    fn directive_line(&mut self) -> Scanned {
        self.close_blocks(-1);
        self.drop_possible_key()?;
        self.key_allowed = false;
        let token = self.scan_directive()?;
        self.tokens.push_back(token);
        Ok(())
    }

    fn separator(&mut self, kind: Kind) -> Scanned {
        self.close_blocks(-1);
        self.drop_possible_key()?;
        self.key_allowed = false;
        self.push_indicator(kind, 3);
        Ok(())
    }

    fn open_bracket(&mut self, kind: Kind) -> Scanned {
        self.note_possible_key()?;
        self.brackets += 1;
        self.key_allowed = true;
        self.push_indicator(kind, 1);
        Ok(())
    }

    fn close_bracket(&mut self, kind: Kind) -> Scanned {
        self.drop_possible_key()?;
        // A bracket that closes nothing is the parser's to refuse: it is the very next token it looks at.
        self.brackets = self.brackets.saturating_sub(1);
        self.key_allowed = false;
        self.push_indicator(kind, 1);
        Ok(())
    }

    fn comma(&mut self) -> Scanned {
        self.key_allowed = true;
        self.drop_possible_key()?;
        self.push_indicator(Kind::FlowEntry, 1);
        Ok(())
    }

    fn dash(&mut self) -> Scanned {
        if self.brackets == 0 {
            self.block_may_start(What::ItemNotAllowed, Kind::BlockSequenceStart)?;
        }
        self.key_allowed = true;
        self.drop_possible_key()?;
        self.push_indicator(Kind::BlockEntry, 1);
        Ok(())
    }

    fn question_mark(&mut self) -> Scanned {
        if self.brackets == 0 {
            self.block_may_start(What::KeyNotAllowed, Kind::BlockMappingStart)?;
        }
        self.key_allowed = self.brackets == 0;
        self.drop_possible_key()?;
        self.push_indicator(Kind::Key, 1);
        Ok(())
    }

    fn block_may_start(&mut self, otherwise: What, kind: Kind) -> Scanned {
        if !self.key_allowed {
            return Err(Fault::new(otherwise, self.cursor.mark()));
        }
        if self.open_block(self.cursor.column()) {
            self.push_empty(kind);
        }
        Ok(())
    }

    fn colon(&mut self) -> Scanned {
        if let Some(key) = self.keys.remove(&self.brackets) {
            let at = key.token - self.taken;
            self.tokens.insert(at, Token { kind: Kind::Key, start: key.mark, end: key.mark });
            if self.brackets == 0 && self.open_block(i64::from(key.mark.column)) {
                self.tokens.insert(at, Token { kind: Kind::BlockMappingStart, start: key.mark, end: key.mark });
            }
            self.key_allowed = false;
        } else {
            if self.brackets == 0 {
                self.block_may_start(What::ValueNotAllowed, Kind::BlockMappingStart)?;
            }
            self.key_allowed = self.brackets == 0;
            self.drop_possible_key()?;
        }
        self.push_indicator(Kind::Value, 1);
        Ok(())
    }

    /// An alias, an anchor or a tag.
    fn property(&mut self, indicator: char) -> Scanned {
        self.note_possible_key()?;
        self.key_allowed = false;
        let token = if indicator == '!' { self.scan_tag()? } else { self.scan_name(indicator)? };
        self.tokens.push_back(token);
        Ok(())
    }

    fn block_text(&mut self, folded: bool) -> Scanned {
        self.key_allowed = true;
        self.drop_possible_key()?;
        let token = self.scan_block(folded)?;
        self.tokens.push_back(token);
        Ok(())
    }

    fn quoted_text(&mut self) -> Scanned {
        self.note_possible_key()?;
        self.key_allowed = false;
        let token = self.scan_quoted()?;
        self.tokens.push_back(token);
        Ok(())
    }

    fn plain_text(&mut self) -> Scanned {
        self.note_possible_key()?;
        self.key_allowed = false;
        let token = self.scan_plain();
        self.tokens.push_back(token);
        Ok(())
    }

    /// What stands where the rest of a `%` line should end it.
    pub(super) fn expect_word_end(&self, otherwise: What, since: Mark) -> Scanned {
        if ends_word(self.cursor.peek()) { Ok(()) } else { Err(Fault::new(otherwise, self.cursor.mark()).since(since)) }
    }
}

impl Token {
    /// A copy, if it is the end of the stream.
    fn clone_end(&self) -> Option<Token> {
        (self.kind == Kind::StreamEnd).then(|| self.clone())
    }
}
