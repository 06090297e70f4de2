//! A worker beside Prefect's: start, memory, idling, how soon a run that is due is taken and done, how many a minute.
//!
//! `cargo bench --bench worker` runs everything (some ten minutes); `-- start`, `idle`, `latency` and `throughput` one part
//! of it, and `quick` with few runs. One server (SQLite) and one machine for all workers, one after another, with the
//! same flows, logs and heartbeats. Results are asserted; times and aims are printed as rows for docs/performance.md.
//! Linux only.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark may panic, and touches the world")]

mod measure;
#[allow(dead_code, reason = "not every benchmark uses everything")]
#[path = "../tests/it/worker/site.rs"]
mod site;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use measure::cost::cpu_of;
use measure::table::Aims;
use measure::{median, shown};
use serde_json::json;
use site::{Site, Worker, server, wait_for};
use support::proxy::Proxy;

/// How many runs at once.
const LIMIT: usize = 4;

/// How much of everything.
struct Amounts {
    starts: usize,
    idle: Duration,
    runs: usize,
    burst: usize,
}

const FULL: Amounts = Amounts { starts: 5, idle: Duration::from_secs(120), runs: 20, burst: 60 };
const QUICK: Amounts = Amounts { starts: 1, idle: Duration::from_secs(6), runs: 2, burst: 4 };

/// Whose worker.
#[derive(Clone, Copy, PartialEq)]
enum Whose {
    Theirs,
    Ours,
    Warm,
}

impl Whose {
    fn name(self) -> &'static str {
        match self {
            Whose::Theirs => "prefect worker",
            Whose::Ours => "reconcile worker",
            Whose::Warm => "reconcile worker --warm 1",
        }
    }

    fn start(self, site: &Site, proxy: &Proxy) -> Worker {
        let limit = LIMIT.to_string();
        let args = ["--name", "bench", "--limit", &limit];
        let env = [("PREFECT_API_URL", proxy.url.as_str())];
        match self {
            Whose::Theirs => site.reference(&args, &env),
            Whose::Ours => site.worker_with(&args, &env),
            Whose::Warm => site.worker_with(&[&args[..], &["--warm", "1"]].concat(), &env),
        }
    }
}

/// What one worker came to.
#[derive(Default)]
struct Figures {
    first_poll: Duration,
    /// Of the worker and its processes, in MB of 10⁶ bytes, pages that several share counted once.
    memory: f64,
    requests_a_minute: f64,
    cpu_a_minute: Duration,
    /// From creation to a state, by the state's name; the median and the longest.
    until: BTreeMap<&'static str, (Duration, Duration)>,
    runs_a_minute: f64,
    cpu_a_run: Duration,
    server_cpu_a_run: Duration,
    requests_a_run: f64,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let (quick, parts): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| *word == "quick");
    let amounts = if quick.is_empty() { FULL } else { QUICK };
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|word| *word == part);
    let all = [Whose::Theirs, Whose::Ours, Whose::Warm].map(|whose| measured(whose, &amounts, &wanted));
    table(&all, &amounts, &wanted);
    aims(&all, &wanted);
}

fn measured(whose: Whose, amounts: &Amounts, wanted: &dyn Fn(&str) -> bool) -> Figures {
    let site = Site::beside(&format!("bench-{}", whose.name().replace([' ', '-'], "")));
    let proxy = Proxy::in_front_of(&server().url);
    let mut figures = Figures::default();
    if wanted("start") {
        let first = |_| {
            proxy.reset();
            let began = Instant::now();
            let mut worker = whose.start(&site, &proxy);
            polled(&proxy);
            let took = began.elapsed();
            worker.signal("TERM");
            worker.wait();
            took
        };
        figures.first_poll = median((0..amounts.starts).map(first).collect());
    }
    proxy.reset();
    let worker = whose.start(&site, &proxy);
    polled(&proxy);
    sleep(Duration::from_secs(5));
    figures.memory = memory(worker.child.id());
    let deployment = site.deploy("hello", json!({"job_variables": {"stream_output": false}}));
    if wanted("idle") {
        idle(&mut figures, &worker, &proxy, amounts.idle);
    }
    if wanted("latency") {
        latency(&mut figures, &site, &deployment, amounts);
    }
    if wanted("throughput") {
        throughput(&mut figures, &site, &worker, &proxy, &deployment, amounts.burst);
    }
    figures
}

