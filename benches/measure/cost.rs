//! `Cost`: what a program took: time, CPU, memory. Read from `/proc`, so only on Linux.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Linux tells CPU time in hundredths of a second, whatever the kernel's own tick.
const TICK: Duration = Duration::from_millis(10);
/// How often memory is looked at, in case the end is missed.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What one run took and gave.
pub struct Cost {
    /// From start to end.
    pub wall: Duration,
    /// Of the program and what it started, to 10 ms.
    pub cpu: Duration,
    /// The most memory it had at once, in MB of 10⁶ bytes.
    pub peak_mb: f64,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Cost {
    /// Panics, showing everything, unless it ended well.
    #[track_caller]
    pub fn good(self) -> Cost {
        assert_eq!(self.code, 0, "--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).expect("JSON")
    }
}

/// Runs a program to its end. Its output goes to files, so that nobody waits for a reader.
pub fn run(command: &mut Command) -> Cost {
    let (out, err) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    command.stdin(Stdio::null()).stdout(out.reopen().unwrap()).stderr(err.reopen().unwrap());
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    let id = child.id();
    let looking = std::thread::spawn(move || peak(id));
    // Waits without reaping: what the kernel knows of it is still there then.
    let pid = Pid::from_child(&child);
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    let wall = started.elapsed();
    let cpu = cpu_of(id);
    let code = child.wait().unwrap().code().unwrap_or(-1);
    let text = |file: tempfile::NamedTempFile| fs::read_to_string(file.path()).unwrap();
    Cost { wall, cpu, peak_mb: looking.join().unwrap(), code, stdout: text(out), stderr: text(err) }
}

/// CPU time of a process and of its children that have ended.
pub fn cpu_of(id: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces; utime, stime, cutime and cstime are fields 14 to 17.
    let after = text.rsplit_once(") ").map_or("", |(_, after)| after);
    let ticks: u32 = after.split(' ').skip(11).take(4).filter_map(|field| field.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// The highest memory seen until it ends.
fn peak(id: u32) -> f64 {
    let mut highest = 0.0;
    while let Some(kilobytes) = high_water(id) {
        highest = kilobytes * 1024.0 / 1e6;
        std::thread::sleep(LOOK_EVERY);
    }
    highest
}

fn high_water(id: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
