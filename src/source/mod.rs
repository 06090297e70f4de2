//! Where desired state comes from: a directory of this machine and the git repository around it.

mod changed;
mod digest;
mod discover;
mod error;
mod export;
pub mod git;
mod ignores;
#[cfg(feature = "git")]
mod revision;
mod worktree;

pub use changed::changed_since;
pub use discover::Found;
pub use error::SourceError;
pub use export::Export;
pub use git::GitFacts;
pub use worktree::{FILE_LIMIT, Worktree};
