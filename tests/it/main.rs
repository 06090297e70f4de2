//! The only integration binary: everything that needs disk, processes or a real Prefect server.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a failing test may panic, and touches the world")]

mod api;
mod cli;
mod crash;
mod diagnostics;
mod docs;
mod explain;
mod faults;
mod floors;
mod flow_facts;
mod going_back;
mod impact;
mod json_mode;
mod local_server;
mod lock;
mod offline_plans;
mod ownership;
mod parity;
mod plan_cases;
mod plan_is_safe;
mod properties;
mod python_helper;
mod remembered;
mod render;
mod saved_plans;
mod schedules;
mod schemas;
mod second_pass;
mod settings;
mod source;
mod steps;
mod support;
mod templating;
mod triggers;
mod version_info;
mod yaml;
