//! A filled declaration, its flow and the outputs of its build → the deployment as it should be.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::manifest::limits::STRATEGIES;
use crate::manifest::prefect_yaml::Steps;
use crate::manifest::problem::Problem;
use crate::manifest::schedules::{self, Schedule};
use crate::manifest::version_info::VersionInfo;
use crate::manifest::{slas, triggers};
use crate::model::tree::Unknown;
use crate::model::{FlowFacts, Key, Kind, Map, Path, RepoPath, Tree};
use crate::render::{Filling, Missing, Note, PlaceholderKind, fill, may_refer, references};
use crate::resource::deployment::FORBIDDEN_IN_NAMES;
use crate::resource::schema_check;

use super::resolve::{Filled, MOST_TOLD, plain};
use super::want::{Automation, Deployment, Replaces};

/// What is known of a flow.
#[derive(Clone, Debug)]
pub enum FlowAnswer {
    /// Everything; its parameter schema once more, as all its deployments share it.
    Known(FlowFacts, Tree),
    /// Python will be asked when applying; the name may be known all the same.
    AtApply {
        /// The flow's name.
        name: Option<String>,
    },
}

impl From<FlowFacts> for FlowAnswer {
    fn from(facts: FlowFacts) -> Self {
        let schema = Tree::from(&facts.schema);
        FlowAnswer::Known(facts, schema)
    }
}

/// What surrounds a declaration.
pub struct Surroundings<'a> {
    /// The time of the pass.
    pub now: jiff::Timestamp,
    /// The environment, sealed where it may not be shown.
    pub env: &'a BTreeMap<String, Tree>,
    /// What the build and push steps gave, by name and by `id.name`.
    pub outputs: &'a Map,
    /// Whether its steps have yet to run.
    pub pending: bool,
    /// Whether templates stay as they are written.
    pub symbolic: bool,
    /// The absolute directory of its file.
    pub directory: String,
    /// Its version as git or the CI knows it.
    pub version_info: Option<VersionInfo>,
    /// The remote that a default pull step clones, if that is wanted instead of the directory.
    pub clone: Option<Tree>,
    /// Its pool's template, if known.
    pub base_job_template: Option<&'a Value>,
    /// Whether every field is ours.
    pub strict: bool,
    /// Whether SLAs can be set on this API; `None` when no API is asked.
    pub slas_supported: Option<bool>,
}

