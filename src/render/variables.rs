//! `fill_variables`: `{{ prefect.variables.NAME }}` into a template.
//!
//! Prefect 3.8.8 `utilities/templating/__init__.py`, `resolve_variables`.

use std::collections::BTreeMap;

use crate::model::Tree;

use super::note::{Became, Note, TemplateProblem};
use super::placeholder::{PlaceholderKind, distinct, variable_name};
use super::walk::{Filled, Pass, Site, run};

/// Fills variables in and leaves every other placeholder. A variable that does not exist becomes empty text, its key
/// stays.
///
/// # Errors
/// Only if the result would be too large (E0306).
pub fn fill_variables(
    template: &Tree,
    variables: &BTreeMap<String, Tree>,
    notes: &mut Vec<Note>,
) -> Result<Tree, Vec<TemplateProblem>> {
    let filled = run(&Variables(variables), template, notes)?;
    Ok(filled.expect("this pass leaves nothing out"))
}

struct Variables<'a>(&'a BTreeMap<String, Tree>);

impl Pass for Variables<'_> {
    fn text(&self, text: &str, site: &mut Site) -> Option<Tree> {
        let found = distinct(text);
        if let [one] = &found[..]
            && one.whole
            && one.kind == PlaceholderKind::Variable
            && let Some(value) = self.0.get(&variable_name(&one.name))
        {
            return Some(site.put(value.clone()));
        }
        let mut filled = Filled::new(text);
        for found in found.iter().filter(|found| found.kind == PlaceholderKind::Variable) {
            let value = self.0.get(&variable_name(&found.name));
            if value.is_none() {
                site.note(found, Became::Blank);
            }
            filled.replace(found.text(text), value.unwrap_or(&Tree::text("")), site);
        }
        Some(filled.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_keep_their_type_and_missing_ones_are_empty() {
        let variables = BTreeMap::from([("conf".to_owned(), Tree::from(json!({"a": [1]})))]);
        let template = Tree::from(json!({
            "whole": "{{ prefect.variables.conf }}", "part": "x{{prefect.variables.conf}}{{ conf }}",
            "none": "{{ prefect.variables.no }}", "path": "{{ prefect.variables.conf.a }}!", "l": ["{{ $X }}"],
        }));
        let mut notes = Vec::new();
        let tree = fill_variables(&template, &variables, &mut notes).expect("small");
        assert_eq!(
            tree.masked(),
            json!({"whole": {"a": [1]}, "part": "x{'a': [1]}{{ conf }}", "none": "", "path": "!", "l": ["{{ $X }}"]})
        );
        assert_eq!(notes.iter().map(|note| &*note.name).collect::<Vec<_>>(), ["no", "conf.a"]);
    }
}
