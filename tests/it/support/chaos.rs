//! `Case`: one scope among many on one server, applied while something goes wrong, and compared with one that was
//! applied in peace.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};
use std::sync::{Condvar, Mutex};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Server;
use super::http::Http;
use super::project::{Output, Project};
use super::proxy::{Proxy, Request, Verdict};
use super::workspace::{Workspace, differences};

/// What the server must hold for [`Case`]: a pool, a variable and a block.
pub fn furnished() -> Server {
    let server = Server::start();
    prepare(&server.url);
    server
}

/// Gives a server what it must hold for [`Case`].
pub fn prepare(url: &str) {
    let block = json!({"value": "of a block"});
    let workspace = Workspace::of(url);
    let pool = json!({"type": "process", "name": "local"});
    workspace.prepare(&[("local", pool)], &[("team", json!("of-a-variable"))], &[("secret/fire", block)]);
}

/// Whether the whole grid of faults is asked for, not its diagonal: `RECONCILE_TEST_FULL=1`.
pub fn is_full() -> bool {
    std::env::var_os("RECONCILE_TEST_FULL").is_some_and(|value| value == "1")
}

/// A value that must never be seen.
pub const CANARY: &str = "canary-7f3a9e";

/// One scope with a server before it that may misbehave.
pub struct Case {
    pub name: String,
    pub project: Project,
    pub proxy: Proxy,
    server: String,
}

impl Case {
    /// A scope with nothing applied yet. A lock is stale after `seconds`.
    pub fn new(server: &str, name: &str, seconds: &str) -> Case {
        let proxy = Proxy::in_front_of(server);
        let project = Project::new()
            .file("reconcile.yaml", &format!("name: {name}\n"))
            .file(
                "flow.py",
                &format!("from prefect import flow\n\n@flow(name=\"{name}\")\ndef f(x: str = \"\"):\n    pass\n"),
            )
            .file("prefect.yaml", &first(name))
            .api(&proxy.url)
            .env("RECONCILE_TEST_LOCK_SECONDS", seconds)
            .with_python();
        Case { name: name.to_owned(), project, proxy, server: server.to_owned() }
    }

    /// The repository changes: everything that can be changed, added and removed in place is.
    pub fn change(&self) {
        self.project.write("prefect.yaml", &second(&self.name));
    }

    /// Its server is now at `url`.
    pub fn moves_to(&mut self, url: &str) {
        self.proxy.moves_to(url);
        self.server = url.to_owned();
    }

