//! `Moment`: time that goes on while the machine sleeps.

use std::time::Duration;

/// A moment, to tell later how long ago it was. Unlike [`std::time::Instant`] on Linux it counts the time for which the
/// machine was suspended: to everybody else it has passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(Duration);

impl Moment {
    /// This one.
    pub fn now() -> Moment {
        Moment(passed())
    }

    /// How long ago it was.
    pub fn elapsed(self) -> Duration {
        passed().saturating_sub(self.0)
    }
}

/// Since the machine was started.
#[cfg(target_os = "linux")]
fn passed() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default())
}

/// Since it was first asked; whether that counts sleep is up to the system.
#[cfg(not(target_os = "linux"))]
fn passed() -> Duration {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(std::time::Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes() {
        let (moment, instant) = (Moment::now(), std::time::Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        let least = instant.elapsed();
        assert!(moment.elapsed() >= least && least >= Duration::from_millis(20));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn it_is_the_clock_that_counts_sleep() {
        let read = || {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
            Duration::from_secs(u64::try_from(now.tv_sec).expect("it is positive"))
        };
        let (before, moment, after) = (read(), Moment::now(), read());
        assert!(before <= moment.0 && moment.0 <= after + Duration::from_secs(1));
    }
}
