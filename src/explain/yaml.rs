//! 0100 to 0119: files as YAML.

use super::Page;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: "E0100",
        title: "The file is not UTF-8 text",
        text: "\
YAML files are read as UTF-8. This one holds other bytes, or was saved as UTF-16, as some editors on Windows do.
Save it again as UTF-8; a byte order mark at its start does no harm.",
    },
    Page {
        code: "W0100",
        title: "A key is written twice in one mapping",
        text: "\
YAML as Prefect reads it lets the last of two equal keys win and says nothing. The other value is lost, which is
seldom meant. `1` and `true`, or `on` and `yes`, are equal keys too, because plain words like these are numbers and
truth values. Remove one of the two, or quote the key that is text.

    parameters:
      limit: 10     # ignored
      limit: 20     # this one counts",
    },
    Page {
        code: "E0101",
        title: "The file is larger than 16 MiB",
        text: "\
A file of this size is not a declaration that somebody wrote. Keep large data out of YAML files, or name the file
under `exclude` in reconcile.yaml if it was matched by mistake.",
    },
    Page {
        code: "E0102",
        title: "The file holds a control character",
        text: "\
YAML allows no control characters but tab and line ends, and Prefect's reader refuses the file. Such characters come
from terminals or from copied text and are invisible in most editors. Remove it, or write it as an escape in double
quotes.

    message: \"\\x1b[1mbold\"",
    },
    Page {
        code: "E0103",
        title: "The text is not well-formed YAML",
        text: "\
The message says what stands where, and what YAML expected there. The usual reasons are a missing space after a colon
or a dash, and text with special characters that is not in quotes. Where a file is broken in its form nothing after
that place can be known, so only the first such fault of a file is told. No deployment of the scope is taken for
removed while a file cannot be read.

    name:nightly          # no space after the colon
    name: nightly         # right",
    },
    Page {
        code: "E0104",
        title: "A tab stands where YAML wants spaces",
        text: "\
YAML forbids tabs in indentation, because nobody can tell how wide they are. Replace them with spaces; most editors
have a setting for that. Inside quotes a tab is fine.",
    },
    Page {
        code: "E0105",
        title: "A template is not quoted",
        text: "\
An unquoted value that begins with `{{` is read by YAML as a mapping inside a mapping, never as a template. Put quotes
around the whole value. Text that merely contains a template further on needs none.

    image: {{ build.image }}           # a mapping, refused
    image: \"{{ build.image }}\"         # a template
    image: registry/{{ build.image }}  # a template",
    },
    Page {
        code: "E0106",
        title: "Unquoted text starts with a special character",
        text: "\
`*` begins an alias, `&` an anchor, `@`, `%` and the backtick are reserved. Text that starts with one of them has to be
quoted. Cron expressions are the usual case.

    cron: */5 * * * *        # read as an alias
    cron: \"*/5 * * * *\"      # a cron expression",
    },
    Page {
        code: "E0107",
        title: "A value holds a colon followed by a space",
        text: "\
`: ` separates a key from its value wherever it stands outside of quotes, so the value looks like one more mapping.
Quote the whole value.

    description: note: runs at night       # refused
    description: \"note: runs at night\"",
    },
    Page {
        code: "E0108",
        title: "A quote or a bracket is not closed",
        text: "\
What is opened has to be closed, and what is closed must have been opened. The place shown is where the quote or
bracket starts, or the stray closing bracket. If the text is not meant as a list or mapping, put all of it in quotes.",
    },
    Page {
        code: "E0109",
        title: "The indentation fits nothing above it",
        text: "\
Keys of one mapping start in the same column, and so do the items of one list. This line is indented deeper or less
deep than the lines it seems to belong to. Align it with its neighbours, or start a list on a line of its own.

    work_pool:
      name: local
       work_queue_name: slow      # one space too many",
    },
    Page {
        code: "E0110",
        title: "The file holds several YAML documents",
        text: "\
A line of `---` starts a new document, and Prefect refuses files with more than one. Move the second document to a
file of its own, or remove the line.",
    },
    Page {
        code: "E0111",
        title: "An alias or anchor does not work out",
        text: "\
`*name` stands for the value that `&name` marks earlier in the same file. The name is not defined before it is used,
is defined twice, or would stand inside itself. Correct the name; quote the text if no alias is meant.

    work_pool: &local { name: local }
    ...
    work_pool: *local",
    },
    Page {
        code: "E0112",
        title: "A list or a mapping is used as a key",
        text: "\
Keys are text or other plain values; a list or mapping cannot be one. Mostly the key starts with `{` or `[` and was
meant as text: quote it.",
    },
    Page {
        code: "E0113",
        title: "The merge key does not get a mapping",
        text: "\
`<<` copies the entries of other mappings into this one. It takes an alias of a mapping, or a list of such aliases,
and cannot be a value itself. Keys written out win over merged ones.

    job: &job { env: { MODE: prod } }
    other:
      <<: *job",
    },
    Page {
        code: "E0114",
        title: "A tag is not known or does not fit",
        text: "\
Words that start with `!` are tags: they name the type of a value. Only YAML's own tags are known, as in Prefect, and
a tag has to fit the value that follows. Remove it, or quote the text if it merely starts with `!`.",
    },
    Page {
        code: "E0115",
        title: "A value looks like another type but is not one",
        text: "\
Unquoted values are typed by their form: `2026-02-30` looks like a date and is none, `=` alone is reserved, and binary
data that is no UTF-8 text cannot be sent as JSON. Correct the value, or quote it if it is text.

    version: 2026-02-30        # no such day
    version: \"2026-02-30\"      # text",
    },
    Page {
        code: "E0116",
        title: "A whole number is too large",
        text: "\
Numbers go from -2^63 to 2^64 - 1, which is what JSON numbers hold exactly. Larger ones would silently change on their
way to the API. If it is an identifier, quote it: it is text.",
    },
    Page {
        code: "E0117",
        title: "The file is too deep or grows too large",
        text: "\
Lists and mappings may be nested 100 deep, and a file may hold a million values, each alias counted with all that it
stands for. The limits keep a hostile or broken file from eating the memory of the machine. Flatten the data, use
fewer aliases to large values, or exclude the file.",
    },
    Page {
        code: "E0118",
        title: "The YAML reader itself failed",
        text: "\
This is a mistake in reconcile, not in your file. Nothing was written. Please report it together with the file, or
with the smallest part of it that shows the failure.",
    },
];
