from enum import Enum

__all__ = ["Star", "LIMIT"]
LIMIT = 5
HIDDEN = 6


class Star(Enum):
    SUN = 1
