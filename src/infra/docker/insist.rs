//! Insisting: an engine that is away is asked again until it answers.

use std::time::Duration;

use bollard::errors::Error;

use super::host::Engine;
use super::launch::{said, status};

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether an error is no answer: the engine may have done what it was asked, or not.
pub(super) fn is_away(error: &Error) -> bool {
    let unheard = matches!(
        error,
        Error::RequestTimeoutError
            | Error::HyperLegacyError { .. }
            | Error::HyperResponseError { .. }
            | Error::IOError { .. }
    );
    unheard || status(error) == Some(503)
}

/// Whether an error says nothing of what was asked for: an engine that stands up again fails at first.
fn is_trouble(error: &Error) -> bool {
    is_away(error) || status(error).is_some_and(|status| status >= 500)
}

impl Engine {
    /// Asks until there is an answer, be that a refusal.
    pub async fn insist<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.ask_again(ask, is_away).await
    }

    /// Asks how something stands until that is known, or that it is not there.
    pub async fn learn<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.ask_again(ask, is_trouble).await
    }

    async fn ask_again<T, F>(&self, ask: impl Fn() -> F, again: fn(&Error) -> bool) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        loop {
            match ask().await {
                Err(error) if again(&error) => {
                    tracing::info!(error = said(self, &error), "the engine is asked again");
                    tokio::time::sleep(PAUSE).await;
                }
                answer => return answer,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_answers_and_silence_is_none() {
        let refused = |status_code| Error::DockerResponseServerError { status_code, message: String::new() };
        assert!(!is_away(&refused(404)) && !is_away(&refused(500)) && is_away(&refused(503)));
        assert!(!is_trouble(&refused(404)) && is_trouble(&refused(500)) && is_trouble(&refused(503)));
        assert!(is_away(&Error::RequestTimeoutError));
        assert!(is_away(&Error::IOError { err: std::io::ErrorKind::ConnectionReset.into() }));
    }
}
