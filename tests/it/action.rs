//! The action and the workflows of `examples/github`, step by step on this machine, against a real server.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use regex::Regex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::forge::{FakeForge, Fault, TOKEN};
use crate::support::project::Project;
use crate::support::skip::skipped;
use crate::support::workspace::Workspace;
use crate::support::{Server, python};

const FLOW: &str = "from prefect import flow\n\n@flow\ndef etl(n: int = 1):\n    pass\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the program is, and its digest: the action downloads it like a released one.
fn binary() -> &'static (String, String) {
    static BINARY: OnceLock<(String, String)> = OnceLock::new();
    BINARY.get_or_init(|| {
        let path = env!("CARGO_BIN_EXE_reconcile");
        let digest = Sha256::digest(std::fs::read(path).unwrap());
        (format!("file://{path}"), digest.iter().map(|byte| format!("{byte:02x}")).collect())
    })
}

fn manifest(name: &str, cron: &str) -> String {
    format!(
        "deployments:\n- name: {name}\n  entrypoint: flow.py:etl\n  tags: [etl]\n  schedules:\n  - cron: {cron}\n    slug: daily\n  \
         work_pool: {{name: {name}}}\n"
    )
}

/// A repository, and the forge that it is at.
struct Job {
    project: Project,
    forge: FakeForge,
    temp: tempfile::TempDir,
    event_name: &'static str,
    event: Value,
    reference: &'static str,
    api: String,
    /// Where programs are looked for first.
    programs: Option<PathBuf>,
}

impl Job {
    /// A checkout whose main branch declares one deployment of this name.
    fn new(name: &str, api: &str) -> Job {
        let project = Project::new()
            .file("flow.py", FLOW)
            .file("reconcile.yaml", &format!("name: {name}\n"))
            .file("prefect.yaml", &manifest(name, "0 6 * * *"))
            .git_init(None);
        Job {
            project,
            forge: FakeForge::start(),
            temp: tempfile::tempdir().unwrap(),
            event_name: "push",
            event: json!({}),
            reference: "refs/heads/main",
            api: api.to_owned(),
            programs: None,
        }
    }

    /// Checks out what merging a branch with these files would give, as GitHub does for a pull request.
    fn proposes(&mut self, from: &str, files: &[(&str, &str)]) {
        let base = self.project.git(&["rev-parse", "HEAD"]).trim().to_owned();
        self.project.git(&["checkout", "-q", "-b", "proposal"]);
        for (path, text) in files {
            self.project.write(path, text);
        }
        let head = self.project.git_commit("$(touch pwned) ::error::title");
        self.project.git(&["checkout", "-q", "--detach", "main"]);
        self.project.git(&["merge", "-q", "--no-ff", "-m", "merge", &head]);
        self.event_name = "pull_request";
        self.reference = "refs/pull/5/merge";
        self.event = json!({"pull_request": {
            "number": 5, "title": "`touch pwned`\n::error::title --> $(touch pwned)", "base": {"sha": base, "ref": "main"},
            "head": {"sha": head, "ref": "$(touch pwned)`touch pwned`", "repo": {"full_name": from}},
        }});
    }

    /// Merges it, as one commit.
    fn merges(&mut self) {
        self.project.git(&["checkout", "-q", "main"]);
        self.project.git(&["merge", "-q", "--squash", "proposal"]);
        let commit = self.project.git_commit("merged");
        self.forge.merge(&commit);
        (self.event_name, self.reference, self.event) = ("push", "refs/heads/main", json!({}));
    }

    /// Runs a workflow of `examples/github`.
    fn workflow(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(root().join("examples/github").join(name)).unwrap();
        let (url, digest) = binary();
        let put = format!(
            "        with:\n          binary-url: {url}\n          binary-sha256: {digest}\n          command:"
        );
        let put = text.replace("        with:\n          command:", &put);
        assert_ne!(put, text);
        let file = self.temp.path().join(name);
        std::fs::write(&file, put).unwrap();
        let actions = json!({"actions/checkout": null, "OWNER/reconcile": root()});
        self.run(json!({"workflow": file, "actions": actions}))
    }

    /// Runs the action alone.
    fn action(&self, with: Value) -> Value {
        let (url, digest) = binary();
        let mut all = json!({"binary-url": url, "binary-sha256": digest, "api-url": self.api});
        all.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        self.run(json!({"with": all, "actions": {"reconcile": root()}}))
    }

