//! Automations: the names in their triggers and actions become ids; their Jinja is left alone.

use crate::manifest::resources::{sent_action, sent_trigger};
use crate::model::{Path, Tree};

use super::Filler;

impl Filler<'_> {
    /// A trigger with labels in the place of names, and with everything that the server would fill in.
    pub(super) fn trigger(&mut self, at: &Path, declared: &Tree) -> Tree {
        sent_trigger(declared, at, &mut |key, at| self.reference(key, at))
    }

    /// A list of actions with ids in the place of names, and with everything that the server would fill in.
    pub(super) fn actions(&mut self, at: &Path, declared: &Tree) -> Tree {
        let Tree::List(items) = declared else { return declared.clone() };
        let each = items.iter().enumerate();
        let each = each.map(|(n, item)| sent_action(item, &at.item(n), &mut |key, at| self.reference(key, at)));
        Tree::List(each.collect())
    }
}
