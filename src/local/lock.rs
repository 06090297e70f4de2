//! A lock on a file, waited for with patience and an explanation.

use std::fs::{File, TryLockError, create_dir_all};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{LocalError, Say};

const PATIENCE: Duration = Duration::from_secs(900); // a first installation over a slow network
const QUIET: Duration = Duration::from_secs(1); // waiting this long needs no explanation
const PAUSE: Duration = Duration::from_millis(50);

/// Held while it lives; the operating system frees it even if we are killed.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing the file is what frees the lock")] File);

/// Waits for the lock on `path`; makes the file and its directory. `waiting` is said once if that takes long.
pub(super) async fn hold(path: &Path, waiting: &str, say: Say<'_>) -> Result<Lock, LocalError> {
    if let Some(dir) = path.parent() {
        create_dir_all(dir).map_err(LocalError::io("create", dir))?;
    }
    let file = File::options().create(true).append(true).open(path).map_err(LocalError::io("open", path))?;
    let since = Instant::now();
    let mut said = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::Error(error)) => return Err(LocalError::io("lock", path)(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if since.elapsed() > PATIENCE {
            return Err(LocalError::Busy { path: path.to_owned(), waited: PATIENCE });
        }
        if !said && since.elapsed() > QUIET {
            said = true;
            say(waiting);
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_is_held_by_one_and_freed_by_drop() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/x.lock");
        let first = hold(&path, "", &|_| ()).await.unwrap();
        let other = File::options().append(true).open(&path).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(first);
        assert!(other.try_lock().is_ok());
    }
}
