//! A workspace of every kind, from its first apply to its end: made, found equal, put back, held, pruned, destroyed.

use serde_json::{Value, json};

use crate::support::http::Http;
use crate::support::project::{Output, Project};
use crate::support::proxy::Proxy;
use crate::support::server::Server;

pub const CANARIES: [&str; 3] = ["canary-of-the-environment", "canary-of-a-file", "canary-in-plain-text"];

const BLOCKS: &str = r#"
blocks:
  - type: aws-credentials
    name: prod
    data:
      aws_access_key_id: "{{ $ACCESS_KEY }}"
      aws_secret_access_key: { from_env: SECRET_KEY }
  - type: s3-bucket
    name: flows
    data: { bucket_name: my-flows, credentials: { block: aws-credentials/prod } }
  - type: slack-webhook
    name: ops
    data: { url: { from_file: secrets/slack } }
  - type: warehouse
    name: main
    data: { host: db, password: canary-in-plain-text }
block_types:
  - slug: warehouse
    name: Warehouse
    fields:
      type: object
      title: Warehouse
      properties: { host: { type: string, title: Host }, password: { type: string, title: Password } }
      required: [host]
    secret_fields: [password]
"#;

pub const REST: &str = r#"
variables:
  - { name: region, value: eu-west-1, tags: [infra] }
  - { name: settings, value: { a: 1, b: [1, 2] } }
work_pools:
  - name: k8s
    type: kubernetes
    concurrency_limit: 50
    base_job_template: { default: true, patch: { variables.properties.namespace.default: flows } }
    storage: { s3: { bucket: my-flows, credentials: { block: aws-credentials/prod } } }
    queues: [{ name: urgent, priority: 1, concurrency_limit: 10 }, { name: slow, priority: 5 }]
  - { name: local, type: process }
concurrency_limits: [{ name: db, limit: 5, slot_decay_per_second: 0.5 }]
tag_concurrency_limits: [{ tag: heavy, limit: 3 }]
automations:
  - name: again
    trigger:
      type: event
      posture: Reactive
      expect: [prefect.flow-run.Failed]
      match_related: { deployment: hello/nightly }
      threshold: 2
      within: 60
    actions:
      - { type: run-deployment, deployment: hello/nightly, parameters: { x: "{{ event.id }}" } }
      - { type: pause-work-queue, work_queue: k8s/urgent }
      - { type: send-notification, block: slack-webhook/ops, subject: "{{ flow.name }}", body: b }
"#;

pub const DEPLOYMENT: &str = r#"
deployments:
  - name: nightly
    entrypoint: flow.py:hello
    work_pool: { name: local }
    parameters: { x: "{{ prefect.variables.region }}" }
"#;

/// The kinds, with the paths that list them.
const LISTS: [&str; 6] =
    ["variables", "work_pools", "block_documents", "v2/concurrency_limits", "automations", "deployments"];

/// A server of its own and a project with an object of every kind.
pub struct Bench {
    pub server: Server,
    pub project: Project,
}

impl Bench {
    pub fn new() -> Bench {
        let server = Server::start_with(&[("PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED", "false")]);
        let project = Project::new()
            .api(&server.url)
            .env("ACCESS_KEY", "AK")
            .env("SECRET_KEY", CANARIES[0])
            .file("reconcile.yaml", "name: everything\n")
            .file("flow.py", "from prefect import flow\n\n\n@flow\ndef hello(x: str = \"a\"):\n    pass\n")
            .file("secrets/slack", &format!("https://example.org/{}\n", CANARIES[1]))
            .file("prefect.yaml", DEPLOYMENT)
            .file("blocks.yaml", BLOCKS)
            .file("rest.reconcile.yaml", REST);
        Bench { server, project }
    }

    pub fn http(&self) -> Http {
        self.server.http()
    }

    /// Runs it; nothing that it prints gives a secret away.
    #[track_caller]
    pub fn run(&self, args: &[&str], code: i32) -> Output {
        let output = self.project.reconcile(args).exits(code);
        for canary in CANARIES {
            assert!(!output.stdout.contains(canary) && !output.stderr.contains(canary), "{canary}: {output:?}");
        }
        output
    }

