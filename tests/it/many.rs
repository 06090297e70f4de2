//! A workspace of five hundred objects of every kind, from nothing to nothing; and several passes at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::{Child, Stdio};
use std::sync::Mutex;

use reconcile::api::{Api, new_ledger};
use reconcile::model::ledger::Ledger;
use reconcile::model::{Connection, Key, Kind};
use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::chaos::ended;
use crate::support::http::Http;
use crate::support::project::{Output, Project};
use crate::support::proxy::{Proxy, Verdict};
use crate::support::server::Server;

/// What the server lists, and the fields that name a row.
const LISTS: [(&str, &[&str]); 9] = [
    ("block_types", &["slug"]),
    ("block_documents", &["block_type_name", "name"]),
    ("variables", &["name", "value"]),
    ("work_pools", &["name", "description"]),
    ("work_queues", &["work_pool_name", "name", "priority"]),
    ("v2/concurrency_limits", &["name", "limit"]),
    ("concurrency_limits", &["tag", "concurrency_limit"]),
    ("deployments", &["name", "description"]),
    ("automations", &["name", "description"]),
];

/// How many of each kind; three hundred and fifty of the first six, and the rest.
struct Size {
    variables: usize,
    blocks: usize,
    pools: usize,
    limits: usize,
    automations: usize,
    deployments: usize,
}

/// Five hundred: 150 variables, 2 types, 88 blocks, 20 pools with two queues each, 2 × 50 limits, 50 deployments, 50
/// automations.
const ALL: Size = Size { variables: 150, blocks: 88, pools: 20, limits: 50, automations: 50, deployments: 50 };

fn resources(size: &Size, prefix: &str) -> String {
    let mut out = String::from("block_types:\n");
    for n in 0..2 {
        let _ = writeln!(
            out,
            "- {{ slug: {prefix}type-{n}, name: {prefix} Type {n}, secret_fields: [key], fields: {{ type: object, title: T, \
             properties: {{ key: {{ type: string }}, other: {{ }} }} }} }}"
        );
    }
    let list = |out: &mut String, head: &str, count: usize, one: &dyn Fn(usize) -> String| {
        out.push_str(if count == 0 { "" } else { head });
        (0..count).for_each(|n| out.push_str(&one(n)));
    };
    list(&mut out, "blocks:\n", size.blocks, &|n| {
        // Chains of eight.
        let other = if n % 8 == 0 {
            String::new()
        } else {
            format!(", other: {{ block: {prefix}type-{}/b-{:03} }}", (n - 1) % 2, n - 1)
        };
        format!("- {{ type: {prefix}type-{}, name: b-{n:03}, data: {{ key: {{ from_env: TOKEN }}{other} }} }}\n", n % 2)
    });
    list(&mut out, "variables:\n", size.variables, &|n| {
        format!("- {{ name: {prefix}v-{n:03}, value: {{ n: {n} }} }}\n")
    });
    list(&mut out, "work_pools:\n", size.pools, &|n| {
        format!(
            "- {{ name: {prefix}p-{n:03}, type: process, description: d, queues: [{{ name: a, priority: 2 }}, {{ name: b, priority: 1 }}] }}\n"
        )
    });
    list(&mut out, "concurrency_limits:\n", size.limits, &|n| format!("- {{ name: {prefix}l-{n:03}, limit: 5 }}\n"));
    list(&mut out, "tag_concurrency_limits:\n", size.limits, &|n| format!("- {{ tag: {prefix}t-{n:03}, limit: 5 }}\n"));
    list(&mut out, "automations:\n", size.automations, &|n| {
        format!(
            "- {{ name: {prefix}a-{n:03}, description: d, trigger: {{ type: event, posture: Reactive, expect: [x], threshold: 1, within: 0 }}, \
             actions: [{{ type: run-deployment, deployment: {prefix}hello/d-{n:03} }}] }}\n"
        )
    });
    out
}

fn deployments(size: &Size, prefix: &str) -> String {
    let mut out = String::from(if size.deployments == 0 { "deployments: []\n" } else { "deployments:\n" });
    for n in 0..size.deployments {
        let _ = writeln!(
            out,
            "- {{ name: d-{n:03}, description: d, entrypoint: \"flow.py:hello\", \
             work_pool: {{ name: {prefix}p-{:03}, work_queue_name: a }} }}",
            n % size.pools.max(1)
        );
    }
    out
}

