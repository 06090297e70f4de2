//! `LocalError`: why there is no embedded server, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why the embedded Prefect server could not be installed or started.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// No interpreter that Prefect can run on.
    #[error("failed to find a Python from 3.10 to 3.14 for the embedded Prefect server ({tried})")]
    NoPython {
        /// What was tried, and what it answered.
        tried: String,
    },
    /// A program of the installation failed.
    #[error("failed to {doing}: `{program}` ended with {status}\n{tail}")]
    Step {
        /// What the program was to do.
        doing: String,
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// The last lines it printed.
        tail: String,
    },
    /// The file system said no.
    #[error("failed to {doing} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process holds a lock for too long.
    #[error("failed to get hold of `{}` within {} s: another `reconcile` is using it", path.display(), waited.as_secs())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// How long we waited.
        waited: Duration,
    },
    /// The server ended, or did not answer in time.
    #[error("failed to start the embedded Prefect server: {why}\n{tail}")]
    NoStart {
        /// What happened instead.
        why: String,
        /// The last lines of its log.
        tail: String,
        /// The whole log.
        log: PathBuf,
    },
    /// The server answered something unexpected.
    #[error("failed to {doing} on the embedded Prefect server: {why}")]
    Answer {
        /// What was asked for.
        doing: &'static str,
        /// What came back.
        why: String,
    },
}

impl LocalError {
    /// The next step for the user.
    pub fn help(&self) -> String {
        match self {
            LocalError::NoPython { .. } => {
                "install `uv` or Python 3.10 to 3.14, or set PREFECT_API_URL to a server of your own".to_owned()
            }
            LocalError::Step { tail, .. } => after_step(tail).to_owned(),
            LocalError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => DISK.to_owned(),
            LocalError::Io { .. } => "set RECONCILE_CACHE_DIR to a directory that you may write".to_owned(),
            LocalError::Busy { .. } => "wait for it to end, or end it, and try again".to_owned(),
            LocalError::NoStart { log, .. } => {
                format!("see `{}`, or set PREFECT_API_URL to a server of your own", log.display())
            }
            LocalError::Answer { .. } => "try again, or set PREFECT_API_URL to a server of your own".to_owned(),
        }
    }

    /// Makes the error of a file operation, to be used with `map_err`.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LocalError {
        let path = path.to_owned();
        move |source| LocalError::Io { doing, path, source }
    }
}

const DISK: &str = "free 400 MB, or set RECONCILE_CACHE_DIR to a directory on another disk";

/// What the last words of an installer usually mean.
fn after_step(tail: &str) -> &'static str {
    let said = tail.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["no space left", "disk quota"]) {
        DISK
    } else if says(&["ensurepip", "no module named venv", "python3-venv"]) {
        "install `uv`, or the venv module of your Python (Debian and Ubuntu: `apt install python3-venv`)"
    } else if says(&["hashes", "hash mismatch"]) {
        "the package index serves other files than the lock names: use another index, or set PREFECT_API_URL"
    } else if says(&["no matching distribution", "connection", "resolve", "timed out", "certificate", "proxy"]) {
        "check the network and the package index (PIP_INDEX_URL, UV_INDEX_URL, HTTPS_PROXY), or set PREFECT_API_URL"
    } else {
        "repair what it says and try again, or set PREFECT_API_URL to a server of your own"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_step_fits_what_the_installer_said() {
        assert!(after_step("OSError: [Errno 28] No space left on device").contains("free"));
        assert!(after_step("ensurepip is not available").contains("python3-venv"));
        assert!(after_step("THESE PACKAGES DO NOT MATCH THE HASHES").contains("lock"));
        assert!(after_step("ERROR: No matching distribution found for x").contains("PIP_INDEX_URL"));
        assert!(after_step("boom").contains("try again"));
    }

    #[test]
    fn a_full_disk_is_named() {
        let full = LocalError::io("write", Path::new("/c/x"))(io::Error::from(io::ErrorKind::StorageFull));
        assert!(full.to_string().starts_with("failed to write `/c/x`"));
        assert!(full.help().contains("another disk"));
    }
}
