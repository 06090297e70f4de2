//! Where a Python with Prefect may be, in the order in which it is looked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A Python that answered: which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The path that was started; steps that need Python start the same.
    pub path: PathBuf,
    /// Python's version, such as `3.11.7`.
    pub python: String,
    /// Prefect's version, such as `3.8.8`.
    pub prefect: String,
}

/// A place where a Python may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The program.
    pub path: PathBuf,
    /// Who named it, in words for messages.
    pub named_by: &'static str,
    /// Somebody asked for exactly this one: if it does not serve, no other is tried.
    pub explicit: bool,
}

/// The places to look at, in order: `flag` (`--python`), `configured` (`python:` of reconcile.yaml), `$VIRTUAL_ENV`,
/// `.venv` below `root`, `python3` on `PATH`. One that was asked for by name is the only candidate.
///
/// A path is relative to the working directory (`flag`) or to `root` (`configured`); a bare name is looked up on
/// `PATH`. `env` is the environment; nothing is read from the process.
pub fn candidates(
    flag: Option<&Path>,
    configured: Option<&Path>,
    root: &Path,
    env: &BTreeMap<String, String>,
) -> Vec<Candidate> {
    let search = env.get("PATH").map(String::as_str).unwrap_or_default();
    let named = |path: &Path, base: &Path, named_by| {
        let bare = path.components().count() == 1 && !path.starts_with(".");
        let found = if bare { on_path(path, search) } else { None };
        Candidate { path: found.unwrap_or_else(|| base.join(path)), named_by, explicit: true }
    };
    if let Some(path) = flag {
        return vec![named(path, Path::new(""), "--python")];
    }
    if let Some(path) = configured {
        return vec![named(path, root, "python: in reconcile.yaml")];
    }
    let mut found: Vec<Candidate> = Vec::new();
    let mut offer = |path: Option<PathBuf>, named_by| {
        if let Some(path) = path.filter(|path| found.iter().all(|known| known.path != *path)) {
            found.push(Candidate { path, named_by, explicit: false });
        }
    };
    let active = env.get("VIRTUAL_ENV").filter(|dir| !dir.is_empty());
    offer(active.map(|dir| root.join(dir).join("bin/python")), "$VIRTUAL_ENV");
    offer(Some(root.join(".venv/bin/python")), ".venv");
    offer(on_path(Path::new("python3"), search), "python3 on PATH");
    found
}

/// The first file of that name in the directories of `search`.
fn on_path(name: &Path, search: &str) -> Option<PathBuf> {
    search.split(':').filter(|dir| !dir.is_empty()).map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(path: &str) -> BTreeMap<String, String> {
        [("PATH", path), ("VIRTUAL_ENV", "/active")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    #[test]
    fn who_asks_by_name_gets_that_one_only() {
        let root = Path::new("/project");
        let flag = candidates(Some(Path::new("/p/python")), Some(Path::new("x")), root, &env(""));
        assert_eq!(flag, [Candidate { path: "/p/python".into(), named_by: "--python", explicit: true }]);
        let configured = candidates(None, Some(Path::new("venv/bin/python")), root, &env(""));
        assert_eq!(configured[0].path, Path::new("/project/venv/bin/python"));
        assert_eq!(configured.len(), 1);
    }

    #[test]
    fn otherwise_the_usual_places_in_order() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("python3"), "").unwrap();
        let found = candidates(None, None, Path::new("/project"), &env(dir.path().to_str().unwrap()));
        let places: Vec<&str> = found.iter().map(|candidate| candidate.named_by).collect();
        assert_eq!(places, ["$VIRTUAL_ENV", ".venv", "python3 on PATH"]);
        assert_eq!(found[0].path, Path::new("/active/bin/python"));
        assert_eq!(found[1].path, Path::new("/project/.venv/bin/python"));
        assert_eq!(found[2].path, dir.path().join("python3"));
    }
}
