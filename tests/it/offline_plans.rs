//! `plan --base REV` and `plan --untrusted`: files against files, and nothing else of the world.

use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::skip::skipped;

const FLOW: &str = "from prefect import flow\n\n@flow\ndef etl(n: int = 1):\n    \"\"\"Loads.\"\"\"\n";
const CANARY: &str = "canary-77aa";

fn deployment(name: &str, more: &str) -> String {
    format!("- name: {name}\n  entrypoint: flow.py:etl\n  work_pool: {{name: k8s}}\n{more}")
}

fn base() -> String {
    let more = "  tags: [a, b]\n  schedules:\n  - cron: 0 6 * * *\n  - {interval: 3600, slug: hourly}\n  parameters: {n: \"{{ $N }}\"}\n  \
                triggers:\n  - {name: late, expect: [\"x.y\"]}\n";
    format!("deployments:\n{}{}{}", deployment("kept", ""), deployment("moved", more), deployment("gone", ""))
}

fn changed() -> String {
    let more = "  tags: [b, a]\n  schedules:\n  - cron: 0 7 * * *\n  - {interval: 60.0, slug: hourly}\n  parameters: {n: \"{{ $NN }}\"}\n  \
                triggers:\n  - {name: late, expect: [\"x.z\"]}\n";
    let new = "  description: \"{{ prefect.blocks.secret.token }}\"\n  work_pool: {name: k8s, job_variables: {env: {T: \"{{ $TOKEN }}\"}}}\n";
    let new = deployment("new", new).replacen("  work_pool: {name: k8s}\n", "", 1);
    format!("deployments:\n{}{}{new}", deployment("kept", ""), deployment("moved", more))
}

/// A repository whose first commit is tagged `old`; the work tree is ahead of it.
fn project() -> Project {
    let project = Project::new().file("flow.py", FLOW).file("prefect.yaml", &base()).git_init(None);
    project.git(&["tag", "old"]);
    project.write("prefect.yaml", &changed());
    project
}

fn plan(project: &Project, more: &[&str]) -> Value {
    let args = [&["plan", "--json"], more].concat();
    serde_json::from_str(&project.reconcile(&args).exits(0).stdout).unwrap()
}

fn told(plan: &Value) -> Vec<String> {
    let changes = plan["changes"].as_array().unwrap();
    changes.iter().map(|c| format!("{} {}", c["action"].as_str().unwrap(), c["name"].as_str().unwrap())).collect()
}

#[test]
fn two_commits_are_compared_field_by_field_with_templates_as_written() {
    let project = project().env("TOKEN", CANARY).env("NN", CANARY).env("PREFECT_API_URL", "http://127.0.0.1:9/api");
    let found = plan(&project, &["--base", "old"]);
    assert_eq!(told(&found), ["delete etl/gone", "update etl/moved", "create etl/new", "update etl/moved/late"]);
    let old = project.git(&["rev-parse", "old"]).trim().to_owned();
    assert_eq!(found["base"], json!({ "commit": old, "ledger_generation": 0, "revision": "old" }));
    assert_eq!((&found["source"]["commit"], &found["source"]["dirty"]), (&json!(old), &json!(true)));
    assert_eq!((&found["api"], &found["requests"]), (&Value::Null, &json!({ "read": 0, "write": 0 })));
    assert_eq!(found["summary"]["unchanged"], 1);
    let fields: Vec<(&str, &Value, &Value)> = found["changes"][1]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| (field["path"].as_str().unwrap(), &field["before"], &field["after"]))
        .collect();
    assert_eq!(
        fields,
        [
            ("parameters.n", &json!("{{ $N }}"), &json!("{{ $NN }}")),
            ("schedules[\"0 6 * * *\"].cron", &json!("0 6 * * *"), &json!("0 7 * * *")),
            ("schedules[hourly].interval", &json!(3600.0), &json!(60.0)),
        ]
    );
    let new = found["changes"][2].to_string();
    assert!(new.contains("{{ prefect.blocks.secret.token }}") && new.contains("{{ $TOKEN }}"), "{new}");
    assert!(!found.to_string().contains(CANARY), "the environment is not read");
    // Written in another way, it is the same.
    project.write("prefect.yaml", &base().replace("cron: 0 6 * * *", "{cron: \"0 6 * * *\"}").replace("3600", "PT1H"));
    assert_eq!(told(&plan(&project, &["--base", "old"])), Vec::<String>::new());
}

