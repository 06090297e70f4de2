//! `reconcile explain`: the page of a diagnostic code.

use serde_json::json;

use super::args::Global;
use super::exit::{Exit, wrong_usage};
use super::output::result;
use crate::diagnostic::did_you_mean;
use crate::explain::{PAGES, page};

/// Prints the page of a code, or the list of all codes.
pub fn run(global: &Global, code: Option<&str>) -> Exit {
    let Some(code) = code else { return list(global) };
    let wanted = code.trim().to_uppercase();
    match page(&wanted) {
        Some(page) if global.json => {
            result(&json!({ "code": page.code, "title": page.title, "text": page.text }).to_string());
            Exit::Done
        }
        Some(page) => {
            result(&format!("{}: {}\n\n{}", page.code, page.title, page.text));
            Exit::Done
        }
        None => {
            let hint = did_you_mean(&wanted, PAGES.iter().map(|page| page.code))
                .unwrap_or_else(|| "`reconcile explain` lists them all".to_owned());
            wrong_usage(&format!("there is no code `{code}`: {hint}"))
        }
    }
}

fn list(global: &Global) -> Exit {
    if global.json {
        let all: Vec<_> = PAGES.iter().map(|page| json!({ "code": page.code, "title": page.title })).collect();
        result(&json!(all).to_string());
    } else {
        let lines: Vec<String> = PAGES.iter().map(|page| format!("{}  {}", page.code, page.title)).collect();
        result(&lines.join("\n"));
    }
    Exit::Done
}
