//! `status`: how a scope stands. Reads only, and runs no code of the repository.

use jiff::Timestamp;

use super::error::PassError;
use super::lock::described;
use super::{Pass, builds, drift};
use crate::api::Holder;
use crate::model::Kind;
use crate::report::Failure;
use crate::report::status::{Applied, LockHolder, Status};

/// Looks at ledger, lock, drift and plan.
///
/// # Errors
/// An API that does not answer. What is wrong with the ledger or the files is part of the answer.
pub async fn status(pass: &Pass<'_>) -> Result<Status, PassError> {
    let Some(api) = pass.api else { return Err(PassError::Ledger("there is no API to look at".to_owned())) };
    let scope = &pass.reading.scope;
    let decided = pass.decide(&builds::remembered(pass)).await?;
    let (applied, trouble, drifted) = match pass.applied() {
        Ok(ledger) => {
            let owned = |kind: Kind| (kind, ledger.owned.keys().filter(|key| key.kind == kind).count());
            let applied = Applied {
                commit: ledger.commit.clone(),
                at: api.ledger_saved(scope).await?,
                generation: ledger.generation,
                owned: Kind::ALL.into_iter().map(owned).filter(|(_, n)| *n > 0).collect(),
                interrupted: ledger.pending.iter().cloned().collect(),
            };
            (Some(applied), None, Some(drift::drift(pass).await?))
        }
        Err(PassError::NeverApplied { .. }) => (None, None, None),
        Err(error) => {
            let code = error.code().map(str::to_owned);
            (None, Some(Failure { code, message: error.to_string(), help: error.help() }), None)
        }
    };
    let lock = api.lock_holder(scope).await?.map(|holder| told(&holder));
    let plan = pass.report(&decided, Default::default());
    Ok(Status { plan, valid: !decided.is_invalid(), applied, trouble, drift: drifted, lock })
}

fn told(holder: &Holder) -> LockHolder {
    let since = holder.age.and_then(|age| Timestamp::now().checked_sub(age).ok());
    LockHolder {
        host: holder.host.clone(),
        pid: holder.pid.clone(),
        url: holder.url.clone(),
        since: since.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        silent_seconds: holder.silence.map(|silence| silence.as_secs()),
        words: described(holder),
    }
}
