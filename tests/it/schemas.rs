//! JSON Schemas: fresh in `schemas/`, true to the readers, and true of what is printed. And SARIF.

use std::path::{Path, PathBuf};

use reconcile::diagnostic::{Diagnostic, Severity};
use reconcile::manifest::{json_mode, prefect_yaml, project, yaml};
use reconcile::model::RepoPath;
use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::server::Server;
use crate::support::workspace::Workspace;

const NAMES: [&str; 5] = ["project", "prefect", "resources", "plan", "report"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn printed(name: &str) -> String {
    Project::new().reconcile(&["schema", name]).exits(0).stdout
}

fn validator(name: &str) -> jsonschema::Validator {
    jsonschema::draft202012::new(&serde_json::from_str(&printed(name)).unwrap()).unwrap()
}

/// Set `RECONCILE_UPDATE_SCHEMAS` to write them anew.
#[test]
fn the_files_are_fresh_and_are_schemas() {
    for name in NAMES {
        let (text, file) = (printed(name), root().join(format!("schemas/{name}.schema.json")));
        if std::env::var_os("RECONCILE_UPDATE_SCHEMAS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap_or_default(), text, "{}", file.display());
        let schema: Value = serde_json::from_str(&text).unwrap();
        assert!(jsonschema::meta::is_valid(&schema), "{name}");
        validator(name);
    }
    let listed = Project::new().reconcile(&["schema"]).exits(0).stdout;
    assert!(NAMES.iter().all(|name| listed.contains(name)), "{listed}");
    Project::new().reconcile(&["schema", "nothing"]).exits(64);
}

/// Files of a name in the repository's own examples and tests.
fn files(names: &[&str]) -> Vec<PathBuf> {
    let mut dirs = vec![root().join("tests"), root().join("examples")];
    let mut found = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            match path.is_dir() {
                true => dirs.push(path),
                false if names.contains(&entry.file_name().to_str().unwrap()) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

/// Files that Prefect takes and an editor should complain of: values that are made to fit (`paused: "yes"`), a missing
/// name, a key that is no text.
const STRICTER: [&str; 6] = [
    "parity/field-coercions/prefect.yaml",
    "parity/same-names/prefect.yaml",
    "parity/schedules-cron/prefect.yaml",
    "parity/schedules-interval/prefect.yaml",
    "parity/triggers-compound/prefect.yaml",
    "parity/yaml-structure/prefect.yaml",
];

/// What a file holds as JSON, and what the reader says of its shape; none if it is no YAML or no JSON.
fn read(path: &Path, text: &[u8], is_project: bool) -> Option<(Value, Vec<Diagnostic>)> {
    let file = RepoPath::new(path.strip_prefix(root()).unwrap_or(path).to_str()?);
    let document = yaml::read(&file, text).ok()?;
    let json = json_mode::tree(&file, &document.root).ok()?.masked();
    let diagnostics = match is_project {
        true => project::read(&file, &document.root).1,
        false => prefect_yaml::read(&file, &file.parent(), document.root, &String::from_utf8_lossy(text)).1,
    };
    Some((json, diagnostics))
}

#[test]
fn files_that_read_without_a_word_are_valid_and_others_are_not() {
    let prefect = validator("prefect");
    let (mut good, mut bad, mut wrong) = (0, 0, Vec::new());
    for path in files(&["prefect.yaml", "prefect.yml"]) {
        let Some((json, diagnostics)) = read(&path, &std::fs::read(&path).unwrap(), false) else { continue };
        let errors: Vec<String> =
            prefect.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect();
        if diagnostics.is_empty() {
            good += 1;
            if !errors.is_empty() {
                wrong.push((path, errors));
            }
        } else if diagnostics.iter().any(shows) {
            bad += 1;
            if errors.is_empty() {
                wrong.push((path, diagnostics.iter().map(|d| format!("{} {}", d.code, d.message)).collect()));
            }
        }
    }
    let stricter = |(path, _): &(PathBuf, Vec<String>)| STRICTER.iter().any(|name| path.ends_with(name));
    let (known, wrong): (Vec<_>, Vec<_>) = wrong.into_iter().partition(stricter);
    assert_eq!(wrong, []);
    assert_eq!(known.len(), STRICTER.len(), "a file that is valid by now");
    assert!(good > 40 && bad > 1, "{good} good, {bad} bad");
    let project = validator("project");
    let mut good = 0;
    for path in files(&["reconcile.yaml"]) {
        let Some((json, diagnostics)) = read(&path, &std::fs::read(&path).unwrap(), true) else { continue };
        good += usize::from(diagnostics.is_empty());
        assert_eq!(project.is_valid(&json), diagnostics.is_empty(), "{}: {json}", path.display());
    }
    assert!(good > 3, "{good}");
}

/// Problems of shape, which a schema can see; what a date or a cron expression says, it cannot.
fn shows(diagnostic: &Diagnostic) -> bool {
    ["E0140", "W0141", "E0142", "W0143", "E0144", "W0145", "E0147", "E0148", "E0149", "E0150", "E0152", "E0153"]
        .contains(&diagnostic.code)
}

#[test]
fn known_mistakes_are_seen_by_reader_and_schema_alike() {
    let check = |name: &str, text: &str, is_project: bool| {
        let (json, diagnostics) = read(Path::new("x.yaml"), text.as_bytes(), is_project).unwrap();
        (validator(name).is_valid(&json), diagnostics)
    };
    let deployment = |more: &str| format!("deployments:\n- name: x\n  entrypoint: f.py:f\n{more}");
    let bad = [
        "deployment: []\n".to_owned(),
        "deployments: {}\n".to_owned(),
        deployment("  scheduls: []\n"),
        deployment("  tags: 7\n"),
        deployment("  paused: \"{{ x }}\"\n"),
        deployment("  work_pool: k8s\n"),
        deployment("  work_pool: {job_variable: {}}\n"),
        deployment("  schedules: [{cron: \"* * * * *\", interval: 5}]\n"),
        deployment("  schedules: [{timezone: UTC}]\n"),
        deployment("  schedules: [{cron: \"* * * * *\", tz: UTC}]\n"),
        deployment("  concurrency_limit: 0\n"),
        deployment("  concurrency_limit: {limit: 2}\n"),
        deployment("  parameters: []\n"),
        deployment("  triggers: [{expects: [x]}]\n"),
        deployment("  lifecycle: {prun: true}\n"),
        deployment("  pull: [[]]\n"),
        deployment("  version_type: git\n"),
    ];
    for text in bad {
        let (valid, diagnostics) = check("prefect", &text, false);
        assert!(!valid, "{text}");
        assert!(!diagnostics.is_empty(), "{text}");
    }
    let good = [
        deployment("  tags: \"{{ tags }}\"\n  schedules: []\n  pull: null\n  build: {}\n"),
        deployment(
            "  schedules: [{interval: PT1H, anchor_date: \"2026-01-01\"}, {cron: \"{{ $C }}\", active: \"{{ $A }}\"}]\n",
        ),
        deployment("  concurrency_limit: {limit: 2, collision_strategy: CANCEL_NEW}\n  schedule: {}\n"),
    ];
    for text in good {
        let (valid, diagnostics) = check("prefect", &text, false);
        assert!(valid && diagnostics.is_empty(), "{text}: {diagnostics:?}");
    }
    for text in [
        "nme: x\n",
        "prune: 1\n",
        "max_delete: 101%\n",
        "default_pull: clone\n",
        "environments: {p: {apis: {}}}\n",
        "environments: {p: {api: {url: \"http://x/api\", profile: p}}}\n",
        "step_env: [\"A B\"]\n",
    ] {
        let (valid, diagnostics) = check("project", text, true);
        assert!(!valid && !diagnostics.is_empty(), "{text}: {diagnostics:?}");
    }
}

#[test]
fn what_is_printed_is_what_the_schemas_say() {
    let server = Server::shared();
    Workspace::of(&server.url).prepare(&[("schemas", json!("process"))], &[], &[]);
    let project = Project::new()
        .api(&server.url)
        .file("flow.py", "from prefect import flow\n\n@flow\ndef schema_flow():\n    pass\n")
        .file("reconcile.yaml", "name: schemas\n")
        .file(
            "prefect.yaml",
            "deployments:\n- {name: a, entrypoint: flow.py:schema_flow, work_pool: {name: schemas}, taggs: [x]}\n",
        )
        .git_init(None);
    let (plan, report) = (validator("plan"), validator("report"));
    let holds = |validator: &jsonschema::Validator, text: &str| {
        let json: Value = serde_json::from_str(text).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new(), "{json:#}");
    };
    holds(&plan, &project.reconcile(&["plan", "--json", "--out", "../plan.json"]).exits(0).stdout);
    holds(&plan, &std::fs::read_to_string(project.path().join("../plan.json")).unwrap());
    holds(&plan, &project.reconcile(&["plan", "--json", "--base", "HEAD"]).exits(0).stdout);
    holds(&plan, &project.reconcile(&["plan", "--json", "--untrusted"]).exits(0).stdout);
    holds(&report, &project.reconcile(&["apply", "--json", "--yes"]).exits(0).stdout);
    project.write("prefect.yaml", "deployments:\n- {name: a}\n");
    holds(&plan, &project.reconcile(&["plan", "--json"]).exits(4).stdout);
}

/// The shape that SARIF 2.1.0 demands, and what code scanning demands beyond it.
#[test]
fn sarif_has_the_shape_that_code_scanning_takes() {
    let yaml = "deployments:\n- {name: a, entrypoint: flow.py:f, work_pool: {name: p}, taggs: [x]}\n- {name: 7, work_pool: 3}\n";
    let project = Project::new().file("flows ü#1/prefect.yaml", yaml).file("other.reconcile.yaml", "blocks: []\n");
    let json: Value =
        serde_json::from_str(&project.reconcile(&["validate", "--format", "sarif"]).exits(4).stdout).unwrap();
    assert_eq!(
        (&json["version"], json["$schema"].as_str().unwrap().ends_with("sarif-2.1.0.json")),
        (&json!("2.1.0"), true)
    );
    let run = &json["runs"][0];
    assert_eq!(
        (&run["tool"]["driver"]["name"], &run["columnKind"]),
        (&json!("reconcile"), &json!("unicodeCodePoints"))
    );
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let ids: Vec<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "each once: {ids:?}");
    for rule in rules {
        assert!(rule["shortDescription"]["text"].as_str().is_some_and(|text| !text.is_empty()), "{rule}");
        assert!(rule["help"]["text"].is_string(), "{rule}");
    }
    let results = run["results"].as_array().unwrap();
    assert!(results.len() > 3, "{results:#?}");
    for result in results {
        assert!(ids.contains(&result["ruleId"].as_str().unwrap()), "{result}");
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()), "{result}");
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()), "{result}");
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(uri.is_ascii() && !uri.contains([' ', '#', '?']) && !uri.starts_with('/'), "{uri}");
        assert!(place["region"]["startLine"].as_u64().is_some_and(|line| line > 0), "{result}");
    }
    assert!(json.to_string().contains("flows%20%C3%BC%231/prefect.yaml"), "{json}");
    // A problem that concerns no file has a place as well.
    let nowhere = Diagnostic { severity: Severity::Error, ..Diagnostic::warning("W0406", "no file") };
    let placed = reconcile::report::sarif::sarif(&[nowhere]);
    assert_eq!(placed["runs"][0]["results"][0]["locations"].as_array().unwrap().len(), 1);
}

