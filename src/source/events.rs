//! `Events`: tells that files below a directory changed, never which: who is told looks at everything again.
//!
//! Each directory is watched for itself, so that what git ignores and what programs keep for themselves costs nothing.
//! Editors replace files, and a branch switch replaces directories: whenever one comes or goes, all are looked for
//! again before anybody is told. A change that escapes is found when the interval of the watch is over.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::git;
use super::ignores::Ignores;
use super::worktree::{Worktree, is_private};

/// After so long without another event, what happened is taken for over.
const QUIET: Duration = Duration::from_millis(40);
/// So long events are waited for at most.
const PATIENCE: Duration = Duration::from_millis(400);
/// No more directories are watched.
const MOST_DIRECTORIES: usize = 50_000;
/// Directories that are never entered.
const SKIPPED: [&str; 4] = [".git", "node_modules", "site-packages", "__pycache__"];
/// Files that mark a directory as kept by a program: a virtual environment, a cache.
const MARKS: [&str; 2] = ["pyvenv.cfg", "CACHEDIR.TAG"];
/// Files of a git directory that tell of another commit or branch.
const OF_GIT: [&str; 2] = ["HEAD", "index"];

/// Tells of changes while it lives.
#[derive(Debug)]
pub struct Events(Sender<Message>);

enum Message {
    Happened(notify::Result<Event>),
    End,
}

impl Events {
    /// Watches the directory at a path, or the directory of a file. `wake` is called on a thread of its own.
    ///
    /// # Errors
    /// One sentence if this system cannot watch the directory.
    pub fn watch(path: &Path, wake: impl Fn() + Send + 'static) -> Result<Events, String> {
        let (sender, receiver) = channel();
        let happened = sender.clone();
        let watcher = notify::recommended_watcher(move |event| {
            // Nobody listens any more when the thread has ended.
            let _ = happened.send(Message::Happened(event));
        });
        let failed = |error: notify::Error| format!("changes of `{}` cannot be watched: {error}", path.display());
        let mut tree = Tree::new(path, watcher.map_err(failed)?);
        tree.cover().map_err(failed)?;
        let run = move || listen(&mut tree, &receiver, &wake);
        std::thread::Builder::new().name("files".to_owned()).spawn(run).map_err(|error| error.to_string())?;
        Ok(Events(sender))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.0.send(Message::End);
    }
}

fn listen(tree: &mut Tree, events: &Receiver<Message>, wake: &impl Fn()) {
    while let Ok(Message::Happened(first)) = events.recv() {
        let mut seen = tree.look(&first);
        if seen == Seen::Nothing {
            continue;
        }
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match events.recv_timeout(QUIET) {
                Ok(Message::Happened(next)) => seen = seen.max(tree.look(&next)),
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        if seen == Seen::Directories
            && let Err(error) = tree.cover()
        {
            tracing::warn!(%error, "not every directory is watched; changes are found when the interval is over");
        }
        wake();
    }
}

/// What an event is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Nothing,
    Files,
    /// There may be other directories than before.
    Directories,
}

/// The directories that are watched.
struct Tree {
    /// As given: a link may come to lead elsewhere.
    path: PathBuf,
    watcher: RecommendedWatcher,
    /// What is ignored in each.
    watched: BTreeMap<PathBuf, Ignores>,
    git: Option<PathBuf>,
}

impl Tree {
    fn new(path: &Path, watcher: RecommendedWatcher) -> Tree {
        Tree { path: path.to_owned(), watcher, watched: BTreeMap::new(), git: None }
    }

