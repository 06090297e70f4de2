//! `Clock`: a wall clock for programs of a test, which can be wrong and can jump.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::NamedTempFile;

use super::skip::{skipped, skipped_for_want};

/// A clock that shows another time than this machine's. Programs that are started with [`Clock::environment`] go by it;
/// what measures lengths of time goes on as it is.
#[derive(Debug)]
pub struct Clock {
    /// By how many seconds it is wrong.
    shift: NamedTempFile,
    library: &'static PathBuf,
}

impl Clock {
    /// One that is right until it is moved; none, with the reason said, where none can be had.
    pub fn new() -> Option<Clock> {
        let Some(library) = library() else {
            match cfg!(target_os = "linux") {
                true => skipped_for_want("a C compiler named `cc` makes the library that moves a clock"),
                false => skipped("a clock is moved on Linux only"),
            }
            return None;
        };
        let clock = Clock { shift: NamedTempFile::new().unwrap(), library };
        clock.is_off(0);
        Some(clock)
    }

    /// From now on it is so many hours ahead.
    pub fn is_off(&self, hours: i64) {
        // The same file, for it is mapped: to be cut and written again is no matter of one moment.
        use std::os::unix::fs::FileExt;
        self.shift.as_file().write_all_at(&(hours * 3600).to_ne_bytes(), 0).unwrap();
    }

    /// The variables of the environment of a program that goes by it.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let text = |path: &std::path::Path| path.display().to_string();
        [("LD_PRELOAD", text(self.library)), ("CLOCK_FILE", text(self.shift.path()))]
    }
}

/// What moves the clock of a process; none without a C compiler.
fn library() -> Option<&'static PathBuf> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    LIBRARY
        .get_or_init(|| {
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/clock.c");
            let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("clock{}.so", std::process::id()));
            let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
            (cfg!(target_os = "linux") && made.is_ok_and(|status| status.success())).then_some(library)
        })
        .as_ref()
}
