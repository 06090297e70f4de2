//! A server that fails now and then: every kind of failure, at every kind of request. An apply comes through, or says
//! truthfully what is in; the next one ends where an undisturbed apply ends, and the one after that writes nothing.
//!
//! By default each failure strikes once at every third kind of request of two applies, such that every kind is struck by
//! some. With `RECONCILE_TEST_FULL=1` each strikes at every kind, every pair of failure and write has an apply of its
//! own as well, and there are more storms.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::chaos::{CANARY, Case, Once, each, ended, furnished, is_beat, is_full, kind, peaceful};
use crate::support::proxy::{Request, Verdict};

const APPLY: [&str; 6] = ["apply", "--yes", "--json", "--lock-timeout", "10m", "--timeout=20"];
/// With so short a time limit that a request which hangs costs little. A request that is given up while the server is
/// still at it could have an effect after it was looked for: no honest answer may take so long, on any machine.
const HASTY: [&str; 6] = ["apply", "--yes", "--json", "--lock-timeout", "10m", "--timeout=6"];

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(furnished)
}

/// What a scope looks like that nothing befell: as first applied, and after the change.
fn calm() -> &'static (Value, Value) {
    static CALM: OnceLock<(Value, Value)> = OnceLock::new();
    CALM.get_or_init(|| peaceful(&server().url, "calm"))
}

/// The failures, with names for scopes.
fn faults() -> Vec<(&'static str, Verdict)> {
    let busy = || json!({"exception_message": "Service Unavailable"}).to_string();
    let bad_gateway = || "<html>Bad Gateway</html>".to_owned();
    let told = |status, header: &str| Verdict::AnswerWith(status, header.to_owned(), busy());
    let hour = |seconds: i64| {
        let date = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(-6);
        let then = date + jiff::SignedDuration::from_secs(seconds);
        let text = |at: jiff::Timestamp| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        format!("retry-after: {}\r\ndate: {}", text(then), text(date))
    };
    vec![
        ("f429", Verdict::Answer(429, busy())),
        ("f429a", told(429, "retry-after: 0.2")),
        ("f429d", told(429, &hour(1))), // by the server's own clock, which is hours behind
        ("f503", Verdict::Answer(503, busy())),
        ("f503a", told(503, "retry-after: 0.2")),
        ("f503x", Verdict::AnswerAfter(503, busy())),
        ("f502", Verdict::Answer(502, bad_gateway())),
        ("f502x", Verdict::AnswerAfter(502, bad_gateway())),
        ("f504x", Verdict::AnswerAfter(504, bad_gateway())),
        ("f408", Verdict::Answer(408, String::new())),
        ("f408x", Verdict::AnswerAfter(408, String::new())),
        ("fcutb", Verdict::CutBefore),
        ("fcuta", Verdict::CutAfter),
        ("fcutm", Verdict::CutAmid),
        ("frstb", Verdict::ResetBefore),
        ("frstm", Verdict::ResetAmid),
        ("fdrop", Verdict::DropLater),
        ("fhangb", Verdict::HoldBefore),
        ("fhanga", Verdict::HoldAfter),
        ("fhangm", Verdict::HoldAmid),
    ]
}

fn args_for(fault: &Verdict) -> &'static [&'static str] {
    let hangs = matches!(fault, Verdict::HoldBefore | Verdict::HoldAfter | Verdict::HoldAmid);
    if hangs { &HASTY } else { &APPLY }
}

/// What a failure strikes: every third kind, for every strike costs a wait; everything when the whole is asked for.
fn is_chosen(number: usize, kind: &str) -> bool {
    // Not safe to repeat: these are looked for first.
    let delicate = ["POST /automations/", "POST /deployments/ID/schedules"].contains(&kind);
    let hash: usize = kind.bytes().map(usize::from).sum();
    is_full() || delicate || hash % 3 == number % 3
}

