//! `Secret`: a value that no formatter can print.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Serialize, Serializer};
use serde_json::Value;
use sha2::Sha256;
use zeroize::Zeroize;

/// What is printed in place of a secret, everywhere.
pub const MASK: &str = "(sensitive)";

/// A value that must not be seen: `Debug`, `Display` and `Serialize` all give [`MASK`].
///
/// Only the rooms that hand it to its destination call [`Secret::reveal`]: the API client, build steps and
/// template filling. Text is wiped from memory when the last holder lets go; structured values are not.
#[derive(Clone, PartialEq)]
pub struct Secret(Arc<Sealed>);

/// What all holders of a secret share.
#[derive(PartialEq)]
struct Sealed(Value);

impl Secret {
    /// Seals a value.
    pub fn new(value: Value) -> Self {
        Secret(Arc::new(Sealed(value)))
    }

    /// Seals a text.
    pub fn text(text: impl Into<String>) -> Self {
        Secret::new(Value::String(text.into()))
    }

    /// The value itself, for the place it is meant for. Never for output.
    pub fn reveal(&self) -> &Value {
        &self.0.0
    }

    /// The text of a secret that is one.
    pub fn reveal_str(&self) -> Option<&str> {
        self.reveal().as_str()
    }

    /// A digest under `key` by which a change is noticed without keeping the value: HMAC-SHA256 of its
    /// canonical JSON.
    pub fn digest(&self, key: &[u8]) -> String {
        keyed_digest(key, self.reveal())
    }
}

/// HMAC-SHA256 of a value's canonical JSON (keys sorted), in hexadecimal.
pub fn keyed_digest(key: &[u8], value: &Value) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(canonical(value).as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// JSON with the keys of every mapping sorted and no white space: equal values give equal text.
pub fn canonical(value: &Value) -> String {
    let mut out = Vec::new();
    write_canonical(value, &mut out).expect("a vector takes everything");
    String::from_utf8(out).expect("JSON is text")
}

fn write_canonical(value: &Value, out: &mut Vec<u8>) -> std::io::Result<()> {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, key)?;
                out.push(b':');
                write_canonical(value, out)?;
            }
            out.push(b'}');
            Ok(())
        }
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_canonical(item, out)?;
            }
            out.push(b']');
            Ok(())
        }
        Value::Number(n) => match n.as_f64() {
            // `1` and `1.0` are one number to JSON and to Prefect's answers; so are `0.0` and `-0.0`, whose sign
            // PostgreSQL drops.
            Some(f) if f.fract() == 0.0 && f.abs() < 9.0e15 => write!(out, "{:.0}", f + 0.0),
            _ => write!(out, "{n}"),
        },
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(serde_json::to_writer(out, value)?),
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        if let Value::String(text) = &mut self.0 {
            text.zeroize();
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_formatter_shows_it() {
        let secret = Secret::new(json!({"token": "hunter2"}));
        let shown = format!("{secret} {secret:?} {}", serde_json::to_string(&secret).expect("plain text"));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(shown.matches(MASK).count(), 3);
    }

    #[test]
    fn numbers_that_are_equal_have_one_text() {
        assert_eq!(canonical(&json!([1, 1.0, 0, 0.0, -0.0, -1.5])), "[1,1,0,0,0,-1.5]");
    }

    #[test]
    fn equal_values_have_one_canonical_form() {
        let value = json!({"b": [1.0, -2, 0.5, 1e20, null], "a\"\n": {"z": true, "y": "ü\u{1}"}});
        assert_eq!(canonical(&value), r#"{"a\"\n":{"y":"ü\u0001","z":true},"b":[1,-2,0.5,1e+20,null]}"#);
        assert_eq!((hex(&[0, 0x0f, 0xa5, 0xff]).as_str(), canonical(&json!({}))), ("000fa5ff", "{}".to_owned()));
    }

    #[test]
    fn digests_do_not_depend_on_key_order_and_do_depend_on_the_key() {
        let (a, b) = (Secret::new(json!({"x": 1, "y": 2.0})), Secret::new(json!({"y": 2, "x": 1.0})));
        assert_eq!(a.digest(b"k"), b.digest(b"k"));
        assert_ne!(a.digest(b"k"), a.digest(b"other"));
    }
}
