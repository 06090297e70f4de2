//! Declarations and facts → what each deployment should be. Ask, then answer: nothing here reaches out.
//!
//! The order of the passes over a declaration is that of `prefect/cli/deploy/_core.py` (3.8.8): blocks, variables and
//! environment first, then the flow, then the outputs of build steps.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::manifest::node::Value as NodeValue;
use crate::manifest::select::Selected;
use crate::model::{Map, Origin, Path, Seg, Tree};
use crate::render::{
    Became, Blocks, Filling, Missing, Note, References, TemplateProblem, env_as_values, fill, fill_blocks_except,
    fill_variables, may_refer, references, references_except,
};
use crate::resource::deployment::FORBIDDEN_IN_NAMES;
use crate::resource::schema_check::takes_text;

/// So many problems and so many remarks of one pass over one declaration are told: the place of each is found by going
/// through the mappings around it.
pub(super) const MOST_TOLD: usize = 1000;

/// What filling the templates needs from the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Blocks by the slug of their type and their name.
    pub blocks: BTreeSet<(String, String)>,
    /// Blocks by id.
    pub block_ids: BTreeSet<String>,
    /// Variables.
    pub variables: BTreeSet<String>,
}

/// What is known of the world when templates are filled.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The environment; values that may not be shown are sealed.
    pub env: BTreeMap<String, Tree>,
    /// Variables of the workspace.
    pub variables: BTreeMap<String, Tree>,
    /// Blocks of the workspace, sealed.
    pub blocks: Blocks,
    /// Work pools by name, as the API answers; `None` when no API is asked.
    pub pools: Option<BTreeMap<String, Value>>,
    /// The pool of deployments that name none.
    pub default_pool: Option<String>,
    /// Whether block references are filled everywhere, as Prefect does.
    pub resolve_secrets: bool,
    /// Whether templates stay as they are written, for comparing files with files.
    pub symbolic: bool,
}

/// A declaration whose blocks, variables and environment are filled in.
#[derive(Clone, Debug)]
pub struct Filled {
    /// The declaration.
    pub selected: Selected,
    /// Its keys, filled; outputs of steps are still placeholders.
    pub config: Map,
    /// Its name; may still hold placeholders of step outputs.
    pub name: String,
    /// Its entrypoint.
    pub entrypoint: String,
    /// Its work pool.
    pub pool: String,
}

impl Filled {
    /// Where a part of it stands.
    pub fn place(&self, path: &Path) -> Origin {
        self.selected.declaration.origin_of(path)
    }

    /// The text of a key that may not be empty.
    pub fn text(&self, key: &str) -> Option<String> {
        self.config.get(key).map(plain).and_then(|tree| tree.as_str().map(str::to_owned)).filter(|t| !t.is_empty())
    }

    /// Its build steps as written: its own, else those of its file.
    pub fn build_steps(&self) -> Vec<Tree> {
        self.steps("build")
    }

    /// Its push steps as written; those of its file if it has none.
    pub fn push_steps(&self) -> Vec<Tree> {
        self.steps("push")
    }

    fn steps(&self, which: &str) -> Vec<Tree> {
        use crate::manifest::prefect_yaml::Steps;
        let pick = |actions: &crate::manifest::prefect_yaml::Actions| match which {
            "build" => actions.build.clone(),
            "push" => actions.push.clone(),
            _ => actions.pull.clone(),
        };
        let own = pick(&self.selected.declaration.actions);
        // A `push` without steps is the file's, whichever way it says so (`_core.py`: `push_steps or actions["push"]`).
        let is_files = own == Steps::Unset || (which == "push" && own.list().is_empty());
        let steps = if is_files { pick(&self.selected.file_actions) } else { own };
        steps.list().iter().filter(|step| step.is_truthy()).cloned().collect()
    }
}

/// What has to be asked before templates can be filled.
pub fn questions(selected: &[Selected]) -> Questions {
    let mut out = Questions::default();
    for one in selected {
        let mut found = References::default();
        for (_, value) in filled_keys(one).filter(|(_, value)| may_refer(value)) {
            found.extend(references(value));
        }
        for actions in [&one.declaration.actions, &one.file_actions] {
            for step in actions.build.list().iter().chain(actions.push.list()).filter(|step| may_refer(step)) {
                found.extend(references(step));
            }
        }
        out.blocks.extend(found.blocks.into_keys());
        out.block_ids.extend(found.block_ids.into_keys());
        out.variables.extend(found.variables.into_keys());
    }
    out
}

/// The keys that the passes work on. Steps are not among them: those of `build` and `push` are filled when they run,
/// and the blocks of `pull` are the worker's.
fn filled_keys(selected: &Selected) -> impl Iterator<Item = (&String, &Tree)> {
    selected.declaration.config.iter().filter(|(key, _)| !["build", "push", "pull"].contains(&key.as_str()))
}

