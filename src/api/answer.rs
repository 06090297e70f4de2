//! What a refusal says, without anything that was sent: some answers echo the request, secrets included.

use std::collections::BTreeSet;

use serde_json::Value;

/// No reason needs more.
const LONGEST: usize = 500;
/// Below these keys of a request anything may be secret.
const SENSITIVE: [&str; 8] =
    ["data", "job_configuration", "job_variables", "parameters", "payload", "pull_steps", "value", "variables"];
/// What stands in place of a hidden value.
const HIDDEN: &str = "(sensitive)";

/// The server's reason as one line: its `detail` or `exception_message`, or type, place and message of each
/// complaint about the request's form. `sent` is the request's body; its sensitive values are blotted out.
pub(super) fn reason(body: &Value, sent: Option<&Value>) -> String {
    let mut said = match (&body["exception_detail"], &body["detail"], &body["exception_message"]) {
        (Value::Array(items), ..) | (_, Value::Array(items), _) => complaints(items),
        (_, Value::String(text), _) | (_, _, Value::String(text)) => text.clone(),
        _ => "no reason was given".to_owned(),
    };
    for secret in sent.map(sensitive).unwrap_or_default() {
        said = blot(&said, &secret);
    }
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// `parameters.x: Input should be a valid integer (int_type)`, for the first few.
fn complaints(items: &[Value]) -> String {
    let mut lines: Vec<String> = items.iter().take(5).map(complaint).collect();
    if items.len() > lines.len() {
        lines.push(format!("and {} more", items.len() - lines.len()));
    }
    lines.join("; ")
}

fn complaint(item: &Value) -> String {
    let part = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
    let place: Vec<String> =
        item["loc"].as_array().into_iter().flatten().map(part).filter(|part| part != "body").collect();
    let message = item["msg"].as_str().unwrap_or("is wrong");
    let kind = item["type"].as_str().map(|kind| format!(" ({kind})")).unwrap_or_default();
    if place.is_empty() { format!("{message}{kind}") } else { format!("{}: {message}{kind}", place.join(".")) }
}

/// The texts of all sensitive values of a request, longest first.
fn sensitive(sent: &Value) -> Vec<String> {
    let mut found = BTreeSet::new();
    collect(sent, false, &mut found);
    let mut found: Vec<String> = found.into_iter().collect();
    found.sort_by_key(|text| std::cmp::Reverse(text.len()));
    found
}

fn collect(value: &Value, secret: bool, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| collect(value, secret || SENSITIVE.contains(&key.as_str()), found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, secret, found)),
        Value::String(text) if secret && !text.is_empty() => {
            found.insert(text.clone());
        }
        Value::Number(number) if secret => {
            found.insert(number.to_string());
        }
        Value::String(_) | Value::Number(_) | Value::Null | Value::Bool(_) => {}
    }
}

/// Hides a value wherever it stands; a short one only where it stands by itself, else nothing could be read.
fn blot(text: &str, secret: &str) -> String {
    if secret.chars().count() >= 6 {
        // Python prints some characters in another way.
        return text.replace(secret, HIDDEN).replace(&secret.escape_debug().to_string(), HIDDEN);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(secret) {
        let end = at + secret.len();
        let touches = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let alone = !touches(rest[..at].chars().next_back().or_else(|| out.chars().next_back()))
            && !touches(rest[end..].chars().next());
        out.push_str(&rest[..at]);
        out.push_str(if alone { HIDDEN } else { secret });
        rest = &rest[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn an_echoed_request_is_not_repeated() {
        let body = json!({
            "exception_message": "Invalid request received.",
            "exception_detail": [{"type": "int_type", "loc": ["body", "parameters", "x"], "msg": "Input should be a valid integer", "input": "canary"}],
            "request_body": {"parameters": {"x": "canary"}},
        });
        assert_eq!(reason(&body, None), "parameters.x: Input should be a valid integer (int_type)");
    }

    #[test]
    fn values_within_a_reason_are_hidden() {
        let sent = json!({"name": "n", "work_pool_name": "kubernetes", "parameters": {"number": "xx", "pin": 1234, "t": "hunter2"}});
        let body = json!({"detail": "In kubernetes 'xx' is not of type 'integer', but xxl and 1234 and ahunter2"});
        assert_eq!(
            reason(&body, Some(&sent)),
            "In kubernetes '(sensitive)' is not of type 'integer', but xxl and (sensitive) and a(sensitive)"
        );
    }

    #[test]
    fn an_odd_answer_is_no_reason_to_fail() {
        for body in [json!(null), json!([1]), json!({"detail": 5}), json!({"detail": [5, {"loc": "x"}]})] {
            assert!(!reason(&body, None).is_empty());
        }
        assert!(reason(&json!({"detail": "x".repeat(9999)}), None).chars().count() <= LONGEST + 1);
    }

    proptest! {
        #[test]
        fn no_long_value_survives(secret in "[a-z]{6,12}", around in "[ -~]{0,20}") {
            let sent = json!({"data": {"value": secret}});
            let said = reason(&json!({"detail": format!("{around}{secret}{around}")}), Some(&sent));
            prop_assert!(!said.replace(HIDDEN, "").contains(&secret) || HIDDEN.contains(&secret));
        }
    }
}
