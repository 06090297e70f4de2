//! `Origin`: where in the repository something was written.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A file's path below the root of the repository, with `/` between its parts and no leading `./`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepoPath(Arc<str>);

impl RepoPath {
    /// Takes a path that is already relative to the root; `.` and empty parts are dropped, `..` is resolved
    /// where it stays inside the root.
    pub fn new(path: &str) -> Self {
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." if parts.last().is_some_and(|last| *last != "..") => {
                    parts.pop();
                }
                other => parts.push(other),
            }
        }
        RepoPath(parts.join("/").into())
    }

    /// The path as text; empty for the root itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory that holds it; the root's own is the root.
    pub fn parent(&self) -> RepoPath {
        match self.0.rsplit_once('/') {
            Some((dir, _)) => RepoPath(dir.into()),
            None => RepoPath("".into()),
        }
    }

    /// `relative` seen from this directory.
    pub fn join(&self, relative: &str) -> RepoPath {
        if self.0.is_empty() { RepoPath::new(relative) } else { RepoPath::new(&format!("{}/{relative}", self.0)) }
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(_, name)| name)
    }

    /// Whether `..` leads out of the repository.
    pub fn escapes(&self) -> bool {
        self.0.split('/').next() == Some("..")
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A stretch of one file: byte offsets, and the line and column (both from 1, columns in characters) of its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Line of the first byte, from 1.
    pub line: u32,
    /// Column of the first byte in characters, from 1.
    pub column: u32,
}

/// A stretch of a named file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The file.
    pub file: RepoPath,
    /// The place in it.
    pub span: Span,
}

impl Origin {
    /// A place in a file.
    pub fn new(file: RepoPath, span: Span) -> Self {
        Origin { file, span }
    }

    /// The beginning of a file, for what concerns it as a whole.
    pub fn whole(file: RepoPath) -> Self {
        Origin { file, span: Span { start: 0, end: 0, line: 1, column: 1 } }
    }
}

/// Prints as `file:line:column`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.span.line, self.span.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_escapes_are_seen() {
        assert_eq!(RepoPath::new("./a//b/../c.py").as_str(), "a/c.py");
        assert_eq!(RepoPath::new("a").join("../../x").as_str(), "../x");
        assert!(RepoPath::new("../x").escapes());
        assert!(!RepoPath::new("a/../x").escapes());
        assert_eq!(RepoPath::new("prefect.yaml").parent().as_str(), "");
    }
}