fn project(server: &str, scope: &str, size: &Size, prefix: &str) -> Project {
    let flow = format!("from prefect import flow\n\n\n@flow(name=\"{prefix}hello\")\ndef hello():\n    pass\n");
    Project::new()
        .api(server)
        .env("TOKEN", "x")
        .file("reconcile.yaml", &format!("name: {scope}\n"))
        .file("flow.py", &flow)
        .file("all.reconcile.yaml", &resources(size, prefix))
        .file("prefect.yaml", &deployments(size, prefix))
}

/// Everything on the server but our own bookkeeping, list by list.
fn found(http: &Http) -> BTreeMap<&'static str, Vec<String>> {
    let told = |list: &str, fields: &[&str]| {
        let rows = http.all(list);
        let text = |row: &Value| fields.iter().map(|field| row[*field].to_string()).collect::<Vec<_>>().join(" ");
        let mut rows: Vec<String> =
            rows.iter().map(text).filter(|row| !row.to_lowercase().contains("reconcile")).collect();
        rows.sort();
        rows
    };
    LISTS.into_iter().map(|(list, fields)| (list, told(list, fields))).collect()
}

fn plan(project: &Project, more: &[&str]) -> Value {
    let args = [&["plan", "--json"], more].concat();
    serde_json::from_str(&project.reconcile(&args).exits(0).stdout).unwrap()
}

#[test]
fn five_hundred_objects_from_nothing_to_nothing() {
    let server = Server::start_with(&[("PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED", "false")]);
    let http = server.http();
    // What others have, and keep.
    http.post("/variables/", json!({"name": "theirs", "value": 1}));
    http.post("/work_pools/", json!({"name": "theirs", "type": "process"}));
    http.post("/concurrency_limits/", json!({"tag": "theirs", "concurrency_limit": 1}));
    let before = found(&http);
    let project = project(&server.url, "many", &ALL, "");
    project.reconcile(&["apply", "--yes"]).exits(0);
    let made = found(&http);
    let count = |state: &BTreeMap<&str, Vec<String>>| state.values().map(Vec::len).sum::<usize>();
    // Besides the five hundred: a default queue for every pool, a global limit behind each of a tag.
    assert_eq!(
        count(&made) - count(&before),
        500 + 20 + 50,
        "{:?}",
        made.iter().map(|(k, v)| (k, v.len())).collect::<Vec<_>>()
    );

    // Nothing changed means nothing sent, in few reads.
    let proxy = Proxy::in_front_of(&server.url);
    project.reconcile(&["apply", "--yes", "--api-url", &proxy.url]).exits(0);
    assert_eq!(proxy.writes(), []);
    let again = plan(&project, &[]);
    assert_eq!(
        (&again["changes"], &again["held"], &again["summary"]["unchanged"]),
        (&json!([]), &json!([]), &json!(500))
    );
    assert!(again["requests"]["read"].as_u64().unwrap() <= 40, "{}", again["requests"]);

    // Edited by hand, and put back.
    http.patch("/variables/name/v-007", json!({"value": "by hand"}));
    http.patch("/work_pools/p-003", json!({"description": "by hand"}));
    http.patch("/work_pools/p-003/queues/a", json!({"priority": 9}));
    http.patch("/v2/concurrency_limits/l-011", json!({"limit": 9}));
    http.delete("/concurrency_limits/tag/t-012");
    let deployment = http.get("/deployments/name/hello/d-001")["id"].as_str().unwrap().to_owned();
    http.patch(&format!("/deployments/{deployment}"), json!({"description": "by hand"}));
    let block = http.get("/block_types/slug/type-0/block_documents/name/b-004")["id"].as_str().unwrap().to_owned();
    http.delete(&format!("/block_documents/{block}"));
    let drift = plan(&project, &[]);
    let kinds: Vec<&Value> = drift["changes"].as_array().unwrap().iter().map(|change| &change["kind"]).collect();
    // The server took the reference away from the block above the one that was deleted.
    let expected = [
        "block",
        "block",
        "variable",
        "work_pool",
        "work_queue",
        "concurrency_limit",
        "tag_concurrency_limit",
        "deployment",
    ];
    assert_eq!(kinds, expected, "{drift:#}");
    project.reconcile(&["apply", "--yes"]).exits(0);
    assert_eq!(found(&http), made);
    assert_eq!(plan(&project, &[])["changes"], json!([]));

    // Half of it leaves git: held, then pruned, but for what others use meanwhile.
    let flow = http.post("/flows/", json!({"name": "theirs"}))["id"].clone();
    let body = json!({"name": "theirs", "flow_id": flow, "work_pool_name": "p-019", "work_queue_name": "b",
        "job_variables": {"t": "{{ prefect.blocks.type-1.b-087 }}"}});
    let theirs = http.post("/deployments/", body)["id"].as_str().unwrap().to_owned();
    let half = Size { variables: 75, blocks: 40, pools: 10, limits: 25, automations: 10, deployments: 10 };
    project.write("all.reconcile.yaml", &resources(&half, ""));
    project.write("prefect.yaml", &deployments(&half, ""));
    let left = 75 + 48 + 10 + 20 + 25 + 25 + 40 + 40;
    let held = plan(&project, &[]);
    assert_eq!((&held["changes"], held["held"].as_array().unwrap().len()), (&json!([]), left));
    let guarded = plan(&project, &["--prune"]);
    assert_eq!(guarded["held"].as_array().unwrap().len(), left, "a quarter is the most unasked");
    let prune = ["--prune", "--max-delete", "100%"];
    let pruned = plan(&project, &prune);
    // The deployment of others holds its pool, its queue, and eight blocks in a row.
    let kept: Vec<&str> =
        pruned["held"].as_array().unwrap().iter().map(|held| held["name"].as_str().unwrap()).collect();
    let chain: Vec<String> = (80..88).map(|n| format!("type-{}/b-{n:03}", n % 2)).collect();
    assert!(chain.iter().all(|block| kept.contains(&block.as_str())), "{kept:?}");
    assert!(kept.contains(&"p-019") && kept.contains(&"p-019/b") && kept.len() == 10, "{kept:?}");
    assert!(pruned["requests"]["read"].as_u64().unwrap() <= 60, "{}", pruned["requests"]);
    project.reconcile(&[&["apply", "--yes"], &prune[..]].concat()).exits(0);
    http.delete(&format!("/deployments/{theirs}"));
    project.reconcile(&[&["apply", "--yes"], &prune[..]].concat()).exits(0);
    let fewer = found(&http);
    assert_eq!(count(&made) - count(&fewer), left + 10 + 25);
    project.reconcile(&["destroy", "--yes"]).exits(0);
    assert_eq!(found(&http), before);
}