    /// The plan as data.
    #[track_caller]
    pub fn plan(&self, args: &[&str]) -> Value {
        let args = [&["plan", "--json"], args].concat();
        serde_json::from_str(&self.run(&args, 0).stdout).unwrap()
    }

    #[track_caller]
    pub fn writes_nothing(&self) {
        let proxy = Proxy::in_front_of(&self.server.url);
        self.run(&["apply", "--yes", "--api-url", &proxy.url], 0);
        assert_eq!(proxy.writes(), []);
    }

    pub fn rows(&self, kind: &str) -> Vec<Value> {
        let rows = self.http().post(&format!("/{kind}/filter"), json!({ "limit": 200 }));
        let all = rows.as_array().unwrap().iter();
        // What is reconcile's own, and what the server keeps for tags, is not the workspace's.
        let own = |row: &&Value| {
            row["block_type"]["slug"].as_str().is_some_and(|slug| slug.starts_with("reconcile-"))
                || row["name"].as_str().is_some_and(|name| name.starts_with("tag:"))
        };
        all.filter(|row| !own(row)).cloned().collect()
    }

    /// The documents that reconcile keeps for itself.
    pub fn bookkeeping(&self) -> Vec<Value> {
        let slugs = ["reconcile-ledger", "reconcile-lock"];
        let filter = json!({"include_secrets": true, "block_types": {"slug": {"any_": slugs}}});
        self.http().post("/block_documents/filter", filter).as_array().unwrap().clone()
    }

    pub fn counts(&self) -> Vec<usize> {
        LISTS.iter().map(|kind| self.rows(kind).len()).collect()
    }
}

/// What a plan does, as `action kind name`.
pub fn told(plan: &Value) -> Vec<String> {
    let all = plan["changes"].as_array().unwrap().iter();
    all.map(|change| {
        let word = |key: &str| change[key].as_str().unwrap().to_owned();
        format!("{} {} {}", word("action"), word("kind"), word("name"))
    })
    .collect()
}

#[test]
fn every_kind_lives_and_ends() {
    let bench = Bench::new();
    bench.run(&["validate"], 0);
    let before = bench.counts();
    bench.run(&["apply", "--yes"], 0);
    // Five blocks: the pool's storage brings one for results.
    assert_eq!(bench.counts(), [2, 2, 5, 1, 1, 1]);
    bench.writes_nothing();

    // Changed by hand, put back.
    let http = bench.http();
    http.patch("/variables/name/region", json!({"value": "elsewhere"}));
    http.patch("/work_pools/k8s", json!({"concurrency_limit": 7, "is_paused": true}));
    http.patch("/work_pools/k8s/queues/slow", json!({"priority": 9}));
    http.delete("/concurrency_limits/tag/heavy");
    let block = bench.rows("block_documents").into_iter().find(|row| row["name"] == "main").unwrap();
    let id = block["id"].as_str().unwrap();
    http.patch(&format!("/block_documents/{id}"), json!({"data": {"host": "other", "password": CANARIES[2]}}));
    let plan = bench.plan(&[]);
    assert_eq!(
        told(&plan),
        [
            "update block warehouse/main",
            "update variable region",
            "update work_pool k8s",
            "update work_queue k8s/slow",
            "create tag_concurrency_limit heavy",
        ]
    );
    assert!(plan["changes"].as_array().unwrap().iter().all(|change| change["reason"] == "drift"), "{plan:#}");
    bench.run(&["apply", "--yes"], 0);
    assert_eq!(http.get("/variables/name/region")["value"], "eu-west-1");
    // What git never declared is left alone.
    assert_eq!(http.get("/work_pools/k8s")["is_paused"], true);
    bench.writes_nothing();

    // Changed in git.
    bench
        .project
        .write("rest.reconcile.yaml", &REST.replace("threshold: 2", "threshold: 4").replace("limit: 5,", "limit: 6,"));
    assert_eq!(told(&bench.plan(&[])), ["update concurrency_limit db", "update automation again"]);
    let automation = bench.rows("automations")[0]["id"].clone();
    bench.run(&["apply", "--yes"], 0);
    assert_eq!(bench.rows("automations")[0]["id"], automation, "changed in place");
    bench.writes_nothing();

    // The ledger gives nothing away.
    let ledger = json!({"include_secrets": true, "block_types": {"slug": {"any_": ["reconcile-ledger"]}}});
    let ledger = bench.http().post("/block_documents/filter", ledger).to_string();
    assert!(ledger.contains("everything") && !CANARIES.iter().any(|canary| ledger.contains(canary)));

    // Left git: held, then pruned.
    bench.project.write("rest.reconcile.yaml", &REST[..REST.find("concurrency_limits:").unwrap()]);
    let held = bench.plan(&[]);
    assert_eq!((told(&held), held["held"].as_array().unwrap().len()), (vec![], 3));
    assert_eq!(
        told(&bench.plan(&["--prune"])),
        ["delete concurrency_limit db", "delete tag_concurrency_limit heavy", "delete automation again"]
    );
    bench.run(&["apply", "--yes", "--prune"], 0);
    assert_eq!(bench.counts(), [2, 2, 5, 0, 0, 1]);

    bench.run(&["destroy", "--yes"], 0);
    assert_eq!(bench.counts(), before);
    let types = bench.http().post("/block_types/filter", json!({"block_types": {"slug": {"any_": ["warehouse"]}}}));
    assert_eq!(types, json!([]));
    assert_eq!(bench.bookkeeping(), Vec::<Value>::new(), "ledger and lock went as well");
}

