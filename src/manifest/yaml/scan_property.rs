//! Directives, anchors, aliases and tags → tokens; after `yaml/scanner.py` of PyYAML 6.0.3.

use super::cursor::{Mark, ends_line, ends_word, frees_indicator};
use super::fault::{Fault, What};
use super::scanner::Scanner;
use super::token::{Kind, Token};

type Scanned<T> = Result<T, Fault>;

/// What names of anchors, directives and tag handles are made of.
fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn is_uri(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-;/?:@&=+$,_.!~*'()[]%".contains(c)
}

impl Scanner<'_> {
    /// A line that starts with `%`.
    pub(super) fn scan_directive(&mut self) -> Scanned<Token> {
        let start = self.cursor.mark();
        self.cursor.forward(1);
        let name = self.cursor.take_while(|c, _| is_name(c));
        if name.is_empty() {
            return Err(self.directive_fault("no name follows the `%`", start));
        }
        self.expect_word_end(What::Directive("its name ends in a strange character"), start)?;
        let kind = match name {
            "YAML" => self.version_directive(start)?,
            "TAG" => self.tag_directive(start)?,
            _ => {
                self.cursor.take_while(|c, _| !ends_line(c));
                Kind::OtherDirective
            }
        };
        let end = self.cursor.mark();
        self.cursor.skip_spaces();
        self.cursor.skip_comment();
        if !ends_line(self.cursor.peek()) {
            return Err(self.directive_fault("more follows than belongs to it", start));
        }
        self.cursor.line_break();
        Ok(Token { kind, start, end })
    }

    fn directive_fault(&self, why: &'static str, start: Mark) -> Fault {
        Fault::new(What::Directive(why), self.cursor.mark()).since(start)
    }

    fn version_directive(&mut self, start: Mark) -> Scanned<Kind> {
        const WHY: &str = "its version is not written like `1.1`";
        self.cursor.skip_spaces();
        let major = self.cursor.take_while(|c, _| c.is_ascii_digit());
        if major.is_empty() || self.cursor.peek() != '.' {
            return Err(self.directive_fault(WHY, start));
        }
        self.cursor.forward(1);
        if self.cursor.take_while(|c, _| c.is_ascii_digit()).is_empty() {
            return Err(self.directive_fault(WHY, start));
        }
        self.expect_word_end(What::Directive(WHY), start)?;
        Ok(Kind::VersionDirective(major.parse().unwrap_or(u64::MAX)))
    }

    fn tag_directive(&mut self, start: Mark) -> Scanned<Kind> {
        const WHY: &str = "it is not written like `%TAG !name! prefix`";
        self.cursor.skip_spaces();
        let handle = self.scan_handle(What::Directive(WHY), start)?;
        if self.cursor.peek() != ' ' {
            return Err(self.directive_fault(WHY, start));
        }
        self.cursor.skip_spaces();
        let prefix = self.scan_uri(What::Directive(WHY), start)?;
        self.expect_word_end(What::Directive(WHY), start)?;
        Ok(Kind::TagDirective(handle, prefix))
    }

    /// `*name` or `&name`.
    pub(super) fn scan_name(&mut self, indicator: char) -> Scanned<Token> {
        let start = self.cursor.mark();
        self.cursor.forward(1);
        let name = self.cursor.take_while(|c, _| is_name(c));
        let next = self.cursor.peek();
        if name.is_empty() || !(frees_indicator(next) || "?:,]}%@`".contains(next)) {
            let what = if indicator == '*' { What::AliasName } else { What::AnchorName };
            return Err(Fault::new(what, self.cursor.mark()).since(start));
        }
        let name = name.to_owned();
        let kind = if indicator == '*' { Kind::Alias(name) } else { Kind::Anchor(name) };
        Ok(Token { kind, start, end: self.cursor.mark() })
    }

    /// `!`, `!suffix`, `!handle!suffix` or `!<uri>`.
    pub(super) fn scan_tag(&mut self) -> Scanned<Token> {
        let start = self.cursor.mark();
        let next = self.cursor.peek_at(1);
        let kind = if next == '<' {
            self.cursor.forward(2);
            let uri = self.scan_uri(What::Tag, start)?;
            if self.cursor.peek() != '>' {
                return Err(Fault::new(What::Tag, self.cursor.mark()).since(start));
            }
            self.cursor.forward(1);
            Kind::Tag(None, uri)
        } else if frees_indicator(next) {
            self.cursor.forward(1);
            Kind::Tag(None, "!".to_owned())
        } else {
            let handle = if self.word_holds_second_bang() {
                self.scan_handle(What::Tag, start)?
            } else {
                self.cursor.forward(1);
                "!".to_owned()
            };
            Kind::Tag(Some(handle), self.scan_uri(What::Tag, start)?)
        };
        self.expect_word_end(What::Tag, start)?;
        Ok(Token { kind, start, end: self.cursor.mark() })
    }

    fn word_holds_second_bang(&self) -> bool {
        self.cursor.ahead().skip(1).take_while(|c| !ends_word(*c)).any(|c| c == '!')
    }

    /// `!`, `!!` or `!name!`.
    fn scan_handle(&mut self, otherwise: What, since: Mark) -> Scanned<String> {
        let fault = |at| Err(Fault::new(otherwise.clone(), at).since(since));
        if self.cursor.peek() != '!' {
            return fault(self.cursor.mark());
        }
        self.cursor.forward(1);
        if self.cursor.peek() == ' ' {
            return Ok("!".to_owned());
        }
        let name = self.cursor.take_while(|c, _| is_name(c));
        if self.cursor.peek() != '!' {
            return fault(self.cursor.mark());
        }
        self.cursor.forward(1);
        Ok(format!("!{name}!"))
    }

    fn scan_uri(&mut self, otherwise: What, since: Mark) -> Scanned<String> {
        let mut uri = String::new();
        let start = self.cursor.mark();
        loop {
            uri.push_str(self.cursor.take_while(|c, _| is_uri(c) && c != '%'));
            if self.cursor.peek() != '%' {
                break;
            }
            uri.push_str(&self.scan_uri_escapes(&otherwise, since)?);
        }
        if self.cursor.mark() == start {
            return Err(Fault::new(otherwise, start).since(since));
        }
        Ok(uri)
    }

    fn scan_uri_escapes(&mut self, otherwise: &What, since: Mark) -> Scanned<String> {
        let start = self.cursor.mark();
        let fault = |at| Err(Fault::new(otherwise.clone(), at).since(since));
        let mut bytes = Vec::new();
        while self.cursor.peek() == '%' {
            self.cursor.forward(1);
            let (Some(high), Some(low)) = (self.cursor.peek().to_digit(16), self.cursor.peek_at(1).to_digit(16)) else {
                return fault(self.cursor.mark());
            };
            bytes.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits"));
            self.cursor.forward(2);
        }
        String::from_utf8(bytes).or_else(|_| fault(start))
    }
}
