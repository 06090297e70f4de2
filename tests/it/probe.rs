//! The probe: a pass that rests on the one before asks for marks, not for lists; whatever is odd is compared in full.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::project::Project;
use crate::support::proxy::Proxy;

const HOUR: [&str; 3] = ["plan", "--drift-interval=1h", "--json"];

/// Marks are those of a whole workspace, so every test has a server of its own.
struct World {
    server: Server,
    proxy: Proxy,
    project: Project,
    name: &'static str,
}

fn declarations(first: &str, second: &str) -> String {
    let one = |name: &str, description: &str| {
        format!(
            "- name: {name}\n  entrypoint: flow.py:f\n  description: {description}\n  work_pool: {{name: local}}\n  \
             schedules:\n  - {{interval: 3600, anchor_date: now, slug: hourly, active: false}}\n"
        )
    };
    let trigger = "  triggers:\n  - {type: event, expect: [x.y], name: a-trigger}\n";
    format!("deployments:\n{}{trigger}{}", one("a", first), one("b", second))
}

impl World {
    /// Two deployments that are applied, and a pass that is remembered.
    fn new(name: &'static str) -> World {
        let server = Server::with_pool();
        let proxy = Proxy::in_front_of(&server.url);
        let project = Project::new()
            .file("reconcile.yaml", &format!("name: {name}\n"))
            .file("flow.py", &format!("from prefect import flow\n\n@flow(name=\"{name}\")\ndef f():\n    pass\n"))
            .file("prefect.yaml", &declarations("first", "second"))
            .api(&proxy.url)
            .with_python();
        let world = World { server, proxy, project, name };
        world.project.reconcile(&["apply", "--yes"]).exits(0);
        world.wait_until_remembered();
        world
    }

    /// Marks count once the last write is a while ago.
    #[track_caller]
    fn wait_until_remembered(&self) {
        let began = Instant::now();
        while !is_probed(&self.json(&HOUR)) {
            assert!(began.elapsed() < Duration::from_secs(60), "no pass is remembered");
            sleep(Duration::from_millis(100));
        }
    }

    /// What a pass prints.
    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        self.proxy.reset();
        serde_json::from_str(&self.project.reconcile(args).exits(0).stdout).expect("JSON")
    }

    /// How often a list of deployments was asked for since the last pass began.
    fn lists(&self) -> usize {
        self.proxy.requests().iter().filter(|request| request.path.ends_with("/deployments/paginate")).count()
    }

    fn deployment(&self, name: &str) -> Value {
        self.server.http().get(&format!("/deployments/name/{}/{name}", self.name))
    }

    /// The file of the only memory.
    fn memory(&self) -> std::path::PathBuf {
        let files = std::fs::read_dir(self.project.home().join("cache/passes")).expect("passes are remembered");
        let files: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }
}

fn is_probed(report: &Value) -> bool {
    report["base"]["remembered"].is_object()
}

#[test]
fn while_nothing_moves_no_list_is_read() {
    let world = World::new("still");
    let report = world.json(&HOUR);
    assert_eq!(world.lists(), 0, "{:?}", world.proxy.requests());
    assert!(is_probed(&report), "{report:#}");
    assert_eq!(report["summary"]["unchanged"], 3, "{report:#}");
    assert_eq!(report["base"]["remembered"]["read"], 0);
    // The same for the other commands that make a pass, and with the interval from the project's file.
    for args in [&["apply", "--yes", "--drift-interval=1h"][..], &["--yes", "--drift-interval", "60m"]] {
        world.proxy.reset();
        let output = world.project.reconcile(args).exits(0);
        assert!(output.stdout.contains("nothing has moved on the API since. 0 deployments read."), "{output:?}");
        assert_eq!((world.lists(), world.proxy.writes().len()), (0, 0));
    }
    world.project.write("reconcile.yaml", &format!("name: {}\ndrift_interval: 1h\n", world.name));
    assert!(is_probed(&world.json(&["plan", "--json"])));
    // What did not come from this workspace is not taken for it, and without an interval nothing is.
    assert!(!is_probed(&world.json(&["plan", "--json", "--drift-interval=0"])));
    assert_eq!(world.lists(), 1);
}

#[test]
fn an_edit_by_hand_is_found_at_once() {
    let world = World::new("edited");
    let id = world.deployment("b")["id"].as_str().expect("an id").to_owned();
    world.server.http().patch(&format!("/deployments/{id}"), json!({"description": "by hand"}));
    let report = world.json(&HOUR);
    assert!(!is_probed(&report) && world.lists() > 0, "{report:#}");
    assert_eq!(report["summary"]["update"], 1, "{report:#}");
    assert_eq!(report["changes"][0]["reason"], "drift");
    world.project.reconcile(&["apply", "--yes", "--drift-interval=1h"]).exits(0);
    world.wait_until_remembered();
    // An automation that is deleted, and a deployment.
    let automation = world.server.http().all("automations")[0]["id"].as_str().expect("an id").to_owned();
    world.server.http().delete(&format!("/automations/{automation}"));
    assert_eq!(world.json(&HOUR)["summary"]["create"], 1);
    world.project.reconcile(&["apply", "--yes", "--drift-interval=1h"]).exits(0);
    world.wait_until_remembered();
    world.server.http().delete(&format!("/deployments/{id}"));
    assert_eq!(world.json(&HOUR)["summary"]["create"], 1);
}

