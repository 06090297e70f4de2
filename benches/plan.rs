//! How long a plan of 1,000 deployments over 50 flow files takes without an API: reading, flows, deciding, rendering.
//!
//! `cargo bench --bench plan`. Prints the best and the median of the rounds; nothing is asserted about time.
#![expect(clippy::disallowed_methods, reason = "a benchmark touches disk and clock")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const DEPLOYMENTS: usize = 1000;
const FLOWS: usize = 50;
const ROUNDS: usize = 20;

fn main() {
    let project = tempfile::tempdir().expect("a temporary directory");
    write(project.path());
    for arguments in [["validate", "--quiet"], ["plan", "--json"]] {
        let mut rounds: Vec<Duration> = (0..ROUNDS).map(|_| once(project.path(), &arguments)).collect();
        rounds.sort();
        println!(
            "reconcile {:<16} {DEPLOYMENTS} deployments, {FLOWS} flow files: best {:?}, median {:?}",
            arguments.join(" "),
            rounds[0],
            rounds[ROUNDS / 2]
        );
    }
}

/// One run of the program, start-up included.
fn once(project: &Path, arguments: &[&str]) -> Duration {
    let started = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_reconcile"))
        .args(arguments)
        .current_dir(project)
        .env_clear()
        .env("HOME", project)
        .output()
        .expect("the program runs");
    let took = started.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    took
}

fn write(root: &Path) {
    fs::create_dir(root.join("flows")).expect("a new directory");
    for i in 0..FLOWS {
        let flow = format!(
            "from prefect import flow\n\n\n@flow(name=\"flow-{i}\")\ndef run(a: int = 1, label: str = \"x\", \
             items: list[str] | None = None) -> int:\n    \"\"\"Adds ({i}).\"\"\"\n    return a\n"
        );
        fs::write(root.join(format!("flows/flow_{i}.py")), flow).expect("a new file");
    }
    let mut yaml = String::from("deployments:\n");
    for i in 0..DEPLOYMENTS {
        let flow = i % FLOWS;
        write!(
            yaml,
            "- name: deployment-{i}\n  entrypoint: flows/flow_{flow}.py:run\n  tags: [bench, team-{}]\n  \
             parameters: {{a: {i}, label: x}}\n  schedules:\n  - {{cron: \"{} {} * * *\", slug: daily}}\n  \
             work_pool: {{name: pool, job_variables: {{env: {{N: \"{i}\"}}}}}}\n",
            i % 8,
            i % 60,
            i % 24
        )
        .expect("writing to a string");
    }
    fs::write(root.join("prefect.yaml"), yaml).expect("a new file");
}
