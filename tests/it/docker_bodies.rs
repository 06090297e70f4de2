//! What the Engine API gets for a job, compared with what docker-py sends, and with what Prefect's own worker asks of
//! docker-py where prefect-docker is installed.

use std::collections::BTreeMap;
use std::path::Path;

use reconcile::infra::{body_of_arguments, body_of_job};
use reconcile::model::{JobSpec, Secret, Tree};
use reconcile::steps::words;
use serde_json::{Map, Value, json};

use crate::support::questions::{self, Dice};
use crate::support::skip;

fn ask(questions: &[Value]) -> Vec<Value> {
    questions::ask("docker_bodies.py", questions)
}

/// Arguments with values that docker-py takes, and some that it refuses.
fn arguments() -> Vec<(&'static str, Vec<Value>)> {
    vec![
        ("command", vec![json!("sh -c 'exit 3'"), json!(["a", "b c"]), json!(null), json!("")]),
        ("entrypoint", vec![json!("tini -g --"), json!(["x"]), json!(null)]),
        ("environment", vec![json!({"A": "1", "B": null, "C": 2}), json!(["A=1"]), json!({})]),
        ("labels", vec![json!({"a": "b"}), json!(["a", "b"])]),
        ("hostname", vec![json!("box"), json!(null)]),
        ("user", vec![json!("ada"), json!(1000), json!(null)]),
        ("tty", vec![json!(true), json!(false)]),
        ("stdin_open", vec![json!(true)]),
        ("detach", vec![json!(true), json!(false)]),
        ("working_dir", vec![json!("/srv")]),
        ("stop_signal", vec![json!("SIGINT")]),
        ("network_disabled", vec![json!(true)]),
        ("platform", vec![json!("linux/amd64"), json!(null)]),
        ("healthcheck", vec![json!({"test": "true", "interval": 1_000_000}), json!({"Test": ["NONE"]}), json!(null)]),
        ("network_mode", vec![json!("host"), json!("bridge"), json!(null)]),
        ("network", vec![json!("mine"), json!(null)]),
        ("ports", vec![json!({"80": 8080, "53/udp": null}), json!({"1/tcp": [1, 2], "2": {"HostPort": 3}}), json!({})]),
        ("volumes", vec![json!(["/a:/b:ro", "cache:/d", "/e"]), json!([])]),
        ("mem_limit", vec![json!("128m"), json!("1.5g"), json!(1024), json!("x"), json!(null), json!("10kb")]),
        ("memswap_limit", vec![json!("-1"), json!(-1), json!("1g")]),
        ("mem_reservation", vec![json!("64m"), json!(null)]),
        ("mem_swappiness", vec![json!(10), json!(0)]),
        ("shm_size", vec![json!("64M"), json!(67_108_864)]),
        ("privileged", vec![json!(true), json!(false)]),
        ("auto_remove", vec![json!(true), json!(false)]),
        ("init", vec![json!(true), json!(false), json!(null)]),
        ("read_only", vec![json!(true), json!(false)]),
        ("cap_add", vec![json!(["NET_ADMIN"]), json!([])]),
        ("cap_drop", vec![json!(["ALL"])]),
        ("cpu_shares", vec![json!(512), json!("512"), json!(0)]),
        ("cpu_quota", vec![json!(50_000)]),
        ("cpu_period", vec![json!(100_000)]),
        ("cpuset_cpus", vec![json!("0,1")]),
        ("nano_cpus", vec![json!(1_500_000_000)]),
        ("pids_limit", vec![json!(100), json!("100")]),
        ("oom_score_adj", vec![json!(100)]),
        ("oom_kill_disable", vec![json!(true)]),
        ("blkio_weight", vec![json!(300)]),
        ("device_read_bps", vec![json!([{"Path": "/dev/sda", "Rate": 1}]), json!("x")]),
        ("devices", vec![json!(["/dev/a:/dev/b:r", "/dev/c"]), json!([{"PathOnHost": "/dev/d"}])]),
        ("device_requests", vec![json!([{"count": -1, "capabilities": [["gpu"]]}]), json!([{"DeviceIDs": ["0"]}])]),
        ("device_cgroup_rules", vec![json!(["c 42:* rmw"])]),
        ("dns", vec![json!(["10.0.0.1"]), json!([])]),
        ("dns_opt", vec![json!(["ndots:2"])]),
        ("dns_search", vec![json!(["example.org"])]),
        ("extra_hosts", vec![json!({"b": "1.1.1.1", "a": "2.2.2.2"}), json!(["c:3.3.3.3"])]),
        ("group_add", vec![json!(["audio", 29])]),
        ("ipc_mode", vec![json!("host")]),
        ("pid_mode", vec![json!("host")]),
        ("userns_mode", vec![json!("host"), json!("other")]),
        ("uts_mode", vec![json!("host")]),
        ("cgroupns", vec![json!("private")]),
        ("cgroup_parent", vec![json!("/mine")]),
        ("links", vec![json!({"db": "database"})]),
        ("log_config", vec![json!({"type": "json-file", "config": {"max-size": "1m"}}), json!({"Type": "none"})]),
        ("mounts", vec![json!([{"Target": "/x", "Source": "y", "Type": "volume"}])]),
        ("restart_policy", vec![json!({"Name": "on-failure", "MaximumRetryCount": 2})]),
        ("runtime", vec![json!("runc")]),
        ("security_opt", vec![json!(["no-new-privileges"]), json!("x")]),
        ("storage_opt", vec![json!({"size": "1G"})]),
        ("sysctls", vec![json!({"net.core.somaxconn": 1024})]),
        ("tmpfs", vec![json!({"/run": "size=1m"}), json!(["/run:size=1m", "/x"])]),
        ("ulimits", vec![json!([{"name": "nofile", "soft": 1024, "hard": 2048}]), json!([{"soft": 1}])]),
        ("volume_driver", vec![json!("local")]),
        ("volumes_from", vec![json!(["other:ro"]), json!("a,b")]),
        ("cpus", vec![json!(2)]),
    ]
}

