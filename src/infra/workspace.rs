//! `Workspace`: the directories of one attempt at a run, and the hooks that are run in them afterwards.
//!
//! Prefect 3.8.8 `runner/_workspace_starter.py`, `_workspace_supervisor.py` and `_workspace_hook_runner.py`: a
//! supervisor reads `supervisor.json`, runs the pull steps in the root, writes `workspace.json` and becomes the engine.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::process::Command;

use super::error::InfraError;
use crate::model::Secret;
use crate::model::job::ReadyCode;

/// What runs the hooks of a flow that only its deployment can find.
const FLOW_HOOKS: &str = include_str!("../../templates/flow_hooks.py");
/// No hook needs longer.
const HOOK_PATIENCE: Duration = Duration::from_secs(3600);

/// Directories of attempts begin so.
const DIRECTORY: &str = "reconcile-attempt-";
/// Where in there a run begins that has no directory of its own.
const ROOT: &str = "run";

/// Which of a flow's hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// `on_crashed`.
    Crashed,
    /// `on_cancellation`.
    Cancellation,
}

/// The directories of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Where the code is brought and the run begins.
    pub root: PathBuf,
    /// Whether the root is ours, to be removed at the end.
    pub temporary: bool,
    /// Where worker and supervisor leave each other notes.
    pub notes: PathBuf,
}

impl Workspace {
    /// Makes the directories of an attempt; the root is `configured` if that is there.
    ///
    /// # Errors
    /// One sentence if a directory is missing or cannot be made.
    pub fn make(configured: Option<&Path>, attempt: &str) -> Result<Workspace, InfraError> {
        let bad = |error: std::io::Error| InfraError::Start(format!("no temporary directory could be made: {error}"));
        let known = configured.map(|dir| (dir, dir.canonicalize().ok().filter(|dir| dir.is_dir())));
        if let Some((dir, None)) = known {
            return Err(InfraError::Start(format!("the working directory `{}` does not exist", dir.display())));
        }
        let notes = directory(attempt);
        let mut private = fs::DirBuilder::new();
        private.mode(0o700).create(&notes).map_err(bad)?;
        let notes = notes.canonicalize().map_err(bad)?;
        match known.and_then(|(_, root)| root) {
            Some(root) => Ok(Workspace { root, temporary: false, notes }),
            None => {
                let root = notes.join(ROOT);
                private.create(&root).map_err(bad)?;
                Ok(Workspace { root, temporary: true, notes })
            }
        }
    }

    /// The directories of an attempt of which nothing was noted, if there are any.
    pub fn left(attempt: &str) -> Option<Workspace> {
        let notes = directory(attempt);
        let found = fs::symlink_metadata(&notes).ok()?;
        let root = notes.join(ROOT);
        let ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
        ours.then(|| Workspace { temporary: root.is_dir(), root, notes })
    }

    /// Writes what the supervisor is told; the file's name.
    ///
    /// # Errors
    /// One sentence if the file cannot be written.
    pub fn instruct(&self, run: &str) -> Result<PathBuf, InfraError> {
        let path = self.notes.join("supervisor.json");
        let told = json!({
            "flow_run_id": run,
            "workspace_root": self.root,
            "manifest_path": self.manifest(),
            "command": null,
        });
        private(&path, &told).map_err(|error| InfraError::Start(format!("`{}`: {error}", path.display())))?;
        Ok(path)
    }

    /// Does the supervisor's work for code that is there already: tells the engine, and notes what hooks need. The
    /// directory to start in.
    ///
    /// # Errors
    /// One sentence if the directory is gone or the notes cannot be written.
    pub fn ready(
        &self,
        code: &ReadyCode,
        environment: &mut BTreeMap<String, Secret>,
        hooks: Vec<String>,
    ) -> Result<PathBuf, InfraError> {
        let failed = |error: std::io::Error| InfraError::Start(format!("`{}`: {error}", code.directory.display()));
        let directory = code.directory.canonicalize().map_err(failed)?;
        let before = environment.get("PYTHONPATH").and_then(Secret::reveal_str).filter(|paths| !paths.is_empty());
        let here = directory.display().to_string();
        let paths = before.map_or_else(|| here.clone(), |paths| format!("{here}:{paths}"));
        environment.insert("PYTHONPATH".to_owned(), Secret::text(paths));
        environment.insert("PREFECT__FLOW_ENTRYPOINT".to_owned(), Secret::text(code.entrypoint.clone()));
        self.describe(&directory, Some(&code.entrypoint), environment, &hooks).map_err(failed)?;
        Ok(directory)
    }