#[test]
fn what_exists_is_taken_over_only_when_told_to() {
    let bench = Bench::new();
    bench.http().post("/variables/", json!({"name": "region", "value": "theirs"}));
    bench.project.remove("blocks.yaml");
    bench.project.remove("prefect.yaml");
    bench.project.write("rest.reconcile.yaml", "variables: [{ name: region, value: ours }]\n");
    let plan = bench.plan(&[]);
    assert_eq!((told(&plan), plan["held"][0]["name"].clone()), (vec![], json!("region")));
    bench.run(&["apply", "--yes", "--adopt"], 0);
    assert_eq!(bench.http().get("/variables/name/region")["value"], "ours");
    bench.writes_nothing();
    // Another scope cannot have it as well.
    bench.project.write("reconcile.yaml", "name: another\n");
    let refused = bench.run(&["apply", "--yes", "--adopt"], 4);
    assert!(refused.stderr.contains("E0410") && refused.stderr.contains("everything"), "{refused:?}");
}

#[test]
fn what_others_use_is_not_pruned() {
    let bench = Bench::new();
    bench.project.remove("prefect.yaml");
    bench.project.write(
        "rest.reconcile.yaml",
        "variables: [{ name: kept, value: 1 }]\nwork_pools: [{ name: mine, type: process }]\n",
    );
    bench.run(&["apply", "--yes"], 0);
    let http = bench.http();
    let block = bench.rows("block_documents").into_iter().find(|row| row["name"] == "flows").unwrap()["id"].clone();
    let flow = http.post("/flows/", json!({"name": "other"}))["id"].clone();
    let body = json!({"name": "theirs", "flow_id": flow, "storage_document_id": block, "work_pool_name": "mine"});
    http.post("/deployments/", body);
    bench.project.remove("blocks.yaml");
    bench.project.write("rest.reconcile.yaml", "variables: [{ name: kept, value: 1 }]\n");
    let plan = bench.plan(&["--prune", "--max-delete", "100%"]);
    let held: Vec<&Value> = plan["held"].as_array().unwrap().iter().map(|held| &held["name"]).collect();
    assert!(held.contains(&&json!("s3-bucket/flows")) && held.contains(&&json!("mine")), "{plan:#}");
    bench.run(&["apply", "--yes", "--prune", "--max-delete", "100%"], 0);
    assert_eq!(bench.rows("deployments").len(), 1, "the server would have deleted it with its storage");
    assert!(bench.rows("work_pools").iter().any(|pool| pool["name"] == "mine"));
}