/// A body without what says nothing.
fn plain(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(body) = answer["body"].as_object_mut() {
        // docker-py names the network there in a way that engines pass over.
        if body.get("NetworkingConfig").is_some_and(|config| config.get("EndpointsConfig").is_none()) {
            body.remove("NetworkingConfig");
        }
        let usual = |value: &Value| value.is_null() || *value == false;
        body.retain(|_, value| !usual(value));
        if let Some(env) = body.get_mut("Env").and_then(Value::as_array_mut) {
            env.sort_by_key(Value::to_string);
        }
    }
    answer
}

fn ours(question: &Value) -> Result<Value, String> {
    if let Some(arguments) = question["arguments"].as_object() {
        return body_of_arguments(arguments.clone(), words::split);
    }
    let job = &question["job"];
    let (config, settings) = (job["config"].as_object().unwrap(), secrets(&job["settings"]));
    let mut env = settings.clone();
    let configuration = Tree::from(json!({"env": job["env"]}));
    let mut filled = config.clone();
    filled.insert("env".to_owned(), configuration.get("env").unwrap().masked());
    let configuration = reconcile::render::job_template::Configuration::of(&Tree::from(Value::Object(filled))).unwrap();
    env.extend(reconcile::infra::settings_in_containers(&configuration, &settings));
    env.extend(secrets(&job["env"]));
    let labels = job["labels"].as_object().unwrap().iter();
    let command = config.get("command").and_then(Value::as_str).map(|line| words::split(line).unwrap());
    let job = JobSpec {
        run: "r".to_owned(),
        attempt: "a".to_owned(),
        name: job["name"].as_str().unwrap_or_default().to_owned(),
        command,
        env,
        labels: labels.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect(),
        ready: None,
        config: config.iter().map(|(key, value)| (key.clone(), Tree::from(value))).collect(),
    };
    body_of_job(&job, &settings, Path::new("/"), words::split)
}

fn secrets(texts: &Value) -> BTreeMap<String, Secret> {
    let texts = texts.as_object().unwrap().iter();
    texts.map(|(name, value)| (name.clone(), Secret::text(value.as_str().unwrap()))).collect()
}

