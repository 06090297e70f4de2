//! Plans without a world: one state of the repository against another, or against nothing.
//!
//! No API is asked, no environment variable or file of settings is read, no program is run. What a stranger's pull
//! request would change can be shown this way before anybody trusts it.

use std::time::Instant;

use jiff::Timestamp;

use crate::diagnostic::{Diagnostic, Severity, has_errors};
use crate::model::ledger::Ledger;
use crate::model::{Origin, Path};
use crate::plan::compare::{self, State};
use crate::plan::desire::{FlowAnswer, Surroundings, desired};
use crate::plan::digest;
use crate::plan::resolve::{self, Facts, Filled};
use crate::report::diagnostics::Texts;
use crate::report::{Base, Report, Requests, Source};
use crate::source::Worktree;

use super::Request;
use super::apply::Outcomes;
use super::error::PassError;
use super::flows::{self, Answers};
use super::read::{self, Reading};

/// A comparison, told.
pub struct Compared {
    /// The pass as data.
    pub report: Report,
    /// The texts that diagnostics point into.
    pub texts: Texts,
}

impl Compared {
    /// Whether the files are invalid.
    pub fn is_invalid(&self) -> bool {
        has_errors(&self.report.diagnostics)
    }
}

/// One side of a comparison.
struct Side {
    reading: Reading,
    state: State,
    filled: Vec<Filled>,
    answers: Answers,
    diagnostics: Vec<Diagnostic>,
}

/// Compares the files of the directory with those of a commit; without one, with nothing.
///
/// # Errors
/// A directory that cannot be read, flags that do not make sense, a commit that is not there.
pub fn compare(request: &Request, base: Option<&str>) -> Result<Compared, PassError> {
    let started = Instant::now();
    let (now, there) = sides(request, base);
    let Side { reading, state, filled, answers, mut diagnostics } = now?;
    let (before, base) = match base.zip(there) {
        None => (State::new(), Base { untrusted: true, ..Base::default() }),
        Some((revision, there)) => {
            let there = there?;
            diagnostics.extend(remark(revision, &there));
            let revision = Some(revision.to_owned());
            let base = Base { commit: there.reading.worktree.commit(), revision, untrusted: true, ..Base::default() };
            (there.state, base)
        }
    };
    let mut plan = if has_errors(&diagnostics) { Default::default() } else { compare::compare(&before, &state) };
    for change in plan.changes.iter_mut().filter(|change| change.action == crate::model::plan::Action::Delete) {
        change.impact.push("it leaves git: applying deletes it only where pruning is asked for".to_owned());
    }
    answers.note(&filled, &mut plan);
    let git = reading.git.as_ref();
    let report = Report {
        scope: reading.scope.clone(),
        digest: digest::digest(&plan, &Ledger::default()),
        base,
        source: Source {
            commit: git.map(|git| git.commit.clone()),
            branch: git.map(|git| git.branch.clone()).filter(|branch| branch != "HEAD"),
            dirty: is_dirty(&reading),
            files: reading.file_count,
            revision: None,
        },
        api: None,
        plan,
        outcomes: Outcomes::new(),
        requests: Requests::default(),
        diagnostics,
        declared: Vec::new(),
        seconds: started.elapsed().as_secs_f64(),
    };
    Ok(Compared { report, texts: reading.texts })
}

/// As much as the first thread of a process has, in bytes: trees are walked by recursion.
const STACK: usize = 8 * 1024 * 1024;

type Read = Result<Side, PassError>;

/// Both sides at once: neither knows of the other.
fn sides(request: &Request, base: Option<&str>) -> (Read, Option<Read>) {
    let Some(revision) = base else { return (side(request), None) };
    let there = Request { at: Some(revision.to_owned()), ..request.quiet_copy() };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let Ok(there) = thread.spawn_scoped(scope, || side(&there)) else { return (side(request), Some(side(&there))) };
        let now = side(request);
        (now, Some(there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
    })
}

fn side(request: &Request) -> Read {
    let reading = read::read(request)?;
    let mut diagnostics = reading.diagnostics.clone();
    let facts = Facts { symbolic: true, default_pool: request.default_pool.clone(), ..Facts::default() };
    let selected = reading.selecting.selected.iter();
    let filled: Vec<Filled> = selected.filter_map(|one| resolve::filled(one, &facts, &mut diagnostics)).collect();
    let mut answers = flows::read_statically(&reading, &filled, || flows::declared_version(&reading));
    diagnostics.append(&mut answers.diagnostics);
    let mut state = State::new();
    for object in super::things::symbolic(&reading, &mut diagnostics).values() {
        compare::write_object(&mut state, object);
    }
    for one in &filled {
        written(one, &reading, &answers, &mut state, &mut diagnostics);
    }
    Ok(Side { reading, state, filled, answers, diagnostics })
}

fn written(one: &Filled, reading: &Reading, answers: &Answers, state: &mut State, diagnostics: &mut Vec<Diagnostic>) {
    let Some(flow) = answers.of(one) else { return };
    let flow = match flow {
        FlowAnswer::AtApply { name: None } => {
            let name = guessed(one);
            diagnostics.push(
                Diagnostic::note("W0420", format!("only Python can tell what the flow `{name}` takes"))
                    .at(one.place(&Path::of("entrypoint")), "its name is taken from its function")
                    .help("its parameters are not compared; a plan against an API says more"),
            );
            FlowAnswer::AtApply { name: Some(name) }
        }
        known => known.clone(),
    };
    // Their places and templates matter here, not what they come to.
    let mut bare = one.clone();
    for key in ["schedules", "schedule", "triggers", "sla"] {
        bare.config.shift_remove(key);
    }
    let (env, outputs) = Default::default();
    let around = Surroundings {
        now: Timestamp::UNIX_EPOCH,
        env: &env,
        outputs: &outputs,
        pending: false,
        symbolic: true,
        directory: reading.worktree.absolute(&one.selected.dir).display().to_string(),
        version_info: None,
        clone: super::gather::clone_step(reading),
        base_job_template: None,
        strict: false,
        slas_supported: None,
    };
    let Some(deployment) = desired(&bare, &flow, &around, diagnostics) else { return };
    compare::write(state, &deployment, one);
}

/// The name that a flow has unless its decorator gives it another.
fn guessed(one: &Filled) -> String {
    let object = one.entrypoint.rsplit([':', '.']).next().unwrap_or(&one.entrypoint);
    object.replace('_', "-")
}

/// What is wrong with the files of the base is not the doing of whoever proposes a change.
fn remark(revision: &str, there: &Side) -> Option<Diagnostic> {
    let mut errors = there.diagnostics.iter().filter(|d| d.severity == Severity::Error);
    let first = errors.next()?;
    let more = errors.count();
    let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    let place = first.origin().map(|origin: &Origin| format!("{origin}: ")).unwrap_or_default();
    let message =
        format!("what is invalid at `{revision}` counts as not declared there: {place}{}{more}", first.message);
    Some(Diagnostic::warning("W0421", message).help("compare with a commit whose files are valid"))
}

/// Whether a file that declares something differs from the commit that is checked out. Others are not looked at.
fn is_dirty(reading: &Reading) -> bool {
    let Ok(head) = Worktree::at(reading.worktree.clone(), "HEAD") else { return false };
    reading.files.iter().any(|file| {
        let now = reading.texts.get(&file.path).map(|text| text.as_bytes().to_vec());
        head.read(&file.path).ok().flatten() != now
    })
}
