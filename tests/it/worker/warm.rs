//! Runs that are forked from a warm interpreter: nothing about them differs but when they begin.

use std::fs;

use serde_json::{Value, json};

use super::compare::{all, left};
use super::site::{Site, Worker, wait_for};

const COLD: &str = "without a warm interpreter: ";

/// The number of the interpreter of a worker that forks.
pub fn forkserver(worker: &Worker) -> String {
    let listed = || fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let of = |pid: &str, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let parent = format!("PPid:\t{}\n", worker.child.id());
    let is = |pid: &String| of(pid, "cmdline").contains("forkserver.py") && of(pid, "status").contains(&parent);
    wait_for(|| listed().find(is)).expect("a warm interpreter")
}

/// What the flow `facts` has left under a name, without what differs from run to run.
fn facts(site: &Site, name: &str) -> Value {
    let text = fs::read_to_string(site.notes().join(name)).unwrap();
    let mut told: Value = serde_json::from_str(&text).unwrap();
    told["environment"].as_object_mut().unwrap().retain(|name, _| name != "PREFECT__FLOW_RUN_ID");
    told
}

#[test]
fn forked_runs_leave_what_others_leave() {
    let (cold, warm) = (Site::new("cold-runs"), Site::beside("warm-runs"));
    let args = ["--name", "w", "--limit", "3"];
    let worker = cold.worker(&args);
    let expected = all(&cold);
    drop(worker);
    let worker = warm.worker(&[&args[..], &["--warm", "1"]].concat());
    let found = all(&warm);
    found.into_iter().zip(expected).for_each(|(warm, cold)| assert_eq!(warm, cold));
    assert!(!worker.log().contains(COLD), "{}", worker.log());
}

#[test]
fn a_forked_process_is_like_a_fresh_one() {
    let site = Site::new("likeness");
    let env = json!({"env": {"MODE": "x", "EXTRA": "y"}, "stream_output": false});
    let deployment = site.deploy("facts", json!({ "job_variables": env }));
    let steps = json!([
        {"prefect.deployments.steps.run_shell_script": {"id": "where", "script": format!("echo {}", site.project.path().display())}},
        {"prefect.deployments.steps.set_working_directory": {"directory": "{{ where.stdout }}"}},
    ]);
    let pulled =
        site.deploy("facts", json!({"name": "pulled", "pull_steps": steps, "job_variables": {"stream_output": false}}));
    let both = |kind: &str| {
        let run = |deployment: &str, name: String| site.run(deployment, json!({"parameters": {"name": name}}));
        let runs = [run(&deployment, format!("plain.{kind}")), run(&pulled, format!("pulled.{kind}"))];
        runs.map(|run| {
            assert_eq!(site.end(&run)["name"], "Completed");
            left(&site, "facts", &run)
        })
    };
    let worker = site.worker(&["--name", "w"]);
    let expected = both("cold");
    drop(worker);
    let worker = site.worker(&["--name", "w", "--warm", "1"]);
    assert_eq!(both("warm"), expected);
    assert!(!worker.log().contains(COLD), "{}", worker.log());
    for flow in ["plain", "pulled"] {
        let (cold, mut warm) = (facts(&site, &format!("{flow}.cold")), facts(&site, &format!("{flow}.warm")));
        assert_eq!(warm["parent"], "forkserver");
        warm["parent"] = json!("other");
        for (fact, cold) in cold.as_object().unwrap() {
            assert_eq!(warm[fact], *cold, "{flow}: {fact}");
        }
    }
}

#[test]
fn what_a_fork_cannot_be_is_started_ordinarily() {
    let site = Site::new("ordinary");
    let deploy = |name: &str, more: Value| {
        let mut more = more;
        more["name"] = json!(name);
        site.deploy("hello", more)
    };
    let variables = |of: Value| json!({ "job_variables": of });
    let steps =
        |dir: &std::path::Path| json!([{"prefect.deployments.steps.set_working_directory": {"directory": dir}}]);
    let copy = |name: &str, file: &str, text: &str| {
        let dir = site.project.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::copy(site.project.path().join("flows.py"), dir.join("flows.py")).unwrap();
        fs::write(dir.join(file), text).unwrap();
        dir
    };
    let settings = copy("settings", "prefect.toml", "[tasks]\ndefault_retries = 1\n");
    let shadows = copy("shadows", "sitecustomize.py", "import os\nos.environ[\"MODE\"] = \"customized\"\n");
    let command = format!("{} -m prefect.engine", crate::support::python().display());
    let runs = [
        (deploy("command", variables(json!({ "command": command }))), "it has a command of its own", "None"),
        (
            deploy("early", variables(json!({"env": {"TZ": "Asia/Tokyo"}}))),
            "its environment is not that of the warm",
            "None",
        ),
        (deploy("settings", json!({"pull_steps": steps(&settings)})), "settings are others in its directory", "None"),
        (deploy("shadows", json!({"pull_steps": steps(&shadows)})), "`sitecustomize.py` in ", "customized"),
    ];
    let worker = site.worker(&["--limit", "2", "--warm", "1"]);
    for (deployment, why, mode) in runs {
        let run = site.run(&deployment, json!({}));
        assert_eq!(site.end(&run)["name"], "Completed", "{why}\n{}", worker.log());
        let line = format!("Flow run '{run}' is started {COLD}");
        let said = worker.log().lines().any(|said| said.starts_with(&line) && said.contains(why));
        assert!(said, "{why}: {}", worker.log());
        let printed = wait_for(|| site.logs(&run).into_iter().find(|log| log.2.starts_with("hello")).map(|log| log.2));
        assert!(printed.as_ref().unwrap().contains(mode), "{printed:?}");
    }
}

#[test]
fn forked_runs_are_cancelled_and_outlive_their_interpreter_and_their_worker() {
    let site = Site::new("forked");
    let hooked = site.deploy("hooked", json!({}));
    let cancelled = site.run(&hooked, json!({"name": "one"}));
    let crashed = site.run(&hooked, json!({"name": "two", "parameters": {"code": 3}}));
    let mut first = site.worker(&["--name", "first", "--warm", "1"]);
    assert_eq!(site.end(&crashed)["name"], "Crashed");
    site.until(&cancelled, &["RUNNING"]);
    site.cancel(&cancelled);
    assert_eq!(site.end(&cancelled)["message"], "Flow run was cancelled successfully.");
    let notes = ["one.CANCELLING", "two.CRASHED"].map(|name| site.notes().join(name));
    assert!(wait_for(|| notes.iter().all(|note| note.is_file()).then_some(())).is_some(), "{}", first.log());
    let waits = site.run_of("waits", json!({}));
    site.until(&waits, &["RUNNING"]);
    let (server, pid) = (forkserver(&first), site.placed(&waits));
    assert!(std::process::Command::new("kill").args(["-9", &server]).status().unwrap().success());
    // Whether it had lived long enough to be replaced at once depends on the machine.
    let told = ["A warm interpreter is replaced", "No warm interpreter for a minute"];
    assert!(wait_for(|| told.iter().any(|text| first.log().contains(text)).then_some(())).is_some(), "{}", first.log());
    let next = site.run_of("dies", json!({}));
    assert_eq!(site.end(&next)["name"], "Crashed");
    first.signal("KILL");
    first.wait();
    let second = site.worker(&["--name", "second", "--warm", "1"]);
    second.says("Adopted flow run");
    assert_eq!(site.read(&waits)["infrastructure_pid"], pid);
    site.go();
    assert_eq!(site.end(&waits)["name"], "Completed");
    assert!(wait_for(|| (site.noted() == 0).then_some(())).is_some(), "{} noted", site.noted());
}
