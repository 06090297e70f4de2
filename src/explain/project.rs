//! 0120 to 0139: reconcile.yaml, and finding files.

use super::Page;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: "E0120",
        title: "A key of reconcile.yaml is not known",
        text: "\
Unlike prefect.yaml, whose unknown keys are only warned about, reconcile.yaml is refused: a misspelt `prune` or
`exclude` must not silently mean the opposite. `docs/reconcile-yaml.md` lists the keys.",
    },
    Page {
        code: "E0121",
        title: "A value of reconcile.yaml has the wrong type",
        text: "\
The message names the key, the type it takes and the type it has. Lists have to be written as lists, even with one
item.

    include: flows/prefect.yaml        # refused
    include: [flows/prefect.yaml]",
    },
    Page {
        code: "E0122",
        title: "A value of reconcile.yaml is not possible",
        text: "\
The type is right, the value is not: a word that the key does not know, a URL that is none, an empty text, a name with
`@` in it (which separates the name from the environment), or an API with both `url` and `profile`. The message says
which.",
    },
    Page {
        code: "E0123",
        title: "A file pattern cannot be read",
        text: "\
Patterns of `include`, `exclude`, `root_relative` and `overlays` are globs: `*` and `?` match within a directory, `**`
across directories, `[ab]` one of several characters, `{a,b}` one of several words. A bracket or brace is not closed,
or the like.",
    },
    Page {
        code: "E0124",
        title: "A rule of ignore_drift cannot be read",
        text: "\
A rule names objects and a field: `KIND/NAME: FIELD`. The name may hold `*`; the field is a path as plans print it.

    ignore_drift: [\"deployment/*/*: paused\"]",
    },
    Page {
        code: "E0125",
        title: "A variable of `vars` does not exist",
        text: "\
`{{ vars.x }}` is filled from `vars` of reconcile.yaml, with those of the chosen environment over them. This name is
in neither. Add it, or correct the name; with `--env` missing, a variable that only environments define is unknown.",
    },
    Page {
        code: "E0126",
        title: "A variable of `vars` cannot stand here",
        text: "\
A variable that is a list or a mapping can be a whole value, but not a part of a text.

    tags: \"{{ vars.tags }}\"           # a list as a whole value
    name: \"etl-{{ vars.tags }}\"       # refused",
    },
    Page {
        code: "E0127",
        title: "Filling in `vars` makes the file too large",
        text: "\
With its variables filled in, the file exceeds 16 MiB. Use the large variable in fewer places.",
    },
    Page {
        code: "E0128",
        title: "A credential stands in reconcile.yaml",
        text: "\
The file is in git, and everybody who can read the repository could use the credential. Take it out and consider it
known: replace it on the server. Name a `profile` or a `key_file` instead, or set PREFECT_API_KEY where reconcile
runs.",
    },
    Page {
        code: "W0130",
        title: "A link leads out of the repository",
        text: "\
A symbolic link points outside of the directory tree that is reconciled, so it is not followed: what a repository
declares should be in the repository. Copy the file, or exclude the link.",
    },
    Page {
        code: "W0131",
        title: "A matched path is no file",
        text: "\
The name matches the patterns, but it is a link that leads nowhere, or a pipe, socket or device. It is passed over.
Remove it, or put it under `exclude`.",
    },
    Page {
        code: "W0132",
        title: "A directory cannot be read",
        text: "\
The account that runs reconcile may not list it, so declarations below it are not seen. Let it be read, or name it
under `exclude`.",
    },
    Page {
        code: "W0133",
        title: "A file name is not UTF-8",
        text: "\
The file would be read, but its name cannot be told or compared. It is passed over; rename it.",
    },
    Page {
        code: "W0134",
        title: "A .gitignore cannot be used",
        text: "\
Files that git ignores are not read. This .gitignore is not a readable regular file of patterns, so nothing is ignored
by it.",
    },
    Page {
        code: "W0135",
        title: "The git repository belongs to another user",
        text: "\
git refuses repositories of other users because their configuration could run programs, and reconcile follows it. No
commit, branch or remote is known then, which matters for versions and for the name of the scope. In containers this
is usual; allow the directory as the help says.",
    },
    Page {
        code: "W0136",
        title: "The git repository cannot be read",
        text: "\
The files are read, but no commit, branch or remote is known. `git status` in that directory usually says why.",
    },
    Page {
        code: "E0137",
        title: "An overlay cannot be laid over anything",
        text: "\
The files in `overlays:` of an environment hold the same lists as the files that every environment has. Each of their
items names what it changes: deployments, pools, variables, limits and automations by `name`, blocks by `type` and
`name`, tag limits by `tag`, block types by `slug`. An item of another name is declared anew. Where deployments of
several flows have one name, `entrypoint` tells which is meant.",
    },
    Page {
        code: "W0138",
        title: "No file matches an overlay",
        text: "\
An environment names files to lay over the others, and none has such a path: it is planned as if the pattern were not
there. Patterns are seen from the directory of reconcile.yaml.",
    },
];
