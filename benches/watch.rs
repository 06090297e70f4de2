//! What `--watch` takes: from a save to the plan, from a push to applied, with nothing to do, and one file of many changed.
//!
//! `cargo bench --bench watch` runs everything (some twenty minutes); `-- save`, `push`, `idle` and `many` one part of it.
//! `RECONCILE_BENCH_MINUTES` says how long nothing is to do (10), `RECONCILE_BENCH_DEPLOYMENTS` how many are many (1,000).
//! Every part has a real Prefect server of its own (SQLite). Results are asserted; times and aims are printed as rows for
//! docs/performance.md. Linux only.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark may panic, and touches the world")]

mod measure;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use measure::looped::Looped;
use measure::table::Aims;
use measure::{cost, median, project, shown};
use serde_json::{Value, json};
use support::Server;
use support::git_server::GitServer;
use support::project::Project;
use support::proxy::{Proxy, Request, Verdict};

/// As many as a push changes at once.
const FEW: usize = 10;
const ROUNDS: usize = 20;
const SECRET: &str = "of-the-benchmark";

fn main() {
    let wanted = measure::wanted();
    let mut aims = Aims::default();
    println!("| | Median | Longest | |\n|---|---|---|---|");
    if wanted("save") {
        save(&mut aims);
    }
    if wanted("push") {
        push(&mut aims);
    }
    if wanted("many") {
        many(&mut aims);
    }
    if wanted("idle") {
        idle(&mut aims);
    }
    aims.print();
}

/// A number of the environment.
fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().map_or(usual, |text| text.parse().unwrap())
}

fn server() -> Server {
    let server = Server::start();
    server.http().post("/work_pools/", json!({"name": "pool", "type": "process"}));
    server
}

/// The median, after a row was printed.
fn row(what: &str, all: Vec<Duration>, more: &str) -> Duration {
    let longest = all.iter().max().copied().unwrap_or_default();
    let middle = median(all);
    println!("| {what} | {} | {} | {more} |", shown(middle), shown(longest));
    middle
}

/// A file is saved: until its plan is printed, beside what the API alone takes for the same reads.
fn save(aims: &mut Aims) {
    let server = server();
    let asked = asked_for_a_plan(&server);
    let own = (0..ROUNDS).map(|_| replay(&server, &asked)).collect();
    let own = row(&format!("the API's own time for {} reads, one after another", asked.len()), own, "");

    let project = project::declared(&server.url, FEW);
    let looped = Looped::start(&project, &["--interval", "1h"]);
    looped.says(&["Z ", " unchanged."]);
    let took = (0..ROUNDS).map(|round| {
        sleep(Duration::from_millis(500));
        project::declare(&project.path(), FEW, Some(round % FEW));
        let saved = Instant::now();
        let (planned, _) = looped.says(&["Plan: ", "to update"]);
        looped.says(&["Applied: "]);
        planned.saturating_duration_since(saved)
    });
    let took = row(&format!("save to plan, {FEW} deployments"), took.collect(), &format!("{ROUNDS} saves"));
    aims.within("save to plan within 150 ms and the API's own time", took.saturating_sub(own), 150.0);
}

/// What a loop reads between a save and its first write.
fn asked_for_a_plan(server: &Server) -> Vec<Request> {
    let proxy = Proxy::in_front_of(&server.url);
    let project = project::declared(&proxy.url, FEW);
    let looped = Looped::start(&project, &["--interval", "1h"]);
    looped.says(&["Z ", " unchanged."]);
    proxy.reset();
    project::declare(&project.path(), FEW, Some(FEW - 1));
    looped.says(&["Z ", "Applied: "]);
    proxy.requests().into_iter().take_while(|request| !request.is_write()).collect()
}

/// Sends the same again.
fn replay(server: &Server, requests: &[Request]) -> Duration {
    let http = server.http();
    let bodies: Vec<Option<Value>> = requests.iter().map(|one| serde_json::from_str(&one.body).ok()).collect();
    let began = Instant::now();
    for (request, body) in requests.iter().zip(&bodies) {
        http.request(&request.method, &request.path["/api".len()..], body.as_ref());
    }
    began.elapsed()
}

/// A push that changes ten deployments: until they are in, by webhook and by polling every second.
fn push(aims: &mut Aims) {
    let server = server();
    let proxy = Proxy::in_front_of(&server.url);
    let first = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&first);
    proxy.rule(move |request| {
        if request.is_write() {
            noted.lock().unwrap().get_or_insert_with(Instant::now);
        }
        Verdict::Pass
    });
    let author = project::declared(&proxy.url, FEW);
    let git = GitServer::start();
    git.push(&author, "shop", "main");
    let user = Project::new().api(&proxy.url).env("RECONCILE_WEBHOOK_SECRET", SECRET).with_python();
    let address = git.address("shop");
    let mut round = 0;
    let yaml = std::fs::read_to_string(author.path().join("prefect.yaml")).unwrap();
    let mut pushed = || {
        round += 1;
        author.write("prefect.yaml", &yaml.replace("as ever", &format!("round {round}")));
        let commit = author.git_commit("another");
        git.push(&author, "shop", "main");
        *first.lock().unwrap() = None;
        (Instant::now(), commit)
    };
    let applied = format!("Applied: {FEW} applied");
    let served = ["--git", &address, "--interval", "1h", "--listen", "127.0.0.1:0"];
    let looped = Looped::start(&user, &served);
    let (_, line) = looped.says(&["the status page is at"]);
    let place = line.rsplit("http://").next().unwrap().trim_end_matches('/').to_owned();
    looped.says(&["@", &applied]);
    let (mut hooked, mut written) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        sleep(Duration::from_millis(500));
        let (began, commit) = pushed();
        hook(&place, &commit);
        let (done, _) = looped.says(&["@", &applied]);
        hooked.push(done - began);
        written.push(first.lock().unwrap().unwrap() - began);
    }
    drop(looped);
    let written = row("webhook to first write", written, &format!("{ROUNDS} pushes, through a proxy"));
    aims.within("webhook to first write within 1 s", written, 1000.0);
    let hooked = row(&format!("push to applied by webhook, {FEW} deployments"), hooked, "");
    aims.within("push to applied within 2 s", hooked, 2000.0);

    let looped = Looped::start(&user, &["--git", &address, "--interval", "1s"]);
    looped.says(&["@", "Plan: nothing to do"]);
    let polled = (0..ROUNDS).map(|round| {
        // At any moment between two looks.
        sleep(Duration::from_millis(1000 + 137 * round as u64 % 1000));
        let (began, _) = pushed();
        looped.says(&["@", &applied]).0 - began
    });
    row(&format!("push to applied by a poll every second, {FEW} deployments"), polled.collect(), "");
}

