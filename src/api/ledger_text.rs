//! The ledger as JSON that people can read, and back; nothing of it is secret but the key of its digests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::ledger_parts::{Documents, gather, spread};
use crate::model::ledger::{Ledger, Owned};
use crate::model::secret::{hex, keyed_digest};
use crate::model::{Key, Path};

/// The layout of the documents; raised when an older reconcile could not read them any more.
pub(super) const FORMAT: u64 = 1;
/// What people find when they look at the document.
const ABOUT: &str = "What reconcile owns in this workspace. Kept by reconcile; if it is edited, nothing is deleted.";

/// Why documents are no ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// Something is wrong with one of them.
    Broken {
        /// Its name.
        document: String,
        /// What is wrong.
        problem: String,
    },
    /// A newer reconcile wrote them.
    TooNew {
        /// Their format.
        format: u64,
    },
    /// The API does not show the key.
    Withheld,
}

/// The documents of a ledger that is saved for the `generation`th time. `name` is that of the main document.
pub(super) fn write(ledger: &Ledger, generation: u64, scope: &str, name: &str) -> Documents {
    let key = &ledger.digest_key;
    let owned = ledger.owned.iter().map(|(key, owned)| (key.to_string(), owned_text(owned))).collect();
    let mut documents = Documents {
        main: json!({
            "about": ABOUT,
            "format": FORMAT,
            "scope": scope,
            "generation": generation,
            "commit": ledger.commit,
            "pending": ledger.pending.iter().map(Key::to_string).collect::<Vec<_>>(),
        }),
        parts: BTreeMap::new(),
    };
    spread(&mut documents, name, "owned", owned, key);
    if !ledger.intended.is_empty() {
        let texts = |paths: &BTreeSet<Path>| paths.iter().map(|path| Value::String(path.to_string())).collect();
        let intended = ledger.intended.iter().map(|(key, paths)| (key.to_string(), texts(paths))).collect();
        spread(&mut documents, name, "intended", intended, key);
    }
    spread(&mut documents, name, "builds", Map::from_iter(ledger.builds.clone()), key);
    spread(&mut documents, name, "flows", Map::from_iter(ledger.flows.clone()), key);
    documents.main["seal"] = Value::String(keyed_digest(key, &documents.main));
    documents.main["digest_key"] = Value::String(hex(key));
    documents
}

/// The ledger of some documents.
pub(super) fn read(mut documents: Documents, scope: &str, name: &str) -> Result<Ledger, Damage> {
    let broken = |problem: &str| Damage::Broken { document: name.to_owned(), problem: problem.to_owned() };
    let main = &mut documents.main;
    match main["format"].as_u64() {
        Some(FORMAT) => {}
        Some(format) if format > FORMAT => return Err(Damage::TooNew { format }),
        Some(_) | None => return Err(broken("its `format` is missing or wrong")),
    }
    let key = main["digest_key"].as_str().ok_or_else(|| broken("`digest_key` is missing"))?;
    if !key.is_empty() && key.chars().all(|c| c == '*') {
        return Err(Damage::Withheld);
    }
    let key = unhex(key).ok_or_else(|| broken("`digest_key` is no key"))?;
    if main["scope"] != scope {
        return Err(broken("it belongs to another scope"));
    }
    // The seal speaks of everything else but the key.
    let sealed = main.as_object_mut().and_then(|main| (main.shift_remove("seal"), main.shift_remove("digest_key")).0);
    if sealed.as_ref().and_then(Value::as_str) != Some(&keyed_digest(&key, main)) {
        return Err(broken("it was edited"));
    }
    let mut map = |field: &str| {
        gather(&mut documents, name, field, &key).map_err(|(document, problem)| Damage::Broken { document, problem })
    };
    let owned: Option<BTreeMap<Key, Owned>> =
        map("owned")?.into_iter().map(|(key, owned)| Some((key.parse().ok()?, owned_of(owned)?))).collect();
    // What is only remembered can be found out again.
    let (builds, flows) = (map("builds").unwrap_or_default(), map("flows").unwrap_or_default());
    let intended = intended(&map("intended").unwrap_or_default());
    let main = &documents.main;
    let pending = main["pending"].as_array().into_iter().flatten();
    let pending: Option<BTreeSet<Key>> = pending.map(|key| key.as_str()?.parse().ok()).collect();
    Ok(Ledger {
        generation: main["generation"].as_u64().ok_or_else(|| broken("`generation` is missing"))?,
        commit: main["commit"].as_str().map(str::to_owned),
        owned: owned.ok_or_else(|| broken("`owned` cannot be read"))?,
        pending: pending.ok_or_else(|| broken("`pending` cannot be read"))?,
        intended,
        builds: builds.into_iter().collect(),
        flows: flows.into_iter().collect(),
        digest_key: key,
    })
}

