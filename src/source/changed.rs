//! Which files differ between a commit and the work tree.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::SourceError;
use crate::model::RepoPath;

/// The files that differ between a commit and the work tree around a directory, files that git does not know included
/// and ignored ones not: paths from the top of the repository. A file that was moved counts under both names.
///
/// # Errors
/// Without a git repository, or when nothing has that name.
#[cfg(feature = "git")]
pub fn changed_since(dir: &Path, revision: &str) -> Result<BTreeSet<RepoPath>, SourceError> {
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
    let files = diff.deltas().flat_map(|delta| [delta.old_file().path_bytes(), delta.new_file().path_bytes()]);
    Ok(files.flatten().map(|path| RepoPath::new(&String::from_utf8_lossy(path))).collect())
}

/// Built without git: there are no commits.
///
/// # Errors
/// Always.
#[cfg(not(feature = "git"))]
pub fn changed_since(_dir: &Path, revision: &str) -> Result<BTreeSet<RepoPath>, SourceError> {
    let message = "this reconcile was built without git".to_owned();
    Err(SourceError::Revision { revision: revision.to_owned(), message, shallow: None })
}
