//! `reconcile init`: starts a project with a prefect.yaml and a .prefectignore.
//!
//! They mean what those of `prefect init` mean (Prefect 3.8.8 `prefect/deployments/base.py` and its `recipes`), in words
//! of their own. Nothing that is there is overwritten, and nobody is asked: what a recipe needs is given by `--field`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use regex::{Captures, Regex};
use serde_json::json;

use super::args::{Global, InitArgs};
use super::exit::{Exit, failed, wrong_usage};
use super::output;
use crate::diagnostic::did_you_mean;
use crate::local::PREFECT_VERSION;
use crate::source::Worktree;

/// What `.prefectignore` leaves out of uploads. Those of `prefect init`.
const IGNORED: &str = include_str!("../../templates/init/prefectignore");

/// Where the code of flows is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Store {
    Directory,
    Image,
    Git,
    S3,
    Gcs,
    Azure,
}

/// A way to start.
struct Recipe {
    name: &'static str,
    store: Store,
    /// Whether an image is built.
    image: bool,
}

/// All of them.
const RECIPES: [Recipe; 10] = [
    Recipe { name: "local", store: Store::Directory, image: false },
    Recipe { name: "git", store: Store::Git, image: false },
    Recipe { name: "s3", store: Store::S3, image: false },
    Recipe { name: "gcs", store: Store::Gcs, image: false },
    Recipe { name: "azure", store: Store::Azure, image: false },
    Recipe { name: "docker", store: Store::Image, image: true },
    Recipe { name: "docker-git", store: Store::Git, image: true },
    Recipe { name: "docker-s3", store: Store::S3, image: true },
    Recipe { name: "docker-gcs", store: Store::Gcs, image: true },
    Recipe { name: "docker-azure", store: Store::Azure, image: true },
];

type Values = IndexMap<String, String>;

/// Runs the command.
pub fn run(global: &Global, args: &InitArgs) -> Exit {
    let dir = args.path.clone().unwrap_or_else(|| PathBuf::from("."));
    let dir = match dir.canonicalize() {
        Ok(dir) if dir.is_dir() => dir,
        Ok(_) | Err(_) => return wrong_usage(&format!("`{}` is no directory", dir.display())),
    };
    match start(&dir, args) {
        Err(Stop::Usage(sentence)) => wrong_usage(&sentence),
        Err(Stop::Failed(sentence)) => failed(&sentence),
        Ok((recipe, files)) => {
            if global.json {
                let told = json!({ "directory": dir.display().to_string(), "recipe": recipe, "files": files });
                output::result(&format!("{told:#}"));
            } else {
                let lines: Vec<String> = files.iter().map(|file| format!("Wrote {file}\n")).collect();
                output::result(&lines.concat());
                if !global.quiet {
                    output::say(&format!(
                        "recipe `{recipe}`; declare a flow below `deployments:`, then run `reconcile plan`"
                    ));
                }
            }
            Exit::Done
        }
    }
}

enum Stop {
    Usage(String),
    Failed(String),
}

/// Writes the files, and names the recipe and what was written.
fn start(dir: &Path, args: &InitArgs) -> Result<(&'static str, Vec<&'static str>), Stop> {
    let mut values = around(dir);
    let recipe = recipe(dir, args, &values)?;
    let dockerfile = dir.join("Dockerfile").exists();
    if dockerfile || recipe.image {
        values.insert("dockerfile".to_owned(), if dockerfile { "Dockerfile" } else { "auto" }.to_owned());
    }
    values.extend(fields(args)?);
    let missing: Vec<String> = needs(recipe)
        .iter()
        .filter(|(key, _)| !values.contains_key(*key))
        .map(|(key, what)| format!("`--field {key}=…` ({what})"))
        .collect();
    if !missing.is_empty() {
        return Err(Stop::Usage(format!("recipe `{}` needs {}", recipe.name, missing.join(" and "))));
    }
    let name = args.name.clone().unwrap_or_else(|| dir_name(dir));
    let mut files = Vec::new();
    // First what may be refused.
    write_new(&dir.join("prefect.yaml"), &prefect_yaml(recipe, &name, &values))?;
    if !dir.join(".prefectignore").exists() {
        write_new(&dir.join(".prefectignore"), IGNORED)?;
        files.push(".prefectignore");
    }
    files.push("prefect.yaml");
    Ok((recipe.name, files))
}

