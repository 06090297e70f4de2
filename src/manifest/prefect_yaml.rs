//! `prefect.yaml` → declarations: the keys and values that `prefect deploy` reads, each problem with its place.
//!
//! Shape: `prefect/cli/deploy/_models.py` and `_config.py` (3.8.8). Templates are not filled here.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::model::{Map, Origin, Path, RepoPath, Seg, Tree};

use super::coerce::source_text;
use super::node::{Node, Value};
use super::problem::Problem;
use super::schedules::check;
use super::{json_mode, lax, limits, slas, triggers};

/// The steps of one action, as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Steps {
    /// Nothing is said: what the level above says holds.
    Unset,
    /// `null` or `{}`: no build or push steps; the default pull step.
    Nothing,
    /// These steps, possibly none.
    List(Vec<Tree>),
}

impl Steps {
    /// The steps to run; none when nothing is said.
    pub fn list(&self) -> &[Tree] {
        match self {
            Steps::List(steps) => steps,
            Steps::Unset | Steps::Nothing => &[],
        }
    }
}

/// `build`, `push` and `pull` of a file or of one declaration.
#[derive(Clone, Debug, PartialEq)]
pub struct Actions {
    /// Steps that run when deploying, first.
    pub build: Steps,
    /// Steps that run when deploying, after `build`.
    pub push: Steps,
    /// Steps that are stored for the worker.
    pub pull: Steps,
}

/// One item of `deployments:`.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// The file it stands in.
    pub file: RepoPath,
    /// The item itself, for the places of its parts.
    pub node: Node,
    /// The keys that were given, checked and coerced, dates as text: what the passes of template filling work on.
    pub config: Map,
    /// Its own `build`, `push` and `pull`.
    pub actions: Actions,
    /// `lifecycle:` as written, for the planner.
    pub lifecycle: Map,
}

impl Declaration {
    /// Where it stands.
    pub fn origin(&self) -> Origin {
        self.node.origin(&self.file)
    }

    /// Where a part of it stands, or the nearest thing above that part.
    pub fn origin_of(&self, path: &Path) -> Origin {
        self.node.nearest(path).origin(&self.file)
    }

    /// Its name as written, before templates.
    pub fn name(&self) -> Option<&str> {
        self.config.get("name").and_then(Tree::as_str)
    }

    /// Its entrypoint as written, before templates.
    pub fn entrypoint(&self) -> Option<&str> {
        self.config.get("entrypoint").and_then(Tree::as_str)
    }
}

/// A whole file.
#[derive(Clone, Debug)]
pub struct PrefectFile {
    /// Its path.
    pub path: RepoPath,
    /// The directory that its relative paths start from.
    pub dir: RepoPath,
    /// Actions of the whole file.
    pub actions: Arc<Actions>,
    /// Where its `pull` stands.
    pub pull: Option<Origin>,
    /// The deployments it declares, in order.
    pub declarations: Vec<Arc<Declaration>>,
}

pub(super) const ROOT_KEYS: [&str; 6] = ["prefect-version", "name", "build", "push", "pull", "deployments"];

/// Root keys that Prefect's own starter files carry and that mean nothing to `prefect deploy`.
pub(super) const QUIET_ROOT_KEYS: [&str; 4] = ["description", "required_inputs", "definitions", "prefect_version"];

pub(super) const DECLARATION_KEYS: [&str; 19] = [
    "name",
    "version",
    "version_type",
    "tags",
    "description",
    "schedule",
    "schedules",
    "paused",
    "concurrency_limit",
    "flow_name",
    "entrypoint",
    "parameters",
    "enforce_parameter_schema",
    "work_pool",
    "triggers",
    "sla",
    "build",
    "push",
    "pull",
];

pub(super) const LIFECYCLE_KEYS: [&str; 4] = ["prune", "ignore_drift", "adopt", "replaces"];

pub(super) const WORK_POOL_KEYS: [&str; 3] = ["name", "work_queue_name", "job_variables"];

/// What `version_type` may say.
pub const VERSION_TYPES: [&str; 6] =
    ["prefect:simple", "vcs:github", "vcs:gitlab", "vcs:bitbucket", "vcs:azuredevops", "vcs:git"];

