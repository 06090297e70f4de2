//! The status page: what a loop has done, as one page of HTML that needs nothing else.
//!
//! It is whole without JavaScript; a small script only replaces its contents after every pass. What others chose is
//! escaped, and the page's policy lets a browser load and run nothing but what stands in it.

mod objects;

use base64::Engine;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::text::printable;
use crate::render::jinja;

const TEMPLATE: &str = include_str!("../../templates/status.html.j2");
/// How our pages look.
pub(super) const STYLE: &str = include_str!("../../templates/status.css");
/// What keeps them up to date.
pub(super) const SCRIPT: &str = include_str!("../../templates/status.js");

/// So many changes are told of one pass, and so many of them at first sight.
const SHOWN: usize = 200;
const FIRST: usize = 20;
/// How many characters of one value are shown.
const VALUE_LENGTH: usize = 2000;

/// The page of a status, which is JSON as a loop tells it: `version`, `started`, `state`, `suspended`,
/// `suspended_since`, `waiting`, `waiting_since`, `under_way_since`, `error`, `report`, `objects`, `changed`, `history`.
/// `overview`, if it is there, is where other environments are.
pub fn status(status: &Value) -> String {
    let report = &status["report"];
    let state = text(&status["state"]);
    let history = list(&status["history"]).iter().map(pass).collect::<Vec<_>>();
    let context = json!({
        "style": STYLE,
        "script": SCRIPT,
        "version": text(&status["version"]),
        "scope": report["scope"].as_str().map_or_else(|| "reconcile".to_owned(), printable),
        "mark": if tone(&state) == "good" { "✓" } else { "!" },
        "state": words(&state),
        "tone": tone(&state),
        "icon": icon(&state),
        "overview": status["overview"],
        "suspended": status["suspended"],
        "suspended_since": text(&status["suspended_since"]),
        "waiting": text(&status["waiting"]),
        "waiting_since": text(&status["waiting_since"]),
        "facts": facts(status),
        "error": match &status["error"] {
            Value::Null => Value::Null,
            error => json!({"message": text(&error["message"]), "help": text(&error["help"])}),
        },
        "diagnostics": list(&report["diagnostics"]).iter().map(diagnostic).collect::<Vec<_>>(),
        "objects": objects::section(status),
        "groups": groups(status),
        "history": history,
    });
    jinja::render("status.html", TEMPLATE, &context).unwrap_or_else(|error| {
        format!("<!doctype html><title>reconcile</title><p>the page could not be made: {error}")
    })
}

