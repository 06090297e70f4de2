//! Workers that are killed at any moment: no run is lost, none runs twice.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::site::Site;
use crate::support::chaos::is_full;

/// How many runs there are, and how often their worker is killed.
const RUNS: usize = 30;
const KILLS: u64 = 20;

#[test]
fn workers_that_are_killed_again_and_again_lose_no_run_and_run_none_twice() {
    survive("chaos", &[]);
}

#[test]
fn nor_do_those_that_fork_their_runs() {
    survive("warm-chaos", &["--warm", "1"]);
}

/// Runs that are due, and workers with these options, each of which is killed at a moment that nobody chose.
fn survive(pool: &str, options: &[&str]) {
    if !is_full() {
        return eprintln!("skipped: killing workers takes minutes; RECONCILE_TEST_FULL=1 asks for it");
    }
    let site = Site::new(pool);
    let deployment = site.deploy("marked", json!({}));
    let name = |n: usize| format!("run-{n}");
    let runs: Vec<String> = (0..RUNS).map(|n| site.run(&deployment, json!({ "name": name(n) }))).collect();
    let mut dice = 0x5eed_u64;
    for _ in 0..KILLS {
        let mut worker = site.worker(&[&["--name", "mortal", "--limit", "4"], options].concat());
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        sleep(Duration::from_millis(200 + (dice >> 33) % 6000));
        worker.signal("KILL");
        worker.wait();
    }
    let mut last = site.worker(&[&["--name", "last", "--limit", "4"], options].concat());
    let mut unstarted = 0;
    for (n, run) in runs.iter().enumerate() {
        let state = site.end(run);
        let started = fs::read_dir(site.notes()).unwrap().filter(|entry| {
            let mark = entry.as_ref().unwrap().file_name().into_string().unwrap();
            mark.starts_with(&format!("{}.", name(n)))
        });
        match (state["name"].as_str().unwrap(), started.count()) {
            ("Completed", 1) => {}
            ("Crashed", 0) => {
                unstarted += 1;
                let message = "The worker that had taken this flow run died before it had started it.";
                assert_eq!(state["message"], message);
            }
            (_, count) => panic!("{} started {count} times: {state}", name(n)),
        }
    }
    eprintln!("{pool}: {RUNS} runs, {KILLS} kills: {unstarted} were taken and never started, all others completed");
    last.signal("TERM");
    assert_eq!((last.wait(), site.noted()), (Some(0), 0));
}
