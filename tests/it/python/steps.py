"""What Prefect makes of step lists and of texts: reads one JSON document from stdin, writes one to the file it is told.

Each case runs in this process, as `prefect deploy` would run it, with exactly the case's environment.
"""

import asyncio
import json
import os
import shlex
import string
import sys

# No step here asks an API; without an address Prefect would start a server of its own for every case.
os.environ.update(PREFECT_API_URL="http://127.0.0.1:9/api", PREFECT_HOME=os.path.dirname(sys.argv[1]))

from prefect.deployments.steps.core import StepExecutionError, run_steps  # noqa: E402


def kind(error):
    cause = error.__cause__ if isinstance(error, StepExecutionError) else error
    text = str(cause)
    if isinstance(cause, RuntimeError) and " failed with error code " in text:
        code, _, stderr = text.partition(" failed with error code ")[2].partition(":")
        return {"exit": int(code), "stderr": stderr.strip()}
    if isinstance(cause, OSError) or "null byte" in text or "null character" in text:
        return {"os": True}
    if text in ("No closing quotation", "No escaped character"):
        return {"words": text}
    return {"refused": True}


def run(case):
    os.environ.clear()
    os.environ.update(case["env"])
    os.chdir(case["cwd"])
    try:
        outputs = asyncio.run(run_steps(case["steps"], {}, print_function=lambda *_, **__: None))
        return {"ok": outputs, "cwd": os.getcwd()}
    except BaseException as error:
        return {"error": kind(error)}


def text(case):
    try:
        words = {"ok": shlex.split(case)}
    except ValueError as error:
        words = {"error": str(error)}
    return {
        "words": words,
        "lines": case.splitlines(),
        "strip": case.strip(),
        "filled": string.Template(case).safe_substitute({"A": "1", "_b2": "two", "Z": "$A"}),
    }


asked = json.load(sys.stdin)
answer = {"cases": [run(case) for case in asked["cases"]], "texts": [text(case) for case in asked["texts"]]}
with open(sys.argv[1], "w") as file:
    json.dump(answer, file)
