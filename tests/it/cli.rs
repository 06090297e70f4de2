//! The program itself: exit codes, which stream says what, help, completions, signals.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

use crate::support::project::{Output, Project};
use crate::support::proxy::{Proxy, Verdict};
use crate::support::server::Server;
use crate::support::workspace::Workspace;

const COMMANDS: [&str; 16] = [
    "plan",
    "apply",
    "destroy",
    "drift",
    "status",
    "release",
    "validate",
    "import",
    "render",
    "init",
    "dev",
    "worker",
    "explain",
    "schema",
    "completions",
    "man",
];
const FLOWS_PY: &str = include_str!("../cases/flows.py");

/// A good project with the deployments of these names.
fn project(names: &[&str]) -> Project {
    let one = |name: &&str| {
        format!("  - {{ name: {name}, entrypoint: \"flows.py:hello\", work_pool: {{ name: default }} }}\n")
    };
    let deployments: String = names.iter().map(one).collect();
    Project::new().file("flows.py", FLOWS_PY).file("prefect.yaml", &format!("deployments:\n{deployments}"))
}

/// The exit code, and the only JSON value on stdout.
fn json_of(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

// Help.

#[test]
fn help_names_every_command_that_is_there_and_no_other() {
    let project = Project::new();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let root = project.reconcile(&["--help"]).exits(0).stdout;
    settings.bind(|| insta::assert_snapshot!("reconcile", root));
    let start = root.find("Commands:").unwrap();
    let listed: Vec<&str> = root[start..]
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| *word != "help")
        .collect();
    assert_eq!(listed, COMMANDS);
    for command in COMMANDS {
        let help = project.reconcile(&[command, "--help"]).exits(0);
        assert!(help.stderr.is_empty() && help.stdout.contains("Examples:"), "{help:?}");
        settings.bind(|| insta::assert_snapshot!(format!("reconcile-{command}"), help.stdout));
    }
    for command in ["start", "status"] {
        let help = project.reconcile(&["worker", command, "--help"]).exits(0).stdout;
        settings.bind(|| insta::assert_snapshot!(format!("reconcile-worker-{command}"), help));
    }
}

#[test]
fn completions_are_accepted_by_their_shells() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = project.reconcile(&["completions", shell]).exits(0).stdout;
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
        project.write(shell, &script);
    }
    for shell in ["bash", "zsh", "fish"] {
        let file = project.path().join(shell);
        // A shell that this machine lacks cannot refuse.
        match Command::new(shell).arg("-n").arg(file).output() {
            Ok(output) => assert!(output.status.success(), "{shell}: {output:?}"),
            Err(_) => crate::support::skip::skipped(format!("part of it: this machine has no `{shell}`")),
        }
    }
    let plain = project.reconcile(&["completions", "bash"]).exits(0).stdout;
    let json = json_of(&project.reconcile(&["completions", "bash", "--json"]).exits(0));
    assert_eq!((&json["shell"], json["script"].as_str()), (&json!("bash"), Some(&*plain)));
}

#[test]
fn manual_pages_are_there_for_all_commands() {
    let project = Project::new();
    assert!(project.reconcile(&["man"]).exits(0).stdout.starts_with(".ie"));
    for command in COMMANDS {
        let page = project.reconcile(&["man", command]).exits(0).stdout;
        assert!(
            page.contains(&format!("reconcile\\-{command}")) || page.contains(&format!("reconcile-{command}")),
            "{page}"
        );
        let head = page.lines().find(|line| line.starts_with(".TH")).unwrap();
        assert!(head.contains(env!("CARGO_PKG_VERSION")), "{head}");
        let json = json_of(&project.reconcile(&["man", command, "--json"]).exits(0));
        assert_eq!(
            (json["page"].as_str(), json["text"].as_str()),
            (Some(&*format!("reconcile-{command}")), Some(&*page))
        );
    }
    let output = project.reconcile(&["man", "plna"]).exits(64);
    assert!(output.stderr.contains("did you mean `plan`"), "{output:?}");
}

// Exit codes and streams.

#[test]
fn wrong_usage_ends_with_64_and_says_why_on_stderr() {
    let project = project(&["a"]);
    let cases: [(&[&str], &str); 14] = [
        (&["plna"], "did you mean `plan`"),
        (&["plna", "--yes"], "did you mean `plan`"),
        (&["nowhere/flows"], "neither a command nor a directory"),
        (&["plan", "--fromat", "json"], "--fromat"),
        (&["plan", "--format", "xml"], "xml"),
        (&["plan", "--timeout", "0"], "--timeout"),
        (&["plan", "-n", "nope"], "no deployment is named"),
        (&["plan", "--env", "prod"], "no environment"),
        (&["plan", "--prefect-file", "other.yaml"], "other.yaml"),
        (&["plan", "--all", "-n", "a"], "--all"),
        (&["plan", "-n", "a", "--param", "x"], "--param"),
        (&["explain", "E9999"], "E9999"),
        (&["completions", "tcsh"], "tcsh"),
        (&["apply"], "--yes"),
    ];
    for (args, word) in cases {
        let output = project.reconcile(args).exits(64);
        assert!(output.stdout.is_empty() && output.stderr.contains(word), "{args:?}: {output:?}");
        // Who wants JSON is told the same as JSON.
        if args[0] != "completions" {
            let json = json_of(&project.reconcile(&[args, &["--json"]].concat()).exits(64));
            let message = json["error"]["message"].as_str().unwrap();
            assert!(!message.is_empty() && output.stderr.contains(message), "{args:?}: {json:#}");
        }
    }
}

