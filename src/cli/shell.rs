//! `reconcile completions` and `reconcile man`.

use std::io::Write;

use clap::Command;
use clap_complete::Shell;
use serde_json::{Value, json};

use super::args::Global;
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
    root = root.mut_subcommand("worker", |one| {
        let hide = |one| quiet(one, &["project", "env", "parallelism"]);
        hide(one).mut_subcommand("start", hide)
    });
    root.mut_subcommand("validate", |one| quiet(one, &[&CONNECTION[..], &["python"][..]].concat()))
}

/// Prints a completion script.
pub fn completions(global: &Global, command: &mut Command, shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "reconcile", &mut script);
    print(global, &script, |text| json!({ "shell": shell.to_string(), "script": text }))
}

/// Prints a manual page.
pub fn man(global: &Global, mut root: Command, command: Option<&str>) -> Exit {
    root.build();
    let page = match command {
        None => root,
        Some(name) => match root.find_subcommand(name) {
            // The head of a page says of which version it is.
            Some(found) => found.clone().name(format!("reconcile-{name}")).version(env!("CARGO_PKG_VERSION")),
            None => {
                let known: Vec<&str> = root.get_subcommands().map(Command::get_name).collect();
                let hint = crate::diagnostic::did_you_mean(name, known.iter().copied())
                    .unwrap_or_else(|| format!("commands are {}", known.join(", ")));
                return wrong_usage(&format!("there is no command `{name}`: {hint}"));
            }
        },
    };
    let (mut text, name) = (Vec::new(), page.get_name().to_owned());
    match clap_mangen::Man::new(page).render(&mut text) {
        Ok(()) => print(global, &text, |text| json!({ "page": name, "text": text })),
        Err(error) => failed(&format!("the manual page could not be written: {error}")),
    }
}

fn print(global: &Global, bytes: &[u8], as_json: impl FnOnce(&str) -> Value) -> Exit {
    if global.json {
        super::output::result(&format!("{:#}", as_json(&String::from_utf8_lossy(bytes))));
        return Exit::Done;
    }
    // A reader that closes early, such as `head`, is no failure.
    let _ = std::io::stdout().write_all(bytes);
    Exit::Done
}
