//! `reconcile status`: how the scope stands. Writes nothing and runs no code of the repository.

use tokio_util::sync::CancellationToken;

use super::args::{Global, StatusArgs};
use super::exit::Exit;
use super::progress::Progress;
use super::{output, pass};
use crate::reconcile::{Pass, status};

/// Runs the command. A ledger that cannot be trusted is told and fails; drift and pending changes do not.
pub async fn run(global: &Global, args: StatusArgs, stop: CancellationToken) -> Exit {
    let (request, api) = match pass::of_scope(global, args.path, stop).await {
        Ok(both) => both,
        Err(exit) => return exit,
    };
    let reading = Progress::reading(global);
    reading.count(Some(&api));
    let found = async { status::status(&Pass::look(&request, &api).await?).await };
    let status = match found.await {
        Ok(status) => status,
        Err(error) => return pass::failed(&error),
    };
    drop(reading);
    output::result(&match global.json {
        true => format!("{:#}", status.to_json()),
        false => status.text(output::look(global, false)),
    });
    match status.trouble {
        Some(trouble) => {
            match &trouble.code {
                Some(code) => output::complain_with(code, &trouble.message),
                None => output::complain(&trouble.message),
            }
            trouble.help.iter().for_each(|help| output::help(help));
            Exit::Failed
        }
        None => Exit::Done,
    }
}