    /// Starts the program.
    pub fn start(&self, args: &[&str]) -> Child {
        let mut command = self.project.reconcile_command();
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// What the server holds of it, in words that are the same for every case.
    pub fn state(&self) -> Value {
        let mut state = Workspace::of(&self.server).state_of(&self.name);
        let directory = self.project.path().display().to_string();
        let own = [(directory.as_str(), "<directory>"), (self.name.as_str(), "<name>")];
        let text = own.iter().fold(state.to_string(), |text, (ours, word)| text.replace(ours, word));
        state = serde_json::from_str(&text).unwrap();
        state["owned"] = json!(self.owned());
        state
    }

    /// The keys that its ledger owns, and those that are pending.
    fn owned(&self) -> Vec<String> {
        let filter = json!({"block_types": {"slug": {"any_": ["reconcile-ledger"]}}});
        let rows = Http::new(&self.server).post("/block_documents/filter", filter);
        let ours = rows.as_array().into_iter().flatten().find(|row| row["data"]["scope"] == self.name.as_str());
        let data = ours.map(|row| row["data"].clone()).unwrap_or_default();
        let owned = data["owned"].as_object().into_iter().flatten().map(|(key, _)| key.clone());
        let pending = data["pending"].as_array().into_iter().flatten();
        let pending = pending.map(|key| format!("pending {}", key.as_str().unwrap()));
        let mut all: Vec<String> = owned.chain(pending).map(|key| key.replace(&self.name, "<name>")).collect();
        all.sort();
        all
    }

    /// Panics unless it holds the same as one that was applied in peace.
    #[track_caller]
    pub fn equals(&self, peaceful: &Value) {
        let mut state = self.state();
        let there = objects(&state);
        // What is gone while its end could not be recorded is forgotten when the ledger is next saved, by design.
        let is_gone = |entry: &str| {
            let (kind, name) = entry.trim_start_matches("pending ").split_once(' ').unwrap();
            !there.contains_key(&format!("{kind} {}", name.rsplit('/').next().unwrap()))
        };
        let meant = peaceful["owned"].as_array().unwrap();
        let owned = state["owned"].as_array_mut().unwrap();
        owned.retain(|entry| meant.contains(entry) || !is_gone(entry.as_str().unwrap()));
        let found = differences(peaceful, &state);
        assert!(found.is_empty(), "{}: {found:#?}", self.name);
    }

    /// The repository is as it was at first.
    pub fn change_back(&self) {
        self.project.write("prefect.yaml", &first(&self.name));
    }

    /// What there is of it, by kind and last name: `deployment a`.
    pub fn objects(&self) -> BTreeMap<String, Value> {
        objects(&self.state())
    }

    /// Runs the program and holds its report to what the server has: `before` is what there was, `goal` what is to be.
    #[track_caller]
    pub fn runs_truly(&self, args: &[&str], goal: &Value) -> Output {
        let before = self.objects();
        let output = self.project.reconcile(args);
        self.is_true(&output, &before, goal);
        output
    }

    /// Panics unless a report says what is: what is done is as it should be, and what was skipped as it was before.
    #[track_caller]
    pub fn is_true(&self, output: &Output, before: &BTreeMap<String, Value>, goal: &Value) {
        let name = &self.name;
        assert!(matches!(output.code, 0 | 1 | 3 | 5), "{name}: {output:?}");
        assert!(!output.stderr.contains(CANARY), "{name}: {output:?}");
        let report: Value =
            serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {output:?}"));
        let schema = report_schema();
        let errors: Vec<String> = schema.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}: {report:#}");
        let (now, goal) = (self.objects(), objects(goal));
        let mut told = BTreeSet::new();
        let (mut done, mut open) = (0, 0);
        for change in report["changes"].as_array().into_iter().flatten() {
            let last = change["name"].as_str().unwrap().rsplit('/').next().unwrap().replace(name, "<name>");
            let object = format!("{} {last}", change["kind"].as_str().unwrap());
            let (was, is, will) = (before.get(&object), now.get(&object), goal.get(&object));
            match change["result"].as_str().unwrap_or_else(|| panic!("{name}: {object}: no result: {output:?}")) {
                "done" => assert_eq!(is, will, "{name}: {object} is not done: {output:?}"),
                "skipped" => assert_eq!(is, was, "{name}: {object} was not skipped: {output:?}"),
                // Some of it may be in.
                "failed" => {}
                other => panic!("{name}: {object} is {other}"),
            }
            let is_done = change["result"] == "done";
            assert!(is_done != change["error"].as_str().is_some_and(|why| !why.is_empty()), "{name}: {change:#}");
            *(if is_done { &mut done } else { &mut open }) += 1;
            told.insert(object);
        }
        let all: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        for object in all.into_iter().filter(|object| !told.contains(*object)) {
            assert_eq!(before.get(object), now.get(object), "{name}: {object} is not in the report: {output:?}");
        }
        match (output.code, report["error"].is_object()) {
            (0, _) => assert_eq!((open, &report["error"]), (0, &Value::Null), "{name}: {output:?}"),
            (3, false) => assert!(done > 0 && open > 0, "{name}: {output:?}"),
            (3, true) => {}
            (1, false) => assert!(done == 0 && open > 0, "{name}: {output:?}"),
            (_, said) => assert!(said && done == 0, "{name}: {output:?}"),
        }
    }

    /// Applies, truly reporting each time, until it succeeds, `most` times at most; says how many it took. Then
    /// everything is as it should be, nothing is doubled, and one more apply writes nothing.
    #[track_caller]
    pub fn comes_through(&self, args: &[&str], goal: &Value, most: usize) -> usize {
        let took = (1..=most).find(|_| self.runs_truly(args, goal).code == 0);
        let took = took.unwrap_or_else(|| panic!("{}: {most} applies do not do", self.name));
        self.settles(args, goal);
        took
    }

    /// Everything is as it should be, and one more apply in peace writes nothing.
    #[track_caller]
    pub fn settles(&self, args: &[&str], goal: &Value) {
        self.proxy.rule(|_| Verdict::Pass);
        self.equals(goal);
        self.proxy.reset();
        self.project.reconcile(args).exits(0);
        assert_eq!(self.proxy.writes(), [], "{}", self.name);
    }

    /// Waits until a request satisfies `test`; false if the program ends before.
    pub fn reaches(&self, child: &mut Child, test: impl Fn(&Request) -> bool) -> bool {
        let began = Instant::now();
        loop {
            if self.proxy.requests().iter().any(&test) {
                return true;
            }
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if began.elapsed() > Duration::from_secs(600) {
                let requests = self.proxy.requests();
                let last: Vec<String> = requests.iter().rev().take(12).map(|r| format!("{r:?}")).collect();
                panic!("{}: it hangs; the last requests: {last:#?}", self.name);
            }
            sleep(Duration::from_millis(5));
        }
    }
}

/// Waits for the end of a program.
pub fn ended(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Output { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What machines are promised of reports.
fn report_schema() -> jsonschema::Validator {
    jsonschema::draft202012::new(&reconcile::report::schema::report()).unwrap()
}

/// The objects of a state. Two of one name are two.
fn objects(state: &Value) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for (name, deployment) in state["deployments"].as_object().into_iter().flatten() {
        all.insert(format!("deployment {name}"), deployment.clone());
    }
    for automation in state["automations"].as_array().into_iter().flatten() {
        let mut key = format!("automation {}", automation["name"].as_str().unwrap());
        while all.contains_key(&key) {
            key.push_str(" again");
        }
        all.insert(key, automation.clone());
    }
    all
}

/// The states of a scope that nothing befell: as first applied, and after the change.
pub fn peaceful(server: &str, name: &str) -> (Value, Value) {
    let case = Case::new(server, name, "30");
    case.project.reconcile(&["apply", "--yes"]).exits(0);
    let first = case.state();
    case.change();
    case.project.reconcile(&["apply", "--yes"]).exits(0);
    let second = case.state();
    assert_eq!(first["rows"], 2, "{first:#}");
    assert!(!differences(&first, &second).is_empty());
    (first, second)
}

/// What a request does: its method and path without ids, and whether a block document is our lock or our ledger.
pub fn kind(request: &Request) -> String {
    let path = request.path.split('?').next().unwrap_or_default();
    let named = |part: &str| if part.len() == 36 && part.contains('-') { "ID".to_owned() } else { part.to_owned() };
    let path: Vec<String> = path.trim_start_matches("/api").split('/').map(named).collect();
    let whose = match &request.body {
        body if body.contains("\"beat\"") => " lock",
        body if body.contains("\"digest_key\"") => " ledger",
        _ => "",
    };
    format!("{} {}{whose}", request.method, path.join("/"))
}

/// A sign of life: it comes when it comes.
pub fn is_beat(request: &Request) -> bool {
    request.method == "PATCH" && request.body.contains("\"beat\"")
}

/// Runs all, a few at a time, and tells of every one that panics. More at once would only wait for the database.
pub fn each<T: Sync>(all: &[T], run: impl Fn(&T) + Sync) {
    const AT_ONCE: usize = 3;
    let (free, freed) = (Mutex::new(AT_ONCE), Condvar::new());
    scope(|scope| {
        for one in all {
            let mut left = freed.wait_while(free.lock().unwrap(), |left| *left == 0).unwrap();
            *left -= 1;
            let (run, free, freed) = (&run, &free, &freed);
            scope.spawn(move || {
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(one)));
                *free.lock().unwrap() += 1;
                freed.notify_one();
                ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            });
        }
    });
}

