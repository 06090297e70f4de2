//! `Sample`: what a process that runs for long has of memory, files, threads, programs and disk: no more late than early.

use std::fs;
use std::path::Path;

/// What a process has at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    memory_kb: u64,
    files: usize,
    threads: usize,
    children: usize,
    disk_kb: u64,
}

impl Sample {
    /// Of a process, and of the directory that it writes to.
    pub fn of(pid: u32, home: &Path) -> Sample {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let count = |of: &str| fs::read_dir(format!("/proc/{pid}/{of}")).unwrap().count();
        let children = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().map(|task| {
            let all = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.split_whitespace().count()
        });
        Sample {
            memory_kb: memory.split_whitespace().next().unwrap().parse().unwrap(),
            files: count("fd"),
            threads: count("task"),
            children: children.sum(),
            disk_kb: disk(home) / 1024,
        }
    }

    /// What was usual in the second fifth, and in the last.
    pub fn compare(samples: &[Sample]) -> (Sample, Sample) {
        let fifth = samples.len() / 5;
        assert!(fifth > 2, "too few samples to tell anything: {}", samples.len());
        (Sample::usual(&samples[fifth..2 * fifth]), Sample::usual(&samples[samples.len() - fifth..]))
    }

    /// Panics unless this is about as much as it was before.
    #[track_caller]
    pub fn is_no_more_than(&self, early: &Sample) {
        let late = self;
        assert!(late.memory_kb <= early.memory_kb + early.memory_kb / 10 + 4096, "memory grows: {early}; {late}");
        assert!(late.files <= early.files + 2, "open files grow: {early}; {late}");
        assert!(late.threads <= early.threads + 2, "threads grow: {early}; {late}");
        assert!(late.children <= early.children + 1, "programs are left: {early}; {late}");
        assert!(late.disk_kb <= early.disk_kb + 4096, "its directory grows: {early}; {late}");
    }

    /// The median of each.
    fn usual(samples: &[Sample]) -> Sample {
        fn middle<T: Ord + Copy>(samples: &[Sample], of: impl Fn(&Sample) -> T) -> T {
            let mut all: Vec<T> = samples.iter().map(of).collect();
            all.sort();
            all[all.len() / 2]
        }
        Sample {
            memory_kb: middle(samples, |one| one.memory_kb),
            files: middle(samples, |one| one.files),
            threads: middle(samples, |one| one.threads),
            children: middle(samples, |one| one.children),
            disk_kb: middle(samples, |one| one.disk_kb),
        }
    }
}

impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Sample { memory_kb, files, threads, children, disk_kb } = self;
        let megabytes = *memory_kb as f64 / 1024.0;
        write!(f, "{megabytes:.1} MB, {files} open files, {threads} threads, {children} programs, {disk_kb} kB on disk")
    }
}

/// How many bytes lie below a directory.
fn disk(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => disk(&entry.path()),
        _ => entry.metadata().map_or(0, |found| found.len()),
    };
    entries.map(size).sum()
}
