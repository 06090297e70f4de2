//! What the benchmarks share: a thousand deployments or objects, programs and servers measured, the bare requests.
#![allow(dead_code, reason = "not every benchmark uses everything")]

pub mod cost;
pub mod looped;
pub mod project;
pub mod raw;
pub mod table;
pub mod workspace;

use std::time::Duration;

/// Which parts of a benchmark are wanted: those that its arguments name, or all.
pub fn wanted() -> impl Fn(&str) -> bool {
    let parts: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    move |part| parts.is_empty() || parts.iter().any(|word| word == part)
}

/// The middle one of some lengths of time.
pub fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// `1.23 s` or `4.5 ms`.
pub fn shown(length: Duration) -> String {
    match length.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds => format!("{:.1} ms", seconds * 1000.0),
    }
}
