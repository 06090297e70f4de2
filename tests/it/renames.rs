//! `lifecycle.replaces`: a deployment under a new name keeps what git does not declare, and the old one goes.

use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::proxy::{Proxy, Verdict};
use crate::support::server::Server;
use crate::support::workspace::Workspace;

/// A project of one flow on the shared server.
struct Case {
    server: &'static Server,
    project: Project,
    flow: &'static str,
}

impl Case {
    fn new(flow: &'static str) -> Case {
        let server = Server::shared();
        Workspace::of(&server.url).prepare(&[(flow, json!("process"))], &[], &[]);
        let text =
            format!("from prefect import flow\n\n\n@flow(name=\"{flow}\")\ndef f(a: int = 1, b: int = 2):\n    pass\n");
        let project =
            Project::new().api(&server.url).file("flow.py", &text).file("reconcile.yaml", &format!("name: {flow}\n"));
        Case { server, project, flow }
    }

    fn declare(&self, deployments: &[(&str, &str)]) -> &Case {
        let one = |(name, more): &(&str, &str)| {
            format!("- {{name: {name}, entrypoint: \"flow.py:f\", work_pool: {{name: {}}}{more}}}\n", self.flow)
        };
        let all: String = deployments.iter().map(one).collect();
        self.project.write("prefect.yaml", &format!("deployments:\n{all}"));
        self
    }

    fn plan(&self) -> Value {
        serde_json::from_str(&self.project.reconcile(&["plan", "--json"]).exits(0).stdout).unwrap()
    }

    /// Applies; the next pass then finds nothing to do.
    fn apply(&self) {
        self.project.reconcile(&["apply", "--yes"]).exits(0);
        let proxy = Proxy::in_front_of(&self.server.url);
        self.project.reconcile(&["apply", "--yes", "--api-url", &proxy.url]).exits(0);
        assert_eq!(proxy.writes(), []);
    }

    fn read(&self, name: &str) -> Option<Value> {
        let answer = self.server.http().request("GET", &format!("/deployments/name/{}/{name}", self.flow), None);
        (answer.status == 200).then_some(answer.body)
    }

    fn automations(&self) -> Vec<Value> {
        let all = self.server.http().all("automations").into_iter();
        all.filter(|found| found["name"].as_str().unwrap().starts_with(self.flow)).collect()
    }
}

