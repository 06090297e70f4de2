//! Lengths of time as pydantic reads them: seconds, ISO 8601 and `[D days,] HH:MM[:SS[.ffffff]]`.
//!
//! Source of the rules: pydantic-core's `timedelta` validator in lax mode and the speedate crate below it.

use serde_json::Number;

/// Microseconds of a day.
const DAY: i128 = 86_400_000_000;
/// Python's `timedelta` ends here.
const MAX_DAYS: i128 = 999_999_999;

/// A length of time in microseconds; may be zero or negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(i128);

impl Duration {
    /// No time at all.
    pub const ZERO: Duration = Duration(0);

    /// Whole seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Duration(seconds as i128 * 1_000_000)
    }

    /// Microseconds.
    pub fn micros(self) -> i128 {
        self.0
    }

    /// Seconds as Prefect sends them.
    pub fn as_secs_f64(self) -> f64 {
        // A float holds every integer up to 2⁵³, 285 years here: then one correctly rounded division will do.
        if self.0.unsigned_abs() <= 1 << 53 {
            return self.0 as f64 / 1e6;
        }
        (self.0 / 1_000_000) as f64 + (self.0 % 1_000_000) as f64 / 1e6
    }

    /// Seconds as a JSON number with a fraction, such as `600.0`.
    pub fn number(self) -> Number {
        Number::from_f64(self.as_secs_f64()).expect("a bounded integer divided by a million is finite")
    }

    /// A JSON number of seconds.
    pub fn from_number(number: &Number) -> Result<Self, String> {
        if let Some(seconds) = number.as_i64() {
            return checked(seconds as i128 * 1_000_000);
        }
        let seconds = number.as_f64().ok_or_else(too_long)?;
        if !seconds.is_finite() || seconds.abs() > 1e15 {
            return Err(too_long());
        }
        let (whole, part) = (seconds.abs().trunc(), seconds.abs().fract());
        let micros = whole as i128 * 1_000_000 + (part * 1e6).round() as i128;
        checked(if seconds < 0.0 { -micros } else { micros })
    }

    /// The text that Prefect's file model dumps, which reads back as the same length: `PT10M`.
    pub fn iso(self) -> String {
        let mut out = String::from(if self.0 < 0 { "-P" } else { "P" });
        let micros = self.0.abs();
        let (days, rest) = (micros / DAY, micros % DAY);
        let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
        push_unit(&mut out, days / 365, 'Y');
        push_unit(&mut out, days % 365, 'D');
        if rest != 0 || days == 0 {
            out.push('T');
            push_unit(&mut out, seconds / 3600, 'H');
            push_unit(&mut out, seconds / 60 % 60, 'M');
            if fraction != 0 {
                let digits = format!("{fraction:06}");
                out.push_str(&format!("{}.{}S", seconds % 60, digits.trim_end_matches('0')));
            } else if seconds % 60 != 0 || rest == 0 {
                out.push_str(&format!("{}S", seconds % 60));
            }
        }
        out
    }

    /// Reads a text. The error is one sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (negative, rest) = match text.strip_prefix(['+', '-']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        let bytes = rest.as_bytes();
        let read = match rest.strip_prefix('P') {
            Some(iso) => parse_iso(iso),
            None if bytes.len() < 5 || bytes.iter().any(|b| matches!(b, b'd' | b'D')) => parse_days(bytes),
            None => parse_time(bytes),
        };
        let micros = read.ok_or_else(|| unreadable(text))?;
        checked(if negative { -micros } else { micros })
    }
}

fn push_unit(out: &mut String, value: i128, unit: char) {
    if value != 0 {
        out.push_str(&format!("{value}{unit}"));
    }
}

fn checked(micros: i128) -> Result<Duration, String> {
    // Python's most negative timedelta has one day less than a full negative range.
    let fits = micros.div_euclid(DAY).abs() <= MAX_DAYS;
    if fits { Ok(Duration(micros)) } else { Err(too_long()) }
}

fn too_long() -> String {
    "a length of time may not exceed 999,999,999 days".to_owned()
}

fn unreadable(text: &str) -> String {
    format!("`{text}` is not a length of time")
}

/// What to write instead, for texts that are not a length of time.
pub fn help(text: &str) -> String {
    let seconds = text.trim();
    if !seconds.is_empty() && seconds.parse::<f64>().is_ok_and(f64::is_finite) {
        return format!("write the number of seconds without quotes: `{seconds}`");
    }
    "write seconds as a number, or a text such as `PT1H30M`, `01:30:00`, `1 day` or `2 days, 01:00:00`".to_owned()
}

/// What follows the `P` of an ISO 8601 duration: numbers with units, in any order.
fn parse_iso(text: &str) -> Option<i128> {
    let mut rest = text;
    let (mut after_t, mut fraction_seen, mut seen) = (false, false, 0);
    let (mut days, mut seconds, mut micros) = (0u32, 0u32, 0u32);
    while let Some(first) = rest.chars().next() {
        seen += 1;
        if first == 'T' {
            if after_t {
                return None;
            }
            after_t = true;
            rest = &rest[1..];
            continue;
        }
        let (value, fraction, after) = number_with_fraction(rest)?;
        if fraction_seen {
            return None;
        }
        fraction_seen = fraction.is_some();
        let unit = after.chars().next()?;
        if after_t {
            let factor = time_unit(unit)?;
            seconds = seconds.checked_add(value.checked_mul(factor)?)?;
            if let Some(fraction) = fraction {
                let extra = fraction * f64::from(factor);
                seconds = seconds.checked_add(extra.trunc() as u32)?;
                micros += (extra.fract() * 1e6).round() as u32;
            }
        } else {
            let factor = date_unit(unit)?;
            days = days.checked_add(value.checked_mul(factor)?)?;
            if let Some(fraction) = fraction {
                let extra_days = fraction * f64::from(factor);
                days = days.checked_add(extra_days.trunc() as u32)?;
                let extra = extra_days.fract() * 86_400.0;
                seconds = seconds.checked_add(extra.trunc() as u32)?;
                micros += (extra.fract() * 1e6).round() as u32;
            }
        }
        rest = &after[1..];
    }
    let too_short = text.len() < 2 || seen == 0;
    (!too_short).then(|| i128::from(days) * DAY + i128::from(seconds) * 1_000_000 + i128::from(micros))
}

