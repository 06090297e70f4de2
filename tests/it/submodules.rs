//! `--git --submodules`: what is checked out of other repositories, and what their servers are told.

use std::fs;

use serde_json::{Value, json};

use crate::remote::World;
use crate::support::git_server::{GitServer, Rules};
use crate::support::project::Project;

const TOKEN: &str = "canary-of-the-token";

/// A repository with one file, pushed to a server.
fn library(git: &GitServer, name: &str, text: &str) -> Project {
    let project = Project::new().file("values.reconcile.yaml", text).git_init(None);
    git.push(&project, name, "main");
    project
}

fn variable(name: &str, value: &str) -> String {
    format!("variables:\n- {{name: {name}, value: {value}}}\n")
}

/// Makes a commit of another repository a submodule, as `git submodule add` does, and pushes.
fn add(world: &World, path: &str, url: &str, commit: &str) {
    let author = &world.author;
    let section = format!("submodule.{path}");
    author.git(&["config", "-f", ".gitmodules", &format!("{section}.path"), path]);
    author.git(&["config", "-f", ".gitmodules", &format!("{section}.url"), url]);
    author.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},{path}")]);
    author.git(&["add", ".gitmodules"]);
    author.git(&["commit", "-q", "-m", "a submodule"]);
    world.git.push(author, "shop", "main");
}

fn head(project: &Project) -> String {
    project.git(&["rev-parse", "HEAD"]).trim().to_owned()
}

fn names(report: &Value) -> Vec<&str> {
    report["changes"].as_array().unwrap().iter().map(|change| change["name"].as_str().unwrap()).collect()
}

#[test]
fn their_files_count_and_they_follow_the_commit() {
    let mut world = World::new("submodules");
    let inner = library(&world.git, "inner", &variable("sub_inner", "1"));
    let outer = library(&world.git, "outer", &variable("sub_outer", "1"));
    outer.git(&["config", "-f", ".gitmodules", "submodule.deep.path", "deep"]);
    outer.git(&["config", "-f", ".gitmodules", "submodule.deep.url", "../inner.git"]);
    outer.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{},deep", head(&inner))]);
    outer.git(&["add", ".gitmodules"]);
    outer.git(&["commit", "-q", "-m", "a submodule"]);
    world.git.push(&outer, "outer", "main");
    add(&world, "vendor/outer", "../outer.git", &head(&outer));
    // The token is for this server, and all three are there.
    world.git.rules(Rules { token: Some(TOKEN.to_owned()), ..Rules::default() });
    world.user = world.user.env("RECONCILE_GIT_TOKEN", TOKEN);
    let without = world.applied(&[]);
    assert_eq!(names(&without), ["submodules/a"], "{without:#}");
    let with = world.applied(&["--submodules"]);
    assert_eq!(with["source"]["dirty"], false, "{with:#}");
    let mut made = names(&with);
    made.sort_unstable();
    assert_eq!(made, ["sub_inner", "sub_outer", "submodules/a"], "the pull step changes as well: {with:#}");
    let step = &world.deployment()["pull_steps"][0]["prefect.deployments.steps.git_clone"];
    assert_eq!(step["include_submodules"], true, "{step:#}");
    assert_eq!(world.applied(&["--submodules"])["changes"], json!([]));

    // A new commit of it, then it goes.
    outer.write("values.reconcile.yaml", &variable("sub_outer", "2"));
    outer.git(&["commit", "-q", "-m", "newer", "--", "values.reconcile.yaml"]);
    let newer = head(&outer);
    world.git.push(&outer, "outer", "main");
    assert_eq!(world.applied(&["--submodules"])["changes"], json!([]), "nobody committed that");
    add(&world, "vendor/outer", "../outer.git", &newer);
    assert_eq!(names(&world.applied(&["--submodules"])), ["sub_outer"]);
    world.author.git(&["rm", "-q", "--cached", "vendor/outer"]);
    world.author.git(&["rm", "-q", "-f", ".gitmodules"]);
    world.author.git(&["commit", "-q", "-m", "no submodule"]);
    world.git.push(&world.author, "shop", "main");
    let gone = world.applied(&["--submodules", "--prune", "--max-delete", "100%"]);
    assert_eq!(names(&gone), ["sub_inner", "sub_outer"], "{gone:#}");
}

#[test]
fn no_server_is_told_what_is_for_another() {
    let mut world = World::new("submodules-elsewhere");
    let other = GitServer::start();
    let library = library(&other, "library", &variable("sub_elsewhere", "1"));
    add(&world, "library", &other.address("library"), &head(&library));
    world.git.rules(Rules { token: Some(TOKEN.to_owned()), ..Rules::default() });
    world.user = world.user.env("RECONCILE_GIT_TOKEN", TOKEN);
    world.applied(&["--submodules"]);
    let told = other.requests();
    assert!(!told.is_empty() && told.iter().all(|request| !request.authorized), "{told:?}");
    // One that wants to know more is refused, by its name.
    other.rules(Rules { token: Some(TOKEN.to_owned()), ..Rules::default() });
    fs::remove_dir_all(world.user.home().join("cache/git")).unwrap();
    let refused = world.apply(&["--submodules"]).exits(1);
    assert!(refused.stderr.contains("submodule `library`: the server asks for credentials"), "{refused:?}");
    assert!(other.requests().iter().all(|request| !request.authorized));
}

#[test]
fn what_leads_astray_is_refused_by_name() {
    let world = World::new("submodules-astray");
    let library = library(&world.git, "library", "variables: []\n");
    let here = library.path().display().to_string();
    let first = head(&world.author);
    let cases = [
        (here.clone(), "would be one of this machine"),
        (format!("file://{here}"), "would be one of this machine"),
        ("../../../../nowhere.git".to_owned(), "leads nowhere"),
        ("../missing.git".to_owned(), "there is no such repository"),
        ("ext::sh -c touch% pwned".to_owned(), "submodule `library`: "),
    ];
    for (url, words) in cases {
        add(&world, "library", &url, &head(&library));
        let output = world.apply(&["--submodules"]).exits(1);
        assert!(output.stderr.contains("submodule `library`: ") && output.stderr.contains(words), "{url}: {output:?}");
        world.author.git(&["reset", "-q", "--hard", &first]);
    }
    add(&world, "library", "../library.git", "1111111111111111111111111111111111111111");
    let output = world.apply(&["--submodules"]).exits(1);
    assert!(output.stderr.contains("submodule `library`: there is no commit `1111"), "{output:?}");
}
