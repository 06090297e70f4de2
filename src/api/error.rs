//! `ApiError`: what went wrong with the API, in one sentence with the next step.

use thiserror::Error;

use crate::diagnostic::Diagnostic;

/// What went wrong. No variant holds anything that was sent, or a header.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ApiError {
    /// The connection cannot even be prepared.
    #[error("{problem}")]
    Setup {
        /// What is wrong, naming the setting.
        problem: String,
    },
    /// Nobody answers.
    #[error("cannot reach the Prefect API at {url}: {because}")]
    Unreachable {
        /// The address.
        url: String,
        /// The setting it comes from.
        from: String,
        /// Why.
        because: String,
    },
    /// The encrypted connection fails.
    #[error("no safe connection to the Prefect API at {url}: {because}")]
    Tls {
        /// The address.
        url: String,
        /// Why.
        because: String,
    },
    /// Somebody else answers.
    #[error("{url} is not a Prefect API: {saw}")]
    NotPrefect {
        /// The address.
        url: String,
        /// The setting it comes from.
        from: String,
        /// What was seen instead.
        saw: String,
    },
    /// The server does not let us.
    #[error("the Prefect API at {url} denies {what} ({status}): {sent}{detail}")]
    Denied {
        /// The address.
        url: String,
        /// The thing that was asked for.
        what: String,
        /// 401 or 403.
        status: u16,
        /// Which credentials were sent.
        sent: String,
        /// What the server adds, with a separator in front.
        detail: String,
    },
    /// The server will not do it, and will not when asked again.
    #[error("the Prefect API refuses {what} ({request} → {status}): {detail}")]
    Refused {
        /// The thing.
        what: String,
        /// Method and path.
        request: String,
        /// The status code.
        status: u16,
        /// The server's reason, without anything that was sent.
        detail: String,
    },
    /// It was denied or refused, but an earlier try of the same was never answered: that one may have arrived.
    #[error(transparent)]
    Doubtful(Box<ApiError>),
    /// The server fails, again and again.
    #[error("the Prefect API fails at {what} ({request}, {attempts} attempts): {because}")]
    Failing {
        /// The thing.
        what: String,
        /// Method and path.
        request: String,
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        because: String,
    },
    /// It failed such that it may or may not have been done, and must not blindly be repeated.
    #[error("it is not known whether {what} was written ({request}): {because}")]
    Ambiguous {
        /// The thing.
        what: String,
        /// Method and path.
        request: String,
        /// The failure.
        because: String,
    },
    /// The answer makes no sense.
    #[error("the answer about {what} cannot be understood ({request}): {problem}")]
    Garbled {
        /// The thing.
        what: String,
        /// Method and path.
        request: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It was not sent, for the lock under which it was to be written was lost before.
    #[error("{what} was not written: the lock was lost before")]
    Unlocked {
        /// The thing.
        what: String,
    },
    /// Only Prefect Cloud has it.
    #[error("{what} exist only on Prefect Cloud, and {url} is not that")]
    CloudOnly {
        /// The thing.
        what: String,
        /// The address.
        url: String,
    },
    /// A block needs a type or a schema that is not there.
    #[error("the Prefect API at {url} has no {what}")]
    UnknownType {
        /// The type or schema.
        what: String,
        /// The address.
        url: String,
        /// What could be meant, or done.
        hint: String,
    },
}

impl ApiError {
    /// The same about a thing by the name that people know it by, where `what` was all that was known of it.
    pub fn about(mut self, what: &str, name: &str) -> ApiError {
        if let ApiError::Doubtful(error) = self {
            return ApiError::Doubtful(Box::new(error.about(what, name)));
        }
        match &mut self {
            ApiError::Denied { what: known, .. }
            | ApiError::Refused { what: known, .. }
            | ApiError::Failing { what: known, .. }
            | ApiError::Ambiguous { what: known, .. }
            | ApiError::Garbled { what: known, .. }
            | ApiError::Unlocked { what: known } => *known = known.replace(what, &format!("`{name}`")),
            ApiError::Setup { .. }
            | ApiError::Unreachable { .. }
            | ApiError::Tls { .. }
            | ApiError::NotPrefect { .. }
            | ApiError::Doubtful(_)
            | ApiError::CloudOnly { .. }
            | ApiError::UnknownType { .. } => {}
        }
        self
    }

