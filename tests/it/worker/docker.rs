//! Runs as containers: a real engine, real flows, and what the engine says of them.

use serde_json::{Value, json};

use super::site::{Site, server, wait_for};
use crate::support::cable::Cable;
use crate::support::docker::{Engine, IMAGE, volumes};
use crate::support::skip;

/// A pool of the type docker whose containers can run the site's flows.
struct Dock {
    engine: &'static Engine,
    site: Site,
}

impl Dock {
    /// None if this machine has no engine, which is said.
    fn new(pool: &str) -> Option<Dock> {
        match Engine::shared() {
            Ok(engine) => Some(Dock { engine, site: Site::of_type(pool, "docker") }),
            Err(why) => {
                skip::skipped(why);
                None
            }
        }
    }

    /// A deployment of a flow; `more` is laid over its job variables.
    fn deploy(&self, flow: &str, more: Value) -> String {
        let mut variables = contained(&self.site);
        for (key, value) in more.as_object().cloned().unwrap_or_default() {
            variables[key] = value;
        }
        let name = format!("{flow}-{}-{}", self.site.pool, uuid::Uuid::new_v4().simple());
        self.site.deploy(flow, json!({"name": name, "job_variables": variables}))
    }

    /// A run of a command.
    fn command(&self, line: &str, more: Value) -> String {
        let mut more = more;
        more["command"] = json!(line);
        self.site.run(&self.deploy("hello", more), json!({}))
    }

    fn run_of(&self, flow: &str, parameters: Value) -> String {
        self.site.run(&self.deploy(flow, json!({})), json!({ "parameters": parameters }))
    }

    fn worker(&self, args: &[&str]) -> super::site::Worker {
        self.worker_with(args, &[])
    }

    fn worker_with(&self, args: &[&str], env: &[(&str, &str)]) -> super::site::Worker {
        let host = self.engine.host();
        let env: Vec<(&str, &str)> = [("DOCKER_HOST", host.as_str())].into_iter().chain(env.iter().copied()).collect();
        self.site.worker_with(args, &env)
    }

