//! A repository of many deployments over a few flow files, the same every time.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::support::project::Project;

/// How many flow files.
pub const FLOWS: usize = 50;

/// A project of so many deployments, committed, for a server.
pub fn declared(url: &str, deployments: usize) -> Project {
    let project = Project::new().file("reconcile.yaml", "name: bench\n").api(url).with_python();
    write(&project.path(), deployments);
    project.git_init(None)
}

/// Writes `prefect.yaml` and the flows. Deployment `i` has a schedule, parameters, tags and job variables.
pub fn write(root: &Path, deployments: usize) {
    fs::create_dir_all(root.join("flows")).expect("a new directory");
    for i in 0..FLOWS {
        let flow = format!(
            "from prefect import flow\n\n\n@flow(name=\"flow-{i}\")\ndef run(a: int = 1, label: str = \"x\", \
             items: list[str] | None = None) -> int:\n    \"\"\"Adds ({i}).\"\"\"\n    return a\n"
        );
        fs::write(root.join(format!("flows/flow_{i}.py")), flow).expect("a new file");
    }
    declare(root, deployments, None);
}

/// Writes `prefect.yaml` alone; `changed` has another description.
pub fn declare(root: &Path, deployments: usize, changed: Option<usize>) {
    let mut yaml = String::from("deployments:\n");
    for i in 0..deployments {
        let description = if changed == Some(i) { "changed" } else { "as ever" };
        write!(
            yaml,
            "- name: deployment-{i}\n  entrypoint: flows/flow_{}.py:run\n  description: {description}\n  \
             tags: [bench, team-{}]\n  parameters: {{a: {i}, label: x}}\n  schedules:\n  \
             - {{cron: \"{} {} * * *\", slug: daily}}\n  \
             work_pool: {{name: pool, job_variables: {{env: {{N: \"{i}\"}}}}}}\n",
            i % FLOWS,
            i % 8,
            i % 60,
            i % 24
        )
        .expect("writing to a string");
    }
    fs::write(root.join("prefect.yaml"), yaml).expect("a new file");
}