/// One of each kind and a few more.
const FEW: Size = Size { variables: 3, blocks: 4, pools: 2, limits: 2, automations: 2, deployments: 3 };

fn start(project: &Project, args: &[&str]) -> Child {
    project.reconcile_command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The keys that each ledger owns.
fn owned(http: &Http) -> BTreeMap<String, Vec<String>> {
    let filter = json!({"block_types": {"slug": {"any_": ["reconcile-ledger"]}}});
    let rows = http.post("/block_documents/filter", filter);
    let keys =
        |row: &Value| row["data"]["owned"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| (row["data"]["scope"].as_str().unwrap_or_default().to_owned(), keys(row)))
        .collect()
}

#[test]
fn two_passes_of_one_scope_make_everything_once() {
    let server = Server::start();
    let http = server.http();
    let before = found(&http).values().map(Vec::len).sum::<usize>();
    let projects = [0, 1].map(|_| project(&server.url, "twice", &FEW, ""));
    // The directory of a flow is part of its deployment: these have none of their own.
    let apply = ["apply", "--yes", "--lock-timeout", "10m"];
    for project in &projects {
        project.write("prefect.yaml", &deployments(&FEW, "").replace("description: d,", "description: d, pull: [],"));
    }
    let children = projects.each_ref().map(|project| start(project, &apply));
    for output in children.map(ended) {
        output.exits(0);
    }
    let all = 2 + 3 + 4 + (2 + 2 * 2) + 2 * 2 + 2 + 3;
    assert_eq!(owned(&http)["twice"].len(), all);
    let now = found(&http).values().map(Vec::len).sum::<usize>();
    assert_eq!(now - before, all + 2 + 2, "{:?}", found(&http));
    for project in &projects {
        assert_eq!(plan(project, &[])["changes"], json!([]));
    }
}

#[test]
fn what_another_scope_owns_is_refused_for_every_kind() {
    let server = Server::start();
    project(&server.url, "first", &FEW, "").reconcile(&["apply", "--yes"]).exits(0);
    let before = (found(&server.http()), owned(&server.http()));
    let second = project(&server.url, "second", &FEW, "");
    let Output { stderr, .. } = second.reconcile(&["apply", "--yes", "--adopt"]).exits(4);
    for key in [
        "block_type type-0",
        "block type-0/b-000",
        "variable v-000",
        "work_pool p-000",
        "work_queue p-000/a",
        "concurrency_limit l-000",
        "tag_concurrency_limit t-000",
        "automation a-000",
        "deployment hello/d-000",
    ] {
        assert!(stderr.contains(&format!("`{key}` belongs to the scope `first`")), "{key}: {stderr}");
    }
    // Nothing of the first is ever the second's to delete.
    second.reconcile(&["destroy", "--yes"]).exits(0);
    second.write("all.reconcile.yaml", "variables: [{ name: own, value: 1 }]\n");
    second.write("prefect.yaml", "deployments: []\n");
    assert_eq!(plan(&second, &["--prune"])["summary"]["delete"], 0);
    assert_eq!((found(&server.http()), owned(&server.http())), before);
}

#[test]
fn two_scopes_that_make_the_same_at_once_do_not_both_own_it() {
    let server = Server::start();
    let size = Size { automations: 0, deployments: 0, limits: 0, ..FEW };
    let projects = ["red", "blue"].map(|scope| project(&server.url, scope, &size, ""));
    let outputs = projects.each_ref().map(|project| start(project, &["apply", "--yes"])).map(ended);
    assert!(outputs.iter().all(|output| matches!(output.code, 0 | 1 | 3 | 4)), "{outputs:?}");
    let owned = owned(&server.http());
    let of = |scope: &str| owned.get(scope).cloned().unwrap_or_default();
    let both: Vec<String> = of("red").into_iter().filter(|key| of("blue").contains(key)).collect();
    // Of block types the API makes one and says to both that it is made.
    assert!(both.iter().all(|key| key.starts_with("block_type ")), "{both:?}: {outputs:?}");
    let all = 2 + 3 + 4 + 2 + 4;
    assert!(of("red").len() + of("blue").len() <= all + 2, "{owned:?}");
    assert_eq!(found(&server.http())["variables"].len(), 3);
    // What both have is deleted by neither.
    projects[0].reconcile(&["destroy", "--yes"]).exits(if both.is_empty() { 0 } else { 2 });
    for key in both {
        let slug = key.strip_prefix("block_type ").unwrap();
        server.http().get(&format!("/block_types/slug/{slug}"));
    }
}

/// Two scopes make a variable at the same time, and no answer says whose it became: it counts as neither's.
#[test]
fn what_no_answer_says_is_ours_is_not_taken_from_a_scope_that_makes_it_too() {
    let server = Server::start();
    let proxy = Proxy::in_front_of(&server.url);
    let project = Project::new()
        .api(&proxy.url)
        .file("reconcile.yaml", "name: red\n")
        .file("all.reconcile.yaml", "variables: [{ name: shared, value: 1 }, { name: own, value: 1 }]\n");
    let api = Api::connect(Connection::new(&server.url)).unwrap();
    let pending = [Key::new(Kind::Variable, "shared")].into();
    block_on(api.save_ledger("blue", &Ledger { pending, ..new_ledger() })).unwrap();
    let cut = Mutex::new(BTreeSet::new());
    proxy.rule(move |request| {
        let is_variable = request.method == "POST" && request.path == "/api/variables/";
        match is_variable && cut.lock().unwrap().insert(request.body.clone()) {
            true => Verdict::CutAfter,
            false => Verdict::Pass,
        }
    });
    let ended = project.reconcile(&["apply", "--yes"]).exits(3);
    assert!(ended.stdout.contains("`blue` makes it too"), "{}", ended.stdout);
    assert_eq!(owned(&server.http())["red"], ["variable own"]);
    assert_eq!(found(&server.http())["variables"].len(), 2);
}
