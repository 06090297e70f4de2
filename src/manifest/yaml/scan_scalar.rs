//! Unquoted, quoted and block text → tokens; after `yaml/scanner.py` of PyYAML 6.0.3.

use super::cursor::{END, Mark, ends_line, ends_word, frees_indicator, is_break};
use super::fault::{Fault, What};
use super::scanner::Scanner;
use super::token::{Kind, Token};

type Scanned<T> = Result<T, Fault>;

/// What a block text does with its last line breaks.
#[derive(Clone, Copy, PartialEq)]
enum Chomp {
    Clip,
    Strip,
    Keep,
}

impl Scanner<'_> {
    // Unquoted text.

    pub(super) fn scan_plain(&mut self) -> Token {
        let start = self.cursor.mark();
        let mut end = start;
        let indent = self.indent + 1;
        let in_brackets = self.brackets > 0;
        let mut text = String::new();
        let mut gap = String::new();
        while self.cursor.peek() != '#' {
            let word = self.cursor.take_while(|c, next| {
                let colon = c == ':' && (frees_indicator(next) || in_brackets && ",[]{}".contains(next));
                !(frees_indicator(c) || colon || in_brackets && ",?[]{}".contains(c))
            });
            if word.is_empty() {
                break;
            }
            self.key_allowed = false;
            text.push_str(&gap);
            text.push_str(word);
            end = self.cursor.mark();
            gap = self.plain_gap();
            if gap.is_empty() || (!in_brackets && self.cursor.column() < indent) {
                break;
            }
        }
        Token { kind: Kind::Scalar { text, plain: true }, start, end }
    }

    /// What stands for the white space between two words of unquoted text; empty if the text ends here.
    fn plain_gap(&mut self) -> String {
        let spaces = self.cursor.take_while(|c, _| c == ' ');
        let Some(first) = self.cursor.line_break() else { return spaces.to_owned() };
        self.key_allowed = true;
        let mut breaks = String::new();
        loop {
            if self.cursor.column() == 0 && self.cursor.at_separator() {
                return String::new();
            }
            self.cursor.skip_spaces();
            match self.cursor.line_break() {
                Some(c) => breaks.push(c),
                None => return fold(first, breaks),
            }
        }
    }

    // Quoted text.

    pub(super) fn scan_quoted(&mut self) -> Scanned<Token> {
        let start = self.cursor.mark();
        let quote = self.cursor.peek();
        self.cursor.forward(1);
        let mut text = String::new();
        loop {
            self.quoted_word(quote, start, &mut text)?;
            if self.cursor.peek() == quote {
                break;
            }
            self.quoted_gap(start, &mut text)?;
        }
        self.cursor.forward(1);
        Ok(Token { kind: Kind::Scalar { text, plain: false }, start, end: self.cursor.mark() })
    }

    fn quoted_word(&mut self, quote: char, start: Mark, text: &mut String) -> Scanned<()> {
        loop {
            text.push_str(self.cursor.take_while(|c, _| !(frees_indicator(c) || matches!(c, '\'' | '"' | '\\'))));
            match self.cursor.peek() {
                '\'' if quote == '\'' && self.cursor.peek_at(1) == '\'' => {
                    text.push('\'');
                    self.cursor.forward(2);
                }
                '\\' if quote == '"' => self.escape(start, text)?,
                c @ ('\'' | '"' | '\\') if c != quote => {
                    text.push(c);
                    self.cursor.forward(1);
                }
                _ => return Ok(()),
            }
        }
    }

    fn escape(&mut self, start: Mark, text: &mut String) -> Scanned<()> {
        self.cursor.forward(1);
        let c = self.cursor.peek();
        let meant = match c {
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            ' ' | '"' | '\\' | '/' => c,
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            'x' => return self.numeric_escape(2, start, text),
            'u' => return self.numeric_escape(4, start, text),
            'U' => return self.numeric_escape(8, start, text),
            _ if is_break(c) => {
                self.cursor.line_break();
                let breaks = self.quoted_breaks(start)?;
                text.push_str(&breaks);
                return Ok(());
            }
            _ => return Err(Fault::new(What::Escape, self.cursor.mark()).since(start)),
        };
        text.push(meant);
        self.cursor.forward(1);
        Ok(())
    }

    fn numeric_escape(&mut self, digits: usize, start: Mark, text: &mut String) -> Scanned<()> {
        self.cursor.forward(1);
        let at = self.cursor.mark();
        let fault = |what| Err(Fault::new(what, at).since(start));
        let mut code: u32 = 0;
        for i in 0..digits {
            match self.cursor.peek_at(i).to_digit(16) {
                Some(digit) => code = code << 4 | digit,
                None => return fault(What::Escape),
            }
        }
        match char::from_u32(code) {
            Some(c) => text.push(c),
            None if code <= 0xffff => return fault(What::HalfCharacter),
            None => return fault(What::Escape),
        }
        self.cursor.forward(digits);
        Ok(())
    }

    fn quoted_gap(&mut self, start: Mark, text: &mut String) -> Scanned<()> {
        let blanks = self.cursor.take_while(|c, _| matches!(c, ' ' | '\t'));
        if self.cursor.peek() == END {
            return Err(Fault::new(What::UnclosedQuote, self.cursor.mark()).since(start));
        }
        match self.cursor.line_break() {
            Some(first) => text.push_str(&fold(first, self.quoted_breaks(start)?)),
            None => text.push_str(blanks),
        }
        Ok(())
    }

    fn quoted_breaks(&mut self, start: Mark) -> Scanned<String> {
        let mut breaks = String::new();
        loop {
            if self.cursor.at_separator() {
                return Err(Fault::new(What::SeparatorInQuote, self.cursor.mark()).since(start));
            }
            self.cursor.take_while(|c, _| matches!(c, ' ' | '\t'));
            match self.cursor.line_break() {
                Some(c) => breaks.push(c),
                None => return Ok(breaks),
            }
        }
    }

    // Block text.

    pub(super) fn scan_block(&mut self, folded: bool) -> Scanned<Token> {
        let start = self.cursor.mark();
        self.cursor.forward(1);
        let (chomp, increment) = self.block_header(start)?;
        let mut end = self.cursor.mark();
        let least = (self.indent + 1).max(1);
        let (mut breaks, indent) = match increment {
            Some(increment) => {
                let indent = least + increment - 1;
                (self.block_breaks(indent), indent)
            }
            None => {
                let (breaks, deepest) = self.block_lead();
                (breaks, least.max(deepest))
            }
        };
        let mut text = String::new();
        let mut last_break = None;
        while self.cursor.column() == indent && self.cursor.peek() != END {
            text.push_str(&breaks);
            let leads_with_blank = matches!(self.cursor.peek(), ' ' | '\t');
            text.push_str(self.cursor.take_while(|c, _| !ends_line(c)));
            end = self.cursor.mark();
            last_break = self.cursor.line_break();
            breaks = self.block_breaks(indent);
            if self.cursor.column() != indent || self.cursor.peek() == END {
                break;
            }
            let folds =
                folded && last_break == Some('\n') && !leads_with_blank && !matches!(self.cursor.peek(), ' ' | '\t');
            if !folds {
                text.extend(last_break);
            } else if breaks.is_empty() {
                text.push(' ');
            }
        }
        if chomp != Chomp::Strip {
            text.extend(last_break);
        }
        if chomp == Chomp::Keep {
            text.push_str(&breaks);
        }
        Ok(Token { kind: Kind::Scalar { text, plain: false }, start, end })
    }

    /// What follows `|` or `>` on their line: `-` or `+`, and a number, in either order.
    fn block_header(&mut self, start: Mark) -> Scanned<(Chomp, Option<i64>)> {
        let fault = |at| Err(Fault::new(What::BlockHeader, at).since(start));
        let mut chomp = Chomp::Clip;
        let mut increment = None;
        for _ in 0..2 {
            match self.cursor.peek() {
                c @ ('-' | '+') if chomp == Chomp::Clip => {
                    chomp = if c == '+' { Chomp::Keep } else { Chomp::Strip };
                }
                c if increment.is_none() && c.is_ascii_digit() => {
                    if c == '0' {
                        return fault(self.cursor.mark());
                    }
                    increment = c.to_digit(10).map(i64::from);
                }
                _ => break,
            }
            self.cursor.forward(1);
        }
        if !ends_word(self.cursor.peek()) {
            return fault(self.cursor.mark());
        }
        self.cursor.skip_spaces();
        self.cursor.skip_comment();
        if !ends_line(self.cursor.peek()) {
            return fault(self.cursor.mark());
        }
        self.cursor.line_break();
        Ok((chomp, increment))
    }

    /// The empty lines before the first line with text, and the deepest indentation seen up to it.
    fn block_lead(&mut self) -> (String, i64) {
        let mut breaks = String::new();
        let mut deepest = 0;
        loop {
            self.cursor.skip_spaces();
            deepest = deepest.max(self.cursor.column());
            match self.cursor.line_break() {
                Some(c) => breaks.push(c),
                None => return (breaks, deepest),
            }
        }
    }

    /// The empty lines before the next line with text, whose indentation is passed as far as `indent`.
    fn block_breaks(&mut self, indent: i64) -> String {
        let mut breaks = String::new();
        loop {
            while self.cursor.column() < indent && self.cursor.peek() == ' ' {
                self.cursor.forward(1);
            }
            match self.cursor.line_break() {
                Some(c) => breaks.push(c),
                None => return breaks,
            }
        }
    }
}

/// A first line break and the empty lines after it: a lone break is a space, of several the first is dropped.
fn fold(first: char, breaks: String) -> String {
    if first != '\n' {
        format!("{first}{breaks}")
    } else if breaks.is_empty() {
        " ".to_owned()
    } else {
        breaks
    }
}
