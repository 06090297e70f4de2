# try: a b c d
"""Aliases of every kind."""
import typing
from typing import Annotated, Callable, Dict, List, NewType, Optional, Tuple, TypeAlias, Union

from prefect import flow
from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

Path_ = str
Table: TypeAlias = Dict[str, List[int]]
Ids = List["UserId"]
UserId = NewType("UserId", int)
GroupId = NewType("GroupId", UserId)
Handler = Callable[[str], None]
Pair = Tuple[UserId, GroupId]
Tree = TypeAliasType("Tree", "dict[str, Tree | int]")
Short = TypeAliasType("Short", Annotated[str, Field(max_length=3)])
Number = TypeAliasType("Number", Union[int, float])


class Model(BaseModel):
    ids: Ids = []
    table: Table = {}
    pair: Optional[Pair] = None
    number: Number = 1
    short: Short = "a"
    numbers: List[Number] = Field(default=[1, 2.5], description="many")


@flow
def a(p: Path_, t: Table, i: Ids = [], u: UserId = UserId(3)): ...
@flow
def b(h: Handler = print, p: Pair = (1, 2), h2: Optional[Handler] = None): ...
@flow
def c(m: Model, n: Number = 2, s: Optional[Short] = None): ...
@flow
def d(t: Tree = {}): ...
