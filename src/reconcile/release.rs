//! `release`: objects stop being ours and stay as they are.

use std::collections::{BTreeMap, BTreeSet};

use super::error::PassError;
use super::keep::Keeper;
use super::{Pass, builds};
use crate::diagnostic::{did_you_mean, has_errors};
use crate::manifest::select::glob;
use crate::model::ledger::Ledger;
use crate::model::{Key, Kind};

/// What becomes of a released object at the next apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: git does not speak of it.
    LeftAlone,
    /// Git still declares it: it is taken over again.
    TakenOver,
    /// Git still declares it: it is held until it may be adopted.
    Held,
    /// The files are invalid: nobody can say.
    Unknown,
}

/// The objects that names and patterns mean, with what hangs on them, and what the next apply does with each.
///
/// # Errors
/// One that means nothing of ours, with what may have been meant.
pub fn chosen(pass: &Pass<'_>, patterns: &[Key]) -> Result<BTreeMap<Key, Next>, PassError> {
    let ledger = pass.applied()?;
    let ours: BTreeSet<&Key> = ledger.owned.keys().chain(&ledger.pending).collect();
    let mut keys: BTreeSet<Key> = BTreeSet::new();
    for pattern in patterns {
        let before = keys.len();
        let meant = |key: &&&Key| key.kind == pattern.kind && glob(&pattern.name, &key.name);
        let found: Vec<Key> = ours.iter().filter(meant).map(|key| (*key).clone()).collect();
        keys.extend(found.iter().cloned());
        if found.is_empty() && keys.len() == before {
            return Err(PassError::Usage(unknown(pattern, &ours, &pass.reading.scope)));
        }
    }
    // What hangs on a deployment would else be left over, and pruned.
    let hanging = ours.iter().filter(|key| keys.iter().any(|owner| key.hangs_on(owner)));
    let hanging: Vec<Key> = hanging.map(|key| (*key).clone()).collect();
    keys.extend(hanging);
    let (desired, diagnostics) = pass.desire(&builds::remembered(pass));
    let next = |key: &Key| {
        let hangs = desired.deployments.keys().any(|owner| key.hangs_on(owner));
        if has_errors(&diagnostics) {
            Next::Unknown
        } else if desired.deployments.contains_key(key) || hangs {
            Next::TakenOver
        } else {
            match desired.objects.get(key) {
                Some(wanted) if wanted.lifecycle.adopt => Next::TakenOver,
                Some(_) => Next::Held,
                None => Next::LeftAlone,
            }
        }
    };
    Ok(keys.into_iter().map(|key| (key.clone(), next(&key))).collect())
}

fn unknown(pattern: &Key, ours: &BTreeSet<&Key>, scope: &str) -> String {
    let spelt = |key: &&&Key| format!("{}/{}", key.kind, key.name);
    let same: Vec<String> = ours.iter().filter(|key| key.kind == pattern.kind).map(|key| spelt(&key)).collect();
    let all: Vec<String> = ours.iter().map(|key| spelt(&key)).collect();
    let typed = format!("{}/{}", pattern.kind, pattern.name);
    let hint = did_you_mean(&typed, all.iter().map(String::as_str)).unwrap_or_else(|| match same.len() {
        0 => format!("`{scope}` owns no {}", pattern.kind),
        _ => format!("ours are {}", same.iter().take(10).cloned().collect::<Vec<_>>().join(", ")),
    });
    format!("`{typed}` is not owned by `{scope}`: {hint}")
}

/// Takes objects out of the ledger, as it is now, in one write. The lock must be held. Gives those that were still in it.
///
/// # Errors
/// A ledger that cannot be trusted or written.
pub async fn release(pass: &mut Pass<'_>, keys: &BTreeMap<Key, Next>) -> Result<Vec<Key>, PassError> {
    pass.refresh().await?;
    let ledger: Ledger = pass.applied()?.clone();
    let Some(api) = pass.api else { return Ok(Vec::new()) };
    let is_there = |key: &&Key| ledger.owned.contains_key(*key) || ledger.pending.contains(*key);
    let going: Vec<Key> = keys.keys().filter(is_there).cloned().collect();
    let mut keeper = Keeper::new(api, &pass.reading.scope, ledger, true);
    going.iter().for_each(|key| keeper.forget(key));
    keeper.close().await.map_err(PassError::Untrusted)?;
    Ok(going)
}

impl Next {
    /// The word for it in reports.
    pub fn word(self) -> &'static str {
        match self {
            Next::LeftAlone => "left alone",
            Next::TakenOver => "taken over",
            Next::Held => "held",
            Next::Unknown => "unknown",
        }
    }

    /// What to know before letting go, if something is.
    pub fn warning(self, kind: Kind) -> Option<String> {
        let kind = kind.word().replace('_', " ");
        match self {
            Next::LeftAlone => None,
            Next::TakenOver => {
                Some("git declares it: the next apply takes it over again, unless it leaves git".to_owned())
            }
            Next::Held => Some(format!(
                "git declares it: the next apply holds the {kind} until it may adopt it, or it leaves git"
            )),
            Next::Unknown => {
                Some("the files are invalid: if they declare it, the next apply takes it up again".to_owned())
            }
        }
    }
}
