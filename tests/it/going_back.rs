//! `--rev REV`: what a commit declares is planned and applied, and the work tree stays as it is.

use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::server::Server;
use crate::support::workspace::Workspace;

/// Only Python can tell its parameters: their default is worked out when it is imported.
const FLOW: &str = "import sys\nfrom pathlib import Path\n\nfrom prefect import flow\n\n\
                    NOTE = Path(__file__).with_name(\"note.txt\").read_text().strip()\n\n\n\
                    @flow\ndef back(note: str = NOTE):\n    pass\n";

fn manifest(name: &str, tag: &str) -> String {
    format!(
        "build:\n- prefect.deployments.steps.run_shell_script:\n    id: note\n    \
         script: sh -c 'cat note.txt; git rev-parse HEAD; git describe --tags; touch built'\n\
         deployments:\n- name: {name}\n  entrypoint: flow.py:back\n  tags: [{tag}]\n  work_pool:\n    name: {name}\n    \
         job_variables:\n      env:\n        NOTE: \"{{{{ note.stdout }}}}\"\n"
    )
}

fn deployment(server: &Server, name: &str) -> Value {
    server.http().get(&format!("/deployments/name/back/{name}"))
}

/// Two commits, the first one tagged `v1`, and a work tree that is neither.
fn project(server: &Server, name: &str) -> (Project, [String; 2]) {
    Workspace::of(&server.url).prepare(&[(name, json!("process"))], &[], &[]);
    let project = Project::new()
        .api(&server.url)
        .with_python()
        .file("sub/flow.py", FLOW)
        .file("sub/note.txt", "first\n")
        .file("sub/prefect.yaml", &manifest(name, "one"))
        .file("reconcile.yaml", &format!("name: {name}\n"))
        .file(".gitignore", "built\n")
        .git_init(None);
    project.git(&["tag", "v1"]);
    let first = project.git(&["rev-parse", "HEAD"]).trim().to_owned();
    project.write("sub/note.txt", "second\n");
    project.write("sub/prefect.yaml", &manifest(name, "two"));
    let second = project.git_commit("second");
    (project, [first, second])
}

#[test]
fn an_earlier_commit_is_previewed_and_applied() {
    let server = Server::shared();
    let (project, [first, second]) = project(server, "going-back");
    std::fs::create_dir(project.home().join("tmp")).unwrap();
    let temporary = project.home().join("tmp").display().to_string();
    let project = project.env("TMPDIR", &temporary);
    project.reconcile(&["apply", "--yes"]).exits(0);
    let now = deployment(server, "going-back");
    assert_eq!(now["tags"], json!(["two"]));
    assert!(now["job_variables"]["env"]["NOTE"].as_str().unwrap().starts_with(&format!("second\n{second}\n")), "{now}");

    // A work tree that is anything but in order is not looked at.
    project.write("sub/note.txt", "dirty\n");
    project.write("sub/prefect.yaml", "deployments: 7\n");
    project.remove("sub/flow.py");
    std::fs::remove_file(project.path().join("sub/built")).unwrap();
    let status = project.git(&["status", "--porcelain"]);
    let planned = project.reconcile(&["plan", "--rev", "v1", "--json", "--out", "../plan.json"]).exits(0).stdout;
    let planned: Value = serde_json::from_str(&planned).unwrap();
    assert_eq!(planned["source"]["commit"], json!(first));
    assert_eq!((&planned["source"]["dirty"], &planned["source"]["revision"]), (&json!(false), &json!("v1")));
    assert_eq!(planned["changes"][0]["name"], "back/going-back");
    let shown = project.reconcile(&["plan", "--rev", "v1"]).exits(0).stdout;
    assert!(shown.contains(&format!("{} (v1)", &first[..7])) && shown.contains("(known after build)"), "{shown}");

    let applied = project.reconcile(&["apply", "--plan", "../plan.json", "--yes"]).exits(0);
    assert!(applied.stdout.contains("1 applied"), "{applied:?}");
    let back = deployment(server, "going-back");
    assert_eq!(back["id"], now["id"]);
    assert_eq!(back["tags"], json!(["one"]));
    assert_eq!(back["parameter_openapi_schema"]["properties"]["note"]["default"], "first");
    assert_eq!(back["job_variables"]["env"]["NOTE"], json!(format!("first\n{first}\nv1")), "{back}");
    let directory = json!(project.path().join("sub").canonicalize().unwrap());
    assert_eq!(back["pull_steps"][0]["prefect.deployments.steps.set_working_directory"]["directory"], directory);
    // Nothing is left behind, and nothing was touched.
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "the copy is gone");
    assert_eq!(project.git(&["status", "--porcelain"]), status);
    assert!(!project.path().join("sub/built").exists(), "steps ran elsewhere");
    assert_eq!(project.git(&["rev-parse", "HEAD"]).trim(), second);

    let writes = |args: &[&str]| {
        let out = project.reconcile(args).exits(0).stdout;
        serde_json::from_str::<Value>(&out).unwrap()["requests"]["write"].clone()
    };
    assert_eq!(writes(&["apply", "--rev", &first, "--yes", "--json"]), json!(0), "gone back once is gone back");
    project.git(&["checkout", "-q", "-f", "main"]);
    project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(deployment(server, "going-back")["tags"], json!(["two"]), "and forward again");
}

