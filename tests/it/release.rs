//! `reconcile release`: objects stop being ours, stay as they are, and what left git is not pruned after it.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::everything::{Bench, DEPLOYMENT, REST, told};

/// What the ledger says is ours.
fn owned(bench: &Bench) -> Vec<String> {
    let ledger = bench.bookkeeping().into_iter().find(|row| row["data"]["owned"].is_object()).unwrap();
    ledger["data"]["owned"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn what_is_let_go_stays_and_is_not_pruned() {
    let bench = Bench::new();
    bench.project.write("prefect.yaml", &format!("{DEPLOYMENT}    triggers: [{{ name: t, expect: [x.y] }}]\n"));
    bench.run(&["apply", "--yes"], 0);
    let before = bench.counts();
    // What left git.
    bench.project.write("rest.reconcile.yaml", &REST[..REST.find("concurrency_limits:").unwrap()]);
    assert_eq!(bench.plan(&[])["held"].as_array().unwrap().len(), 3);
    let args =
        ["release", "concurrency_limit/db", "tag_concurrency_limit/*", "automation/again", ".", "--yes", "--json"];
    let json: Value = serde_json::from_str(&bench.run(&args, 0).stdout).unwrap();
    let objects = json["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 3, "{json:#}");
    assert!(objects.iter().all(|one| one["released"] == true && one["next"] == "left alone"), "{json:#}");
    assert_eq!(bench.counts(), before, "nothing is deleted");
    let plan = bench.plan(&["--prune"]);
    assert_eq!((told(&plan), &plan["held"]), (vec![], &json!([])), "{plan:#}");
    assert!(!owned(&bench).iter().any(|key| key.contains("db") || key.contains("heavy") || key.contains("again")));

    // What git declares: a deployment is taken over again, another kind held; what hangs on it goes along.
    let json = bench.run(&["release", "deployment/hello/*", "variable/region", "--yes", "--json"], 0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let next: Vec<String> =
        json["objects"].as_array().unwrap().iter().map(|one| format!("{} {}", one["name"], one["next"])).collect();
    assert_eq!(next, [r#""region" "held""#, r#""hello/nightly" "taken over""#, r#""hello/nightly/t" "taken over""#]);
    let plan = bench.plan(&[]);
    assert_eq!(told(&plan), ["adopt deployment hello/nightly", "adopt automation hello/nightly/t"], "{plan:#}");
    assert_eq!(plan["held"][0]["name"], "region");
    // A deployment that left git altogether stays, with its automation.
    bench.run(&["apply", "--yes", "--adopt"], 0);
    bench.run(&["release", "deployment/hello/nightly", "--yes"], 0);
    bench.project.write("prefect.yaml", "deployments: []\n");
    let plan = bench.plan(&["--prune"]);
    assert_eq!((told(&plan), &plan["held"]), (vec![], &json!([])), "{plan:#}");
    // Its pool is held now: what is not ours uses it.
    bench.run(&["destroy", "--yes"], 2);
    assert_eq!(bench.rows("deployments").len(), 1);
}

#[test]
fn what_is_not_ours_is_refused_with_what_may_be_meant() {
    let bench = Bench::new();
    bench.run(&["apply", "--yes"], 0);
    let cases: [(&[&str], &str); 5] = [
        (&["release", "variable/regoin", "--yes"], "did you mean `variable/region`"),
        (&["release", "flow/hello", "--yes"], "owns no flow"),
        (&["release", "varable/region", "--yes"], "`varable` is not a kind"),
        (&["release", "variable/region"], "give `--yes`"),
        (&["release"], "KIND/NAME"),
    ];
    for (args, word) in cases {
        assert!(bench.run(args, 64).stderr.contains(word), "{args:?}: {word}");
        let json: Value = serde_json::from_str(&bench.run(&[args, &["--json"]].concat(), 64).stdout).unwrap();
        assert!(json["error"]["message"].is_string(), "{json:#}");
    }
    assert!(owned(&bench).contains(&"variable region".to_owned()), "nothing was let go");
}

/// A terminal that says no: `script` gives one.
#[test]
fn who_says_no_gets_json_as_well() {
    let bench = Bench::new();
    bench.run(&["apply", "--yes"], 0);
    bench.project.write("rest.reconcile.yaml", &REST.replace("limit: 5,", "limit: 6,"));
    let program = env!("CARGO_BIN_EXE_reconcile");
    for (command, count) in [("release variable/region", "objects"), ("apply", "changes"), ("destroy", "changes")] {
        let out = bench.project.path().join("out.json");
        let line = format!("{program} {command} --json > {}", out.display());
        let mut script = std::process::Command::new("script");
        let ours = bench.project.reconcile_command();
        script.args(["-qec", &line, "/dev/null"]).current_dir(bench.project.path()).env_clear();
        script.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let started = script.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(mut child) = started else {
            crate::support::skip::skipped("this machine has no `script`, of util-linux");
            return;
        };
        child.stdin.take().unwrap().write_all(b"no\n").unwrap();
        assert!(child.wait().unwrap().success(), "{command}");
        let json: Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
        assert!(json["declined"] == true && json[count].is_array(), "{command}: {json:#}");
        std::fs::remove_file(&out).unwrap();
    }
    assert!(owned(&bench).contains(&"variable region".to_owned()));
    assert_eq!(bench.http().get("/v2/concurrency_limits/db")["limit"], 5);
}

#[test]
fn destroy_is_shown_before_it_is_done() {
    let bench = Bench::new();
    assert!(bench.run(&["destroy", "--yes"], 0).stdout.contains("nothing to do"));
    bench.run(&["apply", "--yes"], 0);
    let before = bench.counts();
    let plan = bench.plan(&["--destroy"]);
    assert_eq!(plan["summary"]["delete"].as_u64().unwrap() as usize, told(&plan).len());
    assert_eq!(plan["summary"]["delete"], owned(&bench).len());
    assert_eq!(bench.counts(), before, "it was only shown");
    bench.run(&["plan", "--destroy", "--out", "x.json"], 64);
    // A ledger in which nothing is left goes as well.
    for kind in [
        "block",
        "block_type",
        "variable",
        "work_pool",
        "work_queue",
        "concurrency_limit",
        "tag_concurrency_limit",
        "deployment",
        "automation",
    ] {
        bench.run(&["release", &format!("{kind}/*"), "--yes"], 0);
    }
    assert_eq!(bench.bookkeeping().len(), 1);
    bench.run(&["destroy", "--yes"], 0);
    assert_eq!((bench.bookkeeping().len(), bench.counts()), (0, before));
}
