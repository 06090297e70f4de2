//! 0200 to 0299: flows, and asking Python about them.

use super::Page;

pub(super) static PAGES: &[Page] = &[
    Page {
        code: "E0200",
        title: "The entrypoint cannot be read",
        text: "\
An entrypoint is a file and a function, or a module and a function.

    entrypoint: flows/etl.py:etl
    entrypoint: my_package.flows.etl

Paths are relative to the directory of the prefect.yaml.",
    },
    Page {
        code: "E0201",
        title: "The flow's file does not exist",
        text: "\
The path before the colon leads to no file. It is relative to the directory of the prefect.yaml, not to the directory
where reconcile was started; `root_relative` in reconcile.yaml changes that for files written for the root.",
    },
    Page {
        code: "E0202",
        title: "The flow's file is not valid Python",
        text: "\
Importing the file would fail in the same place, so no run of the flow could start. Correct the syntax. If the file
uses syntax newer than reconcile knows, update reconcile.",
    },
    Page {
        code: "E0203",
        title: "The flow's file has no such object",
        text: "\
The name after the colon is neither defined nor imported in the file. For a flow that is a method, write
`Class.method`. The help lists the flows of the file.",
    },
    Page {
        code: "E0204",
        title: "The object is not a flow",
        text: "\
The entrypoint names a function or class that `@flow` does not decorate.

    @flow
    def etl(): ...",
    },
    Page {
        code: "E0205",
        title: "The flow's name holds a forbidden character",
        text: "\
`name=` in `@flow(...)` may not hold `/`, `%`, `&`, `>` or `<`; Prefect fails when it imports the file.",
    },
    Page {
        code: "E0206",
        title: "A parameter's name is reserved",
        text: "\
Prefect uses this name itself and refuses a flow with such a parameter. Rename the parameter.",
    },
    Page {
        code: "E0207",
        title: "A parameter's name starts with an underscore",
        text: "\
Prefect turns parameters into fields of a pydantic model, which may not start with an underscore, so importing the flow
fails. Rename the parameter.",
    },
    Page {
        code: "E0250",
        title: "No Python with Prefect was found",
        text: "\
Something only Python can do is needed, and none of the interpreters that were tried imports Prefect. They are, in
this order: `--python`, `python` in reconcile.yaml, $VIRTUAL_ENV, .venv in the directory, python3. If the first two are
given nothing else is tried. Install Prefect into one of them, or name another.",
    },
    Page {
        code: "E0251",
        title: "A Python cannot answer questions",
        text: "\
The interpreter starts, but it has no Prefect, or one too old or broken to be asked. The message holds what it said.
Install Prefect there, or name another Python.",
    },
    Page {
        code: "E0252",
        title: "The Python helper is gone",
        text: "\
The process that answers questions ended, or printed something that is no answer, while it was needed. Run again with
`-v` to see what it wrote.",
    },
    Page {
        code: "E0253",
        title: "Cancelled while Python was working",
        text: "\
The pass was interrupted before anything was written. Run it again.",
    },
    Page {
        code: "E0254",
        title: "Python finds no file behind the entrypoint",
        text: "\
The script of the entrypoint does not exist in the directory where Python looked. Correct the path before the colon.",
    },
    Page {
        code: "E0255",
        title: "A module that the flow imports is missing",
        text: "\
Importing the flow's file failed because a module is not installed in the Python that was asked. Install it there, or
name the project's own Python with `--python` or `python` in reconcile.yaml.",
    },
    Page {
        code: "E0256",
        title: "Python finds no such object behind the entrypoint",
        text: "\
The file was imported, and it has no object of that name. Correct the name after the colon.",
    },
    Page {
        code: "E0257",
        title: "Python finds an object that is no flow",
        text: "\
The object exists but is not a flow. Decorate it with `@flow`, or name one that is.",
    },
    Page {
        code: "E0258",
        title: "Importing the flow's file failed",
        text: "\
The file raised an exception when it was imported. Run it with the same Python to see the whole traceback. The helper
sees only PATH, HOME, LANG, VIRTUAL_ENV and the variables named in `step_env`; a file that needs others at import fails
here.",
    },
    Page {
        code: "E0259",
        title: "Importing the flow's file ended the program",
        text: "\
The file calls `sys.exit` when it is imported. Put that call under the usual guard.

    if __name__ == \"__main__\":
        main()",
    },
    Page {
        code: "E0260",
        title: "Importing the flow's file killed the process",
        text: "\
The Python process ended without an answer: a crash in a native library, a signal, or `os._exit`. Import the file with
that Python to see it.",
    },
    Page {
        code: "E0261",
        title: "Importing the flow's file takes too long",
        text: "\
Python gave no answer within the time allowed. A file that defines flows should do nothing else when imported; put long
work into functions.",
    },
    Page {
        code: "E0262",
        title: "Python's answer cannot be written as JSON",
        text: "\
The flow's facts or the outputs of a step hold a value that JSON has no form for. Use text, numbers, lists and
mappings.",
    },
    Page {
        code: "E0263",
        title: "Python's answer is too large",
        text: "\
The flow's schema or the step's outputs exceed 32 MiB. Make them smaller.",
    },
    Page {
        code: "E0264",
        title: "Only Python can tell what the flow takes, and none could be asked",
        text: "\
Flows are read without running them. Where that is not enough, for example because a parameter's type comes from an
installed package, `apply` asks Python, and here it could not. The labels say what could not be understood; the help
says which interpreters were tried. Name a Python that has Prefect and the flow's requirements. `plan` and `render` say
beforehand what is left to Python, and why; machines find it as `left_to_python`.",
    },
    Page {
        code: "E0265",
        title: "A step that Python ran has failed",
        text: "\
The function raised an exception or could not be imported. The message holds what it said.",
    },
];