/// What a browser may do with the page: run its script, apply its style, show its icon, and ask where it came from.
pub fn policy() -> String {
    let hash = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

fn facts(status: &Value) -> Vec<Value> {
    let report = &status["report"];
    let source = &report["source"];
    let commit = match (source["branch"].as_str(), source["commit"].as_str()) {
        (Some(branch), Some(commit)) => format!("{} @ {commit}", printable(branch)),
        (None, Some(commit)) => commit.to_owned(),
        (_, None) => "none".to_owned(),
    };
    let dirty = if source["dirty"] == true { " + local changes" } else { "" };
    let last = &status["history"][0];
    let fact = |name: &str, value: String, mono: bool| json!({"name": name, "value": value, "mono": mono});
    let mut facts = Vec::new();
    if report.is_object() {
        facts.push(fact("Commit", commit + dirty, true));
        facts.push(fact(
            "API",
            format!("{} (Prefect {})", text(&report["api"]["url"]), text(&report["api"]["version"])),
            true,
        ));
    }
    if last.is_object() {
        facts.push(fact("Last pass", format!("{}, {} s", text(&last["at"]), last["seconds"]), false));
        facts.push(fact("Its result", text(&last["summary"]), false));
    }
    if status["under_way_since"].is_string() {
        facts.push(fact("Pass under way since", text(&status["under_way_since"]), false));
    }
    facts.push(fact("Running since", text(&status["started"]), false));
    facts
}

/// What the last pass held back or could not bring in, and what was changed last.
fn groups(status: &Value) -> Vec<Value> {
    let mut groups = Vec::new();
    let held = list(&status["report"]["held"]);
    if !held.is_empty() {
        groups.push(group("held", "Held back", "", held));
    }
    let changed = &status["changed"];
    let changes = list(&changed["report"]["changes"]);
    if !changes.is_empty() {
        groups.push(group("changed", "Last changes", &text(&changed["at"]), changes));
    }
    groups
}

fn group(id: &str, title: &str, at: &str, all: &[Value]) -> Value {
    let one = |(n, one): (usize, &Value)| {
        let mut change = change(one);
        (change["id"], change["group"]) = (json!(anchor(id, n)), json!(id));
        change
    };
    let mut first: Vec<Value> = worst_first(all).into_iter().enumerate().map(one).collect();
    let others = first.split_off(first.len().min(FIRST));
    json!({
        "id": id,
        "title": title,
        "at": at,
        "first": first,
        "others": others,
        "more": all.len().saturating_sub(SHOWN),
    })
}

/// Those changes of a pass that are told, what failed before the rest.
fn worst_first(changes: &[Value]) -> Vec<&Value> {
    let mut sorted: Vec<&Value> = changes.iter().collect();
    sorted.sort_by_key(|change| (change["result"] != "failed", change["result"] == "done"));
    sorted.truncate(SHOWN);
    sorted
}

/// The name of the place where a change is told, for links.
fn anchor(group: &str, n: usize) -> String {
    format!("{group}-{n}")
}

fn change(change: &Value) -> Value {
    let result = text(&change["result"]);
    let tone = match result.as_str() {
        "done" => "good",
        "failed" => "bad",
        _ => "mind",
    };
    let origin = &change["origin"];
    let place =
        if origin.is_object() { format!("{}:{}", text(&origin["file"]), origin["line"]) } else { String::new() };
    json!({
        "kind": text(&change["kind"]),
        "name": text(&change["name"]),
        "action": text(&change["action"]),
        "reason": match text(&change["reason"]).as_str() {
            "git" => "Git wants it so.".to_owned(),
            "drift" => "Somebody changed it on the API.".to_owned(),
            "orphan" => "It left git.".to_owned(),
            "build" => "A build gave something else.".to_owned(),
            other => other.to_owned(),
        },
        "result": result,
        "tone": tone,
        "place": place,
        "error": text(&change["error"]),
        "impact": list(&change["impact"]).iter().map(text).collect::<Vec<_>>(),
        "fields": list(&change["fields"]).iter().map(field).collect::<Vec<_>>(),
    })
}

fn field(field: &Value) -> Value {
    json!({"path": text(&field["path"]), "before": value(&field["before"]), "after": value(&field["after"])})
}

/// A value as the terminal shows it.
fn value(value: &Value) -> String {
    if value.is_null() {
        return "(none)".to_owned();
    }
    if value["sensitive"] == true {
        return "(sensitive)".to_owned();
    }
    if let Some(why) = value["unknown"].as_str() {
        return format!("(known {})", printable(why));
    }
    let text: String = value.as_str().map_or_else(|| format!("{value:#}"), str::to_owned);
    let short: String = text.lines().map(printable).collect::<Vec<_>>().join("\n").chars().take(VALUE_LENGTH).collect();
    if short.chars().count() == VALUE_LENGTH { short + "…" } else { short }
}

fn diagnostic(one: &Value) -> Value {
    let severity = text(&one["severity"]);
    let place = match (&one["file"], &one["line"]) {
        (Value::String(file), Value::Number(line)) => format!("{}:{line}:{}", printable(file), one["column"]),
        (Value::String(file), _) => printable(file),
        _ => String::new(),
    };
    json!({
        "tone": if severity == "error" { "bad" } else { "mind" },
        "severity": severity,
        "code": text(&one["code"]),
        "message": text(&one["message"]),
        "place": place,
        "help": text(&one["help"]),
    })
}

fn pass(pass: &Value) -> Value {
    let state = text(&pass["state"]);
    json!({
        "at": text(&pass["at"]),
        "state": words(&state),
        "tone": tone(&state),
        "commit": text(&pass["commit"]).chars().take(7).collect::<String>(),
        "seconds": pass["seconds"],
        "summary": text(&pass["summary"]),
    })
}

pub(super) fn words(state: &str) -> &str {
    match state {
        "in_sync" => "in sync",
        "partly" => "partly applied",
        "failed" => "failed",
        "invalid" => "invalid files",
        _ => "starting",
    }
}

/// A dot, so that one sees in a row of tabs how it stands.
pub(super) fn icon(state: &str) -> String {
    let colour = match tone(state) {
        "good" => "1a7f37",
        "bad" => "cf222e",
        _ => "9a6700",
    };
    format!(
        "data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'%20viewBox='0%200%208%208'%3E\
         %3Ccircle%20cx='4'%20cy='4'%20r='4'%20fill='%23{colour}'/%3E%3C/svg%3E"
    )
}

pub(super) fn tone(state: &str) -> &'static str {
    match state {
        "in_sync" => "good",
        "failed" | "invalid" | "partly" => "bad",
        _ => "mind",
    }
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().map(|text| text.lines().map(printable).collect::<Vec<_>>().join("\n")).unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Value {
        json!({
            "version": "0.1.0", "started": "2026-01-01T00:00:00Z", "state": "failed", "suspended": true,
            "suspended_since": "2026-01-01T00:00:02Z",
            "waiting": "the lock of <b>", "waiting_since": "2026-01-01T00:00:03Z",
            "under_way_since": "2026-01-01T00:00:04Z",
            "error": {"message": "nobody answers", "help": "wait"},
            "report": {
                "scope": "shop<script>alert(1)</script>", "source": {"branch": "main", "commit": "3f2c1a9", "dirty": true},
                "api": {"url": "http://x/api", "version": "3.8.8"}, "summary": {"unchanged": 7},
                "held": [{"kind": "deployment", "name": "a/b", "action": "delete", "reason": "too many"}],
                "diagnostics": [{"severity": "error", "code": "E0103", "message": "m", "file": "prefect.yaml", "line": 3, "column": 4, "help": "h"}],
            },
            "objects": {"at": "2026-01-01T00:00:01Z", "all": [
                {"kind": "work_pool", "name": "one", "state": "in_sync", "file": "pools.yaml", "line": 7, "changed": null},
                {"kind": "work_pool", "name": "two", "state": "in_sync", "file": "pools.yaml", "line": 9, "changed": null},
                {"kind": "deployment", "name": "\"><img src=x>", "state": "failed", "file": "prefect.yaml", "line": 9, "changed": null},
            ]},
            "changed": {"at": "2026-01-01T00:00:01Z", "report": {"changes": [
                {"kind": "deployment", "name": "\"><img src=x>", "action": "update", "reason": "drift", "result": "failed",
                 "error": "no", "origin": {"file": "prefect.yaml", "line": 9}, "impact": ["runs move"], "fields": [
                    {"path": "description", "before": null, "after": "two\nlines\u{202e}"},
                    {"path": "env", "before": {"sensitive": true, "changed": true}, "after": {"unknown": "after build"}}]},
            ]}},
            "history": [{"at": "2026-01-01T00:00:01Z", "seconds": 0.4, "state": "failed", "commit": "3f2c1a9d", "summary": "s"}],
        })
    }

    #[test]
    fn it_shows_everything_and_believes_nothing() {
        let page = status(&sample());
        for words in [
            "shop&lt;script&gt;",
            "main @ 3f2c1a9 + local changes",
            "nobody answers",
            "suspended",
            "<span class=\"once\">2026-01-01T00:00:02Z</span>",
            "<span class=\"once\">2026-01-01T00:00:03Z</span>: the lock of &lt;b&gt;",
            "2026-01-01T00:00:04Z",
            "1 failed",
            "2 in sync",
            "<a href=\"#changed-0\">failed</a>",
            "pools.yaml:7",
            "E0103",
            "prefect.yaml:3:4",
            "Held back",
            "too many",
            "Somebody changed it on the API.",
            "(sensitive)",
            "(known after build)",
            "(none)",
            "two\nlines\u{fffd}",
            "runs move",
            "prefect.yaml:9",
            "0.4 s",
            "failed",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert!(!page.contains("<script>alert") && !page.contains("<img"), "{page}");
        assert!(!page.contains(" src=\""), "nothing is loaded from elsewhere");
        assert!(page.matches("<link").count() == 1 && page.contains("<link rel=\"icon\" href=\"data:"), "{page}");
    }

    #[test]
    fn it_begins_with_nothing_to_show() {
        let page = status(&json!({"version": "0.1.0", "started": "now", "state": "starting", "suspended": false}));
        assert!(page.contains("starting") && page.contains("None is over yet."), "{page}");
    }

    #[test]
    fn the_policy_allows_what_stands_in_the_page() {
        let page = status(&sample());
        for (tag, text) in [("script", SCRIPT), ("style", STYLE)] {
            assert!(page.contains(&format!("<{tag}>{text}</{tag}>")), "{tag}");
            assert!(!text.contains("</"), "{tag}");
            let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()));
            assert!(policy().contains(&format!("{tag}-src 'sha256-{hash}'")));
        }
    }
}
