//! What else a run may come to, by Prefect's worker and by ours: pauses, results, pull steps, limits, pools that wait.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::compare::{Left, left};
use super::site::{Site, wait_for};
use crate::support::git_server::{GitServer, Rules};
use crate::support::project::Project;

const TOKEN: &str = "token-of-the-clone";

/// What came of a run that is compared as a whole, and what it made besides.
#[derive(Debug, PartialEq)]
struct Came {
    left: Left,
    more: Value,
}

#[test]
fn whatever_a_run_comes_to_is_the_same_with_both_workers() {
    let (theirs, ours) = (Site::new("outcomes-theirs"), Site::beside("outcomes-ours"));
    let git = GitServer::start();
    let source = Project::new().file("flows.py", include_str!("flows.py")).git_init(None);
    git.push(&source, "code", "HEAD:refs/heads/main");
    git.rules(Rules { token: Some(TOKEN.to_owned()), ..Rules::default() });
    let args = ["--name", "w", "--limit", "4"];
    let often = [("PREFECT_WORKER_QUERY_SECONDS", "1")];
    let expected = {
        let _worker = theirs.reference(&args, &often);
        (runs(&theirs, &git), waits(&theirs))
    };
    let found = {
        let _worker = ours.worker(&args);
        (runs(&ours, &git), waits(&ours))
    };
    for (ours, theirs) in found.0.iter().zip(&expected.0) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(found, expected);
}

/// Runs that have nothing to wait for but what the test does with them.
fn runs(site: &Site, git: &GitServer) -> Vec<Came> {
    let nested = site.run_of("nested", json!({"x": 3}));
    let pauses = site.run_of("pauses", json!({}));
    let suspends = site.run_of("suspends", json!({}));
    let told = told(site);
    let cloned = cloned(site, git);
    let stored = stored(site);
    for run in [&pauses, &suspends] {
        site.until(run, &["PAUSED"]);
    }
    // What is suspended has no process any more.
    let gone = |run: &str| !std::path::Path::new(&format!("/proc/{}", pid(&site.placed(run)))).exists();
    assert!(wait_for(|| gone(&suspends).then_some(())).is_some());
    let suspended = site.states(&suspends);
    for run in [&pauses, &suspends] {
        site.http.post(&format!("/flow_runs/{run}/resume"), json!({}));
    }
    // Workers say `Submitting` once, whether a busy server takes it or not.
    let left = |case, run| {
        let mut left = left(site, case, run);
        left.states.retain(|name| name != "Submitting");
        left
    };
    vec![
        Came { left: left("nested", &nested), more: made(site, &nested) },
        Came { left: left("pauses", &pauses), more: json!(null) },
        Came { left: left("suspends", &suspends), more: json!(on_time(suspended)) },
        Came { left: left("told", &told), more: json!(null) },
        Came { left: left("cloned", &cloned), more: json!(null) },
        Came { left: left("stored", &stored), more: json!(null) },
    ]
}

/// `PID` of `HOST:PID`.
fn pid(placed: &str) -> &str {
    placed.rsplit(':').next().unwrap_or_default()
}

/// How late a run is depends on the machine; `Submitting` is said once, whether a busy server takes it or not.
fn on_time(states: Vec<String>) -> Vec<String> {
    states.into_iter().filter(|name| name != "Late" && name != "Submitting").collect()
}

/// Child runs, tasks, artifacts and whether there is a result.
fn made(site: &Site, run: &str) -> Value {
    let of_run = json!({"flow_runs": {"id": {"any_": [run]}}});
    let children = site.http.post("/flow_runs/filter", json!({"flow_runs": {"parent_flow_run_id": {"any_": [run]}}}));
    let tasks = site.http.post("/task_runs/filter", of_run.clone());
    let artifacts = site.http.post("/artifacts/filter", of_run);
    let all = |rows: &Value, of: &dyn Fn(&Value) -> Value| rows.as_array().unwrap().iter().map(of).collect::<Vec<_>>();
    let mut keys = all(&artifacts, &|row| json!([row["key"], row["type"]]));
    keys.sort_by_key(Value::to_string);
    json!({
        "children": all(&children, &|row| json!([row["state"]["name"], row["parameters"]])),
        "tasks": all(&tasks, &|row| json!([row["name"].as_str().unwrap().split('-').next(), row["state"]["name"]])),
        "artifacts": keys,
        "result": site.read(run)["state"]["data"]["type"],
    })
}

