//! Where each value of an object comes from: a place in a file, a flag, the flow, a setting, or a default.

mod objects;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map as Json, Value};

use crate::manifest::node::Node;
use crate::manifest::prefect_yaml::{Declaration, Steps};
use crate::model::plan::LeftToPython;
use crate::model::{Key, Kind, Map, Origin, Path, Seg, Tree};
use crate::plan::desire::FlowAnswer;
use crate::plan::resolve::Filled;
use crate::plan::schedules::label;
use crate::plan::want::{Deployment, Write};
use crate::render::references;
use crate::resource::Compare;
use crate::resource::deployment::{FIELDS, create_body};

use super::{Decided, Pass};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// It is written in a file of declarations.
    File,
    /// It was given on the command line.
    Flag,
    /// It follows from the flow's code.
    Flow,
    /// Python says it when applying.
    Python,
    /// The version of the commit or of the CI's environment.
    Version,
    /// It follows from where the file lies.
    Place,
    /// A setting of Prefect.
    Setting,
    /// Nobody says anything.
    Default,
}

impl Provenance {
    /// The word for machines.
    pub fn word(self) -> &'static str {
        match self {
            Provenance::File => "file",
            Provenance::Flag => "flag",
            Provenance::Flow => "flow",
            Provenance::Python => "python",
            Provenance::Version => "version",
            Provenance::Place => "place",
            Provenance::Setting => "setting",
            Provenance::Default => "default",
        }
    }

    /// The words for people; files are named by their place.
    pub fn phrase(self) -> &'static str {
        match self {
            Provenance::File => "file",
            Provenance::Flag => "command line",
            Provenance::Flow => "the flow",
            Provenance::Python => "known at apply, from Python",
            Provenance::Version => "the commit or the CI's environment",
            Provenance::Place => "where the file lies",
            Provenance::Setting => "PREFECT_DEFAULT_WORK_POOL_NAME",
            Provenance::Default => "default",
        }
    }
}

/// One value of an object.
#[derive(Clone, Debug)]
pub struct Row {
    /// Where in the body.
    pub path: Path,
    /// The value; secrets are sealed.
    pub value: Tree,
    /// Where it comes from.
    pub from: Provenance,
    /// The place, if it is in a file.
    pub origin: Option<Origin>,
    /// What its template refers to: `environment TOKEN`, `block secret/x`, `variable y`, `output z`.
    pub refers: Vec<String>,
}

/// An object as it would be sent.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The whole body, as for a new object, secrets masked.
    pub body: Value,
    /// The fields that would be sent to change the object that exists; `None` where nothing of it is changed.
    pub patch: Option<Value>,
    /// Its values.
    pub rows: Vec<Row>,
    /// What only Python can tell of it.
    pub left_to_python: Vec<LeftToPython>,
}

/// Renders a declared object; `None` if nothing of that name is declared.
pub fn render(pass: &Pass<'_>, decided: &Decided, key: &Key, now: Timestamp) -> Option<Rendered> {
    match key.kind {
        Kind::Deployment => {
            let wanted = decided.desired.deployments.get(key)?;
            let filled = filled_of(pass, wanted)?;
            Some(Look { pass, wanted, filled, now }.deployment(decided))
        }
        Kind::Automation => automation(decided, key).or_else(|| objects::render(pass, decided, key)),
        Kind::Flow => {
            let wanted = decided.desired.deployments.values().find(|wanted| wanted.flow == key.name)?;
            let filled = filled_of(pass, wanted)?;
            let from = Look { pass, wanted, filled, now }.of_flow();
            let row = Row { path: Path::of("name"), value: Tree::text(&key.name), ..from };
            let left_to_python = pass.flows.left_to_python(filled);
            let body = serde_json::json!({ "name": key.name });
            Some(Rendered { body, patch: None, rows: vec![row], left_to_python })
        }
        Kind::BlockType
        | Kind::Block
        | Kind::Variable
        | Kind::WorkPool
        | Kind::WorkQueue
        | Kind::ConcurrencyLimit
        | Kind::TagConcurrencyLimit => objects::render(pass, decided, key),
    }
}

/// The names of what can be rendered.
pub fn names(decided: &Decided, kind: Kind) -> Vec<String> {
    let all = decided.desired.deployments.values();
    let objects = decided.desired.objects.keys().filter(|key| key.kind == kind).map(|key| key.name.clone());
    match kind {
        Kind::Deployment => all.map(|wanted| wanted.key.name.clone()).collect(),
        Kind::Automation => {
            let of_triggers = all.flat_map(|wanted| &wanted.automations).map(|made| made.key.name.clone());
            of_triggers.chain(objects).collect()
        }
        Kind::Flow => {
            all.map(|wanted| wanted.flow.clone()).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
        }
        Kind::BlockType
        | Kind::Block
        | Kind::Variable
        | Kind::WorkPool
        | Kind::WorkQueue
        | Kind::ConcurrencyLimit
        | Kind::TagConcurrencyLimit => objects.collect(),
    }
}