fn time_unit(unit: char) -> Option<u32> {
    match unit {
        'H' => Some(3600),
        'M' => Some(60),
        'S' => Some(1),
        _ => None,
    }
}

fn date_unit(unit: char) -> Option<u32> {
    match unit {
        'Y' => Some(365),
        'M' => Some(30),
        'W' => Some(7),
        'D' => Some(1),
        _ => None,
    }
}

/// Digits, optionally with `.` or `,` and more digits, and what follows.
fn number_with_fraction(text: &str) -> Option<(u32, Option<f64>, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let value = text[..end].parse().ok()?;
    let rest = &text[end..];
    let Some(rest) = rest.strip_prefix(['.', ',']) else { return Some((value, None, rest)) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (mut decimal, mut denominator) = (0.0, 1.0);
    for digit in rest[..end].bytes() {
        decimal = decimal * 10.0 + f64::from(digit - b'0');
        denominator *= 10.0;
    }
    // A very long fraction overflows both to infinity.
    let fraction = decimal / denominator;
    fraction.is_finite().then_some((value, Some(fraction), &rest[end..]))
}

/// `1d`, `1 day`, `2 days, 01:00`.
fn parse_days(bytes: &[u8]) -> Option<i128> {
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let days: u32 = std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()?;
    let rest = &bytes[digits..];
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let rest = rest.strip_prefix(b"d").or_else(|| rest.strip_prefix(b"D"))?;
    let rest = match rest {
        [b'a' | b'A', b'y' | b'Y', b's' | b'S', rest @ ..] | [b'a' | b'A', b'y' | b'Y', rest @ ..] => rest,
        [b'a' | b'A', ..] => return None,
        rest => rest,
    };
    let rest = rest.strip_prefix(b",").unwrap_or(rest);
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let time = if rest.is_empty() { 0 } else { parse_time(rest)? };
    (time < DAY).then(|| i128::from(days) * DAY + time)
}

/// `HH:MM[:SS[.ffffff]]`; hours may have up to ten digits, and everything after six decimals is cut off.
fn parse_time(bytes: &[u8]) -> Option<i128> {
    if bytes.len() < 5 {
        return None;
    }
    let colon = bytes.iter().position(|b| *b == b':')?;
    let (hours, rest) = (&bytes[..colon], &bytes[colon + 1..]);
    if hours.len() > 10 || !hours.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let hours = hours.iter().fold(0i128, |sum, b| sum * 10 + i128::from(b - b'0'));
    let rest = &rest[..rest.len().min("MM:SS.ffffff".len())];
    let minutes = two_digits(rest, 59)?;
    let (seconds, micros) = match &rest[2..] {
        [] => (0, 0),
        [b':', seconds @ ..] => (two_digits(seconds, 59)?, decimals(&seconds[2..])?),
        _ => return None,
    };
    (hours <= 2_400_000_000).then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
}

fn two_digits(bytes: &[u8], max: i128) -> Option<i128> {
    match bytes {
        [a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit() => {
            let value = i128::from(a - b'0') * 10 + i128::from(b - b'0');
            (value <= max).then_some(value)
        }
        _ => None,
    }
}

fn decimals(bytes: &[u8]) -> Option<i128> {
    match bytes {
        [] => Some(0),
        [b'.' | b',', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            let padded = digits.iter().chain(std::iter::repeat(&b'0')).take(6);
            Some(padded.fold(0, |sum, b| sum * 10 + i128::from(b - b'0')))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_prefects_forms() {
        for (text, seconds) in [
            ("PT1H30M", 5400.0),
            ("P1DT2H", 93600.0),
            ("P1W", 604_800.0),
            ("P1M", 2_592_000.0),
            ("1:30:00", 5400.0),
            ("00:05", 300.0),
            ("2 days, 01:00:00", 176_400.0),
            ("1d", 86400.0),
            ("1 day", 86400.0),
            ("P1,5D", 129_600.0),
            ("01:30:00.1234567", 5400.123456),
            ("-PT1S", -1.0),
            ("100:00", 360_000.0),
        ] {
            assert_eq!(Duration::parse(text).map(Duration::as_secs_f64), Ok(seconds), "{text}");
        }
        for text in ["90", "90.5", "1:30", "", "P", "PT", "1 d 25:00", "pt1h", "P1D2", "é:30:00", "1é", "P1é"] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn iso_reads_back() {
        for text in ["PT10M", "P1DT1H1M1.000001S", "PT0S", "-PT0.5S", "P2739726Y9DT23H59M59S", "P1Y35D"] {
            assert_eq!(Duration::parse(text).expect(text).iso(), text);
        }
    }

    #[test]
    fn help_unquotes_numbers() {
        assert!(help("90").contains("without quotes"));
        assert!(help("1:30").contains("PT1H30M"));
    }
}
