//! What the repository wants, what the API holds, and the writes that lead from one to the other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::manifest::project::MaxDelete;
use crate::manifest::resources::Lifecycle;
use crate::manifest::schedules::Schedule;
use crate::manifest::triggers;
use crate::model::{Abilities, Key, Origin, Tree};

use super::uses::Use;

/// A deployment as it should be.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// `deployment flow/name`
    pub key: Key,
    /// Its flow's name.
    pub flow: String,
    /// Its own name.
    pub name: String,
    /// Where it is declared.
    pub origin: Origin,
    /// The fields of the table that git speaks of, declared or derived from the flow.
    pub fields: BTreeMap<String, Tree>,
    /// Fields that are sent along with another change and are no difference by themselves.
    pub along: BTreeMap<String, Tree>,
    /// Its schedules; `None` when git says nothing of schedules.
    pub schedules: Option<Vec<Schedule>>,
    /// The automations of its triggers.
    pub automations: Vec<Automation>,
    /// Its service level agreements; `None` when git says nothing of them.
    pub slas: Option<Tree>,
    /// Paths whose drift is nobody's business, as text prefixes.
    pub ignore_drift: BTreeSet<String>,
    /// Whether every field is ours, declared or not.
    pub strict: bool,
    /// The deployment whose place it takes.
    pub replaces: Option<Replaces>,
}

/// A deployment of the same flow under another name, which is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// `deployment flow/old-name`
    pub key: Key,
    /// Whether it goes even if it is nobody's.
    pub adopt: bool,
    /// Where that is declared.
    pub origin: Origin,
}

/// An automation as it should be.
#[derive(Clone, Debug)]
pub struct Automation {
    /// `automation flow/deployment/name`
    pub key: Key,
    /// What its trigger came to.
    pub made: triggers::Automation,
    /// Where its trigger is declared.
    pub origin: Origin,
}

/// An object of any other kind as it should be.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its kind and natural name.
    pub key: Key,
    /// Where it is declared.
    pub origin: Origin,
    /// The fields of its kind's table that git speaks of, as they are sent; references as ids of keys.
    pub fields: BTreeMap<String, Tree>,
    /// Fields that are sent when it is made and are no difference by themselves.
    pub along: BTreeMap<String, Tree>,
    /// What has to be there first, each with the place that says so.
    pub needs: BTreeMap<Key, Origin>,
    /// What is wrong with it if it is not there yet.
    pub if_new: Vec<Diagnostic>,
    /// How it is treated.
    pub lifecycle: Lifecycle,
    /// Paths whose drift is nobody's business, as text prefixes.
    pub ignore_drift: BTreeSet<String>,
    /// Whether every field is ours, declared or not.
    pub strict: bool,
}

/// What may be taken over and deleted.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Whether what left git is deleted.
    pub prune: bool,
    /// How many deletions happen unasked, among how many objects that are ours; `None`: any number.
    pub max_delete: Option<MaxDelete>,
    /// Whether everything is deleted that is ours: `destroy`.
    pub destroy: bool,
    /// Whether what exists and is nobody's becomes ours, of any kind.
    pub adopt: bool,
    /// Whether it is recorded what is ours. Where it is not, everything that is declared counts as ours.
    pub ledger: bool,
}

/// Everything the repository wants.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// Deployments, by key.
    pub deployments: BTreeMap<Key, Deployment>,
    /// Objects of the other kinds, by key.
    pub objects: BTreeMap<Key, Object>,
    /// What may be taken over and deleted.
    pub policy: Policy,
    /// Whether everything that is declared was read and selected: only then is what is missing an orphan.
    pub complete: bool,
}