/// So many problems of one value are told.
const MOST_PROBLEMS: usize = 1000;

/// Reads a whole file. `root` is its parsed text `text`; every problem is reported, none is thrown.
pub fn read(path: &RepoPath, dir: &RepoPath, root: Node, text: &str) -> (PrefectFile, Vec<Diagnostic>) {
    let mut reader = Reader { file: path.clone(), text, diagnostics: Vec::new() };
    let file = reader.file(dir, root);
    (file, reader.diagnostics)
}

struct Reader<'a> {
    file: RepoPath,
    text: &'a str,
    diagnostics: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn file(&mut self, dir: &RepoPath, root: Node) -> PrefectFile {
        if !matches!(root.value, Value::Map(_)) {
            self.error(
                "E0140",
                &root,
                format!("the file holds {}, not a mapping", root.value.type_name()),
                "start with `deployments:` and a list of deployments below it",
            );
        }
        self.root_keys(&root);
        let actions = Arc::new(self.actions(&root, true));
        let pull = root.get("pull").map(|node| node.origin(&self.file));
        let declarations = match root.into_value("deployments") {
            Some(node) => self.declarations(node),
            None => Vec::new(),
        };
        PrefectFile { path: self.file.clone(), dir: dir.clone(), actions, pull, declarations }
    }

    fn root_keys(&mut self, root: &Node) {
        for key in ["prefect-version", "prefect_version", "name"] {
            if let Some(node) = root.get(key).filter(|node| !node.is_null()) {
                self.text_or_null(key, node);
            }
        }
        for (key, _) in root.entries() {
            let Some(word) = key.as_str() else { continue };
            if ROOT_KEYS.contains(&word) || QUIET_ROOT_KEYS.contains(&word) {
                continue;
            }
            self.unknown_key(key, word, &ROOT_KEYS, "at the top of a prefect.yaml");
        }
    }

    fn unknown_key(&mut self, key: &Node, word: &str, known: &[&'static str], place: &str) {
        let help = did_you_mean(word, known.iter().copied())
            .unwrap_or_else(|| format!("remove it; keys known here are {}", known.join(", ")));
        self.warning("W0141", key, format!("`{word}` means nothing {place} and is ignored"), help);
    }

    fn declarations(&mut self, node: Node) -> Vec<Arc<Declaration>> {
        let Value::List(items) = node.value else {
            let found = node.value.type_name();
            self.error(
                "E0142",
                &node,
                format!("`deployments` must be a list, not {found}"),
                "write each deployment as an item that starts with `- name:`",
            );
            return Vec::new();
        };
        items.into_iter().map(|item| Arc::new(self.declaration(item))).collect()
    }

    fn declaration(&mut self, node: Node) -> Declaration {
        if !matches!(node.value, Value::Map(_)) {
            self.error(
                "E0142",
                &node,
                format!("a deployment must be a mapping, not {}", node.value.type_name()),
                "write `- name: my-deployment` with its other keys below",
            );
        }
        self.declaration_keys(&node);
        let mut config = Map::new();
        for (key, value) in node.entries() {
            let Some(word) = key.as_str() else { continue };
            if let Some(tree) = self.field(word, value) {
                config.insert(word.to_owned(), tree);
            }
        }
        self.one_kind_of_schedule(&node);
        let actions = self.actions(&node, false);
        for (name, steps) in [("build", &actions.build), ("push", &actions.push), ("pull", &actions.pull)] {
            if let Some(tree) = written_steps(steps) {
                config.insert(name.to_owned(), tree);
            }
        }
        let lifecycle = self.lifecycle(&node);
        Declaration { file: self.file.clone(), node, config, actions, lifecycle }
    }

    fn declaration_keys(&mut self, node: &Node) {
        for (key, _) in node.entries() {
            let Some(word) = key.as_str() else {
                self.warning("W0141", key, "a key that is not text means nothing here and is ignored", "remove it");
                continue;
            };
            if DECLARATION_KEYS.contains(&word) || word == "lifecycle" {
                continue;
            }
            match legacy_key(word) {
                Some(help) => self.warning(
                    "W0143",
                    key,
                    format!("`{word}` is a spelling of Prefect 2 that Prefect 3 ignores in a deployment"),
                    help,
                ),
                None => self.unknown_key(key, word, &DECLARATION_KEYS, "in a deployment"),
            }
        }
    }

    /// One key of a declaration: its checked and coerced value, or nothing when it is not ours to keep.
    fn field(&mut self, word: &str, node: &Node) -> Option<Tree> {
        match word {
            "name" | "version" => Some(self.text_or_number(word, node)),
            "version_type" => Some(self.version_type(node)),
            "description" | "flow_name" | "entrypoint" => Some(self.text_or_null(word, node)),
            "tags" => Some(self.tags(node)),
            "schedule" => self.schedule(node),
            "schedules" => Some(self.schedules(node)),
            "paused" | "enforce_parameter_schema" => self.yes_or_no(word, node),
            "concurrency_limit" => self.limit(node),
            "parameters" => Some(self.free_mapping(word, node)),
            "work_pool" => Some(self.work_pool(node)),
            "triggers" => self.triggers(node),
            "sla" => self.slas(node),
            _ => None,
        }
    }

    fn limit(&mut self, node: &Node) -> Option<Tree> {
        let (limit, problems) = limits::read(node);
        self.report(node, problems);
        limit.map(|limit| limit.to_tree())
    }

    fn triggers(&mut self, node: &Node) -> Option<Tree> {
        self.report(node, triggers::check_triggers(node));
        Some(self.free(node))
    }

    fn slas(&mut self, node: &Node) -> Option<Tree> {
        let (tree, problems) = slas::check(node);
        self.report(node, problems);
        Some(tree)
    }

    /// Problems that another file of this room found, at their places: errors first, and no more than anyone reads,
    /// since a place is found by going through the mappings around it.
    fn report(&mut self, node: &Node, mut problems: Vec<Problem>) {
        if problems.len() > MOST_PROBLEMS {
            problems.sort_by_key(|problem| problem.code.starts_with('W'));
            problems.truncate(MOST_PROBLEMS);
        }
        for problem in problems {
            // What counts for nothing is the key, whatever its value.
            let node = match problem.code {
                "W0190" | "W0192" | "W0193" => node.nearest_key(&problem.path),
                _ => node.nearest(&problem.path),
            };
            self.diagnostics.push(problem.at(node.origin(&self.file)));
        }
    }

    /// A free-form value as the JSON that Prefect makes of it.
    fn free(&mut self, node: &Node) -> Tree {
        match json_mode::tree(&self.file, node) {
            Ok(tree) => tree,
            Err(problems) => {
                self.diagnostics.extend(problems);
                Tree::Null
            }
        }
    }

    fn text_or_null(&mut self, word: &str, node: &Node) -> Tree {
        match &node.value {
            Value::Null => Tree::Null,
            Value::Text(text) => Tree::text(text),
            other => {
                let help = match source_text(node, self.text) {
                    Some(source) => format!("quote it: `{word}: \"{source}\"`"),
                    None => format!("write text after `{word}:`"),
                };
                self.error("E0144", node, format!("`{word}` must be text, not {}", other.type_name()), help);
                Tree::Null
            }
        }
    }

    /// Prefect 2 took `version: 1.0` and `name: 2024`; Prefect 3 refuses them. The text as written is meant.
    fn text_or_number(&mut self, word: &str, node: &Node) -> Tree {
        match source_text(node, self.text) {
            Some(source) => {
                let source = source.to_owned();
                self.warning(
                    "W0145",
                    node,
                    format!("`{word}: {source}` is not text; it is taken as \"{source}\""),
                    format!("quote it, since `prefect deploy` refuses it: `{word}: \"{source}\"`"),
                );
                Tree::Text(source)
            }
            None => self.text_or_null(word, node),
        }
    }

    fn version_type(&mut self, node: &Node) -> Tree {
        let tree = self.text_or_null("version_type", node);
        if let Some(word) = tree.as_str()
            && !VERSION_TYPES.contains(&word)
            && !word.contains("{{")
        {
            let help = did_you_mean(word, VERSION_TYPES)
                .unwrap_or_else(|| format!("use one of {}, or leave it out", VERSION_TYPES.join(", ")));
            self.error("E0146", node, format!("`{word}` is not a version type"), help);
        }
        tree
    }

    fn tags(&mut self, node: &Node) -> Tree {
        match &node.value {
            Value::List(items) => Tree::List(items.iter().map(|item| self.tag(item)).collect()),
            Value::Null => {
                self.warning("W0147", node, "`tags` is empty and is taken as no tags", "remove it or write `tags: []`");
                Tree::List(Vec::new())
            }
            Value::Text(text) if text.contains("{{") => Tree::text(text),
            Value::Text(text) => {
                self.warning(
                    "W0147",
                    node,
                    format!("`tags` is one text; it is taken as the one tag `{text}`"),
                    format!("write `tags: [\"{text}\"]`, since `prefect deploy` would make a tag of every letter"),
                );
                Tree::List(vec![Tree::text(text)])
            }
            other => {
                let found = other.type_name();
                self.error("E0147", node, format!("`tags` must be a list, not {found}"), "write `tags: [one, two]`");
                Tree::List(Vec::new())
            }
        }
    }

    fn tag(&mut self, item: &Node) -> Tree {
        self.free(item)
    }

    fn yes_or_no(&mut self, word: &str, node: &Node) -> Option<Tree> {
        if node.is_null() {
            return Some(Tree::Null);
        }
        let found = lax::scalar(node).and_then(|scalar| lax::boolean(&scalar));
        if found.is_none() {
            let why = match node.as_str() {
                Some(text) if text.contains("{{") => "cannot be a template; it must be true or false".to_owned(),
                _ => format!("must be true or false, not {}", node.value.type_name()),
            };
            self.error("E0148", node, format!("`{word}` {why}"), format!("write `{word}: true` or `{word}: false`"));
        }
        found.map(Tree::Bool)
    }

    /// `parameters` and `job_variables`: any mapping with text keys.
    fn free_mapping(&mut self, word: &str, node: &Node) -> Tree {
        if !matches!(node.value, Value::Map(_)) {
            self.error(
                "E0149",
                node,
                format!("`{word}` must be a mapping, not {}", node.value.type_name()),
                format!("write `{word}: {{}}` or remove it"),
            );
            return Tree::Map(Map::new());
        }
        for (key, _) in node.entries().iter().filter(|(key, _)| key.as_str().is_none()) {
            let found = key.value.type_name();
            let source = source_text(key, self.text).unwrap_or("key").to_owned();
            self.error(
                "E0149",
                key,
                format!("a key of `{word}` must be text, not {found}"),
                format!("quote it: `\"{source}\":`"),
            );
        }
        self.free(node)
    }

    fn work_pool(&mut self, node: &Node) -> Tree {
        match &node.value {
            Value::Map(_) => {}
            Value::Null => {
                self.warning("W0150", node, "`work_pool` is empty", "name a pool below it: `name: my-pool`");
                return Tree::Map(Map::new());
            }
            other => {
                let help = match node.as_str() {
                    Some(name) => format!("write `work_pool: {{ name: {name} }}`"),
                    None => "write `work_pool:` with `name: my-pool` below it".to_owned(),
                };
                self.error("E0150", node, format!("`work_pool` must be a mapping, not {}", other.type_name()), help);
                return Tree::Map(Map::new());
            }
        }
        let mut pool = Map::new();
        for (key, value) in node.entries() {
            match key.as_str() {
                Some(word @ ("name" | "work_queue_name")) => {
                    pool.insert(word.to_owned(), self.text_or_null(word, value));
                }
                Some("job_variables") => {
                    pool.insert("job_variables".to_owned(), self.free_mapping("job_variables", value));
                }
                Some("infra_overrides") => self.warning(
                    "W0143",
                    key,
                    "`infra_overrides` is a spelling of Prefect 2 that Prefect 3 ignores",
                    "rename it to `job_variables`",
                ),
                Some(word) => self.unknown_key(key, word, &WORK_POOL_KEYS, "in `work_pool`"),
                None => {}
            }
        }
        Tree::Map(pool)
    }

    /// The old single `schedule:` is a list of one; `{}` and null mean none.
    fn schedule(&mut self, node: &Node) -> Option<Tree> {
        let file = self.file.clone();
        let checked = check::schedule(node, &|value| json_mode::tree(&file, value).unwrap_or(Tree::Null));
        self.report(node, checked.problems);
        checked.value.is_truthy().then(|| Tree::List(vec![checked.value]))
    }

    fn schedules(&mut self, node: &Node) -> Tree {
        let file = self.file.clone();
        let checked = check::schedules(node, &|value| json_mode::tree(&file, value).unwrap_or(Tree::Null));
        self.report(node, checked.problems);
        checked.value
    }

    fn one_kind_of_schedule(&mut self, node: &Node) {
        let (Some((key, old)), Some((new, _))) = (node.entry("schedule"), node.entry("schedules")) else { return };
        let said = !old.is_null() && !matches!(&old.value, Value::Map(entries) if entries.is_empty());
        if said {
            let diagnostic = Diagnostic::error("E0181", "both `schedule` and `schedules` are given")
                .at(key.origin(&self.file), "this one is the old spelling")
                .at(new.origin(&self.file), "this one is the list")
                .help("move the single schedule into `schedules`");
            self.diagnostics.push(diagnostic);
        }
    }

    fn lifecycle(&mut self, node: &Node) -> Map {
        let Some(lifecycle) = node.get("lifecycle") else { return Map::new() };
        if !matches!(lifecycle.value, Value::Map(_)) {
            self.error(
                "E0152",
                lifecycle,
                format!("`lifecycle` must be a mapping, not {}", lifecycle.value.type_name()),
                "write `lifecycle: { prune: false }`",
            );
            return Map::new();
        }
        for (key, _) in lifecycle.entries() {
            let word = key.as_str().unwrap_or_default().to_owned();
            if !LIFECYCLE_KEYS.contains(&word.as_str()) {
                let help = did_you_mean(&word, LIFECYCLE_KEYS)
                    .unwrap_or_else(|| format!("use one of {}", LIFECYCLE_KEYS.join(", ")));
                self.error("E0152", key, format!("`{word}` is not a key of `lifecycle`"), help);
            }
        }
        if let Some(old) = lifecycle.get("replaces") {
            let name = old.as_str().unwrap_or_default();
            if name.is_empty() || name.contains(['/', '%', '&', '>', '<']) {
                let message = "`replaces` is the name that the deployment had before, without its flow";
                self.error("E0152", old, message.to_owned(), "write `lifecycle: { replaces: old-name }`");
            }
        }
        match self.free(lifecycle) {
            Tree::Map(map) => map,
            _ => Map::new(),
        }
    }

    fn actions(&mut self, holder: &Node, root: bool) -> Actions {
        let mut steps = |name| match holder.get(name) {
            Some(node) => self.steps(name, node, root),
            None => Steps::Unset,
        };
        Actions { build: steps("build"), push: steps("push"), pull: steps("pull") }
    }

    fn steps(&mut self, name: &str, node: &Node, root: bool) -> Steps {
        match &node.value {
            Value::Null => Steps::Nothing,
            Value::Map(entries) if entries.is_empty() => Steps::Nothing,
            Value::Map(_) => Steps::List(self.step(name, node, root).into_iter().collect()),
            Value::List(items) => Steps::List(items.iter().filter_map(|item| self.step(name, item, root)).collect()),
            other => {
                self.error(
                    "E0153",
                    node,
                    format!("`{name}` must be a list of steps, not {}", other.type_name()),
                    format!("write `{name}: []` for no steps, or a list of `- package.step: {{inputs}}`"),
                );
                Steps::Nothing
            }
        }
    }

    fn step(&mut self, list: &str, node: &Node, root: bool) -> Option<Tree> {
        if !matches!(node.value, Value::Map(_)) {
            self.error(
                "E0154",
                node,
                format!("a step of `{list}` must be a mapping, not {}", node.value.type_name()),
                "write `- package.module.step: { input: value }`",
            );
            return None;
        }
        if node.entries().is_empty() {
            // Prefect steps over an empty mapping, and keeps it in the stored pull steps.
            return Some(Tree::Map(Map::new()));
        }
        self.step_name(list, node);
        if root && let Some((path, date)) = first_date(node, &mut Vec::new()) {
            self.error(
                "E0155",
                date,
                format!("`{}` is a date, which a step at the top of the file cannot take", Path(path)),
                "quote it",
            );
            return None;
        }
        Some(self.free(node))
    }

    fn step_name(&mut self, list: &str, node: &Node) {
        for (key, _) in node.entries().iter().skip(1) {
            let word = key.as_str().unwrap_or("?").to_owned();
            let diagnostic = Diagnostic::warning("W0156", format!("`{word}` stands beside the step, not below it"))
                .at(key.origin(&self.file), "")
                .help("indent the inputs of a step below its name; a step has one name");
            // Only steps that run here fail because of it; pull steps are stored as they are.
            self.diagnostics.push(if list == "pull" { diagnostic } else { as_error(diagnostic) });
        }
        let Some((key, inputs)) = node.entries().first() else { return };
        if key.as_str().is_none() {
            self.error("E0154", key, "the name of a step must be text", "write `package.module.step:`");
        }
        let is_mapping = matches!(inputs.value, Value::Map(_));
        if !is_mapping && list != "pull" && !inputs.is_null() {
            let found = inputs.value.type_name();
            self.error("E0154", inputs, format!("the inputs of a step must be a mapping, not {found}"), "write `{}`");
        }
    }

    fn error(&mut self, code: &'static str, node: &Node, message: impl Into<String>, help: impl Into<String>) {
        let origin = node.origin(&self.file);
        self.diagnostics.push(Diagnostic::error(code, message).at(origin, "").help(help));
    }

    fn warning(&mut self, code: &'static str, node: &Node, message: impl Into<String>, help: impl Into<String>) {
        let origin = node.origin(&self.file);
        self.diagnostics.push(Diagnostic::warning(code, message).at(origin, "").help(help));
    }
}

