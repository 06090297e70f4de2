//! Clones of pull steps with a mirror between them and the remote: nothing differs but what is fetched.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::compare::left;
use super::site::{Site, wait_for};
use crate::support::git_server::{GitServer, Rules};
use crate::support::project::Project;

const TOKEN: &str = "canary-token-of-the-step";

/// Whether some file below a directory holds a text.
fn holds(dir: &Path, text: &str) -> bool {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).any(|path| match path.is_dir() {
        true => holds(&path, text),
        false => String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(text),
    })
}

#[test]
fn clones_borrow_from_a_mirror_that_does_not_know_who_may_read_it() {
    let site = Site::new("clones");
    let git = GitServer::start();
    let source = Project::new().file("flows.py", include_str!("flows.py")).file("deep/note.txt", "one").git_init(None);
    git.push(&source, "code", "HEAD:refs/heads/main");
    git.rules(Rules { token: Some(TOKEN.to_owned()), ..Rules::default() });
    let steps = |more: Value| {
        let address = git.address("code").replace("://", &format!("://reader:{TOKEN}@"));
        let mut step = json!({"repository": address, "id": "clone"});
        more.as_object().unwrap().iter().for_each(|(key, value)| step[key] = value.clone());
        let seen = [
            "git log --format=%H%s -n 3",
            "git status --porcelain --branch",
            "git config --list --local",
            "cat .git/shallow deep/note.txt",
            "test -e .git/objects/info/alternates || echo nothing is borrowed",
        ];
        json!([
            {"prefect.deployments.steps.git_clone": step},
            {"prefect.deployments.steps.run_shell_script": {
                "directory": "{{ clone.directory }}",
                "script": format!("sh -c '{{ {}; }} > $NOTES/$PREFECT__FLOW_RUN_ID'", seen.join("; ")),
            }},
            {"prefect.deployments.steps.set_working_directory": {"directory": "{{ clone.directory }}"}},
        ])
    };
    let plain = site.deploy("hello", json!({"name": "plain", "pull_steps": steps(json!({}))}));
    let branch = site.deploy("hello", json!({"name": "branch", "pull_steps": steps(json!({"branch": "main"}))}));
    let ran = |deployment: &str| {
        let run = site.run(deployment, json!({}));
        assert_eq!(site.end(&run)["name"], "Completed");
        assert!(wait_for(|| site.logs(&run).iter().any(|log| log.2.starts_with("hello")).then_some(())).is_some());
        (left(&site, "hello", &run), fs::read_to_string(site.notes().join(&run)).unwrap())
    };
    let worker = site.worker(&["--name", "w"]);
    let expected = [ran(&plain), ran(&branch)];
    assert!(expected[0].1.contains("one"), "{}", expected[0].1);
    drop(worker);
    let worker = site.worker(&["--name", "w", "--git-cache"]);
    assert_eq!([ran(&plain), ran(&branch)], expected);
    let mirrors = site.project.home().join("cache/git");
    let kept: Vec<_> = fs::read_dir(&mirrors).unwrap().collect();
    assert_eq!(kept.len(), 1, "one mirror for one repository\n{}", worker.log());
    assert!(!holds(&mirrors, TOKEN), "the mirror holds the token");
    fs::write(source.path().join("deep/note.txt"), "two").unwrap();
    source.git(&["commit", "-qam", "another"]);
    git.push(&source, "code", "HEAD:refs/heads/main");
    let run = site.run(&plain, json!({}));
    assert_eq!(site.end(&run)["name"], "Completed");
    assert!(fs::read_to_string(site.notes().join(&run)).unwrap().contains("two"));
    // Without the right to read it, a mirror is of no use.
    git.rules(Rules { token: Some("another".to_owned()), ..Rules::default() });
    let run = site.run(&plain, json!({}));
    assert_eq!(site.end(&run)["name"], "Crashed");
}
