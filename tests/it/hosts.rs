//! Two machines on one scope, clocks that are wrong, a process that was stopped: who holds the lock is one, and who
//! lost it writes nothing more.

use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::chaos::{Case, ended, furnished, is_beat, kind, peaceful};
use crate::support::clock::Clock;
use crate::support::project::Output;
use crate::support::proxy::{Proxy, Request, Verdict};
use crate::support::skip::skipped;
use crate::support::workspace::differences;

const APPLY: [&str; 3] = ["apply", "--yes", "--json"];
const PATIENT: [&str; 5] = ["apply", "--yes", "--json", "--lock-timeout", "10m"];

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(furnished)
}

fn calm() -> &'static (Value, Value) {
    static CALM: OnceLock<(Value, Value)> = OnceLock::new();
    CALM.get_or_init(|| peaceful(&server().url, "hosts-calm"))
}

/// The lock of a scope.
fn lock(scope: &str) -> Option<Value> {
    let filter = json!({"block_types": {"slug": {"any_": ["reconcile-lock"]}}});
    let rows = server().http().post("/block_documents/filter", filter);
    rows.as_array().into_iter().flatten().find(|row| row["data"]["scope"] == scope).cloned()
}

fn makes_deployment(request: &Request) -> bool {
    kind(request) == "POST /deployments/"
}

/// Starts an apply that hangs at its first deployment, and holds the lock until it is killed.
fn holder(case: &Case, command: &mut Command) -> std::process::Child {
    case.proxy.rule(|request| if makes_deployment(request) { Verdict::HoldBefore } else { Verdict::Pass });
    let mut child = command.args(APPLY).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(case.reaches(&mut child, makes_deployment), "{:?}", ended(child));
    child
}

fn run(command: &mut Command, args: &[&str]) -> Output {
    let child = command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    ended(child)
}

