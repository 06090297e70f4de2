//! Where the embedded server lives in the cache directory.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{PREFECT_VERSION, REQUIREMENTS};
use crate::model::secret::hex;

/// The cache directory: `$RECONCILE_CACHE_DIR`, else `$XDG_CACHE_HOME/reconcile`, else `~/.cache/reconcile`, else a
/// directory below the temporary one. `env` looks one environment variable up; an empty value counts as unset.
pub fn cache_dir(env: impl Fn(&str) -> Option<String>) -> PathBuf {
    let env = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    env("RECONCILE_CACHE_DIR")
        // the XDG base directory specification: a relative path is invalid and to be ignored
        .or_else(|| env("XDG_CACHE_HOME").filter(|dir| dir.is_absolute()).map(|dir| dir.join("reconcile")))
        .or_else(|| env("HOME").map(|home| home.join(".cache/reconcile")))
        .unwrap_or_else(|| std::env::temp_dir().join("reconcile"))
}

/// The interpreter of the embedded Prefect in `cache`, whether installed yet or not.
pub fn python(cache: &Path) -> PathBuf {
    Places::of(cache).python()
}

/// The paths below one cache directory.
#[derive(Clone, Debug)]
pub(super) struct Places {
    cache: PathBuf,
    prefect: PathBuf,
}

impl Places {
    /// The places below `cache`. The environment is named after the lock's digest: a new lock is a new environment.
    pub fn of(cache: &Path) -> Places {
        let digest = Sha256::digest(REQUIREMENTS.as_bytes());
        let digest = hex(&digest[..4]);
        // an absolute path: the server runs in a directory of its own
        let cache = std::path::absolute(cache).unwrap_or_else(|_| cache.to_owned());
        Places { prefect: cache.join(format!("prefect-{PREFECT_VERSION}-{digest}")), cache }
    }

    pub fn prefect(&self) -> &Path {
        &self.prefect
    }

    pub fn python(&self) -> PathBuf {
        self.prefect.join("bin/python")
    }

    pub fn template(&self) -> PathBuf {
        self.prefect.join("template.db")
    }

    pub fn complete(&self) -> PathBuf {
        self.prefect.join(".complete")
    }

    pub fn home(&self) -> PathBuf {
        self.cache.join("server")
    }

    pub fn record(&self) -> PathBuf {
        self.cache.join("server.json")
    }

    pub fn server_lock(&self) -> PathBuf {
        self.cache.join("server.lock")
    }

    pub fn install_lock(&self) -> PathBuf {
        self.cache.join("install.lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(vars: &[(&str, &str)]) -> PathBuf {
        cache_dir(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string()))
    }

    #[test]
    fn the_cache_directory_follows_the_environment() {
        let home = ("HOME", "/home/ada");
        assert_eq!(dir(&[home, ("RECONCILE_CACHE_DIR", "/c"), ("XDG_CACHE_HOME", "/x")]), PathBuf::from("/c"));
        assert_eq!(dir(&[home, ("RECONCILE_CACHE_DIR", ""), ("XDG_CACHE_HOME", "/x")]), PathBuf::from("/x/reconcile"));
        assert_eq!(dir(&[home, ("XDG_CACHE_HOME", "x")]), PathBuf::from("/home/ada/.cache/reconcile"));
        assert!(dir(&[]).ends_with("reconcile"));
    }

    #[test]
    fn the_environment_is_named_after_version_and_lock() {
        let python = python(Path::new("/c"));
        assert!(python.starts_with("/c") && python.ends_with("bin/python"));
        let name = python.parent().unwrap().parent().unwrap().file_name().unwrap().to_str().unwrap();
        assert_eq!(name.len(), "prefect-3.8.8-".len() + 8, "{name}");
    }

    #[test]
    fn every_requirement_is_pinned_and_hashed_and_names_no_host() {
        let mut packages = 0;
        for line in REQUIREMENTS.lines().filter(|line| !line.starts_with('#')) {
            if line.starts_with(' ') {
                assert!(line.trim_start().starts_with("--hash=sha256:"), "{line}");
            } else {
                packages += 1;
                assert!(line.contains("==") && line.ends_with('\\') && !line.contains("://"), "{line}");
            }
        }
        assert!(packages > 100, "{packages}");
        assert!(REQUIREMENTS.contains(&format!("prefect=={PREFECT_VERSION} ")));
    }
}
