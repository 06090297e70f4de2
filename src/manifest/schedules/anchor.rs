//! Anchor dates: the texts that Prefect reads as a point in time, and the form in which it sends them.
//!
//! Source of the rules: `parse_datetime` of Prefect 3.8.8 on Python up to 3.12, which is pendulum 3's `parse`: an
//! ISO 8601 parser, then a few common forms. Without an offset a text is in UTC.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use regex::Regex;

/// A point in time with the offset in which it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    local: DateTime,
    /// Seconds east of UTC, less than a day.
    offset: i32,
    /// Whether the text means another time tomorrow (`now`, `10:00`).
    moving: bool,
}

impl Anchor {
    /// A time in UTC or with an offset in seconds, as YAML gives it.
    pub fn new(local: DateTime, offset: i32) -> Self {
        Anchor { local, offset, moving: false }
    }

    /// The current time, which is the anchor of an interval that declares none.
    pub fn now(now: Timestamp) -> Self {
        let local = TimeZone::UTC.to_datetime(now);
        let micros = local.subsec_nanosecond() / 1000 * 1000;
        let local = local.with().subsec_nanosecond(micros).build().unwrap_or(local);
        Anchor { local, offset: 0, moving: true }
    }

    /// Reads a text; `now` is for the texts that depend on it.
    pub fn parse(text: &str, now: Timestamp) -> Option<Self> {
        if text == "now" {
            return Some(Anchor::now(now));
        }
        let read = Iso::read(text).and_then(|iso| iso.resolve()).or_else(|| common(text))?;
        let (local, moving) = match read.date {
            Some(date) => (date.to_datetime(read.time), false),
            None => (TimeZone::UTC.to_datetime(now).date().to_datetime(read.time), true),
        };
        // pendulum drops the offset of a time without a date.
        let offset = if moving { 0 } else { read.offset };
        let fits = offset.abs() < 86_400 && (1..=9999).contains(&local.year());
        fits.then_some(Anchor { local, offset, moving })
    }

    /// Whether the text means another time tomorrow; such an anchor is no more comparable than an absent one.
    pub fn is_moving(&self) -> bool {
        self.moving
    }

    /// Microseconds since 1970 in UTC.
    pub fn instant(&self) -> i64 {
        let since = self.local.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
        let micros = since.as_micros() - i128::from(self.offset) * 1_000_000;
        i64::try_from(micros).expect("years 1 to 9999 fit 64 bits of microseconds")
    }

    /// The RFC 3339 text that Prefect sends: `2024-01-01T10:00:00-05:00`, with six decimals if there are any.
    pub fn text(&self) -> String {
        let (date, time) = (self.local.date(), self.local.time());
        let mut out = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        );
        let micros = time.subsec_nanosecond() / 1000;
        if micros != 0 {
            out.push_str(&format!(".{micros:06}"));
        }
        if self.offset == 0 {
            out.push('Z');
        } else {
            let minutes = self.offset.abs() / 60;
            let sign = if self.offset < 0 { '-' } else { '+' };
            out.push_str(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
        }
        out
    }
}

/// What a text says.
struct Read {
    date: Option<Date>,
    time: Time,
    offset: i32,
}

/// The numbers of an ISO 8601 text, not yet checked against the calendar.
#[derive(Default)]
struct Iso {
    date: Option<Date>,
    extended: bool,
    hour: u32,
    minute: u32,
    second: u32,
    micro: u32,
    offset: i32,
}

impl Iso {
    fn read(text: &str) -> Option<Iso> {
        let mut iso = Iso::default();
        let mut cursor = Cursor { rest: text.as_bytes() };
        if cursor.peek() == b'T' {
            iso.read_time(&mut cursor, false)?;
        } else {
            let first = cursor.digits(2)?;
            if cursor.peek() == b':' {
                iso.hour = first;
                iso.extended = true;
                iso.read_time(&mut cursor, true)?;
            } else {
                iso.read_date(first * 100 + cursor.digits(2)?, &mut cursor)?;
                if !cursor.at_end() {
                    iso.read_time(&mut cursor, false)?;
                }
            }
        }
        cursor.at_end().then_some(iso)
    }

