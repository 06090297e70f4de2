//! 0500 to 0599: settings, the API and the ledger.

use super::Page;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: "E0500",
        title: "No Prefect API is configured",
        text: "\
The command needs an API and there is none. The address comes from `--api-url`, PREFECT_API_URL, .env, prefect.toml,
pyproject.toml or a profile. With CI set, or with a PREFECT_API_* variable that is set but empty, a missing address is
an error, so that a misspelt secret does not end in a private server; `--local` asks for that server all the same.",
    },
    Page {
        code: "W0500",
        title: "The active profile does not exist",
        text: "\
profiles.toml names an active profile that it does not define. Prefect goes on without one, and so does reconcile.
Choose one with `--profile` or `prefect profile use`.",
    },
    Page {
        code: "E0501",
        title: "A setting has an impossible value",
        text: "\
The message names the setting, where it comes from and what is wrong. API addresses start with http:// or https:// and
have neither query nor fragment.",
    },
    Page {
        code: "W0501",
        title: "A setting is set but empty",
        text: "\
An empty variable counts as not set. In CI this usually means that a secret is not available to this job. Unset it, or
give it its value.",
    },
    Page {
        code: "E0502",
        title: "A settings file cannot be read",
        text: "\
profiles.toml, .env, prefect.toml or pyproject.toml, or the file of `--api-key-file`, is unreadable or malformed. The
message names the line and never quotes it, because it may hold a key.",
    },
    Page {
        code: "E0503",
        title: "The profile does not exist",
        text: "\
The profile that `--profile` or PREFECT_PROFILE names is not in profiles.toml. The help lists those that are.",
    },
    Page {
        code: "E0504",
        title: "A credential would go where the repository decides",
        text: "\
A file of the repository (.env, prefect.toml, pyproject.toml) gives the API's address or decides how the connection is
protected, while the key comes from elsewhere. Whoever can open a pull request could have your key sent to a server of
theirs, so it is refused. Give the address where the key is: in the environment, on the command line or in a profile.",
    },
    Page {
        code: "E0510",
        title: "The API cannot be reached",
        text: "\
Nobody answers at the address: the server does not run, the name is not known, or a proxy or firewall stands between.
The message says where the address comes from.",
    },
    Page {
        code: "E0511",
        title: "No safe connection to the API",
        text: "\
The certificate of the server cannot be verified, or it speaks no TLS. Name the certificate authority in
PREFECT_API_SSL_CERT_FILE, or check that https:// is meant.",
    },
    Page {
        code: "E0512",
        title: "Something else than a Prefect API answers",
        text: "\
The answer is not one that a Prefect API gives. Mostly the address lacks `/api` at its end, or names the web interface.

    http://127.0.0.1:4200/api
    https://api.prefect.cloud/api/accounts/ID/workspaces/ID",
    },
    Page {
        code: "E0513",
        title: "The API denies access",
        text: "\
401 means that the key or password is missing or wrong, 403 that it is right but may not do this. The message says
which kind of credential was sent, never the credential. `docs/security.md` lists the rights that each command needs.",
    },
    Page {
        code: "E0514",
        title: "The API refuses a request",
        text: "\
The server understood the request and will not do it; its reason is in the message. Everything that can be checked is
checked before the first write, so this is rare. 404 means that the object was deleted meanwhile, 409 that another one
is in the way.",
    },
    Page {
        code: "E0515",
        title: "The API fails again and again",
        text: "\
The request was repeated with growing pauses and failed each time. What is already written stays, and the report says
what it is; running again continues.",
    },
    Page {
        code: "E0516",
        title: "It is not known whether a write arrived",
        text: "\
The connection broke after a request was sent that must not be sent twice. Run again: what exists is found by name and
not made a second time.",
    },
    Page {
        code: "E0517",
        title: "An answer of the API cannot be understood",
        text: "\
The answer lacks something that every supported server sends. Something between here and the server may change answers;
otherwise it is a bug or a server that is too new.",
    },
    Page {
        code: "E0518",
        title: "Something exists on Prefect Cloud only",
        text: "\
A server of your own has no such feature. Remove it from the declaration, or deploy to Prefect Cloud.",
    },
    Page {
        code: "E0519",
        title: "The connection cannot be prepared",
        text: "\
A setting of the connection, such as a certificate file or a header, cannot be used. The message names it.",
    },
    Page {
        code: "E0520",
        title: "The ledger is damaged",
        text: "\
The block that records what reconcile owns is not as it was written: somebody edited it, or a part is missing. Nothing
is taken for removed while that is so. To begin anew, delete the blocks of type `reconcile-ledger` of this scope: what
is declared is adopted again.",
    },
    Page {
        code: "E0521",
        title: "The ledger was written by a newer reconcile",
        text: "\
Its format is newer than this binary knows, and writing over it would lose what it says. Update reconcile.",
    },
    Page {
        code: "E0522",
        title: "The key of the ledger is withheld",
        text: "\
The ledger keeps a key by which it recognises changed secrets, and the account may not read the secret values of
blocks. Use an account that may, or write `ledger: false` in reconcile.yaml and do without: nothing is then taken for
removed, and fields that leave git are not reset.",
    },
    Page {
        code: "E0523",
        title: "A write was held back because the lock was lost",
        text: "\
The process was stopped or cut off for so long that another one could take the lock over, or somebody deleted the lock.
What was still to be written was not sent, so that it cannot undo what the other one wrote. Run again.",
    },
    Page {
        code: "E0524",
        title: "The API has no such block type or schema",
        text: "\
A block is a document of a type, and the API has neither a type of that slug nor, if the message speaks of a schema, the
version or checksum that the block asks for. The message names similar types. Types come with Prefect's integrations:
`prefect block register -m prefect_aws` registers those of one; or declare the block type along with the block.
A new Prefect server does not have some types of Prefect 2, such as `s3` and `docker-container`.",
    },
    Page {
        code: "E0525",
        title: "A commit is not signed by anybody who may",
        text: "\
With `--signers FILE` only commits are used that carry a good signature of somebody whom the file names: by SSH, as an
allowed signer, or by OpenPGP, with a public key that stands there. Nothing of another commit is read. A loop goes on
with the last commit that was good, and says on its page, in its metrics and its notifications that it does.

If the commit is sound, sign it (`git commit --amend -S`) or have the merge signed, and push again; the key of
a new colleague is added to the file. If it is not, find out who pushed it.",
    },
];
