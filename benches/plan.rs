//! What takes no API, on 1,000 deployments over 50 flow files: start-up included, as a user waits for it.
//!
//! `cargo bench --bench plan`. Prints medians of the rounds, as rows for docs/performance.md; no time is asserted.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark may panic, and touches the world")]

mod measure;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::Duration;

use measure::table::Aims;
use measure::{cost, median, project, shown};
use support::project::Project;

const DEPLOYMENTS: usize = 1000;
const ROUNDS: u32 = 20;

fn main() {
    let project = Project::new();
    project::write(&project.path(), DEPLOYMENTS);
    let project = project.git_init(None);
    println!("{DEPLOYMENTS} deployments over {} flow files, {ROUNDS} rounds\n", project::FLOWS);
    println!("| | Wall | CPU | Peak memory |\n|---|---|---|---|");
    let version = timed(&project, &["--version"], "reconcile");
    timed(&project, &["validate"], "Valid: 1000 deployments");
    let plan = timed(&project, &["plan"], "Plan: 1000 to create");
    timed(&project, &["plan", "--json"], "\"create\": 1000");
    let base = timed(&project, &["plan", "--base", "HEAD"], "Plan: nothing to do, 1000 unchanged");
    project::declare(&project.path(), DEPLOYMENTS, Some(500));
    timed(&project, &["plan", "--base", "HEAD"], "Plan: 1 to update, 999 unchanged");
    let mut aims = Aims::default();
    aims.within("`plan --base` of 1,000 below 150 ms", base.0, 150.0);
    aims.within("`--version` below 15 ms", version.0, 15.0);
    for (what, (_, peak)) in [("plan", plan), ("plan --base", base)] {
        aims.at_most(&format!("peak memory below 60 MB, `{what}` of 1,000"), peak, 60.0, &format!("{peak:.0} MB"));
    }
    aims.print();
}

/// Prints a row. Gives the median wall time, and the highest memory in MB.
fn timed(project: &Project, arguments: &[&str], expected: &str) -> (Duration, f64) {
    let runs: Vec<cost::Cost> =
        (0..ROUNDS).map(|_| cost::run(project.reconcile_command().args(arguments)).good()).collect();
    // Over all rounds, for the clock of CPU time is coarse.
    let cpu: Duration = runs.iter().map(|run| run.cpu).sum();
    for run in &runs {
        assert!(run.stdout.contains(expected), "{}", run.stdout);
    }
    let wall = median(runs.iter().map(|run| run.wall).collect());
    let peak = runs.iter().map(|run| run.peak_mb).fold(0.0, f64::max);
    println!("| `reconcile {}` | {} | {} | {peak:.0} MB |", arguments.join(" "), shown(wall), shown(cpu / ROUNDS));
    (wall, peak)
}
