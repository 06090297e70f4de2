//! The only integration binary: everything that needs disk, processes or a real Prefect server.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a failing test may panic, and touches the world")]

mod api;
mod docs;
mod explain;
mod floors;
mod flow_facts;
mod json_mode;
mod local_server;
mod python_helper;
mod plan_cases;
mod schedules;
mod json_mode;
mod local_server;
mod ownership;
mod parity;
mod plan_is_safe;
mod schedules;
mod second_pass;
mod impact;
mod saved_plans;
mod settings;
mod source;
mod steps;
mod parity;
mod support;
mod templating;
mod triggers;
mod version_info;
mod yaml;
