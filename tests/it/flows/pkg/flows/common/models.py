from __future__ import annotations

from datetime import date
from typing import Optional

from prefect import flow
from pydantic import BaseModel

from lib.enums import Colour
from .. import constants

DEFAULT = constants.SIZE


class Settings(BaseModel):
    """Settings."""

    when: date
    colour: Colour = Colour.RED
    size: int = DEFAULT
    nested: Optional[Deep] = None


class Deep(BaseModel):
    a: int


@flow(name="make it")
def make(s: Settings):
    "Makes."
