//! `--git`: a repository elsewhere, over HTTP, SSH and from this disk; what is fetched of it, and what it survives.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::git_server::{GitServer, Rules};
use crate::support::project::{Output, Project};
use crate::support::watcher::Watcher;

const TOKEN: &str = "canary-of-the-token";

fn declared(description: &str) -> String {
    format!(
        "deployments:\n- name: a\n  entrypoint: flow.py:f\n  description: {description}\n  work_pool: {{name: remote}}\n"
    )
}

/// A git server with one repository, whose only commit is that of `author`, and who is to apply it.
pub struct World {
    pub git: GitServer,
    pub author: Project,
    pub user: Project,
    name: &'static str,
}

impl World {
    pub fn new(name: &'static str) -> World {
        let server = Server::shared();
        server.http().request("POST", "/work_pools/", Some(&json!({"name": "remote", "type": "process"})));
        let author = Project::new()
            .file("reconcile.yaml", &format!("name: {name}\n"))
            .file("flow.py", &format!("from prefect import flow\n\n@flow(name=\"{name}\")\ndef f():\n    pass\n"))
            .file("prefect.yaml", &declared("first"))
            .git_init(None);
        let git = GitServer::start();
        git.push(&author, "shop", "main");
        World { git, author, user: Project::new().api(&server.url).with_python(), name }
    }

