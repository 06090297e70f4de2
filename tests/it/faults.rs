//! A server that fails now and then: every kind of failure, at every kind of write and while reading. An apply comes
//! through, or says truthfully what is in; the next one ends where an undisturbed apply ends.
//!
//! By default each failure strikes once at every kind of write of one apply (slow ones at the kinds that differ). With `RECONCILE_TEST_FULL=1` every pair
//! of failure and request has an apply of its own as well.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::chaos::{CANARY, Case, Once, each, ended, is_beat, is_full, kind, peaceful};
use crate::support::project::Output;
use crate::support::proxy::{Request, Verdict};

const APPLY: [&str; 6] = ["apply", "--yes", "--json", "--lock-timeout", "2m", "--timeout=20"];
/// With so short a time limit that a request which hangs costs little.
const HASTY: [&str; 6] = ["apply", "--yes", "--json", "--lock-timeout", "2m", "--timeout=1.5"];

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = Server::start();
        server.http().post("/work_pools/", json!({"name": "local", "type": "process"}));
        server
    })
}

/// What a scope looks like that nothing befell: as first applied, and after the change.
fn calm() -> &'static (Value, Value) {
    static CALM: OnceLock<(Value, Value)> = OnceLock::new();
    CALM.get_or_init(|| peaceful(&server().url, "calm"))
}

/// The failures, with names for scopes.
fn faults() -> Vec<(&'static str, Verdict)> {
    let busy = || json!({"exception_message": "Service Unavailable"}).to_string();
    vec![
        ("f429", Verdict::Answer(429, busy())),
        ("f429a", Verdict::AnswerWith(429, "retry-after: 0.2".to_owned(), busy())),
        ("f503", Verdict::Answer(503, busy())),
        ("f503a", Verdict::AnswerWith(503, "retry-after: 0.2".to_owned(), busy())),
        ("f502", Verdict::Answer(502, "<html>Bad Gateway</html>".to_owned())),
        ("f408", Verdict::Answer(408, String::new())),
        ("fcutb", Verdict::CutBefore),
        ("fcuta", Verdict::CutAfter),
        ("fmid", Verdict::CutAmid),
        ("fdrop", Verdict::DropLater),
        ("fhangb", Verdict::HoldBefore),
        ("fhanga", Verdict::HoldAfter),
    ]
}

fn is_hang(fault: &Verdict) -> bool {
    matches!(fault, Verdict::HoldBefore | Verdict::HoldAfter)
}

/// After these one has to wait for long, so they strike less.
fn is_slow(fault: &Verdict) -> bool {
    is_hang(fault) || matches!(fault, Verdict::Answer(..))
}

/// What a failure strikes: writes, and reads that stand for all.
fn is_chosen(request: &Request, fault: &Verdict) -> bool {
    let reads = ["/block_documents/filter", "/deployments/paginate", "/automations/filter"];
    let kind = kind(request);
    match is_slow(fault) {
        true => [
            "POST /deployments/paginate",
            "POST /deployments/",
            "POST /automations/",
            "PATCH /deployments/ID",
            "POST /deployments/ID/schedules",
            "PATCH /block_documents/ID ledger",
        ]
        .contains(&kind.as_str()),
        false => request.is_write() || reads.iter().any(|path| request.path.ends_with(path)),
    }
}

/// Applies until it succeeds, three times at most. Whatever fails on the way says truthfully what is in.
fn comes_through(case: &Case, args: &[&str]) {
    for _ in 0..3 {
        let output = case.project.reconcile(args);
        if output.code == 0 {
            return;
        }
        is_true(case, &output);
    }
    case.project.reconcile(args).exits(0);
}

/// A report of a failure: what is said to be in is in.
fn is_true(case: &Case, output: &Output) {
    assert!(matches!(output.code, 1 | 3), "{}: {output:?}", case.name);
    assert!(output.stderr.contains("error") || output.code == 3, "{}: {output:?}", case.name);
    let Ok(report) = serde_json::from_str::<Value>(&output.stdout) else {
        // It did not come to a plan, so nothing can have been written.
        assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{}: {output:?}", case.name);
        return;
    };
    let state = case.state();
    let there: BTreeSet<String> = state["owned"].as_array().into_iter().flatten().map(Value::to_string).collect();
    for change in report["changes"].as_array().into_iter().flatten() {
        if change["result"] != "done" || change["action"] == "delete" {
            assert!(change["result"] == "done" || change["error"].is_string(), "{change:#}");
            continue;
        }
        let name = change["name"].as_str().unwrap_or_default().replace(&case.name, "<name>");
        let kind = change["kind"].as_str().unwrap_or_default();
        // On record, or about to be: the ledger itself may be what failed.
        let known = |key: &String| key.trim_matches('"').trim_start_matches("pending ") == format!("{kind} {name}");
        assert!(there.iter().any(known), "{}: {kind} {name} is not in {there:?}", case.name);
    }
}

