//! A worker that forks run after run, and in the end has no more memory, files or programs than near the beginning.
//!
//! `RECONCILE_TEST_SOAK_RUNS=2000 cargo test --test it -- --nocapture worker::soak` takes it through so many.

use std::fs;
use std::time::Instant;

use serde_json::json;

use super::site::{Site, wait_for};
use super::warm::forkserver;
use crate::support::sample::Sample;
use crate::support::skip::skipped;

/// So many runs wait for a place or are under way at any time.
const AHEAD: usize = 12;
/// It is looked at so often.
const SAMPLES: usize = 100;

#[test]
fn a_worker_runs_for_long_and_does_not_grow() {
    let runs = std::env::var("RECONCILE_TEST_SOAK_RUNS").ok().and_then(|text| text.parse::<usize>().ok());
    let Some(runs) = runs else {
        return skipped("it takes half an hour; RECONCILE_TEST_SOAK_RUNS=2000 asks for so many runs");
    };
    let site = Site::new("soaked");
    let deployment = site.deploy("hello", json!({"job_variables": {"stream_output": false}}));
    let temporary = site.project.home().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let env = [("TMPDIR", temporary.to_str().unwrap())];
    let mut worker = site.worker_with(&["--warm", "1", "--limit", "4"], &env);
    let (ours, warm) = (worker.child.id(), forkserver(&worker));
    let of = |kinds: &[&str]| {
        let filter = json!({"flow_runs": {
            "deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": kinds}},
        }});
        usize::try_from(site.http.post("/flow_runs/count", filter).as_u64().unwrap()).unwrap()
    };
    let (began, mut made) = (Instant::now(), 0);
    let mut samples: Vec<(Sample, Sample)> = Vec::new();
    let ended = wait_while_progress(
        || {
            let ended = of(&["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]);
            while made < runs.min(ended + AHEAD) {
                site.run(&deployment, json!({}));
                made += 1;
            }
            if ended * SAMPLES / runs > samples.len() {
                let of = |pid: u32| Sample::of(pid, &temporary);
                samples.push((of(ours), of(warm.parse().unwrap())));
            }
            ended
        },
        runs,
    );
    let took = began.elapsed().as_secs_f64();
    assert_eq!((ended, of(&["COMPLETED"])), (runs, runs), "{}", worker.log());
    let (workers, interpreters): (Vec<Sample>, Vec<Sample>) = samples.into_iter().unzip();
    let (all, per_minute) = (format!("{runs} runs in {took:.0} s"), runs as f64 / took * 60.0);
    println!("{all}, {per_minute:.0} a minute");
    for (who, samples) in [("worker", workers), ("warm interpreter", interpreters)] {
        let (early, late) = Sample::compare(&samples);
        println!("  {who}, after the first fifth: {early}\n  {who}, in the last fifth: {late}");
        late.is_no_more_than(&early);
    }
    assert!(wait_for(|| (site.noted() == 0).then_some(())).is_some(), "{} noted", site.noted());
    worker.signal("TERM");
    assert_eq!(worker.wait(), Some(0));
    let left: Vec<_> = fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    println!("  left: {} notes, {} directories", site.noted(), left.len());
    assert!(left.is_empty(), "{left:?}");
}

/// Looks until it is so many, as long as it becomes more; how many it is then.
fn wait_while_progress(mut look: impl FnMut() -> usize, goal: usize) -> usize {
    let mut last = 0;
    while last < goal {
        let more = wait_for(|| Some(look()).filter(|now| *now > last));
        match more {
            Some(now) => last = now,
            None => return last,
        }
    }
    last
}
