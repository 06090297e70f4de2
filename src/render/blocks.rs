//! `fill_blocks`: `{{ prefect.blocks.TYPE.NAME }}` and `$ref` mappings into a template.
//!
//! Prefect 3.8.8 `utilities/templating/__init__.py`, `resolve_block_document_references`.

use std::collections::BTreeMap;

use crate::model::{Map, Path, Tree};

use super::lookup::lookup_in;
use super::note::TemplateProblem;
use super::placeholder::{BlockName, Placeholder, PlaceholderKind, block_name, distinct};
use super::pystr;
use super::walk::{Filled, Pass, Site, run};

/// The data of the block documents that a template refers to: a mapping each, sealed or not, or unknown.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    /// By the slug of the type and the name.
    pub by_name: BTreeMap<(String, String), Tree>,
    /// By the server's id, for `{"$ref": {"block_document_id": …}}`.
    pub by_id: BTreeMap<String, Tree>,
}

/// Fills blocks in and leaves every other placeholder.
///
/// # Errors
/// A reference that is malformed (E0301), to a block that does not exist (E0302) or has no such part (E0303); a
/// mapping or list in the middle of a text (E0304); a `$ref` that is no mapping (E0305); a result that would be too
/// large (E0306).
pub fn fill_blocks(template: &Tree, blocks: &Blocks) -> Result<Tree, Vec<TemplateProblem>> {
    fill_blocks_except(template, blocks, &|_| false)
}

/// The same, but texts and `$ref` mappings at the places that `keep` names stay as they are: the worker fills those.
///
/// # Errors
/// As [`fill_blocks`], for the other places.
pub fn fill_blocks_except(
    template: &Tree,
    blocks: &Blocks,
    keep: &dyn Fn(&Path) -> bool,
) -> Result<Tree, Vec<TemplateProblem>> {
    let filled = run(&Documents { blocks, keep }, template, &mut Vec::new())?;
    Ok(filled.expect("this pass leaves nothing out"))
}

/// What a mapping says about being a reference.
#[derive(Debug, PartialEq)]
pub(super) enum Ref {
    /// It is none.
    Not,
    /// It refers to the document with this id.
    To(String),
    /// Its `$ref` is no mapping, where Prefect fails.
    Malformed,
}

/// Whether a mapping is `{"$ref": {"block_document_id": …}}`.
pub(super) fn reference(map: &Map) -> Ref {
    let Some(inner) = map.get("$ref") else { return Ref::Not };
    let is_mapping = match inner {
        Tree::Map(_) => true,
        Tree::Secret(secret) => secret.reveal().is_object(),
        Tree::Unknown(_) => return Ref::Not,
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::List(_) | Tree::IdOf(_) => false,
    };
    if !is_mapping {
        return Ref::Malformed;
    }
    match lookup_in(inner, "block_document_id") {
        Some(id) if id.is_truthy() => Ref::To(pystr::print(&id).text.to_string()),
        Some(_) | None => Ref::Not,
    }
}

struct Documents<'a> {
    blocks: &'a Blocks,
    keep: &'a dyn Fn(&Path) -> bool,
}

impl Pass for Documents<'_> {
    fn text(&self, text: &str, site: &mut Site) -> Option<Tree> {
        let found = distinct(text);
        if !found.iter().any(|found| found.kind == PlaceholderKind::Block) || (self.keep)(&site.path) {
            return Some(Tree::text(text));
        }
        if let [one] = &found[..]
            && one.whole
        {
            let value = self.value(one, site).unwrap_or(Tree::Null);
            return Some(site.put(value));
        }
        let mut filled = Filled::new(text);
        for found in found.iter().filter(|found| found.kind == PlaceholderKind::Block) {
            if let Some(value) = self.value(found, site).and_then(|value| scalar(found, value, site)) {
                filled.replace(found.text(text), &value, site);
            }
        }
        Some(filled.finish())
    }

    fn mapping(&self, map: &Map, site: &mut Site) -> Option<Tree> {
        let of = reference(map);
        if of == Ref::Not {
            return None;
        }
        if (self.keep)(&site.path) {
            return Some(Tree::Map(map.clone()));
        }
        let data = match of {
            Ref::Not => return None,
            Ref::To(id) => self.document(&id, site),
            Ref::Malformed => malformed_ref(site),
        };
        Some(site.put(data.unwrap_or(Tree::Null)))
    }
}

