//! Objects that exist: what git declares is ours, what it stops declaring is reset, all else is left alone.

use std::sync::{Mutex, MutexGuard};

use reconcile::model::Abilities;
use serde_json::{Value, json};

use crate::support::http::Http;
use crate::support::project::Project;
use crate::support::proxy::{Proxy, Verdict};
use crate::support::server::Server;
use crate::support::server_version;
use crate::support::workspace::Workspace;

const FLOW: &str = "from prefect import flow\n\n\n@flow\ndef etl(a: int = 1, b: int = 2):\n    pass\n";

/// A server of these tests' own, wiped for each, and a project with one flow.
struct Bench {
    server: &'static Server,
    project: Project,
    _turn: MutexGuard<'static, ()>,
}

impl Bench {
    fn new() -> Bench {
        static TURN: Mutex<()> = Mutex::new(());
        static SERVER: std::sync::OnceLock<Server> = std::sync::OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let still = [("PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED", "false")];
        let server = SERVER.get_or_init(|| Server::start_with(&still));
        let workspace = Workspace::of(&server.url);
        workspace.wipe();
        workspace.prepare(&[("pool", json!("process"))], &[], &[]);
        let project = Project::new().api(&server.url).with_python().file("flow.py", FLOW);
        Bench { server, project, _turn: turn }
    }

    fn http(&self) -> Http {
        self.server.http()
    }

    /// Declares `etl/d` with these further lines.
    fn declare(&self, lines: &str) -> &Bench {
        let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
        let head = "deployments:\n  - name: d\n    entrypoint: flow.py:etl\n    work_pool: {name: pool}\n";
        self.project.write("prefect.yaml", &format!("{head}{lines}"));
        self
    }

    #[track_caller]
    fn apply(&self) -> Value {
        self.project.reconcile(&["apply", "--yes"]).exits(0);
        // what one pass left, the next finds unchanged
        let proxy = Proxy::in_front_of(&self.server.url);
        self.project.reconcile(&["apply", "--yes", "--api-url", &proxy.url]).exits(0);
        assert_eq!(proxy.writes(), []);
        self.read()
    }

    /// The deployment as the API has it.
    fn read(&self) -> Value {
        self.http().get("/deployments/name/etl/d")
    }

    fn patch(&self, body: Value) {
        let id = self.read()["id"].as_str().unwrap().to_owned();
        self.http().patch(&format!("/deployments/{id}"), body);
    }
}

/// Id by slug, or by definition.
fn schedule(deployment: &Value, name: &str) -> Option<Value> {
    let all = deployment["schedules"].as_array().unwrap();
    all.iter().find(|found| found["slug"] == name || found["schedule"]["cron"] == name).cloned()
}

fn id(deployment: &Value, name: &str) -> Value {
    schedule(deployment, name).unwrap_or_else(|| panic!("no schedule {name}: {}", deployment["schedules"]))["id"]
        .clone()
}

#[test]
fn what_was_never_declared_is_left_alone() {
    let bench = Bench::new();
    bench.declare("parameters: {a: 5}\ntags: [git]").apply();
    bench.patch(json!({"paused": true, "description": "by hand", "concurrency_limit": 3,
        "work_pool_name": "pool", "work_queue_name": "slow",
        "job_variables": {"image": "by-hand"}, "parameters": {"a": 5, "b": 7}, "enforce_parameter_schema": false}));
    let found = bench.apply();
    assert_eq!(found["paused"], true);
    assert_eq!(found["description"], "by hand");
    assert_eq!(found["global_concurrency_limit"]["limit"], 3);
    assert_eq!(found["work_queue_name"], "slow");
    assert_eq!(found["job_variables"], json!({"image": "by-hand"}));
    assert_eq!(found["parameters"], json!({"a": 5, "b": 7}));
    assert_eq!(found["enforce_parameter_schema"], false);
    // a change of what is declared leaves them alone as well
    let found = bench.declare("parameters: {a: 6}\ntags: [git, more]").apply();
    assert_eq!((&found["paused"], &found["description"]), (&json!(true), &json!("by hand")));
    assert_eq!(found["parameters"], json!({"a": 6, "b": 7}));
    assert_eq!(found["global_concurrency_limit"]["limit"], 3);
}

