//! `plan --comment` and `apply --reviewed` at a forge: one note that is updated in place, and only what it shows is
//! applied.

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::forge::{FakeForge, Fault, TOKEN};
use crate::support::project::{Output, Project};
use crate::support::watcher::Watcher;
use crate::support::workspace::Workspace;

const FLOW: &str = "from prefect import flow\n\n@flow\ndef noted(n: int = 1):\n    pass\n";

fn manifest(name: &str, tag: &str) -> String {
    format!(
        "deployments:\n- name: {name}\n  entrypoint: flow.py:noted\n  tags: [{tag}]\n  work_pool: {{name: {name}}}\n"
    )
}

/// A project without an API.
fn offline(tag: &str) -> Project {
    Project::new()
        .file("flow.py", FLOW)
        .file("reconcile.yaml", "name: noted\n")
        .file("prefect.yaml", &manifest("noted", tag))
        .git_init(None)
}

fn on(project: Project, job: [(&'static str, String); 5]) -> Project {
    job.iter().fold(project, |project, (name, value)| project.env(name, value))
}

/// A project with its pool on a server.
fn online(server: &Server, name: &str) -> Project {
    Workspace::of(&server.url).prepare(&[(name, json!("process"))], &[], &[]);
    let project = offline("one").api(&server.url);
    project.write("reconcile.yaml", &format!("name: {name}\n"));
    project.write("prefect.yaml", &manifest(name, "one"));
    project.git_commit("named");
    project
}

fn tags(server: &Server, name: &str) -> Value {
    server.http().request("GET", &format!("/deployments/name/noted/{name}"), None).body["tags"].clone()
}

fn no_token(output: &Output) {
    assert!(!output.stdout.contains(TOKEN) && !output.stderr.contains(TOKEN), "{output:?}");
}

#[test]
fn one_note_is_made_and_then_updated_in_place() {
    for (gitlab, update) in
        [(false, "PATCH /repos/o/r/issues/comments/"), (true, "PUT /api/v4/projects/7/merge_requests/5/notes/")]
    {
        let forge = FakeForge::start();
        let job = if gitlab { forge.gitlab() } else { forge.github() };
        if gitlab {
            forge.is_of("project_7_bot");
        }
        let project = on(offline("one"), job);
        // Ours is on the third page, and a stranger was there before with our marker.
        project.reconcile(&["plan", "--untrusted", "--comment"]).exits(0);
        let stolen = forge.notes()[0].clone();
        forge.clear();
        forge.write("mallory", "User", &stolen);
        for n in 0..220 {
            forge.write("ada", "User", &format!("note {n}"));
        }
        forge.seen();
        let first = project.reconcile(&["plan", "--untrusted", "--comment"]).exits(0);
        no_token(&first);
        assert!(first.stdout.contains("1 to create") && first.stderr.contains("commented: "), "{first:?}");
        let notes = forge.notes();
        assert_eq!(notes.len(), 222, "one note is made");
        assert_eq!(notes[0], stolen, "what a stranger wrote is left alone");
        let seen = forge.seen();
        assert_eq!(seen.iter().filter(|line| line.contains("page=")).count(), 3, "{seen:#?}");
        assert!(notes[221].starts_with("<!-- reconcile:note="), "{}", notes[221]);
        assert!(notes[221].contains("digest=sha256:") && notes[221].contains("noted/noted"), "{}", notes[221]);
        let run = if gitlab { "(https://gitlab.example.org/o/r/-/jobs/3)" } else { "/o/r/actions/runs/99)" };
        assert!(notes[221].contains(run), "{}", notes[221]);

        project.write("prefect.yaml", &manifest("noted", "two"));
        project.reconcile(&["plan", "--untrusted", "--comment"]).exits(0);
        let seen = forge.seen();
        assert!(seen.last().unwrap().starts_with(update), "{seen:#?}");
        let again = forge.notes();
        assert_eq!(again.len(), 222, "it is updated");
        assert!(again[221].contains("\"two\"") && again[221] != notes[221], "{}", again[221]);

        // Another environment has another note.
        project.write("reconcile.yaml", "name: noted\nenvironments: {prod: {}}\n");
        project.reconcile(&["plan", "--untrusted", "--comment", "--env", "prod"]).exits(0);
        assert_eq!(forge.notes().len(), 223);
    }
}

#[test]
fn failures_are_told_with_the_next_step_and_the_plan_is_not_lost() {
    let forge = FakeForge::start();
    let project = on(offline("one"), forge.github());
    let args = ["plan", "--untrusted", "--comment"];
    let cases = [
        (403, "{\"message\": \"Resource not accessible by integration\"}", "permissions: pull-requests: write"),
        (401, "{\"message\": \"Bad credentials\"}", "the token is not valid"),
        (404, "{\"message\": \"Not Found\"}", "may not see the repository"),
        (422, "no JSON", "mistake of ours"),
    ];
    for (status, body, help) in cases {
        forge.fail(&[Fault::Refused(status, Vec::new(), body)]);
        let told = project.reconcile(&args).exits(1);
        no_token(&told);
        assert!(told.stdout.contains("1 to create"), "the plan is printed: {told:?}");
        assert!(told.stderr.contains(&format!("HTTP {status}")) && told.stderr.contains(help), "{told:?}");
        forge.fail(&[Fault::Refused(status, Vec::new(), body)]);
        let tried = project.reconcile(&["plan", "--untrusted", "--comment=try", "--json"]).exits(0);
        assert!(tried.stderr.contains("no comment is made") && tried.stderr.contains(help), "{tried:?}");
        let json: Value = serde_json::from_str(&tried.stdout).unwrap();
        assert_eq!(json["summary"]["create"], 1);
    }
    assert_eq!(forge.notes().len(), 0);

    // Too fast, and then a note that was made although the answer was lost.
    let slow = Fault::Refused(403, vec![("retry-after", "1")], "{\"message\": \"secondary rate limit\"}");
    forge.fail(&[slow, Fault::Refused(502, Vec::new(), "")]);
    project.reconcile(&args).exits(0);
    forge.clear();
    forge.seen();
    forge.fail(&[Fault::Refused(503, Vec::new(), ""), Fault::Lost]);
    project.reconcile(&args).exits(0);
    assert_eq!(forge.notes().len(), 1, "{:#?}", forge.seen());
    forge.clear();
    // GET, then the POST that is carried out and whose answer is lost.
    project.reconcile(&args).exits(0);
    forge.clear();
    let lost = [Fault::Refused(200, Vec::new(), "[]"), Fault::Lost];
    forge.fail(&lost);
    project.reconcile(&args).exits(0);
    assert_eq!(forge.notes().len(), 1, "a note is not made twice: {:#?}", forge.seen());
}

#[test]
fn where_there_is_no_pull_request_it_is_said_before_any_work() {
    let nowhere = offline("one");
    let told = nowhere.reconcile(&["plan", "--untrusted", "--comment"]).exits(64);
    assert!(told.stdout.is_empty() && told.stderr.contains("no job of GitHub Actions or GitLab CI"), "{told:?}");
    let told = nowhere.reconcile(&["apply", "--reviewed", "--yes"]).exits(64);
    assert!(told.stderr.contains("no job of GitHub"), "{told:?}");
    let tried = nowhere.reconcile(&["plan", "--untrusted", "--comment=try"]).exits(0);
    assert!(tried.stdout.contains("1 to create") && tried.stderr.contains("no comment is made"), "{tried:?}");

    let forge = FakeForge::start();
    let pushed = on(offline("one"), forge.github()).env("GITHUB_REF", "refs/heads/main");
    let told = pushed.reconcile(&["plan", "--untrusted", "--comment", "--json"]).exits(64);
    assert!(
        told.stderr.contains("about no pull request") && told.stderr.contains("refs/pull/NUMBER/merge"),
        "{told:?}"
    );
    let json: Value = serde_json::from_str(&told.stdout).unwrap();
    assert!(json["error"]["message"].as_str().unwrap().contains("no pull request"), "{json:#}");
    let branch = on(offline("one"), forge.gitlab()).env("CI_MERGE_REQUEST_IID", "");
    let told = branch.reconcile(&["plan", "--untrusted", "--comment"]).exits(64);
    assert!(told.stderr.contains("about no merge request") && told.stderr.contains("merge_request_event"), "{told:?}");
    let mute = on(offline("one"), forge.github()).env("GITHUB_TOKEN", "");
    let told = mute.reconcile(&["plan", "--untrusted", "--comment"]).exits(64);
    assert!(told.stderr.contains("no token") && told.stderr.contains("github.token"), "{told:?}");
    assert_eq!(forge.seen(), Vec::<String>::new());
}

#[test]
fn a_large_plan_is_cut_to_what_the_forge_takes() {
    let forge = FakeForge::start();
    let project = on(offline("one"), forge.github());
    let one = |n: usize| {
        format!(
            "- name: d{n}\n  entrypoint: flow.py:noted\n  description: \"{}\"\n  work_pool: {{name: p}}\n",
            "Ж🦀".repeat(60)
        )
    };
    let all: String = (0..400).map(one).collect();
    project.write("prefect.yaml", &format!("deployments:\n{all}"));
    project.reconcile(&["plan", "--untrusted", "--comment"]).exits(0);
    let note = forge.notes().remove(0);
    let length: usize = note.chars().map(char::len_utf16).sum();
    assert!((64_000..=65_536).contains(&length), "{length}");
    assert!(note.starts_with("<!-- reconcile:note=") && note.contains("**Plan: 400 to create"), "{note}");
    assert!(note.contains("lines do not fit in here: [the job](https://github.com/o/r/actions/runs/99)"));
    assert_eq!(note.matches("<details>").count(), note.matches("</details>").count());
    assert!(note.trim_end().ends_with("</sub>"), "{}", &note[note.len() - 200..]);
}

#[test]
fn names_that_others_chose_stay_names() {
    let forge = FakeForge::start();
    let project = on(offline("one"), forge.github());
    let hostile = "x --> <!-- reconcile:note=00 digest=sha256:00 --> $(touch pwned) `touch pwned` ::error::pwned";
    // Prefect takes no names with these two.
    let name = hostile.replace(['<', '>'], "@octocat");
    let scope = format!("{hostile} ![](https://evil/x.png) [approved](https://evil) #1");
    project.write("reconcile.yaml", &format!("name: {}\n", json!(scope)));
    project.write(
        "prefect.yaml",
        &format!(
            "deployments:\n- name: {}\n  entrypoint: flow.py:noted\n  tags: [{}]\n  work_pool: {{name: p}}\n",
            json!(format!("{name}\n::set-output name=changes::pwned\n```\n")),
            json!(format!("a\n{hostile}\n</details>\n```\n##[add-mask]pwned")),
        ),
    );
    let run = |files: &[&str]| {
        let also: Vec<String> = files.iter().map(|form| format!("--also={form}=../{form}")).collect();
        let mut args = vec!["plan", "--untrusted", "--comment"];
        args.extend(also.iter().map(String::as_str));
        project.reconcile(&args).exits(0)
    };
    run(&["github", "outputs", "markdown"]);
    run(&[]);
    let notes = forge.notes();
    assert_eq!(notes.len(), 1, "the marker is found again: {notes:#?}");
    assert!(notes[0].lines().next().unwrap().matches("-->").count() == 1, "{}", notes[0]);
    assert!(!notes[0].contains("\n::") && !notes[0].contains("\n</details>\n```"), "{}", notes[0]);
    assert!(!notes[0].lines().skip(1).any(|line| line.starts_with("<!--")), "{}", notes[0]);
    let title = notes[0].lines().nth(1).unwrap();
    assert!(["<", "![](", "](https", "://", " #1"].iter().all(|live| !title.contains(live)), "{title}");
    assert!(!project.path().join("pwned").exists());
    let read = |name: &str| std::fs::read_to_string(project.path().join("..").join(name)).unwrap();
    let annotations = read("github");
    assert!(annotations.lines().all(|line| line.starts_with("::notice ")), "{annotations}");
    let outputs = read("outputs");
    assert!(!outputs.contains("pwned") && outputs.lines().all(|line| line.split_once('=').is_some()), "{outputs}");
}

#[test]
fn only_what_was_reviewed_is_applied() {
    let server = Server::shared();
    for gitlab in [false, true] {
        let name = if gitlab { "reviewed-gitlab" } else { "reviewed-github" };
        let forge = FakeForge::start();
        let project = online(server, name);
        let (reviewing, applying) = match gitlab {
            true => {
                forge.is_of("project_7_bot");
                (forge.gitlab(), "CI_MERGE_REQUEST_IID")
            }
            false => (forge.github(), "GITHUB_REF"),
        };
        let project = on(project, reviewing.clone());
        let planned = project.reconcile(&["plan", "--comment", "--json"]).exits(0);
        let digest = serde_json::from_str::<Value>(&planned.stdout).unwrap()["digest"].as_str().unwrap().to_owned();
        assert!(forge.notes()[0].contains(&digest), "{}", forge.notes()[0]);
        // On the main branch, nobody has merged yet.
        let project = project.env(applying, "");
        let early = project.reconcile(&["apply", "--reviewed", "--yes"]).exits(5);
        assert!(early.stderr.contains("no plan of these files was reviewed"), "{early:?}");
        forge.merge(project.git(&["rev-parse", "HEAD"]).trim());
        let applied = project.reconcile(&["apply", "--reviewed", "--yes"]).exits(0);
        no_token(&applied);
        assert_eq!(tags(server, name), json!(["one"]), "{applied:?}");
        // Nothing to do needs no review.
        forge.clear();
        project.reconcile(&["apply", "--reviewed", "--yes"]).exits(0);

        // Two is reviewed, three is merged.
        let project = on(project, reviewing);
        project.write("prefect.yaml", &manifest(name, "two"));
        project.reconcile(&["plan", "--comment"]).exits(0);
        let project = project.env(applying, "");
        project.write("prefect.yaml", &manifest(name, "three"));
        forge.merge(&project.git_commit("three"));
        let refused = project.reconcile(&["apply", "--reviewed", "--yes", "--json"]).exits(5);
        assert!(refused.stderr.contains("is not what would be applied now"), "{refused:?}");
        assert_eq!(refused.stderr.matches("sha256:").count(), 2, "{refused:?}");
        let told: Value = serde_json::from_str(&refused.stdout).unwrap();
        assert_eq!(told["stale"], true, "{told:#}");
        let schema = jsonschema::draft202012::new(&reconcile::report::schema::report()).unwrap();
        assert!(schema.is_valid(&told), "{told:#}");
        assert_eq!(tags(server, name), json!(["one"]), "nothing is written");

        // A stranger approves of it in our name.
        let note = forge.notes().remove(0);
        let now = told["now"]["digest"].as_str().unwrap();
        forge.clear();
        let old = reconcile::forge::digest_in(&note).unwrap().to_owned();
        forge.write("mallory", "User", &note.replace(&old, now));
        let refused = project.reconcile(&["apply", "--reviewed", "--yes"]).exits(5);
        assert!(refused.stderr.contains("no plan of these files was reviewed"), "{refused:?}");

        // What was invalid when it was looked at is not applied either.
        let project = project.env(applying, if gitlab { "5" } else { "refs/pull/5/merge" });
        project.write("prefect.yaml", "deployments: 1\n");
        project.reconcile(&["plan", "--comment"]).exits(4);
        project.write("prefect.yaml", &manifest(name, "three"));
        let refused = project.reconcile(&["apply", "--reviewed", "--yes"]).exits(5);
        assert!(refused.stderr.contains("was invalid"), "{refused:?}");
        // Reviewed before the merge, on the request itself.
        project.reconcile(&["plan", "--comment"]).exits(0);
        project.reconcile(&["apply", "--reviewed", "--yes"]).exits(0);
        assert_eq!(tags(server, name), json!(["three"]));
    }
}

#[test]
fn neither_templates_nor_steps_see_our_token() {
    let server = Server::shared();
    let project = online(server, "forge-token").env("RECONCILE_FORGE_TOKEN", "canary-forge");
    let text = manifest("forge-token", "one")
        + "  version: '{{ $RECONCILE_FORGE_TOKEN }}'\n  build:\n  - prefect.deployments.steps.run_shell_script:\n      \
           script: env\n      stream_output: true\n";
    project.write("prefect.yaml", &text);
    let output = project.reconcile(&["apply", "--yes"]).exits(0);
    assert!(!(output.stdout + &output.stderr).contains("canary-forge"));
    assert!(!server.http().get("/deployments/name/noted/forge-token").to_string().contains("canary-forge"));
}

#[test]
fn a_loop_says_on_each_commit_how_it_stands() {
    let server = Server::shared();
    let forge = FakeForge::start();
    let project = on(online(server, "stated"), forge.github());
    let first = project.git(&["rev-parse", "HEAD"]).trim().to_owned();
    forge.fail(&[Fault::Refused(403, Vec::new(), r#"{"message": "not now"}"#)]);
    let mut watcher = Watcher::start(&project, &["--interval", "1h", "--commit-status"]);
    watcher.until(0, "the first pass", |report| report["changes"][0]["result"] == "done");
    watcher.says("was not set");
    // What the forge did not take is said again with the next pass, although that changes nothing.
    let passes = watcher.reports().len();
    watcher.signal("-HUP");
    watcher.until(passes, "a pass without changes", |_| true);
    let passes = watcher.reports().len();
    project.write("prefect.yaml", "deployments: [\n");
    let second = project.git_commit("broken");
    watcher.until(passes, "the complaint", |report| report["source"]["commit"] == json!(second));
    let wanted = [format!("{first} success reconcile/stated"), format!("{second} failure reconcile/stated")];
    let began = std::time::Instant::now();
    while forge.statuses() != wanted {
        assert!(began.elapsed() < std::time::Duration::from_secs(120), "{:#?}", forge.statuses());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    watcher.stop().exits(0);
    let nowhere = offline("one").reconcile(&["--watch", "--commit-status"]).exits(64);
    assert!(nowhere.stderr.contains("no job of GitHub Actions or GitLab CI"), "{nowhere:?}");
}

#[test]
fn drift_has_a_note_of_its_own() {
    let server = Server::shared();
    let forge = FakeForge::start();
    let project = on(online(server, "drift-noted"), forge.github());
    project.reconcile(&["apply", "--yes"]).exits(0);
    project.reconcile(&["plan", "--comment"]).exits(0);
    let calm = project.reconcile(&["drift", "--comment"]).exits(0);
    assert!(calm.stderr.contains("commented: https://github.com/o/r/pull/5"), "{calm:?}");
    let deployment = server.http().get("/deployments/name/noted/drift-noted");
    let path = format!("/deployments/{}", deployment["id"].as_str().unwrap());
    server.http().patch(&path, json!({"tags": ["by-hand"]}));
    no_token(&project.reconcile(&["drift", "--comment"]).exits(2));
    let notes = forge.notes();
    assert_eq!(notes.len(), 2, "{notes:#?}");
    assert!(notes[0].contains("reconcile plan: drift-noted") && !notes[0].contains("by-hand"), "{}", notes[0]);
    assert!(notes[1].contains("reconcile drift: drift-noted") && notes[1].contains("by-hand"), "{}", notes[1]);
    // Nobody approves of a plan with it.
    assert!(notes[1].lines().next().unwrap().contains("digest=none"), "{}", notes[1]);
    forge.fail(&[Fault::Refused(403, Vec::new(), "{}")]);
    project.reconcile(&["drift", "--comment"]).exits(1);
    forge.fail(&[Fault::Refused(403, Vec::new(), "{}")]);
    project.reconcile(&["drift", "--comment=try"]).exits(2);
    let nowhere = offline("one").reconcile(&["drift", "--comment"]).exits(64);
    assert!(nowhere.stderr.contains("no job of GitHub Actions"), "{nowhere:?}");
}
