//! What takes an API: first apply, passes with nothing to do, one change; against `prefect deploy` and the bare requests.
//!
//! `cargo bench --bench api` runs everything (some minutes); `-- first`, `peer`, `passes`, `mixed` and `ledger` one part of
//! it. Every part has real Prefect servers of its own (SQLite), in the same run as what it is compared with. Results
//! are asserted; times and aims are printed as rows for docs/performance.md. Linux only.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark may panic, and touches the world")]

mod measure;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use measure::cost::{self, Cost};
use measure::raw::Raw;
use measure::table::{self, Aims};
use measure::{median, project, shown, workspace};
use reconcile::api::{Api, new_ledger};
use reconcile::model::ledger::{Declared, Ledger, Owned};
use reconcile::model::{Connection, Key, Path};
use serde_json::{Value, json};
use support::Server;
use support::project::Project;
use support::proxy::{Proxy, Request};

/// As many as the peer is given: it takes a tenth of a CPU second for each, and the server another.
const FEW: usize = 100;
const MANY: usize = 1000;
const ROUNDS: usize = 3;
const PROBES: usize = 10;
/// Settings of every server: as quiet as it gets, so that its CPU time is that of the requests.
const QUIET: [(&str, &str); 3] = [
    ("PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED", "false"),
    ("PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED", "false"),
    ("PREFECT_SERVER_SERVICES_FOREMAN_ENABLED", "false"),
];

fn main() {
    let wanted = measure::wanted();
    let mut aims = Aims::default();
    if wanted("ledger") {
        ledger();
    }
    table::head();
    if wanted("first") {
        first(&mut aims);
    }
    if wanted("peer") {
        peer(&mut aims);
    }
    if wanted("passes") {
        passes(&mut aims);
    }
    if wanted("mixed") {
        mixed(&mut aims);
    }
    aims.print();
}

/// A server with the work pool of the project.
fn server() -> Server {
    let server = Server::start_with(&QUIET);
    server.http().post("/work_pools/", json!({"name": "pool", "type": "process"}));
    server
}

/// A run of `reconcile --json` and what the server spent on it.
fn pass(server: &Server, project: &Project, arguments: &[&str]) -> (Cost, Value, Duration) {
    let before = cost::cpu_of(server.pid());
    let cost = cost::run(project.reconcile_command().args(arguments).arg("--json")).good();
    let spent = cost::cpu_of(server.pid()) - before;
    let report = cost.json();
    (cost, report, spent)
}

fn told(report: &Value) -> String {
    match (report["requests"]["read"].as_u64().unwrap(), report["requests"]["write"].as_u64().unwrap()) {
        (read, 0) => format!("{read} reads"),
        (read, write) => format!("{read} reads, {write} writes"),
    }
}

/// A row about a pass of reconcile.
fn ours(what: &str, (cost, report, spent): &(Cost, Value, Duration)) {
    table::row(what, cost.wall, Some(cost), *spent, &told(report));
}

/// A first apply of a few deployments: the writes alone, sent again by a bare client to a fresh server, and reconcile.
fn first(aims: &mut Aims) {
    let recorded = recorded(FEW);
    let (mut floor, mut walls) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let bare = server();
        let before = cost::cpu_of(bare.pid());
        let took = replay(&bare, &recorded);
        let spent = cost::cpu_of(bare.pid()) - before;
        table::row(&format!("first {FEW}, bare requests"), took, None, spent, &recorded.requests.len().to_string());
        floor.push(took);
        drop(bare);

        let server = server();
        let project = project::declared(&server.url, FEW);
        let made = pass(&server, &project, &["apply", "--yes"]);
        assert_eq!(made.1["summary"]["create"], FEW, "round {round}");
        all_done(&made.1);
        ours(&format!("first {FEW}, reconcile"), &made);
        walls.push(made.0.wall);
    }
    let ratio = median(walls).as_secs_f64() / median(floor).as_secs_f64();
    let aim = format!("first apply of {FEW} within 1.2 times the bare requests (medians of {ROUNDS})");
    aims.at_most(&aim, ratio, 1.2, &format!("{ratio:.2} times"));
}

fn all_done(report: &Value) {
    assert!(report["changes"].as_array().unwrap().iter().all(|change| change["result"] == "done"));
}

