//! From an entrypoint to the answer.
#![allow(clippy::result_large_err, reason = "an answer is made once")]

use std::rc::Rc;

use md5::{Digest, Md5};
use serde_json::{Map, Value as Json, json};

use super::machine::{Frame, Machine, Raise, unknown};
use super::schema::{Bad, Place};
use super::value::{Annotation, Flow, Function, Value};
use super::{Answer, Entrypoint, Reason, Sources, Unsure};
use crate::diagnostic::{Diagnostic, did_you_mean, nearest};
use crate::model::secret::hex;
use crate::model::{FlowFacts, Origin, RepoPath};

/// Parameters that Prefect keeps for itself.
const RESERVED: &[&str] = &["return_state", "wait_for"];

/// What can be said of an entrypoint.
pub(super) fn answer(entrypoint: &Entrypoint, base: &RepoPath, sources: &Sources) -> Answer {
    let roots = match entrypoint {
        Entrypoint::File { path, .. } => {
            let dir = base.join(path).parent();
            if dir == *base { vec![dir] } else { vec![dir, base.clone()] }
        }
        Entrypoint::Module { .. } => vec![base.clone()],
    };
    let mut machine = Machine::new(sources, roots);
    let answer = match find(&mut machine, entrypoint, base) {
        Ok(flow) => known(&mut machine, &flow),
        Err(answer) => answer,
    };
    match (machine.needed.is_empty(), answer) {
        (true, answer) => answer,
        (false, invalid @ Answer::Invalid(_)) => invalid,
        (false, _) => Answer::NeedsFiles(machine.needed),
    }
}

/// The flow behind an entrypoint.
fn find(machine: &mut Machine<'_>, entrypoint: &Entrypoint, base: &RepoPath) -> Result<Rc<Flow>, Answer> {
    let id = load(machine, entrypoint, base)?;
    let path = machine.modules[id].path.clone();
    if let Some(reason) = machine.modules[id].broken.clone() {
        return Err(broken(&reason));
    }
    let mut parts = entrypoint.object().split('.');
    let first = parts.next().unwrap_or_default();
    let mut value = match machine.name(&Frame::top(id), first) {
        Ok(Value::Extern(name)) if name.starts_with("builtins.") => {
            return Err(missing(machine, id, entrypoint, &path));
        }
        Ok(value) => value,
        Err(Raise::Name(_)) => return Err(missing(machine, id, entrypoint, &path)),
        Err(raise) => {
            return Err(Answer::NeedsPython(vec![Reason::new(raise.text(), Some(Origin::whole(path)))].into()));
        }
    };
    for part in parts {
        let at = ruff_text_size::TextRange::default();
        value = match machine.attribute(value, part, || (id, at)) {
            Ok(value) => machine.force(value),
            Err(_) => return Err(missing(machine, id, entrypoint, &path)),
        };
    }
    if let Some(reason) = machine.modules[id].broken.clone() {
        return Err(broken(&reason));
    }
    match value {
        Value::Flow(flow) => {
            other_flows(machine, id, &flow)?;
            Ok(flow)
        }
        Value::Unknown(reason) => Err(Answer::NeedsPython(vec![(*reason).clone()].into())),
        Value::Function(function) => Err(no_flow(entrypoint, &function.origin, &function)),
        Value::Class(class) => Err(Answer::Invalid(vec![
            Diagnostic::error("E0204", format!("`{}` is a class, not a flow", entrypoint.object()))
                .at(class.origin.clone(), "defined here"),
        ])),
        Value::Extern(name) => {
            let text = format!("`{name}` is not part of the repository");
            Err(Answer::NeedsPython(vec![Reason::new(text, Some(Origin::whole(path)))].into()))
        }
        Value::FlowMaker(_)
        | Value::Static(_)
        | Value::ClassMethod(_)
        | Value::Opaque(_)
        | Value::Made(_)
        | Value::Bound(_) => Err(Answer::NeedsPython(
            vec![Reason::new("the object is only known when the code runs", Some(Origin::whole(path)))].into(),
        )),
        _ => Err(Answer::Invalid(vec![
            Diagnostic::error("E0204", format!("`{}` is not a flow", entrypoint.object()))
                .at(Origin::whole(path), "")
                .help("name a function that is decorated with `@flow`"),
        ])),
    }
}

