//! Block types of one's own: their schema in the form that the API keeps, and what is sent beside it.

use serde_json::Value;

use crate::manifest::resources::Item;
use crate::model::{Key, Kind, Path, Tree};
use crate::resource::nested_types::{self, Known, complete, kept};

use super::{BlockForm, Filler};

/// The slugs of the types that the schema of a block type holds.
pub(super) fn nested(item: &Item) -> Vec<String> {
    let fields = item.fields.get("fields").filter(|_| item.key.kind == Kind::BlockType);
    let fields = fields.and_then(|fields| fields.revealed(&|_| None)).unwrap_or_default();
    nested_types::nested(&fields).map(str::to_owned).collect()
}

/// What is known of a type that another one holds.
fn known(form: &BlockForm) -> Known {
    let mut fields = form.fields.clone();
    if let Value::Object(map) = &mut fields {
        map.insert("secret_fields".to_owned(), form.secrets.clone().into());
    }
    Known { fields, checksum: Some(form.checksum.clone()).filter(|checksum| !checksum.is_empty()) }
}

impl Filler<'_> {
    /// The schema as the API keeps it. The types that it holds come before it.
    pub(super) fn schema(&mut self, declared: &Tree) -> Tree {
        let at = Path::of("fields").key("definitions");
        for slug in nested(self.item).into_iter().filter(|slug| *slug != self.item.key.name) {
            if self.own_types.contains_key(&slug) {
                self.needs.insert(Key::new(Kind::BlockType, slug), self.place(&at));
            } else if !self.is_type(&slug) {
                self.no_type(&slug, &at);
            }
        }
        match self.completed(declared) {
            Some(fields) => kept(&fields).into(),
            None => declared.clone(),
        }
    }

    /// The definitions that are sent along with it.
    pub(super) fn definitions(&self) -> Option<Tree> {
        let mut fields = self.completed(self.item.fields.get("fields")?)?;
        Some(fields["definitions"].take()).filter(Value::is_object).map(Tree::from)
    }

    /// Its secrets, and those of the types that it holds.
    pub(super) fn secrets(&self, declared: Option<Tree>) -> Option<Tree> {
        let inner = nested_types::secrets(&self.completed(self.item.fields.get("fields")?)?);
        if inner.is_empty() {
            return declared;
        }
        let mut all = declared.as_ref().and_then(Tree::as_list).unwrap_or_default().to_vec();
        let missing: Vec<Tree> = inner.into_iter().map(Tree::Text).filter(|secret| !all.contains(secret)).collect();
        all.extend(missing);
        Some(Tree::List(all))
    }

    fn completed(&self, declared: &Tree) -> Option<Value> {
        let fields = declared.revealed(&|_| None).filter(|_| !self.facts.symbolic)?;
        let of_api = |slug: &str| self.facts.block_types.as_ref()?.get(slug);
        Some(complete(&fields, &|slug| self.own_types.get(slug).or_else(|| of_api(slug)).map(known)))
    }
}