/// Says yes once for every word.
#[derive(Default)]
pub struct Once(Mutex<BTreeSet<String>>);

impl Once {
    pub fn first(&self, word: &str) -> bool {
        self.0.lock().unwrap().insert(word.to_owned())
    }
}

fn first(name: &str) -> String {
    format!(
        "deployments:\n\
         - name: a\n  entrypoint: flow.py:f\n  description: first\n  version: one\n  parameters: {{x: {CANARY}}}\n  \
           work_pool: {{name: local, job_variables: {{env: {{TOKEN: {CANARY}}}}}}}\n  \
           schedules:\n  - {{cron: 0 6 * * *, slug: daily}}\n  - {{interval: 3600, slug: hourly}}\n  \
           triggers:\n  - {{type: event, expect: [x.y], name: {name}-one}}\n  \
           - {{type: event, expect: [x.z], name: {name}-two}}\n\
         - name: b\n  entrypoint: flow.py:f\n  description: first\n  version: one\n  \
           tags: [\"{{{{ prefect.variables.team }}}}\", \"{{{{ built.stdout }}}}\"]\n  \
           parameters: {{x: \"{{{{ prefect.blocks.secret.fire }}}}\"}}\n  \
           build: [{{prefect.deployments.steps.run_shell_script: {{id: built, script: echo first}}}}]\n  \
           work_pool: {{name: local}}\n"
    )
}

fn second(name: &str) -> String {
    format!(
        "deployments:\n\
         - name: a\n  entrypoint: flow.py:f\n  description: second\n  version: two\n  parameters: {{x: {CANARY}}}\n  \
           work_pool: {{name: local, job_variables: {{env: {{TOKEN: {CANARY}}}}}}}\n  \
           schedules:\n  - {{cron: 0 7 * * *, slug: daily}}\n  - {{cron: 0 8 * * 1, slug: weekly}}\n  \
           triggers:\n  - {{type: event, expect: [x.changed], name: {name}-one}}\n  \
           - {{type: event, expect: [x.new], name: {name}-three}}\n\
         - name: b\n  entrypoint: flow.py:f\n  description: second\n  version: two\n  \
           tags: [\"{{{{ prefect.variables.team }}}}\", \"{{{{ built.stdout }}}}\"]\n  \
           parameters: {{x: \"{{{{ prefect.blocks.secret.fire }}}}\"}}\n  \
           build: [{{prefect.deployments.steps.run_shell_script: {{id: built, script: echo second}}}}]\n  \
           work_pool: {{name: local}}\n"
    )
}
