//! `Arguments`: a native step's inputs, taken out one by one with the strictness of a Python call.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::StepProblem;

/// Inputs with secrets revealed.
pub(super) struct Arguments<'f> {
    function: &'f str,
    left: Map<String, Value>,
}

impl<'f> Arguments<'f> {
    pub fn new(function: &'f str, inputs: Map<String, Value>) -> Self {
        Arguments { function, left: inputs }
    }

    fn wrong(&self, name: &str, expected: &str, found: &Value) -> StepProblem {
        let found = match found {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a mapping",
        };
        StepProblem::Argument(format!("`{name}` of `{}` is {expected}, not {found}", self.function))
    }

    /// A text that must be there.
    pub fn text(&mut self, name: &str) -> Result<String, StepProblem> {
        match self.left.remove(name) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.wrong(name, "text", &other)),
            None => Err(StepProblem::Argument(format!("`{}` needs `{name}`", self.function))),
        }
    }

    /// A text that may be left out or null.
    pub fn optional_text(&mut self, name: &str) -> Result<Option<String>, StepProblem> {
        match self.left.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, "text", &other)),
        }
    }

    /// A flag; any value counts by Python's notion of truth, so the text `false` is true.
    pub fn flag(&mut self, name: &str, default: bool) -> bool {
        self.left.remove(name).map_or(default, |value| crate::model::Tree::from(value).is_truthy())
    }

    /// Names and texts; null, an empty text or list counts as none.
    pub fn texts(&mut self, name: &str) -> Result<BTreeMap<String, String>, StepProblem> {
        let mapping = match self.left.remove(name) {
            Some(Value::Object(mapping)) => mapping,
            Some(other) if crate::model::Tree::from(&other).is_truthy() => {
                return Err(self.wrong(name, "a mapping", &other));
            }
            _ => return Ok(BTreeMap::new()),
        };
        let entry = |(key, value): (String, Value)| match value {
            Value::String(text) => Ok((key, text)),
            other => Err(self.wrong(&format!("{name}.{key}"), "text (quote it)", &other)),
        };
        mapping.into_iter().map(entry).collect()
    }

    /// Refuses whatever was not taken.
    pub fn finish(self) -> Result<(), StepProblem> {
        match self.left.keys().next() {
            Some(name) => Err(StepProblem::Argument(format!("`{}` knows no input `{name}`", self.function))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn arguments(value: Value) -> Arguments<'static> {
        let Value::Object(map) = value else { panic!("a mapping") };
        Arguments::new("f", map)
    }

    #[test]
    fn takes_what_fits_and_names_what_does_not() {
        let mut all = arguments(json!({"a": "x", "b": null, "c": "false", "d": {"K": "v"}, "e": 1}));
        assert_eq!(all.text("a").unwrap(), "x");
        assert_eq!(all.optional_text("b").unwrap(), None);
        assert!(all.flag("c", false) && all.flag("missing", true));
        assert_eq!(all.texts("d").unwrap()["K"], "v");
        assert_eq!(all.finish().unwrap_err().to_string(), "`f` knows no input `e`");
        let message = |problem: StepProblem| problem.to_string();
        assert_eq!(message(arguments(json!({})).text("a").unwrap_err()), "`f` needs `a`");
        let mut wrong = arguments(json!({"d": {"K": 1}, "e": [1]}));
        assert_eq!(message(wrong.texts("d").unwrap_err()), "`d.K` of `f` is text (quote it), not a number");
        assert_eq!(message(wrong.texts("e").unwrap_err()), "`e` of `f` is a mapping, not a list");
    }
}
