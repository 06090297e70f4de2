//! What is not deleted: what others use, what runs wait in, what runs are under way of; and in what order the rest goes.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::chaos::ended;
use crate::support::http::Http;
use crate::support::project::Project;
use crate::support::proxy::{Proxy, Verdict};
use crate::support::server::Server;
use crate::support::workspace::Workspace;

const PRUNE: [&str; 4] = ["--prune", "--max-delete", "100%", "--json"];

struct Bench {
    server: Server,
    project: Project,
}

impl Bench {
    fn new(resources: &str) -> Bench {
        let server = Server::start_with(&[("PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED", "false")]);
        let project = Project::new()
            .api(&server.url)
            .file("reconcile.yaml", "name: held\n")
            .file("flow.py", "from prefect import flow\n\n\n@flow\ndef hello():\n    pass\n")
            .file("all.reconcile.yaml", resources);
        project.reconcile(&["apply", "--yes"]).exits(0);
        Bench { server, project }
    }

    fn http(&self) -> Http {
        self.server.http()
    }

    /// Git says something else now.
    fn declare(&self, resources: &str) {
        self.project.write("all.reconcile.yaml", resources);
    }

    #[track_caller]
    fn plan(&self) -> Value {
        let args = [&["plan"][..], &PRUNE].concat();
        serde_json::from_str(&self.project.reconcile(&args).exits(0).stdout).unwrap()
    }

    #[track_caller]
    fn apply(&self, code: i32) -> Value {
        let args = [&["apply", "--yes"][..], &PRUNE].concat();
        serde_json::from_str(&self.project.reconcile(&args).exits(code).stdout).unwrap()
    }

    fn block(&self, slug: &str, name: &str) -> Value {
        let path = format!("/block_types/slug/{slug}/block_documents/name/{name}");
        self.http().get(&path)["id"].clone()
    }

    /// A deployment of somebody else.
    fn theirs(&self, name: &str, more: Value) -> Value {
        let flow = self.http().post("/flows/", json!({"name": "theirs"}))["id"].clone();
        let mut body = json!({"name": name, "flow_id": flow, "parameter_openapi_schema": {}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.http().post("/deployments/", body)["id"].clone()
    }

    fn run(&self, deployment: &Value, state: &str) -> Value {
        let path = format!("/deployments/{}/create_flow_run", deployment.as_str().unwrap());
        let run = self.http().post(&path, json!({}))["id"].clone();
        self.enters(&run, state);
        run
    }

    fn enters(&self, run: &Value, state: &str) {
        let path = format!("/flow_runs/{}/set_state", run.as_str().unwrap());
        self.http().post(&path, json!({"state": {"type": state}, "force": true}));
    }

    fn is_there(&self, path: &str) -> bool {
        self.http().request("GET", path, None).status == 200
    }
}

/// Why something is held; empty if it is not.
fn held(plan: &Value, kind: &str, name: &str) -> String {
    let all = plan["held"].as_array().unwrap().iter();
    let found = all.filter(|held| held["kind"] == kind && held["name"] == name).map(|held| &held["reason"]);
    found.map(|reason| reason.as_str().unwrap()).collect()
}

fn change<'a>(plan: &'a Value, kind: &str, name: &str) -> &'a Value {
    let mut all = plan["changes"].as_array().unwrap().iter();
    all.find(|change| change["kind"] == kind && change["name"] == name).unwrap_or(&Value::Null)
}

