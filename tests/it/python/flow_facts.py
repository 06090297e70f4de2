"""Asks Prefect itself about flows.

Reads a JSON list of {"files": {path: text}, "entrypoint": str} and writes one JSON object per line: either
{"name", "description", "version", "schema"} as `prefect deploy` would use them, or {"error"}.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
home = tempfile.mkdtemp()
os.environ["PREFECT_HOME"] = home
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

from prefect.flows import load_flow_from_entrypoint  # noqa: E402
from prefect.utilities.callables import parameter_schema  # noqa: E402

real = sys.stdout


def ask(case):
    root = tempfile.mkdtemp()
    before, path = set(sys.modules), list(sys.path)
    try:
        for name, text in case["files"].items():
            full = os.path.join(root, name)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8", newline="") as file:
                file.write(text)
        os.chdir(root)
        flow = load_flow_from_entrypoint(case["entrypoint"])
        schema = parameter_schema(flow).model_dump_for_openapi()
        if not schema.get("definitions"):
            schema.pop("definitions", None)
        return {
            "name": flow.name,
            "description": flow.description,
            "version": flow.version,
            "schema": schema,
        }
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        os.chdir("/")
        sys.path[:] = path
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None) or ""
            inside = [str(p) for p in getattr(sys.modules[name], "__path__", [])]
            if file.startswith(root) or any(p.startswith(root) for p in inside):
                del sys.modules[name]
        sys.path_importer_cache.clear()
        shutil.rmtree(root, ignore_errors=True)


with contextlib.redirect_stdout(sys.stderr):
    for case in json.load(sys.stdin):
        answer = ask(case)
        try:
            line = json.dumps(answer, allow_nan=False)
        except ValueError:
            line = json.dumps({"error": "not JSON"})
        real.write(line + "\n")
real.flush()
shutil.rmtree(home, ignore_errors=True)
