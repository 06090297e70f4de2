//! A place in the text being read, and the reader that moves it.

use crate::model::Span;

/// Stands for the end of the text; the characters that a file may hold exclude it.
pub(super) const END: char = '\0';

/// A place in the text. Line and column count from 0, the column in characters (a byte order mark has no width).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mark {
    /// Bytes before it.
    pub byte: usize,
    /// Characters before it.
    pub index: usize,
    /// Lines before it.
    pub line: u32,
    /// Characters before it on its line.
    pub column: u32,
}

impl Mark {
    /// The stretch from here to `end`.
    pub fn to(self, end: Mark) -> Span {
        Span { start: self.byte, end: end.byte.max(self.byte), line: self.line + 1, column: self.column + 1 }
    }

    /// The place as a stretch without width.
    pub fn point(self) -> Span {
        self.to(self)
    }
}

/// Whether it ends a line. PyYAML still knows the three breaks of YAML 1.1 that YAML 1.2 dropped.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether it ends a line or the text.
pub(super) fn ends_line(c: char) -> bool {
    c == END || is_break(c)
}

/// Whether it is a space or ends a line or the text. A tab is not a space here.
pub(super) fn ends_word(c: char) -> bool {
    c == ' ' || ends_line(c)
}

/// Whether an indicator before it stands alone: space, tab, end of line or text.
pub(super) fn frees_indicator(c: char) -> bool {
    c == '\t' || ends_word(c)
}

/// Reads a text character by character.
pub(super) struct Cursor<'a> {
    text: &'a str,
    mark: Mark,
}

impl<'a> Cursor<'a> {
    /// Starts at the beginning, after a byte order mark.
    pub fn new(text: &'a str) -> Self {
        let mut cursor = Cursor { text, mark: Mark { byte: 0, index: 0, line: 0, column: 0 } };
        if cursor.peek() == '\u{feff}' {
            cursor.forward(1);
        }
        cursor
    }

    /// Where it stands.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// The column, as a signed number to be compared with indentations.
    pub fn column(&self) -> i64 {
        i64::from(self.mark.column)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.mark.byte..]
    }

    /// The next character.
    pub fn peek(&self) -> char {
        self.rest().chars().next().unwrap_or(END)
    }

    /// The character `n` after the next one; `n` is small.
    pub fn peek_at(&self, n: usize) -> char {
        self.rest().chars().nth(n).unwrap_or(END)
    }

    /// The characters from the next one on.
    pub fn ahead(&self) -> impl Iterator<Item = char> {
        self.rest().chars()
    }

    /// Whether `---` or `...` stands alone here; the caller knows that a line begins.
    pub fn at_separator(&self) -> bool {
        self.at_word("---") || self.at_word("...")
    }

    /// Whether this word of three characters stands alone here.
    pub fn at_word(&self, word: &str) -> bool {
        self.rest().starts_with(word) && frees_indicator(self.peek_at(3))
    }

    /// Moves over `n` characters.
    pub fn forward(&mut self, n: usize) {
        for _ in 0..n {
            let mut chars = self.rest().chars();
            let Some(c) = chars.next() else { return };
            self.mark.byte += c.len_utf8();
            self.mark.index += 1;
            if is_break(c) && !(c == '\r' && chars.next() == Some('\n')) {
                self.mark.line += 1;
                self.mark.column = 0;
            } else if c != '\u{feff}' {
                self.mark.column += 1;
            }
        }
    }

    /// Moves while the next character, seen with the one after it, satisfies `test`, which no line break may; gives what was passed.
    pub fn take_while(&mut self, test: impl Fn(char, char) -> bool) -> &'a str {
        let start = self.mark.byte;
        let mut chars = self.rest().chars();
        let mut current = chars.next();
        while let Some(c) = current {
            current = chars.next();
            if !test(c, current.unwrap_or(END)) {
                break;
            }
            self.mark.byte += c.len_utf8();
            self.mark.index += 1;
            self.mark.column += u32::from(c != '\u{feff}');
        }
        &self.text[start..self.mark.byte]
    }

    /// Moves over spaces.
    pub fn skip_spaces(&mut self) {
        self.take_while(|c, _| c == ' ');
    }

    /// Moves over a comment, up to the end of its line.
    pub fn skip_comment(&mut self) {
        if self.peek() == '#' {
            self.take_while(|c, _| !ends_line(c));
        }
    }

    /// Moves over one line break; gives it as YAML 1.1 keeps it.
    pub fn line_break(&mut self) -> Option<char> {
        let c = self.peek();
        if !is_break(c) {
            return None;
        }
        let width = if c == '\r' && self.peek_at(1) == '\n' { 2 } else { 1 };
        self.forward(width);
        Some(if matches!(c, '\u{2028}' | '\u{2029}') { c } else { '\n' })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_columns_and_bytes_are_counted_apart() {
        let mut cursor = Cursor::new("\u{feff}é\r\nb\u{85}c");
        assert_eq!((cursor.mark().byte, cursor.mark().column), (3, 0));
        cursor.forward(1);
        assert_eq!((cursor.mark().byte, cursor.mark().column), (5, 1));
        assert_eq!(cursor.line_break(), Some('\n'));
        cursor.forward(2);
        assert_eq!((cursor.peek(), cursor.mark().line, cursor.mark().column), ('c', 2, 0));
        cursor.forward(5);
        assert_eq!(cursor.peek(), END);
    }
}
