//! The git repository around a directory: which commit, which branch, where it comes from, whether it is dirty.
//!
//! No program is run and nothing of the repository is executed: libgit2 knows neither hooks nor external filters.

use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::manifest::version_info::GitCommit;
use crate::model::RepoPath;

/// What git says about a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitFacts {
    /// The top of the work tree.
    pub root: PathBuf,
    /// The directory below the top.
    pub subdir: RepoPath,
    /// The full id of the commit that is checked out.
    pub commit: String,
    /// The branch as `git rev-parse --abbrev-ref HEAD` prints it: `HEAD` when none is checked out.
    pub branch: String,
    /// The commit's message in full; empty if it has none or in an unreadable encoding.
    pub message: String,
    /// The URL of `origin`, exactly as configured: it may hold credentials, so it is not for output.
    pub remote_url: Option<String>,
    /// Whether anything in the work tree differs from the commit, files that git does not know included.
    pub dirty: bool,
}

impl GitFacts {
    /// What version inference needs of it.
    pub fn commit(&self) -> GitCommit {
        GitCommit {
            sha: self.commit.clone(),
            branch: self.branch.clone(),
            message: self.message.clone(),
            remote: self.remote_url.clone(),
        }
    }
}

/// The facts of the repository around a directory, and what hinders.
///
/// None where there is no repository, no work tree (a bare repository) or no commit yet; and, with a warning, where
/// the repository belongs to someone else or cannot be read. Blocks on the disk for as long as `git status` would.
#[cfg(feature = "git")]
pub fn facts(dir: &Path) -> (Option<GitFacts>, Vec<Diagnostic>) {
    told(dir, true)
}

/// The same without a look at the files of the work tree: `dirty` is false.
#[cfg(feature = "git")]
pub fn commit_facts(dir: &Path) -> (Option<GitFacts>, Vec<Diagnostic>) {
    told(dir, false)
}

/// The facts of a commit that is not checked out: no branch is, and nothing differs from it.
#[cfg(feature = "git")]
pub(super) fn facts_at(
    repo: &git2::Repository,
    dir: &Path,
    commit: git2::Oid,
) -> Result<Option<GitFacts>, git2::Error> {
    let Some((root, subdir)) = libgit::place(repo, dir) else { return Ok(None) };
    let commit = repo.find_commit(commit)?;
    Ok(Some(GitFacts {
        root,
        subdir,
        commit: commit.id().to_string(),
        branch: "HEAD".to_owned(),
        message: libgit::message(&commit),
        remote_url: libgit::remote_url(repo)?,
        dirty: false,
    }))
}

/// Git's own directory for the work tree around a directory: that which holds `HEAD` and `index`.
#[cfg(feature = "git")]
pub(super) fn directory(dir: &Path) -> Option<PathBuf> {
    libgit::open(dir).ok().flatten().map(|repo| repo.path().to_owned())
}

/// Built without git: nothing is known of any repository.
#[cfg(not(feature = "git"))]
pub(super) fn directory(_dir: &Path) -> Option<PathBuf> {
    None
}

/// What git is in the middle of in the work tree around a directory, such as `a rebase`: until it is through, the
/// files are those of no commit that anybody means.
#[cfg(feature = "git")]
pub fn under_way(dir: &Path) -> Option<&'static str> {
    use git2::RepositoryState as State;
    let repo = libgit::open(dir).ok().flatten()?;
    match repo.state() {
        State::Clean => is_fresh(&repo.path().join("index.lock")).then_some("another command"),
        State::Merge => Some("a merge"),
        State::Revert | State::RevertSequence => Some("a revert"),
        State::CherryPick | State::CherryPickSequence => Some("a cherry-pick"),
        State::Bisect => Some("a bisection"),
        State::Rebase | State::RebaseInteractive | State::RebaseMerge | State::ApplyMailboxOrRebase => Some("a rebase"),
        State::ApplyMailbox => Some("the applying of patches"),
    }
}

