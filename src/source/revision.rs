//! `Revision`: the files of one commit, read from git's objects. Nothing is checked out.
//!
//! Paths, bounds and limits are those of [`super::Worktree`]: a link inside the repository is followed, one that leads
//! out of it is refused.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use git2::{ErrorCode, ObjectType, Oid, Repository, Tree};

use super::discover::{Found, enterable, wanted};
use super::error::SourceError;
use super::git::libgit::{open, place};
use super::ignores::Ignores;
use super::worktree::{FILE_LIMIT, is_private};
use crate::manifest::globs::Globs;
use crate::model::RepoPath;

/// The mode of a symbolic link in a tree.
const LINK: i32 = 0o120_000;

/// So many links may lead to one file.
const MOST_LINKS: usize = 40;

/// A commit with more entries is not looked through: a few objects can name one another to make endless trees.
const MOST_ENTRIES: usize = 5_000_000;

/// The files of one commit below one directory.
pub struct Revision {
    repo: Mutex<Repository>,
    commit: Oid,
    tree: Oid,
    /// The directory, from the top of the repository.
    subdir: RepoPath,
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({} in `{}`)", self.commit, self.subdir)
    }
}

impl Revision {
    /// What `revision` names: a commit, a tag, a branch, `HEAD~2`.
    ///
    /// # Errors
    /// Without a repository around the directory, or when nothing has that name.
    pub fn open(dir: &Path, revision: &str) -> Result<Revision, SourceError> {
        let failed = |message: String| SourceError::Git { path: dir.to_owned(), message };
        let git = |error: git2::Error| failed(error.message().to_owned());
        let repo = open(dir).map_err(git)?.ok_or_else(|| failed("there is none".to_owned()))?;
        let (_, subdir) = place(&repo, dir).ok_or_else(|| failed("it has no work tree".to_owned()))?;
        let found = repo
            .revparse_single(revision)
            .and_then(|object| object.peel_to_commit())
            .map_err(|error| SourceError::revision(&repo, revision, &error))?;
        let (commit, tree) = (found.id(), found.tree_id());
        drop(found);
        Ok(Revision { repo: Mutex::new(repo), commit, tree, subdir })
    }

    /// The full id of the commit.
    pub fn commit(&self) -> String {
        self.commit.to_string()
    }

    /// The commit and its tree.
    pub(super) fn ids(&self) -> (Oid, Oid) {
        (self.commit, self.tree)
    }

    /// The directory that is read, from the top of the repository.
    pub(super) fn subdir(&self) -> &str {
        self.subdir.as_str()
    }

    /// A directory below the one that is read, from the top of the repository.
    pub(super) fn inside(&self, dir: &RepoPath) -> String {
        self.subdir.join(dir.as_str()).as_str().to_owned()
    }

    pub(super) fn repository(&self) -> std::sync::MutexGuard<'_, Repository> {
        self.repo.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The content of a file; none if the commit has no such file.
    pub(super) fn read(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, SourceError> {
        let failed = |error: git2::Error| self.failed(path, &error);
        let repo = self.repository();
        let tree = repo.find_tree(self.tree).map_err(failed)?;
        let Some((id, kind)) = self.resolve(&repo, &tree, path)? else { return Ok(None) };
        match kind {
            ObjectType::Blob => {}
            ObjectType::Tree => return Err(SourceError::NotAFile { path: path.clone(), what: "a directory" }),
            _ => return Err(SourceError::NotAFile { path: path.clone(), what: "a repository of its own" }),
        }
        // The size is known before the content is unpacked.
        let (size, _) = repo.odb().and_then(|odb| odb.read_header(id)).map_err(failed)?;
        if size as u64 > FILE_LIMIT {
            return Err(SourceError::TooLarge { path: path.clone(), limit: FILE_LIMIT });
        }
        let blob = repo.find_blob(id).map_err(failed)?;
        Ok(Some(blob.content().to_vec()))
    }

    /// The object at a path, links followed.
    fn resolve(
        &self,
        repo: &Repository,
        tree: &Tree<'_>,
        path: &RepoPath,
    ) -> Result<Option<(Oid, ObjectType)>, SourceError> {
        let outside =
            || SourceError::Outside { path: path.clone(), root: repo.workdir().unwrap_or(repo.path()).to_owned() };
        let mut open: Vec<String> = parts(path.as_str()).chain(parts(self.subdir.as_str())).collect();
        let mut done: Vec<String> = Vec::new();
        let (mut links, mut found) = (0, None);
        while let Some(part) = open.pop() {
            if part == ".." {
                done.pop().ok_or_else(outside)?;
                found = None;
                continue;
            }
            if part.eq_ignore_ascii_case(".git") {
                return Err(SourceError::GitInternal { path: path.clone() });
            }
            done.push(part);
            let entry = match tree.get_path(Path::new(&done.join("/"))) {
                Ok(entry) => entry,
                Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
                Err(error) => return Err(self.failed(path, &error)),
            };
            if entry.filemode() == LINK {
                links += 1;
                let target = repo.find_blob(entry.id()).map_err(|error| self.failed(path, &error))?;
                let target = String::from_utf8_lossy(target.content()).into_owned();
                if target.starts_with('/') {
                    return Err(outside());
                }
                if links > MOST_LINKS {
                    return Ok(None);
                }
                done.pop();
                open.extend(parts(&target));
                found = None;
                continue;
            }
            found = entry.kind().map(|kind| (entry.id(), kind));
        }
        if done.last().is_some_and(|name| is_private(name)) {
            return Err(SourceError::Private { path: path.clone() });
        }
        Ok(found)
    }

    fn failed(&self, path: &RepoPath, error: &git2::Error) -> SourceError {
        SourceError::Git { path: path.as_str().into(), message: format!("{} at {}", error.message(), self.commit) }
    }

    /// The files that match, as [`super::Worktree::discover`] finds them. Links to directories are not entered, nor
    /// are repositories within the repository.
    pub(super) fn discover(&self, root: &Path, include: &Globs, exclude: &Globs) -> Result<Found, SourceError> {
        let failed = |error: git2::Error| self.failed(&self.subdir, &error);
        let repo = self.repository();
        let top = repo.find_tree(self.tree).map_err(failed)?;
        let mut walk =
            Walk { revision: self, repo: &repo, top: &top, include, exclude, seen: 0, found: Found::default() };
        let Some((start, ignores)) = walk.start(root).map_err(failed)? else { return Ok(walk.found) };
        let mut open = vec![Dir { tree: start.id(), name: String::new(), path: root.to_owned(), ignores }];
        while let Some(dir) = open.pop() {
            walk.enter(&dir, &mut open).map_err(failed)?;
        }
        let mut found = walk.found;
        found.files.sort();
        let missed = |at: &usize| !found.files.iter().any(|file| wanted(include, file.as_str()).contains(at));
        found.unmatched = (0..include.len()).filter(missed).collect();
        Ok(found)
    }
}

/// The parts of a path, last first.
fn parts(path: &str) -> impl Iterator<Item = String> + '_ {
    path.rsplit('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned)
}

struct Walk<'a> {
    revision: &'a Revision,
    repo: &'a Repository,
    top: &'a Tree<'a>,
    include: &'a Globs,
    exclude: &'a Globs,
    seen: usize,
    found: Found,
}

