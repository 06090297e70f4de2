//! Workers under fire: workers, runs, warm interpreters, servers and container engines are killed, and networks cut, at
//! moments that nobody chose. Every run comes to a true end: none is lost, none runs twice, none is stuck.
//!
//! `RECONCILE_TEST_CHAOS_RUNS=100 cargo test --test it -- --nocapture --test-threads 1 worker::chaos`: so many runs, four
//! times as many warm ones, a fifth as many in containers. `RECONCILE_TEST_CHAOS_SEED` throws the same dice again.

mod dice;
mod siege;
mod verdict;

use std::time::Instant;

use serde_json::{Value, json};

use self::siege::{Fire, Siege};
use self::verdict::Verdict;
use super::docker::contained;
use super::site::wait_for;
use crate::support::docker::Engine;
use crate::support::skip::skipped;

/// Where runs run, and what can befall them there.
struct Field {
    pool: &'static str,
    kind: &'static str,
    options: &'static [&'static str],
    fires: &'static [Fire],
}

#[test]
fn runs_come_to_a_true_end_whatever_dies() {
    let fires = &[Fire::Worker, Fire::Run, Fire::Server, Fire::Network];
    let field = Field { pool: "chaos", kind: "process", options: &[], fires };
    if let Some(runs) = asked(|runs| runs) {
        survive(&field, runs, None);
    }
}

#[test]
fn so_do_those_that_are_forked() {
    let fires = &[Fire::Worker, Fire::Run, Fire::Interpreter, Fire::Server, Fire::Network];
    let field = Field { pool: "warm-chaos", kind: "process", options: &["--warm", "1"], fires };
    if let Some(runs) = asked(|runs| runs * 4) {
        survive(&field, runs, None);
    }
}

#[test]
fn so_do_those_in_containers() {
    let fires = &[Fire::Worker, Fire::Run, Fire::Engine, Fire::Server, Fire::Network];
    let field = Field { pool: "docker-chaos", kind: "docker", options: &[], fires };
    let Some(runs) = asked(|runs| runs.div_ceil(5)) else { return };
    match Engine::start() {
        Ok(engine) => survive(&field, runs, Some(engine)),
        Err(why) => skipped(why),
    }
}

/// How many runs are asked for, if any.
fn asked(of: impl Fn(usize) -> usize) -> Option<usize> {
    let set = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let runs = set("RECONCILE_TEST_CHAOS_RUNS").map(of);
    if runs.is_none() {
        skipped("it takes many minutes; RECONCILE_TEST_CHAOS_RUNS=100 asks for so many runs");
    }
    runs
}

fn survive(field: &Field, count: usize, engine: Option<Engine>) {
    let seed = std::env::var("RECONCILE_TEST_CHAOS_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    eprintln!("{}: RECONCILE_TEST_CHAOS_SEED={seed}", field.pool);
    let mut siege = Siege::laid(field.pool, field.kind, field.options, engine);
    let variables = if field.kind == "docker" { contained(&siege.site) } else { json!({}) };
    let deployment = siege.site.deploy("marked", json!({ "job_variables": variables }));
    let run = |n: usize| (format!("run-{n}"), siege.site.run(&deployment, json!({"name": format!("run-{n}")})));
    let runs: Vec<(String, String)> = (0..count).map(run).collect();
    let began = Instant::now();
    siege.burn(field.fires, seed);
    let burnt = began.elapsed();
    siege.is_over();
    let all_ended = wait_for(|| (siege.open() == 0).then_some(())).is_some();
    let seconds = |length: std::time::Duration| length.as_secs();
    let mut verdict = Verdict::default();
    for (name, id) in &runs {
        let state: Value = siege.site.read(id)["state"].take();
        verdict.judge(&siege, name, id, &state);
    }
    let (took, left) = (began.elapsed(), siege.end());
    println!(
        "{}: {count} runs, {} s, of which {} s under fire (seed {seed})\n  {}\n  {}\n  {left}",
        field.pool,
        seconds(took),
        seconds(burnt),
        siege.fires(),
        verdict.summary()
    );
    assert!(
        verdict.wrong.is_empty(),
        "{} of {count} ends are wrong\n{}",
        verdict.wrong.len(),
        verdict.wrong.join("\n")
    );
    assert!(all_ended, "runs are stuck");
    assert!(left.is_nothing(), "{left}");
}
