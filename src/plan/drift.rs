//! What was last applied against what the API holds: the ledger's digests say what that was, not the files of today.
//!
//! A value is known as it was applied where some files (those of today, those of the commit that was applied) hold one
//! with the recorded digest; it is then compared as a plan compares it. Elsewhere only the digests are compared.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::manifest::project::IgnoreDrift;
use crate::model::ledger::{Ledger, Owned};
use crate::model::plan::{Action, Because, Change, FieldChange};
use crate::model::secret::keyed_digest;
use crate::model::tree::Unknown;
use crate::model::{Key, Kind, Path, Seg, Tree};
use crate::resource::{self, Field};

use super::diff::{self, Sides};
use super::want::{Automation, Declared, Deployment, Desired, Object, Observed};
use super::{automations, deployments, objects, schedules};

/// How what is ours differs from what was last applied.
#[derive(Debug, Default)]
pub struct Drift {
    /// What was changed or deleted, by key. `before` is what was applied, `after` what the API holds.
    pub changes: Vec<Change>,
    /// What cannot be told of: no file holds what was applied, and the API spells it in its own words.
    pub undecided: Vec<Key>,
    /// How many objects are as they were applied.
    pub unchanged: usize,
}

/// What says how things should be compared, beside the ledger.
pub struct House<'a> {
    /// What files declare, those of today first: a source of values, each believed only if its digest is recorded.
    pub files: &'a [Desired],
    /// The project's `ignore_drift`.
    pub ignore_drift: &'a [IgnoreDrift],
    /// The time to compare moving anchors at.
    pub now: Timestamp,
}

/// Compares everything that is ours.
pub fn drift(house: &House<'_>, observed: &Observed, ledger: &Ledger) -> Drift {
    let ids = observed.ids();
    let mut out = Drift::default();
    for (key, owned) in &ledger.owned {
        let one = One { house, observed, ledger, ids: &ids, key, owned };
        match one.row() {
            None => out.changes.push(one.change(Action::Delete, Vec::new())),
            Some(row) => {
                let (fields, open) = one.fields(row);
                match (fields.is_empty(), open) {
                    (false, _) => out.changes.push(one.change(Action::Update, fields)),
                    (true, true) => out.undecided.push(key.clone()),
                    (true, false) => out.unchanged += 1,
                }
            }
        }
    }
    out
}

/// One object that is ours.
struct One<'a> {
    house: &'a House<'a>,
    observed: &'a Observed,
    ledger: &'a Ledger,
    ids: &'a BTreeMap<Key, String>,
    key: &'a Key,
    owned: &'a Owned,
}

/// What differs, and whether something could not be told.
type Found = (Vec<FieldChange>, bool);

