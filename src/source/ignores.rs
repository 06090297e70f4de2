//! `Ignores`: what `.gitignore` files say, innermost first, as git reads them.
//!
//! The files are read here and not by the walker of the `ignore` crate, which opens whatever bears the name: a
//! `.gitignore` that is a link to a device would never end. Git too takes regular files only.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Larger files of patterns are not taken, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// The rules that hold in one directory.
#[derive(Clone, Default)]
pub(super) struct Ignores(Option<Arc<Level>>);

struct Level {
    rules: Gitignore,
    outer: Ignores,
}

impl Ignores {
    /// The rules that hold in `dir` before its own `.gitignore`: `info/exclude` and the `.gitignore` files of
    /// `repository` down to the directory above. Files that cannot be used are handed to `unusable`.
    pub(super) fn above(dir: &Path, repository: &Path, unusable: &mut impl FnMut(PathBuf, String)) -> Ignores {
        let mut ignores = Ignores::default();
        if let Some(git) = common_dir(repository) {
            ignores = ignores.with_file(repository, &git.join("info/exclude"), unusable);
        }
        let mut outer: Vec<&Path> = dir.ancestors().skip(1).take_while(|dir| dir.starts_with(repository)).collect();
        outer.reverse();
        for dir in outer {
            ignores = ignores.with(dir, unusable);
        }
        ignores
    }

    /// These rules and on top of them those of a directory's `.gitignore`, if it has one.
    pub(super) fn with(&self, dir: &Path, unusable: &mut impl FnMut(PathBuf, String)) -> Ignores {
        self.with_file(dir, &dir.join(".gitignore"), unusable)
    }

    /// These rules and on top of them those of a file of patterns that was read elsewhere.
    #[cfg(feature = "git")]
    pub(super) fn with_text(&self, dir: &Path, content: &[u8]) -> Ignores {
        match rules_of(dir, content) {
            Ok(rules) if !rules.is_empty() && content.len() as u64 <= LIMIT => {
                Ignores(Some(Arc::new(Level { rules, outer: self.clone() })))
            }
            _ => self.clone(),
        }
    }

    fn with_file(&self, dir: &Path, file: &Path, unusable: &mut impl FnMut(PathBuf, String)) -> Ignores {
        match read_rules(dir, file) {
            Ok(Some(rules)) if !rules.is_empty() => Ignores(Some(Arc::new(Level { rules, outer: self.clone() }))),
            Ok(_) => self.clone(),
            Err(why) => {
                unusable(file.to_owned(), why);
                self.clone()
            }
        }
    }

    /// Whether an entry of the directory is ignored.
    pub(super) fn ignore(&self, path: &Path, is_dir: bool) -> bool {
        let mut at = self;
        while let Some(level) = &at.0 {
            match level.rules.matched(path, is_dir) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => at = &level.outer,
            }
        }
        false
    }
}

fn read_rules(dir: &Path, file: &Path) -> Result<Option<Gitignore>, String> {
    let Ok(meta) = file.symlink_metadata() else { return Ok(None) };
    if !meta.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if meta.len() > LIMIT {
        return Err(format!("it is larger than {LIMIT} bytes"));
    }
    let content = fs::read(file).map_err(|error| error.to_string())?;
    rules_of(dir, &content).map(Some)
}

fn rules_of(dir: &Path, content: &[u8]) -> Result<Gitignore, String> {
    let text = String::from_utf8_lossy(content);
    let mut builder = GitignoreBuilder::new(dir);
    for line in text.trim_start_matches('\u{feff}').lines() {
        // Like git, a pattern that makes no sense matches nothing.
        let _ = builder.add_line(None, line);
    }
    builder.build().map_err(|error| error.to_string())
}

/// The directory that a repository shares with its linked worktrees.
fn common_dir(repository: &Path) -> Option<PathBuf> {
    let git = repository.join(".git");
    let kind = git.symlink_metadata().ok()?;
    if kind.is_dir() {
        return Some(git);
    }
    let pointer = |file: &Path| {
        let small = file.symlink_metadata().ok().filter(|meta| meta.is_file() && meta.len() < 4096)?;
        let text = fs::read_to_string(file).ok().filter(|_| small.is_file())?;
        Some(text.trim_end_matches(['\n', '\r']).to_owned())
    };
    let git = repository.join(pointer(&git)?.strip_prefix("gitdir: ")?);
    Some(pointer(&git.join("commondir")).map_or_else(|| git.clone(), |common| git.join(common)))
}