#[test]
fn exit_codes_tell_the_kinds_of_endings_apart() {
    let good = project(&["a"]);
    good.reconcile(&["plan"]).exits(0);
    good.reconcile(&["plan", "--detailed-exitcode"]).exits(2);
    good.reconcile(&["validate"]).exits(0);
    good.reconcile(&["--version"]).exits(0);
    let bad = Project::new().file("prefect.yaml", "deployments: 3\n");
    bad.reconcile(&["plan"]).exits(4);
    bad.reconcile(&["plan", "--detailed-exitcode"]).exits(4);
    bad.reconcile(&["validate"]).exits(4);
    let unreachable = project(&["a"]).api("http://127.0.0.1:9/api").env("PREFECT_CLIENT_MAX_RETRIES", "0");
    unreachable.reconcile(&["plan"]).exits(1);
    unreachable.reconcile(&["apply", "--yes"]).exits(1);
    unreachable.reconcile(&["plan", "nowhere"]).exits(1);
}

#[test]
fn results_are_on_stdout_and_talk_is_on_stderr() {
    let project = project(&["a"]).file("blocks.yaml", "other: []\n");
    let output = project.reconcile(&["plan"]).exits(0);
    assert!(output.stdout.contains("Plan: 1 to create") && !output.stdout.contains("W0171"), "{output:?}");
    assert!(output.stderr.contains("W0171") && !output.stderr.contains("Plan:"), "{output:?}");
    let quiet = project.reconcile(&["plan", "--quiet"]).exits(0);
    // Only the seconds may differ.
    assert!(quiet.stdout.contains("Plan: 1 to create") && quiet.stderr.is_empty(), "{quiet:?}");
    let invalid = Project::new().file("prefect.yaml", "deployments: 3\n").reconcile(&["validate", "--quiet"]).exits(4);
    assert!(invalid.stderr.contains("E0142"), "{invalid:?}");
}

#[test]
fn json_is_json_whatever_happens() {
    let good = project(&["a"]);
    let plan = json_of(&good.reconcile(&["plan", "--json"]).exits(0));
    assert_eq!((&plan["format_version"], &plan["summary"]["create"]), (&json!("1.0"), &json!(1)));
    let mut again = json_of(&good.reconcile(&["plan", "--format", "json"]).exits(0));
    again["seconds"] = plan["seconds"].clone();
    assert_eq!(plan, again);
    let valid = json_of(&good.reconcile(&["validate", "--json"]).exits(0));
    assert_eq!((&valid["valid"], &valid["deployments"]), (&json!(true), &json!(1)));
    assert!(json_of(&good.reconcile(&["explain", "--json"]).exits(0)).is_array());
    assert_eq!(json_of(&good.reconcile(&["explain", "E0401", "--json"]).exits(0))["code"], "E0401");
    let sarif = json_of(&good.reconcile(&["plan", "--format", "sarif"]).exits(0));
    assert_eq!(sarif["version"], "2.1.0");
    let bad = Project::new().file("prefect.yaml", "deployments: 3\n");
    for args in [
        &["plan", "--json"][..],
        &["validate", "--json"],
        &["apply", "--yes", "--json", "--api-url", "http://127.0.0.1:9/api"],
    ] {
        let output = bad.reconcile(args).exits(4);
        assert_eq!(json_of(&output)["diagnostics"][0]["code"], "E0142", "{args:?}");
    }
    assert_eq!(
        json_of(&bad.reconcile(&["validate", "--format", "sarif"]).exits(4))["runs"][0]["results"][0]["ruleId"],
        "E0142"
    );
}

