//! Base job template + job variables → the configuration of a run's infrastructure, as Prefect's workers make it.
//!
//! Prefect 3.8.8 `workers/base.py`, `BaseJobConfiguration`. The world is asked in between, never from here:
//! [`populate`] gives a template whose blocks are then filled in ([`super::fill_blocks`]), then its variables
//! ([`super::fill_variables`]); [`Configuration::of`] reads the result and [`Configuration::prepare`] stamps the run
//! on it.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::model::{Map, Tree};

use super::fill::{Filling, Missing, fill};
use super::note::TemplateProblem;
use super::pystr::as_text;

/// Why a run has no configuration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JobError {
    /// The template or the variables have another shape than Prefect can work with.
    #[error("{0}")]
    Shape(String),
    /// A placeholder cannot be filled.
    #[error("{}", .0.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; "))]
    Template(Vec<TemplateProblem>),
}

fn shape(problem: impl Into<String>) -> JobError {
    JobError::Shape(problem.into())
}

/// The job variables of a deployment with those of a run laid over them: `env` is merged if the deployment's is a
/// mapping, everything else is replaced.
///
/// # Errors
/// If the deployment's `env` is a mapping and the run's is something else.
pub fn job_variables(deployment: &Map, run: &Map) -> Result<Map, JobError> {
    let mut merged = deployment.clone();
    let mut over = run.clone();
    if let Some(Tree::Map(env)) = merged.get_mut("env") {
        match over.shift_remove("env") {
            None => {}
            Some(Tree::Map(more)) => env.extend(more),
            Some(_) => return Err(shape("the run's job variable `env` is no mapping")),
        }
    }
    merged.extend(over);
    Ok(merged)
}

/// The job configuration of a base job template with defaults and job variables filled in. Blocks and variables of
/// Prefect are still placeholders; `environment` is what `{{ $NAME }}` is looked up in.
///
/// # Errors
/// A template without `job_configuration` or `variables`, job variables that contradict each other, a result that
/// would be too large.
pub fn populate(template: &Tree, values: &Map, environment: &BTreeMap<String, Tree>) -> Result<Tree, JobError> {
    let part = |key: &str| {
        let found = template.get(key).and_then(Tree::as_map);
        found.ok_or_else(|| shape(format!("the base job template has no mapping `{key}`")))
    };
    let (mut config, mut variables) = (part("job_configuration")?.clone(), defaults(part("variables")?));
    if let Some(env) = variables.get("env").filter(|env| env.is_truthy()) {
        let merged = match config.get("env") {
            Some(Tree::Map(fixed)) => laid_over(fixed, env)?,
            Some(_) | None => env.clone(),
        };
        config.insert("env".to_owned(), merged);
    }
    variables.extend(nested(values)?);
    if let (Some(Tree::Map(fixed)), Some(env)) = (config.get("env"), variables.get("env"))
        && env.is_truthy()
    {
        let merged = laid_over(fixed, env)?;
        config.insert("env".to_owned(), merged);
    }
    let filling =
        Filling { values: &variables, env: environment, missing: Missing::Remove, skip_prefixes: &[], pending: false };
    let filled = fill(&Tree::Map(config), &filling, &mut Vec::new()).map_err(JobError::Template)?;
    Ok(filled.unwrap_or(Tree::Null))
}

/// The defaults of a template's variables. A default of null is none.
fn defaults(schema: &Map) -> Map {
    let properties = schema.get("properties").and_then(Tree::as_map);
    let of = |(name, attributes): (&String, &Tree)| {
        let default = attributes.get("default").filter(|default| !default.is_null())?;
        Some((name.clone(), default.clone()))
    };
    properties.into_iter().flatten().filter_map(of).collect()
}

/// Python's `mapping | other`.
fn laid_over(under: &Map, over: &Tree) -> Result<Tree, JobError> {
    let over = over.as_map().ok_or_else(|| shape("`env` is no mapping"))?;
    let mut merged = under.clone();
    merged.extend(over.clone());
    Ok(Tree::Map(merged))
}