/// Fills a declaration's blocks, variables and environment, and checks what can be checked before its flow is known.
pub fn filled(selected: &Selected, facts: &Facts, diagnostics: &mut Vec<Diagnostic>) -> Option<Filled> {
    let mut filler = Filler { selected, facts, diagnostics };
    filler.run()
}

struct Filler<'a> {
    selected: &'a Selected,
    facts: &'a Facts,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Filler<'_> {
    fn run(&mut self) -> Option<Filled> {
        let before = self.diagnostics.len();
        let written = filled_keys(self.selected).map(|(key, value)| (key.clone(), value.clone()));
        let tree = Tree::Map(written.collect());
        let pool_first = self.pool_name(&tree)?;
        let is_template = !self.facts.symbolic && may_refer(&tree);
        let tree = if is_template { self.passes(&tree, pool_first.as_deref())? } else { tree };
        let Tree::Map(config) = tree else { return None };
        let name = self.name(&config);
        let entrypoint = self.required(&config, "entrypoint", "write `entrypoint: path/to/file.py:flow_function`");
        let pool = self.pool(pool_first);
        let (name, entrypoint, pool) = (name?, entrypoint?, pool?);
        let failed = self.diagnostics[before..].iter().any(|d| d.severity == crate::diagnostic::Severity::Error);
        (!failed).then(|| Filled { selected: self.selected.clone(), config, name, entrypoint, pool })
    }

    /// The pool's name decides where block references may wait, so it is filled before the rest.
    fn pool_name(&mut self, tree: &Tree) -> Option<Option<String>> {
        let name = tree.get("work_pool").and_then(|pool| pool.get("name"));
        let Some(name) = name.filter(|name| name.is_truthy()) else { return Some(self.facts.default_pool.clone()) };
        let path = Path::of("work_pool").key("name");
        let wrapped = Tree::Map(Map::from([("name".to_owned(), name.clone())]));
        match self.three(&wrapped, &|_| false) {
            Ok(filled) => Some(filled.get("name").map(plain).and_then(|tree| tree.as_str().map(str::to_owned))),
            Err(problems) => {
                for mut problem in problems {
                    problem.path = path.clone();
                    self.problem(&problem);
                }
                None
            }
        }
    }

    fn passes(&mut self, tree: &Tree, pool: Option<&str>) -> Option<Tree> {
        let facts = self.facts;
        let template = match (&facts.pools, pool) {
            (Some(pools), Some(pool)) => pools.get(pool).map(|pool| &pool["base_job_template"]),
            _ => None,
        };
        let resolve = facts.resolve_secrets;
        let keep = move |path: &Path| !resolve && waits_for_the_worker(path, template);
        match self.three(tree, &keep) {
            Ok(filled) => {
                // Without an API nobody knows the pool's template; most take text in job variables.
                let unasked = self.facts.pools.is_none() && !resolve;
                let variables = Path::of("work_pool").key("job_variables");
                self.stored_in_clear(tree, &|path| keep(path) || (unasked && path.starts_with(&variables)));
                Some(filled)
            }
            Err(problems) => {
                problems.iter().take(MOST_TOLD).for_each(|problem| self.problem(problem));
                None
            }
        }
    }

    fn three(&mut self, tree: &Tree, keep: &dyn Fn(&Path) -> bool) -> Result<Tree, Vec<TemplateProblem>> {
        if self.facts.symbolic || !may_refer(tree) {
            return Ok(tree.clone());
        }
        let mut notes = Vec::new();
        let tree = fill_blocks_except(tree, &self.facts.blocks, keep)?;
        let tree = fill_variables(&tree, &self.facts.variables, &mut notes)?;
        let values = env_as_values(&self.facts.env, &tree);
        let env = Filling {
            values: &values,
            env: &self.facts.env,
            missing: Missing::Keep,
            skip_prefixes: &[],
            pending: false,
        };
        // What the environment lacks is told by the last pass, which takes it away.
        let mut unset = Vec::new();
        let filled = fill(&tree, &env, &mut unset)?;
        notes.iter().take(MOST_TOLD).for_each(|note| self.note(note));
        for note in unset.iter().filter(|note| note.became == Became::Dropped).take(MOST_TOLD) {
            // Prefect takes it out of the list before any step has run.
            let help = "give the whole list as one output, or put text beside the placeholder";
            let origin = self.selected.declaration.origin_of(&note.path);
            self.diagnostics.push(note.diagnostic().at(origin, "").help(help));
        }
        Ok(filled.unwrap_or(Tree::Null))
    }

    /// Prefect stores what these references resolve to where anyone who may read deployments can read it.
    fn stored_in_clear(&mut self, tree: &Tree, keep: &dyn Fn(&Path) -> bool) {
        let Some(config) = tree.as_map() else { return };
        for (key, value) in config.iter().filter(|(key, value)| !is_structural(key) && may_refer(value)) {
            let wrapped = Tree::Map(Map::from([(key.clone(), value.clone())]));
            for ((slug, name), paths) in references_except(&wrapped, keep).blocks.into_iter().take(MOST_TOLD) {
                let Some(path) = paths.first() else { continue };
                let diagnostic =
                    Diagnostic::warning("W0320", format!("the value of block `{slug}/{name}` is stored in clear text"))
                        .at(self.selected.declaration.origin_of(path), "")
                        .help("use it in a text of `job_variables` or in a pull step, which the worker fills");
                self.diagnostics.push(diagnostic);
            }
        }
    }

    fn name(&mut self, config: &Map) -> Option<String> {
        let name = self.required(config, "name", "write `name: my-deployment`")?;
        let name = match name.strip_suffix(".py") {
            Some(_) => name.rsplit('/').next().and_then(|file| file.strip_suffix(".py")).unwrap_or(&name).to_owned(),
            None => name,
        };
        if let Some(bad) = name.chars().find(|c| FORBIDDEN_IN_NAMES.contains(c)) {
            self.error(
                "E0161",
                &Path::of("name"),
                format!("the name `{name}` holds `{bad}`"),
                "leave out / % & > and < in names",
            );
            return None;
        }
        Some(name)
    }

    fn required(&mut self, config: &Map, key: &str, help: &str) -> Option<String> {
        let value = config.get(key).map(plain).and_then(|tree| tree.as_str().map(str::to_owned));
        match value.filter(|text| !text.is_empty()) {
            Some(text) => Some(text),
            None if config.get(key).is_some_and(Tree::has_unknown) => {
                self.error(
                    "E0162",
                    &Path::of(key),
                    format!("`{key}` needs an API to be known"),
                    "set PREFECT_API_URL, or write it without blocks and variables",
                );
                None
            }
            None => {
                let which = self.selected.declaration.name().map(|name| format!(" of `{name}`")).unwrap_or_default();
                self.error("E0160", &Path::of(key), format!("the `{key}`{which} is missing"), help);
                None
            }
        }
    }

    fn pool(&mut self, name: Option<String>) -> Option<String> {
        let path = Path::of("work_pool").key("name");
        let written = self.selected.declaration.node.get("work_pool");
        if written.is_some_and(|node| !node.is_null() && !matches!(node.value, NodeValue::Map(_))) {
            // It was told when the file was read.
            return None;
        }
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            self.error(
                "E0163",
                &Path::of("work_pool"),
                "the work pool is missing",
                "write `work_pool: { name: my-pool }`, give `--pool`, or set PREFECT_DEFAULT_WORK_POOL_NAME",
            );
            return None;
        };
        let Some(pools) = &self.facts.pools else { return Some(name) };
        match pools.get(&name) {
            None => {
                let help = did_you_mean(&name, pools.keys().map(String::as_str)).unwrap_or_else(|| {
                    format!("create it first: `prefect work-pool create {name} --type process` (or another type)")
                });
                self.error("E0401", &path, format!("there is no work pool `{name}` on the API"), help);
                None
            }
            Some(pool) if pool["type"] == "prefect-agent" => {
                self.error(
                    "E0402",
                    &path,
                    format!("the work pool `{name}` is for agents of Prefect 2"),
                    "use a pool of a type that workers serve, such as process or docker",
                );
                None
            }
            Some(_) => Some(name),
        }
    }

    fn error(&mut self, code: &'static str, path: &Path, message: impl Into<String>, help: impl Into<String>) {
        let origin = self.selected.declaration.origin_of(path);
        self.diagnostics.push(Diagnostic::error(code, message).at(origin, "").help(help));
    }

    fn problem(&mut self, problem: &TemplateProblem) {
        let origin = self.selected.declaration.origin_of(&problem.path);
        self.diagnostics.push(problem.diagnostic().at(origin, ""));
    }

    fn note(&mut self, note: &Note) {
        let origin = self.selected.declaration.origin_of(&note.path);
        self.diagnostics.push(note.diagnostic().at(origin, ""));
    }
}

/// Places whose values name things: they are part of keys and of what plans show, so they are never sealed.
fn is_structural(key: &str) -> bool {
    ["name", "entrypoint", "flow_name"].contains(&key)
}

/// Whether a block reference at this place can wait until the worker fills it in: inside `job_variables`, where the
/// pool's template takes text.
fn waits_for_the_worker(path: &Path, base_job_template: Option<&Value>) -> bool {
    let prefix = Path::of("work_pool").key("job_variables");
    let Some(template) = base_job_template else { return false };
    path.starts_with(&prefix)
        && path.0[2..].iter().all(|seg| matches!(seg, Seg::Key(_)))
        && takes_text(template, &Path(path.0[2..].to_vec()))
}

/// The tree with nothing sealed, for values that name things or steer schedules.
pub fn plain(tree: &Tree) -> Tree {
    match tree {
        Tree::Secret(secret) => Tree::from(secret.reveal()),
        Tree::List(items) => Tree::List(items.iter().map(plain).collect()),
        Tree::Map(map) => Tree::Map(map.iter().map(|(key, value)| (key.clone(), plain(value))).collect()),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::IdOf(_) | Tree::Unknown(_) => tree.clone(),
    }
}
