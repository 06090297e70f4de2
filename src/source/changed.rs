//! Which files differ between a commit and the work tree.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::SourceError;
use crate::model::RepoPath;

/// What differs between a commit and the work tree. Its paths begin at the top of the repository.
pub struct Changed {
    files: BTreeSet<RepoPath>,
    /// Submodules, and repositories that are none: git does not say which of their files changed.
    repositories: BTreeSet<RepoPath>,
    #[cfg(feature = "git")]
    repo: git2::Repository,
    #[cfg(feature = "git")]
    tree: git2::Oid,
}

impl Changed {
    /// Whether nothing is known to differ.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.repositories.is_empty()
    }

    /// The files and, in the place of theirs, the repositories within the repository.
    pub fn files(&self) -> impl Iterator<Item = &RepoPath> {
        self.files.iter().chain(&self.repositories)
    }

    /// Whether it may be one of the code of a flow that differs.
    pub fn may_be_code(&self) -> bool {
        !self.repositories.is_empty() || self.files.iter().any(|file| file.as_str().ends_with(".py"))
    }

    /// Whether a file of this name is known to differ.
    pub fn names(&self, path: &RepoPath) -> bool {
        let is_within = |dir: &RepoPath| path.as_str().strip_prefix(dir.as_str()).is_some_and(|it| it.starts_with('/'));
        self.files.contains(path) || self.repositories.iter().any(is_within)
    }

    /// Whether the commit holds something at a path, links not followed. What it does not hold, git ignores or does not
    /// know: there is nothing to compare it with.
    #[cfg(feature = "git")]
    pub fn holds(&self, path: &RepoPath) -> bool {
        self.repo.find_tree(self.tree).is_ok_and(|tree| holds(&self.repo, &tree, path.as_str()))
    }

    /// Built without git: there are no commits.
    #[cfg(not(feature = "git"))]
    pub fn holds(&self, _path: &RepoPath) -> bool {
        false
    }

    /// Compares a commit with the work tree around a directory, files that git does not know included and ignored ones
    /// not. A file that was moved counts under both names.
    ///
    /// # Errors
    /// Without a git repository, or when nothing has that name.
    #[cfg(feature = "git")]
    pub fn since(dir: &Path, revision: &str) -> Result<Changed, SourceError> {
        use super::git::libgit::open;

        let failed = |message: &str| SourceError::Git { path: dir.to_owned(), message: message.to_owned() };
        let git = |error: git2::Error| failed(error.message());
        let repo = open(dir).map_err(git)?.ok_or_else(|| failed("there is none"))?;
        let found = repo.revparse_single(revision).and_then(|object| object.peel_to_commit());
        let tree =
            found.and_then(|commit| commit.tree()).map_err(|error| SourceError::revision(&repo, revision, &error))?;
        let mut options = git2::DiffOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true).include_typechange(true).update_index(false);
        let diff = repo.diff_tree_to_workdir_with_index(Some(&tree), Some(&mut options)).map_err(git)?;
        let (mut files, mut repositories) = (BTreeSet::new(), BTreeSet::new());
        for file in diff.deltas().flat_map(|delta| [delta.old_file(), delta.new_file()]) {
            let Some(path) = file.path_bytes().map(String::from_utf8_lossy) else { continue };
            let whole = file.mode() == git2::FileMode::Commit || path.ends_with('/');
            if whole { &mut repositories } else { &mut files }.insert(RepoPath::new(&path));
        }
        let id = tree.id();
        drop((diff, tree));
        Ok(Changed { files, repositories, repo, tree: id })
    }

    /// Built without git: there are no commits.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "git"))]
    pub fn since(_dir: &Path, revision: &str) -> Result<Changed, SourceError> {
        let message = "this reconcile was built without git".to_owned();
        Err(SourceError::Revision { revision: revision.to_owned(), message, shallow: None })
    }
}

/// Whether there is something at a path of a tree, or of the commit of a submodule on the way to it.
#[cfg(feature = "git")]
fn holds(repo: &git2::Repository, tree: &git2::Tree<'_>, path: &str) -> bool {
    let within = |dir: &str, rest: &str| -> Option<bool> {
        let entry = tree.get_path(Path::new(dir)).ok().filter(|it| it.kind() == Some(git2::ObjectType::Commit))?;
        let inner = git2::Repository::open(repo.workdir()?.join(dir)).ok()?;
        let tree = inner.find_commit(entry.id()).and_then(|commit| commit.tree()).ok()?;
        Some(holds(&inner, &tree, rest))
    };
    let mut ways = path.match_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..]));
    tree.get_path(Path::new(path)).is_ok() || ways.any(|(dir, rest)| within(dir, rest) == Some(true))
}