    /// Makes commits without touching files, each of other files, and pushes the last. Each has a text for
    /// `prefect.yaml`, and so many other files.
    fn import(&self, commits: impl Iterator<Item = (String, usize)>) -> String {
        let mut stream = String::from("reset refs/heads/main\nfrom refs/heads/main^0\n");
        for (text, others) in commits {
            stream += "commit refs/heads/main\ncommitter Ada <ada@example.org> 1767225600 +0000\ndata 1\nx\n";
            stream += &format!("M 644 inline prefect.yaml\ndata {}\n{text}\n", text.len());
            (0..others).for_each(|n| {
                stream += &format!("M 644 inline lib/{}/part_{n}.py\ndata <<END\nN = {n}\nEND\n\n", n % 100);
            });
        }
        let mut command = Command::new("git");
        command.args(["fast-import", "--quiet", "--force"]).current_dir(self.author.path()).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), stream.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        self.git.push(&self.author, "shop", "main");
        self.author.git(&["rev-parse", "main"]).trim().to_owned()
    }

    /// Commits and pushes another description.
    pub fn push(&self, description: &str) -> String {
        self.author.write("prefect.yaml", &declared(description));
        let commit = self.author.git_commit(description);
        self.git.push(&self.author, "shop", "main");
        commit
    }

    pub fn apply(&self, args: &[&str]) -> Output {
        let address = self.git.address("shop");
        self.user.reconcile(&[&["apply", "--yes", "--json", "--git", &address], args].concat())
    }

    /// Applies, and gives the report.
    #[track_caller]
    pub fn applied(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.apply(args).exits(0).stdout).unwrap()
    }

    pub fn deployment(&self) -> Value {
        Server::shared().http().get(&format!("/deployments/name/{}/a", self.name))
    }

    /// The only directory of a remote repository in the cache.
    pub fn place(&self) -> PathBuf {
        let found: Vec<PathBuf> =
            fs::read_dir(self.user.home().join("cache/git")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() && !path.is_symlink() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_branch_over_http_with_a_token() {
    let mut world = World::new("remote-http");
    world.git.rules(Rules { token: Some(TOKEN.to_owned()), ..Rules::default() });
    let refused = world.apply(&[]).exits(1);
    assert!(refused.stderr.contains("asks for credentials") && refused.stderr.contains("RECONCILE_GIT_TOKEN"));
    let error: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert!(error["error"]["message"].as_str().unwrap().contains("/shop.git"), "{error:#}");
    world.user = world.user.env("RECONCILE_GIT_TOKEN", "wrong");
    let refused = world.apply(&[]).exits(1);
    assert!(refused.stderr.contains("refuses the credentials"), "{refused:?}");

    world.user = world.user.env("RECONCILE_GIT_TOKEN", TOKEN);
    let commit = world.push("second");
    let report = world.applied(&[]);
    assert_eq!(report["source"]["commit"], *commit, "{report:#}");
    assert_eq!((&report["source"]["branch"], &report["source"]["dirty"]), (&json!("main"), &json!(false)));
    let step = &world.deployment()["pull_steps"][0]["prefect.deployments.steps.git_clone"];
    assert_eq!(*step, json!({"repository": world.git.address("shop"), "branch": "main"}));
    let again = world.applied(&["--branch", "main"]);
    assert_eq!(again["requests"]["write"], 0, "{again:#}");

    // Of two commits one was fetched, and the token is nowhere.
    let cache = world.user.home().join("cache");
    let shallow = files(&cache).into_iter().filter(|file| file.ends_with("mirror.git/shallow")).count();
    assert_eq!(shallow, 2);
    for file in files(&cache) {
        let bytes = fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(TOKEN), "{}", file.display());
    }
}

#[test]
fn credentials_of_a_helper_and_of_the_address() {
    let world = World::new("remote-helper");
    world.git.rules(Rules { token: Some(TOKEN.to_owned()), ..Rules::default() });
    let with = world.git.address("shop").replace("http://", &format!("http://ada:{TOKEN}@"));
    let output = world.user.reconcile(&["plan", "--json", "--out", "plan.json", "--git", &with]).exits(0);
    let saved = fs::read_to_string(world.user.path().join("plan.json")).unwrap();
    assert!(saved.contains("/shop.git") && !(saved + &output.stdout + &output.stderr).contains(TOKEN));
    let helper = format!("[credential]\n\thelper = \"!f() {{ echo username=ada; echo password={TOKEN}; }}; f\"\n");
    fs::write(world.user.home().join(".gitconfig"), helper).unwrap();
    // What was planned is applied, with credentials of whoever applies it, who says whose files these are.
    let address = world.git.address("shop");
    let apply = |more: &[&str]| world.user.reconcile(&[&["apply", "--plan", "plan.json", "--yes"], more].concat());
    let other = world.git.address("other");
    for (more, flags) in [
        (&[][..], "`--git`"),
        (&["--git", &other], "`--git`"),
        (&["--git", &address, "--branch", "main"], "`--branch`"),
        (&["--git", &address, "--rev", "main", "--subdir", "x"], "`--rev`, `--subdir`"),
    ] {
        let refused = apply(more).exits(64);
        let says = format!("takes its files from `{address}`, and the command line says otherwise of {flags}\n");
        assert!(refused.stderr.contains(&says) && refused.stderr.contains("repeat `--git`"), "{}", refused.stderr);
    }
    assert!(apply(&["--git", &address, "--prune"]).exits(64).stderr.contains("says itself what is meant"));
    assert!(apply(&["--rev", "main"]).exits(64).stderr.contains("says itself what is meant"));
    apply(&["--git", &address]).exits(0);
    assert_eq!(world.applied(&[])["changes"], json!([]));
    let config = fs::read_to_string(world.place().join("shop/.git/config")).unwrap();
    assert!(config.contains("/shop.git") && !config.contains("canary"), "{config}");
}

#[test]
fn a_redirection_does_not_carry_credentials_elsewhere() {
    let mut world = World::new("remote-redirect");
    let front = GitServer::start();
    front.rules(Rules { redirect: Some(world.git.url.clone()), ..Rules::default() });
    world.user = world.user.env("RECONCILE_GIT_TOKEN", TOKEN);
    let address = front.address("shop");
    world.user.reconcile(&["apply", "--yes", "--git", &address]).exits(0);
    assert!(front.requests().iter().all(|request| request.authorized), "{:?}", front.requests());
    assert!(world.git.requests().len() > 1, "{:?}", world.git.requests());
    assert!(world.git.requests().iter().all(|request| !request.authorized), "{:?}", world.git.requests());
}

#[test]
fn the_repository_is_not_told_our_secrets() {
    let mut world = World::new("remote-secrets");
    let steps = "  version: '{{ $RECONCILE_GIT_TOKEN }}'\n  build:\n  - prefect.deployments.steps.run_shell_script:\n      \
                 script: \"sh -c 'env > ../seen'\"\n";
    world.author.write("prefect.yaml", &(declared("first") + steps));
    world.author.git_commit("a curious step");
    world.git.push(&world.author, "shop", "main");
    world.git.rules(Rules { token: Some(TOKEN.to_owned()), ..Rules::default() });
    world.user = world.user.env("RECONCILE_GIT_TOKEN", TOKEN).env("RECONCILE_NOTIFY", TOKEN);
    let output = world.apply(&[]).exits(0);
    let seen = fs::read_to_string(world.place().join("seen")).unwrap();
    assert!(seen.contains("PATH=") && !(seen + &output.stdout + &output.stderr).contains(TOKEN), "{output:?}");
    assert!(!world.deployment().to_string().contains(TOKEN));
}

#[test]
fn tags_ranges_commits_and_directories() {
    let world = World::new("remote-names");
    let first = world.author.git(&["rev-parse", "HEAD"]).trim().to_owned();
    for (tag, description) in [("v1.0.0", "one"), ("v1.1.0", "one-one"), ("v2.0.0", "two")] {
        world.push(description);
        world.author.git(&["tag", "-a", "-m", tag, tag]);
        world.git.push(&world.author, "shop", tag);
    }
    world.author.write("below/prefect.yaml", &declared("below"));
    world
        .author
        .write("below/flow.py", "from prefect import flow\n\n@flow(name=\"remote-names\")\ndef f():\n    pass\n");
    world.author.write("below/reconcile.yaml", "name: remote-names\n");
    let last = world.author.git_commit("below");
    world.author.git(&["branch", "side"]);
    world.git.push(&world.author, "shop", "side");

    let cases: [(&[&str], &str); 8] = [
        (&["--git-tag", "v1.0.0"], "one"),
        (&["--git-tag", "1.*"], "one-one"),
        (&["--git-tag", ">=1"], "two"),
        (&["--rev", &first], "first"),
        (&["--rev", "v1.1.0"], "one-one"),
        (&["--rev", &first[..10]], "first"),
        (&["--branch", "side", "--subdir", "below"], "below"),
        (&["--rev", "side~1"], "two"),
    ];
    for (args, description) in cases {
        world.applied(args);
        assert_eq!(world.deployment()["description"], description, "{args:?}");
        let step = &world.deployment()["pull_steps"][0]["prefect.deployments.steps.git_clone"];
        let is_branch = args[0] == "--branch";
        assert_eq!(step["branch"].is_string(), is_branch, "{args:?}: {step}");
        assert_eq!(step["commit_sha"].is_string(), !is_branch, "{args:?}: {step}");
    }
    // A commit that is there is not asked for again.
    let asked = world.git.requests().len();
    world.applied(&["--rev", &first]);
    assert_eq!(world.git.requests().len(), asked);

    // A branch that is called like a commit is none.
    let called = "a".repeat(40);
    world.git.push(&world.author, "shop", &format!("main:refs/heads/{called}"));
    let refused: [(&[&str], &str); 7] = [
        (&["--rev", &called], "there is no commit"),
        (&["--branch", "sied"], "did you mean `side`"),
        (&["--git-tag", "v3"], "there is no tag `v3`"),
        (&["--rev", &"0".repeat(40)], "there is no commit"),
        (&["--branch", "side", "--subdir", "../.."], "no directory of the repository"),
        (&["--branch", "side", "--subdir", "nowhere"], "there is no directory `nowhere`"),
        (&["--branch=--upload-pack=x"], "no reference"),
    ];
    for (args, words) in refused {
        let output = world.apply(args).exits(1);
        assert!(output.stderr.contains(words), "{args:?}: {output:?}");
    }
    assert!(!last.is_empty());
}

#[test]
fn the_loop_follows_pushes_of_every_kind() {
    let world = World::new("remote-watch");
    let address = world.git.address("shop");
    let mut watcher = Watcher::start(&world.user, &["--git", &address, "--interval", "1s"]);
    let has = |commit: &str| {
        let commit = commit.to_owned();
        move |report: &Value| report["source"]["commit"] == *commit
    };
    let first = world.author.git(&["rev-parse", "HEAD"]).trim().to_owned();
    watcher.until(0, "the first commit", has(&first));
    let second = world.push("second");
    watcher.until(0, "the second commit", has(&second));
    // History is rewritten.
    world.author.git(&["reset", "-q", "--hard", &first]);
    let forced = world.push("forced");
    watcher.until(0, "the rewritten history", has(&forced));
    assert_eq!(world.deployment()["description"], "forced");
    // The server is away for a while.
    world.git.rules(Rules { away: true, ..Rules::default() });
    watcher.says("HTTP 503");
    for n in 0..20 {
        world.push(&format!("burst {n}"));
    }
    let last = world.push("last");
    world.git.rules(Rules::default());
    watcher.until(0, "the newest commit", has(&last));
    assert_eq!(world.deployment()["description"], "last");
    let output = watcher.stop().exits(0);
    assert!(!output.stderr.contains("made again"), "{output:?}");
}

#[test]
fn a_tag_that_is_moved_is_followed() {
    let world = World::new("remote-moved");
    let tag = || {
        world.author.git(&["tag", "--force", "-a", "-m", "stable", "stable"]);
        world.git.push(&world.author, "shop", "stable");
        world.author.git(&["rev-parse", "HEAD"]).trim().to_owned()
    };
    let first = tag();
    let address = world.git.address("shop");
    let mut watcher = Watcher::start(&world.user, &["--git", &address, "--git-tag", "stable", "--interval", "1s"]);
    watcher.until(0, "the tag", |report| report["source"]["commit"] == *first);
    // The branch alone moves nobody.
    world.push("second");
    let passes = watcher.reports().len();
    watcher.until(passes + 1, "another pass", |report| report["source"]["commit"] == *first);
    let second = tag();
    watcher.until(passes, "the tag where it is now", |report| report["source"]["commit"] == *second);
    assert_eq!(world.deployment()["description"], "second");
    // And back, to a commit that was there before.
    world.author.git(&["checkout", "-q", &first]);
    tag();
    let passes = watcher.reports().len();
    watcher.until(passes, "the tag where it was", |report| report["source"]["commit"] == *first);
    assert_eq!(world.deployment()["description"], "first");
}

#[test]
fn a_thousand_commits_in_a_burst_are_a_few_passes() {
    let world = World::new("remote-burst");
    let address = world.git.address("shop");
    let mut watcher = Watcher::start(&world.user, &["--git", &address, "--interval", "1s"]);
    let first = world.author.git(&["rev-parse", "HEAD"]).trim().to_owned();
    watcher.until(0, "the first commit", |report| report["source"]["commit"] == *first);
    let mut last = String::new();
    for burst in 0..20 {
        last = world.import((0..50).map(|n| (declared(&format!("burst {burst}, {n}")), 0)));
    }
    watcher.until(0, "the newest commit", |report| report["source"]["commit"] == *last);
    assert_eq!(world.deployment()["description"], "burst 19, 49");
    let seen = watcher.reports().iter().filter(|report| !report["changes"].as_array().unwrap().is_empty()).count();
    assert!(seen <= 21, "no more passes than pushes: {seen}");
    // Of the commits between nothing was fetched.
    let there =
        world.author.git(&["-C", &world.place().join("mirror.git").display().to_string(), "count-objects", "-v"]);
    let number = |line: &str| line.split(": ").nth(1).and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or_default();
    let objects: u64 =
        there.lines().filter(|line| line.starts_with("count") || line.starts_with("in-pack")).map(number).sum();
    assert!(objects < 300, "{there}");
}

#[test]
fn a_repository_of_ten_thousand_files() {
    let world = World::new("remote-large");
    let commit = world.import(std::iter::once((declared("among many"), 10_000)));
    let address = world.git.address("shop");
    let mut watcher = Watcher::start(&world.user, &["--git", &address, "--interval", "1s"]);
    let report = watcher.until(0, "all files", |report| report["source"]["commit"] == *commit);
    assert_eq!((&report["source"]["files"], &report["source"]["dirty"]), (&json!(1), &json!(false)), "{report:#}");
    assert_eq!(files(&world.place().join("shop/lib")).len(), 10_000);
    let next = world.import(std::iter::once((declared("still among many"), 0)));
    watcher.until(0, "the next commit", |report| report["source"]["commit"] == *next);
    assert_eq!(world.deployment()["description"], "still among many");
    assert_eq!(files(&world.place().join("shop/lib")).len(), 10_000);
}

#[test]
fn what_is_damaged_is_made_again() {
    let world = World::new("remote-damaged");
    world.applied(&[]);
    let mirror = world.place().join("mirror.git");
    let damages: [(&str, &dyn Fn()); 6] = [
        ("the leavings of many fetches", &|| {
            (0..100).for_each(|n| fs::write(mirror.join(format!("objects/pack/{n}")), "x").unwrap());
        }),
        ("objects", &|| {
            for file in files(&mirror.join("objects")) {
                let _ = Command::new("chmod").arg("u+w").arg(&file).status();
                fs::write(file, "x").unwrap();
            }
        }),
        ("no objects", &|| fs::remove_dir_all(mirror.join("objects")).unwrap()),
        ("no head", &|| fs::write(mirror.join("HEAD"), "x").unwrap()),
        ("no repository beside the files", &|| fs::remove_dir_all(world.place().join("shop/.git")).unwrap()),
        ("files", &|| {
            fs::write(world.place().join("shop/prefect.yaml"), "deployments: []").unwrap();
            fs::write(world.place().join("shop/more.reconcile.yaml"), "nonsense: [").unwrap();
        }),
    ];
    for (n, (what, damage)) in damages.iter().enumerate() {
        damage();
        let description = format!("after {n}");
        let commit = if *what == "files" { None } else { Some(world.push(&description)) };
        let report = world.applied(&[]);
        if let Some(commit) = commit {
            assert_eq!(report["source"]["commit"], *commit, "{what}: {report:#}");
            assert_eq!(world.deployment()["description"], *description, "{what}");
        }
        assert_eq!(report["diagnostics"], json!([]), "{what}: {report:#}");
        assert!(fs::read_dir(mirror.join("objects/pack")).unwrap().count() < 20, "{what}");
    }
}

#[test]
fn a_repository_on_this_disk() {
    let world = World::new("remote-disk");
    let path = world.git.path("shop").display().to_string();
    for address in [path.clone(), format!("file://{path}")] {
        let output = world.user.reconcile(&["apply", "--yes", "--json", "--git", &address]).exits(0);
        let report: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(report["source"]["branch"], "main", "{address}: {report:#}");
    }
    let commit = world.push("second");
    let output = world.user.reconcile(&["plan", "--json", "--git", &path]).exits(0);
    let plan: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&plan["source"]["commit"], &plan["summary"]["update"]), (&json!(commit), &json!(1)), "{plan:#}");
    let rendered = world.user.reconcile(&["render", "deployment/remote-disk/a", "--git", &path]).exits(0);
    assert!(rendered.stdout.contains("git_clone"), "{rendered:?}");
}

