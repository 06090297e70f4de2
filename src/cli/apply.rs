//! `reconcile apply`, and `reconcile` without a command: shows the plan, asks, applies, reports.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::args::{ApplyArgs, Bare, Global, Selecting};
use super::connect::{Absent, connect};
use super::exit::Exit;
use super::saved::{self, Saved};
use super::{output, pass};
use crate::reconcile::apply::{Outcomes, apply as carry_out};
use crate::reconcile::read::declared_api;
use crate::reconcile::builds::{self, Builds};
use crate::reconcile::{Decided, Pass, Python};
use crate::model::plan::Plan;
use crate::report::{Outcome, Report, text};

/// What to apply, and how.
pub struct Apply {
    selecting: Selecting,
    yes: bool,
    fail_on_held: bool,
    full: bool,
    plan: Option<PathBuf>,
}

impl Apply {
    /// A pass without a command.
    pub fn from_bare(bare: Bare) -> Self {
        let path = bare.path.map(|path| path.display().to_string());
        let selecting = Selecting { path, ..Selecting::default() };
        Apply { selecting, yes: bare.yes, fail_on_held: false, full: false, plan: None }
    }
}

impl From<ApplyArgs> for Apply {
    fn from(args: ApplyArgs) -> Self {
        let ApplyArgs { selecting, plan, yes, fail_on_held, full } = args;
        Apply { selecting, yes, fail_on_held, full, plan }
    }
}

/// Runs the command.
pub async fn run(global: &Global, mut args: Apply, stop: CancellationToken) -> Exit {
    let saved = match saved::taken(args.plan.as_deref(), global, &mut args.selecting) {
        Ok(saved) => saved,
        Err(exit) => return exit,
    };
    let global = saved.as_ref().map_or(global, Saved::global);
    if !args.yes && !is_asked() {
        let sentence = "there is nobody to ask: give `--yes` to apply without asking, or use `reconcile plan`";
        return super::exit::wrong_usage(sentence);
    }
    let mut request = match pass::request(global, &args.selecting, stop.clone()) {
        Ok(request) => request,
        Err(sentence) => return super::exit::wrong_usage(&sentence),
    };
    let connected = match connect(global, &pass::directory(&request), declared_api(&request), Absent::StartLocal).await {
        Ok(connected) => connected,
        Err(exit) => return exit,
    };
    pass::settle(&mut request, &connected);
    let promised = match &saved {
        Some(saved) => match saved.check(&request, &connected).await {
            Ok(plan) => Some(plan),
            Err(exit) => return exit,
        },
        None => None,
    };
    let prepared = match Pass::prepare(&request, connected.api.as_ref(), Python::Ask).await {
        Ok(mut prepared) => {
            prepared.diagnostics.extend(connected.diagnostics);
            prepared
        }
        Err(error) => return pass::failed(&error),
    };
    match decide_and_apply(global, &args, &prepared, promised.as_ref(), &stop).await {
        Ok(exit) | Err(exit) => exit,
    }
}

async fn decide_and_apply(
    global: &Global,
    args: &Apply,
    prepared: &Pass<'_>,
    promised: Option<&Plan>,
    stop: &CancellationToken,
) -> Result<Exit, Exit> {
    let mut builds = builds::remembered(prepared);
    let mut decided = decide(prepared, &builds).await?;
    prepared.foresee(&mut decided).await;
    pass::show(global, &decided.diagnostics, &prepared.reading.texts);
    let report = prepared.report(&decided, Vec::new());
    if decided.is_invalid() {
        output::result(&if global.json { json(&report) } else { pass::refusal(&report.diagnostics) });
        return Ok(Exit::Invalid);
    }
    if !global.json && !global.quiet {
        output::result(&text::plan(&report, output::look(global, args.full)));
    }
    saved::kept(promised, &decided)?;
    let open = builds::are_open(prepared, &builds);
    if decided.planned.plan.is_empty() && !open {
        return Ok(finish(global, args, prepared, &decided, Vec::new()));
    }
    confirm(args)?;
    if open {
        builds = builds::run(prepared, builds).await.map_err(|error| pass::failed(&error))?;
        decided = decide(prepared, &builds).await?;
        if decided.is_invalid() {
            pass::show(global, &decided.diagnostics, &prepared.reading.texts);
            output::result(&pass::refusal(&decided.diagnostics));
            return Ok(Exit::Invalid);
        }
        saved::kept(promised, &decided)?;
    }
    if stop.is_cancelled() {
        output::complain("interrupted before anything was written");
        return Ok(Exit::Interrupted);
    }
    let outcomes = send(global, prepared, &decided, &builds).await?;
    Ok(finish(global, args, prepared, &decided, outcomes))
}

async fn decide(prepared: &Pass<'_>, builds: &Builds) -> Result<Decided, Exit> {
    prepared.decide(builds).await.map_err(|error| pass::failed(&error))
}

/// Whether somebody sits at a terminal.
fn is_asked() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks unless `--yes` was given.
fn confirm(args: &Apply) -> Result<(), Exit> {
    if args.yes {
        return Ok(());
    }
    let mut err = std::io::stderr();
    let _ = write!(err, "Apply this plan? [y/N] ");
    let _ = err.flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    output::say("nothing was applied");
    Err(Exit::Done)
}

async fn send(global: &Global, prepared: &Pass<'_>, decided: &Decided, builds: &Builds) -> Result<Outcomes, Exit> {
    let bar = progress(global, decided.planned.plan.changes.len());
    let applied = carry_out(prepared, decided, builds, &|done, _| bar.set_position(done as u64)).await;
    bar.finish_and_clear();
    Ok(match applied {
        Ok(outcomes) => outcomes,
        Err((trouble, outcomes)) => {
            output::complain_with(trouble.code(), &trouble.to_string());
            output::say(&format!("  help: {}", trouble.help()));
            outcomes
        }
    })
}

/// A bar on a terminal, nothing elsewhere.
fn progress(global: &Global, length: usize) -> ProgressBar {
    let target = if global.quiet || !std::io::stderr().is_terminal() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} applied, {elapsed}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length as u64), target).with_style(style)
}

fn finish(global: &Global, args: &Apply, prepared: &Pass<'_>, decided: &Decided, outcomes: Outcomes) -> Exit {
    let report = prepared.report(decided, outcomes);
    if global.json {
        output::result(&json(&report));
    } else if !report.outcomes.is_empty() {
        output::result(&text::applied(&report, output::look(global, args.full)));
    }
    exit_of(&report, args, prepared.request.stop.is_cancelled())
}

fn json(report: &Report) -> String {
    format!("{:#}", report.to_json())
}

fn exit_of(report: &Report, args: &Apply, interrupted: bool) -> Exit {
    let (done, failed, skipped) = report.tally();
    let open = report.outcomes.iter().any(|(_, outcome)| !matches!(outcome, Outcome::Done));
    match (done, failed + skipped) {
        (_, 0) if args.fail_on_held && !report.plan.held.is_empty() => Exit::Pending,
        (_, 0) => Exit::Done,
        _ if interrupted && open => Exit::Interrupted,
        (0, _) => Exit::Failed,
        _ => Exit::Partly,
    }
}
