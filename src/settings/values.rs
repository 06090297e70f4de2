//! Values of settings, as the places give them: text from the environment, typed ones from TOML.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

/// A yes or no, in pydantic's spellings.
pub(super) fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Boolean(b) => Ok(*b),
        Value::Integer(0) => Ok(false),
        Value::Integer(1) => Ok(true),
        Value::String(text) => match text.to_lowercase().as_str() {
            "1" | "true" | "t" | "yes" | "y" | "on" => Ok(true),
            "0" | "false" | "f" | "no" | "n" | "off" => Ok(false),
            _ => Err("is neither `true` nor `false`".to_owned()),
        },
        _ => Err("is neither `true` nor `false`".to_owned()),
    }
}

/// A number of seconds above zero.
pub(super) fn seconds(value: &Value) -> Result<f64, String> {
    let number = match value {
        Value::Float(f) => Some(*f),
        Value::Integer(i) => Some(*i as f64),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(n) if n.is_finite() && n > 0.0 && n < 1.0e9 => Ok(n),
        Some(_) => Err("is not a positive number of seconds".to_owned()),
        None => Err("is not a number of seconds".to_owned()),
    }
}

/// A count from 0.
pub(super) fn count(value: &Value) -> Result<u32, String> {
    match value {
        Value::Integer(i) => u32::try_from(*i).ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .ok_or_else(|| "is not a whole number from 0".to_owned())
}

/// A port of this machine; 0 is any that is free.
pub(super) fn port(value: &Value) -> Result<u16, String> {
    let found = count(value).ok().and_then(|port| u16::try_from(port).ok());
    found.ok_or_else(|| "is not a port: a whole number from 0 to 65535".to_owned())
}

/// A text. Prefect takes no numbers for texts.
pub(super) fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| "is not a text".to_owned())
}

/// Status codes: one, a list, or a text with commas.
pub(super) fn codes(value: &Value) -> Result<BTreeSet<u16>, String> {
    let one = |code: Option<u16>| match code {
        Some(code @ 100..=599) => Ok(code),
        _ => Err("holds something else than HTTP status codes (100 to 599)".to_owned()),
    };
    let number = |value: &Value| one(value.as_integer().and_then(|code| u16::try_from(code).ok()));
    match value {
        Value::String(text) if text.trim().is_empty() => Ok(BTreeSet::new()),
        Value::String(text) => text.split(',').map(|code| one(code.trim().parse().ok())).collect(),
        Value::Array(items) => items.iter().map(number).collect(),
        _ => number(value).map(|code| BTreeSet::from([code])),
    }
}

/// Headers: a mapping, or the JSON text of one.
pub(super) fn headers(value: &Value) -> Result<BTreeMap<String, String>, String> {
    const PROBLEM: &str = "is not a JSON mapping of header names to texts";
    match value {
        Value::String(text) if text.trim().is_empty() => Ok(BTreeMap::new()),
        Value::String(text) => serde_json::from_str(text).map_err(|_| PROBLEM.to_owned()),
        Value::Table(table) => table
            .iter()
            .map(|(name, value)| Ok((name.clone(), value.as_str().ok_or(PROBLEM)?.to_owned())))
            .collect::<Result<_, &str>>()
            .map_err(str::to_owned),
        _ => Err(PROBLEM.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_several_spellings() {
        assert_eq!(boolean(&"On".into()), Ok(true));
        assert!(boolean(&"perhaps".into()).is_err());
        assert_eq!(codes(&"404, 500".into()), Ok(BTreeSet::from([404, 500])));
        assert_eq!(codes(&404.into()), Ok(BTreeSet::from([404])));
        assert!(codes(&"4o4".into()).is_err());
        assert_eq!((port(&"8080".into()), port(&65_535.into())), (Ok(8080), Ok(65_535)));
        assert!(port(&65_536.into()).is_err() && port(&"-1".into()).is_err() && port(&"http".into()).is_err());
        assert_eq!(seconds(&"2.5".into()), Ok(2.5));
        assert!(seconds(&"nan".into()).is_err() && seconds(&Value::Integer(0)).is_err());
        assert_eq!(headers(&r#"{"a":"b"}"#.into()).expect("a mapping")["a"], "b");
    }
}
