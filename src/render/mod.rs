//! Templates → values: Prefect's own `{{ }}` language over trees, and Jinja for our reports.
//!
//! Prefect's language is four passes over a declaration, each of which fills one kind of placeholder and leaves
//! the others: [`fill_blocks`], [`fill_variables`], and [`fill()`] twice (environment, step outputs). The caller
//! decides which pass touches what. All of them keep sealed values sealed and unknown values unknown.

pub mod blocks;
pub mod fill;
pub mod jinja;
pub mod job_template;
mod lookup;
pub mod markdown;
pub mod note;
pub mod placeholder;
mod pystr;
pub mod references;
pub mod variables;
mod walk;

pub use blocks::{Blocks, fill_blocks, fill_blocks_except};
pub use fill::{Filling, Missing, env_as_values, fill};
pub use note::{Became, Note, TemplateProblem};
pub use placeholder::{Placeholder, PlaceholderKind, placeholders};
pub use pystr::as_text;
pub use references::{References, may_refer, references, references_except};
pub use variables::fill_variables;