fn filled_of<'a>(pass: &'a Pass<'_>, wanted: &Deployment) -> Option<&'a Filled> {
    pass.filled.iter().rfind(|filled| filled.selected.declaration.origin() == wanted.origin)
}

fn automation(decided: &Decided, key: &Key) -> Option<Rendered> {
    let all = decided.desired.deployments.values().flat_map(|wanted| &wanted.automations);
    let wanted = all.into_iter().find(|automation| automation.key == *key)?;
    let owner = decided.planned.ids.get(&wanted.made.owner).cloned();
    let writes = decided.planned.writes.get(key).into_iter().flatten();
    let replaced = writes.into_iter().find_map(|write| match write {
        Write::ReplaceAutomation { made, .. } => Some(made),
        _ => None,
    });
    let made = replaced.map_or(&wanted.made, |made| made);
    let body = made.complete(owner.as_deref().unwrap_or_default());
    let row = |name: &String, value: &Tree| Row {
        path: Path::of(name),
        value: value.clone(),
        from: Provenance::File,
        origin: Some(wanted.origin.clone()),
        refers: Vec::new(),
    };
    let rows = body.as_map().into_iter().flatten().map(|(name, value)| row(name, value)).collect();
    let patch = replaced.map(|_| body.masked());
    Some(Rendered { body: body.masked(), patch, rows, left_to_python: Vec::new() })
}

/// One deployment under the lens.
struct Look<'a> {
    pass: &'a Pass<'a>,
    wanted: &'a Deployment,
    filled: &'a Filled,
    now: Timestamp,
}

impl Look<'_> {
    fn deployment(&self, decided: &Decided) -> Rendered {
        let mut declared: Json<String, Value> = Json::new();
        for (name, value) in self.wanted.fields.iter().chain(&self.wanted.along) {
            declared.insert(name.clone(), value.masked());
        }
        let schedules = self.wanted.schedules.iter().flatten();
        let schedules: Vec<Tree> = schedules.map(|schedule| schedule.create_body(self.now)).collect();
        let flow = Tree::IdOf(Key::new(Kind::Flow, &self.wanted.flow)).masked();
        let body = create_body(
            &self.wanted.name,
            flow.as_str().unwrap_or_default(),
            &declared,
            schedules.iter().map(Tree::masked).collect(),
        );
        let left_to_python = self.pass.flows.left_to_python(self.filled);
        Rendered { body, patch: self.patch(decided), rows: self.rows(&schedules), left_to_python }
    }

    fn patch(&self, decided: &Decided) -> Option<Value> {
        let mut writes = decided.planned.writes.get(&self.wanted.key).into_iter().flatten();
        writes.find_map(|write| match write {
            Write::UpdateDeployment { patch, .. } => {
                Some(Value::Object(patch.iter().map(|(name, value)| (name.clone(), value.masked())).collect()))
            }
            _ => None,
        })
    }

    fn rows(&self, schedules: &[Tree]) -> Vec<Row> {
        let mut rows = vec![self.row(Path::of("name"), Path::of("name"), Tree::text(&self.wanted.name))];
        for field in &FIELDS {
            let value = self.wanted.fields.get(field.name).or_else(|| self.wanted.along.get(field.name));
            let path = Path::of(field.name);
            let written = written_at(field.name);
            match (value, field.compare) {
                (None, _) => {
                    rows.push(Row { path, value: Tree::from(field.default_value()), ..plain(Provenance::Default) })
                }
                (Some(Tree::Map(map)), Compare::Keys) if !map.is_empty() => {
                    self.leaves(&path, &written, map, &mut rows)
                }
                (Some(value), _) => rows.push(self.row(path, written, value.clone())),
            }
        }
        let config = &self.filled.selected.declaration.config;
        let key = if config.contains_key("schedules") { "schedules" } else { "schedule" };
        for (i, (schedule, body)) in self.wanted.schedules.iter().flatten().zip(schedules).enumerate() {
            let written = if key == "schedule" { Path::of(key) } else { Path::of(key).item(i) };
            rows.push(self.row(Path::of("schedules").item(label(schedule)), written, body.clone()));
        }
        rows
    }

    fn leaves(&self, path: &Path, written: &Path, map: &Map, rows: &mut Vec<Row>) {
        for (key, value) in map {
            let (path, written) = (path.key(key), written.key(key));
            match value {
                Tree::Map(inner) if !inner.is_empty() => self.leaves(&path, &written, inner, rows),
                value => rows.push(self.row(path, written, value.clone())),
            }
        }
    }

    /// One value, whose counterpart in the declaration is at `written`.
    fn row(&self, path: Path, written: Path, value: Tree) -> Row {
        let declaration = &self.filled.selected.declaration;
        let now = at(&declaration.config, &written);
        let refers = now.map(|raw| refers(raw, &value)).unwrap_or_default();
        let source = match (now, exact(&declaration.node, &written)) {
            (Some(now), Some(node)) if self.as_written(declaration, &written, now) => {
                Row { origin: Some(node.origin(&declaration.file)), ..plain(Provenance::File) }
            }
            (Some(now), _) if now.is_truthy() && !self.is_in_file(declaration, &written) => plain(Provenance::Flag),
            (Some(_), Some(node)) => Row { origin: Some(node.origin(&declaration.file)), ..plain(Provenance::File) },
            (_, None) | (None, Some(_)) => self.derived(&path),
        };
        Row { path, value, refers, ..source }
    }

    /// Whether the file says this, and no flag took its place.
    fn as_written(&self, declaration: &Declaration, written: &Path, now: &Tree) -> bool {
        let original = self.original(declaration);
        original.and_then(|original| at(&original.config, written)) == Some(now)
    }

    fn is_in_file(&self, declaration: &Declaration, written: &Path) -> bool {
        self.original(declaration).is_some_and(|original| at(&original.config, written).is_some())
            && self.as_written(declaration, written, at(&declaration.config, written).unwrap_or(&Tree::Null))
    }

    /// The declaration before flags were laid over it.
    fn original(&self, declaration: &Declaration) -> Option<&Declaration> {
        let files = self.pass.reading.files.iter().filter(|file| file.path == declaration.file);
        files
            .flat_map(|file| &file.declarations)
            .map(Arc::as_ref)
            .find(|other| other.node.span == declaration.node.span)
    }

    /// What no declaration says.
    fn derived(&self, path: &Path) -> Row {
        let Some(Seg::Key(field)) = path.0.first() else { return plain(Provenance::Default) };
        match field.as_str() {
            "pull_steps" => self.pull(),
            "work_pool_name" => plain(Provenance::Setting),
            "parameter_openapi_schema" | "description" => self.of_flow(),
            "version" | "version_info" => {
                let inferred = self.wanted.along.get("version_info").and_then(|info| info.get("type"));
                match inferred.and_then(Tree::as_str) {
                    Some("prefect:simple") | None => self.of_flow(),
                    Some(_) => plain(Provenance::Version),
                }
            }
            _ => plain(Provenance::Default),
        }
    }

    /// The pull steps of the file, or those that follow from where it lies.
    fn pull(&self) -> Row {
        if self.filled.selected.file_actions.pull == Steps::Unset {
            return plain(Provenance::Place);
        }
        let file = &self.filled.selected.declaration.file;
        let file = self.pass.reading.files.iter().find(|one| one.path == *file);
        Row { origin: file.and_then(|file| file.pull.clone()), ..plain(Provenance::File) }
    }

    fn of_flow(&self) -> Row {
        if !matches!(self.pass.flows.of(self.filled), Some(FlowAnswer::Known(..))) {
            return plain(Provenance::Python);
        }
        let file = self.filled.entrypoint.rsplit_once(':').map(|(file, _)| file);
        let origin = file.map(|file| Origin::whole(self.filled.selected.dir.join(file)));
        Row { origin, ..plain(Provenance::Flow) }
    }
}

