//! `Saying`: tells somebody how things stand, one word after the other.
//!
//! What is to be said is kept until it was heard. While one word is on its way or nobody listens, only the newest waits:
//! none is overtaken by an older one, and none is lost to a failure while there is more to say.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::reconcile::stop;

/// How long the last word may take at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Says words of a kind to somebody.
pub struct Saying<T> {
    wanted: watch::Sender<Option<T>>,
    saying: JoinHandle<()>,
}

impl<T: Clone + Send + Sync + 'static> Saying<T> {
    /// `say` tells whether it was heard; what `is_as` that which was heard last is not said again.
    pub fn new<Heard>(is_as: fn(&T, &T) -> bool, say: impl Fn(T) -> Heard + Send + Sync + 'static) -> Saying<T>
    where
        Heard: Future<Output = bool> + Send + 'static,
    {
        let (wanted, newest) = watch::channel(None);
        Saying { wanted, saying: tokio::spawn(keep_saying(newest, is_as, say)) }
    }

    /// From now on this holds. Saying the same again repeats nothing but what was not heard.
    pub fn say(&self, word: T) {
        self.wanted.send_replace(Some(word));
    }

    /// Gives what was said last a moment to arrive.
    pub async fn end(self) {
        let Saying { wanted, mut saying } = self;
        drop(wanted);
        if tokio::time::timeout(FAREWELL, &mut saying).await.is_err() {
            saying.abort();
        }
    }
}

/// Says the newest until nobody wants anything said any more.
async fn keep_saying<T: Clone, Heard: Future<Output = bool>>(
    mut newest: watch::Receiver<Option<T>>,
    is_as: fn(&T, &T) -> bool,
    say: impl Fn(T) -> Heard,
) {
    let mut heard: Option<T> = None;
    while newest.changed().await.is_ok() {
        let Some(word) = newest.borrow_and_update().clone() else { continue };
        if heard.as_ref().is_some_and(|heard| is_as(heard, &word)) {
            continue;
        }
        // A stop waits for what is on its way, as long as a farewell may take.
        let _writing = stop::writing().ok();
        // After a failure nobody knows what was heard.
        heard = say(word.clone()).await.then_some(word);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn the_newest_is_said_and_what_failed_is_said_again() {
        let (turns, came) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (allowed, log) = (Arc::clone(&turns), Arc::clone(&came));
        let saying = Saying::new(
            |a: &&str, b| a == b,
            move |word| {
                let (allowed, log) = (Arc::clone(&allowed), Arc::clone(&log));
                async move {
                    allowed.acquire().await.expect("open").forget();
                    let mut log = log.lock().expect("no panic");
                    log.push(word);
                    log.len() != 2
                }
            },
        );
        let until = async |count: usize| {
            while came.lock().expect("no panic").len() < count {
                tokio::task::yield_now().await;
            }
        };
        saying.say("a");
        tokio::task::yield_now().await;
        // Both while the first is on its way: only the newer is said, and it fails.
        saying.say("b");
        saying.say("c");
        turns.add_permits(2);
        until(2).await;
        // The same again: it is said once more, and then it is known.
        for _ in 0..3 {
            saying.say("c");
            turns.add_permits(1);
            until(3).await;
            tokio::task::yield_now().await;
        }
        // What is said last arrives before the end.
        saying.say("d");
        saying.end().await;
        assert_eq!(*came.lock().expect("no panic"), ["a", "c", "c", "d"]);
    }
}
