//! Finding and reading files of a directory, and what git says about it, against the real `git`.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use reconcile::manifest::project::DEFAULT_INCLUDE;
use reconcile::model::RepoPath;
use reconcile::source::{FILE_LIMIT, Found, SourceError, Worktree};
use tempfile::TempDir;

/// Writes files, with the directories they need.
fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn tree(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    write(dir.path(), files);
    dir
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn discover(root: &Path, include: &[&str], exclude: &[&str]) -> Found {
    Worktree::open(root).unwrap().discover(&strings(include), &strings(exclude)).unwrap()
}

/// What the default patterns find.
fn found(root: &Path) -> Vec<String> {
    names(&discover(root, &DEFAULT_INCLUDE, &[]))
}

fn names(found: &Found) -> Vec<String> {
    found.files.iter().map(ToString::to_string).collect()
}

/// Codes and files of the warnings.
fn warnings(found: &Found) -> Vec<(&'static str, String)> {
    found.diagnostics.iter().map(|d| (d.code, d.origin().unwrap().file.to_string())).collect()
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn default_patterns_find_what_they_should_in_order() {
    let dir = tree(&[
        ("prefect.yaml", ""),
        ("z/prefect.yaml", ""),
        ("a/b/prefect.yaml", ""),
        ("a/shop.reconcile.yaml", ""),
        ("blocks.yml", ""),
        ("infra/blocks/s3.yaml", ""),
        ("infra/blocks/deep/s3.yaml", ""),
        ("prefect.yaml.bak", ""),
        ("reconcile.yaml", ""),
        (".github/prefect.yaml", ""),
        ("node_modules/x/prefect.yaml", ""),
        ("venv/lib/site-packages/prefect.yaml", ""),
        ("a/tests/prefect.yaml", ""),
    ]);
    let expected = [
        "a/b/prefect.yaml",
        "a/shop.reconcile.yaml",
        "blocks.yml",
        "infra/blocks/s3.yaml",
        "prefect.yaml",
        "z/prefect.yaml",
    ];
    assert_eq!(found(dir.path()), expected);
}

#[test]
fn a_pattern_that_names_a_skipped_directory_opens_it_for_itself_only() {
    let dir = tree(&[
        ("tests/prefect.yaml", ""),
        ("tests/flows/prefect.yaml", ""),
        (".deploy/prefect.yaml", ""),
        (".other/prefect.yaml", ""),
    ]);
    let opened = discover(dir.path(), &["**/prefect.yaml", "tests/flows/*.yaml", "{.deploy,x}/*.yaml", "no/*"], &[]);
    assert_eq!(names(&opened), [".deploy/prefect.yaml", "tests/flows/prefect.yaml"]);
    assert_eq!(opened.unmatched, [0, 3]);
}

#[test]
fn exclude_takes_files_and_whole_directories() {
    let dir = tree(&[("a/prefect.yaml", ""), ("old/x/prefect.yaml", ""), ("b/prefect.yaml", "")]);
    assert_eq!(names(&discover(dir.path(), &["**/prefect.yaml"], &["old/", "b/*.yaml"])), ["a/prefect.yaml"]);
    let error = Worktree::open(dir.path()).unwrap().discover(&strings(&["[a"]), &[]).unwrap_err();
    assert!(error.to_string().contains("`[a`"), "{error}");
}

#[test]
fn gitignore_holds_without_git_nested_and_negated() {
    let dir = tree(&[
        (".gitignore", "build/\n*.reconcile.yaml\n!keep.reconcile.yaml\n/top/prefect.yaml\n"),
        ("build/prefect.yaml", ""),
        ("x.reconcile.yaml", ""),
        ("keep.reconcile.yaml", ""),
        ("top/prefect.yaml", ""),
        ("sub/top/prefect.yaml", ""),
        ("sub/.gitignore", "!*.reconcile.yaml\nblocks.yaml\n"),
        ("sub/x.reconcile.yaml", ""),
        ("sub/blocks.yaml", ""),
        ("other/blocks.yaml", ""),
    ]);
    let expected = ["keep.reconcile.yaml", "other/blocks.yaml", "sub/top/prefect.yaml", "sub/x.reconcile.yaml"];
    assert_eq!(found(dir.path()), expected);
}

#[test]
fn ignored_files_are_those_that_git_ignores() {
    let dir = TempDir::new().unwrap();
    git(dir.path(), &["init", "-q"]);
    let rules = "*\n!*/\n!prefect.yaml\n# c\n\\#x/\nfoo/**/bar/\n/a/*\n!/a/keep\n**/deep\nsp ace/\n[xy]1/\ntrail \n";
    write(dir.path(), &[(".gitignore", rules), (".git/info/exclude", "secret/\n"), ("b/.gitignore", "!deep\nq/\n")]);
    for place in [
        "",
        "a",
        "a/keep",
        "a/no",
        "b",
        "b/deep",
        "b/q",
        "deep",
        "foo/bar",
        "foo/x/y/bar",
        "sp ace",
        "x1",
        "#x",
        "secret",
        "b/secret",
        "trail",
    ] {
        write(&dir.path().join(place), &[("prefect.yaml", ""), ("blocks.yaml", "")]);
    }
    let listed = git(dir.path(), &["-c", "core.quotePath=off", "ls-files", "-co", "--exclude-standard"]);
    let mut expected: Vec<&str> = listed.lines().filter(|file| file.ends_with("prefect.yaml")).collect();
    expected.sort_unstable();
    assert!(expected.len() > 4, "{expected:?}");
    assert_eq!(names(&discover(dir.path(), &["**/prefect.yaml", "**/blocks.yaml"], &[])), expected);
    // The rules of the repository hold in a directory of it as well.
    let below: Vec<&str> = expected.iter().filter_map(|file| file.strip_prefix("b/")).collect();
    assert!(below.len() > 1 && !below.contains(&"q/prefect.yaml"), "{below:?}");
    assert_eq!(names(&discover(&dir.path().join("b"), &["**/prefect.yaml"], &[])), below);
}

#[test]
fn rules_above_hold_only_within_one_repository() {
    let dir = tree(&[
        (".gitignore", "*\n"),
        ("plain/prefect.yaml", ""),
        ("repo/.gitignore", "*.yaml\n"),
        ("repo/prefect.yaml", ""),
        ("repo/nested/prefect.yaml", ""),
    ]);
    assert_eq!(found(&dir.path().join("plain")), ["prefect.yaml"]);
    git(&dir.path().join("repo/nested"), &["init", "-q"]);
    fs::write(dir.path().join("repo/.gitignore"), "other.yaml\nprefect.yaml\n").unwrap();
    assert_eq!(found(&dir.path().join("repo")), ["nested/prefect.yaml"]);
}

#[test]
fn a_gitignore_that_is_no_file_is_not_opened() {
    let dir = tree(&[("a/prefect.yaml", ""), ("b/prefect.yaml", "")]);
    symlink("/dev/zero", dir.path().join("a/.gitignore")).unwrap();
    fifo(&dir.path().join("b/.gitignore"));
    let all = discover(dir.path(), &DEFAULT_INCLUDE, &[]);
    assert_eq!(names(&all), ["a/prefect.yaml", "b/prefect.yaml"]);
    assert_eq!(warnings(&all), [("W0134", "a/.gitignore".into()), ("W0134", "b/.gitignore".into())]);
}

#[test]
fn links_inside_are_followed_and_circles_end() {
    let dir = tree(&[("real/flows/prefect.yaml", ""), ("shared/base.yaml", "x: 1\n"), (".hidden/in/prefect.yaml", "")]);
    let root = dir.path();
    symlink("..", root.join("real/up")).unwrap();
    symlink("real", root.join("alias")).unwrap();
    symlink("self", root.join("self")).unwrap();
    symlink(".hidden/in", root.join("shown")).unwrap();
    symlink("../shared/base.yaml", root.join("real/prefect.yaml")).unwrap();
    let all = discover(root, &["**/prefect.yaml"], &[]);
    assert_eq!(names(&all), ["real/flows/prefect.yaml", "real/prefect.yaml", "shown/prefect.yaml"]);
    assert_eq!(warnings(&all), []);
    let worktree = Worktree::open(root).unwrap();
    assert_eq!(worktree.read(&RepoPath::new("real/prefect.yaml")).unwrap().unwrap(), b"x: 1\n");
    assert!(worktree.read(&RepoPath::new("self")).is_err());
}

#[test]
fn a_knot_of_links_is_walked_once() {
    let dir = TempDir::new().unwrap();
    let count = 30;
    for from in 0..count {
        write(dir.path(), &[(&format!("d{from:02}/prefect.yaml"), "")]);
        for to in 0..count {
            symlink(format!("../d{to:02}"), dir.path().join(format!("d{from:02}/l{to:02}"))).unwrap();
        }
    }
    let expected: Vec<String> = (0..count).map(|n| format!("d{n:02}/prefect.yaml")).collect();
    assert_eq!(found(dir.path()), expected);
}

#[test]
fn links_outside_are_not_followed() {
    let outside = tree(&[("prefect.yaml", "secret"), ("data.csv", "")]);
    let dir = tree(&[("sub/x.txt", "")]);
    symlink(outside.path(), dir.path().join("dir")).unwrap();
    symlink(outside.path().join("prefect.yaml"), dir.path().join("sub/prefect.yaml")).unwrap();
    symlink(outside.path().join("data.csv"), dir.path().join("data.csv")).unwrap();
    symlink("/nowhere/at/all", dir.path().join("prefect.yaml")).unwrap();
    let all = discover(dir.path(), &DEFAULT_INCLUDE, &[]);
    assert_eq!(names(&all), Vec::<String>::new());
    let expected = [("W0130", "dir".into()), ("W0131", "prefect.yaml".into()), ("W0130", "sub/prefect.yaml".into())];
    assert_eq!(warnings(&all), expected);
    let worktree = Worktree::open(dir.path()).unwrap();
    for path in ["dir/prefect.yaml", "sub/prefect.yaml", "../x", "../../../../../../../../../../../etc/passwd", "dir"] {
        let error = worktree.read(&RepoPath::new(path)).unwrap_err();
        assert!(matches!(error, SourceError::Outside { .. }), "{path}: {error}");
    }
    assert_eq!(worktree.read(&RepoPath::new("prefect.yaml")).unwrap(), None);
    assert_eq!(worktree.read(&RepoPath::new("sub/x.txt/y")).unwrap(), None);
}

#[test]
fn the_repository_is_the_bound_but_git_itself_is_closed() {
    let dir = tree(&[("team/prefect.yaml", ""), ("shared/flow.py", "x"), (".git/config", "token")]);
    symlink("../.git/config", dir.path().join("team/blocks.yaml")).unwrap();
    symlink("../.git", dir.path().join("team/g")).unwrap();
    symlink("../shared", dir.path().join("team/shared")).unwrap();
    let worktree = Worktree::open(&dir.path().join("team")).unwrap();
    assert_eq!(worktree.repository(), dir.path().canonicalize().unwrap());
    for path in ["../shared/flow.py", "shared/flow.py"] {
        assert_eq!(worktree.read(&RepoPath::new(path)).unwrap().unwrap(), b"x", "{path}");
    }
    for path in ["blocks.yaml", "g/config", "../.git/config"] {
        let error = worktree.read(&RepoPath::new(path)).unwrap_err();
        assert!(matches!(error, SourceError::GitInternal { .. }), "{path}: {error}");
    }
    let all = worktree.discover(&strings(&DEFAULT_INCLUDE), &[]).unwrap();
    assert_eq!(names(&all), ["prefect.yaml"]);
    assert_eq!(warnings(&all), [("W0130", "blocks.yaml".into()), ("W0130", "g".into())]);
}

#[test]
fn what_is_no_file_is_named_and_never_opened() {
    let dir = tree(&[("blocks/x.txt", "")]);
    fifo(&dir.path().join("prefect.yaml"));
    symlink("/dev/zero", dir.path().join("blocks/a.yaml")).unwrap();
    fs::create_dir(dir.path().join("blocks/b.yaml")).unwrap();
    let all = discover(dir.path(), &DEFAULT_INCLUDE, &[]);
    assert_eq!(names(&all), Vec::<String>::new());
    assert_eq!(warnings(&all), [("W0130", "blocks/a.yaml".into()), ("W0131", "prefect.yaml".into())]);
    let worktree = Worktree::open(dir.path()).unwrap();
    assert_eq!(
        worktree.read(&RepoPath::new("prefect.yaml")).unwrap_err().to_string(),
        "read `prefect.yaml`: it is a pipe, not a file"
    );
    assert!(matches!(worktree.read(&RepoPath::new("blocks")), Err(SourceError::NotAFile { what: "a directory", .. })));
    assert!(matches!(Worktree::open(&dir.path().join("prefect.yaml")), Err(SourceError::NotASource { .. })));
}

#[test]
fn files_have_a_largest_size() {
    let dir = TempDir::new().unwrap();
    let worktree = Worktree::open(dir.path()).unwrap();
    let file = fs::File::create(dir.path().join("big")).unwrap();
    file.set_len(FILE_LIMIT).unwrap();
    assert_eq!(worktree.read(&RepoPath::new("big")).unwrap().unwrap().len() as u64, FILE_LIMIT);
    file.set_len(FILE_LIMIT + 1).unwrap();
    assert!(matches!(worktree.read(&RepoPath::new("big")), Err(SourceError::TooLarge { .. })));
}

#[test]
fn what_may_not_be_read_is_a_warning_or_an_error_of_its_own() {
    let dir = tree(&[("closed/prefect.yaml", ""), ("open/prefect.yaml", ""), ("blocks.yaml", "")]);
    let set = |path: &str, mode| fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    set("closed", 0o000);
    set("blocks.yaml", 0o000);
    // The superuser may read everything.
    let all_powerful = fs::read_dir(dir.path().join("closed")).is_ok();
    let all = discover(dir.path(), &DEFAULT_INCLUDE, &[]);
    let read = Worktree::open(dir.path()).unwrap().read(&RepoPath::new("blocks.yaml"));
    set("closed", 0o755);
    if all_powerful {
        assert_eq!(names(&all), ["blocks.yaml", "closed/prefect.yaml", "open/prefect.yaml"]);
        assert_eq!(read.unwrap().unwrap(), b"");
    } else {
        assert_eq!(names(&all), ["blocks.yaml", "open/prefect.yaml"]);
        assert_eq!(warnings(&all), [("W0132", "closed".into())]);
        assert!(matches!(read, Err(SourceError::Io { .. })));
    }
}

#[test]
fn names_need_not_be_ascii_but_utf8() {
    let dir = tree(&[("größe/日本 語/prefect.yaml", "x"), ("a\nb/prefect.yaml", ""), ("back\\slash/prefect.yaml", "")]);
    let bad = dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    let all = match fs::create_dir(&bad) {
        Ok(()) => {
            write(&bad, &[("prefect.yaml", ""), ("other.txt", "")]);
            let all = discover(dir.path(), &DEFAULT_INCLUDE, &[]);
            assert_eq!(warnings(&all), [("W0133", "caf\u{fffd}/prefect.yaml".into())]);
            all
        }
        // Some file systems refuse such names.
        Err(_) => discover(dir.path(), &DEFAULT_INCLUDE, &[]),
    };
    assert_eq!(names(&all), ["a\nb/prefect.yaml", "back\\slash/prefect.yaml", "größe/日本 語/prefect.yaml"]);
    let worktree = Worktree::open(dir.path()).unwrap();
    assert_eq!(worktree.read(&RepoPath::new("größe/日本 語/prefect.yaml")).unwrap().unwrap(), b"x");
}

#[test]
fn ten_thousand_files_are_found() {
    let dir = TempDir::new().unwrap();
    for n in 0..10_000 {
        let folder = dir.path().join(format!("t{:02}/p{n:05}", n % 100));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("prefect.yaml"), "").unwrap();
    }
    let files = found(dir.path());
    assert_eq!(files.len(), 10_000);
    assert!(files.is_sorted());
}

#[test]
fn a_file_opens_its_directory_and_selects_itself() {
    let dir = tree(&[("a/prefect.yaml", "x"), ("a/reconcile.yaml", ""), ("a/b/prefect.yaml", "")]);
    let worktree = Worktree::open(&dir.path().join("a/prefect.yaml")).unwrap();
    assert_eq!(worktree.root(), dir.path().canonicalize().unwrap().join("a"));
    assert_eq!(names(&worktree.discover(&strings(&DEFAULT_INCLUDE), &[]).unwrap()), ["prefect.yaml"]);
    assert_eq!(found(&dir.path().join("a/reconcile.yaml")), ["b/prefect.yaml", "prefect.yaml"]);
    let error = Worktree::open(&dir.path().join("missing")).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    symlink("a", dir.path().join("link")).unwrap();
    assert_eq!(Worktree::open(&dir.path().join("link")).unwrap().dir_name(), "a");
}

/// What `git` prints, run the same way everywhere. Panics if it fails.
fn git(dir: &Path, args: &[&str]) -> String {
    try_git(dir, args).unwrap_or_else(|| panic!("git {args:?} in {dir:?}"))
}

/// What `git` prints; none if it fails.
fn try_git(dir: &Path, args: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    for kind in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{kind}_NAME"), "A U Thor").env(format!("GIT_{kind}_EMAIL"), "a@example.com");
        command.env(format!("GIT_{kind}_DATE"), "2026-01-02T03:04:05Z");
    }
    command.args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", "-c", "commit.gpgSign=false"]);
    let output = command.current_dir(dir).args(args).output().unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(feature = "git")]