impl Desired {
    /// Every object that is declared, and where.
    pub fn declared(&self) -> Vec<(Key, Origin)> {
        let mut all: Vec<(Key, Origin)> =
            self.objects.values().map(|object| (object.key.clone(), object.origin.clone())).collect();
        for deployment in self.deployments.values() {
            all.push((deployment.key.clone(), deployment.origin.clone()));
            let automations = deployment.automations.iter();
            all.extend(automations.map(|automation| (automation.key.clone(), automation.origin.clone())));
        }
        all
    }
}

/// Everything the API holds that matters here, as it answers.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Deployments by key.
    pub deployments: BTreeMap<Key, Value>,
    /// Flow ids by name.
    pub flows: BTreeMap<String, String>,
    /// Every automation.
    pub automations: Vec<Value>,
    /// Objects of the other kinds, by key.
    pub objects: BTreeMap<Key, Value>,
    /// What stands in the way of deleting an object besides its users, in words, by key.
    pub in_use: BTreeMap<Key, String>,
    /// Who uses what may be deleted, by key.
    pub users: BTreeMap<Key, Vec<Use>>,
    /// How many runs are under way of deployments that may be deleted.
    pub running: BTreeMap<Key, u64>,
    /// What the server can do.
    pub abilities: Abilities,
}

impl Observed {
    /// The id of an object that is there.
    pub fn id(&self, key: &Key) -> Option<String> {
        let row = self.deployments.get(key).or_else(|| self.objects.get(key))?;
        row["id"].as_str().map(str::to_owned)
    }

    /// The ids of everything that is there.
    pub fn ids(&self) -> BTreeMap<Key, String> {
        let rows = self.deployments.iter().chain(&self.objects);
        rows.filter_map(|(key, row)| Some((key.clone(), row["id"].as_str()?.to_owned()))).collect()
    }
}

/// A change of one schedule of a deployment, in place.
#[derive(Clone, Debug, PartialEq)]
pub enum ScheduleWrite {
    /// A new one.
    Add(Tree),
    /// New values for one that exists.
    Update {
        /// Its id.
        id: String,
        /// What changes.
        body: Tree,
    },
    /// One that is ours and left git.
    Delete {
        /// Its id.
        id: String,
    },
}

/// A request that a plan comes down to.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Makes a deployment, and its flow if there is none of that name.
    CreateDeployment {
        /// The flow's name.
        flow: String,
        /// The deployment's own name.
        name: String,
        /// Fields of the table that are not at their defaults.
        fields: BTreeMap<String, Tree>,
        /// Items of its list of schedules.
        schedules: Vec<Tree>,
    },
    /// Changes a deployment in place.
    UpdateDeployment {
        /// Its id.
        id: String,
        /// The fields that change; may be empty.
        patch: BTreeMap<String, Tree>,
        /// Its schedules that change.
        schedules: Vec<ScheduleWrite>,
    },
    /// Deletes a deployment whose place another one has taken.
    DeleteDeployment {
        /// Its id.
        id: String,
        /// What it was called.
        key: Key,
    },
    /// Makes an automation.
    CreateAutomation(Box<triggers::Automation>),
    /// Replaces the definition of an automation; its id stays.
    ReplaceAutomation {
        /// Its id.
        id: String,
        /// What it should be.
        made: Box<triggers::Automation>,
    },
    /// Deletes an automation of ours.
    DeleteAutomation {
        /// Its id.
        id: String,
    },
    /// Sets the service level agreements of a deployment.
    ApplySlas {
        /// The deployment.
        owner: Key,
        /// The list.
        slas: Tree,
    },
    /// Makes an object of a kind that has no form of its own here.
    CreateObject {
        /// What is sent.
        body: Tree,
    },
    /// Changes such an object in place.
    UpdateObject {
        /// Its id.
        id: String,
        /// What is sent.
        patch: Tree,
    },
    /// Deletes an object of any kind.
    DeleteObject {
        /// Its id.
        id: String,
    },
    /// Takes an object into the ledger as it is.
    Adopt {
        /// Its id.
        id: String,
    },
}

pub use crate::model::ledger::Declared;
