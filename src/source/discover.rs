//! Finding the files that declare something, in one pass over a directory.
//!
//! Every real directory is entered once: under its own name if it has one below the root, else under that of the
//! first link that leads to it. So links that form a circle end, however they are knotted.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use super::error::SourceError;
use super::ignores::Ignores;
use super::worktree::{Bounds, Worktree, what_is};
use crate::diagnostic::Diagnostic;
use crate::manifest::globs::Globs;
use crate::model::{Origin, RepoPath};

/// Directories that hold other people's files or test data. A pattern that names one opens it for itself.
const SKIPPED: [&str; 3] = ["node_modules", "site-packages", "tests"];

/// What a pass over a directory finds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The files, in order of their paths.
    pub files: Vec<RepoPath>,
    /// Positions of the include patterns that no file matches.
    pub unmatched: Vec<usize>,
    /// What was passed over and should be known; warnings only.
    pub diagnostics: Vec<Diagnostic>,
}

impl Worktree {
    /// The files that match one of `include` and none of `exclude` (which prunes whole directories as well), and that
    /// git does not ignore. Of an opened file only that file.
    ///
    /// # Errors
    /// When a pattern is wrong. What cannot be entered or followed is a warning.
    pub fn discover(&self, include: &[String], exclude: &[String]) -> Result<Found, SourceError> {
        match self.selected() {
            Some(file) => Ok(Found { files: vec![file.clone()], ..Found::default() }),
            None => self.find(include, exclude),
        }
    }

    /// The same, also where a single file was opened.
    ///
    /// # Errors
    /// When a pattern is wrong.
    pub fn find(&self, include: &[String], exclude: &[String]) -> Result<Found, SourceError> {
        let (include, exclude) = (Globs::new(include)?, Globs::new(exclude)?);
        #[cfg(feature = "git")]
        if let Some(revision) = self.revision() {
            return revision.discover(self.root(), &include, &exclude);
        }
        let mut walk = Walk {
            worktree: self,
            unmatched: (0..include.len()).collect(),
            include,
            exclude,
            entered: BTreeSet::new(),
            files: Vec::new(),
            diagnostics: Vec::new(),
        };
        walk.run();
        let Walk { mut files, unmatched, mut diagnostics, .. } = walk;
        files.sort();
        diagnostics.sort_by(|a, b| a.origin().cmp(&b.origin()).then(a.code.cmp(b.code)));
        Ok(Found { files, unmatched: unmatched.into_iter().collect(), diagnostics })
    }
}

struct Walk<'a> {
    worktree: &'a Worktree,
    include: Globs,
    exclude: Globs,
    unmatched: BTreeSet<usize>,
    entered: BTreeSet<PathBuf>,
    files: Vec<RepoPath>,
    diagnostics: Vec<Diagnostic>,
}

/// A directory to enter.
struct Dir {
    /// Where it is reached.
    path: PathBuf,
    /// Where it really is.
    real: PathBuf,
    /// Its name below the root.
    name: Name,
    /// What holds in the directory above.
    ignores: Ignores,
}

/// A path below the root, as text.
#[derive(Clone)]
struct Name {
    text: String,
    /// Whether the text is the path, letter by letter: names on disk need not be UTF-8.
    exact: bool,
}

impl Name {
    fn join(&self, entry: &OsString) -> Name {
        let exact = self.exact && entry.to_str().is_some();
        let entry = entry.to_string_lossy();
        let text = if self.text.is_empty() { entry.into_owned() } else { format!("{}/{entry}", self.text) };
        Name { text, exact }
    }

    fn repo_path(&self) -> RepoPath {
        RepoPath::new(&self.text)
    }
}

