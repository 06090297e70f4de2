//! What the user sees of a plan, for one small project each: `tests/cases/NAME/`.
//!
//! `input/` is the project, `server.json` what the API holds (none: no API), `ledger.json` what is ours, `case.json`
//! the environment and git facts. `input/flows.py` is that of `tests/cases/flows.py` unless the case has its own.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use reconcile::model::RepoPath;
use reconcile::reconcile::read::read;
use reconcile::report::text::{self, Look};
use reconcile::report::{diagnostics, github, markdown, sarif};
use reconcile::source::GitFacts;
use serde_json::Value;

use crate::support::offline::{self, Offline, World};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
const COMMIT: &str = "3f2c1a98b7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2";

#[test]
fn plans_read_as_they_always_did() {
    let mut cases: Vec<_> =
        fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_dir()).collect();
    cases.sort();
    assert!(cases.len() >= 25, "{} cases", cases.len());
    let failed: Vec<_> = cases.iter().filter(|case| catch_unwind(AssertUnwindSafe(|| check(case))).is_err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

fn check(case: &Path) {
    let home = tempfile::tempdir().unwrap();
    let project = home.path().join("project");
    copy(&case.join("input"), &project);
    if !project.join("flows.py").exists() {
        fs::copy(Path::new(CASES).join("flows.py"), project.join("flows.py")).unwrap();
    }
    let told = pass(case, &project);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(case);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // Where the directory is part of the plan, it is part of its digest.
    let place = project.canonicalize().unwrap().display().to_string();
    let vary = told.report.to_json().to_string().contains(&place);
    let fixed = |text: String| match vary {
        true => {
            text.replace(&place, "/home/ada/project").replace(&told.report.digest, "sha256:(depends on the directory)")
        }
        false => text,
    };
    settings.bind(|| {
        insta::assert_snapshot!("plan.txt", fixed(on_a_terminal(&told)));
        insta::assert_snapshot!("plan.md", fixed(markdown::plan(&told.report)));
        insta::assert_snapshot!("plan.json", fixed(format!("{:#}", told.report.to_json())));
        if case.join("case.json").exists() && json(&case.join("case.json"))["annotations"] == true {
            insta::assert_snapshot!("plan.github", fixed(github::annotations(&told.report)));
            let sarif = format!("{:#}", sarif::sarif(told.diagnostics()));
            let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
            insta::assert_snapshot!("plan.sarif", fixed(sarif.replace(&version, "\"version\": \"(ours)\"")));
        }
    });
}

/// stderr, then stdout.
fn on_a_terminal(told: &Offline) -> String {
    let problems = diagnostics::render(told.diagnostics(), &told.texts, false);
    let plan = match told.decided.is_invalid() {
        true => "(no plan)\n".to_owned(),
        false => text::plan(&told.report, Look { colour: false, full: false }),
    };
    if problems.is_empty() { plan } else { format!("{problems}\n\n{plan}") }
}

fn pass(case: &Path, project: &Path) -> Offline {
    let about = json(&case.join("case.json"));
    let mut request = offline::request(project);
    for (name, value) in about["env"].as_object().into_iter().flatten() {
        request.environment.insert(name.clone(), value.as_str().unwrap().to_owned());
    }
    request.resolve_secrets = about["resolve_secrets"] == true;
    request.env_name = about["environment"].as_str().map(str::to_owned);
    request.selection.names =
        about["names"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect();
    let mut reading = read(&request).unwrap();
    reading.git = about["git"].as_object().map(|git| GitFacts {
        root: project.to_owned(),
        subdir: RepoPath::new(""),
        commit: COMMIT.to_owned(),
        branch: git["branch"].as_str().unwrap().to_owned(),
        message: "Greet more people".to_owned(),
        remote_url: git.get("remote").map(|url| url.as_str().unwrap().to_owned()),
        dirty: git.get("dirty").is_some_and(|dirty| dirty == true),
    });
    let world = case.join("server.json").exists().then(|| World::read(&json(&case.join("server.json"))));
    offline::pass_over(&request, world.as_ref(), &offline::ledger(&json(&case.join("ledger.json"))), reading)
}

/// The value of a file; null if there is none.
fn json(file: &Path) -> Value {
    match fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display())),
        Err(_) => Value::Null,
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
