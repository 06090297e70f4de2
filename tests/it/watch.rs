//! `reconcile --watch` on a directory: what wakes it, what it survives, and how it ends.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::http::Http;
use crate::support::project::Project;
use crate::support::proxy::{Proxy, Verdict};
use crate::support::watcher::Watcher;

fn declared(description: &str) -> String {
    format!(
        "deployments:\n- name: a\n  entrypoint: flow.py:f\n  description: {description}\n  work_pool: {{name: watched}}\n"
    )
}

/// A project whose scope and flow have this name, on the shared server.
fn project(name: &str, url: &str) -> Project {
    let http = Http::new(url);
    http.request("POST", "/work_pools/", Some(&json!({"name": "watched", "type": "process"})));
    Project::new()
        .file("reconcile.yaml", &format!("name: {name}\n"))
        .file("flow.py", &format!("from prefect import flow\n\n@flow(name=\"{name}\")\ndef f():\n    pass\n"))
        .file("prefect.yaml", &declared("first"))
        .api(url)
        .with_python()
}

fn description(name: &str) -> Value {
    Server::shared().http().get(&format!("/deployments/name/{name}/a"))["description"].clone()
}

/// Whether a report tells of one change that went well.
fn changed(action: &str) -> impl Fn(&Value) -> bool {
    move |report| {
        let all = report["changes"].as_array().into_iter().flatten();
        all.filter(|change| change["kind"] == "deployment")
            .any(|change| change["action"] == action && change["result"] == "done")
    }
}

fn is_idle(report: &Value) -> bool {
    report["changes"] == json!([]) && report.get("error").is_none()
}

