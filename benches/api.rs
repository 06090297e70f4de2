//! What takes an API: first apply, passes with nothing to do, one change; against `prefect deploy` and the bare requests.
//!
//! `cargo bench --bench api` runs everything (some minutes); `-- first`, `-- peer` and `-- passes` one part of it. Every
//! part has real Prefect servers of its own (SQLite), in the same run as what it is compared with. Results are
//! asserted, times are printed. Linux only.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark may panic, and touches the world")]

mod measure;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use measure::cost::{self, Cost};
use measure::raw::Raw;
use measure::{median, project, shown};
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
    let parts: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|word| word == part);
    println!("{:<42} {:>10} {:>10} {:>10} {:>9}  requests", "", "wall", "CPU", "server", "peak");
    if wanted("first") {
        first();
    }
    if wanted("peer") {
        peer();
    }
    if wanted("passes") {
        passes();
    }
}

/// A server with the work pool of the project.
fn server() -> Server {
    let server = Server::start_with(&QUIET);
    server.http().post("/work_pools/", json!({"name": "pool", "type": "process"}));
    server
}

fn declared(url: &str, deployments: usize) -> Project {
    let project = Project::new().file("reconcile.yaml", "name: bench\n").api(url).with_python();
    project::write(&project.path(), deployments);
    project.git_init(None)
}

/// One line of the table.
fn line(what: &str, wall: Duration, cpu: Option<Duration>, server: Duration, peak: Option<f64>, requests: &str) {
    let cpu = cpu.map(shown).unwrap_or_default();
    let peak = peak.map(|mb| format!("{mb:.1} MB")).unwrap_or_default();
    println!("{what:<42} {:>10} {cpu:>10} {:>10} {peak:>9}  {requests}", shown(wall), shown(server));
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
    format!("{} read, {} written", report["requests"]["read"], report["requests"]["write"])
}

/// A first apply of a few deployments: the writes alone, sent again by a bare client to a fresh server, and reconcile.
fn first() {
    let recorded = recorded(FEW);
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let bare = server();
        let before = cost::cpu_of(bare.pid());
        let took = replay(&bare, &recorded);
        let spent = cost::cpu_of(bare.pid()) - before;
        line(&format!("first {FEW}, bare requests"), took, None, spent, None, &recorded.requests.len().to_string());
        floor.push(took);
        drop(bare);

        let server = server();
        let project = declared(&server.url, FEW);
        let (cost, report, spent) = pass(&server, &project, &["apply", "--yes"]);
        assert_eq!(report["summary"]["create"], FEW, "round {round}");
        assert!(report["changes"].as_array().unwrap().iter().all(|change| change["result"] == "done"));
        line(&format!("first {FEW}, reconcile"), cost.wall, Some(cost.cpu), spent, Some(cost.peak_mb), &told(&report));
        ours.push(cost.wall);
    }
    let ratio = median(ours).as_secs_f64() / median(floor).as_secs_f64();
    println!("first {FEW}: reconcile takes {ratio:.2} times as long as the bare requests (medians of {ROUNDS})");
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
    let project = declared(&proxy.url, deployments);
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
fn peer() {
    let deploy = ["--no-prompt", "deploy", "--all"];
    let small = {
        let server = server();
        let proxy = Proxy::in_front_of(&server.url);
        let project = declared(&proxy.url, 10);
        let count = |proxy: &Proxy| {
            proxy.reset();
            project.prefect(&deploy).exits(0);
            proxy.requests().len()
        };
        (count(&proxy), count(&proxy))
    };
    let server_of_theirs = server();
    let project = declared(&server_of_theirs.url, FEW);
    let mut theirs = Vec::new();
    for (what, requests) in [("first", small.0), ("again", small.1)] {
        let before = cost::cpu_of(server_of_theirs.pid());
        let cost = cost::run(project.prefect_command().args(deploy)).good();
        let spent = cost::cpu_of(server_of_theirs.pid()) - before;
        assert_eq!(server_of_theirs.http().post("/deployments/count", json!({})), json!(FEW));
        let requests = format!("about {} ({requests} for 10)", requests * FEW / 10);
        line(&format!("{what} {FEW}, prefect deploy"), cost.wall, Some(cost.cpu), spent, Some(cost.peak_mb), &requests);
        theirs.push(cost);
    }
    drop(server_of_theirs);
    let server = server();
    let project = declared(&server.url, FEW);
    for (what, theirs) in [("first", &theirs[0]), ("again", &theirs[1])] {
        let (cost, report, spent) = pass(&server, &project, &["apply", "--yes"]);
        line(&format!("{what} {FEW}, reconcile"), cost.wall, Some(cost.cpu), spent, Some(cost.peak_mb), &told(&report));
        let times = |theirs: Duration, ours: Duration| theirs.as_secs_f64() / ours.as_secs_f64();
        println!(
            "{what} {FEW}: reconcile is {:.1} times as fast, with {:.0} times less CPU time",
            times(theirs.wall, cost.wall),
            times(theirs.cpu, cost.cpu.max(Duration::from_millis(10)))
        );
    }
}

