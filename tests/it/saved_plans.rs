//! `plan --out FILE`, `apply --plan FILE`: what was reviewed is what is applied.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::server::Server;
use crate::support::workspace::Workspace;

const FLOW: &str = "from prefect import flow\n\n@flow\ndef saved(n: int = 1):\n    pass\n";
const CANARY: &str = "canary-5e1f";

fn manifest(name: &str, tag: &str) -> String {
    format!(
        "deployments:\n- name: {name}\n  entrypoint: flow.py:saved\n  tags: [{tag}]\n  schedules:\n  \
         - interval: 3600\n  - cron: 0 6 * * *\n    slug: daily\n  \
         work_pool:\n    name: {name}\n    job_variables:\n      env:\n        TOKEN: \"{{{{ $TOKEN }}}}\"\n"
    )
}

/// A project with one deployment, and its pool on a server.
fn project(server: &Server, name: &str) -> Project {
    Workspace::of(&server.url).prepare(&[(name, json!("process"))], &[], &[]);
    Project::new()
        .api(&server.url)
        .env("TOKEN", CANARY)
        .file("flow.py", FLOW)
        .file("reconcile.yaml", &format!("name: {name}\n"))
        .file("prefect.yaml", &manifest(name, "one"))
        .git_init(None)
}

fn tags(server: &Server, name: &str) -> Value {
    server.http().get(&format!("/deployments/name/saved/{name}"))["tags"].clone()
}

#[test]
fn a_saved_plan_is_applied_once_and_is_then_stale() {
    let server = Server::shared();
    let project = project(server, "saved-once");
    let planned = project.reconcile(&["plan", "--out", "../plan.json"]).exits(0);
    assert!(planned.stdout.contains("1 to create"), "{}", planned.stdout);
    let file = std::fs::read_to_string(project.path().join("../plan.json")).unwrap();
    assert!(!file.contains(CANARY), "a secret is in the plan file");
    let applied = project.reconcile(&["apply", "--plan", "../plan.json", "--yes"]).exits(0);
    assert!(applied.stdout.contains("Applied: 1 applied"), "{}", applied.stdout);
    assert_eq!(tags(server, "saved-once"), json!(["one"]));

    let again = project.reconcile(&["apply", "--plan", "../plan.json", "--yes"]).exits(5);
    let digest = serde_json::from_str::<Value>(&file).unwrap()["digest"].as_str().unwrap().to_owned();
    assert!(again.stderr.contains(&digest) && again.stderr.matches("sha256:").count() == 2, "{}", again.stderr);
    assert!(again.stderr.contains("removed: deployment saved/saved-once"), "{}", again.stderr);
}

#[test]
fn a_plan_is_stale_when_the_files_or_the_api_have_moved() {
    let server = Server::shared();
    let project = project(server, "saved-stale");
    project.reconcile(&["apply", "--yes"]).exits(0);
    project.write("prefect.yaml", &manifest("saved-stale", "two"));
    let first = project.git_commit("two");
    project.reconcile(&["plan", "--out", "../plan.json"]).exits(0);
    assert!(!std::fs::read_to_string(project.path().join("../plan.json")).unwrap().contains(CANARY));

    project.write("prefect.yaml", &manifest("saved-stale", "three"));
    let second = project.git_commit("three");
    let stale = project.reconcile(&["apply", "--plan", "../plan.json", "--yes", "--json"]).exits(5);
    assert!(stale.stderr.contains(&first) && stale.stderr.contains(&second), "{}", stale.stderr);
    let told: Value = serde_json::from_str(&stale.stdout).unwrap();
    assert_eq!(told["differs"], json!([{ "what": "changed", "key": "deployment saved/saved-stale" }]));
    assert!(told["error"]["message"].as_str().is_some_and(|message| message.contains("is stale")), "{told:#}");
    let schema = jsonschema::draft202012::new(&reconcile::report::schema::report()).unwrap();
    assert!(schema.is_valid(&told), "{told:#}");
    assert_eq!(tags(server, "saved-stale"), json!(["one"]), "a stale plan writes nothing");

    // A commit that changes nothing that is deployed leaves the plan as it was.
    project.write("prefect.yaml", &manifest("saved-stale", "two"));
    project.write("README.md", "more words\n");
    project.git_commit("words");
    project.reconcile(&["apply", "--plan", "../plan.json", "--yes"]).exits(0);
    assert_eq!(tags(server, "saved-stale"), json!(["two"]));

    // Somebody else is faster.
    project.write("prefect.yaml", &manifest("saved-stale", "four"));
    project.reconcile(&["plan", "--out", "../plan.json"]).exits(0);
    let deployment = server.http().get("/deployments/name/saved/saved-stale");
    let id = deployment["id"].as_str().unwrap();
    server.http().patch(&format!("/deployments/{id}"), json!({ "tags": ["by hand"] }));
    project.reconcile(&["apply", "--plan", "../plan.json", "--yes"]).exits(5);
    assert_eq!(tags(server, "saved-stale"), json!(["by hand"]));
}

