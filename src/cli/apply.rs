//! `reconcile apply`, and `reconcile` without a command: shows the plan, asks, applies, reports.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;

use super::also::{self, Also};
use super::args::{ApplyArgs, Bare, DestroyArgs, DriftArgs, Global, Selecting};
use super::connect::{Absent, connect};
use super::exit::Exit;
use super::progress::Progress;
use super::remote::Unsigned;
use super::review::Review;
use super::saved::{self, Saved};
use super::{ask, last_words, output, pass, remote, traced};
use crate::api::{Answers, Api};
use crate::diagnostic::Diagnostic;
use crate::model::plan::Plan;
use crate::reconcile::apply::{Applied, Outcomes, apply as carry_out};
use crate::reconcile::builds::{self, Builds};
use crate::reconcile::lock::{self, Guard};
use crate::reconcile::read::declared_api;
use crate::reconcile::traced::part;
use crate::reconcile::{Decided, Pass, PassError, Python, event, stop};
use crate::report::diagnostics::Texts;
use crate::report::{Outcome, Report, text};
use crate::source::git;

/// Where passes follow one another, another one on the same scope is waited for so long: it is at work on the same.
const USUAL_LOCK_TIMEOUT: Duration = Duration::from_secs(60);
/// Where passes follow one another and nobody says otherwise, everything is compared so long after the last time.
const USUAL_DRIFT_INTERVAL: Duration = Duration::from_secs(300);

/// What to apply, and how.
pub struct Apply {
    selecting: Selecting,
    yes: bool,
    lock_timeout: Duration,
    drain: Option<Duration>,
    fail_on_held: bool,
    full: bool,
    plan: Option<PathBuf>,
    reviewed: bool,
    review: Option<Review>,
    also: Vec<Also>,
    drift: DriftArgs,
    destroy: bool,
    telling: Telling,
}

/// What is told of a pass.
enum Telling {
    /// All of it.
    Whole,
    /// Only what is new: it is one of many, and the problems that were told last are known.
    News(Mutex<Vec<Diagnostic>>),
}

/// How a pass ended.
pub struct Ended {
    /// The exit code that stands for it.
    pub exit: Exit,
    /// What there is to tell of it; none if it came to nothing.
    pub report: Option<Report>,
    /// What else is known of it, whatever it came to.
    pub known: Known,
}

/// What is known of a pass as soon as it happens.
#[derive(Default)]
pub struct Known {
    /// The commit that was wanted and is not signed as it must be: if there is a report, it is of an earlier one.
    pub refused: Option<String>,
    /// Whether build or push steps ran, be it to their end or not.
    pub built: bool,
    /// What it could not wait for any longer: another pass on the same scope has the lock.
    pub waits: Option<String>,
    /// Whether git switched files while they were read: what they say is what nobody means.
    pub too_early: bool,
    /// The commit that was read, if the files are its.
    pub read: Option<String>,
    api: Option<Api>,
}

impl Known {
    /// The commit that was to be applied.
    pub fn commit(&self) -> Option<&str> {
        self.refused.as_deref().or(self.read.as_deref())
    }

    /// How the requests were answered.
    pub fn answers(&self) -> Answers {
        self.api.as_ref().map(Api::answers).unwrap_or_default()
    }
}

impl From<Exit> for Ended {
    fn from(exit: Exit) -> Self {
        Ended { exit, report: None, known: Known::default() }
    }
}

impl Apply {
    /// The passes of `--watch`.
    pub fn of_watch(bare: Bare) -> Self {
        let lock_timeout = bare.lock_timeout.unwrap_or(USUAL_LOCK_TIMEOUT);
        let mut apply = Apply { lock_timeout, ..Apply::from_bare(bare) };
        apply.yes = true;
        apply.telling = Telling::News(Mutex::default());
        apply
    }

    /// What is meant.
    pub fn selecting(&self) -> &Selecting {
        &self.selecting
    }

