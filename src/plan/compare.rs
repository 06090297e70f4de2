//! Two states of the repository → the changes between them, without an API: templates compare as they are written.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::manifest::schedules::Schedule;
use crate::model::plan::{Action, Because, Change, FieldChange, Plan};
use crate::model::{Key, Kind, Map, Origin, Path, Tree};
use crate::resource::deployment::FIELDS;
use crate::resource::{self, Compare};

use super::resolve::Filled;
use super::schedules::label;
use super::want::{Deployment, Object};

/// An object as the files declare it, templates unfilled.
#[derive(Clone, Debug)]
pub struct Written {
    /// Where it is declared.
    pub origin: Origin,
    /// Its fields, in the order in which they are shown.
    pub fields: Vec<(Path, Tree, Compare)>,
    /// What has to be there first.
    pub after: Vec<Key>,
}

/// One state of the repository.
pub type State = BTreeMap<Key, Written>;

/// Adds an object of another kind to a state.
pub fn write_object(state: &mut State, object: &Object) {
    let declared = resource::rules(object.key.kind).fields.iter();
    let fields = declared
        .filter_map(|field| Some((Path::of(field.name), object.fields.get(field.name)?.clone(), field.compare)));
    let after = object.needs.keys().cloned().collect();
    let written = Written { origin: object.origin.clone(), fields: fields.collect(), after };
    state.insert(object.key.clone(), written);
}

/// Adds a deployment and its automations to a state.
pub fn write(state: &mut State, deployment: &Deployment, filled: &Filled) {
    let mut fields = Vec::new();
    for field in FIELDS.iter().filter(|field| field.compare != Compare::Along) {
        let default = Tree::from(field.default_value());
        if let Some(value) = deployment.fields.get(field.name).filter(|value| **value != default) {
            fields.push((Path::of(field.name), value.clone(), field.compare));
        }
    }
    for (label, schedule) in schedules(&filled.config) {
        fields.push((Path::of("schedules").item(label), schedule, Compare::Keys));
    }
    if let Some(slas) = filled.config.get("sla").filter(|slas| slas.is_truthy()) {
        fields.push((Path::of("sla"), slas.clone(), Compare::Exact));
    }
    let after = vec![Key::new(Kind::WorkPool, &filled.pool)];
    state.insert(deployment.key.clone(), Written { origin: deployment.origin.clone(), fields, after });
    let triggers = filled.config.get("triggers").and_then(Tree::as_list).unwrap_or_default();
    for (i, trigger) in triggers.iter().enumerate() {
        let name =
            trigger.get("name").and_then(Tree::as_str).map_or_else(|| format!("automation-{}", i + 1), str::to_owned);
        let key = Key::new(Kind::Automation, format!("{}/{name}", deployment.key.name));
        let key = free(state, key);
        let written = Written {
            origin: filled.place(&Path::of("triggers").item(i)),
            fields: vec![(Path::root(), trigger.clone(), Compare::Keys)],
            after: vec![deployment.key.clone()],
        };
        state.insert(key, written);
    }
}

/// The key, or the key with a number where the name is taken.
fn free(state: &State, key: Key) -> Key {
    let again = (2..).map(|n| Key::new(key.kind, format!("{}#{n}", key.name)));
    std::iter::once(key.clone()).chain(again).find(|key| !state.contains_key(key)).unwrap_or(key)
}

/// Schedules by what they are called in paths; in the form that is sent where no template is in the way.
fn schedules(config: &Map) -> Vec<(String, Tree)> {
    let list = config.get("schedules").or_else(|| config.get("schedule")).and_then(Tree::as_list).unwrap_or_default();
    let mut out: Vec<(String, Tree)> = Vec::new();
    for item in list {
        let built = if has_template(item) { None } else { Schedule::build(item, Timestamp::UNIX_EPOCH).ok() };
        let (name, tree) = match built {
            Some(schedule) => (label(&schedule), flat(schedule.set_fields(Timestamp::UNIX_EPOCH))),
            None => (written_label(item), item.clone()),
        };
        let again = (2..).map(|n| format!("{name} #{n}"));
        let name = std::iter::once(name.clone()).chain(again).find(|name| !out.iter().any(|(other, _)| other == name));
        out.extend(name.map(|name| (name, tree)));
    }
    out
}

/// `cron` beside `active`, as files have it, instead of below `schedule`.
fn flat(tree: Tree) -> Tree {
    let Tree::Map(mut map) = tree else { return tree };
    match map.shift_remove("schedule") {
        Some(Tree::Map(mut spec)) => {
            spec.extend(map);
            Tree::Map(spec)
        }
        _ => Tree::Map(map),
    }
}

fn written_label(item: &Tree) -> String {
    let text =
        ["slug", "cron", "interval", "rrule"].iter().find_map(|key| item.get(key).filter(|value| value.is_truthy()));
    text.map_or_else(
        || "?".to_owned(),
        |value| value.as_str().map_or_else(|| value.masked().to_string(), str::to_owned),
    )
}

/// Whether some text of it is a template.
pub fn has_template(tree: &Tree) -> bool {
    tree.any(&|tree| tree.as_str().is_some_and(|text| text.contains("{{")))
}

/// The changes that lead from one state to the other.
pub fn compare(before: &State, after: &State) -> Plan {
    let mut plan = Plan::default();
    for (key, written) in after {
        let (action, fields) = match before.get(key) {
            None => (Action::Create, created(written)),
            Some(old) => (Action::Update, differences(&old.fields, &written.fields)),
        };
        if action == Action::Update && fields.is_empty() {
            plan.unchanged += 1;
            continue;
        }
        let (origin, after) = (Some(written.origin.clone()), written.after.clone());
        plan.changes.push(Change { origin, fields, after, ..Change::new(key.clone(), action, Because::Git) });
    }
    for key in before.keys().filter(|key| !after.contains_key(key)) {
        plan.changes.push(Change::new(key.clone(), Action::Delete, Because::Orphan));
    }
    plan.changes.sort_by(|a, b| a.key.cmp(&b.key));
    plan
}

