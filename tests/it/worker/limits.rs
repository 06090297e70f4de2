//! Limits that a worker puts on its runs: how long they take, how much memory they have.

use serde_json::json;

use super::site::{Site, wait_for};

#[test]
fn a_run_that_takes_too_long_is_ended_and_told_so() {
    let site = Site::new("late");
    let deployment = site.deploy("hooked", json!({}));
    let run = site.run(&deployment, json!({"name": "slow"}));
    let worker = site.worker(&["--time-limit", "30s"]);
    let ended = wait_for(|| {
        let state = site.read(&run)["state"].clone();
        (state["message"] == "Flow run took longer than its time limit of 30 s.").then_some(state)
    });
    assert_eq!(ended.expect("it is ended")["name"], "Crashed");
    let note = site.notes().join("slow.CRASHED");
    assert!(wait_for(|| note.is_file().then_some(())).is_some(), "{}", worker.log());
}

#[test]
fn a_run_that_wants_too_much_memory_is_killed_and_told_so_or_the_worker_does_not_start() {
    let site = Site::new("hungry");
    let run = site.run_of("eats", json!({}));
    let mut worker = site.worker(&["--memory-limit", "1G"]);
    let refused = || worker.log().contains("`--memory-limit` cannot be kept here: ");
    let began = wait_for(|| (refused() || worker.log().contains("started!")).then_some(())).is_some();
    assert!(began, "{}", worker.log());
    if refused() {
        let log = worker.log();
        assert!(log.contains("Delegate=memory") && !log.contains("started!"), "{log}");
        assert_eq!(worker.wait(), Some(1));
        return eprintln!("skipped: no memory can be limited here: {log}");
    }
    let message =
        "Process exited with status code: -9. It was killed because it needed more memory than its limit allows.";
    assert_eq!(site.end(&run)["message"], message);
}
