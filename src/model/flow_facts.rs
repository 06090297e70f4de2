//! `FlowFacts`: what a deployment needs to know of its flow.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What Prefect would learn by importing a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowFacts {
    /// The flow's name: the decorator's `name=`, else the function's with `_` as `-`.
    pub name: String,
    /// The decorator's `description=`, else the cleaned docstring.
    pub description: Option<String>,
    /// The decorator's `version=`, else the MD5 of the defining file's bytes in hexadecimal; `None` where
    /// Prefect itself would have none.
    pub version: Option<String>,
    /// `parameter_openapi_schema` as Prefect computes it.
    pub schema: Value,
}
