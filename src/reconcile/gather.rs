//! What the pass asks the API, and how the answers become desired and observed state.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::api::{Api, LedgerTrouble, Which, new_ledger};
use crate::diagnostic::Diagnostic;
use crate::manifest::project::DefaultPull;
use crate::manifest::version_info::{self, VersionInfo};
use crate::model::ledger::Ledger;
use crate::model::tree::Unknown;
use crate::model::{Abilities, Key, Kind, Map, Secret, Tree};
use crate::plan;
use crate::plan::desire::{FlowAnswer, Surroundings, desired as desire};
use crate::plan::renames;
use crate::plan::resolve::{Facts, Filled, questions};
use crate::plan::want::{Desired, Observed, Policy};
use crate::render::{Blocks, references};

use super::builds::Builds;
use super::error::PassError;
use super::probe::{Marks, Recall};
use super::read::Reading;
use super::{Pass, Request, things};

/// What the API said before anything was decided.
pub struct Asked {
    /// What templates are filled with.
    pub facts: Facts,
    /// What we own.
    pub ledger: Ledger,
    /// Why the ledger cannot be trusted, if it cannot.
    pub trouble: Option<LedgerTrouble>,
    /// The server's version.
    pub version: Option<String>,
    /// What the workspace looks like from afar, if that was asked for.
    pub marks: Option<Marks>,
    /// What resource files are filled with.
    pub things: things::Facts,
}

impl Asked {
    /// What the server can do. Prefect Cloud can do everything, whatever it says its version is.
    pub fn abilities(&self, api: Option<&Api>) -> Abilities {
        match &self.version {
            Some(version) if !api.is_some_and(|api| api.connection().is_cloud()) => Abilities::of(version),
            _ => Abilities::default(),
        }
    }
}

/// Asks everything that templates and checks need, at once.
///
/// # Errors
/// An API that does not answer, or a ledger that cannot be read.
pub(super) async fn ask(
    request: &Request,
    reading: &Reading,
    recall: Option<&Recall>,
    api: &Api,
) -> Result<Asked, PassError> {
    let wanted = questions(&reading.selecting.selected);
    let (marks, server, pools, ledger, variables, blocks, by_id, things) = tokio::join!(
        marks(recall, api),
        api.server(),
        api.work_pools(None),
        load_ledger(reading, api),
        variables(api, &wanted.variables),
        blocks(api, &wanted.blocks),
        blocks_by_id(api, &wanted.block_ids),
        things::ask(request, reading, api),
    );
    let version = server?.version;
    let (ledger, trouble) = ledger?;
    let pools = pools?.into_iter().filter_map(|pool| Some((pool["name"].as_str()?.to_owned(), pool)));
    let blocks = blocks?;
    let by_id = by_id?.into_iter().map(|(id, secret)| (id, Tree::Secret(secret))).collect();
    let mut known = variables?;
    known.extend(variables_of_blocks(api, &blocks, &known).await?);
    let by_name = blocks.into_iter().map(|(name, secret)| (name, Tree::Secret(secret))).collect();
    let facts = Facts {
        env: sealed_environment(request, reading),
        variables: known.into_iter().map(|(name, value)| (name, Tree::from(value))).collect(),
        blocks: Blocks { by_name, by_id },
        pools: Some(pools.collect()),
        default_pool: request.default_pool.clone(),
        resolve_secrets: request.resolve_secrets,
        symbolic: false,
    };
    Ok(Asked { facts, ledger, trouble, version: Some(version), marks, things: things? })
}

/// The marks of the workspace, where they are of use.
pub(super) async fn marks(recall: Option<&Recall>, api: &Api) -> Option<Marks> {
    match recall {
        Some(recall) => recall.marks(api).await,
        None => None,
    }
}

async fn variables(api: &Api, names: &BTreeSet<String>) -> Result<BTreeMap<String, Value>, PassError> {
    if names.is_empty() { Ok(BTreeMap::new()) } else { Ok(api.variables(Some(names)).await?) }
}

