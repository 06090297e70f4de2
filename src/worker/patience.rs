//! Waiting: with a bound, and never in step with others.

use std::time::Duration;

/// The longest wait between two attempts at what must succeed.
const LONGEST: Duration = Duration::from_secs(30);
/// How long to do without something that the server refused: a proxy may have refused it, or a server that is older
/// than the next one.
pub(super) const REFUSED: Duration = Duration::from_secs(300);

/// Waits that double, from half a second to half a minute.
#[derive(Default)]
pub(super) struct Patience {
    failures: u32,
}

impl Patience {
    /// The wait after one more failure.
    pub fn next(&mut self) -> Duration {
        let wait = Duration::from_millis(500).saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        about(wait)
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// It worked for so long. One that is lost at once did not work.
    pub fn lasted(&mut self, length: Duration) {
        if length > LONGEST {
            self.reset();
        }
    }
}

/// A length of time give or take three tenths, as Prefect's own loops have it.
pub(super) fn about(length: Duration) -> Duration {
    let chance = f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
    length.mul_f64(0.7 + 0.6 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let mut patience = Patience::default();
        assert!(patience.next() < Duration::from_secs(1));
        let waits: Vec<Duration> = (0..50).map(|_| patience.next()).collect();
        assert!(waits.iter().all(|wait| *wait <= LONGEST.mul_f64(1.31)) && waits[40] > Duration::from_secs(20));
        patience.lasted(Duration::from_secs(2));
        assert!(patience.next() > Duration::from_secs(20), "two seconds are no success");
        patience.lasted(Duration::from_secs(31));
        assert!(patience.next() < Duration::from_secs(1));
        patience.reset();
        assert!(patience.next() < Duration::from_secs(1));
    }
}
