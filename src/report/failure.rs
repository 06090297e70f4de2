//! `Failure`: why there is no report, for machines.

use serde::Serialize;
use serde_json::{Value, json};

use super::{FORMAT_VERSION, diagnostics_json};
use crate::diagnostic::{Diagnostic, Severity};

/// Why a command ended before it had a result, or before it was through with it. The key `error` of the JSON form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The code whose page explains it.
    pub code: Option<String>,
    /// What happened, as stderr has it.
    pub message: String,
    /// The next step.
    pub help: Option<String>,
}

impl Failure {
    /// What stands in the place of a report: the failure, and the diagnostics as far as they were known by then. One
    /// with a code is among these too, so that who reads only diagnostics does not miss it.
    pub fn to_json(&self, diagnostics: &[Diagnostic]) -> Value {
        let mut all = diagnostics_json(diagnostics);
        if let (Some(code), Value::Array(all)) = (&self.code, &mut all) {
            all.push(json!({
                "severity": Severity::Error, "code": code, "message": self.message, "file": null, "line": null,
                "column": null, "help": self.help, "related": [],
            }));
        }
        json!({ "format_version": FORMAT_VERSION, "error": self, "diagnostics": all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_with_a_code_is_a_diagnostic_as_well() {
        let mut failure = Failure { message: "nobody answers".to_owned(), ..Failure::default() };
        assert_eq!(failure.to_json(&[])["diagnostics"], json!([]));
        failure.code = Some("E0510".to_owned());
        let json = failure.to_json(&[Diagnostic::warning("W0171", "not read")]);
        let codes: Vec<&Value> = json["diagnostics"].as_array().into_iter().flatten().map(|one| &one["code"]).collect();
        assert_eq!(codes, ["W0171", "E0510"]);
        assert_eq!((&json["error"]["code"], &json["error"]["help"]), (&json!("E0510"), &Value::Null));
    }
}
