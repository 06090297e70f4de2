//! The program is killed at every kind of write: before the request arrives, and after it arrived and before anything
//! else was done. Whoever comes next takes the lock over and ends where an undisturbed apply ends.
//!
//! By default two scopes are killed again and again, at one write after the other: one after every kind of write, one
//! before those that differ from "after the one before". With `RECONCILE_TEST_FULL=1` every kill has a scope of its own
//! as well.

use std::sync::OnceLock;

use serde_json::Value;

use crate::support::Server;
use crate::support::chaos::{Case, each, ended, furnished, is_beat, is_full, kind, peaceful};
use crate::support::proxy::Verdict;

const APPLY: [&str; 5] = ["apply", "--yes", "--json", "--lock-timeout", "10m"];

/// The writes of a first apply, in order.
const FIRST: [&str; 8] = [
    "POST /block_documents/ lock",
    "POST /block_documents/ ledger",
    "POST /flows/",
    "POST /deployments/",
    "PATCH /block_documents/ID ledger",
    "POST /automations/",
    "PATCH /block_documents/ID ledger again",
    "DELETE /block_documents/ID",
];

/// Those of a change.
const SECOND: [&str; 9] = [
    "PATCH /block_documents/ID ledger",
    "PATCH /deployments/ID",
    "DELETE /deployments/ID/schedules/ID",
    "PATCH /deployments/ID/schedules/ID",
    "POST /deployments/ID/schedules",
    "PUT /automations/ID",
    "POST /automations/",
    "DELETE /automations/ID",
    "DELETE /block_documents/ID",
];

/// When the program is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    /// The request never arrives.
    Before,
    /// It arrived, and nothing else was done.
    After,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(furnished)
}

/// Applies, and kills the program at a write. False if it came to an end without that write.
pub fn killed_at(case: &Case, args: &[&str], point: &str, phase: Phase) -> bool {
    // A busy server may turn it away before it gets there.
    (0..10).find_map(|_| try_killed_at(case, args, point, phase)).unwrap_or_else(|| panic!("{point} {phase:?}: no way"))
}

/// Nothing if it failed before it came to that write.
fn try_killed_at(case: &Case, args: &[&str], point: &str, phase: Phase) -> Option<bool> {
    let (wanted, nth) = point.strip_suffix(" again").map_or((point, 1), |kind| (kind, 2));
    let word = wanted.to_owned();
    let hold = if phase == Phase::Before { Verdict::HoldBefore } else { Verdict::HoldAfter };
    let seen = std::sync::Mutex::new(0);
    case.proxy.reset();
    case.proxy.rule(move |request| {
        if is_beat(request) || kind(request) != word {
            return Verdict::Pass;
        }
        let mut seen = seen.lock().expect("no panic");
        *seen += 1;
        if *seen == nth { hold.clone() } else { Verdict::Pass }
    });
    let mut child = case.start(args);
    let reached = case.reaches(&mut child, |_| {
        let requests = case.proxy.requests();
        let held = requests.iter().filter(|r| !is_beat(r) && kind(r) == wanted).nth(nth - 1);
        held.is_some_and(|request| phase == Phase::Before || request.status != 0)
    });
    // The end may come before the look at the log.
    let _ = child.kill();
    let output = ended(child);
    case.proxy.rule(|_| Verdict::Pass);
    match (reached, output.code) {
        (true, code) => Some(code == -1),
        (false, 0) => Some(false),
        (false, _) => {
            eprintln!("{point} {phase:?}: {output:?}");
            None
        }
    }
}

/// Whoever comes next ends where an undisturbed apply ends, and then nothing is left to do. Where the machine is so busy
/// that the server itself fails, a few tries may be needed; each says truly what is in.
fn converges(case: &Case, peaceful: &Value) {
    case.comes_through(&APPLY, peaceful, 3);
}

#[test]
fn killed_again_and_again() {
    let server = &server().url;
    let (first, second) = peaceful(server, "peace");
    let most = |all: &[&'static str]| all.iter().copied().step_by(3).collect::<Vec<_>>();
    let chains =
        [(Phase::Before, "kba", most(&FIRST), most(&SECOND)), (Phase::After, "kaa", FIRST.into(), SECOND.into())];
    each(&chains, |(phase, name, to_make, to_change)| {
        let case = Case::new(server, name, "6");
        let reached = to_make.iter().filter(|point| killed_at(&case, &APPLY, point, *phase)).count();
        converges(&case, &first);
        case.change();
        let again = to_change.iter().filter(|point| killed_at(&case, &APPLY, point, *phase)).count();
        converges(&case, &second);
        // What is in once is not written twice, and how much is in when a kill comes depends on how fast the machine
        // is: at least half of the points are reached anywhere. That it converges is what `converges` asserts.
        assert!(reached * 2 >= to_make.len() && again * 2 >= to_change.len(), "{name}: {reached} {again}");
    });
}

#[test]
fn killed_once_each() {
    if !is_full() {
        crate::support::skip::skipped(
            "a scope of its own for every kill takes minutes; RECONCILE_TEST_FULL=1 asks for it",
        );
        return;
    }
    let server = &server().url;
    let (first, second) = peaceful(server, "quiet");
    let points = |all: &'static [&'static str]| all.iter().flat_map(|p| [(*p, Phase::Before), (*p, Phase::After)]);
    let all: Vec<_> =
        points(&FIRST).map(|p| (p, false)).chain(points(&SECOND).map(|p| (p, true))).enumerate().collect();
    each(&all, |(number, ((point, phase), changes))| {
        let case = Case::new(server, &format!("ko{number:02}x"), "6");
        if *changes {
            case.project.reconcile(&APPLY).exits(0);
            case.change();
        }
        assert!(killed_at(&case, &APPLY, point, *phase), "{point} is never sent");
        converges(&case, if *changes { &second } else { &first });
    });
}
