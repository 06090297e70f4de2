//! A run, its deployment and its pool → the job that infrastructure starts: asks for what the templates refer to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Worker;
use crate::api::ApiError;
use crate::model::{JobSpec, Secret, Tree};
use crate::render::job_template::{About, Configuration, job_variables, populate};
use crate::render::{Blocks, fill_blocks, fill_variables, references};
use crate::steps::words;

/// The version of Prefect that we stand in for, as labels tell it.
pub(super) const VERSION: &str = "3.8.8";

/// What the API says of a run and its relatives.
pub(super) struct Relatives {
    pub run: Value,
    /// Null if the run has none.
    pub deployment: Value,
    pub flow: Value,
}

/// The job of an attempt at a run.
///
/// # Errors
/// One sentence, for the message of the crashed state.
pub(super) async fn job(worker: &Worker, relatives: &Relatives, attempt: &str) -> Result<JobSpec, String> {
    let pool = worker.pool();
    let variables = |of: &Value| Tree::from(&of["job_variables"]).as_map().cloned().unwrap_or_default();
    let values = job_variables(&variables(&relatives.deployment), &variables(&relatives.run)).map_err(said)?;
    let template = Tree::from(&pool["base_job_template"]);
    let populated = populate(&template, &values, &sealed(&worker.options.environment)).map_err(said)?;
    let filled = referred(worker, populated).await?;
    let mut configuration = Configuration::of(&filled).map_err(said)?;
    let about = About {
        run: Tree::from(&relatives.run),
        deployment: Tree::from(&relatives.deployment),
        flow: Tree::from(&relatives.flow),
        pool: Tree::from(&*pool),
        worker: worker.name.clone(),
        worker_id: None,
        version: VERSION.to_owned(),
    };
    let command = configuration.command.take();
    let settings = worker.place.settings_for(&configuration, &worker.options.settings);
    configuration.prepare(&sealed(&settings), &about).map_err(said)?;
    let command = command.map(|line| words::split(&line)).transpose().map_err(|error| format!("`command`: {error}"))?;
    let mut job = JobSpec {
        run: relatives.run["id"].as_str().unwrap_or_default().to_owned(),
        attempt: attempt.to_owned(),
        name: configuration.name.unwrap_or_default(),
        command,
        env: configuration.env.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect(),
        labels: configuration.labels,
        ready: None,
        config: configuration.rest.into_iter().collect(),
    };
    if !worker.place.is_remote() {
        job.ready = super::ready::code(worker, &relatives.deployment, &job);
        super::git_cache::put(worker, &relatives.deployment, &mut job);
    }
    Ok(job)
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn sealed(texts: &BTreeMap<String, Secret>) -> BTreeMap<String, Tree> {
    texts.iter().map(|(name, text)| (name.clone(), Tree::Secret(text.clone()))).collect()
}

fn text(value: Tree) -> Option<Secret> {
    match value {
        Tree::Text(text) => Some(Secret::text(text)),
        Tree::Secret(secret) => Some(secret),
        _ => None,
    }
}

/// Fills in blocks, then variables; each is asked for once, and only if something refers to it.
async fn referred(worker: &Worker, template: Tree) -> Result<Tree, String> {
    let wanted = references(&template);
    let ids: BTreeSet<String> = wanted.block_ids.keys().cloned().collect();
    let names: BTreeSet<(String, String)> = wanted.blocks.keys().cloned().collect();
    let blocks = blocks(worker, &names, &ids).await.map_err(said)?;
    let template = fill_blocks(&template, &blocks).map_err(told)?;
    let names: BTreeSet<String> = references(&template).variables.into_keys().collect();
    let found = match names.is_empty() {
        true => BTreeMap::new(),
        false => worker.api.variables(Some(&names)).await.map_err(said)?,
    };
    let variables: BTreeMap<String, Tree> = found.into_iter().map(|(name, value)| (name, value.into())).collect();
    fill_variables(&template, &variables, &mut Vec::new()).map_err(told)
}

async fn blocks(
    worker: &Worker,
    names: &BTreeSet<(String, String)>,
    ids: &BTreeSet<String>,
) -> Result<Blocks, ApiError> {
    let mut blocks = Blocks::default();
    if !names.is_empty() {
        let found = worker.api.blocks(names).await?;
        blocks.by_name = found.into_iter().map(|(name, data)| (name, Tree::Secret(data))).collect();
    }
    if !ids.is_empty() {
        let found = worker.api.blocks_by_id(ids).await?;
        blocks.by_id = found.into_iter().map(|(id, data)| (id, Tree::Secret(data))).collect();
    }
    Ok(blocks)
}

fn told(problems: Vec<crate::render::TemplateProblem>) -> String {
    problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; ")
}
