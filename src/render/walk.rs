//! Walking a template: what every pass over it has in common.

use serde_json::Value;
use zeroize::Zeroizing;

use crate::model::secret::MASK;
use crate::model::tree::Unknown;
use crate::model::{Map, Path, Secret, Seg, Tree};

use super::note::{Became, Note, TemplateProblem};
use super::placeholder::Placeholder;
use super::pystr;

/// Bytes that one pass over one template may write. A few short lines can ask for more text than fits into any
/// memory, by placeholders that stand for texts with placeholders.
const MOST_BYTES: usize = 64 << 20;

/// One kind of filling.
pub(super) trait Pass {
    /// What a text becomes; `None` leaves out the key or item that holds it.
    fn text(&self, text: &str, site: &mut Site) -> Option<Tree>;

    /// What a mapping becomes, if it stands for something else.
    fn mapping(&self, _map: &Map, _site: &mut Site) -> Option<Tree> {
        None
    }

    /// Whether a key whose value would be left out keeps the value it has.
    fn keeps_unset(&self) -> bool {
        true
    }
}

/// Where a pass stands, and what it has to tell so far.
#[derive(Default)]
pub(super) struct Site {
    /// The place in the template.
    pub(super) path: Path,
    /// Inside a sealed value: how long the path was at its seal. What lies deeper is not told.
    sealed_at: Option<usize>,
    /// Placeholders without a value.
    pub(super) notes: Vec<Note>,
    /// Why the template cannot be filled.
    pub(super) problems: Vec<TemplateProblem>,
    written: usize,
}

/// Runs a pass over a template: the filled template (`None`: all of it is left out) and the notes.
pub(super) fn run(
    pass: &dyn Pass,
    template: &Tree,
    notes: &mut Vec<Note>,
) -> Result<Option<Tree>, Vec<TemplateProblem>> {
    let mut site = Site::default();
    let filled = walk(pass, template, &mut site);
    notes.append(&mut site.notes);
    if site.problems.is_empty() { Ok(filled) } else { Err(site.problems) }
}

fn walk(pass: &dyn Pass, template: &Tree, site: &mut Site) -> Option<Tree> {
    match template {
        Tree::Text(text) => pass.text(text, site),
        Tree::List(items) => Some(Tree::List(walk_list(pass, items, site))),
        Tree::Map(map) => Some(pass.mapping(map, site).unwrap_or_else(|| Tree::Map(walk_map(pass, map, site)))),
        Tree::Secret(secret) => walk_sealed(pass, secret, site),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::IdOf(_) | Tree::Unknown(_) => Some(template.clone()),
    }
}

/// Items without a value are left out, whatever the pass does with keys.
fn walk_list(pass: &dyn Pass, items: &[Tree], site: &mut Site) -> Vec<Tree> {
    let below = |(i, item): (usize, &Tree)| site.below(Seg::Item(i.to_string()), |site| walk(pass, item, site));
    items.iter().enumerate().filter_map(below).collect()
}

fn walk_map(pass: &dyn Pass, map: &Map, site: &mut Site) -> Map {
    let entry = |(key, value): (&String, &Tree)| {
        let new = match site.below(Seg::Key(key.clone()), |site| walk(pass, value, site)) {
            None if pass.keeps_unset() => Some(value.clone()),
            new => new,
        };
        Some((key.clone(), new?))
    };
    map.iter().filter_map(entry).collect()
}

/// Prefect knows no seals, so what came out of an earlier pass is a template to the next. What is filled into a
/// sealed value is sealed with it.
fn walk_sealed(pass: &dyn Pass, secret: &Secret, site: &mut Site) -> Option<Tree> {
    if !may_change(secret.reveal()) {
        return Some(Tree::Secret(secret.clone()));
    }
    site.sealed_at = Some(site.path.0.len());
    let filled = walk(pass, &Tree::from(secret.reveal()), site);
    site.sealed_at = None;
    filled.map(|tree| match tree.revealed(&|_| None) {
        Some(value) => Tree::Secret(Secret::new(value)),
        None => Tree::Unknown(first_unknown(&tree)),
    })
}

