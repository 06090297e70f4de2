//! `--commit-status`: how a commit stands, said at its forge, one status after the other.

use std::sync::Arc;

use super::comment;
use super::exit::Exit;
use super::saying::Saying;
use crate::forge::{Forge, Status};
use crate::reconcile::serve::Verdict;

/// What is to be said of a commit.
#[derive(Clone, Debug)]
pub struct Said {
    /// How it stands: it is said once for each verdict on each commit.
    pub verdict: Verdict,
    /// The commit.
    pub commit: String,
    /// The same for the forge.
    pub status: Status,
}

impl Said {
    fn is_as(&self, other: &Said) -> bool {
        (self.verdict, &self.commit) == (other.verdict, &other.commit)
    }
}

/// Says how commits stand, at the forge that the environment names. What it does not take is said again with the next
/// pass.
///
/// # Errors
/// The exit of the command: there is no forge, or nothing to speak with.
pub fn saying() -> Result<Saying<Said>, Exit> {
    let place = comment::place().map_err(|misplaced| comment::told(&misplaced))?;
    let forge = Forge::new(place).map(Arc::new).map_err(|error| comment::broken(&error))?;
    let say = move |said: Said| {
        let forge = Arc::clone(&forge);
        async move {
            let set = forge.set_status(&said.commit, &said.status).await;
            set.inspect_err(|error| tracing::warn!("the status of {} was not set: {error}", said.commit)).is_ok()
        }
    };
    Ok(Saying::new(Said::is_as, say))
}
