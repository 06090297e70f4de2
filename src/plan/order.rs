//! The order of writes: waves, each of which can go at once when those before it are in.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::plan::{Action, Change, Plan};
use crate::model::{Key, Kind};

/// The keys of all changes, each after those that it names in [`Change::after`]: first what is made or changed, then
/// what is deleted.
///
/// Changes that wait for each other in a circle come in one wave: whoever made the plan has told of the circle.
pub fn waves(plan: &Plan) -> Vec<Vec<Key>> {
    let (deleting, making): (Vec<&Change>, Vec<&Change>) =
        plan.changes.iter().partition(|change| change.action == Action::Delete);
    let mut waves = layers(&making);
    // Nothing waits for an automation that waits for nothing: it goes along with the last of the others.
    let is_free = |change: &&Change| change.key.kind == Kind::Automation && change.after.is_empty();
    let (free, rest): (Vec<&Change>, Vec<&Change>) = deleting.into_iter().partition(is_free);
    let free = free.into_iter().map(|change| change.key.clone());
    match waves.last_mut() {
        Some(last) => {
            last.extend(free);
            last.sort();
        }
        None => waves.extend(Some(free.collect::<Vec<Key>>()).filter(|free| !free.is_empty())),
    }
    waves.extend(deleting_waves(&rest));
    waves
}

/// Changes in layers, each after those that it names.
fn layers(changes: &[&Change]) -> Vec<Vec<Key>> {
    let mut left: BTreeMap<&Key, BTreeSet<&Key>> = BTreeMap::new();
    let keys: BTreeSet<&Key> = changes.iter().map(|change| &change.key).collect();
    for change in changes {
        let needs = change.after.iter().filter(|key| keys.contains(key) && **key != change.key);
        left.insert(&change.key, needs.collect());
    }
    let mut waves = Vec::new();
    while !left.is_empty() {
        let ready: BTreeSet<&Key> = left.iter().filter(|(_, needs)| needs.is_empty()).map(|(key, _)| *key).collect();
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

/// By kind, users before what they use; and within a kind in the order that the changes name.
fn deleting_waves(changes: &[&Change]) -> Vec<Vec<Key>> {
    let mut by_rank: BTreeMap<usize, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        by_rank.entry(rank(&change.key)).or_default().push(change);
    }
    by_rank.values().flat_map(|changes| layers(changes)).collect()
}

/// How late an object is deleted: what can use another one of another kind goes before it.
fn rank(key: &Key) -> usize {
    match key.kind {
        Kind::Automation => 0,
        Kind::Deployment => 1,
        Kind::Flow => 2,
        // The server deletes it with its pool: then it is found to be gone.
        Kind::WorkQueue if key.is_default_queue() => 4,
        Kind::WorkQueue => 2,
        Kind::WorkPool | Kind::ConcurrencyLimit | Kind::TagConcurrencyLimit => 3,
        Kind::Block => 4,
        Kind::BlockType | Kind::Variable => 5,
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
        let after = after.iter().map(|(name, kind)| Key::new(*kind, *name)).collect();
        Change { after, ..Change::new(Key::new(kind, name), action, Because::Git) }
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
            change("child", Kind::Block, Delete, &[]),
            change("root", Kind::Block, Delete, &[("child", Kind::Block), ("new", Kind::Variable)]),
            change("watch", Kind::Automation, Delete, &[]),
            change("late", Kind::Automation, Delete, &[("new", Kind::Variable)]),
            change("f/d", Kind::Deployment, Delete, &[]),
            change("p", Kind::WorkPool, Delete, &[]),
            change("p/default", Kind::WorkQueue, Delete, &[("p", Kind::WorkPool)]),
            change("p/q", Kind::WorkQueue, Delete, &[]),
        ]);
        let expected: [&[&str]; 7] =
            [&["new", "watch"], &["late"], &["f/d"], &["p/q"], &["p"], &["child", "p/default"], &["root"]];
        assert_eq!(deleted, expected);
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

    /// A kind that can name another one, and that other one.
    const USES: [(Kind, Kind); 14] = [
        (Kind::Block, Kind::BlockType),
        (Kind::Block, Kind::Block),
        (Kind::Block, Kind::Variable),
        (Kind::WorkPool, Kind::Block),
        (Kind::WorkPool, Kind::Variable),
        (Kind::WorkQueue, Kind::WorkPool),
        (Kind::Deployment, Kind::WorkQueue),
        (Kind::Deployment, Kind::WorkPool),
        (Kind::Deployment, Kind::Block),
        (Kind::Deployment, Kind::Variable),
        (Kind::Deployment, Kind::ConcurrencyLimit),
        (Kind::Automation, Kind::Deployment),
        (Kind::Automation, Kind::Block),
        (Kind::Automation, Kind::Automation),
    ];

    proptest! {
        #[test]
        fn every_change_comes_once_and_after_what_it_waits_for(
            kinds in proptest::collection::vec((0usize..10, any::<bool>()), 1..24),
            edges in proptest::collection::vec((0usize..24, 0usize..24), 0..80),
        ) {
            let key = |n: usize| Key::new(Kind::ALL[kinds[n].0], format!("n{n:02}"));
            let deletes = |n: usize| kinds[n].1;
            let mut changes: Vec<Change> = (0..kinds.len())
                .map(|n| Change::new(key(n), if deletes(n) { Action::Delete } else { Action::Create }, Because::Git))
                .collect();
            // Users have higher numbers: no circles.
            for (user, used) in edges.into_iter().filter(|(a, b)| a > b && *a < kinds.len()) {
                if !USES.contains(&(key(user).kind, key(used).kind)) {
                    continue;
                }
                match (deletes(user), deletes(used)) {
                    (false, false) => changes[user].after.push(key(used)),
                    // Its user goes first, or stops using it.
                    (_, true) => changes[used].after.push(key(user)),
                    (true, false) => {}
                }
            }
            let plan = Plan { changes: changes.clone(), ..Plan::default() };
            let waves = waves(&plan);
            let place = |key: &Key| waves.iter().position(|wave| wave.contains(key));
            prop_assert_eq!(waves.iter().map(Vec::len).sum::<usize>(), changes.len());
            prop_assert!(waves.iter().all(|wave| !wave.is_empty()));
            for change in &changes {
                for first in &change.after {
                    prop_assert!(place(first) < place(&change.key), "{} before {}: {:?}", first, change.key, waves);
                }
            }
        }
    }
}
