//! Flow files: any Python text gets an answer, the same each time, that asks only for what it has not seen.
//!
//! A line `# file: NAME.py` begins another file of the repository; the first one is `flows.py`.

use std::collections::BTreeMap;
use std::sync::Arc;

use reconcile::flow::{Answer, Entrypoint, Sources, facts};
use reconcile::model::RepoPath;

use crate::common::{assert_inside, check_diagnostics, texts};

/// So many names of a file are asked about.
const NAMES: usize = 3;

/// A file asks for others at most this often: each round is another import.
const ROUNDS: usize = 200;

/// Reads the bytes as a repository of Python files.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let files = files(text);
    for name in names(&files["flows.py"]) {
        let Ok(entrypoint) = format!("flows.py:{name}").parse::<Entrypoint>() else { continue };
        let answer = answer(&entrypoint, &files);
        check_answer(&answer, &files);
        assert_eq!(answer, self::answer(&entrypoint, &files), "the same files give two answers");
    }
}

fn files(text: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut name = "flows.py".to_owned();
    let mut body = String::new();
    for line in text.split_inclusive('\n') {
        match line.trim_end().strip_prefix("# file: ") {
            Some(next) => {
                files.insert(std::mem::replace(&mut name, next.to_owned()), std::mem::take(&mut body));
            }
            None => body.push_str(line),
        }
    }
    files.entry(name).or_insert(body);
    files.entry("flows.py".to_owned()).or_default();
    files
}

/// What the text defines, last first, and a name that it may lack.
fn names(text: &str) -> Vec<String> {
    let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let line = line.trim_start();
            let rest = line.strip_prefix("async def ").or_else(|| line.strip_prefix("def "));
            let name = rest.map(word).or_else(|| line.split_once(" = ").map(|(name, _)| word(name)));
            name.filter(|name| !name.is_empty())
        })
        .collect();
    names.reverse();
    names.truncate(NAMES);
    if names.is_empty() {
        names.push("f".to_owned());
    }
    names
}

fn answer(entrypoint: &Entrypoint, files: &BTreeMap<String, String>) -> Answer {
    let mut sources = Sources::new();
    for _ in 0..ROUNDS {
        match facts(entrypoint, &RepoPath::new(""), &sources) {
            Answer::NeedsFiles(paths) => {
                assert!(paths.iter().any(|path| sources.get(path).is_none()), "it asks for what it has: {paths:?}");
                for path in paths {
                    let text = files.get(path.as_str()).map(|text| Arc::from(text.as_str()));
                    sources.insert(path, text);
                }
            }
            answer @ (Answer::Known { .. } | Answer::NeedsPython(_) | Answer::Invalid(_)) => return answer,
        }
    }
    panic!("it asks for ever");
}

fn check_answer(answer: &Answer, files: &BTreeMap<String, String>) {
    let paths: Vec<(RepoPath, &str)> = files.iter().map(|(path, text)| (RepoPath::new(path), text.as_str())).collect();
    let texts = texts(&paths.iter().map(|(path, text)| (path, *text)).collect::<Vec<_>>());
    match answer {
        Answer::Known { facts, files } => {
            assert!(files.contains(&RepoPath::new("flows.py")));
            assert!(!facts.name.is_empty() || facts.schema.is_object());
            assert_eq!(facts.schema["type"], "object", "{:?}", facts.schema);
            assert!(facts.schema["properties"].is_object());
        }
        Answer::NeedsPython(unsure) => {
            assert!(!unsure.reasons.is_empty(), "it does not say why");
            for reason in &unsure.reasons {
                assert_ne!(reason.text, "the code could not be followed", "the reader gave up");
                assert!(!reason.text.is_empty());
                if let Some(origin) = &reason.origin
                    && let Some(text) = texts.get(&origin.file)
                {
                    assert_inside(origin.span, text);
                }
            }
        }
        Answer::Invalid(diagnostics) => {
            assert!(!diagnostics.is_empty(), "refused without a word");
            check_diagnostics(diagnostics, &texts);
        }
        Answer::NeedsFiles(_) => unreachable!("asked until it answers"),
    }
}
