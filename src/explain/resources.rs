//! 0700 to 0749: resource files.

use super::Page;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: "E0700",
        title: "A key at the top of a resource file is not known",
        text: "\
A resource file is a mapping of lists. Its keys are `blocks`, `variables`, `work_pools` (with `queues` inside),
`concurrency_limits`, `tag_concurrency_limits`, `automations` and `block_types`; `definitions` is a place for YAML
anchors. A misspelt key is an error, because what stands below it would not exist.",
    },
    Page {
        code: "E0701",
        title: "A value of a resource file has the wrong type",
        text: "\
The message names the key, the type that it takes and the type that it has. Numbers and true or false are written
without quotes. A template cannot stand for them, apart from `{{ vars.x }}` of reconcile.yaml, which is filled in
before anything else and keeps its type.",
    },
    Page {
        code: "E0702",
        title: "A key of an item is not known",
        text: "\
Keys of resource files are reconcile's own, and one that is misspelt would say nothing. Compare it with the keys that
the help lists; `reconcile schema resources` prints a JSON Schema that makes editors complete them.",
    },
    Page {
        code: "E0703",
        title: "A key of an item is missing",
        text: "\
Without it the object cannot be made: blocks and pools need a `type`, everything needs its name, limits a `limit`,
variables a `value`, automations a `trigger` and `actions`.",
    },
    Page {
        code: "E0704",
        title: "A name is not possible",
        text: "\
The server refuses the name, or takes it and cannot find the object again. Blocks: lowercase letters, digits and
dashes, no dash at either end. Variables: the same and underscores, 255 characters at most. Pools, queues and limits:
anything but `/`, `%`, `&`, `>` and `<`. Names say which object is meant, so templates cannot stand in them;
`{{ vars.x }}` of reconcile.yaml can.",
    },
    Page {
        code: "E0705",
        title: "A name is reserved",
        text: "\
Pools and block types whose names begin with `prefect` are Prefect's own. Limits named `tag:…` are made by tag limits,
those named `deployment:…` by deployments: write `tag_concurrency_limits`, or `concurrency_limit` in the deployment.
The block types `reconcile-ledger` and `reconcile-lock` hold reconcile's own books.",
    },
    Page {
        code: "E0706",
        title: "A number is out of range",
        text: "\
Limits are at least 0, and so is `slot_decay_per_second`; priorities are at least 1. Whole numbers end at 2147483647,
which is what the server's database holds. For no limit write null where the key may be null, or remove the key.",
    },
    Page {
        code: "E0707",
        title: "An object is declared twice",
        text: "\
Two items have the same kind and name, in one file or in two. Which of them counts would be a matter of chance. Remove
one, or give it another name; values that differ between environments belong into `vars`.",
    },
    Page {
        code: "E0708",
        title: "Two queues of a pool have the same priority",
        text: "\
Priorities are unique in a pool: the server moves other queues back when a number is taken, and both would never be as
they are declared. Number them 1, 2, 3, with 1 served first.",
    },
    Page {
        code: "E0709",
        title: "The value of a variable is too long",
        text: "\
The server takes values whose JSON text has up to 5000 bytes. Split the value, or keep it in a block: those of type
`secret` hold any JSON, and as much as you like.",
    },
    Page {
        code: "E0710",
        title: "A reference in the data of a block cannot be read",
        text: "\
Three mappings with one key are special in `data`: `{ block: type/name }` is another block, `{ from_env: NAME }` an
environment variable of the reconciler, `{ from_file: path }` the text of a file. A reference to a block has to stand
at the top of `data`: deeper down, the API stores it and never follows it.

    data: { bucket_name: flows, credentials: { block: aws-credentials/prod } }",
    },
    Page {
        code: "E0711",
        title: "Asterisks stand where a secret was",
        text: "\
The API and Prefect print asterisks in place of secrets. Such a value was copied from there, and applying it would
overwrite the secret with asterisks. Write `{ from_env: NAME }` or `{ from_file: path }`.",
    },
    Page {
        code: "E0712",
        title: "The lifecycle of an item cannot be read",
        text: "\
`lifecycle` is a mapping. `prune` and `adopt` are true or false, `ignore_drift` is a list of paths of fields as plans
print them, `replaces` the name that the object had before.

    lifecycle: { prune: false, ignore_drift: [data.bucket_folder], adopt: true }",
    },
    Page {
        code: "E0713",
        title: "A base job template cannot be read",
        text: "\
`base_job_template` is one of three: `{ default: true }`, the template of the pool's type; `{ file: x.json }`, that of
a file; or the template itself with `job_configuration` and `variables`, in which every `{{ placeholder }}` of the
configuration is a property of the variables, as the server demands. The first two take a `patch` of dotted paths:

    base_job_template: { default: true, patch: { variables.properties.namespace.default: flows } }",
    },
    Page {
        code: "E0714",
        title: "The storage of a work pool cannot be read",
        text: "\
`storage` names one place: `s3` or `gcs` with a `bucket`, or `azure` with a `container`, and optional `credentials` of
the matching type of block. Or it has Prefect's own keys: `bundle_upload_step` and `bundle_execution_step`, one step
each, and `default_result_storage_block_id`, a block.

    storage: { s3: { bucket: my-flows, credentials: { block: aws-credentials/prod } } }",
    },
    Page {
        code: "E0715",
        title: "A trigger or an action of an automation is not possible",
        text: "\
The server would refuse it. The message says what is wrong; the forms are Prefect's own, which its documentation
describes under automations, with names in place of ids.",
    },
    Page {
        code: "E0716",
        title: "A name in an automation cannot be read",
        text: "\
Triggers and actions name objects where the API wants ids: `deployment: flow/name`, `work_pool: name`,
`work_queue: pool/queue`, `block: type-slug/name`, `automation: name`. The ids are filled in when the objects are
known. Templates cannot stand in such names.",
    },
    Page {
        code: "E0717",
        title: "The fields of a block type cannot be read",
        text: "\
`fields` is a JSON Schema of an object: each field stands below `properties`, and `required` lists those that must be
given. `secret_fields` lists what is hidden: names of fields, or paths such as `auth.password` and `headers.*`. A path
that begins with no field would hide nothing.",
    },
    Page {
        code: "E0718",
        title: "The schema that a block asks for cannot be read",
        text: "\
A block uses the newest schema of its type. `schema` asks for another one, by `version` or by `checksum`, as the API
lists them. Quote a version, which YAML may read as a number.

    schema: { version: \"0.5.8\" }",
    },
    Page {
        code: "W0721",
        title: "A secret stands in a file in clear",
        text: "\
The type of the block says that this field is secret, and everybody who can read the repository can read it here.
Take it from the environment, from a file or from an encrypted file, and replace the secret where it came from: it
stays in the history of git.

    aws_secret_access_key: { from_env: AWS_SECRET_ACCESS_KEY }",
    },
    Page {
        code: "W0722",
        title: "A field of a block is not known",
        text: "\
The server stores any field, also one that is misspelt, and nothing would read it. The fields are those of the newest
schema that Prefect 3.8.8 knows; a newer collection may have more of them.",
    },
];
