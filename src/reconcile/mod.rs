//! One pass: git → plan → API.
//!
//! A [`Pass`] reads the files, asks the API and, when applying, Python what it must know. [`Pass::decide`] makes the
//! plan; [`apply::apply`] carries it out. Between the two, builds may run and the plan is made again with their outputs.

pub mod apply;
pub mod builds;
mod changed;
pub mod drain;
pub mod drift;
mod error;
pub mod event;
pub mod flows;
pub mod gather;
mod impact;
pub mod import;
mod keep;
pub mod lock;
mod memory;
mod moment;
pub mod offline;
pub mod origins;
mod owners;
mod probe;
mod queues;
pub mod read;
pub mod release;
mod remember;
mod renames;
mod secrets;
pub mod serve;
mod sight;
pub mod status;
pub mod stop;
mod things;
pub mod traced;
mod usage;
pub mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub use error::PassError;
pub use probe::{Caution, Marks};

use crate::api::Api;
use crate::diagnostic::{Diagnostic, has_errors, without_echoes};
use crate::manifest::project::MaxDelete;
use crate::manifest::select::Selection;
use crate::model::Key;
use crate::model::ledger::Ledger;
use crate::model::plan::Plan;
use crate::plan::resolve::{self, Filled};
use crate::plan::want::{Desired, Object, Observed};
use crate::plan::{self, Planned, digest};
use crate::report::{ApiFacts, Base, Remembered, Report, Requests, Source};

use builds::Builds;
use gather::Asked;
use moment::Moment;
use probe::{Changed, Recall};
use read::Reading;

/// What templates are filled with is asked for again, once the lock is there, if it was asked for longer ago.
const RECENT: Duration = Duration::from_secs(10);

/// What a pass is to do.
pub struct Request {
    /// The directory that declares what should be.
    pub path: PathBuf,
    /// The project's settings, if not in `reconcile.yaml`.
    pub project: Option<PathBuf>,
    /// A commit whose files are read in the place of those of the directory: what is applied, or with `guarded` what
    /// is compared with.
    pub at: Option<String>,
    /// Whether the directory is that of a repository elsewhere, checked out in the cache: it means nothing to others.
    pub cloned: bool,
    /// Whether only this commit may be used: a branch may be at another one when a run begins.
    pub pinned: bool,
    /// Whether its submodules are checked out there: others need them as well.
    pub submodules: bool,
    /// Whether the files are a stranger's: then none that holds settings is read.
    pub guarded: bool,
    /// Only what files touch that changed since this commit is meant.
    pub changed_since: Option<String>,
    /// The only file to read, relative to the directory.
    pub prefect_file: Option<String>,
    /// An environment of the project.
    pub env_name: Option<String>,
    /// What is meant, and what is laid over it.
    pub selection: Selection,
    /// Whether block references are filled everywhere.
    pub resolve_secrets: bool,
    /// The Python to ask.
    pub python: Option<PathBuf>,
    /// A Python with Prefect to fall back to: that of the private server.
    pub fallback_python: Option<PathBuf>,
    /// The environment of the process.
    pub environment: BTreeMap<String, String>,
    /// The work pool of deployments that name none.
    pub default_pool: Option<String>,
    /// How much may rest on the pass before.
    pub caution: Caution,
    /// What may be taken over and deleted.
    pub owning: Owning,
    /// Whether only the files count: what the environment lacks is no problem of theirs.
    pub files_only: bool,
    /// Stops the pass at a safe point.
    pub stop: CancellationToken,
    /// The commit that was read, once it was; nothing if the files differ from it.
    pub commit: OnceLock<String>,
    /// Tells what goes on.
    pub say: Box<dyn Fn(&str) + Send + Sync>,
}

/// What may be taken over and deleted, as far as the command line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owning {
    /// What left git is deleted, whatever the project says.
    pub prune: bool,
    /// How many deletions happen unasked; `None`: what the project says.
    pub max_delete: Option<MaxDelete>,
    /// What exists and is nobody's becomes ours.
    pub adopt: bool,
    /// Everything that is ours is deleted: nothing counts as declared.
    pub destroy: bool,
    /// How long runs under way of deployments that are to be deleted are waited for; `None`: ten minutes.
    pub drain: Option<Duration>,
}

impl Request {
    /// Whether the files are those of a commit to compare with: what is meant now need not have been there then.
    pub fn is_base(&self) -> bool {
        self.at.is_some() && self.guarded
    }

