//! What stands in the way of deleting what left git: who still uses it. Asked only when something is to be deleted, and
//! only of the kinds that can name what goes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::PassError;
use crate::api::{Api, Which};
use crate::model::ledger::Ledger;
use crate::model::{Key, Kind};
use crate::plan::prune;
use crate::plan::uses::{self, Target, Use, User};
use crate::plan::want::{Desired, Observed};
use crate::resource;

/// Notes who uses the objects that may be deleted.
///
/// # Errors
/// An API that does not answer.
pub async fn note(
    api: &Api,
    scope: &str,
    desired: &Desired,
    ledger: &Ledger,
    observed: &mut Observed,
) -> Result<(), PassError> {
    let deletes = desired.policy.prune || desired.policy.destroy;
    if !deletes || !desired.complete {
        return Ok(());
    }
    let going: BTreeSet<Key> = prune::orphans(desired, ledger).cloned().collect();
    if going.is_empty() {
        return Ok(());
    }
    let look = Look::new(going, ledger, observed);
    let (rows, runs, storage, others) =
        tokio::join!(look.rows(api), look.runs(api), look.storage(api), api.owned_elsewhere(scope));
    let runs = runs?;
    (observed.running, observed.in_use) = (runs.running, runs.waiting);
    observed.in_use.extend(look.shared(&others?));
    for (by, kind, row) in rows? {
        look.note(&by, uses::of_row(kind, &row), &mut observed.users);
    }
    if let Some(id) = storage? {
        let by = User::Other("the server's default result storage".to_owned());
        look.note(&by, vec![("", Target::Id(id))], &mut observed.users);
    }
    Ok(())
}

/// What was found of runs.
struct Runs {
    /// How many are under way of each deployment.
    running: BTreeMap<Key, u64>,
    /// Pools and queues in which some wait, in words.
    waiting: BTreeMap<Key, String>,
}

/// A row of the API, and whose it is.
type Row = (User, Kind, Value);

struct Look {
    /// What left git.
    going: BTreeSet<Key>,
    /// The keys of what is ours or was asked for, by id.
    keys: BTreeMap<String, Key>,
}

