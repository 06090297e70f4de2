//! YAML: reading never fails on its own, has places inside the text, is repeatable, and what was read can be read again.

use reconcile::manifest::node::{Node, Value};
use reconcile::manifest::yaml::{Document, read};
use reconcile::model::RepoPath;

use crate::common::{assert_inside, check_diagnostics, texts};

/// Beyond this many bytes a document is not written and read again: aliases make large ones of small files.
const MOST_WRITTEN: usize = 1 << 20;

/// Reads the bytes as a file.
pub fn check(data: &[u8]) {
    let file = RepoPath::new("dir/prefect.yaml");
    let text = String::from_utf8_lossy(data);
    let texts = texts(&[(&file, &text)]);
    let first = read(&file, data);
    // Debug, because a NaN is not equal to itself.
    assert_eq!(format!("{first:?}"), format!("{:?}", read(&file, data)), "the same bytes give two answers");
    match first {
        Ok(Document { root, warnings }) => {
            check_diagnostics(&warnings, &texts);
            nodes(&root, &text);
            read_again(&file, &root);
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a word");
            check_diagnostics(&problems, &texts);
        }
    }
}

/// Every place is in the text; aliases may share nodes, so that a large tree of a small file is walked in part.
fn nodes(root: &Node, text: &str) {
    let mut waiting = vec![root];
    let mut seen = 0;
    while let Some(node) = waiting.pop() {
        assert_inside(node.span, text);
        seen += 1;
        if seen > 10_000 {
            return;
        }
        match &node.value {
            Value::List(items) | Value::Set(items) => waiting.extend(items),
            Value::Map(entries) => waiting.extend(entries.iter().flat_map(|(key, value)| [key, value])),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Date(_)
            | Value::Naive(_)
            | Value::Aware(..)
            | Value::Bytes(_) => {}
        }
    }
}

/// A value written in the plainest form is accepted and read as the same value.
fn read_again(file: &RepoPath, root: &Node) {
    let mut written = String::new();
    if write(root, &mut written).is_none() {
        return;
    }
    let again = read(file, written.as_bytes()).unwrap_or_else(|problems| panic!("{written}\n{problems:?}"));
    let mut rewritten = String::new();
    write(&again.root, &mut rewritten).expect("it was short enough before");
    assert_eq!(written, rewritten, "it reads as another value");
}

/// Flow style with every text in double quotes; `None` for values that have no such form, and for too much of it.
fn write(node: &Node, out: &mut String) -> Option<()> {
    if out.len() > MOST_WRITTEN {
        return None;
    }
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Bool(is) => out.push_str(if *is { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Text(text) => quote(text, out),
        Value::List(items) => {
            out.push('[');
            for item in items {
                write(item, out)?;
                out.push_str(",\n");
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (key, value) in entries {
                out.push_str("? ");
                write(key, out)?;
                out.push_str("\n: ");
                write(value, out)?;
                out.push_str(",\n");
            }
            out.push('}');
        }
        Value::Float(_) | Value::Date(_) | Value::Naive(_) | Value::Aware(..) | Value::Bytes(_) | Value::Set(_) => {
            return None;
        }
    }
    Some(())
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
}
