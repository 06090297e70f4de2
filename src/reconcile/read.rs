//! The directory → files read, parsed and selected.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::diagnostic::Diagnostic;
use crate::manifest::node::{Node, Value};
use crate::manifest::overlays::{self, File};
use crate::manifest::prefect_yaml::{self, PrefectFile};
use crate::manifest::project::{self, Project};
use crate::manifest::resources::{self, Item};
use crate::manifest::scope::{scope_name, with_env};
use crate::manifest::select::{Selecting, select};
use crate::manifest::{globs, vars, yaml};
use crate::model::{Origin, RepoPath};
use crate::plan::needed;
use crate::report::diagnostics::Texts;
use crate::settings::Declared;
use crate::source::{Export, GitFacts, SourceError, Worktree};

use super::Request;
use super::error::PassError;

/// What the directory holds.
pub struct Reading {
    /// The directory.
    pub worktree: Worktree,
    /// The project's settings.
    pub project: Project,
    /// The name under which objects are owned.
    pub scope: String,
    /// The git repository around the directory.
    pub git: Option<GitFacts>,
    /// Whether the directory means nothing to others: it lies in the cache.
    pub cloned: bool,
    /// Whether only this commit of it may be used.
    pub pinned: bool,
    /// Whether it has submodules that are checked out there.
    pub submodules: bool,
    /// The files that declare deployments.
    pub files: Vec<PrefectFile>,
    /// Objects of the other kinds, as their files declare them.
    pub items: Vec<Item>,
    /// How many files declare something.
    pub file_count: usize,
    /// Their texts, for diagnostics.
    pub texts: Texts,
    /// What is meant.
    pub selecting: Selecting,
    /// Whether every file was read: only then does something missing mean anything.
    pub complete: bool,
    /// Problems and remarks.
    pub diagnostics: Vec<Diagnostic>,
    /// The files of the commit that is read, once a program needed them.
    export: OnceLock<Option<Export>>,
}

impl Reading {
    /// The copy of the commit that is read, made when first asked for; none where the files on disk are meant.
    ///
    /// # Errors
    /// A commit that cannot be written down.
    pub fn export(&self) -> Result<Option<&Export>, SourceError> {
        if self.export.get().is_none() {
            let made = self.worktree.export()?;
            return Ok(self.export.get_or_init(|| made).as_ref());
        }
        Ok(self.export.get().and_then(Option::as_ref))
    }

    /// The same directory, as if it declared just what these texts say.
    #[must_use]
    pub fn holding(&self, environment: Option<&str>, texts: &[(RepoPath, String)]) -> Reading {
        let mut reading = Reading {
            worktree: self.worktree.clone(),
            project: self.project.clone(),
            scope: self.scope.clone(),
            git: self.git.clone(),
            cloned: self.cloned,
            pinned: self.pinned,
            submodules: self.submodules,
            files: Vec::new(),
            items: Vec::new(),
            file_count: texts.len(),
            texts: Texts::new(),
            selecting: Selecting::default(),
            complete: false,
            diagnostics: Vec::new(),
            export: OnceLock::new(),
        };
        let vars = self.project.vars_in(environment);
        for (path, text) in texts {
            reading.hold(path, text, &vars);
        }
        reading.selecting = select(&reading.files, &Default::default()).unwrap_or_default();
        reading
    }

    fn hold(&mut self, path: &RepoPath, text: &str, vars: &crate::model::Map) {
        let text: Arc<str> = Arc::from(text);
        self.texts.insert(path.clone(), text.clone());
        if !path.as_str().ends_with(".yaml") {
            return;
        }
        let root = match yaml::read(path, text.as_bytes()) {
            Ok(document) => document.root,
            Err(problems) => return self.diagnostics.extend(problems),
        };
        let (root, remarks) = vars::fill_vars(path, root, vars);
        self.diagnostics.extend(remarks);
        if root.get("deployments").is_some() {
            let (file, problems) = prefect_yaml::read(path, &path.parent(), root, &text);
            self.files.push(file);
            self.diagnostics.extend(problems);
        } else {
            let (items, problems) = resources::read(path, &root);
            self.items.extend(items);
            self.diagnostics.extend(problems);
        }
    }