#[test]
fn over_ssh_by_the_program_that_git_would_use() {
    let mut world = World::new("remote-ssh");
    let path = world.git.path("shop").display().to_string();
    // What stands in for `ssh` runs the last of its words here.
    let log = world.user.home().join("words");
    let script = format!("#!/bin/sh\necho \"$@\" >> {}\nfor last; do :; done\neval exec \"$last\"\n", log.display());
    let program = world.user.home().join("ssh");
    fs::write(&program, script).unwrap();
    Command::new("chmod").arg("+x").arg(&program).status().unwrap();
    world.user = world.user.env("GIT_SSH_COMMAND", &format!("{} -i 'a key'", program.display()));
    let address = format!("git@example.org:{path}");
    world.user.reconcile(&["apply", "--yes", "--git", &address]).exits(0);
    let commit = world.push("second");
    let output = world.user.reconcile(&["apply", "--yes", "--json", "--git", &address]).exits(0);
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(report["source"]["commit"], *commit, "{report:#}");
    let words = fs::read_to_string(log).unwrap();
    assert!(words.contains("-i a key") && words.contains("BatchMode=yes") && words.contains("-- git@example.org"));
    let step = &world.deployment()["pull_steps"][0]["prefect.deployments.steps.git_clone"];
    assert_eq!(step["repository"], *address);
    let missing = format!("ssh://git@example.org{path}-not");
    let output = world.user.reconcile(&["plan", "--git", &missing]).exits(1);
    assert!(output.stderr.contains("ssh: "), "{output:?}");
}