#[test]
fn a_schedule_edited_by_hand_is_found_when_the_interval_is_over() {
    let world = World::new("scheduled");
    let row = world.deployment("a");
    let (id, schedule) = (row["id"].as_str().expect("an id"), row["schedules"][0]["id"].as_str().expect("an id"));
    world.server.http().patch(&format!("/deployments/{id}/schedules/{schedule}"), json!({"active": true}));
    // The server does not stamp the deployment, which is what the interval is for.
    assert!(is_probed(&world.json(&HOUR)), "the server stamps deployments now: the documentation can be simpler");
    sleep(Duration::from_millis(1100));
    for args in
        [&["plan", "--drift-interval=1s", "--json"][..], &["plan", "--drift-interval=1h", "--full-compare", "--json"]]
    {
        let report = world.json(args);
        assert!(!is_probed(&report) && world.lists() > 0, "{report:#}");
        assert_eq!(report["summary"]["update"], 1, "{report:#}");
    }
}

#[test]
fn only_what_git_changed_is_read_and_written() {
    let world = World::new("changed");
    let before = world.deployment("b");
    world.project.write("prefect.yaml", &declarations("changed", "second"));
    let planned = world.json(&HOUR);
    assert_eq!(planned["base"]["remembered"]["read"], 1, "{planned:#}");
    assert_eq!((&planned["summary"]["update"], &planned["summary"]["unchanged"]), (&json!(1), &json!(2)));
    let report = world.json(&["apply", "--yes", "--drift-interval=1h", "--json"]);
    assert_eq!(report["changes"][0]["result"], "done", "{report:#}");
    let asked = world.proxy.requests();
    let lists = asked.iter().filter(|request| request.path.ends_with("/deployments/paginate"));
    let names: Vec<Value> = lists.map(|list| serde_json::from_str::<Value>(&list.body).expect("JSON")).collect();
    assert!(
        !names.is_empty() && names.iter().all(|body| body["deployments"]["name"]["any_"] == json!(["a"])),
        "{names:?}"
    );
    assert_eq!(world.deployment("a")["description"], "changed");
    assert_eq!(world.deployment("b"), before);
    // A full comparison agrees, and the ledger still knows both.
    let report = world.json(&["plan", "--json"]);
    assert_eq!((&report["summary"]["unchanged"], report["changes"].as_array().map(Vec::len)), (&json!(3), Some(0)));
    world.wait_until_remembered();
    // One that is new is made, and one that leaves git is seen by comparing everything.
    let three = format!(
        "{}- {{name: c, entrypoint: flow.py:f, work_pool: {{name: local}}}}\n",
        declarations("changed", "second")
    );
    world.project.write("prefect.yaml", &three);
    let report = world.json(&["apply", "--yes", "--drift-interval=1h", "--json"]);
    assert_eq!(report["base"]["remembered"]["read"], 1, "{report:#}");
    assert_eq!((&report["summary"]["create"], &report["summary"]["unchanged"]), (&json!(1), &json!(3)));
    world.wait_until_remembered();
    world.project.write("prefect.yaml", &declarations("changed", "second"));
    let report = world.json(&HOUR);
    assert!(!is_probed(&report) && report["held"][0]["name"] == format!("{}/c", world.name), "{report:#}");
}

#[test]
fn whatever_is_odd_is_compared_in_full() {
    let world = World::new("odd");
    let file = world.memory();
    let whole = std::fs::read_to_string(&file).expect("it is there");
    for damaged in [String::new(), "{}".to_owned(), whole[..whole.len() / 2].to_owned(), "\0".repeat(100)] {
        std::fs::write(&file, damaged).expect("a file");
        let report = world.json(&HOUR);
        assert!(!is_probed(&report), "{report:#}");
        assert_eq!((&report["summary"]["unchanged"], world.lists()), (&json!(3), 1));
        assert!(is_probed(&world.json(&HOUR)), "it is made anew");
    }
    // Neither does a cache that cannot be used.
    let report = world.project.reconcile_command().env("RECONCILE_CACHE_DIR", "/proc/nowhere").args(HOUR).output();
    assert!(report.expect("it runs").status.success());
    // A part of the declarations says nothing of the whole.
    for more in [&["-n", "a"][..], &["--prefect-file", "prefect.yaml"]] {
        let report = world.json(&[&HOUR[..], more].concat());
        assert!(!is_probed(&report) && world.lists() > 0, "{more:?}: {report:#}");
    }
    assert!(is_probed(&world.json(&HOUR)));
}

#[test]
fn a_renaming_is_never_decided_from_memory() {
    let world = World::new("renamed");
    let renamed = declarations("first", "second").replace("- name: b\n", "- name: c\n  lifecycle: {replaces: b}\n");
    world.project.write("prefect.yaml", &renamed);
    let report = world.json(&HOUR);
    assert!(!is_probed(&report) && world.lists() > 0, "{report:#}");
    assert_eq!(report["summary"]["replace"], 1, "{report:#}");
    // Also where what is replaced never was remembered, and while `replaces` still stands there with nothing to do.
    world.project.reconcile(&["apply", "--yes", "--drift-interval=1h"]).exits(0);
    for _ in 0..2 {
        let report = world.json(&HOUR);
        assert!(!is_probed(&report), "{report:#}");
        assert_eq!(report["summary"]["unchanged"], 3, "{report:#}");
    }
    // Somebody makes the old one anew: it is seen at once.
    let flow = world.deployment("c")["flow_id"].clone();
    world.server.http().post("/deployments/", json!({"name": "b", "flow_id": flow}));
    let output = world.project.reconcile(&HOUR);
    assert!(output.code == 4 && output.stderr.contains("E0416"), "{output:?}");
}