#[test]
fn what_others_name_is_held_and_they_are_named() {
    let secret = |name: &str| format!("- {{ type: secret, name: {name}, data: {{ value: x }} }}\n");
    let variable = |name: &str| format!("- {{ name: {name}, value: 1 }}\n");
    let names = ["in-pull", "in-job", "in-template", "by-id", "in-action", "in-block", "in-nobody", "free"];
    let blocks: String = names.map(secret).concat();
    let variables: String =
        ["in_pull", "in_job", "in_template", "in_parameter", "in_block", "free"].map(variable).concat();
    let bench = Bench::new(&format!(
        "blocks:\n{blocks}- {{ type: local-file-system, name: results, data: {{ basepath: /tmp }} }}\nvariables:\n{variables}\
         work_pools:\n- {{ name: p, type: process, queues: [{{ name: q, priority: 2 }}, {{ name: free, priority: 3 }}] }}\n\
         - {{ name: acted-on, type: process }}\n- {{ name: run-in, type: process }}\n- {{ name: free, type: process }}\n\
         concurrency_limits: [{{ name: shared, limit: 1 }}, {{ name: free, limit: 1 }}]\n\
         block_types: [{{ slug: mine, name: Mine, fields: {{ type: object, title: Mine, properties: {{}} }} }}]\n"
    ));
    let http = bench.http();
    let limit = http.get("/v2/concurrency_limits/shared")["id"].clone();
    bench.theirs(
        "a",
        json!({
            "pull_steps": [{"prefect.deployments.steps.git_clone": {
                "repository": "r", "access_token": "{{ prefect.blocks.secret.in-pull }}", "branch": "{{ prefect.variables.in_pull }}"}}],
            "job_variables": {"env": {"A": "{{ prefect.blocks.secret.in-job }}", "B": "x-{{ prefect.variables.in_job }}"}},
            "parameters": {"p": {"__prefect_kind": "workspace_variable", "variable_name": "in_parameter"}},
            "global_concurrency_limit_id": limit, "work_pool_name": "run-in",
        }),
    );
    bench.theirs("b", json!({"work_pool_name": "p", "work_queue_name": "q"}));
    let template = json!({
        "job_configuration": {"env": "{{ env }}"},
        "variables": {"properties": {
            "env": {"default": {"A": "{{ prefect.blocks.secret.in-template }}", "B": "{{ prefect.variables.in_template }}"}},
            "c": {"default": {"$ref": {"block_document_id": bench.block("secret", "by-id")}}}}},
    });
    http.post("/work_pools/", json!({"name": "theirs", "type": "process", "base_job_template": template}));
    let pool = http.get("/work_pools/acted-on")["id"].clone();
    http.post(
        "/automations/",
        json!({
            "name": "theirs",
            "trigger": {"type": "event", "posture": "Reactive", "expect": ["x"], "threshold": 1, "within": 0},
            "actions": [
                {"type": "send-notification", "block_document_id": bench.block("secret", "in-action"), "subject": "s", "body": "b"},
                {"type": "pause-work-pool", "work_pool_id": pool},
            ],
        }),
    );
    let refers = |to: &str| json!({"value": {"$ref": {"block_document_id": bench.block("secret", to)}}});
    let workspace = Workspace::of(&bench.server.url);
    workspace.block("plain", "theirs", &refers("in-block"));
    workspace.block("plain", "words", &json!({"value": "{{ prefect.variables.in_block }}"}));
    workspace.block("mine", "of-mine", &json!({}));
    let kind = http.get("/block_types/slug/plain")["id"].clone();
    let schemas = http.post("/block_schemas/filter", json!({"block_schemas": {"block_type_id": {"any_": [kind]}}}));
    http.post(
        "/block_documents/",
        json!({
            "is_anonymous": true, "name": "no-one", "data": refers("in-nobody"), "block_type_id": kind,
            "block_schema_id": schemas[0]["id"],
        }),
    );
    let results = bench.block("local-file-system", "results");
    let storage = json!({"default_result_storage_block_id": results});
    let has_storage = match http.request("PUT", "/admin/storage", Some(&storage)).status {
        200 => true,
        404 => {
            eprintln!("skipped: this server has no default result storage");
            false
        }
        other => panic!("{other}"),
    };

    bench.declare("variables: [{ name: other, value: 1 }]\n");
    let plan = bench.plan();
    for (kind, name, user) in [
        ("block", "secret/in-pull", "deployment theirs/a"),
        ("block", "secret/in-job", "deployment theirs/a"),
        ("block", "secret/in-template", "work_pool theirs"),
        ("block", "secret/by-id", "work_pool theirs"),
        ("block", "secret/in-action", "automation theirs"),
        ("block", "secret/in-block", "block plain/theirs"),
        ("block", "secret/in-nobody", "anonymous block `no-one"),
        ("variable", "in_pull", "deployment theirs/a"),
        ("variable", "in_job", "deployment theirs/a"),
        ("variable", "in_parameter", "deployment theirs/a"),
        ("variable", "in_template", "work_pool theirs"),
        ("variable", "in_block", "block plain/words"),
        ("work_pool", "run-in", "deployment theirs/a"),
        ("work_pool", "acted-on", "automation theirs"),
        ("work_pool", "p", "deployment theirs/b"),
        ("work_queue", "p/q", "deployment theirs/b"),
        ("concurrency_limit", "shared", "deployment theirs/a"),
        ("block_type", "mine", "block mine/of-mine"),
    ] {
        let reason = held(&plan, kind, name);
        assert!(reason.contains(&format!("{user}`")) && reason.contains("use"), "{kind} {name}: {reason:?}\n{plan:#}");
    }
    if has_storage {
        let reason = held(&plan, "block", "local-file-system/results");
        assert!(reason.contains("default result storage uses it"), "{reason}");
    }
    let gone: Vec<String> = plan["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["action"] == "delete")
        .map(|c| format!("{} {}", c["kind"].as_str().unwrap(), c["name"].as_str().unwrap()))
        .filter(|name| has_storage || name != "block local-file-system/results")
        .collect();
    assert_eq!(
        gone,
        ["block secret/free", "variable free", "work_pool free", "work_queue p/free", "concurrency_limit free",]
    );
    assert!(plan["requests"]["read"].as_u64().unwrap() <= 40, "{}", plan["requests"]);
    bench.apply(0);
    assert!(bench.is_there("/variables/name/in_pull") && !bench.is_there("/variables/name/free"));
    assert_eq!(http.all("deployments").len(), 2);
}

#[test]
fn runs_that_wait_in_a_queue_hold_it_and_its_pool() {
    let bench = Bench::new(
        "work_pools: [{ name: p, type: process, queues: [{ name: q, priority: 2 }, { name: idle, priority: 3 }] }]\n",
    );
    let theirs = bench.theirs("a", json!({"work_pool_name": "p", "work_queue_name": "q"}));
    let run = bench.run(&theirs, "SCHEDULED");
    // It moves away, and its run stays behind. Older servers do not leave a pool for none.
    bench.http().post("/work_pools/", json!({"name": "elsewhere", "type": "process"}));
    bench.http().patch(
        &format!("/deployments/{}", theirs.as_str().unwrap()),
        json!({"work_pool_name": "elsewhere", "work_queue_name": "default"}),
    );
    bench.declare("variables: [{ name: other, value: 1 }]\n");
    let plan = bench.plan();
    assert!(held(&plan, "work_queue", "p/q").contains("1 run waits in it"), "{plan:#}");
    assert!(held(&plan, "work_pool", "p").contains("1 run waits in it"), "{plan:#}");
    assert_eq!(change(&plan, "work_queue", "p/idle")["action"], "delete");
    bench.apply(0);
    assert_eq!(bench.http().get(&format!("/flow_runs/{}", run.as_str().unwrap()))["work_queue_name"], "q");
    bench.enters(&run, "CANCELLED");
    let report = bench.apply(0);
    assert!(!bench.is_there("/work_pools/p"), "{report:#}");
    let plan = bench.plan();
    assert_eq!((&plan["held"], &plan["changes"]), (&json!([]), &json!([])), "{plan:#}");
}

const CHAIN: &str = "block_types: [{ slug: mine, name: Mine, fields: { type: object, title: Mine, properties: {} } }]\n\
    blocks:\n- { type: mine, name: leaf, data: {} }\n\
    - { type: mine, name: middle, data: { value: { block: mine/leaf } } }\n\
    - { type: mine, name: top, data: { value: { block: mine/middle } } }\n";

#[test]
fn a_user_goes_first_and_what_it_uses_stays_if_it_cannot_go() {
    let bench = Bench::new(CHAIN);
    bench.declare("variables: [{ name: other, value: 1 }]\n");
    let plan = bench.plan();
    assert_eq!(change(&plan, "block", "mine/middle")["after"], json!(["block mine/top"]), "{plan:#}");
    assert_eq!(change(&plan, "block", "mine/leaf")["after"], json!(["block mine/middle"]));
    assert_eq!(change(&plan, "block_type", "mine")["after"].as_array().unwrap().len(), 3);
    let top = bench.block("mine", "top").as_str().unwrap().to_owned();
    let proxy = Proxy::in_front_of(&bench.server.url);
    proxy.rule(move |request| match request.method == "DELETE" && request.path.contains(&top) {
        true => Verdict::Answer(403, "{\"detail\": \"no\"}".to_owned()),
        false => Verdict::Pass,
    });
    let args = [&["apply", "--yes", "--api-url", &proxy.url][..], &PRUNE].concat();
    let report: Value = serde_json::from_str(&bench.project.reconcile(&args).exits(3).stdout).unwrap();
    assert_eq!(change(&report, "block", "mine/top")["result"], "failed", "{report:#}");
    for (kind, name) in [("block", "mine/middle"), ("block", "mine/leaf"), ("block_type", "mine")] {
        assert_eq!(change(&report, kind, name)["result"], "skipped", "{report:#}");
    }
    assert!(!bench.block("mine", "leaf").is_null());
    bench.apply(0);
    assert!(!bench.is_there("/block_types/slug/mine"));
}

#[test]
fn what_a_held_object_uses_is_held_too() {
    let bench = Bench::new(CHAIN);
    bench.theirs("a", json!({"job_variables": {"x": "{{ prefect.blocks.mine.top }}"}}));
    bench.declare("variables: [{ name: other, value: 1 }]\n");
    let plan = bench.plan();
    assert!(held(&plan, "block", "mine/top").contains("`deployment theirs/a` uses it"), "{plan:#}");
    assert!(held(&plan, "block", "mine/middle").contains("`block mine/top` uses it"), "{plan:#}");
    assert!(held(&plan, "block", "mine/leaf").contains("`block mine/middle` uses it"), "{plan:#}");
    assert!(held(&plan, "block_type", "mine").contains("`block mine/top` uses it"), "{plan:#}");
    assert_eq!(change(&plan, "block", "mine/middle"), &Value::Null);
}

#[test]
fn what_is_not_used_any_more_after_this_very_pass_may_go() {
    let pool = |more: &str| {
        format!(
            "work_pools: [{{ name: p, type: process, base_job_template: {{ default: true, patch: {{ variables.properties.name.default: '{more}' }} }} }}]\n"
        )
    };
    let bench = Bench::new(&format!("variables: [{{ name: v, value: 1 }}]\n{}", pool("{{ prefect.variables.v }}")));
    bench.declare(&pool("plain"));
    let plan = bench.plan();
    let deletion = change(&plan, "variable", "v");
    assert_eq!((&deletion["action"], &deletion["after"]), (&json!("delete"), &json!(["work_pool p"])), "{plan:#}");
    let proxy = Proxy::in_front_of(&bench.server.url);
    proxy.rule(|request| match request.method == "PATCH" && request.path.ends_with("/work_pools/p") {
        true => Verdict::Answer(403, "{\"detail\": \"no\"}".to_owned()),
        false => Verdict::Pass,
    });
    let args = [&["apply", "--yes", "--api-url", &proxy.url][..], &PRUNE].concat();
    let report: Value = serde_json::from_str(&bench.project.reconcile(&args).exits(1).stdout).unwrap();
    assert_eq!(change(&report, "variable", "v")["result"], "skipped", "{report:#}");
    assert!(bench.is_there("/variables/name/v"));
    bench.apply(0);
    assert!(!bench.is_there("/variables/name/v"));
}

#[test]
fn a_pools_own_queue_goes_with_it() {
    let bench = Bench::new("work_pools: [{ name: p, type: process, queues: [{ name: default, priority: 3 }] }]\n");
    bench.project.reconcile(&["destroy", "--yes"]).exits(0);
    assert!(!bench.is_there("/work_pools/p"));
    let plan = bench.plan();
    assert_eq!((&plan["held"], &plan["changes"][0]["action"]), (&json!([]), &json!("create")), "{plan:#}");
}

/// The one deployment of the project, with a run under way.
fn with_a_run(bench: &Bench) -> (String, Value) {
    let deployment = "deployments:\n- { name: d, entrypoint: \"flow.py:hello\", work_pool: { name: p } }\n";
    bench.project.write("prefect.yaml", deployment);
    bench.project.reconcile(&["apply", "--yes"]).exits(0);
    let id = bench.http().get("/deployments/name/hello/d")["id"].clone();
    let run = bench.run(&id, "RUNNING");
    bench.project.remove("prefect.yaml");
    (format!("/deployments/{}", id.as_str().unwrap()), run)
}

#[test]
fn runs_under_way_are_waited_for() {
    let bench = Bench::new("work_pools: [{ name: p, type: process }]\n");
    let (path, run) = with_a_run(&bench);
    let plan = bench.plan();
    let impact = change(&plan, "deployment", "hello/d")["impact"].to_string();
    assert!(impact.contains("1 run is under way"), "{plan:#}");
    let mut command = bench.project.reconcile_command();
    let child = command.args(["apply", "--yes", "--drain", "5m"]).args(PRUNE);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while bench.http().get(&path)["paused"] == false {
        assert!(began.elapsed() < Duration::from_secs(120), "it is never paused");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(2));
    assert!(bench.is_there(&path), "not while it runs");
    bench.enters(&run, "COMPLETED");
    let output = ended(child).exits(0);
    assert!(output.stderr.contains("waiting for 1 run of 1 deployment"), "{output:?}");
    assert!(!bench.is_there(&path));
}

/// An apply that is about to delete two deployments, each with a run under way; it waits for these runs.
struct Draining {
    bench: Bench,
    proxy: Proxy,
    child: Child,
    /// The deployments, with the run of each.
    both: [(String, Value); 2],
}

impl Draining {
    fn start() -> Draining {
        let bench = Bench::new("work_pools: [{ name: p, type: process }]\n");
        let one =
            |name: &str| format!("- {{ name: {name}, entrypoint: \"flow.py:hello\", work_pool: {{ name: p }} }}\n");
        bench.project.write("prefect.yaml", &format!("deployments:\n{}", ["d", "e"].map(one).concat()));
        bench.project.reconcile(&["apply", "--yes"]).exits(0);
        let both = ["d", "e"].map(|name| {
            let id = bench.http().get(&format!("/deployments/name/hello/{name}"))["id"].clone();
            (id.as_str().unwrap().to_owned(), bench.run(&id, "RUNNING"))
        });
        bench.project.remove("prefect.yaml");
        let proxy = Proxy::in_front_of(&bench.server.url);
        let mut command = bench.project.reconcile_command();
        let command = command.args(["apply", "--yes", "--drain", "5m", "--api-url", &proxy.url]).args(PRUNE);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let draining = Draining { bench, proxy, child, both };
        draining.until("both are paused", || draining.paused() == [true, true]);
        draining
    }

    #[track_caller]
    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(120), "never: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn paused(&self) -> [Value; 2] {
        self.both.each_ref().map(|(id, _)| self.bench.http().get(&format!("/deployments/{id}"))["paused"].clone())
    }

    /// Waits for the end; the report.
    fn ends(self, code: i32) -> (Value, [Value; 2]) {
        let paused = |bench: &Bench, id: &str| bench.http().get(&format!("/deployments/{id}"))["paused"].clone();
        let output = ended(self.child).exits(code);
        let found = self.both.each_ref().map(|(id, _)| paused(&self.bench, id));
        (serde_json::from_str(&output.stdout).unwrap(), found)
    }
}

