//! `--changed-since`: only what changed files touch is planned.
//!
//! A declaration is touched when it reads otherwise than it did, when a file that its flow is made of changed, or when
//! it has build steps, which see the whole tree. In doubt it is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::flow::Sources;
use crate::manifest::globs::Globs;
use crate::manifest::node::Node;
use crate::manifest::prefect_yaml::{self, Declaration, PrefectFile};
use crate::manifest::resources::Item;
use crate::manifest::select::Selected;
use crate::manifest::{self, vars, yaml};
use crate::model::{Key, RepoPath};
use crate::plan::{needed, resources};
use crate::source::{Changed, Worktree};

use super::Request;
use super::error::PassError;
use super::flows;
use super::read::Reading;

/// Leaves only the declarations and items that are touched by what changed since a commit, and the items that these need.
///
/// # Errors
/// A commit that is not there.
pub fn narrow(reading: &mut Reading, request: &Request, revision: &str) -> Result<(), PassError> {
    let changed = Changed::since(reading.worktree.root(), revision)?;
    let before = reading.worktree.clone().at(revision)?;
    let mut look = Look {
        reading,
        request,
        changed,
        before,
        sources: Sources::new(),
        items: BTreeSet::new(),
        known: BTreeMap::new(),
    };
    let items = look.reading.items.clone();
    look.items = items.iter().filter(|item| look.is_item_touched(item)).map(|item| item.key.clone()).collect();
    let all = look.reading.selecting.selected.clone();
    let count = all.len();
    let touched: Vec<Selected> = all.into_iter().filter(|one| look.is_touched(one)).collect();
    let of = crate::report::count(count, "deployment", "deployments");
    let objects = match items.len() {
        0 => String::new(),
        all => format!(" and {} of {}", look.items.len(), crate::report::count(all, "other object", "other objects")),
    };
    (request.say)(&format!("{} of {of}{objects} touched by what changed since {revision}", touched.len()));
    let needed = needed::needed(&touched, request.default_pool.as_deref(), look.items, &items);
    reading.items.retain(|item| needed.contains(&item.key));
    reading.selecting.selected = touched;
    reading.complete = false;
    Ok(())
}

struct Look<'a> {
    reading: &'a Reading,
    request: &'a Request,
    changed: Changed,
    before: Worktree,
    sources: Sources,
    /// The items that are touched.
    items: BTreeSet<Key>,
    /// What files of resources held before.
    known: BTreeMap<RepoPath, Vec<Item>>,
}

