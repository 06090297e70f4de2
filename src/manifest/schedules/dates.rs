//! Free-form dates as dateutil reads them, which is what decides whether `UNTIL`, `DTSTART` and `EXDATE` are valid.
//!
//! Source of the rules: python-dateutil 2.9 `dateutil/parser/_parser.py` with its default options. The machine's own
//! zone is taken to be UTC.

mod lex;
mod vocabulary;
mod ymd;

use jiff::civil::{Date, DateTime};

use self::lex::{Decimal, tokens, whole};
use self::vocabulary::{half_day, is_jump, is_utc, month, unit, weekday};
use self::ymd::{Part, Ymd, days_in_month};

/// A date as dateutil reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parsed {
    /// The wall clock time.
    pub local: DateTime,
    /// Whether it has a zone or an offset.
    pub aware: bool,
}

/// Reads a text; parts that it leaves out come from `today`. `None` where dateutil raises.
pub fn parse(text: &str, today: Date) -> Option<Parsed> {
    let mut reader = Reader { tokens: tokens(text), ..Reader::default() };
    reader.read(today)?;
    reader.build(today)
}

#[derive(Default)]
struct Reader {
    tokens: Vec<String>,
    ymd: Ymd,
    weekday: Option<i64>,
    hour: Option<i64>,
    minute: Option<i64>,
    second: Option<i64>,
    micro: Option<i64>,
    zone: Option<String>,
    offset: Option<i64>,
    afternoon: Option<bool>,
    date: [Option<i64>; 3],
}

impl Reader {
    fn token(&self, i: usize) -> Option<&str> {
        self.tokens.get(i).map(String::as_str)
    }

    fn is(&self, i: usize, text: &str) -> bool {
        self.token(i) == Some(text)
    }

    fn read(&mut self, today: Date) -> Option<()> {
        let mut i = 0;
        while i < self.tokens.len() {
            i = self.read_token(i, today)? + 1;
        }
        self.date = self.ymd.resolve()?;
        if let Some(year) = self.date[0] {
            self.date[0] = Some(full_year(year, self.ymd.century, today));
        }
        Some(())
    }

    /// Reads what starts at a token and returns the last token used.
    fn read_token(&mut self, i: usize, today: Date) -> Option<usize> {
        let token = self.token(i)?.to_owned();
        if token.starts_with(|c: char| c.is_numeric()) {
            return self.read_number(i, &token);
        }
        if matches!(token.to_lowercase().as_str(), "nan" | "inf" | "infinity") {
            return None;
        }
        if let Some(day) = weekday(&token) {
            self.weekday = Some(day);
            return Some(i);
        }
        if let Some(number) = month(&token) {
            return self.read_month(i, number, today);
        }
        if let Some(afternoon) = half_day(&token) {
            let hour = self.hour.filter(|hour| (0..=12).contains(hour))?;
            self.hour = Some(to_24(hour, afternoon));
            self.afternoon = Some(afternoon);
            return Some(i);
        }
        if self.could_be_zone(&token) {
            self.read_zone(i, token);
            return Some(i);
        }
        if self.hour.is_some() && (token == "+" || token == "-") {
            return self.read_offset(i, token == "+");
        }
        is_jump(&token).then_some(i)
    }

    fn read_month(&mut self, i: usize, number: i64, today: Date) -> Option<usize> {
        self.ymd.push(number, Some(Part::Month))?;
        let mut i = i;
        if self.is(i + 1, "-") || self.is(i + 1, "/") {
            let separator = self.token(i + 1)?.to_owned();
            let next = self.token(i + 2)?.to_owned();
            self.ymd.push_text(&next, None)?;
            if self.is(i + 3, &separator) {
                let next = self.token(i + 4)?.to_owned();
                self.ymd.push_text(&next, None)?;
                i += 2;
            }
            i += 2;
        } else if self.is(i + 1, " ")
            && self.is(i + 3, " ")
            && self.token(i + 2).is_some_and(|t| t.eq_ignore_ascii_case("of"))
            && self.token(i + 4).is_some()
        {
            if let Some(year) = self.token(i + 4).and_then(whole) {
                let year = full_year(year, false, today);
                self.ymd.push_text(&year.to_string(), Some(Part::Year))?;
            }
            i += 4;
        }
        Some(i)
    }

    fn could_be_zone(&self, token: &str) -> bool {
        let looks = token.bytes().all(|b| b.is_ascii_uppercase()) || token == "z";
        self.hour.is_some() && self.zone.is_none() && self.offset.is_none() && token.len() <= 5 && looks
    }

    fn read_zone(&mut self, i: usize, token: String) {
        self.offset = (token == "z").then_some(0);
        let utc = is_utc(&token);
        self.zone = Some(token);
        // `GMT+3` means three hours ahead, unlike in POSIX.
        let flipped = match self.token(i + 1) {
            Some("+") => "-",
            Some("-") => "+",
            _ => return,
        };
        self.tokens[i + 1] = flipped.to_owned();
        self.offset = None;
        if utc {
            self.zone = None;
        }
    }

