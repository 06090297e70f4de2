# try: f again g h i j k l m n o p q r s u v w x y z aa bb cc dd ee ff gg
import abc
import collections.abc as cabc
import datetime as dt
import json
import typing as t
from abc import ABC, abstractmethod
from collections import OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from enum import Enum, IntEnum, unique
from functools import lru_cache
from typing import Any, Dict, Final, List, Literal, NewType, Optional, Tuple, Union

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict, Field, field_validator

try:
    import missing_thing_zz
except ImportError:
    missing_thing_zz = None

try:
    from missing_thing_zz import Thing
except ImportError:
    Thing = None

CONSTANT: Final = "prod"
REGIONS = ("eu", "us")
Region = Literal["eu", "us"]
Pair = Tuple[int, str]
Nested = Dict[str, "Pair"]
CONFIG = ConfigDict(extra="forbid")


def helper(x: int) -> int:
    return x


def f(a: int = 1):
    """Plain first."""


f = flow(f)
again = flow(name="again")(helper)
del helper


@unique
class Kind(Enum):
    """Kinds.

    Of things.
    """

    A = "a"
    B = "b"

    def __str__(self):
        return self.value

    @classmethod
    def parse(cls, text):
        return cls(text)

    @property
    def upper(self):
        return self.value.upper()


class Prio(int, Enum):
    LOW = 1
    HIGH = 2


class Mixin:
    def hello(self):
        return 1


class Abstract(BaseModel, ABC):
    name: str

    @abstractmethod
    def run(self): ...


class Concrete(Mixin, Abstract):
    model_config = CONFIG
    size: int = 3

    def run(self):
        pass


class Outer:
    class Inner(BaseModel):
        a: int = 1

    LIMIT = 10
    NAMES = ["x"]
    KIND = Kind.A


class Holder(BaseModel):
    class Nested(BaseModel):
        b: int = 2

    nested: Nested = Nested()
    type: str = "x"
    other: Optional[Kind] = Kind.B
    regions: List[Region] = list(REGIONS)
    mapping: t.Mapping[str, cabc.Sequence[int]] = {}
    when: dt.datetime = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
    wait: dt.timedelta = dt.timedelta(minutes=5)


@dataclass
class Deep:
    holder: Holder
    kinds: Dict[str, Kind] = field(default_factory=dict)
    prio: Prio = Prio.LOW


class Sub(Holder):
    """Sub."""

    type: Literal["sub"] = "sub"
    deep: Optional[Deep] = None


@flow
def g(k: Kind = Kind("a"), l: Kind = Kind["B"], m: str = Kind.A.value, n: Optional[Kind] = None): ...
@flow
def h(p: Prio = Prio.HIGH, q: List[Prio] = [Prio.LOW]): ...
@flow
def i(c: Concrete): ...
@flow
def j(a: Abstract): ...
@flow
def k(i: Outer.Inner = Outer.Inner(a=2), n: int = Outer.LIMIT, o: list = Outer.NAMES, p: Kind = Outer.KIND): ...
@flow
def l(h: Holder): ...
@flow
def m(d: Deep): ...
@flow
def n(s: Sub, t: Sub | None = None): ...
@flow
def o(r: Region = "eu", p: Pair = (1, "a"), n: Optional[Nested] = None): ...
@flow
def p(when: dt.datetime = dt.datetime.now()): ...
@flow
def q(c: str = CONSTANT, r: tuple = REGIONS, s: str = REGIONS[0], t: str = REGIONS[-1]): ...
@flow(flow_run_name=lambda: "x", timeout_seconds=60, retry_delay_seconds=1.5, cache_result_in_memory=False)
def r(x: "list[int]" = [], y: "dict" = {}): ...
@flow
def s(x: "Holder", y: "t.Optional[Kind]" = None, z: "dt.date | None" = None): ...
@flow
def u(x: namedtuple("P", "a b") = None): ...
@flow
def v(x: OrderedDict = OrderedDict(), y: deque = deque([1])): ...
@flow
def w(x: json.JSONEncoder = json.JSONEncoder): ...
@flow
def x(x: int = json.loads("1")): ...
@flow
async def y(*, only: int, kw: str = "k", **rest: Any):
    """Async.

    Args:
        only: only this
        **rest: the rest
    """
    yield 1
@flow
@lru_cache
def z(x: int): ...
@flow
def aa(x: int): ...
@flow
def bb(x: Thing = None, y: int = 1): ...
@flow
def cc(x: Final[int] = 3, y: "Final" = 2): ...
@flow
def dd(x: abc.ABC, y: Mixin, z: Mixin = Mixin()): ...
@flow
def ee(x: int = 1, *, y: int = 2) -> "Nope": ...
@flow
def ff(x: Union[Kind, Prio, str] = "a", y: Dict[Kind, List[Prio]] = {}): ...
@flow
def gg(x: list[Kind] = [Kind.A], y: dict[str, Kind] = {"k": Kind.B}, z: Any = (Kind.A, {"p": Prio.LOW})): ...