/// What placeholders stand for without being told.
fn around(dir: &Path) -> Values {
    let mut values = Values::from([("directory".to_owned(), dir.display().to_string())]);
    let (git, _) = Worktree::open(dir).map(|worktree| worktree.git_facts()).unwrap_or_default();
    if let Some((url, git)) = git.as_ref().and_then(|git| Some((git.remote_url.clone()?, git))) {
        values.insert("repository".to_owned(), without_credentials(&url));
        let branch = if git.branch.is_empty() { "main" } else { &git.branch };
        values.insert("branch".to_owned(), branch.to_owned());
    }
    values.insert("name".to_owned(), dir_name(dir));
    values
}

/// A token in the URL of a remote does not belong into a file of git.
fn without_credentials(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return url.to_owned() };
    let is_web = matches!(parsed.scheme(), "http" | "https");
    if !is_web || (parsed.username().is_empty() && parsed.password().is_none()) {
        return url.to_owned();
    }
    let _ = (parsed.set_username(""), parsed.set_password(None));
    parsed.to_string()
}

fn dir_name(dir: &Path) -> String {
    dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The recipe that is named, or that fits what is there.
fn recipe(dir: &Path, args: &InitArgs, values: &Values) -> Result<&'static Recipe, Stop> {
    let fitting = match (values.contains_key("repository"), dir.join("Dockerfile").exists()) {
        (true, true) => "docker-git",
        (true, false) => "git",
        (false, true) => "docker",
        (false, false) => "local",
    };
    let name = args.recipe.as_deref().unwrap_or(fitting);
    let known = || RECIPES.iter().map(|recipe| recipe.name);
    RECIPES.iter().find(|recipe| recipe.name == name).ok_or_else(|| {
        let all = known().collect::<Vec<_>>().join(", ");
        let hint = did_you_mean(name, known()).unwrap_or_else(|| format!("there are {all}"));
        Stop::Usage(format!("there is no recipe `{name}`: {hint}"))
    })
}

fn fields(args: &InitArgs) -> Result<Values, Stop> {
    let pair = |field: &String| match field.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err(Stop::Usage(format!("`--field {field}` is not `key=value`"))),
    };
    args.fields.iter().map(pair).collect()
}

/// What a recipe cannot do without.
fn needs(recipe: &Recipe) -> Vec<(&'static str, &'static str)> {
    let image = [("image_name", "the image to build, with its repository"), ("tag", "the tag of the image")];
    let mut needs: Vec<_> = if recipe.image { image.to_vec() } else { Vec::new() };
    match recipe.store {
        Store::S3 | Store::Gcs => needs.push(("bucket", "the bucket that keeps the code")),
        Store::Azure => needs.push(("container", "the container that keeps the code")),
        Store::Directory | Store::Image | Store::Git => {}
    }
    needs
}

fn prefect_yaml(recipe: &Recipe, name: &str, values: &Values) -> String {
    let section = |key: &str, steps: &str| match steps.is_empty() {
        true => format!("{key}: null\n"),
        false => format!("{key}:\n{}", filled(steps, values)),
    };
    format!(
        "# What this project deploys, and how. `prefect deploy` and `reconcile` read it; keep it in git.\n\n\
         name: {}\nprefect-version: {PREFECT_VERSION}\n\n\
         # Steps that make images, before anything is deployed\n{}\n\
         # Steps that bring the code to where it is kept\n{}\n\
         # Steps that fetch the code before a run\n{}\n\
         # The deployments of this project\n{}",
        quoted(name),
        section("build", build(recipe)),
        section("push", &push(recipe)),
        section("pull", pull(recipe)),
        deployments(recipe),
    )
}

fn build(recipe: &Recipe) -> &'static str {
    if !recipe.image {
        return "";
    }
    "- prefect_docker.deployments.steps.build_docker_image:\n    id: build_image\n    requires: prefect-docker>=0.3.1\n    \
     image_name: \"{{ image_name }}\"\n    tag: \"{{ tag }}\"\n    dockerfile: \"{{ dockerfile }}\"\n"
}

