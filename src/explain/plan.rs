//! 0400 to 0499: what does not fit the API, and ownership.

use super::Page;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: "E0401",
        title: "The work pool does not exist",
        text: "\
The API has no pool of this name, and the server refuses deployments on unknown pools. Create it first, or correct the
name.

    prefect work-pool create my-pool --type process",
    },
    Page {
        code: "E0402",
        title: "The work pool is for agents of Prefect 2",
        text: "\
Pools of type prefect-agent are served by agents, which Prefect 3 no longer has. Use a pool of a type that workers
serve.",
    },
    Page {
        code: "E0403",
        title: "Service level agreements exist on Prefect Cloud only",
        text: "\
The API is a server of your own, which has no such agreements. Prefect notices after it has written the deployment;
here nothing is written. Remove `sla`, or deploy to Prefect Cloud.",
    },
    Page {
        code: "E0404",
        title: "A job variable does not fit the work pool",
        text: "\
The base job template of a pool says which job variables there are and of which type. The server would refuse this one.
The message names the path and what does not fit.",
    },
    Page {
        code: "E0405",
        title: "A parameter does not fit the flow",
        text: "\
The value does not fit the type that the flow declares, and the server would refuse it. Correct the value, or write
`enforce_parameter_schema: false` to have nothing checked.",
    },
    Page {
        code: "W0406",
        title: "The ledger cannot be used",
        text: "\
The ledger, a block on the API, records what reconcile owns and last applied. It cannot be read, so this pass takes
nothing for removed, resets no field that left git, and leaves the ledger alone. The message says what is wrong; see
E0520, E0521 and E0522.",
    },
    Page {
        code: "W0407",
        title: "A deployment is declared twice",
        text: "\
Two declarations lead to the same flow and name. Prefect lets each overwrite the other in every run; reconcile takes
the last one. Remove one, or rename it.",
    },
    Page {
        code: "E0408",
        title: "Metric triggers exist on Prefect Cloud only",
        text: "\
The API is a server of your own, which refuses triggers with `posture: Metric`. Prefect notices after it has written the
deployment; here nothing is written. Remove the trigger, or deploy to Prefect Cloud.",
    },
    Page {
        code: "E0409",
        title: "A trigger's parameters name something that the environment does not have",
        text: "\
The parameters of a trigger are Jinja templates to the server: `{{ event.id }}` is filled when the event comes. A
placeholder `{{ $NAME }}` is filled here; if NAME is not set it would stay, and the server refuses it.",
    },
    Page {
        code: "E0410",
        title: "The object belongs to another scope",
        text: "\
The ledger of another scope records it as its own: two repositories, or two environments of one, declare the same
object and would overwrite each other for ever. Declare it in one of them only. If this scope was renamed, give it its
old `name` in reconcile.yaml again.",
    },
    Page {
        code: "E0411",
        title: "The server is not Prefect 3",
        text: "\
The API answers with a version of Prefect 2, which has other objects and other addresses. Servers of Prefect 3.4 and
newer are tested.",
    },
    Page {
        code: "W0412",
        title: "The server is too old for something that is declared",
        text: "\
The server drops a key that newer ones know, without a word. It is left out: otherwise every plan would show it as
missing. The message names the key and the version that knows it; upgrade the server, or remove the key.",
    },
    Page {
        code: "E0415",
        title: "What is to be replaced contradicts itself",
        text: "\
`lifecycle: { replaces: old-name }` gives a deployment a new name: it is made under the new one, and the deployment of
the old name in the same flow is deleted. So the old name cannot be its own, cannot still be declared, and only one
declaration can replace it.",
    },
    Page {
        code: "E0416",
        title: "What is to be replaced is not of this scope",
        text: "\
The deployment that `lifecycle: { replaces: old-name }` names exists, but this scope does not own it: it is not in its
ledger. Nothing is deleted that is not ours. Write `adopt: true` beside `replaces` to take it over; to leave it alone,
remove `replaces`, also when the renaming is long done and somebody else has used the old name since.",
    },
    Page {
        code: "W0420",
        title: "A flow was compared by the name of its function",
        text: "\
Files were compared with files (`plan --base`, `plan --untrusted`), and only Python can tell what this flow takes. No
code is run for such a comparison, so the flow goes by the name of its function and its parameters are left out.
Nothing has to be done; a plan against an API, and an apply, ask Python.",
    },
    Page {
        code: "W0421",
        title: "The commit that is compared with has invalid files",
        text: "\
`plan --base REV` reads the files of another commit, and some of them are invalid there. What they would declare counts
as not declared, so that it shows as new. Compare with a commit whose files are valid.",
    },
];
