# try: a b c d e
from dataclasses import dataclass
from datetime import date
from typing import List, NamedTuple, Optional
from typing_extensions import TypedDict

from prefect import flow
from pydantic import BaseModel, Field


class Pitfall(BaseModel):
    when: Optional[date] = None
    day: "Optional[date]" = None


class Node(BaseModel):
    value: int
    children: List["Node"] = []
    other: Optional["Later"] = None


@flow
def a(n: Node, p: Pitfall): ...


class Later(BaseModel):
    x: int = Field(gt=0)


@dataclass
class Leaf:
    up: Optional["Leaf"] = None
    later: Optional["Later"] = None


class Pair(NamedTuple):
    a: "Leaf"
    b: "int" = 3


class Dict_(TypedDict):
    a: "Later"
    b: "Optional[Dict_]"


@flow
def b(x: Leaf): ...
@flow
def c(x: Pair): ...
@flow
def d(x: Dict_): ...
@flow
def e(x: "Node", y: "list[Later]", z: list["Later"]): ...