/// A run that prints what its job variables made of a variable, of a block and of a directory.
fn told(site: &Site) -> String {
    let name = format!("mode_{}", site.pool.replace('-', "_"));
    site.http.post("/variables/", json!({"name": name, "value": "told"}));
    let elsewhere = site.project.home().join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let mode = format!("{{{{ prefect.variables.{name} }}}}-{{{{ prefect.blocks.secret.{} }}}}", secret(site, "quiet"));
    let variables = json!({"env": {"MODE": mode}, "working_dir": elsewhere});
    let steps = json!([{"prefect.deployments.steps.run_shell_script": {"script": "pwd"}}]);
    let entrypoint = format!("{}/flows.py:hello", site.project.path().display());
    let deployment = site.deploy(
        "hello",
        json!({"name": "told", "entrypoint": entrypoint, "job_variables": variables, "pull_steps": steps}),
    );
    site.run(&deployment, json!({"job_variables": {"env.X": "dotted"}}))
}

/// A block of the type `secret`; its name.
fn secret(site: &Site, value: &str) -> String {
    let name = format!("{}-{value}", site.pool);
    let kind = site.http.get("/block_types/slug/secret")["id"].clone();
    let of_kind = json!({"block_schemas": {"block_type_id": {"any_": [kind]}}});
    let schema = site.http.post("/block_schemas/filter", of_kind)[0]["id"].clone();
    let block = json!({"name": name, "data": {"value": value}, "block_type_id": kind, "block_schema_id": schema});
    site.http.post("/block_documents/", block);
    name
}

/// A run of a repository behind a password, cloned at a branch that a command told.
fn cloned(site: &Site, git: &GitServer) -> String {
    let address = git
        .address("code")
        .replace("://", &format!("://reader:{{{{ prefect.blocks.secret.{} }}}}@", secret(site, TOKEN)));
    let steps = json!([
        {"prefect.deployments.steps.run_shell_script": {"id": "which", "script": "echo main", "stream_output": false}},
        {"prefect.deployments.steps.git_clone": {
            "id": "clone", "repository": address, "branch": "{{ which.stdout }}"}},
        {"prefect.deployments.steps.set_working_directory": {"directory": "{{ clone.directory }}"}},
    ]);
    site.run(&site.deploy("hello", json!({"name": "cloned", "pull_steps": steps})), json!({}))
}

/// A run of a directory in storage.
fn stored(site: &Site) -> String {
    let step = json!({"prefect.deployments.steps.pull_from_remote_storage": {
        "url": format!("local://{}", site.project.path().display())}});
    site.run(&site.deploy("hello", json!({"name": "stored", "pull_steps": [step]})), json!({}))
}

/// The states of runs that have to wait: for each other, for their pool, for their queue.
fn waits(site: &Site) -> Vec<Value> {
    let limited = |strategy: &str| {
        let options = json!({"collision_strategy": strategy});
        let limit = json!({"name": strategy, "concurrency_limit": 1, "concurrency_options": options});
        let deployment = site.deploy("slow", limit);
        let runs = [(); 2].map(|()| site.run(&deployment, json!({})));
        for run in &runs {
            site.end(run);
        }
        assert!(apart(site, &runs), "{strategy}");
        let mut states = runs.map(|run| on_time(site.states(&run)));
        // How often the second one has to ask is a matter of time.
        states.iter_mut().for_each(Vec::dedup);
        states.sort();
        json!({ strategy: states.map(|mut states| { states.sort(); states.dedup(); states }) })
    };
    let mut all = vec![limited("ENQUEUE"), limited("CANCEL_NEW")];
    let pool = format!("/work_pools/{}", site.pool);
    let queue = format!("{pool}/queues/default");
    for path in [&pool, &queue] {
        site.http.patch(path, json!({"concurrency_limit": 1}));
        let deployment = site.deploy("slow", json!({"name": "one at a time"}));
        let runs = [(); 2].map(|()| site.run(&deployment, json!({})));
        let ends = [0, 1].map(|n| site.end(&runs[n])["name"].clone());
        assert!(apart(site, &runs), "{path}");
        all.push(json!({ "limit": ends }));
        site.http.patch(path, json!({"concurrency_limit": null}));
        site.http.patch(path, json!({"is_paused": true}));
        let run = site.run(&deployment, json!({}));
        std::thread::sleep(std::time::Duration::from_secs(2));
        all.push(json!({ "paused": on_time(site.states(&run)) }));
        site.http.patch(path, json!({"is_paused": false}));
        all.push(json!({ "resumed": site.end(&run)["name"] }));
    }
    all
}

/// Whether no two of these runs ran at the same time.
fn apart(site: &Site, runs: &[String; 2]) -> bool {
    let span = |run: &String| {
        let now = site.read(run);
        let time = |key: &str| now[key].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        Some((time("start_time")?, time("end_time")?))
    };
    match (span(&runs[0]), span(&runs[1])) {
        (Some(one), Some(other)) => one.1 <= other.0 || other.1 <= one.0,
        // The one that was cancelled never ran.
        _ => true,
    }
}