/// Many deployments: the first apply, passes with nothing to do, the probe, one change.
fn passes() {
    let server = server();
    let project = declared(&server.url, MANY);
    let (cost, report, spent) = pass(&server, &project, &["apply", "--yes"]);
    assert_eq!(report["summary"]["create"], MANY);
    assert!(report["changes"].as_array().unwrap().iter().all(|change| change["result"] == "done"));
    line(&format!("first {MANY}, reconcile"), cost.wall, Some(cost.cpu), spent, Some(cost.peak_mb), &told(&report));
    unchanged(&server, &project);
    probed(&server, &project);
    one_change(&server, &project);
}

fn unchanged(server: &Server, project: &Project) {
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let before = cost::cpu_of(server.pid());
        let (took, requests) = lists(server);
        let spent = cost::cpu_of(server.pid()) - before;
        line(&format!("again {MANY}, bare lists"), took, None, spent, None, &requests.to_string());
        floor.push(took);
        let (cost, report, spent) = pass(server, project, &["apply", "--yes"]);
        assert_eq!((&report["summary"]["unchanged"], &report["requests"]["write"]), (&json!(MANY), &json!(0)));
        assert!(report["requests"]["read"].as_u64().unwrap() <= 30, "{}", report["requests"]);
        line(&format!("again {MANY}, reconcile"), cost.wall, Some(cost.cpu), spent, Some(cost.peak_mb), &told(&report));
        ours.push(cost.wall);
    }
    let ratio = median(ours).as_secs_f64() / median(floor).as_secs_f64();
    println!("again {MANY}: reconcile takes {ratio:.2} times as long as the bare lists (medians of {ROUNDS})");
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

fn probed(server: &Server, project: &Project) {
    let arguments = ["apply", "--yes", "--drift-interval", "1h"];
    let probe = || pass(server, project, &arguments);
    let began = Instant::now();
    while probe().1["base"]["remembered"].is_null() {
        assert!(began.elapsed() < Duration::from_secs(120), "no pass is remembered");
    }
    let runs: Vec<(Cost, Value, Duration)> = (0..PROBES).map(|_| probe()).collect();
    for (_, report, _) in &runs {
        assert_eq!((&report["base"]["remembered"]["read"], &report["summary"]["unchanged"]), (&json!(0), &json!(MANY)));
    }
    let wall = median(runs.iter().map(|(cost, _, _)| cost.wall).collect());
    let cpu = runs.iter().map(|(cost, _, _)| cost.cpu).sum::<Duration>() / PROBES as u32;
    let spent = runs.iter().map(|(_, _, spent)| *spent).sum::<Duration>() / PROBES as u32;
    let peak = runs.iter().map(|(cost, _, _)| cost.peak_mb).fold(0.0, f64::max);
    let what = format!("again {MANY}, probe (median of {PROBES})");
    line(&what, wall, Some(cpu), spent, Some(peak), &told(&runs[0].1));
}

fn one_change(server: &Server, project: &Project) {
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
        let (cost, report, spent) = pass(server, project, &arguments);
        // The one before goes back to what it was.
        let changes = if round == 0 { 1 } else { 2 };
        assert_eq!(report["summary"]["update"], changes, "{:#}", report["changes"]);
        assert!(report["changes"].as_array().unwrap().iter().all(|change| change["result"] == "done"));
        let how = if full { "compared in full" } else { "probed" };
        let what = format!("{changes} of {MANY} changed, {how}");
        line(&what, cost.wall, Some(cost.cpu), spent, Some(cost.peak_mb), &told(&report));
    }
}
