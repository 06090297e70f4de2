# try: a b c d e g h i j k l m n o p K.run K.static K.outer K.inner Sub.run K.nope
import functools
from functools import partial, wraps

import prefect
import prefect as p
from prefect import Flow
from prefect import flow as f
from prefect.flows import flow as other_flow


@prefect.flow
def a(x: int): ...


@p.flow(name="bee")
def b(x: int = 1): ...


@f()
def c(x): ...


@other_flow(description="from flows")
async def d(x: str = "q"): ...


def plain(x: float = 2.0):
    """Plain doc."""


e = f(plain)
g = f(name="gee")(plain)
h = f(plain, name="aitch", version="1")
i = e.with_options(name="eye")
nightly = f(name="nightly", retries=2)


@nightly
def j(x: int = 5):
    "Nightly."


def deco(fn):
    @functools.wraps(fn)
    def wrapper(*args, **kwargs):
        return fn(*args, **kwargs)

    return wrapper


@f
@deco
def k(x: int = 1, *rest: str, y: bool, **others: float):
    """Wrapped."""


def logged(fn):
    """Logs."""

    @wraps(fn)
    def inner(*a, **kw):
        return fn(*a, **kw)

    return inner


l = f(logged(plain))


@partial(f, name="partial flow")
def m(x: int): ...


OPTIONS = {"name": "from options", "version": "7"}


@f(**OPTIONS)
def n(): ...


@f(name=f"{'x'}-{OPTIONS['version']}")
def o(a, /, b: int, *, c: str = "z"): ...


p = Flow(plain)


class K:
    LIMIT = 4

    @f
    def run(self, a: int, b: int = LIMIT):
        """Runs."""

    @staticmethod
    @f
    def static(a: int): ...

    @f
    @staticmethod
    def outer(a: int): ...

    @f(name="inner one")
    @classmethod
    def inner(cls, a: int): ...


class Sub(K):
    pass