#[test]
fn a_reference_to_nothing_and_a_circle_are_told() {
    let bench = Bench::new();
    bench.project.remove("rest.reconcile.yaml");
    bench.project.remove("prefect.yaml");
    let bucket = |to: &str| {
        format!(
            "blocks: [{{ type: s3-bucket, name: a, data: {{ bucket_name: b, credentials: {{ block: {to} }} }} }}]\n"
        )
    };
    bench.project.write("blocks.yaml", &bucket("aws-credentials/gone"));
    assert!(bench.run(&["plan"], 4).stderr.contains("E0758"));
    let kind = "block_types: [{ slug: chain, name: Chain, fields: { properties: {} } }]\n";
    let link = "blocks: [{ type: chain, name: a, data: { next: { block: chain/a } } }]\n";
    bench.project.write("blocks.yaml", &format!("{kind}{link}"));
    assert!(bench.run(&["plan"], 4).stderr.contains("E0750"));
    bench.project.write("blocks.yaml", "blocks: [{ type: secret, name: a, data: { value: { from_env: NOT_SET } } }]\n");
    assert!(bench.run(&["plan"], 4).stderr.contains("E0751"));
    bench.run(&["validate"], 0);
}

#[test]
fn a_part_of_the_files_prunes_nothing() {
    let bench = Bench::new();
    bench.run(&["apply", "--yes"], 0);
    let before = bench.counts();
    let plan = bench.plan(&["prefect.yaml", "--prune", "--max-delete", "100%"]);
    assert_eq!((told(&plan), &plan["held"]), (vec![], &json!([])), "{plan:#}");
    bench.run(&["apply", "prefect.yaml", "--yes", "--prune", "--max-delete", "100%"], 0);
    assert_eq!(bench.counts(), before);
}

#[test]
fn a_pools_own_queue_and_template_stay_with_it() {
    let bench = Bench::new();
    for file in ["blocks.yaml", "prefect.yaml"] {
        bench.project.remove(file);
    }
    let pool = |more: &str| format!("work_pools: [{{ name: p, type: process{more} }}]\n");
    let with = ", base_job_template: { default: true, patch: { variables.properties.stream_output.default: false } }, \
                queues: [{ name: default, priority: 3 }]";
    bench.project.write("rest.reconcile.yaml", &pool(with));
    bench.run(&["apply", "--yes"], 0);
    assert_eq!(bench.http().get("/work_pools/p/queues/default")["priority"], 3);
    bench.writes_nothing();
    bench.project.write("rest.reconcile.yaml", &pool(""));
    let leaf = "base_job_template.variables.properties.stream_output.default";
    let text = bench.run(&["plan"], 0).stdout;
    assert!(text.lines().any(|line| line.contains(leaf) && line.ends_with("false → true")), "{text}");
    assert!(!text.contains("job_configuration"), "{text}");
    let markdown = bench.run(&["plan", "--format", "markdown"], 0).stdout;
    assert!(markdown.contains(&format!("- {leaf}: false\n+ {leaf}: true")), "{markdown}");
    bench.run(&["apply", "--yes", "--prune"], 0);
    let row = bench.http().get("/work_pools/p");
    assert_eq!(row["base_job_template"]["variables"]["properties"]["stream_output"]["default"], true, "{row:#}");
    bench.http().get("/work_pools/p/queues/default");
    bench.writes_nothing();
}

const NESTED: &str = r##"
block_types:
  - slug: nested-outer
    name: Nested Outer
    fields:
      title: Nested Outer
      type: object
      properties:
        inner: { title: Inner, $ref: "#/definitions/Inner" }
        either: { anyOf: [{ $ref: "#/definitions/Inner" }, { $ref: "#/definitions/Secret" }, { type: "null" }] }
        options: { $ref: "#/definitions/Options" }
      definitions:
        Inner: { block_type_slug: nested-inner }
        Secret: { block_type_slug: secret }
        Options: { title: Options, type: object, properties: { n: { type: integer } } }
        Unused: { type: object }
  - slug: nested-inner
    name: Nested Inner
    fields: { title: Nested Inner, type: object, properties: { x: { title: X, type: string } } }
    secret_fields: [x]