/// Works out a deployment. `None` when it cannot be; the diagnostics say why.
pub fn desired(
    filled: &Filled,
    flow: &FlowAnswer,
    around: &Surroundings<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Deployment> {
    let before = diagnostics.len();
    let mut desire = Desire { filled, flow, around, diagnostics };
    let deployment = desire.run();
    let failed = desire.diagnostics[before..].iter().any(|d| d.severity == Severity::Error);
    if failed { None } else { deployment }
}

struct Desire<'a> {
    filled: &'a Filled,
    flow: &'a FlowAnswer,
    around: &'a Surroundings<'a>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Desire<'_> {
    fn run(&mut self) -> Option<Deployment> {
        let schedules = self.schedules();
        let config = self.config()?;
        let name = self.name(&config)?;
        let flow = self.flow_name()?;
        let key = Key::deployment(&flow, &name);
        let automations = self.automations(&key);
        let slas = self.slas(&config, &key);
        let mut fields = BTreeMap::new();
        let mut along = BTreeMap::new();
        self.version(&config, &mut fields, &mut along);
        self.descriptive(&config, &mut fields);
        self.limits(&config, &mut fields);
        self.infrastructure(&config, &mut fields);
        fields.insert("entrypoint".to_owned(), Tree::text(&self.filled.entrypoint));
        fields.insert("pull_steps".to_owned(), self.pull_steps());
        fields.insert("parameter_openapi_schema".to_owned(), self.parameter_schema());
        self.check_parameters(&fields);
        Some(Deployment {
            replaces: self.replaces(&flow),
            key,
            flow,
            name,
            origin: self.filled.selected.declaration.origin(),
            fields,
            along,
            schedules,
            automations,
            slas,
            ignore_drift: self.ignored(),
            strict: self.around.strict,
        })
    }

    fn config(&mut self) -> Option<Map> {
        let exempt = ["schedules", "schedule", "triggers"];
        let rest: Map =
            self.filled.config.iter().filter(|(k, _)| !exempt.contains(&k.as_str())).map(clone_pair).collect();
        match self.outputs_into(Tree::Map(rest), Missing::Remove, &["ctx."], &Path::root(), true)? {
            Tree::Map(config) => Some(config),
            _ => None,
        }
    }

    /// Fills step outputs; what has no value is told if `tell`.
    fn outputs_into(&mut self, tree: Tree, missing: Missing, skip: &[&str], below: &Path, tell: bool) -> Option<Tree> {
        if self.around.symbolic || !may_refer(&tree) {
            return Some(tree);
        }
        let filling = Filling {
            values: self.around.outputs,
            env: self.around.env,
            missing,
            skip_prefixes: skip,
            pending: self.around.pending,
        };
        let mut notes = Vec::new();
        match fill(&tree, &filling, &mut notes) {
            Ok(filled) => {
                if tell {
                    notes.iter().take(MOST_TOLD).for_each(|note| self.note(note, below));
                }
                Some(filled.unwrap_or(Tree::Null))
            }
            Err(problems) => {
                for problem in problems.into_iter().take(MOST_TOLD) {
                    let origin = self.filled.place(&join(below, &problem.path));
                    self.diagnostics.push(problem.diagnostic().at(origin, ""));
                }
                None
            }
        }
    }

    fn note(&mut self, note: &Note, below: &Path) {
        let mut diagnostic = note.diagnostic().at(self.filled.place(&join(below, &note.path)), "");
        diagnostic.help = Some(match note.kind {
            PlaceholderKind::Env => format!("set {} in the environment of reconcile", note.name),
            PlaceholderKind::Variable => "create the variable, or correct its name".to_owned(),
            PlaceholderKind::Block | PlaceholderKind::Output => {
                "name an output of a build step; environment variables are written `{{ $NAME }}`".to_owned()
            }
        });
        self.diagnostics.push(diagnostic);
    }

    fn name(&mut self, config: &Map) -> Option<String> {
        match config.get("name").map(plain) {
            Some(Tree::Text(name)) if !name.is_empty() => Some(match name.strip_suffix(".py") {
                Some(stem) => stem.rsplit('/').next().unwrap_or(stem).to_owned(),
                None => name,
            }),
            Some(Tree::Unknown(_)) => Some(format!("{} (known after build)", self.filled.name)),
            _ => {
                self.error("E0160", &Path::of("name"), "the `name` is empty after its templates are filled", "name it");
                None
            }
        }
    }

    fn flow_name(&mut self) -> Option<String> {
        let name = match self.flow {
            FlowAnswer::Known(facts, _) => facts.name.clone(),
            FlowAnswer::AtApply { name } => name.clone().unwrap_or_else(|| "(known at apply)".to_owned()),
        };
        match name.chars().find(|c| FORBIDDEN_IN_NAMES.contains(c)) {
            Some(bad) => {
                let message = format!("the flow's name `{name}` holds `{bad}`");
                self.error("E0161", &Path::of("entrypoint"), message, "leave out / % & > and < in names");
                None
            }
            None => Some(name),
        }
    }

    fn schedules(&mut self) -> Option<Vec<Schedule>> {
        let key = if self.filled.config.contains_key("schedules") { "schedules" } else { "schedule" };
        let Some(Tree::List(items)) = self.filled.config.get(key) else { return None };
        let mut out = Vec::new();
        for (i, item) in items.iter().enumerate() {
            // The old single `schedule` is a list of one that has no items in the file.
            let below = if key == "schedule" { Path::of(key) } else { Path::of(key).item(i) };
            let Some(item) = self.outputs_into(item.clone(), Missing::Remove, &[], &below, true) else { continue };
            match Schedule::build(&item, self.around.now) {
                Ok(schedule) => out.push(schedule),
                Err(problems) => self.problems(problems, &below),
            }
        }
        self.problems(schedules::check_slugs(&out), &Path::of(key));
        Some(out)
    }

    fn automations(&mut self, owner: &Key) -> Vec<Automation> {
        let Some(Tree::List(items)) = self.filled.config.get("triggers") else { return Vec::new() };
        let mut out: Vec<Automation> = Vec::new();
        let mut named: BTreeMap<Option<String>, usize> = BTreeMap::new();
        for (i, item) in items.iter().enumerate() {
            let below = Path::of("triggers").item(i);
            let Some(spec) = self.trigger(item, &below) else { continue };
            match triggers::automation(&spec, &self.filled.name, i, owner) {
                Ok(made) => {
                    self.metric_on_own_server(&made, &below);
                    let name = made.name.clone().unwrap_or_else(|| format!("automation-{}", i + 1));
                    let same = named.entry(made.name.clone()).or_default();
                    *same += 1;
                    let again = if *same == 1 { String::new() } else { format!("#{same}") };
                    out.push(Automation {
                        key: Key::new(Kind::Automation, format!("{}/{name}{again}", owner.name)),
                        made,
                        origin: self.filled.place(&below),
                    });
                }
                Err(problems) => self.problems(problems, &below),
            }
        }
        out
    }

    fn metric_on_own_server(&mut self, made: &triggers::Automation, below: &Path) {
        let metric = |tree: &Tree| tree.get("type").and_then(Tree::as_str) == Some("metric");
        if self.around.slas_supported == Some(false) && made.body.any(&metric) {
            let message = "metric triggers exist on Prefect Cloud only";
            self.error("E0408", below, message, "remove it, or apply to a workspace of Prefect Cloud");
        }
    }

    /// Everything of a trigger is filled but its parameters, which may speak of the event.
    fn trigger(&mut self, item: &Tree, below: &Path) -> Option<Tree> {
        let Tree::Map(map) = item else { return Some(item.clone()) };
        let mut spec = map.clone();
        let parameters = spec.shift_remove("parameters");
        let filled = self.outputs_into(Tree::Map(spec), Missing::Remove, &[], below, true)?;
        let Tree::Map(mut spec) = filled else { return None };
        if let Some(parameters) = parameters.filter(|p| !p.is_null()) {
            for (name, places) in references(&parameters).env {
                let at = Path(below.0.iter().chain(&Path::of("parameters").0).chain(&places[0].0).cloned().collect());
                let message =
                    format!("the environment has no `{name}`, and the server takes `{{{{ ${name} }}}}` for Jinja");
                self.error("E0409", &at, message, "set it, or remove the placeholder");
            }
            spec.insert("parameters".to_owned(), parameters);
        }
        Some(Tree::Map(spec))
    }

    fn slas(&mut self, config: &Map, owner: &Key) -> Option<Tree> {
        let Some(list @ Tree::List(_)) = config.get("sla") else { return None };
        if self.around.slas_supported == Some(false) {
            self.error(
                "E0403",
                &Path::of("sla"),
                "service level agreements exist on Prefect Cloud only",
                "remove `sla`, or apply to a workspace of Prefect Cloud",
            );
            return None;
        }
        match slas::build(&plain(list), owner) {
            Ok(slas) => Some(Tree::List(slas.body)),
            Err(problems) => {
                self.problems(problems, &Path::of("sla"));
                None
            }
        }
    }

    fn version(&self, config: &Map, fields: &mut BTreeMap<String, Tree>, along: &mut BTreeMap<String, Tree>) {
        let declared = config.get("version").filter(|version| version.is_truthy()).map(plain);
        let inferred = self.around.version_info.as_ref();
        let from_flow = match self.flow {
            FlowAnswer::Known(facts, _) => facts.version.as_ref().map_or(Tree::Null, Tree::text),
            FlowAnswer::AtApply { .. } => Tree::Unknown(Unknown::AtApply),
        };
        let version = match (&declared, inferred) {
            (Some(version), _) => version.clone(),
            (None, Some(info)) => Tree::text(&info.version),
            (None, None) => from_flow,
        };
        along.insert("version_info".to_owned(), version_info(inferred, &version));
        match declared {
            Some(version) => fields.insert("version".to_owned(), version),
            None => along.insert("version".to_owned(), version),
        };
    }

    fn descriptive(&mut self, config: &Map, fields: &mut BTreeMap<String, Tree>) {
        let declared = config.get("description").filter(|d| d.is_truthy()).cloned();
        let description = match (declared, self.flow) {
            (Some(text), _) => Some(text),
            (None, FlowAnswer::Known(facts, _)) => facts.description.as_ref().filter(|d| !d.is_empty()).map(Tree::text),
            (None, FlowAnswer::AtApply { .. }) => Some(Tree::Unknown(Unknown::AtApply)),
        };
        if let Some(description) = description {
            fields.insert("description".to_owned(), description);
        }
        if let Some(tags) = config.get("tags").filter(|tags| !tags.is_null()) {
            fields.insert("tags".to_owned(), tag_list(tags));
        }
        for key in ["paused", "enforce_parameter_schema"] {
            if let Some(value) = config.get(key).filter(|value| !value.is_null()) {
                fields.insert(key.to_owned(), value.clone());
            }
        }
        let parameters = config.get("parameters").cloned().unwrap_or_else(|| Tree::Map(Map::new()));
        fields.insert("parameters".to_owned(), parameters);
    }

    fn limits(&mut self, config: &Map, fields: &mut BTreeMap<String, Tree>) {
        let Some(limit) = config.get("concurrency_limit").filter(|limit| !limit.is_null()) else { return };
        for (part, field) in [("limit", "concurrency_limit"), ("options", "concurrency_options")] {
            if let Some(value) = limit.get(part).filter(|value| !value.is_null()) {
                self.strategy(value);
                fields.insert(field.to_owned(), value.clone());
            }
        }
    }

    /// A strategy may be a template, so that it is looked at again when it is filled in.
    fn strategy(&mut self, options: &Tree) {
        let Some(strategy) = options.get("collision_strategy").map(plain) else { return };
        let Some(word) = strategy.as_str() else { return };
        if !STRATEGIES.contains(&word) {
            let message = format!("`collision_strategy` is ENQUEUE or CANCEL_NEW, not `{word}`");
            self.error("E0192", &Path::of("concurrency_limit"), message, "write `ENQUEUE` or `CANCEL_NEW`");
        }
    }

    fn infrastructure(&mut self, config: &Map, fields: &mut BTreeMap<String, Tree>) {
        fields.insert("work_pool_name".to_owned(), Tree::text(&self.filled.pool));
        let pool = config.get("work_pool");
        if let Some(queue) = pool.and_then(|pool| pool.get("work_queue_name")).filter(|queue| queue.is_truthy()) {
            let queue = plain(queue);
            // The server makes a queue that is missing, and fails without a word where it cannot have that name.
            if let Some(bad) = queue.as_str().and_then(|name| name.chars().find(|c| FORBIDDEN_IN_NAMES.contains(c))) {
                let path = Path::of("work_pool").key("work_queue_name");
                let message = format!("the queue's name holds `{bad}`");
                self.error("E0161", &path, message, "leave out / % & > and < in names");
            }
            fields.insert("work_queue_name".to_owned(), queue);
        }
        let variables = pool.and_then(|pool| pool.get("job_variables")).cloned();
        let variables = variables.filter(|v| !v.is_null()).unwrap_or_else(|| Tree::Map(Map::new()));
        self.check_job_variables(&variables);
        fields.insert("job_variables".to_owned(), variables);
    }

    fn check_job_variables(&mut self, variables: &Tree) {
        let Some(template) = self.around.base_job_template else { return };
        let Some(value) = variables.revealed(&|_| None) else { return };
        for misfit in schema_check::job_variables(&value, template, true) {
            let path = join(&Path::of("work_pool").key("job_variables"), &misfit.path);
            let message = format!("`{}` does not fit work pool `{}`: {}", path, self.filled.pool, misfit.why);
            self.error("E0404", &path, message, "the pool's base job template says what its job variables may be");
        }
    }

    fn check_parameters(&mut self, fields: &BTreeMap<String, Tree>) {
        let enforced = fields.get("enforce_parameter_schema") != Some(&Tree::Bool(false));
        let FlowAnswer::Known(facts, _) = self.flow else { return };
        let Some(parameters) = fields.get("parameters").filter(|_| enforced) else { return };
        let is_template = self.around.symbolic && super::compare::has_template(parameters);
        if is_template {
            return;
        }
        let Some(value) = parameters.revealed(&|_| None) else { return };
        let Some(value) = schema_check::hydrated(&value) else { return };
        for misfit in schema_check::parameters(&value, &facts.schema) {
            let path = join(&Path::of("parameters"), &misfit.path);
            let message = format!("`{path}` does not fit the flow `{}`: {}", facts.name, misfit.why);
            self.error("E0405", &path, message, "correct it, or write `enforce_parameter_schema: false`");
        }
    }

    fn parameter_schema(&self) -> Tree {
        match self.flow {
            FlowAnswer::Known(_, schema) => schema.clone(),
            FlowAnswer::AtApply { .. } => Tree::Unknown(Unknown::AtApply),
        }
    }

    /// `pull: []` is no steps; `pull: null` and `pull: {}` are those of the file, if it has any (`_core.py`).
    fn pull_steps(&mut self) -> Tree {
        let selected = &self.filled.selected;
        let steps = match (&selected.declaration.actions.pull, &selected.file_actions.pull) {
            (Steps::List(steps), _) | (Steps::Unset, Steps::List(steps)) => Tree::List(steps.clone()),
            (Steps::Nothing, Steps::List(steps)) if !steps.is_empty() => Tree::List(steps.clone()),
            (Steps::Nothing | Steps::Unset, _) => self.default_pull(),
        };
        let below = Path::of("pull");
        // Outputs fill what they can; blocks, variables and unset environment variables are left to the worker.
        if !may_refer(&steps) {
            return steps;
        }
        self.outputs_into(steps.clone(), Missing::Keep, &[], &below, false).unwrap_or(steps)
    }

    /// What the worker does when nobody says where the code is (`prefect/cli/deploy/_actions.py`).
    fn default_pull(&mut self) -> Tree {
        const BUILD: &str = "prefect_docker.deployments.steps.build_docker_image";
        let own = self.filled.selected.declaration.actions.build.list();
        let build = if own.is_empty() { self.filled.selected.file_actions.build.list() } else { own };
        if let Some(step) = build.iter().find_map(|step| step.get(BUILD)) {
            return match step.get("dockerfile").and_then(Tree::as_str) {
                Some("auto") => directory_step(&format!("/opt/prefect/{}", base_name(&self.around.directory))),
                _ => Tree::List(Vec::new()),
            };
        }
        // As it is before step outputs: a placeholder that will come to nothing is an image all the same.
        let image =
            self.filled.config.get("work_pool").and_then(|pool| pool.get("job_variables")).and_then(|v| v.get("image"));
        if image.is_some_and(Tree::is_truthy) {
            let path = Path::of("work_pool").key("job_variables").key("image");
            let diagnostic = Diagnostic::warning("W0165", "no pull step says where the image holds the flow's code")
                .at(self.filled.place(&path), "the directory /opt/prefect is taken")
                .help("add `pull: [{ prefect.deployments.steps.set_working_directory: { directory: /app } }]`");
            self.diagnostics.push(diagnostic);
            return directory_step("/opt/prefect");
        }
        match &self.around.clone {
            Some(step) => Tree::List(vec![step.clone()]),
            None => directory_step(&self.around.directory),
        }
    }

    fn replaces(&self, flow: &str) -> Option<Replaces> {
        let lifecycle = &self.filled.selected.declaration.lifecycle;
        let old = lifecycle.get("replaces").and_then(Tree::as_str)?;
        Some(Replaces {
            key: Key::deployment(flow, old),
            adopt: lifecycle.get("adopt") == Some(&Tree::Bool(true)),
            origin: self.filled.place(&Path::of("lifecycle").key("replaces")),
        })
    }

    fn ignored(&self) -> BTreeSet<String> {
        let list = self.filled.selected.declaration.lifecycle.get("ignore_drift");
        list.and_then(Tree::as_list).unwrap_or_default().iter().filter_map(|t| t.as_str().map(str::to_owned)).collect()
    }

    fn problems(&mut self, problems: Vec<Problem>, below: &Path) {
        for problem in problems {
            let origin = self.filled.place(&join(below, &problem.path));
            self.diagnostics.push(problem.at(origin));
        }
    }

    fn error(&mut self, code: &'static str, path: &Path, message: impl Into<String>, help: impl Into<String>) {
        let origin = self.filled.place(path);
        self.diagnostics.push(Diagnostic::error(code, message).at(origin, "").help(help));
    }
}

