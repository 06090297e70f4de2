//! `Secret`: a value that no formatter can print.

use std::fmt;

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
pub struct Secret(Value);

impl Secret {
    /// Seals a value.
    pub fn new(value: Value) -> Self {
        Secret(value)
    }

    /// Seals a text.
    pub fn text(text: impl Into<String>) -> Self {
        Secret(Value::String(text.into()))
    }

    /// The value itself, for the place it is meant for. Never for output.
    pub fn reveal(&self) -> &Value {
        &self.0
    }

    /// The text of a secret that is one.
    pub fn reveal_str(&self) -> Option<&str> {
        self.0.as_str()
    }

    /// A digest under `key` by which a change is noticed without keeping the value: HMAC-SHA256 of its
    /// canonical JSON.
    pub fn digest(&self, key: &[u8]) -> String {
        keyed_digest(key, &self.0)
    }
}

/// HMAC-SHA256 of a value's canonical JSON (keys sorted), in hexadecimal.
pub fn keyed_digest(key: &[u8], value: &Value) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(canonical(value).as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON with the keys of every mapping sorted and no white space: equal values give equal text.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            let inner: Vec<String> =
                keys.into_iter().map(|k| format!("{}:{}", Value::String(k.clone()), canonical(&map[k]))).collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Number(n) => canonical_number(n),
        Value::Null | Value::Bool(_) | Value::String(_) => value.to_string(),
    }
}

/// `1` and `1.0` are one number to JSON and to Prefect's answers; so are `0.0` and `-0.0`, whose sign PostgreSQL drops.
fn canonical_number(n: &serde_json::Number) -> String {
    match n.as_f64() {
        Some(f) if f.fract() == 0.0 && f.abs() < 9.0e15 => format!("{:.0}", f + 0.0),
        _ => n.to_string(),
    }
}

impl Drop for Secret {
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
    fn digests_do_not_depend_on_key_order_and_do_depend_on_the_key() {
        let (a, b) = (Secret::new(json!({"x": 1, "y": 2.0})), Secret::new(json!({"y": 2, "x": 1.0})));
        assert_eq!(a.digest(b"k"), b.digest(b"k"));
        assert_ne!(a.digest(b"k"), a.digest(b"other"));
    }
}
