# try: pages single pair two nested inherited partial texts defaults optional dated configured chain
"""Generic models with arguments."""
import datetime
import uuid
from enum import Enum
from typing import Generic, Optional, TypeVar

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
K = TypeVar("K", bound=str)
V = TypeVar("V")


class Colour(Enum):
    RED = "red"


class Row(BaseModel):
    """A row."""

    id: int = 0


class Box(BaseModel, Generic[T]):
    """A box."""

    value: T
    more: list[T] = Field(default_factory=list, description="Others")
    maybe: Optional[T] = None


class Pair(BaseModel, Generic[K, V]):
    model_config = ConfigDict(extra="forbid")

    key: K
    value: V
    both: dict[K, V] = {}


class Holder(BaseModel, Generic[V]):
    box: Box[V]
    pair: Pair[str, V]


class IntBox(Box[int]):
    """Of numbers."""

    extra: str = "x"


class Named(Pair[str, V], Generic[V]):
    name: str


class Shelf(Box[T]):
    label: str = ""


@flow
def pages(box: Box[int], other: Box[str] | None = None): ...
@flow
def single(box: Box[Row], colour: Box[Colour]): ...
@flow
def pair(p: Pair[str, int]): ...
@flow
def two(a: Pair[str, Row], b: Pair[str, Box[int]]): ...
@flow
def nested(x: Box[Box[Row]]): ...
@flow
def inherited(x: IntBox, y: list[IntBox]): ...
@flow
def partial(x: Named[int]): ...
@flow
def texts(x: "Box[int]", y: "list[Box[Row]]"): ...
@flow
def defaults(x: Box[int] = Box[int](value=1), y: Optional[Box[float]] = None): ...
@flow
def optional(x: dict[str, Box[bool]]): ...
@flow
def dated(x: Box[datetime.date], y: Box[uuid.UUID], z: Box[datetime.datetime]): ...
@flow
def configured(x: Holder[int], y: Holder[Row]): ...
@flow
def chain(x: Shelf[int], y: Shelf[Row]): ...
