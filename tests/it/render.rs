//! `reconcile render`: the body as it would be sent, and where each value comes from.

use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::server::Server;
use crate::support::workspace::Workspace;

const CANARY: &str = "canary-c0de";

const YAML: &str = "\
pull:
- prefect.deployments.steps.set_working_directory:
    directory: /app
deployments:
- name: rendered
  entrypoint: flow.py:shown
  tags: [one, \"{{ $STAGE }}\"]
  parameters:
    n: \"{{ prefect.variables.render_n }}\"
    token: \"{{ prefect.blocks.secret.render-token.value }}\"
  schedules:
  - cron: 0 6 * * *
    slug: daily
  concurrency_limit: 3
  work_pool:
    name: render-pool
    job_variables:
      env:
        MODE: debug
        TOKEN: \"{{ $TOKEN }}\"
        KEY: \"{{ prefect.blocks.secret.render-token.value }}\"
  triggers:
  - {name: late, expect: [x.y]}
";

fn project(server: &Server) -> Project {
    let workspace = Workspace::of(&server.url);
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        workspace.prepare(
            &[("render-pool", json!("process"))],
            &[("render_n", json!("7"))],
            &[("secret/render-token", json!({ "value": CANARY }))],
        );
    });
    Project::new()
        .api(&server.url)
        .env("TOKEN", CANARY)
        .env("STAGE", CANARY)
        .file(
            "flow.py",
            "from prefect import flow\n\n@flow\ndef shown(n: str, token: str = ''):\n    \"\"\"Shows.\"\"\"\n",
        )
        .file("reconcile.yaml", "name: render\n")
        .file("prefect.yaml", YAML)
}

fn row<'a>(json: &'a Value, path: &str) -> &'a Value {
    let rows = json["values"].as_array().unwrap();
    rows.iter().find(|row| row["path"] == path).unwrap_or_else(|| panic!("{path} in {json:#}"))
}

#[test]
fn every_value_names_its_place_and_what_its_template_refers_to() {
    let server = Server::shared();
    let project = project(server);
    let out = project.reconcile(&["render", "deployment/shown/rendered", "--json", "-d", "by flag"]).exits(0);
    assert!(!out.stdout.contains(CANARY) && !out.stderr.contains(CANARY), "{out:?}");
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["action"], "create");
    assert_eq!(json["body"]["flow_id"], "(id of flow shown)");
    assert_eq!(json["body"]["parameters"], json!({ "n": "7", "token": "(sensitive)" }));
    assert_eq!(json["body"]["schedules"][0]["slug"], "daily");
    let place = |path: &str| {
        let row = row(&json, path);
        (row["from"].as_str().unwrap().to_owned(), row["line"].clone(), row["refers"].clone())
    };
    let file = |line: u64, refers: Value| ("file".to_owned(), json!(line), refers);
    assert_eq!(place("name"), file(5, json!([])));
    assert_eq!(place("entrypoint"), file(6, json!([])));
    assert_eq!(place("tags"), file(7, json!(["environment STAGE"])));
    assert_eq!(place("parameters.n"), file(9, json!(["variable render_n"])));
    assert_eq!(place("parameters.token"), file(10, json!(["block secret/render-token"])));
    assert_eq!(place("concurrency_limit"), file(14, json!([])));
    assert_eq!(place("work_pool_name"), file(16, json!([])));
    assert_eq!(place("job_variables.env.MODE"), file(19, json!([])));
    assert_eq!(place("job_variables.env.TOKEN"), file(20, json!(["environment TOKEN"])));
    assert_eq!(place("job_variables.env.KEY"), file(21, json!(["block secret/render-token (filled by the worker)"])));
    assert_eq!(place("schedules[daily]"), file(12, json!([])));
    assert_eq!(place("pull_steps"), file(2, json!([])), "those of the whole file");
    assert_eq!(place("description").0, "flag");
    assert_eq!(place("paused"), ("default".to_owned(), Value::Null, json!([])));
    assert_eq!(
        (&row(&json, "parameter_openapi_schema")["from"], &row(&json, "version")["file"]),
        (&json!("flow"), &json!("flow.py"))
    );
    assert_eq!(row(&json, "job_variables.env.TOKEN")["value"], "(sensitive)");
    assert_eq!(row(&json, "name")["column"], 9);
}

#[test]
fn people_read_a_table_and_misspelt_names_are_told() {
    let server = Server::shared();
    let project = project(server);
    let text = project.reconcile(&["render", "deployment/shown/rendered"]).exits(0).stdout;
    let line =
        |start: &str| text.lines().find(|line| line.trim_start().starts_with(start)).unwrap_or_default().to_owned();
    assert!(text.starts_with("deployment shown/rendered  would be created\n"), "{text}");
    assert!(line("job_variables.env.MODE").ends_with("prefect.yaml:19:15"), "{text}");
    assert!(
        line("job_variables.env.TOKEN").contains("\"(sensitive)\"")
            && line("job_variables.env.TOKEN").ends_with("environment TOKEN"),
        "{text}"
    );
    assert!(
        line("description").contains("\"Shows.\"") && line("description").ends_with("the flow in flow.py"),
        "{text}"
    );
    assert!(line("paused").ends_with("default"), "{text}");
    let flow = project.reconcile(&["render", "flow/shown", "--json"]).exits(0);
    assert_eq!(serde_json::from_str::<Value>(&flow.stdout).unwrap()["body"], json!({ "name": "shown" }));
    let automation = project.reconcile(&["render", "automation/shown/rendered/late", "--json"]).exits(0);
    let automation: Value = serde_json::from_str(&automation.stdout).unwrap();
    assert_eq!(automation["body"]["trigger"]["expect"], json!(["x.y"]));
    assert_eq!(automation["values"][0]["line"], 23);
    let wrong = project.reconcile(&["render", "deployment/shown/rendred"]).exits(64);
    assert!(wrong.stderr.contains("did you mean `shown/rendered`?"), "{}", wrong.stderr);
    project.reconcile(&["render", "work_pool/render-pool"]).exits(64);
    project.reconcile(&["render", "nonsense"]).exits(64);
}

