//! `--env`: variables, scope, API and overlays of one environment.

use serde_json::Value;

use crate::support::project::{Output, Project};
use crate::support::server::Server;

const RECONCILE: &str = "name: shop\nvars: { tag: edge }\nenvironments:\n  \
    staging: {}\n  \
    prod:\n    vars: { tag: stable }\n    overlays: ['env/prod/*.yaml']\n";

const BASE: &str = "pull:\n- prefect.deployments.steps.set_working_directory: { directory: /base }\n\
    deployments:\n\
    - name: nightly\n  entrypoint: flow.py:etl\n  work_pool: { name: pool, job_variables: { env: { A: '1', B: '2' } } }\n  \
      tags: ['{{ vars.tag }}']\n  schedules:\n  - { slug: early, cron: '0 1 * * *' }\n  - { slug: late, cron: '0 5 * * *' }\n";

const OVER: &str = "pull:\n- prefect.deployments.steps.set_working_directory: { directory: /prod }\n\
    deployments:\n\
    - name: nightly\n  work_pool: { job_variables: { env: { B: prod } } }\n  schedules:\n  - { slug: late, active: false }\n\
    - name: only-prod\n  entrypoint: flow.py:etl\n  work_pool: { name: pool }\n";

const THINGS: &str = "variables:\n- { name: region, value: eu }\n- { name: other, value: x }\n\
    work_pools:\n- name: pool\n  type: process\n  queues: [{ name: a, priority: 1 }, { name: b, priority: 2 }]\n";

const OVER_THINGS: &str = "variables:\n- { name: region, value: us }\n\
    work_pools:\n- name: pool\n  concurrency_limit: 9\n  queues: [{ name: b, concurrency_limit: 3 }]\n\
    blocks:\n- { type: secret, name: key, data: { value: { from_file: key.txt } } }\n";