    /// Notes what hooks need of a run whose command was configured: its flow is found as its engine finds it.
    ///
    /// # Errors
    /// One sentence if the notes cannot be written.
    pub fn own(&self, environment: &BTreeMap<String, Secret>, python: &Path) -> Result<(), InfraError> {
        let script = self.notes.join("flow_hooks.py");
        let hooks = [python, &script].map(|word| word.display().to_string());
        let written = fs::write(&script, FLOW_HOOKS);
        let written = written.and_then(|()| self.describe(&self.root, None, environment, &hooks));
        written.map_err(|error| InfraError::Start(format!("`{}`: {error}", self.notes.display())))
    }

    /// Writes the manifest, as the supervisor does.
    fn describe(
        &self,
        directory: &Path,
        entrypoint: Option<&str>,
        environment: &BTreeMap<String, Secret>,
        hooks: &[String],
    ) -> std::io::Result<()> {
        let told: BTreeMap<&String, &str> =
            environment.iter().filter_map(|(name, value)| Some((name, value.reveal_str()?))).collect();
        let manifest = json!({
            "working_directory": directory,
            "project_root": null,
            "runtime_entrypoint": entrypoint,
            "hook_command": hooks,
            "environment": told,
        });
        private(&self.manifest(), &manifest)
    }

    /// Where the supervisor says where and how the engine runs.
    fn manifest(&self) -> PathBuf {
        self.notes.join("workspace.json")
    }

    /// Runs the hooks of the flow, if the run got so far that it is known how.
    ///
    /// # Errors
    /// One sentence if there is no way to run them, or they fail to run. A hook that raises is logged by itself.
    pub async fn hooks(&self, kind: HookKind, run: &Value, state: &Value, output: Stdio) -> Result<(), InfraError> {
        let manifest: Manifest = fs::read_to_string(self.manifest())
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .ok_or_else(|| InfraError::Hooks("the run ended before its code was there".to_owned()))?;
        let command = manifest.hook_command.filter(|command| !command.is_empty());
        let command = command
            .ok_or_else(|| InfraError::Hooks("the command of the run does not name a Python to ask".to_owned()))?;
        let (run_file, state_file) = (self.notes.join("flow-run.json"), self.notes.join("state.json"));
        let failed = |error: std::io::Error| InfraError::Hooks(error.to_string());
        private(&run_file, run).map_err(failed)?;
        private(&state_file, state).map_err(failed)?;
        let word = match kind {
            HookKind::Crashed => "crashed",
            HookKind::Cancellation => "cancellation",
        };
        let mut process = Command::new(&command[0]);
        process.args(&command[1..]).arg(word).args([&self.manifest(), &run_file, &state_file]);
        process.current_dir(&manifest.working_directory).env_clear().envs(&manifest.environment);
        process.stdin(Stdio::null()).stdout(output).kill_on_drop(true);
        let ended = tokio::time::timeout(HOOK_PATIENCE, process.status()).await;
        match ended.map_err(|_| InfraError::Hooks("they do not end".to_owned()))?.map_err(failed)? {
            status if status.success() => Ok(()),
            status => Err(InfraError::Hooks(format!("their process ended with {status}"))),
        }
    }

    /// Removes what is ours.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.notes);
        if self.temporary {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// Where an attempt has its directories. Its name is nobody's to choose: it is that of the claim.
fn directory(attempt: &str) -> PathBuf {
    let name: String = attempt.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    std::env::temp_dir().join(format!("{DIRECTORY}{name}"))
}

/// What the supervisor wrote, as far as hooks need it.
#[derive(Deserialize)]
struct Manifest {
    working_directory: PathBuf,
    hook_command: Option<Vec<String>>,
    environment: BTreeMap<String, String>,
}

/// Writes a file that only this user can read.
fn private(path: &Path, content: &Value) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_for_an_attempt_is_found_by_its_name_and_goes_as_a_whole() {
        let attempt = uuid::Uuid::new_v4().to_string();
        assert_eq!(Workspace::left(&attempt), None);
        let made = Workspace::make(None, &attempt).expect("there is room");
        assert!(made.root.is_dir() && made.temporary);
        assert_eq!(Workspace::left(&attempt).map(|left| (left.temporary, left.root.is_dir())), Some((true, true)));
        assert!(Workspace::make(None, &attempt).is_err(), "it is nobody else's");
        made.remove();
        assert_eq!(Workspace::left(&attempt), None);
        assert!(Workspace::make(Some(Path::new("/nowhere")), &attempt).is_err());
        assert_eq!(Workspace::left(&attempt), None);
    }
}