impl Look {
    fn new(going: BTreeSet<Key>, ledger: &Ledger, observed: &Observed) -> Look {
        let mut keys: BTreeMap<String, Key> = observed.ids().into_iter().map(|(key, id)| (id, key)).collect();
        // An automation of a trigger is known by its deployment as well, which its row does not name.
        let owned = ledger.owned.iter().map(|(key, owned)| (owned.id.clone(), key.clone()));
        keys.extend(owned.filter(|(_, key)| key.kind == Kind::Automation));
        Look { going, keys }
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Key> {
        self.going.iter().filter(move |key| key.kind == kind)
    }

    fn goes(&self, kinds: &[Kind]) -> bool {
        self.going.iter().any(|key| kinds.contains(&key.kind))
    }

    fn ids_of(&self, kind: Kind) -> BTreeMap<&String, &Key> {
        self.keys.iter().filter(|(_, key)| key.kind == kind && self.going.contains(*key)).collect()
    }

    /// The rows of every kind that can name what goes.
    async fn rows(&self, api: &Api) -> Result<Vec<Row>, PassError> {
        use Kind::{Automation, Block, BlockType, ConcurrencyLimit, Deployment, Variable, WorkPool, WorkQueue};
        let named_by: [(Kind, &[Kind]); 4] = [
            (Deployment, &[Block, Variable, WorkPool, WorkQueue, ConcurrencyLimit]),
            (WorkPool, &[Block, Variable]),
            (WorkQueue, &[WorkPool]),
            (Automation, &[Block, Variable, WorkPool, WorkQueue, Deployment, Automation]),
        ];
        let asked = named_by.into_iter().filter(|(_, named)| self.goes(named)).map(|(kind, _)| kind);
        let lists = asked.map(|kind| async move { Ok::<_, PassError>((kind, api.objects(kind, &Which::All).await?)) });
        let blocks = async {
            match self.goes(&[Block, BlockType, Variable]) {
                true => api.every_block().await,
                false => Ok(Vec::new()),
            }
        };
        let (lists, blocks) = tokio::join!(futures_util::future::try_join_all(lists), blocks);
        let mut rows = Vec::new();
        for (kind, list) in lists? {
            // Queues that others made go with their pool.
            let counts = |key: &Key| kind != WorkQueue || (self.going.contains(key) && !key.is_default_queue());
            let list = list.into_iter().filter(|(key, _)| counts(key));
            rows.extend(list.map(|(key, row)| (self.user(key, &row), kind, row)));
        }
        for row in blocks? {
            let by = match resource::name(Block, &row) {
                Some(name) => self.user(Key::new(Block, name), &row),
                None => User::Other(format!("the anonymous block `{}`", row["name"].as_str().unwrap_or_default())),
            };
            rows.push((by, Block, row));
        }
        Ok(rows)
    }

    /// Whose a row is. One that only has the name of what goes is another object.
    fn user(&self, named: Key, row: &Value) -> User {
        match row["id"].as_str().and_then(|id| self.keys.get(id)) {
            Some(key) => User::Object(key.clone()),
            None if self.going.contains(&named) => User::Other(format!("another `{named}`")),
            None => User::Object(named),
        }
    }

    /// The block that the server keeps results in where nothing else is said.
    async fn storage(&self, api: &Api) -> Result<Option<String>, PassError> {
        Ok(if self.goes(&[Kind::Block]) { api.admin_storage().await? } else { None })
    }

    /// What another scope has in its ledger as well. Two that began at the same moment can both have made a thing of
    /// which the API makes only one. Automations of one name are not one.
    fn shared(&self, others: &BTreeMap<Key, String>) -> BTreeMap<Key, String> {
        let going = self.going.iter().filter(|key| key.kind != Kind::Automation);
        let told = |owner: &String| format!("the scope `{owner}` owns it as well; let go of it there first");
        going.filter_map(|key| Some((key.clone(), told(others.get(key)?)))).collect()
    }

    /// Notes what a row says of objects that go.
    fn note(&self, by: &User, named: Vec<(&'static str, Target)>, users: &mut BTreeMap<Key, Vec<Use>>) {
        for (field, target) in named {
            let used = match &target {
                Target::Named(key) => Some(key),
                Target::Id(id) => self.keys.get(id),
            };
            let Some(used) = used.filter(|used| self.going.contains(*used)) else { continue };
            if *by != User::Object(used.clone()) {
                users.entry(used.clone()).or_default().push(Use { by: by.clone(), field, target });
            }
        }
    }

    /// Runs under way of deployments, and runs that wait in pools and queues: without those, nobody would take them.
    async fn runs(&self, api: &Api) -> Result<Runs, PassError> {
        let deployments = self.ids_of(Kind::Deployment);
        let ids: BTreeSet<String> = deployments.keys().map(|id| (*id).clone()).collect();
        let counts = if ids.is_empty() { BTreeMap::new() } else { api.running_runs(&ids).await? };
        let running = counts.into_iter().filter_map(|(id, count)| Some(((*deployments.get(&id)?).clone(), count)));
        let mut runs = Runs { running: running.collect(), waiting: BTreeMap::new() };
        let there: BTreeSet<&Key> = self.keys.values().collect();
        let places = self.of(Kind::WorkPool).chain(self.of(Kind::WorkQueue)).filter(|key| there.contains(key));
        for place in places.filter(|key| !key.is_default_queue()) {
            let waiting = api.queued_runs(place, &ids).await?;
            if waiting > 0 {
                let count = usize::try_from(waiting).unwrap_or(usize::MAX);
                let told = crate::report::count(count, "run waits", "runs wait");
                runs.waiting
                    .insert(place.clone(), format!("{told} in it; cancel them, or let them run, and run again"));
            }
        }
        Ok(runs)
    }
}
