//! Code that is where it runs already: then nothing has to bring it, and one start of Python is saved.
//!
//! The usual deployment to a process pool has one pull step, which names a directory. Prefect's worker starts a Python
//! for it that runs the step and becomes the engine; here the engine is started there, and what the step would have
//! left on the server is left all the same (3.8.8 `deployments/steps/core.py`, `runner/_workspace_resolver.py`).

use std::path::Path;

use serde_json::{Value, json};

use super::Worker;
use super::configure::Relatives;
use super::logs::Level;
use crate::model::JobSpec;
use crate::model::job::ReadyCode;

/// The step that names a directory.
const STEP: &str = "prefect.deployments.steps.set_working_directory";
/// A setting under which the engine is started in yet another way.
const INSTALLS: &str = "PREFECT_RUNNER_AUTO_INSTALL_DEPENDENCIES";

/// Where the code of a deployment is, if it is there already.
pub(super) fn code(worker: &Worker, deployment: &Value, job: &JobSpec) -> Option<ReadyCode> {
    let options = &worker.options;
    let installs = [&options.environment, &options.settings, &job.env].iter().any(|all| all.contains_key(INSTALLS));
    let entrypoint = deployment["entrypoint"].as_str().filter(|entrypoint| !entrypoint.is_empty())?;
    let directory = Path::new(directory(deployment)?);
    let usable = job.command.is_none() && !installs && directory.is_absolute() && directory.is_dir();
    usable.then(|| ReadyCode { directory: directory.to_owned(), entrypoint: entrypoint.to_owned() })
}

/// The directory that the only step names in plain words.
fn directory(deployment: &Value) -> Option<&str> {
    let [step] = &deployment["pull_steps"].as_array()?[..] else { return None };
    let inputs = step.as_object().filter(|step| step.len() == 1)?.get(STEP)?.as_object()?;
    let directory = inputs.get("directory")?.as_str()?;
    (inputs.len() == 1 && !directory.contains("{{")).then_some(directory)
}

/// Leaves on the server what the step would have left.
pub(super) fn tell(worker: &Worker, relatives: &Relatives, run: &str) {
    for text in [
        "Running 1 deployment pull step(s)",
        "Executing deployment step: set_working_directory",
        "Deployment step 'set_working_directory' completed successfully",
        "All deployment steps completed successfully",
    ] {
        worker.logs.add_as("prefect.flow_runs", run, Level::Info, text);
    }
    let deployment = relatives.deployment["id"].as_str().unwrap_or_default();
    worker.send_event(json!({
        "event": "prefect.flow-run.pull-step.executed",
        "resource": {"prefect.resource.id": format!("prefect.flow-run.{run}")},
        "related": [{
            "prefect.resource.id": format!("prefect.deployment.{deployment}"), "prefect.resource.role": "deployment",
        }],
        "payload": {
            "index": 0,
            "qualified_name": STEP,
            "step_name": "set_working_directory",
            "id": null,
            "inputs": relatives.deployment["pull_steps"][0][STEP],
        },
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_plain_step_means_that_the_code_is_there() {
        let of = |steps: Value| directory(&json!({ "pull_steps": steps })).map(str::to_owned);
        assert_eq!(of(json!([{STEP: {"directory": "/app"}}])).as_deref(), Some("/app"));
        for other in [
            json!(null),
            json!([]),
            json!([{STEP: {"directory": "{{ $HOME }}"}}]),
            json!([{STEP: {"directory": "/app", "id": "x"}}]),
            json!([{STEP: {"directory": "/app"}}, {STEP: {"directory": "/b"}}]),
            json!([{"prefect.deployments.steps.git_clone": {"repository": "x"}}]),
        ] {
            assert_eq!(of(other.clone()), None, "{other}");
        }
    }
}
