//! What Python said of flows on an earlier day, kept in the ledger: as long as nothing that it rested on has changed,
//! it holds without asking again.
//!
//! An answer rests on the files of the repository that were read to give it, on the packages that Python has, and on
//! the variables of the environment that it was granted.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::ledger::Ledger;
use crate::model::{FlowFacts, RepoPath, Secret};
use crate::python::{Candidate, fingerprint};

use super::Request;
use super::read::Reading;

/// An answer about a flow with a larger parameter schema is not kept, in bytes of JSON.
const LARGEST: usize = 64 << 10;
/// All answers together take no more, in bytes of JSON.
const MOST: usize = 2 << 20;
/// An answer that rests on more files is not kept.
const MOST_FILES: usize = 2000;

/// One answer as the ledger has it.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    /// A keyed digest of everything that it rests on.
    digest: String,
    /// The files that were read, from the root.
    files: BTreeSet<RepoPath>,
    /// What Python said.
    facts: FlowFacts,
}

/// Finds and keeps answers of one pass.
pub struct Memory<'a> {
    reading: &'a Reading,
    digest_key: &'a [u8],
    known: &'a BTreeMap<String, Value>,
    /// What answers rest on beside files; none if that cannot be told.
    surroundings: Option<String>,
    /// The program that would answer.
    python: Option<&'a Candidate>,
}

impl<'a> Memory<'a> {
    /// What the ledger remembers, seen from today's files and Python.
    pub fn new(request: &Request, reading: &'a Reading, ledger: &'a Ledger, candidates: &'a [Candidate]) -> Self {
        // The first that can be started is not known here; of those that exist, the first that has Prefect is it.
        let home = request.environment.get("HOME").map(std::path::Path::new);
        let python = candidates.iter().find_map(|one| Some((one, fingerprint(one, home)?)));
        let granted = reading.project.step_env.iter();
        let granted = granted.map(|name| format!("\0{name}={:?}", request.environment.get(name)));
        let surroundings = python.as_ref().map(|(_, text)| text.clone() + &granted.collect::<String>());
        let python = python.map(|(one, _)| one);
        Memory { reading, digest_key: &ledger.digest_key, known: &ledger.flows, surroundings, python }
    }

    /// The answer about an entrypoint, if it still holds, with what the ledger goes on to say of it.
    pub fn find(&self, dir: &RepoPath, entrypoint: &str) -> Option<(FlowFacts, (String, Value))> {
        let name = name(dir, entrypoint);
        let entry = self.known.get(&name)?;
        let found: Remembered = serde_json::from_value(entry.clone()).ok()?;
        let holds = found.files.len() <= MOST_FILES && self.digest(&name, &found.files)? == found.digest;
        holds.then(|| (found.facts, (name, entry.clone())))
    }

    /// What the ledger shall remember of a new answer; nothing of one whose grounds cannot be told or are too many.
    pub fn entry(
        &self,
        python: &std::path::Path,
        (dir, entrypoint): (&RepoPath, &str),
        facts: &FlowFacts,
        files: BTreeSet<RepoPath>,
    ) -> Option<(String, Value)> {
        let name = name(dir, entrypoint);
        if self.python?.path != python || files.is_empty() || files.len() > MOST_FILES {
            return None;
        }
        let entry = Remembered { digest: self.digest(&name, &files)?, files, facts: facts.clone() };
        let entry = serde_json::to_value(entry).ok()?;
        (entry.to_string().len() <= LARGEST).then_some((name, entry))
    }

    fn digest(&self, name: &str, files: &BTreeSet<RepoPath>) -> Option<String> {
        let mut seen = format!("{name}\0{}", self.surroundings.as_ref()?);
        for file in files {
            // A file that was looked for and is not there is a ground as well.
            let content = self.reading.worktree.read(file).ok()?.map(Sha256::digest);
            seen.push_str(&format!("\0{file}={content:?}"));
        }
        Some(Secret::text(seen).digest(self.digest_key))
    }
}

fn name(dir: &RepoPath, entrypoint: &str) -> String {
    if dir.as_str().is_empty() { entrypoint.to_owned() } else { format!("{dir} {entrypoint}") }
}

/// Leaves out what would make the ledger too large.
pub fn bounded(entries: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut left = MOST;
    let mut fits = |value: &Value| {
        let size = value.to_string().len();
        let fits = size <= left;
        left -= if fits { size } else { 0 };
        fits
    };
    entries.iter().filter(|(_, value)| fits(value)).map(|(name, value)| (name.clone(), value.clone())).collect()
}
