//! A commit in a directory of its own, for programs that need files: a repository that borrows all objects.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::error::SourceError;
use super::worktree::Worktree;

/// The files of a commit, checked out beside the work tree. Gone when dropped.
#[derive(Debug)]
pub struct Export {
    dir: TempDir,
    /// What stands for the root of the work tree.
    root: PathBuf,
}

impl Export {
    /// The directory that stands for [`Worktree::root`].
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The top of the copy: whatever holds this path has been there.
    pub fn top(&self) -> &Path {
        self.dir.path()
    }
}

impl Worktree {
    /// Checks the commit that is read out into a temporary directory, which only we can enter; none if files are read
    /// from disk. Tags and the remote are there for `git describe` and its like; submodules and the contents of large
    /// file storage are not.
    ///
    /// # Errors
    /// A full disk, or objects that are missing.
    #[cfg(feature = "git")]
    pub fn export(&self) -> Result<Option<Export>, SourceError> {
        let Some(revision) = self.revision() else { return Ok(None) };
        let failed = |message: String| SourceError::Git { path: self.root().to_owned(), message };
        let dir = tempfile::Builder::new().prefix("reconcile-rev-").tempdir().map_err(|e| failed(e.to_string()))?;
        revision.check_out(dir.path()).map_err(failed)?;
        let top = dir.path().canonicalize().map_err(|error| failed(error.to_string()))?;
        Ok(Some(Export { root: top.join(revision.subdir()), dir }))
    }

    /// Built without git: there are no commits.
    ///
    /// # Errors
    /// Never.
    #[cfg(not(feature = "git"))]
    pub fn export(&self) -> Result<Option<Export>, SourceError> {
        Ok(None)
    }
}

#[cfg(feature = "git")]
impl super::revision::Revision {
    /// Makes a repository in an empty directory whose checked-out commit is this one.
    fn check_out(&self, dir: &Path) -> Result<(), String> {
        let git = |error: git2::Error| error.message().to_owned();
        let from = self.repository();
        let repo = begin(&from, dir)?;
        let (commit, _) = self.ids();
        check_out(&repo, commit, git2::build::CheckoutBuilder::new().force()).map_err(git)?;
        repo.set_head_detached(commit).map_err(git)?;
        for tag in from.references_glob("refs/tags/*").map_err(git)?.flatten() {
            // A tag that cannot be taken over is no reason to stop.
            if let (Ok(name), Some(target)) = (std::str::from_utf8(tag.name_bytes()), tag.target()) {
                let _ = repo.reference(name, target, true, "");
            }
        }
        let url = from.config().and_then(|config| config.get_string("remote.origin.url"));
        if let Ok(url) = url {
            repo.remote("origin", &url).map_err(git)?;
        }
        Ok(())
    }
}

/// A repository in a directory whose objects are those of another one; it is made if there is none.
#[cfg(feature = "git")]
pub(super) fn begin(from: &git2::Repository, dir: &Path) -> Result<git2::Repository, String> {
    let git = |error: git2::Error| error.message().to_owned();
    let io = |error: std::io::Error| error.to_string();
    // Templates may bring hooks.
    let mut options = git2::RepositoryInitOptions::new();
    let init = git2::Repository::init_opts(dir, options.external_template(false)).map_err(git)?;
    let objects = from.commondir().join("objects").canonicalize().map_err(io)?;
    std::fs::create_dir_all(init.path().join("objects/info")).map_err(io)?;
    let mut line = objects.into_os_string().into_encoded_bytes();
    line.push(b'\n');
    std::fs::write(init.path().join("objects/info/alternates"), line).map_err(io)?;
    let shallow = init.path().join("shallow");
    if from.is_shallow() {
        std::fs::copy(from.commondir().join("shallow"), shallow).map_err(io)?;
    } else if shallow.exists() {
        std::fs::remove_file(shallow).map_err(io)?;
    }
    git2::Repository::open(dir).map_err(git)
}

/// Writes the files of a commit.
#[cfg(feature = "git")]
pub(super) fn check_out(
    repo: &git2::Repository,
    commit: git2::Oid,
    options: &mut git2::build::CheckoutBuilder<'_>,
) -> Result<(), git2::Error> {
    repo.checkout_tree(repo.find_commit(commit)?.as_object(), Some(options))
}
