//! The YAML reader against PyYAML itself: 142 kept answers, and thousands of texts that the real one is asked about.
#![allow(clippy::disallowed_methods, reason = "tests start Python")]

mod generate;

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use reconcile::diagnostic::Diagnostic;
use reconcile::manifest::node::{Node, Value};
use reconcile::manifest::yaml::{Document, read};
use reconcile::model::RepoPath;
use serde_json::{Value as Json, json};

use generate::Random;

const SAMPLE: &str = include_str!("yaml/sample.yaml");
const CASES: &str = include_str!("yaml/cases.json");

/// What PyYAML accepts and we refuse, on purpose: what the driver notes of its value, our code, the reason.
const KNOWN: &[(&str, &str, &str)] = &[
    ("recursive", "E0111", "a value that holds itself cannot be sent to any API"),
    ("large", "E0116", "whole numbers beyond 64 bits have no form in our JSON"),
    (
        "surrogate",
        "E0103",
        "half a surrogate pair is no character outside of Python; Prefect's client cannot encode it either",
    ),
];

fn load(text: &str) -> Result<Document, Vec<Diagnostic>> {
    read(&RepoPath::new("prefect.yaml"), text.as_bytes())
}

/// A value with its types, as the Python driver describes it.
fn describe(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(b) => json!(format!("bool:{b}")),
        Value::Int(n) => json!(format!("int:{n}")),
        Value::Float(f) if f.is_nan() => json!("float:nan"),
        Value::Float(f) => json!(format!("float:{:016x}", f.to_bits())),
        Value::Text(text) => json!(format!("str:{text}")),
        Value::Date(date) => json!(format!("date:{date}")),
        Value::Naive(time) => json!(format!("naive:{}", iso(*time))),
        Value::Aware(time, offset) => {
            let minutes = offset.abs() / 60;
            let sign = if *offset < 0 { '-' } else { '+' };
            json!(format!("aware:{}{sign}{:02}:{:02}", iso(*time), minutes / 60, minutes % 60))
        }
        Value::Bytes(bytes) => json!(format!("bytes:{}", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>())),
        Value::List(items) => items.iter().map(describe).collect(),
        Value::Set(items) => {
            let mut items: Vec<String> = items.iter().map(|item| describe(item).to_string()).collect();
            items.sort();
            json!({"set": items})
        }
        Value::Map(entries) => {
            json!({"map": entries.iter().map(|(k, v)| json!([describe(k), describe(v)])).collect::<Vec<_>>()})
        }
    }
}

fn iso(time: jiff::civil::DateTime) -> String {
    let whole = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    match time.subsec_nanosecond() / 1000 {
        0 => whole,
        micros => format!("{whole}.{micros:06}"),
    }
}