    fn run(&self, mut order: Value) -> Value {
        let event = self.temp.path().join("event.json");
        std::fs::write(&event, self.event.to_string()).unwrap();
        let stranger = self.event["pull_request"]["head"]["repo"]["full_name"] == "mallory/r";
        let virtual_env = python().parent().and_then(Path::parent).unwrap().display().to_string();
        order["workspace"] = json!(self.project.path());
        order["temp"] = json!(self.temp.path());
        order["vars"] = json!({"PREFECT_API_URL": self.api});
        order["secrets"] = if stranger { json!({}) } else { json!({"PREFECT_API_KEY": ""}) };
        order["env"] = json!({
            "VIRTUAL_ENV": virtual_env, "GIT_CONFIG_NOSYSTEM": "1",
            "RECONCILE_CACHE_DIR": self.project.home().join("cache"),
        });
        if let Some(programs) = &self.programs {
            order["env"]["PATH"] = json!(format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()));
        }
        order["github"] = json!({
            "event": self.event, "event_name": self.event_name, "event_path": event, "ref": self.reference,
            "repository": "o/r", "sha": self.project.git(&["rev-parse", "HEAD"]).trim(), "run_id": "99",
            "api_url": self.forge.url, "server_url": "https://github.com", "token": TOKEN,
        });
        let mut runner = Command::new(python());
        runner.arg(root().join("tests/action/runner.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = runner.spawn().unwrap();
        child.stdin.take().unwrap().write_all(order.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{order:#}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(!told.to_string().contains(TOKEN), "{told:#}");
        told
    }

    fn deployment(&self, server: &Server, name: &str) -> Value {
        server.http().request("GET", &format!("/deployments/name/etl/{name}"), None).body
    }

    fn is_unharmed(&self) {
        for dir in [self.project.path(), self.project.home(), self.temp.path().to_owned()] {
            assert!(!dir.join("pwned").exists(), "{} was pwned", dir.display());
        }
    }
}

/// What an action gave back: of the step by this name or number.
fn outputs<'a>(told: &'a Value, step: &str) -> &'a Value {
    &told["outputs"][step]
}

#[track_caller]
fn ends(told: Value, conclusion: &str) -> Value {
    assert_eq!(told["conclusion"], conclusion, "{}\n{told:#}", told["log"].as_str().unwrap_or_default());
    told
}

/// Only these commands are heard, however many there were in what was printed.
#[track_caller]
fn obeys_nobody(told: &Value) {
    let heard: Vec<&str> = told["commands"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let ours = ["stop-commands", "notice", "warning", "error"];
    assert!(heard.iter().all(|name| ours.contains(name)), "{heard:?}");
}

/// The text with what differs from run to run made the same.
fn fixed(text: &str) -> String {
    let rules = [
        (r"sha256(\\?):[0-9a-f]{64}", "sha256$1:5c0f…"),
        (r"note=[0-9a-f]{32}", "note=7d1e…"),
        (r"\b[0-9a-f]{7} ·", "3f2c1a9 ·"),
        (r"\d+ reads", "5 reads"),
        (r"[1-9]\d* writes", "8 writes"),
        // The event may come later than the question for it.
        (r"last changed \S+( \S*prefect\S+)?", "last changed 2026-11-22T07:00:00Z"),
        (r"next at [0-9\\-]+ [0-9\\:]+ UTC", "next at 2026-11-22 07:00 UTC"),
        (r"\d+ planned runs? move", "24 planned runs move"),
        (r"in \d+\.\d+ s|\d+\.\d+ s", "0.4 s"),
    ];
    rules
        .iter()
        .fold(text.to_owned(), |text, (rule, put)| Regex::new(rule).unwrap().replace_all(&text, *put).into_owned())
}

/// The guide shows these as they really came out. With `INSTA_UPDATE=always` it is made to.
#[track_caller]
fn is_documented(all: &[(&str, &str)]) {
    let file = root().join("docs/ci.md");
    let mut guide = std::fs::read_to_string(&file).unwrap();
    for (name, text) in all {
        let text = format!("<!-- {name} -->\n{}\n<!-- end -->", fenced(&fixed(text)));
        let start = guide.find(&format!("<!-- {name} -->")).unwrap();
        let end = start + guide[start..].find("<!-- end -->").unwrap() + "<!-- end -->".len();
        if guide[start..end] != text && std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
            guide.replace_range(start..end, &text);
            std::fs::write(&file, &guide).unwrap();
        }
        let start = guide.find(&format!("<!-- {name} -->")).unwrap();
        assert!(guide[start..].starts_with(&text), "docs/ci.md does not show this as it came out: {text}");
    }
}

/// Markdown that shows Markdown.
fn fenced(text: &str) -> String {
    format!("\n~~~markdown\n{}\n~~~\n", text.trim_end())
}

#[test]
fn a_change_goes_from_the_pull_request_to_the_server_and_drift_is_found() {
    let server = Server::start();
    let name = "nightly";
    Workspace::of(&server.url).prepare(&[(name, json!("process"))], &[], &[]);
    let mut job = Job::new(name, &server.url);
    let first = ends(job.action(json!({"command": "apply"})), "success");
    assert_eq!(outputs(&first, "action")["to-create"], "1", "{first:#}");

    // Runs are planned by then, and the plan says what becomes of them.
    let began = Instant::now();
    while server.http().post("/flow_runs/count", json!({})) == 0 {
        assert!(began.elapsed() < Duration::from_secs(120), "no run is planned");
        sleep(Duration::from_millis(100));
    }
    job.proposes("o/r", &[("prefect.yaml", &manifest(name, "0 7 * * *"))]);
    let planned = ends(job.workflow("plan.yml"), "success");
    obeys_nobody(&planned);
    let gave = outputs(&planned, "1");
    assert_eq!(
        (&gave["changes"], &gave["to-update"], &gave["to-create"], &gave["to-delete"], &gave["exit-code"]),
        (&json!("true"), &json!("1"), &json!("0"), &json!("0"), &json!("2"))
    );
    let plan = std::fs::read_to_string(gave["plan-path"].as_str().unwrap()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&plan).unwrap()["digest"], gave["digest"]);
    let comments = job.forge.notes();
    assert_eq!(comments.len(), 1, "{comments:#?}");
    assert!(comments[0].contains(gave["digest"].as_str().unwrap()), "{}", comments[0]);
    let notice = planned["annotations"].as_array().unwrap().iter().find(|one| one["level"] == "notice").unwrap();
    assert_eq!((&notice["file"], &notice["line"]), (&json!("prefect.yaml"), &json!("2")), "{notice:#}");
    assert_eq!(job.deployment(&server, name)["schedules"][0]["schedule"]["cron"], "0 6 * * *");
    // Another push to the pull request: the same comment.
    ends(job.workflow("plan.yml"), "success");
    assert_eq!(job.forge.notes().len(), 1);

