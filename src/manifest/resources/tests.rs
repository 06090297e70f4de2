//! Reading resource files of every kind, and what is complained of.

use super::*;
use crate::manifest::yaml;
use crate::model::{Kind, Tree};
use serde_json::{Value as Json, json};

fn read_text(text: &str) -> (Vec<Item>, Vec<Diagnostic>) {
    let file = RepoPath::new("blocks.yaml");
    let document = yaml::read(&file, text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
    read(&file, &document.root)
}

/// What a file without problems declares: keys and fields.
fn good(text: &str) -> Vec<(String, Json)> {
    let (items, problems) = read_text(text);
    assert_eq!(problems, [], "{text}");
    items.iter().map(|item| (item.key.to_string(), Tree::Map(item.fields.clone()).masked())).collect()
}

/// Codes, lines and columns of what is wrong.
fn wrong(text: &str) -> Vec<(&'static str, u32, u32)> {
    let place = |d: &Diagnostic| d.origin().map_or((0, 0), |at| (at.span.line, at.span.column));
    let (_, problems) = read_text(text);
    assert!(problems.iter().all(|d| d.help.is_some()), "{problems:?}");
    problems.iter().map(|d| (d.code, place(d).0, place(d).1)).collect()
}

fn helps(text: &str) -> Vec<String> {
    read_text(text).1.into_iter().filter_map(|d| d.help).collect()
}

const EVERYTHING: &str = r#"
blocks:
  - type: aws-credentials
    name: prod
    data:
      aws_access_key_id: "{{ $AWS_ACCESS_KEY_ID }}"
      aws_secret_access_key: { from_file: /run/secrets/aws }
  - type: s3-bucket
    name: flows
    data: { bucket_name: my-flows, credentials: { block: aws-credentials/prod } }
    schema: { version: "0.4.14" }
variables:
  - { name: region, value: eu-west-1, tags: [infra] }
work_pools:
  - name: k8s
    type: kubernetes
    concurrency_limit: 50
    paused: true
    base_job_template: { default: true, patch: { variables.properties.namespace.default: flows } }
    storage: { s3: { bucket: my-flows, credentials: { block: aws-credentials/prod } } }
    queues: [{ name: urgent, priority: 1, concurrency_limit: 10, paused: false }]
    lifecycle: { prune: false, ignore_drift: [concurrency_limit], adopt: true, replaces: old }
concurrency_limits:    [{ name: db, limit: 5, slot_decay_per_second: 0.0 }]
tag_concurrency_limits: [{ tag: db, limit: 5 }]
automations:
  - name: restart
    trigger: { expect: [prefect.flow-run.Failed], within: 60 }
    actions:
      - { type: run-deployment, deployment: etl/nightly, parameters: { day: 2026-01-02 } }
      - { type: send-notification, block: slack-webhook/ops, body: "{{ flow_run.name }}" }
block_types:
  - slug: db
    name: Database
    fields: { properties: { host: { type: string }, password: { type: string } }, required: [host] }
    secret_fields: [password]
"#;

#[test]
fn every_kind_is_read() {
    let found = good(EVERYTHING);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "block aws-credentials/prod",
        "block s3-bucket/flows",
        "variable region",
        "work_pool k8s",
        "work_queue k8s/urgent",
        "concurrency_limit db",
        "tag_concurrency_limit db",
        "automation restart",
        "block_type db",
    ];
    assert_eq!(names, expected);
    assert_eq!(found[1].1["schema"], json!({"version": "0.4.14"}));
    assert_eq!(found[2].1, json!({"name": "region", "value": "eu-west-1", "tags": ["infra"]}));
    assert_eq!(found[3].1["is_paused"], true);
    assert_eq!(found[3].1["storage_configuration"]["s3"]["bucket"], "my-flows");
    assert_eq!(found[4].1, json!({"name": "urgent", "priority": 1, "concurrency_limit": 10, "is_paused": false}));
    assert_eq!(found[6].1, json!({"tag": "db", "concurrency_limit": 5}));
    assert_eq!(found[7].1["actions"][0]["parameters"]["day"], "2026-01-02");
}

#[test]
fn what_a_file_says_nothing_of_is_nothing() {
    assert_eq!(good(""), []);
    assert_eq!(good("blocks:\nvariables: []\ndefinitions: {x: 1}\n"), []);
    assert_eq!(good("deployments: []\npull: null\nname: x\nvariables: [{name: a, value: null}]\n").len(), 1);
}

#[test]
fn the_lifecycle_is_read() {
    let (items, _) = read_text(EVERYTHING);
    let pool = &items[3];
    let expected = Lifecycle {
        prune: Some(false),
        ignore_drift: vec![Path::of("concurrency_limit")],
        adopt: true,
        replaces: Some("old".into()),
    };
    assert_eq!((pool.key.kind, &pool.lifecycle), (Kind::WorkPool, &expected));
    assert_eq!(items[4].lifecycle, Lifecycle::default());
    assert_eq!(pool.origin_of(&Path::of("is_paused")).span.line, 18);
    assert_eq!(pool.origin_of(&Path::of("storage_configuration").key("s3")).span.line, 20);
}

