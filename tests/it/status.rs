//! `reconcile status`: what was applied, what drifted, what waits in git, who is at work.

use serde_json::{Value, json};

use crate::everything::{Bench, REST};

#[track_caller]
fn status(bench: &Bench, code: i32) -> Value {
    serde_json::from_str(&bench.run(&["status", "--json"], code).stdout).unwrap()
}

#[test]
fn a_scope_is_told_from_its_beginning_to_its_end() {
    let bench = Bench::new();
    let before = status(&bench, 0);
    assert_eq!((&before["applied"], &before["lock"], &before["valid"]), (&Value::Null, &Value::Null, &json!(true)));
    assert!(before["pending"]["changes"].as_u64().unwrap() > 10, "{before:#}");
    assert!(bench.run(&["status"], 0).stdout.contains("applied   nothing yet"));

    bench.run(&["apply", "--yes"], 0);
    let after = status(&bench, 0);
    assert_eq!(after["owned"]["by_kind"]["work_queue"], 2, "{after:#}");
    assert_eq!((&after["pending"]["changes"], &after["drift"]["changed"]), (&json!(0), &json!(0)), "{after:#}");
    assert!(after["applied"]["at"].is_string() && after["api"]["version"].is_string(), "{after:#}");

    bench.http().patch("/variables/name/region", json!({"value": "elsewhere"}));
    bench.project.write("rest.reconcile.yaml", &REST.replace("limit: 5,", "limit: 6,"));
    let moved = status(&bench, 0);
    assert_eq!((&moved["pending"]["changes"], &moved["drift"]["changed"]), (&json!(1), &json!(1)), "{moved:#}");
    let text = bench.run(&["status"], 0).stdout;
    assert!(text.contains("1 changed, ") && text.contains("1 change; `reconcile plan` shows them"), "{text}");
    assert!(text.contains("lock      free"), "{text}");

    bench.project.write("rest.reconcile.yaml", "variables: 3\n");
    let invalid = status(&bench, 0);
    assert_eq!((&invalid["valid"], &invalid["pending"]), (&json!(false), &Value::Null), "{invalid:#}");
    assert_eq!(invalid["drift"]["changed"], 1, "{invalid:#}");
}

#[test]
fn who_holds_the_lock_is_named() {
    let bench = Bench::new();
    bench.run(&["apply", "--yes"], 0);
    // A lock as another pass holds it, under the name of the ledger.
    let ledger = bench.bookkeeping().remove(0);
    let types = bench.http().get("/block_types/slug/reconcile-lock");
    let filter = json!({"block_schemas": {"block_type_id": {"any_": [types["id"]]}}});
    let schema = bench.http().post("/block_schemas/filter", filter)[0]["id"].clone();
    let data = json!({"host": "ci-7", "pid": 12, "url": "https://ci.example.org/7", "scope": "everything"});
    let body = json!({"name": ledger["name"], "data": data, "block_type_id": types["id"], "block_schema_id": schema});
    bench.http().post("/block_documents/", body);
    let held = status(&bench, 0);
    assert_eq!((&held["lock"]["host"], &held["lock"]["pid"]), (&json!("ci-7"), &json!("12")), "{held:#}");
    assert!(held["lock"]["since"].is_string() && held["lock"]["url"] == "https://ci.example.org/7", "{held:#}");
    assert!(bench.run(&["status"], 0).stdout.contains("held by ci-7 (pid 12)"));
    assert!(bench.run(&["release", "variable/region", "--yes"], 5).stderr.contains("ci-7 (pid 12)"));
}

#[test]
fn nobody_answering_is_told_in_every_form() {
    let bench = Bench::new();
    let away = ["--api-url", "http://127.0.0.1:9/api"];
    for command in [&["status"][..], &["drift"], &["release", "variable/x", "--yes"]] {
        let project = &bench.project;
        let mut run = project.reconcile_command();
        let output =
            run.args([command, &away, &["--json"]].concat()).env("PREFECT_CLIENT_MAX_RETRIES", "0").output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["error"]["code"], "E0510", "{json:#}");
    }
}