    job.merges();
    let applied = ends(job.workflow("apply.yml"), "success");
    obeys_nobody(&applied);
    assert_eq!(job.deployment(&server, name)["schedules"][0]["schedule"]["cron"], "0 7 * * *");
    assert!(applied["summary"].as_str().unwrap().contains("Applied: 1 applied"), "{applied:#}");

    job.event_name = "schedule";
    let calm = ends(job.workflow("drift.yml"), "success");
    assert_eq!(outputs(&calm, "1")["changes"], "false", "{calm:#}");
    let id = job.deployment(&server, name)["id"].as_str().unwrap().to_owned();
    server.http().patch(&format!("/deployments/{id}"), json!({"tags": ["by-hand"]}));
    let drifted = ends(job.workflow("drift.yml"), "failure");
    assert_eq!(outputs(&drifted, "1")["exit-code"], "2", "{drifted:#}");
    job.event_name = "push";
    let drifted = ends(job.action(json!({"command": "drift", "fail-on-drift": "false"})), "success");
    assert!(outputs(&drifted, "action")["changes"] == "true", "{drifted:#}");

    let drift = drifted["summary"].as_str().unwrap();
    assert!(drift.contains("+ tags: [\"by-hand\"]") && drift.contains("1 changed"), "{drift}");
    let part = |name: &str| notice[name].as_str().unwrap();
    let annotation = format!("{}:{}  {}\n{}", part("file"), part("line"), part("title"), part("message"));
    is_documented(&[
        ("COMMENT", &comments[0]),
        ("ANNOTATION", &annotation),
        ("APPLIED", applied["summary"].as_str().unwrap()),
        ("DRIFT", drift),
    ]);
}

