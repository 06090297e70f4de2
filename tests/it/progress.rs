//! What a terminal shows while something takes long, and that nothing of it stays.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::project::Project;
use crate::support::proxy::{Proxy, Verdict};
use crate::support::server::Server;
use crate::support::skip::skipped;

/// Longer than what is waited for before anything is shown.
const LONG: Duration = Duration::from_secs(2);
/// How a line of a terminal is emptied.
const CLEARED: &str = "\u{1b}[2K";

fn project(url: &str, name: &str) -> Project {
    let variables = format!("variables: [{{ name: {}, value: 1 }}]\n", name.replace('-', "_"));
    let project = Project::new().api(url).env("TERM", "xterm").file("reconcile.yaml", &format!("name: {name}\n"));
    project.file("all.reconcile.yaml", &variables)
}

/// Runs a command on a terminal of its own, as `script` makes one; none where there is no `script`.
fn on_a_terminal(project: &Project, command: &str) -> Option<Child> {
    let ours = project.reconcile_command();
    let mut script = Command::new("script");
    script.args(["-qefc", &format!("{} {command}", env!("CARGO_BIN_EXE_reconcile")), "/dev/null"]);
    script.current_dir(project.path()).env_clear();
    script.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let started = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    if started.is_err() {
        skipped("this machine has no `script`, of util-linux");
    }
    started.ok()
}

/// The exit code, and everything that the terminal was sent.
fn ended(mut child: Child, mut seen: String) -> (Option<i32>, String) {
    child.stdout.take().unwrap().read_to_string(&mut seen).unwrap();
    (child.wait().unwrap().code(), seen)
}

/// What came after the last sign of progress.
fn after(seen: &str) -> &str {
    &seen[seen.rfind(" so far").unwrap_or_else(|| panic!("no progress: {seen:?}"))..]
}

#[test]
fn reading_for_long_is_told_on_a_terminal_and_nowhere_else() {
    let slow = Proxy::in_front_of(&Server::shared().url);
    slow.rule(|request| match request.path.contains("/variables/") {
        true => Verdict::Slow(LONG),
        false => Verdict::Pass,
    });
    let project = project(&slow.url, "progress-told");
    let Some(plan) = on_a_terminal(&project, "plan") else { return };
    let start = |command| on_a_terminal(&project, command).map(|child| (child, command)).unwrap();
    let silent = ["plan --json", "plan --quiet", "plan --log-format json"].map(start);
    let shows = |(child, command): (Child, &str), result: &str| {
        let (exit, seen) = ended(child, String::new());
        assert_eq!(exit, Some(0), "{command}: {seen:?}");
        assert!(seen.contains("reading, ") && seen.contains("requests so far, "), "{command}: {seen:?}");
        let (_, rest) = after(&seen).rsplit_once(CLEARED).unwrap_or_else(|| panic!("{command}: {seen:?}"));
        assert!(rest.contains(result) && !rest.contains("reading"), "{command}: {seen:?}");
    };
    shows((plan, "plan"), "1 to create");
    for (child, command) in silent {
        let (exit, seen) = ended(child, String::new());
        assert_eq!(exit, Some(0), "{command}: {seen:?}");
        assert!(!seen.contains("reading") && !seen.contains(CLEARED), "{command}: {seen:?}");
    }
    let plain = project.reconcile(&["plan"]).exits(0);
    assert!(!plain.stderr.contains("reading") && !plain.stdout.contains('\u{1b}'), "{plain:?}");
    shows(start("apply --yes"), "Applied: 1 applied");
    let commands = ["drift", "status", "import variable/progress_told --dry-run", "render variable/progress_told"];
    for running in commands.map(start) {
        shows(running, "\n");
    }
    shows(start("destroy --yes"), "Applied: 1 applied");
}

#[test]
fn an_interrupt_leaves_nothing_on_the_terminal() {
    let held = Proxy::in_front_of(&Server::shared().url);
    held.rule(|request| match request.path.contains("/variables/") {
        true => Verdict::HoldBefore,
        false => Verdict::Pass,
    });
    let project = project(&held.url, "progress-held");
    let Some(mut child) = on_a_terminal(&project, "plan") else { return };
    let mut seen = Vec::new();
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(" so far") {
        let n = child.stdout.as_mut().unwrap().read(&mut chunk).unwrap();
        assert!(n > 0, "it ended: {}", String::from_utf8_lossy(&seen));
        seen.extend(&chunk[..n]);
    }
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let (exit, seen) = ended(child, String::from_utf8_lossy(&seen).into_owned());
    let (_, rest) = after(&seen).rsplit_once(CLEARED).unwrap_or_else(|| panic!("{seen:?}"));
    assert!(exit == Some(130) && rest.contains("interrupted"), "{exit:?}: {seen:?}");
}
