//! Whole projects: what `reconcile apply` leaves on a fresh server is what `prefect deploy` leaves.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::fixture::{Fixture, for_each};
use crate::support::project::{Output, Project};
use crate::support::server::Server;
use crate::support::workspace::{Workspace, differences};

/// Nothing but the programs under test changes these servers.
const STILL: [(&str, &str); 2] =
    [("PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED", "false"), ("PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED", "false")];

/// Every project of `tests/parity`. `PARITY=word` runs those whose name contains the word; the states of those that
/// differ are written to cargo's directory for tests.
#[test]
fn projects_are_deployed_as_prefect_does() {
    for_each(&Fixture::all(), &STILL, checked);
}

/// What the real `prefect deploy` made of a project.
#[derive(Debug, Serialize, Deserialize)]
struct Theirs {
    code: i32,
    said: String,
    /// What the server held then, of a project that it took.
    state: Value,
    /// The same for what is written beside a case that it refused.
    like: Value,
}

/// Asks Prefect, once: answers are kept in cargo's directory for tests until the fixture changes.
fn theirs(fixture: &Fixture, project: &Project, workspace: &Workspace) -> Theirs {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("prefect.{}.json", fixture.digest()));
    if let Ok(kept) = fs::read(&file) {
        return serde_json::from_slice(&kept).unwrap();
    }
    fixture.prepare(workspace);
    let output = project.prefect(&fixture.deploy());
    let mut theirs = Theirs { code: output.code, said: told(&output), state: Value::Null, like: Value::Null };
    if output.code == 0 {
        theirs.state = seen(workspace, project);
    } else if fixture.why_accepted().is_some() {
        fixture.say_it_as_prefect_does(project);
        project.prefect(&fixture.deploy()).exits(0);
        theirs.like = seen(workspace, project);
        fixture.say_it_as_given(project);
    }
    workspace.wipe();
    fs::write(file, serde_json::to_vec(&theirs).unwrap()).unwrap();
    theirs
}

fn checked(fixture: &Fixture, server: &Server) -> Vec<String> {
    let (project, workspace) = (fixture.project(&server.url), Workspace::of(&server.url));
    let theirs = theirs(fixture, &project, &workspace);
    fixture.prepare(&workspace);
    let before = seen(&workspace, &project);
    let ours = project.reconcile(&fixture.apply());
    let after = seen(&workspace, &project);
    match (theirs.code, fixture.setup.refused, fixture.why_accepted()) {
        (0, false, None) => compared(fixture, &ours, &theirs.state, &after),
        (0, ..) => vec!["prefect deploy takes it".to_owned()],
        (_, false, Some(_)) => compared(fixture, &ours, &theirs.like, &after),
        (_, true, _) => refused(&ours, &before, &after),
        (_, false, None) => vec![format!("prefect deploy {}", theirs.said)],
    }
}

fn seen(workspace: &Workspace, project: &Project) -> Value {
    let path = project.path().canonicalize().unwrap().display().to_string();
    let state = workspace.state().to_string().replace(&path, "<project>");
    serde_json::from_str(&state).unwrap()
}

/// We refuse what Prefect refuses, and leave nothing behind.
fn refused(ours: &Output, before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if !matches!(ours.code, 1 | 4) {
        found.push(format!("reconcile apply {}", told(ours)));
    }
    if ours.stderr.trim().is_empty() {
        found.push("nothing is said about it".to_owned());
    }
    found.extend(differences(before, after).into_iter().map(|line| format!("left behind: {line}")));
    found
}

/// The differences that are not listed in the fixture, and those listed that are none.
fn compared(fixture: &Fixture, ours: &Output, expected: &Value, found: &Value) -> Vec<String> {
    if ours.code != 0 {
        return vec![format!("reconcile apply {}", told(ours))];
    }
    let lines = differences(expected, found);
    let place = |line: &str| line.split_once(": ").map_or(line, |(place, _)| place).to_owned();
    let places: BTreeSet<String> = lines.iter().map(|line| place(line)).collect();
    let meant = &fixture.setup.differs;
    let missing = meant.keys().filter(|place| !places.contains(*place)).map(|place| format!("{place}: no difference"));
    let mut complaints: Vec<String> = lines.iter().filter(|line| !meant.contains_key(&place(line))).cloned().collect();
    complaints.extend(missing);
    if !complaints.is_empty() {
        keep(fixture, "prefect", expected);
        keep(fixture, "reconcile", found);
    }
    complaints
}

fn keep(fixture: &Fixture, of: &str, state: &Value) {
    let name = fixture.name.replace('/', ".");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("parity.{name}.{of}.json"));
    fs::write(file, serde_json::to_string_pretty(state).unwrap()).unwrap();
}

fn told(output: &Output) -> String {
    format!(
        "ended with {}
{}{}",
        output.code, output.stdout, output.stderr
    )
}
