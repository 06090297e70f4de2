//! `pip_install_requirements`: `python -m pip install -r FILE` with the project's Python.

use serde_json::{Map, Value};

use super::arguments::Arguments;
use super::directory;
use super::error::StepProblem;
use super::list::Runner;
use super::process::Job;
use super::shell::Captured;

/// Installs; outputs are pip's `stdout` and `stderr`, stripped at both ends.
pub(super) async fn run(inputs: Map<String, Value>, runner: &Runner<'_>) -> Result<Map<String, Value>, StepProblem> {
    let mut arguments = Arguments::new("pip_install_requirements", inputs);
    let named = arguments.optional_text("directory")?;
    let file = arguments.optional_text("requirements_file")?.unwrap_or_else(|| "requirements.txt".to_owned());
    let stream = arguments.flag("stream_output", true);
    arguments.finish()?;
    let python = runner.python.ok_or(StepProblem::NoPython)?;
    let cwd = directory::enter(runner.cwd, named.as_deref().unwrap_or("."))?;
    let python_name = python.to_string_lossy().into_owned();
    let argv = [&python_name, "-m", "pip", "install", "-r", &file].map(str::to_owned);
    let mut output = Captured::default();
    let code = output.run(&Job { program: python, argv: &argv, cwd: &cwd, env: runner.env }, stream, runner).await?;
    if code != 0 {
        return Err(output.failure(&format!("pip install -r {file}"), code, runner));
    }
    Ok(output.outputs())
}
