//! The inferred version, against real Prefect over grids of CI variables, remotes, messages and repositories.
#![cfg(feature = "git")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use reconcile::manifest::version_info::{GitCommit, TYPES, infer, without_credentials};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

struct Case {
    cwd: String,
    env: BTreeMap<String, String>,
    version_type: Option<&'static str>,
    /// What git says here: the repository's own answer, or one with another remote or message.
    git: Option<GitCommit>,
    remote: Option<String>,
    message: Option<String>,
}

impl Case {
    fn question(&self) -> Value {
        let mut question = json!({"cwd": self.cwd, "env": self.env, "type": self.version_type});
        for (key, value) in [("remote", &self.remote), ("message", &self.message)] {
            if let Some(value) = value {
                question[key] = json!(value);
            }
        }
        question
    }

    /// Our answer in Prefect's form.
    fn answer(&self) -> Value {
        let mut git = self.git.clone();
        if let (Some(git), Some(remote)) = (&mut git, &self.remote) {
            git.remote = Some(remote.clone());
        }
        if let (Some(git), Some(message)) = (&mut git, &self.message) {
            git.message = message.clone();
        }
        let Some(info) = infer(&self.env, git.as_ref(), self.version_type) else { return Value::Null };
        Value::Object(info.fields().into_iter().map(|(k, v)| (k.to_owned(), json!(v))).collect::<Map<_, _>>())
    }
}

/// Prefect's answers to all cases, from one start of Python.
fn ask_prefect(cases: &[Case]) -> Vec<Value> {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python/version_info.py");
    let mut child = Command::new(crate::support::python())
        .arg(driver)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let questions: Vec<Value> = cases.iter().map(Case::question).collect();
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(&serde_json::to_vec(&questions).unwrap()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn git(dir: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    for kind in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{kind}_NAME"), "A U Thor").env(format!("GIT_{kind}_EMAIL"), "a@example.com");
        command.env(format!("GIT_{kind}_DATE"), "2026-01-02T03:04:05Z");
    }
    let output = command.current_dir(dir).args(["-c", "init.defaultBranch=main"]).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}");
}

fn facts(dir: &Path) -> Option<GitCommit> {
    reconcile::source::git::facts(dir).0.map(|facts| facts.commit())
}

