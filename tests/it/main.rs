//! The only integration binary: everything that needs disk, processes or a real Prefect server.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a failing test may panic, and touches the world")]

mod local_server;
mod support;
mod templating;
mod source;
mod support;
mod version_info;
mod json_mode;
mod yaml;
mod settings;
mod support;
