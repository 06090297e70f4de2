//! `reconcile plan`: shows what would change. Writes nothing and runs no code of the repository.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::args::{Format, Global, PlanArgs};
use super::connect::{Absent, connect};
use super::exit::{Exit, failed as fail};
use super::progress::Progress;
use super::remote::Unsigned;
use super::{also, comment, output, pass, remote, saved, traced};
use crate::reconcile::apply::Outcomes;
use crate::reconcile::builds;
use crate::reconcile::read::declared_api;
use crate::reconcile::traced::part;
use crate::reconcile::{Pass, Python};
use crate::report::{Report, github, markdown, sarif, text};

/// Runs the command.
pub async fn run(global: &Global, args: PlanArgs, stop: CancellationToken) -> Exit {
    let commenting = match comment::ready(args.comment) {
        Ok(commenting) => commenting,
        Err(exit) => return exit,
    };
    let span = traced::pass("plan", global);
    let (planned, exit) = match planned(global, &args, stop).instrument(span.clone()).await {
        Ok(planned) => {
            let exit = finish(global, &args, &planned);
            (planned, exit)
        }
        Err(exit) => {
            traced::ended(&span, exit, None, None);
            return exit;
        }
    };
    traced::ended(&span, exit, Some(&planned.report), None);
    drop(span);
    match commenting {
        Some(commenting) => commenting.post(&planned.report, exit).await,
        None => exit,
    }
}

/// A plan, told.
struct Planned {
    report: Report,
    invalid: bool,
    /// Where its files are.
    dir: PathBuf,
}

async fn planned(global: &Global, args: &PlanArgs, stop: CancellationToken) -> Result<Planned, Exit> {
    if args.untrusted || args.base.is_some() {
        return offline(global, args, stop);
    }
    let mut request =
        pass::request(global, &args.selecting, stop).map_err(|sentence| super::exit::wrong_usage(&sentence))?;
    let reading = Progress::reading(global);
    let _files = remote::fetch(&args.selecting, &mut request, Unsigned::Fails).instrument(part("fetch")).await?;
    request.caution = pass::caution(&args.drift);
    request.owning.destroy = args.destroy;
    let absent = if args.destroy { Absent::Demand } else { Absent::DoWithout };
    let connected = connect(global, &pass::directory(&request), declared_api(&request), absent).await?;
    pass::settle(&mut request, &connected);
    reading.count(connected.api.as_ref());
    let prepared =
        Pass::prepare(&request, connected.api.as_ref(), Python::AtApply).await.map_err(|error| pass::failed(&error))?;
    prepared.may_destroy().map_err(|error| pass::failed(&error))?;
    let mut decided = prepared.decide(&builds::remembered(&prepared)).await.map_err(|error| pass::failed(&error))?;
    prepared.foresee(&mut decided).await;
    drop(reading);
    let mut report = prepared.report(&decided, Outcomes::new());
    report.diagnostics.extend(connected.diagnostics.iter().cloned());
    pass::show(global, &report.diagnostics, &prepared.reading.texts);
    Ok(Planned { report, invalid: decided.is_invalid(), dir: pass::directory(&request) })
}

/// Compares files with files. Runs before any setting or variable of the environment is looked at.
fn offline(global: &Global, args: &PlanArgs, stop: CancellationToken) -> Result<Planned, Exit> {
    if let Some(sentence) = contradiction(global, args) {
        return Err(super::exit::wrong_usage(&sentence));
    }
    let mut request =
        pass::request(global, &args.selecting, stop).map_err(|sentence| super::exit::wrong_usage(&sentence))?;
    if args.base.is_some() && !request.selection.overlay.is_empty() {
        let sentence = "`--base` compares files: leave out the flags that describe a deployment, and the entrypoint";
        return Err(super::exit::wrong_usage(sentence));
    }
    let _reading = Progress::reading(global);
    request.environment.clear();
    request.guarded = true;
    request.default_pool = Some("(default)".to_owned());
    let compared =
        crate::reconcile::offline::compare(&request, args.base.as_deref()).map_err(|error| pass::failed(&error))?;
    pass::show(global, &compared.report.diagnostics, &compared.texts);
    let invalid = compared.is_invalid();
    Ok(Planned { report: compared.report, invalid, dir: pass::directory(&request) })
}

/// Flags that mean nothing where no API is asked and nothing is laid over the files.
fn contradiction(global: &Global, args: &PlanArgs) -> Option<String> {
    let flag = if args.base.is_some() { "--base" } else { "--untrusted" };
    let given = [
        ("--api-url", global.api_url.is_some()),
        ("--api-key-file", global.api_key_file.is_some()),
        ("--profile", global.profile.is_some()),
        ("--local", global.local),
        ("--resolve-secrets", args.selecting.resolve_secrets),
        ("--git", args.selecting.git.url.is_some()),
    ];
    if let Some((other, _)) = given.iter().find(|(_, given)| *given) {
        return Some(format!("`{flag}` asks no API: leave out `{other}`"));
    }
    if args.selecting.rev.is_some() {
        return Some(format!("`{flag}` and `--rev` cannot be given together"));
    }
    let narrowed = args.selecting.changed_since.is_some();
    narrowed.then(|| format!("`{flag}` and `--changed-since` cannot be given together"))
}

fn finish(global: &Global, args: &PlanArgs, planned: &Planned) -> Exit {
    let Planned { report, invalid, dir } = planned;
    if let Some(file) = &args.out
        && let Err(error) = saved::write(file, report, global, &args.selecting)
    {
        return fail(&format!("{} cannot be written: {error}", file.display()));
    }
    output::result(&shown(global, args, report, *invalid, dir));
    if let Err(exit) = also::write(&args.also, dir, report) {
        return exit;
    }
    match invalid {
        true => Exit::Invalid,
        false if args.detailed_exitcode && !report.plan.is_empty() => Exit::Pending,
        false => Exit::Done,
    }
}

fn shown(global: &Global, args: &PlanArgs, report: &Report, invalid: bool, dir: &Path) -> String {
    let format = args.format.unwrap_or(if global.json { Format::Json } else { Format::Text });
    match format {
        Format::Json => format!("{:#}", report.to_json()),
        Format::Markdown => markdown::plan(report),
        Format::Github => github::annotations_below(report, &also::below(dir)),
        Format::Sarif => format!("{:#}", sarif::sarif_below(&report.diagnostics, &also::below(dir))),
        Format::Text if invalid => pass::refusal(&report.diagnostics),
        Format::Text => text::plan(report, output::look(global, args.full)),
    }
}