/// Lets a failure strike once at every kind of request that is chosen; notes what was struck.
fn strike_once_each(case: &Case, number: usize, fault: &Verdict, struck: &Arc<Once>) {
    let (once, fault, struck) = (Once::default(), fault.clone(), Arc::clone(struck));
    case.proxy.rule(move |request| {
        let kind = kind(request);
        if is_beat(request) || !is_chosen(number, &kind) || !once.first(&kind) {
            return Verdict::Pass;
        }
        struck.first(&kind);
        fault.clone()
    });
}

#[test]
fn failures_at_every_kind_of_request() {
    let server = &server().url;
    let (first, second) = calm();
    let numbered: Vec<_> = faults().into_iter().enumerate().collect();
    let struck = Arc::new(Once::default());
    each(&numbered, |(number, (name, fault))| {
        let case = Case::new(server, name, "30");
        for peaceful in [first, second] {
            strike_once_each(&case, *number, fault, &struck);
            case.comes_through(args_for(fault), peaceful, 6);
            case.change();
        }
    });
    let missed: Vec<&str> = EVERY.into_iter().filter(|kind| struck.first(kind)).collect();
    assert_eq!(missed, [""; 0], "nothing struck these");
}

/// Every kind of request, phase by phase.
const EVERY: [&str; 27] = [
    // reading
    "GET /admin/version",
    "POST /work_pools/filter",
    "POST /variables/filter",
    "POST /block_documents/filter",
    "POST /deployments/paginate",
    "POST /flows/paginate",
    "POST /automations/filter",
    "POST /flow_runs/filter",
    // the lock
    "GET /block_types/slug/reconcile-lock",
    "POST /block_schemas/ lock",
    "POST /block_documents/ lock",
    "GET /block_documents/ID",
    "DELETE /block_documents/ID",
    // the ledger
    "GET /block_types/slug/reconcile-ledger",
    "POST /block_schemas/ ledger",
    "POST /block_documents/ ledger",
    "PATCH /block_documents/ID ledger",
    // flows, deployments, schedules, automations
    "POST /flows/",
    "POST /deployments/",
    "PATCH /deployments/ID",
    "GET /deployments/ID/schedules",
    "POST /deployments/ID/schedules",
    "PATCH /deployments/ID/schedules/ID",
    "DELETE /deployments/ID/schedules/ID",
    "POST /automations/",
    "PUT /automations/ID",
    "DELETE /automations/ID",
];

/// On a server that has neither locks nor ledgers yet, their types are made first.
#[test]
fn failures_while_our_types_are_made() {
    let server = furnished();
    let (first, _) = peaceful(&server.url, "types");
    let step = if is_full() { 1 } else { 4 };
    for (name, fault) in faults().into_iter().step_by(step) {
        for slug in ["reconcile-lock", "reconcile-ledger"] {
            let found = server.http().get(&format!("/block_types/slug/{slug}"));
            server.http().delete(&format!("/block_types/{}", found["id"].as_str().unwrap()));
        }
        let case = Case::new(&server.url, &format!("types-{name}"), "30");
        let (struck, args) = (Arc::new(Once::default()), args_for(&fault));
        let once = Once::default();
        let seen = Arc::clone(&struck);
        case.proxy.rule(move |request| {
            let makes = ["POST /block_types/", "POST /block_schemas/ lock", "POST /block_schemas/ ledger"];
            let kind = kind(request);
            // Both types are made by requests of one kind.
            if !makes.contains(&kind.as_str()) || !once.first(&request.body) {
                return Verdict::Pass;
            }
            seen.first(&kind);
            fault.clone()
        });
        case.comes_through(args, &first, 6);
        assert!(!struck.first("POST /block_types/"), "{name}");
    }
}

