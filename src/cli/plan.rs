//! `reconcile plan`: shows what would change. Writes nothing and runs no code of the repository.

use tokio_util::sync::CancellationToken;

use super::args::{Format, Global, PlanArgs};
use super::connect::{Absent, connect};
use super::exit::{Exit, failed as fail};
use super::{output, pass, remote, saved};
use crate::reconcile::apply::Outcomes;
use crate::reconcile::builds;
use crate::reconcile::read::declared_api;
use crate::reconcile::{Pass, Python};
use crate::report::{Report, github, markdown, sarif, text};

/// Runs the command.
pub async fn run(global: &Global, args: PlanArgs, stop: CancellationToken) -> Exit {
    if args.untrusted || args.base.is_some() {
        return offline(global, &args, stop);
    }
    let mut request = match pass::request(global, &args.selecting, stop) {
        Ok(request) => request,
        Err(sentence) => return super::exit::wrong_usage(&sentence),
    };
    let _files = match remote::fetch(&args.selecting, &mut request).await {
        Ok(files) => files,
        Err(exit) => return exit,
    };
    request.caution = pass::caution(&args.drift);
    request.owning.destroy = args.destroy;
    let absent = if args.destroy { Absent::Demand } else { Absent::DoWithout };
    let connected = match connect(global, &pass::directory(&request), declared_api(&request), absent).await {
        Ok(connected) => connected,
        Err(exit) => return exit,
    };
    pass::settle(&mut request, &connected);
    let prepared = match Pass::prepare(&request, connected.api.as_ref(), Python::AtApply).await {
        Ok(prepared) => prepared,
        Err(error) => return pass::failed(&error),
    };
    if let Err(error) = prepared.may_destroy() {
        return pass::failed(&error);
    }
    let mut decided = match prepared.decide(&builds::remembered(&prepared)).await {
        Ok(decided) => decided,
        Err(error) => return pass::failed(&error),
    };
    prepared.foresee(&mut decided).await;
    let mut report = prepared.report(&decided, Outcomes::new());
    report.diagnostics.extend(connected.diagnostics.iter().cloned());
    pass::show(global, &report.diagnostics, &prepared.reading.texts);
    finish(global, &args, &report, decided.is_invalid())
}

/// Compares files with files. Runs before any setting or variable of the environment is looked at.
fn offline(global: &Global, args: &PlanArgs, stop: CancellationToken) -> Exit {
    if let Some(sentence) = contradiction(global, args) {
        return super::exit::wrong_usage(&sentence);
    }
    let mut request = match pass::request(global, &args.selecting, stop) {
        Ok(request) => request,
        Err(sentence) => return super::exit::wrong_usage(&sentence),
    };
    if args.base.is_some() && !request.selection.overlay.is_empty() {
        let sentence = "`--base` compares files: leave out the flags that describe a deployment, and the entrypoint";
        return super::exit::wrong_usage(sentence);
    }
    request.environment.clear();
    request.guarded = true;
    request.default_pool = Some("(default)".to_owned());
    match crate::reconcile::offline::compare(&request, args.base.as_deref()) {
        Ok(compared) => {
            pass::show(global, &compared.report.diagnostics, &compared.texts);
            finish(global, args, &compared.report, compared.is_invalid())
        }
        Err(error) => pass::failed(&error),
    }
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

fn finish(global: &Global, args: &PlanArgs, report: &Report, invalid: bool) -> Exit {
    if let Some(file) = &args.out
        && let Err(error) = saved::write(file, report, global, &args.selecting)
    {
        return fail(&format!("{} cannot be written: {error}", file.display()));
    }
    output::result(&shown(global, args, report, invalid));
    match invalid {
        true => Exit::Invalid,
        false if args.detailed_exitcode && !report.plan.is_empty() => Exit::Pending,
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
