//! `fill`: environment variables and step outputs into a template.
//!
//! Prefect 3.8.8 `utilities/templating/__init__.py`, `apply_values`.

use std::collections::BTreeMap;

use crate::model::tree::Unknown;
use crate::model::{Map, Tree};

use super::lookup::lookup;
use super::note::{Became, Note, TemplateProblem};
use super::placeholder::{Placeholder, PlaceholderKind, distinct, env_name};
use super::references::references;
use super::walk::{Filled, Pass, Site, run};

/// What becomes of a placeholder without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It stays, save that an item of a list that is nothing but the placeholder is left out.
    Keep,
    /// Its key or item is left out if it is the whole value, else it becomes empty text.
    Remove,
}

/// What a template is filled with.
#[derive(Clone, Copy, Debug)]
pub struct Filling<'a> {
    /// What standard placeholders are looked up in. A step that has not run is [`Tree::Unknown`] under its `id`.
    pub values: &'a Map,
    /// What `$NAME` is looked up in.
    pub env: &'a BTreeMap<String, Tree>,
    /// What becomes of placeholders without a value.
    pub missing: Missing,
    /// Placeholders whose names begin like this are left alone.
    pub skip_prefixes: &'a [&'a str],
    /// Whether some step has yet to run: then a name without a value may be one of its outputs, so it is unknown
    /// instead of missing.
    pub pending: bool,
}

/// Fills a template; `None` if all of it was one placeholder without a value.
///
/// Block and variable placeholders stay. `notes` gets every placeholder that had no value.
///
/// # Errors
/// Only if the result would be too large (E0306).
pub fn fill(template: &Tree, filling: &Filling, notes: &mut Vec<Note>) -> Result<Option<Tree>, Vec<TemplateProblem>> {
    run(filling, template, notes)
}