    fn read_date(&mut self, year: u32, cursor: &mut Cursor<'_>) -> Option<()> {
        self.extended = cursor.eat(b'-');
        self.date = Some(if cursor.eat(b'W') {
            let week = cursor.digits(2)?;
            let mut day = 1;
            if !cursor.at_break() {
                if self.extended && !cursor.eat(b'-') {
                    return None;
                }
                day = cursor.digits(1)?;
            }
            week_date(year, week, day)?
        } else {
            let month = cursor.digits(2)?;
            if self.extended && cursor.at_break() {
                calendar_date(year, month, 1)?
            } else if self.extended && cursor.eat(b'-') {
                calendar_date(year, month, cursor.digits(2)?)?
            } else {
                let digit = cursor.digits(1)?;
                if self.extended || cursor.at_break() {
                    ordinal_date(year, month * 10 + digit)?
                } else {
                    calendar_date(year, month, digit * 10 + cursor.digits(1)?)?
                }
            }
        });
        Some(())
    }

    fn read_time(&mut self, cursor: &mut Cursor<'_>, hour_known: bool) -> Option<()> {
        if !hour_known {
            if !cursor.eat(b'T') && !cursor.eat(b' ') {
                return None;
            }
            self.hour = cursor.digits(2)?;
        }
        if !cursor.at_offset() {
            let colons = cursor.eat(b':');
            self.minute = cursor.digits(2)?;
            let seconds = !cursor.at_offset();
            if seconds {
                if colons && !cursor.eat(b':') {
                    return None;
                }
                self.second = cursor.digits(2)?;
                self.micro = cursor.decimals()?;
            }
            // Basic dates go with basic times and extended with extended; only minutes escape that.
            if (colons && seconds && !self.extended) || (!colons && self.extended) {
                return None;
            }
        }
        self.read_offset(cursor)
    }

    fn read_offset(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let sign = match cursor.peek() {
            b'Z' => {
                cursor.eat(b'Z');
                return Some(());
            }
            b'+' => 1,
            b'-' => -1,
            _ => return Some(()),
        };
        cursor.eat(cursor.peek());
        let hours = cursor.digits(2)?;
        cursor.eat(b':');
        let minutes = if cursor.at_end() { 0 } else { cursor.digits(2)? };
        self.offset = sign * i32::try_from((hours * 60 + minutes) * 60).ok()?;
        Some(())
    }

    fn resolve(self) -> Option<Read> {
        Some(Read {
            date: self.date,
            time: time(self.hour, self.minute, self.second, self.micro)?,
            offset: self.offset,
        })
    }
}

/// Reads ASCII from left to right; at the end every byte is 0.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// End of the date part.
    fn at_break(&self) -> bool {
        self.at_end() || matches!(self.peek(), b' ' | b'T')
    }

    /// End of the time part, where an offset may follow.
    fn at_offset(&self) -> bool {
        self.at_end() || matches!(self.peek(), b'Z' | b'+' | b'-')
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = !self.at_end() && self.peek() == byte;
        if there {
            self.rest = &self.rest[1..];
        }
        there
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.rest.get(..count)?;
        self.rest = &self.rest[count..];
        digits.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')))
    }

    /// An optional `.` or `,` with at least one digit; digits after the sixth are dropped.
    fn decimals(&mut self) -> Option<u32> {
        if !self.eat(b'.') && !self.eat(b',') {
            return Some(0);
        }
        let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        (count > 0).then(|| padded(digits))
    }
}

/// The first six decimals as microseconds.
fn padded(digits: &[u8]) -> u32 {
    digits.iter().chain(std::iter::repeat(&b'0')).take(6).fold(0, |sum, b| sum * 10 + u32::from(b - b'0'))
}