#[test]
fn every_format_and_exit_code_serves_a_comparison() {
    let project = project();
    let text = project.reconcile(&["plan", "--base", "old", "--detailed-exitcode"]).exits(2).stdout;
    assert!(text.contains("compared with old (") && text.contains("no API asked"), "{text}");
    assert!(text.contains("- deployment  etl/gone") && text.contains("1 to delete"), "{text}");
    assert!(text.contains("! it leaves git"), "{text}");
    let markdown = project.reconcile(&["plan", "--base", "old", "--format", "markdown"]).exits(0).stdout;
    assert!(markdown.contains("<!-- reconcile:") && markdown.contains("etl/new"), "{markdown}");
    let github = project.reconcile(&["plan", "--base", "old", "--format", "github"]).exits(0).stdout;
    assert!(github.contains("::notice file=prefect.yaml,line="), "{github}");
    assert!(github.contains(".cron: \"0 6 * * *\" → \"0 7 * * *\""), "values before and after: {github}");
    let sarif = project.reconcile(&["plan", "--base", "old", "--format", "sarif"]).exits(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&sarif).unwrap()["version"], "2.1.0");
    project.reconcile(&["plan", "--base", "HEAD", "-n", "moved", "-n", "new", "--detailed-exitcode"]).exits(2);
    let selected = plan(&project, &["--base", "old", "-n", "new"]);
    assert_eq!(told(&selected), ["create etl/new"], "a name that was not there then");

    project.reconcile(&["plan", "--base", "old", "--out", "../plan.json"]).exits(0);
    let refused = project.reconcile(&["apply", "--plan", "../plan.json", "--yes"]).exits(1);
    assert!(refused.stderr.contains("compares two commits"), "{}", refused.stderr);
    for wrong in [&["--api-url", "http://x/api"][..], &["--profile", "p"], &["--local"], &["-t", "x"], &["flow.py:etl"]]
    {
        let args = [&["plan", "--base", "old"], wrong].concat();
        project.reconcile(&args).exits(64);
    }
    let missing = project.reconcile(&["plan", "--base", "no-such-branch"]).exits(1);
    assert!(missing.stderr.contains("no-such-branch"), "{}", missing.stderr);
    Project::new().file("prefect.yaml", &base()).reconcile(&["plan", "--base", "HEAD"]).exits(1);
}

#[test]
fn a_base_with_other_files_is_read_as_it_was() {
    let project = Project::new()
        .file("flow.py", FLOW)
        .file("a/prefect.yaml", &base().replace("flow.py", "../flow.py"))
        .file("tests/prefect.yaml", "deployments: 7\n")
        .file(".gitignore", "ignored/\n")
        .file("ignored/prefect.yaml", "deployments: 7\n");
    symlink("../a/prefect.yaml", {
        project.write("b/keep", "");
        project.path().join("b/prefect.yaml")
    })
    .unwrap();
    let project = project.git_init(None);
    project.git(&["add", "-f", "ignored/prefect.yaml"]);
    project.git(&["commit", "-q", "-m", "ignored"]);
    project.git(&["tag", "old"]);
    assert_eq!(told(&plan(&project, &["--base", "old"])), Vec::<String>::new(), "links, rules and skipped directories");
    project.git(&["mv", "a", "c"]);
    std::fs::remove_file(project.path().join("b/prefect.yaml")).unwrap();
    symlink("../c/prefect.yaml", project.path().join("b/prefect.yaml")).unwrap();
    project.git_commit("moved");
    let moved = plan(&project, &["--base", "old"]);
    assert_eq!(told(&moved), ["update etl/gone", "update etl/kept", "update etl/moved"], "the directory is another");
    // A directory that was not there then declares nothing then; an invalid file neither, and that is told.
    project
        .write("new/prefect.yaml", &format!("deployments:\n{}", deployment("x", "").replace("flow.py", "../flow.py")));
    assert_eq!(told(&plan(&project, &["new", "--base", "old"])), ["create etl/x"]);
    project.write("new/prefect.yaml", "deployments: 7\n");
    project.git_commit("invalid");
    project.git(&["tag", "bad"]);
    let invalid = project.reconcile(&["plan", "--base", "old"]).exits(4);
    assert!(invalid.stdout.contains("Invalid"), "{}", invalid.stdout);
    project
        .write("new/prefect.yaml", &format!("deployments:\n{}", deployment("x", "").replace("flow.py", "../flow.py")));
    let told_of = project.reconcile(&["plan", "--base", "bad"]).exits(0);
    assert!(told_of.stderr.contains("W0421") && told_of.stdout.contains("+ deployment  etl/x"), "{told_of:?}");
}

