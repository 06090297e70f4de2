//! `run_shell_script`: not a shell script, but one command per line (Prefect 3.8.8 deployments/steps/utility.py).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::directory;
use super::environment::Env;
use super::error::StepProblem;
use super::list::Runner;
use super::process::{self, Job};
use super::{program, words};

/// Lines of stderr that a failure quotes.
const QUOTED_LINES: usize = 20;
/// Characters of a command that a failure quotes.
const QUOTED_COMMAND: usize = 200;

/// The step's inputs.
struct Script {
    text: String,
    directory: Option<String>,
    env: std::collections::BTreeMap<String, String>,
    stream: bool,
    expand: bool,
    shell: bool,
}

impl Script {
    fn read(inputs: Map<String, Value>) -> Result<Self, StepProblem> {
        let mut arguments = Arguments::new("run_shell_script", inputs);
        let script = Script {
            text: arguments.text("script")?,
            directory: arguments.optional_text("directory")?,
            env: arguments.texts("env")?,
            stream: arguments.flag("stream_output", true),
            expand: arguments.flag("expand_env_vars", false),
            shell: arguments.flag("shell", false),
        };
        arguments.finish()?;
        Ok(script)
    }
}

/// Runs the lines one after the other, each in a process of its own; the first that fails ends the script.
///
/// Outputs are `stdout` and `stderr` of all lines, stripped at both ends.
pub(super) async fn run(inputs: Map<String, Value>, runner: &Runner<'_>) -> Result<Map<String, Value>, StepProblem> {
    let script = Script::read(inputs)?;
    let mut env = runner.env.clone();
    env.extend(script.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    check_names(&script.env)?;
    let mut output = Captured::default();
    let mut cwd: Option<PathBuf> = None;
    for (number, line) in words::lines(&script.text).into_iter().enumerate() {
        let line = if script.expand {
            words::substitute(line, |name| env.get(name).map(String::as_str))
        } else {
            line.to_owned()
        };
        let argv = if script.shell { shell_words(&line) } else { words::split(&line) };
        let argv = argv.map_err(|reason| StepProblem::Words { line: number + 1, reason })?;
        if argv.is_empty() {
            continue;
        }
        let cwd = match &mut cwd {
            Some(cwd) => cwd,
            None => cwd.insert(directory_of(&script, runner)?),
        };
        let file = program_of(&argv, cwd, &env, script.shell, runner)?;
        let job = Job { program: &file, argv: &argv, cwd, env: &env };
        let code = output.run(&job, script.stream, runner).await?;
        if code != 0 {
            return Err(output.failure(&line, code, runner));
        }
    }
    Ok(output.outputs())
}

fn check_names(env: &std::collections::BTreeMap<String, String>) -> Result<(), StepProblem> {
    match env.keys().find(|name| name.contains('=')) {
        Some(name) => Err(StepProblem::Argument(format!("`env` of `run_shell_script` cannot set a variable `{name}`"))),
        None => Ok(()),
    }
}

fn shell_words(line: &str) -> Result<Vec<String>, &'static str> {
    Ok(match words::strip(line) {
        "" => Vec::new(),
        command => ["/bin/sh", "-c", command].map(str::to_owned).to_vec(),
    })
}

/// Looked at only when a command is about to run: a script of blank lines may name any directory.
fn directory_of(script: &Script, runner: &Runner<'_>) -> Result<PathBuf, StepProblem> {
    directory::enter(runner.cwd, script.directory.as_deref().unwrap_or("."))
}

fn program_of(
    argv: &[String],
    cwd: &Path,
    env: &Env,
    shell: bool,
    runner: &Runner<'_>,
) -> Result<PathBuf, StepProblem> {
    if shell {
        return Ok(PathBuf::from("/bin/sh"));
    }
    program::find(&argv[0], cwd, env)
        .map_err(|reason| StepProblem::Start { program: runner.masker.mask(&argv[0]), reason: reason.to_owned() })
}

/// What commands have printed so far.
#[derive(Default)]
pub(super) struct Captured {
    stdout: String,
    stderr: String,
}

impl Captured {
    /// Runs a command and adds what it prints; gives its exit code.
    pub async fn run(&mut self, job: &Job<'_>, stream: bool, runner: &Runner<'_>) -> Result<i32, StepProblem> {
        let tell = |stream, line| runner.output(stream, line);
        let outcome = process::run(job, runner.masker, stream.then_some(&tell), runner.cancel).await?;
        self.stdout.push_str(&outcome.stdout);
        self.stderr.push_str(&outcome.stderr);
        if outcome.cut {
            runner.warn("W0651", "it printed more than 64 MiB: its output is cut there".to_owned());
        }
        Ok(outcome.code)
    }

    /// A failure that quotes the end of stderr.
    pub fn failure(&self, command: &str, code: i32, runner: &Runner<'_>) -> StepProblem {
        let command: String = runner.masker.mask(words::strip(command)).chars().take(QUOTED_COMMAND).collect();
        let stderr = runner.masker.mask(words::strip(&self.stderr));
        let lines: Vec<&str> = stderr.lines().collect();
        let last = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
        let last: Vec<String> = last.iter().map(|line| line.chars().take(2 * QUOTED_COMMAND).collect()).collect();
        StepProblem::Exit { command, code, stderr: last.join("\n") }
    }

    /// The step's outputs.
    pub fn outputs(&self) -> Map<String, Value> {
        let outputs = json!({"stdout": words::strip(&self.stdout), "stderr": words::strip(&self.stderr)});
        match outputs {
            Value::Object(outputs) => outputs,
            _ => unreachable!("it was written as a mapping"),
        }
    }
}