blocks:
  - { type: nested-inner, name: a, data: { x: { from_env: X } } }
  - { type: nested-outer, name: a, data: { inner: { block: nested-inner/a } } }
"##;

/// The schemas of a type, newest first.
fn schemas(http: &Http, slug: &str) -> Vec<Value> {
    let id = http.get(&format!("/block_types/slug/{slug}"))["id"].clone();
    let rows = http.post("/block_schemas/filter", json!({"block_schemas": {"block_type_id": {"any_": [id]}}}));
    rows.as_array().unwrap().clone()
}

#[test]
fn a_type_that_holds_blocks_of_others_settles() {
    let server = Server::shared();
    let http = server.http();
    let project = Project::new().api(&server.url).env("X", "x").file("reconcile.yaml", "name: nested\n");
    project.write("blocks.yaml", NESTED);
    let settles = || {
        project.reconcile(&["apply", "--yes"]).exits(0);
        project.reconcile(&["plan", "--detailed-exitcode"]).exits(0);
        project.reconcile(&["drift"]).exits(0);
    };
    settles();
    let (outer, inner) = (schemas(&http, "nested-outer"), schemas(&http, "nested-inner"));
    assert_eq!((outer.len(), inner.len()), (1, 1), "{outer:#?} {inner:#?}");
    let references = &outer[0]["fields"]["block_schema_references"];
    assert_eq!(references["inner"]["block_schema_checksum"], inner[0]["checksum"]);
    assert_eq!(references["either"].as_array().map(Vec::len), Some(2), "{references:#}");
    assert_eq!(outer[0]["fields"]["definitions"]["Nested Inner"]["secret_fields"], json!(["x"]));
    assert_eq!(outer[0]["fields"]["secret_fields"], json!(["inner.x", "either.x", "either.value"]));

    project.write("blocks.yaml", &NESTED.replace("x: { title: X, type: string }", "x: { title: Y, type: string }"));
    let plan: Value = serde_json::from_str(&project.reconcile(&["plan", "--json"]).exits(0).stdout).unwrap();
    assert_eq!(
        told(&plan),
        ["update block_type nested-inner", "update block_type nested-outer"],
        "it refers to another form"
    );
    settles();

    project.write("blocks.yaml", &NESTED.replace("block_type_slug: secret", "block_type_slug: nested-nothing"));
    let output = project.reconcile(&["plan"]).exits(4);
    assert!(output.stderr.contains("E0773") && output.stderr.contains("nested-nothing"), "{output:?}");
    project.write("blocks.yaml", "blocks: []\n");
    project.reconcile(&["destroy", "--yes"]).exits(0);
}

#[test]
fn what_is_secret_of_a_type_changes_with_its_version() {
    let server = Server::shared();
    let project = Project::new().api(&server.url).file("reconcile.yaml", "name: secrecy\n");
    let with = |more: &str| {
        let fields = "{ title: Secrecy, type: object, properties: { a: { type: string }, b: { type: string } } }";
        project.write(
            "blocks.yaml",
            &format!("block_types:\n- {{ slug: secrecy, name: Secrecy, fields: {fields}{more} }}\n"),
        );
    };
    let held = || {
        let plan: Value = serde_json::from_str(&project.reconcile(&["plan", "--json"]).exits(0).stdout).unwrap();
        assert_eq!(told(&plan), Vec::<String>::new());
        plan["held"][0]["reason"].as_str().unwrap().to_owned()
    };
    with(", secret_fields: [a]");
    project.reconcile(&["apply", "--yes"]).exits(0);
    with(", secret_fields: [a, b]");
    assert!(held().contains("`secret_fields`") && held().contains("give `version` another value"), "{}", held());
    project.reconcile(&["apply", "--yes"]).exits(0);
    with(", secret_fields: [a], capabilities: [query]");
    assert!(held().contains("`capabilities`"), "{}", held());
    with(", secret_fields: [a, b], capabilities: [query], version: '2'");
    project.reconcile(&["apply", "--yes"]).exits(0);
    project.reconcile(&["plan", "--detailed-exitcode"]).exits(0);
    assert_eq!(schemas(&server.http(), "secrecy")[0]["fields"]["secret_fields"], json!(["a", "b"]));
    project.reconcile(&["destroy", "--yes"]).exits(0);
}