mod facts {
    //! Facts and digests, over many shapes of repositories.

    use super::*;
    use reconcile::source::git;

    /// A repository with one commit and a remote.
    fn repository() -> TempDir {
        let dir = tree(&[("prefect.yaml", "a"), ("sub/x.py", "x"), ("sub2/y.py", "y")]);
        git(dir.path(), &["init", "-q"]);
        git(dir.path(), &["add", "-A"]);
        git(dir.path(), &["commit", "-qm", "first line\n\nbody"]);
        git(dir.path(), &["remote", "add", "origin", "https://u:tok@example.com/acme/shop.git"]);
        dir
    }

    use super::git;

    /// Compares with `git` in one directory.
    fn agree(dir: &Path) {
        let (facts, diagnostics) = git::facts(dir);
        let in_work_tree =
            try_git(dir, &["rev-parse", "--is-inside-work-tree"]).is_some_and(|out| out.trim() == "true");
        let Some(commit) = try_git(dir, &["rev-parse", "--verify", "-q", "HEAD"]).filter(|_| in_work_tree) else {
            return assert_eq!(facts, None, "{dir:?}");
        };
        assert_eq!(diagnostics, [], "{dir:?}");
        let facts = facts.unwrap_or_else(|| panic!("git knows {dir:?}"));
        let ask = |args: &[&str]| git(dir, args).trim_end_matches('\n').to_owned();
        assert_eq!(facts.commit, commit.trim());
        assert_eq!(facts.branch, ask(&["rev-parse", "--abbrev-ref", "HEAD"]));
        assert_eq!(facts.message.trim(), ask(&["log", "-1", "--pretty=%B"]).trim());
        let remote = try_git(dir, &["config", "--get", "remote.origin.url"]);
        assert_eq!(facts.remote_url.as_deref(), remote.as_deref().map(|url| url.trim_end_matches('\n')));
        assert_eq!(facts.root.to_str().unwrap(), ask(&["rev-parse", "--show-toplevel"]));
        assert_eq!(facts.subdir.as_str(), ask(&["rev-parse", "--show-prefix"]).trim_end_matches('/'));
        assert_eq!(facts.dirty, !git(dir, &["status", "--porcelain"]).is_empty(), "{dir:?}");
    }