    /// Where programs find a directory of what is read: on disk, or in the copy of a commit.
    ///
    /// # Errors
    /// A commit that cannot be written down.
    pub fn workplace(&self, dir: &RepoPath) -> Result<PathBuf, SourceError> {
        Ok(match self.export()? {
            Some(export) if dir.as_str().is_empty() => export.root().to_owned(),
            Some(export) => export.root().join(dir.as_str()),
            None => self.worktree.absolute(dir),
        })
    }

    /// Reads the texts that diagnostics point into: those of flows besides those of the files that declare them.
    pub fn show(&mut self, diagnostics: &[Diagnostic]) {
        for label in diagnostics.iter().flat_map(|d| &d.labels) {
            let file = &label.origin.file;
            if !self.texts.contains_key(file)
                && !file.escapes()
                && let Ok(Some(bytes)) = self.worktree.read(file)
            {
                self.texts.insert(file.clone(), Arc::from(String::from_utf8_lossy(&bytes)));
            }
        }
    }
}

/// Reads everything.
///
/// # Errors
/// A directory that cannot be read, or a wrong use of the selection flags.
pub fn read(request: &Request) -> Result<Reading, PassError> {
    let worktree = open(request)?;
    let mut reader = Reader::new(request, worktree);
    let project = reader.project()?;
    let environment = reader.environment(&project)?;
    let (git, remarks) = match (&request.at, request.guarded) {
        // What is compared differs in its files only.
        (Some(_), true) => crate::source::git::commit_facts(reader.worktree.root()),
        (Some(_) | None, _) => reader.worktree.git_facts(),
    };
    reader.diagnostics.extend(remarks);
    named_to_delete(request, &project)?;
    let (files, mut items, file_count) = match request.owning.destroy {
        true => Default::default(),
        false => reader.files(&project, environment)?,
    };
    let mut selecting = match select(&files, &request.selection) {
        Ok(selecting) => selecting,
        // What is meant now need not have been there then.
        Err(_) if request.is_base() => Selecting::default(),
        Err(sentence) => return Err(PassError::Usage(sentence)),
    };
    reader.unnamed(&mut selecting);
    reader.remarks(&selecting);
    let is_part = request.prefect_file.is_some() || reader.worktree.selected().is_some();
    let complete = reader.complete && selecting.everything && !is_part;
    // Who names deployments means these, and what they need.
    if !selecting.everything {
        let default_pool = request.default_pool.as_deref();
        let needed = needed::needed(&selecting.selected, default_pool, BTreeSet::new(), &items);
        items.retain(|item| needed.contains(&item.key));
    }
    // Lists without items say that nothing is wanted any more, which is for the plan to hold; no file says nothing.
    if !reader.has_lists && !request.owning.destroy && !request.is_base() {
        reader.none_declared(&files, &selecting);
    }
    let scope = scope(&project, git.as_ref(), &reader.worktree, environment);
    Ok(Reading {
        worktree: reader.worktree,
        project,
        scope,
        git,
        cloned: request.cloned,
        pinned: request.pinned,
        submodules: request.submodules,
        files,
        items,
        file_count,
        texts: reader.texts,
        selecting,
        complete,
        diagnostics: reader.diagnostics,
        export: OnceLock::new(),
    })
}

/// Who deletes has to say whose: a scope's default name changes with the place of the repository.
fn named_to_delete(request: &Request, project: &Project) -> Result<(), PassError> {
    let deletes = request.owning.destroy || request.owning.prune || project.prune;
    if !deletes || project.name.is_some() {
        return Ok(());
    }
    let what = if request.owning.destroy { "`destroy` needs" } else { "pruning needs" };
    Err(PassError::Usage(format!(
        "{what} a name for what this repository owns: write `name: my-project` in reconcile.yaml"
    )))
}

/// The API that the chosen environment of `reconcile.yaml` names. A file that cannot be read names none: it is told
/// when everything is read.
pub fn declared_api(request: &Request) -> Declared {
    let Some(name) = request.env_name.as_deref() else { return Declared::default() };
    let Ok(worktree) = open(request) else { return Declared::default() };
    let mut reader = Reader::new(request, worktree);
    let Ok(mut project) = reader.project() else { return Declared::default() };
    match project.environments.shift_remove(name).and_then(|environment| environment.api) {
        Some(api) => Declared { url: api.url, profile: api.profile },
        None => Declared::default(),
    }
}

