//! What `--watch --listen` serves: the page, health, metrics, webhooks, and who may act.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::Server;
use crate::support::git_server::GitServer;
use crate::support::project::Project;
use crate::support::proxy::{Proxy, Request, Verdict};
use crate::support::watcher::Watcher;

const SECRET: &str = "canary-of-the-hook";
const TOKEN: &str = "canary-of-the-token";

pub fn declared(description: &str) -> String {
    format!(
        "deployments:\n- name: a\n  entrypoint: flow.py:f\n  description: {description}\n  work_pool: {{name: served}}\n"
    )
}

pub fn project(name: &str) -> Project {
    let server = Server::shared();
    server.http().request("POST", "/work_pools/", Some(&json!({"name": "served", "type": "process"})));
    Project::new()
        .file("reconcile.yaml", &format!("name: {name}\n"))
        .file("flow.py", &format!("from prefect import flow\n\n@flow(name=\"{name}\")\ndef f():\n    pass\n"))
        .file("prefect.yaml", &declared("first"))
        .api(&server.url)
        .env("RECONCILE_TOKEN", TOKEN)
        .env("RECONCILE_WEBHOOK_SECRET", SECRET)
        .with_python()
}

/// A loop that is served, and where.
pub struct Served {
    pub watcher: Watcher,
    pub address: String,
}

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Served {
    pub fn start(project: &Project, args: &[&str]) -> Served {
        let mut all = [&["--listen", "127.0.0.1:0"], args].concat();
        if !args.contains(&"--interval") {
            all.extend(["--interval", "1h"]);
        }
        let mut watcher = Watcher::start(project, &all);
        let line = watcher.says("the status page is at");
        let address = line.rsplit("http://").next().unwrap().trim_end_matches('/').to_owned();
        Served { watcher, address }
    }

    pub fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let host = if headers.iter().any(|(name, _)| *name == "host") {
            String::new()
        } else {
            "host: localhost\r\n".to_owned()
        };
        let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\n{host}{more}content-length: {}\r\n", body.len());
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // Who refuses a body may close before it has read all of it.
        let _ = stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes());
        stream
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut bytes = Vec::new();
        let _ = self.open(method, path, headers, body).read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// Waits until a page says something.
    #[track_caller]
    pub fn until(&self, path: &str, words: &str) -> Answer {
        let began = Instant::now();
        loop {
            let answer = self.get(path);
            if answer.body.contains(words) {
                return answer;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{path} does not say `{words}`: {}", answer.body);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn act(&self, path: &str) -> u16 {
        self.ask("POST", path, &[("authorization", &format!("Bearer {TOKEN}"))], "").status
    }
}

fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn is_done(report: &Value) -> bool {
    report["changes"][0]["result"] == "done"
}

#[test]
fn page_health_and_metrics_tell_the_truth() {
    let project = project("serve-page");
    let mut served = Served::start(&project, &[]);
    assert_eq!(served.get("/healthz").status, 200);
    served.watcher.until(0, "the first pass", is_done);
    let page = served.until("/", "in sync");
    assert!(page.body.contains("serve-page") && page.body.contains("deployment serve-page"), "{}", page.body);
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    assert_eq!(served.get("/readyz").status, 200);
    let metrics = served.get("/metrics").body;
    for line in [
        "reconcile_in_sync 1",
        "reconcile_changes_total{action=\"create\",result=\"done\"}",
        "scope=\"serve-page\"",
        "reconcile_api_requests_total{kind=\"read\",method=\"POST\",status=\"200\"}",
        "reconcile_api_requests_total{kind=\"write\",method=\"POST\",status=\"201\"}",
        "reconcile_lag_seconds 0\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let status: Value = serde_json::from_str(&served.get("/status.json").body).unwrap();
    assert_eq!((&status["state"], &status["report"]["scope"]), (&json!("in_sync"), &json!("serve-page")), "{status:#}");

    project.write("prefect.yaml", "deployments:\n- name: a\n  entrypoint: [\n");
    let page = served.until("/", "invalid files");
    assert!(page.body.contains("prefect.yaml:") && page.body.contains("error E0"), "{}", page.body);
    let ready = served.get("/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (503, "invalid\n"));
    assert!(served.get("/metrics").body.contains("reconcile_in_sync 0"));
    for path in ["/", "/status.json", "/metrics"] {
        assert!(!served.get(path).body.contains("canary"), "{path}");
    }
    assert_eq!(served.get("/nowhere").status, 404);
    served.watcher.stop().exits(0);
}

#[test]
fn webhooks_wake_the_loop_if_they_are_signed() {
    let author = project("serve-hooks").git_init(None);
    let git = GitServer::start();
    git.push(&author, "shop", "main");
    let user = Project::new().api(&Server::shared().url).env("RECONCILE_WEBHOOK_SECRET", SECRET).with_python();
    let mut served = Served::start(&user, &["--git", &git.address("shop")]);
    served.watcher.until(0, "the first pass", is_done);

    author.write("prefect.yaml", &declared("second"));
    let commit = author.git_commit("second");
    git.push(&author, "shop", "main");
    let body = format!("{{\"after\":\"{commit}\"}}");
    let forged =
        served.ask("POST", "/webhook", &[("x-hub-signature-256", &format!("sha256={}", "0".repeat(64)))], &body);
    assert_eq!(forged.status, 401);
    assert_eq!(served.ask("POST", "/webhook", &[], &body).status, 401);
    let large = "x".repeat((5 << 20) + 1);
    let large = served.ask("POST", "/webhook", &[("x-hub-signature-256", &signature(&large))], &large);
    assert!(matches!(large.status, 413 | 0), "{}", large.status);
    assert_eq!(served.watcher.reports().len(), 1);

    let signed = format!("sha256={}", signature(&body));
    let good = served.ask("POST", "/webhook", &[("x-hub-signature-256", &signed)], &body);
    assert_eq!(good.status, 202);
    let report = served.watcher.until(1, "the pushed commit", |report| report["source"]["commit"] == *commit);
    assert_eq!(report["summary"]["update"], 1, "{report:#}");
    let again = served.ask("POST", "/webhook", &[("x-hub-signature-256", &signed)], &body);
    assert_eq!((again.status, again.body.as_str()), (200, "this was here just now\n"));
    let metrics = served.get("/metrics").body;
    for (result, n) in [("accepted", 1), ("replayed", 1), ("forged", 2)] {
        assert!(metrics.contains(&format!("reconcile_webhooks_total{{result=\"{result}\"}} {n}")), "{metrics}");
    }
    // Nobody gave a token: nobody may act.
    assert_eq!(served.act("/suspend"), 403);
}

#[test]
fn who_proves_nothing_costs_nothing() {
    let project = project("serve-flood");
    let served = Served::start(&project, &[]);
    // A head, and never a body.
    let send = |headers: &str| {
        let mut stream = TcpStream::connect(&served.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!("POST /webhook HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let status = |stream: TcpStream| {
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line);
        line
    };
    let unsigned = status(send("content-length: 5000000"));
    assert!(unsigned.contains(" 401 "), "{unsigned}");
    let large = status(send("content-length: 6000000\r\nx-gitlab-token: x"));
    assert!(large.contains(" 413 "), "{large}");
    let good = served.ask("POST", "/webhook", &[("x-gitlab-token", SECRET)], "{}");
    assert_eq!(good.status, 202);
    // Four of eight are listened to; the others are told long before that has an end.
    let (told, answers) = std::sync::mpsc::channel();
    for _ in 0..8 {
        let (told, stream) = (told.clone(), send("content-length: 5000000\r\nx-gitlab-token: x"));
        std::thread::spawn(move || told.send(status(stream)));
    }
    for answer in answers.iter().take(4) {
        assert!(answer.contains(" 503 "), "{answer}");
    }
}

#[test]
fn who_has_the_token_may_act() {
    let project = project("serve-acts");
    let mut served = Served::start(&project, &[]);
    served.watcher.until(0, "the first pass", is_done);
    for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("authorization", TOKEN)]] {
        assert_eq!(served.ask("POST", "/reconcile", headers, "").status, 401, "{headers:?}");
    }
    assert_eq!(served.get("/suspend").status, 405);
    let passes = served.watcher.reports().len();
    assert_eq!(served.act("/reconcile"), 202);
    served.watcher.until(passes, "another pass", |_| true);

    assert_eq!(served.act("/suspend"), 202);
    served.until("/", "suspended");
    project.write("prefect.yaml", &declared("second"));
    served.watcher.says("suspended: nothing is done");
    assert_eq!(served.act("/resume"), 202);
    let report = served.watcher.until(passes, "what was saved meanwhile", is_done);
    assert_eq!(report["summary"]["update"], 1, "{report:#}");
    let output = served.watcher.stop().exits(0);
    assert!(!(output.stdout + &output.stderr).contains("canary"));
}

#[test]
fn a_lock_that_another_one_holds_is_no_failure() {
    let project = project("serve-locked");
    let mut served = Served::start(&project, &["--lock-timeout", "1s"]);
    served.watcher.until(0, "the first pass", is_done);
    served.until("/", "in sync");

    let proxy = Proxy::in_front_of(&Server::shared().url);
    let is_meant = |request: &Request| request.is_write() && request.path.contains("/deployments/");
    proxy.rule(move |request| if is_meant(request) { Verdict::HoldBefore } else { Verdict::Pass });
    let other = self::project("serve-locked").api(&proxy.url);
    other.write("prefect.yaml", &declared("second"));
    let mut holder = other.reconcile_command().args(["apply", "--yes"]).stdout(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !proxy.requests().iter().any(is_meant) {
        assert!(began.elapsed() < Duration::from_secs(120), "it never writes");
        std::thread::sleep(Duration::from_millis(20));
    }

    project.write("prefect.yaml", &declared("third"));
    served.watcher.says("the lock of `serve-locked` is held by");
    served.until("/", ": the lock of `serve-locked` is held by");
    let status: Value = serde_json::from_str(&served.get("/status.json").body).unwrap();
    assert_eq!((&status["state"], &status["error"]), (&json!("in_sync"), &Value::Null), "{status:#}");
    assert_eq!(status["history"].as_array().map(Vec::len), Some(1), "{status:#}");
    assert_eq!(served.get("/readyz").status, 200);

    holder.kill().unwrap();
    holder.wait().unwrap();
    let http = Server::shared().http();
    let locks = json!({"block_types": {"slug": {"any_": ["reconcile-lock"]}}});
    let locks = http.post("/block_documents/filter", locks);
    let ours = locks.as_array().unwrap().iter().find(|lock| lock["data"]["scope"] == "serve-locked").unwrap();
    http.delete(&format!("/block_documents/{}", ours["id"].as_str().unwrap()));
    let passes = served.watcher.reports().len();
    served.watcher.until(passes, "the change", is_done);
    served.until("/status.json", "\"waiting\":null");
    served.watcher.stop().exits(0);
}

#[test]
fn other_names_than_those_of_this_machine_are_refused() {
    let project = project("serve-names");
    let served = Served::start(&project, &[]);
    assert_eq!(served.ask("GET", "/", &[("host", "evil.example.org")], "").status, 421);
    let port = served.address.rsplit(':').next().unwrap();
    assert_eq!(served.ask("GET", "/", &[("host", &format!("127.0.0.1:{port}"))], "").status, 200);
}

#[test]
fn every_pass_is_an_event() {
    let project = project("serve-events");
    let mut served = Served::start(&project, &[]);
    served.watcher.until(0, "the first pass", is_done);
    served.until("/", "in sync");
    let stream = served.open("GET", "/events", &[], "");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.to_lowercase().contains("text/event-stream")));
    served.watcher.signal("-HUP");
    assert!(lines.any(|line| line == "event: pass"));
}

#[test]
fn what_cannot_be_served_is_told_at_once() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let project = project("serve-taken");
    let address = taken.local_addr().unwrap().to_string();
    let output = project.reconcile(&["--watch", "--listen", &address]).exits(1);
    assert!(output.stderr.contains("nothing can be served at"), "{output:?}");
    project.write("empty", "\n");
    let output = project.reconcile(&["--watch", "--listen", "127.0.0.1:0", "--token-file", "empty"]).exits(64);
    assert!(output.stderr.contains("is empty"), "{output:?}");
    project.reconcile(&["--listen", "127.0.0.1:0"]).exits(64);
}
