//! Triggers: the same acceptance and the same automations as the real Prefect, and back from a real server.

use reconcile::manifest::triggers::{automation, check_triggers, differences};
use reconcile::model::{Key, Tree};
use serde_json::{Value, json};

use crate::schedules::{Dice, ask, node};
use crate::support::server::Server;

const ID: &str = "00000000-0000-0000-0000-000000000001";

fn body(trigger: &Value, id: &str) -> Option<Tree> {
    let built = automation(&Tree::from(trigger), "t1", 0, &Key::deployment("f", "d")).ok()?;
    built.complete(id).revealed(&|_| Some(id.to_owned())).map(Tree::from)
}

/// Sets are sorted, so that answers can be compared.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match (key.as_str(), value) {
                ("after" | "expect" | "for_each", Value::Array(items)) => {
                    let mut items = items.clone();
                    items.sort_by_key(Value::to_string);
                    (key.clone(), Value::Array(items))
                }
                _ => (key.clone(), sorted(value)),
            })
            .collect(),
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn triggers() -> Vec<Value> {
    let mut all = Vec::new();
    let scalars = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(2),
        json!(5),
        json!(10),
        json!(60),
        json!(300),
        json!(-1),
        json!(1.0),
        json!(1.5),
        json!(9.5),
        json!("x"),
        json!("1"),
        json!("2.0"),
        json!("any"),
        json!("all"),
        json!("yes"),
        json!(""),
        json!("PT10S"),
        json!("PT5M"),
        json!("00:05"),
        json!([]),
        json!({}),
        json!(["a", "b", "a"]),
        json!([1]),
        json!({"a": "b"}),
        json!({"a": ["b", "c"]}),
        json!({"a": 1}),
        json!({"a": [1]}),
        json!([{"a": "b"}]),
        json!([{"a": 1}]),
        json!(["a", {"a": "b"}]),
        json!("Reactive"),
        json!("Proactive"),
        json!("Metric"),
        json!("event"),
        json!("metric"),
        json!("compound"),
        json!("sequence"),
    ];
    let keys = [
        "name",
        "description",
        "enabled",
        "parameters",
        "job_variables",
        "schedule_after",
        "match",
        "match_related",
        "after",
        "expect",
        "for_each",
        "posture",
        "threshold",
        "within",
        "type",
        "unknown",
        "require",
        "triggers",
        "metric",
    ];
    let metric = || json!({"name": "successes", "threshold": 0.5, "operator": "<"});
    let bases = [
        json!({}),
        json!({"posture": "Proactive"}),
        json!({"posture": "Metric", "metric": metric()}),
        json!({"triggers": [{"expect": ["a"]}, {"posture": "Proactive", "within": 20}], "require": 1}),
        json!({"triggers": [{"expect": ["a"]}]}),
    ];
    for base in &bases {
        for key in keys {
            for value in &scalars {
                let mut trigger = base.clone();
                trigger[key] = value.clone();
                all.push(trigger);
            }
        }
    }
    for key in ["name", "threshold", "operator", "range", "firing_for", "extra"] {
        for value in scalars.iter().chain(&[
            json!("lateness"),
            json!("duration"),
            json!(">="),
            json!("<="),
            json!(">"),
            json!("0.25"),
            json!(299.9),
        ]) {
            let mut metric = metric();
            metric[key] = value.clone();
            all.push(json!({"type": "metric", "metric": metric, "match": {"prefect.resource.id": "x"}}));
        }
    }
    for missing in ["name", "threshold", "operator"] {
        let mut metric = metric();
        metric.as_object_mut().expect("a mapping").remove(missing);
        all.push(json!({"posture": "Metric", "metric": metric}));
    }
    let inner = [
        json!({}),
        json!({"type": "event"}),
        json!({"type": "x"}),
        json!({"type": 5}),
        json!({"posture": "Metric", "metric": metric()}),
        json!("x"),
        json!(null),
        json!({"posture": "Metric", "triggers": [{}], "require": "any"}),
        json!({"triggers": [{}, {}], "require": 2}),
        json!({"triggers": [{}]}),
        json!({"triggers": [{"triggers": [{}], "within": "PT1M"}], "require": "all", "within": -5}),
        json!({"name": 5, "enabled": "x"}),
        json!({"within": null}),
        json!({"posture": "Proactive"}),
        json!({"posture": "Proactive", "within": "PT30S"}),
        json!({"expect": "a"}),
        json!({"match_related": [{"a": "b"}, {"c": ["d"]}]}),
        json!({"threshold": "3", "within": "PT30S", "for_each": ["x", "y"], "after": ["z"]}),
    ];
    for item in &inner {
        all.push(json!({"triggers": [item], "require": "any"}));
        all.push(json!({"triggers": [item, {}], "require": 2, "within": 60}));
        all.push(json!({"type": "sequence", "triggers": [{}, item], "within": "PT1H"}));
        all.push(item.as_object().map_or(json!({"triggers": item}), |_| item.clone()));
    }
    let mut dice = Dice(23);
    while all.len() < 5000 {
        let mut trigger = bases[dice.roll(bases.len())].clone();
        for _ in 0..1 + dice.roll(3) {
            trigger[keys[dice.roll(keys.len())]] = scalars[dice.roll(scalars.len())].clone();
        }
        all.push(trigger);
    }
    all
}

