//! prefect.yaml and reconcile.yaml: from text to the deployments that are wanted, with all that hangs on them.
//!
//! What follows the line `# reconcile.yaml` is the project's own file.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reconcile::diagnostic::{Diagnostic, has_errors};
use reconcile::manifest::node::Node;
use reconcile::manifest::prefect_yaml::{PrefectFile, read as read_prefect};
use reconcile::manifest::project::{self, Project};
use reconcile::manifest::schedules::{Schedule, Spec};
use reconcile::manifest::select::{Overlay, Selected, Selection, select};
use reconcile::manifest::triggers::{Automation, automation};
use reconcile::manifest::{globs, vars, yaml};
use reconcile::model::{FlowFacts, Key, Map, RepoPath, Secret, Tree};
use reconcile::plan::desire::{FlowAnswer, Surroundings, desired};
use reconcile::plan::resolve::{Facts, filled, questions};
use reconcile::render::Blocks;
use serde_json::json;

use crate::common::{check_diagnostics, texts};

/// The line between the two files.
const BETWEEN: &str = "\n# reconcile.yaml\n";

/// Reads the bytes as both files.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains(CANARY) {
        return;
    }
    let (prefect, own) = text.split_once(BETWEEN).unwrap_or((text, ""));
    let (path, own_path) = (RepoPath::new("dir/prefect.yaml"), RepoPath::new("reconcile.yaml"));
    let texts = texts(&[(&path, prefect), (&own_path, own)]);
    let once = pass(&path, prefect, &own_path, own);
    check_diagnostics(&once.0, &texts);
    // Each pass is dear, and what differs from run to run will differ in one of eight.
    if data.len() % 8 == 0 {
        assert_eq!(once.1, pass(&path, prefect, &own_path, own).1, "the same files give two answers");
    }
}

/// Everything that is said of the files, and everything that comes of them as text.
fn pass(path: &RepoPath, prefect: &str, own_path: &RepoPath, own: &str) -> (Vec<Diagnostic>, String) {
    let mut told = Vec::new();
    let project = match parsed(own_path, own, &mut told) {
        Some(root) => {
            let (project, problems) = project::read(own_path, &root);
            told.extend(problems);
            project
        }
        None => Project::default(),
    };
    patterns(&project);
    let Some(root) = parsed(path, prefect, &mut told) else { return finish(told, String::new()) };
    let environment = project.environments.keys().next().cloned();
    let (root, problems) = vars::fill_vars(path, root, &project.vars_in(environment.as_deref()));
    told.extend(problems);
    let (file, problems) = read_prefect(path, &path.parent(), root, prefect);
    told.extend(problems);
    let sound = !has_errors(&told);
    let mut made = String::new();
    for one in selected(&file) {
        made.push_str(&deployment(&one, &mut told, sound));
    }
    finish(told, made)
}

fn finish(told: Vec<Diagnostic>, made: String) -> (Vec<Diagnostic>, String) {
    let made = format!("{made}{told:?}");
    (told, made)
}

fn parsed(path: &RepoPath, text: &str, told: &mut Vec<Diagnostic>) -> Option<Node> {
    match yaml::read(path, text.as_bytes()) {
        Ok(document) => {
            told.extend(document.warnings);
            Some(document.root)
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a word");
            told.extend(problems);
            None
        }
    }
}

/// The patterns of a project that was read can be used, or were reported.
fn patterns(project: &Project) {
    for patterns in [&project.include, &project.exclude, &project.root_relative] {
        if let Ok(globs) = globs::Globs::new(patterns) {
            let _ = globs.matches("flows/deep/prefect.yaml");
        }
    }
}