/// What was about to come into being. What cannot be read is left out: it only helps after a crash.
fn intended(entries: &Map<String, Value>) -> BTreeMap<Key, BTreeSet<Path>> {
    let paths =
        |value: &Value| value.as_array().into_iter().flatten().filter_map(|path| path.as_str()?.parse().ok()).collect();
    entries.iter().filter_map(|(key, value)| Some((key.parse().ok()?, paths(value)))).collect()
}

/// The keys of one document's `owned`, whether it is a main document or a part.
pub(super) fn owned_keys(data: &Value) -> impl Iterator<Item = Key> + '_ {
    data["owned"].as_object().into_iter().flatten().filter_map(|(key, _)| key.parse().ok())
}

/// The keys of what was about to be written when a main document was saved.
pub(super) fn pending_keys(data: &Value) -> impl Iterator<Item = Key> + '_ {
    data["pending"].as_array().into_iter().flatten().filter_map(|key| key.as_str()?.parse().ok())
}

fn owned_text(owned: &Owned) -> Value {
    let declared: Map<String, Value> =
        owned.declared.iter().map(|(path, digest)| (path.to_string(), Value::String(digest.clone()))).collect();
    let mut text = json!({"id": owned.id, "declared": declared});
    if owned.keep {
        text["keep"] = Value::Bool(true);
    }
    text
}

fn owned_of(mut value: Value) -> Option<Owned> {
    let Value::Object(declared) = value.get_mut("declared")?.take() else { return None };
    let declared = declared.into_iter().map(|(path, digest)| Some((path.parse().ok()?, text(digest)?)));
    let declared: Option<BTreeMap<Path, String>> = declared.collect();
    let keep = value["keep"] == true;
    Some(Owned { id: text(value.get_mut("id")?.take())?, declared: Arc::new(declared?), keep })
}

