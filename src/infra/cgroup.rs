//! `Cgroups`: a limit on the memory of each run, kept by the kernel's control groups of version 2.
//!
//! A group for each run, below the one that the worker was started in. A group that has members cannot have limited
//! groups below it, so the worker moves into one beside those of its runs.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where groups are.
const MOUNT: &str = "/sys/fs/cgroup";
/// The group that the worker itself moves into.
const OURS: &str = "worker";
/// Groups of runs begin so.
const OF_RUN: &str = "run-";
/// Starts a program in the group whose list of members is the first word after it. What cannot enter is not started.
const ENTER: [&str; 3] = ["/bin/sh", "-c", "echo $$ > \"$0\" && exec \"$@\""];

/// Groups for runs, each with the same limit.
#[derive(Debug)]
pub struct Cgroups {
    base: PathBuf,
    /// In bytes.
    limit: u64,
}

impl Cgroups {
    /// Groups of at most so many bytes each, swap included. Moves this process into one beside them.
    ///
    /// # Errors
    /// Why this machine, or the group that this process was started in, does not allow it.
    pub fn new(limit: u64) -> Result<Cgroups, String> {
        let ours = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let ours = ours.lines().find_map(|line| line.strip_prefix("0::/"));
        let mount = Path::new(MOUNT);
        if !mount.join("cgroup.controllers").is_file() {
            return Err(format!("`{MOUNT}` is no hierarchy of control groups of version 2"));
        }
        let ours = ours.ok_or_else(|| "this process is in no control group of version 2".to_owned())?;
        Cgroups::below(&mount.join(ours), limit, std::process::id())
    }

    /// The same below `start`, for the process `pid` in it.
    fn below(start: &Path, limit: u64, pid: u32) -> Result<Cgroups, String> {
        let of = |dir: &Path| format!("`{}`", dir.display());
        // A service manager may have put it there, or an earlier worker in this process.
        let parent = start.parent().filter(|parent| start.ends_with(OURS) && limits(parent));
        if let Some(base) = parent {
            return Ok(Cgroups { base: base.to_owned(), limit }.swept());
        }
        if !listed(&start.join("cgroup.controllers"), "memory") {
            return Err(format!("the control group {} cannot limit memory", of(start)));
        }
        if !limits(start) {
            let within = start.join(OURS);
            made(&within).map_err(|error| format!("no control group can be made in {}: {error}", of(start)))?;
            enter(&within, pid)
                .map_err(|error| format!("the control group {} cannot be entered: {error}", of(&within)))?;
            if let Err(error) = fs::write(start.join("cgroup.subtree_control"), "+memory") {
                let _ = enter(start, pid);
                let _ = fs::remove_dir(&within);
                return Err(match error.kind() {
                    ErrorKind::ResourceBusy => {
                        format!("others than this worker are in the control group {}", of(start))
                    }
                    _ => format!("the control group {} cannot be divided: {error}", of(start)),
                });
            }
        }
        Ok(Cgroups { base: start.to_owned(), limit }.swept())
    }