/// Whether a lock is there and not left behind: a command that is killed leaves it for ever. Git writes it when it begins
/// and when it is through, and a large checkout takes minutes.
#[cfg(feature = "git")]
fn is_fresh(lock: &Path) -> bool {
    let age = lock.metadata().and_then(|meta| meta.modified()).map(|time| time.elapsed());
    age.is_ok_and(|age| age.is_ok_and(|age| age < std::time::Duration::from_secs(10 * 60)))
}

/// What a command of git leaves otherwise than it was if it touches many files: what is checked out, and the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    head: Option<String>,
    index: Option<(u64, std::time::SystemTime)>,
}

/// How the work tree around a directory stands. Files that are read between two equal ones, with nothing
/// [`under_way`] after them, were not switched meanwhile.
#[cfg(feature = "git")]
pub fn standing(dir: &Path) -> Standing {
    let Ok(Some(repo)) = libgit::open(dir) else { return Standing::default() };
    let head = repo.head().and_then(|head| head.peel_to_commit()).map(|commit| commit.id().to_string());
    // Another one takes its place, whoever writes it.
    let index = repo.path().join("index").metadata().and_then(|meta| Ok((meta.len(), meta.modified()?)));
    Standing { head: head.ok(), index: index.ok() }
}

/// Built without git: nothing is known of any repository.
#[cfg(not(feature = "git"))]
pub fn standing(_dir: &Path) -> Standing {
    Standing::default()
}

/// Built without git: nothing is known of any repository.
#[cfg(not(feature = "git"))]
pub fn under_way(_dir: &Path) -> Option<&'static str> {
    None
}

#[cfg(feature = "git")]
fn told(dir: &Path, status: bool) -> (Option<GitFacts>, Vec<Diagnostic>) {
    match libgit::open(dir).and_then(|repo| repo.map_or(Ok(None), |repo| libgit::facts(&repo, dir, status))) {
        Ok(facts) => (facts, Vec::new()),
        Err(error) => (None, vec![libgit::diagnose(&error, dir)]),
    }
}

/// Built without git: nothing is known of any repository.
#[cfg(not(feature = "git"))]
pub fn facts(_dir: &Path) -> (Option<GitFacts>, Vec<Diagnostic>) {
    (None, Vec::new())
}

/// Built without git: nothing is known of any repository.
#[cfg(not(feature = "git"))]
pub fn commit_facts(_dir: &Path) -> (Option<GitFacts>, Vec<Diagnostic>) {
    (None, Vec::new())
}

#[cfg(feature = "git")]
pub(super) mod libgit {
    //! The part that speaks to libgit2.

    use std::ffi::OsStr;

    use git2::{Commit, Error, ErrorCode, Reference, Repository, RepositoryOpenFlags, StatusOptions};

    use super::{Diagnostic, GitFacts, Path, RepoPath};