fn polled(proxy: &Proxy) {
    let polled = || proxy.requests().iter().any(|one| one.path.contains("get_scheduled_flow_runs")).then_some(());
    assert!(wait_for(polled).is_some(), "it does not poll");
}

fn idle(figures: &mut Figures, worker: &Worker, proxy: &Proxy, length: Duration) {
    proxy.reset();
    let before = cpu(worker.child.id());
    sleep(length);
    let minutes = length.as_secs_f64() / 60.0;
    figures.requests_a_minute = proxy.requests().len() as f64 / minutes;
    figures.cpu_a_minute = (cpu(worker.child.id()) - before).div_f64(minutes);
}

/// Runs one after another, each created at a moment that has nothing to do with the polls.
fn latency(figures: &mut Figures, site: &Site, deployment: &str, amounts: &Amounts) {
    let mut found: BTreeMap<&'static str, Vec<Duration>> = BTreeMap::new();
    let mut dice = 0x5eed_u64;
    for _ in 0..amounts.runs {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        sleep(amounts.idle.min(Duration::from_millis((dice >> 33) % 10_000)));
        let run = site.run(deployment, json!({}));
        assert_eq!(site.end(&run)["name"], "Completed");
        let rows = site.http.get(&format!("/flow_run_states/?flow_run_id={run}"));
        let time = |name: &str| {
            let row = rows.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
            row["timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap()
        };
        for name in ["Pending", "Running", "Completed"] {
            let took = time(name).duration_since(time("Scheduled"));
            found.entry(name).or_default().push(took.try_into().unwrap_or_default());
        }
    }
    figures.until =
        found.into_iter().map(|(name, all)| (name, (median(all.clone()), all.into_iter().max().unwrap()))).collect();
}

/// Many runs that are due at once.
fn throughput(figures: &mut Figures, site: &Site, worker: &Worker, proxy: &Proxy, deployment: &str, burst: usize) {
    // What the runs before still do after their end.
    sleep(Duration::from_secs(3));
    proxy.reset();
    let (before, servers) = (cpu(worker.child.id()), cpu_of(server().pid()));
    // While runs are under way, SQLite takes seconds to make another one.
    let pool = format!("/work_pools/{}", site.pool);
    site.http.patch(&pool, json!({"is_paused": true}));
    let runs: Vec<String> = (0..burst).map(|_| site.run(deployment, json!({}))).collect();
    site.http.patch(&pool, json!({"is_paused": false}));
    let began = Instant::now();
    let filter = json!({"flow_runs": {"id": {"any_": runs}, "state": {"type": {"any_": ["COMPLETED"]}}}});
    let done = || (site.http.post("/flow_runs/count", filter.clone()) == json!(burst)).then_some(());
    assert!(wait_for(done).is_some(), "not all completed");
    let took = began.elapsed();
    sleep(Duration::from_secs(3));
    let count = u32::try_from(burst).unwrap();
    figures.runs_a_minute = f64::from(count) * 60.0 / took.as_secs_f64();
    figures.cpu_a_run = (cpu(worker.child.id()) - before) / count;
    figures.server_cpu_a_run = (cpu_of(server().pid()) - servers) / count;
    figures.requests_a_run = proxy.requests().len() as f64 / f64::from(count);
}

fn table(all: &[Figures; 3], amounts: &Amounts, wanted: &dyn Fn(&str) -> bool) {
    let names = [Whose::Theirs, Whose::Ours, Whose::Warm].map(|whose| format!("`{}`", whose.name()));
    println!("| | {} |\n|---|---|---|---|", names.join(" | "));
    let row = |what: &str, of: &dyn Fn(&Figures) -> String| {
        println!("| {what} | {} |", all.iter().map(of).collect::<Vec<_>>().join(" | "));
    };
    if wanted("start") {
        row(&format!("start to first poll (median of {})", amounts.starts), &|one| shown(one.first_poll));
    }
    row("memory after start", &|one| format!("{:.0} MB", one.memory));
    if wanted("idle") {
        row("requests a minute, idle", &|one| format!("{:.1}", one.requests_a_minute));
        row("CPU a minute, idle", &|one| shown(one.cpu_a_minute));
    }
    if wanted("latency") {
        for name in ["Pending", "Running", "Completed"] {
            let what = format!("due run created to {name} (median, longest of {})", amounts.runs);
            row(&what, &|one| format!("{}, {}", shown(one.until[name].0), shown(one.until[name].1)));
        }
    }
    if wanted("throughput") {
        row(&format!("runs a minute, {} at once", LIMIT), &|one| format!("{:.0}", one.runs_a_minute));
        row("CPU for a run, worker and run", &|one| shown(one.cpu_a_run));
        row("CPU for a run, server", &|one| shown(one.server_cpu_a_run));
        row("requests for a run", &|one| format!("{:.0}", one.requests_a_run));
    }
}

fn aims([theirs, ours, warm]: &[Figures; 3], wanted: &dyn Fn(&str) -> bool) {
    let mut aims = Aims::default();
    let times = |aims: &mut Aims, what: &str, found: f64, limit: f64| {
        aims.at_least(what, found, limit, &format!("{found:.1} times"));
    };
    aims.at_most("memory below 20 MB", ours.memory, 20.0, &format!("{:.1} MB", ours.memory));
    if wanted("start") {
        aims.within("start to first poll below 50 ms", ours.first_poll, 50.0);
    }
    if wanted("latency") {
        aims.within("due run created to Pending below 300 ms, the longest", ours.until["Pending"].1, 300.0);
        let warm = warm.until["Completed"].0 - warm.until["Pending"].0;
        aims.within("warm, Pending to Completed below 600 ms", warm, 600.0);
    }
    if wanted("throughput") {
        times(&mut aims, "twice as many runs a minute", ours.runs_a_minute / theirs.runs_a_minute, 2.0);
        times(&mut aims, "eight times as many runs a minute, warm", warm.runs_a_minute / theirs.runs_a_minute, 8.0);
        let less = theirs.cpu_a_run.as_secs_f64() / warm.cpu_a_run.as_secs_f64().max(0.001);
        times(&mut aims, "a fifth of the CPU for a run, warm", less, 5.0);
        let told = format!("{:.0} of {:.0}", ours.requests_a_run, theirs.requests_a_run);
        aims.at_most("no more requests for a run", ours.requests_a_run, theirs.requests_a_run, &told);
    }
    aims.print();
}

/// A process and all that it started, as far as they run.
fn family(id: u32) -> Vec<u32> {
    let listed =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let parent = |id: u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok())
    };
    let all: Vec<(u32, u32)> = listed.filter_map(|id| Some((id, parent(id)?))).collect();
    let mut found = vec![id];
    let mut next = 0;
    while let Some(one) = found.get(next).copied() {
        found.extend(all.iter().filter(|(_, parent)| *parent == one).map(|(id, _)| *id));
        next += 1;
    }
    found
}

/// CPU time of a process and all that it started, whether it still runs or not.
fn cpu(id: u32) -> Duration {
    family(id).into_iter().map(cpu_of).sum()
}

fn memory(id: u32) -> f64 {
    let share = |id: u32| {
        let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default().to_owned();
        line.split_whitespace().next().and_then(|number| number.parse::<f64>().ok()).unwrap_or_default()
    };
    family(id).into_iter().map(share).sum::<f64>() * 1024.0 / 1e6
}