impl<'a> One<'a> {
    /// The row under the id that is ours; one that somebody made anew under the same name is another object.
    fn row(&self) -> Option<&'a Value> {
        let is_ours = |row: &&Value| row["id"] == self.owned.id.as_str();
        if self.key.kind == Kind::Automation {
            return self.observed.automations.iter().find(is_ours);
        }
        let row = self.observed.deployments.get(self.key).or_else(|| self.observed.objects.get(self.key));
        row.filter(is_ours)
    }

    fn change(&self, action: Action, fields: Vec<FieldChange>) -> Change {
        let declared = |files: &Desired| {
            let deployment = files.deployments.get(self.key).map(|wanted| wanted.origin.clone());
            deployment.or_else(|| files.objects.get(self.key).map(|wanted| wanted.origin.clone()))
        };
        let origin = self.house.files.first().and_then(declared);
        Change { origin, fields, ..Change::new(self.key.clone(), action, Because::Drift) }
    }

    fn fields(&self, row: &Value) -> Found {
        let (mut fields, open) = match self.key.kind {
            Kind::Deployment => self.deployment(row),
            Kind::Automation if self.owned.declared.contains_key(&Path::root()) => self.trigger(row),
            Kind::Automation
            | Kind::BlockType
            | Kind::Block
            | Kind::Variable
            | Kind::WorkPool
            | Kind::WorkQueue
            | Kind::ConcurrencyLimit
            | Kind::TagConcurrencyLimit
            | Kind::Flow => self.object(row),
        };
        let ignored = self.ignored();
        fields.retain(|change| !diff::is_ignored(&ignored, &change.path.to_string()));
        (fields, open)
    }

    /// Paths whose drift is nobody's business: what the files say of the object, and the project of its kind.
    fn ignored(&self) -> BTreeSet<String> {
        let of = |files: &Desired| {
            let deployment = files.deployments.get(self.key).map(|wanted| wanted.ignore_drift.clone());
            deployment.or_else(|| files.objects.get(self.key).map(|wanted| wanted.ignore_drift.clone()))
        };
        let mut ignored = self.house.files.iter().find_map(of).unwrap_or_default();
        let patterns = self.house.ignore_drift.iter().filter(|pattern| pattern.covers(self.key, &pattern.path));
        ignored.extend(patterns.map(|pattern| pattern.path.to_string()));
        ignored
    }

    fn deployment(&self, row: &Value) -> Found {
        let known = self.known(|files| files.deployments.get(self.key).map(|wanted| &wanted.fields));
        let timetable = self.known_schedules();
        let declared = self.house.files.iter().find_map(|files| files.deployments.get(self.key));
        let mut fields = Vec::new();
        if let Some(declared) = declared {
            let schedules = (!timetable.is_empty()).then(|| timetable.values().map(|one| (*one).clone()).collect());
            let known_fields = known.fields.clone();
            let wanted = Deployment { fields: known_fields, along: BTreeMap::new(), schedules, ..declared.clone() };
            let sides = self.sides(&known.paths, wanted.strict);
            fields.extend(self.told(deployments::fields(&wanted, row, &sides).0, &known));
            let paths = timetable.keys().filter_map(|path| self.owned.declared.get_key_value(path));
            let paths = paths.map(|(path, digest)| (path.clone(), digest.clone())).collect();
            let sides = self.sides(&paths, false);
            let compared = schedules::diff(&wanted, row, &sides, false, self.house.now).changes.into_iter();
            // What was never applied, or is not known as it was, is no difference here.
            fields.extend(compared.filter(|change| change.after.is_some() || change.path.0.len() > 2).map(turned));
        }
        let (more, mut open) = self.by_digest(row, &known.paths);
        fields.extend(more);
        let found: BTreeSet<Path> = row["schedules"].as_array().into_iter().flatten().map(label).collect();
        for path in self.owned.declared.keys().filter(|path| is_schedule(path) && !timetable.contains_key(*path)) {
            match found.contains(path) {
                true => open = true,
                false => fields.push(hidden(path.clone(), None)),
            }
        }
        (fields, open)
    }

    fn object(&self, row: &Value) -> Found {
        let known = self.known(|files| files.objects.get(self.key).map(|wanted| &wanted.fields));
        let declared = self.house.files.iter().find_map(|files| files.objects.get(self.key));
        let mut fields = Vec::new();
        if let Some(declared) = declared {
            let wanted = Object { fields: known.fields.clone(), along: BTreeMap::new(), ..declared.clone() };
            let sides = self.sides(&known.paths, wanted.strict);
            fields.extend(self.told(objects::differences(&wanted, row, self.ledger, &sides), &known));
        }
        let (more, open) = self.by_digest(row, &known.paths);
        fields.extend(more);
        (fields, open)
    }

    /// The automation of a trigger: the digest of the whole says whether the files hold it as it was applied.
    fn trigger(&self, row: &Value) -> Found {
        let applied = self.owned.declared.get(&Path::root());
        let is_applied = |one: &&Automation| automations::digest(one, self.ledger).as_ref() == applied;
        let all = self.house.files.iter().flat_map(|files| files.deployments.values());
        let mut named = all.flat_map(|wanted| &wanted.automations).filter(|one| one.key == *self.key);
        let Some(wanted) = named.find(is_applied) else { return (Vec::new(), true) };
        let owner = self.ids.get(&wanted.made.owner).map(String::as_str);
        let sides = self.sides(&self.owned.declared, false);
        let (_, fields) = automations::compared(wanted, row, owner, &sides);
        (fields.into_iter().map(turned).collect(), false)
    }

    fn sides(&self, owned: &'a Declared, strict: bool) -> Sides<'a> {
        Sides { owned, digest_key: &self.ledger.digest_key, strict, ids: self.ids }
    }

    /// What a plan would change, turned round; without fields of which it is not known what they were.
    fn told(&self, changes: Vec<FieldChange>, known: &Known) -> Vec<FieldChange> {
        let is_open = |change: &FieldChange| {
            let Some(Seg::Key(name)) = change.path.0.first() else { return false };
            !known.fields.contains_key(name) && self.declared_below(&Path::of(name)).next().is_some()
        };
        changes.into_iter().filter(|change| !is_open(change)).map(turned).collect()
    }

    fn declared_below(&self, field: &Path) -> impl Iterator<Item = (&'a Path, &'a String)> {
        let field = field.clone();
        self.owned.declared.iter().filter(move |(path, _)| path.starts_with(&field))
    }

    /// The fields that some files hold as they were applied, every leaf of them.
    fn known(&self, of: impl Fn(&'a Desired) -> Option<&'a BTreeMap<String, Tree>>) -> Known {
        let mut known = Known::default();
        for field in resource::rules(self.key.kind).fields {
            let recorded: Declared = self
                .declared_below(&Path::of(field.name))
                .map(|(path, digest)| (path.clone(), digest.clone()))
                .collect();
            if recorded.is_empty() || recorded.values().any(String::is_empty) {
                continue;
            }
            let values = self.house.files.iter().filter_map(|files| of(files)?.get(field.name));
            let is_applied = |value: &&Tree| diff::leaves(field, value, &self.ledger.digest_key) == recorded;
            if let Some(value) = values.into_iter().find(is_applied) {
                known.fields.insert(field.name.to_owned(), value.clone());
                known.paths.extend(recorded);
            }
        }
        known
    }

    fn known_schedules(&self) -> BTreeMap<Path, &'a crate::manifest::schedules::Schedule> {
        let mut known = BTreeMap::new();
        for wanted in self.house.files.iter().filter_map(|files| files.deployments.get(self.key)) {
            for schedule in wanted.schedules.iter().flatten() {
                let (path, digest) = schedules::recorded(schedule, &self.ledger.digest_key);
                if !digest.is_empty() && self.owned.declared.get(&path) == Some(&digest) {
                    known.entry(path).or_insert(schedule);
                }
            }
        }
        known
    }

    /// What is only known by its digest.
    fn by_digest(&self, row: &Value, known: &Declared) -> Found {
        let (mut fields, mut open) = (Vec::new(), false);
        let rest = self.owned.declared.iter().filter(|(path, _)| !known.contains_key(*path) && !is_schedule(path));
        for (path, digest) in rest {
            let Some((field, found)) = self.found(row, path) else { continue };
            match self.is_same(field, found.as_ref(), digest) {
                Some(true) => {}
                Some(false) => fields.push(hidden(path.clone(), found)),
                None => open = true,
            }
        }
        (fields, open)
    }

    /// The field of a path and what the API holds there; nothing for what cannot be read back.
    fn found(&self, row: &Value, path: &Path) -> Option<(&'static Field, Option<Value>)> {
        let (Some(Seg::Key(name)), rest) = (path.0.first(), path.0.get(1..).unwrap_or_default()) else { return None };
        let field = resource::rules(self.key.kind).fields.iter().find(|field| field.name == name)?;
        let mut found = Some(resource::found(self.key.kind, row, name));
        for seg in rest {
            let (Seg::Key(key) | Seg::Item(key)) = seg;
            found = found.and_then(|value| value.get(key).cloned());
        }
        Some((field, found))
    }

    /// Whether a value has the recorded digest; `None` where the API may spell the same in other words.
    fn is_same(&self, field: &Field, found: Option<&Value>, digest: &str) -> Option<bool> {
        let Some(found) = found else { return Some(false) };
        let plain = digest.strip_prefix(diff::SEALED).unwrap_or(digest);
        let key = &self.ledger.digest_key;
        if keyed_digest(key, found) == plain || keyed_digest(key, &self.with_keys(found)) == plain {
            return Some(true);
        }
        let is_open = plain.is_empty()
            || found.as_str() == Some(diff::MASK)
            || (self.key.kind == Kind::Automation && !["description", "enabled"].contains(&field.name));
        (!is_open).then_some(false)
    }

    /// A value with names in the place of ids: references are recorded by name.
    fn with_keys(&self, value: &Value) -> Value {
        let name = |text: &str| self.ids.iter().find(|(_, id)| *id == text).map(|(key, _)| key.to_string());
        match value {
            Value::String(text) => name(text).map_or_else(|| value.clone(), Value::from),
            Value::Array(items) => items.iter().map(|item| self.with_keys(item)).collect(),
            Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), self.with_keys(value))).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