/// Repositories of several shapes, by name.
fn repositories(root: &Path) -> Vec<(String, Option<GitCommit>)> {
    let at = |name: &str| root.join(name);
    for name in ["plain", "no-remote", "unborn", "detached", "silent", "empty-remote"] {
        fs::create_dir_all(at(name).join("sub")).unwrap();
        git(&at(name), &["init", "-q"]);
        if name != "no-remote" {
            git(
                &at(name),
                &["config", "remote.origin.url", if name == "empty-remote" { "" } else { "git@h:acme/shop.git" }],
            );
        }
        if name != "unborn" {
            let message = if name == "silent" { "" } else { "\n Subject \u{2028}of it\n\nbody\n" };
            git(
                &at(name),
                &["commit", "-q", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-m", message],
            );
        }
    }
    git(&at("detached"), &["checkout", "-q", "--detach"]);
    fs::create_dir_all(at("outside")).unwrap();
    ["plain", "plain/sub", "no-remote", "unborn", "detached", "silent", "empty-remote", "outside"]
        .into_iter()
        .map(|name| (at(name).to_str().unwrap().to_owned(), facts(&at(name))))
        .collect()
}

const VARIABLES: [[&str; 4]; 4] = [
    ["GITHUB_SHA", "GITHUB_REF_NAME", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL"],
    ["CI_COMMIT_SHA", "CI_COMMIT_REF_NAME", "CI_PROJECT_NAME", "CI_PROJECT_URL"],
    ["BITBUCKET_COMMIT", "BITBUCKET_BRANCH", "BITBUCKET_REPO_SLUG", "BITBUCKET_GIT_HTTP_ORIGIN"],
    ["BUILD_SOURCEVERSION", "BUILD_SOURCEBRANCHNAME", "BUILD_REPOSITORY_NAME", "BUILD_REPOSITORY_URI"],
];

/// Every way of having the variables of one provider missing, empty or set.
fn environments(names: &[&str; 4]) -> Vec<BTreeMap<String, String>> {
    let values = [None, Some(""), Some("größe-0123456789")];
    (0..81usize)
        .map(|n| {
            names
                .iter()
                .enumerate()
                .filter_map(|(i, name)| Some(((*name).to_owned(), values[n / 3usize.pow(i as u32) % 3]?.to_owned())))
                .collect()
        })
        .collect()
}

const REMOTES: [&str; 42] = [
    "https://github.com/acme/shop.git",
    "https://github.com/acme/shop/",
    "https://github.com/acme/shop.git/",
    "https://github.com/acme/.git",
    "https://github.com/",
    "https://github.com",
    "git@github.com:acme/shop.git",
    "github.com:acme/shop.git",
    "host:repo",
    "1host:repo.git",
    "ssh://git@github.com:22/acme/shop.git",
    "ssh://h/~user/repo;x.git",
    "https://h/a;b/c;d.git",
    "https://h/;d",
    "h;d",
    "https://h/a?x=1#y",
    "https://h/a#b?c",
    "https://h?x/y",
    "https://h/a%20b.git",
    "/srv/git/shop.git",
    "//srv/git/shop.git",
    "///srv/git",
    "file:///srv/git/shop.git",
    "file:/srv/git/shop",
    "../shop",
    "./a:b",
    "C:\\repos\\shop",
    "ssh://git@[::1]:22/a/b.git",
    "ssh://git@[fe80::1%eth0]/a",
    "ssh://git@[fe80::1%]/a",
    "ssh://[::1/a",
    "ssh://::1]/a",
    "ssh://[127.0.0.1]/a",
    "ssh://[v1.x]/a",
    "ssh://[vz.x]/a",
    "ssh://[]/a",
    "  https://h/spaced  ",
    "ht tps://h/a",
    "https://h/größe.git",
    "a\tb/c",
    "\u{1}x/y",
    ".git",
];

const MESSAGES: [&str; 14] = [
    "one",
    "",
    "  \n ",
    "\r\nx\r\ny",
    "a\u{0b}b",
    "a\u{0c}b",
    "a\u{1c}b",
    "\u{1c}a\u{1f}",
    "a\u{85}b",
    "a\u{2029}b",
    "\u{3000}wide\u{3000}",
    "\u{200b}zero",
    "a\u{0}b",
    "größe 🎉",
];

#[test]
fn versions_are_inferred_as_prefect_does() {
    let root = TempDir::new().unwrap();
    let repositories = repositories(root.path());
    let plain = repositories[0].clone();
    let case = |(cwd, git): (String, Option<GitCommit>), env: &BTreeMap<String, String>, version_type| Case {
        cwd,
        env: env.clone(),
        version_type,
        git,
        remote: None,
        message: None,
    };
    let types: Vec<Option<&'static str>> = TYPES.into_iter().map(Some).chain([None]).collect();
    let nothing = BTreeMap::new();
    let full = |names: &[&str; 4]| environments(names).pop().unwrap();
    let mut cases = Vec::new();
    for names in &VARIABLES {
        for env in environments(names) {
            cases.push(case(plain.clone(), &env, None));
        }
        for repository in &repositories {
            cases.extend(types.iter().map(|kind| case(repository.clone(), &full(names), *kind)));
        }
    }
    // Two providers at once.
    for (first, second) in [(0, 1), (1, 2), (2, 3), (0, 3), (1, 3)] {
        for env in environments(&VARIABLES[first]) {
            let both = env.into_iter().chain(full(&VARIABLES[second])).collect();
            cases.push(case(plain.clone(), &both, None));
        }
    }
    for repository in &repositories {
        cases.extend(types.iter().map(|kind| case(repository.clone(), &nothing, *kind)));
    }
    for remote in REMOTES {
        cases.push(Case { remote: Some(remote.to_owned()), ..case(plain.clone(), &nothing, None) });
    }
    for message in MESSAGES {
        for env in [nothing.clone(), full(&VARIABLES[0])] {
            cases.push(Case { message: Some(message.to_owned()), ..case(plain.clone(), &env, None) });
        }
    }
    let theirs = ask_prefect(&cases);
    assert_eq!(theirs.len(), cases.len());
    for (case, theirs) in cases.iter().zip(&theirs) {
        assert_eq!(case.answer(), *theirs, "{}", case.question());
    }
    let some = theirs.iter().filter(|answer| !answer.is_null()).count();
    assert!(cases.len() > 900 && some > 400 && some < cases.len(), "{some} of {}", cases.len());
}

#[test]
fn only_credentials_make_a_difference() {
    let root = TempDir::new().unwrap();
    git(root.path(), &["init", "-q"]);
    git(root.path(), &["commit", "-q", "--allow-empty", "-m", "x"]);
    let git = GitCommit { sha: "s".into(), branch: "b".into(), message: "x".into(), remote: None };
    let remotes =
        ["https://user:tok3n@h/a/b.git", "https://tok3n@h/a", "ssh://git:tok3n@h/a", "https://u:tok3n@h:1/a;b"];
    let cases: Vec<Case> = remotes
        .into_iter()
        .map(|remote| Case {
            cwd: root.path().to_str().unwrap().to_owned(),
            env: BTreeMap::new(),
            version_type: None,
            git: Some(git.clone()),
            remote: Some(remote.to_owned()),
            message: None,
        })
        .collect();
    for (case, mut theirs) in cases.iter().zip(ask_prefect(&cases)) {
        let ours = case.answer();
        let leaked = theirs["url"].as_str().unwrap().to_owned();
        assert!(leaked.contains("tok3n") && !ours.to_string().contains("tok3n"), "{ours}");
        theirs["url"] = json!(without_credentials(&leaked));
        for key in ["type", "message", "repository", "url"] {
            assert_eq!(ours[key], theirs[key], "{key} of {leaked}");
        }
    }
}