fn signal(child: &std::process::Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

// A process that sleeps while the world goes on.

#[test]
fn who_was_stopped_until_another_took_over_writes_nothing_more() {
    let case = Case::new(&server().url, "stopped", "6");
    // Its first deployment takes so long that the second waits for its turn when everything stops.
    case.proxy.rule(|r| if makes_deployment(r) { Verdict::Slow(Duration::from_millis(500)) } else { Verdict::Pass });
    let mut child = case.start(&APPLY);
    assert!(case.reaches(&mut child, makes_deployment));
    signal(&child, rustix::process::Signal::STOP);
    // What was on its way arrives.
    sleep(Duration::from_secs(1));
    let other = Case::new(&server().url, "stopped", "6");
    // The same files: what the first one made and could not record cannot be told from what somebody made by hand.
    let (first, _) = calm();
    other.project.reconcile(&PATIENT).exits(0);
    other.equals(first);
    let sent = case.proxy.writes().len();
    case.proxy.rule(|_| Verdict::Pass);
    signal(&child, rustix::process::Signal::CONT);
    let output = ended(child);
    assert!(matches!(output.code, 1 | 3) && output.stderr.contains("the lock was lost"), "{output:?}");
    let writes = case.proxy.writes();
    let late: Vec<String> = writes[sent..].iter().filter(|request| !is_beat(request)).map(kind).collect();
    assert_eq!(late, [""; 0], "{output:?}");
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert!(report["error"]["message"].as_str().is_some_and(|why| why.contains("lock was lost")), "{report:#}");
    other.settles(&PATIENT, first);
}

// Signs of life that do not arrive.

#[test]
fn a_lock_is_kept_although_some_signs_of_life_are_lost() {
    let case = Case::new(&server().url, "beats", "9");
    let failures = [
        Verdict::Answer(503, "{}".to_owned()),
        Verdict::AnswerAfter(502, "no".to_owned()),
        Verdict::ResetBefore,
        Verdict::CutAmid,
        Verdict::HoldBefore,
    ];
    let beats = std::sync::atomic::AtomicUsize::new(0);
    case.proxy.rule(move |request| {
        if is_beat(request) {
            let number = beats.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            // Every other one is lost, each in another way.
            return if number.is_multiple_of(2) {
                failures[number / 2 % failures.len()].clone()
            } else {
                Verdict::Pass
            };
        }
        if request.is_write() { Verdict::Slow(Duration::from_secs(2)) } else { Verdict::Pass }
    });
    case.comes_through(&PATIENT, &calm().0, 2);
}

// Clocks.

fn shifted(case: &Case, clock: &Clock) -> Command {
    let mut command = case.project.reconcile_command();
    command.envs(clock.environment());
    command
}

#[test]
fn a_wrong_clock_neither_steals_a_lock_nor_waits_for_ever() {
    let (Some(ours), Some(theirs)) = (Clock::new(), Clock::new()) else { return };
    for hours in [-7, 7] {
        let name = format!("clock{hours}");
        let case = Case::new(&server().url, &name, "6");
        let contender = Case::new(&server().url, &name, "6");
        // The holder's clock is wrong the other way round.
        ours.is_off(hours);
        theirs.is_off(-hours);
        let mut holding = holder(&case, &mut shifted(&case, &theirs));
        let held = lock(&name).expect("it holds the lock");
        let since: jiff::Timestamp = held["data"]["since"].as_str().unwrap().parse().unwrap();
        let off = jiff::Timestamp::now().duration_since(since).as_hours();
        assert!((off - hours).abs() <= 1, "its clock is wrong: {off}");
        // For longer than a silent one would last, it is not stolen.
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(8) {
            let output = run(&mut shifted(&contender, &ours), &APPLY).exits(5);
            assert!(output.stdout.contains("is held by"), "{output:?}");
            sleep(Duration::from_millis(500));
        }
        assert_eq!(lock(&name).map(|lock| lock["id"].clone()), Some(held["id"].clone()));
        holding.kill().unwrap();
        holding.wait().unwrap();
        run(&mut shifted(&contender, &ours), &PATIENT).exits(0);
        // An interval begins at the time that the declaring machine believes in; apart from that all is as it should be.
        let wrong = differences(&calm().0, &contender.state());
        assert!(wrong.iter().all(|place| place.contains("anchor_date")), "{wrong:#?}");
        contender.proxy.reset();
        contender.project.reconcile(&PATIENT).exits(0);
        assert_eq!((lock(&name), contender.proxy.writes()), (None, Vec::new()));
    }
}

// Machines.

/// A machine: a name of its own, and a network of its own where the system lets us.
struct Host {
    name: &'static str,
    /// The network namespace, and the address under which it reaches us.
    network: Option<(String, String)>,
}

impl Host {
    /// Number `n` of this process.
    fn new(name: &'static str, n: u8) -> Host {
        let id = std::process::id() % 10_000;
        let space = format!("rec{id}-{n}");
        let link = format!("rec{id}{n}");
        let address = |last: u8| format!("10.199.{}.{}", u16::try_from(id % 60).unwrap() * 4 + u16::from(n), last);
        let script = format!(
            "set -e; ip netns add {space}; ip link add {link}a type veth peer name {link}b netns {space}; \
             ip addr add {us}/24 dev {link}a; ip link set {link}a up; \
             ip -n {space} addr add {them}/24 dev {link}b; ip -n {space} link set {link}b up; \
             ip -n {space} link set lo up",
            us = address(1),
            them = address(2),
        );
        let made = Command::new("sh").args(["-c", &script]).output();
        let host = Host { name, network: Some((space, address(1))) };
        match made {
            Ok(output) if output.status.success() => host,
            why => {
                skipped(format!(
                    "part of it: without a network of its own ({why:?}), {name} is a machine by its name alone"
                ));
                // What was made of it goes.
                drop(host);
                Host { name, network: None }
            }
        }
    }

    /// Whether names of machines can be told apart here.
    fn can_be() -> bool {
        Command::new("unshare").args(["-u", "true"]).output().is_ok_and(|output| output.status.success())
    }

    fn proxy(&self) -> Proxy {
        let address = self.network.as_ref().map_or("127.0.0.1", |(_, address)| address);
        Proxy::at(address, &server().url)
    }

    /// The program on this machine.
    fn command(&self, case: &Case) -> Command {
        let program = case.project.reconcile_command();
        let (file, name) = (program.get_program().to_owned(), self.name);
        let mut command = match &self.network {
            Some((space, _)) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", space, "unshare", "-u"]);
                command
            }
            None => {
                let mut command = Command::new("unshare");
                command.arg("-u");
                command
            }
        };
        command.args(["sh", "-c", &format!("hostname {name} && exec \"$@\""), "sh"]).arg(file);
        command.current_dir(case.project.path()).env_clear().stdin(Stdio::null());
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some((space, _)) = &self.network {
            let _ = Command::new("ip").args(["netns", "del", space]).output();
        }
    }
}