#[test]
fn references_are_listed_with_their_places() {
    let (items, _) = read_text(EVERYTHING);
    let all: Vec<String> =
        items.iter().flat_map(|item| references(item).into_iter().map(|(path, key)| format!("{path} {key}"))).collect();
    let expected = [
        "data.credentials block aws-credentials/prod",
        "storage_configuration.s3.credentials block aws-credentials/prod",
        "actions[0].deployment deployment etl/nightly",
        "actions[1].block block slack-webhook/ops",
    ];
    assert_eq!(all, expected);
}

#[test]
fn misspelt_keys_have_suggestions() {
    assert_eq!(wrong("blocs: []"), [("E0700", 1, 1)]);
    assert_eq!(helps("blocs: []"), ["did you mean `blocks`?"]);
    assert_eq!(helps("work_queues: []"), ["write the queues below their pool: `queues:` of an item of `work_pools`"]);
    assert_eq!(helps("variables: [{name: a, value: 1, tgas: []}]"), ["did you mean `tags`?"]);
    assert_eq!(wrong("variables: [{name: a, value: 1, tgas: []}]"), [("E0702", 1, 33)]);
    assert_eq!(helps("variables: [{name: a, value: 1, lifecycle: {prun: true}}]"), ["did you mean `prune`?"]);
    assert_eq!(wrong("7"), [("E0701", 1, 1)]);
    assert_eq!(wrong("variables: {a: 1}"), [("E0701", 1, 12)]);
    assert_eq!(wrong("variables: [a]"), [("E0701", 1, 13)]);
}

/// Of one item of a list, given as flow mapping.
fn codes(list: &str, item: &str) -> Vec<&'static str> {
    wrong(&format!("{list}: [{item}]")).iter().map(|(code, _, _)| *code).collect()
}

#[test]
fn values_that_the_server_refuses_are_told() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("variables", "{name: A, value: 1}", &["E0704"]),
        ("variables", "{name: '', value: 1}", &["E0704"]),
        ("variables", "{name: '{{ $X }}', value: 1}", &["E0704"]),
        ("variables", "{value: 1}", &["E0703"]),
        ("variables", "{name: 7, value: .inf, tags: x}", &["E0701", "E0701", "E0701"]),
        ("work_pools", "{name: Prefect-x, type: process}", &["E0705"]),
        ("work_pools", "{name: a/b, type: ''}", &["E0704", "E0704"]),
        ("work_pools", "{name: a, type: p, queues: [{name: q, priority: 0}]}", &["E0706"]),
        ("work_pools", "{name: a, type: p, queues: [{name: q, priority: 2}, {name: r, priority: 2}]}", &["E0708"]),
        ("work_pools", "{name: a, type: p, queues: [{name: q}, {name: q}]}", &["E0707"]),
        ("work_pools", "{name: a, type: p, concurrency_limit: -1, paused: 'yes'}", &["E0701", "E0706"]),
        ("work_pools", "{name: a, type: p, base_job_template: {default: false}}", &["E0713"]),
        ("work_pools", "{name: a, type: p, base_job_template: {patch: {x.y: 1}}}", &["E0713", "E0713"]),
        ("work_pools", "{name: a, type: p, base_job_template: {variables: {}}}", &["E0713", "E0713"]),
        (
            "work_pools",
            "{name: a, type: p, base_job_template: {job_configuration: {x: '{{ y }}'}, variables: {properties: {z: {}}}}}",
            &["E0713"],
        ),
        ("work_pools", "{name: a, type: p, storage: {s3: {bucket: b}, gcs: {bucket: b}}}", &["E0714"]),
        ("work_pools", "{name: a, type: p, storage: {s3: {buckt: b}}}", &["E0702", "E0714"]),
        ("work_pools", "{name: a, type: p, storage: {s3: {bucket: b, credentials: {block: x/y}}}}", &["E0714"]),
        ("concurrency_limits", "{name: 'tag:x', limit: 1}", &["E0705"]),
        ("concurrency_limits", "{name: x, limit: '1', slot_decay_per_second: -0.5}", &["E0701", "E0706"]),
        ("tag_concurrency_limits", "{tag: x}", &["E0703"]),
        ("blocks", "{type: reconcile-ledger, name: a}", &["E0705"]),
        ("blocks", "{type: secret, name: -a}", &["E0704"]),
        ("blocks", "{type: x, name: a, data: {y: '********'}}", &["E0711"]),
        ("blocks", "{type: x, name: a, data: {y: {block: z}}}", &["E0710"]),
        ("blocks", "{type: x, name: a, data: {y: {deeper: {block: s/z}}}}", &["E0710"]),
        ("blocks", "{type: x, name: a, data: {y: {from_env: 1A}}}", &["E0710"]),
        ("blocks", "{type: x, name: a, data: {y: {from_file: f, z: 1}}}", &["E0710"]),
        ("blocks", "{type: x, name: a, schema: {version: 0.5}}", &["E0718"]),
        ("blocks", "{type: secret, name: a, data: {value: hunter2}}", &["W0721"]),
        ("blocks", "{type: secret, name: a, data: {value: {a: [b]}}}", &["W0721"]),
        ("blocks", "{type: secret, name: a, data: {value: {block: secret/y}}}", &[]),
        ("blocks", "{type: s3-bucket, name: a, data: {bucket_nme: b}}", &["W0722"]),
        ("block_types", "{slug: a, name: Prefect A, fields: {type: array}}", &["E0705", "E0717", "E0717"]),
        ("block_types", "{slug: a, name: A, fields: {properties: {x: {}}}, secret_fields: [y]}", &["E0717"]),
        ("automations", "{name: a, trigger: {expcet: [x]}, actions: []}", &["E0702"]),
        ("automations", "{name: a, trigger: {posture: x}, actions: [{type: cancel}]}", &["E0715", "E0715"]),
        ("automations", "{name: a, trigger: {}, actions: [{type: run-deployment}]}", &["E0703"]),
        ("automations", "{name: a, trigger: {}, actions: [{type: run-deployment, deployment: x}]}", &["E0716"]),
        ("automations", "{name: a, trigger: {}, actions: [{type: send-notification, block: a/b}]}", &["E0703"]),
        ("automations", "{name: a, actions: [{}]}", &["E0703", "E0703"]),
        (
            "variables",
            "{name: a, value: 1, lifecycle: {prune: 1, adopt: x, ignore_drift: [a.], replaces: ''}}",
            &["E0712", "E0712", "E0712", "E0712"],
        ),
    ];
    for (list, item, expected) in cases {
        let mut found = codes(list, item);
        found.sort_unstable();
        assert_eq!(found, *expected, "{list}: {item}");
    }
}

