//! Notifications: told once when the state of a loop changes, never for the same state again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::project::Project;
use crate::support::watcher::Watcher;

/// Takes messages on a free port; the first one is answered with 500.
struct Inbox {
    address: String,
    messages: Arc<Mutex<Vec<Value>>>,
}

impl Inbox {
    fn new() -> Inbox {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let messages = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&messages);
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().flatten().enumerate() {
                let mut reader = BufReader::new(&stream);
                let (mut length, mut line) = (0, String::new());
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                if n > 0 {
                    into.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                }
                let status = if n > 0 { "200 OK" } else { "500 No" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                (&stream).write_all(answer.as_bytes()).unwrap();
            }
        });
        Inbox { address, messages }
    }

    #[track_caller]
    fn until(&self, count: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let all = self.messages.lock().unwrap().clone();
            if all.len() >= count {
                return all;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{all:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn declared(description: &str) -> String {
    format!(
        "deployments:\n- name: a\n  entrypoint: flow.py:f\n  description: {description}\n  work_pool: {{name: told}}\n"
    )
}

#[test]
fn a_change_of_state_is_told_once() {
    let server = Server::shared();
    server.http().request("POST", "/work_pools/", Some(&json!({"name": "told", "type": "process"})));
    let inbox = Inbox::new();
    let project = Project::new()
        .file("reconcile.yaml", "name: notified\n")
        .file("flow.py", "from prefect import flow\n\n@flow(name=\"notified\")\ndef f():\n    pass\n")
        .file("prefect.yaml", &declared("first"))
        .file("targets", &format!("# who is told\nwebhook http://{}/canary\n", inbox.address))
        .api(&server.url)
        .with_python();
    let mut watcher = Watcher::start(&project, &["--interval", "1h", "--notify-file", "targets"]);
    watcher.until(0, "the first pass", |report| report["changes"][0]["result"] == "done");
    let passes = watcher.reports().len();
    project.write("prefect.yaml", "deployments: [\n");
    watcher.until(passes, "the complaint", |report| report["diagnostics"][0]["severity"] == "error");
    // Two more passes of the same state.
    for _ in 0..2 {
        let passes = watcher.reports().len();
        watcher.signal("-HUP");
        watcher.until(passes, "another pass", |_| true);
    }
    inbox.until(1);
    project.write("prefect.yaml", &declared("second"));
    let all = inbox.until(2);
    let states: Vec<(&Value, &Value)> = all.iter().map(|one| (&one["before"], &one["state"])).collect();
    assert_eq!(states, [(&json!("in_sync"), &json!("invalid")), (&json!("invalid"), &json!("in_sync"))]);
    assert_eq!(
        (&all[0]["scope"], &all[0]["summary"]),
        (&json!("notified"), &json!("Invalid: 1 error; nothing was written."))
    );
    let output = watcher.stop().exits(0);
    assert!(!(output.stdout + &output.stderr).contains("canary"));
    let missing = project.reconcile(&["--watch", "--notify-file", "flow.py"]).exits(64);
    assert!(missing.stderr.contains("line 1 of the targets"), "{missing:?}");
}

#[test]
fn no_message_overtakes_another() {
    let server = Server::shared();
    server.http().request("POST", "/work_pools/", Some(&json!({"name": "told", "type": "process"})));
    let inbox = Inbox::new();
    let project = Project::new()
        .file("reconcile.yaml", "name: notified-in-order\n")
        .file("flow.py", "from prefect import flow\n\n@flow(name=\"notified-in-order\")\ndef f():\n    pass\n")
        .file("prefect.yaml", "deployments: [\n")
        .file("targets", &format!("webhook http://{}/canary\n", inbox.address))
        .api(&server.url)
        .with_python();
    let mut watcher = Watcher::start(&project, &["--interval", "1h", "--notify-file", "targets"]);
    watcher.until(0, "the complaint", |report| report["diagnostics"][0]["severity"] == "error");
    // The first attempt to tell that failed; it is repaired before the second one.
    project.write("prefect.yaml", &declared("first"));
    watcher.until(0, "the first pass", |report| report["changes"][0]["result"] == "done");
    let all = inbox.until(2);
    let states: Vec<&Value> = all.iter().map(|one| &one["state"]).collect();
    assert_eq!(states, [&json!("invalid"), &json!("in_sync")]);
    watcher.stop().exits(0);
}
