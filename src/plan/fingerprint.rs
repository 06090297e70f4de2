//! The fingerprint of a deployment as it should be: while it stays, comparing again gives what it gave before.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::manifest::schedules::{Schedule, Spec};
use crate::model::ledger::Owned;
use crate::model::secret::keyed_digest;
use crate::model::{Map, Path, Tree};

use super::want::{Automation, Deployment};

/// The digest, under `key`, of everything about a deployment that a comparison looks at; `None` while part of it is
/// unknown. `owned` is what the ledger says of it.
///
/// What is only sent along with other changes does not count, unless it takes the place of a declaration that left git.
pub fn fingerprint(wanted: &Deployment, owned: Option<&Owned>, key: &[u8]) -> Option<String> {
    let was_declared =
        |name: &str| owned.is_some_and(|owned| owned.declared.keys().any(|path| path.starts_with(&Path::of(name))));
    let along = wanted.along.iter().filter(|(name, _)| was_declared(name));
    let along: Vec<Value> = along.map(|(name, tree)| Some(json!([name, value(tree)?]))).collect::<Option<_>>()?;
    let schedules = match &wanted.schedules {
        None => Value::Null,
        Some(all) => all.iter().map(|one| value(&compared(one))).collect::<Option<_>>()?,
    };
    let automations: Vec<Value> = wanted.automations.iter().map(automation).collect::<Option<_>>()?;
    let slas = wanted.slas.as_ref().map(value);
    let slas = if let Some(slas) = slas { json!([slas?]) } else { Value::Null };
    let whole = json!({
        "fields": fields(&wanted.fields)?,
        "along": along,
        "schedules": schedules,
        "automations": automations,
        "slas": slas,
        "ignore_drift": wanted.ignore_drift,
        "strict": wanted.strict,
        "replaces": wanted.replaces.as_ref().map(|old| old.key.to_string()),
    });
    Some(keyed_digest(key, &whole))
}

fn fields(fields: &BTreeMap<String, Tree>) -> Option<Value> {
    let all = fields.iter().map(|(name, tree)| Some((name.clone(), value(tree)?)));
    Some(Value::Object(all.collect::<Option<_>>()?))
}

fn automation(automation: &Automation) -> Option<Value> {
    let made = &automation.made;
    Some(json!([automation.key.to_string(), made.name, value(&made.body)?, made.defaults]))
}

/// A schedule without what means another time tomorrow: that is not compared either.
fn compared(schedule: &Schedule) -> Tree {
    let mut tree = schedule.set_fields(Timestamp::UNIX_EPOCH);
    if let Spec::Interval { anchor: Some(anchor), .. } = &schedule.spec
        && anchor.is_moving()
        && let Tree::Map(map) = &mut tree
        && let Some(Tree::Map(spec)) = map.get_mut("schedule")
    {
        spec.shift_remove("anchor_date");
    }
    tree
}

/// True JSON; another object's id by its name, marked so that no text equals it.
fn value(tree: &Tree) -> Option<Value> {
    Some(match tree {
        Tree::IdOf(key) => json!({ "\0id of": key.to_string() }),
        Tree::List(items) => Value::Array(items.iter().map(value).collect::<Option<_>>()?),
        Tree::Map(map) => Value::Object(entries(map)?),
        Tree::Secret(_) | Tree::Unknown(_) | Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) => {
            tree.revealed(&|_| None)?
        }
    })
}

fn entries(map: &Map) -> Option<serde_json::Map<String, Value>> {
    map.iter().map(|(key, tree)| Some((key.clone(), value(tree)?))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::tree::Unknown;
    use crate::model::{Key, Origin, RepoPath, Secret};

    fn deployment() -> Deployment {
        Deployment {
            key: Key::deployment("etl", "nightly"),
            flow: "etl".to_owned(),
            name: "nightly".to_owned(),
            origin: Origin::whole(RepoPath::new("prefect.yaml")),
            fields: BTreeMap::from([("tags".to_owned(), Tree::from(json!(["a"])))]),
            along: BTreeMap::from([("version".to_owned(), Tree::text("1"))]),
            schedules: None,
            automations: Vec::new(),
            slas: None,
            ignore_drift: BTreeSet::new(),
            strict: false,
            replaces: None,
        }
    }

    fn print(wanted: &Deployment) -> Option<String> {
        fingerprint(wanted, None, b"k")
    }

    #[test]
    fn what_is_compared_counts_and_what_only_goes_along_does_not() {
        let before = print(&deployment());
        let along = Deployment { along: BTreeMap::from([("version".to_owned(), Tree::text("2"))]), ..deployment() };
        assert_eq!(print(&along), before);
        let strict = Deployment { strict: true, ..deployment() };
        let tags = BTreeMap::from([("tags".to_owned(), Tree::from(json!(["b"])))]);
        let scheduled = Deployment { schedules: Some(Vec::new()), ..deployment() };
        for other in [strict, Deployment { fields: tags, ..deployment() }, scheduled] {
            assert_ne!(print(&other), before);
        }
        assert_ne!(fingerprint(&deployment(), None, b"other"), before);
    }

    #[test]
    fn what_takes_the_place_of_a_declaration_counts() {
        let owned = Owned {
            id: String::new(),
            declared: BTreeMap::from([(Path::of("version"), String::new())]).into(),
            keep: false,
        };
        let along = Deployment { along: BTreeMap::from([("version".to_owned(), Tree::text("2"))]), ..deployment() };
        let print = |wanted: &Deployment| fingerprint(wanted, Some(&owned), b"k");
        assert_ne!(print(&along), print(&deployment()));
    }

    #[test]
    fn a_moving_anchor_is_no_change_and_a_fixed_one_is() {
        let with = |item: Value, now: &str| {
            let schedule = Schedule::build(&Tree::from(item), now.parse().expect("a time")).expect("valid");
            print(&Deployment { schedules: Some(vec![schedule]), ..deployment() })
        };
        let moving = json!({"interval": 60, "anchor_date": "now"});
        assert_eq!(with(moving.clone(), "2026-01-01T00:00:00Z"), with(moving, "2026-01-02T00:00:00Z"));
        let fixed = |date: &str| with(json!({"interval": 60, "anchor_date": date}), "2026-01-01T00:00:00Z");
        assert_ne!(fixed("2026-01-01"), fixed("2026-01-02"));
    }

    #[test]
    fn secrets_count_and_what_is_unknown_has_no_fingerprint() {
        let with = |tree: Tree| print(&Deployment { fields: BTreeMap::from([("x".to_owned(), tree)]), ..deployment() });
        assert_ne!(with(Tree::Secret(Secret::text("a"))), with(Tree::Secret(Secret::text("b"))));
        assert_eq!(with(Tree::Unknown(Unknown::AfterBuild)), None);
        let id = Tree::IdOf(Key::deployment("etl", "nightly"));
        assert_ne!(with(id.clone()), with(Tree::text("deployment etl/nightly")));
    }
}