    /// A pass without a command.
    pub fn from_bare(bare: Bare) -> Self {
        let path = bare.path.map(|path| path.display().to_string());
        let selecting = Selecting { path, rev: bare.rev, git: bare.git, owning: bare.owning, ..Selecting::default() };
        let lock_timeout = bare.lock_timeout.unwrap_or_default();
        Apply {
            selecting,
            yes: bare.yes,
            lock_timeout,
            drain: bare.drain,
            fail_on_held: false,
            full: false,
            plan: None,
            reviewed: false,
            review: None,
            also: Vec::new(),
            drift: bare.drift,
            destroy: false,
            telling: Telling::Whole,
        }
    }
}

impl From<ApplyArgs> for Apply {
    fn from(args: ApplyArgs) -> Self {
        let ApplyArgs { selecting, plan, reviewed, yes, lock_timeout, drain, drift, fail_on_held, also, full } = args;
        Apply {
            selecting,
            yes,
            lock_timeout: lock_timeout.unwrap_or_default(),
            drain,
            fail_on_held,
            full,
            plan,
            reviewed,
            review: None,
            also,
            drift,
            destroy: false,
            telling: Telling::Whole,
        }
    }
}

impl From<DestroyArgs> for Apply {
    fn from(args: DestroyArgs) -> Self {
        let DestroyArgs { path, yes, lock_timeout, drain, full } = args;
        let selecting = Selecting { path, ..Selecting::default() };
        let lock_timeout = lock_timeout.unwrap_or_default();
        Apply {
            selecting,
            yes,
            lock_timeout,
            drain,
            fail_on_held: true,
            full,
            plan: None,
            reviewed: false,
            review: None,
            also: Vec::new(),
            drift: DriftArgs::default(),
            destroy: true,
            telling: Telling::Whole,
        }
    }
}

/// Runs the command.
pub async fn run(global: &Global, mut args: Apply, stop: CancellationToken) -> Exit {
    let saved = match saved::taken(args.plan.as_deref(), global, &mut args.selecting) {
        Ok(saved) => saved,
        Err(exit) => return exit,
    };
    let global = saved.as_ref().map_or(global, Saved::global);
    if let Err(exit) = ask::somebody(args.yes, "to apply without asking, or use `reconcile plan`") {
        return exit;
    }
    if args.reviewed {
        match Review::ready() {
            Ok(review) => args.review = Some(review),
            Err(exit) => return exit,
        }
    }
    match one_pass(global, &args, saved.as_ref(), &stop).await.exit {
        Exit::Interrupted => super::exit::stopped(),
        exit => exit,
    }
}

/// Makes one pass, of whatever the directory holds by now.
pub async fn one_pass(global: &Global, args: &Apply, saved: Option<&Saved>, stop: &CancellationToken) -> Ended {
    let traced = traced::pass(args.command(), global);
    let mut known = Known::default();
    let passing = async {
        // The pass fills in whose it is as soon as it knows.
        let span = tracing::info_span!(target: "reconcile::watch", "pass", scope = Empty, commit = Empty);
        try_pass(global, args, saved, stop, &mut known).instrument(span).await
    };
    let (Ok(ended) | Err(ended)) = passing.instrument(traced.clone()).await;
    traced::ended(&traced, ended.exit, ended.report.as_ref(), known.commit());
    Ended { known, ..ended }
}