#[test]
fn a_plan_keeps_its_selection_and_refuses_another_place() {
    let server = Server::shared();
    let project = project(server, "saved-place");
    let two = manifest("saved-place", "one") + manifest("saved-place-2", "one").split_once('\n').unwrap().1;
    project.write("prefect.yaml", &two.replace("name: saved-place-2\n    job", "name: saved-place\n    job"));
    project.reconcile(&["plan", "-n", "saved-place-2", "--param", "n=7", "--out", "../plan.json"]).exits(0);
    project.reconcile(&["apply", "-n", "x", "--plan", "../plan.json", "--yes"]).exits(64);
    project.reconcile(&["apply", ".", "--plan", "../plan.json", "--yes"]).exits(64);
    let git = project.reconcile(&["apply", "--git", "https://x/y", "--plan", "../plan.json", "--yes"]).exits(64);
    assert!(git.stderr.contains("made without `--git`"), "{}", git.stderr);

    let other = Server::start();
    let elsewhere = project.reconcile(&["apply", "--plan", "../plan.json", "--yes", "--api-url", &other.url]).exits(5);
    assert!(elsewhere.stderr.contains(&server.url) && elsewhere.stderr.contains(&other.url), "{}", elsewhere.stderr);
    project.write("reconcile.yaml", "name: saved-other\n");
    let scope = project.reconcile(&["apply", "--plan", "../plan.json", "--yes"]).exits(5);
    assert!(scope.stderr.contains("`saved-place`") && scope.stderr.contains("`saved-other`"), "{}", scope.stderr);
    project.write("reconcile.yaml", "name: saved-place\n");

    project.reconcile(&["apply", "--plan", "../plan.json", "--yes"]).exits(0);
    let made = server.http().get("/deployments/name/saved/saved-place-2");
    assert_eq!(made["parameters"], json!({ "n": 7 }));
    assert_eq!(server.http().request("GET", "/deployments/name/saved/saved-place", None).status, 404);
}

#[test]
fn files_that_are_no_plans_are_refused_with_a_reason() {
    let project = Project::new().api("http://127.0.0.1:9/api").file("flow.py", FLOW);
    let digest = format!("sha256:{}", "0".repeat(64));
    let whole = json!({
        "format_version": "1.0", "digest": digest, "scope": "x", "api": { "url": "http://127.0.0.1:9/api" },
        "request": { "selecting": {} }, "changes": [],
    });
    let without = |key: &str| {
        let mut json = whole.clone();
        json.as_object_mut().unwrap().shift_remove(key);
        json.to_string()
    };
    let with = |key: &str, value: Value| {
        let mut json = whole.clone();
        json[key] = value;
        json.to_string()
    };
    let cases = [
        ("not JSON at all".to_owned(), "not JSON"),
        ("[1]".to_owned(), "no JSON object"),
        ("[".repeat(1_000_000), "not JSON"),
        (without("format_version"), "no `format_version`"),
        (with("format_version", json!("2.0")), "its format is 2.0"),
        (with("digest", json!("sha256:short")), "`digest` is missing or malformed"),
        (without("scope"), "`scope` is missing"),
        (without("request"), "was not made by `--out`"),
        (with("request", json!({ "selecting": { "nmaes": [] } })), "`request` is malformed"),
        (with("request", json!([1])), "`request` is malformed"),
        (with("base", json!({ "revision": "main" })), "compares two commits"),
    ];
    for (text, reason) in cases {
        project.write("plan.json", &text);
        let out = project.reconcile(&["apply", "--plan", "plan.json", "--yes"]).exits(1);
        assert!(out.stderr.contains(reason), "{reason}: {}", out.stderr);
    }
    project.write("plan.json", &with("api", Value::Null));
    project.reconcile(&["apply", "--plan", "plan.json", "--yes"]).exits(5);
    let missing = project.reconcile(&["apply", "--plan", "none.json", "--yes"]).exits(1);
    assert!(missing.stderr.contains("cannot be read"), "{}", missing.stderr);
    // Neither an endless file nor a hole of many gigabytes is read.
    let began = Instant::now();
    project.reconcile(&["apply", "--plan", "/dev/zero", "--yes"]).exits(1);
    let hole = std::fs::File::create(project.path().join("hole.json")).unwrap();
    hole.set_len(1 << 36).unwrap();
    let huge = project.reconcile(&["apply", "--plan", "hole.json", "--yes"]).exits(1);
    assert!(huge.stderr.contains("larger than 128 MiB"), "{}", huge.stderr);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn only_what_was_unknown_may_change_between_plan_and_apply() {
    let server = Server::shared();
    let project = project(server, "saved-build").with_python();
    let build = "build:\n- prefect.deployments.steps.run_shell_script:\n    id: say\n    script: cat said.txt\n";
    let yaml = manifest("saved-build", "one").replace("[one]", "[\"said {{ say.stdout }}\"]");
    project.write("prefect.yaml", &format!("{build}{yaml}"));
    project.write("said.txt", "hello\n");
    let planned = project.reconcile(&["plan", "--out", "../plan.json"]).exits(0);
    assert!(planned.stdout.contains("1 to create"), "{}", planned.stdout);
    project.write("said.txt", "goodbye\n");
    project.reconcile(&["apply", "--plan", "../plan.json", "--yes"]).exits(0);
    assert_eq!(tags(server, "saved-build"), json!(["said goodbye"]));
}
