//! Job configurations, compared with those that Prefect's own code makes, for the templates of all types of pools.

use std::collections::BTreeMap;

use reconcile::model::{Map, Tree};
use reconcile::render::job_template::{About, Configuration, job_variables, populate};
use reconcile::render::{Blocks, fill_blocks, fill_variables};
use serde_json::{Value, json};

use crate::support::questions::{self, Dice};

const TEMPLATES: [(&str, &str); 8] = [
    ("azure-container-instance", include_str!("../../templates/pools/azure-container-instance.json")),
    ("cloud-run", include_str!("../../templates/pools/cloud-run.json")),
    ("cloud-run-v2", include_str!("../../templates/pools/cloud-run-v2.json")),
    ("docker", include_str!("../../templates/pools/docker.json")),
    ("ecs", include_str!("../../templates/pools/ecs.json")),
    ("kubernetes", include_str!("../../templates/pools/kubernetes.json")),
    ("process", include_str!("../../templates/pools/process.json")),
    ("vertex-ai", include_str!("../../templates/pools/vertex-ai.json")),
];

/// How many questions each template gets, with variables thrown together.
const EACH: usize = 30;

const RUN: &str = "01a1fea5-dbca-4eb1-880f-ab8a6c8fcd31";
const DEPLOYMENT: &str = "01a1fea5-dbca-4eb1-880f-ab8a6c8fcd32";
const FLOW: &str = "01a1fea5-dbca-4eb1-880f-ab8a6c8fcd33";
const POOL: &str = "01a1fea5-dbca-4eb1-880f-ab8a6c8fcd34";
const BLOCK: &str = "01a1fea5-dbca-4eb1-880f-ab8a6c8fcd35";

/// What Prefect makes of each question.
fn ask(questions: &[Value]) -> Vec<Value> {
    questions::ask("job_templates.py", questions)
}

fn values() -> Vec<Value> {
    vec![
        json!("plain"),
        json!(3),
        json!(2.5),
        json!(true),
        json!(null),
        json!(""),
        json!([1, "two", {"three": null}]),
        json!({"a": {"b": [1, 2]}, "c": "d"}),
        json!("{{ prefect.variables.region }}"),
        json!("x-{{ prefect.variables.region }}-{{ prefect.variables.missing }}"),
        json!("{{ prefect.variables.settings }}"),
        json!("{{ prefect.blocks.secret.token }}"),
        json!("a{{ prefect.blocks.secret.token }}b"),
        json!("{{ prefect.blocks.creds.aws.key[0] }}"),
        json!("{{ prefect.blocks.secret.none }}"),
        json!({"$ref": {"block_document_id": BLOCK}}),
        json!("{{ image }} {{ name }}"),
        json!("{{ $STAGE }}"),
        json!("{{ $STAGE }}-{{ $NONE }}"),
        json!("{{ ctx.flow_run.name }}"),
    ]
}

fn environments() -> Vec<Value> {
    vec![
        json!({"A": "1"}),
        json!({"A": 2, "B": null, "C": true, "D": 1.0, "E": ["x"], "PREFECT_API_KEY": null}),
        json!({"T": "{{ prefect.blocks.secret.token }}", "S": "{{ $STAGE }}", "M": "{{ mode }}"}),
        json!({}),
        json!(null),
        json!("{{ prefect.variables.settings }}"),
    ]
}

/// Job variables: some of the template's own, some of nobody's, some with dots.
fn variables(dice: &mut Dice, names: &[String]) -> Value {
    let (values, environments) = (values(), environments());
    let mut made = serde_json::Map::new();
    for _ in 0..dice.below(5) {
        let name = names[dice.below(names.len())].clone();
        match name.as_str() {
            "env" => drop(made.insert(name, dice.pick(&environments).clone())),
            "labels" => drop(made.insert(name, json!({"team": "data", "t": "{{ prefect.variables.region }}"}))),
            "name" => drop(made.insert(
                name,
                dice.pick(&[json!("job"), json!("{{ ctx.flow.name }}-{{ ctx.flow_run.id }}"), json!(null)]).clone(),
            )),
            _ => drop(made.insert(name, dice.pick(&values).clone())),
        }
    }
    for dotted in ["env.DOT", "env.A", "labels.x", "deep.a[0].b", "mode"] {
        if dice.below(4) == 0 {
            made.insert(dotted.to_owned(), dice.pick(&[json!("dotted"), json!(7), json!("{{ $STAGE }}")]).clone());
        }
    }
    Value::Object(made)
}

