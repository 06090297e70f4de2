//! `Looped`: a loop under way, whose lines come with the moment at which they were printed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::spawn;
use std::time::{Duration, Instant};

use crate::support::project::Project;

/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// `reconcile --watch`; killed when dropped.
pub struct Looped {
    child: Child,
    lines: Receiver<(Instant, String)>,
}

impl Looped {
    /// Starts it with more arguments.
    pub fn start(project: &Project, args: &[&str]) -> Looped {
        let mut command = project.reconcile_command();
        command.arg("--watch").args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        forward(child.stdout.take().unwrap(), sender.clone());
        forward(child.stderr.take().unwrap(), sender);
        Looped { child, lines }
    }

    /// Waits for a line of stdout or stderr that says all of this: when it came, and what it says.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> (Instant, String) {
        let mut before = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let (at, line) = line.unwrap_or_else(|error| panic!("{words:?}: {error}: {before:#?}"));
            if words.iter().all(|word| line.contains(word)) {
                return (at, line);
            }
            before.push(line);
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Looped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(from: impl Read + Send + 'static, to: Sender<(Instant, String)>) {
    spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = to.send((Instant::now(), line));
        }
    });
}