fn open(request: &Request) -> Result<Worktree, PassError> {
    let worktree = Worktree::open(&request.path)?;
    Ok(match &request.at {
        Some(revision) => worktree.at(revision)?,
        None if request.guarded => worktree.guarded(),
        None => worktree,
    })
}

fn scope(project: &Project, git: Option<&GitFacts>, worktree: &Worktree, environment: Option<&str>) -> String {
    let remote = git.and_then(|git| git.remote_url.as_deref());
    let root = RepoPath::new("");
    let subdir = git.map_or(&root, |git| &git.subdir);
    let name = project.name.clone().unwrap_or_else(|| scope_name(remote, subdir, &worktree.dir_name()));
    with_env(&name, environment)
}

/// Whether all of its places are in one file.
fn is_of_one_file(diagnostic: &Diagnostic) -> bool {
    diagnostic.labels.windows(2).all(|pair| pair[0].origin.file == pair[1].origin.file)
}

/// What a file declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declares {
    Nothing,
    Deployments,
    Resources,
    Both,
}

/// The file without its resources: deployments are read as Prefect reads them.
fn without_resources(mut root: Node) -> Node {
    if let Value::Map(entries) = &mut root.value {
        entries.retain(|(key, _)| key.as_str().is_none_or(|key| !resources::ROOT_KEYS.contains(&key)));
    }
    root
}

struct Reader<'a> {
    request: &'a Request,
    worktree: Worktree,
    texts: Texts,
    diagnostics: Vec<Diagnostic>,
    complete: bool,
    /// Whether a file has lists of objects, be they empty.
    has_lists: bool,
}

/// Files that declare deployments, items of resource files, and how many files declare something.
type Files = (Vec<PrefectFile>, Vec<Item>, usize);

impl<'a> Reader<'a> {
    fn new(request: &'a Request, worktree: Worktree) -> Self {
        Reader { request, worktree, texts: Texts::new(), diagnostics: Vec::new(), complete: true, has_lists: false }
    }

    fn project(&mut self) -> Result<Project, PassError> {
        let path = match &self.request.project {
            Some(path) => Some(self.inside(path)?),
            None => [RepoPath::new("reconcile.yaml"), RepoPath::new("reconcile.yml")]
                .into_iter()
                .find(|path| !matches!(self.worktree.read(path), Ok(None) | Err(SourceError::Private { .. }))),
        };
        let Some(path) = path else { return Ok(Project::default()) };
        let Some(root) = self.parsed(&path)? else { return Ok(Project::default()) };
        let (project, diagnostics) = project::read(&path, &root);
        self.diagnostics.extend(diagnostics);
        Ok(project)
    }

    /// A path of the command line as a path below the root.
    fn inside(&self, path: &Path) -> Result<RepoPath, PassError> {
        let outside = || PassError::Usage(format!("`{}` is not below {}", path.display(), self.request.path.display()));
        let text = path.to_str().ok_or_else(outside)?;
        if path.is_absolute() {
            let below = path.strip_prefix(self.worktree.root()).map_err(|_| outside())?;
            return Ok(RepoPath::new(below.to_str().ok_or_else(outside)?));
        }
        Ok(RepoPath::new(text))
    }