fn clone_pair((key, value): (&String, &Tree)) -> (String, Tree) {
    (key.clone(), value.clone())
}

fn join(above: &Path, below: &Path) -> Path {
    Path(above.0.iter().chain(&below.0).cloned().collect())
}

/// Tags as text: Prefect prints what is not text the way Python does, and drops what is blank.
fn tag_list(tags: &Tree) -> Tree {
    let blank = |tag: &Tree| tag.as_str().is_some_and(|text| text.trim().is_empty());
    match tags {
        Tree::List(items) => Tree::List(items.iter().map(crate::render::as_text).filter(|tag| !blank(tag)).collect()),
        Tree::Unknown(_) => tags.clone(),
        other => Tree::List(vec![crate::render::as_text(other)]),
    }
}

fn directory_step(directory: &str) -> Tree {
    let inputs = Map::from([("directory".to_owned(), Tree::text(directory))]);
    Tree::List(vec![Tree::Map(Map::from([(
        "prefect.deployments.steps.set_working_directory".to_owned(),
        Tree::Map(inputs),
    )]))])
}

fn base_name(directory: &str) -> String {
    RepoPath::new(directory).file_name().to_owned()
}

fn version_info(inferred: Option<&VersionInfo>, version: &Tree) -> Tree {
    match inferred {
        Some(info) => {
            let fields = info.fields().into_iter();
            let mut map: Map = fields.map(|(name, value)| (name.to_owned(), Tree::text(value))).collect();
            map.insert("version".to_owned(), version.clone());
            Tree::Map(map)
        }
        None => {
            let version = if version.is_null() { Tree::text("") } else { version.clone() };
            Tree::Map(Map::from([("type".to_owned(), Tree::text("prefect:simple")), ("version".to_owned(), version)]))
        }
    }
}
