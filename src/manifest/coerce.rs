//! The coercions of Prefect's file models, on YAML nodes: what counts as text, as true or false, as a whole number.
//!
//! Source: pydantic's lax mode as `prefect/cli/deploy/_models.py` (3.8.8) uses it.

use super::node::{Node, Value};

/// What a yes-or-no field takes: booleans, 0 and 1, and the usual words in any case.
pub fn boolean(node: &Node) -> Option<bool> {
    match &node.value {
        Value::Bool(b) => Some(*b),
        Value::Int(n) => match n.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::Float(f) if *f == 0.0 => Some(false),
        Value::Float(f) if *f == 1.0 => Some(true),
        Value::Text(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The text that stands for a plain scalar in the file: `1.0` stays `1.0`, `010` stays `010`.
///
/// Used where Prefect 2 took numbers for text and Prefect 3 refuses them.
pub fn source_text<'a>(node: &Node, text: &'a str) -> Option<&'a str> {
    let is_scalar = matches!(
        node.value,
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Date(_) | Value::Naive(_) | Value::Aware(..)
    );
    if is_scalar { text.get(node.span.start..node.span.end) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;

    #[test]
    fn the_usual_words_are_booleans() {
        let text = |t: &str| Node { value: Value::Text(t.to_owned()), span: Span::default() };
        assert_eq!(boolean(&text("Yes")), Some(true));
        assert_eq!(boolean(&text("OFF")), Some(false));
        assert_eq!(boolean(&text("{{ x }}")), None);
        assert_eq!(boolean(&Node { value: Value::Int(2.into()), span: Span::default() }), None);
    }
}
