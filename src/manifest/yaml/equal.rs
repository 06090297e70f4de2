//! When two keys are the same key: Python's equality, by which `1`, `1.0` and `true` are one.

use jiff::civil::{Date, DateTime};

use crate::manifest::node::Value;

/// A key as a Python dictionary tells it from others.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    Null,
    Text(String),
    Bytes(Vec<u8>),
    Whole(i128),
    /// A number that is not whole, by its bits.
    Broken(u64),
    Date(Date),
    Naive(DateTime),
    /// A moment, whatever offset it was written with.
    Moment(DateTime, i64),
}

/// What a value is as a key; nothing for lists, sets and mappings, which Python does not take as keys.
pub(super) fn identity(value: &Value) -> Option<Identity> {
    Some(match value {
        Value::Null => Identity::Null,
        Value::Bool(b) => Identity::Whole(i128::from(*b)),
        Value::Int(n) => Identity::Whole(n.as_i128()?),
        Value::Float(f) => float(*f),
        Value::Text(text) => Identity::Text(text.clone()),
        Value::Bytes(bytes) => Identity::Bytes(bytes.clone()),
        Value::Date(date) => Identity::Date(*date),
        Value::Naive(time) => Identity::Naive(*time),
        Value::Aware(time, offset) => moment(*time, *offset),
        Value::List(_) | Value::Set(_) | Value::Map(_) => return None,
    })
}

fn float(f: f64) -> Identity {
    // Every whole float that an `Int` can equal fits; beyond, the bits tell them apart as well.
    if f.fract() == 0.0 && f.abs() < 1e30 { Identity::Whole(f as i128) } else { Identity::Broken(f.to_bits()) }
}

/// Seconds since the epoch would do, but civil time has no epoch of its own: the day shifted by whole days, and the second of it.
fn moment(time: DateTime, offset: i32) -> Identity {
    let second =
        i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second()) - i64::from(offset);
    let day = time.date().to_datetime(jiff::civil::Time::midnight());
    let shift = jiff::Span::new().days(second.div_euclid(86_400));
    let nanoseconds = second.rem_euclid(86_400) * 1_000_000_000 + i64::from(time.subsec_nanosecond());
    Identity::Moment(day.saturating_add(shift), nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_booleans_are_one_key() {
        let one = identity(&Value::Int(1.into()));
        assert_eq!(one, identity(&Value::Bool(true)));
        assert_eq!(one, identity(&Value::Float(1.0)));
        assert_ne!(one, identity(&Value::Text("1".into())));
        assert_eq!(identity(&Value::Float(-0.0)), identity(&Value::Bool(false)));
        assert_eq!(identity(&Value::List(Vec::new())), None);
    }

    #[test]
    fn moments_are_one_whatever_their_offset() {
        let day = jiff::civil::date(2024, 1, 1);
        let a = identity(&Value::Aware(day.at(0, 30, 0, 0), 3600));
        assert_eq!(a, identity(&Value::Aware(jiff::civil::date(2023, 12, 31).at(23, 30, 0, 0), 0)));
        assert_ne!(a, identity(&Value::Naive(day.at(0, 30, 0, 0))));
    }
}
