//! Whole projects: what `reconcile apply` leaves on a fresh server is what `prefect deploy` leaves.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::fixture::{Fixture, for_each};
use crate::support::project::Output;
use crate::support::server::Server;
use crate::support::workspace::{Workspace, differences};

/// Nothing but the programs under test changes these servers.
const STILL: [(&str, &str); 2] = [
    ("PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED", "false"),
    ("PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED", "false"),
];

/// Every project of `tests/parity`. `PARITY=word` runs those whose name contains the word; the states of those that
/// differ are written to cargo's directory for tests.
#[test]
fn projects_are_deployed_as_prefect_does() {
    for_each(&Fixture::all(), &STILL, |fixture, server| match () {
        () if fixture.setup.refused => refused(fixture, server),
        () if fixture.why_accepted().is_some() => accepted(fixture, server),
        () => same(fixture, server),
    });
}

fn same(fixture: &Fixture, server: &Server) -> Vec<String> {
    let (project, workspace) = (fixture.project(&server.url), Workspace::of(&server.url));
    fixture.prepare(&workspace);
    let theirs = project.prefect(&fixture.deploy());
    if theirs.code != 0 {
        return vec![told("prefect deploy", &theirs)];
    }
    let expected = workspace.state();
    workspace.wipe();
    fixture.prepare(&workspace);
    let ours = project.reconcile(&fixture.apply());
    if ours.code != 0 {
        return vec![told("reconcile apply", &ours)];
    }
    compared(fixture, &expected, &workspace.state())
}

/// Prefect refuses the project, and takes what is written beside it; we make the same of both.
fn accepted(fixture: &Fixture, server: &Server) -> Vec<String> {
    let (project, workspace) = (fixture.project(&server.url), Workspace::of(&server.url));
    fixture.prepare(&workspace);
    let theirs = project.prefect(&fixture.deploy());
    if theirs.code == 0 {
        return vec!["prefect deploy takes it: nothing is to be listed".to_owned()];
    }
    fixture.say_it_as_prefect_does(&project);
    let theirs = project.prefect(&fixture.deploy());
    if theirs.code != 0 {
        return vec![told("prefect deploy (like)", &theirs)];
    }
    let expected = workspace.state();
    workspace.wipe();
    fixture.prepare(&workspace);
    fixture.say_it_as_given(&project);
    let ours = project.reconcile(&fixture.apply());
    if ours.code != 0 {
        return vec![told("reconcile apply", &ours)];
    }
    compared(fixture, &expected, &workspace.state())
}

/// We refuse what Prefect refuses, and leave nothing behind.
fn refused(fixture: &Fixture, server: &Server) -> Vec<String> {
    let (project, workspace) = (fixture.project(&server.url), Workspace::of(&server.url));
    fixture.prepare(&workspace);
    let theirs = project.prefect(&fixture.deploy());
    if theirs.code == 0 {
        return vec!["prefect deploy takes it".to_owned()];
    }
    workspace.wipe();
    fixture.prepare(&workspace);
    let before = workspace.state();
    let ours = project.reconcile(&fixture.apply());
    let mut found = Vec::new();
    if !matches!(ours.code, 1 | 4) {
        found.push(told("reconcile apply", &ours));
    }
    if ours.stderr.trim().is_empty() {
        found.push("nothing is said about it".to_owned());
    }
    found.extend(differences(&before, &workspace.state()).into_iter().map(|line| format!("left behind: {line}")));
    found
}

/// The differences that are not listed in the fixture, and those listed that are none.
fn compared(fixture: &Fixture, expected: &Value, found: &Value) -> Vec<String> {
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

fn told(program: &str, output: &Output) -> String {
    format!("{program} ended with {}\n{}{}", output.code, output.stdout, output.stderr)
}
