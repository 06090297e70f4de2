# try: one two three four five six
from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional

from prefect import flow
from pydantic import BaseModel

if TYPE_CHECKING:
    from pandas import DataFrame


@flow
def one(a: int, later: Later, b: Optional[Later] = None): ...


class Later(BaseModel):
    x: int
    me: Optional[Later] = None
    many: List[Other] = []


class Other(BaseModel):
    y: str


@flow
def two(df: DataFrame, a: int = 1, b: list[str] | None = None, c: Optional[int] = None): ...


@flow
def three(a: Later, b: "Other") -> DataFrame: ...


@flow
def four(a: list["Later"], b: "list[Other]"): ...


@flow
def five(a: Nope, b: int | str = 2): ...


class Box:
    class Config(BaseModel):
        z: int

    @flow
    def six(self, c: Config): ...

    @flow
    def seven(self, c: Box.Config): ...


six = Box.seven