fn text(value: Value) -> Option<String> {
    if let Value::String(text) = value { Some(text) } else { None }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, Seg};
    use proptest::prelude::*;

    fn small() -> Ledger {
        let declared = BTreeMap::from([
            (Path::of("schedules").item("daily").key("cron"), "d1".to_owned()),
            (Path::of("env").key("a.b"), "d2".to_owned()),
        ]);
        Ledger {
            generation: 3,
            commit: Some("3f2c1a9".to_owned()),
            digest_key: vec![7; 32],
            owned: BTreeMap::from([(
                Key::deployment("etl", "nightly"),
                Owned { id: "x".to_owned(), declared: Arc::new(declared), keep: true },
            )]),
            pending: BTreeSet::from([Key::new(Kind::WorkPool, "k8s")]),
            intended: BTreeMap::from([(
                Key::deployment("etl", "nightly"),
                BTreeSet::from([Path::of("schedules").item("hourly")]),
            )]),
            builds: BTreeMap::from([("b".to_owned(), json!({"image": "i"}))]),
            flows: BTreeMap::from([("f".to_owned(), json!({"$ref": "#/definitions/X"}))]),
        }
    }

    #[test]
    fn it_can_be_read_by_people() {
        let main = write(&small(), 3, "shop", "shop-1").main;
        assert_eq!(
            main["owned"]["deployment etl/nightly"],
            json!({"id": "x", "declared": {"env.\"a.b\"": "d2", "schedules[daily].cron": "d1"}, "keep": true})
        );
        assert_eq!((&main["pending"], &main["generation"]), (&json!(["work_pool k8s"]), &json!(3)));
    }

    #[test]
    fn every_edit_is_noticed() {
        let whole = write(&small(), 3, "shop", "shop-1");
        assert_eq!(read(whole.clone(), "shop", "shop-1"), Ok(small()));
        for (pointer, value) in [
            ("/generation", json!(2)),
            ("/owned/deployment etl~1nightly/id", json!("y")),
            ("/owned", json!({})),
            ("/pending", json!([])),
            ("/digest_key", json!("00")),
            ("/seal", json!(null)),
            ("/scope", json!("other")),
            ("/format", json!(0)),
        ] {
            let mut edited = whole.clone();
            *edited.main.pointer_mut(pointer).expect("it is there") = value;
            assert!(matches!(read(edited, "shop", "shop-1"), Err(Damage::Broken { .. })), "{pointer}");
        }
        let mut masked = whole.clone();
        masked.main["digest_key"] = json!("********");
        assert_eq!(read(masked, "shop", "shop-1"), Err(Damage::Withheld));
        let mut newer = whole;
        newer.main["format"] = json!(2);
        assert_eq!(read(newer, "shop", "shop-1"), Err(Damage::TooNew { format: 2 }));
    }

    #[test]
    fn missing_and_edited_parts_are_noticed() {
        let mut ledger = small();
        let many = (0..2500).map(|n| (Key::deployment("f", &n.to_string()), Owned::default()));
        ledger.owned = many.collect();
        let whole = write(&ledger, 3, "shop", "shop-1");
        assert_eq!(whole.parts.len(), 16);
        assert_eq!(read(whole.clone(), "shop", "shop-1"), Ok(ledger));
        let first = whole.parts.keys().next().expect("there are some").clone();
        let mut missing = whole.clone();
        missing.parts.remove(&first);
        let problem = |documents: Documents| match read(documents, "shop", "shop-1") {
            Err(Damage::Broken { document, problem }) => (document, problem),
            other => panic!("{other:?}"),
        };
        assert_eq!(problem(missing), (first.clone(), "it is missing".to_owned()));
        let mut edited = whole;
        edited.parts.get_mut(&first).expect("it is there")["owned"] = json!({});
        assert_eq!(problem(edited), (first, "it was edited".to_owned()));
    }

    fn keys() -> impl Strategy<Value = Key> {
        (prop::sample::select(Kind::ALL.to_vec()), "\\PC{1,12}").prop_map(|(kind, name)| Key::new(kind, name))
    }

    fn paths() -> impl Strategy<Value = Path> {
        let seg = ("\\PC{0,6}", any::<bool>()).prop_map(|(w, key)| if key { Seg::Key(w) } else { Seg::Item(w) });
        prop::collection::vec(seg, 0..4).prop_map(Path)
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_itself(
            generation in any::<u64>(),
            commit in prop::option::of("[0-9a-f]{7}"),
            digest_key in prop::collection::vec(any::<u8>(), 1..40),
            owned in prop::collection::btree_map(
                keys(),
                ("[a-f0-9]{8}", prop::collection::btree_map(paths(), "[a-f0-9]{4}", 0..4)),
                0..6,
            ),
            pending in prop::collection::btree_set(keys(), 0..4),
        ) {
            let owned = owned.into_iter().map(|(key, (id, declared))| (key, Owned { id, declared: Arc::new(declared), keep: false })).collect();
            let ledger = Ledger { generation, commit, digest_key, owned, pending, ..Ledger::default() };
            let documents = write(&ledger, generation, "shop", "shop-1");
            let text = serde_json::to_string(&documents.main).expect("JSON");
            let documents = Documents { main: serde_json::from_str(&text).expect("JSON"), ..documents };
            prop_assert_eq!(read(documents, "shop", "shop-1"), Ok(ledger));
        }
    }
}