    /// Removes what is left of groups that nobody is in.
    fn swept(self) -> Cgroups {
        let left = fs::read_dir(&self.base).into_iter().flatten().flatten();
        let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(OF_RUN));
        left.for_each(|entry| drop(fs::remove_dir(entry.path())));
        self
    }

    /// Makes the group of a run.
    ///
    /// # Errors
    /// If it cannot be made, or not be limited.
    pub fn make(&self, run: &str) -> io::Result<()> {
        let dir = self.of(run);
        // One of the attempt before remembers how that ended.
        self.remove(run);
        made(&dir)?;
        let limited = fs::write(dir.join("memory.max"), self.limit.to_string()).and_then(|()| {
            // All of a run ends, not the process that happens to ask last.
            fs::write(dir.join("memory.oom.group"), "1")?;
            let swap = dir.join("memory.swap.max");
            if swap.exists() { fs::write(swap, "0") } else { Ok(()) }
        });
        limited.inspect_err(|_| drop(fs::remove_dir(&dir)))
    }

    /// The file that a process of the run writes its number to.
    pub fn members(&self, run: &str) -> PathBuf {
        self.of(run).join("cgroup.procs")
    }

    /// The words that start a run's program in its group.
    pub fn entering(&self, run: &str, words: &[String]) -> Vec<String> {
        let members = self.members(run).display().to_string();
        ENTER.map(str::to_owned).into_iter().chain([members]).chain(words.iter().cloned()).collect()
    }

    /// Whether the kernel killed the run because it wanted more memory than it may have.
    pub fn ran_out(&self, run: &str) -> bool {
        let told = fs::read_to_string(self.of(run).join("memory.events")).unwrap_or_default();
        let count = told.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.is_some_and(|count| count.trim() != "0")
    }

    /// Removes the group of a run, unless something that it started lives on in it.
    pub fn remove(&self, run: &str) {
        let _ = fs::remove_dir(self.of(run));
    }

    fn of(&self, run: &str) -> PathBuf {
        let name: String = run.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        self.base.join(format!("{OF_RUN}{name}"))
    }
}

/// Whether groups below this one can be limited.
fn limits(dir: &Path) -> bool {
    listed(&dir.join("cgroup.subtree_control"), "memory")
}

fn listed(file: &Path, word: &str) -> bool {
    fs::read_to_string(file).unwrap_or_default().split_whitespace().any(|found| found == word)
}

fn made(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn enter(dir: &Path, pid: u32) -> io::Result<()> {
    fs::write(dir.join("cgroup.procs"), pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with the files that the kernel shows of a group; what it would do with them does not happen.
    fn group() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("cgroup.controllers"), "cpu memory pids").expect("written");
        fs::write(dir.path().join("cgroup.subtree_control"), "").expect("written");
        dir
    }

    #[test]
    fn a_worker_steps_aside_and_its_runs_are_limited() {
        let dir = group();
        let groups = Cgroups::below(dir.path(), 1 << 20, 4711).expect("it is ours");
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("it is there");
        assert_eq!((read("worker/cgroup.procs"), read("cgroup.subtree_control")), ("4711".into(), "+memory".into()));
        groups.make("a-1").expect("made");
        assert_eq!((read("run-a-1/memory.max"), read("run-a-1/memory.oom.group")), ("1048576".into(), "1".into()));
        assert!(!groups.ran_out("a-1"));
        fs::write(dir.path().join("run-a-1/memory.events"), "low 0\noom 1\noom_kill 0\n").expect("written");
        assert!(!groups.ran_out("a-1"));
        fs::write(dir.path().join("run-a-1/memory.events"), "low 0\noom 1\noom_kill 2\n").expect("written");
        assert!(groups.ran_out("a-1"));
    }

    #[test]
    fn a_run_enters_its_group_before_it_begins() {
        let dir = group();
        let groups = Cgroups::below(dir.path(), 1 << 20, 1).expect("it is ours");
        groups.make("a").expect("made");
        let words =
            groups.entering("a", &["sh".to_owned(), "-c".to_owned(), "echo $$ \"$0\"".to_owned(), "x y".to_owned()]);
        let ran = std::process::Command::new(&words[0]).args(&words[1..]).output().expect("there is a shell");
        let entered = fs::read_to_string(groups.members("a")).expect("written");
        assert_eq!(String::from_utf8_lossy(&ran.stdout), format!("{} x y\n", entered.trim()));
        let words = groups.entering("nowhere", &["echo".to_owned(), "started".to_owned()]);
        let ran = std::process::Command::new(&words[0]).args(&words[1..]).output().expect("there is a shell");
        assert!(!ran.status.success() && ran.stdout.is_empty(), "nothing starts without its limit");
    }

    #[test]
    fn a_group_that_cannot_limit_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = Cgroups::below(dir.path(), 1, 1).expect_err("it has no controllers");
        assert!(error.contains("cannot limit memory"), "{error}");
    }
}
