from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Optional

from pydantic import BaseModel, Field

from .base import Entity, Money

if TYPE_CHECKING:
    from ..flows import Anything


class Status(str, Enum):
    """Of an order."""

    NEW = "new"
    SENT = "sent"


class Line(BaseModel):
    sku: str = Field(alias="SKU", pattern=r"^[A-Z]{3}$")
    price: Money = 0.0
    amount: int = Field(1, ge=1, title="How many")


class Order(Entity):
    lines: list[Line] = Field(min_length=1)
    status: Status = Status.NEW
    note: Optional[str] = Field(None, max_length=200, examples=["please ring"])
    replaces: Optional[Order] = None