/// Job variables with keys such as `env.NAME` or `a.b[0]` taken apart; what is written without dots wins.
fn nested(values: &Map) -> Result<Map, JobError> {
    let mut result = Map::new();
    for (key, value) in values.iter().filter(|(key, _)| key.contains('.')) {
        let path = key.replace('[', ".").replace(']', "");
        set(&mut result, &path.split('.').collect::<Vec<_>>(), value)
            .ok_or_else(|| shape(format!("the job variable `{key}` lies below one that is no mapping")))?;
    }
    for (key, value) in values.iter().filter(|(key, _)| !key.contains('.')) {
        let merged = match (result.get(key), value) {
            (Some(Tree::Map(under)), Tree::Map(over)) => Tree::Map(deep(under, over)),
            _ => value.clone(),
        };
        result.insert(key.clone(), merged);
    }
    Ok(result)
}

/// Puts a value below a path, making mappings on the way; `None` if something else is in the way.
fn set(into: &mut Map, path: &[&str], value: &Tree) -> Option<()> {
    let (first, rest) = path.split_first()?;
    if rest.is_empty() {
        into.insert((*first).to_owned(), value.clone());
        return Some(());
    }
    match into.entry((*first).to_owned()).or_insert_with(|| Tree::Map(Map::new())) {
        Tree::Map(below) => set(below, rest, value),
        _ => None,
    }
}

/// Mappings in mappings are merged, everything else is replaced.
fn deep(under: &Map, over: &Map) -> Map {
    let mut merged = under.clone();
    for (key, value) in over {
        let value = match (merged.get(key), value) {
            (Some(Tree::Map(a)), Tree::Map(b)) => Tree::Map(deep(a, b)),
            _ => value.clone(),
        };
        merged.insert(key.clone(), value);
    }
    merged
}

/// A filled job configuration: what every type of worker knows, and the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// What the infrastructure is to run, if the template or a job variable says so.
    pub command: Option<String>,
    /// Its environment as texts; null unsets what Prefect would set.
    pub env: BTreeMap<String, Tree>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its name; may hold placeholders `ctx.flow…` and `ctx.flow_run…`.
    pub name: Option<String>,
    /// Everything else, by key: what it means depends on the type.
    pub rest: Map,
}

/// The run that a configuration is prepared for, as the API gives it and its relatives.
#[derive(Clone, Debug)]
pub struct About {
    /// The run.
    pub run: Tree,
    /// Its deployment, or null.
    pub deployment: Tree,
    /// Its flow.
    pub flow: Tree,
    /// The work pool.
    pub pool: Tree,
    /// What the worker is called.
    pub worker: String,
    /// The worker's id, where the server gives one.
    pub worker_id: Option<String>,
    /// The version of Prefect that labels tell.
    pub version: String,
}

impl Configuration {
    /// Reads a configuration whose placeholders are filled.
    ///
    /// # Errors
    /// If a field that every type has is of another type than Prefect takes.
    pub fn of(filled: &Tree) -> Result<Configuration, JobError> {
        let mut rest = filled.as_map().cloned().ok_or_else(|| shape("the job configuration is no mapping"))?;
        let mut take = |key: &str| rest.shift_remove(key);
        let (command, name) = (optional_text("command", take("command"))?, optional_text("name", take("name"))?);
        let env = match take("env") {
            None => BTreeMap::new(),
            Some(Tree::Map(env)) => env.iter().map(|(key, value)| (key.clone(), spelt(value))).collect(),
            Some(_) => return Err(shape("`env` of the job configuration is no mapping")),
        };
        let labels = match take("labels") {
            None => BTreeMap::new(),
            Some(Tree::Map(labels)) => labels.iter().map(label).collect::<Result<_, _>>()?,
            Some(_) => return Err(shape("`labels` of the job configuration is no mapping")),
        };
        Ok(Configuration { command: command.filter(|text| !text.is_empty()), env, labels, name, rest })
    }

