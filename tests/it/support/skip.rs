//! What a test says that this machine lets nobody run.

use std::fmt::Display;
use std::io::Write;

/// Says why the test does not run. The reason is seen although the test counts as passed: the test runner keeps what is
/// printed by macros to itself, and this is not.
pub fn skipped(why: impl Display) {
    let test = std::thread::current();
    let _ = writeln!(std::io::stderr(), "skipped {}: {why}", test.name().unwrap_or("a test"));
}

/// The same for want of what `README.md` says a machine needs: in CI, whose runs count as proofs, that is a failure.
#[track_caller]
pub fn skipped_for_want(why: impl Display) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "this machine lacks what README.md asks for: {why}");
    skipped(why);
}