/// Fields whose values as applied are known.
#[derive(Default)]
struct Known {
    fields: BTreeMap<String, Tree>,
    /// Their recorded paths.
    paths: Declared,
}

fn is_schedule(path: &Path) -> bool {
    path.starts_with(&Path::of("schedules"))
}

fn label(found: &Value) -> Path {
    schedules::path(&schedules::found_label(found))
}

/// From what was applied to what is there, where a plan goes the other way.
fn turned(change: FieldChange) -> FieldChange {
    FieldChange { path: change.path, before: change.after, after: change.before }
}

/// Something else is there; nobody can say what was, nor whether what is there may be shown.
fn hidden(path: Path, found: Option<Value>) -> FieldChange {
    let after = found.map(|value| diff::sealed(&Tree::from(value)));
    FieldChange { path, before: Some(Tree::Unknown(Unknown::ByDigest)), after }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Origin, RepoPath, Secret};
    use serde_json::json;

    const DIGEST_KEY: &[u8] = b"k";

    fn variable(value: Value) -> Desired {
        let key = Key::new(Kind::Variable, "v");
        let object = Object {
            key: key.clone(),
            origin: Origin::whole(RepoPath::new("a.reconcile.yaml")),
            fields: BTreeMap::from([("value".to_owned(), Tree::from(value))]),
            along: BTreeMap::new(),
            needs: BTreeMap::new(),
            if_new: Vec::new(),
            lifecycle: Default::default(),
            ignore_drift: BTreeSet::new(),
            strict: false,
        };
        Desired { objects: BTreeMap::from([(key, object)]), ..Desired::default() }
    }

    fn ledger(value: &Tree) -> Ledger {
        let field = resource::rules(Kind::Variable).fields.iter().find(|field| field.name == "value");
        let declared = diff::leaves(field.expect("variables have a value"), value, DIGEST_KEY);
        let owned = Owned { id: "1".to_owned(), declared: declared.into(), keep: false };
        let owned = BTreeMap::from([(Key::new(Kind::Variable, "v"), owned)]);
        Ledger { generation: 1, digest_key: DIGEST_KEY.to_vec(), owned, ..Ledger::default() }
    }

    fn told(files: &[Desired], live: Value, ledger: &Ledger) -> Drift {
        let row = json!({"id": "1", "name": "v", "value": live, "tags": []});
        let objects = BTreeMap::from([(Key::new(Kind::Variable, "v"), row)]);
        let house = House { files, ignore_drift: &[], now: Timestamp::UNIX_EPOCH };
        drift(&house, &Observed { objects, ..Observed::default() }, ledger)
    }

    #[test]
    fn what_git_says_by_now_is_no_drift() {
        let ledger = ledger(&Tree::text("applied"));
        let files = [variable(json!("newer in git"))];
        assert_eq!(told(&files, json!("applied"), &ledger).unchanged, 1);
        // and that somebody set by hand what git says by now is drift all the same
        assert_eq!(told(&files, json!("newer in git"), &ledger).changes.len(), 1);
    }

    #[test]
    fn what_was_applied_is_shown_where_some_files_still_hold_it() {
        let ledger = ledger(&Tree::text("applied"));
        let fields = |files: &[Desired]| told(files, json!("by hand"), &ledger).changes.remove(0).fields.remove(0);
        let both = [variable(json!("newer")), variable(json!("applied"))];
        let known = fields(&both);
        assert_eq!((known.before, known.after), (Some(Tree::text("applied")), Some(Tree::text("by hand"))));
        let unknown = fields(&both[..1]);
        assert_eq!(unknown.before, Some(Tree::Unknown(Unknown::ByDigest)));
        assert!(!format!("{unknown:?}").contains("by hand"));
    }

    #[test]
    fn secrets_are_compared_and_not_shown() {
        let ledger = ledger(&Tree::Secret(Secret::text("canary")));
        assert_eq!(told(&[], json!("canary"), &ledger).unchanged, 1);
        let drift = told(&[], json!("other-canary"), &ledger);
        assert!(drift.changes.len() == 1 && !format!("{drift:?}").contains("canary"));
    }

    #[test]
    fn what_is_gone_or_made_anew_is_gone() {
        let ledger = ledger(&Tree::text("applied"));
        let house = House { files: &[], ignore_drift: &[], now: Timestamp::UNIX_EPOCH };
        let anew = BTreeMap::from([(Key::new(Kind::Variable, "v"), json!({"id": "2", "value": "applied"}))]);
        for objects in [BTreeMap::new(), anew] {
            let drift = drift(&house, &Observed { objects, ..Observed::default() }, &ledger);
            assert_eq!(drift.changes.iter().map(|change| change.action).collect::<Vec<_>>(), [Action::Delete]);
        }
    }
}