fn question(template: &Value, deployment: &Value, run: &Value) -> Value {
    let updated = "2026-11-21T01:45:49.279827Z";
    json!({
        "pool": {"id": POOL, "name": "pool", "type": "t", "base_job_template": template, "default_queue_id": POOL},
        "deployment": {
            "id": DEPLOYMENT, "created": updated, "updated": updated, "name": "nightly", "flow_id": FLOW,
            "job_variables": deployment,
        },
        "run": {
            "id": RUN, "name": "odd-owl", "flow_id": FLOW, "deployment_id": DEPLOYMENT, "job_variables": run,
        },
        "flow": {"id": FLOW, "name": "etl", "labels": {}},
        "worker": "w1",
        "settings": {"PREFECT_API_URL": "http://127.0.0.1:4200/api", "PREFECT_API_KEY": "k"},
        "environment": {"STAGE": "prod", "HOME": "/home/ada"},
        "variables": {"region": "eu", "settings": {"K": "v", "n": 1}},
        "blocks": [["secret", "token", {"value": "hunter2"}], ["creds", "aws", {"key": ["k1", "k2"], "region": "eu"}]],
        "ids": {BLOCK: {"user": "ada", "password": "hunter2"}},
    })
}

fn map(value: &Value) -> Map {
    Tree::from(value).as_map().cloned().unwrap_or_default()
}

fn texts(value: &Value) -> BTreeMap<String, Tree> {
    map(value).into_iter().collect()
}

/// What we make of a question.
fn ours(question: &Value) -> Result<Value, String> {
    let told = |error: &dyn std::fmt::Debug| format!("{error:?}");
    let template = Tree::from(&question["pool"]["base_job_template"]);
    let merged = job_variables(&map(&question["deployment"]["job_variables"]), &map(&question["run"]["job_variables"]));
    let populated = populate(&template, &merged.map_err(|e| told(&e))?, &texts(&question["environment"]));
    let mut blocks = Blocks { by_id: texts(&question["ids"]), ..Blocks::default() };
    for block in question["blocks"].as_array().unwrap() {
        let text = |at: usize| block[at].as_str().unwrap().to_owned();
        blocks.by_name.insert((text(0), text(1)), Tree::from(&block[2]));
    }
    let filled = fill_blocks(&populated.map_err(|e| told(&e))?, &blocks).map_err(|e| told(&e))?;
    let filled = fill_variables(&filled, &texts(&question["variables"]), &mut Vec::new()).map_err(|e| told(&e))?;
    let mut made = Configuration::of(&filled).map_err(|e| told(&e))?;
    let of = |key: &str| Tree::from(&question[key]);
    let about = About {
        run: of("run"),
        deployment: of("deployment"),
        flow: of("flow"),
        pool: of("pool"),
        worker: "w1".to_owned(),
        worker_id: None,
        version: "3.8.8".to_owned(),
    };
    made.prepare(&texts(&question["settings"]), &about).map_err(|e| told(&e))?;
    let mut all = made.rest;
    all.insert("env".to_owned(), Tree::Map(made.env.into_iter().collect()));
    all.insert("labels".to_owned(), Tree::from(json!(made.labels)));
    all.insert("name".to_owned(), made.name.map_or(Tree::Null, Tree::text));
    let own = made.command.unwrap_or_else(|| "prefect flow-run execute".to_owned());
    all.insert("command".to_owned(), Tree::text(own));
    Ok(Tree::Map(all).masked())
}

#[test]
fn job_configurations_are_those_of_prefect() {
    let mut dice = Dice(0x5eed);
    let mut questions = Vec::new();
    for (_, text) in TEMPLATES {
        let mut template: Value = serde_json::from_str(text).unwrap();
        let mut names: Vec<String> = template["variables"]["properties"].as_object().unwrap().keys().cloned().collect();
        names.extend(["nobody", "env", "labels", "name", "command"].map(str::to_owned));
        for n in 0..EACH {
            if n == EACH / 2 {
                // A template whose environment is partly fixed, and has defaults.
                template["job_configuration"]["env"] = json!({"FIXED": "1", "MODE": "{{ mode }}", "A": "template"});
                template["variables"]["properties"]["env"]["default"] = json!({"A": "default", "Z": "z"});
            }
            questions.push(question(&template, &variables(&mut dice, &names), &variables(&mut dice, &names)));
        }
    }
    let answers = ask(&questions);
    let mut good = 0;
    for (question, answer) in questions.iter().zip(answers) {
        let variables = [&question["deployment"]["job_variables"], &question["run"]["job_variables"]];
        match (ours(question), answer.get("is")) {
            (Ok(ours), Some(theirs)) => {
                assert_eq!(Tree::from(&ours), Tree::from(theirs), "{variables:?}\n{ours:#}\n{theirs:#}");
                good += 1;
            }
            (Err(_), None) => {}
            (ours, _) => panic!("{variables:?}: {ours:?}, and Prefect says {answer}"),
        }
    }
    assert!(good >= 100, "only {good} of {} were good", questions.len());
}
