//! A repository of a thousand objects of every kind, the same every time.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::project;

/// How many objects in all.
pub const OBJECTS: usize = DEPLOYMENTS + VARIABLES + BLOCKS + TYPES + 2 * POOLS + LIMITS + TAGS + AUTOMATIONS;
const DEPLOYMENTS: usize = 400;
const VARIABLES: usize = 250;
const BLOCKS: usize = 150;
const TYPES: usize = 20;
/// Each with a queue of its own beside the default one.
const POOLS: usize = 30;
const LIMITS: usize = 50;
const TAGS: usize = 20;
const AUTOMATIONS: usize = 50;

/// Writes all files. The deployments use the work pool `pool`, which is nobody's.
pub fn write(root: &Path) {
    project::write(root, DEPLOYMENTS);
    let mut yaml = String::new();
    let mut list = |key: &str, count: usize, item: &dyn Fn(usize) -> String| {
        writeln!(yaml, "{key}:").expect("writing to a string");
        (0..count).for_each(|i| writeln!(yaml, "  - {}", item(i)).expect("writing to a string"));
    };
    list("variables", VARIABLES, &|i| format!("{{ name: variable_{i}, value: {{ n: {i} }}, tags: [bench] }}"));
    list("block_types", TYPES, &|i| {
        format!(
            "{{ slug: type-{i}, name: Type {i}, fields: {{ type: object, title: Type{i}, properties: {{ \
             host: {{ type: string, title: Host }} }} }} }}"
        )
    });
    list("blocks", BLOCKS, &|i| format!("{{ type: type-{}, name: block-{i}, data: {{ host: host-{i} }} }}", i % TYPES));
    list("work_pools", POOLS, &|i| {
        format!(
            "{{ name: pool-{i}, type: process, queues: [{{ name: urgent, priority: 1, concurrency_limit: {} }}] }}",
            i + 1
        )
    });
    list("concurrency_limits", LIMITS, &|i| format!("{{ name: limit-{i}, limit: {} }}", i + 1));
    list("tag_concurrency_limits", TAGS, &|i| format!("{{ tag: tag-{i}, limit: {} }}", i + 1));
    list("automations", AUTOMATIONS, &|i| {
        format!(
            "{{ name: automation {i}, trigger: {{ type: event, posture: Reactive, expect: [prefect.flow-run.Failed], \
             threshold: {}, within: 60 }}, actions: [{{ type: pause-work-pool, work_pool: pool-{} }}] }}",
            i + 1,
            i % POOLS
        )
    });
    fs::write(root.join("all.reconcile.yaml"), yaml).expect("a new file");
}
