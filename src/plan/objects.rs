//! One object of a kind that is compared field by field: made, changed in place, taken over, held, or as it should be.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::ledger::Ledger;
use crate::model::plan::{Action, Because, Change, FieldChange, Held};
use crate::model::{Key, Kind, Map, Path, Tree};
use crate::resource::{self, Compare, Rules};

use super::Planned;
use super::diff::{self, Sides};
use super::want::{Declared, Object, Observed, Policy, Write};

/// The fields of a block type that belong to its schema.
const FORM: [&str; 4] = ["fields", "secret_fields", "capabilities", "version"];

/// Adds what has to happen to one object to the plan.
pub fn plan(wanted: &Object, policy: &Policy, observed: &Observed, ledger: &Ledger, planned: &mut Planned) {
    let rules = resource::rules(wanted.key.kind);
    planned.declared.insert(wanted.key.clone(), declared(wanted, rules, &ledger.digest_key).into());
    if wanted.lifecycle.prune == Some(false) {
        planned.keeps.insert(wanted.key.clone());
    }
    match observed.objects.get(&wanted.key) {
        None => create(wanted, rules, ledger, planned),
        Some(row) => Existing { wanted, rules, row, ledger }.plan(policy, planned),
    }
}

fn create(wanted: &Object, rules: &Rules, ledger: &Ledger, planned: &mut Planned) {
    let because = if ledger.owned.contains_key(&wanted.key) { Because::Drift } else { Because::Git };
    let differs = |(name, value): (&String, &Tree)| {
        let default = rules.fields.iter().find(|field| field.name == name)?.default_value();
        let path = Path::of(name);
        (*value != Tree::from(default)).then(|| FieldChange { path, before: None, after: Some(value.clone()) })
    };
    let shown = wanted.fields.iter().filter_map(differs).collect();
    let write = Write::CreateObject { body: body(wanted) };
    planned.push(change(wanted, Action::Create, because, shown), vec![write]);
}

/// What is sent to make an object.
pub fn body(wanted: &Object) -> Tree {
    let mut body = names(&wanted.key);
    body.extend(wanted.along.clone());
    body.extend(wanted.fields.clone());
    if wanted.key.kind == Kind::BlockType {
        form(&wanted.key, &mut body);
    }
    Tree::Map(body)
}

/// What a new object is called, in the words of its kind.
fn names(key: &Key) -> Map {
    let last = |name: &str| name.rsplit_once('/').map_or(name, |(_, last)| last).to_owned();
    let (word, name) = match key.kind {
        Kind::BlockType => ("slug", key.name.clone()),
        Kind::TagConcurrencyLimit => ("tag", key.name.clone()),
        Kind::Block | Kind::WorkQueue => ("name", last(&key.name)),
        Kind::Variable | Kind::WorkPool | Kind::ConcurrencyLimit | Kind::Flow | Kind::Deployment | Kind::Automation => {
            ("name", key.name.clone())
        }
    };
    Map::from([(word.to_owned(), Tree::Text(name))])
}

/// The form of a block type as the API takes it: what is secret, whose it is and what it holds stands among its fields.
fn form(key: &Key, body: &mut Map) {
    let secrets = body.shift_remove("secret_fields").unwrap_or(Tree::List(Vec::new()));
    let definitions = body.shift_remove("definitions");
    if let Some(Tree::Map(fields)) = body.get_mut("fields") {
        fields.extend(definitions.map(|all| ("definitions".to_owned(), all)));
        fields.entry("block_schema_references".to_owned()).or_insert_with(|| Tree::Map(Map::new()));
        fields.insert("block_type_slug".to_owned(), Tree::text(&key.name));
        fields.insert("secret_fields".to_owned(), secrets);
    }
}

