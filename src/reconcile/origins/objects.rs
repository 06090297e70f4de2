//! Where each value of an object of a resource file comes from.

use crate::manifest::resources::Item;
use crate::model::{Key, Path, Seg, Tree};
use crate::plan::objects::body;
use crate::plan::want::{Object, Write};
use crate::resource::{self, Compare};

use super::super::{Decided, Pass};
use super::{Provenance, Rendered, Row, plain, refers};

/// Keys of mappings that say where a value comes from, with the word for it.
const SOURCES: [(&str, &str); 4] =
    [("from_env", "environment"), ("from_file", "file"), ("block", "block"), ("file", "file")];

/// Renders an object; `None` if none of that name is declared.
pub fn render(pass: &Pass<'_>, decided: &Decided, key: &Key) -> Option<Rendered> {
    let wanted = decided.desired.objects.get(key)?;
    let ids = &decided.planned.ids;
    let known = |tree: &Tree| tree.with_ids(&|key| ids.get(key).cloned());
    let patch = decided.planned.writes.get(key).into_iter().flatten().find_map(|write| match write {
        Write::UpdateObject { patch, .. } => Some(known(patch).masked()),
        _ => None,
    });
    // What a pool brings along is declared by the pool.
    let item = pass.reading.items.iter().find(|item| item.key == *key);
    let look = Look { wanted, item };
    let rows = look.rows().into_iter().map(|row| Row { value: known(&row.value), ..row }).collect();
    Some(Rendered { body: known(&body(wanted)).masked(), patch, rows, left_to_python: Vec::new() })
}

struct Look<'a> {
    wanted: &'a Object,
    item: Option<&'a Item>,
}

impl Look<'_> {
    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for field in resource::rules(self.wanted.key.kind).fields.iter().filter(|field| field.compare != Compare::Along)
        {
            let path = Path::of(field.name);
            match (self.wanted.fields.get(field.name), self.wanted.along.get(field.name)) {
                (Some(value), _) => self.leaves(path, value, &mut rows),
                (None, Some(value)) => rows.push(Row { path, value: value.clone(), ..plain(Provenance::Default) }),
                (None, None) => {
                    let value = Tree::from(field.default_value());
                    rows.push(Row { path, value, ..plain(Provenance::Default) });
                }
            }
        }
        rows
    }

    /// The values of a field, one by one; templates and schemas as a whole.
    fn leaves(&self, path: Path, value: &Tree, rows: &mut Vec<Row>) {
        let is_whole =
            matches!(path.0.first(), Some(Seg::Key(key)) if ["base_job_template", "fields"].contains(&key.as_str()));
        match value {
            Tree::Map(map) if !map.is_empty() && !is_whole && value.get("$ref").is_none() => {
                map.iter().for_each(|(key, value)| self.leaves(path.key(key), value, rows));
            }
            value => rows.push(self.row(path, value)),
        }
    }

    fn row(&self, path: Path, value: &Tree) -> Row {
        let origin = self.item.map_or_else(|| self.wanted.origin.clone(), |item| item.origin_of(&path));
        let written = self.item.and_then(|item| written(item, &path));
        let mut names = written.map(|raw| refers(raw, value)).unwrap_or_default();
        names.extend(written.into_iter().flat_map(sources));
        Row { path, value: value.clone(), origin: Some(origin), refers: names, ..plain(Provenance::File) }
    }
}

/// What the file says at a place, or at the nearest one above it.
fn written<'a>(item: &'a Item, path: &Path) -> Option<&'a Tree> {
    let (Seg::Key(first), rest) = path.0.split_first()? else { return None };
    let mut place = item.fields.get(first)?;
    for seg in rest {
        let (Seg::Key(key) | Seg::Item(key)) = seg;
        match place.get(key) {
            Some(below) => place = below,
            None => return Some(place),
        }
    }
    Some(place)
}

/// `environment NAME`, `file path`, `block type/name`.
fn sources(raw: &Tree) -> Vec<String> {
    let named = |(key, word): &(&str, &str)| Some(format!("{word} {}", raw.get(key)?.as_str()?));
    SOURCES.iter().filter_map(named).collect()
}