impl Walk<'_> {
    fn run(&mut self) {
        let (root, repository) = (self.worktree.root(), self.worktree.repository());
        let mut unusable = Vec::new();
        let ignores = Ignores::above(root, repository, &mut |file, why| unusable.push((file, why)));
        self.report_unusable(unusable);
        let name = Name { text: String::new(), exact: true };
        let mut dirs = vec![Dir { path: root.to_owned(), real: root.to_owned(), name, ignores }];
        // Links wait until all directories have been entered under their own names.
        let mut links: BTreeMap<String, Dir> = BTreeMap::new();
        loop {
            while let Some(dir) = dirs.pop() {
                if self.entered.insert(dir.real.clone()) {
                    self.enter(&dir, &mut dirs, &mut links);
                }
            }
            match links.pop_first() {
                Some((_, dir)) => dirs.push(dir),
                None => break,
            }
        }
    }

    fn enter(&mut self, dir: &Dir, dirs: &mut Vec<Dir>, links: &mut BTreeMap<String, Dir>) {
        let mut entries = match list(&dir.path) {
            Ok(entries) => entries,
            Err(error) => {
                let name = if dir.name.text.is_empty() { "." } else { &dir.name.text };
                let message = format!("directory `{name}` cannot be read: {error}");
                return self.warn("W0132", &dir.name, message, "let it be read, or put it under `exclude`");
            }
        };
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        if self.worktree.is_guarded() && dir.real != self.worktree.repository() && entries.iter().any(|e| e.0 == ".git")
        {
            // A commit does not hold the files of a repository within it.
            return;
        }
        let ignores = self.rules_of(dir, &entries);
        for (entry, kind) in entries {
            let (path, name) = (dir.path.join(&entry), dir.name.join(&entry));
            let word = entry.to_string_lossy();
            if word == ".git" || ignores.ignore(&path, kind.is_dir()) || self.exclude.is_match(&name.text) {
                continue;
            }
            if kind.is_dir() {
                if self.enterable(&word) {
                    dirs.push(Dir { path, real: dir.real.join(&entry), name, ignores: ignores.clone() });
                }
            } else if kind.is_symlink() {
                if let Some(linked) = self.follow(path, name, &word, &ignores) {
                    links.insert(linked.name.text.clone(), linked);
                }
            } else {
                self.take(&name, kind);
            }
        }
    }

    /// What holds in a directory. One that is a repository of its own does not heed the one around it.
    fn rules_of(&mut self, dir: &Dir, entries: &[(OsString, FileType)]) -> Ignores {
        let has = |word: &str| entries.iter().any(|(entry, _)| entry == word);
        let own = has(".git") && dir.real != self.worktree.repository();
        let outer = if own { Ignores::default() } else { dir.ignores.clone() };
        if !has(".gitignore") {
            return outer;
        }
        let mut unusable = Vec::new();
        let ignores = outer.with(&dir.path, &mut |file, why| unusable.push((file, why)));
        self.report_unusable(unusable);
        ignores
    }

    /// Follows a link: to a file, which is taken, or to a directory, which is given back.
    fn follow(&mut self, path: PathBuf, name: Name, word: &str, ignores: &Ignores) -> Option<Dir> {
        let target = path.canonicalize().and_then(|real| Ok((fs::metadata(&real)?.file_type(), real)));
        let (kind, real) = match target {
            Ok(target) => target,
            Err(error) => {
                if self.accepts(&name.text) {
                    let message = format!("`{}` is a link that leads nowhere: {error}", name.text);
                    self.warn("W0131", &name, message, "mend or remove the link");
                }
                return None;
            }
        };
        let wanted = if kind.is_dir() { self.enterable(word) } else { self.accepts(&name.text) };
        if !wanted {
            return None;
        }
        match self.worktree.bounds(&real) {
            Bounds::Inside if kind.is_dir() => return Some(Dir { path, real, name, ignores: ignores.clone() }),
            Bounds::Inside => self.take(&name, kind),
            Bounds::Outside | Bounds::Git => {
                let message =
                    format!("`{}` is a link that leads out of the repository, so it is not followed", name.text);
                self.warn("W0130", &name, message, "copy what it leads to, or put it under `exclude`");
            }
        }
        None
    }

    /// Takes a file if it is wanted.
    fn take(&mut self, name: &Name, kind: FileType) {
        let patterns = self.patterns(&name.text);
        if patterns.is_empty() {
            return;
        }
        for pattern in patterns {
            self.unmatched.remove(&pattern);
        }
        if !name.exact {
            let message = format!("the name of `{}` is not UTF-8, so it is passed over", name.text);
            self.warn("W0133", name, message, "rename it");
        } else if !kind.is_file() {
            let message = format!("`{}` is {}, not a file, so it is passed over", name.text, what_is(kind));
            self.warn("W0131", name, message, "remove it, or put it under `exclude`");
        } else if !(self.worktree.is_guarded() && self.worktree.is_private_file(&name.repo_path())) {
            self.files.push(name.repo_path());
        }
    }

    /// Whether a directory of this name is entered.
    fn enterable(&self, word: &str) -> bool {
        enterable(&self.include, word)
    }

    fn accepts(&self, path: &str) -> bool {
        !self.patterns(path).is_empty()
    }

    fn patterns(&self, path: &str) -> Vec<usize> {
        wanted(&self.include, path)
    }

    fn report_unusable(&mut self, files: Vec<(PathBuf, String)>) {
        for (file, why) in files {
            let shown = file.strip_prefix(self.worktree.root()).unwrap_or(&file).to_string_lossy().into_owned();
            let message = format!("`{shown}` cannot be used, so nothing is ignored by it: {why}");
            self.warn("W0134", &Name { text: shown, exact: true }, message, "make it a regular file of patterns");
        }
    }

    fn warn(&mut self, code: &'static str, name: &Name, message: String, help: &str) {
        let origin = Origin::whole(name.repo_path());
        self.diagnostics.push(Diagnostic::warning(code, message).at(origin, "").help(help));
    }
}

/// The include patterns that a path matches and that name every skipped directory on the way.
pub(super) fn wanted(include: &Globs, path: &str) -> Vec<usize> {
    let dirs = path.rsplit_once('/').map_or("", |(dirs, _)| dirs);
    let named = |pattern: &usize| dirs.split('/').filter(|dir| is_skipped(dir)).all(|dir| include.names(*pattern, dir));
    include.matches(path).into_iter().filter(named).collect()
}

/// Whether a directory of this name is entered.
pub(super) fn enterable(include: &Globs, word: &str) -> bool {
    !is_skipped(word) || include.any_names(word)
}

fn is_skipped(word: &str) -> bool {
    word.starts_with('.') || SKIPPED.contains(&word)
}

fn list(dir: &Path) -> io::Result<Vec<(OsString, FileType)>> {
    fs::read_dir(dir)?.map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?)))).collect()
}
