//! `SourceError`: what stops files from being found or read.

use std::io;
use std::path::PathBuf;

use crate::manifest::globs::BadGlob;
use crate::model::RepoPath;

/// Why files cannot be found or read. Each message continues "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The given path cannot be opened.
    #[error("open `{path}`: {source}")]
    Open {
        /// As given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is nothing at the given path.
    #[error("there is no file or directory `{path}`")]
    Missing {
        /// As given.
        path: PathBuf,
    },
    /// The given path is neither a directory nor a file with a readable name.
    #[error("open `{path}`: it is neither a directory nor a file")]
    NotASource {
        /// As given.
        path: PathBuf,
    },
    /// A pattern is wrong.
    #[error(transparent)]
    Glob(#[from] BadGlob),
    /// A file leads out of the repository, by `..` or through a link.
    #[error("read `{path}`: it leads out of the repository `{root}`")]
    Outside {
        /// The file.
        path: RepoPath,
        /// The repository.
        root: PathBuf,
    },
    /// A file is git's own.
    #[error("read `{path}`: files inside `.git` are never read")]
    GitInternal {
        /// The file.
        path: RepoPath,
    },
    /// It is a directory, a pipe, a socket or a device.
    #[error("read `{path}`: it is {what}, not a file")]
    NotAFile {
        /// The path.
        path: RepoPath,
        /// What it is.
        what: &'static str,
    },
    /// A file is too large to be configuration.
    #[error("read `{path}`: it is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: RepoPath,
        /// The limit in bytes.
        limit: u64,
    },
    /// The system refuses.
    #[error("read `{path}`: {source}")]
    Io {
        /// The file.
        path: RepoPath,
        /// What the system says.
        source: io::Error,
    },
    /// A file that holds settings or secrets of whoever runs us, in a tree that is not trusted.
    #[error("read `{path}`: files of settings (`.env`, `*.toml`) are not read from a tree that is not trusted")]
    Private {
        /// The file.
        path: RepoPath,
    },
    /// Nothing in the git repository has this name.
    #[error("{message}")]
    Revision {
        /// As given.
        revision: String,
        /// What that means.
        message: String,
        /// Whether the clone holds only the last commits; none where there is no git at all.
        shallow: Option<bool>,
    },
    /// A repository elsewhere cannot be had.
    #[error("fetch {url}: {message}")]
    Remote {
        /// Its address, without credentials.
        url: String,
        /// What happened.
        message: String,
        /// The next step.
        help: Option<&'static str>,
    },
    /// A commit of a repository elsewhere may not be used.
    #[error("commit {commit} of {url} is refused: {why}")]
    Unsigned {
        /// Its address, without credentials.
        url: String,
        /// The full id of the commit.
        commit: String,
        /// What is wrong with its signature.
        why: String,
    },
    /// The git repository cannot be read.
    #[error("the git repository of `{path}` could not be read: {message}")]
    Git {
        /// The directory.
        path: PathBuf,
        /// What libgit2 says.
        message: String,
    },
}

impl SourceError {
    /// A commit that is not there.
    #[cfg(feature = "git")]
    pub(super) fn revision(repo: &git2::Repository, revision: &str, error: &git2::Error) -> SourceError {
        use git2::ErrorCode;
        let message = match error.code() {
            ErrorCode::NotFound => format!("there is no commit, branch or tag `{revision}` in the git repository"),
            ErrorCode::Ambiguous => {
                format!("`{revision}` could be several things in the git repository: write more of it")
            }
            ErrorCode::InvalidSpec | ErrorCode::Peel => format!("`{revision}` names no commit"),
            _ => format!("`{revision}` could not be looked up in the git repository: {}", error.message()),
        };
        SourceError::Revision { revision: revision.to_owned(), message, shallow: Some(repo.is_shallow()) }
    }

    /// The code of the page that explains it.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            SourceError::Unsigned { .. } => Some("E0525"),
            SourceError::Open { .. }
            | SourceError::Missing { .. }
            | SourceError::NotASource { .. }
            | SourceError::Glob(_)
            | SourceError::Outside { .. }
            | SourceError::GitInternal { .. }
            | SourceError::NotAFile { .. }
            | SourceError::TooLarge { .. }
            | SourceError::Io { .. }
            | SourceError::Private { .. }
            | SourceError::Revision { .. }
            | SourceError::Remote { .. }
            | SourceError::Git { .. } => None,
        }
    }

    /// The next step, where there is one.
    pub fn help(&self) -> Option<String> {
        match self {
            SourceError::Revision { shallow: Some(true), .. } => Some(
                "this clone is shallow and holds few commits: `git fetch --unshallow` gets the others (`fetch-depth: 0` \
                 of actions/checkout)"
                    .to_owned(),
            ),
            SourceError::Revision { shallow: Some(false), revision, .. } => Some(format!(
                "`git log --all` shows which commits are there; if it stands elsewhere only, fetch it first: `git fetch \
                 origin {}`",
                revision.strip_prefix("origin/").unwrap_or(revision)
            )),
            SourceError::Missing { .. } => Some(
                "give the directory that declares what should be, a file in it, or an entrypoint `file.py:flow`".to_owned(),
            ),
            SourceError::Remote { help, .. } => help.map(str::to_owned),
            SourceError::Unsigned { .. } => Some(
                "nothing of it was used; push a commit that is signed by somebody whom a file of `--signers` names"
                    .to_owned(),
            ),
            SourceError::Open { .. }
            | SourceError::NotASource { .. }
            | SourceError::Glob(_)
            | SourceError::Outside { .. }
            | SourceError::GitInternal { .. }
            | SourceError::NotAFile { .. }
            | SourceError::TooLarge { .. }
            | SourceError::Io { .. }
            | SourceError::Private { .. }
            | SourceError::Revision { shallow: None, .. } => None,
            SourceError::Git { path, .. } => Some(format!(
                "commits are read from a clone with a work tree: see what `git -C {} status` says",
                path.display()
            )),
        }
    }

    /// Whether waiting can help; true of an interrupted or busy disk only.
    pub fn is_transient(&self) -> bool {
        match self {
            SourceError::Open { source, .. } | SourceError::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::Interrupted | io::ErrorKind::TimedOut | io::ErrorKind::ResourceBusy
            ),
            SourceError::Missing { .. }
            | SourceError::NotASource { .. }
            | SourceError::Glob(_)
            | SourceError::Outside { .. }
            | SourceError::GitInternal { .. }
            | SourceError::NotAFile { .. }
            | SourceError::TooLarge { .. }
            | SourceError::Private { .. }
            | SourceError::Revision { .. }
            | SourceError::Remote { .. }
            | SourceError::Unsigned { .. }
            | SourceError::Git { .. } => false,
        }
    }
}
