//! SARIF 2.1.0: diagnostics for code scanning.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Severity};

/// Diagnostics as one SARIF run.
pub fn sarif(diagnostics: &[Diagnostic]) -> Value {
    sarif_below(diagnostics, "")
}

/// The same for files below a directory, `flows/`: code scanning wants to know them from the top of the repository.
pub fn sarif_below(diagnostics: &[Diagnostic], below: &str) -> Value {
    let rules: BTreeMap<&str, Value> = diagnostics.iter().map(|d| (d.code, rule(d.code))).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "reconcile",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": diagnostics.iter().map(|one| result(one, below)).collect::<Vec<_>>(),
        }],
    })
}

fn rule(code: &'static str) -> Value {
    let mut rule = json!({ "id": code, "shortDescription": { "text": crate::explain::title(code) } });
    if let Some(page) = crate::explain::page(code) {
        rule["help"] = json!({ "text": page.text });
    }
    rule
}

fn result(diagnostic: &Diagnostic, below: &str) -> Value {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let text = match &diagnostic.help {
        Some(help) => format!("{}. {}", diagnostic.message, sentence(help)),
        None => diagnostic.message.clone(),
    };
    let text = sentence(&text);
    // Code scanning takes no result without a place; what concerns no file concerns the project.
    let file = diagnostic.origin().map_or("reconcile.yaml", |origin| origin.file.as_str());
    let region = match diagnostic.origin() {
        Some(origin) => json!({ "startLine": origin.span.line.max(1), "startColumn": origin.span.column.max(1) }),
        None => json!({ "startLine": 1 }),
    };
    let location = json!({ "artifactLocation": { "uri": uri(&format!("{below}{file}")) }, "region": region });
    let locations = [json!({ "physicalLocation": location })];
    json!({ "ruleId": diagnostic.code, "level": level, "message": { "text": text }, "locations": locations })
}

/// A text that begins as sentences do: viewers show nothing before it.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

/// A path as a relative URI: what is not plain ASCII, and what would begin a query or a fragment, is escaped.
fn uri(path: &str) -> String {
    const ESCAPED: AsciiSet =
        NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'+').remove(b'@');
    utf8_percent_encode(path, &ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_begin_as_sentences_do() {
        let result = result(&Diagnostic::error("E0401", "there is none").help("make one"), "");
        assert_eq!(result["message"]["text"], "There is none. Make one");
        assert_eq!(sentence("`x` is new"), "`x` is new");
    }
}
