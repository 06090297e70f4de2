//! `set_working_directory`, and directories in general: a step list has its own, the process never moves.

use std::path::{Path, PathBuf};

use super::error::StepProblem;

/// The directory `named`, seen from `cwd`, as `os.getcwd` would name it after going there.
pub(super) fn enter(cwd: &Path, named: &str) -> Result<PathBuf, StepProblem> {
    let fail = |reason: String| StepProblem::Directory { directory: cwd.join(named), reason };
    if named.is_empty() {
        return Err(fail("the name is empty".to_owned()));
    }
    let directory = std::fs::canonicalize(cwd.join(named)).map_err(|error| fail(error.to_string()))?;
    if !directory.is_dir() {
        return Err(fail("it is a file".to_owned()));
    }
    rustix::fs::access(&directory, rustix::fs::Access::EXEC_OK).map_err(|error| fail(error.to_string()))?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_and_files_refused() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("a")).unwrap();
        std::fs::write(real.join("f"), "").unwrap();
        std::os::unix::fs::symlink("a", real.join("link")).unwrap();
        assert_eq!(enter(&real, "link/../a/.").unwrap(), real.join("a"));
        for bad in ["", "f", "missing"] {
            assert!(matches!(enter(&real, bad), Err(StepProblem::Directory { .. })), "{bad}");
        }
    }
}