async fn try_pass(
    global: &Global,
    args: &Apply,
    saved: Option<&Saved>,
    stop: &CancellationToken,
    known: &mut Known,
) -> Result<Ended, Ended> {
    let mut request =
        pass::request(global, &args.selecting, stop.clone()).map_err(|text| super::exit::wrong_usage(&text))?;
    // Of one of many nobody waits for the end.
    let reading = (!args.is_one_of_many()).then(|| Progress::reading(global));
    // A loop keeps up what was good until something better comes.
    let unsigned = if args.is_one_of_many() { Unsigned::GoesOn } else { Unsigned::Fails };
    let fetched = remote::fetch(&args.selecting, &mut request, unsigned).instrument(part("fetch")).await;
    let files = fetched.map_err(|unfetched| {
        known.refused = unfetched.refused;
        unfetched.exit
    })?;
    known.refused.clone_from(&files.refused);
    request.caution = pass::caution(&args.drift);
    if args.is_one_of_many() {
        request.caution.usual = USUAL_DRIFT_INTERVAL;
    }
    // What was reviewed is compared whole.
    request.caution.full |= saved.is_some() || args.review.is_some();
    request.owning.destroy = args.destroy;
    request.owning.drain = args.drain;
    // What is to be deleted was applied somewhere.
    let absent = if args.destroy { Absent::Demand } else { Absent::StartLocal };
    let directory = pass::directory(&request);
    let stood = args.is_one_of_many().then(|| git::standing(&directory));
    let connected = connect(global, &directory, declared_api(&request), absent).await?;
    pass::settle(&mut request, &connected);
    reading.iter().for_each(|reading| reading.count(connected.api.as_ref()));
    known.api.clone_from(&connected.api);
    let promised = match (saved, &args.review) {
        (Some(saved), _) => Some(saved.check(&request, &connected).await?),
        (None, Some(review)) => Some(review.check(global, &request, &connected).await?),
        (None, None) => None,
    };
    let prepared = Pass::prepare(&request, connected.api.as_ref(), Python::Ask).await;
    let is_as_it_was = |stood| git::under_way(&directory).is_none() && git::standing(&directory) == stood;
    if !stood.is_none_or(is_as_it_was) {
        known.too_early = true;
        return Err(Exit::Stale.into());
    }
    known.read = request.commit.get().cloned();
    let mut prepared = prepared.map_err(|error| Ended::from(pass::failed(&error)))?;
    prepared.diagnostics.extend(connected.diagnostics);
    prepared.may_destroy().map_err(|error| Ended::from(pass::failed(&error)))?;
    decide_and_apply(global, args, &mut prepared, promised.as_ref(), (stop, reading), known).await
}

async fn decide_and_apply(
    global: &Global,
    args: &Apply,
    prepared: &mut Pass<'_>,
    promised: Option<&Plan>,
    (asked, reading): (&CancellationToken, Option<Progress>),
    so_far: &mut Known,
) -> Result<Ended, Ended> {
    let known = builds::remembered(prepared);
    let mut decided = decide(global, args, prepared, &known).await?;
    prepared.foresee(&mut decided).await;
    drop(reading);
    args.show(global, &decided.diagnostics, &prepared.reading.texts);
    let report = prepared.report(&decided, Outcomes::new());
    if !global.json && !global.quiet && args.tells_of(&report) {
        output::result(&text::plan(&report, output::look(global, args.full)));
    }
    saved::kept(promised, &decided)?;
    let open = builds::are_open(prepared, &known);
    if is_idle(args, prepared, &decided) && !open {
        return Ok(finish(global, args, prepared, &decided, &mut Sent::default()));
    }
    if !decided.planned.plan.is_empty() || open {
        confirm(global, args, prepared, &report)?;
    }
    // From here on a stop waits for a safe point.
    let _writing = stop::writing().map_err(|error| pass::failed(&error))?;
    let mut builds = known.clone();
    if open {
        so_far.built = true;
        builds = builds::run(prepared, builds).instrument(part("build")).await.map_err(|error| {
            match pass::failed(&error) {
                Exit::Failed if asked.is_cancelled() => Exit::Interrupted,
                exit => exit,
            }
        })?;
        decided = decide(global, args, prepared, &builds).await?;
        prepared.foresee_again(&report.plan, &mut decided).await;
        saved::kept(promised, &decided)?;
        if decided.planned.plan.is_empty() {
            return Ok(finish(global, args, prepared, &decided, &mut Sent { built: true, ..Sent::default() }));
        }
    }
    interrupted(asked)?;
    let guard = lock::acquire(prepared, args.lock_timeout).instrument(part("lock")).await.map_err(|error| {
        so_far.waits = matches!(error, PassError::Locked { .. }).then(|| error.to_string());
        pass::failed(&error)
    })?;
    let shown = Shown { digest: report.digest, known, reviewed: !args.yes || promised.is_some() };
    let exit = locked(global, args, prepared, decided, &builds, guard.as_ref().map(|guard| (guard, shown))).await;
    if let Some(guard) = guard {
        guard.release().await;
    }
    exit
}

/// Whether there is nothing to do. A ledger in which nothing is left goes with what it kept.
fn is_idle(args: &Apply, prepared: &Pass<'_>, decided: &Decided) -> bool {
    let plan = &decided.planned.plan;
    let leftover = args.destroy && plan.held.is_empty() && prepared.asked.ledger.generation > 0;
    plan.is_empty() && !leftover
}

