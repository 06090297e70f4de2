//! Objects that are declared more than once.

use indexmap::IndexMap;

use super::Item;
use crate::diagnostic::Diagnostic;
use crate::model::Key;

/// A problem for every item whose key an earlier item has, of one file or of all.
pub fn twice(items: &[Item]) -> Vec<Diagnostic> {
    let mut first: IndexMap<&Key, &Item> = IndexMap::new();
    let mut problems = Vec::new();
    for item in items {
        match first.get(&item.key) {
            Some(earlier) => problems.push(problem(item, earlier)),
            None => {
                first.insert(&item.key, item);
            }
        }
    }
    problems
}

fn problem(item: &Item, earlier: &Item) -> Diagnostic {
    Diagnostic::error("E0707", format!("`{}` is declared twice", item.key))
        .at(item.origin(), "here again")
        .at(earlier.origin(), "declared here")
        .help("remove one of the two, or give it another name")
}