/// All declarations, those of a pattern, and one with flags laid over it.
fn selected(file: &PrefectFile) -> Vec<Selected> {
    let files = std::slice::from_ref(file);
    let mut all = select(files, &Selection::default()).map(|of| of.selected).unwrap_or_default();
    all.truncate(4);
    let name = file.declarations.first().and_then(|first| first.name()).unwrap_or("a*").to_owned();
    let overlay = Overlay {
        pool: Some("p".to_owned()),
        tags: vec!["t".to_owned()],
        concurrency_limit: Some(3),
        job_variables: vec!["a=1".to_owned(), r#"{"b": {"c": [1]}}"#.to_owned()],
        param: vec!["x=[1]".to_owned()],
        ..Overlay::default()
    };
    for names in [vec![name.clone()], vec!["*/x".to_owned(), name]] {
        for overlay in [Overlay::default(), overlay.clone()] {
            let more = select(files, &Selection { names: names.clone(), all: false, overlay });
            all.extend(more.map(|of| of.selected).unwrap_or_default().into_iter().take(1));
        }
    }
    all
}

fn deployment(one: &Selected, told: &mut Vec<Diagnostic>, sound: bool) -> String {
    let asked = questions(std::slice::from_ref(one));
    let mut made = format!("{asked:?}\n");
    for facts in [facts(true), facts(false)] {
        let Some(filled) = filled(one, &facts, told) else { continue };
        parts(&filled.config, sound);
        let (outputs, template) = (outputs(), pool_template());
        let flow = if facts.symbolic { FlowAnswer::AtApply { name: None } } else { flow() };
        let around = Surroundings {
            now: now(),
            env: &facts.env,
            outputs: &outputs,
            pending: facts.symbolic,
            symbolic: facts.symbolic,
            directory: "/srv/project/dir".to_owned(),
            version_info: None,
            clone: None,
            base_job_template: Some(&template),
            strict: false,
            slas_supported: Some(!facts.symbolic),
        };
        let wanted = desired(&filled, &flow, &around, told);
        for field in wanted.iter().flat_map(|wanted| ["parameters", "job_variables"].map(|key| wanted.fields.get(key)))
        {
            // What names things is not sealed.
            assert!(!format!("{field:?}").contains(CANARY), "a secret is shown");
        }
        made.push_str(&format!("{wanted:?}\n"));
    }
    made
}

/// What a schedule or a trigger creates does not differ from it.
fn parts(config: &Map, sound: bool) {
    for item in config.get("schedules").and_then(Tree::as_list).into_iter().flatten() {
        let Ok(schedule) = Schedule::build(item, now()) else { continue };
        if matches!(schedule.spec, Spec::Pending(_)) || !sound {
            continue;
        }
        let body = schedule.create_body(now()).revealed(&|_| None);
        let moving = matches!(&schedule.spec, Spec::Interval { anchor: Some(anchor), .. } if anchor.is_moving());
        if let Some(body) = body.filter(|_| !moving) {
            let differs = schedule.differences(&body);
            assert!(differs.is_empty(), "{schedule:?} is not what it creates: {differs:?}");
        }
    }
    for (i, item) in config.get("triggers").and_then(Tree::as_list).into_iter().flatten().enumerate() {
        if let Ok(made) = automation(item, "name", i, &Key::deployment("flow", "name")) {
            let _: Automation = made.clone();
            let body = made.complete("0f1c6c7e-6a5c-4f55-9c7b-5d8a0c3b2e11");
            assert!(body.as_map().is_some_and(|map| map.contains_key("owner_resource")));
        }
    }
}

const CANARY: &str = "c4n4ry-0f-4-s3cr3t";

fn now() -> Timestamp {
    Timestamp::from_second(1_768_478_400).expect("a time in 2026")
}

fn facts(asked: bool) -> Facts {
    let sealed = |text: &str| Tree::Secret(Secret::text(format!("{text}{CANARY}")));
    let block = Tree::Secret(Secret::new(json!({"value": CANARY, "a": {"b": [1, CANARY]}})));
    Facts {
        env: BTreeMap::from([("HOME".to_owned(), Tree::text("/home/ada")), ("TOKEN".to_owned(), sealed(""))]),
        variables: BTreeMap::from([
            ("x".to_owned(), Tree::from(json!({"a": [1, "{{ $HOME }}"]}))),
            ("hours".to_owned(), Tree::text("0 5 * * *")),
        ]),
        blocks: Blocks {
            by_name: BTreeMap::from([(("secret".to_owned(), "token".to_owned()), block.clone())]),
            by_id: BTreeMap::from([("1".to_owned(), block)]),
        },
        pools: asked.then(|| {
            BTreeMap::from([("p".to_owned(), json!({"type": "process", "base_job_template": pool_template()}))])
        }),
        default_pool: Some("p".to_owned()),
        resolve_secrets: asked,
        symbolic: !asked,
    }
}

fn outputs() -> Map {
    Map::from([
        ("image".to_owned(), Tree::text("registry/x:1")),
        ("built".to_owned(), Tree::from(json!({"a": [1, {"b": null}]}))),
    ])
}

fn pool_template() -> serde_json::Value {
    json!({
        "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
        "variables": {"type": "object", "properties": {
            "command": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "n": {"type": "integer", "minimum": 1},
        }, "required": []},
    })
}

fn flow() -> FlowAnswer {
    FlowAnswer::from(FlowFacts {
        name: "hello".to_owned(),
        description: Some("greets".to_owned()),
        version: Some("1".to_owned()),
        schema: json!({"title": "Parameters", "type": "object", "required": ["n"], "properties": {
            "n": {"type": "integer", "title": "n", "position": 0},
            "names": {"type": "array", "items": {"$ref": "#/definitions/N"}, "title": "names", "position": 1},
        }, "definitions": {"N": {"type": "string", "pattern": "^a+$", "title": "N"}}}),
    })
}
