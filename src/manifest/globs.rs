//! `Globs`: the path patterns of reconcile.yaml (`include`, `exclude`, `overlays`, `root_relative`).

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// A set of patterns over paths below the root. `*` and `?` stay within one directory, `**` crosses them,
/// `{a,b}` and `[a-z]` work; a leading `./` or `/` and a trailing `/` mean nothing.
#[derive(Clone, Debug)]
pub struct Globs {
    set: GlobSet,
    words: Vec<Vec<String>>,
}

/// A pattern that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read the pattern `{pattern}`: {reason}")]
pub struct BadGlob {
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Globs {
    /// Compiles patterns. Fails at the first bad one.
    pub fn new(patterns: &[String]) -> Result<Globs, BadGlob> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            set.add(compile(pattern)?);
        }
        let set = set.build().map_err(|error| bad(&patterns.join(", "), &error))?;
        Ok(Globs { set, words: patterns.iter().map(|pattern| words(pattern)).collect() })
    }

    /// Whether a path, or a name whose parts are separated by `/`, matches one of them.
    pub fn is_match(&self, path: &str) -> bool {
        self.set.is_match(path)
    }

    /// How many patterns there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Which of them a path matches, by position.
    pub fn matches(&self, path: &str) -> Vec<usize> {
        self.set.matches(path)
    }

    /// Whether the pattern at a position contains a directory's name literally.
    pub fn names(&self, position: usize, word: &str) -> bool {
        self.words[position].iter().any(|known| known == word)
    }

    /// Whether some pattern contains a directory's name literally.
    pub fn any_names(&self, word: &str) -> bool {
        (0..self.words.len()).any(|position| self.names(position, word))
    }
}

/// Checks one pattern.
pub fn check(pattern: &str) -> Result<(), BadGlob> {
    compile(pattern).and_then(|glob| {
        // A pattern can be well formed and still too large.
        GlobSetBuilder::new().add(glob).build().map(|_| ()).map_err(|error| bad(pattern, &error))
    })
}

fn compile(pattern: &str) -> Result<Glob, BadGlob> {
    GlobBuilder::new(bare(pattern))
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| bad(pattern, &error))
}

fn bad(pattern: &str, error: &globset::Error) -> BadGlob {
    BadGlob { pattern: pattern.to_owned(), reason: error.kind().to_string() }
}

fn bare(pattern: &str) -> &str {
    let mut bare = pattern;
    while let Some(rest) = bare.strip_prefix("./").or_else(|| bare.strip_prefix('/')) {
        bare = rest;
    }
    bare.trim_end_matches('/')
}

/// The parts of a pattern that can be read as literal names, alternatives of `{a,b}` included.
fn words(pattern: &str) -> Vec<String> {
    pattern.split(['/', '{', '}', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Globs {
        Globs::new(&patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn stars_stay_within_a_directory_and_double_stars_do_not() {
        let set = globs(&["**/blocks/*.yaml", "./env/{dev,prod}/*.yml", "/top.yaml"]);
        for yes in ["blocks/a.yaml", "x/y/blocks/a.yaml", "env/dev/a.yml", "top.yaml"] {
            assert!(set.is_match(yes), "{yes}");
        }
        for no in ["blocks/x/a.yaml", "env/test/a.yml", "sub/top.yaml"] {
            assert!(!set.is_match(no), "{no}");
        }
        assert!(set.names(1, "prod") && !set.names(0, "prod") && set.any_names("blocks"));
    }

    #[test]
    fn bad_patterns_are_named() {
        let error = check("flows/[a").unwrap_err();
        assert_eq!(error.pattern, "flows/[a");
        assert!(!error.reason.is_empty());
        assert!(check("{a,{b,c}}/**").is_ok());
    }
}