/// A directory to enter.
struct Dir {
    tree: Oid,
    /// From the root, as text.
    name: String,
    path: PathBuf,
    /// What holds in the directory above.
    ignores: Ignores,
}

impl<'a> Walk<'a> {
    /// The tree of the directory, and the rules that hold above it. None if the commit has no such directory.
    fn start(&self, root: &Path) -> Result<Option<(Tree<'a>, Ignores)>, git2::Error> {
        let depth = self.revision.subdir.as_str().split('/').filter(|part| !part.is_empty()).count();
        let above: Vec<&Path> = root.ancestors().take(depth + 1).collect();
        let mut tree = self.top.clone();
        let mut ignores = Ignores::default();
        for (part, dir) in parts(self.revision.subdir.as_str()).collect::<Vec<_>>().iter().rev().zip(above.iter().rev())
        {
            ignores = self.rules(&tree, dir, &ignores);
            let id = tree.get_name(part).filter(|entry| entry.kind() == Some(ObjectType::Tree)).map(|entry| entry.id());
            let Some(id) = id else { return Ok(None) };
            tree = self.repo.find_tree(id)?;
        }
        Ok(Some((tree, ignores)))
    }

    fn rules(&self, tree: &Tree<'_>, dir: &Path, ignores: &Ignores) -> Ignores {
        let Some(entry) = tree.get_name(".gitignore") else { return ignores.clone() };
        if entry.kind() != Some(ObjectType::Blob) || entry.filemode() == LINK {
            return ignores.clone();
        }
        match self.repo.find_blob(entry.id()) {
            Ok(blob) => ignores.with_text(dir, blob.content()),
            Err(_) => ignores.clone(),
        }
    }

    fn enter(&mut self, dir: &Dir, open: &mut Vec<Dir>) -> Result<(), git2::Error> {
        let tree = self.repo.find_tree(dir.tree)?;
        let ignores = self.rules(&tree, &dir.path, &dir.ignores);
        for entry in &tree {
            self.seen += 1;
            if self.seen > MOST_ENTRIES {
                return Err(git2::Error::from_str("there are too many files"));
            }
            // A name that is not UTF-8 is passed over.
            let Ok(word) = std::str::from_utf8(entry.name_bytes()) else { continue };
            let name = if dir.name.is_empty() { word.to_owned() } else { format!("{}/{word}", dir.name) };
            let path = dir.path.join(word);
            let is_dir = entry.kind() == Some(ObjectType::Tree);
            if word == ".git" || ignores.ignore(&path, is_dir) || self.exclude.is_match(&name) {
                continue;
            }
            if is_dir {
                if enterable(self.include, word) {
                    open.push(Dir { tree: entry.id(), name, path, ignores: ignores.clone() });
                }
            } else if entry.kind() == Some(ObjectType::Blob) && !wanted(self.include, &name).is_empty() {
                self.take(&name, entry.filemode() == LINK);
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &str, is_link: bool) {
        let path = RepoPath::new(path);
        let leads_to_a_file = || {
            let found = self.revision.resolve(self.repo, self.top, &path);
            matches!(found, Ok(Some((_, ObjectType::Blob))))
        };
        if !is_private(path.file_name()) && (!is_link || leads_to_a_file()) {
            self.found.files.push(path);
        }
    }
}
