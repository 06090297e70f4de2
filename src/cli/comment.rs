//! `plan --comment` and `drift --comment`: what was found as one note on the pull request, which is updated in place.

use super::args::CommentMode;
use super::exit::{Exit, failed, wrong_usage};
use super::output;
use crate::forge::{Forge, ForgeError, Marker, Misplaced, Place};
use crate::report::drift::DriftReport;
use crate::report::{Report, markdown};

/// What stands for the digest where there is no plan that can be carried out: nobody can have approved of it.
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
    marker_of("plan", report)
}

fn marker_of(command: &str, report: &Report) -> Marker {
    Marker::new(command, &report.scope, report.api.as_ref().map(|api| api.url.as_str()))
}

impl Commenting {
    /// Comments on a plan. Gives `exit` back, or what a failure makes of it.
    pub async fn post(&self, report: &Report, exit: Exit) -> Exit {
        let digest = if exit == Exit::Invalid { NO_PLAN } else { &report.digest };
        self.stick(&marker(report), digest, &markdown::plan(report), exit).await
    }

    /// Comments on what drifted, in a note of its own. Gives `exit` back, or what a failure makes of it.
    pub async fn post_drift(&self, found: &DriftReport, exit: Exit) -> Exit {
        self.stick(&marker_of("drift", &found.report), NO_PLAN, &found.markdown(), exit).await
    }

    async fn stick(&self, marker: &Marker, digest: &str, page: &str, exit: Exit) -> Exit {
        let body = self.body(page, &marker.line(digest));
        match self.forge.stick(self.request, marker, &body).await {
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

    fn body(&self, page: &str, marker: &str) -> String {
        // The page's own marker knows nothing of workspaces.
        let page = page.split_once('\n').map_or("", |(_, rest)| rest);
        let (rest, link) = match &self.forge.place().run {
            Some(run) => (format!(": [the job]({run}) has all of it"), format!("\n<sub>[The job]({run})</sub>\n")),
            None => Default::default(),
        };
        markdown::fitting(&format!("{marker}\n{page}{link}"), self.forge.longest_note(), &rest)
    }
}