    #[test]
    fn many_shapes_agree_with_git() {
        let dir = repository();
        let root = dir.path();
        let run = |args: &[&str]| git(root, args);
        agree(root);
        agree(&root.join("sub"));
        // States of the work tree.
        write(root, &[("sub/new.txt", "")]);
        agree(root);
        write(root, &[(".gitignore", "new.txt\n")]);
        run(&["add", "-A"]);
        agree(root);
        run(&["commit", "-qm", "\n\n  spaced subject  \nsecond\n"]);
        agree(root);
        fs::remove_file(root.join("sub/x.py")).unwrap();
        agree(root);
        run(&["checkout", "-q", "--", "."]);
        fs::set_permissions(root.join("prefect.yaml"), fs::Permissions::from_mode(0o755)).unwrap();
        agree(root);
        run(&["checkout", "-q", "--", "."]);
        agree(root);
        // Branches and heads.
        run(&["checkout", "-q", "-b", "feature/größe"]);
        agree(root);
        run(&["tag", "feature/größe"]);
        agree(root);
        run(&["checkout", "-q", "--detach"]);
        agree(root);
        run(&["checkout", "-q", "main"]);
        run(&["update-ref", "refs/remotes/main/HEAD", "HEAD"]);
        agree(root);
        run(&["update-ref", "-d", "refs/remotes/main/HEAD"]);
        run(&["pack-refs", "--all"]);
        agree(root);
        // Messages and remotes.
        run(&["commit", "-q", "--allow-empty", "--allow-empty-message", "-m", ""]);
        agree(root);
        run(&["-c", "i18n.commitEncoding=iso-8859-1", "commit", "-q", "--allow-empty", "-m", "gr\u{fc}n"]);
        agree(root);
        run(&["config", "--add", "remote.origin.url", "second"]);
        run(&["config", "url.https://x/.insteadOf", "second"]);
        agree(root);
        fs::write(root.join("extra.cfg"), "[remote \"origin\"]\n\turl = included\n").unwrap();
        run(&["config", "include.path", "../extra.cfg"]);
        agree(root);
        run(&["remote", "remove", "origin"]);
        agree(root);
    }

