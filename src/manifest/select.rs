//! Which declarations are meant, and what the command line lays over them.
//!
//! Flags mean what they mean to `prefect deploy` (`prefect/cli/deploy/_config.py`, 3.8.8), except that a pattern's `*`
//! may match nothing, a pattern selects each declaration once, and a name that matches nothing is an error.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::diagnostic::did_you_mean;
use crate::model::{Map, Path, RepoPath, Span, Tree};

use super::limits::Limit;
use super::node::{Node, Value as NodeValue};
use super::prefect_yaml::{Actions, Declaration, PrefectFile, Steps};
use super::schedules::flags::ScheduleFlags;

/// What the command line says of deployments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// `-n/--name`, repeatable: a deployment's name, `flow/name`, or a pattern of either.
    pub names: Vec<String>,
    /// `--all`.
    pub all: bool,
    /// What is laid over a single selected declaration.
    pub overlay: Overlay,
}

/// Values that replace or extend those of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    /// The positional entrypoint.
    pub entrypoint: Option<String>,
    /// `-d/--description`
    pub description: Option<String>,
    /// `--version`
    pub version: Option<String>,
    /// `--version-type`; used only where the file says nothing.
    pub version_type: Option<String>,
    /// `-t/--tag`; replaces the file's tags.
    pub tags: Vec<String>,
    /// `--concurrency-limit`
    pub concurrency_limit: Option<i64>,
    /// `--collision-strategy`; means nothing without a limit.
    pub collision_strategy: Option<String>,
    /// `-p/--pool`
    pub pool: Option<String>,
    /// `-q/--work-queue`
    pub queue: Option<String>,
    /// `--job-variable`: `key=value` or a JSON object.
    pub job_variables: Vec<String>,
    /// `--cron`, `--interval`, `--rrule`, `--anchor-date`, `--timezone`
    pub schedules: ScheduleFlags,
    /// `--param key=value`, the value read as JSON where it is JSON.
    pub param: Vec<String>,
    /// `--params` with one JSON object.
    pub params: Option<String>,
    /// `--[no-]enforce-parameter-schema`
    pub enforce_parameter_schema: Option<bool>,
    /// `--trigger`, already read from JSON or from its file; replaces the file's triggers.
    pub triggers: Vec<Tree>,
    /// `--sla`, likewise.
    pub slas: Option<Vec<Tree>>,
}

impl Overlay {
    /// Whether a flag was given at all.
    pub fn is_empty(&self) -> bool {
        *self == Overlay::default()
    }
}

/// A declaration that is meant, with the overlay laid over it.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The declaration with the overlay's values; shared with its file where there is no overlay.
    pub declaration: Arc<Declaration>,
    /// Actions of its file.
    pub file_actions: Arc<Actions>,
    /// The directory that its relative paths start from.
    pub dir: RepoPath,
    /// `--job-variable` pairs, which also serve as outputs of steps.
    pub job_variable_outputs: Map,
}

/// What selecting came to.
#[derive(Clone, Debug, Default)]
pub struct Selecting {
    /// What is meant, in the order of files and declarations.
    pub selected: Vec<Selected>,
    /// Whether everything that is declared is meant: only then is a missing declaration an orphan.
    pub everything: bool,
    /// Remarks for the user.
    pub remarks: Vec<String>,
}

/// Selects declarations.
///
/// # Errors
/// One sentence for a wrong use of the flags: names that match nothing, contradicting flags, values that do not parse.
pub fn select(files: &[PrefectFile], selection: &Selection) -> Result<Selecting, String> {
    if selection.all && !selection.names.is_empty() {
        return Err("`--all` and `--name` cannot be given together".to_owned());
    }
    let overlay = &selection.overlay;
    if !overlay.param.is_empty() && overlay.params.is_some() {
        return Err("`--param` and `--params` cannot be given together".to_owned());
    }
    let mut out = Selecting::default();
    for file in files {
        for declaration in &file.declarations {
            if selection.names.is_empty() || selection.names.iter().any(|name| matches(name, declaration)) {
                out.selected.push(plain(file, declaration));
            }
        }
    }
    out.everything = selection.names.is_empty() && overlay.is_empty();
    if overlay.entrypoint.is_some() {
        return with_entrypoint(files, selection, out);
    }
    unmatched(files, selection)?;
    lay_over(&mut out, selection)?;
    Ok(out)
}

