//! The loop of `--watch`: something wakes it, one pass is made, and it sleeps again.
//!
//! What wakes it goes through a channel that carries nothing: file events, webhooks, signals and the interval all mean
//! "look again". However many of them come while a pass is under way, one pass follows it.

use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The first wait after a failure; it doubles with every further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// After failures one never waits longer, nor longer than the interval.
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// A pass begins no sooner after the end of another, however often it is asked for.
const GAP: Duration = Duration::from_millis(250);
/// So long after a pass one still hears of what it did itself: events of files wait until it is quiet.
const ECHO: Duration = Duration::from_secs(1);
/// So often one looks whether what a pass waits for is over.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Wakes the loop.
#[derive(Clone, Debug)]
pub struct Waker(Sender<()>);

impl Waker {
    /// A waker, and what [`run`] listens to.
    pub fn new() -> (Waker, Receiver<()>) {
        let (sender, receiver) = channel(());
        (Waker(sender), receiver)
    }

    /// Look again.
    pub fn wake(&self) {
        self.0.send_replace(());
    }

    /// Wakes on every SIGHUP until dropped with the runtime.
    pub async fn on_hangup(self) {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut hangups) = signal(SignalKind::hangup()) else { return };
        while hangups.recv().await.is_some() {
            self.wake();
        }
    }
}

/// How a turn of the loop ended; of several in one turn the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// What should be is, or only another commit can help: there is time until the interval is over.
    Settled,
    /// The same, and programs of the repository ran: what they write may be what wakes the loop.
    Built,
    /// It may go better next time.
    Failed,
    /// There was nothing to look at yet: somebody is in the middle of something.
    TooEarly,
}

/// Makes passes until asked to stop: one at once, one whenever woken, and one when the interval is over.
///
/// `turn` makes one pass. It is told how long the loop waits if that pass fails, to say so. What wakes the loop while a
/// pass fails or builds may be that pass itself: then as well it waits ever longer, and forgets nothing.
pub async fn run(
    interval: Duration,
    mut woken: Receiver<()>,
    stop: &CancellationToken,
    mut turn: impl AsyncFnMut(Duration) -> Turn,
) {
    let mut failures = 0;
    while !stop.is_cancelled() {
        // What comes from now on is not seen by this pass, or not by all of it.
        woken.mark_unchanged();
        let retry = after(failures, interval);
        let turn = turn(retry).await;
        let ended = Instant::now();
        let echoed = matches!(turn, Turn::Built | Turn::Failed) && echoes(&mut woken, ended, stop).await;
        let pause = match turn {
            Turn::Settled | Turn::Built if !echoed => {
                failures = 0;
                jittered(interval, uuid::Uuid::new_v4().as_u128())
            }
            Turn::Settled | Turn::Built | Turn::Failed => {
                failures += 1;
                retry
            }
            Turn::TooEarly => LOOK_EVERY,
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep_until(ended + pause) => {}
            _ = woken.changed() => {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep_until(ended + GAP) => {}
                }
            }
        }
    }
}

/// Whether something woke the loop during a pass, or so soon after it that the pass may have done so itself.
async fn echoes(woken: &mut Receiver<()>, ended: Instant, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sleep_until(ended + ECHO) => {}
    }
    // An error says that nobody is left who could wake anybody.
    let came = woken.has_changed().unwrap_or(false);
    woken.mark_unchanged();
    came
}

/// How long to wait after this many failures and one more.
fn after(failures: u32, interval: Duration) -> Duration {
    FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_RETRY).min(interval.max(FIRST_RETRY))
}

/// Within a tenth of a length: many that began together shall not go on together.
fn jittered(length: Duration, random: u128) -> Duration {
    // Exact below 2⁵³.
    let share = (random % 2_000) as f64 / 10_000.0;
    length.mul_f64(0.9 + share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn failures_are_tried_again_ever_more_slowly() {
        let waits: Vec<u64> = (0..9).map(|failures| after(failures, MINUTE).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(after(40, Duration::from_secs(3600)), LONGEST_RETRY);
        assert_eq!(after(40, Duration::from_millis(10)), FIRST_RETRY);
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        for random in [0, 1, 999, 1000, 1999, u128::MAX] {
            let length = jittered(MINUTE, random).as_secs_f64();
            assert!((54.0..=66.0).contains(&length), "{length}");
        }
    }

    #[tokio::test]
    async fn however_many_wake_it_during_a_pass_one_pass_follows() {
        let (waker, woken) = Waker::new();
        let stop = CancellationToken::new();
        let mut began = Vec::new();
        let counted = run(MINUTE, woken, &stop, async |_| {
            began.push(Instant::now());
            if began.len() == 1 {
                (0..1000).for_each(|_| waker.wake());
            }
            Turn::Settled
        });
        let _ = tokio::time::timeout(GAP * 6, counted).await;
        assert_eq!(began.len(), 2);
        assert!(began[1] - began[0] >= GAP, "{began:?}");
    }

    /// How far after the one before turns begin, each of which wakes the loop in its middle and ends like this.
    async fn gaps(ends: Turn, turns: usize) -> Vec<Duration> {
        let (waker, woken) = Waker::new();
        let stop = CancellationToken::new();
        let mut began = Vec::new();
        let turn = async |_: Duration| {
            began.push(Instant::now());
            waker.wake();
            if began.len() == turns {
                stop.cancel();
            }
            ends
        };
        run(MINUTE, woken, &stop, turn).await;
        began.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[tokio::test]
    async fn a_pass_that_wakes_the_loop_itself_is_followed_ever_more_slowly() {
        for ends in [Turn::Built, Turn::Failed] {
            let gaps = gaps(ends, 3).await;
            assert!(gaps[0] >= FIRST_RETRY && gaps[1] >= FIRST_RETRY * 2, "{ends:?}: {gaps:?}");
        }
    }

    #[tokio::test]
    async fn who_saves_a_file_while_it_waits_does_not_wait() {
        let (waker, woken) = Waker::new();
        let stop = CancellationToken::new();
        let mut turns = 0;
        let turn = async |_: Duration| {
            turns += 1;
            let waker = waker.clone();
            match turns {
                1 => drop(tokio::spawn(async move {
                    tokio::time::sleep(ECHO * 2).await;
                    waker.wake();
                })),
                _ => stop.cancel(),
            }
            Turn::Built
        };
        tokio::time::timeout(MINUTE / 2, run(MINUTE, woken, &stop, turn)).await.expect("long before the interval");
    }

    #[tokio::test]
    async fn a_stop_ends_it_at_once() {
        let (waker, woken) = Waker::new();
        let stop = CancellationToken::new();
        let mut turns = 0;
        run(MINUTE, woken, &stop, async |_| {
            turns += 1;
            waker.wake();
            if turns == 3 {
                stop.cancel();
            }
            if turns == 1 { Turn::TooEarly } else { Turn::Failed }
        })
        .await;
        assert_eq!(turns, 3);
    }
}
