//! The page of several environments: how each stands, and where its own page is.

use serde_json::{Value, json};

use super::page::{self, icon, text, tone, words};
use super::text::{printable, short};
use crate::render::jinja;

const TEMPLATE: &str = include_str!("../../templates/overview.html.j2");

/// The page of some environments by name, each with its status as [`page::status`] takes it. That of one lies at
/// `env/NAME/`.
pub fn overview(all: &[(String, Value)]) -> String {
    let worst = worst(all);
    let rows: Vec<Value> = all.iter().map(|(name, status)| row(name, status)).collect();
    let good = rows.iter().filter(|row| row["tone"] == "good").count();
    let context = json!({
        "style": page::STYLE,
        "script": page::SCRIPT,
        "mark": if good == all.len() { "✓" } else { "!" },
        "icon": icon(&worst),
        "tone": tone(&worst),
        "state": if good == all.len() { "all in sync".to_owned() } else { format!("{good} of {} in sync", all.len()) },
        "rows": rows,
        "version": env!("CARGO_PKG_VERSION"),
    });
    jinja::render("overview.html", TEMPLATE, &context).unwrap_or_else(|error| {
        format!("<!doctype html><title>reconcile</title><p>the page could not be made: {error}")
    })
}

/// The state that is the matter of all of them.
fn worst(all: &[(String, Value)]) -> String {
    let states = || all.iter().map(|(_, status)| text(&status["state"]));
    let of = |wanted: &str| states().find(|state| tone(state) == wanted);
    of("bad").or_else(|| of("mind")).or_else(|| of("good")).unwrap_or_default()
}

fn row(name: &str, status: &Value) -> Value {
    let (report, state) = (&status["report"], text(&status["state"]));
    let last = &status["history"][0];
    json!({
        "name": printable(name),
        "link": percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string(),
        "scope": text(&report["scope"]),
        "state": words(&state),
        "tone": tone(&state),
        "suspended": status["suspended"],
        "waiting": status["waiting"].is_string(),
        "commit": report["source"]["commit"].as_str().map(short),
        "at": text(&last["at"]),
        "summary": text(&last["summary"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_environment_has_a_row_and_nothing_breaks_out_of_it() {
        let hostile =
            json!({"state": "failed", "report": {"scope": "<script>x</script>"}, "history": [{"summary": "a & b"}]});
        let good = json!({"state": "in_sync", "report": {"scope": "shop@test", "source": {"commit": "3f2c1a9d0"}}});
        let page = overview(&[("test".to_owned(), good), ("\"><b>".to_owned(), hostile)]);
        assert!(page.contains("href=\"env/test/\"") && page.contains("3f2c1a9<"), "{page}");
        assert!(!page.contains("<script>x") && !page.contains("\"><b>") && page.contains("a &amp; b"), "{page}");
        assert!(page.contains("<title>! ") && page.contains("1 of 2 in sync"), "{page}");
    }
}
