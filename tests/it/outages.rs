//! What a loop rests on is away, for a moment or for long, or its clock jumps: it goes on, says so, and misses nothing.
//!
//! `RECONCILE_TEST_AWAY=600` makes every server that is away stay so for so many seconds at least.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::remote::World;
use crate::serve::{Served, declared, is_done, project};
use crate::support::Server;
use crate::support::clock::Clock;
use crate::support::door::Door;
use crate::support::project::Project;
use crate::support::proxy::{Proxy, Verdict};

/// Passes that fail before a server is back, at least.
const FAILURES: usize = 6;
/// The interval, and with it the longest wait after a failure, in seconds.
const INTERVAL: u32 = 3;

/// How long something is away at least.
fn length() -> Duration {
    let asked = std::env::var("RECONCILE_TEST_AWAY").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(0))
}

/// Waits while everything fails; nothing else may wake the loop meanwhile. The failures came no faster than waits of
/// 1, 2, 3, 3 … seconds let them, and did not end.
#[track_caller]
fn fails_for_long(served: &mut Served, passes: usize, began: Instant) {
    let failed = |report: &Value| report["error"]["message"].is_string();
    served.watcher.until(passes + FAILURES - 1, "failure after failure", failed);
    while began.elapsed() < length() {
        sleep(Duration::from_secs(1));
        assert_eq!(served.get("/healthz").status, 200);
    }
    let reports = served.watcher.reports();
    let (count, took) = (reports.len() - passes, began.elapsed().as_secs_f64());
    assert!(reports[passes..].iter().all(failed), "{reports:#?}");
    assert!(count as f64 <= took / f64::from(INTERVAL) + 3.0, "{count} passes within {took} s");
    served.watcher.until(reports.len(), "yet another failure", failed);
}

fn description(name: &str) -> Value {
    Server::shared().http().request("GET", &format!("/deployments/name/{name}/a"), None).body["description"].clone()
}

