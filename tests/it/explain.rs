//! Every code has one page, and every page a code that is in use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;

use reconcile::explain::{PAGES, page};

/// Lines longer than this are awkward in a terminal.
const WIDTH: usize = 120;

/// The sources of the program, with paths below `src`, in order.
pub fn sources() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut dirs, mut found) = (vec![root.clone()], BTreeMap::new());
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(&root).unwrap().to_owned(), text);
            }
        }
    }
    assert!(found.len() > 100, "the sources were found");
    found
}

/// The codes that the sources use, apart from the pages themselves.
fn used() -> BTreeSet<String> {
    let code = Regex::new(r#""([EW]0\d{3})""#).unwrap();
    let files = sources().into_iter().filter(|(path, _)| !path.starts_with("explain"));
    files.flat_map(|(_, text)| code.captures_iter(&text).map(|found| found[1].to_owned()).collect::<Vec<_>>()).collect()
}

#[test]
fn every_code_has_a_page() {
    let missing: Vec<String> = used().into_iter().filter(|code| page(code).is_none()).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_page_has_a_code_in_use() {
    let used = used();
    let idle: Vec<&str> = PAGES.iter().map(|page| page.code).filter(|code| !used.contains(*code)).collect();
    assert_eq!(idle, Vec::<&str>::new());
}

#[test]
fn pages_are_in_order_and_there_is_one_of_each() {
    let order = |code: &str| (code[1..].to_owned(), code[..1].to_owned());
    for pair in PAGES.windows(2) {
        assert!(order(pair[0].code) < order(pair[1].code), "{} before {}", pair[0].code, pair[1].code);
    }
}

#[test]
fn pages_read_like_pages() {
    for page in PAGES.iter() {
        assert!(!page.title.ends_with('.') && page.title.starts_with(char::is_uppercase), "{}: title", page.code);
        assert!(page.text.len() > 60 && !page.text.ends_with('\n'), "{}: text", page.code);
        for line in page.title.lines().chain(page.text.lines()) {
            assert!(line.chars().count() <= WIDTH && line.trim_end() == line, "{}: `{line}`", page.code);
        }
    }
}
