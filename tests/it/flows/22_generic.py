# try: pages single items pair bare child boxes keyed
"""Generic models and root models."""
from typing import Dict, Generic, List, Optional, TypeVar

from prefect import flow
from pydantic import BaseModel, Field, RootModel

T = TypeVar("T")
K = TypeVar("K", bound=str)


class Row(BaseModel):
    id: int


class Page(BaseModel, Generic[T]):
    """One page."""

    items: List[T]
    next_page: Optional[int] = None
    first: Optional[T] = None


class Pair(BaseModel, Generic[K, T]):
    key: K
    value: T


class RowPage(Page[Row]):
    total: int = 0


class Names(RootModel[List[str]]):
    """Names of people."""


class Rows(RootModel):
    root: Dict[str, Row]


class Box(Generic[T]):
    thing: T


@flow
def pages(page: Page[Row], other: Optional[Page[int]] = None): ...
@flow
def single(page: Page[List[Row]]): ...
@flow
def items(names: Names, rows: Rows = Rows({})): ...
@flow
def pair(p: Pair[str, int]): ...
@flow
def bare(page: Page, p: Pair): ...
@flow
def child(page: RowPage): ...
@flow
def boxes(box: Box[int], plain: Box = None): ...
@flow
def keyed(x: Dict[str, Page[Row]], n: Names = Names(["a"])): ...