#[test]
fn json_is_json_when_a_command_ends_early() {
    let schema = jsonschema::draft202012::new(&reconcile::report::schema::report()).unwrap();
    let failure = |project: &Project, args: &[&str], code: i32| {
        let output = project.reconcile(args).exits(code);
        let json = json_of(&output);
        assert!(schema.is_valid(&json), "{args:?}: {json:#}");
        let message = json["error"]["message"].as_str().unwrap_or_else(|| panic!("{args:?}: {json:#}"));
        // What people are told and what machines are told is the same.
        assert!(output.stderr.contains(message), "{args:?}: {output:?}");
        let help = json["error"]["help"].as_str().unwrap_or_default();
        assert!(output.stderr.contains(help), "{args:?}: {output:?}");
        json
    };
    // Nobody answers.
    let alone = project(&["a"]).api("http://127.0.0.1:9/api").env("PREFECT_CLIENT_MAX_RETRIES", "0");
    let commands: [&[&str]; 5] = [
        &["plan", "--json"],
        &["plan", "--format", "json"],
        &["apply", "--yes", "--json"],
        &["--yes", "--json"],
        &["render", "deployment/hello/a", "--json"],
    ];
    for args in commands {
        let json = failure(&alone, args, 1);
        assert_eq!((&json["error"]["code"], &json["diagnostics"][0]["code"]), (&json!("E0510"), &json!("E0510")));
    }
    // Settings and flags that are wrong, and a file that is no plan.
    let wrong = project(&["a"]).api("not an address");
    failure(&wrong, &["apply", "--yes", "--json"], 1);
    let good = project(&["a"]);
    failure(&good, &["plan", "--json", "-n", "a", "--param", "x"], 64);
    failure(&good, &["apply", "--json"], 64);
    failure(&wrong, &["apply", "--yes", "--json", "--plan", "none.json"], 1);
    failure(&wrong, &["validate", "--json", "nowhere"], 1);
    // A text is a text as before.
    assert_eq!(alone.reconcile(&["plan"]).exits(1).stdout, "");
    assert_eq!(alone.reconcile(&["plan", "--json", "--format", "text"]).exits(1).stdout, "");
}

#[test]
fn json_is_json_when_a_step_fails() {
    let server = Server::shared();
    Workspace::of(&server.url).prepare(&[("failing-steps", json!("process"))], &[], &[]);
    let yaml = "deployments:\n- name: a\n  entrypoint: flows.py:hello\n  work_pool: {name: failing-steps}\n  taggs: []\n  \
                build:\n  - prefect.deployments.steps.run_shell_script: {script: \"false\"}\n";
    let project = Project::new().api(&server.url).file("flows.py", FLOWS_PY).file("prefect.yaml", yaml);
    let output = project.reconcile(&["apply", "--yes", "--json"]).exits(1);
    let json = json_of(&output);
    let error = &json["error"];
    assert_eq!(error["code"], "E0607", "{json:#}");
    assert!(error["message"].as_str().unwrap().contains("ended with exit code 1"), "{json:#}");
    assert!(output.stderr.contains("nothing was written to the API"), "{output:?}");
    // The remarks that were shown before it ended are there too.
    let codes: Vec<&Value> = json["diagnostics"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["W0141", "E0607"], "{json:#}");
}