/// Whether a pass could find anything in a sealed value: braces, or a reference.
fn may_change(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(items) => items.iter().any(may_change),
        Value::Object(map) => map.contains_key("$ref") || map.values().any(may_change),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn first_unknown(tree: &Tree) -> Unknown {
    match tree {
        Tree::Unknown(why) => *why,
        Tree::List(items) => items.iter().find(|item| is_open(item)).map_or(Unknown::AtApply, first_unknown),
        Tree::Map(map) => map.values().find(|value| is_open(value)).map_or(Unknown::AtApply, first_unknown),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::Secret(_) | Tree::IdOf(_) => {
            Unknown::AtApply
        }
    }
}

fn is_open(tree: &Tree) -> bool {
    tree.any(&|part| matches!(part, Tree::Unknown(_) | Tree::IdOf(_)))
}

impl Site {
    fn below<T>(&mut self, seg: Seg, then: impl FnOnce(&mut Site) -> T) -> T {
        self.path.0.push(seg);
        let done = then(self);
        self.path.0.pop();
        done
    }

    /// Notes a placeholder without a value.
    pub(super) fn note(&mut self, found: &Placeholder, became: Became) {
        self.notes.push(Note::new(self.shown_path(), found.kind, &found.name, self.is_sealed(), became));
    }

    /// What becomes of a value that is missing here, in a pass that keeps or does not keep keys without a value.
    pub(super) fn fate(&self, keeps_unset: bool) -> Became {
        match self.path.0.last() {
            Some(Seg::Key(_)) if keeps_unset => Became::Kept,
            Some(Seg::Key(_) | Seg::Item(_)) | None => Became::Dropped,
        }
    }

    /// A problem at this place.
    pub(super) fn problem(&mut self, code: &'static str, message: String, help: impl Into<String>) {
        self.problems.push(TemplateProblem { code, path: self.shown_path(), message, help: help.into() });
    }

    /// A word of the template as messages may show it.
    pub(super) fn shown<'a>(&self, word: &'a str) -> &'a str {
        if self.is_sealed() { MASK } else { word }
    }

    /// The place as messages may show it: the keys of a sealed mapping are sealed too.
    pub(super) fn shown_path(&self) -> Path {
        Path(self.path.0[..self.sealed_at.unwrap_or(self.path.0.len())].to_vec())
    }

    /// Whether this place is inside a sealed value.
    pub(super) fn is_sealed(&self) -> bool {
        self.sealed_at.is_some()
    }

    /// A value in the place of a text; null, with a problem, if it is too large.
    pub(super) fn put(&mut self, value: Tree) -> Tree {
        if self.spend(size(&value)) { value } else { Tree::Null }
    }

    /// Counts bytes about to be written; false, with one problem, once there are too many.
    fn spend(&mut self, bytes: usize) -> bool {
        let before = !self.is_full();
        self.written = self.written.saturating_add(bytes);
        let fits = !self.is_full();
        if before && !fits {
            let message = format!("`{}` becomes too large when its placeholders are filled", self.shown_path());
            self.problem("E0306", message, "repeat fewer placeholders, or fill in smaller values");
        }
        fits
    }

    /// Whether too many bytes were written: nothing of this pass will be used.
    fn is_full(&self) -> bool {
        self.written > MOST_BYTES
    }
}

/// Roughly how many bytes a value takes.
fn size(value: &Tree) -> usize {
    match value {
        Tree::Text(text) => text.len() + 32,
        Tree::List(items) => items.iter().map(size).sum::<usize>() + 32,
        Tree::Map(map) => map.iter().map(|(key, value)| key.len() + size(value) + 32).sum::<usize>() + 32,
        Tree::Secret(secret) => size_of_json(secret.reveal()),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::IdOf(_) | Tree::Unknown(_) => 32,
    }
}

fn size_of_json(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 32,
        Value::Array(items) => items.iter().map(size_of_json).sum::<usize>() + 32,
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + size_of_json(value) + 32).sum::<usize>() + 32,
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
    }
}

/// A text some of whose placeholders have been replaced. Sealed once something sealed went in.
pub(super) struct Filled {
    text: Zeroizing<String>,
    sealed: bool,
    unknown: Option<Unknown>,
}

impl Filled {
    pub(super) fn new(text: &str) -> Self {
        Filled { text: Zeroizing::new(text.to_owned()), sealed: false, unknown: None }
    }

    /// Puts what Python prints of a value wherever the text now says `placeholder`, so also where an earlier value
    /// said it.
    pub(super) fn replace(&mut self, placeholder: &str, value: &Tree, site: &mut Site) {
        if site.is_full() {
            // A problem says so; the many placeholders of a long text would each be looked for in all of it.
            return;
        }
        let printed = pystr::print(value);
        self.sealed |= printed.sealed;
        self.unknown = self.unknown.or(printed.unknown);
        let times = self.text.matches(placeholder).count();
        let grown = printed.text.len().saturating_mul(times).saturating_add(self.text.len());
        if site.spend(grown) {
            self.text = Zeroizing::new(self.text.replace(placeholder, &printed.text));
        }
    }

    pub(super) fn finish(mut self) -> Tree {
        let text = std::mem::take(&mut *self.text);
        match (self.unknown, self.sealed) {
            (Some(why), _) => Tree::Unknown(why),
            (None, true) => Tree::Secret(Secret::text(text)),
            (None, false) => Tree::Text(text),
        }
    }
}
