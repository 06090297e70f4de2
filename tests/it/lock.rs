//! Two passes on one scope, locks left behind, clocks that disagree: on a real server.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::project::{Output, Project};
use crate::support::proxy::{Proxy, Request, Verdict};

/// The server of this file.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::with_pool)
}

/// A project of one flow and two deployments, the first with a trigger; its scope is `name`.
fn project(name: &str, url: &str) -> Project {
    Project::new()
        .file("reconcile.yaml", &format!("name: {name}\n"))
        .file("flow.py", &format!("from prefect import flow\n\n@flow(name=\"{name}\")\ndef f():\n    pass\n"))
        .file("prefect.yaml", &declarations("first"))
        .api(url)
        .with_python()
}

fn declarations(description: &str) -> String {
    format!(
        "deployments:\n\
         - name: a\n  entrypoint: flow.py:f\n  description: {description}\n  work_pool: {{name: local}}\n  \
           triggers:\n  - {{type: event, expect: [x.y], name: a-trigger}}\n\
         - name: b\n  entrypoint: flow.py:f\n  description: {description}\n  work_pool: {{name: local}}\n"
    )
}

fn start(project: &Project, args: &[&str]) -> Child {
    let mut command = project.reconcile_command();
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("reconcile starts")
}

fn ended(child: Child) -> Output {
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Output { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The locks of a scope that are there.
fn locks(scope: &str) -> Vec<Value> {
    let filter = json!({"block_types": {"slug": {"any_": ["reconcile-lock"]}}});
    let rows = server().http().post("/block_documents/filter", filter);
    rows.as_array().into_iter().flatten().filter(|row| row["data"]["scope"] == scope).cloned().collect()
}

fn deployments(scope: &str) -> Vec<Value> {
    let filter = json!({"flows": {"name": {"any_": [scope]}}});
    server().http().post("/deployments/filter", filter).as_array().cloned().unwrap_or_default()
}

/// Waits until `found` gives something.
#[track_caller]
fn eventually<T>(what: &str, found: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(600), "never: {what}");
        sleep(Duration::from_millis(20));
    }
}

fn makes_deployment(request: &Request) -> bool {
    request.method == "POST" && request.path == "/api/deployments/"
}

/// Starts an apply that hangs when it makes its first deployment: it holds the lock until it is killed.
fn holder(project: &Project, proxy: &Proxy) -> Child {
    proxy.rule(|request| if makes_deployment(request) { Verdict::HoldBefore } else { Verdict::Pass });
    let child = start(project, &["apply", "--yes"]);
    eventually("a deployment is about to be made", || proxy.requests().iter().find(|r| makes_deployment(r)).cloned());
    child
}

