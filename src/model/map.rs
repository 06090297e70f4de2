//! `Map`: a mapping in the order in which it was written, shared by its copies until one of them is changed.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use indexmap::{IndexMap, map};

use super::tree::Tree;

type Entries = IndexMap<String, Tree>;

/// A mapping, in the order in which it was written.
///
/// A pass keeps many copies of the same values, from the declaration to the request: copying one costs nothing.
/// Everything that an [`IndexMap`] can do it can do; what changes it makes it a mapping of its own first.
#[derive(Clone, Debug, Default)]
pub struct Map(Arc<Entries>);

impl Map {
    /// An empty one.
    pub fn new() -> Self {
        Map::default()
    }
}

impl Deref for Map {
    type Target = Entries;

    fn deref(&self) -> &Entries {
        &self.0
    }
}

impl DerefMut for Map {
    fn deref_mut(&mut self) -> &mut Entries {
        Arc::make_mut(&mut self.0)
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl<const N: usize> From<[(String, Tree); N]> for Map {
    fn from(entries: [(String, Tree); N]) -> Self {
        Map(Arc::new(Entries::from(entries)))
    }
}

impl FromIterator<(String, Tree)> for Map {
    fn from_iter<I: IntoIterator<Item = (String, Tree)>>(entries: I) -> Self {
        let mut entries: Entries = entries.into_iter().collect();
        entries.shrink_to_fit();
        Map(Arc::new(entries))
    }
}

impl Extend<(String, Tree)> for Map {
    fn extend<I: IntoIterator<Item = (String, Tree)>>(&mut self, entries: I) {
        self.deref_mut().extend(entries);
    }
}

impl IntoIterator for Map {
    type Item = (String, Tree);
    type IntoIter = map::IntoIter<String, Tree>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).into_iter()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a String, &'a Tree);
    type IntoIter = map::Iter<'a, String, Tree>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a mut Map {
    type Item = (&'a String, &'a mut Tree);
    type IntoIter = map::IterMut<'a, String, Tree>;

    fn into_iter(self) -> Self::IntoIter {
        self.deref_mut().iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_shared_until_it_is_changed() {
        let one = Map::from([("a".to_owned(), Tree::int(1))]);
        let mut other = one.clone();
        assert!(Arc::ptr_eq(&one.0, &other.0));
        other.insert("b".to_owned(), Tree::int(2));
        assert_eq!((one.len(), other.len()), (1, 2));
        assert_ne!(one, other);
        other.shift_remove("b");
        assert_eq!(one, other);
    }
}
