//! Which items of resource files a part of the deployments needs: what they name, and what that names in turn.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::prefect_yaml::Steps;
use crate::manifest::resources::{self, Item};
use crate::manifest::select::Selected;
use crate::model::{Key, Kind, Map, Tree};
use crate::render::references;

/// The keys of the items that selected deployments and the items of `seeds` need, those of `seeds` included.
pub fn needed(
    selected: &[Selected],
    default_pool: Option<&str>,
    seeds: BTreeSet<Key>,
    items: &[Item],
) -> BTreeSet<Key> {
    let by_key: BTreeMap<&Key, &Item> = items.iter().map(|item| (&item.key, item)).collect();
    let mut found = BTreeSet::new();
    let mut open: Vec<Key> = seeds.into_iter().collect();
    for one in selected {
        open.extend(names(one));
        open.extend(places(one, default_pool, items));
    }
    while let Some(key) = open.pop() {
        let Some(item) = by_key.get(&key) else { continue };
        if found.insert(key) {
            open.extend(of_item(item));
        }
    }
    found
}

/// The blocks and variables that a declaration names.
pub fn names(one: &Selected) -> BTreeSet<Key> {
    let own = &one.declaration.actions;
    let pull = if own.pull == Steps::Unset { &one.file_actions.pull } else { &own.pull };
    let steps = [&own.build, &own.push, &one.file_actions.build, &one.file_actions.push, pull];
    let mut out = named(&Tree::Map(one.declaration.config.clone()));
    out.extend(steps.into_iter().flat_map(Steps::list).flat_map(named));
    out
}

fn named(tree: &Tree) -> BTreeSet<Key> {
    let found = references(tree);
    let blocks = found.blocks.into_keys().map(|(slug, name)| Key::new(Kind::Block, format!("{slug}/{name}")));
    blocks.chain(found.variables.into_keys().map(|name| Key::new(Kind::Variable, name))).collect()
}

/// The pool and the queue of a declaration; all of them where a template stands for the name.
fn places(one: &Selected, default_pool: Option<&str>, items: &[Item]) -> Vec<Key> {
    let text = |field: &str| one.declaration.config.get("work_pool").and_then(|pool| pool.get(field)?.as_str());
    let is_template = |name: &str| name.contains("{{");
    let all = |kind: Kind| items.iter().map(|item| item.key.clone()).filter(move |key| key.kind == kind);
    let Some(pool) = text("name").or(default_pool) else { return Vec::new() };
    let mut out: Vec<Key> = match is_template(pool) {
        true => all(Kind::WorkPool).collect(),
        false => vec![Key::new(Kind::WorkPool, pool)],
    };
    match text("work_queue_name") {
        Some(queue) if is_template(pool) || is_template(queue) => out.extend(all(Kind::WorkQueue)),
        Some(queue) => out.push(Key::new(Kind::WorkQueue, format!("{pool}/{queue}"))),
        None => {}
    }
    out
}

/// What an item names, and what it is nothing without.
fn of_item(item: &Item) -> BTreeSet<Key> {
    let fields: Map = item.fields.clone();
    let mut out = named(&Tree::Map(fields));
    out.extend(resources::references(item).into_iter().map(|(_, key)| key));
    out.extend(item.key.whole());
    out
}