#[test]
fn the_new_one_is_as_the_old_one_would_have_become() {
    let case = Case::new("renamed");
    let http = case.server.http();
    let more = ", tags: [x], parameters: {a: 5}, schedules: [{cron: \"0 1 * * *\", slug: s}], triggers: [{name: renamed-t, expect: [x]}]";
    case.declare(&[("old", more)]).apply();
    let old = case.read("old").unwrap();
    let path = format!("/deployments/{}", old["id"].as_str().unwrap());
    // What somebody did in the web interface.
    http.patch(&path, json!({"paused": true, "parameters": {"a": 5, "b": 9}, "concurrency_limit": 3}));
    http.post(
        &format!("{path}/schedules"),
        json!([{"schedule": {"interval": 60}, "active": false, "slug": "by-hand"}]),
    );
    let automation = case.automations()[0]["id"].as_str().unwrap().to_owned();
    http.patch(&format!("/automations/{automation}"), json!({"enabled": false}));

    let changed = more.replace("tags: [x]", "tags: [y]") + ", lifecycle: {replaces: old}";
    case.declare(&[("new", &changed)]);
    let plan = case.plan();
    let change = plan["changes"].as_array().unwrap().iter().find(|change| change["kind"] == "deployment").unwrap();
    assert_eq!((&change["action"], &change["name"]), (&json!("replace"), &json!("renamed/new")));
    let fields: Vec<&str> = change["fields"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
    assert_eq!(fields, ["name", "tags"], "{plan}");
    assert!(change["impact"].to_string().contains("`renamed/old` is deleted"), "{plan}");
    assert_eq!((&plan["summary"]["replace"], &plan["held"]), (&json!(1), &json!([])));
    case.apply();

    let new = case.read("new").unwrap();
    assert_eq!(case.read("old"), None);
    assert_eq!((&new["paused"], &new["tags"]), (&json!(true), &json!(["y"])));
    assert_eq!(new["parameters"], json!({"a": 5, "b": 9}));
    assert_eq!(new["global_concurrency_limit"]["limit"], 3);
    let mut slugs: Vec<(String, bool)> = new["schedules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (s["slug"].as_str().unwrap().to_owned(), s["active"].as_bool().unwrap()))
        .collect();
    slugs.sort();
    assert_eq!(slugs, [("by-hand".to_owned(), false), ("s".to_owned(), true)]);
    let automations = case.automations();
    assert_eq!(automations.len(), 1, "{automations:?}");
    assert_eq!(automations[0]["enabled"], false);
    assert_eq!(automations[0]["actions"][0]["deployment_id"], new["id"]);
}

#[test]
fn without_an_old_one_it_is_a_plain_create_and_strangers_stay() {
    let case = Case::new("renamed-not");
    case.declare(&[("new", ", lifecycle: {replaces: old}")]);
    assert_eq!(case.plan()["changes"][0]["action"], "create");
    case.apply();
    let id = case.read("new").unwrap()["id"].clone();
    // Somebody else uses the old name later.
    let flow = case.read("new").unwrap()["flow_id"].clone();
    case.server.http().post("/deployments/", json!({"name": "old", "flow_id": flow}));
    let refused = case.project.reconcile(&["plan"]).exits(4);
    assert!(refused.stderr.contains("E0416"), "{}", refused.stderr);
    case.declare(&[("new", ", lifecycle: {replaces: old, adopt: true}")]).apply();
    assert_eq!(case.read("old"), None);
    assert_eq!(case.read("new").unwrap()["id"], id);
}

#[test]
fn contradictions_are_refused() {
    let case = Case::new("renamed-wrong");
    let of = |old: &str| format!(", lifecycle: {{replaces: {old}}}");
    let wrong =
        [vec![("a", of("a"))], vec![("a", of("z")), ("b", of("z"))], vec![("a", of("b")), ("b", String::new())]];
    for deployments in &wrong {
        let deployments: Vec<(&str, &str)> = deployments.iter().map(|(name, more)| (*name, more.as_str())).collect();
        case.declare(&deployments);
        let refused = case.project.reconcile(&["plan"]).exits(4);
        assert!(refused.stderr.contains("E0415"), "{deployments:?}: {}", refused.stderr);
    }
    // The old one is declared, and not selected.
    let refused = case.project.reconcile(&["plan", "-n", "a"]).exits(4);
    assert!(refused.stderr.contains("E0415"), "{}", refused.stderr);
    for value in ["7", "flow/name", "\"\""] {
        case.declare(&[("a", &of(value))]);
        let refused = case.project.reconcile(&["plan"]).exits(4);
        assert!(refused.stderr.contains("E0152"), "{}", refused.stderr);
    }
}

#[test]
fn what_runs_is_waited_for_and_a_pass_that_ends_between_is_finished_by_the_next() {
    let case = Case::new("renamed-busy");
    let http = case.server.http();
    case.declare(&[("old", "")]).apply();
    let old = case.read("old").unwrap()["id"].as_str().unwrap().to_owned();
    let run = http.post(&format!("/deployments/{old}/create_flow_run"), json!({}));
    let set = |kind: &str| {
        let path = format!("/flow_runs/{}/set_state", run["id"].as_str().unwrap());
        http.post(&path, json!({"state": {"type": kind}, "force": true}))
    };
    set("RUNNING");
    case.declare(&[("new", ", lifecycle: {replaces: old}")]);
    let plan = case.plan();
    assert_eq!((&plan["changes"], &plan["held"][0]["action"]), (&json!([]), &json!("replace")), "{plan}");
    assert!(plan["held"][0]["reason"].as_str().unwrap().contains("1 run is under way"), "{plan}");
    case.apply();
    assert!(case.read("new").is_none() && case.read("old").is_some());
    set("COMPLETED");

    // The deletion fails once: both are there, and the next pass finishes.
    let proxy = Proxy::in_front_of(&case.server.url);
    proxy.rule(|request| match request.method.as_str() {
        "DELETE" if request.path.contains("/deployments/") => Verdict::Answer(403, "{}".into()),
        _ => Verdict::Pass,
    });
    case.project.reconcile(&["apply", "--yes", "--api-url", &proxy.url]).exits(1);
    let new = case.read("new").unwrap()["id"].clone();
    assert!(case.read("old").is_some());
    assert_eq!(case.plan()["changes"][0]["action"], "replace");
    case.apply();
    assert_eq!((case.read("old"), &case.read("new").unwrap()["id"]), (None, &new));
    // What ran before is still there.
    assert_eq!(http.get(&format!("/flow_runs/{}", run["id"].as_str().unwrap()))["state"]["type"], "COMPLETED");
}
