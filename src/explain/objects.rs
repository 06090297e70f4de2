//! Pages about objects of resource files once they are filled in and compared.

use super::Page;

/// The pages.
pub const PAGES: &[Page] = &[
    Page {
        code: "E0750",
        title: "Objects need each other in a circle",
        text: "\
Each of the objects named needs the next one to be there first, and the last needs the first: none of them can be made.
The server would refuse it as well. Take one of the references out.",
    },
    Page {
        code: "E0751",
        title: "An environment variable that a resource file names is not set",
        text: "\
`{{ $NAME }}` and `{ from_env: NAME }` take a value from the environment of reconcile. A variable that is missing is a
problem and not an empty text: a secret would be overwritten with nothing. Set it where reconcile runs; to mean an empty
value, set it to an empty text.",
    },
    Page {
        code: "E0752",
        title: "A secret does not hold JSON",
        text: "\
`{ from_env: NAME, format: json }` reads the value as JSON, for fields that hold mappings or lists; so does
`{ from_file: path, format: json }`. Only the place of the fault is told, never the value. Correct the value, or leave
`format` out to take it as text.",
    },
    Page {
        code: "E0753",
        title: "A file with a secret cannot be read",
        text: "\
`{ from_file: path }` takes a value from a file, relative to the file that names it. It has to lie in the repository or
below one of the directories in `secret_dirs:` of reconcile.yaml; links do not lead out of them. A file that age
encrypted is decrypted by the keys in `SOPS_AGE_KEY`, in the file that `SOPS_AGE_KEY_FILE` names, or in
`~/.config/sops/age/keys.txt`; one with `sops: true` by the program `sops`, which has to be on PATH and finds its keys
itself. Only the environment says where keys are, never the repository. No file is larger than 1 MiB.",
    },
    Page {
        code: "E0754",
        title: "A base job template cannot be read",
        text: "\
`base_job_template: { file: template.json }` names a JSON file in the repository, relative to the file that names it. It
has the keys `job_configuration` and `variables`, as `prefect work-pool get-default-base-job-template` prints them.",
    },
    Page {
        code: "E0755",
        title: "There is no default template for this type of work pool",
        text: "\
`base_job_template: { default: true }` starts from the template that Prefect ships for the pool's type. The help of the
message lists the types that have one. For others, name a `file` or write the template into the resource file.",
    },
    Page {
        code: "E0756",
        title: "A patch of a base job template leads nowhere",
        text: "\
The keys of `patch` are paths: keys of mappings, separated by dots, such as `variables.properties.namespace.default`.
This one leads through a value that is not a mapping.",
    },
    Page {
        code: "W0757",
        title: "A secret stands in plain text",
        text: "\
The block's type says that this field is a secret, and its value is written in the repository, where everybody who can
read the repository reads it. Take it from the environment with `{ from_env: NAME }` or from a file with
`{ from_file: path }`. reconcile does not show it either way.",
    },
    Page {
        code: "E0758",
        title: "A reference leads to nothing",
        text: "\
An object refers to another one that is neither declared in git nor there on the API. Declare it, correct its name, or
make it by other means first. Blocks are named `type/name`, queues `pool/queue`, deployments `flow/name`.",
    },
    Page {
        code: "W0759",
        title: "A deployment refers to something that does not exist",
        text: "\
Its job variables or pull steps name a block or a variable that is neither declared in git nor there on the API. The
worker fills them in when a run starts, so that the deployment can be applied; its runs fail until the other is there.",
    },
    Page {
        code: "W0760",
        title: "An object is not renamed",
        text: "\
`lifecycle: { replaces: old-name }` renames deployments only. Another object is made under its new name; the one of the
old name has left git, so it is held, and deleted with `--prune`. Point what refers to it to the new name first.",
    },
    Page {
        code: "E0770",
        title: "The data of a block does not fit its type",
        text: "\
The server stores whatever it is given, and a run that loads the block fails later, in Python. So the data is checked
first, against the JSON Schema of the type: the one in git (`block_types:`), the newest one of the API, or the one that
Prefect ships. What Python's classes convert is right: `\"5\"` for a number, `\"yes\"` for true, null for what may be left
out. Fields that the type does not know are kept and are no problem. What is not known yet is passed over. A required
field may be missing where the block is there already and has it. Where blocks are made by another version of their
class than the newest one, pin its schema with `schema: { version: … }`.",
    },
    Page {
        code: "W0771",
        title: "The data of a block may not fit its type",
        text: "\
Text stands where the type of the block has a mapping or a list: some classes parse such text themselves (a kubeconfig
in `kubernetes-cluster-config`), others refuse the block when a run loads it. Or a required field is missing, and
without an API nobody can tell whether the block is there and has it.",
    },
    Page {
        code: "E0772",
        title: "A file of secrets has nothing at that key",
        text: "\
`{ from_file: path, key: a.b }` reads the file, once it is decrypted, as YAML or JSON and takes the value below `a` and
`b`; numbers count the items of lists. The file holds neither, or has no such key. Nothing of what it holds is shown.",
    },
    Page {
        code: "E0773",
        title: "There is no such block type",
        text: "\
The `type` of a block is the slug of its type, such as `s3-bucket`. This one is neither declared below `block_types:`,
nor registered on the API, nor a type that Prefect ships, so the block could not be made. Correct the slug, declare the
type, or register it with `prefect block register --module my_module`. Without an API (`validate`) nobody can tell.",
    },
    Page {
        code: "W0774",
        title: "A placeholder is stored as it stands",
        text: "\
`{{ prefect.variables.x }}` and `{{ prefect.blocks.type.name }}` are filled in where deployments have them: by
reconcile, and by the worker in job variables and pull steps. In a block, a variable, a limit or the texts of other
objects neither Prefect nor reconcile does, so that a flow reads the braces. `{{ vars.x }}` is filled in from `vars`
of reconcile.yaml, if there are any. Write the value; refer to a block with `{ block: type/name }`; take secrets with
`{ from_env: NAME }`. Base job templates, the storage of pools and automations have placeholders of their own and are
left alone.",
    },
];