    /// Watches every directory there is now. One that was watched before may be a new one of the same name.
    fn cover(&mut self) -> notify::Result<()> {
        self.watched.clear();
        if let Some(parent) = above(&self.path) {
            // The directory itself may be replaced.
            let _ = self.watcher.watch(&parent, RecursiveMode::NonRecursive);
        }
        let Ok(worktree) = Worktree::open(&self.path) else { return Ok(()) };
        self.git = git::directory(worktree.root());
        if let Some(git) = self.git.clone() {
            let _ = self.watcher.watch(&git, RecursiveMode::NonRecursive);
        }
        let root = worktree.root().to_owned();
        self.watcher.watch(&root, RecursiveMode::NonRecursive)?;
        let mut open = vec![(root.clone(), Ignores::above(&root, worktree.repository(), &mut |_, _| {}))];
        let mut result = Ok(());
        while let Some((dir, outer)) = open.pop() {
            if self.watched.len() >= MOST_DIRECTORIES {
                tracing::warn!("more than {MOST_DIRECTORIES} directories: some are not watched");
                break;
            }
            if dir != root && result.is_ok() {
                result = self.watcher.watch(&dir, RecursiveMode::NonRecursive).or_else(unless_gone);
            }
            let ignores = outer.with(&dir, &mut |_, _| {});
            for name in directories(&dir) {
                let below = dir.join(&name);
                if !ignores.ignore(&below, true) && !is_skipped(&name, &below) {
                    open.push((below, ignores.clone()));
                }
            }
            self.watched.insert(dir, ignores);
        }
        result
    }

    fn look(&self, event: &notify::Result<Event>) -> Seen {
        let Ok(event) = event else { return Seen::Directories };
        if event.need_rescan() {
            return Seen::Directories;
        }
        let worth = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Seen::Files,
            EventKind::Access(_) => Seen::Nothing,
            EventKind::Create(CreateKind::File) | EventKind::Remove(RemoveKind::File) => Seen::Files,
            EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => Seen::Files,
            EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => {
                Seen::Directories
            }
        };
        match event.paths.iter().any(|path| self.matters(path)) {
            true => worth,
            false => Seen::Nothing,
        }
    }

    fn matters(&self, path: &Path) -> bool {
        if path == self.path || self.watched.contains_key(path) {
            return true;
        }
        let Some((dir, name)) = path.parent().zip(path.file_name().and_then(|name| name.to_str())) else {
            return false;
        };
        if self.git.as_deref() == Some(dir) {
            return OF_GIT.contains(&name);
        }
        match self.watched.get(dir) {
            Some(ignores) => {
                is_private(name) || !(is_scratch(name) || ignores.ignore(path, false) || is_own_output(path))
            }
            // A neighbour of the directory, unless the directory is a link that leads elsewhere now.
            None => Some(dir) == above(&self.path).as_deref() && self.path.file_name() == path.file_name(),
        }
    }
}

/// The directory that holds what is watched.
fn above(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    absolute.parent().map(Path::to_owned)
}

fn directories(dir: &Path) -> Vec<std::ffi::OsString> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let dirs = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    dirs.map(|entry| entry.file_name()).collect()
}

fn is_skipped(name: &std::ffi::OsStr, dir: &Path) -> bool {
    SKIPPED.iter().any(|skipped| name == *skipped) || MARKS.iter().any(|mark| dir.join(mark).exists())
}

/// Files that editors and Python write beside the ones that are meant.
fn is_scratch(name: &str) -> bool {
    name.ends_with('~')
        || name.ends_with(".swp")
        || name.ends_with(".swx")
        || name.ends_with(".pyc")
        || name.starts_with(".#")
        || name.starts_with("#")
        || name == "4913"
}

/// Whether our own output goes to a file: each pass would wake the next.
fn is_own_output(path: &Path) -> bool {
    let Ok(file) = fs::symlink_metadata(path) else { return false };
    let is_it = |output: rustix::io::Result<rustix::fs::Stat>| {
        output.is_ok_and(|output| file.is_file() && (output.st_dev, output.st_ino) == (file.dev(), file.ino()))
    };
    is_it(rustix::fs::fstat(std::io::stdout())) || is_it(rustix::fs::fstat(std::io::stderr()))
}