#[test]
fn a_strangers_tree_is_planned_without_its_settings() {
    let project = project()
        .file(".env", &format!("PREFECT_API_URL=http://127.0.0.1:9/{CANARY}\n"))
        .file("prefect.toml", &format!("[api]\nurl = \"http://{CANARY}\"\n"));
    let text = project.reconcile(&["plan", "--untrusted"]).exits(0).stdout;
    assert!(
        text.contains("4 to create") && text.contains("an empty workspace (untrusted files: no API asked)"),
        "{text}"
    );
    // Files of settings do not become part of a plan by a trick of reconcile.yaml, of a link or of an entrypoint.
    project.write("reconcile.yaml", "include: [\"**/.env\", \"**/*.toml\", \"**/prefect.yaml\"]\n");
    project.write("x/keep", "");
    symlink("../.env", project.path().join("x/prefect.yaml")).unwrap();
    symlink(".env", project.path().join("settings.py")).unwrap();
    let yaml = changed() + &deployment("trick", "").replace("flow.py", "settings.py");
    project.write("prefect.yaml", &yaml);
    let tricked = project.reconcile(&["plan", "--untrusted", "--json"]);
    assert!(!format!("{tricked:?}").contains(CANARY), "{tricked:?}");
    let base = project.reconcile(&["plan", "--base", "old", "--json"]);
    assert!(!format!("{base:?}").contains(CANARY), "{base:?}");
}

#[test]
fn no_connection_no_program_and_no_settings_as_the_kernel_sees_it() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skipped("strace is not installed");
    }
    let project = project()
        .file("reconcile.yaml", "environments: { prod: { overlays: ['prod/*.yaml'] } }\n")
        .file(
            "all.reconcile.yaml",
            "work_pools: [{ name: k8s, type: process, base_job_template: { file: gen/t.json } }]\n\
               blocks: [{ type: secret, name: s, data: { value: { from_file: hidden/s.txt } } }]\n",
        )
        .file("gen/t.json", r#"{"job_configuration": {"of": "a file"}, "variables": {"properties": {}}}"#)
        .file("hidden/s.txt", CANARY)
        .file("prod/over.yaml", "deployments: [{ name: kept, tags: [of-the-overlay] }]\n")
        .file(".env", &format!("PREFECT_API_URL=http://127.0.0.1:9/{CANARY}\n"))
        .file("prefect.toml", "[api]\nurl = \"http://127.0.0.1:9\"\n")
        .file("pyproject.toml", "[tool.prefect.api]\nurl = \"http://127.0.0.1:9\"\n")
        .env("PREFECT_API_URL", "http://127.0.0.1:9/api")
        .env("PREFECT_API_KEY", CANARY);
    std::fs::create_dir_all(project.home().join(".prefect")).unwrap();
    std::fs::write(project.home().join(".prefect/profiles.toml"), "active = \"x\"\n[profiles.x]\n").unwrap();
    let log = project.home().join("strace.log");
    for flags in [&["--base", "old"][..], &["--untrusted"]] {
        let program = project.reconcile_command();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-e", "trace=network,execve,open,openat,openat2,statx,readlink", "-o"]).arg(&log);
        strace
            .arg(program.get_program())
            .args(["plan", "--json", "--env", "prod"])
            .args(flags)
            .current_dir(project.path());
        strace.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = strace.output().unwrap();
        let trace = std::fs::read_to_string(&log).unwrap_or_default();
        if trace.is_empty() {
            return skipped(format!("strace may not trace here: {}", String::from_utf8_lossy(&output.stderr)));
        }
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("of-the-overlay") && told.contains("gen/t.json") && !told.contains(CANARY), "{told}");
        // An empty log of reads would prove nothing.
        for file in ["prefect.yaml", "flow.py", "all.reconcile.yaml", "prod/over.yaml"] {
            let is_read = |line: &str| line.contains(file) && line.contains("open") && !line.contains("ENOENT");
            assert!(trace.lines().any(is_read), "{flags:?}: `{file}` is read: {trace}");
        }
        let count = |word: &str| trace.lines().filter(|line| line.contains(word)).collect::<Vec<_>>();
        assert_eq!(count("execve(").len(), 1, "only reconcile itself: {:?}", count("execve("));
        for call in ["connect(", "sendto(", "sendmsg(", "bind(", "AF_INET"] {
            assert_eq!(count(call), Vec::<&str>::new());
        }
        let opened = |name: &str| count("open").into_iter().filter(|line| line.contains(name)).collect::<Vec<_>>();
        for file in ["/.env", "prefect.toml", "pyproject.toml", "profiles.toml", "\".env", "hidden/s.txt"] {
            assert_eq!(opened(file), Vec::<&str>::new());
        }
        assert_eq!(opened("prefect.yaml").len(), 1, "the file of the work tree, once");
    }
}

