//! Text of the repository's files → what they declare. Pure: files arrive as text.

mod coerce;
pub mod globs;
pub mod json_mode;
pub mod lax;
pub mod limits;
pub mod node;
pub mod overlays;
pub mod prefect_yaml;
pub mod problem;
pub mod project;
pub mod resources;
pub mod schedules;
pub mod schema;
pub mod scope;
pub mod select;
pub mod slas;
pub mod triggers;
pub mod vars;
pub mod version_info;
pub mod yaml;
