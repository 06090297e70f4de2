//! Problems are told once, all of them, and where they are.

use crate::support::project::Project;

const FLOW: &str = "from prefect import flow\n\n@flow\ndef f(n: int = 1):\n    pass\n";

fn project(yaml: &str) -> Project {
    Project::new().file("flow.py", FLOW).file("prefect.yaml", yaml)
}

#[test]
fn an_invalid_flow_hides_nothing_else() {
    let yaml = "deployments:\n- name: a\n  entrypoint: flow.py:g\n  work_pool: {name: p}\n  schedules: [{cron: \"{{ $CRON }}\"}]\n";
    let told = project(yaml).env("CRON", "x y").reconcile(&["validate"]).exits(4).stderr;
    assert!(told.contains("E0203") && told.contains("error[E018"), "{told}");
    let github = project(yaml).reconcile(&["validate", "--format", "github"]).exits(4).stdout;
    assert!(github.contains("the entrypoint is given here: prefect.yaml:3"), "{github}");
}

#[test]
fn what_aliases_repeat_is_told_once() {
    let yaml = "deployments:\n- &a {name: a, entrypoint: flow.py:f, work_pool: {name: p}, parameters: {n: x}}\n- {<<: *a, name: b}\n- {<<: *a, name: c}\n";
    let told = project(yaml).reconcile(&["validate"]).exits(4).stderr;
    assert_eq!(told.matches("error[E0405]").count(), 1, "{told}");
}

#[test]
fn keys_that_count_for_nothing_are_pointed_at() {
    let yaml = "deployments:\n- name: a\n  entrypoint: flow.py:f\n  work_pool: {name: p}\n  concurrency_limit:\n    limit: 1\n    collision_strategy: ENQUEUE\n    zzz:\n      7\n";
    let told = project(yaml).reconcile(&["validate"]).exits(0).stderr;
    assert!(told.contains("W0192") && told.contains("prefect.yaml:8:5"), "{told}");
}

#[test]
fn a_list_item_that_prefect_takes_away_is_told() {
    let yaml = "deployments:\n- {name: a, entrypoint: flow.py:f, work_pool: {name: p}, tags: [\"{{ image.tag }}\"]}\n";
    let told = project(yaml).reconcile(&["validate"]).exits(0).stderr;
    assert!(told.contains("W0312") && told.contains("`tags[0]` is left out"), "{told}");
}

#[test]
fn a_parameter_that_stands_for_json_is_checked() {
    let yaml = |value: &str| {
        format!(
            "deployments:\n- name: a\n  entrypoint: flow.py:f\n  work_pool: {{name: p}}\n  parameters: {{n: {{__prefect_kind: json, value: '{value}'}}}}\n"
        )
    };
    project(&yaml("7")).reconcile(&["validate"]).exits(0);
    let told = project(&yaml("\"seven\"")).reconcile(&["validate"]).exits(4).stderr;
    assert!(told.contains("E0405"), "{told}");
}

#[test]
fn a_file_that_is_too_large_and_a_directory_that_is_not_there_are_told() {
    let project = project("deployments: []\n");
    project.write("prefect.yaml", &"#".repeat((16 << 20) + 1));
    let told = project.reconcile(&["validate"]).exits(4).stderr;
    assert!(told.contains("E0101") && told.contains("16 MiB"), "{told}");
    let told = project.reconcile(&["plan", "/nonexistent"]).exits(1).stderr;
    assert!(told.contains("there is no file or directory `/nonexistent`") && told.contains("help:"), "{told}");
}

#[test]
fn help_lists_only_what_means_something() {
    let project = Project::new();
    for command in ["explain", "schema", "completions", "validate"] {
        let help = project.reconcile(&[command, "--help"]).exits(0).stdout;
        assert!(!help.contains("--api-url") && !help.contains("--parallelism"), "{help}");
        assert!(help.contains("--json"), "{help}");
    }
    project.reconcile(&["explain", "E0101", "--api-url", "http://127.0.0.1:9/api"]).exits(0);
    let help = project.reconcile(&["apply", "--help"]).exits(0).stdout;
    let applying = help.split("Applying:").nth(1).unwrap();
    assert!(applying.split("\n\n").next().unwrap().contains("--plan"), "{help}");
}
