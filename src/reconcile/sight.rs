//! What the steps of a build see besides their own text: how far into the repository, the commit, the environment.
//!
//! Their text tells, and that of the files of the repository which it names: a script that it runs, the Makefile of
//! `make`. In doubt more is seen: code that nobody here knows may look at everything.

use std::collections::BTreeSet;

use crate::model::{RepoPath, Tree};
use crate::source::Worktree;
use crate::steps::{are_opaque, needs_python};

/// Words of a text that ask git, or what asks git for a version.
const ASKS_GIT: [&str; 6] = ["git", "scm", "vcs", "versioneer", "dunamai", "bumpver"];
/// So many files that the text names are looked into, and no larger ones, in bytes.
const MOST_FILES: usize = 32;
const LARGEST: usize = 256 << 10;

/// What a list of steps sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// Not only the files of its directory but those of the whole repository.
    pub above: bool,
    /// Which commit is checked out.
    pub commit: bool,
    /// These variables of the environment: those that scripts name, and what Python is granted if it is asked.
    pub env: BTreeSet<String>,
}

impl Sight {
    /// Of steps that run in a directory. `granted` is what `step_env` names.
    pub fn of(steps: &[Tree], dir: &RepoPath, worktree: &Worktree, granted: &[String]) -> Sight {
        let mut sight = Sight::default();
        let mut files = BTreeSet::new();
        let mut texts = Vec::new();
        steps.iter().for_each(|step| collect(step, &mut texts));
        // What a sealed text says is not looked into.
        sight.commit = steps.iter().any(Tree::has_secret) || are_opaque(steps);
        sight.above = sight.commit;
        if needs_python(steps) {
            sight.env.extend(granted.iter().cloned());
        }
        for text in &texts {
            sight.look(text);
            files.extend(named(text).map(|word| dir.join(&word)).take(MOST_FILES));
        }
        for file in files.iter().take(MOST_FILES) {
            let content = worktree.read(file).ok().flatten().filter(|bytes| bytes.len() <= LARGEST);
            if let Some(content) = content {
                sight.look(&String::from_utf8_lossy(&content));
            }
        }
        sight
    }

    fn look(&mut self, text: &str) {
        self.above |= text.split(|c: char| c.is_whitespace() || "/'\"=:;|&()".contains(c)).any(|part| part == "..");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        self.commit |= words.into_iter().any(|word| ASKS_GIT.iter().any(|git| word.eq_ignore_ascii_case(git)));
        let after_dollar = text.split('$').skip(1).map(|rest| rest.trim_start_matches(['{', '(']));
        let names = after_dollar.map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            rest[..end].to_owned()
        });
        self.env.extend(names.filter(|name| !name.is_empty()));
        // `os.environ["NAME"]`, `getenv("NAME")`, `env.NAME`: any word that could be one.
        if ["environ", "getenv", "ENV"].iter().any(|word| text.contains(word)) {
            let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let loud = |word: &&str| word.len() > 1 && word.bytes().all(|b| !b.is_ascii_lowercase());
            self.env.extend(words.filter(loud).map(str::to_owned));
        }
    }
}

fn collect(tree: &Tree, texts: &mut Vec<String>) {
    match tree {
        Tree::Text(text) => texts.push(text.clone()),
        Tree::List(items) => items.iter().for_each(|item| collect(item, texts)),
        Tree::Map(map) => {
            for (name, value) in map {
                texts.push(name.clone());
                collect(value, texts);
            }
        }
        Tree::Secret(_) | Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::IdOf(_) | Tree::Unknown(_) => {}
    }
}

/// Words that could be files, and the files that well-known programs read unasked.
fn named(text: &str) -> impl Iterator<Item = String> + '_ {
    let words = text.split(|c: char| c.is_whitespace() || "'\"=;|&()<>`,".contains(c)).filter(|word| !word.is_empty());
    words.flat_map(|word| {
        let unasked: &[&str] = match word {
            "make" => &["Makefile", "makefile", "GNUmakefile"],
            "just" => &["justfile", ".justfile", "Justfile"],
            "task" => &["Taskfile.yml", "Taskfile.yaml"],
            "npm" | "yarn" | "pnpm" => &["package.json"],
            "prefect_docker.deployments.steps.build_docker_image" => &["Dockerfile"],
            _ => &[],
        };
        unasked.iter().map(|file| (*file).to_owned()).chain([word.to_owned()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sight(script: &str, files: &[(&str, &str)]) -> Sight {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("app")).unwrap();
        for (path, text) in files {
            std::fs::write(dir.path().join("app").join(path), text).unwrap();
        }
        let worktree = Worktree::open(dir.path()).unwrap();
        let step = Tree::from(json!({"prefect.deployments.steps.run_shell_script": {"script": script}}));
        Sight::of(&[step], &RepoPath::new("app"), &worktree, &["GRANTED".to_owned()])
    }

    #[test]
    fn code_that_nobody_knows_sees_everything() {
        let dir = tempfile::tempdir().unwrap();
        let worktree = Worktree::open(dir.path()).unwrap();
        let of = |name: &str| {
            let step = Tree::from(json!({ name: {} }));
            Sight::of(&[step], &RepoPath::new(""), &worktree, &["GRANTED".to_owned()])
        };
        let env = BTreeSet::from(["GRANTED".to_owned()]);
        assert_eq!(of("my_steps.tag"), Sight { above: true, commit: true, env: env.clone() });
        // Prefect's own work on the files of their directory.
        assert_eq!(of("prefect_aws.deployments.steps.push_to_s3"), Sight { env, ..Sight::default() });
    }

    #[test]
    fn a_script_that_reads_files_of_its_directory_sees_only_those() {
        assert_eq!(sight("cat digits.txt; echo v1..2", &[("digits.txt", "1")]), Sight::default());
    }

    #[test]
    fn what_asks_git_sees_the_commit() {
        for script in ["git rev-parse HEAD", "/usr/bin/git describe", "python -m setuptools_scm", "cat .git/HEAD"] {
            assert!(sight(script, &[]).commit, "{script}");
        }
        assert!(sight("./build.sh x", &[("build.sh", "tag=$(git describe)\n")]).commit);
        assert!(sight("make image", &[("Makefile", "TAG := $(shell git describe)\n")]).commit);
        assert!(!sight("make image", &[("Makefile", "TAG := 1\n")]).commit);
    }

    #[test]
    fn what_climbs_sees_the_whole_repository() {
        assert!(sight("docker build -f Dockerfile ..", &[]).above);
        assert!(sight("cat ../shared/x", &[]).above);
        assert!(sight("sh x.sh", &[("x.sh", "cp ../y .")]).above);
    }

    #[test]
    fn variables_are_seen_where_scripts_name_them() {
        let names = |text: &str| sight(text, &[]).env.into_iter().collect::<Vec<_>>();
        assert_eq!(names("echo $GITHUB_SHA ${TAG:-x}"), ["GITHUB_SHA", "TAG"]);
        assert_eq!(names("python -c 'import os; print(os.environ[\"STAMP\"])'"), ["STAMP"]);
    }
}
