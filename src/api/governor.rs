//! `Governor`: how many writes may be on their way at once. A small database answers concurrency with refusals, so
//! it starts with one and listens.

use std::sync::Mutex;

use tokio::sync::Notify;

/// So many writes in a row without complaint earn the full number.
const GOOD_RUN: u32 = 20;

/// Starts at 1, goes to `most` after a good run, halves when the server complains.
pub(super) struct Governor {
    state: Mutex<State>,
    freed: Notify,
    most: usize,
}

struct State {
    limit: usize,
    in_flight: usize,
    good: u32,
}

/// The right to send one write, until it is dropped.
pub(super) struct Permit<'a>(&'a Governor);

impl Governor {
    pub fn new(most: usize) -> Self {
        Governor { state: Mutex::new(State { limit: 1, in_flight: 0, good: 0 }), freed: Notify::new(), most }
    }

    /// Waits for the right to send a write.
    pub async fn permit(&self) -> Permit<'_> {
        loop {
            let freed = self.freed.notified();
            {
                let mut state = self.state();
                if state.in_flight < state.limit {
                    state.in_flight += 1;
                    return Permit(self);
                }
            }
            freed.await;
        }
    }

    /// A write went well.
    pub fn praise(&self) {
        let mut state = self.state();
        state.good += 1;
        if state.good >= GOOD_RUN && state.limit < self.most {
            state.limit = self.most;
            drop(state);
            self.freed.notify_waiters();
        }
    }

    /// The server answered that it has too much to do.
    pub fn complain(&self) {
        let mut state = self.state();
        state.limit = (state.limit / 2).max(1);
        state.good = 0;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        // All waiters look again: the limit may have changed as well.
        self.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn granted(governor: &Governor) -> Vec<Permit<'_>> {
        let mut permits = Vec::new();
        while let Ok(permit) = tokio::time::timeout(Duration::from_millis(5), governor.permit()).await {
            permits.push(permit);
        }
        permits
    }

    #[tokio::test]
    async fn it_starts_slow_speeds_up_and_slows_down() {
        let governor = Governor::new(4);
        assert_eq!(granted(&governor).await.len(), 1);
        (0..GOOD_RUN).for_each(|_| governor.praise());
        assert_eq!(granted(&governor).await.len(), 4);
        governor.complain();
        assert_eq!(granted(&governor).await.len(), 2);
        governor.complain();
        governor.complain();
        assert_eq!(granted(&governor).await.len(), 1);
    }

    #[tokio::test]
    async fn a_waiter_is_woken() {
        let governor = Governor::new(4);
        let first = governor.permit().await;
        let waiting = async { drop(governor.permit().await) };
        let freeing = async {
            tokio::task::yield_now().await;
            drop(first);
        };
        tokio::time::timeout(Duration::from_secs(5), async { tokio::join!(waiting, freeing) })
            .await
            .expect("the waiter gets its turn");
    }
}
