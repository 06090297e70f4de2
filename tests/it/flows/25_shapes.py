# try: typed rows points frozen nested totals keyword inherits pyd
"""TypedDict, NamedTuple, dataclasses."""
from __future__ import annotations

import dataclasses
from collections import namedtuple
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Annotated, ClassVar, Dict, List, Literal, NamedTuple, Optional, Tuple, Union

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import NotRequired, Required, TypedDict


class Address(TypedDict):
    """Where."""

    street: str
    zip_code: NotRequired[str]
    country: Annotated[str, Field(min_length=2, max_length=2, description="ISO")]


class Person(Address, total=False):
    name: Required[str]
    age: int
    friends: List["Person"]


Movie = TypedDict("Movie", {"title": str, "year": int})
Partial = TypedDict("Partial", {"a-b": int, "class": str}, total=False)


class Point(NamedTuple):
    """A point."""

    x: int
    y: Annotated[int, Field(ge=0)] = 0
    label: Optional[str] = None


Size = namedtuple("Size", ["width", "height"])
Old = namedtuple("Old", "a b c", defaults=[1, 2])


@dataclass
class Leg:
    start: Point
    end: Point
    name: str = "leg"
    via: List[Point] = field(default_factory=list)


@dataclass(frozen=True, order=True)
class Route:
    """A route."""

    legs: Tuple[Leg, ...]
    limit: ClassVar[int] = 3
    kind: Literal["car", "foot"] = "car"
    options: Dict[str, Union[int, str]] = field(default_factory=dict, repr=False)


@dataclasses.dataclass
class Base:
    id: int
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(kw_only=True)
class Derived(Base):
    name: str
    id: str = "x"


@dataclass
class Mixed:
    a: int
    _: KW_ONLY
    b: str = "b"
    c: Optional[Mixed] = None


@dataclass
class WithField:
    a: int = Field(1, ge=0, description="a")
    b: list[int] = Field(default_factory=list, max_length=3)
    c: int = field(default=3, metadata={"description": "ignored?"})
    hidden: int = field(default=0, init=False)


@pydantic_dataclass
class Checked:
    a: int = 1
    b: str = Field("x", max_length=3)


@pydantic_dataclass(config=ConfigDict(title="Strictly", extra="forbid"))
class Configured:
    a: int


@flow
def typed(a: Address, p: Person, m: Movie, q: Optional[Partial] = None): ...
@flow
def rows(p: Point, ps: List[Point] = [], s: Size = None, o: Old = None): ...
@flow
def points(p: Point = Point(1, 2), q: Tuple[Point, Point] = (Point(0), Point(1, 1, "b"))): ...
@flow
def frozen(r: Route, l: Leg): ...
@flow
def nested(r: Optional[Route] = None, p: Dict[str, Person] = {}): ...
@flow
def totals(d: Derived, b: Base = Base(1)): ...
@flow
def keyword(m: Mixed = Mixed(1, b="c")): ...
@flow
def inherits(w: WithField, v: WithField = WithField(a=2)): ...
@flow
def pyd(c: Checked, d: Checked = Checked(a=2), e: Optional[Configured] = None): ...
