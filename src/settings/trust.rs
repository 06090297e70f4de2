//! What a repository may not decide: where the credentials of others go, and how well they are guarded on the way.
//!
//! Whoever may write to a repository could otherwise read the keys of everybody who plans it: a line
//! `PREFECT_API_URL=https://elsewhere` in `.env` would do.

use super::error::SettingsError;
use super::layers::Found;

/// Refuses an address from the repository for a credential from elsewhere, and weakened encryption likewise.
///
/// `guards` are the settings that decide whom an encrypted connection trusts.
pub(super) fn check(url: &Found, credentials: &[&Found], guards: &[&Found]) -> Result<(), SettingsError> {
    if url.steered_by_tree && !url.own_of_tree {
        return Err(borrowed(url));
    }
    let Some(foreign) = credentials.iter().find(|credential| !credential.own_of_tree) else { return Ok(()) };
    if url.steered_by_tree {
        return Err(SettingsError::Untrusted {
            problem: format!(
                "{} would be sent to an address that the repository chose: {}",
                foreign.described(),
                url.described()
            ),
            help: format!(
                "give the address where the credential is (`PREFECT_API_URL`, `--api-url` or a profile), or remove {}",
                foreign.described()
            ),
        });
    }
    match guards.iter().find(|guard| guard.steered_by_tree) {
        Some(guard) => Err(SettingsError::Untrusted {
            problem: format!(
                "{} comes from the repository and would decide how {} is protected on its way",
                guard.described(),
                foreign.described()
            ),
            help: format!("set `{}` in the environment or in a profile instead", guard.called),
        }),
        None => Ok(()),
    }
}

/// The address holds text from outside of the repository, which it must not carry off.
fn borrowed(url: &Found) -> SettingsError {
    SettingsError::Untrusted {
        problem: format!("{} takes text from outside of the repository into an address", url.described()),
        help: "set `PREFECT_API_URL` in the environment or in a profile instead".to_owned(),
    }
}