/// What the user was shown, which builds had run by then, and whether anybody looked at it.
struct Shown {
    digest: String,
    known: Builds,
    reviewed: bool,
}

/// Applies. What was decided before the lock was ours is decided again: another pass may have been at work since.
async fn locked(
    global: &Global,
    args: &Apply,
    prepared: &mut Pass<'_>,
    mut decided: Decided,
    builds: &Builds,
    locked: Option<(&Guard, Shown)>,
) -> Result<Ended, Ended> {
    let guard = locked.as_ref().map(|(guard, _)| *guard);
    if let Some((_, shown)) = &locked {
        let stop = prepared.request.stop.clone();
        let again = decide_again(global, args, prepared, &decided.planned.plan, (builds, shown));
        decided = stop::unless(&stop, again).await.map_err(|error| pass::failed(&error))??;
        if is_idle(args, prepared, &decided) {
            return Ok(finish(global, args, prepared, &decided, &mut Sent::default()));
        }
    }
    interrupted(&prepared.request.stop)?;
    let mut sent = send(global, prepared, &decided, builds, guard).instrument(part("apply")).await;
    let ended = finish(global, args, prepared, &decided, &mut sent);
    // Unless it was lost, the lock is still ours: events come in the order of the passes.
    if let Some(report) = &ended.report {
        event::tell(prepared, report, &sent.applied, sent.stopped).await;
    }
    Ok(ended)
}

async fn decide_again(
    global: &Global,
    args: &Apply,
    prepared: &mut Pass<'_>,
    before: &Plan,
    (builds, shown): (&Builds, &Shown),
) -> Result<Decided, Ended> {
    let reading = (!args.is_one_of_many()).then(|| Progress::reading(global));
    reading.iter().for_each(|reading| reading.count(prepared.api));
    prepared.refresh().await.map_err(|error| pass::failed(&error))?;
    let again = decide(global, args, prepared, &shown.known).await?;
    let now = prepared.report(&again, Outcomes::new());
    let changed = now.digest != shown.digest;
    if changed && shown.reviewed {
        return Err(pass::failed(&PassError::Stale { reviewed: shown.digest.clone(), now: now.digest }).into());
    }
    let mut decided = match builds::are_open(prepared, &shown.known) {
        true => decide(global, args, prepared, builds).await?,
        false => again,
    };
    prepared.foresee_again(before, &mut decided).await;
    if changed && !global.json && !global.quiet {
        output::say("the plan changed before the lock was ours; this is what is applied:");
        let report = prepared.report(&decided, Outcomes::new());
        output::result(&text::plan(&report, output::look(global, args.full)));
    }
    Ok(decided)
}

fn interrupted(stop: &CancellationToken) -> Result<(), Exit> {
    match stop.is_cancelled() {
        true => Err(pass::failed(&PassError::Interrupted)),
        false => Ok(()),
    }
}

/// Makes the plan; one that cannot be carried out ends the command.
async fn decide(global: &Global, args: &Apply, prepared: &Pass<'_>, builds: &Builds) -> Result<Decided, Ended> {
    let decided = prepared.decide(builds).await.map_err(|error| pass::failed(&error))?;
    if !decided.is_invalid() {
        return Ok(decided);
    }
    let news = args.show(global, &decided.diagnostics, &prepared.reading.texts);
    let report = prepared.report(&decided, Outcomes::new());
    if global.json {
        output::result(&args.json(&report, false));
    } else if news {
        output::result(&pass::refusal(&report.diagnostics));
    }
    // The files are invalid whether that can be written down or not.
    let _ = also::write(&args.also, &pass::directory(prepared.request), &report);
    Err(Ended { report: Some(report), ..Exit::Invalid.into() })
}

/// Asks unless `--yes` was given. Who destroys has to say what.
fn confirm(global: &Global, args: &Apply, prepared: &Pass<'_>, report: &Report) -> Result<(), Exit> {
    let scope = &prepared.reading.scope;
    let agrees = args.yes
        || match args.destroy {
            true => ask::answer(&format!("Type the name of the scope, `{scope}`, to delete all of this: ")) == *scope,
            false => ask::yes("Apply this plan? [y/N] "),
        };
    if agrees {
        return Ok(());
    }
    output::say("nothing was applied");
    if global.json {
        let mut json = report.to_json();
        json["declined"] = serde_json::json!(true);
        output::result(&format!("{json:#}"));
    }
    Err(Exit::Done)
}