    /// The same request, which tells nothing.
    pub fn quiet_copy(&self) -> Request {
        Request {
            path: self.path.clone(),
            project: self.project.clone(),
            at: self.at.clone(),
            cloned: self.cloned,
            pinned: self.pinned,
            submodules: self.submodules,
            guarded: self.guarded,
            changed_since: self.changed_since.clone(),
            prefect_file: self.prefect_file.clone(),
            env_name: self.env_name.clone(),
            selection: self.selection.clone(),
            resolve_secrets: self.resolve_secrets,
            python: self.python.clone(),
            fallback_python: self.fallback_python.clone(),
            environment: self.environment.clone(),
            default_pool: self.default_pool.clone(),
            caution: self.caution.clone(),
            owning: self.owning,
            files_only: self.files_only,
            stop: self.stop.clone(),
            commit: OnceLock::new(),
            say: Box::new(|_| {}),
        }
    }
}

/// Whether Python may be asked: never when planning, for it runs code of the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Python {
    /// What it would say is known at apply.
    AtApply,
    /// It is asked.
    Ask,
}

/// Everything a decision rests on.
pub struct Pass<'a> {
    /// What is to be done.
    pub request: &'a Request,
    /// The API, if there is one.
    pub api: Option<&'a Api>,
    /// The files.
    pub reading: Reading,
    /// What the API said.
    pub asked: Asked,
    /// Objects of resource files, as they should be.
    pub objects: BTreeMap<Key, Object>,
    /// Declarations with blocks, variables and environment filled in.
    pub filled: Vec<Filled>,
    /// What is known of their flows.
    pub flows: flows::Answers,
    /// Problems and remarks so far.
    pub diagnostics: Vec<Diagnostic>,
    recall: Option<Recall>,
    started: Instant,
    /// When the API said it.
    asked_at: Moment,
    now: Timestamp,
}

/// A plan, and what it was made from.
pub struct Decided {
    /// What should be.
    pub desired: Desired,
    /// What is.
    pub observed: Observed,
    /// What is ours: what the ledger says, and what an interrupted pass may have made besides.
    pub ledger: Ledger,
    /// What is to be done.
    pub planned: Planned,
    /// Problems and remarks.
    pub diagnostics: Vec<Diagnostic>,
    /// What the comparison took from an earlier one, if it did.
    pub remembered: Option<Remembered>,
}

