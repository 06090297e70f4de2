//! 0300 to 0399: templates.

use super::Page;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: "E0301",
        title: "A reference does not name a block",
        text: "\
Block references have the type's slug and the block's name, and may reach into the value.

    \"{{ prefect.blocks.secret.api-token }}\"
    \"{{ prefect.blocks.aws-credentials.prod.region_name }}\"",
    },
    Page {
        code: "E0302",
        title: "A block does not exist",
        text: "\
The API has no block of this type and name, or none with this id. Prefect would stop here too. Create the block, or
correct the reference. A pull step may refer to a block that is created later, since the worker fills it in.",
    },
    Page {
        code: "E0303",
        title: "A block has no such field",
        text: "\
The block exists, but the path after its name leads to nothing. A block with a single field `value` stands for that
value, so its path starts inside of it.",
    },
    Page {
        code: "E0304",
        title: "A block that is a mapping stands in the middle of a text",
        text: "\
Only plain values can be put into a text. Name one field of the block, or make the placeholder the whole value.",
    },
    Page {
        code: "E0305",
        title: "A `$ref` is not a block reference",
        text: "\
Prefect takes every mapping with the key `$ref` for a reference to a block, and fails on others. Write
`$ref: {block_document_id: ID}`, or use another key.",
    },
    Page {
        code: "E0306",
        title: "A value becomes too large when its templates are filled",
        text: "\
Placeholders that hold placeholders can grow without end; the limit keeps that from eating the memory. Repeat fewer of
them, or fill in smaller values.",
    },
    Page {
        code: "W0310",
        title: "An environment variable is not set",
        text: "\
`{{ $NAME }}` is filled from the environment of reconcile. Prefect puts empty text in its place, or drops the entry,
and so does reconcile; the message says which. Set the variable, or remove the reference. In pull steps an unset
variable stays as written, for the worker.",
    },
    Page {
        code: "W0311",
        title: "A Prefect variable does not exist",
        text: "\
`{{ prefect.variables.NAME }}` refers to a variable that the API does not have. Prefect puts empty text in its place,
and so does reconcile. Create the variable, or correct its name.",
    },
    Page {
        code: "W0312",
        title: "Nothing gives a value for a placeholder",
        text: "\
A placeholder without prefix is the output of a build or push step. None of the steps gave it, so Prefect drops the
entry or puts empty text in its place. Name an output that exists, `{{ id.output }}`; environment variables are written
`{{ $NAME }}`. In triggers, `{{ event.… }}` works below `parameters` only.",
    },
    Page {
        code: "W0320",
        title: "The value of a block is stored in clear text",
        text: "\
Prefect fills block references when it deploys, and stores the values in the deployment, where everyone who may read
deployments can see them. reconcile does the same where nothing else would work, and warns. Use the reference in a text
of `job_variables` or in a pull step: there it is left as it is, and the worker fills it in.",
    },
];