    /// Puts on it what tells about the run: environment, labels and name. `settings` are the worker's own settings as
    /// environment variables, which the run gets first.
    ///
    /// # Errors
    /// Only if the name would be too large.
    pub fn prepare(&mut self, settings: &BTreeMap<String, Tree>, about: &About) -> Result<(), JobError> {
        let mut env = settings.clone();
        env.extend(about.environment().map(|(key, text)| (key.to_owned(), Tree::text(text))));
        env.extend(std::mem::take(&mut self.env));
        env.retain(|_, value| !value.is_null());
        self.env = env;
        let mut labels = about.labels();
        labels.extend(std::mem::take(&mut self.labels));
        self.labels = labels;
        if let Some(name) = self.name.take().filter(|name| !name.is_empty()) {
            self.name = Some(about.named(&name)?);
        }
        let run_name = about.run.get("name").and_then(Tree::as_str).map(str::to_owned);
        self.name = self.name.take().filter(|name| !name.is_empty()).or(run_name);
        Ok(())
    }
}

fn optional_text(key: &str, value: Option<Tree>) -> Result<Option<String>, JobError> {
    match value {
        None | Some(Tree::Null) => Ok(None),
        Some(Tree::Text(text)) => Ok(Some(text)),
        Some(Tree::Secret(secret)) => secret.reveal_str().map(|text| Some(text.to_owned())).ok_or_else(|| no_text(key)),
        Some(_) => Err(no_text(key)),
    }
}

fn no_text(key: &str) -> JobError {
    shape(format!("`{key}` of the job configuration is no text"))
}

fn label((key, value): (&String, &Tree)) -> Result<(String, String), JobError> {
    let text = optional_text("labels", Some(value.clone()))?;
    text.map(|text| (key.clone(), text)).ok_or_else(|| no_text("labels"))
}

/// A value of `env`: null stays, everything else becomes what Python prints of it.
fn spelt(value: &Tree) -> Tree {
    if value.is_null() { Tree::Null } else { as_text(value) }
}

