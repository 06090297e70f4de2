//! 0600 to 0699: build and push steps.

use super::Page;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: "E0600",
        title: "A step is not a mapping",
        text: "\
A step is one function and its inputs. After its templates were filled in, this one is something else.

    - prefect.deployments.steps.run_shell_script: { script: make }",
    },
    Page {
        code: "E0601",
        title: "A step that ran has several functions",
        text: "\
A list item names one function. Indent the inputs below it, or begin a new item for the second function.",
    },
    Page {
        code: "E0602",
        title: "The inputs of a step are not a mapping",
        text: "\
Inputs are written as `name: value` below the function. A step without inputs gets `{}`.",
    },
    Page {
        code: "E0603",
        title: "The inputs of a step cannot be filled in",
        text: "\
A template in the inputs refers to a block that does not exist, or the like. The message holds the reason. To use an
output of an earlier step, give that step an `id` and write `{{ id.output }}`.",
    },
    Page {
        code: "E0604",
        title: "An input does not suit the function",
        text: "\
An input is missing, has the wrong type, or is not one that the function takes. The message names it.",
    },
    Page {
        code: "E0605",
        title: "A line of a script cannot be split into words",
        text: "\
`run_shell_script` runs each line as a command of its own, without a shell, as Prefect does: quotes must be closed on
their line, and comments are not comments. `shell: true` gives each line to /bin/sh.

    - prefect.deployments.steps.run_shell_script:
        shell: true
        script: git rev-parse --short HEAD | tr a-f A-F",
    },
    Page {
        code: "E0606",
        title: "A program cannot be started",
        text: "\
The first word of the line is no program on PATH. Shell words such as `cd`, `&&` and `|` need `shell: true`; and since
each line is a process of its own, `cd` does not last until the next line.",
    },
    Page {
        code: "E0607",
        title: "A command failed",
        text: "\
A command of a step ended with another exit code than 0. The message holds the last lines that it wrote to stderr, with
secrets masked. Later steps did not run, and nothing was written to the API.",
    },
    Page {
        code: "E0608",
        title: "A directory of a step does not exist",
        text: "\
The step asks to run in a directory that is not there or may not be entered. It is relative to the directory of the
prefect.yaml, or to where an earlier step changed to.",
    },
    Page {
        code: "E0609",
        title: "A function in Python failed",
        text: "\
Steps that reconcile does not run itself are called in the project's Python, which sees only PATH, HOME, LANG,
VIRTUAL_ENV and what `step_env` in reconcile.yaml names. A step that needs credentials from the environment needs them
named there.

    step_env: [DOCKER_HOST, AWS_PROFILE]",
    },
    Page {
        code: "E0610",
        title: "A step needs Python and there is none",
        text: "\
The step is a Python function that reconcile does not know itself, and no Python with Prefect was found. Name one with
`--python`, or install Prefect; see E0250.",
    },
    Page {
        code: "E0611",
        title: "A step was cancelled",
        text: "\
The pass was interrupted while the step ran. Nothing was written to the API.",
    },
    Page {
        code: "W0650",
        title: "A step has its name of Prefect 2",
        text: "\
Prefect 3 has no `….projects.steps.…` any more and fails on it. reconcile runs the step's successor. Write the present
name, since workers and `prefect deploy` do not know the old one.

    prefect.deployments.steps.git_clone",
    },
    Page {
        code: "W0651",
        title: "The output of a step is cut",
        text: "\
The step printed more than 64 MiB. Its `stdout` and `stderr` outputs end there.",
    },
];
