//! The text of a scalar and its type → its value, as the constructors of PyYAML 6.0.3 (`yaml/constructor.py`) read it.

use std::sync::LazyLock;

use jiff::civil::{Date, DateTime};
use regex::Regex;
use serde_json::Number;

use crate::manifest::node::Value;

/// Why a text is not what its type says; each reads well after "`text` ".
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unfit {
    /// It is not written as the type demands.
    Form(&'static str),
    /// A date or time of day that does not exist.
    NoSuchTime,
    /// A whole number below -2^63 or above 2^64 - 1: right for Python, too large for us.
    TooLarge,
}

type Fit<T = Value> = Result<T, Unfit>;

const NO_INT: Unfit = Unfit::Form("is not a whole number");
const NO_FLOAT: Unfit = Unfit::Form("is not a number");

/// `!!bool`
pub(super) fn boolean(text: &str) -> Fit {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" => Ok(Value::Bool(true)),
        "no" | "false" | "off" => Ok(Value::Bool(false)),
        _ => Err(Unfit::Form("is not true or false")),
    }
}

/// `!!int`: decimal, `0x`, `0b`, octal with a leading `0`, and base 60 with colons. `_` is skipped anywhere.
pub(super) fn int(text: &str) -> Fit {
    let text = text.replace('_', "");
    let (negative, digits) = sign(&text).ok_or(NO_INT)?;
    let magnitude = if digits == "0" {
        0
    } else if let Some(binary) = digits.strip_prefix("0b") {
        python_int(binary, 2)?
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        python_int(hexadecimal, 16)?
    } else if digits.starts_with('0') {
        python_int(digits, 8)?
    } else if digits.contains(':') {
        let mut sum: i128 = 0;
        for part in digits.split(':') {
            let part = python_int(part, 10)?;
            sum = sum.checked_mul(60).and_then(|sum| sum.checked_add(part)).ok_or(Unfit::TooLarge)?;
        }
        sum
    } else {
        python_int(digits, 10)?
    };
    let value = if negative { -magnitude } else { magnitude };
    let number = i64::try_from(value).map(Number::from).or_else(|_| u64::try_from(value).map(Number::from));
    number.map(Value::Int).map_err(|_| Unfit::TooLarge)
}

/// A leading `-` or `+` and the rest; nothing of an empty text.
fn sign(text: &str) -> Option<(bool, &str)> {
    match text.chars().next()? {
        '-' => Some((true, &text[1..])),
        '+' => Some((false, &text[1..])),
        _ => Some((false, text)),
    }
}

/// Python's `int(text, base)` for text without `_`: white space around, a sign and the base's own prefix are accepted.
fn python_int(text: &str, base: u32) -> Fit<i128> {
    let (negative, digits) = sign(text.trim()).ok_or(NO_INT)?;
    let prefixes = match base {
        2 => ["0b", "0B"],
        8 => ["0o", "0O"],
        16 => ["0x", "0X"],
        _ => ["", ""],
    };
    let digits = prefixes.iter().find_map(|prefix| digits.strip_prefix(prefix)).unwrap_or(digits);
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return Err(NO_INT);
    }
    let magnitude = i128::from_str_radix(digits, base).map_err(|_| Unfit::TooLarge)?;
    Ok(if negative { -magnitude } else { magnitude })
}

/// `!!float`: also base 60 with colons. `_` is skipped anywhere.
pub(super) fn float(text: &str) -> Fit {
    let text = text.replace('_', "").to_lowercase();
    let (negative, digits) = sign(&text).ok_or(NO_FLOAT)?;
    let magnitude = match digits {
        ".inf" => f64::INFINITY,
        ".nan" => return Ok(Value::Float(f64::NAN)),
        _ if digits.contains(':') => {
            // From the right, as PyYAML sums: another order would round otherwise.
            let mut sum = 0.0;
            let mut base = 1.0;
            for part in digits.split(':').rev() {
                sum += python_float(part)? * base;
                base *= 60.0;
            }
            sum
        }
        _ => python_float(digits)?,
    };
    Ok(Value::Float(if negative { -magnitude } else { magnitude }))
}

/// Python's `float(text)` for text without `_`.
fn python_float(text: &str) -> Fit<f64> {
    text.trim().parse().map_err(|_| NO_FLOAT)
}

static TIMESTAMP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})
          (?: (?:[Tt]|[\ \t]+) ([0-9]{1,2}):([0-9]{2}):([0-9]{2}) (?:\.([0-9]*))?
              (?:[\ \t]*(?:(Z)|([-+])([0-9]{1,2})(?::([0-9]{2}))?))? )?$",
    )
    .expect("a pattern of this file")
});

