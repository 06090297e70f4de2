//! `Worktree`: a local directory whose files declare the desired state.
//!
//! Paths are named relative to that directory. What may be read is bounded by the repository: the nearest directory
//! above that holds `.git`, or the directory itself where there is none. Links and `..` may lead anywhere inside
//! the repository, nowhere outside, and never into `.git` (its configuration holds credentials).

use std::fs::{self, FileType};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::SourceError;
use crate::model::RepoPath;

/// No file of a repository is read beyond this many bytes.
pub const FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// A local directory, opened.
#[derive(Clone, Debug)]
pub struct Worktree {
    root: PathBuf,
    repository: PathBuf,
    selected: Option<RepoPath>,
    /// Whether the tree is a stranger's: then nothing that holds settings is read.
    guarded: bool,
    #[cfg(feature = "git")]
    revision: Option<std::sync::Arc<super::revision::Revision>>,
}

impl Worktree {
    /// Opens a directory; or a file, which is then the only one that [`Worktree::discover`] finds, in the directory
    /// that holds it. (A reconcile.yaml selects nothing: it stands for its directory.)
    ///
    /// # Errors
    /// When there is nothing at the path, or neither a directory nor a file.
    pub fn open(path: &Path) -> Result<Worktree, SourceError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => SourceError::Missing { path: path.to_owned() },
            _ => SourceError::Open { path: path.to_owned(), source },
        };
        let kind = fs::metadata(path).map_err(failed)?.file_type();
        let (dir, selected) = if kind.is_dir() {
            (path, None)
        } else {
            let name = path.file_name().and_then(|name| name.to_str()).filter(|_| kind.is_file());
            let name = name.ok_or_else(|| SourceError::NotASource { path: path.to_owned() })?;
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let is_project = matches!(name, "reconcile.yaml" | "reconcile.yml");
            (dir, (!is_project).then(|| RepoPath::new(name)))
        };
        let root = dir.canonicalize().map_err(failed)?;
        let repository = root.ancestors().find(|dir| dir.join(".git").symlink_metadata().is_ok()).unwrap_or(&root);
        Ok(Worktree {
            repository: repository.to_owned(),
            root,
            selected,
            guarded: false,
            #[cfg(feature = "git")]
            revision: None,
        })
    }

    /// The same for a tree that is not trusted: files of settings and repositories within it are passed over.
    #[must_use]
    pub fn guarded(mut self) -> Worktree {
        self.guarded = true;
        self
    }

    /// The same directory as a commit holds it. Guarded.
    ///
    /// # Errors
    /// Without a git repository, or when nothing has that name.
    #[cfg(feature = "git")]
    pub fn at(self, revision: &str) -> Result<Worktree, SourceError> {
        let revision = super::revision::Revision::open(&self.root, revision)?;
        Ok(Worktree { revision: Some(std::sync::Arc::new(revision)), guarded: true, ..self })
    }

    /// Built without git: there are no commits.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "git"))]
    pub fn at(self, revision: &str) -> Result<Worktree, SourceError> {
        let message = "this reconcile was built without git".to_owned();
        Err(SourceError::Revision { revision: revision.to_owned(), message, shallow: None })
    }

    /// The full id of the commit that is read in the place of the files.
    pub fn commit(&self) -> Option<String> {
        #[cfg(feature = "git")]
        return self.revision.as_ref().map(|revision| revision.commit());
        #[cfg(not(feature = "git"))]
        None
    }

    /// The git facts of what is read: of the commit if one is, else of the one that is checked out. A tree that is not
    /// trusted is not compared with its commit.
    pub fn git_facts(&self) -> (Option<super::GitFacts>, Vec<crate::diagnostic::Diagnostic>) {
        #[cfg(feature = "git")]
        if let Some(revision) = &self.revision {
            let (repo, (commit, _)) = (revision.repository(), revision.ids());
            return (super::git::facts_at(&repo, &self.root, commit).ok().flatten(), Vec::new());
        }
        match self.guarded {
            true => super::git::commit_facts(&self.root),
            false => super::git::facts(&self.root),
        }
    }

    #[cfg(feature = "git")]
    pub(super) fn revision(&self) -> Option<&super::revision::Revision> {
        self.revision.as_deref()
    }

    pub(super) fn is_guarded(&self) -> bool {
        self.guarded
    }

    /// Whether a path leads to a file of settings, by its own name or through a link.
    pub(super) fn is_private_file(&self, path: &RepoPath) -> bool {
        let real = self.absolute(path).canonicalize().ok();
        let name = real.as_ref().and_then(|real| real.file_name()).and_then(|name| name.to_str());
        is_private(path.file_name()) || name.is_some_and(is_private)
    }

    /// The directory, absolute and free of links: what every [`RepoPath`] is relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory that bounds what may be read: that of the git repository, or the root.
    pub fn repository(&self) -> &Path {
        &self.repository
    }

    /// The one file that was asked for, if it was a file.
    pub fn selected(&self) -> Option<&RepoPath> {
        self.selected.as_ref()
    }

    /// Where a path lies on this machine. It need not exist.
    pub fn absolute(&self, path: &RepoPath) -> PathBuf {
        // Joining nothing would leave a slash at the end.
        if path.as_str().is_empty() { self.root.clone() } else { self.root.join(path.as_str()) }
    }

    /// The last part of the root, as a scope without a remote is named.
    pub fn dir_name(&self) -> String {
        self.root.file_name().map_or_else(|| "root".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// The content of a file; none if there is no such file.
    ///
    /// # Errors
    /// When the path leads out of the repository or into `.git`, is not a regular file (it is then not even
    /// opened), is larger than [`FILE_LIMIT`], or cannot be read.
    pub fn read(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, SourceError> {
        #[cfg(feature = "git")]
        if let Some(revision) = &self.revision {
            return revision.read(path);
        }
        let failed = |source| SourceError::Io { path: path.clone(), source };
        let Some(real) = self.resolve(path)? else { return Ok(None) };
        if self.guarded && real.file_name().is_some_and(|name| is_private(&name.to_string_lossy())) {
            return Err(SourceError::Private { path: path.clone() });
        }
        let check = |kind: FileType| match kind.is_file() {
            true => Ok(()),
            false => Err(SourceError::NotAFile { path: path.clone(), what: what_is(kind) }),
        };
        check(fs::metadata(&real).map_err(failed)?.file_type())?;
        let file = fs::File::open(&real).map_err(failed)?;
        check(file.metadata().map_err(failed)?.file_type())?;
        let mut content = Vec::new();
        file.take(FILE_LIMIT + 1).read_to_end(&mut content).map_err(failed)?;
        if content.len() as u64 > FILE_LIMIT {
            return Err(SourceError::TooLarge { path: path.clone(), limit: FILE_LIMIT });
        }
        Ok(Some(content))
    }

    /// Where a path really lies, links followed; none if there is nothing.
    ///
    /// # Errors
    /// When that is outside the repository or in `.git`.
    pub fn resolve(&self, path: &RepoPath) -> Result<Option<PathBuf>, SourceError> {
        let outside = || SourceError::Outside { path: path.clone(), root: self.repository.clone() };
        // Before the disk is asked: whether something exists out there is nobody's business either.
        let climbs = path.as_str().split('/').take_while(|part| *part == "..").count();
        if !self.root.ancestors().nth(climbs).is_some_and(|dir| dir.starts_with(&self.repository)) {
            return Err(outside());
        }
        let real = match self.absolute(path).canonicalize() {
            Ok(real) => real,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(source) => return Err(SourceError::Io { path: path.clone(), source }),
        };
        match self.bounds(&real) {
            Bounds::Inside => Ok(Some(real)),
            Bounds::Outside => Err(outside()),
            Bounds::Git => Err(SourceError::GitInternal { path: path.clone() }),
        }
    }

    /// On which side of the repository's bounds a real path lies.
    pub(super) fn bounds(&self, real: &Path) -> Bounds {
        match real.strip_prefix(&self.repository) {
            Err(_) => Bounds::Outside,
            // Some file systems do not tell cases apart.
            Ok(inner) if inner.iter().any(|part| part.eq_ignore_ascii_case(".git")) => Bounds::Git,
            Ok(_) => Bounds::Inside,
        }
    }
}

/// On which side of the repository's bounds something lies.
pub(super) enum Bounds {
    Inside,
    Outside,
    Git,
}

/// Whether a file of this name holds settings or secrets of whoever runs us: `.env`, `profiles.toml`, `prefect.toml`.
pub(super) fn is_private(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == ".env" || name.starts_with(".env.") || name.ends_with(".toml")
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What something is that is not a file.
pub(super) fn what_is(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    if kind.is_dir() { "a directory" } else { "something else" }
}