fn plain(from: Provenance) -> Row {
    Row { path: Path::root(), value: Tree::Null, from, origin: None, refers: Vec::new() }
}

/// Where a declaration writes what a field of the body holds.
fn written_at(field: &str) -> Path {
    let pool = Path::of("work_pool");
    match field {
        "work_pool_name" => pool.key("name"),
        "work_queue_name" => pool.key("work_queue_name"),
        "job_variables" => pool.key("job_variables"),
        "concurrency_options" | "concurrency_limit" => Path::of("concurrency_limit"),
        "pull_steps" => Path::of("pull"),
        other => Path::of(other),
    }
}

fn at<'a>(config: &'a Map, path: &Path) -> Option<&'a Tree> {
    let (first, rest) = path.0.split_first()?;
    let Seg::Key(first) = first else { return None };
    rest.iter().try_fold(config.get(first)?, |tree, seg| match (seg, tree) {
        (Seg::Key(key), tree) => tree.get(key),
        (Seg::Item(item), Tree::List(items)) => items.get(item.parse::<usize>().ok()?),
        (Seg::Item(_), _) => None,
    })
}

fn exact<'a>(node: &'a Node, path: &Path) -> Option<&'a Node> {
    path.0.iter().try_fold(node, |node, seg| match seg {
        Seg::Key(key) => node.get(key),
        Seg::Item(item) => node.items().get(item.parse::<usize>().ok()?),
    })
}

/// What a template refers to. Names only: they are in the file.
fn refers(raw: &Tree, value: &Tree) -> Vec<String> {
    let found = references(raw);
    let waits = value.any(&|tree| tree.as_str().is_some_and(|text| text.contains("prefect.blocks")));
    let left = if waits { " (filled by the worker)" } else { "" };
    let blocks = found.blocks.keys().map(|(slug, name)| format!("block {slug}/{name}{left}"));
    let ids = found.block_ids.keys().map(|id| format!("block {id}"));
    let variables = found.variables.keys().map(|name| format!("variable {name}"));
    let env = found.env.keys().map(|name| format!("environment {name}"));
    let outputs = found.outputs.keys().map(|name| format!("output {name}"));
    blocks.chain(ids).chain(variables).chain(env).chain(outputs).collect()
}