#[test]
fn of_two_machines_one_applies_and_a_lock_that_one_left_behind_goes_to_the_other() {
    if !Host::can_be() {
        skipped("`unshare -u`, which gives machines their names, is not there or not allowed here");
        return;
    }
    let (one, two) = (Host::new("machine-one", 1), Host::new("machine-two", 2));
    let case = |host: &Host| {
        let mut case = Case::new(&server().url, "machines", "6");
        case.proxy = host.proxy();
        let url = case.proxy.url.clone();
        case.project = case.project.api(&url);
        declare(&case, "one");
        case
    };
    let (first, second) = (case(&one), case(&two));
    let mut holding = holder(&first, &mut one.command(&first));
    let output = run(&mut two.command(&second), &APPLY).exits(5);
    assert!(output.stderr.contains("held by machine-one"), "{output:?}");
    holding.kill().unwrap();
    holding.wait().unwrap();
    settled(&two, &second);
    // Both at once.
    first.proxy.rule(|_| Verdict::Pass);
    declare(&first, "two");
    declare(&second, "two");
    let start = |host: &Host, case: &Case| {
        host.command(case).args(PATIENT).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [start(&one, &first), start(&two, &second)];
    let ended = both.map(ended);
    let changed = ended.iter().filter(|output| {
        let report: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        report["changes"].as_array().is_some_and(|all| !all.is_empty())
    });
    // Where the first came through, the second found nothing to do.
    assert!(changed.count() == 1 || ended.iter().any(|output| output.code != 0), "{ended:#?}");
    settled(&one, &first);
    assert_eq!(lock("machines"), None);
}

/// The same for every machine: nothing in it depends on where the files are.
fn declare(case: &Case, version: &str) {
    let pull = "pull:\n- prefect.deployments.steps.set_working_directory: {directory: /srv}\n";
    let one = |name: &str| {
        format!(
            "- {{name: {name}, entrypoint: \"flow.py:f\", version: {version}, work_pool: {{name: local}},\n   \
             triggers: [{{type: event, expect: [x.y], name: machines-{name}}}]}}\n",
        )
    };
    case.project.write("prefect.yaml", &format!("{pull}deployments:\n{}{}", one("a"), one("b")));
}

/// Applies until all is in (a busy server may fail); then nothing is doubled, and one more apply writes nothing.
fn settled(host: &Host, case: &Case) {
    let done = (0..10).any(|_| run(&mut host.command(case), &PATIENT).code == 0);
    let objects: Vec<String> = case.objects().into_keys().collect();
    let expected = ["automation <name>-a", "automation <name>-b", "deployment a", "deployment b"];
    assert!(done && case.state()["rows"] == 2 && objects == expected, "{objects:?}");
    case.proxy.reset();
    run(&mut host.command(case), &PATIENT).exits(0);
    assert_eq!(case.proxy.writes(), []);
}

// How fast one writes.

#[test]
fn writes_become_more_as_long_as_the_server_keeps_up() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let proxy = Proxy::in_front_of(&server().url);
    let names: String =
        (0..70).map(|n| format!("- {{name: d{n}, entrypoint: \"flow.py:f\", work_pool: {{name: local}}}}\n")).collect();
    let project = crate::support::project::Project::new()
        .file("reconcile.yaml", "name: governed\n")
        .file("flow.py", "from prefect import flow\n\n@flow(name=\"governed\")\ndef f():\n    pass\n")
        .file("prefect.yaml", &format!("deployments:\n{names}"))
        .api(&proxy.url);
    let busy = AtomicBool::new(false);
    proxy.rule(move |request| {
        if !makes_deployment(request) {
            return Verdict::Pass;
        }
        // The first time that several come at once, one is turned away.
        // One after the other, as a rule is asked; those that have arrived are counted all the same.
        sleep(Duration::from_millis(30));
        match request.at_once > 1 && !busy.swap(true, Ordering::Relaxed) {
            true => Verdict::AnswerWith(503, "retry-after: 0".to_owned(), "{}".to_owned()),
            // The real server would turn some away as well, when it likes.
            false => Verdict::Answer(201, json!({"id": uuid::Uuid::new_v4().to_string()}).to_string()),
        }
    });
    project.reconcile(&["apply", "--yes"]).exits(0);
    let writes: Vec<Request> = proxy.requests().into_iter().filter(makes_deployment).collect();
    let at_once: Vec<usize> = writes.iter().map(|request| request.at_once).collect();
    let refused = writes.iter().position(|request| request.status == 503).expect("one was turned away");
    assert_eq!(writes.len(), 71);
    // Alone for the first twenty writes (some of them are of other kinds), then up to four.
    assert!(refused > 10 && at_once[..refused].iter().all(|n| *n == 1), "{refused} {at_once:?}");
    assert!(at_once.iter().all(|n| *n <= 4), "{at_once:?}");
    // Half of that after the complaint: those that were on their way by then may still count.
    let after = &at_once[refused + 4..refused + 16];
    assert!(after.iter().all(|n| *n <= 2), "{refused} {at_once:?}");
    // And all of it again after another good run.
    assert!(at_once[refused + 20..].contains(&4), "{refused} {at_once:?}");
}
