//! `reconcile init` beside `prefect init`: the same files, for every recipe.

use std::fs;
use std::path::Path;

use reconcile::manifest::{json_mode, yaml};
use reconcile::model::RepoPath;
use serde_json::Value;

use crate::support::project::Project;

const RECIPES: [&str; 10] =
    ["local", "git", "s3", "gcs", "azure", "docker", "docker-git", "docker-s3", "docker-gcs", "docker-azure"];

/// What a prefect.yaml says, keys in order.
fn content(dir: &Path) -> String {
    let bytes = fs::read(dir.join("prefect.yaml")).unwrap();
    let name = RepoPath::new("prefect.yaml");
    let root = yaml::read(&name, &bytes).unwrap().root;
    json_mode::tree(&name, &root).unwrap().revealed(&|_| None).unwrap().to_string()
}

/// The patterns of a .prefectignore.
fn patterns(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(dir.join(".prefectignore")).unwrap();
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Runs `prefect init` and gives what it wrote.
fn by_prefect(project: &Project, args: &[&str]) -> (String, Vec<String>) {
    let output = project.prefect_command().arg("init").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?} {output:?}");
    let dir = project.path();
    let found = (content(&dir), patterns(&dir));
    project.remove("prefect.yaml");
    project.remove(".prefectignore");
    found
}

fn same(project: &Project, args: &[&str]) {
    let theirs = by_prefect(project, args);
    let all: Vec<&str> = ["init"].iter().chain(args).copied().collect();
    project.reconcile(&all).exits(0);
    let dir = project.path();
    assert_eq!((content(&dir), patterns(&dir)), theirs, "{args:?}");
    project.remove("prefect.yaml");
    project.remove(".prefectignore");
}

#[test]
fn every_recipe_is_as_prefect_writes_it() {
    let fields =
        "--field image_name=registry.example/a/b --field tag=v1.0 --field bucket=my\"bucket --field container=ö";
    let fields: Vec<&str> = fields.split(' ').collect();
    let plain = Project::new();
    let cloned = Project::new().git_init(Some("git@example.org:acme/shop.git"));
    for project in [plain, cloned] {
        for recipe in RECIPES {
            same(&project, &[&["--recipe", recipe, "--name", "my: project"], &fields[..]].concat());
        }
        // Without a name: that of what fits, by what lies there.
        same(&project, &[]);
        project.write("Dockerfile", "FROM scratch\n");
        same(&project, &fields[..4]);
        same(&project, &[&["--recipe", "docker", "--field", "dockerfile=Other"], &fields[..4]].concat());
    }
}

#[test]
fn nothing_is_overwritten_and_what_is_missing_is_said() {
    let project = Project::new().file("prefect.yaml", "deployments: []\n");
    let refused = project.reconcile(&["init"]).exits(64);
    assert!(refused.stderr.contains("there is a prefect.yaml already"), "{refused:?}");
    assert_eq!(fs::read_to_string(project.path().join("prefect.yaml")).unwrap(), "deployments: []\n");
    assert!(!project.path().join(".prefectignore").exists());
    project.remove("prefect.yaml");
    let refused = project.reconcile(&["init", "--recipe", "docker-s3", "--field", "tag=1"]).exits(64);
    assert!(
        refused.stderr.contains("`--field image_name=…`") && refused.stderr.contains("`--field bucket=…`"),
        "{refused:?}"
    );
    let refused = project.reconcile(&["init", "--recipe", "dokcer"]).exits(64);
    assert!(refused.stderr.contains("did you mean `docker`?"), "{refused:?}");
    project.reconcile(&["init", "--field", "x"]).exits(64);
    assert!(!project.path().join("prefect.yaml").exists());
}

#[test]
fn what_was_written_is_told() {
    let project = Project::new().file(".prefectignore", "mine\n");
    let told = project.reconcile(&["init", "--json"]).exits(0);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!((&told["recipe"], &told["files"]), (&Value::from("local"), &serde_json::json!(["prefect.yaml"])));
    assert_eq!(fs::read_to_string(project.path().join(".prefectignore")).unwrap(), "mine\n");
}

#[test]
fn a_token_of_the_remote_stays_out_of_the_file() {
    let project = Project::new().git_init(Some("https://user:canary@example.org/acme/shop.git"));
    project.reconcile(&["init"]).exits(0);
    let text = fs::read_to_string(project.path().join("prefect.yaml")).unwrap();
    assert!(text.contains("https://example.org/acme/shop.git") && !text.contains("canary"), "{text}");
}