/// GitHub counts from the top of what it checked out, not from the directory that a command is given.
#[test]
fn places_of_files_below_a_directory_begin_at_the_top() {
    let twice = "- {name: a, entrypoint: flow.py:f, work_pool: {name: p}}\n".repeat(2);
    let project = Project::new()
        .file("flows/prefect.yaml", &format!("deployments:\n{twice}"))
        .file("flows/flow.py", "from prefect import flow\n\n\n@flow\ndef f():\n    pass\n");
    let top = project.path().display().to_string();
    let project = project.env("GITHUB_WORKSPACE", &top);
    let also = project.home().join("also.sarif");
    let also = also.to_str().unwrap();
    for args in [&["validate", "flows"][..], &["plan", "flows", "--also", &format!("sarif={also}")]] {
        let printed = |format: &str| project.reconcile(&[args, &["--format", format]].concat()).exits(0).stdout;
        let (github, sarif) = (printed("github"), printed("sarif"));
        assert!(github.contains("::warning file=flows/prefect.yaml,"), "{github}");
        assert!(github.contains(": flows/prefect.yaml:2"), "the other place as well: {github}");
        assert!(sarif.contains(r#""uri": "flows/prefect.yaml""#), "{sarif}");
    }
    assert!(std::fs::read_to_string(also).unwrap().contains(r#""uri": "flows/prefect.yaml""#));
}
