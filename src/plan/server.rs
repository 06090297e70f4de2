//! What the server lacks of what is declared: told, and left out where it would be dropped without a word.

use crate::diagnostic::Diagnostic;
use crate::model::{Abilities, Key, Kind, Origin, Tree};

use super::want::{Deployment, Desired, Object};

const OPTIONS: &str = "concurrency_options";
const GRACE_PERIOD: &str = "grace_period_seconds";
const ACTIONS: &str = "actions";
const FORCE: &str = "force";

/// Fits what is wanted to a server; what it drops would differ in every plan.
pub fn fit(desired: &mut Desired, abilities: &Abilities, diagnostics: &mut Vec<Diagnostic>) {
    if !abilities.is_three {
        let message = format!("the server is Prefect {}, and its API is not that of Prefect 3", abilities.version);
        let help = "upgrade the server to Prefect 3.4 or newer, or name another one in `PREFECT_API_URL`";
        diagnostics.push(Diagnostic::error("E0411", message).help(help));
    }
    let version = abilities.version.as_str();
    if !abilities.grace_period {
        for wanted in desired.deployments.values_mut().filter_map(without_grace) {
            diagnostics.push(lacks(version, GRACE_PERIOD, "3.6.6", wanted));
        }
    }
    if !abilities.forces_states {
        for wanted in desired.objects.values_mut().filter_map(without_force) {
            diagnostics.push(lacks(version, FORCE, "3.6.11", wanted));
        }
    }
}

/// A declaration that lost something.
type Lost<'a> = (&'a Key, &'a Origin);

fn lacks(version: &str, field: &str, since: &str, (key, origin): Lost<'_>) -> Diagnostic {
    Diagnostic::warning("W0412", format!("Prefect {version} has no `{field}`; `{key}` goes without"))
        .at(origin.clone(), "declared here")
        .help(format!("upgrade the server to Prefect {since} or newer, or remove the key"))
}

fn without_grace(wanted: &mut Deployment) -> Option<Lost<'_>> {
    let Some(Tree::Map(options)) = wanted.fields.get_mut(OPTIONS) else { return None };
    options.shift_remove(GRACE_PERIOD).map(|_| (&wanted.key, &wanted.origin))
}

/// No action but that which changes the state of a run has such a key of its own.
fn without_force(wanted: &mut Object) -> Option<Lost<'_>> {
    let is_automation = wanted.key.kind == Kind::Automation;
    let Some(Tree::List(actions)) = wanted.fields.get_mut(ACTIONS).filter(|_| is_automation) else { return None };
    let mut lost = false;
    for action in actions {
        if let Tree::Map(action) = action {
            lost |= action.shift_remove(FORCE).is_some_and(|force| force.is_truthy());
        }
    }
    lost.then_some((&wanted.key, &wanted.origin))
}
