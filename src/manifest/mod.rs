//! Text of the repository's files → what they declare. Pure: files arrive as text.

pub mod globs;
pub mod node;
pub mod project;
pub mod scope;
pub mod vars;
pub mod version_info;
pub mod lax;
pub mod limits;
pub mod node;
pub mod problem;
pub mod schedules;
pub mod slas;
pub mod triggers;
pub mod json_mode;
pub mod node;
pub mod yaml;