#[test]
fn a_commit_is_taken_as_it_was_and_not_with_the_flags_of_today() {
    let project = Project::new()
        .file("flow.py", "from prefect import flow\n\n@flow\ndef f():\n    pass\n")
        .file("prefect.yaml", "deployments:\n- {name: a, entrypoint: flow.py:f, work_pool: {name: k8s}}\n")
        .git_init(Some("https://example.org/shop.git"));
    let first = project.git(&["rev-parse", "HEAD"]).trim().to_owned();
    project.write("reconcile.yaml", "name: shop\nenvironments: {prod: {}}\n");
    project.git_commit("named");
    // An environment that was not there then cannot be gone back to: its scope would be another.
    let refused = project.reconcile(&["plan", "--rev", "HEAD~1", "--env", "prod"]).exits(64);
    assert!(refused.stderr.contains("`prod`"), "{}", refused.stderr);
    project.reconcile(&["plan", "--rev", "HEAD~1", "-n", "b"]).exits(64);
    for wrong in [&["--base", "HEAD"][..], &["--changed-since", "HEAD"], &["--untrusted"]] {
        project.reconcile(&[&["plan", "--rev", "HEAD"], wrong].concat()).exits(64);
    }
    project.reconcile(&["plan", "--out", "../plan.json"]).exits(0);
    project.reconcile(&["apply", "--rev", "HEAD", "--plan", "../plan.json", "--yes"]).exits(64);
    let missing = project.reconcile(&["plan", "--rev", "no-such-branch"]).exits(1);
    assert!(missing.stderr.contains("git fetch origin no-such-branch"), "{}", missing.stderr);
    // What a worker clones is that commit.
    project.write("reconcile.yaml", "default_pull: git\n");
    let second = project.git_commit("clone");
    let shown = project.reconcile(&["plan", "--rev", "HEAD", "--json"]).exits(0).stdout;
    assert!(shown.contains(&second) && shown.contains("commit_sha"), "{shown}");

    let origin = format!("file://{}", project.path().display());
    project.git(&["clone", "-q", "--depth", "1", &origin, "../shallow"]);
    let shallow = project.shell(&format!("cd ../shallow && reconcile plan --rev {first}")).exits(1);
    assert!(shallow.stderr.contains("git fetch --unshallow"), "{}", shallow.stderr);
    let base = project.shell(&format!("cd ../shallow && reconcile plan --base {first}")).exits(1);
    assert!(base.stderr.contains("git fetch --unshallow"), "{}", base.stderr);
}