/// Runs the module of the entrypoint.
fn load(machine: &mut Machine<'_>, entrypoint: &Entrypoint, base: &RepoPath) -> Result<usize, Answer> {
    let pending = |machine: &Machine<'_>| Answer::NeedsFiles(machine.needed.clone());
    match entrypoint {
        Entrypoint::File { path, .. } => {
            if path.starts_with('/') {
                let reason = format!("`{path}` is an absolute path, outside the repository");
                return Err(Answer::NeedsPython(vec![Reason::new(reason, None)].into()));
            }
            let file = base.join(path);
            if file.escapes() {
                let reason = format!("`{path}` leads out of the repository");
                return Err(Answer::NeedsPython(vec![Reason::new(reason, None)].into()));
            }
            match machine.file(&file) {
                Err(()) => Err(pending(machine)),
                Ok(None) => Err(Answer::Invalid(vec![
                    Diagnostic::error("E0201", format!("the flow's file `{file}` does not exist")).help(format!(
                        "entrypoints are relative to the directory of the file that declares them: `{}`",
                        place(base)
                    )),
                ])),
                Ok(Some(text)) => {
                    let name = file.file_name();
                    let stem = name.strip_suffix(".py").unwrap_or(name).to_owned();
                    machine.script = Some(stem.clone());
                    Ok(machine.load(&stem.clone(), &stem, file, text))
                }
            }
        }
        Entrypoint::Module { module, .. } => match machine.module(module) {
            Err(()) => Err(pending(machine)),
            Ok(Some(id)) => Ok(id),
            Ok(None) => {
                let text = format!("the module `{module}` is not part of the repository");
                Err(Answer::NeedsPython(vec![Reason::new(text, None)].into()))
            }
        },
    }
}

fn place(dir: &RepoPath) -> &str {
    if dir.as_str().is_empty() { "." } else { dir.as_str() }
}

/// An import that fails: a syntax error for certain, anything else in ways that only Python can follow.
fn broken(reason: &Reason) -> Answer {
    match (reason.text.strip_prefix("invalid syntax: "), &reason.origin) {
        (Some(error), Some(origin)) => Answer::Invalid(vec![
            Diagnostic::error("E0202", format!("`{}` is not valid Python", origin.file)).at(origin.clone(), error),
        ]),
        _ => Answer::NeedsPython(vec![reason.clone()].into()),
    }
}

/// Nothing of that name.
fn missing(machine: &mut Machine<'_>, id: usize, entrypoint: &Entrypoint, path: &RepoPath) -> Answer {
    let known: Vec<String> = machine.modules[id].env.keys().cloned().collect();
    let object = entrypoint.object();
    let flows: Vec<String> = known
        .iter()
        .filter(|name| {
            let value = machine.modules[id].env.get(*name).cloned().unwrap_or(Value::None);
            matches!(value, Value::Lazy(_) | Value::Flow(_)) && matches!(machine.force(value), Value::Flow(_))
        })
        .cloned()
        .collect();
    machine.needed.clear();
    let near = nearest(object, flows.iter().map(String::as_str)).map(str::to_owned);
    let help = near
        .map(|name| format!("did you mean `{name}`?"))
        .or_else(|| did_you_mean(object, known.iter().map(String::as_str)));
    let help = help.or_else(|| match flows.is_empty() {
        true => None,
        false => Some(format!("its flows are: `{}`", flows.join("`, `"))),
    });
    let diagnostic = Diagnostic::error("E0203", format!("`{path}` has no `{object}`"))
        .at(Origin::whole(path.clone()), "looked for here");
    Answer::Invalid(vec![match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }])
}