#[test]
fn an_api_that_is_away_is_asked_ever_more_slowly_until_it_is_back() {
    let name = "away-api";
    let mut door = Door::before(&Server::shared().url);
    let project = project(name).api(&door.url);
    let began = Instant::now();
    // Nobody is there when it starts.
    let mut served = Served::start(&project, &["--interval", &format!("{INTERVAL}s")]);
    fails_for_long(&mut served, 0, began);
    let ready = served.get("/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (503, "failed\n"));
    served.until("/", "cannot reach the Prefect API");
    let metrics = served.get("/metrics").body;
    for line in ["reconcile_in_sync 0", "reconcile_last_success_timestamp_seconds 0"] {
        assert!(metrics.lines().any(|one| one == line), "{line}: {metrics}");
    }
    let words = "cannot reach the Prefect API at";
    for seconds in [1, 2, INTERVAL] {
        let line = served.watcher.says(&format!("trying again in {seconds} s"));
        assert!(line.contains(words) && line.contains("Connection refused"), "{line}");
    }
    assert!(!served.watcher.said().join("\n").contains("trying again in 4 s"), "{:#?}", served.watcher.said());
    // The problem itself is told once, not with every pass.
    let said = served.watcher.said();
    assert_eq!(said.iter().filter(|line| line.starts_with("error")).count(), 1, "{said:#?}");

    door.open();
    served.watcher.until(0, "the first good pass", is_done);
    served.until("/readyz", "in_sync");
    assert_eq!(served.get("/readyz").status, 200);

    // It goes away again, and files change meanwhile.
    let (passes, began) = (served.watcher.reports().len(), Instant::now());
    door.shut();
    served.until("/readyz", "failed");
    let passes = passes + served.watcher.reports()[passes..].iter().filter(|report| report["error"].is_null()).count();
    fails_for_long(&mut served, passes, began);
    assert!(served.get("/").body.contains(&format!("deployment {name}")), "what is known is still shown");
    project.write("prefect.yaml", &declared("second"));
    let passes = served.watcher.reports().len();
    served.watcher.until(passes, "another failure", |report| report["error"].is_object());
    assert_eq!(description(name), "first");
    door.open();
    let passes = served.watcher.reports().len();
    let report = served.watcher.until(passes, "what was saved meanwhile", is_done);
    assert_eq!((&report["summary"]["update"], description(name)), (&json!(1), json!("second")), "{report:#}");
    served.until("/readyz", "in_sync");
    served.watcher.stop().exits(0);
}

#[test]
fn a_git_server_that_is_away_is_waited_for_and_what_is_applied_stays() {
    let world = World::new("away-git");
    let mut door = Door::before(&world.git.url);
    let address = format!("{}/shop.git", door.url);
    let one = world.user.reconcile(&["plan", "--git", &address]).exits(1);
    let sentence = format!("error: fetch {address}: Connection refused");
    let told: Vec<&str> = one.stderr.lines().filter(|line| line.starts_with("error")).collect();
    assert!(told.len() == 1 && told[0].starts_with(&sentence), "{one:?}");

    door.open();
    let mut served = Served::start(&world.user, &["--git", &address, "--interval", &format!("{INTERVAL}s")]);
    served.watcher.until(0, "the first commit", is_done);
    served.until("/readyz", "in_sync");
    let (passes, began) = (served.watcher.reports().len(), Instant::now());
    door.shut();
    served.until("/readyz", "failed");
    let passes = passes + served.watcher.reports()[passes..].iter().filter(|report| report["error"].is_null()).count();
    fails_for_long(&mut served, passes, began);
    let page = served.get("/").body;
    assert!(page.contains("Connection refused") && page.contains("deployment away-git"), "{page}");
    assert_eq!(world.deployment()["description"], "first");
    // History goes on, and is rewritten, where nobody sees it.
    world.push("second");
    world.author.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let last = world.push("third");
    door.open();
    let report = served.watcher.until(passes, "the newest commit", is_done);
    assert_eq!((&report["source"]["commit"], description("away-git")), (&json!(last), json!("third")), "{report:#}");
    served.until("/readyz", "in_sync");
    let output = served.watcher.stop().exits(0);
    assert!(!output.stderr.contains("made again"), "the mirror was not damaged: {}", output.stderr);
}

/// A project whose loop goes by a clock.
fn by(clock: &Clock, project: Project) -> Project {
    clock.environment().into_iter().fold(project, |project, (name, value)| project.env(name, &value))
}

/// The time that a process has computed so far, in seconds.
fn used(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let numbers: Vec<u64> =
        text.rsplit(')').next().unwrap().split_whitespace().skip(1).map(|word| word.parse().unwrap_or(0)).collect();
    (numbers[10] + numbers[11]) as f64 / 100.0
}

/// Waits until the last pass of a loop began by a clock that is off by so many hours.
#[track_caller]
fn goes_by(served: &Served, hours: i64) {
    let began = Instant::now();
    loop {
        let status: Value = serde_json::from_str(&served.get("/status.json").body).unwrap();
        let at: jiff::Timestamp = status["history"][0]["at"].as_str().unwrap().parse().unwrap();
        let off = at.duration_since(jiff::Timestamp::now()).as_secs_f64() / 3600.0;
        if (off - hours as f64).abs() < 0.4 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{off} hours, not {hours}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_clock_that_jumps_neither_hurries_a_loop_nor_puts_it_to_sleep() {
    let Some(clock) = Clock::new() else { return };
    let name = "jumping";
    let project = by(&clock, project(name));
    let mut served = Served::start(&project, &["--interval", "1h"]);
    served.watcher.until(0, "the first pass", is_done);
    served.until("/readyz", "in_sync");
    for hours in [7, -7, 1000, 0] {
        clock.is_off(hours);
        // That alone is no reason to do anything.
        let (passes, before) = (served.watcher.reports().len(), used(served.watcher.pid()));
        sleep(Duration::from_secs(2));
        assert_eq!(served.watcher.reports().len(), passes, "{hours}");
        let spent = used(served.watcher.pid()) - before;
        assert!(spent < 1.0, "{hours}: {spent} s of computing");
        // What happens wakes it all the same, whenever that is.
        let words = format!("at {hours}");
        project.write("prefect.yaml", &declared(&words));
        served.watcher.until(passes, "a file", is_done);
        assert_eq!(description(name), *words);
        goes_by(&served, hours);
    }
    served.watcher.stop().exits(0);
}

#[test]
fn a_clock_that_jumps_keeps_polls_apart_and_leaves_none_out() {
    let Some(clock) = Clock::new() else { return };
    let name = "jumping-polls";
    let project = by(&clock, project(name));
    let mut served = Served::start(&project, &["--interval", "1s", "--drift-interval", "1h"]);
    served.watcher.until(0, "the first pass", is_done);
    let http = Server::shared().http();
    let id = http.get(&format!("/deployments/name/{name}/a"))["id"].as_str().unwrap().to_owned();
    for hours in [7, -7, 0] {
        clock.is_off(hours);
        let (passes, began) = (served.watcher.reports().len(), Instant::now());
        // One may be under way, and one have ended and not be read yet; four more lie nine tenths of a second apart.
        served.watcher.until(passes + 5, "poll after poll", |_| true);
        assert!(began.elapsed() > Duration::from_secs(2), "{hours}: {:?}", began.elapsed());
        // What was compared in a future that is gone by now is compared again.
        let passes = served.watcher.reports().len();
        http.patch(&format!("/deployments/{id}"), json!({"description": "by hand"}));
        served.watcher.until(passes, "the healing", is_done);
        assert_eq!(description(name), "first", "{hours}");
    }
    served.watcher.stop().exits(0);
}

#[test]
fn a_clock_that_jumps_while_something_is_written_takes_the_lock_from_nobody() {
    let (Some(ours), Some(theirs)) = (Clock::new(), Clock::new()) else { return };
    let name = "jumping-writes";
    let proxy = Proxy::in_front_of(&Server::shared().url);
    let short = ("RECONCILE_TEST_LOCK_SECONDS", "6");
    let holder = by(&ours, project(name)).api(&proxy.url).env(short.0, short.1);
    let contender = by(&theirs, project(name)).env(short.0, short.1);
    let makes = |request: &crate::support::proxy::Request| request.path == "/api/deployments/";
    // For longer than a lock lasts of which nothing is heard.
    proxy.rule(move |request| if makes(request) { Verdict::Slow(Duration::from_secs(9)) } else { Verdict::Pass });
    let mut served = Served::start(&holder, &[]);
    let began = Instant::now();
    while !proxy.requests().iter().any(makes) {
        assert!(began.elapsed() < Duration::from_secs(120), "{:#?}", served.watcher.said());
        sleep(Duration::from_millis(10));
    }
    for hours in [7, -7] {
        ours.is_off(hours);
        theirs.is_off(-hours);
        let output = contender.reconcile(&["apply", "--yes", "--json"]);
        let report: Value = serde_json::from_str(&output.stdout).unwrap();
        // On a machine that is busy it may come when all is done.
        assert!(output.code == 5 || report["changes"] == json!([]), "{hours}: {output:?}");
        sleep(Duration::from_secs(1));
    }
    let report = served.watcher.until(0, "the pass", |_| true);
    assert!(is_done(&report) && report["error"].is_null(), "{report:#}");
    let output = served.watcher.stop().exits(0);
    assert!(!output.stderr.contains("lock was lost"), "{}", output.stderr);
}
