//! `Note` and `TemplateProblem`: what a pass over a template has to tell, with the place in the template.

use crate::diagnostic::Diagnostic;
use crate::model::Path;
use crate::model::secret::MASK;

use super::placeholder::{PlaceholderKind, env_name, variable_name};

/// What became of a placeholder that had no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// It stays in the text for a later pass or the worker.
    Kept,
    /// It became empty text.
    Blank,
    /// The key or list item that it was the value of is gone.
    Dropped,
}

/// A placeholder that had no value.
///
/// In the pass that fills the environment only [`Became::Dropped`] is final: Prefect loses items of lists there that
/// are nothing but a standard placeholder, so a step's output never gets into a list of a declaration by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text in which it stands.
    pub path: Path,
    /// What it refers to.
    pub kind: PlaceholderKind,
    /// The name: without `$` for an environment variable, without the prefix for a variable, as written
    /// otherwise. Masked where the placeholder stands inside a sealed value.
    pub name: String,
    /// What became of it.
    pub became: Became,
}

impl Note {
    pub(super) fn new(path: Path, kind: PlaceholderKind, name: &str, sealed: bool, became: Became) -> Self {
        let name = match kind {
            _ if sealed => MASK.to_owned(),
            PlaceholderKind::Env => env_name(name).to_owned(),
            PlaceholderKind::Variable => variable_name(name),
            PlaceholderKind::Block | PlaceholderKind::Output => name.to_owned(),
        };
        Note { path, kind, name, became }
    }

    /// The warning that tells it; the caller adds the place in the file, and a similar name that does exist.
    pub fn diagnostic(&self) -> Diagnostic {
        let (code, what) = match self.kind {
            PlaceholderKind::Env => ("W0310", format!("the environment variable `{}` is not set", self.name)),
            PlaceholderKind::Variable => ("W0311", format!("there is no variable `{}`", self.name)),
            PlaceholderKind::Output | PlaceholderKind::Block => {
                ("W0312", format!("nothing gives a value for the placeholder `{}`", self.name))
            }
        };
        let then = match self.became {
            Became::Kept => "stays as it is written",
            Became::Blank => "gets empty text in its place",
            Became::Dropped => "is left out",
        };
        Diagnostic::warning(code, format!("{what}: `{}` {then}", self.path))
    }
}

/// Why a template cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateProblem {
    /// The code of the diagnostic.
    pub code: &'static str,
    /// The place in the template.
    pub path: Path,
    /// What is wrong.
    pub message: String,
    /// The next step.
    pub help: String,
}

impl TemplateProblem {
    /// The error that tells it; the caller adds the place in the file.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic::error(self.code, &self.message).help(&self.help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_names_the_thing_and_its_fate() {
        let note = Note::new(Path::of("tags").item(0), PlaceholderKind::Env, "$STAGE", false, Became::Blank);
        let told = note.diagnostic();
        assert_eq!(told.code, "W0310");
        assert_eq!(told.message, "the environment variable `STAGE` is not set: `tags[0]` gets empty text in its place");
    }

    #[test]
    fn what_stands_in_a_sealed_text_is_not_named() {
        let note = Note::new(Path::of("x"), PlaceholderKind::Output, "hunter2", true, Became::Dropped);
        assert!(!format!("{note:?} {:?}", note.diagnostic()).contains("hunter2"));
    }
}