/// Compares all answers; how many of each kind were good, and bad.
fn compare(questions: &[Value]) -> Option<(usize, usize)> {
    let (mut good, mut bad) = (0, 0);
    for (question, answer) in questions.iter().zip(ask(questions)) {
        if answer["missing"] == true {
            return None;
        }
        match (ours(question), answer.get("is")) {
            (Ok(ours), Some(theirs)) => {
                let (ours, theirs) = (plain(&ours), plain(theirs));
                assert_eq!(Tree::from(&ours), Tree::from(&theirs), "{question}\n{ours:#}\n{theirs:#}");
                good += 1;
            }
            (Err(_), None) => bad += 1,
            (ours, _) => panic!("{question}: {ours:?}, and Python says {answer}"),
        }
    }
    Some((good, bad))
}

#[test]
fn arguments_become_what_docker_py_sends() {
    let mut dice = Dice(0xd0c4e7);
    let all = arguments();
    let mut questions: Vec<Value> = Vec::new();
    for (name, values) in &all {
        questions.extend(values.iter().map(|value| json!({"arguments": {"image": "a:1", *name: value}})));
    }
    for _ in 0..100 {
        let mut made = Map::from_iter([("image".to_owned(), json!("a:1"))]);
        for _ in 0..8 {
            let (name, values) = dice.pick(&all);
            if *name != "cpus" {
                made.insert((*name).to_owned(), dice.pick(values).clone());
            }
        }
        questions.push(json!({ "arguments": made }));
    }
    let (good, bad) = compare(&questions).expect("docker-py comes with Prefect");
    assert!(good >= 100 && bad >= 5, "{good} were good, {bad} were not");
}

#[test]
fn jobs_become_what_prefects_worker_makes_of_them() {
    let mut dice = Dice(0xb0d1e5);
    let fields: Vec<(&str, Vec<Value>)> = vec![
        ("image", vec![json!("busybox"), json!("reg.example:5000/a/b:2"), json!("a:latest"), json!("a@sha256:ab")]),
        (
            "image_pull_policy",
            vec![json!("Always"), json!("IfNotPresent"), json!("IfPossible"), json!("Never"), json!("x")],
        ),
        ("networks", vec![json!(["one", "two"]), json!([]), json!("one")]),
        ("network_mode", vec![json!("host"), json!("bridge"), json!(null)]),
        ("auto_remove", vec![json!(true), json!("yes"), json!(3)]),
        (
            "volumes",
            vec![json!(["/a:/b:ro", "cache:/d"]), json!(["./x:/y", "/z"]), json!(["$(pwd):/x"]), json!([":/x"])],
        ),
        ("mem_limit", vec![json!("128m"), json!(512)]),
        ("memswap_limit", vec![json!("-1")]),
        ("privileged", vec![json!(true), json!("off")]),
        ("command", vec![json!("sh -c 'exit 3'")]),
        ("registry_credentials", vec![json!(null)]),
        (
            "container_create_kwargs",
            vec![
                json!({"hostname": "box", "volumes": ["/q:/q"], "env": {"X": "1"}}),
                json!({"extra_hosts": {"db": "10.0.0.1"}, "shm_size": "64m"}),
                json!({"extra_hosts": ["db:10.0.0.1"]}),
                json!({"network": "mine"}),
                json!(null),
            ],
        ),
    ];
    let urls = ["http://127.0.0.1:4200/api", "http://localhost:4200/api", "https://prefect.example/api"];
    let envs = [
        json!({}),
        json!({"PREFECT_API_URL": "http://localhost:1/api", "A": "b"}),
        json!({"PREFECT_API_URL": "http://host.docker.internal:1/api"}),
    ];
    let names = ["odd-owl", "My Flow: 1,000 rows!", "été", "__.-x", "a'b''c"];
    let mut questions = Vec::new();
    for _ in 0..250 {
        let mut config = Map::from_iter([("image".to_owned(), json!("a:1"))]);
        for _ in 0..3 {
            let (name, values) = dice.pick(&fields);
            config.insert((*name).to_owned(), dice.pick(values).clone());
        }
        questions.push(json!({"job": {
            "config": config, "name": *dice.pick(&names), "env": dice.pick(&envs),
            "labels": {"prefect.io/flow-run-id": "r", "a.b/c": "d", "team": "x"},
            "settings": {"PREFECT_API_URL": *dice.pick(&urls)},
        }}));
    }
    match compare(&questions) {
        Some((good, bad)) => assert!(good >= 100 && bad >= 20, "{good} were good, {bad} were not"),
        None => skip::skipped("the Python of the tests has no prefect-docker"),
    }
}