#[test]
fn an_object_that_exists_shows_what_would_be_sent_to_change_it() {
    let server = Server::shared();
    let project = project(server);
    project.write("prefect.yaml", &YAML.replace("name: rendered", "name: patched"));
    project.reconcile(&["apply", "--yes"]).exits(0);
    let render = |args: &[&str]| -> Value {
        let args = [&["render", "deployment/shown/patched", "--json"], args].concat();
        serde_json::from_str(&project.reconcile(&args).exits(0).stdout).unwrap()
    };
    let same = render(&[]);
    assert_eq!((&same["action"], &same["patch"]), (&json!("unchanged"), &Value::Null));
    let other = render(&["-t", "three"]);
    assert_eq!((&other["action"], &other["patch"]["tags"]), (&json!("update"), &json!(["three"])));
    assert!(other["patch"].get("parameters").is_none(), "{other:#}");
    assert_eq!(row(&other, "tags")["from"], "flag");
}

#[test]
fn objects_of_resource_files_are_rendered_as_well() {
    let server = Server::shared();
    let blocks = "\
blocks:
  - { type: secret, name: render-own, data: { value: { from_env: TOKEN } } }
  - type: remote-file-system
    name: render-own
    data: { basepath: \"s3://{{ $STAGE }}/x\", settings: { a: 1 } }
variables:
  - { name: render_own, value: [1, \"two\"] }
work_pools:
  - { name: render-own, type: process, queues: [{ name: q, priority: 2 }] }
automations:
  - name: render own
    trigger: { posture: Reactive, expect: [x] }
    actions: [{ type: pause-work-pool, work_pool: render-own }]
";
    let project = Project::new()
        .api(&server.url)
        .env("TOKEN", CANARY)
        .env("STAGE", CANARY)
        .file("reconcile.yaml", "name: render-own\n")
        .file("blocks.yaml", blocks);
    let render = |name: &str| -> Value {
        let out = project.reconcile(&["render", name, "--json"]).exits(0);
        assert!(!out.stdout.contains(CANARY) && !out.stderr.contains(CANARY), "{out:?}");
        serde_json::from_str(&out.stdout).unwrap()
    };
    let secret = render("block/secret/render-own");
    assert_eq!(secret["action"], "create");
    assert_eq!(secret["body"], json!({"name": "render-own", "data": {"value": "(sensitive)"}}));
    assert_eq!(row(&secret, "data.value")["line"], 2);
    assert_eq!(row(&secret, "data.value")["refers"], json!(["environment TOKEN"]));
    let files = render("block/remote-file-system/render-own");
    assert_eq!(row(&files, "data.basepath")["refers"], json!(["environment STAGE"]));
    assert_eq!(row(&files, "data.settings.a")["value"], 1);
    assert_eq!(render("variable/render_own")["body"], json!({"name": "render_own", "value": [1, "two"]}));
    let pool = render("work_pool/render-own");
    assert!(pool["body"]["base_job_template"]["variables"].is_object(), "{pool:#}");
    assert_eq!(row(&pool, "base_job_template")["from"], "default");
    assert_eq!(render("work_queue/render-own/q")["body"]["priority"], 2);
    let automation = render("automation/render own");
    assert_eq!(automation["body"]["actions"][0]["work_pool_id"], "(id of work_pool render-own)");
    assert_eq!(row(&automation, "trigger.expect")["line"], 12);
    let text = project.reconcile(&["render", "block/secret/render-own"]).exits(0).stdout;
    assert!(text.contains("\"(sensitive)\"") && text.contains("blocks.yaml:2:"), "{text}");
    let wrong = project.reconcile(&["render", "variable/render_won"]).exits(64);
    assert!(wrong.stderr.contains("did you mean `render_own`?"), "{wrong:?}");
    project.reconcile(&["apply", "--yes"]).exits(0);
    let unchanged = render("work_pool/render-own");
    assert_eq!((&unchanged["action"], &unchanged["patch"]), (&json!("unchanged"), &Value::Null));
    project.write("blocks.yaml", &blocks.replace("priority: 2", "priority: 3"));
    let queue = render("work_queue/render-own/q");
    assert_eq!((&queue["action"], &queue["patch"]), (&json!("update"), &json!({"priority": 3})));
    project.write("blocks.yaml", "");
    project.reconcile(&["destroy", "--yes"]).exits(0);
}