/// The flows and deployments that a first apply makes.
struct Recorded {
    requests: Vec<Request>,
    /// Names of the flows of the server where it was recorded, by id.
    flows: BTreeMap<String, String>,
}

fn recorded(deployments: usize) -> Recorded {
    let server = server();
    let proxy = Proxy::in_front_of(&server.url);
    let project = project::declared(&proxy.url, deployments);
    project.reconcile(&["apply", "--yes"]).exits(0);
    let makes = |request: &Request| matches!(request.path.as_str(), "/api/flows/" | "/api/deployments/");
    let requests: Vec<Request> =
        proxy.writes().into_iter().filter(|request| makes(request) && request.status < 300).collect();
    assert_eq!(requests.len(), deployments + project::FLOWS.min(deployments));
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let flows = server.http().all("flows").iter().map(|row| (text(row, "id"), text(row, "name"))).collect();
    Recorded { requests, flows }
}

/// Sends the same to another server, one after another; only the ids of the flows differ.
fn replay(server: &Server, recorded: &Recorded) -> Duration {
    let bodies: Vec<(&str, Value)> = recorded
        .requests
        .iter()
        .map(|request| (&request.path["/api".len()..], serde_json::from_str(&request.body).unwrap()))
        .collect();
    let mut raw = Raw::new(&server.url);
    let mut ids: BTreeMap<String, Value> = BTreeMap::new();
    let started = Instant::now();
    for (path, mut body) in bodies {
        if path == "/flows/" {
            let made = raw.json(path, &body.to_string());
            ids.insert(made["name"].as_str().unwrap().to_owned(), made["id"].clone());
        } else {
            body["flow_id"] = ids[&recorded.flows[body["flow_id"].as_str().unwrap()]].clone();
            raw.post(path, &body.to_string());
        }
    }
    started.elapsed()
}

/// `prefect deploy --all` with a few deployments, twice, and reconcile with the same after it.
fn peer(aims: &mut Aims) {
    let deploy = ["--no-prompt", "deploy", "--all"];
    let small = {
        let server = server();
        let proxy = Proxy::in_front_of(&server.url);
        let project = project::declared(&proxy.url, 10);
        let count = |proxy: &Proxy| {
            proxy.reset();
            project.prefect(&deploy).exits(0);
            proxy.requests().len()
        };
        (count(&proxy), count(&proxy))
    };
    let server_of_theirs = server();
    let project = project::declared(&server_of_theirs.url, FEW);
    let mut theirs = Vec::new();
    for (what, requests) in [("first", small.0), ("again", small.1)] {
        let before = cost::cpu_of(server_of_theirs.pid());
        let cost = cost::run(project.prefect_command().args(deploy)).good();
        let spent = cost::cpu_of(server_of_theirs.pid()) - before;
        assert_eq!(server_of_theirs.http().post("/deployments/count", json!({})), json!(FEW));
        let requests = format!("about {} ({requests} for 10)", requests * FEW / 10);
        table::row(&format!("{what} {FEW}, `prefect deploy --all`"), cost.wall, Some(&cost), spent, &requests);
        theirs.push(cost);
    }
    drop(server_of_theirs);
    let server = server();
    let project = project::declared(&server.url, FEW);
    for (what, theirs) in [("first", &theirs[0]), ("again", &theirs[1])] {
        let done = pass(&server, &project, &["apply", "--yes"]);
        ours(&format!("{what} {FEW}, reconcile"), &done);
        let times = |theirs: Duration, ours: Duration| theirs.as_secs_f64() / ours.as_secs_f64();
        let (faster, less) =
            (times(theirs.wall, done.0.wall), times(theirs.cpu, done.0.cpu.max(Duration::from_millis(10))));
        aims.at_least(
            &format!("client CPU 100 times less than the peer's, {what}"),
            less,
            100.0,
            &format!("{less:.0} times"),
        );
        if what == "first" {
            aims.at_least(
                &format!("first apply of {FEW} four times as fast as the peer"),
                faster,
                4.0,
                &format!("{faster:.1} times"),
            );
        } else {
            println!("| {what} {FEW}: as fast as the peer | {faster:.0} times | | | | |");
        }
    }
}