impl Documents<'_> {
    fn document(&self, id: &str, site: &mut Site) -> Option<Tree> {
        let found = self.blocks.by_id.get(id).cloned();
        if found.is_none() {
            let message = format!("there is no block document with the id `{}`", site.shown(id));
            site.problem("E0302", message, "refer to the block by name: `{{ prefect.blocks.TYPE.NAME }}`");
        }
        found
    }

    fn value(&self, found: &Placeholder, site: &mut Site) -> Option<Tree> {
        let Some(of) = block_name(&found.name) else { return malformed(found, site) };
        let Some(data) = self.blocks.by_name.get(&(of.slug.clone(), of.name.clone())) else {
            return no_such_block(&of, site);
        };
        let value = part(data, of.path.as_deref());
        if value.is_none() {
            let path = of.path.as_deref().unwrap_or_default();
            let message =
                format!("the block `{}/{}` has no `{}`", site.shown(&of.slug), site.shown(&of.name), site.shown(path));
            site.problem("E0303", message, "name a field that the block's data has");
        }
        value
    }
}

/// A part of a document's data. A document with nothing but a `value` stands for that value, unless the path
/// already begins with it.
fn part(data: &Tree, path: Option<&str>) -> Option<Tree> {
    let spelt_out =
        path.is_some_and(|path| path == "value" || path.starts_with("value.") || path.starts_with("value["));
    let of = match lookup_in(data, "value") {
        Some(value) if has_one_field(data) && !spelt_out => value,
        Some(_) | None => data.clone(),
    };
    path.map_or(Some(of.clone()), |path| lookup_in(&of, path))
}

fn has_one_field(data: &Tree) -> bool {
    match data {
        Tree::Map(map) => map.len() == 1,
        Tree::Secret(secret) => secret.reveal().as_object().is_some_and(|map| map.len() == 1),
        Tree::Null
        | Tree::Bool(_)
        | Tree::Number(_)
        | Tree::Text(_)
        | Tree::List(_)
        | Tree::IdOf(_)
        | Tree::Unknown(_) => false,
    }
}

fn malformed(found: &Placeholder, site: &mut Site) -> Option<Tree> {
    let message = format!("`{}` does not name a block", site.shown(&found.name));
    site.problem("E0301", message, "write `prefect.blocks.TYPE.NAME`, with the slug of the block's type");
    None
}

fn malformed_ref(site: &mut Site) -> Option<Tree> {
    let message =
        format!("`$ref` in `{}` is not a mapping, and Prefect takes every `$ref` for a block", site.shown_path());
    site.problem("E0305", message, "write `$ref: {block_document_id: ID}`, or name the key differently");
    None
}

fn no_such_block(of: &BlockName, site: &mut Site) -> Option<Tree> {
    let message = format!("there is no block `{}` of the type `{}`", site.shown(&of.name), site.shown(&of.slug));
    let help = match of.name.split_once('[') {
        Some((name, _)) if !site.is_sealed() => {
            format!("write a dot after the name to reach into the block `{name}`")
        }
        Some(_) | None => "create the block, or correct the type or the name".to_owned(),
    };
    site.problem("E0302", message, help);
    None
}