#[test]
fn triggers_become_the_same_automations() {
    let triggers = triggers();
    let answer = ask("triggers.py", &json!({"triggers": triggers}));
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for (trigger, theirs) in triggers.iter().zip(answer.as_array().expect("a list")) {
        accepted += usize::from(!theirs.is_null());
        let ours = body(trigger, ID).map_or(Value::Null, |tree| tree.masked());
        let (ours, theirs) = (sorted(&ours), sorted(theirs));
        if Tree::from(&ours) != Tree::from(&theirs) {
            wrong.push(format!("{trigger}\n  ours   {ours}\n  theirs {theirs}"));
        } else if !ours.is_null() {
            assert_eq!(ours.to_string(), theirs.to_string(), "the order of keys");
        }
    }
    println!("{accepted} accepted of {}", triggers.len());
    assert!(accepted > 500, "too few are valid to tell anything");
    assert!(wrong.is_empty(), "{} of {} differ from Prefect:\n{}", wrong.len(), triggers.len(), wrong.join("\n"));
}

/// What a real server returns is what was declared.
#[test]
fn a_server_returns_the_automation_that_was_sent() {
    let http = Server::shared().http();
    let flow = http.post("/flows/", json!({"name": "triggers-round-trip"}));
    let deployment = http.post("/deployments/", json!({"name": "d", "flow_id": flow["id"]}));
    let id = deployment["id"].as_str().expect("an id");
    let declared = [
        json!({}),
        json!({"expect": ["b", "a", "c"], "after": ["y", "x"], "for_each": ["l", "k"], "threshold": 3, "within": "PT30S"}),
        json!({"posture": "Proactive", "match": {"prefect.resource.id": ["a", "b"]}, "match_related": {"prefect.resource.role": "flow"}}),
        json!({"match_related": [{"a": "b"}, {"c": ["d"]}]}),
        json!({"parameters": {"x": "{{ event.id }}", "y": [1, 2.5, null], "z": {"expect": ["b", "a"]}}, "job_variables": {"env": {"A": "b"}}}),
        json!({"name": "named", "description": "why", "enabled": false, "schedule_after": 90}),
        json!({"triggers": [{"expect": ["b", "a"]}, {"posture": "Proactive", "within": 20}], "require": "any", "within": 60}),
        json!({"triggers": [{"triggers": [{"expect": ["q", "p"]}], "require": 1}, {}], "within": 60}),
        json!({"schedule_after": 0.25, "threshold": 1, "within": 0.5}),
    ];
    for trigger in &declared {
        let sent = body(trigger, id).expect("valid");
        let created = http.post("/automations/", sent.masked());
        let found = http.get(&format!("/automations/{}", created["id"].as_str().expect("an id")));
        assert_eq!(differences(&sent, &found), vec![], "{trigger}");
        for other in declared.iter().filter(|other| *other != trigger) {
            let other = body(other, id).expect("valid");
            assert_ne!(differences(&other, &found), vec![], "{trigger} looks like {other:?}");
        }
        http.delete(&format!("/automations/{}", created["id"].as_str().expect("an id")));
    }
}

#[test]
fn misspelt_keys_are_warned_of() {
    let problems = check_triggers(&node(&json!([{"expcet": ["a"], "triggers": [{"mach": {}}]}])));
    let helps: Vec<&str> = problems.iter().filter_map(|problem| problem.help.as_deref()).collect();
    assert_eq!(helps, ["did you mean `expect`?", "did you mean `match`?"]);
    assert!(problems.iter().all(|problem| problem.code == "W0190"));
    assert_eq!(check_triggers(&node(&json!({"expect": []})))[0].code, "E0190");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_a_panic(text in "\\PC{0,30}", key in 0usize..20) {
        let keys = ["within", "threshold", "expect", "match", "type", "posture", "require", "triggers", "metric", "name", "enabled", "schedule_after"];
        let key = keys[key % keys.len()];
        let _ = body(&json!({key: text}), ID);
        let _ = body(&json!({"triggers": [{key: text}], "require": text}), ID);
        let _ = check_triggers(&node(&json!([{key: text, "triggers": [{key: text}]}])));
    }
}