fn shop() -> Project {
    Project::new()
        .file("reconcile.yaml", RECONCILE)
        .file("prefect.yaml", BASE)
        .file("flow.py", "from prefect import flow\n\n\n@flow\ndef etl():\n    pass\n")
        .file("blocks.yaml", THINGS)
        .file("env/prod/deployments.yaml", OVER)
        // It has the name of a resource file, and is none.
        .file("env/prod/blocks.yaml", OVER_THINGS)
        .file("env/prod/key.txt", "canary-of-prod\n")
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn keys(plan: &Value) -> Vec<String> {
    let changes = plan["changes"].as_array().unwrap().iter();
    changes.map(|change| format!("{} {}", change["kind"].as_str().unwrap(), change["name"].as_str().unwrap())).collect()
}

#[test]
fn an_environment_has_a_scope_and_values_of_its_own() {
    let server = Server::start();
    let project = shop().api(&server.url);
    let base = json(&project.reconcile(&["plan", "--json"]).exits(0));
    assert_eq!(base["scope"], "shop");
    assert!(
        !keys(&base).iter().any(|key| key.contains("only-prod") || key.contains("secret/key")),
        "{:?}",
        keys(&base)
    );
    let prod = project.reconcile(&["plan", "--json", "--env", "prod"]).exits(0);
    let (prod, text) = (json(&prod), prod.stdout);
    assert_eq!(prod["scope"], "shop@prod");
    assert!(!text.contains("canary"));
    project.reconcile(&["apply", "--yes", "--env", "prod"]).exits(0);

    let http = server.http();
    let nightly = http.get("/deployments/name/etl/nightly");
    assert_eq!(nightly["tags"][0], "stable");
    assert_eq!(nightly["job_variables"]["env"], serde_json::json!({ "A": "1", "B": "prod" }));
    assert_eq!(nightly["pull_steps"][0]["prefect.deployments.steps.set_working_directory"]["directory"], "/prod");
    let schedules = nightly["schedules"].as_array().unwrap();
    let active = |slug: &str| schedules.iter().find(|one| one["slug"] == slug).unwrap()["active"].clone();
    assert_eq!((active("early"), active("late")), (Value::Bool(true), Value::Bool(false)));
    assert_eq!(http.get("/deployments/name/etl/only-prod")["name"], "only-prod");
    assert_eq!(http.get("/variables/name/region")["value"], "us");
    assert_eq!(http.get("/variables/name/other")["value"], "x");
    assert_eq!(http.get("/work_pools/pool")["concurrency_limit"], 9);
    assert_eq!(http.get("/work_pools/pool/queues/b")["concurrency_limit"], 3);
    let block = http.get("/block_types/slug/secret/block_documents/name/key?include_secrets=true");
    assert_eq!(block["data"]["value"], "canary-of-prod");
    let again = json(&project.reconcile(&["plan", "--json", "--env", "prod"]).exits(0));
    assert_eq!(keys(&again), Vec::<String>::new());
}

#[test]
fn a_value_of_an_overlay_is_told_at_its_own_place() {
    let project = shop();
    project.write(
        "env/prod/deployments.yaml",
        "deployments:\n- name: nightly\n  schedules:\n  - { slug: late, cron: nonsense }\n",
    );
    project.write(
        "env/prod/blocks.yaml",
        "\nblocks:\n- type: webhook\n  name: hook\n  data: { url: https://x.org, method: FETCH }\n",
    );
    let output = json(&project.reconcile(&["validate", "--json", "--env", "prod"]).exits(4));
    let told: Vec<String> = output["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["severity"] == "error")
        .map(|one| format!("{}:{}", one["file"].as_str().unwrap(), one["line"]))
        .collect();
    assert_eq!(told, ["env/prod/blocks.yaml:5", "env/prod/deployments.yaml:4"]);
    let text = project.reconcile(&["validate", "--env", "prod"]).exits(4);
    assert!(format!("{}{}", text.stdout, text.stderr).contains("{ slug: late, cron: nonsense }"), "{text:?}");
    project.reconcile(&["validate"]).exits(0);
    project.reconcile(&["validate", "--env", "staging"]).exits(0);
}

#[test]
fn render_names_the_file_of_each_value() {
    let server = Server::start();
    server.http().post("/work_pools/", serde_json::json!({ "name": "pool", "type": "process" }));
    let project = shop().api(&server.url);
    let output = project.reconcile(&["render", "deployment/etl/nightly", "--env", "prod", "--json"]).exits(0).stdout;
    let rendered: Value = serde_json::from_str(&output).unwrap();
    let text = rendered.to_string();
    assert!(text.contains("env/prod/deployments.yaml") && text.contains("\"prefect.yaml\""), "{text}");
}

#[test]
fn an_unknown_environment_names_the_known_ones() {
    let output = shop().reconcile(&["validate", "--env", "qa"]).exits(64);
    assert!(output.stderr.contains("there are staging, prod"), "{output:?}");
    let output = shop().reconcile(&["validate", "--env", "prid"]).exits(64);
    assert!(output.stderr.contains("did you mean `prod`?"), "{output:?}");
}

#[test]
fn overlays_are_the_commits_own_when_files_are_compared() {
    let project = shop().git_init(None);
    project.git_commit("one");
    project.write("env/prod/deployments.yaml", &OVER.replace("B: prod", "B: changed"));
    let plan = json(&project.reconcile(&["plan", "--base", "HEAD", "--env", "prod", "--json"]).exits(0));
    assert_eq!(keys(&plan), ["deployment etl/nightly"]);
    let plan = json(&project.reconcile(&["plan", "--base", "HEAD", "--json"]).exits(0));
    assert_eq!(keys(&plan), Vec::<String>::new());
}

#[test]
fn an_overlay_that_matches_nothing_or_means_nothing_is_told() {
    let project = shop();
    project.write("reconcile.yaml", &RECONCILE.replace("env/prod/*.yaml", "env/prd/*.yaml"));
    let output = json(&project.reconcile(&["validate", "--json", "--env", "prod"]));
    assert!(output["diagnostics"].as_array().unwrap().iter().any(|one| one["code"] == "W0138"), "{output}");
    let project = shop();
    project.write("env/prod/deployments.yaml", "deployment: []\n");
    let output = json(&project.reconcile(&["validate", "--json", "--env", "prod"]).exits(4));
    assert_eq!(output["diagnostics"][0]["code"], "E0137", "{output}");
}
