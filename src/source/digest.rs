//! A digest of what build steps can see: the commit's tree and whatever differs from it.

use super::error::SourceError;
use super::worktree::Worktree;
use crate::model::RepoPath;

impl Worktree {
    /// A digest of everything below a directory that git knows or would add: equal contents give equal digests on
    /// every machine. None where there is no git repository. Every changed file is read in full.
    ///
    /// # Errors
    /// When the repository cannot be read, or the directory leads out of it.
    #[cfg(feature = "git")]
    pub fn tree_digest(&self, dir: &RepoPath) -> Result<Option<String>, SourceError> {
        if let Some(revision) = self.revision() {
            let path = revision.inside(dir);
            let found = libgit::of_commit(&revision.repository(), revision.ids().1, &path);
            return found
                .map(Some)
                .map_err(|error| SourceError::Git { path: dir.as_str().into(), message: error.message().to_owned() });
        }
        let Some(real) = self.resolve(dir)? else { return Ok(None) };
        libgit::of_directory(&real)
            .map_err(|error| SourceError::Git { path: real.clone(), message: error.message().to_owned() })
    }

    /// Built without git: there is none.
    #[cfg(not(feature = "git"))]
    pub fn tree_digest(&self, _dir: &RepoPath) -> Result<Option<String>, SourceError> {
        Ok(None)
    }
}

#[cfg(feature = "git")]
mod libgit {
    //! The part that speaks to libgit2 and reads changed files.

    use std::fs::{self, Metadata};
    use std::io::{self, Read};
    use std::path::Path;

    use git2::{Error, ErrorCode, Oid, Repository, Tree};
    use sha2::{Digest, Sha256};

    use crate::model::secret::hex;
    use crate::source::git::libgit::{open, place, status_options};

    /// Repositories within repositories are looked into to this depth.
    const DEPTH: usize = 8;

    pub(super) fn of_directory(dir: &Path) -> Result<Option<String>, Error> {
        let Some(repo) = open(dir)? else { return Ok(None) };
        let Some((_, subdir)) = place(&repo, dir) else { return Ok(None) };
        of_repository(&repo, subdir.as_str(), 0).map(Some)
    }

    /// The same of a commit as of a work tree in which it is checked out.
    pub(super) fn of_commit(repo: &Repository, tree: Oid, subdir: &str) -> Result<String, Error> {
        let mut sha = Sha256::new();
        field(&mut sha, id_below(&repo.find_tree(tree)?, subdir).as_bytes());
        Ok(format!("sha256:{}", hex(&sha.finalize())))
    }

    fn of_repository(repo: &Repository, subdir: &str, depth: usize) -> Result<String, Error> {
        let mut sha = Sha256::new();
        field(&mut sha, tree_id(repo, subdir)?.as_bytes());
        let mut options = status_options();
        options.recurse_untracked_dirs(true);
        if !subdir.is_empty() {
            options.disable_pathspec_match(true).pathspec(subdir);
        }
        let statuses = repo.statuses(Some(&mut options))?;
        let mut changed: Vec<Vec<u8>> = statuses.iter().map(|entry| entry.path_bytes().to_vec()).collect();
        changed.sort_unstable();
        changed.dedup();
        if let Some(root) = repo.workdir() {
            for path in changed {
                field(&mut sha, path.strip_prefix(subdir.as_bytes()).unwrap_or(&path));
                field(&mut sha, state(&root.join(os_path(&path)), depth).as_bytes());
            }
        }
        Ok(format!("sha256:{}", hex(&sha.finalize())))
    }

    /// The id of a directory of the commit; `none` before the first commit or for a directory it does not have.
    fn tree_id(repo: &Repository, subdir: &str) -> Result<String, Error> {
        let tree = match repo.head() {
            Ok(head) => head.peel_to_tree()?,
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
                return Ok("none".to_owned());
            }
            Err(error) => return Err(error),
        };
        Ok(id_below(&tree, subdir))
    }

    fn id_below(tree: &Tree<'_>, subdir: &str) -> String {
        if subdir.is_empty() {
            return tree.id().to_string();
        }
        tree.get_path(Path::new(subdir)).map_or_else(|_| "none".to_owned(), |entry| entry.id().to_string())
    }

    /// What is on disk in place of what the commit has.
    fn state(path: &Path, depth: usize) -> String {
        let Ok(meta) = path.symlink_metadata() else { return "gone".to_owned() };
        if meta.is_symlink() {
            let target = fs::read_link(path).map(|target| target.into_os_string().into_encoded_bytes());
            return target.map_or_else(|_| "unreadable".to_owned(), |target| format!("link {}", hex(&target)));
        }
        if meta.is_dir() {
            let nested = Repository::open(path).ok().filter(|_| depth < DEPTH);
            let digest = nested.and_then(|repo| of_repository(&repo, "", depth + 1).ok());
            return format!("directory {}", digest.unwrap_or_default());
        }
        if !meta.is_file() {
            return "special".to_owned();
        }
        let digest = of_file(path).unwrap_or_else(|_| "unreadable".to_owned());
        format!("file {} {digest}", if is_executable(&meta) { "x" } else { "-" })
    }

    fn of_file(path: &Path) -> io::Result<String> {
        let mut file = fs::File::open(path)?;
        let mut sha = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex(&sha.finalize())),
                count => sha.update(&buffer[..count]),
            }
        }
    }

    /// Adds a field with its length, so that no two lists of fields look alike.
    fn field(sha: &mut Sha256, bytes: &[u8]) {
        sha.update((bytes.len() as u64).to_le_bytes());
        sha.update(bytes);
    }

    #[cfg(unix)]
    fn is_executable(meta: &Metadata) -> bool {
        std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o100 != 0
    }

    #[cfg(not(unix))]
    fn is_executable(_meta: &Metadata) -> bool {
        false
    }

    #[cfg(unix)]
    fn os_path(bytes: &[u8]) -> &Path {
        Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
    }

    #[cfg(not(unix))]
    fn os_path(bytes: &[u8]) -> &Path {
        Path::new(std::str::from_utf8(bytes).unwrap_or_default())
    }
}