fn no_flow(entrypoint: &Entrypoint, origin: &Origin, function: &Function) -> Answer {
    Answer::Invalid(vec![
        Diagnostic::error("E0204", format!("`{}` is a function, not a flow", entrypoint.object()))
            .at(origin.clone(), "defined here")
            .help(format!("decorate `{}` with `@flow`", function.def.name)),
    ])
}

/// A fault of another flow makes the import of the whole file fail.
fn other_flows(machine: &mut Machine<'_>, id: usize, wanted: &Rc<Flow>) -> Result<(), Answer> {
    let lazies: Vec<Value> =
        machine.modules[id].env.values().filter(|value| matches!(value, Value::Lazy(_))).cloned().collect();
    for value in lazies {
        let Value::Lazy(lazy) = &value else { continue };
        let super::value::Definition::Function(def) = &lazy.node else {
            // A class that nobody uses is made all the same. If that raises, Prefect takes the file apart and runs what
            // is left of it, each statement for itself: only it can tell what comes of that.
            machine.force(value.clone());
            continue;
        };
        let by_prefect = def.decorator_list.iter().any(|decorator| {
            super::late::names_in(&decorator.expression).iter().any(|name| {
                matches!(machine.modules[id].env.get(name), Some(Value::Import(import)) if import.module == "prefect" || import.module.starts_with("prefect."))
            })
        });
        if !by_prefect {
            continue;
        }
        if let Value::Flow(flow) = machine.force(value.clone())
            && !Rc::ptr_eq(&flow, wanted)
            && (!faults(&flow).is_empty()
                || clash(&flow.function).is_some()
                || flow.doubt.is_some()
                || machine.circular(&flow.function).is_some())
        {
            let text = format!("the flow `{}` of the same file cannot be imported", flow.name);
            return Err(Answer::NeedsPython(vec![Reason::new(text, Some(flow.function.origin.clone()))].into()));
        }
    }
    match machine.modules[id].broken.clone() {
        Some(reason) => Err(broken(&reason)),
        None => Ok(()),
    }
}

/// What Prefect refuses in a flow's name and parameters.
fn faults(flow: &Flow) -> Vec<Diagnostic> {
    let mut found = flow.faults.clone();
    for parameter in &flow.function.params {
        let name = parameter.name.as_str();
        if RESERVED.contains(&name) {
            found.push(
                Diagnostic::error("E0206", format!("the parameter name `{name}` is reserved by Prefect"))
                    .at(parameter.origin.clone(), "declared here")
                    .help("give the parameter another name"),
            );
        } else if name.starts_with('_') {
            let other = name.trim_start_matches('_');
            found.push(
                Diagnostic::error("E0207", format!("the parameter name `{name}` starts with an underscore"))
                    .at(parameter.origin.clone(), "pydantic refuses such names")
                    .help(format!("call it `{}`", if other.is_empty() { "value" } else { other })),
            );
        }
    }
    found
}

/// The facts of a flow.
fn known(machine: &mut Machine<'_>, flow: &Rc<Flow>) -> Answer {
    if let Some(reason) = &flow.doubt {
        return Answer::NeedsPython(vec![reason.clone()].into());
    }
    let faults = faults(flow);
    if !faults.is_empty() {
        return Answer::Invalid(faults);
    }
    let function = &flow.function;
    let schema = match schema(machine, function) {
        Ok(schema) => schema,
        // The name holds whatever the parameters are.
        Err(reasons) => return Answer::NeedsPython(Unsure { name: Some(flow.name.clone()), reasons }),
    };
    if let Some(reason) =
        machine.modules.iter().find_map(|module| module.broken.clone()).filter(|_| !machine.modules.is_empty())
    {
        return broken(&reason);
    }
    let hash = || {
        let digest = Md5::digest(machine.modules[function.code].text.as_bytes());
        hex(&digest)
    };
    let facts = FlowFacts {
        name: flow.name.clone(),
        description: flow.description.clone().or_else(|| function.doc.as_deref().map(super::docstring::clean)),
        version: Some(flow.version.clone().unwrap_or_else(hash)),
        schema,
    };
    Answer::Known { facts, files: machine.read.clone() }
}