fn plain(file: &PrefectFile, declaration: &Arc<Declaration>) -> Selected {
    Selected {
        declaration: Arc::clone(declaration),
        file_actions: Arc::clone(&file.actions),
        dir: file.dir.clone(),
        job_variable_outputs: Map::new(),
    }
}

/// An entrypoint on the command line deploys one flow: over the one declaration that is meant, or from nothing.
fn with_entrypoint(files: &[PrefectFile], selection: &Selection, mut out: Selecting) -> Result<Selecting, String> {
    let overlay = &selection.overlay;
    match (out.selected.len(), selection.names.as_slice()) {
        (1, _) => {}
        (0, names) if names.len() <= 1 => out.selected = vec![from_nothing(files, names.first())],
        (n, []) => {
            return Err(format!(
                "an entrypoint deploys one flow, but {n} deployments are declared; say which with `--name`"
            ));
        }
        (_, names) => {
            return Err(format!("an entrypoint deploys one flow, but {} names were given", names.len()));
        }
    }
    apply_overlay(&mut out.selected[0], overlay)?;
    Ok(out)
}

/// A declaration that no file holds, with the actions of the first file.
fn from_nothing(files: &[PrefectFile], name: Option<&String>) -> Selected {
    let path = files.first().map_or_else(|| RepoPath::new("prefect.yaml"), |file| file.path.clone());
    let unset = Actions { build: Steps::Unset, push: Steps::Unset, pull: Steps::Unset };
    let mut config = Map::new();
    if let Some(name) = name {
        config.insert("name".to_owned(), Tree::text(name.rsplit('/').next().unwrap_or(name)));
    }
    let declaration = Declaration {
        file: path,
        node: Node::new(NodeValue::Map(Vec::new()), Span { start: 0, end: 0, line: 1, column: 1 }),
        config,
        actions: unset.clone(),
        lifecycle: Map::new(),
    };
    Selected {
        declaration: Arc::new(declaration),
        file_actions: files.first().map_or_else(|| Arc::new(unset), |file| Arc::clone(&file.actions)),
        dir: files.first().map_or_else(|| RepoPath::new(""), |file| file.dir.clone()),
        job_variable_outputs: Map::new(),
    }
}

fn unmatched(files: &[PrefectFile], selection: &Selection) -> Result<(), String> {
    let declared: Vec<&Declaration> = files.iter().flat_map(|file| &file.declarations).map(Arc::as_ref).collect();
    for name in &selection.names {
        if !declared.iter().any(|declaration| matches(name, declaration)) {
            let known: BTreeSet<&str> = declared.iter().filter_map(|d| d.name()).collect();
            let hint = did_you_mean(name, known.iter().copied()).unwrap_or_else(|| match known.len() {
                0 => "no deployment is declared".to_owned(),
                _ => format!("declared are {}", known.iter().take(20).copied().collect::<Vec<_>>().join(", ")),
            });
            return Err(format!("no deployment is named `{name}`: {hint}"));
        }
    }
    Ok(())
}

fn lay_over(out: &mut Selecting, selection: &Selection) -> Result<(), String> {
    let overlay = &selection.overlay;
    if overlay.is_empty() {
        return Ok(());
    }
    match out.selected.len() {
        1 => apply_overlay(&mut out.selected[0], overlay),
        0 => Ok(()),
        n => {
            out.remarks.push(format!(
                "flags that describe one deployment are ignored, because {n} are selected; select one with `--name`"
            ));
            Ok(())
        }
    }
}

/// Whether a name or pattern of the command line means this declaration.
fn matches(pattern: &str, declaration: &Declaration) -> bool {
    let Some(name) = declaration.name() else { return false };
    if glob(pattern, name) {
        return true;
    }
    let Some((flow, deployment)) = pattern.split_once('/') else { return false };
    let function = declaration.entrypoint().map(|e| e.rsplit([':', '.']).next().unwrap_or(e)).unwrap_or_default();
    glob(&flow.replace('_', "-"), &function.replace('_', "-")) && glob(deployment, name)
}