    #[test]
    fn files_that_look_like_a_bare_repository_are_files() {
        let dir = repository();
        git(dir.path(), &["clone", "-q", "--bare", ".", "flows"]);
        git(&dir.path().join("flows"), &["config", "core.worktree", "/"]);
        for below in ["flows", "flows/objects"] {
            let (facts, diagnostics) = git::facts(&dir.path().join(below));
            let facts = facts.unwrap_or_else(|| panic!("{diagnostics:?}"));
            assert_eq!(facts.root, dir.path().canonicalize().unwrap());
            assert_eq!(facts.subdir.as_str(), below);
        }
        let bare = TempDir::new().unwrap();
        git(dir.path(), &["clone", "-q", "--bare", ".", bare.path().to_str().unwrap()]);
        assert_eq!(git::facts(bare.path()), (None, Vec::new()));
    }

    #[test]
    fn worktrees_submodules_and_shallow_clones_agree_with_git() {
        let dir = repository();
        let more = TempDir::new().unwrap();
        let linked = more.path().join("linked");
        git(dir.path(), &["worktree", "add", "-q", "-b", "side", linked.to_str().unwrap()]);
        agree(&linked);
        agree(&linked.join("sub"));
        assert_eq!(found(&linked), ["prefect.yaml"]);
        let outer = repository();
        git(outer.path(), &["submodule", "add", "-q", dir.path().to_str().unwrap(), "vendor/sub"]);
        git(outer.path(), &["commit", "-qm", "with submodule"]);
        agree(outer.path());
        agree(&outer.path().join("vendor/sub"));
        agree(&outer.path().join("vendor/sub/sub"));
        write(&outer.path().join("vendor/sub"), &[("prefect.yaml", "changed")]);
        agree(outer.path());
        let url = format!("file://{}", dir.path().display());
        git(more.path(), &["clone", "-q", "--depth", "1", &url, "shallow"]);
        agree(&more.path().join("shallow"));
        agree(&more.path().join("shallow/.git"));
    }