/// A real SSH server on a free port, if this machine has one.
struct Sshd {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Sshd {
    fn start() -> Option<Sshd> {
        // As its package does when it starts it; without that directory it does not start.
        let _ = fs::create_dir("/run/sshd");
        let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().find(|path| Path::new(path).exists())?;
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for key in ["host", "id"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(key)).status();
            assert!(made.unwrap().success());
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(["-D", "-e", "-f", "/dev/null"]).stderr(Stdio::null()).stdout(Stdio::null());
        let options = [
            format!("Port={port}"),
            "ListenAddress=127.0.0.1".to_owned(),
            format!("HostKey={}", path("host").display()),
            format!("AuthorizedKeysFile={}", path("id.pub").display()),
            format!("PidFile={}", path("pid").display()),
            "StrictModes=no".to_owned(),
            "UsePAM=no".to_owned(),
        ];
        for option in options {
            command.arg("-o").arg(option);
        }
        let child = command.spawn().unwrap();
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(300), "sshd does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Sshd { child, port, dir })
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn over_real_ssh_with_a_key_and_known_hosts() {
    let Some(mut sshd) = Sshd::start() else {
        crate::support::skip::skipped("this machine has no sshd, of Debian's `openssh-server`");
        return;
    };
    let mut world = World::new("remote-sshd");
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let address = format!("ssh://{}@127.0.0.1:{}{}", user.trim(), sshd.port, world.git.path("shop").display());
    let (key, known) = (sshd.dir.path().join("id"), sshd.dir.path().join("known"));
    let ssh = format!("ssh -F /dev/null -i {} -o UserKnownHostsFile={}", key.display(), known.display());
    world.user = world.user.env("GIT_SSH_COMMAND", &ssh);
    let unknown = world.user.reconcile(&["plan", "--git", &address]).exits(1);
    assert!(unknown.stderr.contains("Host key verification failed"), "{unknown:?}");
    assert!(unknown.stderr.contains("known_hosts"), "{unknown:?}");
    let host = fs::read_to_string(sshd.dir.path().join("host.pub")).unwrap();
    fs::write(&known, format!("[127.0.0.1]:{} {host}", sshd.port)).unwrap();
    world.user.reconcile(&["apply", "--yes", "--git", &address]).exits(0);
    let commit = world.push("second");
    let output = world.user.reconcile(&["apply", "--yes", "--json", "--git", &address]).exits(0);
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(report["source"]["commit"], *commit, "{report:#}");
    sshd.child.kill().unwrap();
    sshd.child.wait().unwrap();
    let away = world.user.reconcile(&["plan", "--git", &address]).exits(1);
    assert!(away.stderr.contains("Connection refused"), "{away:?}");
}

#[test]
fn a_remote_repository_is_refused_where_it_makes_no_sense() {
    let project = Project::new();
    let cases: [(&[&str], &str); 6] = [
        (&["--branch", "x"], "--git"),
        (&["plan", "--git", "x", "--changed-since", "y"], "cannot be used with"),
        (&["plan", "--git", "x", "--branch", "a", "--git-tag", "b"], "cannot be used with"),
        (&["plan", "--git", "x", "--base", "y"], "--git"),
        (&["plan", "--git", "x", "some/dir"], "--subdir"),
        (&["plan", "--git", ""], "--git"),
    ];
    for (args, words) in cases {
        let output = project.reconcile(args).exits(64);
        assert!(output.stderr.contains(words), "{args:?}: {output:?}");
    }
    for address in ["ext::sh -c id", "git://example.org/x", "/nowhere/at/all"] {
        let output = project.reconcile(&["plan", "--git", address]).exits(1);
        assert!(output.stderr.contains("error: fetch"), "{output:?}");
    }
}
