//! A loop on a remote repository for as long as one likes: a change every few seconds, edits by hand, servers that are
//! away, and in the end no more memory, files or disk than near the beginning.
//!
//! `RECONCILE_TEST_SOAK=30 cargo test --test it -- --nocapture soak` runs it for thirty minutes.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::serve::Served;
use crate::support::Server;
use crate::support::git_server::{GitServer, Rules};
use crate::support::http::Http;
use crate::support::project::Project;
use crate::support::proxy::{Proxy, Verdict};
use crate::support::sample::Sample;
use crate::support::skip::skipped;

const DEPLOYMENTS: usize = 10;
/// A round begins no sooner after the one before.
const PACE: Duration = Duration::from_secs(3);
/// For so long a server is away.
const AWAY: Duration = Duration::from_secs(4);
/// The longest that anything may take to be as it should be.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_loop_runs_for_long_and_does_not_grow() {
    let minutes = std::env::var("RECONCILE_TEST_SOAK").ok().and_then(|text| text.parse::<u64>().ok());
    let Some(minutes) = minutes else {
        return skipped("it takes half an hour; RECONCILE_TEST_SOAK=30 asks for so many minutes");
    };
    let site = Site::new();
    let served = Served::start(&site.user, &["--git", &site.git.address("shop"), "--interval", "2s"]);
    let pid = served.watcher.pid();
    let _listener = served.open("GET", "/events", &[], "");
    site.wait_for("round 0");
    let began = Instant::now();
    let (mut samples, mut slowest, mut all) = (Vec::new(), Duration::ZERO, Duration::ZERO);
    let mut rounds = 0;
    while began.elapsed() < Duration::from_secs(minutes * 60) {
        rounds += 1;
        let round = Instant::now();
        let took = site.change(rounds, &served);
        (slowest, all) = (slowest.max(took), all + took);
        for path in ["/", "/metrics", "/status.json"] {
            assert_eq!(served.get(path).status, 200, "{path}");
        }
        samples.push(Sample::of(pid, &site.user.home()));
        sleep(PACE.saturating_sub(round.elapsed()));
    }
    let (early, late) = Sample::compare(&samples);
    println!(
        "{minutes} minutes, {rounds} changes: {:.1} s each until they were in, {:.1} s at most\n  \
         after the first fifth: {early}\n  in the last fifth:     {late}",
        all.as_secs_f64() / f64::from(rounds),
        slowest.as_secs_f64()
    );
    late.is_no_more_than(&early);
    let output = served.watcher.stop().exits(0);
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
}

/// A repository behind a server, an API behind a proxy, and who is to keep them equal.
struct Site {
    author: Project,
    user: Project,
    git: GitServer,
    proxy: Proxy,
    api: Http,
}

fn declared(round: u32) -> String {
    let one = |n: usize| {
        format!(
            "- name: d{n}\n  entrypoint: flow.py:f\n  description: round {round}\n  work_pool: {{name: soaked}}\n  \
             schedules: [{{cron: \"{} 6 * * *\", slug: daily}}]\n",
            round % 60
        )
    };
    format!("deployments:\n{}", (0..DEPLOYMENTS).map(one).collect::<String>())
}

impl Site {
    fn new() -> Site {
        let server = Server::shared();
        server.http().request("POST", "/work_pools/", Some(&json!({"name": "soaked", "type": "process"})));
        let author = Project::new()
            .file("reconcile.yaml", "name: soak\n")
            .file("flow.py", "from prefect import flow\n\n@flow(name=\"soak\")\ndef f():\n    pass\n")
            .file("prefect.yaml", &declared(0))
            .git_init(None);
        let git = GitServer::start();
        git.push(&author, "shop", "main");
        let proxy = Proxy::in_front_of(&server.url);
        let user = Project::new().api(&proxy.url).with_python();
        Site { author, user, git, proxy, api: server.http() }
    }

    fn push(&self, text: &str, message: &str) {
        self.author.write("prefect.yaml", text);
        self.author.git_commit(message);
        self.git.push(&self.author, "shop", "main");
    }

    /// A deployment, or why there is none yet.
    fn deployment(&self, n: usize) -> Value {
        self.api.request("GET", &format!("/deployments/name/soak/d{n}"), None).body
    }

    /// Waits until every deployment has this description.
    fn wait_for(&self, description: &str) {
        let began = Instant::now();
        while (0..DEPLOYMENTS).rev().any(|n| self.deployment(n)["description"] != description) {
            assert!(began.elapsed() < PATIENCE, "`{description}` is not in: {:#}", self.deployment(0));
            sleep(Duration::from_millis(100));
        }
    }

    /// Something happens; how long it took until it was in, or undone.
    fn change(&self, round: u32, served: &Served) -> Duration {
        let words = format!("round {round}");
        match round % 20 {
            // Somebody changes it by hand.
            3 | 8 | 13 | 18 => {
                let before = format!("round {}", round - 1);
                let id = self.deployment(4)["id"].as_str().unwrap().to_owned();
                self.api.patch(&format!("/deployments/{id}"), json!({"description": "by hand"}));
                let began = Instant::now();
                self.wait_for(&before);
                let took = began.elapsed();
                self.push(&declared(round), &words);
                self.wait_for(&words);
                return took;
            }
            // History is rewritten.
            5 => drop(self.author.git(&["reset", "-q", "--soft", "HEAD~1"])),
            // Files are invalid for a while.
            10 => {
                self.push("deployments: [\n", "broken");
                served.until("/readyz", "invalid");
            }
            15 => {
                self.git.rules(Rules { away: true, ..Rules::default() });
                sleep(AWAY);
                self.git.rules(Rules::default());
            }
            0 => {
                self.proxy.rule(|_| Verdict::CutBefore);
                sleep(AWAY);
                self.proxy.rule(|_| Verdict::Pass);
                self.proxy.reset();
            }
            _ => {}
        }
        let began = Instant::now();
        self.push(&declared(round), &words);
        self.wait_for(&words);
        began.elapsed()
    }
}
