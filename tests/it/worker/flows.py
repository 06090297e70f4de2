import json
import logging
import os
import signal
import sys
import threading
import time
import uuid

from prefect import flow, pause_flow_run, suspend_flow_run, task
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run


@flow(log_prints=True)
def hello(n: int = 1):
    print("hello", n, os.environ.get("MODE"), os.path.basename(os.getcwd()))


@flow
def fails():
    raise ValueError("no")


@flow
def dies(code: int = 7):
    os._exit(code)


@flow
def killed(sig: int = 9):
    os.kill(os.getpid(), sig)
    time.sleep(600)


@flow
def waits():
    while not os.path.exists(os.path.join(os.environ["NOTES"], "go")):
        time.sleep(0.1)


@flow
def marked(seconds: float = 1):
    mark = os.path.join(os.environ["NOTES"], f"{flow_run.name}.{uuid.uuid4().hex}")
    open(mark, "w").close()
    time.sleep(seconds)
    open(f"{mark}.done", "w").close()


@flow(retries=1, retry_delay_seconds=1)
def again():
    mark = os.path.join(os.environ["NOTES"], "again")
    if not os.path.exists(mark):
        open(mark, "w").close()
        raise ValueError("the first time")


def note(flow, flow_run, state):
    with open(os.path.join(os.environ["NOTES"], f"{flow_run.name}.{state.type.value}"), "w") as file:
        file.write(state.name)


@flow(on_crashed=[note], on_cancellation=[note])
def hooked(code: int = 0):
    if code:
        os._exit(code)
    time.sleep(600)


@flow
def facts(name: str):
    """Leaves what its process is like."""
    from prefect.settings import get_current_settings

    main = sys.modules["__main__"]
    with open(f"/proc/{os.getppid()}/cmdline") as file:
        parent = file.read()
    told = {
        "parent": "forkserver" if "forkserver.py" in parent else "other",
        "leads its group": os.getpgid(0) == os.getpid(),
        "argv": sys.argv,
        "path": sys.path,
        "directory": os.getcwd(),
        "environment": dict(sorted(os.environ.items())),
        "main": [main.__name__, main.__spec__.name, main.__file__],
        "signals": {one.name: str(signal.getsignal(one)) for one in signal.Signals if one.name != "SIGTERM"},
        "input": sys.stdin.read(),
        "output": [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)],
        "umask": os.umask(0o22),
        "threads": sorted(thread.name.rstrip("0123456789-") for thread in threading.enumerate()),
        "handlers": [type(handler).__name__ for handler in logging.getLogger("prefect.flow_runs").handlers],
        "level": logging.getLogger("prefect").getEffectiveLevel(),
        "settings": get_current_settings().model_dump(mode="json"),
    }
    with open(os.path.join(os.environ["NOTES"], name), "w") as file:
        json.dump(told, file)


@flow
def eats():
    bytearray(os.urandom(1 << 20) * 2048)


@task
def double(x: int):
    return 2 * x


@flow
def inner(x: int):
    return double(x)


@flow(persist_result=True)
def nested(x: int = 2):
    create_markdown_artifact(key="nested-note", markdown=f"# {x}")
    return inner(x)


@flow
def pauses():
    pause_flow_run(timeout=3600, poll_interval=1)


@flow
def suspends():
    suspend_flow_run(timeout=3600)


@flow
def slow():
    time.sleep(2)
