# try: plain strs ints flags autos mixed custom aliases nested doc values
"""Every flavour of enumeration."""
import enum
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto, unique
from typing import Dict, List, Literal, Optional

from prefect import flow
from pydantic import BaseModel


class Plain(Enum):
    A = 1
    B = "b"
    C = 2.5
    D = None


class Str(str, Enum):
    """Texts."""

    one = "1"
    two = "2"

    @classmethod
    def default(cls):
        return cls.one


class Number(IntEnum):
    LOW = 1
    HIGH = LOW + 9


class Bits(Flag):
    R = auto()
    W = auto()
    X = 4


class IntBits(IntFlag):
    READ = 1
    WRITE = 2
    BOTH = READ | WRITE


class Auto(StrEnum):
    FIRST_ONE = auto()
    SECOND = "two"


class Base(Enum):
    def describe(self):
        return self.name.lower()


class Derived(Base):
    X = "x"
    Y = "y"


@unique
class Pairs(tuple, Enum):
    AB = ("a", "b")


class Tuples(Enum):
    EARTH = (5.97e24, 6.37e6)
    MARS = (6.42e23, 3.39e6)

    def __init__(self, mass, radius):
        self.mass = mass
        self.radius = radius


class Aliased(Enum):
    ON = 1
    YES = 1
    OFF = 0


class Private(str, Enum):
    _ignore_ = ["tmp"]
    A = "a"


class Missing(str, Enum):
    A = "a"

    @classmethod
    def _missing_(cls, value):
        return cls.A


class Job(BaseModel):
    mode: Str = Str.one
    level: Number = Number.HIGH
    modes: List[Str] = [Str.one, Str.two]
    table: Dict[Str, Number] = {Str.one: Number.LOW}
    only: Literal[Str.one] = Str.one


Functional = Enum("Functional", "RED GREEN")
Listed = Enum("Listed", ["A", "B"])
Mapped = Enum("Mapped", {"X": "x", "Y": "y"})


@flow
def plain(p: Plain, q: Plain = Plain.C, r: Optional[Plain] = Plain.D): ...
@flow
def strs(s: Str = Str.one, t: Str = "2", u: str = Str.two.value): ...
@flow
def ints(n: Number = Number.HIGH, m: List[Number] = [Number.LOW]): ...
@flow
def flags(b: Bits = Bits.R, i: IntBits = IntBits.READ): ...
@flow
def autos(a: Auto = Auto.FIRST_ONE): ...
@flow
def mixed(d: Derived = Derived.X, job: Job = Job()): ...
@flow
def custom(p: Pairs, t: Tuples = Tuples.EARTH): ...
@flow
def aliases(a: Aliased = Aliased.YES, b: Private = Private.A, c: Missing = Missing.A): ...
@flow
def nested(f: Functional, l: Listed = Listed.A, m: Mapped = Mapped.Y): ...
@flow
def doc(s: Str = Str.default()): ...
@flow
def values(names: List[str] = [m.value for m in Str], all: list = list(Str)): ...