    #[test]
    fn where_git_knows_nothing_neither_do_we() {
        let dir = TempDir::new().unwrap();
        assert_eq!(git::facts(dir.path()), (None, vec![]));
        assert_eq!(Worktree::open(dir.path()).unwrap().tree_digest(&RepoPath::new("")).unwrap(), None);
        git(dir.path(), &["init", "-q", "unborn"]);
        agree(&dir.path().join("unborn"));
        git(dir.path(), &["init", "-q", "--bare", "bare"]);
        agree(&dir.path().join("bare"));
        write(dir.path(), &[("broken/.git", "gitdir: /nowhere\n"), ("odd/.git/HEAD", "rubbish")]);
        for broken in ["broken", "odd"] {
            let (facts, diagnostics) = git::facts(&dir.path().join(broken));
            assert_eq!(facts, None, "{broken}: {diagnostics:?}");
        }
    }

    #[test]
    fn a_repository_of_another_user_is_refused_as_git_does() {
        let dir = repository();
        match std::os::unix::fs::chown(dir.path(), Some(4242), Some(4242)) {
            Ok(()) => {
                let trusted = try_git(dir.path(), &["rev-parse", "HEAD"]).is_some();
                let (facts, diagnostics) = git::facts(dir.path());
                assert_eq!(facts.is_some(), trusted);
                assert_eq!(
                    diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(),
                    if trusted { vec![] } else { vec!["W0135"] }
                );
            }
            // Only the superuser can give files away.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
        }
    }