#[test]
fn colour_is_asked_for_or_left_out() {
    let coloured = |args: &[&str], env: &[(&str, &str)]| {
        let project = project(&["a"]);
        let output =
            project.reconcile_command().args(args).env_remove("NO_COLOR").envs(env.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout.contains(&0x1b)
    };
    assert!(!coloured(&["plan"], &[]), "stdout is no terminal");
    assert!(coloured(&["plan"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&["plan"], &[("CLICOLOR_FORCE", "0")]));
    assert!(!coloured(&["plan"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(coloured(&["plan"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")]));
    assert!(!coloured(&["plan", "--no-color"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&["plan", "--json"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&["plan", "--format", "markdown"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let project = project(&["a"]);
    for args in [&["explain"][..], &["plan", "--json"], &["--help"], &["man"], &["completions", "bash"]] {
        let mut child =
            project.reconcile_command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert!(!said.contains("panicked") && status.code() == Some(0), "{args:?}: {status} {said}");
    }
}

// Which API.

#[test]
fn without_an_api_a_plan_is_made_against_an_empty_workspace() {
    let output = project(&["a"]).reconcile(&["plan"]).exits(0);
    assert!(output.stdout.contains("an empty workspace (no API configured)"), "{output:?}");
}

#[test]
fn in_ci_an_api_is_not_optional() {
    for args in [&["plan"][..], &["apply", "--yes"]] {
        let output = project(&["a"]).env("CI", "true").reconcile(args).exits(1);
        assert!(output.stderr.contains("PREFECT_API_URL"), "{output:?}");
    }
}

#[test]
fn an_empty_address_is_a_mistake() {
    for args in [&["plan"][..], &["apply", "--yes"]] {
        let output = project(&["a"]).api("").reconcile(args).exits(1);
        assert!(output.stderr.contains("PREFECT_API_URL") && output.stderr.contains("help"), "{output:?}");
    }
}

#[test]
fn an_api_that_is_none_is_told_with_what_to_do() {
    let quick = |url: &str| project(&["a"]).api(url).env("PREFECT_CLIENT_MAX_RETRIES", "0");
    for (url, word) in [
        ("http://127.0.0.1:9/api", "127.0.0.1:9"),
        ("http://no-such-host.invalid/api", "no-such-host.invalid"),
        ("ftp://example.org", "PREFECT_API_URL"),
        ("not an address", "PREFECT_API_URL"),
    ] {
        let output = quick(url).reconcile(&["plan"]).exits(1);
        assert!(output.stderr.contains(word) && output.stderr.contains("help"), "{url}: {output:?}");
        assert!(!output.stderr.contains("panicked") && output.stdout.is_empty(), "{output:?}");
    }
    // The address of the user interface, without `/api`.
    let server = Server::shared();
    let output = quick(server.url.trim_end_matches("/api")).reconcile(&["plan"]).exits(1);
    assert!(output.stderr.contains("/api"), "{output:?}");
}

// Applying.

#[test]
fn nobody_to_ask_means_that_nothing_is_done() {
    let proxy = Proxy::in_front_of("http://127.0.0.1:9/api");
    for args in [&["apply"][..], &[]] {
        let output = project(&["a"]).api(&proxy.url).reconcile(args).exits(64);
        assert!(output.stderr.contains("--yes") && output.stdout.is_empty(), "{output:?}");
    }
    assert_eq!(proxy.requests(), []);
}

fn pool(server: &Server) {
    Workspace::of(&server.url).prepare(&[("default", json!("process"))], &[], &[]);
}

#[test]
fn a_partial_failure_says_what_is_in_and_the_next_pass_does_the_rest() {
    let server = Server::start();
    pool(&server);
    let proxy = Proxy::in_front_of(&server.url);
    let project = project(&["one", "two", "three"]).api(&proxy.url);
    proxy.rule(|request| match request.path.ends_with("/deployments/") && request.body.contains("\"two\"") {
        true => Verdict::Answer(422, r#"{"detail": "no room for two"}"#.to_owned()),
        false => Verdict::Pass,
    });
    let output = project.reconcile(&["apply", "--yes"]).exits(3);
    assert!(output.stdout.contains("Partly applied: 2 applied, 1 failed"), "{output:?}");
    assert!(output.stdout.contains("no room for two") && !output.stdout.contains("one failed"), "{output:?}");
    let told = json_of(&project.reconcile(&["apply", "--yes", "--json"]).exits(1));
    let failed: Vec<&Value> = told["changes"].as_array().unwrap().iter().collect();
    assert_eq!(failed.len(), 1, "what is in is not done again: {told}");
    assert_eq!((&failed[0]["name"], &failed[0]["result"]), (&json!("hello/two"), &json!("failed")));
    assert!(failed[0]["error"].as_str().unwrap().contains("no room for two"));
    let names = |server: &Server| {
        let mut names: Vec<String> =
            server.http().all("deployments").iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&server), ["one", "three"]);
    proxy.rule(|_| Verdict::Pass);
    project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(names(&server), ["one", "three", "two"]);
    proxy.reset();
    let output = project.reconcile(&["apply", "--yes"]).exits(0);
    assert!(output.stdout.contains("nothing to do, 3 unchanged"), "{output:?}");
    assert_eq!(proxy.writes(), []);
}

#[test]
fn an_interrupt_ends_after_the_requests_under_way_and_says_what_is_in() {
    let server = Server::start();
    pool(&server);
    let proxy = Proxy::in_front_of(&server.url);
    let names: Vec<String> = (0..30).map(|n| format!("d{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let project = project(&names).api(&proxy.url);
    // Every create waits until the program has been told to stop.
    let told = Arc::new((Mutex::new(false), Condvar::new()));
    let waiting = told.clone();
    let (begun, first) = std::sync::mpsc::channel();
    let begun = Mutex::new(begun);
    proxy.rule(move |request| {
        if request.method == "POST" && request.path.ends_with("/deployments/") {
            let _ = begun.lock().unwrap().send(());
            let mut go = waiting.0.lock().unwrap();
            while !*go {
                go = waiting.1.wait(go).unwrap();
            }
        }
        Verdict::Pass
    });
    let mut child = project
        .reconcile_command()
        .args(["apply", "--yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    first.recv().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("stopping")), "it says that it stops");
    *told.0.lock().unwrap() = true;
    told.1.notify_all();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    let made = server.http().all("deployments").len();
    assert!(made > 0 && made < 30, "{made}");
    assert!(said.contains(&format!("{made} applied, {} skipped", 30 - made)), "{made}: {said}");
    let output = project.reconcile(&["apply", "--yes"]).exits(0);
    assert!(output.stdout.contains(&format!("{} applied, {made} unchanged", 30 - made)), "{output:?}");
    assert_eq!(server.http().all("deployments").len(), 30);
}