#[test]
fn one_of_two_applies_and_the_other_is_told_who_does() {
    let proxy = Proxy::in_front_of(&server().url);
    let first = project("two", &proxy.url)
        .env("GITHUB_SERVER_URL", "https://github.example")
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_RUN_ID", "42");
    let mut holding = holder(&first, &proxy);

    let second = project("two", &server().url);
    let told = second.reconcile(&["apply", "--yes"]).exits(5).stderr;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for expected in ["the lock of `two` is held by", &host, &format!("(pid {})", holding.id()), "actions/runs/42"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert!(told.contains("--lock-timeout") && deployments("two").is_empty(), "{told}");
    let json = second.reconcile(&["apply", "--yes", "--json"]).exits(5).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let message = json["error"]["message"].as_str().expect("a message");
    assert!(message.starts_with("the lock of `two` is held by") && json["error"]["help"].is_string(), "{json:#}");

    // One that waits is done as soon as the other is, and finds nothing left to do.
    let waiting = start(&second, &["apply", "--yes", "--lock-timeout", "10m"]);
    eventually("it looks at the lock", || (locks("two").len() == 1).then_some(()));
    sleep(Duration::from_millis(1500));
    holding.kill().expect("it runs");
    holding.wait().expect("it ends");
    server().http().delete(&format!("/block_documents/{}", locks("two")[0]["id"].as_str().expect("an id")));
    let waited = ended(waiting).exits(0);
    assert!(waited.stderr.contains("waiting for the lock of `two`, held by"), "{}", waited.stderr);
    assert_eq!((deployments("two").len(), locks("two").len()), (2, 0));
}

#[test]
fn of_many_at_once_one_applies_and_the_others_find_it_done() {
    let project = project("many", &server().url);
    let apply = ["apply", "--yes", "--json", "--lock-timeout", "10m"];
    let children: Vec<Child> = (0..4).map(|_| start(&project, &apply)).collect();
    let done: Vec<Value> =
        children.into_iter().map(|child| serde_json::from_str(&ended(child).exits(0).stdout).expect("JSON")).collect();
    let applied = |report: &&Value| report["changes"].as_array().is_some_and(|changes| !changes.is_empty());
    assert_eq!(done.iter().filter(applied).count(), 1, "{done:#?}");
    assert_eq!((deployments("many").len(), locks("many").len()), (2, 0));
}

#[test]
fn a_pass_without_changes_takes_no_lock() {
    let proxy = Proxy::in_front_of(&server().url);
    let project = project("still", &proxy.url);
    project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(locks("still").len(), 0);
    proxy.reset();
    project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(proxy.writes(), []);
    // Nor does it care that another pass has it.
    let other = self::project("still", &server().url);
    other.write("prefect.yaml", &declarations("second"));
    other.reconcile(&["apply", "--yes"]).exits(0);
}

#[test]
fn a_lock_left_behind_is_taken_over_and_one_in_use_is_not() {
    let proxy = Proxy::in_front_of(&server().url);
    let first = project("left", &proxy.url).env("RECONCILE_TEST_LOCK_SECONDS", "6");
    let second = project("left", &server().url).env("RECONCILE_TEST_LOCK_SECONDS", "6");
    let mut holding = holder(&first, &proxy);
    let held = locks("left")[0].clone();
    // It gives signs of life for longer than a silent one would last.
    eventually("some signs of life", || {
        let beats = proxy.writes().iter().filter(|r| r.method == "PATCH" && r.path.contains("block_documents")).count();
        (beats >= 5).then_some(())
    });
    second.reconcile(&["apply", "--yes"]).exits(5);
    assert_eq!(locks("left")[0]["id"], held["id"]);

    holding.kill().expect("it runs");
    holding.wait().expect("it ends");
    second.reconcile(&["apply", "--yes", "--lock-timeout", "10m"]).exits(0);
    assert_eq!((deployments("left").len(), locks("left").len()), (2, 0));
}

#[test]
fn only_the_servers_clock_counts() {
    let proxy = Proxy::in_front_of(&server().url);
    let first = project("clock", &proxy.url);
    let mut holding = holder(&first, &proxy);
    let second = Proxy::in_front_of(&server().url);
    let other = project("clock", &second.url).env("RECONCILE_TEST_LOCK_SECONDS", "5");
    // The server's clock says that the lock was touched in the future: whatever ours says, it is not stale.
    second.rule(|_| Verdict::Shift(-3600));
    other.reconcile(&["apply", "--yes"]).exits(5);
    holding.kill().expect("it runs");
    holding.wait().expect("it ends");
    // It says that an hour has passed since.
    second.rule(|_| Verdict::Shift(3600));
    other.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!((deployments("clock").len(), locks("clock").len()), (2, 0));
}

#[test]
fn without_a_clock_no_lock_is_taken_over() {
    let proxy = Proxy::in_front_of(&server().url);
    let mut holding = holder(&project("timeless", &proxy.url), &proxy);
    holding.kill().expect("it runs");
    holding.wait().expect("it ends");
    let second = Proxy::in_front_of(&server().url);
    second.rule(|_| Verdict::Timeless);
    let other = project("timeless", &second.url).env("RECONCILE_TEST_LOCK_SECONDS", "1");
    sleep(Duration::from_secs(2));
    let told = other.reconcile(&["apply", "--yes"]).exits(5).stderr;
    assert!(told.contains("no `Date` header") && told.contains("delete the block"), "{told}");
    assert_eq!(locks("timeless").len(), 1);
}

fn deletes_lock(request: &Request, lock: &Value) -> bool {
    request.method == "DELETE" && request.path.ends_with(lock["id"].as_str().expect("an id"))
}

#[test]
fn a_holder_that_comes_back_to_life_keeps_its_lock() {
    let proxy = Proxy::in_front_of(&server().url);
    let mut holding = holder(&project("woken", &proxy.url), &proxy);
    holding.kill().expect("it runs");
    holding.wait().expect("it ends");
    let held = locks("woken")[0].clone();
    let second = Proxy::in_front_of(&server().url);
    let other = project("woken", &second.url);
    // An hour seems to have passed; when the lock is to be deleted its holder gives a sign of life, and the clock is right.
    let (woken, url, lock) = (std::sync::atomic::AtomicBool::new(false), server().url.clone(), held.clone());
    second.rule(move |request| {
        use std::sync::atomic::Ordering::Relaxed;
        if deletes_lock(request, &lock) && !woken.swap(true, Relaxed) {
            let path = format!("/block_documents/{}", lock["id"].as_str().expect("an id"));
            let mut data = lock["data"].clone();
            data["beat"] = json!(7);
            crate::support::http::Http::new(&url).patch(&path, json!({"data": data, "merge_existing_data": false}));
            return Verdict::Answer(503, "{}".to_owned());
        }
        if woken.load(Relaxed) { Verdict::Pass } else { Verdict::Shift(3600) }
    });
    other.reconcile(&["apply", "--yes"]).exits(5);
    assert_eq!(second.writes().iter().filter(|request| deletes_lock(request, &held)).count(), 1);
    assert_eq!(locks("woken")[0]["id"], held["id"]);
    assert_eq!(deployments("woken"), [] as [Value; 0]);
}

#[test]
fn who_takes_over_waits_until_the_holder_has_surely_stopped() {
    let proxy = Proxy::in_front_of(&server().url);
    let mut holding = holder(&project("waits", &proxy.url), &proxy);
    holding.kill().expect("it runs");
    holding.wait().expect("it ends");
    let held = locks("waits")[0].clone();
    let second = Proxy::in_front_of(&server().url);
    let other = project("waits", &second.url).env("RECONCILE_TEST_LOCK_SECONDS", "5");
    let times = std::sync::Arc::new(std::sync::Mutex::new((None, None)));
    let noted = std::sync::Arc::clone(&times);
    second.rule(move |request| {
        let mut times = noted.lock().expect("no panic");
        let is_lock = request.body.contains("\"beat\"");
        if deletes_lock(request, &held) {
            times.0 = Some(Instant::now());
        } else if times.0.is_some() && request.is_write() && !is_lock {
            times.1.get_or_insert_with(Instant::now);
        }
        Verdict::Shift(3600)
    });
    let output = other.reconcile(&["apply", "--yes"]).exits(0);
    let (deleted, wrote) = *times.lock().expect("no panic");
    let waited = wrote.expect("a write").duration_since(deleted.expect("a takeover"));
    assert!(waited >= Duration::from_secs(4), "{waited:?}");
    assert!(output.stderr.contains("took over a lock that was left behind; waiting 4 s"), "{}", output.stderr);
}

#[test]
fn who_lost_the_lock_stops_and_leaves_the_ledger_alone() {
    let proxy = Proxy::in_front_of(&server().url);
    let first = project("lost", &proxy.url);
    // While the deployments are made, somebody deletes the lock: nothing that comes after them may be written.
    let url = server().url.clone();
    proxy.rule(move |request| {
        if makes_deployment(request) {
            for lock in locks("lost") {
                let path = format!("/block_documents/{}", lock["id"].as_str().expect("an id"));
                crate::support::http::Http::new(&url).request("DELETE", &path, None);
            }
        }
        Verdict::Pass
    });
    let output = first.reconcile(&["apply", "--yes", "--json"]).exits(3);
    assert!(output.stderr.contains("the lock was lost"), "{}", output.stderr);
    let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let results: Vec<(&str, &str)> = report["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|change| (change["kind"].as_str().expect("a kind"), change["result"].as_str().expect("a result")))
        .collect();
    assert_eq!(results, [("deployment", "done"), ("deployment", "done"), ("automation", "skipped")]);
    let writes = proxy.writes();
    let last = writes.last().expect("writes");
    assert!(makes_deployment(last), "{last:?}");
    // What it made is found again.
    proxy.rule(|_| Verdict::Pass);
    first.reconcile(&["apply", "--yes"]).exits(0);
    first.reconcile(&["plan", "--detailed-exitcode"]).exits(0);
    assert_eq!(deployments("lost").len(), 2);
}

#[test]
fn the_lock_is_given_back_after_a_failure_and_after_an_interrupt() {
    let proxy = Proxy::in_front_of(&server().url);
    let project = project("back", &proxy.url);
    let refusal = json!({"detail": "no such luck"}).to_string();
    proxy.rule(move |r| if makes_deployment(r) { Verdict::Answer(409, refusal.clone()) } else { Verdict::Pass });
    project.reconcile(&["apply", "--yes"]).exits(1);
    assert_eq!(locks("back").len(), 0);

    // A request that takes its time, an interrupt meanwhile.
    proxy.rule(|r| {
        if makes_deployment(r) {
            sleep(Duration::from_secs(1));
        }
        Verdict::Pass
    });
    proxy.reset();
    let mut child = start(&project, &["apply", "--yes"]);
    eventually("a deployment is on its way", || proxy.requests().iter().find(|r| makes_deployment(r)).cloned());
    interrupt(&child);
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    stderr.read_line(&mut said).expect("a line");
    stderr.read_to_string(&mut said).expect("the rest");
    let output = ended(child).exits(130);
    assert!(said.contains("stopping after the requests under way"), "{said}");
    assert!(output.stdout.contains("interrupted before it began"), "{}", output.stdout);
    assert_eq!(locks("back").len(), 0);
    proxy.rule(|_| Verdict::Pass);
    project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(deployments("back").len(), 2);
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
}

#[test]
fn a_plan_that_was_confirmed_is_not_replaced_by_another() {
    let project = project("asked", &server().url);
    project.reconcile(&["apply", "--yes"]).exits(0);
    project.write("prefect.yaml", &declarations("second"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python/terminal.py");
    let ask = |meanwhile: &dyn Fn()| {
        let command = project.reconcile_command();
        let program = command.get_program().to_owned();
        let mut terminal = std::process::Command::new(crate::support::python());
        terminal.arg(script).arg(program).arg("apply").current_dir(project.path()).env_clear();
        terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut child =
            terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("a terminal");
        let mut said = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        while !said.contains("[y/N]") {
            assert_ne!(stdout.read_line(&mut said).expect("text"), 0, "{said}");
        }
        meanwhile();
        writeln!(child.stdin.as_mut().expect("piped"), "now").expect("it listens");
        stdout.read_to_string(&mut said).expect("text");
        (child.wait().expect("it ends").code(), said)
    };
    let id = deployments("asked")[0]["id"].as_str().expect("an id").to_owned();
    let edit = || drop(server().http().patch(&format!("/deployments/{id}"), json!({"description": "by hand"})));
    let (code, said) = ask(&edit);
    assert_eq!(code, Some(5), "{said}");
    assert_eq!(said.matches("sha256:").count(), 2, "{said}");
    assert_eq!((deployments("asked")[0]["description"].as_str(), locks("asked").len()), (Some("by hand"), 0));
    let (code, said) = ask(&|| ());
    assert_eq!(code, Some(0), "{said}");
    assert!(deployments("asked").iter().all(|row| row["description"] == "second"));
}

#[test]
fn what_templates_are_filled_with_is_that_of_when_the_lock_is_there() {
    let http = server().http();
    http.post("/variables/", json!({"name": "moves", "value": "then"}));
    let fill = |project: &Project| {
        let text =
            declarations("first").replace("- name: b\n", "- name: b\n  tags: ['{{ prefect.variables.moves }}']\n");
        project.write("prefect.yaml", &text);
    };
    let proxy = Proxy::in_front_of(&server().url);
    let first = project("fills", &proxy.url);
    fill(&first);
    let mut holding = holder(&first, &proxy);
    let looking = Proxy::in_front_of(&server().url);
    let second = project("fills", &looking.url);
    fill(&second);
    let waiting = start(&second, &["apply", "--yes", "--lock-timeout", "10m"]);
    let asks = |request: &&Request| request.method == "POST" && request.body.contains("\"beat\"");
    eventually("it asks for the lock", || looking.requests().iter().find(asks).cloned());
    // What was asked for a moment ago is not asked for again.
    sleep(Duration::from_secs(11));
    http.patch("/variables/name/moves", json!({"value": "now"}));
    holding.kill().expect("it runs");
    holding.wait().expect("it ends");
    http.delete(&format!("/block_documents/{}", locks("fills")[0]["id"].as_str().expect("an id")));
    let output = ended(waiting).exits(0);
    assert!(output.stderr.contains("the plan changed before the lock was ours"), "{}", output.stderr);
    let rows = deployments("fills");
    let tags = rows.iter().find(|row| row["name"] == "b").map(|row| row["tags"].clone());
    assert_eq!(tags, Some(json!(["now"])), "{rows:#?}");
}

#[test]
fn what_another_scope_owns_is_refused() {
    let owner = project("owner", &server().url);
    owner.reconcile(&["apply", "--yes"]).exits(0);
    let before = deployments("owner");
    let thief = project("owner", &server().url);
    thief.write("reconcile.yaml", "name: thief\n");
    thief.write("prefect.yaml", &declarations("stolen"));
    for command in [&["plan"][..], &["apply", "--yes"]] {
        let output = thief.reconcile(command).exits(4);
        for expected in ["E0410", "owner/a", "belongs to the scope `owner`", "prefect.yaml:2"] {
            assert!(output.stderr.contains(expected), "{expected}: {}", output.stderr);
        }
    }
    assert_eq!(deployments("owner"), before);
    assert_eq!(locks("thief").len(), 0);
}