impl Decided {
    /// Whether a problem stands in the way of every write.
    pub fn is_invalid(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

/// What resource files and declarations come to with what the API said.
fn fill(
    reading: &Reading,
    asked: &mut Asked,
    diagnostics: &mut Vec<Diagnostic>,
) -> (BTreeMap<Key, Object>, Vec<Filled>) {
    let objects = things::objects(reading, asked, diagnostics);
    let selected = reading.selecting.selected.iter();
    (objects, selected.filter_map(|one| resolve::filled(one, &asked.facts, diagnostics)).collect())
}

impl<'a> Pass<'a> {
    /// Reads the files and asks what must be known. Without an API, what it would say is left open.
    ///
    /// # Errors
    /// A directory that cannot be read, a wrong use of the selection flags, an API that does not answer.
    pub async fn prepare(request: &'a Request, api: Option<&'a Api>, python: Python) -> Result<Self, PassError> {
        let mut reading = traced::part("read").in_scope(|| read::read(request))?;
        let (span, commit) = (tracing::Span::current(), reading.git.as_ref().map(|git| &git.commit));
        span.record("scope", &reading.scope).record("commit", commit);
        if let Some(git) = reading.git.as_ref().filter(|git| !git.dirty) {
            let _ = request.commit.set(git.commit.clone());
        }
        if let Some(revision) = &request.changed_since {
            changed::narrow(&mut reading, request, revision)?;
        }
        let recall = api.and_then(|api| Recall::open(request, &reading, api, Timestamp::now()));
        Pass::over(request, api, python, reading, recall).await
    }

    /// The same over files that were read.
    async fn over(
        request: &'a Request,
        api: Option<&'a Api>,
        python: Python,
        reading: Reading,
        recall: Option<Recall>,
    ) -> Result<Self, PassError> {
        let now = Timestamp::now();
        let asked = match api {
            Some(api) if !has_errors(&reading.diagnostics) => {
                gather::ask(request, &reading, recall.as_ref(), api).instrument(traced::part("ask")).await?
            }
            _ => gather::nothing_asked(request, &reading),
        };
        let mut pass = Pass::from_parts(request, api, reading, asked, now);
        pass.recall = recall;
        if python == Python::Ask && !has_errors(&pass.diagnostics) {
            let Pass { reading, asked, filled, flows, .. } = &mut pass;
            flows::ask_python(request, reading, asked, filled, flows).instrument(traced::part("python")).await?;
            pass.diagnostics.append(&mut pass.flows.diagnostics);
            pass.reading.show(&pass.diagnostics);
        }
        Ok(pass)
    }

    /// A pass over what was read and asked before, as of `now`: a function of its inputs but for the flows' files, which
    /// it reads and does not run, and for the names of what is installed beside the Python that would run them.
    pub fn from_parts(
        request: &'a Request,
        api: Option<&'a Api>,
        mut reading: Reading,
        mut asked: Asked,
        now: Timestamp,
    ) -> Self {
        let told = reading.diagnostics.len();
        let mut diagnostics = reading.diagnostics.clone();
        let (objects, filled) = fill(&reading, &mut asked, &mut diagnostics);
        let mut flows = flows::read_statically(&reading, &filled, || flows::version(request, &reading));
        flows::recall(request, &reading, &asked, &mut flows);
        diagnostics.append(&mut flows.diagnostics);
        without_echoes(told, &mut diagnostics);
        reading.show(&diagnostics);
        let (recall, started, asked_at) = (None, Instant::now(), Moment::now());
        Pass { request, api, reading, asked, objects, filled, flows, diagnostics, recall, started, asked_at, now }
    }

    /// Makes the plan.
    ///
    /// # Errors
    /// An API that does not answer.
    pub async fn decide(&self, builds: &Builds) -> Result<Decided, PassError> {
        let (desired, diagnostics) = self.desire(builds);
        let Some(api) = self.api.filter(|_| !has_errors(&diagnostics)) else {
            return Ok(self.compare(desired, Observed::default(), diagnostics));
        };
        let compared = async {
            match probe::changed(self, &desired) {
                Some(changed) => self.compare_changed(api, changed, desired, diagnostics).await,
                None => self.compare_all(api, desired, diagnostics).await,
            }
        };
        let mut decided = compared.instrument(traced::part("compare")).await?;
        if self.reading.project.ledger {
            owners::refuse_foreign(api, &self.reading.scope, &mut decided).await?;
        }
        probe::remember(self, &decided);
        Ok(decided)
    }

    async fn compare_all(
        &self,
        api: &Api,
        desired: Desired,
        diagnostics: Vec<Diagnostic>,
    ) -> Result<Decided, PassError> {
        let ledger = &self.asked.ledger;
        let observed = gather::observe(api, &desired, ledger, self.asked.abilities(Some(api))).await?;
        let mut decided = self.undecided(desired, observed, diagnostics);
        things::dangling(None, &mut decided);
        owners::adopt_pending(api, &self.reading.scope, &mut decided).await?;
        usage::note(api, &self.reading.scope, &decided.desired, &decided.ledger, &mut decided.observed).await?;
        self.plan(&mut decided);
        renames::respect(api, &self.reading.scope, &mut decided).await?;
        Ok(decided)
    }

    /// Compares what git wants otherwise than remembered; all else is as it was then.
    async fn compare_changed(
        &self,
        api: &Api,
        changed: Changed,
        desired: Desired,
        diagnostics: Vec<Diagnostic>,
    ) -> Result<Decided, PassError> {
        let observed = match changed.desired.deployments.is_empty() && changed.desired.objects.is_empty() {
            true => Observed::default(),
            false => gather::observe(api, &changed.desired, &changed.ledger, self.asked.abilities(Some(api))).await?,
        };
        let mut decided = self.undecided(desired, observed, diagnostics);
        things::dangling(Some(&changed.desired), &mut decided);
        if decided.is_invalid() {
            return Ok(decided);
        }
        decided.planned = plan::plan(&changed.desired, &decided.observed, &changed.ledger, self.now);
        decided.planned.plan.unchanged += changed.unchanged;
        decided.remembered = Some(changed.remembered);
        Ok(decided)
    }

    fn undecided(&self, desired: Desired, observed: Observed, diagnostics: Vec<Diagnostic>) -> Decided {
        let ledger = self.asked.ledger.clone();
        Decided { desired, observed, ledger, planned: Planned::default(), diagnostics, remembered: None }
    }

    /// What should be, and the problems and remarks about it.
    pub fn desire(&self, builds: &Builds) -> (Desired, Vec<Diagnostic>) {
        let mut diagnostics = self.diagnostics.clone();
        let desired = gather::desired(self, builds, self.now, &mut diagnostics);
        without_echoes(self.reading.diagnostics.len(), &mut diagnostics);
        (desired, diagnostics)
    }

    /// What should be and what is → what is to be done; nothing while an error stands.
    pub fn compare(&self, desired: Desired, observed: Observed, diagnostics: Vec<Diagnostic>) -> Decided {
        let mut decided = self.undecided(desired, observed, diagnostics);
        self.plan(&mut decided);
        decided
    }

    fn plan(&self, decided: &mut Decided) {
        if !decided.is_invalid() {
            decided.planned = plan::plan(&decided.desired, &decided.observed, &decided.ledger, self.now);
            owners::record_pending(decided);
        }
    }

    /// Adds what follows from the plan: asks for the planned runs of what is updated, if anything is.
    pub async fn foresee(&self, decided: &mut Decided) {
        if let Some(api) = self.api {
            impact::note(api, &mut decided.planned).await;
        }
    }

    /// The same where a plan was made before: what follows from it follows from an equal one, and nothing is asked.
    pub async fn foresee_again(&self, before: &Plan, decided: &mut Decided) {
        if !impact::carry(before, &mut decided.planned) {
            self.foresee(decided).await;
        }
    }

    /// Reads anew what may have changed since: the ledger, the marks, and what templates are filled with unless that was
    /// asked for a moment ago. What the API holds is read by every decision.
    ///
    /// # Errors
    /// An API that does not answer; templates that lead to another flow by now.
    pub async fn refresh(&mut self) -> Result<(), PassError> {
        let Some(api) = self.api else { return Ok(()) };
        let (key, generation) = (self.asked.ledger.digest_key.clone(), self.asked.ledger.generation);
        if self.asked_at.elapsed() > RECENT && !has_errors(&self.diagnostics) {
            self.refill(api).await?;
        } else {
            let before = std::mem::take(&mut self.asked.ledger);
            let marks = async { Ok(gather::marks(self.recall.as_ref(), api).await) };
            let (ledger, marks) = tokio::try_join!(gather::reload_ledger(&self.reading, api, before), marks)?;
            (self.asked.ledger, self.asked.trouble) = ledger;
            self.asked.marks = marks;
        }
        // What is remembered was made out with the key that the ledger would have been saved with.
        if self.asked.ledger.generation == 0 && generation == 0 {
            self.asked.ledger.digest_key = key;
        }
        Ok(())
    }

    /// Asks everything again and fills the templates with that. Builds are not run again for it, nor is Python asked.
    async fn refill(&mut self, api: &Api) -> Result<(), PassError> {
        let mut asked = gather::ask(self.request, &self.reading, self.recall.as_ref(), api).await?;
        // Files are those that were read with the declarations: by now they may be of another commit.
        asked.things.secrets = std::mem::take(&mut self.asked.things.secrets);
        asked.things.templates = std::mem::take(&mut self.asked.things.templates);
        self.asked = asked;
        self.asked_at = Moment::now();
        let mut told = Vec::new();
        (self.objects, self.filled) = fill(&self.reading, &mut self.asked, &mut told);
        told.retain(|diagnostic| !self.diagnostics.contains(diagnostic));
        self.diagnostics.append(&mut told);
        self.reading.show(&self.diagnostics);
        match self.filled.iter().find(|one| self.flows.of(one).is_none()) {
            Some(other) if !has_errors(&self.diagnostics) => Err(PassError::Moved { deployment: other.name.clone() }),
            Some(_) | None => Ok(()),
        }
    }

    /// Tells the pass; `outcomes` is empty while nothing was applied.
    pub fn report(&self, decided: &Decided, outcomes: apply::Outcomes) -> Report {
        let git = self.reading.git.as_ref();
        let requests = self.api.map(Api::requests).unwrap_or_default();
        let ledger = &self.asked.ledger;
        let mut plan = decided.planned.plan.clone();
        self.flows.note(&self.filled, &mut plan);
        Report {
            scope: self.reading.scope.clone(),
            digest: digest::digest(&decided.planned.plan, ledger),
            base: Base {
                commit: ledger.commit.clone(),
                ledger_generation: ledger.generation,
                revision: None,
                untrusted: false,
                remembered: decided.remembered.clone(),
            },
            source: Source {
                commit: git.map(|git| git.commit.clone()),
                branch: git.map(|git| git.branch.clone()).filter(|branch| branch != "HEAD"),
                dirty: git.is_some_and(|git| git.dirty),
                files: self.reading.file_count,
                revision: self.request.at.clone(),
            },
            api: self.api.map(|api| ApiFacts {
                url: api.connection().url.clone(),
                version: self.asked.version.clone().unwrap_or_default(),
            }),
            plan,
            outcomes,
            requests: Requests { read: requests.read, write: requests.write },
            diagnostics: decided.diagnostics.clone(),
            declared: decided.desired.declared(),
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}
