//! What the repository wants, what the API holds, and the writes that lead from one to the other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::manifest::schedules::Schedule;
use crate::manifest::triggers;
use crate::model::{Key, Origin, Path, Tree};

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

/// Everything the repository wants.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// Deployments, by key.
    pub deployments: BTreeMap<Key, Deployment>,
    /// Whether everything that is declared was read and selected: only then is what is missing an orphan.
    pub complete: bool,
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
    /// Takes an object into the ledger as it is.
    Adopt {
        /// Its id.
        id: String,
    },
}

/// The declared paths of an object with the keyed digests of their values, for the ledger.
pub type Declared = BTreeMap<Path, String>;
