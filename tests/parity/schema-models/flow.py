from __future__ import annotations

from typing import Optional

from models import Color, Data, Inner, Level, Mixed, Outer, Pair, UserId
from prefect import flow

DEFAULT = Inner(x_value=4)


@flow
def enums(color: Color, level: Level = Level.HIGH, mixed: Mixed = Mixed.A, maybe: Optional[Color] = None, many: list[Color] = [Color.BLUE]):
    pass


@flow
def models(outer: Outer, inner: Inner = DEFAULT, maybe: Optional[Inner] = None, many: dict[str, Inner] = {}):
    """
    Run models.

    Args:
        outer: the outer one
        inner: the inner one
    """


@flow
def shapes(data: Data, pair: Pair = Pair(1), user: UserId = UserId(5)):
    pass


@flow
def unknown(thing: NotDefined = None, other: "models.Missing" = 1, fine: int = 2):
    pass