/// What the API's row holds otherwise than a wanted object says, by path.
pub(super) fn differences(wanted: &Object, row: &Value, ledger: &Ledger, sides: &Sides<'_>) -> Vec<FieldChange> {
    let rules = resource::rules(wanted.key.kind);
    Existing { wanted, rules, row, ledger }.fields(sides).0
}

/// An object that is there.
struct Existing<'a> {
    wanted: &'a Object,
    rules: &'static Rules,
    row: &'a Value,
    ledger: &'a Ledger,
}

impl Existing<'_> {
    fn plan(&self, policy: &Policy, planned: &mut Planned) {
        let key = &self.wanted.key;
        let id = self.row["id"].as_str().unwrap_or_default().to_owned();
        // One that somebody made anew under the same name is not ours.
        let owned = self.ledger.owned.get(key).filter(|owned| owned.id == id);
        let is_ours = owned.is_some() || self.ledger.pending.contains(key) || !policy.ledger;
        if !is_ours && !policy.adopt && !self.wanted.lifecycle.adopt {
            return planned.plan.held.push(unadopted(key));
        }
        let nothing = Declared::new();
        let owned_paths = owned.map_or(&nothing, |owned| &*owned.declared);
        let ids = &planned.ids;
        let sides = Sides { owned: owned_paths, digest_key: &self.ledger.digest_key, strict: self.wanted.strict, ids };
        let (changes, patch) = self.fields(&sides);
        if let Some(fixed) = changes.iter().find(|change| self.is_fixed(&change.path)) {
            let reason = fixed_reason(key, fixed);
            return planned.plan.held.push(Held { key: key.clone(), action: Action::Replace, reason });
        }
        if let Some(reason) = self.same_form(&changes) {
            return planned.plan.held.push(Held { key: key.clone(), action: Action::Update, reason });
        }
        if changes.is_empty() {
            if owned.is_some() || !policy.ledger {
                planned.plan.unchanged += 1;
            } else {
                let adopt = change(self.wanted, Action::Adopt, Because::Git, Vec::new());
                planned.push(adopt, vec![Write::Adopt { id }]);
            }
            return;
        }
        let because = diff::because(&changes, &sides);
        let patch = self.sent(patch);
        planned.push(change(self.wanted, Action::Update, because, changes), vec![Write::UpdateObject { id, patch }]);
    }

    fn fields(&self, sides: &Sides<'_>) -> (Vec<FieldChange>, BTreeMap<String, Tree>) {
        let (mut changes, mut patch) = (Vec::new(), BTreeMap::new());
        for field in self.rules.fields.iter().filter(|field| field.compare != Compare::Along) {
            let found = self.found(field.name);
            let diff = match self.wanted.fields.get(field.name) {
                Some(value) => diff::declared(field, value, &found, sides),
                None => match self.wanted.along.get(field.name) {
                    // What goes along with a new one takes the place of a declaration that left git.
                    Some(value) if sides.was_declared(&Path::of(field.name)) => {
                        diff::declared(field, value, &found, sides)
                    }
                    Some(_) => continue,
                    // A pool without a template runs nothing.
                    None if field.name == "base_job_template" => continue,
                    // The server gives a queue its priority when it is made, and takes none back.
                    None if self.wanted.key.kind == Kind::WorkQueue && field.name == "priority" => continue,
                    None => diff::undeclared(field, &found, sides),
                },
            };
            let is_kept = |c: &FieldChange| !diff::is_ignored(&self.wanted.ignore_drift, &c.path.to_string());
            let kept: Vec<FieldChange> = diff.changes.into_iter().filter(is_kept).collect();
            if let Some(value) = diff.send.filter(|_| !kept.is_empty()) {
                patch.insert(field.name.to_owned(), value);
            }
            changes.extend(kept);
        }
        (changes, patch)
    }

    /// What the API holds of a field, in the words of what is declared.
    fn found(&self, field: &str) -> Value {
        let found = resource::found(self.wanted.key.kind, self.row, field);
        match self.wanted.fields.get(field) {
            Some(wanted) if self.wanted.key.kind == Kind::Automation => resource::automation::beside(wanted, found),
            Some(_) | None => found,
        }
    }

    /// What is sent: the fields that change, or all of them where the API keeps only what it is told.
    fn sent(&self, mut patch: BTreeMap<String, Tree>) -> Tree {
        match self.wanted.key.kind {
            Kind::Automation => {
                for field in self.rules.fields {
                    let found = || Tree::from(resource::found(Kind::Automation, self.row, field.name));
                    let value = || self.wanted.fields.get(field.name).cloned().unwrap_or_else(found);
                    patch.entry(field.name.to_owned()).or_insert_with(value);
                }
                patch.insert("name".to_owned(), Tree::text(&self.wanted.key.name));
            }
            // A tag's limit is written anew under its tag.
            Kind::TagConcurrencyLimit => {
                patch.insert("tag".to_owned(), Tree::text(&self.wanted.key.name));
            }
            // A schema never changes: another one is made, of all that it is made of.
            Kind::BlockType if FORM.iter().any(|field| patch.contains_key(*field)) => {
                for field in FORM {
                    let found = || Tree::from(resource::found(Kind::BlockType, self.row, field));
                    let value = || self.wanted.fields.get(field).cloned().unwrap_or_else(found);
                    patch.entry(field.to_owned()).or_insert_with(value);
                }
                let mut body: Map = patch.into_iter().chain(self.wanted.along.clone()).collect();
                form(&self.wanted.key, &mut body);
                return Tree::Map(body);
            }
            Kind::BlockType
            | Kind::Block
            | Kind::Variable
            | Kind::WorkPool
            | Kind::WorkQueue
            | Kind::ConcurrencyLimit
            | Kind::Flow
            | Kind::Deployment => {}
        }
        Tree::Map(patch.into_iter().collect())
    }

    /// Why a block type would get no other schema: the server knows schemas by their fields and version, and answers one
    /// that is there with itself.
    fn same_form(&self, changes: &[FieldChange]) -> Option<String> {
        if self.wanted.key.kind != Kind::BlockType {
            return None;
        }
        let is_changed = |field: &str| changes.iter().any(|change| change.path.starts_with(&Path::of(field)));
        let field = ["secret_fields", "capabilities"].into_iter().find(|field| is_changed(field))?;
        let is_other = is_changed("fields") || is_changed("version");
        (!is_other).then(|| {
            format!(
                "`{field}` of a schema cannot be changed while its `fields` and its `version` stay the same: give \
                 `version` another value, and the type gets another schema"
            )
        })
    }

    fn is_fixed(&self, path: &Path) -> bool {
        self.rules.fixed.iter().any(|name| path.starts_with(&Path::of(name)))
    }
}

fn unadopted(key: &Key) -> Held {
    let reason = "it exists and is nobody's: give `lifecycle: { adopt: true }` or `--adopt` to take it over".to_owned();
    Held { key: key.clone(), action: Action::Adopt, reason }
}

fn fixed_reason(key: &Key, change: &FieldChange) -> String {
    format!(
        "`{}` of a {} cannot be changed in place: give it another name, or delete it by hand first",
        change.path,
        key.kind.word().replace('_', " ")
    )
}

fn change(wanted: &Object, action: Action, because: Because, fields: Vec<FieldChange>) -> Change {
    let after = wanted.needs.keys().cloned().collect();
    let origin = Some(wanted.origin.clone());
    Change { origin, fields, after, ..Change::new(wanted.key.clone(), action, because) }
}

/// The declared paths of an object with their digests, for the ledger.
fn declared(wanted: &Object, rules: &Rules, digest_key: &[u8]) -> Declared {
    let mut out = Declared::new();
    for field in rules.fields {
        if let Some(value) = wanted.fields.get(field.name) {
            out.extend(diff::leaves(field, value, digest_key));
        }
    }
    out
}
