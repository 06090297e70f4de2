//! How long to wait before a request is sent again.

use std::time::Duration;

use jiff::Timestamp;

/// The server may ask for more; then it is told no.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// Once the program is asked to stop, nobody waits longer than this for another try,
pub(super) const LAST_WAIT: Duration = Duration::from_secs(1);
/// and of one request there are no more tries than these: what was under way is left open, and what belongs to a clean
/// end, the ledger and the lock, gets its chance.
pub(super) const LAST_TRIES: u32 = 3;

/// The wait before attempt `attempt` (the first repetition is 1): what the server asks for, else `base` doubled each
/// time; up to a fifth more, so that many clients do not come back in step.
pub(super) fn delay(base: Duration, attempt: u32, asked: Option<Duration>) -> Duration {
    let doubled = base.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    let wait = asked.unwrap_or(doubled).min(LONGEST);
    wait + wait.mul_f64(0.2 * chance())
}

/// A `Retry-After` header: seconds, or a date. Nonsense counts as absent.
pub(super) fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let seconds = match header.trim().parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(header.trim()).ok()?.timestamp();
            at.duration_since(now).as_secs_f64()
        }
    };
    seconds.is_finite().then(|| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST.as_secs_f64())))
}

/// A number from 0 up to 1, not to be guessed by others.
fn chance() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_never_exceed_a_minute_by_more_than_a_fifth() {
        let base = Duration::from_millis(100);
        let third = delay(base, 3, None);
        assert!(third >= Duration::from_millis(400) && third <= Duration::from_millis(480), "{third:?}");
        assert!(delay(base, u32::MAX, None) <= LONGEST.mul_f64(1.2));
        assert!(delay(base, 1, Some(Duration::from_secs(1 << 40))) <= LONGEST.mul_f64(1.2));
    }

    #[test]
    fn both_forms_of_the_header_are_understood() {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().expect("a time");
        assert_eq!(retry_after("2", now), Some(Duration::from_secs(2)));
        assert_eq!(retry_after("Sat, 21 Nov 2026 08:00:05 GMT", now), Some(Duration::from_secs(5)));
        assert_eq!(retry_after("Sat, 21 Nov 2026 07:00:05 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("1e99", now), Some(LONGEST));
        assert_eq!(retry_after("inf", now), None);
    }
}