/// Variables that only the values of blocks speak of: variables are filled after blocks.
async fn variables_of_blocks(
    api: &Api,
    blocks: &BTreeMap<(String, String), Secret>,
    known: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, PassError> {
    let named = blocks.values().flat_map(|block| references(&Tree::Secret(block.clone())).variables.into_keys());
    let more: BTreeSet<String> = named.filter(|name| !known.contains_key(name)).collect();
    variables(api, &more).await
}

async fn blocks(
    api: &Api,
    names: &BTreeSet<(String, String)>,
) -> Result<BTreeMap<(String, String), Secret>, PassError> {
    if names.is_empty() { Ok(BTreeMap::new()) } else { Ok(api.blocks(names).await?) }
}

async fn blocks_by_id(api: &Api, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Secret>, PassError> {
    if ids.is_empty() { Ok(BTreeMap::new()) } else { Ok(api.blocks_by_id(ids).await?) }
}

/// A ledger that cannot be read does not stop an apply: nothing is pruned or reset then, and it is not written over.
pub(super) async fn load_ledger(reading: &Reading, api: &Api) -> Result<(Ledger, Option<LedgerTrouble>), PassError> {
    if !reading.project.ledger {
        return Ok((new_ledger(), None));
    }
    match api.load_ledger(&reading.scope).await {
        Ok(ledger) => Ok((ledger.unwrap_or_else(new_ledger), None)),
        Err(LedgerTrouble::Api(error)) => Err(error.into()),
        Err(trouble) => Ok((new_ledger(), Some(trouble))),
    }
}

/// The ledger as it is now; one that did not move meanwhile is not read again.
pub(super) async fn reload_ledger(
    reading: &Reading,
    api: &Api,
    known: Ledger,
) -> Result<(Ledger, Option<LedgerTrouble>), PassError> {
    let is_saved = reading.project.ledger && known.generation > 0;
    if is_saved && api.is_ledger(&reading.scope, &known).await? {
        return Ok((known, None));
    }
    load_ledger(reading, api).await
}

/// What is known without an API: its blocks and variables are left open.
pub fn nothing_asked(request: &Request, reading: &Reading) -> Asked {
    let wanted = questions(&reading.selecting.selected);
    let open = || Tree::Unknown(Unknown::AtApply);
    let facts = Facts {
        env: sealed_environment(request, reading),
        variables: wanted.variables.into_iter().map(|name| (name, open())).collect(),
        blocks: Blocks {
            by_name: wanted.blocks.into_iter().map(|name| (name, open())).collect(),
            by_id: wanted.block_ids.into_iter().map(|id| (id, open())).collect(),
        },
        pools: None,
        default_pool: request.default_pool.clone(),
        resolve_secrets: request.resolve_secrets,
        symbolic: false,
    };
    let things = things::nothing_asked(request, reading);
    Asked { facts, ledger: new_ledger(), trouble: None, version: None, marks: None, things }
}

/// The environment; only what `show_env` names may be shown.
pub(super) fn sealed_environment(request: &Request, reading: &Reading) -> BTreeMap<String, Tree> {
    let shown = &reading.project.show_env;
    let seal = |(name, value): (&String, &String)| {
        let tree = if shown.contains(name) { Tree::text(value) } else { Tree::Secret(Secret::text(value)) };
        (name.clone(), tree)
    };
    request.environment.iter().map(seal).collect()
}

/// Filled declarations → desired deployments.
pub fn desired(pass: &Pass<'_>, builds: &Builds, now: Timestamp, diagnostics: &mut Vec<Diagnostic>) -> Desired {
    let mut out = Desired { complete: pass.reading.complete, policy: policy(pass), ..Desired::default() };
    out.objects.clone_from(&pass.objects);
    out.complete &= !crate::diagnostic::has_errors(diagnostics);
    if let Some(trouble) = &pass.asked.trouble {
        let mut warning = Diagnostic::warning("W0406", trouble.to_string());
        warning.help = Some(trouble.help());
        diagnostics.push(warning);
    }
    let mut versions = Versions::new(pass);
    for filled in &pass.filled {
        let (outputs, pending) = builds.of(filled);
        let around = surroundings(pass, filled, &outputs, pending, &mut versions, now);
        let Some(flow) = pass.flows.of(filled) else {
            // Its flow is invalid, which is told already; what else is wrong is told as well.
            let _ = desire(filled, &FlowAnswer::AtApply { name: None }, &around, diagnostics);
            continue;
        };
        // Nobody can say that something left git while a deployment's name is not known.
        out.complete &= !matches!(flow, FlowAnswer::AtApply { name: None });
        let Some(deployment) = desire(filled, flow, &around, diagnostics) else { continue };
        twice(&out, &deployment, filled, diagnostics);
        out.deployments.insert(deployment.key.clone(), deployment);
    }
    ignore(pass, &mut out);
    plan::server::fit(&mut out, &pass.asked.abilities(pass.api), diagnostics);
    diagnostics.extend(renames::check(&out));
    unselected(pass, &out, diagnostics);
    out
}

fn policy(pass: &Pass<'_>) -> Policy {
    let (owning, project) = (&pass.request.owning, &pass.reading.project);
    Policy {
        prune: owning.prune || project.prune,
        max_delete: Some(owning.max_delete.unwrap_or(project.max_delete)),
        destroy: owning.destroy,
        adopt: owning.adopt,
        ledger: project.ledger,
    }
}

fn surroundings<'a>(
    pass: &'a Pass<'_>,
    filled: &Filled,
    outputs: &'a Map,
    pending: bool,
    versions: &mut Versions,
    now: Timestamp,
) -> Surroundings<'a> {
    let reading = &pass.reading;
    let pools = pass.asked.facts.pools.as_ref();
    Surroundings {
        now,
        env: &pass.asked.facts.env,
        outputs,
        pending,
        symbolic: false,
        directory: reading.worktree.absolute(&filled.selected.dir).display().to_string(),
        version_info: versions.of(filled),
        clone: clone_step(reading),
        base_job_template: pools.and_then(|pools| pools.get(&filled.pool)).map(|pool| &pool["base_job_template"]),
        strict: reading.project.strict,
        slas_supported: pass.api.map(|api| api.connection().is_cloud()),
    }
}