#[test]
fn what_was_not_reviewed_is_not_applied() {
    let server = Server::shared();
    let name = "action-unreviewed";
    Workspace::of(&server.url).prepare(&[(name, json!("process"))], &[], &[]);
    let mut job = Job::new(name, &server.url);
    ends(job.action(json!({"command": "apply"})), "success");
    job.proposes("o/r", &[("prefect.yaml", &manifest(name, "0 7 * * *"))]);
    ends(job.workflow("plan.yml"), "success");
    job.project.git(&["checkout", "-q", "proposal"]);
    job.project.write("prefect.yaml", &manifest(name, "0 8 * * *"));
    job.project.git_commit("after the plan");
    job.merges();
    let refused = ends(job.workflow("apply.yml"), "failure");
    assert_eq!(outputs(&refused, "1")["exit-code"], "5", "{refused:#}");
    let summary = refused["summary"].as_str().unwrap();
    assert!(summary.contains("is not what would be applied now") && summary.contains("    "), "{summary}");
    assert_eq!(job.deployment(server, name)["schedules"][0]["schedule"]["cron"], "0 6 * * *");
}

#[test]
fn a_fork_is_planned_without_an_api_and_without_its_code() {
    let mut job = Job::new("action-fork", "http://127.0.0.1:9/api");
    let name = "x $(touch pwned) `touch pwned` -- ##[add-mask]a";
    let hostile = format!(
        "build:\n- prefect.deployments.steps.run_shell_script:\n    script: touch pwned\ndeployments:\n- name: {}\n  \
         entrypoint: flow.py:etl\n  tags: [\"a\\n::add-mask::b\\n##[add-mask]c\"]\n  work_pool: {{name: p}}\n",
        json!(name)
    );
    let code = FLOW.replace("@flow", "open('pwned', 'w')\n\n@flow");
    job.proposes(
        "mallory/r",
        &[("prefect.yaml", &hostile), ("flow.py", &code), (".env", "PREFECT_API_URL=http://127.0.0.1:9/api\n")],
    );
    job.forge.fail(&[Fault::Refused(403, Vec::new(), "{\"message\": \"Resource not accessible by integration\"}")]);
    let planned = ends(job.workflow("plan.yml"), "success");
    obeys_nobody(&planned);
    job.is_unharmed();
    let gave = outputs(&planned, "1");
    assert_eq!((&gave["changes"], &gave["to-create"]), (&json!("true"), &json!("1")), "{planned:#}");
    let log = planned["log"].as_str().unwrap();
    assert!(log.contains("compared with HEAD^1") && log.contains("no API asked"), "{log}");
    assert!(log.contains("no comment is made") && log.contains("pull-requests: write"), "{log}");
    assert!(planned["summary"].as_str().unwrap().contains("touch pwned"));
    assert_eq!(job.forge.notes(), Vec::<String>::new());
    for command in ["apply", "drift"] {
        let refused = ends(job.action(json!({"command": command})), "failure");
        assert!(refused["log"].as_str().unwrap().contains("from a fork"), "{refused:#}");
    }
    let valid = ends(job.action(json!({"command": "validate"})), "success");
    assert!(valid["summary"].as_str().unwrap().contains("Valid: 1 deployment"), "{valid:#}");
    job.is_unharmed();
    // Checked out as it is proposed and not as it would be merged: the branch it goes to is known by the event.
    job.project.git(&["checkout", "-q", "proposal"]);
    job.reference = "refs/heads/main";
    let planned = ends(job.action(json!({"command": "plan", "comment": "true"})), "success");
    let base = job.event["pull_request"]["base"]["sha"].as_str().unwrap();
    assert!(planned["log"].as_str().unwrap().contains(&format!("compared with {base}")), "{planned:#}");
    assert_eq!(job.forge.notes().len(), 1);
    job.is_unharmed();
}

