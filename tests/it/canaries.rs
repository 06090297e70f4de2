//! Secrets that come in by every way there is, searched for in everything that comes out; and names that the server would
//! answer with a bare 500.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::proxy::{Proxy, Verdict};
use crate::support::server::Server;

/// By which way each comes in.
const CANARIES: [(&str, &str); 9] = [
    ("an environment variable in a block", "canary-env-1a"),
    ("from_env", "canary-env-2b"),
    ("from_file", "canary-file-3c"),
    ("plain text at a secret path", "canary-plain-4d"),
    ("an environment variable in job variables", "canary-job-5e"),
    ("an environment variable in a parameter", "canary-param-6f"),
    ("a block of the API, filled in with --resolve-secrets", "canary-block-7a"),
    ("a variable with an environment variable in it", "canary-var-8b"),
    ("a template of a pool", "canary-pool-9c"),
];

const RESOURCES: &str = "blocks:\n\
    - { type: secret, name: one, data: { value: '{{ $ENV_BLOCK }}' } }\n\
    - { type: secret, name: two, data: { value: { from_env: FROM_ENV } } }\n\
    - { type: secret, name: three, data: { value: { from_file: secrets/three } } }\n\
    - { type: secret, name: four, data: { value: canary-plain-4d } }\n\
    variables:\n- { name: canary_v, value: { token: '{{ $ENV_VAR }}' } }\n\
    work_pools:\n- { name: canary-pool, type: process,\n    \
    base_job_template: { default: true, patch: { variables.properties.env.default: { TOKEN: '{{ $ENV_POOL }}' } } } }\n";

const DEPLOYMENT: &str = "deployments:\n- name: d\n  entrypoint: flow.py:hello\n  \
    parameters: { x: '{{ $ENV_PARAM }}', y: '{{ prefect.blocks.secret.theirs }}' }\n  \
    work_pool: { name: canary-pool, job_variables: { env: { TOKEN: 'at-{{ $ENV_JOB }}', B: '{{ prefect.blocks.secret.theirs }}' } } }\n";

struct Bench {
    server: Server,
    project: Project,
    /// Everything that was seen so far, with where.
    seen: Vec<(String, String)>,
}

impl Bench {
    fn run(&mut self, args: &[&str]) -> i32 {
        let mut command: Command = self.project.reconcile_command();
        let output = command.args(args).output().unwrap();
        for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            self.seen.push((format!("{args:?} {stream}"), String::from_utf8_lossy(bytes).into_owned()));
        }
        output.status.code().unwrap_or(-1)
    }

    #[track_caller]
    fn ends(&mut self, args: &[&str], code: i32) {
        let found = self.run(args);
        assert_eq!(found, code, "{args:?}: {:?}", &self.seen[self.seen.len() - 2..]);
    }
}