    /// The repository around a directory; none if there is none.
    ///
    /// A directory of files that looks like a bare repository is none: whoever wrote the files wrote its config and its
    /// commits. (So it is with git's `safe.bareRepository=explicit`.)
    pub(in crate::source) fn open(dir: &Path) -> Result<Option<Repository>, Error> {
        let no_ceiling: [&OsStr; 0] = [];
        let repo = match Repository::open_ext(dir, RepositoryOpenFlags::empty(), no_ceiling) {
            Ok(repo) => repo,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match bare_around(&repo, dir).as_deref().map(Path::parent) {
            None => Ok(Some(repo)),
            Some(None) => Ok(None),
            Some(Some(above)) => open(above),
        }
    }

    /// The bare repository that a directory lies in, if that is the one.
    fn bare_around(repo: &Repository, dir: &Path) -> Option<std::path::PathBuf> {
        let own = repo.path().canonicalize().ok()?;
        let within = dir.canonicalize().ok()?.starts_with(&own);
        (within && own.iter().all(|part| part != ".git")).then_some(own)
    }

    /// The facts; none without a work tree around the directory or without a commit.
    pub(super) fn facts(repo: &Repository, dir: &Path, status: bool) -> Result<Option<GitFacts>, Error> {
        let Some((root, subdir)) = place(repo, dir) else { return Ok(None) };
        let head = match repo.head() {
            Ok(head) => head,
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let commit = head.peel_to_commit()?;
        Ok(Some(GitFacts {
            root,
            subdir,
            commit: commit.id().to_string(),
            branch: branch(repo, &head)?,
            message: message(&commit),
            remote_url: remote_url(repo)?,
            dirty: status && is_dirty(repo)?,
        }))
    }

    /// The top of the work tree, and the directory below it; none for a directory of git's own.
    pub(in crate::source) fn place(repo: &Repository, dir: &Path) -> Option<(std::path::PathBuf, RepoPath)> {
        let root = repo.workdir()?.canonicalize().ok()?;
        let dir = dir.canonicalize().ok()?;
        let below = dir.strip_prefix(&root).ok().filter(|below| below.iter().all(|part| part != ".git"))?;
        let subdir = RepoPath::new(below.to_str()?);
        Some((root, subdir))
    }

    /// The shortest name that means this branch and nothing else, as git abbreviates it.
    fn branch(repo: &Repository, head: &Reference<'_>) -> Result<String, Error> {
        if repo.head_detached()? {
            return Ok("HEAD".to_owned());
        }
        let full = String::from_utf8_lossy(head.name_bytes()).into_owned();
        let Some(short) = full.strip_prefix("refs/heads/") else {
            return Ok(full.strip_prefix("refs/").unwrap_or(&full).to_owned());
        };
        let exists = |name: String| repo.find_reference(&name).is_ok();
        let ambiguous = exists(format!("refs/{short}"))
            || exists(format!("refs/tags/{short}"))
            || exists(format!("refs/remotes/{short}"))
            || exists(format!("refs/remotes/{short}/HEAD"))
            || exists(short.to_owned());
        Ok(if ambiguous { format!("heads/{short}") } else { short.to_owned() })
    }

    /// The message as `git log` would print it in UTF-8, as far as that can be told.
    pub(super) fn message(commit: &Commit<'_>) -> String {
        let bytes = commit.message_bytes();
        let encoding = commit.message_encoding().ok().flatten().unwrap_or("utf-8").to_ascii_lowercase();
        match encoding.as_str() {
            "iso-8859-1" | "iso8859-1" | "latin1" | "latin-1" => bytes.iter().map(|byte| char::from(*byte)).collect(),
            _ => String::from_utf8(bytes.to_vec()).unwrap_or_default(),
        }
    }

    pub(super) fn remote_url(repo: &Repository) -> Result<Option<String>, Error> {
        match repo.config()?.snapshot()?.get_bytes("remote.origin.url") {
            Ok(url) => Ok(String::from_utf8(url.to_vec()).ok()),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_dirty(repo: &Repository) -> Result<bool, Error> {
        Ok(!repo.statuses(Some(&mut status_options()))?.is_empty())
    }

    /// What counts as a change: everything but ignored files. The index is not refreshed on disk.
    pub(in crate::source) fn status_options() -> StatusOptions {
        let mut options = StatusOptions::new();
        options.include_untracked(true).include_ignored(false).update_index(false);
        options
    }

    /// Why git says nothing, as a warning.
    pub(super) fn diagnose(error: &Error, dir: &Path) -> Diagnostic {
        let shown = dir.display();
        if error.code() == ErrorCode::Owner {
            return Diagnostic::warning("W0135", format!("the git repository of `{shown}` belongs to another user"))
                .help(format!(
                    "git itself refuses it as well; run `git config --global --add safe.directory {shown}`"
                ));
        }
        Diagnostic::warning("W0136", format!("the git repository of `{shown}` cannot be read: {}", error.message()))
            .help("no commit, branch or remote is known; see what `git status` says")
    }
}