#[test]
fn what_lies_in_a_fork_names_no_program_and_is_no_repository() {
    let mut job = Job::new("action-fork-traps", "http://127.0.0.1:9/api");
    let touch = format!("touch {}", job.project.path().join("pwned").display());
    job.proposes(
        "mallory/r",
        &[
            ("rust-toolchain.toml", "[toolchain]\npath = \"evil\"\n"),
            // A directory that git takes for a bare repository, whose config it would heed.
            ("flows/HEAD", "ref: refs/heads/main\n"),
            (
                "flows/config",
                &format!("[core]\n\tbare = true\n\tsshCommand = {touch}\n[remote \"origin\"]\n\turl = x@127.0.0.1:r\n"),
            ),
            ("flows/objects/x", ""),
            ("flows/refs/x", ""),
            ("flows/prefect.yaml", &manifest("within", "0 6 * * *")),
            ("flows/flow.py", FLOW),
        ],
    );
    for (event, reference) in [("pull_request", "refs/pull/5/merge"), ("pull_request_target", "refs/heads/main")] {
        (job.event_name, job.reference) = (event, reference);
        let planned = ends(job.action(json!({"command": "plan", "path": "flows"})), "success");
        let log = planned["log"].as_str().unwrap();
        assert!(log.contains("cannot use bare repository") && log.contains("untrusted files: no API asked"), "{log}");
        assert_eq!(outputs(&planned, "action")["to-create"], "1", "{planned:#}");
        job.is_unharmed();
    }
    // Flags describe a deployment; files cannot be compared with them.
    let planned = ends(
        job.action(json!({"command": "plan", "tags": "a", "deployment-names": "within", "path": "flows"})),
        "success",
    );
    assert!(!planned["log"].as_str().unwrap().contains("compared with"), "{planned:#}");
    // Built where the action lies, and not where the stranger's toolchain file does.
    let programs = job.temp.path().join("programs");
    std::fs::create_dir_all(&programs).unwrap();
    let built = job.temp.path().join("built-in");
    let cargo = programs.join("cargo");
    let script = format!(
        "#!/bin/sh\npwd -P >{}\nfor one; do root=$one; done\ninstall -m 755 {} \"$root/bin/reconcile\"\n",
        built.display(),
        env!("CARGO_BIN_EXE_reconcile")
    );
    std::fs::write(&cargo, script).unwrap();
    std::fs::set_permissions(&cargo, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    job.programs = Some(programs);
    ends(job.action(json!({"command": "validate", "binary-url": "", "binary-sha256": ""})), "success");
    let told = std::fs::read_to_string(built).unwrap();
    assert_eq!(Path::new(told.trim_end()), root().canonicalize().unwrap());
    // Dependabot's are of the repository itself, and have no secrets either.
    job.event["pull_request"]["head"]["repo"]["full_name"] = json!("o/r");
    job.event["pull_request"]["user"] = json!({"login": "dependabot[bot]"});
    let planned = ends(job.action(json!({"command": "plan", "path": "flows"})), "success");
    assert!(planned["log"].as_str().unwrap().contains("no API asked"), "{planned:#}");
}

#[test]
fn inputs_are_words_and_never_code() {
    let job = Job::new("action-words", "http://127.0.0.1:9/api");
    let bad = "$(touch pwned)`touch pwned`; touch pwned\n::set-output name=changes::pwned";
    let inputs = [
        "command",
        "path",
        "environment",
        "args",
        "additional-args",
        "deployment-names",
        "deployment-file-path",
        "entrypoint",
        "tags",
        "work-pool",
        "work-queue",
        "comment",
        "api-url",
        "binary-sha256",
    ];
    for input in inputs {
        let told = job.action(json!({"command": "plan", (input): bad}));
        assert_ne!(outputs(&told, "action")["changes"], "pwned", "{input}: {told:#}");
        obeys_nobody(&told);
        job.is_unharmed();
    }
    let open = ends(job.action(json!({"command": "plan", "args": "-n 'x"})), "failure");
    assert!(open["log"].as_str().unwrap().contains("a quote is not closed"), "{open:#}");
    let wrong = ends(job.action(json!({"command": "destroy"})), "failure");
    assert!(wrong["log"].as_str().unwrap().contains("command is plan, apply, drift or validate"), "{wrong:#}");
}

#[test]
fn no_input_is_silently_ignored() {
    let job = Job::new("action-narrowed", "http://127.0.0.1:9/api");
    let inputs = ["deployment-names", "entrypoint", "tags", "work-pool", "work-queue", "prune"];
    for command in ["drift", "validate"] {
        let file = (command == "drift").then_some("deployment-file-path");
        for input in inputs.into_iter().chain(file) {
            let value = if input == "prune" { "true" } else { "x" };
            let told = ends(job.action(json!({"command": command, (input): value})), "failure");
            let words = format!("{command} knows no {input}: leave that input out");
            assert!(told["log"].as_str().unwrap().contains(&words), "{told:#}");
        }
    }
    ends(
        job.action(json!({"command": "validate", "deployment-file-path": "prefect.yaml", "prune": "false"})),
        "success",
    );
}

#[test]
fn invalid_files_are_annotated_where_they_lie() {
    let job = Job::new("action-invalid", "http://127.0.0.1:9/api");
    job.project.write("sub/prefect.yaml", "deployments:\n- name: a\n  entrypoint: nowhere.py:f\n  tag: [x]\n");
    let told = ends(job.action(json!({"command": "validate", "path": "sub"})), "failure");
    assert_eq!(outputs(&told, "action")["exit-code"], "4", "{told:#}");
    let error = told["annotations"].as_array().unwrap().iter().find(|one| one["level"] == "error").unwrap();
    assert_eq!((&error["file"], &error["line"]), (&json!("sub/prefect.yaml"), &json!("3")), "{told:#}");
    assert!(told["summary"].as_str().unwrap().contains("Invalid: 1 error"), "{told:#}");
}

#[test]
fn it_takes_the_place_of_the_action_that_deploys() {
    let server = Server::shared();
    let name = "action-drop-in";
    Workspace::of(&server.url).prepare(&[(name, json!("process"))], &[], &[]);
    let job = Job::new(name, &server.url);
    let two = manifest("drop-in-a", "0 6 * * *") + manifest("drop-in-b", "0 6 * * *").split_once('\n').unwrap().1;
    let two = two
        .replace("{name: drop-in-a}", &format!("{{name: {name}}}"))
        .replace("{name: drop-in-b}", &format!("{{name: {name}}}"));
    job.project.write("ops/prefect.yaml", &two);
    let there = |name: &str| job.deployment(server, name)["name"] == name;
    ends(job.action(json!({"deployment-names": "drop-in-a", "deployment-file-path": "./ops/prefect.yaml"})), "success");
    assert_eq!((there("drop-in-a"), there("drop-in-b"), there(name)), (true, false, false));
    ends(job.action(json!({"all-deployments": "true", "deployment-file-path": "./ops/prefect.yaml"})), "success");
    assert_eq!((there("drop-in-b"), there(name)), (true, false));
    // Without a file it is ./prefect.yaml, and a flow can be deployed without any.
    ends(job.action(json!({"deployment-names": format!(" {name} , ")})), "success");
    assert!(there(name));
    job.project.remove("ops/prefect.yaml");
    let one = json!({
        "entrypoint": "./flow.py:etl", "work-pool": name, "tags": "a b,c",
        "additional-args": "--name drop-in-c --cron '0 3 * * 0' --param \"n=7\"",
    });
    ends(job.action(one), "success");
    let made = job.deployment(server, "drop-in-c");
    assert_eq!((&made["tags"], &made["parameters"]), (&json!(["a b", "c"]), &json!({"n": 7})), "{made:#}");
    assert_eq!(made["schedules"][0]["schedule"]["cron"], "0 3 * * 0");
}

/// Every file that says `uses:`.
fn workflows() -> Vec<(String, String)> {
    let list = |dir: &str| std::fs::read_dir(root().join(dir)).unwrap().map(|entry| entry.unwrap().path());
    let files = list("examples/github").chain(list(".github/workflows")).chain([root().join("action.yml")]);
    files.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn workflows_pin_what_they_use_and_paste_nothing_into_scripts() {
    let uses = Regex::new(r"uses: *(\S+)").unwrap();
    let (pinned, script) = (Regex::new("@[0-9a-f]{40}$").unwrap(), Regex::new(r"(?m)^( *)(- )?run: *(.*)$").unwrap());
    for (name, text) in workflows() {
        for found in uses.captures_iter(&text) {
            let ours = &found[1] == "OWNER/reconcile@REF";
            assert!(ours || pinned.is_match(&found[1]), "{name}: {} is not pinned", &found[1]);
        }
        for found in script.captures_iter(&text) {
            let indent = found[1].len() + found.get(2).map_or(0, |dash| dash.len());
            let rest = text[found.get(0).unwrap().end()..].lines().skip(1);
            let block = rest.take_while(|line| line.trim().is_empty() || line.len() - line.trim_start().len() > indent);
            let all: String = [&found[3]].into_iter().chain(block).collect();
            assert!(!all.contains("${{"), "{name}: a script has a template in it: {all}");
        }
        assert!(text.contains("permissions: {}") || name.ends_with("action.yml"), "{name} has rights it does not name");
    }
}

#[test]
fn workflows_pass_the_linters_that_can_be_had() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("linters");
    let guard = std::fs::File::create(dir.with_extension("lock")).unwrap();
    guard.lock().unwrap();
    let mut script = Command::new(root().join("tests/workflows.sh"));
    let ran = script.arg(dir).env("PYTHON", python()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    match ran.status.code() {
        Some(77) => skipped(text.lines().last().unwrap_or_default()),
        code => assert_eq!(code, Some(0), "{text}"),
    }
}

/// A YAML file with all its documents.
fn documents(name: &str) -> Vec<Value> {
    let script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let read = Command::new(python()).args(["-c", script]).arg(root().join(name)).output().unwrap();
    assert!(read.status.success(), "{name}: {}", String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).unwrap()
}

#[test]
fn the_jobs_of_gitlab_plan_apply_and_look_for_drift() {
    let server = Server::shared();
    let name = "gitlab-jobs";
    Workspace::of(&server.url).prepare(&[(name, json!("process"))], &[], &[]);
    let jobs = documents("examples/gitlab/.gitlab-ci.yml").remove(0);
    let lines = |job: &str| -> String {
        let lines: Vec<&str> =
            jobs[job]["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        format!("set -eu; {}", lines.join("\n"))
    };
    let forge = FakeForge::start();
    forge.is_of("project_7_bot");
    let project = Job::new(name, &server.url).project.api(&server.url).env("CI", "true");
    let project = forge.gitlab().iter().fold(project, |project, (name, value)| project.env(name, value));
    project.shell(&lines("plan")).exits(0);
    assert_eq!(forge.notes().len(), 1);
    let outputs = std::fs::read_to_string(project.path().join("plan.env")).unwrap();
    assert!(outputs.contains("changes=true\nto-create=1\n"), "{outputs}");
    let commit = project.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let project = project.env("CI_MERGE_REQUEST_DIFF_BASE_SHA", &commit);
    let stranger = project.shell(&lines("plan-of-a-stranger")).exits(0);
    assert!(stranger.stdout.contains("no API asked"), "{stranger:?}");
    let project = project.env("CI_MERGE_REQUEST_IID", "");
    project.shell(&lines("apply")).exits(5);
    forge.merge(&commit);
    project.shell(&lines("apply")).exits(0);
    project.shell(&lines("drift")).exits(0);
    assert_eq!(server.http().get(&format!("/deployments/name/etl/{name}"))["name"], name);
}

#[test]
fn pods_run_without_rights() {
    let all = ["examples/cron/cronjob.yaml", "examples/kubernetes/deployment.yaml"].map(documents).concat();
    let kinds: Vec<&str> = all.iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ServiceAccount", "CronJob", "ServiceAccount", "Deployment", "Service", "NetworkPolicy"]);
    for one in all.iter().filter(|one| one["kind"] == "ServiceAccount") {
        assert_eq!(one["automountServiceAccountToken"], false);
    }
    let pods = [&all[1]["spec"]["jobTemplate"]["spec"]["template"]["spec"], &all[3]["spec"]["template"]["spec"]];
    for pod in pods {
        assert_eq!(
            (&pod["automountServiceAccountToken"], &pod["securityContext"]["runAsNonRoot"]),
            (&json!(false), &json!(true))
        );
        let container = &pod["containers"][0]["securityContext"];
        let wanted = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(*container, wanted);
        // What they pass is understood: it fails for want of a repository, not of a flag.
        let mut words: Vec<&str> =
            pod["containers"][0]["args"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
        words.push("--branch-that-is-not-a-flag");
        let told = Project::new().reconcile(&words).exits(64);
        assert!(told.stderr.contains("unexpected argument '--branch-that-is-not-a-flag'"), "{told:?}");
    }
}
