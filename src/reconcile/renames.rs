//! Before a deployment takes the place of another: whose the other is, and whether it is at work.

use crate::api::Api;
use crate::diagnostic::Diagnostic;
use crate::model::plan::{Action, Held};
use crate::model::{Key, Origin};
use crate::plan::Planned;
use crate::plan::want::Write;

use super::Decided;
use super::error::PassError;
use super::owners;

/// One replacement of the plan.
struct Replacement {
    new: Key,
    old: Key,
    id: String,
    adopt: bool,
    origin: Origin,
}

/// Refuses to replace what is not ours, holds back what has runs under way, and counts the planned runs that are lost.
/// Asks only if something is replaced.
///
/// # Errors
/// An API that does not answer.
pub(super) async fn respect(api: &Api, scope: &str, decided: &mut Decided) -> Result<(), PassError> {
    let all = replacements(decided);
    if all.is_empty() {
        return Ok(());
    }
    let is_ours = |one: &&Replacement| decided.ledger.owned.get(&one.old).is_some_and(|owned| owned.id == one.id);
    let strangers: Vec<&Replacement> = all.iter().filter(|one| !is_ours(one)).collect();
    let owners = if strangers.is_empty() { Default::default() } else { api.owned_elsewhere(scope).await? };
    let refused: Vec<Diagnostic> = strangers
        .into_iter()
        .filter_map(|one| match owners.get(&one.old) {
            Some(owner) => Some(owners::foreign(&one.old, owner, Some(&one.origin))),
            None => (!one.adopt).then(|| unowned(one)),
        })
        .collect();
    if !refused.is_empty() {
        decided.diagnostics.extend(refused);
        decided.planned = Planned::default();
        return Ok(());
    }
    let planned = api.planned_runs(&all.iter().map(|one| one.id.clone()).collect()).await.unwrap_or_default();
    for one in &all {
        let running = api.runs_under_way(&one.id).await?;
        if running > 0 {
            hold(one, running, &mut decided.planned);
        } else if let Some(runs) = planned.by_deployment.get(&one.id)
            && let Some(change) = decided.planned.plan.changes.iter_mut().find(|change| change.key == one.new)
        {
            let at_least = if planned.more { "at least " } else { "" };
            let runs = crate::report::count(runs.count, "planned run is", "planned runs are");
            change.impact.push(format!("{at_least}{runs} dropped, and planned anew under the new name"));
        }
    }
    Ok(())
}

fn replacements(decided: &Decided) -> Vec<Replacement> {
    let one = |(new, write): (&Key, &Write)| match write {
        Write::DeleteDeployment { id, key } => {
            let replaces = decided.desired.deployments.get(new)?.replaces.clone()?;
            let (adopt, origin) = (replaces.adopt, replaces.origin);
            Some(Replacement { new: new.clone(), old: key.clone(), id: id.clone(), adopt, origin })
        }
        _ => None,
    };
    let all = decided.planned.writes.iter().flat_map(|(key, writes)| writes.iter().map(move |write| (key, write)));
    all.filter_map(one).collect()
}

fn unowned(one: &Replacement) -> Diagnostic {
    Diagnostic::error("E0416", format!("`{}` is to be replaced and is not of this scope", one.old))
        .at(one.origin.clone(), "")
        .help("write `adopt: true` beside `replaces` to take it over, or remove `replaces` to leave it alone")
}

/// Takes a replacement, and what hangs on it, out of the plan.
fn hold(one: &Replacement, running: u64, planned: &mut Planned) {
    let prefix = format!("{}/", one.old.name);
    let hangs = |key: &Key, after: &[Key]| *key == one.new || after.contains(&one.new) || key.name.starts_with(&prefix);
    let gone: Vec<Key> = {
        let changes = planned.plan.changes.iter().filter(|change| hangs(&change.key, &change.after));
        changes.map(|change| change.key.clone()).collect()
    };
    planned.plan.changes.retain(|change| !gone.contains(&change.key));
    gone.iter().for_each(|key| drop(planned.writes.remove(key)));
    let runs = usize::try_from(running).unwrap_or(usize::MAX);
    let runs = crate::report::count(runs, "run is", "runs are");
    planned.plan.held.push(Held {
        key: one.new.clone(),
        action: Action::Replace,
        reason: format!("{runs} under way of `{}`, which it replaces; apply again when they have ended", one.old.name),
    });
    planned.plan.held.sort_by(|a, b| a.key.cmp(&b.key));
}
