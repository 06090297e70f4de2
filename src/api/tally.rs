//! `Tally`: how many requests got which answers.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A kind of request and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answered {
    /// Whether it was to change something.
    pub write: bool,
    /// The method, such as `PATCH`.
    pub method: String,
    /// The status code; none if no answer came.
    pub status: Option<u16>,
}

/// How many there were of each, repetitions included.
pub type Answers = BTreeMap<Answered, u64>;

#[derive(Default)]
pub(super) struct Tally(Mutex<Answers>);

impl Tally {
    pub fn count(&self, answered: Answered) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(answered).or_default() += 1;
    }

    pub fn answers(&self) -> Answers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