#[test]
fn only_what_changed_files_touch_is_planned() {
    let flow = |name: &str, import: &str| {
        format!("{import}from prefect import flow\n\n@flow\ndef {name}(n: int = 1):\n    pass\n")
    };
    let one = |name: &str, more: &str| {
        format!("- name: {name}\n  entrypoint: {name}.py:{name}\n  work_pool: {{name: k8s}}\n{more}")
    };
    let head = "definitions:\n  tags: &tags [x]\n";
    let yaml = |b: &str| format!("{head}deployments:\n{}{}{}", one("a", ""), one("b", b), one("c", "  tags: *tags\n"));
    let project = Project::new()
        .file("reconcile.yaml", "vars: {v: 1}\n")
        .file("a.py", &flow("a", "from shared.helper import CONSTANT\n").replace("= 1", "= CONSTANT"))
        .file("b.py", &flow("b", ""))
        .file("c.py", &flow("c", "import requests\nfrom other import *\n"))
        .file("shared/__init__.py", "")
        .file("shared/helper.py", "CONSTANT = 1\n")
        .file("other.py", "X = 1\n")
        .file("prefect.yaml", &yaml(""))
        .file("built/prefect.yaml", "build:\n- prefect.deployments.steps.run_shell_script: {script: 'true'}\ndeployments:\n- {name: d, entrypoint: ../b.py:b, work_pool: {name: k8s}}\n")
        .git_init(None);
    let touched = |args: &[&str]| told(&plan(&project, &[&["--changed-since", "HEAD"], args].concat()));
    assert_eq!(touched(&[]), Vec::<String>::new());
    // The build steps of `d` see every file.
    project.write("README.md", "words\n");
    assert_eq!(touched(&[]), ["create b/d"]);
    project.write("shared/helper.py", "CONSTANT = 2\n");
    assert_eq!(touched(&[]), ["create a/a", "create b/d"]);
    assert_eq!(touched(&["-n", "a", "-n", "b"]), ["create a/a"]);
    let mut said = project.reconcile(&["plan", "--changed-since", "HEAD"]).exits(0);
    assert!(said.stderr.contains("2 of 4 deployments touched"), "{}", said.stderr);
    project.write("shared/helper.py", "CONSTANT = 1\n");
    // In a file that changed, only what reads otherwise; comments, order and layout mean nothing.
    project.write("prefect.yaml", &yaml("  tags: [y]\n"));
    assert_eq!(touched(&[]), ["create b/b", "create b/d"]);
    project.write("prefect.yaml", &format!("# words\n\n{}", yaml("")));
    assert_eq!(touched(&[]), ["create b/d"]);
    project.write("prefect.yaml", &yaml("").replace("[x]", "[z]"));
    assert_eq!(touched(&[]), ["create b/d", "create c/c"]);
    project.write("prefect.yaml", &format!("pull: []\n{}", yaml("")));
    assert_eq!(touched(&[]).len(), 4, "what a file says of all is said of each");
    project.write("prefect.yaml", &yaml(""));
    project.write("reconcile.yaml", "vars: {v: 2}\n");
    assert_eq!(touched(&[]).len(), 4, "settings may touch everything");
    project.write("reconcile.yaml", "vars: {v: 1}\n");
    // A file that git does not know yet changed as well.
    project.write("new/prefect.yaml", "deployments:\n- {name: e, entrypoint: ../b.py:b, work_pool: {name: k8s}}\n");
    assert_eq!(touched(&[]), ["create b/d", "create b/e"]);
    said = project.reconcile(&["plan", "--changed-since", "nowhere"]).exits(1);
    let expected = "error: there is no commit, branch or tag `nowhere` in the git repository";
    assert!(said.stderr.contains(expected) && said.stderr.contains("git fetch"), "{}", said.stderr);
    project.reconcile(&["plan", "--changed-since", "HEAD", "--base", "HEAD"]).exits(64);
}

