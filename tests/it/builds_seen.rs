//! A build runs again when something changed that it sees, and only then.

use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::proxy::Proxy;
use crate::support::server::Server;
use crate::support::workspace::Workspace;

/// A project whose build in `app` leaves a mark in the home directory whenever it runs.
struct Case {
    project: Project,
    server: &'static Server,
    name: String,
}

impl Case {
    fn new(name: &str, script: &str) -> Case {
        let server = Server::shared();
        Workspace::of(&server.url).prepare(&[(name, json!("process"))], &[], &[]);
        let project = Project::new()
            .api(&server.url)
            .file("reconcile.yaml", &format!("name: {name}\n"))
            .file(
                "app/flow.py",
                &format!("from prefect import flow\n\n@flow(name=\"{name}\")\ndef built():\n    pass\n"),
            )
            .file("app/note.txt", "one")
            .file("app/tag.sh", "git rev-parse HEAD\n")
            .file("shared/note.txt", "far")
            .file("README.md", "words\n")
            .file("app/prefect.yaml", &manifest(name, script))
            .git_init(None);
        Case { project, server, name: name.to_owned() }
    }

    fn runs(&self) -> usize {
        std::fs::read(self.project.home().join("ran")).map_or(0, |marks| marks.len())
    }

    /// Commits, and applies: whether the plan left something to the build, and whether the build ran.
    fn commit_and_apply(&self) -> (bool, bool) {
        self.project.git_commit("more");
        let open = self.is_open("OTHER", "1");
        let before = self.runs();
        self.project.reconcile(&["apply", "--yes"]).exits(0);
        (open, self.runs() > before)
    }

    /// The same with a step in Python that leaves the same mark and whose output is made of all that it may see.
    fn of_own_step(name: &str) -> Case {
        let Case { project, server, name } = Case::new(name, "");
        let case = Case { project: project.with_python(), server, name };
        let name = &case.name;
        case.project.write("reconcile.yaml", &format!("name: {name}\nstep_env: [STAMP]\n"));
        case.project.write(
            "app/my_steps.py",
            "import os\n\n\ndef tag():\n    with open(os.path.expanduser('~/ran'), 'a') as ran:\n        ran.write('x')\n    \
             return {'stdout': open('../shared/note.txt').read() + os.environ.get('STAMP', '')}\n",
        );
        let yaml = manifest(name, "");
        let (_, rest) = yaml.split_once("deployments:").unwrap();
        case.project.write("app/prefect.yaml", &format!("build:\n- my_steps.tag: {{id: note}}\ndeployments:{rest}"));
        case
    }

    /// Whether a plan leaves something to the build when the environment has this.
    fn is_open(&self, name: &str, value: &str) -> bool {
        let plan = self.project.reconcile_command().env(name, value).args(["plan", "--json"]).output().unwrap();
        assert!(plan.status.success(), "{plan:?}");
        String::from_utf8_lossy(&plan.stdout).contains("\"unknown\": \"after build\"")
    }

    fn note(&self) -> Value {
        self.server.http().get(&format!("/deployments/name/{0}/{0}", self.name))["job_variables"]["env"]["NOTE"].clone()
    }
}

fn manifest(name: &str, script: &str) -> String {
    format!(
        "build:\n- prefect.deployments.steps.run_shell_script:\n    id: note\n    \
         script: sh -c 'printf x >> $HOME/ran; {script}'\n\
         deployments:\n- name: {name}\n  entrypoint: flow.py:built\n  work_pool:\n    name: {name}\n    \
         job_variables: {{env: {{NOTE: \"{{{{ note.stdout }}}}\"}}}}\n"
    )
}

const SEEN: (bool, bool) = (true, true);
const UNSEEN: (bool, bool) = (false, false);

#[test]
fn a_commit_that_changes_nothing_a_build_sees_does_not_run_it() {
    let case = Case::new("seen-files", "cat note.txt");
    assert_eq!(case.commit_and_apply(), (true, true), "the first time");
    assert_eq!(case.note(), "one");
    case.project.write("README.md", "other words\n");
    case.project.write("shared/note.txt", "farther");
    assert_eq!(case.commit_and_apply(), UNSEEN);
    // Nothing to do, and nothing is written.
    let proxy = Proxy::in_front_of(&case.server.url);
    case.project.reconcile(&["apply", "--yes", "--api-url", &proxy.url]).exits(0);
    assert_eq!(proxy.writes(), []);
    case.project.write("app/note.txt", "two");
    assert_eq!(case.commit_and_apply(), SEEN);
    assert_eq!(case.note(), "two");
    // A variable that the script names, and one that it does not.
    assert!(case.is_open("HOME", &case.project.path().display().to_string()));
    assert!(!case.is_open("STAMP", "1"));
}

#[test]
fn a_step_of_ones_own_runs_again_whatever_it_looks_at() {
    let case = Case::of_own_step("seen-own");
    assert_eq!(case.commit_and_apply(), SEEN);
    assert_eq!(case.note(), "far");
    let again = case.runs();
    case.project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(case.runs(), again, "nothing changed");
    assert!(case.is_open("STAMP", "1") && !case.is_open("OTHER", "1"), "a variable that `step_env` grants");
    case.project.write("shared/note.txt", "farther");
    assert!(case.is_open("OTHER", "1"), "a file elsewhere");
    assert_eq!(case.commit_and_apply(), SEEN);
    assert_eq!(case.note(), "farther");
    case.project.git_commit("nothing but a commit");
    assert!(case.is_open("OTHER", "1"), "it may ask git");
}

#[test]
fn a_build_that_asks_git_or_looks_around_runs_again() {
    for (name, script) in [("seen-commit", "git rev-parse HEAD"), ("seen-script", "sh ./tag.sh")] {
        let case = Case::new(name, script);
        assert_eq!(case.commit_and_apply(), SEEN);
        case.project.write("README.md", "other words\n");
        assert_eq!(case.commit_and_apply(), SEEN, "{name}");
        assert_eq!(case.note(), case.project.git(&["rev-parse", "HEAD"]).trim());
    }
    let case = Case::new("seen-around", "cat ../shared/note.txt");
    assert_eq!(case.commit_and_apply(), SEEN);
    case.project.write("shared/note.txt", "farther");
    assert_eq!(case.commit_and_apply(), SEEN);
    assert_eq!(case.note(), "farther");
}