    /// Whether the same may work later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            ApiError::Unreachable { .. }
            | ApiError::Failing { .. }
            | ApiError::Ambiguous { .. }
            | ApiError::Unlocked { .. } => true,
            ApiError::Setup { .. }
            | ApiError::Tls { .. }
            | ApiError::NotPrefect { .. }
            | ApiError::Denied { .. }
            | ApiError::Refused { .. }
            | ApiError::Doubtful(_)
            | ApiError::Garbled { .. }
            | ApiError::CloudOnly { .. }
            | ApiError::UnknownType { .. } => false,
        }
    }

    /// The status code of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            ApiError::Denied { status, .. } | ApiError::Refused { status, .. } => Some(*status),
            ApiError::Doubtful(error) => error.status(),
            _ => None,
        }
    }

    /// Whether nothing of what was asked for was done: no try went unanswered, and the last one was turned away.
    pub fn is_refusal(&self) -> bool {
        matches!(self, ApiError::Denied { .. } | ApiError::Refused { .. } | ApiError::UnknownType { .. })
    }

    /// The same, where an earlier try was never answered.
    pub(super) fn after_doubt(self) -> ApiError {
        if self.is_refusal() { ApiError::Doubtful(Box::new(self)) } else { self }
    }

    /// Whether the thing does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether something stands in the way, mostly a thing of the same name.
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// The page that explains it: see [`crate::explain`].
    pub fn code(&self) -> &'static str {
        match self {
            ApiError::Unreachable { .. } => "E0510",
            ApiError::Tls { .. } => "E0511",
            ApiError::NotPrefect { .. } => "E0512",
            ApiError::Denied { .. } => "E0513",
            ApiError::Refused { .. } => "E0514",
            ApiError::Doubtful(error) => error.code(),
            ApiError::Failing { .. } => "E0515",
            ApiError::Ambiguous { .. } => "E0516",
            ApiError::Garbled { .. } => "E0517",
            ApiError::CloudOnly { .. } => "E0518",
            ApiError::Setup { .. } => "E0519",
            ApiError::Unlocked { .. } => "E0523",
            ApiError::UnknownType { .. } => "E0524",
        }
    }

    /// The next step.
    pub fn help(&self) -> String {
        match self {
            ApiError::Setup { .. } => "correct that setting".to_owned(),
            ApiError::Unreachable { from, .. } => {
                format!("check that the server runs, and the address in {from}")
            }
            ApiError::Tls { .. } => "name the certificate authority in `PREFECT_API_SSL_CERT_FILE`, or check that the \
                 address is meant to start with `https://`"
                .to_owned(),
            ApiError::NotPrefect { from, .. } => format!(
                "check the address in {from}: it ends in `/api` for a server of your own, and reads \
                 `https://api.prefect.cloud/api/accounts/ID/workspaces/ID` for Prefect Cloud"
            ),
            ApiError::Denied { status: 401, .. } => "check `PREFECT_API_KEY` (Prefect Cloud) or \
                 `PREFECT_API_AUTH_STRING` (a server of your own)"
                .to_owned(),
            ApiError::Denied { .. } => "give the key's account the right to do this, or check that the address names \
                 the workspace you mean"
                .to_owned(),
            ApiError::Refused { status: 404, .. } => "it may have been deleted in the meantime: plan again".to_owned(),
            ApiError::Refused { .. } => "correct what the reason names, then run again".to_owned(),
            ApiError::Doubtful(error) => error.help(),
            ApiError::Failing { .. } => "look at the server's log, then run again: what is done stays done".to_owned(),
            ApiError::Ambiguous { .. } => "run again: what is there is found and not made twice".to_owned(),
            ApiError::Unlocked { .. } => "run again: what is in is found, and nothing is made twice".to_owned(),
            ApiError::Garbled { .. } => {
                "check that nothing between here and the server changes its answers; otherwise report this as a bug"
                    .to_owned()
            }
            ApiError::CloudOnly { .. } => "remove them from the declaration, or deploy to Prefect Cloud".to_owned(),
            ApiError::UnknownType { hint, .. } => hint.clone(),
        }
    }

    /// The same as a diagnostic.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic::error(self.code(), self.to_string()).help(self.help())
    }
}