fn as_error(diagnostic: Diagnostic) -> Diagnostic {
    Diagnostic { severity: crate::diagnostic::Severity::Error, code: "E0156", ..diagnostic }
}

/// What a declaration's `build`, `push` or `pull` looks like to template filling.
fn written_steps(steps: &Steps) -> Option<Tree> {
    match steps {
        Steps::Unset => None,
        Steps::Nothing => Some(Tree::Null),
        Steps::List(list) => Some(Tree::List(list.clone())),
    }
}

/// Keys of Prefect 2 that Prefect 3 drops without a word, and what to write instead.
fn legacy_key(word: &str) -> Option<&'static str> {
    Some(match word {
        "is_schedule_active" => "write `active: false` in each schedule, or `paused: true`",
        "infra_overrides" | "job_variables" => "move it below `work_pool` as `job_variables`",
        "work_queue_name" => "move it below `work_pool`",
        "work_pool_name" => "write `work_pool: { name: … }`",
        "timezone" | "active" | "day_or" | "anchor_date" | "cron" | "interval" | "rrule" => {
            "move it into an item of `schedules`"
        }
        "is_paused" => "write `paused`",
        "infrastructure" | "infra" | "storage" | "path" | "job_configuration" | "flow_location" | "manifest_path" => {
            "remove it; the work pool says where a flow runs and `pull` where its code is"
        }
        _ => return None,
    })
}

/// The first date below a step: steps at the top of the file are not turned to JSON before they are filled.
fn first_date<'a>(node: &'a Node, path: &mut Vec<Seg>) -> Option<(Vec<Seg>, &'a Node)> {
    match &node.value {
        Value::Date(_) | Value::Naive(_) | Value::Aware(..) | Value::Bytes(_) | Value::Set(_) => {
            Some((path.clone(), node))
        }
        Value::List(items) => items.iter().enumerate().find_map(|(i, item)| {
            path.push(Seg::Item(i.to_string()));
            let found = first_date(item, path);
            path.pop();
            found
        }),
        Value::Map(entries) => entries.iter().find_map(|(key, value)| {
            path.push(Seg::Key(key.as_str().unwrap_or("?").to_owned()));
            let found = first_date(value, path);
            path.pop();
            found
        }),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => None,
    }
}
