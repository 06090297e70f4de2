//! Questions for Prefect's own functions, and the numbers that make them up.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

/// One call of Python for a batch of questions: what a program of `tests/it/python` answers to each.
pub fn ask(program: &str, questions: &[Value]) -> Vec<Value> {
    let program = format!("{}/tests/it/python/{program}", env!("CARGO_MANIFEST_DIR"));
    let home = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(super::python())
        .args(["-X", "utf8", &program])
        .env("PREFECT_HOME", home.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let batch = serde_json::to_vec(questions).expect("JSON");
    child.stdin.take().expect("piped").write_all(&batch).expect("python reads");
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success(), "the program failed");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A generator of numbers that gives the same ones every time.
pub struct Dice(pub u64);

impl Dice {
    /// A number from 0 to `n`, without `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