#[test]
fn nothing_that_comes_out_holds_what_came_in() {
    let server = Server::start();
    let http = server.http();
    let kind = http.get("/block_types/slug/secret")["id"].clone();
    let schema = http.post("/block_schemas/filter", json!({"block_schemas": {"block_type_id": {"any_": [kind]}}}));
    http.post(
        "/block_documents/",
        json!({"name": "theirs", "data": {"value": "canary-block-7a"}, "block_type_id": kind, "block_schema_id": schema[0]["id"]}),
    );
    let project = Project::new()
        .api(&server.url)
        .with_python()
        .env("ENV_BLOCK", "canary-env-1a")
        .env("FROM_ENV", "canary-env-2b")
        .env("ENV_JOB", "canary-job-5e")
        .env("ENV_PARAM", "canary-param-6f")
        .env("ENV_VAR", "canary-var-8b")
        .env("ENV_POOL", "canary-pool-9c")
        .file("reconcile.yaml", "name: canaries\n")
        .file("flow.py", "from prefect import flow\n\n\n@flow\ndef hello(x: str, y: str):\n    pass\n")
        .file("secrets/three", "canary-file-3c\n")
        .file("all.reconcile.yaml", RESOURCES)
        .file("prefect.yaml", DEPLOYMENT);
    let mut bench = Bench { server, project, seen: Vec::new() };
    // The line of a file is shown where something is wrong with it: the fourth is only a warning there.
    bench.ends(&["validate"], 0);
    for form in ["text", "json", "markdown", "github", "sarif"] {
        bench.ends(&["plan", "--full", "--resolve-secrets", "--format", form], 0);
    }
    bench.ends(&["plan", "--untrusted", "--full"], 0);
    bench.ends(&["plan", "--out", "plan.json", "-v", "-v"], 0);
    for object in ["deployment/hello/d", "block/secret/four", "work_pool/canary-pool", "variable/canary_v"] {
        bench.run(&["render", object, "--full"]);
    }

    // The server refuses, and echoes all that it was sent.
    let proxy = Proxy::in_front_of(&bench.server.url);
    proxy.rule(|request| {
        let writes = matches!(request.method.as_str(), "POST" | "PATCH")
            && ["/variables/", "/work_pools/", "/deployments/", "/block_documents/"]
                .iter()
                .any(|path| request.path.ends_with(path));
        let own = request.body.contains("\"beat\"") || request.body.contains("\"digest_key\"");
        if !writes || own {
            return Verdict::Pass;
        }
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let detail = json!([{"type": "x", "loc": ["body", "data"], "msg": "Input should be valid", "input": body}]);
        let echo =
            json!({"exception_message": "Invalid request received.", "exception_detail": detail, "request_body": body});
        Verdict::Answer(422, echo.to_string())
    });
    let url = proxy.url.clone();
    bench.ends(&["apply", "--yes", "--api-url", &url, "-v", "-v", "--log-format", "json"], 1);
    bench.ends(&["apply", "--yes", "--api-url", &url, "--json", "-v", "-v"], 1);

    bench.ends(&["apply", "--yes", "--resolve-secrets", "-v", "-v", "--log-format", "json"], 0);
    let held = bench.server.http().get("/deployments/name/hello/d");
    assert_eq!(held["job_variables"]["env"]["TOKEN"], "at-canary-job-5e", "it did arrive");
    assert_eq!(held["parameters"]["y"], "canary-block-7a");
    bench.ends(&["apply", "--yes", "--resolve-secrets"], 0);
    // Changed by hand, so that both sides of a field are secret; and in the files.
    let id = held["id"].as_str().unwrap();
    let by_hand = json!({"parameters": {"x": "canary-param-6f by hand", "y": "z"}, "job_variables": {"env": {"TOKEN": "canary-job-5e by hand"}}});
    bench.server.http().patch(&format!("/deployments/{id}"), by_hand);
    bench.project.write("secrets/three", "canary-file-3c changed\n");
    bench.ends(&["plan", "--full", "--resolve-secrets"], 0);
    bench.ends(&["plan", "--json", "--resolve-secrets"], 0);
    let variable = json!({"value": {"token": "canary-var-8b by hand"}});
    bench.server.http().patch("/variables/name/canary_v", variable);
    for form in [&["drift", "-v", "-v"][..], &["drift", "--json"], &["drift", "--full"]] {
        bench.ends(form, 2);
    }
    for form in [&["status", "-v", "-v"][..], &["status", "--json"]] {
        bench.ends(form, 0);
    }
    bench.ends(&["apply", "--yes", "--resolve-secrets", "--json", "-v", "-v"], 0);
    bench.ends(&["release", "variable/canary_v", "block/secret/one", "--yes", "--json", "-v", "-v"], 0);
    bench.ends(&["release", "block/secret/two", "--yes"], 0);
    bench.ends(&["drift", "--json"], 0);
    bench.project.write("prefect.yaml", "deployments: []\n");
    bench.project.write("all.reconcile.yaml", "variables: [{ name: other, value: 1 }]\n");
    bench.ends(&["apply", "--yes", "--prune", "--max-delete", "100%", "-v", "-v"], 0);

    // What is left behind: plan files, the cache, the ledger as it is stored.
    let file = fs::read_to_string(bench.project.path().join("plan.json")).unwrap();
    bench.seen.push(("plan.json".to_owned(), file));
    let filter =
        json!({"include_secrets": true, "block_types": {"slug": {"any_": ["reconcile-ledger", "reconcile-lock"]}}});
    let ledger = bench.server.http().post("/block_documents/filter", filter).to_string();
    assert!(ledger.contains("canaries"));
    bench.seen.push(("the ledger".to_owned(), ledger));
    for entry in walk(&bench.project.home()) {
        bench
            .seen
            .push((entry.display().to_string(), String::from_utf8_lossy(&fs::read(&entry).unwrap()).into_owned()));
    }
    for (how, canary) in CANARIES {
        for (place, text) in &bench.seen {
            let at = text.find(canary).map(|at| text[at.saturating_sub(200)..].chars().take(400).collect::<String>());
            assert_eq!(at, None, "{how}: in {place}");
        }
    }
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => out.extend(walk(&entry)),
            false => out.push(entry),
        }
    }
    out
}

