//! `reconcile completions` and `reconcile man`.

use std::io::Write;

use clap::Command;
use clap_complete::Shell;

use super::exit::{Exit, failed, wrong_usage};

/// Prints a completion script.
pub fn completions(command: &mut Command, shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "reconcile", &mut script);
    print(&script)
}

/// Prints a manual page.
pub fn man(mut root: Command, command: Option<&str>) -> Exit {
    root.build();
    let page = match command {
        None => root,
        Some(name) => match root.find_subcommand(name) {
            Some(found) => found.clone().name(format!("reconcile-{name}")),
            None => {
                let known: Vec<&str> = root.get_subcommands().map(Command::get_name).collect();
                let hint = crate::diagnostic::did_you_mean(name, known.iter().copied())
                    .unwrap_or_else(|| format!("commands are {}", known.join(", ")));
                return wrong_usage(&format!("there is no command `{name}`: {hint}"));
            }
        },
    };
    let mut text = Vec::new();
    match clap_mangen::Man::new(page).render(&mut text) {
        Ok(()) => print(&text),
        Err(error) => failed(&format!("the manual page could not be written: {error}")),
    }
}

fn print(bytes: &[u8]) -> Exit {
    // A reader that closes early, such as `head`, is no failure.
    let _ = std::io::stdout().write_all(bytes);
    Exit::Done
}