/// The annotations as `inspect.signature(eval_str=True)` gives them; one that fails leaves all of them texts.
fn annotations(machine: &mut Machine<'_>, function: &Function) -> Result<Vec<Option<Value>>, Reason> {
    let frame = Frame::top(function.module);
    let mut values = Vec::new();
    let mut as_texts = false;
    let returns = function.returns.clone().into_iter().map(Some);
    for annotation in function.params.iter().map(|p| p.annotation.clone()).chain(returns) {
        values.push(match annotation {
            None => None,
            Some(Annotation::Now(value)) => Some(value),
            Some(Annotation::Broken) => {
                return Err(Reason::new("an annotation is no expression", Some(function.origin.clone())));
            }
            Some(Annotation::Text(expr)) => match machine.eval(&frame, &expr) {
                Ok(value) => Some(value),
                Err(Raise::Name(_) | Raise::Type(_)) => {
                    as_texts = true;
                    None
                }
                Err(raise) => return Err(Reason::new(raise.text(), Some(function.origin.clone()))),
            },
        });
    }
    values.truncate(function.params.len());
    if as_texts {
        let place = |bad: Bad| match bad {
            Bad::Unknown(reason) => unknown(reason.text),
            Bad::Untyped | Bad::Skip => Value::Opaque("untyped".into()),
        };
        for (value, parameter) in values.iter_mut().zip(&function.params) {
            if let Some(text @ Annotation::Text(_)) = &parameter.annotation {
                *value = Some(machine.annotation_in_prefect(text).unwrap_or_else(place));
            }
        }
    }
    // A text inside a text is a reference.
    Ok(values
        .into_iter()
        .map(|value| value.map(|v| if let Value::Str(text) = v { Value::Forward(text) } else { v }))
        .collect())
}

/// A parameter with the name of a type that is given as a text: pydantic may take the one for the other.
fn clash(function: &Function) -> Option<Reason> {
    for parameter in &function.params {
        let Some(Annotation::Text(expr)) = &parameter.annotation else { continue };
        let names = super::late::names_in(expr);
        if let Some(other) = function.params.iter().find(|other| names.contains(&other.name)) {
            let text = format!("the parameter `{}` has the name of a type that is given as a text", other.name);
            return Some(Reason { parameter: Some(parameter.name.clone()), text, origin: Some(other.origin.clone()) });
        }
    }
    None
}

/// The parameter schema.
fn schema(machine: &mut Machine<'_>, function: &Function) -> Result<Json, Vec<Reason>> {
    if function.params.len() > 500 {
        return Err(vec![Reason::new("the flow has too many parameters", Some(function.origin.clone()))]);
    }
    if let Some(reason) = clash(function).or_else(|| machine.circular(function)) {
        return Err(vec![reason]);
    }
    let types = annotations(machine, function).map_err(|reason| vec![reason])?;
    let docs = function
        .doc
        .as_deref()
        .map(super::docstring::clean)
        .map(|doc| super::docstring::parameters(&doc))
        .unwrap_or_default();
    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut reasons = Vec::new();
    for (position, (parameter, ty)) in function.params.iter().zip(types).enumerate() {
        if matches!(parameter.name.as_str(), "self" | "cls") {
            continue;
        }
        match property(machine, parameter, ty, position, docs.get(&parameter.name)) {
            Ok((map, needed)) => {
                if needed {
                    required.push(parameter.name.clone());
                }
                properties.insert(parameter.name.clone(), Json::Object(map));
            }
            Err(reason) => reasons.push(Reason {
                parameter: Some(parameter.name.clone()),
                origin: reason.origin.or(Some(parameter.origin.clone())),
                text: reason.text,
            }),
        }
    }
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let mut schema = Map::new();
    schema.insert("title".to_owned(), json!("Parameters"));
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Json::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    let definitions = machine.reachable(schema.get("properties"));
    if !definitions.is_empty() {
        schema.insert("definitions".to_owned(), Json::Object(definitions));
    }
    Ok(Json::Object(schema))
}