fn push(recipe: &Recipe) -> String {
    let mut steps = String::new();
    if recipe.image {
        steps.push_str(
            "- prefect_docker.deployments.steps.push_docker_image:\n    requires: prefect-docker>=0.3.1\n    \
             image_name: \"{{ build_image.image_name }}\"\n    tag: \"{{ build_image.tag }}\"\n",
        );
        if recipe.store == Store::Azure {
            steps.push_str("    credentials: null\n");
        }
    }
    steps.push_str(match recipe.store {
        Store::S3 => {
            "- prefect_aws.deployments.steps.push_to_s3:\n    id: push_code\n    requires: prefect-aws>=0.3.4\n    \
             bucket: \"{{ bucket }}\"\n    folder: \"{{ name }}\"\n"
        }
        Store::Gcs => {
            "- prefect_gcp.deployments.steps.push_to_gcs:\n    id: push_code\n    requires: prefect-gcp>=0.4.3\n    \
             bucket: \"{{ bucket }}\"\n    folder: \"{{ name }}\"\n"
        }
        Store::Azure => {
            "- prefect_azure.deployments.steps.push_to_azure_blob_storage:\n    id: push_code\n    \
             requires: prefect-azure[blob_storage]>=0.2.8\n    container: \"{{ container }}\"\n    folder: \"{{ name }}\"\n"
        }
        Store::Directory | Store::Image | Store::Git => "",
    });
    steps
}

fn pull(recipe: &Recipe) -> &'static str {
    match recipe.store {
        Store::Directory => "- prefect.deployments.steps.set_working_directory:\n    directory: \"{{ directory }}\"\n",
        Store::Image => {
            "- prefect.deployments.steps.set_working_directory:\n    directory: \"/opt/prefect/{{ name }}\"\n"
        }
        Store::Git => {
            "- prefect.deployments.steps.git_clone:\n    repository: \"{{ repository }}\"\n    \
             branch: \"{{ branch }}\"\n    access_token: null\n"
        }
        Store::S3 => {
            "- prefect_aws.deployments.steps.pull_from_s3:\n    id: pull_code\n    requires: prefect-aws>=0.3.4\n    \
             bucket: \"{{ push_code.bucket }}\"\n    folder: \"{{ push_code.folder }}\"\n"
        }
        // Prefect's own recipe takes the folder from the step itself, which has none then.
        Store::Gcs if !recipe.image => {
            "- prefect_gcp.deployments.steps.pull_from_gcs:\n    id: pull_code\n    requires: prefect-gcp>=0.4.3\n    \
             bucket: \"{{ push_code.bucket }}\"\n    folder: \"{{ pull_code.folder }}\"\n"
        }
        Store::Gcs => {
            "- prefect_gcp.deployments.steps.pull_from_gcs:\n    id: pull_code\n    requires: prefect-gcp>=0.4.3\n    \
             bucket: \"{{ push_code.bucket }}\"\n    folder: \"{{ push_code.folder }}\"\n"
        }
        Store::Azure => {
            "- prefect_azure.deployments.steps.pull_from_azure_blob_storage:\n    id: pull_code\n    \
             requires: prefect-azure[blob_storage]>=0.2.8\n    container: \"{{ push_code.container }}\"\n    \
             folder: \"{{ push_code.folder }}\"\n"
        }
    }
}

fn deployments(recipe: &Recipe) -> String {
    let variables = match recipe.image {
        true => "\n      # what the step `build_image` gives\n      image: \"{{ build_image.image }}\"\n",
        false => " {}\n",
    };
    format!(
        "deployments:\n- name: null\n  version: null\n  tags: []\n  description: null\n  schedule: {{}}\n  flow_name: null\n  \
         entrypoint: null\n  parameters: {{}}\n  work_pool:\n    name: null\n    work_queue_name: null\n    job_variables:{variables}"
    )
}

/// The steps with the values that are known; other placeholders stay.
fn filled(steps: &str, values: &Values) -> String {
    let text = Regex::new(r#""([^"]*)""#).expect("the pattern is our own");
    let placeholder = Regex::new(r"\{\{ (\w+) \}\}").expect("the pattern is our own");
    let fill = |found: &Captures<'_>| values.get(&found[1]).cloned().unwrap_or_else(|| found[0].to_owned());
    text.replace_all(steps, |found: &Captures<'_>| quoted(&placeholder.replace_all(&found[1], fill))).into_owned()
}

/// Text in double quotes: what JSON writes, YAML reads.
fn quoted(text: &str) -> String {
    let json = json!(text).to_string();
    // Characters that YAML takes for the end of a line, or does not take at all.
    json.chars().map(|c| if is_plain(c) { c.to_string() } else { format!("\\U{:08x}", u32::from(c)) }).collect()
}

fn is_plain(c: char) -> bool {
    !matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn write_new(path: &Path, text: &str) -> Result<(), Stop> {
    let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Stop::Usage(format!("there is a {shown} already, and it stays as it is; move it away, or add to it"))
        }
        _ => Stop::Failed(format!("failed to write {}: {error}", path.display())),
    })?;
    file.write_all(text.as_bytes())
        .map_err(|error| Stop::Failed(format!("failed to write {}: {error}", path.display())))
}
