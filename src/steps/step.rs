//! One step as written: its function, its reserved words and its inputs.

use super::error::{StepError, StepProblem};
use super::names;
use crate::model::{Map, Tree};

/// A step taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// The function as it is called today.
    pub fqn: String,
    /// The name of Prefect 2 under which it was written, if it was.
    pub old_name: Option<String>,
    /// The name under which later steps find its outputs.
    pub id: Option<String>,
    /// What has to be importable.
    pub requires: Vec<String>,
    /// The inputs, templates unfilled.
    pub inputs: Tree,
}

/// Takes an item of a step list apart; `None` for the empty ones that Prefect skips.
pub(super) fn read(index: usize, item: &Tree) -> Result<Option<Step>, StepError> {
    if !item.is_truthy() {
        return Ok(None);
    }
    let fail = |fqn: &str, problem| StepError { index, fqn: fqn.to_owned(), problem };
    let Tree::Map(map) = item else {
        return Err(fail("", StepProblem::NotAStep { found: kind(item) }));
    };
    let (written, inputs) = map.last().expect("an empty mapping is not truthy");
    if map.len() > 1 {
        let others = map.keys().filter(|key| *key != written).cloned().collect();
        return Err(fail(written, StepProblem::ExtraKeys { others }));
    }
    let mut inputs = match inputs {
        Tree::Map(inputs) => inputs.clone(),
        Tree::Null => Map::new(),
        other => return Err(fail(written, StepProblem::NotInputs { found: kind(other) })),
    };
    let id = inputs.shift_remove("id").as_ref().and_then(Tree::as_str).filter(|id| !id.is_empty()).map(str::to_owned);
    let requires = inputs.shift_remove("requires").unwrap_or(Tree::Null);
    let requires = requirements(&requires).map_err(|problem| fail(written, problem))?;
    let modern = names::modern(written);
    Ok(Some(Step {
        fqn: modern.clone().unwrap_or_else(|| written.clone()),
        old_name: modern.map(|_| written.clone()),
        id,
        requires,
        inputs: Tree::Map(inputs),
    }))
}

fn requirements(written: &Tree) -> Result<Vec<String>, StepProblem> {
    let text = |item: &Tree| match item {
        Tree::Text(text) => Ok(text.clone()),
        other => Err(StepProblem::Argument(format!("`requires` lists packages as text, not {}", kind(other)))),
    };
    match written {
        Tree::List(items) => items.iter().map(text).collect(),
        other if !other.is_truthy() => Ok(Vec::new()),
        other => Ok(vec![text(other)?]),
    }
}

/// What a value is, in words for messages.
pub(super) fn kind(tree: &Tree) -> &'static str {
    match tree {
        Tree::Null => "nothing",
        Tree::Bool(_) => "true or false",
        Tree::Number(_) => "a number",
        Tree::Text(_) => "text",
        Tree::List(_) => "a list",
        Tree::Map(_) => "a mapping",
        Tree::Secret(_) => "a secret",
        Tree::IdOf(_) | Tree::Unknown(_) => "a value that is not known yet",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_json(item: serde_json::Value) -> Result<Option<Step>, StepProblem> {
        read(0, &Tree::from(item)).map_err(|error| error.problem)
    }

    #[test]
    fn reserved_words_are_taken_out_of_the_inputs() {
        let step = read_json(json!({"a.b": {"id": "x", "requires": "pkg", "n": 1}})).unwrap().unwrap();
        assert_eq!((step.fqn.as_str(), step.id.as_deref()), ("a.b", Some("x")));
        assert_eq!(step.requires, ["pkg"]);
        assert_eq!(step.inputs, Tree::from(json!({"n": 1})));
    }

    #[test]
    fn empty_steps_are_skipped_and_inputs_may_be_left_out() {
        assert_eq!(read_json(json!(null)), Ok(None));
        assert_eq!(read_json(json!({})), Ok(None));
        assert_eq!(read_json(json!({"a.b": null})).unwrap().unwrap().inputs, Tree::from(json!({})));
    }

    #[test]
    fn what_is_no_step_is_named() {
        assert_eq!(read_json(json!("a.b")), Err(StepProblem::NotAStep { found: "text" }));
        assert_eq!(read_json(json!({"a.b": [1]})), Err(StepProblem::NotInputs { found: "a list" }));
        let extra = read_json(json!({"a": {}, "b": {}}));
        assert_eq!(extra, Err(StepProblem::ExtraKeys { others: vec!["a".to_owned()] }));
    }

    #[test]
    fn old_names_are_kept_for_the_warning() {
        let step = read_json(json!({"prefect.projects.steps.git_clone_project": {}})).unwrap().unwrap();
        assert_eq!(step.fqn, "prefect.deployments.steps.git_clone");
        assert_eq!(step.old_name.as_deref(), Some("prefect.projects.steps.git_clone_project"));
    }
}