impl Look<'_> {
    fn is_touched(&mut self, one: &Selected) -> bool {
        let sees_all = !self.request.selection.overlay.is_empty() || builds(one);
        (sees_all && !self.changed.is_empty())
            || self.has_changed_settings()
            || self.reads_otherwise(&one.declaration)
            || self.flow_changed(one)
            || needed::names(one).iter().any(|key| self.items.contains(key))
    }

    /// Whether an item reads otherwise than it did, or a file that it is filled with changed.
    fn is_item_touched(&mut self, item: &Item) -> bool {
        let files = resources::questions(std::slice::from_ref(item));
        let secrets = files.secrets.iter().map(|file| file.dir.join(&file.path));
        if self.has_changed_settings() || files.templates.into_iter().chain(secrets).any(|path| self.is_changed(&path))
        {
            return true;
        }
        if !self.is_changed(&item.file) {
            return false;
        }
        let before = self.items_before(&item.file).iter().find(|before| before.key == item.key);
        before.is_none_or(|before| before.fields != item.fields || before.lifecycle != item.lifecycle)
    }

    fn items_before(&mut self, path: &RepoPath) -> &[Item] {
        if !self.known.contains_key(path) {
            let items = self.root_before(path).map(|(root, _)| manifest::resources::read(path, &root).0);
            self.known.insert(path.clone(), items.unwrap_or_default());
        }
        &self.known[path]
    }

    /// Whether a file below the directory is another one than at the commit.
    fn is_changed(&self, path: &RepoPath) -> bool {
        let worktree = &self.reading.worktree;
        let here = self.subdir().join(path.as_str());
        if self.changed.names(&here) {
            return true;
        }
        match worktree.resolve(path) {
            Ok(Some(real)) if real == worktree.repository().join(here.as_str()) => !self.changed.holds(&here),
            // Links lead there, or nothing does: what is read tells, not their names.
            Ok(_) => worktree.read(path).ok() != self.before.read(path).ok(),
            // What lies outside is in no commit.
            Err(_) => true,
        }
    }

    /// The directory, from the top of the repository.
    fn subdir(&self) -> RepoPath {
        self.reading.git.as_ref().map_or_else(|| RepoPath::new(""), |git| git.subdir.clone())
    }

    /// `vars` and much else of the settings may change any declaration, and so may overlays.
    fn has_changed_settings(&self) -> bool {
        let environment = self.request.env_name.as_ref().and_then(|env| self.reading.project.environments.get(env));
        let overlays = environment.and_then(|environment| Globs::new(&environment.overlays).ok());
        let subdir = self.subdir();
        let below = |path: &RepoPath| match path.as_str().strip_prefix(subdir.as_str()) {
            Some(below) => below.trim_start_matches('/').to_owned(),
            None => String::new(),
        };
        if overlays.is_some_and(|overlays| {
            // Those that are gone, and those that were read.
            let mut read = self.reading.texts.keys().filter(|path| overlays.is_match(path.as_str()));
            self.changed.files().any(|path| overlays.is_match(&below(path))) || read.any(|path| self.is_changed(path))
        }) {
            return true;
        }
        let given = self.request.project.as_ref().and_then(|path| path.to_str()).map(RepoPath::new);
        let usual = ["reconcile.yaml", "reconcile.yml"].map(RepoPath::new);
        given.iter().chain(&usual).any(|path| self.is_changed(path))
    }

    /// Whether the file says something else of this deployment than it did.
    fn reads_otherwise(&self, declaration: &Declaration) -> bool {
        if !self.is_changed(&declaration.file) {
            return false;
        }
        let now = self.reading.files.iter().find(|file| file.path == declaration.file);
        let then = self.file_before(&declaration.file);
        let (Some(now), Some(then)) = (now, then) else { return true };
        now.actions != then.actions || !is_same(only(now, declaration), only(&then, declaration))
    }

    fn file_before(&self, path: &RepoPath) -> Option<PrefectFile> {
        let (root, bytes) = self.root_before(path)?;
        let (file, _) = prefect_yaml::read(path, &path.parent(), root, &String::from_utf8_lossy(&bytes));
        Some(file)
    }

    fn root_before(&self, path: &RepoPath) -> Option<(Node, Vec<u8>)> {
        let bytes = self.before.read(path).ok()??;
        let root = yaml::read(path, &bytes).ok()?.root;
        let environment = self.request.env_name.as_deref();
        let (root, _) = vars::fill_vars(path, root, &self.reading.project.vars_in(environment));
        Some((root, bytes))
    }

    fn flow_changed(&mut self, one: &Selected) -> bool {
        let entrypoint = one.declaration.entrypoint().filter(|text| !text.contains("{{"));
        let files = entrypoint
            .and_then(|entrypoint| flows::files_of(entrypoint, &one.dir, &self.reading.worktree, &mut self.sources));
        // Only Python knows what it is made of: any code may be part of it.
        let own = entrypoint.and_then(|text| text.rsplit_once(':')).map(|(file, _)| one.dir.join(file));
        let may_be_code = files.is_none() && self.changed.may_be_code();
        may_be_code || files.into_iter().flatten().chain(own).any(|file| self.is_changed(&file))
    }
}

/// Build and push steps may see every file.
fn builds(one: &Selected) -> bool {
    let own = &one.declaration.actions;
    [(&own.build, &one.file_actions.build), (&own.push, &one.file_actions.push)].into_iter().any(|(own, of_file)| {
        let steps = if *own == prefect_yaml::Steps::Unset { of_file } else { own };
        !steps.list().is_empty()
    })
}

/// The one declaration of a file with the name of this one.
fn only<'a>(file: &'a PrefectFile, like: &Declaration) -> Option<&'a Declaration> {
    let mut same = file.declarations.iter().map(Arc::as_ref).filter(|other| other.name() == like.name());
    same.next().filter(|_| same.next().is_none())
}

fn is_same(now: Option<&Declaration>, then: Option<&Declaration>) -> bool {
    let (Some(now), Some(then)) = (now, then) else { return false };
    now.config == then.config && now.actions == then.actions && now.lifecycle == then.lifecycle
}
