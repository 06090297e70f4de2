//! Two values and a field's rule → what differs, and what to send.
//!
//! Three-way: what git declares is ours; what git declared when we last applied and no longer declares goes back to
//! its default; what git never declared is left alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::plan::{Because, FieldChange};
use crate::model::secret::keyed_digest;
use crate::model::{Key, Map, Path, Tree};
use crate::render::references;
use crate::resource::{Compare, Field};

use super::want::Declared;

/// What one field comes to.
#[derive(Debug, Default)]
pub struct FieldDiff {
    /// What differs, leaf by leaf where the field compares by keys.
    pub changes: Vec<FieldChange>,
    /// The whole new value of the field, if it has to be sent.
    pub send: Option<Tree>,
}

/// The view of one object that a field comparison needs.
pub struct Sides<'a> {
    /// What the ledger says was declared when we last applied.
    pub owned: &'a Declared,
    /// The key of the ledger's digests.
    pub digest_key: &'a [u8],
    /// Whether every field is ours.
    pub strict: bool,
    /// The ids of objects that are there: what a reference reads back as.
    pub ids: &'a BTreeMap<Key, String>,
}

/// What the API answers in the place of a secret that the account may not read. Source:
/// `prefect/server/schemas/core.py` (3.8.8), `BlockDocument`.
pub(super) const MASK: &str = "********";

impl Sides<'_> {
    /// Whether the API holds what is wanted. Of a secret that is withheld, whether it is the one that we applied.
    fn is_same(&self, path: &Path, wanted: &Tree, found: &Tree) -> bool {
        if found.as_str() == Some(MASK) && wanted.has_secret() {
            return self.is_as_applied(path, wanted);
        }
        wanted.with_ids(&|key| self.ids.get(key).cloned()) == *found
    }

    /// Whether git spoke of a path, or of something below it, when we last applied.
    pub fn was_declared(&self, path: &Path) -> bool {
        self.owned.keys().any(|owned| owned.starts_with(path))
    }

    /// Whether a secret stood there, or below it, when we last applied: what the API holds is then one.
    pub fn was_secret(&self, path: &Path) -> bool {
        self.owned.iter().any(|(owned, digest)| owned.starts_with(path) && digest.starts_with(SEALED))
    }

    /// What the API holds, as far as it may be shown beside what is wanted.
    pub fn shown(&self, path: &Path, found: Tree, wanted: Option<&Tree>) -> Tree {
        // `prefect deploy` stores the value of a block in clear text where git refers to the block.
        let filled = |wanted: &Tree| names_a_block(wanted) && !names_a_block(&found);
        let secret = wanted.is_some_and(|wanted| wanted.has_secret() || filled(wanted));
        if secret || self.was_secret(path) { sealed(&found) } else { found }
    }

    /// Whether git says the same as when we last applied: then what differs was changed on the API.
    fn is_as_applied(&self, path: &Path, wanted: &Tree) -> bool {
        self.owned.get(path).is_some_and(|digest| Some(digest) == digest_of(wanted, self.digest_key).as_ref())
    }
}

