//! `reconcile plan` on a stranger's project: none of its code runs, nothing is written anywhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::support::project::Project;
use crate::support::proxy::Proxy;
use crate::support::server::Server;
use crate::support::workspace::Workspace;

/// Everything that somebody could plant in a repository, each leaving a mark if it runs.
fn trap(url: &str) -> Project {
    let project = Project::new().api(url);
    let marks = project.home().join("marks");
    fs::create_dir(&marks).unwrap();
    let mark = |name: &str| marks.join(name).display().to_string();
    let python = |name: &str| format!("open({:?}, 'w').close()\n", mark(name));
    let shell = |name: &str| format!("#!/bin/sh\ntouch '{}'\nexit 1\n", mark(name));
    let hook = format!("!touch '{}'", mark("git"));
    let project = project
        .file(
            "flow.py",
            &format!(
                "{}import helper\nfrom prefect import flow\n\n\ndef computed():\n    {}    return 'x'\n\n\n\
                 @flow(name=computed(), version=__import__('helper').VERSION)\ndef etl(x=computed()):\n    pass\n\n\n\
                 @flow\ndef plain(x: int = 1):\n    pass\n",
                python("flow"),
                python("computed")
            ),
        )
        .file("helper.py", &format!("{}VERSION = '1'\n", python("helper")))
        .file("conftest.py", &python("conftest"))
        .file("sitecustomize.py", &python("sitecustomize"))
        .file("usercustomize.py", &python("usercustomize"))
        .file("prefect/__init__.py", &python("prefect"))
        .file("json.py", &python("json"))
        .file("steps.py", &format!("{}\n\ndef step(**inputs):\n    {}    return {{}}\n", python("steps"), python("step")))
        .file(".venv/bin/python", &shell("venv-python"))
        .file(".venv/bin/python3", &shell("venv-python3"))
        .file(".venv/pyvenv.cfg", "home = /usr/bin\n")
        .file("bin/git", &shell("bin-git"))
        .file("git", &shell("git-here"))
        .file(".env", "PREFECT_LOGGING_LEVEL=DEBUG\n")
        .file(
            "prefect.yaml",
            &format!(
                "build:\n  - prefect.deployments.steps.run_shell_script: {{id: b, script: \"touch '{}'\"}}\n  \
                 - steps.step: {{}}\n\
                 push:\n  - prefect.deployments.steps.run_shell_script: {{script: \"touch '{}'\", shell: true}}\n\
                 pull:\n  - prefect.deployments.steps.run_shell_script: {{script: \"touch '{}'\"}}\n\
                 deployments:\n  \
                 - {{name: plain, entrypoint: \"flow.py:plain\", work_pool: {{name: pool}}}}\n  \
                 - {{name: computed, entrypoint: \"flow.py:etl\", work_pool: {{name: pool}}, version: \"{{{{ b.stdout }}}}\"}}\n  \
                 - {{name: module, entrypoint: helper.etl, work_pool: {{name: pool}}, build: null, push: null}}\n",
                mark("build"),
                mark("push"),
                mark("pull")
            ),
        )
        .git_init(Some("https://example.org/r.git"));
    for file in [".venv/bin/python", ".venv/bin/python3", "bin/git", "git"] {
        fs::set_permissions(project.path().join(file), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for hook in ["post-index-change", "pre-commit", "post-checkout", "reference-transaction", "fsmonitor"] {
        let file = project.path().join(".git/hooks").join(hook);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, shell(&format!("hook-{hook}"))).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let fsmonitor = project.path().join(".git/hooks/fsmonitor").display().to_string();
    let config = format!(
        "\n[core]\n\tfsmonitor = {fsmonitor:?}\n\tpager = {:?}\n\tsshCommand = {:?}\n[alias]\n\tstatus = {hook:?}\n",
        mark("pager"),
        format!("touch {}", mark("ssh")),
    );
    let file = project.path().join(".git/config");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(file, text + &config).unwrap();
    project
}

fn marks(project: &Project) -> Vec<String> {
    let entries = fs::read_dir(project.home().join("marks")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Every file with its size, but for git's own.
fn files(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        match path.is_dir() {
            true if path.ends_with(".git") => {}
            true => files(&path, found),
            false => found.push(format!("{} {}", path.display(), entry.metadata().unwrap().len())),
        }
    }
    found.sort();
}

#[test]
fn no_code_of_the_project_runs_and_nothing_is_written() {
    let server = Server::shared();
    let pool = format!("safe-{}", std::process::id());
    Workspace::of(&server.url).prepare(&[(&pool, json!("process"))], &[], &[]);
    let proxy = Proxy::in_front_of(&server.url);
    let project = trap(&proxy.url);
    let text = fs::read_to_string(project.path().join("prefect.yaml")).unwrap();
    project.write("prefect.yaml", &text.replace("name: pool}", &format!("name: {pool}}}")));
    let mut before = Vec::new();
    files(&project.path(), &mut before);
    let commands: [&[&str]; 4] = [&["plan"], &["plan", "--json", "--full"], &["plan", "-n", "plain"], &["validate"]];
    for command in commands {
        let output = project.reconcile(command);
        assert!([0, 1, 4].contains(&output.code), "{command:?}: {output:?}");
        assert_eq!(marks(&project), Vec::<String>::new(), "{command:?}: {output:?}");
    }
    let plain = project.reconcile(&["plan", "-n", "plain"]).exits(0);
    assert!(plain.stdout.contains("plain"), "{plain:?}");
    assert!(!proxy.requests().is_empty(), "the server was asked");
    assert_eq!(proxy.writes(), []);
    let mut after = Vec::new();
    files(&project.path(), &mut after);
    assert_eq!(before, after);
}