/// A directory that is gone again is no failure.
fn unless_gone(error: notify::Error) -> notify::Result<()> {
    match &error.kind {
        notify::ErrorKind::PathNotFound => Ok(()),
        notify::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A watched directory, and how often somebody was woken.
    struct Watched {
        dir: tempfile::TempDir,
        woken: Arc<AtomicUsize>,
        _events: Events,
    }

    impl Watched {
        fn new(files: &[(&str, &str)]) -> Watched {
            let dir = tempfile::tempdir().unwrap();
            for (path, text) in files {
                write(&dir.path().join("repo").join(path), text);
            }
            fs::create_dir_all(dir.path().join("repo")).unwrap();
            let woken = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&woken);
            let wake = move || {
                count.fetch_add(1, Ordering::SeqCst);
            };
            let events = Events::watch(&dir.path().join("repo"), wake).unwrap();
            Watched { dir, woken, _events: events }
        }

        fn path(&self, path: &str) -> PathBuf {
            self.dir.path().join("repo").join(path)
        }

        /// Does something, and waits until somebody was woken by it.
        #[track_caller]
        fn wakes(&self, what: &str, act: impl FnOnce()) {
            let before = self.woken.load(Ordering::SeqCst);
            act();
            let began = Instant::now();
            while self.woken.load(Ordering::SeqCst) == before {
                assert!(began.elapsed() < Duration::from_secs(20), "{what} wakes nobody");
                std::thread::sleep(Duration::from_millis(5));
            }
            self.settle();
        }

        /// Waits until nobody is woken any more.
        fn settle(&self) {
            let mut last = usize::MAX;
            while last != self.woken.load(Ordering::SeqCst) {
                last = self.woken.load(Ordering::SeqCst);
                std::thread::sleep(PATIENCE + QUIET);
            }
        }

        #[track_caller]
        fn sleeps(&self, what: &str, act: impl FnOnce()) {
            let before = self.woken.load(Ordering::SeqCst);
            act();
            self.settle();
            assert_eq!(self.woken.load(Ordering::SeqCst), before, "{what} wakes somebody");
        }
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn every_way_to_save_a_file_is_seen() {
        let watched = Watched::new(&[("prefect.yaml", "a"), ("flows/f.py", "x")]);
        watched.wakes("writing in place", || write(&watched.path("prefect.yaml"), "b"));
        watched.wakes("an atomic rename", || {
            write(&watched.path("flows/.f.py.tmp"), "y");
            fs::rename(watched.path("flows/.f.py.tmp"), watched.path("flows/f.py")).unwrap();
        });
        watched.wakes("a backup copy and a new file", || {
            fs::rename(watched.path("prefect.yaml"), watched.path("prefect.yaml~")).unwrap();
            write(&watched.path("prefect.yaml"), "c");
        });
        watched.wakes("removing a file", || fs::remove_file(watched.path("prefect.yaml")).unwrap());
    }

    #[test]
    fn directories_that_come_and_go_are_watched() {
        let watched = Watched::new(&[("flows/f.py", "x")]);
        watched.wakes("a new directory", || write(&watched.path("new/deep/f.py"), "x"));
        watched.wakes("a file in a new directory", || write(&watched.path("new/deep/f.py"), "y"));
        watched.wakes("a directory that is gone", || fs::remove_dir_all(watched.path("flows")).unwrap());
        watched.wakes("one of the same name", || write(&watched.path("flows/f.py"), "x"));
        watched.wakes("a file in it", || write(&watched.path("flows/f.py"), "y"));
        watched.wakes("another directory in the place of all", || {
            fs::rename(watched.path(""), watched.dir.path().join("old")).unwrap();
            write(&watched.path("prefect.yaml"), "x");
        });
        watched.wakes("a file in that", || write(&watched.path("prefect.yaml"), "y"));
    }

    #[test]
    fn what_nobody_means_wakes_nobody() {
        let files = [(".gitignore", "*.log\nout/\n"), ("out/a", "x"), (".venv/pyvenv.cfg", ""), ("a.py", "x")];
        let watched = Watched::new(&files);
        watched.sleeps("reading", || drop(fs::read(watched.path("a.py")).unwrap()));
        watched.sleeps("an ignored file", || write(&watched.path("x.log"), "x"));
        watched.sleeps("a file in an ignored directory", || write(&watched.path("out/a"), "y"));
        watched.sleeps("a file of a virtual environment", || write(&watched.path(".venv/lib"), "y"));
        watched.sleeps("a neighbour", || write(&watched.dir.path().join("other"), "y"));
        watched.sleeps("what an editor keeps", || write(&watched.path(".a.py.swp"), "y"));
        watched.wakes("a file of settings", || write(&watched.path(".env"), "y"));
    }
}