    fn digest(root: &Path, dir: &str) -> String {
        Worktree::open(root).unwrap().tree_digest(&RepoPath::new(dir)).unwrap().unwrap()
    }

    #[test]
    fn the_digest_follows_content_and_nothing_else() {
        let dir = repository();
        let root = dir.path();
        let (all, sub) = (digest(root, ""), digest(root, "sub"));
        assert!(all.starts_with("sha256:") && all != sub);
        assert_eq!(digest(&root.join("sub"), ""), sub);
        // Another clone of the same commit, another commit of the same tree: the same digest.
        let other = TempDir::new().unwrap();
        git(other.path(), &["clone", "-q", root.to_str().unwrap(), "clone"]);
        assert_eq!(digest(&other.path().join("clone"), ""), all);
        git(root, &["commit", "-q", "--allow-empty", "-m", "again"]);
        assert_eq!(digest(root, ""), all);
        // Ignored files do not count, unknown and changed ones do, and only where they are.
        write(root, &[(".git/info/exclude", "*.log\n"), ("sub/x.log", "x")]);
        assert_eq!(digest(root, ""), all);
        write(root, &[("sub2/y.py", "changed")]);
        assert_eq!(digest(root, "sub"), sub);
        let changed = digest(root, "");
        assert_ne!(changed, all);
        write(root, &[("sub2/y.py", "changed again")]);
        assert_ne!(digest(root, ""), changed);
        git(root, &["checkout", "-q", "--", "."]);
        assert_eq!(digest(root, ""), all);
        write(root, &[("sub/new/deep.txt", "1")]);
        let one = digest(root, "sub");
        assert_ne!(one, sub);
        write(root, &[("sub/new/deep.txt", "2")]);
        assert_ne!(digest(root, "sub"), one);
        fs::remove_dir_all(root.join("sub/new")).unwrap();
        // Gone, executable, a link and a pipe in its place.
        let mut seen = vec![digest(root, "sub")];
        assert_eq!(seen[0], sub);
        let file = root.join("sub/x.py");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        seen.push(digest(root, "sub"));
        fs::remove_file(&file).unwrap();
        seen.push(digest(root, "sub"));
        symlink("/dev/zero", &file).unwrap();
        seen.push(digest(root, "sub"));
        fs::remove_file(&file).unwrap();
        fifo(&file);
        seen.push(digest(root, "sub"));
        let distinct: std::collections::BTreeSet<&String> = seen.iter().collect();
        assert!(distinct.len() >= 4, "{seen:?}");
    }

    #[test]
    fn the_digest_sees_into_submodules_and_before_the_first_commit() {
        let (inner, outer) = (repository(), repository());
        git(outer.path(), &["submodule", "add", "-q", inner.path().to_str().unwrap(), "vendor"]);
        git(outer.path(), &["commit", "-qm", "with submodule"]);
        let clean = digest(outer.path(), "");
        write(outer.path(), &[("vendor/prefect.yaml", "one")]);
        let one = digest(outer.path(), "");
        write(outer.path(), &[("vendor/prefect.yaml", "two")]);
        let two = digest(outer.path(), "");
        assert!(clean != one && one != two && clean != two);
        let unborn = tree(&[("a.txt", "1")]);
        git(unborn.path(), &["init", "-q"]);
        let before = digest(unborn.path(), "");
        write(unborn.path(), &[("a.txt", "2")]);
        assert_ne!(digest(unborn.path(), ""), before);
    }
}
