//! The examples of README.md and docs/ are run and checked.
//!
//! | block | what happens |
//! |---|---|
//! | `console` | each `$ command` runs in a copy of `examples/hello` (of the example itself, in the README of one), one after another, and must print what follows; `$ export NAME=value` counts for the later ones |
//! | `yaml` | must pass `reconcile validate`; a first line such as `# reconcile.yaml` says which file it is |
//! | `yaml fragment` | must be YAML |
//! | `json` | must be JSON |
//! | any other | nothing |
//!
//! Among the expected lines `...` stands for any lines and `…` for any text. A command ends with status 0, or with
//! the one of a comment `# exit 2`. Only stdout is compared, and none of it if nothing is expected.

use std::path::{Path, PathBuf};

use regex::Regex;

use crate::support::docker::Engine;
use crate::support::project::{Output, Project};
use crate::support::server::Server;
use crate::support::skip;
use crate::support::workspace::Workspace;

/// A fenced block.
struct Block {
    /// What follows the fence.
    info: String,
    /// File and line, for messages.
    place: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files() -> Vec<PathBuf> {
    let list = |dir: &str| std::fs::read_dir(root().join(dir)).unwrap().map(|entry| entry.unwrap().path());
    let docs = list("docs").chain(list("docs/kinds")).filter(|path| path.extension().is_some_and(|e| e == "md"));
    let examples = list("examples").map(|path| path.join("README.md")).filter(|path| path.is_file());
    let mut files: Vec<PathBuf> = docs.chain(examples).collect();
    files.sort();
    files.insert(0, root().join("README.md"));
    assert!(files.len() > 5, "the documents were found");
    files
}

fn blocks(path: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.strip_prefix(root()).unwrap().display().to_string();
    let (mut found, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => found.extend(open.take()),
            (Some(block), _) => block.text.push_str(&format!("{line}\n")),
            (None, Some(info)) => {
                let place = format!("{name}:{}", number + 1);
                open = Some(Block { info: info.to_owned(), place, text: String::new() });
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{name}: a block is not closed");
    found
}

fn all(info: &str) -> Vec<Block> {
    let found: Vec<Block> = files().iter().flat_map(|path| blocks(path)).filter(|block| block.info == info).collect();
    assert!(!found.is_empty(), "there are blocks of `{info}`");
    found
}

/// A copy of a directory of examples in a git repository.
fn copy_of(example: &Path) -> Project {
    let project = Project::new();
    let mut left = vec![example.to_owned()];
    while let Some(dir) = left.pop() {
        for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => left.push(path),
                false => {
                    let name = path.strip_prefix(example).unwrap().to_str().unwrap();
                    project.write(name, &std::fs::read_to_string(&path).unwrap());
                }
            }
        }
    }
    project.git_init(None)
}

fn hello() -> Project {
    copy_of(&root().join("examples/hello"))
}

/// Where the commands of a document run.
fn place_of(document: &Path) -> Project {
    match document.parent().filter(|dir| dir.starts_with(root().join("examples"))) {
        Some(example) => copy_of(example),
        None => hello(),
    }
}

/// The commands of a block, each with its expected status and lines.
fn commands(block: &Block) -> Vec<(String, i32, Vec<String>)> {
    let status = Regex::new(r"^(.*?)\s+# exit (\d+)$").unwrap();
    let mut out: Vec<(String, i32, Vec<String>)> = Vec::new();
    for line in block.text.lines() {
        match (line.strip_prefix("$ "), out.last_mut()) {
            (Some(command), _) => out.push(match status.captures(command) {
                Some(found) => (found[1].to_owned(), found[2].parse().unwrap(), Vec::new()),
                None => (command.to_owned(), 0, Vec::new()),
            }),
            (None, Some((_, _, expected))) => expected.push(line.to_owned()),
            (None, None) => panic!("{}: a block begins with `$ `", block.place),
        }
    }
    out
}

/// Whether lines are as expected; `...` stands for any number of lines.
fn lines_match(expected: &[String], found: &[&str]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "..." => (0..=found.len()).any(|n| lines_match(rest, &found[n..])),
        Some((first, rest)) => {
            found.split_first().is_some_and(|(line, more)| line_matches(first, line) && lines_match(rest, more))
        }
    }
}

