//! The text of scalars that are not text, for the fields where Prefect 2 took them.

use super::node::{Node, Value};

/// The text that stands for a plain scalar in the file: `1.0` stays `1.0`, `010` stays `010`.
///
/// Used where Prefect 2 took numbers for text and Prefect 3 refuses them.
pub fn source_text<'a>(node: &'a Node, text: &'a str) -> Option<&'a str> {
    let is_scalar = matches!(
        node.value,
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Date(_) | Value::Naive(_) | Value::Aware(..)
    );
    let text = node.elsewhere.as_ref().map_or(text, |elsewhere| &elsewhere.text);
    if is_scalar { text.get(node.span.start..node.span.end) } else { None }
}
