//! What Python said of a flow is remembered for as long as nothing that it rests on has changed.

use std::sync::{Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::proxy::Proxy;
use crate::support::server::Server;
use crate::support::workspace::Workspace;

/// Its default comes from another module and from a file of data; the analysis follows neither.
const FLOW: &str = "import json\nfrom pathlib import Path\n\nfrom helpers import number\nfrom prefect import flow\n\n\
                    WORD = json.loads(Path(__file__).with_name(\"data.json\").read_text())\n\n\n\
                    @flow\ndef remembered(word: str = WORD, number: int = number()):\n    pass\n";

fn manifest(name: &str, tag: &str) -> String {
    format!(
        "deployments:\n- name: {name}\n  entrypoint: src/flow.py:remembered\n  tags: [{tag}]\n  work_pool: {{name: \
         {name}}}\n"
    )
}

/// A project whose Python leaves a mark whenever it is started: `home/starts` has a byte for each.
struct Case {
    project: Project,
    server: &'static Server,
    name: &'static str,
    _turn: MutexGuard<'static, ()>,
}

impl Case {
    fn new(name: &'static str) -> Case {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let server = Server::shared();
        Workspace::of(&server.url).prepare(&[(name, json!("process"))], &[], &[]);
        let project = Project::new()
            .api(&server.url)
            .file("reconcile.yaml", &format!("name: {name}\nstep_env: [GRANTED]\n"))
            .file("src/flow.py", FLOW)
            .file("src/helpers.py", "def number():\n    return 7\n")
            .file("src/data.json", "\"one\"")
            .file("README.md", "words\n")
            .file("prefect.yaml", &manifest(name, "a"))
            .git_init(None);
        let case = Case { project, server, name, _turn: turn };
        case.install("3.8.8");
        case
    }

    /// An environment that looks like one with that Prefect; its program is that of the real one, with a mark left.
    fn install(&self, prefect: &str) {
        let site = self.project.home().join("venv/lib/python3.11/site-packages");
        let _ = std::fs::remove_dir_all(&site);
        std::fs::create_dir_all(site.join(format!("prefect-{prefect}.dist-info"))).unwrap();
        let (bin, starts) = (self.project.home().join("venv/bin"), self.project.home().join("starts"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(self.project.home().join("venv/pyvenv.cfg"), "version = 3.11.7\n").unwrap();
        let real = crate::support::python();
        let script = format!("#!/bin/sh\nprintf x >> '{}'\nexec '{}' \"$@\"\n", starts.display(), real.display());
        std::fs::write(bin.join("python"), script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(bin.join("python"), mode).unwrap();
    }

    fn starts(&self) -> usize {
        std::fs::read(self.project.home().join("starts")).map_or(0, |marks| marks.len())
    }

    fn run(&self, args: &[&str]) -> String {
        let python = self.project.home().join("venv/bin/python").display().to_string();
        self.project.reconcile(&[args, &["--python", &python]].concat()).exits(0).stdout
    }

    /// Applies; how often Python was started for it.
    fn apply(&self) -> usize {
        let before = self.starts();
        self.run(&["apply", "--yes"]);
        self.starts() - before
    }

    /// Whether a plan leaves something to be known at apply. It never starts Python.
    fn is_open(&self) -> bool {
        let before = self.starts();
        let plan = self.run(&["plan", "--json"]);
        assert_eq!(self.starts(), before);
        plan.contains("\"unknown\": \"at apply\"")
    }

    fn schema(&self) -> Value {
        let row = self.server.http().get(&format!("/deployments/name/remembered/{}", self.name));
        row["parameter_openapi_schema"]["properties"].clone()
    }

    /// What the ledger remembers, and the whole block.
    fn ledger(&self) -> (Value, Value) {
        let filter = json!({"block_types": {"slug": {"any_": ["reconcile-ledger"]}}, "include_secrets": true});
        let rows = self.server.http().post("/block_documents/filter", filter);
        let row = rows.as_array().unwrap().iter().find(|row| row["data"]["scope"] == self.name).unwrap().clone();
        (row["data"]["flows"].clone(), row)
    }
}

#[test]
fn python_is_asked_again_only_when_something_changed_that_the_answer_rests_on() {
    let case = Case::new("remembered-kept");
    let project = &case.project;
    assert!(case.is_open());
    assert_eq!(case.apply(), 1);
    assert_eq!(case.schema()["number"]["default"], 7);
    let flows = case.ledger().0;
    assert_eq!(
        flows["src/flow.py:remembered"]["files"],
        json!(["src/data.json", "src/flow.py", "src/helpers.py"]),
        "{flows}"
    );

    // Neither another commit nor another declaration matters.
    project.write("README.md", "other words\n");
    project.git_commit("words");
    assert!(!case.is_open());
    assert_eq!(case.apply(), 0);
    project.write("prefect.yaml", &manifest("remembered-kept", "b"));
    assert!(!case.is_open());
    assert_eq!(case.apply(), 0);

    // A module, a file of data, Prefect, and what was granted do.
    project.write("src/helpers.py", "def number():\n    return 8\n");
    assert!(case.is_open());
    assert_eq!(case.apply(), 1);
    assert_eq!(case.schema()["number"]["default"], 8);
    project.write("src/data.json", "\"two\"");
    assert!(case.is_open());
    assert_eq!(case.apply(), 1);
    assert_eq!(case.schema()["word"]["default"], "two");
    assert!(!case.is_open());
    case.install("3.8.9");
    assert!(case.is_open());
    case.install("3.8.8");
    assert!(!case.is_open());
    project.write("reconcile.yaml", "name: remembered-kept\nstep_env: [GRANTED, MORE]\n");
    assert!(case.is_open());
    project.write("reconcile.yaml", "name: remembered-kept\nstep_env: [GRANTED]\n");

    // A pass that has nothing to write writes nothing, remembered or not.
    project.write("src/helpers.py", "def number():\n    return 4 + 4\n");
    let proxy = Proxy::in_front_of(&case.server.url);
    case.run(&["apply", "--yes", "--api-url", &proxy.url]);
    assert_eq!(proxy.writes(), []);

    // What left git is forgotten with the next write.
    project.write("src/plain.py", "from prefect import flow\n\n@flow\ndef plain():\n    pass\n");
    project.write("prefect.yaml", &manifest("other", "b").replace("src/flow.py:remembered", "src/plain.py:plain"));
    let plain = project.path().join("prefect.yaml");
    let text = std::fs::read_to_string(&plain).unwrap().replace("{name: other}", "{name: remembered-kept}");
    std::fs::write(&plain, text).unwrap();
    case.apply();
    assert_eq!(case.ledger().0, json!({}));
}

#[test]
fn an_answer_that_rests_on_more_than_files_is_not_remembered() {
    let case = Case::new("remembered-not");
    let program = FLOW.replace("import json\n", "import json\nimport subprocess\n\nsubprocess.run([\"true\"])\n");
    case.project.write("src/flow.py", &program);
    assert_eq!(case.apply(), 1);
    assert_eq!(case.ledger().0, json!({}));
    assert_eq!(case.apply(), 1);
    let outside = case.project.home().join("data.json");
    std::fs::write(&outside, "\"far\"").unwrap();
    let far = FLOW.replace("Path(__file__).with_name(\"data.json\")", &format!("Path(\"{}\")", outside.display()));
    case.project.write("src/flow.py", &far);
    assert_eq!(case.apply(), 1);
    assert_eq!(case.schema()["word"]["default"], "far");
    assert_eq!(case.ledger().0, json!({}));
}
