//! `Journal`: which runs the workers of this machine have, kept on disk, so that a later one finds what a dead one left.
//!
//! One file per run, locked as long as its worker lives: whoever gets the lock knows that the worker is dead, and has
//! inherited the run.

use std::fs::{self, DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::infra::Trace;

/// No entry is longer, in bytes.
const LONGEST: u64 = 1 << 20;
/// A draft that is older than this is of a worker that was killed while it wrote.
const LEFT: Duration = Duration::from_secs(60);

/// What is kept about one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The API it belongs to.
    pub api: String,
    /// Its pool.
    pub pool: String,
    /// The machine that its worker runs on: processes are found on that one only.
    pub machine: String,
    /// Its id.
    pub run: String,
    /// The ids of the states that its worker was about to propose: by these its claim is known.
    pub claims: Vec<String>,
    /// What the server took for its infrastructure before the claim: that of an attempt before, which stays there until
    /// the next one is told.
    #[serde(default)]
    pub earlier: Option<String>,
    /// Where it runs, once it does.
    pub trace: Option<Trace>,
}

impl Entry {
    /// What tells the attempt from all others.
    pub fn attempt(&self) -> Option<&str> {
        self.claims.first().map(String::as_str)
    }
}

/// Where entries are kept.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    dir: PathBuf,
}

/// An entry of ours, until it is struck out or this process ends.
#[derive(Debug)]
pub(super) struct Held {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// A journal in this directory, which is made when it is needed.
    pub fn new(dir: PathBuf) -> Journal {
        Journal { dir }
    }

    /// Notes an attempt at a run, in the place of what was noted of it before. Another worker's has an entry of its own.
    ///
    /// # Errors
    /// If the disk does not take it: the run goes on, and is lost to later workers.
    pub fn note(&self, entry: &Entry) -> std::io::Result<Held> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        if !self.is_private() {
            return Err(std::io::Error::other(format!("others may write to `{}`", self.dir.display())));
        }
        let draft = self.dir.join(format!(".{}.{}", name(&entry.run), uuid::Uuid::new_v4().simple()));
        let mut file = File::options().read(true).write(true).create_new(true).open(&draft)?;
        file.lock()?;
        file.write_all(serde_json::to_string(entry).unwrap_or_default().as_bytes())?;
        file.sync_all()?;
        let attempt = entry.attempt().map(|claim| format!(".{}", name(claim))).unwrap_or_default();
        let path = self.dir.join(format!("{}{attempt}.json", name(&entry.run)));
        fs::rename(&draft, &path)?;
        Ok(Held { path, file })
    }

    /// Whether nobody else can have written what is noted here: it is believed.
    fn is_private(&self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        fs::symlink_metadata(&self.dir).is_ok_and(|dir| dir.is_dir() && dir.uid() == own && dir.mode() & 0o022 == 0)
    }

    /// What dead workers of this machine left of a pool's runs. It is ours from now on.
    pub fn orphans(&self, api: &str, pool: &str) -> Vec<(Entry, Held)> {
        let Ok(listed) = fs::read_dir(&self.dir) else { return Vec::new() };
        if !self.is_private() {
            return Vec::new();
        }
        let paths = listed.filter_map(|entry| Some(entry.ok()?.path()));
        let (entries, others): (Vec<PathBuf>, _) =
            paths.partition(|path| path.extension().is_some_and(|end| end == "json"));
        others.iter().for_each(|path| sweep(path));
        entries.iter().filter_map(|path| inherit(path, api, pool)).collect()
    }

    /// Whether a worker of this machine that lives has noted a run. `but`: an entry that does not count.
    pub fn is_held(&self, run: &str, but: Option<&Held>) -> bool {
        let Ok(listed) = fs::read_dir(&self.dir) else { return false };
        let (run, paths) = (name(run), listed.filter_map(|entry| Some(entry.ok()?.path())));
        let mut noted = paths.filter(|path| {
            let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            file.strip_prefix(&run).is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".json"))
        });
        noted.any(|path| {
            but.is_none_or(|held| held.path != path) && File::open(path).is_ok_and(|file| file.try_lock().is_err())
        })
    }
}

fn inherit(path: &Path, api: &str, pool: &str) -> Option<(Entry, Held)> {
    let mut file = File::options().read(true).write(true).open(path).ok()?;
    file.try_lock().ok()?;
    let mut text = String::new();
    (&mut file).take(LONGEST).read_to_string(&mut text).ok()?;
    let entry: Entry = serde_json::from_str(&text).ok()?;
    // A directory that several machines share shows the entries of all, and locks may not reach across.
    if entry.machine != machine() {
        return None;
    }
    // Between opening and locking, its worker may have struck it out, and another noted the same run.
    let same = { fs::metadata(path).ok()?.ino() == file.metadata().ok()?.ino() };
    (same && entry.api == api && entry.pool == pool).then(|| (entry, Held { path: path.to_owned(), file }))
}

