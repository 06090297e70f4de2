//! JSON Schemas of what machines read: plans, and reports of what was applied.

use serde_json::{Value, json};

use super::FORMAT_VERSION;
use crate::model::Kind;

const ACTIONS: [&str; 6] = ["create", "update", "replace", "delete", "adopt", "release"];

/// The schema of `plan --json` and of the files of `plan --out`.
pub fn plan() -> Value {
    document("plan.schema.json", "A plan", change(json!({}), &[]))
}

/// The schema of `apply --json`: a plan with what became of each change.
pub fn report() -> Value {
    let results = json!({
        "result": { "enum": ["done", "failed", "skipped", "held"] },
        "error": { "type": ["string", "null"], "description": "Why it is not in." },
    });
    document("report.schema.json", "What was applied", change(results, &[]))
}

fn document(file: &str, title: &str, change: Value) -> Value {
    let count = json!({ "type": "integer", "minimum": 0 });
    let text_or_null = json!({ "type": ["string", "null"] });
    let mut summary = serde_json::Map::new();
    for word in ACTIONS.iter().chain(&["unchanged", "held"]) {
        summary.insert((*word).to_owned(), count.clone());
    }
    let words: Vec<String> = summary.keys().cloned().collect();
    json!({
        "$schema": crate::manifest::schema::DIALECT,
        "$id": format!("urn:reconcile:{file}"),
        "title": title,
        "description": format!("Format {FORMAT_VERSION}: keys may be added; one that changes its meaning raises the first number."),
        "type": "object",
        "required": ["format_version", "diagnostics"],
        "anyOf": [
            { "required": ["digest", "scope", "base", "source", "api", "summary", "changes", "held", "requests"] },
            { "required": ["error"], "description": "It ended before there was anything to report; nothing was written." },
        ],
        "properties": {
            "format_version": { "type": "string", "pattern": r"^1\.[0-9]+$" },
            "digest": { "type": "string", "pattern": "^sha256:[0-9a-f]{64}$", "description": "Equal for plans that do the same." },
            "scope": { "type": "string", "description": "The name under which objects are owned." },
            "base": {
                "type": "object",
                "required": ["commit", "ledger_generation"],
                "properties": {
                    "commit": text_or_null,
                    "ledger_generation": count,
                    "revision": { "type": "string", "description": "What `--base` named: the plan compares files with files." },
                    "remembered": {
                        "description": "Where nothing had moved on the API since an earlier comparison: when everything was last compared, and how many deployments were read since git wants them otherwise.",
                        "type": "object",
                        "required": ["compared", "age_seconds", "read"],
                        "properties": { "compared": { "type": "string" }, "age_seconds": count, "read": count },
                    },
                },
            },
            "source": {
                "type": "object",
                "required": ["commit", "branch", "dirty", "files"],
                "properties": { "commit": text_or_null, "branch": text_or_null, "dirty": { "type": "boolean" }, "files": count,
                    "revision": { "type": "string", "description": "What `--rev` named: the files are those of that commit." },
                },
            },
            "api": {
                "type": ["object", "null"],
                "required": ["url", "version"],
                "properties": { "url": { "type": "string" }, "version": { "type": "string" } },
            },
            "summary": { "type": "object", "required": words, "properties": summary },
            "changes": { "type": "array", "items": change },
            "held": { "type": "array", "items": {
                "type": "object",
                "required": ["kind", "name", "action", "reason"],
                "properties": {
                    "kind": kinds(), "name": { "type": "string" }, "action": { "enum": ACTIONS },
                    "reason": { "type": "string" }, "result": { "const": "held" },
                },
            } },
            "requests": { "type": "object", "required": ["read", "write"], "properties": { "read": count, "write": count } },
            "seconds": { "type": "number", "minimum": 0 },
            "diagnostics": { "type": "array", "items": diagnostic() },
            "request": { "type": "object", "description": "What was asked for, in files of `plan --out`." },
            "error": {
                "type": "object",
                "description": "Why it ended early. Beside `changes`: what was under way is told there.",
                "required": ["code", "message", "help"],
                "properties": { "code": text_or_null, "message": { "type": "string" }, "help": text_or_null },
            },
            "declined": { "const": true, "description": "Somebody was asked and said no: nothing was done." },
            "stale": { "const": true, "description": "The saved plan is not what would be done now." },
            "differs": { "type": "array", "description": "Where, for a plan that is stale.", "items": {
                "type": "object",
                "required": ["what", "key"],
                "properties": { "what": { "enum": ["added", "changed", "removed"] }, "key": { "type": "string" } },
            } },
        },
    })
}

fn kinds() -> Value {
    json!({ "enum": Kind::ALL.map(Kind::word) })
}

fn change(more: Value, required: &[&str]) -> Value {
    let mut properties = json!({
        "kind": kinds(),
        "name": { "type": "string" },
        "action": { "enum": ACTIONS },
        "reason": { "enum": ["git", "drift", "orphan", "build"] },
        "origin": {
            "type": ["object", "null"],
            "required": ["file", "line", "column"],
            "properties": { "file": { "type": "string" }, "line": place(), "column": place() },
        },
        "fields": { "type": "array", "items": {
            "type": "object",
            "required": ["path", "before", "after"],
            "properties": {
                "path": { "type": "string" },
                "before": { "description": "What the API holds; null where there is nothing." },
                "after": { "description": "What it will hold. `{\"sensitive\": true}` and `{\"unknown\": …}` stand for values." },
            },
        } },
        "impact": { "type": "array", "items": { "type": "string" } },
        "left_to_python": {
            "type": "array",
            "description": "What only Python can tell of a flow, and why: it is asked when applying.",
            "items": {
                "type": "object",
                "required": ["parameter", "why", "file", "line", "column"],
                "properties": {
                    "parameter": { "type": ["string", "null"], "description": "Null where all of the flow is meant." },
                    "why": { "type": "string" },
                    "file": { "type": ["string", "null"] },
                    "line": { "type": ["integer", "null"], "minimum": 1 },
                    "column": { "type": ["integer", "null"], "minimum": 1 },
                },
            },
        },
        "after": { "type": "array", "items": { "type": "string" }, "description": "What has to be there first." },
    });
    let mut all = vec!["kind", "name", "action", "reason", "origin", "fields", "impact", "left_to_python", "after"];
    all.extend(required);
    if let (Value::Object(properties), Value::Object(more)) = (&mut properties, more) {
        properties.extend(more);
    }
    json!({ "type": "object", "required": all, "properties": properties })
}

fn place() -> Value {
    json!({ "type": "integer", "minimum": 1 })
}

fn diagnostic() -> Value {
    json!({
        "type": "object",
        "required": ["severity", "code", "message"],
        "properties": {
            "severity": { "enum": ["error", "warning", "note"] },
            "code": { "type": "string", "pattern": "^[EW][0-9]{4}$" },
            "message": { "type": "string" },
            "file": { "type": ["string", "null"] },
            "line": { "type": ["integer", "null"], "minimum": 1 },
            "column": { "type": ["integer", "null"], "minimum": 1 },
            "help": { "type": ["string", "null"] },
            "related": { "type": "array" },
        },
    })
}