/// A value that can stand in the middle of a text.
fn scalar(found: &Placeholder, value: Tree, site: &mut Site) -> Option<Tree> {
    let (is_list, is_map) = match &value {
        Tree::List(_) => (true, false),
        Tree::Map(_) => (false, true),
        Tree::Secret(secret) => (secret.reveal().is_array(), secret.reveal().is_object()),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::IdOf(_) | Tree::Unknown(_) => {
            (false, false)
        }
    };
    if !is_list && !is_map {
        return Some(value);
    }
    let what = if is_map { "a mapping" } else { "a list" };
    let message = format!("`{}` is {what}, which cannot stand in the middle of a text", site.shown(&found.name));
    site.problem("E0304", message, "name one field of it, such as `.value`, or make the placeholder the whole text");
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;
    use serde_json::{Value, json};

    fn blocks() -> Blocks {
        let name = |slug: &str, name: &str| (slug.to_owned(), name.to_owned());
        let data = json!({"host": "h", "port": 80, "opts": {"value": [1, 2]}});
        Blocks {
            by_name: BTreeMap::from([
                (name("secret", "tok"), Tree::Secret(Secret::new(json!({"value": {"k": "hunter2"}})))),
                (name("json", "conf"), Tree::from(json!({"value": {"value": 1, "values": 2}}))),
                (name("server", "web"), Tree::from(&data)),
            ]),
            by_id: BTreeMap::from([("id-1".to_owned(), Tree::from(data))]),
        }
    }

    fn filled(template: Value) -> Result<Value, Vec<String>> {
        fill_blocks(&Tree::from(template), &blocks())
            .map(|tree| tree.revealed(&|_| None).expect("all known"))
            .map_err(|problems| problems.iter().map(|p| format!("{} {}: {}", p.code, p.path, p.message)).collect())
    }

    #[test]
    fn a_lone_value_stands_for_the_document() {
        let block = |path: &str| filled(json!(format!("{{{{ prefect.blocks.{path} }}}}")));
        assert_eq!(block("secret.tok"), Ok(json!({"k": "hunter2"})));
        assert_eq!(block("secret.tok.k"), Ok(json!("hunter2")));
        assert_eq!(block("secret.tok.value.k"), Ok(json!("hunter2")));
        assert_eq!(block("json.conf.value.value"), Ok(json!(1)));
        assert_eq!(block("json.conf.values"), Ok(json!(2)));
        assert_eq!(block("server.web.opts.value[-1]"), Ok(json!(2)));
        assert_eq!(block("server.web.port"), Ok(json!(80)));
    }

    #[test]
    fn texts_and_references_are_filled() {
        assert_eq!(
            filled(
                json!({"u": "http://{{ prefect.blocks.server.web.host }}:{{ prefect.blocks.server.web.port }}/{{ x }}"})
            ),
            Ok(json!({"u": "http://h:80/{{ x }}"}))
        );
        assert_eq!(
            filled(json!([{"$ref": {"block_document_id": "id-1"}}])).map(|list| list[0]["port"].clone()),
            Ok(json!(80))
        );
        assert_eq!(filled(json!({"$ref": {"block_document_id": ""}})), Ok(json!({"$ref": {"block_document_id": ""}})));
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let problems = filled(json!({
            "a": "{{ prefect.blocks.secret }}", "b": "{{ prefect.blocks.secret.tik }}", "c": "{{ prefect.blocks.secret.tok.x }}",
            "d": "x {{ prefect.blocks.secret.tok }}", "e": {"$ref": "#/x"}, "f": {"$ref": {"block_document_id": 7}}
        }))
        .expect_err("six problems");
        let codes: Vec<&str> = problems.iter().map(|problem| &problem[..8]).collect();
        assert_eq!(codes, ["E0301 a:", "E0302 b:", "E0303 c:", "E0304 d:", "E0305 e:", "E0302 f:"]);
        assert!(problems[1].contains("`tik`") && !problems.concat().contains("hunter2"));
    }

    #[test]
    fn problems_inside_a_sealed_value_do_not_tell_what_it_says() {
        let sealed = json!({"hunter2": [
            "{{ prefect.blocks.hunter2 }}", "{{ prefect.blocks.hunter2.hunter2 }}", "{{ prefect.blocks.secret.tok.hunter2 }}",
            "x{{ prefect.blocks.secret.tok }}", {"$ref": "hunter2"}, {"$ref": {"block_document_id": "hunter2"}},
        ]});
        let template = Tree::Map(Map::from([("env".to_owned(), Tree::Secret(Secret::new(sealed)))]));
        let problems = fill_blocks(&template, &blocks()).expect_err("six problems");
        assert_eq!(problems.len(), 6);
        assert!(problems.iter().all(|problem| problem.path == Path::of("env")));
        assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
    }

    #[test]
    fn kept_places_stay_and_seals_hold() {
        let text = "{{ prefect.blocks.secret.tok.k }}";
        let template =
            Tree::from(json!({"env": {"A": text}, "b": format!("x{text}"), "gone": {"c": "{{ prefect.blocks.a.b }}"}}));
        let keep = |path: &Path| path.starts_with(&Path::of("env")) || path.starts_with(&Path::of("gone"));
        let tree = fill_blocks_except(&template, &blocks(), &keep).expect("the missing block is kept");
        let expected = json!({"env": {"A": text}, "b": "(sensitive)", "gone": {"c": "{{ prefect.blocks.a.b }}"}});
        assert_eq!(tree.masked(), expected);
        assert!(!format!("{tree:?}").contains("hunter2"));
    }
}