/// The environment as `values`: in the pass that fills the environment, Prefect also takes a *standard* placeholder
/// for the variable of that name, so `{{ HOME }}` hides a step output `HOME`. Only what the template could mean is
/// copied.
pub fn env_as_values(env: &BTreeMap<String, Tree>, template: &Tree) -> Map {
    let wanted = references(template).outputs;
    let is_meant = |name: &str| wanted.keys().any(|wanted| wanted.starts_with(name));
    env.iter().filter(|(name, _)| is_meant(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Pass for Filling<'_> {
    fn text(&self, text: &str, site: &mut Site) -> Option<Tree> {
        let mut found = distinct(text);
        found.retain(|found| !self.skip_prefixes.iter().any(|prefix| found.name.starts_with(prefix)));
        if let [one] = &found[..]
            && one.whole
            && one.kind == PlaceholderKind::Output
        {
            return self.whole(one, site);
        }
        if found.is_empty() {
            return Some(Tree::text(text));
        }
        let mut filled = Filled::new(text);
        for found in &found {
            self.embedded(found, found.text(text), &mut filled, site);
        }
        Some(filled.finish())
    }

    fn keeps_unset(&self) -> bool {
        self.missing == Missing::Keep
    }
}

impl Filling<'_> {
    fn whole(&self, found: &Placeholder, site: &mut Site) -> Option<Tree> {
        match self.output(&found.name) {
            Some(value) => Some(site.put(value)),
            None => {
                site.note(found, site.fate(self.keeps_unset()));
                None
            }
        }
    }

    fn embedded(&self, found: &Placeholder, written: &str, filled: &mut Filled, site: &mut Site) {
        let value = match found.kind {
            PlaceholderKind::Output => self.output(&found.name),
            PlaceholderKind::Env => self.env.get(env_name(&found.name)).cloned(),
            PlaceholderKind::Block | PlaceholderKind::Variable => return,
        };
        match (value, self.missing) {
            (Some(value), _) => filled.replace(written, &value, site),
            (None, Missing::Keep) => site.note(found, Became::Kept),
            (None, Missing::Remove) => {
                site.note(found, Became::Blank);
                filled.replace(written, &Tree::text(""), site);
            }
        }
    }

    fn output(&self, name: &str) -> Option<Tree> {
        lookup(self.values, name).or(self.pending.then_some(Tree::Unknown(Unknown::AfterBuild)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn map(value: Value) -> Map {
        Tree::from(value).as_map().cloned().expect("a mapping")
    }

    fn env() -> BTreeMap<String, Tree> {
        BTreeMap::from([("EV".to_owned(), Tree::text("evv"))])
    }

    fn filled(template: Value, values: &Map, missing: Missing) -> (Option<Tree>, Vec<Note>) {
        let (env, mut notes) = (env(), Vec::new());
        let filling = Filling { values, env: &env, missing, skip_prefixes: &["ctx."], pending: false };
        let tree = fill(&Tree::from(template), &filling, &mut notes).expect("small");
        (tree, notes)
    }

    #[test]
    fn whole_texts_take_the_value_and_embedded_ones_its_text() {
        let values = map(json!({"n": 1, "l": [true, null], "hash": {"stdout": "abc"}}));
        let template = json!({
            "typed": "{{ l }}", "text": "{{ n }}-{{ l }}", "nested": "{{hash.stdout}}", "env": "{{ $EV }}/{{ $$EV }}",
            "ctx": "{{ ctx.flow_run.id }} {{ n }}", "block": "{{ prefect.blocks.secret.x }} {{ n }}", "{{ n }}": 2
        });
        let (tree, notes) = filled(template, &values, Missing::Remove);
        assert_eq!(notes, []);
        assert_eq!(
            tree.expect("a mapping").masked(),
            json!({
                "typed": [true, null], "text": "1-[True, None]", "nested": "abc", "env": "evv/evv",
                "ctx": "{{ ctx.flow_run.id }} 1", "block": "{{ prefect.blocks.secret.x }} 1", "{{ n }}": 2
            })
        );
    }

    #[test]
    fn what_is_missing_is_removed_or_kept_and_noted() {
        let template = json!({"a": "{{ no }}", "b": "x{{ no }}", "c": "{{ $NO }}", "l": ["{{ no }}", "y{{ no }}"]});
        let (tree, notes) = filled(template.clone(), &Map::new(), Missing::Remove);
        assert_eq!(tree.expect("a mapping").masked(), json!({"b": "x", "c": "", "l": ["y"]}));
        let fates: Vec<(String, Became)> = notes.iter().map(|n| (n.path.to_string(), n.became)).collect();
        let fate = |path: &str, became| (path.to_owned(), became);
        assert_eq!(
            fates,
            [
                fate("a", Became::Dropped),
                fate("b", Became::Blank),
                fate("c", Became::Blank),
                fate("l[0]", Became::Dropped),
                fate("l[1]", Became::Blank)
            ]
        );
        let (tree, notes) = filled(template, &Map::new(), Missing::Keep);
        let kept = json!({"a": "{{ no }}", "b": "x{{ no }}", "c": "{{ $NO }}", "l": ["y{{ no }}"]});
        assert_eq!(tree.expect("a mapping").masked(), kept);
        assert_eq!(notes.iter().filter(|note| note.became == Became::Kept).count(), 4);
        assert_eq!(filled(json!("{{ no }}"), &Map::new(), Missing::Keep).0, None);
    }

    #[test]
    fn seals_and_unknowns_spread_over_a_text() {
        let mut values = map(json!({"plain": "p"}));
        values.insert("tok".to_owned(), Tree::Secret(Secret::text("hunter2")));
        values.insert("build".to_owned(), Tree::Unknown(Unknown::AfterBuild));
        let template = json!({"s": "{{ plain }}:{{ tok }}", "u": "{{ tok }}{{ build.tag }}", "w": "{{ build.x.y }}"});
        let tree = filled(template, &values, Missing::Remove).0.expect("a mapping");
        let Some(Tree::Secret(text)) = tree.get("s") else { panic!("not sealed: {tree:?}") };
        assert_eq!(text.reveal_str(), Some("p:hunter2"));
        assert_eq!(tree.get("u"), Some(&Tree::Unknown(Unknown::AfterBuild)));
        assert_eq!(tree.get("w"), Some(&Tree::Unknown(Unknown::AfterBuild)));
    }

    #[test]
    fn a_sealed_text_is_a_template_too_and_stays_sealed() {
        let (values, env) = (map(json!({"tag": "v1"})), env());
        let filling =
            Filling { values: &values, env: &env, missing: Missing::Remove, skip_prefixes: &[], pending: false };
        let template = Tree::Secret(Secret::new(json!({"image": "repo:{{ tag }}", "gone": "{{ hunter2 }}"})));
        let mut notes = Vec::new();
        let tree = fill(&template, &filling, &mut notes).expect("small").expect("a mapping");
        let Tree::Secret(secret) = &tree else { panic!("not sealed") };
        assert_eq!(secret.reveal(), &json!({"image": "repo:v1"}));
        assert_eq!(notes.len(), 1);
        assert!(!format!("{tree:?}{notes:?}").contains("hunter2"));
    }

    #[test]
    fn while_a_step_is_pending_a_missing_name_is_unknown() {
        let (values, env, mut notes) = (Map::new(), env(), Vec::new());
        let filling =
            Filling { values: &values, env: &env, missing: Missing::Remove, skip_prefixes: &["ctx."], pending: true };
        let template = Tree::from(json!({"image": "{{ image }}", "t": "{{ ctx.x }}", "e": "{{ $NO }}"}));
        let tree = fill(&template, &filling, &mut notes).expect("small").expect("a mapping");
        assert_eq!(tree.masked(), json!({"image": "(known after build)", "t": "{{ ctx.x }}", "e": ""}));
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn doubling_placeholders_end_in_a_problem_not_in_memory() {
        let names: Vec<String> = (0..64).map(|i| format!("n{i}")).collect();
        let values: Map =
            names.windows(2).map(|w| (w[0].clone(), Tree::text(format!("{{{{{0}}}}}{{{{{0}}}}}", w[1])))).collect();
        let template = Tree::text(names.iter().map(|name| format!("{{{{{name}}}}}")).collect::<String>());
        let env = BTreeMap::new();
        let filling =
            Filling { values: &values, env: &env, missing: Missing::Remove, skip_prefixes: &[], pending: false };
        let problems = fill(&template, &filling, &mut Vec::new()).expect_err("too large");
        assert_eq!((problems.len(), problems[0].code), (1, "E0306"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_and_no_secret_is_shown(
            template in prop::collection::vec(prop_oneof![
                r"[{} $.ab\[\]-]{0,12}",
                Just("{{ tok }}".to_owned()), Just("{{ tok.k[0] }}".to_owned()), Just("{{ $TOK }}".to_owned()),
                Just("{{ list[-1] }}".to_owned()), Just("{{ nope }}".to_owned()),
            ], 0..6),
            keep: bool,
        ) {
            let canary = "CANARY-7f3a";
            let values = Map::from([
                ("tok".to_owned(), Tree::Secret(Secret::new(json!({"k": [canary, format!("{{{{ {canary} }}}}")]})))),
                ("list".to_owned(), Tree::List(vec![Tree::Secret(Secret::text(format!("{{{{ nope }}}}{canary}")))])),
            ]);
            let env = BTreeMap::from([("TOK".to_owned(), Tree::Secret(Secret::text(format!("{canary}{{{{ list }}}}"))))]);
            let missing = if keep { Missing::Keep } else { Missing::Remove };
            let filling = Filling { values: &values, env: &env, missing, skip_prefixes: &[], pending: false };
            let template = Tree::List(vec![Tree::text(template.concat()), Tree::from(json!(template))]);
            let mut notes = Vec::new();
            let once = fill(&template, &filling, &mut notes).expect("small").expect("a list");
            let twice = fill(&once, &filling, &mut notes).expect("small").expect("a list");
            let told: Vec<_> = notes.iter().map(Note::diagnostic).collect();
            let shown = format!("{once:?}{twice:?}{}{}{notes:?}{told:?}", once.masked(), twice.masked());
            prop_assert!(!shown.contains(canary), "{}", shown);
        }
    }
}