/// Many deployments: the first apply, passes with nothing to do, the probe, one change.
fn passes(aims: &mut Aims) {
    let server = server();
    let project = project::declared(&server.url, MANY);
    let made = pass(&server, &project, &["apply", "--yes"]);
    assert_eq!(made.1["summary"]["create"], MANY);
    all_done(&made.1);
    ours(&format!("first {MANY}, reconcile"), &made);
    memory(aims, &format!("first apply of {MANY}"), &made.0);
    unchanged(&server, &project, aims);
    probed(&server, &project, aims);
    one_change(&server, &project, aims);
}

fn memory(aims: &mut Aims, what: &str, cost: &Cost) {
    aims.at_most(&format!("peak memory below 60 MB, {what}"), cost.peak_mb, 60.0, &format!("{:.0} MB", cost.peak_mb));
}

fn unchanged(server: &Server, project: &Project, aims: &mut Aims) {
    let (mut floor, mut walls) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let before = cost::cpu_of(server.pid());
        let (took, requests) = lists(server);
        let spent = cost::cpu_of(server.pid()) - before;
        table::row(&format!("again {MANY}, bare lists"), took, None, spent, &requests.to_string());
        floor.push(took);
        let done = pass(server, project, &["apply", "--yes"]);
        idle(&done.1, MANY, 30);
        ours(&format!("again {MANY}, reconcile"), &done);
        walls.push(done.0.wall);
        if round == 0 {
            let reads = done.1["requests"]["read"].as_f64().unwrap();
            aims.at_most(&format!("nothing to do, {MANY}: at most 30 requests"), reads, 30.0, &told(&done.1));
            memory(aims, &format!("nothing to do, {MANY}"), &done.0);
        }
    }
    let ratio = median(walls).as_secs_f64() / median(floor).as_secs_f64();
    let aim = format!("nothing to do, {MANY}: within 1.3 times the bare lists (medians of {ROUNDS})");
    aims.at_most(&aim, ratio, 1.3, &format!("{ratio:.2} times"));
}

/// Everything is as it should be, nothing was written, and no more was read than that.
fn idle(report: &Value, objects: usize, reads: u64) {
    assert_eq!((&report["summary"]["unchanged"], &report["requests"]["write"]), (&json!(objects), &json!(0)));
    assert!(report["requests"]["read"].as_u64().unwrap() <= reads, "{}", report["requests"]);
}

/// A thousand objects of every kind: the first apply, and passes with nothing to do.
fn mixed(aims: &mut Aims) {
    let server = server();
    let project = Project::new().file("reconcile.yaml", "name: bench\n").api(&server.url).with_python();
    workspace::write(&project.path());
    let project = project.git_init(None);
    let made = pass(&server, &project, &["apply", "--yes"]);
    assert_eq!(made.1["summary"]["create"], workspace::OBJECTS);
    all_done(&made.1);
    ours(&format!("first, {} objects of every kind", workspace::OBJECTS), &made);
    let runs: Vec<_> = (0..ROUNDS).map(|_| pass(&server, &project, &["apply", "--yes"])).collect();
    for run in &runs {
        idle(&run.1, workspace::OBJECTS, 40);
        ours(&format!("again, {} objects of every kind", workspace::OBJECTS), run);
    }
    let reads = runs[0].1["requests"]["read"].as_f64().unwrap();
    let told = format!("{reads} reads; one GET for each object would be {}", workspace::OBJECTS);
    aims.at_most(
        &format!("nothing to do, {} objects of every kind: at most 40 reads", workspace::OBJECTS),
        reads,
        40.0,
        &told,
    );
    memory(aims, "nothing to do, objects of every kind", &runs[0].0);
}