/// Whether `text` is all of `pattern`, in which `*` stands for any characters, also none, and `?` for one.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some('?') => {
                p += 1;
                t += 1;
            }
            Some(c) if *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn apply_overlay(selected: &mut Selected, overlay: &Overlay) -> Result<(), String> {
    let config = &mut Arc::make_mut(&mut selected.declaration).config;
    for (key, value) in
        [("entrypoint", &overlay.entrypoint), ("description", &overlay.description), ("version", &overlay.version)]
    {
        if let Some(value) = value {
            config.insert(key.to_owned(), Tree::text(value));
        }
    }
    if let Some(version_type) = &overlay.version_type
        && !config.get("version_type").is_some_and(Tree::is_truthy)
    {
        config.insert("version_type".to_owned(), Tree::text(version_type));
    }
    if !overlay.tags.is_empty() {
        config.insert("tags".to_owned(), Tree::List(overlay.tags.iter().map(Tree::text).collect()));
    }
    if let Some(limit) = Limit::from_flags(overlay.concurrency_limit, overlay.collision_strategy.as_deref()) {
        config.insert("concurrency_limit".to_owned(), limit.to_tree());
    }
    if let Some(enforce) = overlay.enforce_parameter_schema {
        config.insert("enforce_parameter_schema".to_owned(), Tree::Bool(enforce));
    }
    work_pool(selected, overlay)?;
    let config = &mut Arc::make_mut(&mut selected.declaration).config;
    if overlay.schedules != ScheduleFlags::default() {
        let declared = config.get("schedules").or_else(|| config.get("schedule")).cloned();
        if let Some(schedules) = overlay.schedules.apply(declared) {
            config.insert("schedules".to_owned(), schedules);
        }
    }
    parameters(config, overlay)?;
    if !overlay.triggers.is_empty() {
        config.insert("triggers".to_owned(), Tree::List(overlay.triggers.clone()));
    }
    if let Some(slas) = &overlay.slas {
        config.insert("sla".to_owned(), Tree::List(slas.clone()));
    }
    Ok(())
}

fn work_pool(selected: &mut Selected, overlay: &Overlay) -> Result<(), String> {
    let pairs = job_variables(&overlay.job_variables)?;
    if overlay.pool.is_none() && overlay.queue.is_none() && pairs.is_empty() {
        return Ok(());
    }
    let pool =
        Arc::make_mut(&mut selected.declaration).config.entry("work_pool".to_owned()).or_insert(Tree::Map(Map::new()));
    let Tree::Map(pool) = pool else { return Ok(()) };
    if let Some(name) = &overlay.pool {
        pool.insert("name".to_owned(), Tree::text(name));
    }
    if let Some(queue) = &overlay.queue {
        pool.insert("work_queue_name".to_owned(), Tree::text(queue));
    }
    if !pairs.is_empty() {
        // `prefect deploy` throws the file's job variables away here; what its users mean is to add to them.
        let variables = pool.entry("job_variables".to_owned()).or_insert(Tree::Map(Map::new()));
        if let Tree::Map(variables) = variables {
            variables.extend(pairs.clone());
        }
        selected.job_variable_outputs = pairs;
    }
    Ok(())
}

fn job_variables(given: &[String]) -> Result<Map, String> {
    let mut out = Map::new();
    for text in given {
        if let Some((key, value)) = text.split_once('=') {
            out.insert(key.to_owned(), Tree::text(value));
            continue;
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => out.extend(map.iter().map(|(k, v)| (k.clone(), Tree::from(v)))),
            _ => return Err(format!("`--job-variable {text}` is neither `key=value` nor a JSON object")),
        }
    }
    Ok(out)
}