fn created(written: &Written) -> Vec<FieldChange> {
    let fields = written.fields.iter();
    fields
        .map(|(path, value, _)| FieldChange { path: path.clone(), before: None, after: Some(value.clone()) })
        .collect()
}

type Field = (Path, Tree, Compare);

fn differences(before: &[Field], after: &[Field]) -> Vec<FieldChange> {
    let (before, after) = (paired(before, after), after);
    let mut out = Vec::new();
    let find = |path: &Path| before.iter().find(|(new, _)| new == path).map(|(_, field)| field);
    for (path, value, compare) in after {
        match find(path) {
            // What a schedule was called before is what it is known by.
            Some((old_path, old, _)) => one(old_path, Some(old), Some(value), *compare, &mut out),
            None => one(path, None, Some(value), *compare, &mut out),
        }
    }
    for (new, (path, old, compare)) in &before {
        if !after.iter().any(|(path, _, _)| path == new) {
            one(path, Some(old), None, *compare, &mut out);
        }
    }
    out
}

/// The old fields, each under the path of the new one that takes its place: a nameless schedule that changed its
/// definition is the same schedule.
fn paired<'a>(before: &'a [Field], after: &[Field]) -> Vec<(Path, &'a Field)> {
    let is_schedule = |path: &Path| path.0.len() == 2 && path.starts_with(&Path::of("schedules"));
    let nameless = |field: &&Field| is_schedule(&field.0) && field.1.get("slug").is_none_or(Tree::is_null);
    let mut fresh = after
        .iter()
        .filter(nameless)
        .filter(|(path, _, _)| !before.iter().any(|(old, _, _)| old == path))
        .map(|f| &f.0);
    let kept = |path: &Path| after.iter().any(|(new, _, _)| new == path);
    before
        .iter()
        .map(|field| {
            let renamed = if nameless(&field) && !kept(&field.0) { fresh.next().cloned() } else { None };
            (renamed.unwrap_or_else(|| field.0.clone()), field)
        })
        .collect()
}

fn one(path: &Path, before: Option<&Tree>, after: Option<&Tree>, compare: Compare, out: &mut Vec<FieldChange>) {
    match (before, after, compare) {
        (Some(Tree::Map(before)), Some(Tree::Map(after)), Compare::Keys) => {
            for (key, value) in after {
                one(&path.key(key), before.get(key), Some(value), compare, out);
            }
            for (key, value) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
                one(&path.key(key), Some(value), None, compare, out);
            }
        }
        (Some(Tree::List(a)), Some(Tree::List(b)), Compare::Set)
            if a.iter().all(|item| b.contains(item)) && b.iter().all(|item| a.contains(item)) => {}
        (before, after, _) if before == after => {}
        (before, after, _) => {
            out.push(FieldChange { path: path.clone(), before: before.cloned(), after: after.cloned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RepoPath;
    use serde_json::json;

    fn state(fields: &[(&str, serde_json::Value)]) -> State {
        let path = |text: &str| match text.strip_prefix("schedules ") {
            Some(label) => Path::of("schedules").item(label),
            None => Path::of(text),
        };
        let fields = fields.iter().map(|(name, value)| (path(name), Tree::from(value), Compare::Keys)).collect();
        let written = Written { origin: Origin::whole(RepoPath::new("prefect.yaml")), fields, after: Vec::new() };
        State::from([(Key::deployment("f", "d"), written)])
    }

    fn told(before: &State, after: &State) -> Vec<String> {
        let plan = compare(before, after);
        let side = |tree: &Option<Tree>| tree.as_ref().map_or("none".to_owned(), |tree| tree.masked().to_string());
        let fields = plan.changes.iter().flat_map(|change| &change.fields);
        fields.map(|field| format!("{} {} {}", field.path, side(&field.before), side(&field.after))).collect()
    }

    #[test]
    fn leaves_differ_and_templates_stay_as_written() {
        let before = state(&[("job_variables", json!({"env": {"A": "{{ $A }}", "B": 1}}))]);
        let after = state(&[("job_variables", json!({"env": {"A": "{{ $AA }}", "C": 2}}))]);
        let expected = [
            r#"job_variables.env.A "{{ $A }}" "{{ $AA }}""#,
            "job_variables.env.C none 2",
            "job_variables.env.B 1 none",
        ];
        assert_eq!(told(&before, &after), expected);
        assert!(compare(&after, &after).is_empty());
    }

    #[test]
    fn a_nameless_schedule_that_changed_is_one_change() {
        let before = state(&[("schedules 0 6 * * *", json!({"cron": "0 6 * * *"}))]);
        let after = state(&[("schedules 0 7 * * *", json!({"cron": "0 7 * * *"}))]);
        assert_eq!(told(&before, &after), [r#"schedules["0 6 * * *"].cron "0 6 * * *" "0 7 * * *""#]);
        let named = state(&[("schedules x", json!({"cron": "0 7 * * *", "slug": "x"}))]);
        assert_eq!(told(&before, &named).len(), 2);
    }

    #[test]
    fn what_is_only_on_one_side_is_made_or_deleted() {
        let some = state(&[]);
        let none = State::new();
        let actions = |a: &State, b: &State| compare(a, b).changes.iter().map(|c| c.action).collect::<Vec<_>>();
        assert_eq!(actions(&none, &some), [Action::Create]);
        assert_eq!(actions(&some, &none), [Action::Delete]);
        assert_eq!(compare(&some, &some).unchanged, 1);
    }
}
