//! Asking whoever sits at the terminal.

use std::io::{BufRead, IsTerminal, Write};

use super::exit::{Exit, wrong_usage};

/// Makes sure that there is somebody to ask, unless `yes` was given.
///
/// # Errors
/// The exit of the command; `what` says what `--yes` would do.
pub fn somebody(yes: bool, what: &str) -> Result<(), Exit> {
    if yes || (std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(());
    }
    Err(wrong_usage(&format!("there is nobody to ask: give `--yes` {what}")))
}

/// The answer to a question, without white space around it.
pub fn answer(question: &str) -> String {
    let mut err = std::io::stderr();
    let _ = write!(err, "{question}");
    let _ = err.flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    answer.trim().to_owned()
}

/// Whether the answer is yes.
pub fn yes(question: &str) -> bool {
    matches!(answer(question).to_lowercase().as_str(), "y" | "yes")
}