fn calendar_date(year: u32, month: u32, day: u32) -> Option<Date> {
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn ordinal_date(year: u32, ordinal: u32) -> Option<Date> {
    let first = calendar_date(year, 1, 1)?;
    let fits = (1..=i64::from(first.days_in_year())).contains(&i64::from(ordinal));
    if fits { first.checked_add(jiff::Span::new().days(i64::from(ordinal) - 1)).ok() } else { None }
}

/// Day of an ISO week; week 0 and day 0 count backwards, as pendulum lets them.
fn week_date(year: u32, week: u32, day: u32) -> Option<Date> {
    let fourth = calendar_date(year, 1, 4)?;
    let has_week_53 = calendar_date(year, 12, 28)?.iso_week_date().week() == 53;
    if week > 53 || (week == 53 && !has_week_53) || day > 7 {
        return None;
    }
    let weekday = i64::from(fourth.weekday().to_monday_one_offset());
    let ordinal = i64::from(week) * 7 + i64::from(day) - (weekday + 3);
    calendar_date(year, 1, 1)?.checked_add(jiff::Span::new().days(ordinal - 1)).ok()
}

fn time(hour: u32, minute: u32, second: u32, micro: u32) -> Option<Time> {
    let small = |n: u32| i8::try_from(n).ok();
    Time::new(small(hour)?, small(minute)?, small(second)?, i32::try_from(micro).ok()? * 1000).ok()
}

/// `2024/01/01 10:00`, `2024`, `9:5` and the like.
fn common(text: &str) -> Option<Read> {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"^(?P<date>(?P<year>[0-9]{4})(?:[/:]?(?P<month>[0-9]{2})[/:]?(?P<day>[0-9]{2}))?)?",
            r"(?P<time>[ ]?(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2})?(?::(?P<second>[0-9]{1,2}))?",
            r"(?:[.|,](?P<decimals>[0-9]{1,9}))?)?$"
        ))
        .expect("a constant expression")
    });
    let found = FORM.captures(text)?;
    let number = |name: &str| found.name(name).and_then(|m| m.as_str().parse::<u32>().ok());
    let date = match number("year") {
        Some(year) => Some(calendar_date(year, number("month").unwrap_or(1), number("day").unwrap_or(1))?),
        None => None,
    };
    let time = match found.name("time") {
        Some(_) => {
            let micro = found.name("decimals").map_or(0, |m| padded(m.as_str().as_bytes()));
            time(number("hour")?, number("minute")?, number("second").unwrap_or(0), micro)?
        }
        None if date.is_some() => Time::midnight(),
        None => return None,
    };
    Some(Read { date, time, offset: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> Option<String> {
        let now = "2026-11-21T08:23:29.842445678Z".parse().expect("a time");
        Anchor::parse(text, now).map(|anchor| anchor.text())
    }

    #[test]
    fn reads_what_pendulum_reads() {
        for (text, expected) in [
            ("2024", "2024-01-01T00:00:00Z"),
            ("2024-01", "2024-01-01T00:00:00Z"),
            ("2024-366", "2024-12-31T00:00:00Z"),
            ("2024W053", "2024-01-31T00:00:00Z"),
            ("2024-W01-0", "2023-12-31T00:00:00Z"),
            ("20240101T0100", "2024-01-01T01:00:00Z"),
            ("2024-01-01 10:00", "2024-01-01T10:00:00Z"),
            ("2024-01-01T10:00-05:00", "2024-01-01T10:00:00-05:00"),
            ("2024-01-01T10:00:00.1234567", "2024-01-01T10:00:00.123456Z"),
            ("2024/01/01 10:00", "2024-01-01T10:00:00Z"),
            ("T10:00+02", "2026-11-21T10:00:00Z"),
            ("now", "2026-11-21T08:23:29.842445Z"),
        ] {
            assert_eq!(sent(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["Jan 1 2024", "1700000000", "tomorrow", "2024-13-01", "2024-01-01T1000", "24:00", "P1D", "10:", ""]
        {
            assert_eq!(sent(text), None, "{text}");
        }
    }

    #[test]
    fn instants_ignore_how_the_offset_is_written() {
        let now = Timestamp::UNIX_EPOCH;
        let instant = |text| Anchor::parse(text, now).map(|anchor| anchor.instant());
        assert_eq!(instant("2024-01-01T10:00:00-05:00"), instant("2024-01-01T15:00:00Z"));
        assert!(Anchor::parse("10:00", now).is_some_and(|anchor| anchor.is_moving()));
    }
}
