//! Flags of the command line → the selection that the manifest room understands.

use std::path::Path;

use crate::manifest::schedules::flags::ScheduleFlags;
use crate::manifest::select::{Overlay, Selection};
use crate::model::Tree;

use super::args::{OverlayArgs, Selecting};

/// Where to look, and what is meant there.
pub struct Target {
    /// The directory.
    pub path: std::path::PathBuf,
    /// What is meant.
    pub selection: Selection,
}

/// Reads the selection flags.
///
/// # Errors
/// One sentence for flags that do not parse.
pub fn target(args: &Selecting) -> Result<Target, String> {
    let (path, entrypoint) = match args.path.as_deref() {
        None => (".".into(), None),
        // An entrypoint is told from a directory by its colon or, failing a directory of that name, by its dots.
        Some(text) if is_entrypoint(text) => (".".into(), Some(text.to_owned())),
        Some(text) => (text.into(), None),
    };
    let overlay = overlay(&args.overlay, entrypoint)?;
    Ok(Target { path, selection: Selection { names: args.names.clone(), all: args.all, overlay } })
}

fn is_entrypoint(text: &str) -> bool {
    let path = Path::new(text);
    let object = text.rsplit_once(':').map(|(_, object)| object);
    let looks_like_an_object = |name: &str| {
        !name.is_empty()
            && name.split('.').all(|part| {
                part.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
                    && part.chars().all(|c| c.is_alphanumeric() || c == '_')
            })
    };
    if path.exists() {
        return false;
    }
    match object {
        Some(object) => looks_like_an_object(object),
        None => text.contains('.') && !text.contains('/') && looks_like_an_object(text),
    }
}

fn overlay(args: &OverlayArgs, entrypoint: Option<String>) -> Result<Overlay, String> {
    let enforce = match (args.enforce_parameter_schema, args.no_enforce_parameter_schema) {
        (_, true) => Some(false),
        (true, false) => Some(true),
        (false, false) => None,
    };
    Ok(Overlay {
        entrypoint,
        description: args.description.clone(),
        version: args.version.clone(),
        version_type: args.version_type.clone(),
        tags: args.tags.clone(),
        concurrency_limit: args.concurrency_limit,
        collision_strategy: args.collision_strategy.clone(),
        pool: args.pool.clone(),
        queue: args.work_queue.clone(),
        job_variables: args.job_variables.clone(),
        schedules: ScheduleFlags {
            cron: args.cron.clone(),
            interval: args.interval.clone(),
            rrule: args.rrule.clone(),
            anchor_date: args.anchor_date.clone(),
            timezone: args.timezone.clone(),
        },
        param: args.param.clone(),
        params: args.params.clone(),
        enforce_parameter_schema: enforce,
        triggers: definitions(&args.triggers, "triggers", "--trigger")?,
        slas: if args.slas.is_empty() { None } else { Some(definitions(&args.slas, "sla", "--sla")?) },
    })
}

/// Each value is JSON, or a file whose list under `key` is taken.
fn definitions(given: &[String], key: &str, flag: &str) -> Result<Vec<Tree>, String> {
    let mut out = Vec::new();
    for text in given {
        if text.ends_with(".yaml") || text.ends_with(".yml") || text.ends_with(".json") {
            out.extend(from_file(text, key, flag)?);
        } else {
            let value: serde_json::Value =
                serde_json::from_str(text).map_err(|error| format!("`{flag} {text}` is not JSON: {error}"))?;
            out.push(Tree::from(value));
        }
    }
    Ok(out)
}

fn from_file(path: &str, key: &str, flag: &str) -> Result<Vec<Tree>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("`{flag} {path}` cannot be read: {error}"))?;
    let file = crate::model::RepoPath::new(path);
    let document = crate::manifest::yaml::read(&file, &bytes).map_err(|found| {
        format!("`{flag} {path}` is not valid: {}", found.first().map_or("", |d| d.message.as_str()))
    })?;
    let Some(list) = document.root.get(key) else {
        return Err(format!("`{flag} {path}` has no list `{key}` at its top"));
    };
    match crate::manifest::json_mode::tree(&file, list) {
        Ok(Tree::List(items)) => Ok(items),
        _ => Err(format!("`{key}` in `{flag} {path}` is not a list")),
    }
}
