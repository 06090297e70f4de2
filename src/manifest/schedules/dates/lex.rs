//! Tokens and numbers of free-form dates.

use crate::manifest::schedules::words::is_space;

/// Splits into runs of letters, numbers and single other characters; dots are part of numbers where they can be.
pub fn tokens(text: &str) -> Vec<String> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        Start,
        Word,
        Number,
        DottedWord,
        DottedNumber,
    }
    let mut out = Vec::new();
    let mut chars = text.chars().filter(|c| *c != '\0').peekable();
    while chars.peek().is_some() {
        let mut token = String::new();
        let (mut state, mut letters) = (State::Start, false);
        while let Some(&c) = chars.peek() {
            let (word, digit) = (c.is_alphabetic(), c.is_numeric());
            let ends_in_dot = token.ends_with('.');
            let next = match state {
                State::Start if word => Some(State::Word),
                State::Start if digit => Some(State::Number),
                State::Start => {
                    token.push(if is_space(c) { ' ' } else { c });
                    chars.next();
                    break;
                }
                State::Word if word => Some(State::Word),
                State::Word if c == '.' => Some(State::DottedWord),
                State::Number if digit => Some(State::Number),
                State::Number if c == '.' || (c == ',' && token.chars().count() >= 2) => Some(State::DottedNumber),
                State::DottedWord if c == '.' || word => Some(State::DottedWord),
                State::DottedWord if digit && ends_in_dot => Some(State::DottedNumber),
                State::DottedNumber if c == '.' || digit => Some(State::DottedNumber),
                State::DottedNumber if word && ends_in_dot => Some(State::DottedWord),
                _ => None,
            };
            letters |= matches!(state, State::Word | State::DottedWord);
            let Some(next) = next else { break };
            token.push(c);
            state = next;
            chars.next();
        }
        let dotted = matches!(state, State::DottedWord | State::DottedNumber);
        if dotted && (letters || token.matches('.').count() > 1 || token.ends_with(['.', ','])) {
            let mut parts: Vec<String> = split_keeping(&token);
            if let Some(first) = parts.first_mut().filter(|_| state == State::DottedNumber) {
                *first = first.replace(',', ".");
            }
            out.append(&mut parts);
        } else {
            out.push(if state == State::DottedNumber && !token.contains('.') {
                token.replace(',', ".")
            } else {
                token
            });
        }
    }
    out
}

/// Splits at `.` and `,`, keeping them as items of their own.
fn split_keeping(token: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in token.chars() {
        if c == '.' || c == ',' {
            parts.push(c.to_string());
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// A decimal number with up to eighteen decimals.
#[derive(Clone, Copy)]
pub struct Decimal {
    /// What stands before the point, saturating.
    pub whole: i64,
    /// In 10⁻¹⁸.
    fraction: u128,
}

const UNIT: u128 = 1_000_000_000_000_000_000;

impl Decimal {
    /// Reads digits with at most one point.
    pub fn parse(token: &str) -> Option<Self> {
        let (whole, fraction) = token.split_once('.').unwrap_or((token, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        let scaled = fraction.bytes().chain(std::iter::repeat(b'0')).take(18);
        let fraction = scaled.fold(0, |sum, b| sum * 10 + u128::from(b - b'0'));
        Some(Decimal { whole: whole.parse().unwrap_or(i64::MAX), fraction })
    }

    /// Sixtieths of the fraction, rounded down; `None` for a whole number.
    pub fn sixtieths(self) -> Option<i64> {
        (self.fraction != 0).then(|| (self.fraction * 60 / UNIT) as i64)
    }

    /// Whether it is more than a whole number.
    pub fn exceeds(self, limit: i64) -> bool {
        self.whole > limit || (self.whole == limit && self.fraction != 0)
    }
}

/// Digits only; what does not fit saturates.
pub fn whole(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(i64::MAX))
}
