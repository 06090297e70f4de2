//! SARIF 2.1.0: diagnostics for code scanning.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Severity};

/// Diagnostics as one SARIF run.
pub fn sarif(diagnostics: &[Diagnostic]) -> Value {
    let rules: BTreeMap<&str, Value> = diagnostics
        .iter()
        .map(|d| (d.code, json!({ "id": d.code, "shortDescription": { "text": crate::explain::title(d.code) } })))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "reconcile",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            }},
            "results": diagnostics.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(diagnostic: &Diagnostic) -> Value {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let text = match &diagnostic.help {
        Some(help) => format!("{}. {help}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    let locations: Vec<Value> = diagnostic
        .origin()
        .map(|origin| {
            json!({ "physicalLocation": {
                "artifactLocation": { "uri": origin.file },
                "region": { "startLine": origin.span.line, "startColumn": origin.span.column },
            }})
        })
        .into_iter()
        .collect();
    json!({ "ruleId": diagnostic.code, "level": level, "message": { "text": text }, "locations": locations })
}
