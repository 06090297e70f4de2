import functools
import os

import prefect
from prefect import flow as job
from prefect import task

NAME = "from a constant"
OPTIONS = {"name": "from options", "retries": 2}


@job(name=NAME, version="1.2.3")
def constant():
    pass


@prefect.flow(name="dotted: ünïcode (1)", version=os.environ.get("FLOW_VERSION", "unset"))
def dotted():
    pass


@job(**OPTIONS)
def splatted(a=1):
    pass


@job(name="a" + "-" + str(1), description="de" "scribed", retries=3, retry_delay_seconds=[1, 2], log_prints=True, timeout_seconds=10, validate_parameters=False)
def expression():
    """Not this."""


def inner(a: int, b: str = "x"):
    """By call."""


called = job(inner)
called_with = job(name="called with")(inner)
partial = functools.partial(job, name="by partial")


@partial(version="p1")
def by_partial():
    pass


def logged(fn):
    @functools.wraps(fn)
    def wrapper(*args, **kwargs):
        return fn(*args, **kwargs)

    return wrapper


@job
@logged
def wrapped(x: int = 3):
    """Wrapped."""


@job()
def bare():
    pass


@task
def helper():
    pass


def make(name):
    @job(name=name)
    def made(n: int = 1):
        pass

    return made


factory = make("from a factory")