#[test]
fn who_is_interrupted_resumes_what_is_not_deleted() {
    let draining = Draining::start();
    let [(first, run), (second, _)] = &draining.both;
    draining.bench.enters(run, "COMPLETED");
    // From then on it waits for the second alone, and the first could go.
    draining.until("the first is through", || {
        let requests = draining.proxy.requests();
        let looks = |body: &str| body.contains(second.as_str()) && !body.contains(first.as_str());
        requests.iter().any(|r| r.path.ends_with("/flow_runs/count") && r.status == 200 && looks(&r.body))
    });
    let pid = rustix::process::Pid::from_child(&draining.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let (report, paused) = draining.ends(130);
    assert_eq!(paused, [json!(false), json!(false)], "{report:#}");
    for name in ["hello/d", "hello/e"] {
        assert_eq!(change(&report, "deployment", name)["result"], "skipped", "{report:#}");
    }
}

#[test]
fn an_api_that_fails_in_the_middle_leaves_nothing_paused() {
    let draining = Draining::start();
    draining.proxy.rule(|request| match request.path.contains("/flow_runs/") {
        true => Verdict::Answer(503, "{\"exception_message\": \"busy\"}".to_owned()),
        false => Verdict::Pass,
    });
    let (report, paused) = draining.ends(1);
    assert_eq!(paused, [json!(false), json!(false)], "{report:#}");
    assert_eq!(change(&report, "deployment", "hello/d")["result"], "failed", "{report:#}");
}

#[test]
fn what_may_not_be_deleted_after_all_is_resumed() {
    let draining = Draining::start();
    draining.proxy.rule(|request| match request.method == "DELETE" && request.path.contains("/deployments/") {
        true => Verdict::Answer(403, "{\"detail\": \"no\"}".to_owned()),
        false => Verdict::Pass,
    });
    for (_, run) in &draining.both {
        draining.bench.enters(run, "COMPLETED");
    }
    let (report, paused) = draining.ends(1);
    assert_eq!(paused, [json!(false), json!(false)], "{report:#}");
    assert_eq!(change(&report, "deployment", "hello/e")["result"], "failed", "{report:#}");
}

#[test]
fn who_does_not_want_to_wait_finds_it_held_and_as_it_was() {
    let bench = Bench::new("work_pools: [{ name: p, type: process }]\n");
    let (path, run) = with_a_run(&bench);
    bench.declare("variables: [{ name: other, value: 1 }]\n");
    for patience in ["0", "1s"] {
        let args = [&["apply", "--yes", "--drain", patience][..], &PRUNE].concat();
        let report: Value = serde_json::from_str(&bench.project.reconcile(&args).exits(0).stdout).unwrap();
        let one = change(&report, "deployment", "hello/d");
        assert_eq!(one["result"], "held", "{report:#}");
        assert!(one["error"].as_str().unwrap().contains("1 run is still under way"), "{report:#}");
        // Its pool cannot go without it.
        assert_eq!(change(&report, "work_pool", "p")["result"], "held", "{report:#}");
        assert_eq!(bench.http().get(&path)["paused"], false);
    }
    let args = [&["apply", "--yes", "--drain", "0", "--fail-on-held"][..], &PRUNE[..3]].concat();
    let told = bench.project.reconcile(&args).exits(2).stdout;
    assert!(told.contains("held: 1 run is still under way") && told.contains("2 held"), "{told}");
    bench.project.reconcile(&["destroy", "--yes", "--drain", "0"]).exits(2);
    bench.enters(&run, "COMPLETED");
    bench.project.reconcile(&["destroy", "--yes"]).exits(0);
    assert!(!bench.is_there(&path) && !bench.is_there("/work_pools/p"));
}

#[test]
fn priorities_of_queues_end_as_declared() {
    let queues = |list: &[(&str, u64)]| {
        let list: Vec<String> = list.iter().map(|(name, p)| format!("{{ name: {name}, priority: {p} }}")).collect();
        format!("work_pools: [{{ name: p, type: process, queues: [{}] }}]\n", list.join(", "))
    };
    let bench = Bench::new(&queues(&[("a", 1), ("b", 2), ("c", 3), ("default", 4)]));
    let found = || {
        let rows = bench.http().all("work_queues");
        let of = |name: &str| rows.iter().find(|row| row["name"] == name).map(|row| row["priority"].clone()).unwrap();
        ["a", "b", "c", "default"].map(of)
    };
    assert_eq!(found(), [1, 2, 3, 4].map(|n| json!(n)));
    for order in [[4, 3, 2, 1], [2, 3, 4, 1], [1, 4, 2, 3], [10, 11, 12, 1]] {
        let names = ["a", "b", "c", "default"];
        let list: Vec<(&str, u64)> = names.into_iter().zip(order).collect();
        bench.declare(&queues(&list));
        let report = bench.apply(0);
        assert_eq!(found(), order.map(|n| json!(n)), "{report:#}");
        assert_eq!(bench.plan()["changes"], json!([]));
    }
}

const PARTS: &str = "variables:\n- { name: region, value: eu }\n- { name: unused, value: 1 }\n\
    blocks:\n- { type: secret, name: token, data: { value: { from_env: TOKEN } } }\n\
    - { type: secret, name: elsewhere, data: { value: { from_env: NOT_SET } } }\n\
    work_pools:\n- { name: p, type: process, queues: [{ name: q, priority: 2 }, { name: r, priority: 3 }],\n\
    \x20   base_job_template: { default: true, patch: { variables.properties.name.default: '{{ prefect.blocks.secret.token }}' } } }\n\
    - { name: other, type: process }\n";

const TWO: &str = "deployments:\n\
    - { name: one, entrypoint: \"flow.py:hello\", tags: ['{{ prefect.variables.region }}'], work_pool: { name: p, work_queue_name: q } }\n\
    - { name: two, entrypoint: \"flow.py:hello\", work_pool: { name: other } }\n";

/// What a plan makes and changes, as `kind name`.
fn keys(plan: &Value) -> Vec<String> {
    let all = plan["changes"].as_array().unwrap().iter();
    all.map(|c| format!("{} {}", c["kind"].as_str().unwrap(), c["name"].as_str().unwrap())).collect()
}

#[test]
fn a_selection_means_what_the_selected_deployments_need() {
    let server = Server::shared();
    let project = Project::new()
        .api(&server.url)
        .env("TOKEN", "x")
        .file("reconcile.yaml", "name: parts\n")
        .file("flow.py", "from prefect import flow\n\n\n@flow\ndef hello():\n    pass\n")
        .file("prefect.yaml", TWO)
        .file("all.reconcile.yaml", PARTS);
    let plan = |args: &[&str]| -> Value {
        let args = [&["plan", "--json"], args].concat();
        serde_json::from_str(&project.reconcile(&args).exits(0).stdout).unwrap()
    };
    // What the other one needs is not even looked at: `NOT_SET` is not missed.
    let one = ["block secret/token", "variable region", "work_pool p", "work_queue p/q", "deployment hello/one"];
    assert_eq!(keys(&plan(&["-n", "one"])), one);
    assert_eq!(keys(&plan(&["-n", "hello/tw*"])), ["work_pool other", "deployment hello/two"]);
    assert_eq!(keys(&plan(&["-n", "two", "-p", "p"])), ["block secret/token", "work_pool p", "deployment hello/two"]);
    project.reconcile(&["plan"]).exits(4);
    project.reconcile(&["apply", "-n", "one", "--yes"]).exits(0);
    assert_eq!(server.http().get("/deployments/name/hello/one")["tags"], json!(["eu"]));
    assert_eq!(keys(&plan(&["-n", "one"])), Vec::<String>::new());
}

#[test]
fn what_changed_since_a_commit_means_objects_as_well() {
    let server = Server::start();
    let project = Project::new()
        .api(&server.url)
        .file("reconcile.yaml", "name: since\n")
        .file("flow.py", "from prefect import flow\n\n\n@flow\ndef hello():\n    pass\n")
        .file("prefect.yaml", TWO)
        .file("secrets/token", "x")
        .file(
            "all.reconcile.yaml",
            &PARTS
                .replace("from_env: TOKEN", "from_file: secrets/token")
                .replace("from_env: NOT_SET", "from_file: secrets/other"),
        )
        .file("secrets/other", "y")
        .git_init(None);
    let plan = || -> Value {
        let args = ["plan", "--json", "--changed-since", "HEAD"];
        serde_json::from_str(&project.reconcile(&args).exits(0).stdout).unwrap()
    };
    assert_eq!(keys(&plan()), Vec::<String>::new(), "nothing changed, though nothing is there");
    let all = project.path().join("all.reconcile.yaml");
    let text = std::fs::read_to_string(&all).unwrap();
    project.write("all.reconcile.yaml", &format!("# a remark\n{}", text.replace("value: 1 }", "value: 2 }")));
    assert_eq!(keys(&plan()), ["variable unused"]);
    project.write("all.reconcile.yaml", &text);
    project.write("secrets/other", "z");
    assert_eq!(keys(&plan()), ["block secret/elsewhere"]);
    project.git_commit("second");
    // A deployment that is filled with what changed is touched, and brings what it needs.
    project.write("all.reconcile.yaml", &text.replace("value: eu", "value: us"));
    let one = ["block secret/token", "variable region", "work_pool p", "work_queue p/q", "deployment hello/one"];
    assert_eq!(keys(&plan()), one);
    let said = project.reconcile(&["plan", "--changed-since", "HEAD"]).exits(0).stderr;
    assert!(said.contains("1 of 2 deployments and 1 of 8 other objects touched"), "{said}");
}

#[test]
fn lists_without_items_hold_everything_and_are_no_error() {
    let server = Server::shared();
    let variables = "variables: [{ name: emptied_a, value: 1 }, { name: emptied_b, value: 1 }]\n";
    let project = Project::new()
        .api(&server.url)
        .file("reconcile.yaml", "name: emptied\nprune: true\n")
        .file("vars.reconcile.yaml", variables);
    project.reconcile(&["apply", "--yes"]).exits(0);
    project.write("vars.reconcile.yaml", "variables: []\n");
    project.reconcile(&["validate"]).exits(0);
    let plan: Value = serde_json::from_str(&project.reconcile(&["plan", "--json"]).exits(0).stdout).unwrap();
    assert_eq!((&plan["changes"], &plan["summary"]["held"]), (&json!([]), &json!(2)), "{plan:#}");
    assert!(held(&plan, "variable", "emptied_a").contains("nothing is declared any more"), "{plan:#}");
    project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(server.http().get("/variables/name/emptied_a")["value"], 1);
    project.reconcile(&["destroy", "--yes"]).exits(0);
    assert_eq!(server.http().request("GET", "/variables/name/emptied_a", None).status, 404);
}

#[test]
fn what_was_refused_and_then_made_by_hand_is_not_ours() {
    let pool = "work_pools: [{ name: p, type: process }]\n";
    let bench = Bench::new(pool);
    let proxy = Proxy::in_front_of(&bench.server.url);
    proxy.rule(|request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/api/variables/") => Verdict::Answer(422, "{\"detail\": \"no\"}".to_owned()),
        ("POST", "/api/deployments/") => Verdict::Answer(403, "{\"detail\": \"no\"}".to_owned()),
        _ => Verdict::Pass,
    });
    bench.declare(&format!("variables: [{{ name: v, value: 1 }}]\n{pool}"));
    let deployment = "deployments:\n- { name: d, entrypoint: \"flow.py:hello\", work_pool: { name: p } }\n";
    bench.project.write("prefect.yaml", deployment);
    bench.project.reconcile(&["apply", "--yes", "--api-url", &proxy.url]).exits(1);
    let http = bench.http();
    http.post("/variables/", json!({"name": "v", "value": 2}));
    let flow = http.get("/flows/name/hello")["id"].clone();
    http.post("/deployments/", json!({"name": "d", "flow_id": flow, "parameter_openapi_schema": {}}));
    let plan = bench.plan();
    assert!(held(&plan, "variable", "v").contains("nobody's"), "{plan:#}");
    // Nor does it go when it leaves git.
    bench.declare(pool);
    bench.project.remove("prefect.yaml");
    let report = bench.apply(0);
    assert_eq!(report["changes"], json!([]), "{report:#}");
    assert!(bench.is_there("/variables/name/v") && bench.is_there("/deployments/name/hello/d"));
}