fn parameters(config: &mut Map, overlay: &Overlay) -> Result<(), String> {
    let mut given = Map::new();
    for text in &overlay.param {
        let (key, value) =
            text.split_once('=').ok_or_else(|| format!("`--param {text}` is not of the form `key=value`"))?;
        let value = serde_json::from_str::<Value>(value).map_or_else(|_| Tree::text(value), Tree::from);
        given.insert(key.to_owned(), value);
    }
    if let Some(text) = &overlay.params {
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => given.extend(map.iter().map(|(k, v)| (k.clone(), Tree::from(v)))),
            Ok(_) => return Err("`--params` must be a JSON object".to_owned()),
            Err(error) => return Err(format!("`--params` is not JSON: {error}")),
        }
    }
    if given.is_empty() {
        return Ok(());
    }
    let parameters = config.entry("parameters".to_owned()).or_insert(Tree::Map(Map::new()));
    if let Tree::Map(parameters) = parameters {
        parameters.extend(given);
    }
    Ok(())
}

/// Where a value of the declaration stands, for values that the overlay may have replaced.
pub fn place(selected: &Selected, path: &Path) -> crate::model::Origin {
    selected.declaration.origin_of(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(names: &[(&str, &str)]) -> PrefectFile {
        let unset = Actions { build: Steps::Unset, push: Steps::Unset, pull: Steps::Unset };
        let declarations = names
            .iter()
            .map(|(name, entrypoint)| {
                let mut selected = from_nothing(&[], Some(&(*name).to_owned()));
                Arc::make_mut(&mut selected.declaration)
                    .config
                    .insert("entrypoint".to_owned(), Tree::text(*entrypoint));
                selected.declaration
            })
            .collect();
        PrefectFile {
            path: RepoPath::new("prefect.yaml"),
            dir: RepoPath::new(""),
            actions: Arc::new(unset),
            pull: None,
            declarations,
        }
    }

    fn names(files: &[PrefectFile], patterns: &[&str]) -> Result<Vec<String>, String> {
        let selection = Selection { names: patterns.iter().map(|p| (*p).to_owned()).collect(), ..Selection::default() };
        let selecting = select(files, &selection)?;
        Ok(selecting.selected.iter().filter_map(|s| s.declaration.name().map(str::to_owned)).collect())
    }

    #[test]
    fn names_and_patterns_select_each_declaration_once() {
        let files = [file(&[("d1", "f.py:my_flow"), ("d10", "f.py:other"), ("x", "f.py:my_flow")])];
        assert_eq!(names(&files, &[]), Ok(vec!["d1".into(), "d10".into(), "x".into()]));
        assert_eq!(names(&files, &["d1*", "d1"]), Ok(vec!["d1".into(), "d10".into()]));
        assert_eq!(names(&files, &["my_flow/*"]), Ok(vec!["d1".into(), "x".into()]));
        assert_eq!(names(&files, &["my-flow/x"]), Ok(vec!["x".into()]));
    }

    #[test]
    fn a_name_that_matches_nothing_is_an_error_with_a_suggestion() {
        let files = [file(&[("nightly", "f.py:etl")])];
        let error = names(&files, &["nigthly"]).expect_err("misspelt");
        assert!(error.contains("did you mean `nightly`?"), "{error}");
    }

    #[test]
    fn flags_are_laid_over_one_declaration_only() {
        let files = [file(&[("a", "f.py:f"), ("b", "f.py:f")])];
        let overlay = Overlay { param: vec!["n=3".into(), "s=x".into()], pool: Some("p".into()), ..Overlay::default() };
        let one = Selection { names: vec!["a".into()], overlay: overlay.clone(), ..Selection::default() };
        let selecting = select(&files, &one).expect("valid");
        let config = &selecting.selected[0].declaration.config;
        assert_eq!(config["parameters"], Tree::from(serde_json::json!({"n": 3, "s": "x"})));
        assert_eq!(config["work_pool"], Tree::from(serde_json::json!({"name": "p"})));
        assert!(!selecting.everything);
        let both = select(&files, &Selection { overlay, ..Selection::default() }).expect("valid");
        assert!(both.selected[0].declaration.config.get("work_pool").is_none());
        assert_eq!(both.remarks.len(), 1);
    }

    #[test]
    fn patterns_are_whole_and_stars_may_be_empty() {
        for (pattern, text, expected) in
            [("a*b", "ab", true), ("*", "", true), ("a?c", "abc", true), ("a", "ab", false), ("*x*y", "axby", true)]
        {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
