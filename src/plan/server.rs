//! What the server lacks of what is declared: told, and left out where it would be dropped without a word.

use crate::diagnostic::Diagnostic;
use crate::model::{Abilities, Tree};

use super::want::{Deployment, Desired};

const OPTIONS: &str = "concurrency_options";
const GRACE_PERIOD: &str = "grace_period_seconds";

/// Fits what is wanted to a server; what it drops would differ in every plan.
pub fn fit(desired: &mut Desired, abilities: &Abilities, diagnostics: &mut Vec<Diagnostic>) {
    if !abilities.is_three {
        let message = format!("the server is Prefect {}, and its API is not that of Prefect 3", abilities.version);
        let help = "upgrade the server to Prefect 3.4 or newer, or name another one in `PREFECT_API_URL`";
        diagnostics.push(Diagnostic::error("E0411", message).help(help));
    }
    if !abilities.grace_period {
        for wanted in desired.deployments.values_mut() {
            without_grace(wanted, &abilities.version, diagnostics);
        }
    }
}

fn without_grace(wanted: &mut Deployment, version: &str, diagnostics: &mut Vec<Diagnostic>) {
    let Some(Tree::Map(options)) = wanted.fields.get_mut(OPTIONS) else { return };
    if options.shift_remove(GRACE_PERIOD).is_some() {
        let message = format!("Prefect {version} has no `{GRACE_PERIOD}`; `{}` goes without", wanted.key);
        let warning = Diagnostic::warning("W0412", message)
            .at(wanted.origin.clone(), "declared here")
            .help("upgrade the server to Prefect 3.6.6 or newer, or remove the key");
        diagnostics.push(warning);
    }
}