#[test]
fn names_become_ids_when_they_are_sent() {
    let (items, _) = read_text(EVERYTHING);
    let field = |i: usize, name: &str| items[i].fields.get(name).expect("it is declared").clone();
    assert_eq!(
        block_of(&field(1, "data").get("credentials").expect("a reference").clone()).expect("one").name,
        "aws-credentials/prod"
    );
    let steps = Tree::Map(storage_configuration(&field(3, "storage_configuration"))).masked();
    let expected = json!({"bucket": "my-flows", "aws_credentials_block_name": "prod", "requires": "prefect-aws"});
    assert_eq!(steps["bundle_upload_step"]["prefect_aws.experimental.bundles.upload"], expected);
    let mut places = Vec::new();
    let mut name = |key: Key, at: &Path| {
        places.push(at.to_string());
        Tree::IdOf(key)
    };
    let action =
        sent_action(field(7, "actions").as_list().expect("a list").first().expect("one"), &Path::of("a"), &mut name);
    assert_eq!(action.masked()["deployment_id"], "(id of deployment etl/nightly)");
    let trigger = json!({
        "triggers": [
            {"expect": ["prefect.work-pool.paused"], "work_pool": "p"},
            {"expect": ["x"], "match": {"flow": ["f", "g"]}, "match_related": [{"deployment": "f/d"}], "work_pool": "p"},
        ],
    });
    let trigger = sent_trigger(&Tree::from(trigger), &Path::of("t"), &mut name).masked();
    let label = |key: &str| json!({"prefect.resource.id": format!("(id of {key})")});
    assert_eq!((&trigger["type"], &trigger["within"]), (&json!("sequence"), &json!(null)));
    assert_eq!(trigger["triggers"][0]["match"], label("work_pool p"));
    assert_eq!(
        (&trigger["triggers"][0]["posture"], &trigger["triggers"][0]["threshold"]),
        (&json!("Reactive"), &json!(1))
    );
    assert_eq!(trigger["triggers"][1]["match"]["prefect.resource.id"], json!(["(id of flow f)", "(id of flow g)"]));
    let related = json!({"prefect.resource.id": "(id of work_pool p)", "prefect.resource.role": "work-pool"});
    assert_eq!(trigger["triggers"][1]["match_related"], json!([label("deployment f/d"), related]));
    let expected = [
        "a.deployment",
        "t.triggers[0].work_pool",
        "t.triggers[1].match.flow[0]",
        "t.triggers[1].match.flow[1]",
        "t.triggers[1].match_related[0].deployment",
        "t.triggers[1].work_pool",
    ];
    assert_eq!(places, expected);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_panic(text in "\\PC{0,20}") {
        for list in ROOT_KEYS {
            let file = RepoPath::new("x.yaml");
            let quoted = json!(text).to_string();
            let item = format!("{list}: [{{name: {quoted}, tag: {quoted}, slug: {quoted}, type: {quoted}, data: {{{quoted}: {quoted}}}}}]");
            if let Ok(document) = yaml::read(&file, item.as_bytes()) {
                for item in read(&file, &document.root).0 {
                    let trigger = item.fields.get("trigger").unwrap_or(&Tree::Null);
                    let _ = (references(&item), sent_trigger(trigger, &Path::root(), &mut |key, _| Tree::IdOf(key)));
                }
            }
        }
    }
}