impl About {
    /// What the run's process learns about itself.
    fn environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        let text = |tree: &Tree, key: &str| {
            tree.get(key).and_then(Tree::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        [
            ("PREFECT__FLOW_RUN_ID", text(&self.run, "id")),
            ("PREFECT__WORKER_ID", self.worker_id.clone()),
            ("PREFECT__WORKER_NAME", Some(self.worker.clone())),
            ("PREFECT__FLOW_ID", text(&self.run, "flow_id")),
            ("PREFECT__FLOW_NAME", text(&self.flow, "name")),
            ("PREFECT__DEPLOYMENT_ID", text(&self.run, "deployment_id")),
            ("PREFECT__DEPLOYMENT_NAME", text(&self.deployment, "name")),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let text = |tree: &Tree, key: &str| tree.get(key).and_then(Tree::as_str).map(str::to_owned);
        let updated = text(&self.deployment, "updated").map(|updated| iso(&updated));
        [
            ("flow-run-id", text(&self.run, "id")),
            ("flow-run-name", text(&self.run, "name")),
            ("version", Some(self.version.clone())),
            ("work-pool-name", text(&self.pool, "name")),
            ("work-pool-id", text(&self.pool, "id")),
            ("worker-name", Some(self.worker.clone())),
            ("flow-id", text(&self.flow, "id")),
            ("flow-name", text(&self.flow, "name")),
            ("deployment-id", text(&self.deployment, "id")),
            ("deployment-name", text(&self.deployment, "name")),
            ("deployment-updated", updated),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((format!("prefect.io/{key}"), value?)))
        .collect()
    }

    /// A name with what it says of flow and run filled in.
    fn named(&self, name: &str) -> Result<String, JobError> {
        let or_empty = |tree: &Tree| if tree.is_null() { Tree::Map(Map::new()) } else { tree.clone() };
        let context =
            Map::from([("flow".to_owned(), or_empty(&self.flow)), ("flow_run".to_owned(), or_empty(&self.run))]);
        let values = Map::from([("ctx".to_owned(), Tree::Map(context))]);
        let filling = Filling {
            values: &values,
            env: &BTreeMap::new(),
            missing: Missing::Remove,
            skip_prefixes: &[],
            pending: false,
        };
        let filled = fill(&Tree::text(name), &filling, &mut Vec::new()).map_err(JobError::Template)?;
        // A name that is nothing but a placeholder without a value stays as it is.
        Ok(match filled.as_ref().map(as_text) {
            Some(Tree::Text(text)) => text,
            Some(_) | None => name.to_owned(),
        })
    }
}

/// A time of the API as Python's `isoformat` prints it in UTC.
fn iso(time: &str) -> String {
    let Ok(time) = time.parse::<jiff::Timestamp>() else { return time.to_owned() };
    let format = if time.subsec_nanosecond() / 1000 == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S.%6f" };
    format!("{}+00:00", time.strftime(format))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn map(value: Value) -> Map {
        Tree::from(value).as_map().cloned().expect("a mapping")
    }

    fn template(env: Value, default: Value) -> Tree {
        Tree::from(json!({
            "job_configuration": {"env": env, "image": "{{ image }}", "gone": "{{ none }}", "cpu": "{{ cpu }}m"},
            "variables": {"properties": {
                "env": {"default": default}, "image": {"default": "busybox"}, "none": {"default": null}, "cpu": {},
            }},
        }))
    }

    fn populated(template: &Tree, values: Value) -> Value {
        populate(template, &map(values), &BTreeMap::new()).expect("a good template").masked()
    }

    #[test]
    fn env_is_merged_over_defaults_and_over_what_the_template_fixes() {
        let fixed = template(json!({"A": "fixed", "B": "fixed"}), json!({"B": "default"}));
        assert_eq!(populated(&fixed, json!({}))["env"], json!({"A": "fixed", "B": "default"}));
        assert_eq!(populated(&fixed, json!({"env": {"A": "mine"}}))["env"], json!({"A": "mine", "B": "default"}));
        let free = template(json!("{{ env }}"), json!(null));
        assert_eq!(populated(&free, json!({"env": {"A": "mine"}}))["env"], json!({"A": "mine"}));
        assert_eq!(populated(&free, json!({})), json!({"image": "busybox", "cpu": "m"}));
    }

    #[test]
    fn dotted_keys_give_way_to_nested_ones() {
        let free = template(json!("{{ env }}"), json!(null));
        let values = json!({"env.A": "dotted", "env": {"A": "nested", "B": "b"}, "env.C": "c", "image": "mine"});
        let config = populated(&free, values);
        assert_eq!(config["env"], json!({"A": "nested", "C": "c", "B": "b"}));
        assert_eq!(config["image"], "mine");
        assert!(populate(&free, &map(json!({"env.A": 1, "env.A.B": 2})), &BTreeMap::new()).is_err());
    }

    #[test]
    fn a_run_merges_its_env_into_the_deployments() {
        let merged = job_variables(&map(json!({"env": {"A": 1}, "x": 1})), &map(json!({"env": {"B": 2}, "x": 2})));
        assert_eq!(merged.map(|map| Tree::Map(map).masked()), Ok(json!({"env": {"A": 1, "B": 2}, "x": 2})));
        assert!(job_variables(&map(json!({"env": {}})), &map(json!({"env": null}))).is_err());
    }

    #[test]
    fn the_run_is_stamped_on_it() {
        let filled = Tree::from(json!({"env": {"N": true, "PREFECT_API_KEY": null}, "name": "x-{{ ctx.flow.name }}"}));
        let mut config = Configuration::of(&filled).expect("good");
        let about = About {
            run: Tree::from(json!({"id": "r", "name": "odd-owl", "flow_id": "f"})),
            flow: Tree::from(json!({"id": "f", "name": "etl"})),
            pool: Tree::from(json!({"id": "p", "name": "pool"})),
            deployment: Tree::from(json!({"id": "d", "name": "nightly", "updated": "2026-11-21T01:45:49.279827Z"})),
            worker: "w".to_owned(),
            worker_id: None,
            version: "3.8.8".to_owned(),
        };
        let settings = BTreeMap::from([("PREFECT_API_KEY".to_owned(), Tree::text("canary"))]);
        config.prepare(&settings, &about).expect("small");
        assert_eq!(config.name.as_deref(), Some("x-etl"));
        assert_eq!(config.env.get("N"), Some(&Tree::text("True")));
        assert_eq!(config.env.get("PREFECT_API_KEY"), None);
        assert_eq!(config.labels["prefect.io/deployment-updated"], "2026-11-21T01:45:49.279827+00:00");
        assert_eq!(config.env["PREFECT__FLOW_NAME"], Tree::text("etl"));
    }
}
