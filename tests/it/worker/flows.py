import os
import signal
import time

from prefect import flow
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
def marked():
    mark = f"{flow_run.name}.{os.getpid()}"
    open(os.path.join(os.environ["NOTES"], mark), "w").close()
    time.sleep(1)


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