#[test]
fn what_is_declared_is_put_back() {
    let bench = Bench::new();
    let lines = "paused: false\nparameters: {a: 5}\ntags: [git]\ndescription: words\nconcurrency_limit: 2\n";
    bench.declare(lines).apply();
    bench.patch(json!({"paused": true, "description": "by hand", "concurrency_limit": 9, "tags": ["x"],
        "parameters": {"a": 6, "b": 7}}));
    let found = bench.apply();
    assert_eq!(found["paused"], false);
    assert_eq!(found["description"], "words");
    assert_eq!(found["tags"], json!(["git"]));
    assert_eq!(found["global_concurrency_limit"]["limit"], 2);
    assert_eq!(found["parameters"], json!({"a": 5, "b": 7}));
}

#[test]
fn what_left_git_is_reset() {
    let bench = Bench::new();
    let lines = "paused: true\nparameters: {a: 5, b: 6}\ntags: [git]\ndescription: words\nconcurrency_limit: 2\n\
                 schedules: [{cron: \"0 1 * * *\", slug: s}]\nenforce_parameter_schema: false\n";
    let before = bench.declare(lines).apply();
    assert_eq!(before["paused"], true);
    assert_eq!(before["enforce_parameter_schema"], false);
    let found = bench.declare("parameters: {b: 6}").apply();
    assert_eq!(found["id"], before["id"]);
    assert_eq!(found["paused"], false);
    assert_eq!(found["description"], Value::Null);
    assert_eq!(found["tags"], json!([]));
    assert_eq!(found["global_concurrency_limit"], Value::Null);
    assert_eq!(found["parameters"], json!({"b": 6}));
    assert_eq!(found["schedules"], json!([]));
    assert_eq!(found["enforce_parameter_schema"], true);
}

#[test]
fn job_variables_are_owned_key_by_key() {
    let bench = Bench::new();
    let with = |variables: &str| {
        let text = format!(
            "deployments:\n  - name: d\n    entrypoint: flow.py:etl\n    \
             work_pool: {{name: pool, work_queue_name: q, job_variables: {variables}}}\n"
        );
        bench.project.write("prefect.yaml", &text);
        bench.apply()
    };
    with("{image: git, env: {A: a, B: b}}");
    bench.patch(json!({"job_variables": {"image": "hand", "name": "hand", "env": {"A": "a", "B": "b", "C": "hand"}}}));
    let found = with("{image: git, env: {A: a, B: b}}");
    assert_eq!(
        found["job_variables"],
        json!({"image": "git", "name": "hand", "env": {"A": "a", "B": "b", "C": "hand"}})
    );
    let found = with("{env: {A: changed}}");
    assert_eq!(found["job_variables"], json!({"name": "hand", "env": {"A": "changed", "C": "hand"}}));
    assert_eq!(found["work_queue_name"], "q");
    let found = bench.declare("").apply();
    assert_eq!(found["job_variables"], json!({"name": "hand", "env": {"C": "hand"}}));
    assert_eq!(found["work_queue_name"], "default");
}

/// A server that seems to be of that version.
fn aged(server: &Server, version: &'static str) -> Proxy {
    let proxy = Proxy::in_front_of(&server.url);
    proxy.rule(move |request| match request.path.ends_with("/admin/version") {
        true => Verdict::Answer(200, format!("\"{version}\"")),
        false => Verdict::Pass,
    });
    proxy
}