/// Triggers as people write them, with what the server makes of each where that is not what is written.
fn triggers() -> Vec<(Value, Value)> {
    vec![
        (json!({}), json!({"type": "event", "posture": "Reactive", "threshold": 1, "within": 0.0})),
        (json!({"posture": "Proactive", "expect": ["x"], "within": 0}), json!({"within": 10.0})),
        (json!({"posture": "Proactive", "expect": ["x"]}), json!({"within": 10.0})),
        (json!({"expect": ["b", "a"], "within": "PT1M"}), json!({"within": 60.0})),
        (
            json!({"require": "any", "triggers": [{"expect": ["x"]}, {"posture": "Proactive", "expect": ["y"], "within": 0}]}),
            json!({"type": "compound", "within": null}),
        ),
        (json!({"triggers": [{"expect": ["x"]}, {"expect": ["y"]}]}), json!({"type": "sequence", "within": null})),
        (json!({"expect": ["prefect.work-pool.ready"], "work_pool": "settling"}), json!({"match_related": {}})),
        (json!({"expect": ["prefect.flow-run.Failed"], "work_pool": "settling"}), json!({"match": {}})),
    ]
}

#[test]
fn triggers_with_little_said_settle() {
    let server = Server::shared();
    let project = Project::new().api(&server.url).file("reconcile.yaml", "name: settling\n");
    let actions = json!([{"type": "do-nothing"}, {"type": "pause-work-pool", "work_pool": "settling"}]);
    let automations: Vec<Value> = triggers()
        .iter()
        .enumerate()
        // At work, one that waits for any event would see its own.
        .map(|(n, (trigger, _))| {
            json!({"name": format!("settling {n}"), "enabled": false, "trigger": trigger, "actions": actions})
        })
        .collect();
    let file = json!({"work_pools": [{"name": "settling", "type": "process"}], "automations": automations});
    project.write("all.reconcile.yaml", &file.to_string());
    project.reconcile(&["apply", "--yes"]).exits(0);
    project.reconcile(&["plan", "--detailed-exitcode"]).exits(0);
    project.reconcile(&["drift"]).exits(0);
    let rows = server.http().all("automations");
    let row = |n: usize| rows.iter().find(|row| row["name"] == format!("settling {n}")).unwrap();
    for (n, (trigger, made)) in triggers().iter().enumerate() {
        for (key, value) in made.as_object().unwrap() {
            assert_eq!(row(n)["trigger"][key], *value, "{key} of {trigger}");
        }
    }
    let pool = server.http().get("/work_pools/settling")["id"].as_str().unwrap().to_owned();
    let label = format!("prefect.work-pool.{pool}");
    assert_eq!(row(6)["trigger"]["match"]["prefect.resource.id"], label.as_str());
    assert_eq!(row(7)["trigger"]["match_related"]["prefect.resource.id"], label.as_str());
    // What the server refuses is refused before, with its place.
    for (trigger, why) in [
        ("{ posture: Proactive, within: 5 }", "10 seconds"),
        ("{ within: null }", "null"),
        ("{ posture: Sometimes }", "Reactive or Proactive"),
        ("{ require: 3, triggers: [{}] }", "between 1 and"),
        ("{ require: some, triggers: [{}] }", "`any` or `all`"),
        ("{ type: compound, triggers: [{}] }", "needs `require`"),
    ] {
        let wrong = Project::new().api(&server.url);
        wrong.write(
            "all.reconcile.yaml",
            &format!("automations:\n- name: never\n  actions: [{{ type: do-nothing }}]\n  trigger: {trigger}\n"),
        );
        let output = wrong.reconcile(&["plan"]).exits(4);
        assert!(
            output.stderr.contains(why) && output.stderr.contains("all.reconcile.yaml:4:"),
            "{trigger}: {output:?}"
        );
    }
    project.reconcile(&["destroy", "--yes"]).exits(0);
}
