//! What a flow's Python file says of it, read without running any code.
//!
//! [`facts`] is a pure function: it is given texts, and answers with the facts, with the files it must see first, with
//! what is wrong, or with why only Python can tell. It never guesses: what it answers is what Prefect would compute by
//! importing the flow, taking for granted that the import succeeds.
//!
//! | file | idea |
//! |---|---|
//! | `entrypoint` | where the flow is said to be |
//! | `sources` | the texts, and the guard against hostile ones |
//! | `value` | what is known of a Python object |
//! | `machine` | modules, imports and names |
//! | `exec` | statements bind names |
//! | `eval`, `call` | expressions become values |
//! | `iterate` | comprehensions and functions of one line |
//! | `functional` | classes that calls make |
//! | `given` | generic models with arguments |
//! | `class` | what kind of class a class is, and its fields |
//! | `schema`, `simple` | a type becomes a JSON schema, as pydantic writes it |
//! | `definition` | so does a class, once |
//! | `refused` | class statements that certainly raise |
//! | `tagged` | a union told apart by a field |
//! | `late` | annotations that are texts |
//! | `constraint` | `Field(...)` and `Annotated[...]` |
//! | `encode` | a default becomes JSON |
//! | `docstring` | descriptions |
//! | `answer` | all of it together |

mod answer;
mod call;
mod class;
mod constraint;
mod definition;
mod docstring;
mod encode;
mod entrypoint;
mod eval;
mod exec;
mod functional;
mod given;
mod iterate;
mod late;
mod machine;
mod refused;
mod schema;
mod simple;
mod sources;
mod tagged;
mod value;

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostic;
use crate::model::{FlowFacts, Origin, RepoPath};

pub use entrypoint::Entrypoint;
pub use sources::Sources;

/// The stack that reading and evaluating may use; [`sources`] keeps the nesting of the code well below it.
const STACK: usize = 128 << 20;

/// Why a file is not read whose syntax some versions of Python do not know.
const OF_A_VERSION: &str = "the syntax depends on the version of Python";

/// Why only Python can tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The flow's parameter it is about, if it is about one.
    pub parameter: Option<String>,
    /// One sentence without a final full stop.
    pub text: String,
    /// The place in the Python file.
    pub origin: Option<Origin>,
}

impl Reason {
    /// A reason without a parameter.
    pub(self) fn new(text: impl Into<String>, origin: Option<Origin>) -> Self {
        Reason { parameter: None, text: text.into(), origin }
    }
}

impl Answer {
    /// Whether more could be said if the version of Python were known ([`Sources::for_python`]).
    pub fn depends_on_version(&self) -> bool {
        match self {
            Answer::NeedsPython(unsure) => unsure.reasons.iter().any(|reason| reason.text == OF_A_VERSION),
            Answer::Known { .. } | Answer::NeedsFiles(_) | Answer::Invalid(_) => false,
        }
    }
}

/// What can be said of a flow that only Python can tell in full.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unsure {
    /// Its name, if that is certain.
    pub name: Option<String>,
    /// Why the rest is not.
    pub reasons: Vec<Reason>,
}

impl From<Vec<Reason>> for Unsure {
    fn from(reasons: Vec<Reason>) -> Self {
        Unsure { name: None, reasons }
    }
}

/// What can be said of an entrypoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Everything.
    Known {
        /// What Prefect would learn.
        facts: FlowFacts,
        /// The files that were read for it; a change of another one changes nothing.
        files: BTreeSet<RepoPath>,
    },
    /// Nothing yet: these files, or the knowledge that they do not exist, are needed.
    NeedsFiles(BTreeSet<RepoPath>),
    /// Only Python can tell.
    NeedsPython(Unsure),
    /// Prefect would refuse it.
    Invalid(Vec<Diagnostic>),
}

/// What the texts say of the flow behind an entrypoint; `base` is the directory Prefect would run in.
///
/// Call it again with the files it names in [`Answer::NeedsFiles`] until it answers otherwise; each round names at
/// least one file that was not loaded.
pub fn facts(entrypoint: &Entrypoint, base: &RepoPath, sources: &Sources) -> Answer {
    let failed = |text: &str| Answer::NeedsPython(vec![Reason::new(text, None)].into());
    std::thread::scope(|scope| {
        let work = || {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| answer::answer(entrypoint, base, sources)))
                .unwrap_or_else(|_| failed("the code could not be followed"))
        };
        match std::thread::Builder::new().name("flow".to_owned()).stack_size(STACK).spawn_scoped(scope, work) {
            Ok(handle) => handle.join().unwrap_or_else(|_| failed("the code could not be followed")),
            Err(_) => failed("there was no room to read the code"),
        }
    })
}