#[test]
fn what_it_prints_wakes_it_not_even_into_the_directory() {
    let project = project("watch-own-output", &Server::shared().url);
    let log = project.path().join("log.txt");
    let file = fs::File::create(&log).unwrap();
    let mut command = project.reconcile_command();
    command.args(["--watch", "--interval", "1h"]).stdout(file.try_clone().unwrap()).stderr(file);
    let mut child = command.spawn().unwrap();
    let passes = |text: &str| fs::read_to_string(&log).unwrap().matches(text).count();
    let wait_for = |text: &str, count: usize| {
        let began = Instant::now();
        while passes(text) < count {
            assert!(began.elapsed() < Duration::from_secs(120), "{}", fs::read_to_string(&log).unwrap());
            sleep(Duration::from_millis(50));
        }
    };
    wait_for("Applied: ", 1);
    sleep(Duration::from_secs(4));
    assert_eq!(passes("nothing to do"), 0, "{}", fs::read_to_string(&log).unwrap());
    // What others write there does.
    project.write("note.txt", "x");
    wait_for("nothing to do", 1);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn it_applies_what_is_saved_until_it_is_told_to_stop() {
    let project = project("watch-saved", &Server::shared().url);
    let mut watcher = Watcher::start(&project, &["--interval", "1h"]);
    watcher.until(0, "the first pass", changed("create"));
    let passes = watcher.reports().len();
    // As editors save: a new file takes the place of the old one.
    project.write(".prefect.yaml.new", &declared("second"));
    fs::rename(project.path().join(".prefect.yaml.new"), project.path().join("prefect.yaml")).unwrap();
    watcher.until(passes, "the change", changed("update"));
    assert_eq!(description("watch-saved"), "second");
    let output = watcher.stop().exits(0);
    assert!(output.stderr.contains("Applied: 1 applied"), "{output:?}");
    assert!(output.stderr.contains("watch-saved  "), "{output:?}");
}

#[test]
fn a_hangup_means_look_again_and_edits_by_hand_are_healed() {
    let project = project("watch-healed", &Server::shared().url);
    let mut watcher = Watcher::start(&project, &["--interval", "1h", "--drift-interval", "0"]);
    watcher.until(0, "the first pass", changed("create"));
    let http = Server::shared().http();
    let id = http.get("/deployments/name/watch-healed/a")["id"].as_str().unwrap().to_owned();
    http.patch(&format!("/deployments/{id}"), json!({"description": "by hand"}));
    let passes = watcher.reports().len();
    watcher.signal("-HUP");
    let report = watcher.until(passes, "the healing", changed("update"));
    assert_eq!(report["changes"][0]["reason"], "drift", "{report:#}");
    assert_eq!(description("watch-healed"), "first");
    let passes = watcher.reports().len();
    watcher.signal("-HUP");
    let report = watcher.until(passes, "an idle pass", is_idle);
    assert_eq!(report["requests"]["write"], 0, "{report:#}");
    watcher.stop().exits(0);
}

#[test]
fn the_interval_wakes_it_and_finds_what_changed_on_the_api() {
    let project = project("watch-interval", &Server::shared().url);
    let mut watcher = Watcher::start(&project, &["--interval", "1s"]);
    watcher.until(0, "the first pass", changed("create"));
    let http = Server::shared().http();
    let id = http.get("/deployments/name/watch-interval/a")["id"].as_str().unwrap().to_owned();
    http.patch(&format!("/deployments/{id}"), json!({"description": "by hand"}));
    watcher.until(1, "the healing", changed("update"));
    assert_eq!(description("watch-interval"), "first");
}

#[test]
fn invalid_files_are_told_once_and_waited_out() {
    let project = project("watch-invalid", &Server::shared().url);
    let mut watcher = Watcher::start(&project, &["--interval", "1s"]);
    watcher.until(0, "the first pass", changed("create"));
    let passes = watcher.reports().len();
    project.write("prefect.yaml", "deployments: [\n");
    let is_invalid = |report: &Value| report["diagnostics"][0]["severity"] == "error";
    watcher.until(passes, "the complaint", is_invalid);
    watcher.until(passes + 1, "another pass", is_invalid);
    let passes = watcher.reports().len();
    project.write("prefect.yaml", &declared("second"));
    watcher.until(passes, "the change", changed("update"));
    let output = watcher.stop().exits(0);
    assert_eq!(output.stderr.matches("-->").count(), 1, "{}", output.stderr);
    assert!(output.stderr.contains("Invalid: 1 error; nothing was written."), "{}", output.stderr);
}

#[test]
fn an_api_that_is_away_is_waited_for() {
    let proxy = Proxy::in_front_of(&Server::shared().url);
    proxy.rule(|_| Verdict::Answer(403, "{}".to_owned()));
    let project = project("watch-away", &Server::shared().url).api(&proxy.url);
    let mut watcher = Watcher::start(&project, &["--interval", "1h"]);
    let report = watcher.until(0, "a failure", |report| report["error"].is_object());
    assert!(report["error"]["message"].is_string(), "{report:#}");
    watcher.says("trying again in 1 s");
    watcher.says("trying again in 2 s");
    proxy.rule(|_| Verdict::Pass);
    watcher.until(0, "the first pass", changed("create"));
    watcher.stop().exits(0);
}

#[test]
fn a_build_that_writes_into_the_directory_is_no_hot_loop() {
    let built = |script: &str| {
        let step = format!("  build:\n  - prefect.deployments.steps.run_shell_script:\n      script: {script}\n");
        declared("first") + &step
    };
    let failing = project("watch-build-fails", &Server::shared().url);
    failing.write("prefect.yaml", &built("sh -c 'date +%s%N > out.txt; false'"));
    let began = std::time::Instant::now();
    let mut watcher = Watcher::start(&failing, &["--interval", "1h"]);
    watcher.says("trying again in 4 s");
    assert!(began.elapsed().as_secs() >= 3, "{:?}: {:#?}", began.elapsed(), watcher.said());
    // Without git nobody knows what a build sees: it runs in every pass.
    let good = project("watch-built", &Server::shared().url);
    good.write("prefect.yaml", &built("sh -c 'date +%s%N > out.txt'"));
    let mut watcher = Watcher::start(&good, &["--interval", "1h"]);
    watcher.until(0, "the first pass", changed("create"));
    let (began, passes) = (std::time::Instant::now(), watcher.reports().len());
    watcher.until(passes + 1, "two more", is_idle);
    assert!(began.elapsed().as_secs() >= 2, "{:?}: {:#?}", began.elapsed(), watcher.said());
    watcher.stop().exits(0);
}

#[test]
fn nothing_is_applied_in_the_middle_of_a_merge() {
    let project = project("watch-merge", &Server::shared().url).git_init(None);
    project.git(&["checkout", "-q", "-b", "other"]);
    project.write("prefect.yaml", &declared("theirs"));
    project.git_commit("theirs");
    project.git(&["checkout", "-q", "main"]);
    let mut watcher = Watcher::start(&project, &["--interval", "1s"]);
    watcher.until(0, "the first pass", changed("create"));
    project.write("prefect.yaml", &declared("ours"));
    let commit = project.git_commit("ours");
    watcher.until(0, "our commit", |report| report["source"]["commit"] == *commit && is_idle(report));
    // Both sides changed the same line.
    let merge = project.shell("git -c user.name=a -c user.email=a@b merge -q other");
    assert_ne!(merge.code, 0, "{merge:?}");
    watcher.says("waiting until a merge of git is through");
    project.write("prefect.yaml", &declared("both"));
    let passes = watcher.reports().len();
    let commit = project.git_commit("merged");
    let report = watcher.until(passes, "the merge", changed("update"));
    assert_eq!((report["source"]["commit"].as_str(), description("watch-merge")), (Some(&*commit), json!("both")));
    assert!(!watcher.said().join("\n").contains("Invalid"), "{:#?}", watcher.said());
}

#[test]
fn nothing_is_applied_in_the_middle_of_a_rebase() {
    let project = project("watch-rebase", &Server::shared().url).git_init(None);
    project.git(&["checkout", "-q", "-b", "other"]);
    project.write("prefect.yaml", &declared("theirs"));
    project.git_commit("theirs");
    project.git(&["checkout", "-q", "main"]);
    project.write("prefect.yaml", &declared("ours"));
    project.git_commit("ours");
    let mut watcher = Watcher::start(&project, &["--interval", "1s", "--listen", "127.0.0.1:0"]);
    let page = Http::new(watcher.says("the status page is at").rsplit("at ").next().unwrap());
    watcher.until(0, "the first pass", changed("create"));
    // Both sides changed the same line.
    let rebase = project.shell("git -c user.name=a -c user.email=a@b rebase -q other");
    assert_ne!(rebase.code, 0, "{rebase:?}");
    watcher.says("waiting until a rebase of git is through");
    let status = page.get("/status.json");
    assert_eq!((&status["waiting"], &status["state"]), (&json!("a rebase of git is under way"), &json!("in_sync")));
    assert!(page.get("/metrics").as_str().unwrap().contains("reconcile_waiting 1\n"));
    assert!(page.get("/").as_str().unwrap().contains("a rebase of git is under way"));
    project.write("prefect.yaml", &declared("both"));
    assert_eq!(description("watch-rebase"), "ours");
    let passes = watcher.reports().len();
    project.git(&["add", "-A"]);
    let rebase = project.shell("git -c user.name=a -c user.email=a@b -c core.editor=true rebase --continue");
    assert_eq!(rebase.code, 0, "{rebase:?}");
    let commit = project.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let report = watcher.until(passes, "the rebase", changed("update"));
    assert_eq!((&report["source"]["commit"], description("watch-rebase")), (&json!(commit), json!("both")));
    assert!(!watcher.said().join("\n").contains("Invalid"), "{:#?}", watcher.said());
    assert_eq!(page.get("/status.json")["waiting"], Value::Null);
}

/// Ways to save `prefect.yaml`, given a file `next` beside the repository that has what shall be in it.
const EDITORS: [(&str, &str); 8] = [
    ("in place", "cat $next > prefect.yaml"),
    ("in place, in two pieces", "head -n 1 $next > prefect.yaml; sleep 0.3; tail -n +2 $next >> prefect.yaml"),
    ("a new file in its place", "cp $next .prefect.yaml.tmp; mv .prefect.yaml.tmp prefect.yaml"),
    (
        "a backup and a new file",
        "touch .prefect.yaml.swp 4913; rm 4913; mv prefect.yaml prefect.yaml~; cp $next prefect.yaml; \
         rm prefect.yaml~ .prefect.yaml.swp",
    ),
    (
        "a lock, a copy of its own, and a backup",
        "ln -s me@here.1 '.#prefect.yaml'; cp $next '#prefect.yaml#'; cp prefect.yaml prefect.yaml~; \
         cat $next > prefect.yaml; rm '.#prefect.yaml' '#prefect.yaml#'",
    ),
    ("a temporary file from elsewhere", "cp $next ../elsewhere; mv ../elsewhere prefect.yaml"),
    ("removed and made again", "rm prefect.yaml; sleep 0.1; cp $next prefect.yaml"),
    ("a hard link in its place", "cp $next linked; ln -f linked prefect.yaml; rm linked"),
];

#[test]
fn saves_of_every_editor_are_applied() {
    let project = project("watch-editors", &Server::shared().url).env("next", "../next");
    let mut watcher = Watcher::start(&project, &["--interval", "1h"]);
    watcher.until(0, "the first pass", changed("create"));
    for (name, script) in EDITORS {
        fs::write(project.path().join("../next"), declared(name)).unwrap();
        let passes = watcher.reports().len();
        project.shell(&format!("set -e; {script}")).exits(0);
        watcher.until(passes, name, changed("update"));
        assert_eq!(description("watch-editors"), *name);
    }
    let all = watcher.reports();
    let applied = all.iter().filter(|report| changed("update")(report)).count();
    assert_eq!(applied, EDITORS.len(), "{all:#?}");
    watcher.stop().exits(0);
}

#[test]
fn a_branch_switch_is_one_change() {
    let project = project("watch-branch", &Server::shared().url).git_init(None);
    project.git(&["checkout", "-q", "-b", "other"]);
    project.write("prefect.yaml", &declared("other"));
    project.write("more/deep/reconcile.txt", "x");
    project.git_commit("other");
    let mut watcher = Watcher::start(&project, &["--interval", "1h"]);
    watcher.until(0, "the first pass", changed("create"));
    assert_eq!(description("watch-branch"), "other");
    let passes = watcher.reports().len();
    project.git(&["checkout", "-q", "main"]);
    let report = watcher.until(passes, "the change", changed("update"));
    assert_eq!((report["source"]["branch"].as_str(), description("watch-branch")), (Some("main"), json!("first")));
}

#[test]
fn files_that_are_switched_while_they_are_read_are_read_again() {
    let proxy = Proxy::in_front_of(&Server::shared().url);
    let project = project("watch-switched", &Server::shared().url).api(&proxy.url).git_init(None);
    for name in ["second", "third"] {
        project.git(&["checkout", "-q", "-b", name]);
        project.write("prefect.yaml", &declared(name));
        project.git_commit(name);
    }
    project.git(&["checkout", "-q", "main"]);
    let mut watcher = Watcher::start(&project, &["--interval", "1h"]);
    watcher.until(0, "the first pass", changed("create"));

    // The API does not answer before the files are others than those that were read.
    let (answers, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    proxy.rule(move |_| {
        let _ = gate.lock().unwrap().recv();
        Verdict::Pass
    });
    proxy.reset();
    let passes = watcher.reports().len();
    project.git(&["checkout", "-q", "second"]);
    let began = std::time::Instant::now();
    while proxy.requests().is_empty() {
        assert!(began.elapsed() < std::time::Duration::from_secs(120), "{:#?}", watcher.said());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    project.git(&["checkout", "-q", "third"]);
    drop(answers);
    watcher.until(passes, "the change", changed("update"));
    assert_eq!(description("watch-switched"), "third");
    let output = watcher.stop().exits(0);
    assert!(!output.stderr.contains("error"), "{output:?}");
    let reports: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let branches: Vec<&Value> = reports.iter().map(|report| &report["source"]["branch"]).collect();
    assert!(!branches.contains(&&json!("second")), "{branches:?}");
}

#[test]
fn logs_in_json_name_scope_and_commit() {
    let project = project("watch-logs", &Server::shared().url).git_init(None);
    let mut watcher = Watcher::start(&project, &["--interval", "1h", "--log-format", "json"]);
    let report = watcher.until(0, "the first pass", changed("create"));
    let line: Value = serde_json::from_str(&watcher.says("Applied: 1 applied")).unwrap();
    assert_eq!(
        (&line["fields"]["scope"], &line["fields"]["commit"]),
        (&json!("watch-logs"), &report["source"]["commit"])
    );
    for line in watcher.stop().exits(0).stderr.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
}

#[test]
fn a_stop_in_mid_pass_ends_it_at_a_safe_point() {
    let proxy = Proxy::in_front_of(&Server::shared().url);
    let project = project("watch-stopped", &Server::shared().url).api(&proxy.url);
    proxy.rule(|request| match request.is_write() {
        true => Verdict::Slow(std::time::Duration::from_millis(300)),
        false => Verdict::Pass,
    });
    let watcher = Watcher::start(&project, &["--interval", "1h"]);
    while proxy.writes().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    watcher.stop().exits(0);
    // Nothing is left of the lock, and another pass makes the rest.
    proxy.rule(|_| Verdict::Pass);
    project.reconcile(&["--yes"]).exits(0);
    let again = project.reconcile(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, 0, "{again:?}");
}

#[test]
fn of_two_loops_one_takes_over_when_the_other_is_killed() {
    let proxy = Proxy::in_front_of(&Server::shared().url);
    let project = project("watch-two", &Server::shared().url).env("RECONCILE_TEST_LOCK_SECONDS", "2");
    let mut first = Watcher::start(&project, &["--interval", "1h", "--api-url", &proxy.url]);
    first.until(0, "the first pass", changed("create"));
    let mut second = Watcher::start(&project, &["--interval", "1s"]);
    second.until(0, "nothing to do", is_idle);

    // Both see it, one does it.
    project.write("prefect.yaml", &declared("second"));
    let is_through = |report: &Value| report["source"]["files"] == 1 && report["summary"]["unchanged"] == 1;
    second.until(1, "both are through", |report| is_through(report) || changed("update")(report));
    while description("watch-two") != "second" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for watcher in [&first, &second] {
        assert!(watcher.reports().iter().all(|report| report.get("error").is_none()), "{:#?}", watcher.reports());
    }

    // The first is killed while it writes, with the lock in its hands.
    second.signal("-STOP");
    let is_meant =
        |request: &crate::support::proxy::Request| request.is_write() && request.path.contains("/deployments/");
    proxy.rule(move |request| if is_meant(request) { Verdict::HoldBefore } else { Verdict::Pass });
    proxy.reset();
    project.write("prefect.yaml", &declared("third"));
    let began = std::time::Instant::now();
    while !proxy.requests().iter().any(is_meant) {
        assert!(began.elapsed() < std::time::Duration::from_secs(120), "{:#?}", first.said());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    drop(first);
    let passes = second.reports().len();
    second.signal("-CONT");
    second.until(passes, "the takeover", changed("update"));
    assert_eq!(description("watch-two"), "third");
    second.stop().exits(0);
}

#[test]
fn watching_is_refused_where_it_makes_no_sense() {
    let project = Project::new();
    let cases: [(&[&str], &str); 3] = [
        (&["--interval", "5s"], "--watch"),
        (&["--watch", "--interval", "0"], "at least 1s"),
        (&["plan", "--watch"], "--watch"),
    ];
    for (args, words) in cases {
        let output = project.reconcile(args).exits(64);
        assert!(output.stderr.contains(words), "{args:?}: {output:?}");
    }
}
