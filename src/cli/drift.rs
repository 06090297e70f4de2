//! `reconcile drift`: the live state against what was last applied. Writes nothing and runs no code of the repository.

use tokio_util::sync::CancellationToken;

use super::args::{DriftCheckArgs, DriftFormat, Global};
use super::exit::Exit;
use super::progress::Progress;
use super::{also, comment, output, pass};
use crate::reconcile::{Pass, drift};

/// Runs the command.
pub async fn run(global: &Global, args: DriftCheckArgs, stop: CancellationToken) -> Exit {
    let commenting = match comment::ready(args.comment) {
        Ok(commenting) => commenting,
        Err(exit) => return exit,
    };
    let (request, api) = match pass::of_scope(global, args.path, stop).await {
        Ok(both) => both,
        Err(exit) => return exit,
    };
    let dir = pass::directory(&request);
    let reading = Progress::reading(global);
    reading.count(Some(&api));
    let found = async { drift::drift(&Pass::look(&request, &api).await?).await };
    let found = match found.await {
        Ok(found) => found,
        Err(error) => return pass::failed(&error),
    };
    drop(reading);
    let format = args.format.unwrap_or(if global.json { DriftFormat::Json } else { DriftFormat::Text });
    output::result(&match format {
        DriftFormat::Json => format!("{:#}", found.to_json()),
        DriftFormat::Markdown => found.markdown(),
        DriftFormat::Text => found.text(output::look(global, args.full)),
    });
    let exit = match also::write_drift(&args.also, &dir, &found) {
        Err(exit) => exit,
        Ok(()) if found.drifted() => Exit::Pending,
        Ok(()) => Exit::Done,
    };
    match commenting {
        Some(commenting) => commenting.post_drift(&found, exit).await,
        None => exit,
    }
}