/// The ledger of ten thousand objects: saved, read, asked for, and saved again with one more.
fn ledger() {
    const OWNED: usize = 10_000;
    let server = server();
    let api = Api::connect(Connection::new(&server.url)).unwrap();
    let path = |n: usize| Path::of("job_variables").key("env").key(&format!("NAME_{n}"));
    let declared: Arc<Declared> = Arc::new((0..12).map(|n| (path(n), "0123456789abcdef".repeat(4))).collect());
    let owned = |n: usize| {
        let owned = Owned { id: format!("00000000-0000-4000-8000-{n:012}"), declared: declared.clone(), keep: false };
        (Key::deployment("flow", &format!("deployment-{n}")), owned)
    };
    let mut ledger = Ledger { owned: (0..OWNED).map(owned).collect(), ..new_ledger() };
    support::block_on(async {
        let mut timed = Vec::new();
        let began = Instant::now();
        ledger.generation = api.save_ledger("bench", &ledger).await.unwrap();
        timed.push(("saved whole", began.elapsed()));
        let began = Instant::now();
        assert!(api.load_ledger("bench").await.unwrap().as_ref() == Some(&ledger));
        timed.push(("read", began.elapsed()));
        ledger.owned.extend([owned(OWNED)]);
        let began = Instant::now();
        ledger.generation = api.save_ledger("bench", &ledger).await.unwrap();
        timed.push(("saved with one more", began.elapsed()));
        let began = Instant::now();
        assert!(api.is_ledger("bench", &ledger).await.unwrap());
        timed.push(("asked whether it moved", began.elapsed()));
        println!("| Ledger of {OWNED} objects | Wall |\n|---|---|");
        timed.iter().for_each(|(what, took)| println!("| {what} | {} |", shown(*took)));
        println!();
    });
}

/// The bare minimum of a comparison: all deployments and flows, in pages of 100.
fn lists(server: &Server) -> (Duration, usize) {
    let mut raw = Raw::new(&server.url);
    let started = Instant::now();
    let (mut rows, mut requests) = (0, 1);
    raw.post("/flows/paginate", &json!({"limit": 100, "page": 1}).to_string());
    while rows < MANY {
        let page = raw.json("/deployments/paginate", &json!({"limit": 100, "page": requests}).to_string());
        rows += page["results"].as_array().unwrap().len();
        requests += 1;
    }
    (started.elapsed(), requests)
}

fn probed(server: &Server, project: &Project, aims: &mut Aims) {
    let arguments = ["apply", "--yes", "--drift-interval", "1h"];
    let probe = || pass(server, project, &arguments);
    let began = Instant::now();
    while probe().1["base"]["remembered"].is_null() {
        assert!(began.elapsed() < Duration::from_secs(120), "no pass is remembered");
    }
    let mut runs: Vec<(Cost, Value, Duration)> = (0..PROBES).map(|_| probe()).collect();
    for (_, report, _) in &runs {
        assert_eq!((&report["base"]["remembered"]["read"], &report["summary"]["unchanged"]), (&json!(0), &json!(MANY)));
    }
    let spent = runs.iter().map(|(_, _, spent)| *spent).sum::<Duration>() / PROBES as u32;
    // Over all of them, for the clock of CPU time is coarse.
    let cpu = runs.iter().map(|(cost, _, _)| cost.cpu).sum::<Duration>() / PROBES as u32;
    runs.sort_by_key(|(cost, _, _)| cost.wall);
    let (cost, report, _) = runs.swap_remove(PROBES / 2);
    let cost = Cost { cpu, ..cost };
    aims.within("repeated pass below 100 ms", cost.wall, 100.0);
    memory(aims, "repeated pass", &cost);
    ours(&format!("again {MANY} with a drift interval (median of {PROBES})"), &(cost, report, spent));
}

fn one_change(server: &Server, project: &Project, aims: &mut Aims) {
    for (round, full) in [(0, false), (1, false), (2, false), (3, true)] {
        let mut arguments = vec!["apply", "--yes", "--drift-interval", "1h"];
        // A pass that is remembered first, unless everything is to be compared.
        let began = Instant::now();
        while pass(server, project, &arguments).1["base"]["remembered"].is_null() {
            assert!(began.elapsed() < Duration::from_secs(120), "no pass is remembered");
        }
        project::declare(&project.path(), MANY, Some(round));
        if full {
            arguments.push("--full-compare");
        }
        let done = pass(server, project, &arguments);
        // The one before goes back to what it was.
        let changes = if round == 0 { 1 } else { 2 };
        assert_eq!(done.1["summary"]["update"], changes, "{:#}", done.1["changes"]);
        all_done(&done.1);
        let how = if full { "everything compared" } else { "with a drift interval" };
        if round == 0 {
            aims.within(&format!("one change of {MANY} below 500 ms"), done.0.wall, 500.0);
        }
        ours(&format!("{changes} of {MANY} changed, {how}"), &done);
    }
}