#[test]
fn what_git_does_not_name_counts_as_changed_too() {
    let flow =
        |import: &str, n: &str| format!("{import}from prefect import flow\n\n@flow\ndef f(n: int = {n}):\n    pass\n");
    let one = |name: &str, file: &str| {
        format!("deployments:\n- {{name: {name}, entrypoint: {file}:f, work_pool: {{name: k8s}}}}\n")
    };
    let resources = "work_pools: [{ name: p, type: process, base_job_template: { file: gen/t.json } }]\nblocks: [{ type: secret, \
                     name: s, data: { value: { from_file: gen/s.txt } } }, { type: secret, name: known, data: { value: { \
                     from_file: known.txt } } }]\n";
    let project = Project::new()
        .file("reconcile.yaml", "environments: { prod: { overlays: ['prod/*.yaml'] } }\n")
        .file(".gitignore", "gen/\n")
        .file("conf/real.yaml", &one("linked", "../flow.py"))
        .file("conf/over.yaml", "variables: []\n")
        .file("conf/other.yaml", &one("linked", "../flow.py"))
        .file("flow.py", &flow("", "1"))
        .file("linkedflow/prefect.yaml", &one("by-flow", "flow.py"))
        .file("conf/flow.py", &flow("", "1"))
        .file("uses/prefect.yaml", &one("uses", "../uses.py"))
        .file("uses.py", &flow("from lib.helper import CONSTANT\n", "CONSTANT"))
        .file("all.reconcile.yaml", resources)
        .file("known.txt", "1")
        .file("lib/__init__.py", "")
        .file("lib/helper.py", "CONSTANT = 1\n")
        .file(".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib.git\n");
    for (link, to) in [
        ("b/prefect.yaml", "../conf/real.yaml"),
        ("linkedflow/flow.py", "../conf/flow.py"),
        ("prod/x.yaml", "../conf/over.yaml"),
    ] {
        let link = project.path().join(link);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(to, link).unwrap();
    }
    let lib = |args: &[&str]| project.git(&[&["-C", "lib"], args].concat());
    lib(&["init", "-q", "-b", "main"]);
    lib(&["add", "-A"]);
    lib(&["commit", "-q", "-m", "first"]);
    project.git(&["init", "-q", "-b", "main"]);
    project.git_commit("first");
    project.write("gen/t.json", r#"{"job_configuration": {}, "variables": {"properties": {}}}"#);
    project.write("gen/s.txt", "1");
    let touched = |args: &[&str]| told(&plan(&project, &[&["--changed-since", "HEAD"], args].concat()));
    // No commit tells what was in a file that git ignores.
    let ignored = ["create secret/s", "create p"];
    let with = |more: &[&'static str]| [&ignored[..], more].concat();
    assert_eq!(touched(&[]), ignored);
    project.write("conf/real.yaml", &one("linked", "../flow.py").replace("}}", "}, tags: [x]}"));
    assert_eq!(touched(&[]), with(&["create f/linked"]));
    project.write("conf/real.yaml", &one("linked", "../flow.py"));
    project.write("conf/flow.py", &flow("", "2"));
    assert_eq!(touched(&[]), with(&["create f/by-flow"]));
    project.write("conf/flow.py", &flow("", "1"));
    // An overlay may touch everything.
    assert_eq!(touched(&["--env", "prod"]), ignored);
    project.write("conf/over.yaml", "variables: [{ name: v, value: 1 }]\n");
    assert_eq!(touched(&["--env", "prod"]).len(), 7);
    project.write("conf/over.yaml", "variables: []\n");
    // Git names the submodule, not its files; what the submodule does not touch is not touched.
    project.write("lib/helper.py", "CONSTANT = 2\n");
    assert_eq!(touched(&[]), with(&["create f/uses"]));
    lib(&["commit", "-q", "-a", "-m", "second"]);
    assert_eq!(touched(&[]), with(&["create f/uses"]));
    project.git_commit("second");
    assert_eq!(touched(&[]), ignored);
    // Of a flow that only Python understands any code may be part.
    project.write("uses.py", &flow("import requests\nfrom other import *\n", "requests.N"));
    project.git_commit("third");
    assert_eq!(touched(&[]), ignored);
    project.write("lib/helper.py", "CONSTANT = 3\n");
    assert_eq!(touched(&[]), with(&["create f/uses"]));
}
