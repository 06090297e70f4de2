//! `--signers`: only commits that somebody signed who may; what a loop does with others.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::remote::World;
use crate::support::Server;
use crate::support::forge::FakeForge;
use crate::support::git_server::Rules;
use crate::support::http::Http;
use crate::support::project::Project;
use crate::support::skip::skipped_for_want;
use crate::support::watcher::Watcher;

/// Whether a program is there.
fn has(program: &str) -> bool {
    Command::new(program).arg("--help").output().is_ok()
}

/// Makes a key of SSH in the home directory of the author; its public half.
fn ssh_key(author: &Project, name: &str) -> String {
    let path = author.home().join(name);
    fs::create_dir_all(author.home()).unwrap();
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status().unwrap();
    assert!(made.success());
    fs::read_to_string(path.with_extension("pub")).unwrap()
}

/// From now on the author signs with a key of SSH.
fn signs_with(author: &Project, name: &str) {
    author.git(&["config", "gpg.format", "ssh"]);
    author.git(&["config", "user.signingkey", author.home().join(name).to_str().unwrap()]);
    author.git(&["config", "commit.gpgsign", "true"]);
}

#[test]
fn what_nobody_signed_who_may_is_not_applied() {
    if !has("ssh-keygen") {
        return skipped_for_want("there is no `ssh-keygen`");
    }
    let world = World::new("signed-once");
    let (ada, eve) = (ssh_key(&world.author, "ada"), ssh_key(&world.author, "eve"));
    world.user.write("signers", &format!("# who may\nada@example.org {ada}"));
    world.user.write("others", &format!("eve@example.org valid-before=\"20200101\" {eve}"));
    let refused = |why: &str, signers: &[&str]| {
        let output = world.apply(signers).exits(1);
        assert!(output.stderr.contains("error[E0525]") && output.stderr.contains(why), "{output:?}");
        let json: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(json["error"]["code"], "E0525", "{json:#}");
    };
    refused("it is not signed", &["--signers", "signers"]);
    assert_eq!(Server::shared().http().request("GET", "/deployments/name/signed-once/a", None).status, 404);

    signs_with(&world.author, "ada");
    let good = world.push("second");
    assert_eq!(world.applied(&["--signers", "signers"])["source"]["commit"], json!(good));
    // Runs get what was verified, and not what the branch is by then.
    let step = &world.deployment()["pull_steps"][0]["prefect.deployments.steps.git_clone"];
    assert_eq!((&step["commit_sha"], &step["branch"]), (&json!(good), &Value::Null));
    // A key that may no longer sign, one that never might, and a kind of signature of which nobody is known.
    signs_with(&world.author, "eve");
    let bad = world.push("third");
    refused("not a good one of anybody who may sign", &["--signers", "signers"]);
    refused("not a good one of anybody who may sign", &["--signers", "others"]);
    world.user.write("keys", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n");
    refused("no allowed signers are known", &["--signers", "keys"]);
    // What was signed is another commit.
    let forged = world.author.git(&["cat-file", "commit", &good]).replace("second", "fourth");
    fs::write(world.author.path().join(".git/forged"), forged).unwrap();
    let id = world.author.git(&["hash-object", "-t", "commit", "-w", ".git/forged"]).trim().to_owned();
    world.author.git(&["reset", "-q", "--hard", &id]);
    world.git.push(&world.author, "shop", "main");
    refused("not a good one of anybody who may sign", &["--signers", "signers"]);
    assert_eq!(world.deployment()["description"], "second");

    // Any of several files will do, and files that name nobody are none.
    world.user.write("new", &format!("eve@example.org {eve}"));
    world.git.push(&world.author, "shop", &format!("{bad}:main"));
    assert_eq!(world.applied(&["--signers", "signers", "--signers", "new"])["source"]["commit"], json!(bad));
    world.user.write("nobody", "# nobody\n");
    let nobody = world.apply(&["--signers", "nobody"]).exits(1);
    assert!(nobody.stderr.contains("names nobody who may sign"), "{nobody:?}");
    let alone = world.user.reconcile(&["plan", "--signers", "signers"]).exits(64);
    assert!(alone.stderr.contains("--git"), "{alone:?}");
}

#[test]
fn a_loop_keeps_up_the_last_good_commit() {
    if !has("ssh-keygen") {
        return skipped_for_want("there is no `ssh-keygen`");
    }
    let forge = FakeForge::start();
    let mut world = World::new("signed-loop");
    for (name, value) in forge.github() {
        world.user = world.user.env(name, &value);
    }
    let ada = ssh_key(&world.author, "ada");
    world.user.write("signers", &format!("ada@example.org {ada}"));
    signs_with(&world.author, "ada");
    let good = world.push("second");
    let address = world.git.address("shop");
    let args = ["--git", &address, "--signers", "signers", "--interval", "1s", "--drift-interval", "0"];
    let mut watcher =
        Watcher::start(&world.user, &[&args[..], &["--commit-status", "--listen", "127.0.0.1:0"]].concat());
    let page = watcher.says("the status page is at").rsplit("at ").next().unwrap().to_owned();
    watcher.until(0, "the signed commit", |report| report["source"]["commit"] == json!(good));

    world.author.git(&["config", "commit.gpgsign", "false"]);
    let bad = world.push("third");
    let refused = watcher.until(0, "a refusal", |report| report["error"]["code"] == "E0525");
    assert_eq!(refused["source"]["commit"], json!(good), "{refused:#}");
    let status = Http::new(&page).get("/status.json");
    assert_eq!((&status["state"], &status["error"]["code"]), (&json!("failed"), &json!("E0525")), "{status:#}");
    let ready = Http::new(&page).once("GET", "/readyz", None);
    assert_eq!(ready.status, 503);
    // The last good commit is kept up.
    let id = world.deployment()["id"].as_str().unwrap().to_owned();
    Server::shared().http().patch(&format!("/deployments/{id}"), json!({"description": "by hand"}));
    until("it is put back", || world.deployment()["description"] == "second");

    world.author.git(&["config", "commit.gpgsign", "true"]);
    let better = world.push("fourth");
    watcher.until(0, "the next signed commit", |report| report["source"]["commit"] == json!(better));
    let line = |commit: &str, state: &str| format!("{commit} {state} reconcile/signed-loop");
    let wanted = [line(&good, "success"), line(&bad, "failure"), line(&better, "success")];
    until("each commit has its status", || forge.statuses() == wanted);
    let output = watcher.stop().exits(0);
    assert!(output.stderr.contains(&format!("commit {bad} of {address} is refused: it is not signed")), "{output:?}");
    assert_eq!(world.deployment()["description"], "fourth");
}

#[test]
fn the_last_good_commit_outlives_the_mirror() {
    if !has("ssh-keygen") {
        return skipped_for_want("there is no `ssh-keygen`");
    }
    let world = World::new("signed-mirror");
    let ada = ssh_key(&world.author, "ada");
    world.user.write("signers", &format!("ada@example.org {ada}"));
    signs_with(&world.author, "ada");
    let good = world.push("second");
    let address = world.git.address("shop");
    let mut watcher = Watcher::start(&world.user, &["--git", &address, "--signers", "signers", "--interval", "1s"]);
    watcher.until(0, "the signed commit", |report| report["source"]["commit"] == json!(good));
    world.author.git(&["config", "commit.gpgsign", "false"]);
    world.push("third");
    let goes_on = |report: &Value| report["error"]["code"] == "E0525" && report["source"]["commit"] == json!(good);
    watcher.until(0, "a refusal", goes_on);

    let mirror = world.place().join("mirror.git");
    let damages: [(&str, bool, &dyn Fn()); 3] = [
        ("no repository any more", true, &|| fs::remove_file(mirror.join("HEAD")).unwrap()),
        ("the leavings of many fetches", true, &|| {
            (0..100).for_each(|n| fs::write(mirror.join(format!("objects/pack/{n}")), "x").unwrap());
        }),
        ("no objects", false, &|| fs::remove_dir_all(mirror.join("objects")).unwrap()),
    ];
    for (what, is_away, damage) in damages {
        // While the server is away the mirror is lost, and cannot be made again.
        world.git.rules(Rules { away: is_away, ..Rules::default() });
        damage();
        if is_away {
            let passes = watcher.reports().len();
            watcher.until(passes + 1, what, |report| report["source"].is_null());
            world.git.rules(Rules::default());
        }
        let passes = watcher.reports().len();
        watcher.until(passes + 1, what, goes_on);
    }
    watcher.stop().exits(0);
}

#[track_caller]
fn until(what: &str, test: impl Fn() -> bool) {
    let began = Instant::now();
    while !test() {
        assert!(began.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn signatures_of_openpgp() {
    if !has("gpg") {
        return skipped_for_want("there is no `gpg`");
    }
    let mut world = World::new("signed-gpg");
    // The agent's socket has to have a short name.
    let keys = tempfile::Builder::new().prefix("gpg").tempdir().unwrap();
    let home = keys.path().to_str().unwrap();
    let gpg = |args: &[&str]| {
        let output = Command::new("gpg").args(["--homedir", home, "--batch", "--quiet"]).args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for who in ["ada", "eve"] {
        let name = format!("{who} <{who}@example.org>");
        gpg(&["--passphrase", "", "--quick-generate-key", &name, "ed25519", "sign", "never"]);
        world.user.write(who, &gpg(&["--armor", "--export", who]));
    }
    world.author = world.author.env("GNUPGHOME", home);
    world.author.git(&["config", "commit.gpgsign", "true"]);
    world.author.git(&["config", "user.signingkey", "ada@example.org"]);
    let good = world.push("second");
    assert_eq!(world.applied(&["--signers", "ada"])["source"]["commit"], json!(good));
    let refused = world.apply(&["--signers", "eve"]).exits(1);
    assert!(refused.stderr.contains("OpenPGP signature is not a good one of anybody who may"), "{refused:?}");
    // Both: it is signed by one of them.
    world.author.git(&["config", "user.signingkey", "eve@example.org"]);
    world.push("third");
    world.applied(&["--signers", "ada", "--signers", "eve"]);
    assert_eq!(world.deployment()["description"], "third");
    let _ = Command::new("gpgconf").args(["--homedir", home, "--kill", "all"]).status();
}