/// Two declarations of one deployment: Prefect would let the last one win, over every pass anew.
fn twice(
    desired: &Desired,
    deployment: &crate::plan::want::Deployment,
    filled: &Filled,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if let Some(first) = desired.deployments.get(&deployment.key) {
        let warning =
            Diagnostic::warning("W0407", format!("`{}` is declared twice; the last one holds", deployment.key))
                .at(filled.selected.declaration.origin(), "this one holds")
                .at(first.origin.clone(), "this one is overwritten")
                .help("remove one of them, or give it another name");
        diagnostics.push(warning);
    }
}

/// What is replaced may be declared where nobody looked: with a selection only some declarations are filled.
fn unselected(pass: &Pass<'_>, desired: &Desired, diagnostics: &mut Vec<Diagnostic>) {
    for wanted in desired.deployments.values() {
        let Some(old) = &wanted.replaces else { continue };
        let Some(mine) = pass.filled.iter().find(|one| is_of(one, wanted)) else { continue };
        if desired.deployments.contains_key(&old.key) {
            continue;
        }
        let name = old.key.name.rsplit('/').next();
        let all = pass.reading.files.iter().flat_map(|file| &file.declarations);
        let entrypoint = mine.selected.declaration.entrypoint();
        let other = all.into_iter().find(|other| {
            other.name() == name && other.file == mine.selected.declaration.file && other.entrypoint() == entrypoint
        });
        if let Some(other) = other.filter(|_| entrypoint.is_some()) {
            let message = format!("`{}` is to be replaced and is still declared", old.key);
            let error = Diagnostic::error("E0415", message).at(old.origin.clone(), "");
            diagnostics.push(error.at(other.origin(), "declared here").help("remove one of the two"));
        }
    }
}

fn is_of(filled: &Filled, wanted: &crate::plan::want::Deployment) -> bool {
    filled.selected.declaration.origin() == wanted.origin
}

/// The project's `ignore_drift`.
fn ignore(pass: &Pass<'_>, desired: &mut Desired) {
    for pattern in &pass.reading.project.ignore_drift {
        for deployment in desired.deployments.values_mut() {
            if pattern.covers(&deployment.key, &pattern.path) {
                deployment.ignore_drift.insert(pattern.path.to_string());
            }
        }
    }
}

/// Version inference, once for each version type.
struct Versions {
    environment: BTreeMap<String, String>,
    commit: Option<version_info::GitCommit>,
    known: BTreeMap<Option<String>, Option<VersionInfo>>,
}

impl Versions {
    fn new(pass: &Pass<'_>) -> Self {
        let commit = pass.reading.git.as_ref().map(|git| git.commit());
        let mut environment = pass.request.environment.clone();
        let cloned = commit.as_ref().filter(|_| pass.request.cloned).map(|commit| commit.sha.clone());
        if let Some(commit) = pass.reading.worktree.commit().or(cloned) {
            version_info::at_commit(&mut environment, &commit);
        }
        Versions { environment, commit, known: BTreeMap::new() }
    }

    fn of(&mut self, filled: &Filled) -> Option<VersionInfo> {
        let kind = filled.text("version_type");
        let (environment, commit) = (&self.environment, self.commit.as_ref());
        self.known
            .entry(kind.clone())
            .or_insert_with(|| version_info::infer(environment, commit, kind.as_deref()))
            .clone()
    }
}