/// `!!timestamp`: a date, a naive time, or a time with an offset.
pub(super) fn timestamp(text: &str) -> Fit {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let parts = TIMESTAMP.captures(text).ok_or(Unfit::Form("is not a date or a time"))?;
    let number = |i: usize| parts.get(i).map_or(0, |part| part.as_str().parse::<i32>().unwrap_or(i32::MAX));
    let small = |i: usize| i8::try_from(number(i)).unwrap_or(i8::MAX);
    let year = i16::try_from(number(1)).unwrap_or(0);
    if year == 0 {
        return Err(Unfit::NoSuchTime);
    }
    let date = Date::new(year, small(2), small(3)).map_err(|_| Unfit::NoSuchTime)?;
    if parts.get(4).is_none() {
        return Ok(Value::Date(date));
    }
    let fraction = format!("{:0<6.6}", parts.get(7).map_or("", |part| part.as_str()));
    let nanosecond = fraction.parse::<i32>().unwrap_or(0) * 1000;
    let (hour, minute, second) = (small(4), small(5), small(6));
    let time = DateTime::new(year, date.month(), date.day(), hour, minute, second, nanosecond)
        .map_err(|_| Unfit::NoSuchTime)?;
    let offset = match (parts.get(8), parts.get(9)) {
        (Some(_), _) => 0,
        (None, Some(sign)) => {
            let seconds = number(10) * 3600 + number(11) * 60;
            if sign.as_str() == "-" { -seconds } else { seconds }
        }
        (None, None) => return Ok(Value::Naive(time)),
    };
    // Python knows offsets of less than a day.
    if offset.abs() >= 86_400 { Err(Unfit::NoSuchTime) } else { Ok(Value::Aware(time, offset)) }
}

/// `!!binary`: base 64 as Python's `binascii.a2b_base64` reads it, which skips what is not of its alphabet.
pub(super) fn binary(text: &str) -> Fit {
    const BAD: Unfit = Unfit::Form("is not base64 data");
    if !text.is_ascii() {
        return Err(BAD);
    }
    let mut bytes = Vec::new();
    let (mut left, mut position, mut pads) = (0u8, 0u8, 0u8);
    for c in text.bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if position >= 2 => {
                pads += 1;
                if position + pads >= 4 {
                    return Ok(Value::Bytes(bytes));
                }
                continue;
            }
            _ => continue,
        };
        pads = 0;
        match position {
            0 => {}
            1 => bytes.push(left << 2 | six >> 4),
            2 => bytes.push(left << 4 | six >> 2),
            _ => bytes.push(left << 6 | six),
        }
        left = six;
        position = (position + 1) % 4;
    }
    if position == 0 { Ok(Value::Bytes(bytes)) } else { Err(BAD) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn i(n: i64) -> Fit {
        Ok(Value::Int(n.into()))
    }

    #[test]
    fn whole_numbers_of_every_base() {
        assert_eq!(int("017"), i(15));
        assert_eq!(int("0x_1F"), i(31));
        assert_eq!(int("-0b101"), i(-5));
        assert_eq!(int("190:20:30"), i(685_230));
        assert_eq!(int("-1:30"), i(-90));
        assert_eq!(int("1__0_"), i(10));
        assert_eq!(int(" 12\n"), i(12));
        assert_eq!(int("0o17"), i(15));
        assert_eq!(int("0x"), Err(NO_INT));
        assert_eq!(int(""), Err(NO_INT));
        assert_eq!(int("18446744073709551615"), Ok(Value::Int(u64::MAX.into())));
        assert_eq!(int("18446744073709551616"), Err(Unfit::TooLarge));
        assert_eq!(int(&"9".repeat(100)), Err(Unfit::TooLarge));
    }

    #[test]
    fn numbers_with_a_point() {
        assert_eq!(float("685_230.15"), Ok(Value::Float(685_230.15)));
        assert_eq!(float("1.e+3"), Ok(Value::Float(1000.0)));
        assert_eq!(float("12:30:45.5"), Ok(Value::Float(45045.5)));
        assert_eq!(float("-.INF"), Ok(Value::Float(f64::NEG_INFINITY)));
        assert_eq!(float("."), Err(NO_FLOAT));
    }

    #[test]
    fn dates_and_times() {
        let date = jiff::civil::date(2024, 1, 1);
        assert_eq!(timestamp("2024-01-01"), Ok(Value::Date(date)));
        assert_eq!(timestamp("2024-1-1 1:02:03.5"), Ok(Value::Naive(date.at(1, 2, 3, 500_000_000))));
        assert_eq!(timestamp("2024-01-01T00:00:00Z"), Ok(Value::Aware(date.at(0, 0, 0, 0), 0)));
        assert_eq!(
            timestamp("2024-01-01t00:00:00.1234567 -5:30"),
            Ok(Value::Aware(date.at(0, 0, 0, 123_456_000), -19_800))
        );
        for wrong in ["2024-13-01", "0000-01-01", "2024-01-01 24:00:00", "2024-01-01 00:00:60", "2024-01-01 0:00:00+24"]
        {
            assert_eq!(timestamp(wrong), Err(Unfit::NoSuchTime), "{wrong}");
        }
    }

    #[test]
    fn base64_as_python_reads_it() {
        assert_eq!(binary("aGVs\n bG8="), Ok(Value::Bytes(b"hello".to_vec())));
        assert_eq!(binary("aG=VsbG8="), Ok(Value::Bytes(b"hello".to_vec())));
        assert!(binary("aGVsbG8").is_err());
        assert!(binary("a").is_err());
    }
}
