//! `Watcher`: a running `reconcile --watch`, and what it prints.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::project::{Output, Project};

/// A loop under way; killed when dropped.
pub struct Watcher {
    child: Child,
    stdout: Arc<Mutex<Vec<String>>>,
    stderr: Arc<Mutex<Vec<String>>>,
}

impl Watcher {
    /// Starts `reconcile --watch --json` with more arguments.
    pub fn start(project: &Project, args: &[&str]) -> Watcher {
        Watcher::spawn(project, &[&["--watch", "--json"], args].concat())
    }

    /// Starts anything that keeps running.
    pub fn spawn(project: &Project, args: &[&str]) -> Watcher {
        let mut command = project.reconcile_command();
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Watcher { child, stdout, stderr }
    }

    /// The reports so far.
    pub fn reports(&self) -> Vec<Value> {
        let lines = self.stdout.lock().unwrap();
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// The lines of stderr so far.
    pub fn said(&self) -> Vec<String> {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits until something holds of the reports from number `from` on; gives the first report it holds of.
    #[track_caller]
    pub fn until(&mut self, from: usize, what: &str, test: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            if let Some(found) = self.reports().into_iter().skip(from).find(&test) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            let hangs = began.elapsed() > Duration::from_secs(120);
            assert!(ended.is_none() && !hangs, "{what}: {ended:?}\n{:#?}\n{:#?}", self.reports(), self.said());
            sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a line on stderr.
    #[track_caller]
    pub fn says(&mut self, words: &str) -> String {
        let began = Instant::now();
        loop {
            if let Some(line) = self.said().into_iter().find(|line| line.contains(words)) {
                return line;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "`{words}` is not said: {:#?}", self.said());
            sleep(Duration::from_millis(10));
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `-HUP`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks it to stop, and waits for that.
    pub fn stop(self) -> Output {
        self.signal("-TERM");
        self.ends()
    }

    /// Waits until it ends.
    pub fn ends(mut self) -> Output {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        sleep(Duration::from_millis(50));
        Output { code, stdout: self.stdout.lock().unwrap().join("\n"), stderr: self.said().join("\n") }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&all);
    spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            into.lock().unwrap().push(line);
        }
    });
    all
}
