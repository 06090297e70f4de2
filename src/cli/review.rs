//! `apply --reviewed`: only the plan is applied that the comment on the merged pull request shows.

use super::args::Global;
use super::comment::{self, broken, told};
use super::connect::Connected;
use super::exit::{Exit, wrong_usage};
use super::{last_words, output, saved};
use crate::forge::{Forge, digest_in};
use crate::model::plan::Plan;
use crate::reconcile::Request;
use crate::report::Report;

/// Where reviews are found.
pub struct Review {
    forge: Forge,
}

/// What was found of a review.
enum Found {
    /// The plan that was shown there has this digest.
    Plan { request: u64, digest: String },
    /// The note is about files that were invalid.
    Invalid { request: u64 },
}

impl Review {
    /// Looks whether there can be a review, before any work is done for it.
    ///
    /// # Errors
    /// The exit of the command, after saying why.
    pub fn ready() -> Result<Review, Exit> {
        let place = comment::place().map_err(|misplaced| told(&misplaced))?;
        Forge::new(place).map(|forge| Review { forge }).map_err(|error| broken(&error))
    }

    /// Plans as `plan` did, and gives that plan if it is the one that was shown. One that changes nothing needs none.
    ///
    /// # Errors
    /// The exit code, after saying what differs.
    pub async fn check(&self, global: &Global, request: &Request, connected: &Connected) -> Result<Plan, Exit> {
        let (report, plan) = saved::planned_again(global, request, connected).await?;
        if plan.is_empty() {
            return Ok(plan);
        }
        let found = self.found(&report).await?;
        let same = |found: &Found| matches!(found, Found::Plan { digest, .. } if *digest == report.digest);
        match found.iter().find(|one| same(one)).or(found.first()) {
            Some(one) if same(one) => Ok(plan),
            Some(Found::Plan { request, digest }) => Err(self.differs(global, *request, digest, &report)),
            Some(Found::Invalid { request }) => {
                Err(self.refused(&format!("what was reviewed in {} was invalid", self.name(*request))))
            }
            None => Err(self.refused("no plan of these files was reviewed")),
        }
    }

    /// What was shown on the requests that brought these files, newest first; on that of this job, if it has one.
    async fn found(&self, report: &Report) -> Result<Vec<Found>, Exit> {
        let place = self.forge.place();
        let requests = match place.request() {
            Ok(request) => vec![request],
            Err(_) => {
                let Some(commit) = report.source.commit.as_deref().or(place.commit.as_deref()) else {
                    return Err(wrong_usage(
                        "`--reviewed` asks which pull request brought a commit, and there is none",
                    ));
                };
                self.forge.requests_of(commit).await.map_err(|error| broken(&error))?
            }
        };
        let mut found = Vec::new();
        for request in requests {
            let note = self.forge.find(request, &comment::marker(report)).await.map_err(|error| broken(&error))?;
            found.extend(note.map(|body| match digest_in(&body) {
                Some(digest) => Found::Plan { request, digest: digest.to_owned() },
                None => Found::Invalid { request },
            }));
        }
        Ok(found)
    }

    fn name(&self, request: u64) -> String {
        format!("{} {request}", self.forge.place().which.request())
    }

    fn refused(&self, why: &str) -> Exit {
        output::complain(&format!("{why}, so nothing is applied"));
        output::help(
            "plan with `--comment` on the pull request, for the same API and environment and with the same flags",
        );
        Exit::Stale
    }

    /// Names both plans.
    fn differs(&self, global: &Global, request: u64, digest: &str, now: &Report) -> Exit {
        let name = self.name(request);
        output::complain(&format!("the plan that was reviewed in {name} is not what would be applied now"));
        output::say(&format!("  reviewed: {digest}"));
        output::say(&format!("  now:      {}", now.digest));
        output::help("nothing was written; plan again, review what it shows, and apply that");
        if global.json {
            let mut json = last_words::json();
            json["stale"] = serde_json::json!(true);
            json["planned"] = serde_json::json!({ "digest": digest, "request": request });
            json["now"] = serde_json::json!({ "digest": now.digest, "commit": now.source.commit });
            output::result(&format!("{json:#}"));
        }
        Exit::Stale
    }
}