fn line_matches(expected: &str, found: &str) -> bool {
    let pattern = expected.trim_end().split('…').map(regex::escape).collect::<Vec<_>>().join(".*");
    Regex::new(&format!("^{pattern}$")).unwrap().is_match(found.trim_end())
}

#[test]
fn expected_output_may_leave_things_out() {
    let expected = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(lines_match(&expected("a\n...\nc…"), &["a", "b", "cd"]));
    assert!(lines_match(&expected("...\na"), &["a"]));
    assert!(!lines_match(&expected("a"), &["a", "b"]));
    assert!(!lines_match(&expected("a.c"), &["abc"]));
}

#[test]
fn console_examples_do_what_they_say() {
    let server = Server::start();
    for path in files() {
        let workspace = Workspace::of(&server.url);
        workspace.wipe();
        workspace.prepare(&[("local", serde_json::json!({"type": "process"}))], &[], &[]);
        let mut project = place_of(&path).api(&server.url).with_python();
        if path.parent().is_some_and(|example| example.ends_with("worker-docker")) {
            match Engine::shared() {
                Ok(engine) => {
                    engine.make_prefect_image("prefecthq/prefect:3.8.8-python3.12");
                    project = project.env("DOCKER_HOST", &engine.host());
                }
                Err(why) => {
                    skip::skipped(why);
                    continue;
                }
            }
        }
        for block in blocks(&path).iter().filter(|block| block.info == "console") {
            for (line, status, expected) in commands(block) {
                if let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
                    project = project.env(name, value);
                    continue;
                }
                let Output { code, stdout, stderr } = project.shell(&line);
                let told = format!("{}: $ {line}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", block.place);
                assert_eq!(code, status, "{told}");
                let lines: Vec<&str> = stdout.lines().collect();
                assert!(expected.is_empty() || lines_match(&expected, &lines), "{told}\n--- expected\n{expected:#?}");
            }
        }
    }
}

#[test]
fn yaml_examples_are_valid() {
    for block in all("yaml") {
        let project = hello().env("MODE", "test");
        let first = block.text.lines().next().and_then(|line| line.strip_prefix("# "));
        let file = first.filter(|name| name.ends_with(".yaml")).unwrap_or("prefect.yaml");
        project.write(file, &block.text);
        let Output { code, stdout, stderr } = project.shell("reconcile validate");
        assert_eq!(code, 0, "{}\n{stdout}{stderr}", block.place);
        assert!(!stdout.contains("warning"), "{}\n{stdout}{stderr}", block.place);
    }
}

#[test]
fn fragments_can_be_parsed() {
    for block in all("yaml fragment") {
        let file = reconcile::model::RepoPath::new("fragment.yaml");
        let read = reconcile::manifest::yaml::read(&file, block.text.as_bytes());
        assert!(read.is_ok(), "{}: {read:?}", block.place);
    }
    for block in all("json") {
        let read: Result<serde_json::Value, _> = serde_json::from_str(&block.text);
        assert!(read.is_ok(), "{}: {read:?}", block.place);
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#:]+)(?:#[^)]*)?\)").unwrap();
    let more = ["ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root().join(name));
    for path in files().into_iter().chain(more) {
        let text = std::fs::read_to_string(&path).unwrap();
        for found in link.captures_iter(&text) {
            let target = path.parent().unwrap().join(&found[1]);
            assert!(target.exists(), "{}: {}", path.display(), &found[1]);
        }
    }
}

#[test]
fn every_key_of_the_settings_file_is_described() {
    let text = std::fs::read_to_string(root().join("docs/reconcile-yaml.md")).unwrap();
    let source = std::fs::read_to_string(root().join("src/manifest/project/reader.rs")).unwrap();
    let table = source.split("const KEYS").nth(1).unwrap().split(';').nth(1).unwrap();
    let keys: Vec<String> =
        Regex::new(r#""(\w+)""#).unwrap().captures_iter(table).map(|found| found[1].to_owned()).collect();
    assert!(keys.len() > 15, "{keys:?}");
    let missing: Vec<&String> = keys.iter().filter(|key| !text.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
