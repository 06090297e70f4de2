//! `SettingsError`: what is wrong with the settings, in one sentence with the next step.

use thiserror::Error;

use crate::diagnostic::Diagnostic;

/// What is wrong. No message quotes a secret, and none quotes a line of a settings file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SettingsError {
    /// No API, where one is needed.
    #[error("no Prefect API is configured: {because}")]
    NoApi {
        /// What is missing.
        because: String,
    },
    /// A value that does not fit its setting.
    #[error("{setting} {problem}")]
    BadValue {
        /// The setting and its place.
        setting: String,
        /// What is wrong with the value.
        problem: String,
        /// The next step.
        help: String,
    },
    /// A settings file that cannot be read or is not what it should be.
    #[error("`{file}` {problem}")]
    BadFile {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A profile that does not exist.
    #[error("the profile `{profile}`, chosen by {by}, does not exist")]
    UnknownProfile {
        /// Its name.
        profile: String,
        /// Who chose it.
        by: String,
        /// The known ones, or where they should stand.
        help: String,
    },
    /// A credential would go where the repository, not its owner, wants it to go.
    #[error("{problem}")]
    Untrusted {
        /// Which value may not go where.
        problem: String,
        /// The next step.
        help: String,
    },
}

impl SettingsError {
    /// The page that explains it: see [`crate::explain`].
    pub fn code(&self) -> &'static str {
        match self {
            SettingsError::NoApi { .. } => "E0500",
            SettingsError::BadValue { .. } => "E0501",
            SettingsError::BadFile { .. } => "E0502",
            SettingsError::UnknownProfile { .. } => "E0503",
            SettingsError::Untrusted { .. } => "E0504",
        }
    }

    /// The next step.
    pub fn help(&self) -> String {
        match self {
            SettingsError::NoApi { .. } => {
                "set `PREFECT_API_URL` (or give `--api-url` or `--profile`), or ask for the \
                 embedded server with `--local`"
                    .to_owned()
            }
            SettingsError::BadFile { .. } => "correct the file, or move it away".to_owned(),
            SettingsError::BadValue { help, .. }
            | SettingsError::UnknownProfile { help, .. }
            | SettingsError::Untrusted { help, .. } => help.clone(),
        }
    }

    /// The same as a diagnostic.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic::error(self.code(), self.to_string()).help(self.help())
    }
}
