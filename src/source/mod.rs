//! Where desired state comes from: a directory of this machine and the git repository around it, or one elsewhere.

mod changed;
mod digest;
mod discover;
mod error;
mod events;
mod export;
pub mod git;
mod ignores;
#[cfg(feature = "git")]
mod remote;
#[cfg(feature = "git")]
mod revision;
#[cfg(feature = "git")]
mod signature;
#[cfg(feature = "git")]
mod submodules;
#[cfg(feature = "git")]
mod transport;
mod worktree;

pub use changed::Changed;
pub use discover::Found;
pub use error::SourceError;
pub use events::Events;
pub use export::Export;
pub use git::GitFacts;
#[cfg(feature = "git")]
pub use remote::{CheckedOut, Refused, Remote, Wanted};
#[cfg(feature = "git")]
pub use signature::Signers;
#[cfg(feature = "git")]
pub use transport::Access;
pub use worktree::{FILE_LIMIT, Worktree};
