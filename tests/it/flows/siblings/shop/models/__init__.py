from .base import Entity, Money
from .order import Line, Order, Status

__all__ = ["Entity", "Line", "Money", "Order", "Status"]