/// What became of the changes, and whether that could be recorded.
#[derive(Default)]
struct Sent {
    applied: Applied,
    stopped: bool,
    /// The builds gave what they gave before: there was nothing to send after all.
    built: bool,
}

async fn send(global: &Global, prepared: &Pass<'_>, decided: &Decided, builds: &Builds, guard: Option<&Guard>) -> Sent {
    let progress = Progress::applying(global, decided.planned.plan.changes.len());
    let applied = carry_out(prepared, decided, builds, guard, &|done, _| progress.reached(done)).await;
    drop(progress);
    match applied {
        Ok(applied) => Sent { applied, ..Sent::default() },
        Err((stopped, applied)) => {
            output::complain(&stopped.to_string());
            output::help(&stopped.help());
            Sent { applied, stopped: true, ..Sent::default() }
        }
    }
}

fn finish(global: &Global, args: &Apply, prepared: &Pass<'_>, decided: &Decided, sent: &mut Sent) -> Ended {
    let report = prepared.report(decided, std::mem::take(&mut sent.applied.outcomes));
    if global.json {
        output::result(&args.json(&report, sent.stopped));
    } else if sent.built || !report.outcomes.is_empty() {
        output::result(&text::applied(&report, output::look(global, args.full)));
    }
    let exit = match exit_of(&report, args, prepared.request.stop.is_cancelled()) {
        // Everything is in, but not on record.
        Exit::Done | Exit::Pending if sent.stopped => Exit::Partly,
        exit => exit,
    };
    let exit = match also::write(&args.also, &pass::directory(prepared.request), &report) {
        Err(failed) if exit == Exit::Done => failed,
        Ok(()) | Err(_) => exit,
    };
    Ended { report: Some(report), ..exit.into() }
}

impl Apply {
    /// What the pass is a part of.
    fn command(&self) -> &'static str {
        match (&self.telling, self.destroy) {
            (Telling::News(_), _) => "watch",
            (Telling::Whole, true) => "destroy",
            (Telling::Whole, false) => "apply",
        }
    }

    /// Whether passes follow one another.
    fn is_one_of_many(&self) -> bool {
        matches!(self.telling, Telling::News(_))
    }

    /// Whether a plan is worth telling.
    fn tells_of(&self, report: &Report) -> bool {
        match self.telling {
            Telling::Whole => true,
            Telling::News(_) => !report.plan.changes.is_empty(),
        }
    }

    /// Shows diagnostics; whether any of them was news.
    fn show(&self, global: &Global, all: &[Diagnostic], texts: &Texts) -> bool {
        if let Telling::News(known) = &self.telling {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if *known == all {
                return false;
            }
            known.clear();
            known.extend_from_slice(all);
        }
        pass::show(global, all, texts);
        true
    }

    /// The report, and what stopped the pass before its end. One of many takes a line.
    fn json(&self, report: &Report, stopped: bool) -> String {
        let mut json = report.to_json();
        if let Some(failure) = last_words::failure().filter(|_| stopped || self.is_one_of_many()) {
            json["error"] = serde_json::json!(failure);
        }
        match self.telling {
            Telling::Whole => format!("{json:#}"),
            Telling::News(_) => json.to_string(),
        }
    }
}

fn exit_of(report: &Report, args: &Apply, interrupted: bool) -> Exit {
    let (done, failed, skipped) = report.tally();
    let open = report.outcomes.values().any(|outcome| !matches!(outcome, Outcome::Done));
    match (done, failed + skipped) {
        (_, 0) if args.fail_on_held && report.plan.held.len() + report.held_late() > 0 => Exit::Pending,
        (_, 0) => Exit::Done,
        _ if interrupted && open && (failed == 0 || super::exit::stopped() == Exit::Interrupted) => Exit::Interrupted,
        (0, _) => Exit::Failed,
        _ => Exit::Partly,
    }
}
