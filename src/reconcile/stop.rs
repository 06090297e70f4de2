//! Where a process may be left: at once while it only reads, at a safe point while it writes.
//!
//! One process runs one command, so this is known for all of it, as signals are.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::PassError;

static PHASE: Mutex<Phase> = Mutex::new(Phase::Reading);

enum Phase {
    /// Nothing is lost by leaving.
    Reading,
    /// So many are at work on what others see: builds, files, the lock, objects, the ledger.
    Writing(usize),
    /// It is being left: nothing may be begun.
    Leaving,
}

fn phase() -> MutexGuard<'static, Phase> {
    PHASE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until it is dropped, a stop waits for a safe point.
#[derive(Debug)]
pub struct Writing(());

/// Something is about to be written.
///
/// # Errors
/// The process is being left.
pub fn writing() -> Result<Writing, PassError> {
    let mut phase = phase();
    *phase = match *phase {
        Phase::Reading => Phase::Writing(1),
        Phase::Writing(n) => Phase::Writing(n + 1),
        Phase::Leaving => return Err(PassError::Interrupted),
    };
    Ok(Writing(()))
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut phase = phase();
        *phase = match *phase {
            Phase::Writing(n) if n > 1 => Phase::Writing(n - 1),
            Phase::Writing(_) | Phase::Reading => Phase::Reading,
            Phase::Leaving => Phase::Leaving,
        };
    }
}

/// Whether one may leave at once. If so, nothing is begun any more.
pub fn leave() -> bool {
    let mut phase = phase();
    match *phase {
        Phase::Reading | Phase::Leaving => {
            *phase = Phase::Leaving;
            true
        }
        Phase::Writing(_) => false,
    }
}

/// What is read while something is held that must be given back: it is dropped when asked to stop.
///
/// # Errors
/// Asked to stop.
pub async fn unless<T>(stop: &CancellationToken, reading: impl Future<Output = T>) -> Result<T, PassError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(PassError::Interrupted),
        read = reading => Ok(read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_read_is_dropped_when_asked_to_stop() {
        let stop = CancellationToken::new();
        assert_eq!(unless(&stop, async { 1 }).await.ok(), Some(1));
        stop.cancel();
        assert!(matches!(unless(&stop, std::future::pending::<()>()).await, Err(PassError::Interrupted)));
    }
}