/// Requests that fail at random, one in four, some of them again and again.
#[test]
fn storms() {
    let server = &server().url;
    let (first, second) = calm();
    let seeds: Vec<u64> = (0..if is_full() { 24 } else { 3 }).collect();
    each(&seeds, |seed| {
        let case = Case::new(server, &format!("storm{seed}x"), "30");
        for (goal, peaceful) in [first, second].into_iter().enumerate() {
            let (arrived, seed) = (AtomicU64::new(0), *seed * 2 + goal as u64);
            case.proxy.rule(move |_| {
                let number = arrived.fetch_add(1, Ordering::Relaxed);
                let drawn = usize::try_from(scrambled(seed << 32 | number) >> 40).unwrap();
                let mut faults = faults();
                // What hangs costs the time limit each: one of them is enough of a storm.
                faults.truncate(18);
                if drawn % 4 == 0 { faults[drawn / 4 % 18].1.clone() } else { Verdict::Pass }
            });
            case.comes_through(&APPLY, peaceful, 30);
            case.change();
        }
    });
}

/// SplitMix64.
fn scrambled(seed: u64) -> u64 {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Every failure at every write: there and back again in one scope for those of a change, in new ones for the others.
#[test]
fn failures_one_at_a_time() {
    if !is_full() {
        crate::support::skip::skipped(
            "an apply for every failure at every write takes minutes; RECONCILE_TEST_FULL=1 asks for it",
        );
        return;
    }
    let server = &server().url;
    let (first, second) = calm();
    // What writes there are is learnt from applies in peace.
    let model = Case::new(server, "model", "30");
    let writes = || {
        model.proxy.reset();
        model.project.reconcile(&APPLY).exits(0);
        let writes = model.proxy.writes();
        let kinds: BTreeSet<String> = writes.iter().filter(|request| !is_beat(request)).map(kind).collect();
        kinds
    };
    let to_make = writes();
    model.change();
    let to_change = writes();
    model.equals(second);
    model.change_back();
    writes();
    let back = model.state();
    let faults = faults();
    let cases = Mutex::new((0, 0));
    let strike = |case: &Case, fault: &Verdict, at: &String, goal: &Value| {
        let (struck, fault, at) = (AtomicBool::new(false), fault.clone(), at.clone());
        let args = args_for(&fault);
        case.proxy.rule(move |request| match kind(request) == at && !struck.swap(true, Ordering::Relaxed) {
            true => fault.clone(),
            false => Verdict::Pass,
        });
        let took = case.comes_through(args, goal, 6);
        let mut cases = cases.lock().unwrap();
        *cases = (cases.0 + 1, cases.1 + usize::from(took > 1));
    };
    let alone: Vec<_> = faults.iter().flat_map(|fault| to_make.iter().map(move |at| (fault, at))).enumerate().collect();
    each(&alone, |(number, ((name, fault), at))| {
        strike(&Case::new(server, &format!("{name}n{number:03}x"), "30"), fault, at, first);
    });
    each(&faults, |(name, fault)| {
        let case = Case::new(server, &format!("{name}chain"), "30");
        case.project.reconcile(&APPLY).exits(0);
        for (number, at) in to_change.iter().enumerate() {
            // The writes of both ways are of the same kinds.
            let there = number % 2 == 0;
            if there {
                case.change()
            } else {
                case.change_back()
            }
            strike(&case, fault, at, if there { second } else { &back });
        }
    });
    let (cases, failed) = *cases.lock().unwrap();
    eprintln!("{cases} applies with one failure each; {failed} failed truly and were repeated");
    assert_eq!(cases, faults.len() * (to_make.len() + to_change.len()));
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
    let mut server = furnished();
    let (first, second) = peaceful(&server.url, "whole");
    let mut case = Case::new(&server.url, "restarted", "30");
    let points = [("POST /deployments/", &first), ("PUT /automations/ID", &second)];
    for (point, peaceful) in points {
        case.proxy.reset();
        case.proxy.rule(move |request| if kind(request) == point { Verdict::HoldAfter } else { Verdict::Pass });
        let before = case.objects();
        let mut child = case.start(&HASTY);
        let arrived = |request: &Request| kind(request) == point && request.status != 0;
        assert!(case.reaches(&mut child, arrived), "{point} is never sent");
        server.restart();
        case.moves_to(&server.url);
        case.proxy.rule(|_| Verdict::Pass);
        case.is_true(&ended(child), &before, peaceful);
        case.comes_through(&APPLY, peaceful, 6);
        case.change();
    }
}