/// Asks a driver under `python/` about all texts at once.
pub fn ask(driver: &str, texts: &[String]) -> Vec<Json> {
    let mut python = Command::new(crate::support::python())
        .arg(format!("{}/tests/it/python/{driver}", env!("CARGO_MANIFEST_DIR")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let input = serde_json::to_vec(texts).expect("texts are JSON");
    let mut stdin = python.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = python.wait_with_output().expect("Python ends");
    writer.join().expect("the writer ends").expect("Python reads everything");
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).expect("Python answers in JSON")
}

/// Where our reading and Python's answer differ without being known to.
fn difference(text: &str, python: &Json) -> Option<String> {
    let ours = load(text);
    assert!(!ours.as_ref().is_err_and(|errors| errors[0].code == "E0118"), "it panicked on {text:?}");
    let notes: Vec<&str> = python["notes"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    match (&ours, python.get("value")) {
        (Err(_), None) => None,
        (Err(errors), Some(_))
            if KNOWN.iter().any(|(note, code, _)| notes.contains(note) && errors.iter().any(|e| e.code == *code)) =>
        {
            None
        }
        (Ok(document), Some(value)) if notes.is_empty() && describe(&document.root) == *value => None,
        (Ok(document), _) => Some(format!("{text:?}\n  Python: {python}\n  ours:   {}", describe(&document.root))),
        (Err(errors), _) => {
            Some(format!("{text:?}\n  Python: {python}\n  ours:   {} {}", errors[0].code, errors[0].message))
        }
    }
}

fn assert_same_as_python(texts: &[String]) {
    let answers = ask("yaml_load.py", texts);
    assert_eq!(answers.len(), texts.len());
    let accepted = answers.iter().filter(|answer| answer.get("value").is_some()).count();
    assert!(
        accepted * 20 > texts.len(),
        "only {accepted} of {} texts are YAML: the comparison says little",
        texts.len()
    );
    println!("{} texts, {accepted} of them accepted by PyYAML", texts.len());
    let differences: Vec<String> =
        texts.iter().zip(&answers).filter_map(|(text, answer)| difference(text, answer)).collect();
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}",
        differences.len(),
        texts.len(),
        differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}

/// How many times as many random texts as usual.
fn rounds() -> usize {
    std::env::var("YAML_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

fn cases() -> serde_json::Map<String, Json> {
    serde_json::from_str(CASES).expect("kept answers are JSON")
}

#[test]
fn kept_answers_of_pyyaml() {
    for (name, case) in cases() {
        let ours = load(case["text"].as_str().expect("a text"));
        match case.get("value") {
            Some(value) => assert_eq!(ours.as_ref().map(|d| describe(&d.root)).as_ref(), Ok(value), "{name}"),
            None => assert!(ours.is_err(), "{name}: {ours:?}"),
        }
    }
}

#[test]
fn scalars_in_every_position_as_pyyaml() {
    assert_same_as_python(&generate::grid());
}

#[test]
fn random_documents_as_pyyaml() {
    let mut random = Random::new(1);
    let texts: Vec<String> = (0..4000 * rounds()).map(|_| generate::document(&mut random)).collect();
    assert_same_as_python(&texts);
}

#[test]
fn damaged_documents_as_pyyaml() {
    let mut random = Random::new(2);
    let cases: Vec<String> = cases()
        .values()
        .map(|case| case["text"].as_str().expect("a text").to_owned())
        .filter(|text| text.len() < 1000)
        .collect();
    let texts: Vec<String> = (0..6000 * rounds())
        .map(|i| {
            let whole = match i % 20 {
                0 => SAMPLE.to_owned(),
                1..10 => generate::excerpt(&mut random, SAMPLE),
                10..16 => cases[random.below(cases.len())].clone(),
                _ => generate::document(&mut random),
            };
            generate::damage(&mut random, &whole)
        })
        .collect();
    assert_same_as_python(&texts);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let result = read(&RepoPath::new("a.yaml"), &bytes);
        prop_assert!(!result.is_err_and(|errors| errors.is_empty() || errors.iter().any(|error| error.code == "E0118")));
    }

    #[test]
    fn spans_stay_inside_the_file(text in "[-a1:?,{}#&*!|>'\"%@ \\t\\n\\[\\]é\u{2028}\\\\.<=]{0,60}") {
        match load(&text) {
            Ok(document) => {
                assert_spans(&document.root, &text);
            }
            Err(errors) => for error in errors {
                prop_assert_ne!(error.code, "E0118");
                for label in &error.labels {
                    let span = label.origin.span;
                    prop_assert!(text.get(span.start..span.end).is_some() && span.line > 0 && span.column > 0, "{error:?}");
                }
            },
        }
    }
}

fn assert_spans(node: &Node, text: &str) {
    let span = node.span;
    assert!(text.get(span.start..span.end).is_some(), "{span:?} in {text:?}");
    let line = text.get(..span.start).expect("a boundary").rsplit(['\n', '\r', '\u{2028}']).next().expect("a line");
    assert_eq!(line.trim_start_matches('\u{feff}').chars().count() + 1, span.column as usize, "{span:?} in {text:?}");
    for (key, value) in node.entries() {
        assert_spans(key, text);
        assert_spans(value, text);
    }
    for item in node.items() {
        assert_spans(item, text);
    }
}

/// The codes of a refusal.
fn refusal(text: &str) -> Vec<&'static str> {
    load(text).expect_err("it must be refused").iter().map(|error| error.code).collect()
}

/// `a0`, then each next value made of the one before by `next`.
fn chain(first: &str, steps: usize, next: impl Fn(String) -> String) -> String {
    let mut text = format!("v0: &a0 {first}\n");
    for i in 1..=steps {
        text.push_str(&format!("v{i}: &a{i} {}\n", next(format!("*a{}", i - 1))));
    }
    text
}

#[test]
fn hostile_files_are_refused() {
    let bomb = chain("[x, x, x, x, x, x, x, x, x]", 9, |a| format!("[{}]", vec![a; 9].join(", ")));
    assert_eq!(refusal(&bomb), ["E0117"]);
    let merge_bomb = chain("{k: 1}", 60, |a| format!("{{<<: [{a}, {a}]}}"));
    assert_eq!(refusal(&merge_bomb), ["E0117"]);
    let text_bomb = format!("a: &a {}\nb: [{}]\n", "x".repeat(1_000_000), vec!["*a"; 1000].join(", "));
    assert_eq!(refusal(&text_bomb), ["E0117"]);
    assert_eq!(refusal(&chain("[]", 5000, |a| format!("[{a}]"))), ["E0117"]);
    assert_eq!(refusal(&"[".repeat(100_000)), ["E0117"]);
    assert_eq!(refusal(&"{a: ".repeat(100_000)), ["E0117"]);
    assert_eq!(refusal(&"[\n".repeat(100_000)), ["E0117"]);
    assert_eq!(refusal(&"- ".repeat(100_000)), ["E0117"]);
    assert_eq!(refusal(&"? ".repeat(100_000)), ["E0117"]);
    assert_eq!(refusal(&(0..5000).map(|i| format!("{}a:\n", " ".repeat(i))).collect::<String>()), ["E0117"]);
    assert_eq!(refusal(&format!("[{}]", "a,".repeat(1_100_000))), ["E0117"]);
    assert_eq!(refusal(&" ".repeat(17 * 1024 * 1024)), ["E0101"]);
    assert_eq!(refusal(&format!("a: \"{}", "x".repeat(5_000_000))), ["E0108"]);
    assert_eq!(refusal(&format!("{}: 1", "&".repeat(1_000_000))), ["E0106"]);
    assert_eq!(refusal(&format!("a: !{}\u{7}", "x".repeat(100_000))), ["E0102"]);
    assert!(load(&format!("a: {}\n", "x ".repeat(1_000_000))).is_ok());
    assert!(load(&"\n".repeat(3_000_000)).is_ok());
}

#[test]
fn the_deepest_that_is_accepted() {
    let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(load(&nest(100)).is_ok());
    assert_eq!(refusal(&nest(101)), ["E0117"]);
    assert!(load(&chain("[]", 98, |a| format!("[{a}]"))).is_ok());
    assert_eq!(refusal(&chain("[]", 110, |a| format!("[{a}]"))), ["E0117"]);
}
