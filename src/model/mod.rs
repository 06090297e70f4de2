//! The words of the house: what every other room speaks in.
//!
//! | word | meaning |
//! |---|---|
//! | key | a kind and a natural name: `deployment etl/nightly` |
//! | tree | a JSON-like value that can also hold a secret, another object's id, or an output not known yet |
//! | path | a place inside a tree: `schedules[daily].cron` |
//! | origin | where in the repository a value was written: file, line, column |
//! | span | a byte range of one file with its line and column |
//! | plan | the changes that would make the API equal to the repository |
//! | change | one object's part of a plan: action, reason, field changes |
//! | ledger | what a scope owns on the API and last applied there |
//! | scope | the name under which one repository (and environment) owns objects |

pub mod abilities;
pub mod connection;
pub mod flow_facts;
pub mod job;
pub mod key;
pub mod ledger;
pub mod map;
pub mod origin;
pub mod path;
pub mod plan;
pub mod secret;
pub mod tree;

pub use abilities::Abilities;
pub use connection::Connection;
pub use flow_facts::FlowFacts;
pub use job::{JobSpec, RunExit, RunHandle};
pub use key::{Key, Kind};
pub use map::Map;
pub use origin::{Origin, RepoPath, Span};
pub use path::{Path, Seg};
pub use secret::Secret;
pub use tree::Tree;
