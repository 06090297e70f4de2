//! What a forge does to us, each with the next step.

use super::Which;

/// Why nothing can be said at a forge from here: it is not where one could.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// No job of a forge.
    #[error("this is no job of GitHub Actions or GitLab CI, so there is no pull request to speak of")]
    Nowhere,
    /// A variable that the forge sets is missing or malformed.
    #[error("`{variable}` is {problem}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Nothing to speak with.
    #[error("there is no token to speak to {which} with")]
    NoToken {
        /// The forge.
        which: Which,
    },
    /// The job is about no request.
    #[error("this job is about no {}", which.request())]
    NoRequest {
        /// The forge.
        which: Which,
    },
}

impl Misplaced {
    /// The next step.
    pub fn help(&self) -> &'static str {
        match self {
            Misplaced::Nowhere => {
                "run it in a job of a pull request: GITHUB_REPOSITORY with GITHUB_EVENT_PATH or GITHUB_REF, or \
                 CI_PROJECT_ID with CI_MERGE_REQUEST_IID, say which one"
            }
            Misplaced::Variable { .. } => "the forge sets it; leave it as it is",
            Misplaced::NoToken { which: Which::GitHub } => {
                "set GITHUB_TOKEN to `${{ github.token }}`; the job needs `permissions: pull-requests: write`"
            }
            Misplaced::NoToken { which: Which::GitLab } => {
                "set GITLAB_TOKEN to a project access token with the scope `api`"
            }
            Misplaced::NoRequest { which: Which::GitHub } => {
                "run it `on: pull_request`, or name the pull request: GITHUB_REF=refs/pull/NUMBER/merge"
            }
            Misplaced::NoRequest { which: Which::GitLab } => {
                "run it in a merge request pipeline: `rules: [{if: $CI_PIPELINE_SOURCE == \"merge_request_event\"}]`"
            }
        }
    }
}

/// Why a forge was not told, or did not tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// No client can be made.
    #[error("no connection can be made: {problem}")]
    Setup {
        /// What is wrong.
        problem: String,
    },
    /// No answer.
    #[error("{which} at {host} cannot be reached: {problem}")]
    Unreachable {
        /// The forge.
        which: Which,
        /// Its host.
        host: String,
        /// The reason.
        problem: String,
        /// Whether what was sent may have been read.
        open: bool,
    },
    /// An answer that says no.
    #[error("{which} answers {what} with HTTP {status}: {reason}")]
    Refused {
        /// The forge.
        which: Which,
        /// Method and path.
        what: String,
        /// The status.
        status: u16,
        /// What it says, as one line.
        reason: String,
    },
    /// An answer that is not what the forge documents.
    #[error("the answer to {what} is not what was expected")]
    Strange {
        /// Method and path.
        what: String,
    },
}

impl ForgeError {
    /// Whether something may have been made all the same.
    pub(super) fn is_open(&self) -> bool {
        match self {
            ForgeError::Unreachable { open, .. } => *open,
            ForgeError::Refused { status, .. } => *status >= 500,
            ForgeError::Setup { .. } | ForgeError::Strange { .. } => false,
        }
    }

    /// The next step.
    pub fn help(&self) -> String {
        let (which, status) = match self {
            ForgeError::Refused { which, status, .. } => (*which, *status),
            ForgeError::Setup { .. } => return "install the system's CA certificates".to_owned(),
            ForgeError::Unreachable { .. } => {
                return "try again; the address is that of the forge's own variable".to_owned();
            }
            ForgeError::Strange { .. } => return "check that the address is that of the forge's REST API".to_owned(),
        };
        match (status, which) {
            (401, Which::GitHub) => "the token is not valid: pass `${{ github.token }}` as GITHUB_TOKEN".to_owned(),
            (403, Which::GitHub) => "give the job `permissions: pull-requests: write`; pull requests from forks and \
                                     from Dependabot get a token that may only read"
                .to_owned(),
            (401 | 403, Which::GitLab) => "set GITLAB_TOKEN to a project access token with the scope `api` and the \
                                           role Reporter or higher; CI_JOB_TOKEN may not write notes"
                .to_owned(),
            (404, Which::GitHub) => "there is no such pull request, or the token may not see the repository: give the \
                                     job `permissions: contents: read, pull-requests: write`"
                .to_owned(),
            (404, Which::GitLab) => "there is no such merge request, or the token may not see the project: \
                                     GITLAB_TOKEN needs the scope `api`"
                .to_owned(),
            (301 | 302 | 307 | 308, _) => "the repository has moved: run the job again under its new name".to_owned(),
            (429, _) => "the forge asks for patience: run the job again later".to_owned(),
            (400 | 422, _) => "this is a mistake of ours, please report it".to_owned(),
            _ => "try again later".to_owned(),
        }
    }
}
