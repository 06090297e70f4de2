//! Exactly what the user sees of a file with one problem: `tests/bad/CODE-WHAT`, in a project that is good otherwise.
//!
//! `.yaml` stands for prefect.yaml, `.reconcile.yaml` for reconcile.yaml, `.py` for flows.py; a directory is laid over
//! the project whole.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::support::project::{Output, Project};

const BAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad");

const PREFECT_YAML: &str = "deployments:\n  - name: good\n    entrypoint: flows.py:hello\n";
const FLOWS_PY: &str = include_str!("../cases/flows.py");

#[test]
fn every_problem_is_told_with_its_place_and_the_next_step() {
    let mut all: Vec<PathBuf> = fs::read_dir(BAD).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_none_or(|kind| kind != "snap"));
    all.sort();
    let codes: BTreeSet<String> = all.iter().map(|path| code(path)).collect();
    assert!(codes.len() >= 45, "{} codes", codes.len());
    let failed: Vec<_> = all.iter().filter(|path| catch_unwind(AssertUnwindSafe(|| check(path))).is_err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

fn code(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.split_once('-').expect("CODE-WHAT").0.to_owned()
}

fn check(path: &Path) {
    let code = code(path);
    let name = path.file_name().unwrap().to_str().unwrap();
    let project = project(path);
    let output = project.reconcile(&["validate"]).exits(if code.starts_with('W') { 0 } else { 4 });
    assert!(output.stderr.contains(&format!("[{code}]")), "{}", output.stderr);
    let place = project.path().canonicalize().unwrap().display().to_string();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(BAD);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, seen(&output).replace(&place, "/home/ada/project")));
}

fn project(path: &Path) -> Project {
    let project = Project::new().file("prefect.yaml", PREFECT_YAML).file("flows.py", FLOWS_PY);
    let name = path.file_name().unwrap().to_str().unwrap();
    if path.is_dir() {
        lay(path, &project.path());
    } else {
        let target = match name {
            _ if name.ends_with(".reconcile.yaml") => "reconcile.yaml",
            _ if name.ends_with(".py") => "flows.py",
            _ => "prefect.yaml",
        };
        fs::copy(path, project.path().join(target)).unwrap();
    }
    project
}

fn lay(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => lay(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn seen(output: &Output) -> String {
    format!("{}$ exit {}: {}", output.stderr, output.code, output.stdout)
}

#[test]
fn problems_that_no_file_in_git_can_show() {
    let large = Project::new().file("prefect.yaml", &"# large\n".repeat(2_200_000));
    let output = large.reconcile(&["validate"]);
    assert!(output.code != 0 && output.stderr.contains("larger than"), "{output:?}");
    let linked = Project::new().file("prefect.yaml", PREFECT_YAML).file("flows.py", FLOWS_PY);
    std::os::unix::fs::symlink("/etc", linked.path().join("outside")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", linked.path().join("blocks.yaml")).unwrap();
    let output = linked.reconcile(&["validate"]).exits(0);
    assert!(output.stderr.contains("[W0130]"), "{output:?}");
    let empty = Project::new();
    let output = empty.reconcile(&["validate"]).exits(4);
    assert!(output.stderr.contains("[E0170]") && output.stderr.contains("help"), "{output:?}");
}