#[test]
fn names_that_the_server_cannot_take_are_refused_before_anything_is_sent() {
    let server = Server::shared();
    let proxy = Proxy::in_front_of(&server.url);
    let resources = [
        "blocks: [{ type: secret, name: 'a/b', data: { value: { from_env: HOME } } }]",
        "blocks: [{ type: secret, name: Ab, data: { value: { from_env: HOME } } }]",
        "blocks: [{ type: secret, name: '', data: { value: { from_env: HOME } } }]",
        "blocks: [{ type: secret, name: \"a\\n\", data: { value: { from_env: HOME } } }]",
        "blocks: [{ type: no such, name: a, data: { value: x } }]",
        "block_types: [{ slug: A b, name: X, fields: { type: object } }]",
        "block_types: [{ slug: ours, name: Prefect Ours, fields: { type: object } }]",
        "variables: [{ name: A, value: 1 }]",
        "variables: [{ name: '', value: 1 }]",
        "work_pools: [{ name: 'a/b', type: process }]",
        "work_pools: [{ name: ' ', type: process }]",
        "work_pools: [{ name: prefect-mine, type: process }]",
        "work_pools: [{ name: 'a%b', type: process }]",
        "work_pools: [{ name: a, type: process, queues: [{ name: 'x&y', priority: 1 }] }]",
        "work_pools: [{ name: a, type: process, queues: [{ name: '..', priority: 1 }] }]",
        "work_pools: [{ name: '..', type: process }]",
        "concurrency_limits: [{ name: 'a<b', limit: 1 }]",
        "concurrency_limits: [{ name: 'tag:x', limit: 1 }]",
        "automations: [{ name: '', trigger: { type: event, posture: Reactive, expect: [x], threshold: 1, within: 0 }, actions: [{ type: do-nothing }] }]",
    ];
    let flow = "from prefect import flow\n\n\n@flow(name=\"NAME\")\ndef hello():\n    pass\n";
    let deployment = |name: &str| {
        format!(
            "deployments: [{{ name: '{name}', entrypoint: 'flow.py:hello', work_pool: {{ name: p, work_queue_name: QUEUE }} }}]\n"
        )
    };
    let mut refused = Vec::new();
    for text in resources {
        let project = Project::new().api(&proxy.url).file("all.reconcile.yaml", &format!("{text}\n"));
        refused.push((text.to_owned(), project.reconcile(&["apply", "--yes"])));
    }
    for (name, of, queue) in [
        ("a/b", "f", "q"),
        ("a%b", "f", "q"),
        ("a&b", "f", "q"),
        ("a<b", "f", "q"),
        ("a", "f/g", "q"),
        ("a", "f", "'x/y'"),
    ] {
        let project = Project::new()
            .api(&proxy.url)
            .file("flow.py", &flow.replace("NAME", of))
            .file("all.reconcile.yaml", "work_pools: [{ name: p, type: process }]\n")
            .file("prefect.yaml", &deployment(name).replace("QUEUE", queue));
        refused.push((format!("{of}/{name} {queue}"), project.reconcile(&["apply", "--yes"])));
    }
    let told: Vec<String> = refused
        .iter()
        .filter(|(_, output)| output.code != 4 || !output.stderr.contains("error[E"))
        .map(|(name, output)| format!("{name}: {output:?}"))
        .collect();
    assert!(told.is_empty(), "{told:#?}");
    assert_eq!(proxy.writes(), []);
}
