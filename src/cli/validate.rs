//! `reconcile validate`: checks the files. No API, no network, no code of the repository.

use tokio_util::sync::CancellationToken;

use super::args::{Format, Global, Selecting, ValidateArgs};
use super::exit::Exit;
use super::progress::Progress;
use super::{output, pass};
use crate::diagnostic::{Severity, has_errors};
use crate::reconcile::builds::Builds;
use crate::reconcile::{Pass, Python};
use crate::report::{count, diagnostics_json, github, sarif};

/// Runs the command.
pub async fn run(global: &Global, args: ValidateArgs, stop: CancellationToken) -> Exit {
    let selecting =
        Selecting { path: args.path.clone(), prefect_file: args.prefect_file.clone(), ..Selecting::default() };
    let mut request = match pass::request(global, &selecting, stop) {
        Ok(request) => request,
        Err(sentence) => return super::exit::wrong_usage(&sentence),
    };
    // Without settings it is not known whether there is a default pool, so a missing one is no problem of the files.
    request.default_pool = Some("(default)".to_owned());
    request.files_only = true;
    let reading = Progress::reading(global);
    let prepared = match Pass::prepare(&request, None, Python::AtApply).await {
        Ok(prepared) => prepared,
        Err(error) => return pass::failed(&error),
    };
    let (_, all) = prepared.desire(&Builds::pending());
    drop(reading);
    let all = &all;
    let (files, objects) = (prepared.reading.file_count, prepared.reading.items.len());
    let below = super::also::below(&pass::directory(&request));
    let format = args.format.unwrap_or(if global.json { Format::Json } else { Format::Text });
    match format {
        Format::Json => output::result(&format!(
            "{:#}",
            serde_json::json!({ "valid": !has_errors(all), "files": files,
                "deployments": prepared.reading.selecting.selected.len(), "objects": objects, "diagnostics": diagnostics_json(all) })
        )),
        Format::Github => {
            output::result(&all.iter().map(|d| github::diagnostic_below(d, &below) + "\n").collect::<String>())
        }
        Format::Sarif => output::result(&format!("{:#}", sarif::sarif_below(all, &below))),
        Format::Text | Format::Markdown => {
            pass::show(global, all, &prepared.reading.texts);
            let deployments = prepared.reading.selecting.selected.len();
            output::result(&summary(all.iter().map(|d| d.severity), files, deployments, objects));
        }
    }
    if has_errors(all) { Exit::Invalid } else { Exit::Done }
}

fn summary(severities: impl Iterator<Item = Severity>, files: usize, deployments: usize, objects: usize) -> String {
    let (mut errors, mut warnings) = (0, 0);
    for severity in severities {
        match severity {
            Severity::Error => errors += 1,
            Severity::Warning => warnings += 1,
            Severity::Note => {}
        }
    }
    let others = match objects {
        0 => String::new(),
        n => format!(" and {}", count(n, "other object", "other objects")),
    };
    let deployments = count(deployments, "deployment", "deployments");
    let what = format!("{deployments}{others} in {}", count(files, "file", "files"));
    match (errors, warnings) {
        (0, 0) => format!("Valid: {what}."),
        (0, n) => format!("Valid: {what}, {}.", count(n, "warning", "warnings")),
        (n, 0) => format!("Invalid: {}.", count(n, "error", "errors")),
        (n, m) => format!("Invalid: {}, {}.", count(n, "error", "errors"), count(m, "warning", "warnings")),
    }
}
