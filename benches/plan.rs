//! What takes no API, on 1,000 deployments over 50 flow files: start-up included, as a user waits for it.
//!
//! `cargo bench --bench plan`. Prints the median of the rounds; nothing is asserted about time.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark may panic, and touches the world")]

mod measure;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::Duration;

use measure::{cost, median, project, shown};
use support::project::Project;

const DEPLOYMENTS: usize = 1000;
const ROUNDS: u32 = 20;

fn main() {
    let project = Project::new();
    project::write(&project.path(), DEPLOYMENTS);
    let project = project.git_init(None);
    println!("{DEPLOYMENTS} deployments over {} flow files, {ROUNDS} rounds", project::FLOWS);
    println!("{:<28} {:>10} {:>10} {:>9}", "command", "median", "CPU", "peak");
    timed(&project, &["--version"], "reconcile");
    timed(&project, &["validate"], "Valid: 1000 deployments");
    timed(&project, &["plan"], "Plan: 1000 to create");
    timed(&project, &["plan", "--json"], "\"create\": 1000");
    timed(&project, &["plan", "--base", "HEAD"], "Plan: nothing to do, 1000 unchanged");
    project::declare(&project.path(), DEPLOYMENTS, Some(500));
    timed(&project, &["plan", "--base", "HEAD"], "Plan: 1 to update, 999 unchanged");
}

fn timed(project: &Project, arguments: &[&str], expected: &str) {
    let runs: Vec<cost::Cost> =
        (0..ROUNDS).map(|_| cost::run(project.reconcile_command().args(arguments)).good()).collect();
    // Over all rounds, for the clock of CPU time is coarse.
    let cpu: Duration = runs.iter().map(|run| run.cpu).sum();
    for run in &runs {
        assert!(run.stdout.contains(expected), "{}", run.stdout);
    }
    println!(
        "{:<28} {:>10} {:>10} {:>6.1} MB",
        arguments.join(" "),
        shown(median(runs.iter().map(|run| run.wall).collect())),
        shown(cpu / ROUNDS),
        runs.iter().map(|run| run.peak_mb).fold(0.0, f64::max),
    );
}