/// Removes a draft that a worker was killed over.
fn sweep(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    let is_draft = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    if is_draft && age(&file) > LEFT && file.try_lock().is_ok() {
        let _ = fs::remove_file(path);
    }
}

/// How long ago a file was written; for ever if the disk does not tell.
fn age(file: &File) -> Duration {
    let written = file.metadata().and_then(|found| found.modified());
    written.ok().map_or(Duration::MAX, |written| written.elapsed().unwrap_or_default())
}

impl Held {
    /// How long ago it was noted.
    pub fn age(&self) -> Duration {
        age(&self.file)
    }

    /// The run has ended and was reported.
    pub fn strike_out(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// This machine, whatever was started on it since. Containers of one image have names of their own.
pub(super) fn machine() -> &'static str {
    static MACHINE: LazyLock<String> = LazyLock::new(|| {
        let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
        format!("{} {}", rustix::system::uname().nodename().to_string_lossy(), id.trim())
    });
    &MACHINE
}

/// An id as the name of a file.
fn name(run: &str) -> String {
    run.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(run: &str) -> Entry {
        let text = |text: &str| text.to_owned();
        Entry {
            api: text("a"),
            pool: text("p"),
            machine: text(machine()),
            run: text(run),
            claims: Vec::new(),
            earlier: None,
            trace: None,
        }
    }

    #[test]
    fn what_is_held_is_nobody_elses() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::new(dir.path().join("deep"));
        assert!(journal.orphans("a", "p").is_empty());
        let (one, two) = (journal.note(&entry("one")).expect("noted"), journal.note(&entry("two")).expect("noted"));
        assert!(journal.orphans("a", "p").is_empty());
        assert!(journal.is_held("one", None) && !journal.is_held("on", None) && !journal.is_held("three", None));
        assert!(!journal.is_held("one", Some(&one)) && one.age() < Duration::from_secs(60));
        drop(one);
        assert!(!journal.is_held("one", None));
        assert!(journal.orphans("a", "other").is_empty() && journal.orphans("b", "p").is_empty());
        let mut left = journal.orphans("a", "p");
        assert_eq!(left.len(), 1);
        assert!(journal.orphans("a", "p").is_empty(), "it is ours now");
        let (found, held) = left.remove(0);
        assert_eq!(found, entry("one"));
        held.strike_out();
        two.strike_out();
        assert_eq!(fs::read_dir(dir.path().join("deep")).expect("it is there").count(), 0);
    }

    #[test]
    fn two_workers_that_try_for_one_run_do_not_strike_each_other_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::new(dir.path().to_owned());
        let by = |claim: &str| Entry { claims: vec![claim.to_owned()], ..entry("one") };
        let (won, lost) = (journal.note(&by("a")).expect("noted"), journal.note(&by("b")).expect("noted"));
        lost.strike_out();
        let again = journal.note(&by("a")).expect("noted");
        drop(won);
        assert!(journal.orphans("a", "p").is_empty(), "the second note is held");
        drop(again);
        let left = journal.orphans("a", "p");
        assert_eq!(left.iter().map(|(entry, _)| entry).collect::<Vec<_>>(), [&by("a")]);
    }

    #[test]
    fn what_another_machine_left_is_not_ours() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::new(dir.path().to_owned());
        let theirs = Entry { machine: "elsewhere".to_owned(), ..entry("one") };
        drop((journal.note(&theirs).expect("noted"), journal.note(&entry("two")).expect("noted")));
        let left = journal.orphans("a", "p");
        assert_eq!(left.iter().map(|(entry, _)| entry.run.as_str()).collect::<Vec<_>>(), ["two"]);
    }

    #[test]
    fn drafts_of_the_dead_are_swept() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str| File::create(dir.path().join(name)).expect("made");
        let old = std::time::SystemTime::now() - LEFT * 2;
        let (dead, held) = (file(".one.a"), file(".two.b"));
        held.lock().expect("locked");
        [&dead, &held, &file("other")].into_iter().for_each(|file| file.set_modified(old).expect("it is ours"));
        drop(file(".three.c"));
        assert!(Journal::new(dir.path().to_owned()).orphans("a", "p").is_empty());
        let listed =
            fs::read_dir(dir.path()).expect("it is there").map(|entry| entry.expect("it is there").file_name());
        let mut left: Vec<_> = listed.collect();
        left.sort();
        assert_eq!(left, [".three.c", ".two.b", "other"]);
    }

    #[test]
    fn damaged_entries_are_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("x.json"), "{").expect("written");
        fs::write(dir.path().join("y.json"), [0xff, 0xfe]).expect("written");
        assert!(Journal::new(dir.path().to_owned()).orphans("a", "p").is_empty());
    }
}