/// One parameter's schema, and whether it is required.
fn property(
    machine: &mut Machine<'_>,
    parameter: &super::value::Parameter,
    ty: Option<Value>,
    position: usize,
    doc: Option<&String>,
) -> Result<(Map<String, Json>, bool), Reason> {
    let name = parameter.name.as_str();
    let checks = ["check_args", "check_kwargs", "check_positional_only", "check_duplicate_kwargs"];
    if super::class::is_taken(name) || name.starts_with("v__") || checks.contains(&name) {
        return Err(Reason::new("the name is used by pydantic", None));
    }
    let ty = ty.map(|ty| machine.force(ty));
    let untyped = ty.is_none() || matches!(&ty, Some(Value::Opaque(what)) if &**what == "untyped");
    let before = machine.definitions.clone();
    let mut map = match &ty {
        _ if untyped => Map::new(),
        None => Map::new(),
        Some(ty) => match of_parameter(machine, ty) {
            Ok(map) => map,
            Err(Bad::Untyped | Bad::Skip) => {
                machine.definitions = before;
                Map::new()
            }
            Err(Bad::Unknown(reason)) => return Err(reason),
        },
    };
    let (default, description, extra) = match &parameter.default {
        Some(Value::Made(made)) if &*made.by == "pydantic.Field" => {
            let extras = match machine.field(&made.args) {
                Ok(extras) => extras,
                Err(Bad::Unknown(reason)) => return Err(reason),
                Err(Bad::Untyped | Bad::Skip) => return Err(Reason::new("`Field` is left to Python", None)),
            };
            if matches!(extras.default, Some(Value::Unknown(_))) && extras.factory.is_some() {
                return Err(Reason::new("`Field` has a default and a factory", None));
            }
            let description =
                extras.updates.get("description").and_then(Json::as_str).filter(|d| !d.is_empty()).map(str::to_owned);
            (extras.default, description.or_else(|| doc.cloned()), extras.extra)
        }
        Some(Value::Ellipsis) => (None, doc.cloned(), Map::new()),
        other => (other.clone(), doc.cloned(), Map::new()),
    };
    let needed = default.is_none();
    if let Some(default) = default {
        let origin = match &default {
            Value::Unknown(reason) => reason.origin.clone(),
            _ => None,
        };
        let json = machine.encode(&default).map_err(|reason| Reason {
            text: format!("its default is only known to Python: {}", reason.text),
            origin: reason.origin.clone().or(origin),
            parameter: None,
        })?;
        if let Some(json) = json {
            map.insert("default".to_owned(), json);
        }
    }
    map.insert("title".to_owned(), json!(name));
    if let Some(description) = description {
        map.insert("description".to_owned(), json!(description));
    }
    if extra.keys().any(|key| key == "$ref") {
        return Err(Reason::new("`json_schema_extra` holds a reference", None));
    }
    map.insert("position".to_owned(), json!(position));
    map.extend(extra);
    machine.drop_redundant(&mut map);
    Ok((map, needed))
}

/// The schema of a parameter's type; what `Annotated` says of title and description is lost at this level.
fn of_parameter(machine: &mut Machine<'_>, ty: &Value) -> Result<Map<String, Json>, Bad> {
    let Value::Annotated(inner) = ty else { return Ok(machine.schema(ty, &Place::parameter())?.map) };
    let extras = machine.metadata(&inner.1)?;
    if !extras.extra.is_empty() || extras.alias.is_some() || extras.updates.contains_key("deprecated") {
        return Err(Bad::Unknown(Reason::new("what `Annotated` says is left to Python", None)));
    }
    let mut js = machine.schema_or_tagged(&inner.0, &extras, &Place::parameter())?;
    super::constraint::limit(&mut js, &extras.limits)?;
    let kept = extras.updates.into_iter().filter(|(key, _)| key == "examples");
    js.map.extend(kept);
    Ok(js.map)
}