    /// The only container of a run.
    #[track_caller]
    fn container(&self, run: &str) -> Value {
        let found = wait_for(|| Some(self.engine.containers_of(run)).filter(|found| !found.is_empty()));
        let mut found = found.expect("a container");
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    /// Waits until the container of a run runs.
    fn until_running(&self, run: &str) -> Value {
        let runs = || self.engine.containers_of(run).into_iter().find(|one| one["State"]["Running"] == true);
        wait_for(runs).expect("a container that runs")
    }
}

/// The job variables with which containers can run a site's flows.
pub fn contained(site: &Site) -> Value {
    let (repo, notes) = (site.project.path(), site.notes());
    let mut all = volumes();
    all.extend([&repo, &notes].map(|dir| json!(format!("{0}:{0}", dir.display()))));
    let env = json!({"NOTES": notes, "PREFECT_HOME": "/tmp/prefect", "DO_NOT_TRACK": "1"});
    json!({"image": IMAGE, "volumes": all, "env": env})
}

fn told(state: &Value) -> (String, String) {
    let text = |key: &str| state[key].as_str().unwrap_or_default().to_owned();
    (text("name"), text("message"))
}

fn exited(code: i32, meaning: &str) -> (String, String) {
    ("Crashed".to_owned(), format!("Flow run infrastructure exited with non-zero status code {code}. {meaning}"))
}

#[test]
fn containers_get_what_the_job_says_and_runs_end_as_they_say() {
    let Some(dock) = Dock::new("docks") else { return };
    let env = json!({"MODE": "contained", "NOTES": "/tmp", "PREFECT_HOME": "/tmp/prefect", "PREFECT_API_KEY": null});
    let more = json!({
        "env": env, "labels": {"team": "data", "example.org/tier": "gold"}, "name": "say {{ ctx.flow.name }}!",
        "mem_limit": "900m", "container_create_kwargs": {"hostname": "boxed", "cap_add": ["SYS_NICE"]},
    });
    let hello = dock.site.run(&dock.deploy("hello", more), json!({"parameters": {"n": 5}}));
    let fails = dock.run_of("fails", json!({}));
    let exits = dock.command("sh -c 'echo about to end; exit 8'", json!({}));
    let missing = dock.command("no-such-program", json!({}));
    let gone = dock.command("true", json!({"auto_remove": true, "stream_output": false}));
    let worker = dock.worker(&["--name", "w1"]);
    assert_eq!(told(&dock.site.end(&hello)).0, "Completed", "{}", worker.log());
    let printed = wait_for(|| dock.site.logs(&hello).into_iter().find(|log| log.2.starts_with("hello")));
    assert_eq!(printed.unwrap().2, "hello 5 contained repo");
    let states: Vec<String> = dock.site.states(&hello).into_iter().filter(|name| name != "Late").collect();
    assert_eq!(states, ["Scheduled", "Pending", "Submitting", "Running", "Completed"]);
    let one = dock.container(&hello);
    assert_eq!(one["Name"], "/say-hello");
    assert_eq!(one["Config"]["Cmd"], json!(["prefect", "flow-run", "execute"]));
    assert_eq!((&one["Config"]["Hostname"], &one["HostConfig"]["NetworkMode"]), (&json!("boxed"), &json!("host")));
    assert_eq!(one["HostConfig"]["Memory"], 900 << 20);
    assert!(one["HostConfig"]["CapAdd"].to_string().contains("SYS_NICE"), "{one}");
    let labels = &one["Config"]["Labels"];
    assert_eq!((&labels["team"], &labels["org.example.tier"]), (&json!("data"), &json!("gold")));
    assert_eq!((&labels["io.prefect.worker-name"], &labels["io.prefect.version"]), (&json!("w1"), &json!("3.8.8")));
    let env: Vec<&str> = one["Config"]["Env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(env.contains(&format!("PREFECT_API_URL={}", server().url).as_str()), "{env:?}");
    let run = dock.site.read(&hello);
    let pid = format!("http+docker://localhost:{}", one["Id"].as_str().unwrap());
    assert_eq!(run["infrastructure_pid"], pid);
    assert_eq!(
        (&run["labels"]["prefect.worker.type"], &run["labels"]["prefect.worker.name"]),
        (&json!("docker"), &json!("w1"))
    );
    assert_eq!(told(&dock.site.end(&fails)).0, "Failed");
    assert_eq!(told(&dock.site.end(&exits)), exited(8, "Process exited with an unexpected status code."));
    let (name, message) = told(&dock.site.end(&missing));
    assert!(name == "Crashed" && message.starts_with("Failed to submit flow run to infrastructure: "), "{message}");
    assert!(message.contains("no-such-program"), "{message}");
    assert_eq!(dock.engine.containers_of(&missing), Vec::<Value>::new(), "what never ran is taken away");
    worker.says("about to end");
    assert!(wait_for(|| dock.engine.containers_of(&gone).is_empty().then_some(())).is_some());
    for event in ["created", "running", "exited"] {
        let filter = json!({"filter": {"event": {"name": [format!("prefect.docker.container.{event}")]}}, "limit": 50});
        let found = || {
            let events = dock.site.http.post("/events/filter", filter.clone())["events"].take();
            let ours = |one: &&Value| one["resource"]["prefect.resource.name"] == "say-hello";
            events.as_array().unwrap().iter().find(ours).cloned()
        };
        let event = wait_for(found).expect("an event");
        assert!(event["related"].to_string().contains(&format!("prefect.flow-run.{hello}")), "{event}");
    }
}

#[test]
fn names_images_networks_and_memory_are_as_the_engine_has_them() {
    let Some(dock) = Dock::new("harbours") else { return };
    dock.engine.docker(&["network", "create", "one"]);
    dock.engine.docker(&["network", "create", "two"]);
    let named = || dock.command("true", json!({"name": "the same"}));
    let (first, second, third) = (named(), named(), named());
    let never = json!({"image": "nowhere.invalid/none:1", "image_pull_policy": "Never"});
    let never = dock.command("true", never);
    let pulled = dock.command("true", json!({"image": "nowhere.invalid/none:1"}));
    let possible = dock.command("sh -c 'exit 4'", json!({"image_pull_policy": "IfPossible"}));
    let networks = dock.command("true", json!({"networks": ["one", "two"]}));
    let wrong = dock.command("true", json!({"volumes": ["$(pwd):/x"]}));
    let strange = dock.command("true", json!({"container_create_kwargs": {"cpus": 2}}));
    let greedy = r#"python -c 'print(len(b"x" * 400_000_000))'"#;
    let memory = dock.engine.docker(&["info", "--format", "{{.MemoryLimit}}"]) == "true";
    let greedy = memory.then(|| dock.command(greedy, json!({"mem_limit": "40m", "memswap_limit": "40m"})));
    let worker = dock.worker(&["--limit", "4"]);
    let name = |run: &str| dock.container(run)["Name"].as_str().unwrap().to_owned();
    let mut names = [name(&first), name(&second), name(&third)];
    names.sort();
    assert_eq!(names, ["/the-same", "/the-same-1", "/the-same-2"]);
    let (state, message) = told(&dock.site.end(&never));
    assert!(state == "Crashed" && message.contains("`image_pull_policy` is `Never`"), "{message}");
    assert!(message.contains("No such image"), "{message}");
    let (state, message) = told(&dock.site.end(&pulled));
    let begins = "Failed to submit flow run to infrastructure: Docker pull failed for nowhere.invalid/none:1: ";
    assert!(state == "Crashed" && message.starts_with(begins), "{message}");
    assert_eq!(told(&dock.site.end(&possible)), exited(4, "Process exited with an unexpected status code."));
    worker.says("could not be pulled");
    let of = dock.container(&networks);
    assert_eq!(of["HostConfig"]["NetworkMode"], "one");
    let connected: Vec<&String> = of["NetworkSettings"]["Networks"].as_object().unwrap().keys().collect();
    assert_eq!(connected, ["one", "two"]);
    let env = of["Config"]["Env"].to_string();
    assert!(env.contains("PREFECT_API_URL=http://host.docker.internal:"), "{env}");
    for (run, what) in [(&wrong, "`$(pwd):/x`"), (&strange, "`cpus`")] {
        let (state, message) = told(&dock.site.end(run));
        assert!(state == "Crashed" && message.contains(what), "{message}");
    }
    match greedy {
        Some(run) => {
            let (state, message) = told(&dock.site.end(&run));
            assert!(
                state == "Crashed" && message.ends_with("The container ran out of memory: raise `mem_limit`."),
                "{message}"
            );
        }
        None => skip::skipped("the engine cannot limit memory here"),
    }
}

#[test]
fn cancelled_runs_end_with_their_containers() {
    let Some(dock) = Dock::new("quays") else { return };
    let running = dock.site.run(&dock.deploy("hooked", json!({})), json!({"name": "contained"}));
    let pending = dock.command("sleep 600", json!({}));
    let _worker = dock.worker(&[]);
    dock.until_running(&pending);
    dock.site.cancel(&pending);
    dock.site.until(&running, &["RUNNING"]);
    dock.site.cancel(&running);
    for run in [&pending, &running] {
        assert_eq!(told(&dock.site.end(run)).0, "Cancelled");
        let over = || (dock.container(run)["State"]["Running"] == false).then_some(());
        assert!(wait_for(over).is_some());
    }
    let note = dock.site.notes().join("contained.CANCELLING");
    assert!(wait_for(|| note.is_file().then_some(())).is_some(), "its hooks run");
}

#[test]
fn containers_outlive_their_worker_and_are_found_by_the_next() {
    let Some(dock) = Dock::new("piers") else { return };
    let (waits, dies) = (dock.run_of("waits", json!({})), dock.command("sh -c 'sleep 600; exit 9'", json!({})));
    let mut first = dock.worker(&["--name", "first"]);
    dock.site.until(&waits, &["RUNNING"]);
    dock.until_running(&dies);
    dock.site.placed(&dies);
    first.signal("KILL");
    first.wait();
    dock.engine.docker(&["kill", "--signal", "KILL", dock.container(&dies)["Id"].as_str().unwrap()]);
    let mut second = dock.worker(&["--name", "second", "--drain-timeout", "0s"]);
    let killed = "Process was killed, likely due to an out-of-memory (OOM) condition. \
        The engine knows of no lack of memory: somebody killed it.";
    assert_eq!(told(&dock.site.end(&dies)), exited(137, killed));
    second.says(&format!("Adopted flow run '{waits}'"));
    assert!(wait_for(|| (dock.site.noted() == 1).then_some(())).is_some(), "{} noted", dock.site.noted());
    second.signal("TERM");
    second.says("Leaving 1 flow run(s)");
    assert_eq!((second.wait(), dock.site.noted()), (Some(0), 1));
    assert_eq!(dock.container(&waits)["State"]["Running"], true);
    // One on another machine knows the run by its container only.
    let elsewhere = dock.site.project.home().join("elsewhere").display().to_string();
    let third = dock.worker_with(&["--name", "second"], &[("RECONCILE_CACHE_DIR", elsewhere.as_str())]);
    third.says(&format!("Adopted flow run '{waits}'"));
    dock.site.go();
    assert_eq!(told(&dock.site.end(&waits)).0, "Completed");
}

#[test]
fn what_a_worker_of_another_machine_left_is_found_once_the_server_takes_it_for_dead() {
    let Some(dock) = Dock::new("ferries") else { return };
    let waits = dock.run_of("waits", json!({}));
    let here = [("PREFECT_WORKER_HEARTBEAT_SECONDS", "1")];
    let mut first = dock.worker_with(&["--name", "there"], &here);
    dock.site.until(&waits, &["RUNNING"]);
    dock.site.placed(&waits);
    first.signal("KILL");
    first.wait();
    let elsewhere = dock.site.project.home().join("elsewhere").display().to_string();
    let second = dock.worker_with(&["--name", "here"], &[("RECONCILE_CACHE_DIR", elsewhere.as_str())]);
    second.says(&format!("Adopted flow run '{waits}'"));
    let labelled = || (dock.site.read(&waits)["labels"]["prefect.worker.name"] == "here").then_some(());
    assert!(wait_for(labelled).is_some());
    dock.site.go();
    assert_eq!(told(&dock.site.end(&waits)).0, "Completed");
}

#[test]
fn an_engine_that_is_away_ends_neither_worker_nor_run() {
    let Some(dock) = Dock::new("moles") else { return };
    let cable = Cable::to_socket(dock.engine.socket());
    let place = format!("tcp://{}", cable.address);
    let waits = dock.run_of("waits", json!({}));
    let host = [("DOCKER_HOST", place.as_str())];
    let worker = dock.worker_with(&["--name", "patient"], &host);
    dock.site.until(&waits, &["RUNNING"]);
    assert!(dock.site.placed(&waits).starts_with(&place.replace("tcp://", "http://")));
    cable.cut();
    let unlucky = dock.command("true", json!({}));
    let (state, message) = told(&dock.site.end(&unlucky));
    assert!(state == "Crashed" && message.contains("cannot be reached"), "{message}");
    cable.mend();
    let lucky = dock.command("sh -c 'echo mended; exit 6'", json!({}));
    assert_eq!(told(&dock.site.end(&lucky)), exited(6, "Process exited with an unexpected status code."));
    worker.says("mended");
    dock.site.go();
    assert_eq!(told(&dock.site.end(&waits)).0, "Completed");
    worker.says(&format!(
        "Docker container '{}' has status 'exited'",
        &dock.container(&waits)["Name"].as_str().unwrap()[1..]
    ));
}

#[test]
fn a_worker_says_where_no_engine_can_be() {
    let site = Site::of_type("nowhere", "docker");
    let mut worker = site.worker_with(&[], &[("DOCKER_HOST", "ssh://ada@engine.invalid")]);
    assert_eq!(worker.wait(), Some(1));
    worker.says("`DOCKER_HOST` is `ssh://ada@engine.invalid`: engines behind SSH are not reached from here");
    let mut early = site.worker_with(&[], &[("DOCKER_HOST", "unix:///nowhere/docker.sock")]);
    early.says("there is no Docker Engine at `unix:///nowhere/docker.sock`: the socket does not exist; waiting for it");
    early.signal("TERM");
    early.wait();
    let fresh = site.worker_with(&["--type", "kubernetes"], &[]);
    fresh.says("of the type `kubernetes`, which this worker cannot run");
}

#[test]
fn a_pool_is_made_for_containers() {
    let mut site = Site::new("made-beside");
    site.pool = "made".to_owned();
    let mut worker = site.worker_with(&["--type", "docker", "--run-once"], &[("DOCKER_HOST", "tcp://127.0.0.1:1")]);
    assert_eq!(worker.wait(), Some(0), "{}", worker.log());
    worker.says("cannot be reached");
    let pool = site.http.get("/work_pools/made");
    assert_eq!(pool["type"], "docker");
    assert_eq!(pool["base_job_template"]["job_configuration"]["image"], "{{ image }}");
}

#[test]
fn what_an_adopted_container_prints_is_shown_only_if_its_job_says_so() {
    let Some(dock) = Dock::new("buoys") else { return };
    let chatter = |word: &str, shown: bool| {
        let line = format!("sh -c 'while :; do echo {word}; sleep 1; done'");
        dock.command(&line, json!({ "stream_output": shown }))
    };
    let runs = [chatter("seen", true), chatter("unseen", false)];
    let mut first = dock.worker(&["--name", "first"]);
    runs.iter().for_each(|run| drop(dock.site.placed(run)));
    first.says("\nseen\n");
    first.signal("KILL");
    first.wait();
    let second = dock.worker(&["--name", "second"]);
    runs.iter().for_each(|run| second.says(&format!("Adopted flow run '{run}'")));
    second.says("\nseen\n");
    std::thread::sleep(std::time::Duration::from_secs(3));
    for log in [first.log(), second.log()] {
        assert!(!log.contains("unseen"), "{log}");
    }
    for run in &runs {
        dock.site.cancel(run);
        assert_eq!(told(&dock.site.end(run)).0, "Cancelled");
    }
}
