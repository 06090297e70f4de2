//! `reconcile plan`: shows what would change. Writes nothing and runs no code of the repository.

use tokio_util::sync::CancellationToken;

use super::args::{Format, Global, PlanArgs};
use super::connect::{Absent, connect};
use super::exit::{Exit, failed as fail};
use super::{output, pass, saved};
use crate::reconcile::read::declared_api;
use crate::reconcile::builds;
use crate::reconcile::{Pass, Python};
use crate::report::{Report, github, markdown, sarif, text};

/// Runs the command.
pub async fn run(global: &Global, args: PlanArgs, stop: CancellationToken) -> Exit {
    let mut request = match pass::request(global, &args.selecting, stop) {
        Ok(request) => request,
        Err(sentence) => return super::exit::wrong_usage(&sentence),
    };
    let connected = match connect(global, &pass::directory(&request), declared_api(&request), Absent::DoWithout).await {
        Ok(connected) => connected,
        Err(exit) => return exit,
    };
    pass::settle(&mut request, &connected);
    let prepared = match Pass::prepare(&request, connected.api.as_ref(), Python::AtApply).await {
        Ok(prepared) => prepared,
        Err(error) => return pass::failed(&error),
    };
    let mut decided = match prepared.decide(&builds::remembered(&prepared)).await {
        Ok(decided) => decided,
        Err(error) => return pass::failed(&error),
    };
    prepared.foresee(&mut decided).await;
    let mut report = prepared.report(&decided, Vec::new());
    report.diagnostics.extend(connected.diagnostics.iter().cloned());
    pass::show(global, &report.diagnostics, &prepared.reading.texts);
    if let Some(file) = &args.out
        && let Err(error) = saved::write(file, &report, global, &args.selecting)
    {
        return fail(&format!("{} cannot be written: {error}", file.display()));
    }
    output::result(&shown(global, &args, &report, decided.is_invalid()));
    match decided.is_invalid() {
        true => Exit::Invalid,
        false if args.detailed_exitcode && !decided.planned.plan.is_empty() => Exit::Pending,
        false => Exit::Done,
    }
}

fn shown(global: &Global, args: &PlanArgs, report: &Report, invalid: bool) -> String {
    let format = args.format.unwrap_or(if global.json { Format::Json } else { Format::Text });
    match format {
        Format::Json => format!("{:#}", report.to_json()),
        Format::Markdown => markdown::plan(report),
        Format::Github => github::annotations(report),
        Format::Sarif => format!("{:#}", sarif::sarif(&report.diagnostics)),
        Format::Text if invalid => pass::refusal(&report.diagnostics),
        Format::Text => text::plan(report, output::look(global, args.full)),
    }
}
