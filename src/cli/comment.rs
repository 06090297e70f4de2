//! `plan --comment`: the plan as one note on the pull request, which is updated in place.

use super::args::CommentMode;
use super::exit::{Exit, failed, wrong_usage};
use super::output;
use crate::forge::{Forge, ForgeError, Marker, Misplaced, Place};
use crate::report::{Report, markdown};

/// What stands for the digest of a plan that cannot be carried out: nobody can have approved of it.
const NO_PLAN: &str = "none";

/// Where to comment.
pub struct Commenting {
    forge: Forge,
    request: u64,
    mode: CommentMode,
}

/// The forge that this job belongs to, by the environment.
///
/// # Errors
/// There is none.
pub fn place() -> Result<Place, Misplaced> {
    // Checked by the room; nobody else reads the event.
    Place::of(|name| std::env::var(name).ok(), |path| std::fs::read_to_string(path).ok())
}

/// Looks whether a comment can be made, before any work is done for it.
///
/// # Errors
/// The exit of the command, after saying why.
pub fn ready(mode: Option<CommentMode>) -> Result<Option<Commenting>, Exit> {
    let Some(mode) = mode else { return Ok(None) };
    let found = place().and_then(|place| Ok((place.request()?, place)));
    let made = match found {
        Ok((request, place)) => Forge::new(place).map(|forge| Commenting { forge, request, mode }),
        Err(misplaced) if mode == CommentMode::Try => {
            output::say(&format!("no comment is made: {misplaced}"));
            return Ok(None);
        }
        Err(misplaced) => return Err(told(&misplaced)),
    };
    made.map(Some).map_err(|error| broken(&error))
}

/// Says why there is no forge to speak to.
pub fn told(misplaced: &Misplaced) -> Exit {
    let exit = wrong_usage(&misplaced.to_string());
    output::help(misplaced.help());
    exit
}

/// Says what the forge did.
pub fn broken(error: &ForgeError) -> Exit {
    let exit = failed(&error.to_string());
    output::help(&error.help());
    exit
}

/// By what the note about a plan is found.
pub fn marker(report: &Report) -> Marker {
    Marker::new("plan", &report.scope, report.api.as_ref().map(|api| api.url.as_str()))
}

impl Commenting {
    /// Comments. Gives `exit` back, or what a failure makes of it.
    pub async fn post(&self, report: &Report, exit: Exit) -> Exit {
        let marker = marker(report);
        let digest = if exit == Exit::Invalid { NO_PLAN } else { &report.digest };
        let body = self.body(report, &marker.line(digest));
        match self.forge.stick(self.request, &marker, &body).await {
            Ok(address) => {
                output::say(&format!("commented: {}", crate::report::text::printable(&address)));
                exit
            }
            Err(error) if self.mode == CommentMode::Try => {
                output::say(&format!("no comment is made: {error}"));
                output::say(&format!("  help: {}", error.help()));
                exit
            }
            Err(error) => broken(&error),
        }
    }

    fn body(&self, report: &Report, marker: &str) -> String {
        let page = markdown::plan(report);
        // The page's own marker knows nothing of workspaces.
        let page = page.split_once('\n').map_or("", |(_, rest)| rest);
        let (rest, link) = match &self.forge.place().run {
            Some(run) => (format!(": [the job]({run}) has all of it"), format!("\n<sub>[The job]({run})</sub>\n")),
            None => Default::default(),
        };
        markdown::fitting(&format!("{marker}\n{page}{link}"), self.forge.longest_note(), &rest)
    }
}
