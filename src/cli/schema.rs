//! `reconcile schema`: prints the JSON Schema of a file or of an output.

use serde_json::{Value, json};

use super::args::{Global, SchemaName};
use super::exit::Exit;
use super::output;
use crate::{manifest, report};

impl SchemaName {
    /// The schema.
    pub fn schema(self) -> Value {
        match self {
            SchemaName::Project => manifest::schema::project(),
            SchemaName::Prefect => manifest::schema::prefect(),
            SchemaName::Resources => manifest::schema::resources(),
            SchemaName::Plan => report::schema::plan(),
            SchemaName::Report => report::schema::report(),
        }
    }
}

/// The schemas, each with what it describes.
const ALL: [(&str, &str); 5] = [
    ("project", "reconcile.yaml"),
    ("prefect", "prefect.yaml, strictly: unknown keys are errors"),
    ("resources", "resource files: blocks, variables, pools, limits, automations"),
    ("plan", "`plan --json` and `plan --out`"),
    ("report", "`apply --json`"),
];

/// Runs the command.
pub fn run(global: &Global, name: Option<SchemaName>) -> Exit {
    match name {
        Some(name) => output::result(&format!("{:#}", name.schema())),
        None if global.json => {
            let all: Vec<Value> = ALL.iter().map(|(name, of)| json!({ "name": name, "of": of })).collect();
            output::result(&format!("{:#}", Value::Array(all)));
        }
        None => {
            let lines: Vec<String> = ALL.iter().map(|(name, of)| format!("{name:<11}{of}\n")).collect();
            output::result(&lines.concat());
        }
    }
    Exit::Done
}
