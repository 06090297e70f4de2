//! `GitCache`: the `git` that clones of pull steps find: what a mirror on this machine has is not fetched again.
//!
//! Prefect's own step clones, with the credentials it is given; between it and git stands a small program that keeps a
//! mirror per repository (3.8.8 `runner/storage.py` has the words that it is called with). The remote is asked each
//! time: nobody gets what it would not give them.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::Worker;
use crate::model::{JobSpec, Secret};

/// The program, but for where git and the mirrors are.
const PROGRAM: &str = include_str!("../../templates/git_cache.sh");
/// Steps that clone end so.
const STEP: &str = ".git_clone";

/// The `git` of pull steps.
pub struct GitCache {
    bin: TempDir,
}

impl GitCache {
    /// One whose mirrors are in a directory, in front of the git that a search path leads to.
    ///
    /// # Errors
    /// If there is no git, or the program cannot be written.
    pub fn new(mirrors: &Path, path: &str) -> io::Result<GitCache> {
        let mut found = std::env::split_paths(path).map(|dir| dir.join("git")).filter(|git| git.is_file());
        let git = found.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no `git`"))?;
        let bin = tempfile::Builder::new().prefix("reconcile-git-").tempdir()?;
        let program = bin.path().join("git");
        fs::write(&program, format!("#!/bin/sh\ngit={}\nmirrors={}\n{PROGRAM}", quoted(&git), quoted(mirrors)))?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(GitCache { bin })
    }

    fn bin(&self) -> PathBuf {
        self.bin.path().to_owned()
    }
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Has the steps of a run find it, if one of them clones and the job has no search path of its own.
pub(super) fn put(worker: &Worker, deployment: &Value, job: &mut JobSpec) {
    let Some(cache) = &worker.options.git_cache else { return };
    let Some(path) = worker.options.environment.get("PATH").and_then(Secret::reveal_str) else { return };
    if clones(deployment) && !job.env.contains_key("PATH") {
        let path = format!("{}:{path}", cache.bin().display());
        job.env.insert("PATH".to_owned(), Secret::text(path));
    }
}

fn clones(deployment: &Value) -> bool {
    let steps = deployment["pull_steps"].as_array().into_iter().flatten();
    steps.filter_map(Value::as_object).any(|step| step.keys().any(|name| name.ends_with(STEP)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_clones_is_seen() {
        let of = |steps: Value| clones(&json!({ "pull_steps": steps }));
        assert!(of(json!([{"a.b": {}}, {"prefect.deployments.steps.git_clone": {"repository": "x"}}])));
        assert!(!of(json!([{"prefect.deployments.steps.set_working_directory": {"directory": "/x"}}])));
        assert!(!of(json!(null)) && !of(json!(["git_clone"])));
        assert_eq!(quoted(Path::new("/it's")), r"'/it'\''s'");
    }

    /// A `git` that says what it is told.
    fn talking(dir: &Path) -> GitCache {
        let git = dir.join("git");
        fs::write(
            &git,
            "#!/bin/sh\n[ \"$1\" = hash-object ] && { cat >/dev/null; echo abc; exit; }\nprintf '%s|' \"$@\"\n",
        )
        .expect("written");
        fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).expect("ours");
        GitCache::new(&dir.join("mirrors"), &dir.display().to_string()).expect("a git")
    }

    #[test]
    fn only_clones_that_are_known_borrow() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = talking(dir.path());
        let told = |words: &[&str]| {
            let output = std::process::Command::new(cache.bin().join("git")).args(words).output().expect("it runs");
            String::from_utf8(output.stdout).expect("text")
        };
        let mirror = dir.path().join("mirrors/abc.git").display().to_string();
        let borrowed =
            format!("-c|a b=c|clone|--reference|{mirror}|--dissociate|https://t@h/r.git|--branch|x y|--depth|1|to|");
        let words = ["-c", "a b=c", "clone", "https://t@h/r.git", "--branch", "x y", "--depth", "1", "to"];
        assert_eq!(told(&words), borrowed);
        for words in [
            &["status"][..],
            &["clone", "https://h/r.git", "to"],
            &["clone", "https://h/r.git", "--recurse-submodules", "--depth", "1", "to"],
            &["clone", "https://h/r.git", "--filter=blob:none", "--no-checkout", "to"],
            &["clone", "/a/path", "--depth", "1", "to"],
            &["--version"],
        ] {
            assert_eq!(told(words), words.iter().map(|word| format!("{word}|")).collect::<String>());
        }
    }
}
