//! Ctrl-C and SIGTERM: at once while nothing is written, at a safe point while something is, at once when asked twice.

use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::Server;
use crate::support::chaos::ended;
use crate::support::project::{Output, Project};
use crate::support::proxy::{Proxy, Request, Verdict};

/// The server of this file.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::with_pool)
}

struct Bench {
    name: &'static str,
    project: Project,
    proxy: Proxy,
}

impl Bench {
    fn new(name: &'static str) -> Bench {
        let proxy = Proxy::in_front_of(&server().url);
        let one = |n: usize| format!("- {{name: d{n}, entrypoint: \"flow.py:f\", work_pool: {{name: local}}}}\n");
        let project = Project::new()
            .file("reconcile.yaml", &format!("name: {name}\n"))
            .file("flow.py", &format!("from prefect import flow\n\n@flow(name=\"{name}\")\ndef f():\n    pass\n"))
            .file("prefect.yaml", &format!("deployments:\n{}", (0..24).map(one).collect::<String>()))
            .api(&proxy.url);
        Bench { name, project, proxy }
    }

    fn start(&self, args: &[&str]) -> Child {
        let mut command = self.project.reconcile_command();
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits for a request.
    fn reaches(&self, test: impl Fn(&Request) -> bool) {
        for _ in 0..120_000 {
            if self.proxy.requests().iter().any(&test) {
                return;
            }
            sleep(Duration::from_millis(5));
        }
        panic!("{}: never asked", self.name);
    }

    fn locks(&self) -> usize {
        let filter = json!({"block_types": {"slug": {"any_": ["reconcile-lock"]}}});
        let rows = server().http().post("/block_documents/filter", filter);
        rows.as_array().into_iter().flatten().filter(|row| row["data"]["scope"] == self.name).count()
    }

    fn deployments(&self) -> usize {
        let filter = json!({"flows": {"name": {"any_": [self.name]}}});
        server().http().post("/deployments/filter", filter).as_array().map_or(0, Vec::len)
    }
}

fn signal(child: &Child, signal: Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

fn json_of(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn makes_deployment(request: &Request) -> bool {
    request.method == "POST" && request.path == "/api/deployments/"
}

fn is_lock(request: &Request) -> bool {
    request.method == "POST" && request.path == "/api/block_documents/" && request.body.contains("\"beat\"")
}

#[test]
fn what_only_reads_is_left_at_once() {
    let bench = Bench::new("reads");
    // Whoever waits for this answer waits for ever.
    let is_read = |request: &Request| request.path.starts_with("/api/deployments/paginate");
    bench.proxy.rule(move |request| if is_read(request) { Verdict::HoldBefore } else { Verdict::Pass });
    let cases: [(&[&str], Signal, i32); 5] = [
        (&["plan", "--json"], Signal::INT, 130),
        (&["plan", "--json"], Signal::TERM, 130),
        (&["apply", "--yes", "--json"], Signal::INT, 130),
        // Who stops a service wants no more than this.
        (&["apply", "--yes", "--json"], Signal::TERM, 0),
        (&["--yes", "--json"], Signal::TERM, 0),
    ];
    for (args, number, code) in cases {
        bench.proxy.reset();
        let child = bench.start(args);
        bench.reaches(is_read);
        signal(&child, number);
        let output = ended(child).exits(code);
        assert!(output.stderr.contains("interrupted before anything was written"), "{args:?}: {output:?}");
        assert_eq!(json_of(&output)["error"]["message"], "interrupted before anything was written", "{args:?}");
        assert_eq!(bench.proxy.writes().iter().filter(|request| !request.path.contains("paginate")).count(), 0);
    }
    let child = bench.start(&["--watch"]);
    bench.proxy.reset();
    bench.reaches(is_read);
    signal(&child, Signal::INT);
    ended(child).exits(0);
    assert_eq!((bench.deployments(), bench.locks()), (0, 0));
}

#[test]
fn what_is_read_under_the_lock_is_left_at_once_and_the_lock_is_given_back() {
    let bench = Bench::new("underlock");
    let locked = std::sync::atomic::AtomicBool::new(false);
    bench.proxy.rule(move |request| {
        use std::sync::atomic::Ordering::Relaxed;
        locked.fetch_or(is_lock(request), Relaxed);
        let held = request.path.starts_with("/api/deployments/paginate") && locked.load(Relaxed);
        if held { Verdict::HoldBefore } else { Verdict::Pass }
    });
    let child = bench.start(&["apply", "--yes", "--json"]);
    bench.reaches(is_lock);
    let reads = || bench.proxy.requests().iter().filter(|r| r.path.starts_with("/api/deployments/paginate")).count();
    for _ in 0..120_000 {
        if reads() > 1 {
            break;
        }
        sleep(Duration::from_millis(5));
    }
    signal(&child, Signal::INT);
    let output = ended(child).exits(130);
    assert!(json_of(&output)["error"]["message"].is_string(), "{output:?}");
    assert_eq!((bench.deployments(), bench.locks()), (0, 0), "{output:?}");
}

#[test]
fn what_writes_stops_at_a_safe_point() {
    let bench = Bench::new("writes");
    bench.proxy.rule(|r| if makes_deployment(r) { Verdict::Slow(Duration::from_secs(2)) } else { Verdict::Pass });
    for (number, code) in [(Signal::INT, 130), (Signal::TERM, 0)] {
        bench.proxy.reset();
        let before = bench.deployments();
        let child = bench.start(&["apply", "--yes", "--json"]);
        bench.reaches(makes_deployment);
        signal(&child, number);
        let output = ended(child).exits(code);
        let report = json_of(&output);
        let results: Vec<&str> =
            report["changes"].as_array().unwrap().iter().map(|c| c["result"].as_str().unwrap()).collect();
        let done = results.iter().filter(|result| **result == "done").count();
        assert!(done > 0 && results.contains(&"skipped") && !results.contains(&"failed"), "{results:?}");
        assert_eq!((bench.deployments() - before, bench.locks()), (done, 0), "{output:?}");
    }
    bench.proxy.rule(|_| Verdict::Pass);
    bench.project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(bench.deployments(), 24);
}

#[test]
fn who_is_asked_for_patience_does_not_take_it_into_the_end() {
    let bench = Bench::new("patience");
    let busy = || Verdict::AnswerWith(503, "retry-after: 60".to_owned(), "{}".to_owned());
    bench.proxy.rule(move |request| if makes_deployment(request) { busy() } else { Verdict::Pass });
    let child = bench.start(&["apply", "--yes", "--json"]);
    bench.reaches(|request| makes_deployment(request) && request.status == 503);
    // The answer arrives, and the wait begins.
    sleep(Duration::from_secs(1));
    let asked = Instant::now();
    signal(&child, Signal::INT);
    let output = ended(child).exits(130);
    assert!(asked.elapsed() < Duration::from_secs(55), "{:?}", asked.elapsed());
    let report = json_of(&output);
    let all = report["changes"].as_array().unwrap();
    assert!(all.iter().any(|change| change["result"] == "failed"), "{report:#}");
    assert!(all.iter().all(|change| change["result"] != "done"), "{report:#}");
    assert_eq!((bench.deployments(), bench.locks()), (0, 0), "{output:?}");
    bench.proxy.rule(|_| Verdict::Pass);
    bench.project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(bench.deployments(), 24);
}

#[test]
fn who_asks_twice_is_told_what_leaving_means() {
    let bench = Bench::new("twice");
    bench.proxy.rule(|request| if makes_deployment(request) { Verdict::HoldBefore } else { Verdict::Pass });
    let child = bench.start(&["apply", "--yes", "--json"]);
    bench.reaches(makes_deployment);
    signal(&child, Signal::INT);
    sleep(Duration::from_secs(2));
    signal(&child, Signal::INT);
    let output = ended(child).exits(130);
    for words in ["stopping after the requests under way", "left at once", "is not known", "--lock-timeout"] {
        assert!(output.stderr.contains(words), "{words}: {output:?}");
    }
    assert!(json_of(&output)["error"]["help"].is_string(), "{output:?}");
    bench.proxy.rule(|_| Verdict::Pass);
    bench.project.reconcile(&["apply", "--yes", "--lock-timeout", "10m"]).exits(0);
    assert_eq!((bench.deployments(), bench.locks()), (24, 0));
}
