//! What must hold of every file that anyone could write, one module per reader; each takes any bytes and panics if it does not.

pub mod common;
pub mod flow;
pub mod grow;
pub mod prefect_yaml;
pub mod seeds;
pub mod templates;
pub mod yaml;

/// The readers by name.
pub const TARGETS: [(&str, fn(&[u8])); 4] = [
    ("yaml", yaml::check),
    ("prefect_yaml", prefect_yaml::check),
    ("templates", templates::check),
    ("flow", flow::check),
];