/// A webhook as GitLab sends it.
fn hook(place: &str, commit: &str) {
    let body = format!("{{\"after\":\"{commit}\"}}");
    let mut stream = TcpStream::connect(place).unwrap();
    let head = format!(
        "POST /webhook HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-gitlab-token: {SECRET}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

/// One file of many changed: a comment in a flow, which changes nothing, and one deployment.
fn many(aims: &mut Aims) {
    let many = number("RECONCILE_BENCH_DEPLOYMENTS", 1000);
    let server = server();
    let project = project::declared(&server.url, many);
    project.reconcile(&["apply", "--yes"]).exits(0);
    let looped = Looped::start(&project, &["--interval", "1h", "--drift-interval", "1h"]);
    let idle = format!("nothing to do, {many} unchanged");
    looped.says(&["Z ", &idle]);
    let flow = std::fs::read_to_string(project.path().join("flows/flow_1.py")).unwrap();
    let (mut walls, mut ours, mut theirs, mut last) = (Vec::new(), Duration::ZERO, Duration::ZERO, String::new());
    for round in 0..ROUNDS {
        sleep(Duration::from_secs(1));
        let before = (cost::cpu_of(looped.pid()), cost::cpu_of(server.pid()));
        let saved = Instant::now();
        project.write("flows/flow_1.py", &format!("{flow}\n# round {round}\n"));
        let (told, line) = looped.says(&["Z ", &idle]);
        walls.push(told - saved);
        ours += cost::cpu_of(looped.pid()) - before.0;
        theirs += cost::cpu_of(server.pid()) - before.1;
        last = line;
    }
    let spent = format!("client CPU {}, server CPU {}", shown(ours / ROUNDS as u32), shown(theirs / ROUNDS as u32));
    let requests = last.rsplit("unchanged.").next().unwrap().trim().to_owned();
    row(&format!("a comment in one file, {many} unchanged"), walls, &format!("{spent}; the last: {requests}"));

    let changed = (0..5).map(|round| {
        sleep(Duration::from_secs(1));
        let saved = Instant::now();
        project::declare(&project.path(), many, Some(round));
        looped.says(&["Z ", "Applied: "]).0 - saved
    });
    row(&format!("one or two deployments changed, {many} in all, until they are in"), changed.collect(), "");
    let peak = memory(looped.pid(), "VmHWM:");
    aims.at_most(&format!("peak memory of a loop over {many} below 60 MB"), peak, 60.0, &format!("{peak:.0} MB"));
}

/// Nothing happens for minutes: two loops, one on a directory and one on a repository elsewhere.
fn idle(aims: &mut Aims) {
    let minutes = number("RECONCILE_BENCH_MINUTES", 10);
    let servers = [server(), server()];
    let project = project::declared(&servers[0].url, 100);
    let git = GitServer::start();
    git.push(&project, "shop", "main");
    let user = Project::new().api(&servers[1].url).with_python();
    let address = git.address("shop");
    let loops = [
        ("a directory", Looped::start(&project, &["--listen", "127.0.0.1:0"])),
        ("a repository elsewhere", Looped::start(&user, &["--listen", "127.0.0.1:0", "--git", &address])),
    ];
    for (_, looped) in &loops {
        looped.says(&["Z ", " unchanged."]);
    }
    sleep(Duration::from_secs(5));
    let before = loops.each_ref().map(|(_, looped)| cost::cpu_of(looped.pid()));
    let length = Duration::from_secs(60 * minutes as u64);
    sleep(length);
    println!(
        "\n| {minutes} minutes, 100 deployments, a pass a minute | CPU | Share of a core | Memory |\n|---|---|---|---|"
    );
    for ((what, looped), before) in loops.iter().zip(before) {
        let spent = cost::cpu_of(looped.pid()) - before;
        let share = 100.0 * spent.as_secs_f64() / length.as_secs_f64();
        let now = memory(looped.pid(), "VmRSS:");
        println!("| {what} | {} | {share:.3} % | {now:.0} MB |", shown(spent));
        aims.at_most(&format!("idle under 0.2 % of a core, {what}"), share, 0.2, &format!("{share:.3} %"));
        aims.at_most(&format!("idle under 30 MB, {what}"), now, 30.0, &format!("{now:.0} MB"));
    }
}

/// A figure of `/proc/PID/status`, in MB of 10⁶ bytes.
fn memory(pid: u32, name: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0 / 1e6
}