/// `default_pull: git`, and always with `--git`: the worker clones the origin instead of changing to a directory of this machine.
pub(super) fn clone_step(reading: &Reading) -> Option<Tree> {
    if reading.project.default_pull != DefaultPull::Git && !reading.cloned {
        return None;
    }
    let git = reading.git.as_ref()?;
    let repository = version_info::without_credentials(git.remote_url.as_deref()?);
    let mut inputs = Map::from([("repository".to_owned(), Tree::text(repository))]);
    let pinned = reading.cloned && (reading.pinned || git.branch == "HEAD");
    if reading.worktree.commit().is_some() || pinned {
        // The tip of a branch is not what is meant.
        inputs.insert("commit_sha".to_owned(), Tree::text(&git.commit));
    } else if git.branch != "HEAD" {
        inputs.insert("branch".to_owned(), Tree::text(&git.branch));
    }
    if reading.submodules {
        inputs.insert("include_submodules".to_owned(), Tree::Bool(true));
    }
    Some(Tree::Map(Map::from([("prefect.deployments.steps.git_clone".to_owned(), Tree::Map(inputs))])))
}

/// Reads what the API holds of everything that is wanted or owned.
///
/// # Errors
/// An API that does not answer.
pub async fn observe(
    api: &Api,
    desired: &Desired,
    ledger: &Ledger,
    abilities: Abilities,
) -> Result<Observed, PassError> {
    let mut names: BTreeSet<String> = desired.deployments.values().map(|wanted| wanted.name.clone()).collect();
    let needed = things::needed(desired, ledger);
    let last = |key: &Key| Some(key.name.rsplit_once('/')?.1.to_owned());
    names.extend(needed.iter().filter(|key| key.kind == Kind::Deployment).filter_map(last));
    let replaced = desired.deployments.values().filter_map(|wanted| wanted.replaces.as_ref());
    names.extend(replaced.filter_map(|old| Some(old.key.name.rsplit_once('/')?.1.to_owned())));
    // What an interrupted pass was about to make is looked for by name.
    let pending = ledger.pending.iter().filter(|key| key.kind == Kind::Deployment);
    names.extend(pending.filter_map(|key| Some(key.name.rsplit_once('/')?.1.to_owned())));
    let flows: BTreeSet<String> = desired.deployments.values().map(|wanted| wanted.flow.clone()).collect();
    let owned = |kind: Kind| ledger.owned.iter().filter(move |(key, _)| key.kind == kind);
    let ids: BTreeSet<String> = owned(Kind::Deployment).map(|(_, owned)| owned.id.clone()).collect();
    let speaks_of_automations = owned(Kind::Automation).next().is_some()
        || ledger.pending.iter().any(|key| key.kind == Kind::Automation)
        || desired.deployments.values().any(|wanted| !wanted.automations.is_empty())
        || needed.iter().any(|key| key.kind == Kind::Automation);
    let which = Which::Of { names, ids };
    let wanted_flows = Which::named(flows);
    let automations = async { if speaks_of_automations { api.automations(None).await } else { Ok(Vec::new()) } };
    let (deployments, flows, automations, objects) = tokio::join!(
        api.deployments(&which),
        api.flows(&wanted_flows),
        automations,
        things::observe(api, &needed, ledger)
    );
    let (deployments, flows, automations) = (deployments?, flows?, automations?);
    let mut objects = objects?;
    objects.extend(things::automations(&needed, ledger, &automations));
    let mut names = flow_names(&flows);
    let missing = missing_flows(&deployments, &names);
    if !missing.is_empty() {
        names.extend(flow_names(&api.flows(&Which::ids(missing)).await?));
    }
    let deployments = deployments.into_iter().filter_map(|answer| {
        let flow = names.get(answer["flow_id"].as_str()?)?;
        Some((Key::deployment(flow, answer["name"].as_str()?), answer))
    });
    Ok(Observed {
        deployments: deployments.collect(),
        flows: flows.iter().filter_map(|flow| Some((text(flow, "name")?, text(flow, "id")?))).collect(),
        automations,
        objects,
        abilities,
        ..Observed::default()
    })
}

/// Flow names by id.
fn flow_names(flows: &[Value]) -> BTreeMap<String, String> {
    flows.iter().filter_map(|flow| Some((text(flow, "id")?, text(flow, "name")?))).collect()
}

/// Flows of deployments that are ours but no longer wanted.
fn missing_flows(deployments: &[Value], known: &BTreeMap<String, String>) -> BTreeSet<String> {
    let ids = deployments.iter().filter_map(|answer| text(answer, "flow_id"));
    ids.filter(|id| !known.contains_key(id)).collect()
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}