#[test]
fn failures_at_every_kind_of_write() {
    let server = &server().url;
    let (first, second) = calm();
    each(&faults(), |(name, fault)| {
        let case = Case::new(server, name, "30");
        let args = if is_hang(fault) { HASTY } else { APPLY };
        for peaceful in [first, second] {
            let (once, fault) = (Once::default(), fault.clone());
            case.proxy.rule(move |request| {
                let strikes = is_chosen(request, &fault) && !is_beat(request);
                if strikes && once.first(&kind(request)) { fault.clone() } else { Verdict::Pass }
            });
            comes_through(&case, &args);
            case.equals(peaceful);
            case.change();
        }
    });
}

#[test]
fn failures_one_at_a_time() {
    if !is_full() {
        return;
    }
    let server = &server().url;
    let (first, second) = calm();
    // What requests there are is learnt from an apply in peace.
    let model = Case::new(server, "model", "30");
    let mut seen: Vec<(bool, String)> = Vec::new();
    for changed in [false, true] {
        model.proxy.reset();
        model.project.reconcile(&APPLY).exits(0);
        for request in model.proxy.requests().iter().filter(|request| !is_beat(request)) {
            let one = (changed, kind(request));
            if !seen.contains(&one) {
                seen.push(one);
            }
        }
        model.change();
    }
    let all: Vec<_> =
        faults().into_iter().flat_map(|fault| seen.iter().map(move |one| (fault.clone(), one.clone()))).collect();
    let numbered: Vec<_> = all.into_iter().enumerate().collect();
    each(&numbered, |(number, ((name, fault), (changed, at)))| {
        let case = Case::new(server, &format!("{name}n{number:03}x"), "30");
        let args = if is_hang(fault) { HASTY } else { APPLY };
        if *changed {
            case.project.reconcile(&APPLY).exits(0);
            case.change();
        }
        let (struck, fault, at) = (AtomicBool::new(false), fault.clone(), at.clone());
        case.proxy.rule(move |request| match kind(request) == at && !struck.swap(true, Ordering::Relaxed) {
            true => fault.clone(),
            false => Verdict::Pass,
        });
        comes_through(&case, &args);
        case.equals(if *changed { second } else { first });
    });
}

/// Writes that are refused for good, one kind after the other, each refusal repeating what was sent.
#[test]
fn refusals_are_told_without_what_was_sent() {
    const REFUSED: [&str; 9] = [
        "POST /block_documents/ lock",
        "POST /block_documents/ ledger",
        "POST /flows/",
        "POST /deployments/",
        "POST /automations/",
        "PATCH /deployments/ID",
        "PATCH /deployments/ID/schedules/ID",
        "POST /deployments/ID/schedules",
        "PUT /automations/ID",
    ];
    let server = &server().url;
    let (first, second) = calm();
    let case = Case::new(server, "refused", "30");
    for refused in REFUSED {
        if refused == "PATCH /deployments/ID" {
            case.proxy.rule(|_| Verdict::Pass);
            case.project.reconcile(&APPLY).exits(0);
            case.equals(first);
            case.change();
        }
        case.proxy.rule(move |request| if kind(request) == refused { echo(request) } else { Verdict::Pass });
        let output = case.project.reconcile(&["apply", "--yes", "-v"]);
        let all = format!("{}{}", output.stdout, output.stderr);
        assert!(!all.contains(CANARY), "{refused}: {all}");
        let told = if refused == "POST /deployments/" { "no (sensitive) here" } else { "no such thing here" };
        assert!(all.contains(told) && all.contains("422"), "{refused}: {all}");
        let nothing = !output.stdout.contains(" applied") || output.stdout.contains(" 0 applied");
        assert_eq!(output.code, if nothing { 1 } else { 3 }, "{refused}: {all}");
    }
    case.proxy.rule(|_| Verdict::Pass);
    case.project.reconcile(&APPLY).exits(0);
    case.equals(second);
}

/// As Prefect does: the request comes back.
fn echo(request: &Request) -> Verdict {
    let sent: Value = serde_json::from_str(&request.body).unwrap_or_default();
    let told = if request.body.contains(CANARY) { CANARY } else { "such thing" };
    let complaint = json!({"type": "value_error", "loc": ["body"], "msg": format!("no {told} here"), "input": sent});
    let body = json!({"exception_message": "Invalid request received.", "exception_detail": [complaint], "request_body": sent});
    Verdict::Answer(422, body.to_string())
}

#[test]
fn a_server_that_restarts_loses_nothing() {
    let mut server = Server::start();
    server.http().post("/work_pools/", json!({"name": "local", "type": "process"}));
    let (first, second) = peaceful(&server.url, "whole");
    let mut case = Case::new(&server.url, "restarted", "30");
    let points = [("POST /deployments/", &first), ("PUT /automations/ID", &second)];
    for (point, peaceful) in points {
        case.proxy.reset();
        case.proxy.rule(move |request| if kind(request) == point { Verdict::HoldAfter } else { Verdict::Pass });
        let mut child = case.start(&HASTY);
        let arrived = |request: &Request| kind(request) == point && request.status != 0;
        assert!(case.reaches(&mut child, arrived), "{point} is never sent");
        server.restart();
        case.moves_to(&server.url);
        case.proxy.rule(|_| Verdict::Pass);
        let output = ended(child);
        if output.code != 0 {
            is_true(&case, &output);
        }
        comes_through(&case, &APPLY);
        case.equals(peaceful);
        case.change();
    }
}
