//! Drafts → files: one per kind, in the order of keys, and templates as files of their own.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Draft;
use crate::manifest::yaml::write;
use crate::model::{Key, Kind, RepoPath};

/// A file that declares objects.
#[derive(Clone, Debug)]
pub struct File {
    /// Where.
    pub path: RepoPath,
    /// What it says.
    pub text: String,
    /// The lines, from 1, at which its objects begin.
    pub places: Vec<(usize, Key)>,
}

/// Spaces before the items of a list.
const INDENT: usize = 2;

/// The kinds that have files, in the order in which they are written, with their files and keys at the top.
const KINDS: [(Kind, &str, &str); 8] = [
    (Kind::BlockType, "block_types.reconcile.yaml", "block_types"),
    (Kind::Block, "blocks.reconcile.yaml", "blocks"),
    (Kind::Variable, "variables.reconcile.yaml", "variables"),
    (Kind::WorkPool, "work_pools.reconcile.yaml", "work_pools"),
    (Kind::ConcurrencyLimit, "concurrency_limits.reconcile.yaml", "concurrency_limits"),
    (Kind::TagConcurrencyLimit, "tag_concurrency_limits.reconcile.yaml", "tag_concurrency_limits"),
    (Kind::Deployment, "prefect.yaml", "deployments"),
    (Kind::Automation, "automations.reconcile.yaml", "automations"),
];

/// Writes the drafts down, beside what is there: `exists` says which paths are taken.
pub fn files(drafts: &[Draft], exists: &dyn Fn(&RepoPath) -> bool) -> Vec<File> {
    let mut taken = BTreeSet::new();
    let mut out = Vec::new();
    for (kind, name, root) in KINDS {
        let mut of_kind: Vec<Draft> = drafts.iter().filter(|draft| draft.key.kind == kind).cloned().collect();
        if of_kind.iter().all(|draft| draft.inert.is_some()) {
            continue;
        }
        of_kind.sort_by(|a, b| (a.inert.is_some(), &a.key).cmp(&(b.inert.is_some(), &b.key)));
        for draft in &mut of_kind {
            out.extend(template(draft, exists, &mut taken));
        }
        let path = free(name, exists, &mut taken);
        out.push(file(path, root, &of_kind));
    }
    out
}

/// The template of a pool, named in its item.
fn template(draft: &mut Draft, exists: &dyn Fn(&RepoPath) -> bool, taken: &mut BTreeSet<RepoPath>) -> Option<File> {
    let template = draft.template.as_ref()?;
    let path = free(super::template_path(&draft.key.name).as_str(), exists, taken);
    let text = format!("{template:#}\n");
    draft.put("base_job_template", serde_json::json!({ "file": path.as_str() }));
    Some(File { path, text, places: Vec::new() })
}

/// The path, or the path with a number where it is taken. A second `prefect.yaml` has to be called otherwise.
fn free(name: &str, exists: &dyn Fn(&RepoPath) -> bool, taken: &mut BTreeSet<RepoPath>) -> RepoPath {
    let (stem, end) = match name {
        "prefect.yaml" => ("deployments", ".reconcile.yaml"),
        _ => name.split_once('.').map_or((name, ""), |(stem, _)| (stem, &name[stem.len()..])),
    };
    let again = (1..).map(|n| match (name, n) {
        ("prefect.yaml", 1) => format!("{stem}{end}"),
        _ => format!("{stem}-{}{end}", n + usize::from(name != "prefect.yaml")),
    });
    let paths = std::iter::once(name.to_owned()).chain(again).map(|path| RepoPath::new(&path));
    let mut paths = paths.filter(|path| !taken.contains(path) && !exists(path));
    let path = paths.next().unwrap_or_else(|| RepoPath::new(name));
    taken.insert(path.clone());
    path
}

fn file(path: RepoPath, root: &str, drafts: &[Draft]) -> File {
    let mut text = String::from("# Written by `reconcile import`; change it as you like.\n");
    if drafts.iter().any(|draft| !draft.secrets.is_empty()) {
        text.push_str("# Secrets are not written: set the variables that `from_env` names where reconcile runs.\n");
    }
    text.push_str(&format!("{root}:\n"));
    let mut places = Vec::new();
    for draft in drafts {
        places.push((text.lines().count() + 1, draft.key.clone()));
        text.push_str(&item(draft));
    }
    File { path, text, places }
}

fn item(draft: &Draft) -> String {
    let space = " ".repeat(INDENT);
    let remark = |value: &Value| value.get("from_env").is_some().then_some("a secret, from the environment");
    let written = write::item(&draft.item, INDENT, &remark);
    let mut out: String = draft.notes.iter().map(|note| format!("{space}# {note}\n")).collect();
    match &draft.inert {
        None => out.push_str(&written),
        Some(why) => {
            out.push_str(&format!("{space}# {} is left out: {}\n", draft.key.name.escape_debug(), one_line(why)));
            out.extend(written.lines().map(|line| format!("{space}# {}\n", line.get(INDENT..).unwrap_or_default())));
        }
    }
    out
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn draft(kind: Kind, name: &str, item: Value) -> Draft {
        let mut draft = Draft::of(&Key::new(kind, name));
        draft.item = item.as_object().unwrap().clone();
        draft
    }

    #[test]
    fn files_are_by_kind_in_order_and_never_overwrite() {
        let mut inert = draft(Kind::Deployment, "etl/a", json!({"name": "a", "tags": ["x"], "description": "1\n2"}));
        inert.inert = Some("its code\nis elsewhere".to_owned());
        let mut pool = draft(Kind::WorkPool, "k8s pool", json!({"name": "k8s pool"}));
        pool.template = Some(json!({"a": 1}));
        let drafts = [
            pool,
            draft(Kind::Variable, "b", json!({"name": "b", "value": "no"})),
            draft(Kind::Variable, "a", json!({"name": "a", "value": {"x": {"from_env": "N"}}})),
            inert,
            draft(Kind::Deployment, "etl/b", json!({"name": "b"})),
        ];
        let exists = |path: &RepoPath| ["prefect.yaml", "variables.reconcile.yaml"].contains(&path.as_str());
        let files = files(&drafts, &exists);
        let shown: String = files.iter().map(|file| format!("== {}\n{}", file.path, file.text)).collect();
        let expected = "\
== variables-2.reconcile.yaml
# Written by `reconcile import`; change it as you like.
variables:
  - name: a
    value:
      x: { from_env: \"N\" }  # a secret, from the environment
  - name: b
    value: \"no\"
== work_pools/k8s-pool.json
{
  \"a\": 1
}
== work_pools.reconcile.yaml
# Written by `reconcile import`; change it as you like.
work_pools:
  - name: k8s pool
    base_job_template: { file: work_pools/k8s-pool.json }
== deployments.reconcile.yaml
# Written by `reconcile import`; change it as you like.
deployments:
  - { name: b }
  # etl/a is left out: its code is elsewhere
  # - name: a
  #   tags: [x]
  #   description: |-
  #     1
  #     2
";
        assert_eq!(shown, expected);
        assert_eq!(files[0].places, [(3, Key::new(Kind::Variable, "a")), (6, Key::new(Kind::Variable, "b"))]);
    }
}
