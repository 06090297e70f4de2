//! The order of writes: waves, each of which can go at once when those before it are in.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::plan::{Action, Change, Plan};
use crate::model::{Key, Kind};

/// The keys of all changes: first what is made or changed, what is needed before what needs it; then what is deleted,
/// what needs before what is needed.
///
/// Changes that need each other in a circle come in one last wave: whoever made the plan has told of the circle.
pub fn waves(plan: &Plan) -> Vec<Vec<Key>> {
    let (deleting, making): (Vec<&Change>, Vec<&Change>) =
        plan.changes.iter().partition(|change| change.action == Action::Delete);
    let mut waves = making_waves(&making);
    // Nothing needs an automation of a trigger: it goes along with the last of the others.
    let (free, rest): (Vec<&Change>, Vec<&Change>) =
        deleting.into_iter().partition(|change| change.key.kind == Kind::Automation);
    let free: Vec<Key> = free.into_iter().map(|change| change.key.clone()).collect();
    match waves.last_mut() {
        Some(last) if !free.is_empty() => {
            last.extend(free);
            last.sort();
        }
        Some(_) => {}
        None if !free.is_empty() => waves.push(free),
        None => {}
    }
    waves.extend(deleting_waves(&rest));
    waves
}

fn making_waves(changes: &[&Change]) -> Vec<Vec<Key>> {
    let mut left: BTreeMap<&Key, BTreeSet<&Key>> = BTreeMap::new();
    let keys: BTreeSet<&Key> = changes.iter().map(|change| &change.key).collect();
    for change in changes {
        let needs = change.after.iter().filter(|key| keys.contains(key) && **key != change.key);
        left.insert(&change.key, needs.collect());
    }
    let mut waves = Vec::new();
    while !left.is_empty() {
        let ready: Vec<&Key> = left.iter().filter(|(_, needs)| needs.is_empty()).map(|(key, _)| *key).collect();
        let ready = if ready.is_empty() { left.keys().copied().collect() } else { ready };
        for key in &ready {
            left.remove(key);
        }
        for needs in left.values_mut() {
            needs.retain(|key| !ready.contains(key));
        }
        waves.push(ready.into_iter().cloned().collect());
    }
    waves
}

/// By kind, and blocks one after the other's user.
fn deleting_waves(changes: &[&Change]) -> Vec<Vec<Key>> {
    let mut by_rank: BTreeMap<usize, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        by_rank.entry(rank(change.key.kind)).or_default().push(change);
    }
    let mut waves = Vec::new();
    for (_, changes) in by_rank {
        // A deleted object names what it needs: it goes first.
        let mut within = making_waves(&changes);
        within.reverse();
        waves.extend(within);
    }
    waves
}

/// How late a kind is deleted.
fn rank(kind: Kind) -> usize {
    match kind {
        Kind::Automation => 0,
        Kind::Deployment => 1,
        Kind::Flow | Kind::WorkQueue => 2,
        Kind::WorkPool | Kind::ConcurrencyLimit | Kind::TagConcurrencyLimit | Kind::Variable => 3,
        Kind::Block => 4,
        Kind::BlockType => 5,
    }
}

/// Objects that need each other in a circle, in the order in which they do; `needs` gives what an object needs.
pub fn circle(needs: &BTreeMap<Key, BTreeSet<Key>>) -> Option<Vec<Key>> {
    let mut done: BTreeSet<&Key> = BTreeSet::new();
    for start in needs.keys() {
        let mut path: Vec<&Key> = Vec::new();
        let mut steps: Vec<(&Key, bool)> = vec![(start, true)];
        while let Some((key, enters)) = steps.pop() {
            if !enters {
                path.pop();
                done.insert(key);
                continue;
            }
            if done.contains(key) {
                continue;
            }
            if let Some(at) = path.iter().position(|on_path| *on_path == key) {
                return Some(path[at..].iter().map(|key| (*key).clone()).collect());
            }
            path.push(key);
            steps.push((key, false));
            steps.extend(needs.get(key).into_iter().flatten().map(|needed| (needed, true)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Because;
    use proptest::prelude::*;

    fn change(name: &str, kind: Kind, action: Action, after: &[(&str, Kind)]) -> Change {
        Change {
            key: Key::new(kind, name),
            action,
            because: Because::Git,
            origin: None,
            fields: Vec::new(),
            impact: Vec::new(),
            after: after.iter().map(|(name, kind)| Key::new(*kind, *name)).collect(),
        }
    }

    fn told(changes: Vec<Change>) -> Vec<Vec<String>> {
        let plan = Plan { changes, ..Plan::default() };
        waves(&plan).into_iter().map(|wave| wave.into_iter().map(|key| key.name).collect()).collect()
    }

    #[test]
    fn what_is_needed_comes_first_and_goes_last() {
        use Action::{Create, Delete};
        let made = told(vec![
            change("child", Kind::Block, Create, &[("root", Kind::Block)]),
            change("root", Kind::Block, Create, &[("not in the plan", Kind::BlockType)]),
            change("pool", Kind::WorkPool, Create, &[("child", Kind::Block)]),
            change("alone", Kind::Variable, Create, &[]),
        ]);
        assert_eq!(made, [vec!["root", "alone"], vec!["child"], vec!["pool"]]);
        let deleted = told(vec![
            change("new", Kind::Variable, Create, &[]),
            change("child", Kind::Block, Delete, &[("root", Kind::Block)]),
            change("root", Kind::Block, Delete, &[]),
            change("watch", Kind::Automation, Delete, &[]),
            change("f/d", Kind::Deployment, Delete, &[]),
        ]);
        assert_eq!(deleted, [vec!["new", "watch"], vec!["f/d"], vec!["child"], vec!["root"]]);
    }

    #[test]
    fn a_circle_is_named() {
        let key = |name: &str| Key::new(Kind::Block, name);
        let needs = |pairs: &[(&str, &str)]| {
            let mut all: BTreeMap<Key, BTreeSet<Key>> = BTreeMap::new();
            for (from, to) in pairs {
                all.entry(key(from)).or_default().insert(key(to));
            }
            all
        };
        assert_eq!(circle(&needs(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
        let found = circle(&needs(&[("x", "a"), ("a", "b"), ("b", "a")])).expect("there is one");
        assert_eq!(found.len(), 2);
        assert_eq!(circle(&needs(&[("a", "a")])).expect("itself").len(), 1);
    }

    proptest! {
        #[test]
        fn every_change_comes_once_and_after_what_it_needs(edges in proptest::collection::vec((0usize..12, 0usize..12), 0..40)) {
            let name = |n: usize| format!("n{n:02}");
            let changes: Vec<Change> = (0..12)
                .map(|n| {
                    // Edges go downwards only: no circles.
                    let after = edges.iter().filter(|(a, b)| *a == n && b < a);
                    let after: Vec<String> = after.map(|(_, b)| name(*b)).collect();
                    let after: Vec<(&str, Kind)> = after.iter().map(|n| (n.as_str(), Kind::Block)).collect();
                    change(&name(n), Kind::Block, Action::Create, &after)
                })
                .collect();
            let plan = Plan { changes: changes.clone(), ..Plan::default() };
            let waves = waves(&plan);
            let place = |key: &Key| waves.iter().position(|wave| wave.contains(key));
            prop_assert_eq!(waves.iter().map(Vec::len).sum::<usize>(), 12);
            for change in &changes {
                for needed in &change.after {
                    prop_assert!(place(needed) < place(&change.key));
                }
            }
        }
    }
}
