//! `reconcile completions` and `reconcile man`.

use std::io::Write;

use clap::Command;
use clap_complete::Shell;

use super::exit::{Exit, failed, wrong_usage};

/// Flags that say which API to talk to, and how.
const CONNECTION: [&str; 6] = ["api_url", "api_key_file", "profile", "local", "timeout", "parallelism"];
/// Flags that say what is declared.
const PROJECT: [&str; 3] = ["project", "env", "python"];

/// The command line; flags that mean nothing to a command are accepted there, and not listed.
pub fn command() -> Command {
    let mut root = <super::Cli as clap::CommandFactory>::command();
    // Only now the flags of every command are those of each.
    root.build();
    // In place: the flags of a built command must keep their order.
    let quiet = |command: Command, hidden: &[&str]| {
        command.mut_args(|arg| if hidden.contains(&arg.get_id().as_str()) { arg.hide(true) } else { arg })
    };
    let both = [&CONNECTION[..], &PROJECT[..]].concat();
    for name in ["init", "explain", "schema", "completions", "man"] {
        root = root.mut_subcommand(name, |one| quiet(one, &both));
    }
    root.mut_subcommand("validate", |one| quiet(one, &[&CONNECTION[..], &["python"][..]].concat()))
}

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