/// Whether drift of a path is nobody's business. An ignored path is still set when the object is made.
pub fn is_ignored(ignore_drift: &BTreeSet<String>, path: &str) -> bool {
    ignore_drift.iter().any(|ignored| {
        path.strip_prefix(ignored.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

/// Compares a declared field with what the API holds.
pub fn declared(field: &Field, wanted: &Tree, found: &Value, sides: &Sides<'_>) -> FieldDiff {
    let path = Path::of(field.name);
    let found_tree = Tree::from(found);
    match field.compare {
        Compare::Along => FieldDiff::default(),
        Compare::Exact => {
            let same = sides.is_same(&path, wanted, &found_tree);
            whole(path, wanted, &found_tree, same, sides)
        }
        Compare::Set => whole(path, wanted, &found_tree, same_set(wanted, &found_tree), sides),
        Compare::Keys => match (wanted, &found_tree) {
            (Tree::Map(wanted), Tree::Map(found)) => by_keys(&path, wanted, found, sides),
            _ => {
                let same = sides.is_same(&path, wanted, &found_tree);
                whole(path, wanted, &found_tree, same, sides)
            }
        },
    }
}

/// A field that git says nothing of: back to its default if git spoke of it when we last applied.
pub fn undeclared(field: &Field, found: &Value, sides: &Sides<'_>) -> FieldDiff {
    let path = Path::of(field.name);
    let default = Tree::from(field.default_value());
    let found = Tree::from(found);
    if field.compare == Compare::Along || !(sides.strict || sides.was_declared(&path)) {
        return FieldDiff::default();
    }
    if let (Compare::Keys, Tree::Map(found)) = (field.compare, &found) {
        let mut diff = by_keys(&path, &Map::new(), found, sides);
        // What is nothing by default is not a mapping without keys: the server would miss those that it requires.
        if default.is_null() && diff.send.is_some() {
            diff.send = Some(default);
        }
        return diff;
    }
    if found == default || (found.is_null() && !default.is_truthy()) {
        return FieldDiff::default();
    }
    let before = sides.shown(&path, found, None);
    FieldDiff {
        changes: vec![FieldChange { path, before: Some(before), after: Some(default.clone()) }],
        send: Some(default),
    }
}

fn whole(path: Path, wanted: &Tree, found: &Tree, same: bool, sides: &Sides<'_>) -> FieldDiff {
    if same || is_normalised_by_the_server(&path, wanted, sides) {
        return FieldDiff::default();
    }
    let found = in_words_of(wanted, &wanted.with_ids(&|key| sides.ids.get(key).cloned()), found);
    let before = sides.shown(&path, found, Some(wanted));
    FieldDiff {
        changes: vec![FieldChange { path, before: Some(before), after: Some(wanted.clone()) }],
        send: Some(wanted.clone()),
    }
}

/// What the API holds, with the name of an object where its id is the one that is wanted: that is no difference.
fn in_words_of(wanted: &Tree, with_ids: &Tree, found: &Tree) -> Tree {
    match (wanted, with_ids, found) {
        (Tree::IdOf(_), _, _) if with_ids == found => wanted.clone(),
        (Tree::Map(wanted), Tree::Map(with_ids), Tree::Map(found)) => {
            let each = found.iter().map(|(key, value)| match wanted.get(key).zip(with_ids.get(key)) {
                Some((wanted, with_ids)) => (key.clone(), in_words_of(wanted, with_ids, value)),
                None => (key.clone(), value.clone()),
            });
            Tree::Map(each.collect())
        }
        (Tree::List(wanted), Tree::List(with_ids), Tree::List(found)) => {
            let known = wanted.iter().zip(with_ids).map(Some).chain(std::iter::repeat(None));
            let each = found.iter().zip(known).map(|(value, known)| match known {
                Some((wanted, with_ids)) => in_words_of(wanted, with_ids, value),
                None => value.clone(),
            });
            Tree::List(each.collect())
        }
        _ => found.clone(),
    }
}

/// The server renders values that carry its marker when they are written, so that what it holds never equals what was
/// sent: such a value is unchanged when we sent the same the last time.
fn is_normalised_by_the_server(path: &Path, wanted: &Tree, sides: &Sides<'_>) -> bool {
    let marked = wanted.any(&|tree| tree.get("__prefect_kind").is_some());
    marked && sides.is_as_applied(path, wanted)
}

fn by_keys(path: &Path, wanted: &Map, found: &Map, sides: &Sides<'_>) -> FieldDiff {
    let mut changes = Vec::new();
    let merged = merge(path, wanted, found, sides, &mut changes);
    let send = (!changes.is_empty()).then_some(Tree::Map(merged));
    FieldDiff { changes, send }
}

/// What is wanted, laid over what others put there, without what we put there and no longer want.
fn merge(path: &Path, wanted: &Map, found: &Map, sides: &Sides<'_>, changes: &mut Vec<FieldChange>) -> Map {
    let mut merged = Map::new();
    for (key, value) in found {
        let at = path.key(key);
        match wanted.get(key) {
            Some(_) => {}
            None if sides.strict || sides.was_declared(&at) => {
                if let Some(rest) = others(&at, value, sides, changes) {
                    merged.insert(key.clone(), rest);
                    continue;
                }
                let before = sides.shown(&at, value.clone(), None);
                changes.push(FieldChange { path: at, before: Some(before), after: None });
            }
            None => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    for (key, value) in wanted {
        let at = path.key(key);
        let value = match (value, found.get(key)) {
            (Tree::Map(wanted), Some(Tree::Map(found))) if !is_marked(wanted) => {
                Tree::Map(merge(&at, wanted, found, sides, changes))
            }
            (wanted, Some(found)) => {
                let same = sides.is_same(&at, wanted, found);
                let diff = whole(at, wanted, found, same, sides);
                let unchanged = diff.changes.is_empty();
                changes.extend(diff.changes);
                if unchanged { wanted.clone() } else { diff.send.unwrap_or_else(|| wanted.clone()) }
            }
            (wanted, None) => {
                changes.push(FieldChange { path: at, before: None, after: Some(wanted.clone()) });
                wanted.clone()
            }
        };
        merged.insert(key.clone(), value);
    }
    merged
}

/// What others put into a mapping of which git declared some keys and no longer does; `None` if that is nothing.
fn others(at: &Path, found: &Tree, sides: &Sides<'_>, changes: &mut Vec<FieldChange>) -> Option<Tree> {
    let Tree::Map(found) = found else { return None };
    if sides.strict || sides.owned.contains_key(at) {
        return None;
    }
    let mut within = Vec::new();
    let rest = merge(at, &Map::new(), found, sides, &mut within);
    if rest.is_empty() {
        return None;
    }
    changes.extend(within);
    Some(Tree::Map(rest))
}

fn is_marked(map: &Map) -> bool {
    map.contains_key("__prefect_kind")
}

fn same_set(a: &Tree, b: &Tree) -> bool {
    let (Tree::List(a), Tree::List(b)) = (a, b) else { return a == b };
    a.iter().all(|item| b.contains(item)) && b.iter().all(|item| a.contains(item))
}

/// Whether it refers to a block.
fn names_a_block(tree: &Tree) -> bool {
    let found = references(tree);
    !found.blocks.is_empty() || !found.block_ids.is_empty()
}

/// The value where nobody sees it.
pub fn sealed(tree: &Tree) -> Tree {
    tree.revealed(&|_| None).map_or(Tree::Null, |value| Tree::Secret(crate::model::Secret::new(value)))
}

/// The leaves of a declared field, for the ledger.
pub fn leaves(field: &Field, wanted: &Tree, digest_key: &[u8]) -> Declared {
    let mut out = BTreeMap::new();
    let path = Path::of(field.name);
    match (field.compare, wanted) {
        (Compare::Along, _) => {}
        (Compare::Keys, Tree::Map(map)) => keys(&path, map, digest_key, &mut out),
        _ => {
            out.insert(path, digest_of(wanted, digest_key).unwrap_or_default());
        }
    }
    out
}

fn keys(path: &Path, map: &Map, digest_key: &[u8], out: &mut Declared) {
    for (key, value) in map {
        let at = path.key(key);
        match value {
            Tree::Map(inner) if !inner.is_empty() && !is_marked(inner) => keys(&at, inner, digest_key, out),
            other => {
                out.insert(at, digest_of(other, digest_key).unwrap_or_default());
            }
        }
    }
}

/// What the digests of secrets start with, so that a later plan shows nothing of what they leave behind.
pub(super) const SEALED: &str = "sealed:";

/// The keyed digest of a value; `None` while part of it is unknown.
pub fn digest_of(tree: &Tree, digest_key: &[u8]) -> Option<String> {
    let value = tree.revealed(&|key| Some(key.to_string()))?;
    let prefix = if tree.has_secret() { SEALED } else { "" };
    Some(format!("{prefix}{}", keyed_digest(digest_key, &value)))
}

/// Why these fields differ: somebody changed them on the API if git says the same as when we last applied.
pub fn because(changes: &[FieldChange], sides: &Sides<'_>) -> Because {
    let unknown = |c: &FieldChange| c.after.as_ref().is_some_and(Tree::has_unknown);
    if !changes.is_empty() && changes.iter().all(unknown) {
        return Because::Build;
    }
    let drifted = |c: &FieldChange| c.after.as_ref().is_some_and(|after| sides.is_as_applied(&c.path, after));
    if !changes.is_empty() && changes.iter().all(drifted) { Because::Drift } else { Because::Git }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;
    use proptest::prelude::*;
    use serde_json::json;

    static NOBODY: BTreeMap<Key, String> = BTreeMap::new();
    const KEYS: Field = Field { name: "job_variables", compare: Compare::Keys, default: "{}" };
    const SET: Field = Field { name: "tags", compare: Compare::Set, default: "[]" };

    fn sides(owned: &Declared) -> Sides<'_> {
        Sides { owned, digest_key: b"k", strict: false, ids: &NOBODY }
    }

    #[test]
    fn keys_of_others_stay_and_keys_that_left_git_go() {
        let owned = leaves(&KEYS, &Tree::from(json!({"image": "a", "env": {"MODE": "x", "OLD": "y"}})), b"k");
        let wanted = Tree::from(json!({"env": {"MODE": "z"}}));
        let found = json!({"image": "a", "env": {"MODE": "x", "OLD": "y", "THEIRS": "1"}, "cpu": 2});
        let diff = declared(&KEYS, &wanted, &found, &sides(&owned));
        assert_eq!(diff.send, Some(Tree::from(json!({"env": {"MODE": "z", "THEIRS": "1"}, "cpu": 2}))));
        let paths: Vec<String> = diff.changes.iter().map(|c| c.path.to_string()).collect();
        assert_eq!(paths, ["job_variables.image", "job_variables.env.OLD", "job_variables.env.MODE"]);
    }

    #[test]
    fn strict_owns_everything() {
        let sides = Sides { owned: &Declared::new(), digest_key: b"k", strict: true, ids: &NOBODY };
        let diff = declared(&KEYS, &Tree::from(json!({"a": 1})), &json!({"a": 1, "b": 2}), &sides);
        assert_eq!(diff.send, Some(Tree::from(json!({"a": 1}))));
    }

    #[test]
    fn sets_compare_without_order() {
        let none = Declared::new();
        let wanted = Tree::from(json!(["a", "b"]));
        assert!(declared(&SET, &wanted, &json!(["b", "a", "a"]), &sides(&none)).send.is_none());
        assert!(declared(&SET, &wanted, &json!(["b"]), &sides(&none)).send.is_some());
    }

    #[test]
    fn a_field_that_was_never_declared_is_left_alone_and_one_that_left_is_reset() {
        assert!(undeclared(&SET, &json!(["ui"]), &sides(&Declared::new())).send.is_none());
        let owned = leaves(&SET, &Tree::from(json!(["mine"])), b"k");
        assert_eq!(undeclared(&SET, &json!(["ui"]), &sides(&owned)).send, Some(Tree::from(json!([]))));
    }

    #[test]
    fn what_was_secret_is_not_shown_when_it_leaves_git() {
        let secret = Tree::Map(Map::from([("token".to_owned(), Tree::Secret(Secret::text("canary")))]));
        let owned = leaves(&KEYS, &secret, b"k");
        for wanted in [json!({}), json!({"token": "plain"}), json!({"token": "{{ prefect.blocks.secret.t.value }}"})] {
            let diff = declared(&KEYS, &Tree::from(wanted), &json!({"token": "canary"}), &sides(&owned));
            assert_eq!(diff.changes.len(), 1);
            assert!(!format!("{:?}", diff.changes).contains("canary"));
        }
        let by_prefect = Tree::from(json!({"token": "{{ prefect.blocks.secret.t.value }}"}));
        let diff = declared(&KEYS, &by_prefect, &json!({"token": "canary"}), &sides(&Declared::new()));
        assert!(!format!("{:?}", diff.changes).contains("canary"));
    }

    #[test]
    fn what_is_nothing_by_default_is_reset_to_nothing() {
        const OPTIONS: Field = Field { name: "concurrency_options", compare: Compare::Keys, default: "null" };
        let owned = leaves(&OPTIONS, &Tree::from(json!({"collision_strategy": "ENQUEUE"})), b"k");
        let diff = undeclared(&OPTIONS, &json!({"collision_strategy": "ENQUEUE", "more": 1}), &sides(&owned));
        assert_eq!(diff.send, Some(Tree::Null));
    }

    #[test]
    fn the_reason_is_drift_when_git_did_not_move() {
        let wanted = Tree::from(json!({"env": {"MODE": "x"}}));
        let owned = leaves(&KEYS, &wanted, b"k");
        let drifted = declared(&KEYS, &wanted, &json!({"env": {"MODE": "by hand"}}), &sides(&owned));
        assert_eq!(because(&drifted.changes, &sides(&owned)), Because::Drift);
        let moved = Tree::from(json!({"env": {"MODE": "new"}}));
        let changed = declared(&KEYS, &moved, &json!({"env": {"MODE": "x"}}), &sides(&owned));
        assert_eq!(because(&changed.changes, &sides(&owned)), Because::Git);
    }

    #[test]
    fn where_the_wanted_value_is_secret_the_old_one_is_too() {
        let wanted = Tree::from(json!({}));
        let Tree::Map(mut map) = wanted else { unreachable!("made above") };
        map.insert("token".into(), Tree::Secret(Secret::text("new")));
        let diff = declared(&KEYS, &Tree::Map(map), &json!({"token": "old-canary"}), &sides(&Declared::new()));
        assert!(!format!("{:?}", diff.changes).contains("canary"));
        assert_eq!(diff.changes.len(), 1);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_differs_from_itself(value in any_json()) {
            for field in [&KEYS, &SET] {
                let diff = declared(field, &Tree::from(&value), &value, &sides(&Declared::new()));
                prop_assert!(diff.send.is_none() && diff.changes.is_empty());
            }
        }

        #[test]
        fn what_is_sent_leaves_nothing_to_send(wanted in any_json(), found in any_json(), before in any_json()) {
            let owned = leaves(&KEYS, &Tree::from(&before), b"k");
            let wanted = Tree::from(&wanted);
            let first = declared(&KEYS, &wanted, &found, &sides(&owned));
            let Some(sent) = first.send else { return Ok(()) };
            let after = sent.revealed(&|_| None).expect("all known");
            let again = declared(&KEYS, &wanted, &after, &sides(&leaves(&KEYS, &wanted, b"k")));
            prop_assert!(again.send.is_none(), "{:?}", again.changes);
        }
    }
}
