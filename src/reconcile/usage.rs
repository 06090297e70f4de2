//! What stands in the way of deleting what left git: who still uses it. Asked only when something is to be deleted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::PassError;
use crate::api::{Api, Which};
use crate::model::ledger::Ledger;
use crate::model::{Key, Kind};
use crate::plan::prune;
use crate::plan::want::{Desired, Observed};
use crate::resource;

/// So many users are named.
const NAMED: usize = 3;

/// Notes what is in use of the objects that may be deleted.
///
/// # Errors
/// An API that does not answer.
pub async fn note(api: &Api, desired: &Desired, ledger: &Ledger, observed: &mut Observed) -> Result<(), PassError> {
    let deletes = desired.policy.prune || desired.policy.destroy;
    if !deletes || !desired.complete {
        return Ok(());
    }
    let going: BTreeSet<Key> = prune::orphans(desired, ledger).cloned().collect();
    if going.is_empty() {
        return Ok(());
    }
    let look = Look { ids: observed.ids(), going };
    let (blocks, deployments, runs) = tokio::join!(look.blocks(api), look.deployments(api), look.runs(api));
    let mut in_use = runs?;
    in_use.extend(blocks?);
    in_use.extend(deployments?);
    observed.in_use = in_use;
    Ok(())
}

/// Reasons by object.
type Reasons = BTreeMap<Key, String>;

struct Look {
    /// The ids of everything that is there.
    ids: BTreeMap<Key, String>,
    /// What left git.
    going: BTreeSet<Key>,
}

impl Look {
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Key> {
        self.going.iter().filter(move |key| key.kind == kind)
    }

    fn ids_of(&self, kind: Kind) -> BTreeMap<&String, &Key> {
        self.of(kind).filter_map(|key| Some((self.ids.get(key)?, key))).collect()
    }

    /// Blocks that stay and refer to one that goes, or are of a type that goes: the API would change or delete them.
    async fn blocks(&self, api: &Api) -> Result<Reasons, PassError> {
        if self.of(Kind::Block).chain(self.of(Kind::BlockType)).next().is_none() {
            return Ok(Reasons::new());
        }
        let all = api.objects(Kind::Block, &Which::All).await?;
        let mut users: BTreeMap<Key, Vec<String>> = BTreeMap::new();
        for (key, row) in all.iter().filter(|(key, _)| !self.going.contains(key)) {
            let slug = key.name.split('/').next().unwrap_or_default();
            users.entry(Key::new(Kind::BlockType, slug)).or_default().push(key.to_string());
            for (_, name) in resource::block::references(row) {
                users.entry(Key::new(Kind::Block, name)).or_default().push(key.to_string());
            }
        }
        let users = users.into_iter().filter(|(key, _)| self.going.contains(key));
        Ok(users.map(|(key, users)| (key, told(&users))).collect())
    }

    /// Deployments that stay: the API deletes those whose storage a block is, and takes its pool from the others.
    async fn deployments(&self, api: &Api) -> Result<Reasons, PassError> {
        let (blocks, pools) = (self.ids_of(Kind::Block), self.of(Kind::WorkPool).collect::<Vec<_>>());
        let queues: Vec<&Key> = self.of(Kind::WorkQueue).collect();
        if blocks.is_empty() && pools.is_empty() && queues.is_empty() {
            return Ok(Reasons::new());
        }
        let going = self.ids_of(Kind::Deployment);
        let mut users: BTreeMap<Key, Vec<String>> = BTreeMap::new();
        let text = |row: &Value, field: &str| row[field].as_str().map(str::to_owned);
        for (key, row) in api.objects(Kind::Deployment, &Which::All).await? {
            if text(&row, "id").is_some_and(|id| going.contains_key(&id)) {
                continue;
            }
            let carried = ["storage_document_id", "infrastructure_document_id"].map(|field| text(&row, field));
            let carried = carried.iter().flatten().filter_map(|id| blocks.get(id)).map(|key| (*key).clone());
            let pool = text(&row, "work_pool_name");
            let queue = pool.as_ref().zip(text(&row, "work_queue_name"));
            let queue = queue.map(|(pool, queue)| Key::new(Kind::WorkQueue, format!("{pool}/{queue}")));
            let place = pool.map(|pool| Key::new(Kind::WorkPool, pool)).into_iter().chain(queue);
            for used in carried.chain(place).filter(|used| self.going.contains(used)) {
                users.entry(used).or_default().push(key.to_string());
            }
        }
        Ok(users.into_iter().map(|(key, users)| (key, told(&users))).collect())
    }

    /// Runs under way of deployments, and runs that wait in pools.
    async fn runs(&self, api: &Api) -> Result<Reasons, PassError> {
        let deployments = self.ids_of(Kind::Deployment);
        let mut reasons = Reasons::new();
        let ids: BTreeSet<String> = deployments.keys().map(|id| (*id).clone()).collect();
        if !ids.is_empty() {
            for (id, count) in api.running_runs(&ids).await? {
                let runs = crate::report::count(usize::try_from(count).unwrap_or(usize::MAX), "run is", "runs are");
                let reason = format!("{runs} under way; let them end, or cancel them, and run again");
                reasons.extend(deployments.get(&id).map(|key| ((*key).clone(), reason)));
            }
        }
        for pool in self.of(Kind::WorkPool).filter(|pool| self.ids.contains_key(pool)) {
            let waiting = api.queued_runs_of_pool(&pool.name, &ids).await?;
            if waiting > 0 {
                let runs =
                    crate::report::count(usize::try_from(waiting).unwrap_or(usize::MAX), "run waits", "runs wait");
                reasons.insert(pool.clone(), format!("{runs} in it; cancel them, or let them run, and run again"));
            }
        }
        Ok(reasons)
    }
}

/// Who uses it, in words.
fn told(users: &[String]) -> String {
    let named: Vec<String> = users.iter().take(NAMED).map(|user| format!("`{user}`")).collect();
    let more = users.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let uses = if users.len() == 1 { "uses" } else { "use" };
    format!("{}{more} {uses} it", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_users_are_named() {
        let users = |count: usize| (0..count).map(|n| format!("block a/b{n}")).collect::<Vec<_>>();
        assert_eq!(told(&users(1)), "`block a/b0` uses it");
        assert_eq!(told(&users(5)), "`block a/b0`, `block a/b1`, `block a/b2` and 2 more use it");
    }
}
