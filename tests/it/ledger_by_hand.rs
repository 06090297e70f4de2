//! Ledgers that somebody edited, truncated or deleted, and objects that changed after they were planned: a diagnosis
//! each, nothing deleted, nothing lost.

use serde_json::{Value, json};

use crate::everything::{Bench, REST, told};

/// What somebody does to the data of a ledger.
type Edit = fn(&mut Value);

/// What somebody does to an object.
type ByHand<'a> = Box<dyn Fn() + 'a>;

fn ledger(bench: &Bench) -> Value {
    bench.bookkeeping().into_iter().find(|row| row["data"]["seal"].is_string()).unwrap()
}

fn write(bench: &Bench, row: &Value, data: &Value) {
    let path = format!("/block_documents/{}", row["id"].as_str().unwrap());
    bench.http().patch(&path, json!({"data": data, "merge_existing_data": false}));
}

#[test]
fn a_damaged_ledger_deletes_nothing_and_is_not_written_over() {
    let bench = Bench::new();
    bench.run(&["apply", "--yes"], 0);
    let (before, whole) = (bench.counts(), ledger(&bench));
    // Half of git is gone, and everything may be pruned.
    bench.project.write("rest.reconcile.yaml", &REST[..REST.find("concurrency_limits:").unwrap()]);
    let edits: [(&str, Edit); 5] = [
        ("edited", |data| data["owned"]["variable stranger"] = json!({"id": "x", "declared": {}})),
        ("edited", |data| data["owned"] = json!({})),
        ("edited", |data| drop(data.as_object_mut().unwrap().remove("owned"))),
        ("`digest_key`", |data| drop(data.as_object_mut().unwrap().remove("digest_key"))),
        ("`format`", |data| *data = json!({"owned": data["owned"]})),
    ];
    for (word, edit) in edits {
        let mut data = whole["data"].clone();
        edit(&mut data);
        write(&bench, &whole, &data);
        let plan = bench.run(&["plan", "--prune", "--max-delete", "100%"], 0);
        assert!(plan.stderr.contains("W0406") && plan.stderr.contains(word), "{word}: {plan:?}");
        bench.run(&["apply", "--yes", "--prune", "--max-delete", "100%"], 0);
        for args in [&["drift"][..], &["status"], &["release", "variable/region", "--yes"], &["destroy", "--yes"]] {
            let output = bench.run(args, 1);
            assert!(output.stderr.contains("E0520") && output.stderr.contains(word), "{args:?}: {output:?}");
        }
        assert_eq!((bench.counts(), &ledger_data(&bench, &whole)), (before.clone(), &data), "{word}");
    }
    write(&bench, &whole, &whole["data"]);
    assert_eq!(bench.plan(&[])["held"].as_array().unwrap().len(), 3, "it is whole again");
}

fn ledger_data(bench: &Bench, row: &Value) -> Value {
    let all = bench.bookkeeping().into_iter();
    all.filter(|one| one["id"] == row["id"]).map(|one| one["data"].clone()).next().unwrap()
}

#[test]
fn a_deleted_ledger_is_rebuilt_by_adoption() {
    let bench = Bench::new();
    bench.run(&["apply", "--yes"], 0);
    let before = bench.counts();
    let row = ledger(&bench);
    bench.http().delete(&format!("/block_documents/{}", row["id"].as_str().unwrap()));
    // Objects of resource files are nobody's now, and are held until they may be taken over.
    let plan = bench.plan(&["--prune"]);
    assert_eq!(told(&plan), ["adopt deployment hello/nightly"], "{plan:#}");
    assert!(plan["held"].as_array().unwrap().iter().all(|held| held["action"] == "adopt"), "{plan:#}");
    bench.run(&["drift"], 1);
    let adopted = bench.plan(&["--adopt"]);
    assert_eq!(adopted["held"], json!([]), "{adopted:#}");
    // Secrets cannot be compared with what was applied, for that is forgotten; all else is as it was.
    bench.run(&["apply", "--yes", "--adopt"], 0);
    bench.writes_nothing();
    assert_eq!(bench.counts(), before);
    bench.run(&["drift"], 0);
}

#[test]
fn what_changed_after_it_was_planned_makes_the_plan_stale() {
    let bench = Bench::new();
    bench.run(&["apply", "--yes"], 0);
    let changed = REST
        .replace("value: eu-west-1", "value: eu-west-2")
        .replace("concurrency_limit: 50", "concurrency_limit: 51")
        .replace("limit: 5,", "limit: 6,")
        .replace("limit: 3 }", "limit: 4 }")
        .replace("priority: 5", "priority: 6")
        .replace("threshold: 2", "threshold: 3");
    bench.project.write("rest.reconcile.yaml", &changed);
    bench.run(&["plan", "--out", "plan.json"], 0);
    let http = bench.http();
    let edits: [(&str, ByHand<'_>); 4] = [
        ("variable region", Box::new(|| drop(http.patch("/variables/name/region", json!({"value": "x"}))))),
        ("work_pool k8s", Box::new(|| drop(http.patch("/work_pools/k8s", json!({"concurrency_limit": 9}))))),
        ("work_queue k8s/slow", Box::new(|| drop(http.patch("/work_pools/k8s/queues/slow", json!({"priority": 9}))))),
        ("concurrency_limit db", Box::new(|| drop(http.patch("/v2/concurrency_limits/db", json!({"limit": 9}))))),
    ];
    for (key, edit) in edits {
        edit();
        let stale = bench.run(&["apply", "--plan", "plan.json", "--yes", "--json"], 5);
        let json: Value = serde_json::from_str(&stale.stdout).unwrap();
        assert!(json["differs"].as_array().unwrap().iter().any(|one| one["key"] == key), "{key}: {json:#}");
        assert!(http.get("/v2/concurrency_limits/db")["limit"] != 6, "nothing was written");
        bench.run(&["plan", "--out", "plan.json"], 0);
    }
    bench.run(&["apply", "--plan", "plan.json", "--yes"], 0);
    bench.writes_nothing();
}
