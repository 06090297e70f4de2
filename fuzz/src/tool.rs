//! `tool seeds ROOT INTO` writes the corpora from the project's fixtures; `tool grow TARGET DIR MINUTES` looks for what grows too fast.

use std::path::Path;
use std::process::ExitCode;

// Its counters are what the instrumented code calls.
use libfuzzer_sys as _;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["seeds", root, into] => {
            reconcile_fuzz::seeds::write(Path::new(root), Path::new(into)).expect("the corpora can be written");
            ExitCode::SUCCESS
        }
        ["grow", target, dir, minutes] => {
            match minutes.parse().map(|n| reconcile_fuzz::grow::look(target, Path::new(dir), n)) {
                Ok(0) => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
        _ => {
            eprintln!("tool seeds ROOT INTO | tool grow TARGET DIR MINUTES");
            ExitCode::from(64)
        }
    }
}
