//! `Problem`: what is wrong with a part of a declaration, before it is known where that part stands in a file.

use crate::diagnostic::Diagnostic;
use crate::model::{Origin, Path};

/// One problem at a place relative to what was checked.
///
/// The caller knows the file: `node.nearest(&problem.path)` gives the place, [`Problem::at`] the diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The page that explains it.
    pub code: &'static str,
    /// Where, relative to the value that was checked.
    pub path: Path,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// The next step.
    pub help: Option<String>,
}

impl Problem {
    /// A problem at a place.
    pub fn new(code: &'static str, path: Path, message: impl Into<String>) -> Self {
        Problem { code, path, message: message.into(), help: None }
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same problem seen from one level up: `path` becomes `outer` followed by the old path.
    #[must_use]
    pub fn below(mut self, outer: &Path) -> Self {
        let mut segs = outer.0.clone();
        segs.append(&mut self.path.0);
        self.path = Path(segs);
        self
    }

    /// The diagnostic, pointing at a place; codes that start with `W` give warnings.
    pub fn at(self, origin: Origin) -> Diagnostic {
        let diagnostic = if self.code.starts_with('W') {
            Diagnostic::warning(self.code, self.message)
        } else {
            Diagnostic::error(self.code, self.message)
        };
        let diagnostic = diagnostic.at(origin, "");
        match self.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }
}