    fn read_offset(&mut self, i: usize, east: bool) -> Option<usize> {
        let mut i = i;
        let digits = self.token(i + 1)?.to_owned();
        let length = digits.chars().count();
        let (hours, minutes) = if length == 4 {
            (whole(digits.get(..2)?)?, whole(digits.get(2..)?)?)
        } else if self.is(i + 2, ":") {
            let minutes = whole(self.token(i + 3)?)?;
            i += 2;
            (whole(&digits)?, minutes)
        } else if length <= 2 {
            (whole(&digits)?, 0)
        } else {
            return None;
        };
        let seconds = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?;
        self.offset = Some(if east { seconds } else { -seconds });
        // `-0300 (BRST)`
        let name = self.token(i + 4).map(str::to_owned).unwrap_or_default();
        if self.token(i + 2).is_some_and(is_jump) && self.is(i + 3, "(") && self.is(i + 5, ")") && name.len() >= 3 {
            let offset = self.offset.take();
            if self.could_be_zone(&name) {
                self.zone = Some(name);
                i += 4;
            }
            self.offset = offset;
        }
        Some(i + 1)
    }

    fn read_number(&mut self, i: usize, token: &str) -> Option<usize> {
        let value = Decimal::parse(token)?;
        let length = token.len();
        let next_is_time = self.token(i + 1).is_some_and(|next| next == ":" || unit(next).is_some());
        if self.ymd.values.len() == 3 && matches!(length, 2 | 4) && self.hour.is_none() && !next_is_time {
            self.hour = Some(whole(&token[..2])?);
            if length == 4 {
                self.minute = Some(whole(&token[2..])?);
            }
        } else if length == 6 || (length > 6 && token.find('.') == Some(6)) {
            self.read_six(token)?;
        } else if matches!(length, 8 | 12 | 14) {
            self.ymd.push_text(&token[..4], Some(Part::Year))?;
            self.ymd.push_text(&token[4..6], None)?;
            self.ymd.push_text(&token[6..8], None)?;
            if length > 8 {
                self.hour = Some(whole(&token[8..10])?);
                self.minute = Some(whole(&token[10..12])?);
            }
            if length > 12 {
                self.second = Some(whole(&token[12..])?);
            }
        } else if let Some(at) = self.unit_near(i) {
            return self.read_with_unit(i, at, token, value);
        } else if self.is(i + 1, ":") && self.token(i + 2).is_some() {
            return self.read_clock(i, value);
        } else if matches!(self.token(i + 1), Some("-" | "/" | ".")) {
            return self.read_separated(i, token);
        } else if self.token(i + 1).is_none_or(is_jump) {
            if let Some(afternoon) = self.token(i + 2).and_then(half_day) {
                self.hour = Some(to_24(value.whole, afternoon));
                return Some(i + 2);
            }
            self.ymd.push_value(value, None)?;
            return Some(i + 1);
        } else if let Some(afternoon) = self.token(i + 1).and_then(half_day).filter(|_| value.whole < 24) {
            self.hour = Some(to_24(value.whole, afternoon));
            return Some(i + 1);
        } else if self.ymd.could_be_day(value)? {
            self.ymd.push_value(value, None)?;
        } else {
            return None;
        }
        Some(i)
    }

    /// `YYMMDD` or `HHMMSS[.ss]`
    fn read_six(&mut self, token: &str) -> Option<()> {
        if self.ymd.values.is_empty() && !token.contains('.') {
            for range in [0..2, 2..4, 4..6] {
                self.ymd.push_text(&token[range], None)?;
            }
            return Some(());
        }
        self.hour = Some(whole(&token[..2])?);
        self.minute = Some(whole(&token[2..4])?);
        self.set_seconds(&token[4..])
    }

    fn set_seconds(&mut self, text: &str) -> Option<()> {
        let (seconds, micros) = match text.split_once('.') {
            None => (whole(text)?, 0),
            Some((seconds, decimals)) => {
                let padded: String =
                    decimals.chars().chain(std::iter::repeat('0')).take(6.max(decimals.len())).collect();
                (whole(seconds)?, whole(padded.get(..6)?)?)
            }
        };
        self.second = Some(seconds);
        self.micro = Some(micros);
        Some(())
    }

    /// The token that says what unit a number has.
    fn unit_near(&self, i: usize) -> Option<usize> {
        let is_unit = |at: usize| self.token(at).and_then(unit).is_some();
        if is_unit(i + 1) {
            Some(i + 1)
        } else if self.is(i + 1, " ") && is_unit(i + 2) {
            Some(i + 2)
        } else if i > 0 && is_unit(i - 1) {
            Some(i - 1)
        } else if i > 1 && i + 1 == self.tokens.len() && self.is(i - 1, " ") && is_unit(i - 2) {
            Some(i - 2)
        } else {
            None
        }
    }