    fn environment(&self, project: &Project) -> Result<Option<&'a str>, PassError> {
        let Some(name) = self.request.env_name.as_deref() else { return Ok(None) };
        if project.environments.contains_key(name) {
            return Ok(Some(name));
        }
        if self.request.is_base() {
            return Ok(None);
        }
        let known: Vec<&str> = project.environments.keys().map(String::as_str).collect();
        let hint = crate::diagnostic::did_you_mean(name, known.iter().copied()).unwrap_or_else(|| match known.len() {
            0 => "reconcile.yaml declares no `environments`".to_owned(),
            _ => format!("there are {}", known.join(", ")),
        });
        Err(PassError::Usage(format!("there is no environment `{name}`: {hint}")))
    }

    fn files(&mut self, project: &Project, environment: Option<&str>) -> Result<Files, PassError> {
        let paths = match (&self.request.prefect_file, self.worktree.selected()) {
            (Some(file), _) => self.existing(file)?.into_iter().collect(),
            (None, Some(file)) => vec![file.clone()],
            (None, None) => self.discovered(project)?,
        };
        let is_part = self.request.prefect_file.is_some() || self.worktree.selected().is_some();
        let mut all = Vec::new();
        for path in paths {
            all.extend(self.file(path, project, environment)?);
        }
        let overlays = self.overlays(project, environment)?;
        let count = all.len() + overlays.len();
        self.diagnostics.extend(overlays::lay(&mut all, overlays, is_part));
        // A pattern that is none was reported when the project was read.
        let rooted = globs::Globs::new(&project.root_relative).ok();
        let (mut files, mut items) = (Vec::new(), Vec::new());
        for File { path, root, has_deployments, is_overlay } in all {
            let as_prefect_does = !is_overlay && self.is_prefects(&path);
            let has_resources = !as_prefect_does && resources::ROOT_KEYS.iter().any(|key| root.get(key).is_some());
            self.has_lists |= has_resources;
            if has_resources || !has_deployments {
                let (read, problems) = resources::read(&path, &root);
                items.extend(read);
                self.diagnostics.extend(problems);
            }
            if !has_deployments {
                continue;
            }
            let root = if has_resources { without_resources(root) } else { root };
            let from_root = is_overlay
                || self.request.prefect_file.is_some()
                || rooted.as_ref().is_some_and(|rooted| rooted.is_match(path.as_str()));
            let dir = if from_root { RepoPath::new("") } else { path.parent() };
            let text = self.texts.get(&path).cloned().unwrap_or_else(|| Arc::from(""));
            let (file, problems) = prefect_yaml::read(&path, &dir, root, &text);
            self.diagnostics.extend(problems);
            files.push(file);
        }
        // Those of one file were told when it was read.
        let twice = resources::twice(&items);
        self.diagnostics.extend(twice.into_iter().filter(|diagnostic| !is_of_one_file(diagnostic)));
        Ok((files, items, count))
    }

    /// One file with `vars` filled in; none if it declares nothing.
    fn file(&mut self, path: RepoPath, project: &Project, env: Option<&str>) -> Result<Option<File>, PassError> {
        let Some(root) = self.parsed(&path)? else { return Ok(None) };
        let has_deployments = match self.declares(&path, &root) {
            Declares::Nothing => return Ok(None),
            Declares::Deployments | Declares::Both => true,
            Declares::Resources => false,
        };
        let (root, remarks) = vars::fill_vars(&path, root, &project.vars_in(env));
        self.diagnostics.extend(remarks);
        Ok(Some(File { path, root, has_deployments, is_overlay: false }))
    }

    /// The files that the environment lays over the others: in the order of its patterns, then of their paths.
    fn overlays(&mut self, project: &Project, env: Option<&str>) -> Result<Vec<File>, PassError> {
        let environment = env.and_then(|env| project.environments.get(env));
        let mut out: Vec<File> = Vec::new();
        for pattern in environment.map(|environment| &environment.overlays).into_iter().flatten() {
            let found = self.worktree.find(std::slice::from_ref(pattern), &project.exclude)?;
            if found.files.is_empty()
                && let Some(environment) = environment
            {
                let message = format!("no file matches the overlay `{pattern}`");
                let warning = Diagnostic::warning("W0138", message).at(environment.origin.clone(), "");
                self.diagnostics
                    .push(warning.help("correct the pattern; it is seen from the directory of reconcile.yaml"));
            }
            for path in found.files {
                if out.iter().any(|file| file.path == path) {
                    continue;
                }
                let Some(root) = self.parsed(&path)? else { continue };
                let (root, remarks) = vars::fill_vars(&path, root, &project.vars_in(env));
                self.diagnostics.extend(remarks);
                let text = self.texts.get(&path).cloned().unwrap_or_else(|| Arc::from(""));
                let root = overlays::placed(root, &path, &text);
                out.push(File { path, root, has_deployments: false, is_overlay: true });
            }
        }
        Ok(out)
    }

    /// Whether it is read as Prefect reads it, whatever stands in it.
    fn is_prefects(&self, path: &RepoPath) -> bool {
        matches!(path.file_name(), "prefect.yaml" | "prefect.yml") || self.request.prefect_file.is_some()
    }

    fn existing(&self, file: &str) -> Result<Option<RepoPath>, PassError> {
        let path = self.inside(Path::new(file))?;
        match self.worktree.read(&path)? {
            Some(_) => Ok(Some(path)),
            None if self.request.is_base() => Ok(None),
            None => Err(PassError::Usage(format!("there is no file `{file}` in {}", self.request.path.display()))),
        }
    }

    fn discovered(&mut self, project: &Project) -> Result<Vec<RepoPath>, PassError> {
        let found = self.worktree.discover(&project.include, &project.exclude)?;
        self.diagnostics.extend(found.diagnostics);
        let overlays: Vec<String> = project.environments.values().flat_map(|env| env.overlays.clone()).collect();
        let overlays = globs::Globs::new(&overlays).ok();
        let is_overlay = |path: &RepoPath| overlays.as_ref().is_some_and(|globs| globs.is_match(path.as_str()));
        Ok(found.files.into_iter().filter(|path| !is_overlay(path)).collect())
    }

    /// Reads and parses one file; its problems are kept, and what it may have declared is then unknown.
    fn parsed(&mut self, path: &RepoPath) -> Result<Option<Node>, PassError> {
        let bytes = match self.worktree.read(path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(SourceError::TooLarge { limit, .. }) => {
                self.complete = false;
                let message = format!("`{path}` is larger than {} MiB", limit >> 20);
                let error = Diagnostic::error("E0101", message).at(Origin::whole(path.clone()), "");
                self.diagnostics.push(error.help("keep large data out of it, or exclude it in reconcile.yaml"));
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        self.texts.insert(path.clone(), Arc::from(String::from_utf8_lossy(&bytes)));
        match yaml::read(path, &bytes) {
            Ok(document) => {
                self.diagnostics.extend(document.warnings);
                Ok(Some(document.root))
            }
            Err(problems) => {
                self.complete = false;
                self.diagnostics.extend(problems);
                Ok(None)
            }
        }
    }

    /// What a matched file declares; one that declares nothing is told.
    fn declares(&mut self, path: &RepoPath, root: &Node) -> Declares {
        if self.is_prefects(path) {
            return Declares::Deployments;
        }
        let has_resources = resources::ROOT_KEYS.iter().any(|key| root.get(key).is_some());
        match (root.get("deployments").is_some(), has_resources) {
            (true, true) => Declares::Both,
            (true, false) => Declares::Deployments,
            (false, true) => Declares::Resources,
            (false, false) => {
                if !matches!(root.value, Value::Null) {
                    let message = "this file declares nothing that reconcile knows";
                    let warning = Diagnostic::warning("W0171", message)
                        .help("add its path to `exclude` in reconcile.yaml, or correct its top-level keys");
                    self.diagnostics.push(warning.at(root.origin(path), ""));
                }
                Declares::Nothing
            }
        }
    }

    /// Among several declarations, one without a name is passed over, as `prefect deploy --all` does.
    fn unnamed(&mut self, selecting: &mut Selecting) {
        let several: Vec<RepoPath> = {
            let mut paths: Vec<RepoPath> = selecting.selected.iter().map(|one| one.declaration.file.clone()).collect();
            paths.sort();
            let again = paths.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone());
            again.collect()
        };
        selecting.selected.retain(|one| {
            let declaration = &one.declaration;
            let nameless = declaration.config.get("name").is_none_or(crate::model::Tree::is_null);
            if nameless && several.contains(&declaration.file) {
                let warning = Diagnostic::warning("W0172", "a deployment without a name is passed over")
                    .at(declaration.origin(), "")
                    .help("write `name: my-deployment`");
                self.diagnostics.push(warning);
                return false;
            }
            true
        });
    }

    fn remarks(&mut self, selecting: &Selecting) {
        for remark in &selecting.remarks {
            self.diagnostics.push(Diagnostic::warning("W0173", remark.clone()));
        }
    }

    fn none_declared(&mut self, files: &[PrefectFile], selecting: &Selecting) {
        let broken = crate::diagnostic::has_errors(&self.diagnostics);
        if !selecting.selected.is_empty() || broken {
            return;
        }
        let help = "declare one below `deployments:` in a prefect.yaml, or give an entrypoint `path/to/file.py:flow`";
        let diagnostic = match files.first() {
            None => {
                let place = self.worktree.root().display();
                Diagnostic::error("E0170", format!("there is no prefect.yaml in {place}")).help(help)
            }
            Some(file) => Diagnostic::error("E0170", "no deployment is declared")
                .at(Origin::whole(file.path.clone()), "")
                .help(help),
        };
        self.diagnostics.push(diagnostic);
    }
}