#[test]
fn an_older_server_is_not_asked_for_what_it_drops() {
    let bench = Bench::new();
    let declare = |variables: &str| {
        let text = format!(
            "deployments:\n  - name: d\n    entrypoint: flow.py:etl\n    \
             concurrency_limit: {{limit: 2, collision_strategy: ENQUEUE, grace_period_seconds: 120}}\n    \
             work_pool: {{name: pool{variables}}}\n"
        );
        bench.project.write("prefect.yaml", &text);
    };
    bench.project.write(
        "late.reconcile.yaml",
        "automations:\n  - name: late\n    trigger: { posture: Reactive, expect: [x] }\n    actions:\n      \
         - { type: change-flow-run-state, state: FAILED, force: true }\n",
    );
    let old = aged(bench.server, "3.6.5");
    let apply = || bench.project.reconcile(&["apply", "--yes", "--api-url", &old.url]).exits(0);
    declare(", job_variables: {command: git}");
    let said = apply().stderr;
    assert!(said.contains("W0412") && said.contains("Prefect 3.6.5 has no `grace_period_seconds`"), "{said}");
    assert!(said.contains("Prefect 3.6.5 has no `force`; `automation late` goes without"), "{said}");
    assert_eq!(bench.read()["concurrency_options"]["grace_period_seconds"], Value::Null);
    old.reset();
    apply();
    assert_eq!(old.writes(), []);
    declare("");
    let plan = bench.project.reconcile(&["plan", "--json", "--api-url", &old.url]).exits(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!((&plan["changes"], &plan["held"][0]["action"]), (&json!([]), &json!("update")), "{plan}");
    apply();
    assert_eq!(old.writes(), []);
    assert_eq!(bench.read()["job_variables"], json!({"command": "git"}));
    // and once it is a newer one, nothing was forgotten
    if Abilities::of(server_version()).empties_job_variables {
        let found = bench.apply();
        assert_eq!(found["job_variables"], json!({}));
        assert_eq!(found["concurrency_options"]["grace_period_seconds"], 120);
    }
}

#[test]
fn a_server_of_prefect_2_is_recognised() {
    let bench = Bench::new();
    let old = aged(bench.server, "2.20.1");
    let said = bench.declare("").project.reconcile(&["apply", "--yes", "--api-url", &old.url]).exits(4).stderr;
    assert!(said.contains("E0411") && said.contains("the server is Prefect 2.20.1"), "{said}");
    assert_eq!(old.requests().iter().filter(|request| request.path.contains("/deployments")).count(), 0);
}

#[test]
fn schedules_change_in_place() {
    let bench = Bench::new();
    let first = bench.declare("schedules: [{cron: \"0 1 * * *\", slug: a}, {cron: \"0 2 * * *\"}]").apply();
    let (a, nameless) = (id(&first, "a"), id(&first, "0 2 * * *"));
    // by slug: another definition, the same schedule; without one: the only one that changed
    let second = bench.declare("schedules: [{cron: \"5 1 * * *\", slug: a}, {cron: \"5 2 * * *\"}]").apply();
    assert_eq!(id(&second, "a"), a);
    assert_eq!(schedule(&second, "a").unwrap()["schedule"]["cron"], "5 1 * * *");
    assert_eq!(id(&second, "5 2 * * *"), nameless);
    // a new name
    let lines = "schedules: [{cron: \"5 1 * * *\", slug: b, replaces: a}, {cron: \"5 2 * * *\"}]";
    let third = bench.declare(lines).apply();
    assert_eq!(id(&third, "b"), a);
    assert_eq!(third["schedules"].as_array().unwrap().len(), 2);
    // order is nothing
    let lines = "schedules: [{cron: \"5 2 * * *\"}, {cron: \"5 1 * * *\", slug: b}]";
    let fourth = bench.declare(lines).apply();
    assert_eq!((id(&fourth, "b"), id(&fourth, "5 2 * * *")), (a, nameless));
}

#[test]
fn a_schedule_that_left_git_goes_and_one_made_by_hand_stays() {
    let bench = Bench::new();
    let lines = "schedules: [{cron: \"0 1 * * *\", slug: a}, {cron: \"0 2 * * *\", slug: b}]";
    let first = bench.declare(lines).apply();
    let hand = json!([{"schedule": {"cron": "0 3 * * *"}, "active": true, "slug": "hand"}]);
    bench.http().post(&format!("/deployments/{}/schedules", first["id"].as_str().unwrap()), hand);
    // switched off by hand, and git does not say
    let path =
        format!("/deployments/{}/schedules/{}", first["id"].as_str().unwrap(), id(&first, "b").as_str().unwrap());
    bench.http().patch(&path, json!({"active": false}));
    let found = bench.declare("schedules: [{cron: \"0 2 * * *\", slug: b}]").apply();
    assert_eq!(schedule(&found, "a"), None);
    assert_eq!(id(&found, "b"), id(&first, "b"));
    assert_eq!(schedule(&found, "b").unwrap()["active"], false);
    assert_eq!(schedule(&found, "hand").unwrap()["schedule"]["cron"], "0 3 * * *");
    let found = bench.declare("").apply();
    assert_eq!(schedule(&found, "b"), None);
    assert!(schedule(&found, "hand").is_some());
}

/// Applies through a connection on which no ledger can be saved once a request of `kind` has passed: as a pass that
/// is killed there leaves it.
fn dies_after(bench: &Bench, kind: &'static str) {
    let proxy = Proxy::in_front_of(&bench.server.url);
    let passed = std::sync::atomic::AtomicBool::new(false);
    proxy.rule(move |request| {
        use std::sync::atomic::Ordering::SeqCst;
        let is_ledger = request.body.contains("\"digest_key\"");
        if request.method == "POST" && request.path.trim_end_matches('/').ends_with(kind) {
            passed.store(true, SeqCst);
        }
        match is_ledger && passed.load(SeqCst) {
            true => Verdict::Answer(422, "{}".to_owned()),
            false => Verdict::Pass,
        }
    });
    let output = bench.project.reconcile(&["apply", "--yes", "--api-url", &proxy.url]);
    assert_eq!(output.code, 3, "{output:?}");
}

#[test]
fn a_schedule_of_a_pass_that_died_goes_when_it_left_git_since() {
    let bench = Bench::new();
    bench.declare("schedules: [{cron: \"0 1 * * *\", slug: a}]").apply();
    bench.declare("schedules: [{cron: \"0 1 * * *\", slug: a}, {cron: \"0 2 * * *\", slug: s}]");
    dies_after(&bench, "/schedules");
    assert!(schedule(&bench.read(), "s").is_some(), "it was made");
    let found = bench.declare("schedules: [{cron: \"0 1 * * *\", slug: a}]").apply();
    assert!(schedule(&found, "s").is_none() && schedule(&found, "a").is_some(), "{found:#}");
    // The same with a deployment that it made, and with a schedule that never was.
    let id = bench.read()["id"].as_str().unwrap().to_owned();
    bench.http().delete(&format!("/deployments/{id}"));
    bench.declare("schedules: [{cron: \"0 1 * * *\", slug: a}, {cron: \"0 2 * * *\", slug: s}]");
    dies_after(&bench, "/deployments");
    assert!(schedule(&bench.read(), "s").is_some(), "it was made");
    let hand = json!([{"schedule": {"cron": "0 3 * * *"}, "active": true, "slug": "hand"}]);
    bench.http().post(&format!("/deployments/{}/schedules", bench.read()["id"].as_str().unwrap()), hand);
    let found = bench.declare("schedules: [{cron: \"0 1 * * *\", slug: a}]").apply();
    assert!(schedule(&found, "s").is_none() && schedule(&found, "hand").is_some(), "{found:#}");
}

#[test]
fn an_interval_keeps_its_anchor() {
    let bench = Bench::new();
    let anchor = |found: &Value| schedule(found, "i").unwrap()["schedule"]["anchor_date"].clone();
    let first = bench.declare("schedules: [{interval: 60, slug: i}]").apply();
    let second = bench.declare("schedules: [{interval: 90, slug: i}]").apply();
    assert_eq!((id(&second, "i"), anchor(&second)), (id(&first, "i"), anchor(&first)));
    let third = bench.declare("schedules: [{interval: 90, slug: i, anchor_date: \"2024-01-01T00:00:00Z\"}]").apply();
    assert_eq!(anchor(&third), "2024-01-01T00:00:00Z");
}

#[test]
fn a_shared_limit_is_not_touched() {
    let bench = Bench::new();
    bench.declare("concurrency_limit: 2").apply();
    let name = "shared";
    let http = bench.http();
    if http.request("GET", &format!("/v2/concurrency_limits/{name}"), None).status == 404 {
        http.post("/v2/concurrency_limits/", json!({"name": name, "limit": 10}));
    }
    let limit = http.get(&format!("/v2/concurrency_limits/{name}"));
    bench.patch(json!({"global_concurrency_limit_id": limit["id"]}));
    let found = bench.declare("").apply();
    assert_eq!(found["global_concurrency_limit"]["name"], name);
    assert_eq!(http.get(&format!("/v2/concurrency_limits/{name}"))["limit"], 10);
}

#[test]
fn automations_change_in_place_and_go_with_their_trigger() {
    let bench = Bench::new();
    bench.declare("triggers: [{name: t1, expect: [x]}, {name: t2, expect: [y]}]").apply();
    let http = bench.http();
    http.post(
        "/automations/",
        json!({"name": "by hand", "trigger": {"type": "event", "expect": ["z"], "posture": "Reactive", "threshold": 1, "within": 0},
            "actions": [{"type": "do-nothing"}]}),
    );
    let of = |name: &str| http.all("automations").into_iter().find(|found| found["name"] == name);
    let (t1, t2) = (of("t1").unwrap()["id"].clone(), of("t2").unwrap()["id"].clone());
    bench.declare("triggers: [{name: t1, expect: [x]}, {name: t2, expect: [y], threshold: 3}]").apply();
    assert_eq!(of("t2").unwrap()["trigger"]["threshold"], 3);
    assert_eq!((of("t1").unwrap()["id"].clone(), of("t2").unwrap()["id"].clone()), (t1.clone(), t2));
    bench.declare("triggers: [{name: t1, expect: [x]}]").apply();
    assert_eq!(of("t2"), None);
    assert_eq!(of("t1").unwrap()["id"], t1);
    bench.declare("").apply();
    assert_eq!(of("t1"), None);
    assert!(of("by hand").is_some());
}

#[test]
fn what_a_trigger_never_declared_of_its_automation_is_left_alone() {
    let bench = Bench::new();
    let http = bench.http();
    let found = || http.all("automations").into_iter().next().unwrap();
    bench.declare("triggers: [{name: t1, expect: [x]}]").apply();
    let id = found()["id"].as_str().unwrap().to_owned();
    http.patch(&format!("/automations/{id}"), json!({"enabled": false}));
    bench.apply();
    assert_eq!(found()["enabled"], false, "switched off by hand, and git never said otherwise");
    bench.declare("triggers: [{name: t1, expect: [x], threshold: 2}]").apply();
    assert_eq!((&found()["enabled"], &found()["trigger"]["threshold"]), (&json!(false), &json!(2)));
    // What is declared is ours, and what is not declared any more is reset.
    bench.declare("triggers: [{name: t1, expect: [x], enabled: true, description: words}]").apply();
    assert_eq!((&found()["enabled"], &found()["description"]), (&json!(true), &json!("words")));
    http.patch(&format!("/automations/{id}"), json!({"enabled": false}));
    bench.apply();
    assert_eq!(found()["enabled"], true);
    bench.declare("triggers: [{name: t1, expect: [x], enabled: false, description: words}]").apply();
    assert_eq!(found()["enabled"], false);
    bench.declare("triggers: [{name: t1, expect: [x]}]").apply();
    assert_eq!((&found()["enabled"], &found()["description"]), (&json!(true), &json!("")));
    http.patch(&format!("/automations/{id}"), json!({"enabled": false}));
    bench.declare("triggers: [{name: t1, expect: [x]}]\nlifecycle: {}").apply();
    assert_eq!((&found()["enabled"], &found()["id"]), (&json!(false), &json!(id)));
}

#[test]
fn a_deployment_that_left_git_is_held() {
    let bench = Bench::new();
    let both = "deployments:\n  - &d {name: d, entrypoint: \"flow.py:etl\", work_pool: {name: pool}}\n  - {<<: *d, name: gone}\n";
    bench.project.write("prefect.yaml", both);
    bench.apply();
    bench.declare("");
    let plan = bench.project.reconcile(&["plan", "--json"]).exits(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let held = plan["held"].as_array().unwrap();
    assert!(held.iter().any(|held| held["kind"] == "deployment" && held["name"] == "etl/gone"), "{plan}");
    bench.apply();
    assert_eq!(bench.http().get("/deployments/name/etl/gone")["name"], "gone");
}

#[test]
fn a_deployment_of_prefect_is_adopted() {
    let bench = Bench::new();
    let lines = "tags: [git]\nparameters: {a: 5}\nschedules: [{cron: \"0 1 * * *\"}, {interval: 60}]\ntriggers: [{expect: [x]}]";
    bench.declare(lines);
    bench.project.prefect(&["deploy", "--all"]).exits(0);
    let before = bench.read();
    let automation = bench.http().all("automations")[0]["id"].clone();
    let after = bench.apply();
    assert_eq!(after["id"], before["id"]);
    assert_eq!(after["schedules"], before["schedules"]);
    assert_eq!(bench.http().all("automations")[0]["id"], automation);
    assert_eq!(bench.http().all("automations").len(), 1);
    // and then it is ours
    let found = bench.declare("parameters: {a: 6}").apply();
    assert_eq!(found["id"], before["id"]);
    assert_eq!((&found["parameters"], &found["tags"], &found["schedules"]), (&json!({"a": 6}), &json!([]), &json!([])));
    assert_eq!(bench.http().all("automations"), Vec::<Value>::new());
}

#[test]
fn a_change_of_the_queue_keeps_what_others_put_into_the_job_variables() {
    let bench = Bench::new();
    let write = |queue: &str| {
        let head = "deployments:\n  - name: d\n    entrypoint: flow.py:etl\n";
        let pool =
            format!("    work_pool: {{name: pool, work_queue_name: {queue}, job_variables: {{env: {{A: '1'}}}}}}\n");
        bench.project.write("prefect.yaml", &format!("{head}{pool}"));
    };
    write("fast");
    bench.apply();
    bench.patch(json!({"job_variables": {"env": {"A": "1", "UI": "by-hand"}, "working_dir": "/srv"}}));
    write("slow");
    let found = bench.apply();
    assert_eq!(found["work_queue_name"], "slow");
    assert_eq!(found["job_variables"], json!({"env": {"A": "1", "UI": "by-hand"}, "working_dir": "/srv"}));
}

#[test]
fn a_schedule_without_a_slug_that_was_edited_by_hand_is_put_back_not_doubled() {
    let bench = Bench::new();
    let before = bench.declare("schedules: [{cron: 0 7 * * *}]").apply();
    let edited = json!({"schedule": {"cron": "0 8 * * *"}, "active": true});
    let place = format!(
        "/deployments/{}/schedules/{}",
        before["id"].as_str().unwrap(),
        id(&before, "0 7 * * *").as_str().unwrap()
    );
    bench.http().patch(&place, edited.clone());
    let healed = bench.apply();
    assert_eq!(healed["schedules"].as_array().unwrap().len(), 1);
    assert_eq!(id(&healed, "0 7 * * *"), id(&before, "0 7 * * *"));
    bench.http().patch(&place, edited);
    assert_eq!(bench.declare("").apply()["schedules"], json!([]));
}

#[test]
fn what_a_step_prints_of_a_secret_is_hidden_everywhere() {
    const CANARY: &str = "hunter2canary";
    let bench = Bench::new();
    let build = "build:\n- prefect.deployments.steps.run_shell_script: {id: s, script: \"echo at-{{ $DSN }}\"}\n";
    let deployment = "deployments:\n  - name: d\n    entrypoint: flow.py:etl\n    work_pool: {name: pool}\n    \
                      description: \"{{ s.stdout }}\"\n";
    bench.project.write("prefect.yaml", &format!("{build}{deployment}"));
    bench.project.write(".gitignore", "");
    bench.project.git(&["init", "-q"]);
    bench.project.git_commit("first");
    let run = |args: &[&str]| {
        let out = bench.project.reconcile_command().args(args).env("DSN", CANARY).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
    };
    let applied = run(&["apply", "--yes"]);
    assert_eq!(bench.read()["description"], format!("at-{CANARY}"), "{applied}");
    for told in [applied, run(&["plan", "--json"]), run(&["plan", "--full"]), run(&["apply", "--yes"])] {
        assert!(!told.contains(CANARY), "{told}");
    }
    let ledger = bench.http().post("/block_documents/filter", json!({"include_secrets": true}));
    assert!(!ledger.to_string().contains(CANARY), "{ledger}");
}