    fn read_with_unit(&mut self, i: usize, at: usize, token: &str, value: Decimal) -> Option<usize> {
        let named = self.token(at).and_then(unit)?;
        let (kind, last) = if at > i { (named, at) } else { (named + 1, i) };
        match kind {
            0 => {
                self.hour = Some(value.whole);
                if let Some(minutes) = value.sixtieths() {
                    self.minute = Some(minutes);
                }
            }
            1 => self.set_minutes(value),
            2 => self.set_seconds(token)?,
            _ => {}
        }
        Some(last)
    }

    fn set_minutes(&mut self, value: Decimal) {
        self.minute = Some(value.whole);
        self.second = value.sixtieths();
    }

    /// `HH:MM[:SS[.ss]]`
    fn read_clock(&mut self, i: usize, value: Decimal) -> Option<usize> {
        self.hour = Some(value.whole);
        let minutes = Decimal::parse(self.token(i + 2)?)?;
        self.set_minutes(minutes);
        if self.is(i + 3, ":") && self.token(i + 4).is_some() {
            let seconds = self.token(i + 4)?.to_owned();
            self.set_seconds(&seconds)?;
            return Some(i + 4);
        }
        Some(i + 2)
    }

    /// `01-01[-01]`, `01-Jan[-01]`
    fn read_separated(&mut self, i: usize, token: &str) -> Option<usize> {
        let mut i = i;
        let separator = self.token(i + 1)?.to_owned();
        self.ymd.push_text(token, None)?;
        let second = self.token(i + 2).map(str::to_owned).filter(|t| !is_jump(t));
        if let Some(second) = second {
            match month(&second) {
                _ if whole(&second).is_some() => self.ymd.push_text(&second, None)?,
                Some(number) => self.ymd.push(number, Some(Part::Month))?,
                None => return None,
            }
            if self.is(i + 3, &separator) {
                let third = self.token(i + 4)?.to_owned();
                match month(&third) {
                    Some(number) => self.ymd.push(number, Some(Part::Month))?,
                    None => self.ymd.push_text(&third, None)?,
                }
                i += 2;
            }
            i += 1;
        }
        Some(i + 1)
    }

    fn build(&self, today: Date) -> Option<Parsed> {
        let times = [self.hour, self.minute, self.second, self.micro, self.weekday, self.offset];
        let said = self.date.iter().chain(&times).flatten().count();
        if said == 0 && self.zone.is_none() && self.afternoon.is_none() {
            return None;
        }
        let year = self.date[0].unwrap_or(i64::from(today.year()));
        let month = self.date[1].unwrap_or(i64::from(today.month()));
        let last = days_in_month(year, month)?;
        let day = self.date[2].unwrap_or(i64::from(today.day()).min(last));
        let small = |n: i64| i8::try_from(n).ok();
        let mut date = Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
        let time = jiff::civil::Time::new(
            small(self.hour.unwrap_or(0))?,
            small(self.minute.unwrap_or(0))?,
            small(self.second.unwrap_or(0))?,
            i32::try_from(self.micro.unwrap_or(0)).ok()?.checked_mul(1000)?,
        )
        .ok()?;
        if let (Some(weekday), None | Some(0)) = (self.weekday, self.date[2]) {
            let ahead = (weekday - i64::from(date.weekday().to_monday_zero_offset())).rem_euclid(7);
            date = date.checked_add(jiff::Span::new().days(ahead)).ok()?;
        }
        let utc = self.zone.as_deref().is_some_and(is_utc);
        Some(Parsed { local: date.to_datetime(time), aware: self.offset.is_some() || utc })
    }
}

fn to_24(hour: i64, afternoon: bool) -> i64 {
    match (hour, afternoon) {
        (0..12, true) => hour + 12,
        (12, false) => 0,
        _ => hour,
    }
}

/// Two digits mean the year within fifty of this one.
fn full_year(year: i64, century: bool, today: Date) -> i64 {
    if year >= 100 || century {
        return year;
    }
    let this = i64::from(today.year());
    let year = year + this / 100 * 100;
    if year >= this + 50 {
        year - 100
    } else if year < this - 50 {
        year + 100
    } else {
        year
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates_of_rules_and_others() {
        let today = jiff::civil::date(2026, 11, 21);
        for (text, local, aware) in [
            ("20240131T090000Z", "2024-01-31T09:00:00", true),
            ("20240131", "2024-01-31T00:00:00", false),
            ("20240131T0900", "2024-01-31T09:00:00", false),
            ("2024-01-31T09:00:00+02:00", "2024-01-31T09:00:00", true),
            ("JAN 5 2024", "2024-01-05T00:00:00", false),
            ("5PM", "2026-11-21T17:00:00", false),
            ("01/02/03", "2003-01-02T00:00:00", false),
        ] {
            let parsed = parse(text, today).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((parsed.local.to_string().as_str(), parsed.aware), (local, aware), "{text}");
        }
        for text in ["", "X", "20241301", "20240131T250000", "99999999999999999999", "NAN", "1.2.3.4"] {
            assert_eq!(parse(text, today), None, "{text}");
        }
    }
}
