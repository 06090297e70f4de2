//! 0140 to 0179: the keys of prefect.yaml, and which declarations are meant.

use super::Page;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: "E0140",
        title: "The file is not a mapping",
        text: "\
A prefect.yaml is a mapping with `deployments:` and, if wanted, `build`, `push` and `pull`. Prefect skips a file that
is anything else; here it is an error, because nothing of it would be deployed.

    deployments:
      - name: nightly
        entrypoint: flows/etl.py:etl
        work_pool: { name: local }",
    },
    Page {
        code: "W0141",
        title: "A key means nothing here",
        text: "\
Prefect drops keys that it does not know without a word, so a misspelt key looks as if it worked. The result here is
the same, but you are told, with the nearest key that exists. Correct or remove it.",
    },
    Page {
        code: "E0142",
        title: "Deployments are not a list of mappings",
        text: "\
`deployments` takes a list, and each of its items is a mapping. An empty value or a single mapping is refused, as in
Prefect.

    deployments:
      - name: nightly",
    },
    Page {
        code: "W0143",
        title: "A key of Prefect 2 that Prefect 3 ignores",
        text: "\
The key had a meaning in Prefect 2. Prefect 3 drops it, and so does reconcile, since the result must be the one that
`prefect deploy` gives. The help names today's spelling.

    infra_overrides: { image: x }                    # ignored
    work_pool: { name: k8s, job_variables: { image: x } }",
    },
    Page {
        code: "E0144",
        title: "A value must be text",
        text: "\
Unquoted, YAML reads `1.10` as a number, `on` as a truth value and `2026-01-01` as a date. Prefect refuses these where
it expects text. Quote the value.",
    },
    Page {
        code: "W0145",
        title: "A number is taken as text",
        text: "\
`name` and `version` are text, and Prefect refuses the whole file when one is a number. What stands in the file is
taken letter by letter, so `version: 1.10` becomes \"1.10\". Quote it if `prefect deploy` reads the file as well.",
    },
    Page {
        code: "E0146",
        title: "The version type is not known",
        text: "\
`version_type` is one of prefect:simple, vcs:github, vcs:gitlab, vcs:bitbucket, vcs:azuredevops and vcs:git. Prefect
notices a wrong one only after builds have run. Leave it out to have it found out.",
    },
    Page {
        code: "E0147",
        title: "The tags are not a list of texts",
        text: "\
`tags` is a list, or a text that is one template which gives a list.

    tags: [etl, nightly]",
    },
    Page {
        code: "W0147",
        title: "The tags are taken as a list",
        text: "\
An empty `tags:` makes Prefect crash, and a single text makes it take every letter for a tag. Here they mean no tags
and one tag. Write a list if `prefect deploy` reads the file as well.",
    },
    Page {
        code: "E0148",
        title: "A value must be true or false",
        text: "\
`paused` and `enforce_parameter_schema` take a truth value; words such as `yes` and `off` count as well. Prefect
checks them before templates are filled, so a template cannot stand here.",
    },
    Page {
        code: "E0149",
        title: "A value must be a mapping with text keys",
        text: "\
`parameters` and `job_variables` are mappings; an empty value is refused, as in Prefect. Keys that YAML reads as
numbers or truth values have to be quoted.

    parameters: { \"1\": one, \"on\": two }",
    },
    Page {
        code: "E0150",
        title: "The work pool is not a mapping",
        text: "\
`work_pool` holds a `name`, and if wanted `work_queue_name` and `job_variables`. The name alone is not enough.

    work_pool: k8s               # refused
    work_pool: { name: k8s }",
    },
    Page {
        code: "W0150",
        title: "The work pool is empty",
        text: "\
`work_pool:` without a value makes Prefect crash. Here it counts as not given: the default pool of the settings is
taken. Name a pool, or remove the key.",
    },
    Page {
        code: "E0152",
        title: "The lifecycle of a deployment cannot be read",
        text: "\
`lifecycle` is a mapping and a key of reconcile's own; Prefect ignores it. Its keys are `prune`, `ignore_drift`,
`adopt` and `replaces`.",
    },
    Page {
        code: "E0153",
        title: "Steps are not a list",
        text: "\
`build`, `push` and `pull` take a list of steps, a single step, or nothing. `[]` means no steps.

    pull:
      - prefect.deployments.steps.set_working_directory: { directory: /app }",
    },
    Page {
        code: "E0154",
        title: "A step is not a function with inputs",
        text: "\
A step is a mapping of one entry: the full name of a Python function, and a mapping of its inputs. A step that takes
no inputs gets `{}`.",
    },
    Page {
        code: "E0155",
        title: "A step at the top of the file holds a date",
        text: "\
Steps of the whole file are not turned to JSON before their templates are filled, and Prefect fails on the date that
YAML makes of an unquoted `2026-01-01`. Quote it.",
    },
    Page {
        code: "E0156",
        title: "A step has more than one function",
        text: "\
What stands in the same column as the step's name counts as one more function, and the step fails when it runs. The
usual reason is indentation: inputs belong one level deeper than the name.

    - prefect.deployments.steps.run_shell_script:
        id: hash                       # deeper than the name
        script: git rev-parse HEAD",
    },
    Page {
        code: "W0156",
        title: "A pull step has more than one function",
        text: "\
Pull steps are stored as they are written and run by the worker, which will fail on this one. Indent the inputs below
the name of the step.",
    },
    Page {
        code: "E0160",
        title: "A name or an entrypoint is missing",
        text: "\
Every deployment needs a `name` and an `entrypoint`, also after templates are filled in. Prefect would ask on a
terminal; reconcile never asks.",
    },
    Page {
        code: "E0161",
        title: "A name holds a character that Prefect forbids",
        text: "\
Names of deployments, flows and work queues may not hold `/`, `%`, `&`, `>` or `<`. A flow's name is that of its
function, or `name=` in `@flow(...)`.",
    },
    Page {
        code: "E0162",
        title: "A name needs an API to be known",
        text: "\
The name or entrypoint holds a reference to a block or variable, and no API is configured that could say what it is.
Set PREFECT_API_URL, or write the value without such references.",
    },
    Page {
        code: "E0163",
        title: "The work pool is missing",
        text: "\
A deployment runs on a work pool. Name it in the file, give `--pool`, or set PREFECT_DEFAULT_WORK_POOL_NAME for all
deployments that name none.

    work_pool: { name: my-pool }",
    },
    Page {
        code: "W0165",
        title: "The directory of the code in the image is guessed",
        text: "\
`job_variables` names an image, but no pull step says where in it the code is. Prefect takes /opt/prefect, and so does
reconcile. Add a pull step if the code is elsewhere.

    pull:
      - prefect.deployments.steps.set_working_directory: { directory: /app }",
    },
    Page {
        code: "E0170",
        title: "No deployment is declared",
        text: "\
No matched file declares a deployment, or there is no matching file. That is an error because an empty result would
mean that everything left git. Check the directory, `include` and `exclude` of reconcile.yaml, and .gitignore.
A resource file with an empty list, such as `variables: []`, does say that nothing is wanted: what is owned is then
held, and `reconcile destroy` deletes it.",
    },
    Page {
        code: "W0171",
        title: "A matched file declares nothing",
        text: "\
The name of the file matches the patterns, but none of its keys is known. Put it under `exclude` in reconcile.yaml, or
correct its keys.",
    },
    Page {
        code: "W0172",
        title: "A deployment without a name is passed over",
        text: "\
Of several declarations in a file, those without a name are skipped, as `prefect deploy --all` does. Give it a name.",
    },
    Page {
        code: "W0173",
        title: "Flags for one deployment are ignored",
        text: "\
Flags such as `--cron` or `--pool` describe a single deployment, and several are selected. Prefect ignores the flags
then, and so does reconcile. Select one deployment with `-n`.",
    },
];
