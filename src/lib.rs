//! GitOps for Prefect: keeps a Prefect API equal to a git repository.
//!
//! The house has floors; a room may use the rooms of lower floors and nothing else of ours.
//!
//! | floor | rooms | touches the world? |
//! |---|---|---|
//! | 0 words | [`model`], [`diagnostic`], [`explain`] | no |
//! | 1 reading | [`manifest`], [`flow`], [`render`], [`resource`] | no |
//! | 2 deciding | [`plan`], [`report`] | no |
//! | 3 reaching | [`settings`], [`api`], [`source`], [`steps`], [`python`], [`local`], [`notify`], [`forge`], [`infra`], [`telemetry`] | yes |
//! | 4 running | [`reconcile`], [`worker`] | yes |
//! | 5 greeting | [`cli`] and the binary | yes |
//!
//! `tests/it/floors.rs` holds the table; `clippy.toml` keeps the lower floors off disk, clock and network.
#![deny(clippy::disallowed_methods)]

// floor 0: words
pub mod diagnostic;
pub mod explain;
pub mod model;

// floor 1: reading
pub mod flow;
pub mod manifest;
pub mod render;
pub mod resource;

// floor 2: deciding
pub mod plan;
pub mod report;

// floor 3: reaching
#[allow(clippy::disallowed_methods, reason = "floor 3 touches the world")]
pub mod api;
#[allow(clippy::disallowed_methods, reason = "floor 3 touches the world")]
pub mod forge;
#[allow(clippy::disallowed_methods, reason = "floor 3 touches the world")]
pub mod infra;
#[allow(clippy::disallowed_methods, reason = "floor 3 touches the world")]
pub mod local;
#[allow(clippy::disallowed_methods, reason = "floor 3 touches the world")]
pub mod notify;
#[allow(clippy::disallowed_methods, reason = "floor 3 touches the world")]
pub mod python;
#[allow(clippy::disallowed_methods, reason = "floor 3 touches the world")]
pub mod settings;
#[allow(clippy::disallowed_methods, reason = "floor 3 touches the world")]
pub mod source;
#[allow(clippy::disallowed_methods, reason = "floor 3 touches the world")]
pub mod steps;
#[allow(clippy::disallowed_methods, reason = "floor 3 touches the world")]
pub mod telemetry;

// floor 4: running
#[allow(clippy::disallowed_methods, reason = "floor 4 runs")]
pub mod reconcile;
#[allow(clippy::disallowed_methods, reason = "floor 4 runs")]
pub mod worker;

// floor 5: greeting
#[allow(clippy::disallowed_methods, reason = "floor 5 greets")]
pub mod cli;
